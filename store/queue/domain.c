/* Round robin among destinations, and what is known of each while mail for it is under way. */
#include "store/queue/domain.h"

#include "base/die.h"
#include "base/random.h"

#include <stdlib.h>

void domains_open(struct domains *d)
{
	*d = (struct domains){.secret = random_u64()};
	d->turn_last = &d->turn;
}

static void to_lower(struct span written, struct buf *out)
{
	for (size_t i = 0; i < written.len; i++)
		buf_add_char(out, ascii_lower(written.ptr[i]));
}

/* name: in lower case. */
static struct domain *find(const struct domains *d, struct span name)
{
	for (struct domain *one = map_get(&d->by_hash, span_hash(name, d->secret)); one; one = one->same_hash)
		if (span_equal(span_cstr(one->name), name))
			return one;
	return NULL;
}

static struct domain *domain_of(struct domains *d, struct span written)
{
	BUF_AUTO lower = {0};
	to_lower(written, &lower);
	struct span name = buf_span(&lower);
	uint64_t hash = span_hash(name, d->secret);
	struct domain *first = map_get(&d->by_hash, hash), *known = find(d, name);
	if (known)
		return known;
	struct domain *new = xcalloc(1, sizeof *new + name.len + 1);
	new->hash = hash;
	new->same_hash = first;
	for (int i = 0; i < URGENCIES; i++)
		new->ready[i].last = &new->ready[i].first;
	new->most = DOMAIN_JOBS_FIRST;
	if (name.len)
		memcpy(new->name, name.ptr, name.len);
	map_put(&d->by_hash, hash, new);
	return new;
}

static void forget(struct domains *d, struct domain *old)
{
	struct domain *first = map_take(&d->by_hash, old->hash);
	struct domain **at = &first;
	while (*at != old)
		at = &(*at)->same_hash;
	*at = old->same_hash;
	if (first)
		map_put(&d->by_hash, first->hash, first);
	buf_free(&old->parked);
	free(old);
}

static bool has_parked(const struct domain *of)
{
	return of->parked_at < of->parked.len;
}

static bool is_idle(struct domain *of)
{
	return of->active == 0 && of->ready_count == 0 && !of->has_turn && !of->is_hungry && !has_parked(of);
}

/* Half of what may be ready is gone. */
static void note_hunger(struct domains *d, struct domain *of)
{
	if (of->is_hungry || !has_parked(of) || of->ready_count > DOMAIN_READY_MOST / 2)
		return;
	of->is_hungry = true;
	of->next_hungry = d->hungry;
	d->hungry = of;
}

/* The most urgent jobs that are ready; NULL if none is. */
static struct ready *next_ready(struct domain *of)
{
	for (int i = 0; i < URGENCIES; i++)
		if (of->ready[i].first)
			return &of->ready[i];
	return NULL;
}

static enum urgency urgency_of(const struct relay_job *j)
{
	return j->message->priority > PRIORITY_NORMAL ? URGENT : j->message->priority < PRIORITY_NORMAL ? PATIENT : NORMAL;
}

static void give_turn(struct domains *d, struct domain *to)
{
	if (to->has_turn || !next_ready(to) || to->active >= to->most)
		return;
	to->has_turn = true;
	to->next_turn = NULL;
	*d->turn_last = to;
	d->turn_last = &to->next_turn;
}

void domains_add_job(struct domains *d, struct span name, struct relay_job *j)
{
	struct domain *to = domain_of(d, name);
	j->domain = to;
	j->next = NULL;
	struct ready *ready = &to->ready[urgency_of(j)];
	*ready->last = j;
	ready->last = &j->next;
	to->ready_count++;
	d->ready_count++;
	give_turn(d, to);
}

struct relay_job *domains_take_job(struct domains *d)
{
	struct domain *from;
	while ((from = d->turn)) {
		d->turn = from->next_turn;
		if (!d->turn)
			d->turn_last = &d->turn;
		from->has_turn = false;
		struct ready *ready = next_ready(from);
		if (is_idle(from))
			forget(d, from);
		if (!ready || from->active >= from->most)
			continue; /* things have changed since it was given the turn; domains_end_job gives it another */
		struct relay_job *j = ready->first;
		ready->first = j->next;
		if (!ready->first)
			ready->last = &ready->first;
		j->next = NULL;
		from->ready_count--;
		d->ready_count--;
		from->active++;
		note_hunger(d, from);
		give_turn(d, from); /* behind all others */
		return j;
	}
	return NULL;
}

static struct relay_job *take_ready(struct domains *d, struct domain *of, unsigned most)
{
	struct relay_job *taken = NULL, **end = &taken;
	struct ready *ready;
	while (most && (ready = next_ready(of))) {
		*end = ready->first;
		for (; *end && most; most--, of->ready_count--, d->ready_count--) {
			(*end)->domain = NULL;
			end = &(*end)->next;
		}
		ready->first = *end;
		if (!ready->first)
			ready->last = &ready->first;
		*end = NULL;
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
		put_off = take_ready(d, of, DOMAIN_PUT_OFF_MOST);
	note_hunger(d, of);
	if (is_idle(of))
		forget(d, of);
	else
		give_turn(d, of);
	return put_off;
}

bool domains_are_full(const struct domains *d, struct span written)
{
	BUF_AUTO lower = {0};
	to_lower(written, &lower);
	const struct domain *one = find(d, buf_span(&lower));
	return one && one->ready_count >= DOMAIN_READY_MOST;
}

void domains_park(struct domains *d, struct span name, struct id128 id)
{
	struct domain *to = domain_of(d, name);
	buf_add(&to->parked, id128_span(&id));
	note_hunger(d, to);
}

bool domains_are_hungry(const struct domains *d)
{
	return d->hungry != NULL;
}

bool domains_unpark(struct domains *d, struct id128 *id)
{
	struct domain *of;
	while ((of = d->hungry) && (!has_parked(of) || of->ready_count >= DOMAIN_READY_MOST)) {
		d->hungry = of->next_hungry;
		of->is_hungry = false;
		if (is_idle(of))
			forget(d, of);
	}
	if (!of)
		return false;
	memcpy(id, of->parked.ptr + of->parked_at, sizeof *id);
	of->parked_at += sizeof *id;
	if (!has_parked(of)) {
		buf_free(&of->parked);
		of->parked_at = 0;
	}
	return true;
}
