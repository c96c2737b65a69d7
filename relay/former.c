/* The memory that outlives a store. */
#include "relay/former.h"

#include "relay/session.h"

static bool is_useful(const struct job *f)
{
	if (f->is_out)
		return true;
	for (size_t i = 0; i < f->recipient_count; i++)
		if (f->recipients[i].known)
			return true;
	return false;
}

void former_remove(struct job *f)
{
	struct relay_process *p = f->relay;
	struct job **at = &p->formers;
	while (*at != f)
		at = &(*at)->next_former;
	*at = f->next_former;
	p->former_count--;
	p->formers_out -= f->is_out;
}

static void add(struct job *f)
{
	struct relay_process *p = f->relay;
	struct job **at = &p->formers;
	while (*at)
		at = &(*at)->next_former;
	*at = f;
	f->next_former = NULL;
	f->is_former = true;
	p->former_count++;
	p->formers_out += f->is_out;
}

/* The oldest first; those that are out have slots of their own (relay_offer_slots), so they are never too many. */
static void make_room(struct relay_process *p)
{
	for (struct job *f = p->formers, *next; f && p->former_count > child_config(p->self)->relay_connections; f = next) {
		next = f->next_former;
		if (!f->is_out)
			job_drop(f);
	}
}

void former_begin(struct job *j)
{
	struct relay_process *p = j->relay;
	j->is_out = j->session && j->session->state == SESSION_END && j->undecided;
	if (p->is_stopping || !is_useful(j)) {
		job_drop(j);
		return;
	}
	map_take(&p->jobs, j->number);
	add(j);
	if (!j->is_out)
		job_stop(j);
	make_room(p);
}

static struct recipient *find(const struct job *f, const struct recipient *r)
{
	for (size_t i = 0; i < f->recipient_count; i++)
		if (f->recipients[i].index == r->index && span_equal(f->recipients[i].address, r->address))
			return &f->recipients[i];
	return NULL;
}

/* True if the answer about one of them is still to come. */
static bool answer_from(struct job *f, struct job *j)
{
	bool is_out = false;
	for (size_t i = 0; i < j->recipient_count; i++) {
		struct recipient *r = &j->recipients[i], *same = r->is_decided ? NULL : find(f, r);
		if (same && same->known) {
			job_know(j, r, same->known);
			same->known = NULL;
		} else if (same) {
			is_out |= f->is_out && !same->is_decided;
		}
	}
	return is_out;
}

bool former_answer(struct job *j)
{
	bool is_out = false;
	for (struct job *f = j->relay->formers, *next; f; f = next) {
		next = f->next_former;
		if (!id128_equal(f->delivery, j->delivery))
			continue;
		is_out |= answer_from(f, j);
		if (!is_useful(f))
			job_drop(f);
	}
	return is_out;
}

void former_ended(struct job *f)
{
	struct relay_process *p = f->relay;
	struct job *j;
	f->is_out = false;
	p->formers_out--;
	for (size_t at = 0; (j = map_next(&p->jobs, &at));)
		if (j->state == JOB_WAITING && id128_equal(j->delivery, f->delivery))
			job_go_on(j);
	/* a job that went on may have taken all that there was to know */
	if (f->state != JOB_ENDED && !is_useful(f))
		job_drop(f);
	relay_offer_slots(p);
}

void formers_drop(struct relay_process *p)
{
	while (p->formers)
		job_drop(p->formers);
}
