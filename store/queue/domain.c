/* Round robin among senders and their destinations, and what is known of each destination while mail for it is under way. */
#include "store/queue/domain.h"

#include "base/die.h"
#include "base/random.h"

#include <stdlib.h>

void domains_open(struct domains *d)
{
	*d = (struct domains){.secret = random_u64()};
	d->turn_last = &d->turn;
}

/* ---- finding ---- */

static void to_lower(struct span written, struct buf *out)
{
	for (size_t i = 0; i < written.len; i++)
		buf_add_char(out, ascii_lower(written.ptr[i]));
}

/* name: in lower case. */
static struct domain *find_domain(const struct domains *d, struct span name, uint64_t hash)
{
	for (struct domain *one = map_get(&d->by_hash, hash); one; one = one->same_hash)
		if (span_equal(span_cstr(one->name), name))
			return one;
	return NULL;
}

static uint64_t hash_line(const struct domains *d, struct span name, uint64_t submitter)
{
	return span_hash(name, d->secret + submitter + 1);
}

static struct line *find_line(const struct domains *d, struct span name, uint64_t submitter)
{
	for (struct line *one = map_get(&d->lines, hash_line(d, name, submitter)); one; one = one->same_hash)
		if (one->sender->submitter == submitter && span_equal(span_cstr(one->domain->name), name))
			return one;
	return NULL;
}

static struct domain *domain_of(struct domains *d, struct span name)
{
	uint64_t hash = span_hash(name, d->secret);
	struct domain *known = find_domain(d, name, hash);
	if (known)
		return known;
	struct domain *new = xcalloc(1, sizeof *new + name.len + 1);
	new->same_hash = map_get(&d->by_hash, hash);
	new->hash = hash;
	new->waiting.last = &new->waiting.first;
	new->most = DOMAIN_JOBS_FIRST;
	if (name.len)
		memcpy(new->name, name.ptr, name.len);
	map_put(&d->by_hash, hash, new);
	return new;
}

static struct sender *sender_of(struct domains *d, uint64_t submitter)
{
	struct sender *known = map_get(&d->senders, submitter + 1);
	if (known)
		return known;
	struct sender *new = xcalloc(1, sizeof *new);
	new->submitter = submitter;
	new->turns.last = &new->turns.first;
	map_put(&d->senders, submitter + 1, new);
	return new;
}

static struct line *line_of(struct domains *d, struct span written, uint64_t submitter)
{
	BUF_AUTO lower = {0};
	to_lower(written, &lower);
	struct line *known = find_line(d, buf_span(&lower), submitter);
	if (known)
		return known;
	uint64_t hash = hash_line(d, buf_span(&lower), submitter);
	struct line *new = xcalloc(1, sizeof *new);
	*new = (struct line){.hash = hash, .same_hash = map_get(&d->lines, hash),
	                     .domain = domain_of(d, buf_span(&lower)), .sender = sender_of(d, submitter)};
	for (int i = 0; i < URGENCIES; i++)
		new->ready[i].last = &new->ready[i].first;
	new->domain->line_count++;
	new->sender->line_count++;
	map_put(&d->lines, hash, new);
	return new;
}

/* ---- forgetting ---- */

static void forget_domain(struct domains *d, struct domain *old)
{
	if (old->active || old->line_count)
		return;
	struct domain *first = map_take(&d->by_hash, old->hash);
	struct domain **at = &first;
	while (*at != old)
		at = &(*at)->same_hash;
	*at = old->same_hash;
	if (first)
		map_put(&d->by_hash, first->hash, first);
	free(old);
}

static bool has_parked(const struct line *l)
{
	return l->parked_at < l->parked.len;
}

/* What nothing waits in, and its sender with it if that was all that he had. forget_domain is the caller's to call. */
static void forget_line(struct domains *d, struct line *old)
{
	if (old->ready_count || has_parked(old) || old->is_hungry || old->stands != LINE_NOWHERE)
		return;
	struct line *first = map_take(&d->lines, old->hash);
	struct line **at = &first;
	while (*at != old)
		at = &(*at)->same_hash;
	*at = old->same_hash;
	if (first)
		map_put(&d->lines, first->hash, first);
	if (--old->sender->line_count == 0)
		free(map_take(&d->senders, old->sender->submitter + 1));
	old->domain->line_count--;
	buf_free(&old->parked);
	free(old);
}

/* ---- turns ---- */

static void push(struct lines *to, struct line *l)
{
	l->next_turn = NULL;
	*to->last = l;
	to->last = &l->next_turn;
}

static struct line *pop(struct lines *from)
{
	struct line *l = from->first;
	if (!l)
		return NULL;
	from->first = l->next_turn;
	if (!from->first)
		from->last = &from->first;
	l->stands = LINE_NOWHERE;
	return l;
}

static void give_turn(struct domains *d, struct sender *to)
{
	if (to->has_turn || !to->turns.first)
		return;
	to->has_turn = true;
	to->next_turn = NULL;
	*d->turn_last = to;
	d->turn_last = &to->next_turn;
}

/* The places that are free go to the lines that have waited longest. */
static void give_places(struct domains *d, struct domain *of)
{
	struct line *l;
	while (of->active + of->given < of->most && (l = pop(&of->waiting))) {
		if (!l->ready_count) {
			forget_line(d, l);
			continue;
		}
		of->given++;
		l->stands = LINE_HAS_PLACE;
		push(&l->sender->turns, l);
		give_turn(d, l->sender);
	}
}

static void wait_for_place(struct domains *d, struct line *l)
{
	if (l->stands == LINE_NOWHERE && l->ready_count) {
		l->stands = LINE_WAITS;
		push(&l->domain->waiting, l);
	}
	give_places(d, l->domain);
}

/* The sender whose turn it is: his line, which gives its place back. */
static struct line *next_line(struct domains *d)
{
	struct sender *s = d->turn;
	if (!s)
		return NULL;
	d->turn = s->next_turn;
	if (!d->turn)
		d->turn_last = &d->turn;
	s->has_turn = false;
	struct line *l = pop(&s->turns);
	l->domain->given--;
	give_turn(d, s); /* behind all others */
	return l;
}

/* ---- jobs ---- */

/* Half of what may be ready is gone. */
static void note_hunger(struct domains *d, struct line *l)
{
	if (l->is_hungry || !has_parked(l) || l->ready_count > DOMAIN_READY_MOST / 2)
		return;
	l->is_hungry = true;
	l->next_hungry = d->hungry;
	d->hungry = l;
}

static enum urgency urgency_of(const struct relay_job *j)
{
	return j->message->priority > PRIORITY_NORMAL ? URGENT : j->message->priority < PRIORITY_NORMAL ? PATIENT : NORMAL;
}

void domains_add_job(struct domains *d, struct span name, struct relay_job *j)
{
	struct line *to = line_of(d, name, j->message->submitter);
	j->domain = to->domain;
	j->next = NULL;
	struct ready *ready = &to->ready[urgency_of(j)];
	*ready->last = j;
	ready->last = &j->next;
	to->ready_count++;
	d->ready_count++;
	wait_for_place(d, to);
}

/* The most urgent that is ready; NULL if none is. */
static struct relay_job *take_first(struct domains *d, struct line *l)
{
	struct ready *ready = l->ready;
	while (ready < l->ready + URGENCIES && !ready->first)
		ready++;
	if (ready == l->ready + URGENCIES)
		return NULL;
	struct relay_job *j = ready->first;
	ready->first = j->next;
	if (!ready->first)
		ready->last = &ready->first;
	j->next = NULL;
	l->ready_count--;
	d->ready_count--;
	return j;
}

struct relay_job *domains_take_job(struct domains *d)
{
	struct line *l;
	while ((l = next_line(d))) {
		struct domain *of = l->domain;
		struct relay_job *j = of->active < of->most ? take_first(d, l) : NULL; /* fewer may be active than when it was given its place */
		if (j)
			of->active++;
		note_hunger(d, l);
		wait_for_place(d, l); /* behind all others */
		forget_line(d, l);
		forget_domain(d, of);
		if (j)
			return j;
	}
	return NULL;
}

/* Of the lines that wait for a place. */
static struct relay_job *take_waiting(struct domains *d, struct domain *of, unsigned most)
{
	struct relay_job *taken = NULL, **end = &taken;
	for (struct line *l = of->waiting.first; l && most; l = l->next_turn) {
		while (most && (*end = take_first(d, l))) {
			(*end)->domain = NULL;
			end = &(*end)->next;
			most--;
		}
		note_hunger(d, l);
	}
	return taken;
}

struct relay_job *domains_end_job(struct domains *d, struct relay_job *j)
{
	struct domain *of = j->domain;
	struct relay_job *put_off = NULL;
	of->active--;
	j->domain = NULL;
	if (j->is_answered)
		of->most = 2 * of->most < DOMAIN_JOBS_MOST ? 2 * of->most : DOMAIN_JOBS_MOST;
	else if (j->is_silent && of->most > 1)
		of->most /= 2;
	else if (j->is_silent)
		put_off = take_waiting(d, of, DOMAIN_PUT_OFF_MOST);
	give_places(d, of);
	forget_domain(d, of);
	return put_off;
}

/* ---- parking ---- */

bool domains_are_full(const struct domains *d, struct span written, uint64_t submitter)
{
	BUF_AUTO lower = {0};
	to_lower(written, &lower);
	const struct line *one = find_line(d, buf_span(&lower), submitter);
	return one && one->ready_count >= DOMAIN_READY_MOST;
}

void domains_park(struct domains *d, struct span name, uint64_t submitter, struct id128 id)
{
	struct line *to = line_of(d, name, submitter);
	buf_add(&to->parked, id128_span(&id));
	note_hunger(d, to);
}

bool domains_are_hungry(const struct domains *d)
{
	return d->hungry != NULL;
}

bool domains_unpark(struct domains *d, struct id128 *id)
{
	struct line *l;
	while ((l = d->hungry) && (!has_parked(l) || l->ready_count >= DOMAIN_READY_MOST)) {
		struct domain *of = l->domain;
		d->hungry = l->next_hungry;
		l->is_hungry = false;
		forget_line(d, l);
		forget_domain(d, of);
	}
	if (!l)
		return false;
	memcpy(id, l->parked.ptr + l->parked_at, sizeof *id);
	l->parked_at += sizeof *id;
	if (!has_parked(l)) {
		buf_free(&l->parked);
		l->parked_at = 0;
	} else if (l->parked_at > l->parked.len / 2) { /* what comes in steadily must not grow what has gone */
		memmove(l->parked.ptr, l->parked.ptr + l->parked_at, l->parked.len - l->parked_at);
		l->parked.len -= l->parked_at;
		l->parked_at = 0;
	}
	return true;
}
