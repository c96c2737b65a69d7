/* Counting, in memory; written together every few seconds, without a sync of its own: a crash may lose the last of it. */
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/random.h"
#include "ipc/words.h"
#include "store/report/row.h"
#include "wire/address.h"

enum {
	DOMAINS_MOST = 10000,            /* in a period; further ones are not counted */
	BYTES_MOST = 32 * 1024 * 1024,   /* of their texts; beyond that, only what is there counts on */
	WRITE_MS = 5000,
	WRITTEN_MOST = 500,              /* rows in one batch */
	DAY_S = 86400,
	SPREAD_S = 4 * 3600,             /* RFC 8460 §4.1: so that not all of the world writes to a domain at midnight */
};

static bool is_domain(struct span name)
{
	BUF_AUTO canonical = {0};
	return domain_is_valid(name, 0) && domain_canonical(name, &canonical, NULL) == 0 && span_equal(buf_span(&canonical), name);
}

static uint64_t hash_of(const struct reports *all, struct span domain)
{
	return span_hash(domain, all->secret);
}

/* NULL if it is not to be counted. Of two domains of one hash, which nobody can find, the second is not. */
static struct report *find_or_add(struct reports *all, struct span domain)
{
	struct report *r = map_get(&all->current, hash_of(all, domain));
	int64_t now = clock_wall_s(), day = now - now % DAY_S;
	if (r)
		return span_equal(r->domain, domain) ? r : NULL;
	if (all->current.count >= DOMAINS_MOST || all->bytes > BYTES_MOST)
		return NULL;
	r = report_new(domain);
	r->start_s = all->last_closed_s > day ? all->last_closed_s : day;
	r->end_s = day + DAY_S;
	r->due_s = r->end_s + (int64_t)random_below(SPREAD_S);
	all->bytes += r->memory.used;
	map_put(&all->current, hash_of(all, domain), r);
	return r;
}

void report_count(struct reports *all, const struct msg_tls_session *m)
{
	struct report *r = find_or_add(all, m->domain);
	bool may_add = all->bytes <= BYTES_MOST;
	if (!r)
		return;
	size_t before = r->memory.used;
	struct tlsrpt_policy *p = report_policy(r, m->policy, m->strings, may_add);
	struct tlsrpt_failure f = {.result = m->result, .sending_ip = m->sending_ip, .mx_host = m->mx_host, .mx_helo = m->mx_helo,
	                           .receiving_ip = m->receiving_ip, .reason = m->reason, .count = 1};
	if (p && m->result == TLSRPT_SUCCESS)
		p->successes++;
	else if (p)
		report_add_failure(r, p, &f, may_add);
	all->bytes += r->memory.used - before;
	if (!all->is_writing_soon) /* and not put off by whatever is counted meanwhile */
		timer_set(all->writing, WRITE_MS);
	all->is_writing_soon = true;
	r->is_dirty = true;
}

int report_session(struct store_peer *relay, const struct msg_tls_session *m)
{
	struct reports *all = relay->store->reports;
	ARENA_AUTO a = {0};
	struct span *list;
	ssize_t strings = words_unpack(m->strings, &a, &list);
	if (!is_domain(m->domain) || strings < 0 || strings > TLSRPT_STRINGS_MOST)
		return -1;
	if (!child_config(relay->store->self)->tls_reports)
		return 0;
	if (clock_wall_s() >= all->closing_s)
		reports_go_on(all); /* which ends the day that is over */
	report_count(all, m);
	return 0;
}

/* ---- the disk ---- */

static size_t write_some(struct reports *all, size_t most)
{
	struct batch b = {0};
	struct report *r;
	size_t written = 0;
	for (size_t at = 0; written < most && (r = map_next(&all->current, &at));) {
		if (!r->is_dirty)
			continue;
		report_put(&b, r);
		r->is_dirty = false;
		written++;
	}
	if (written)
		store_commit(all->store, &b, NULL, NULL);
	return written;
}

static void on_write(void *context)
{
	struct reports *all = context;
	bool has_room = engine_has_room(all->store->engine);
	all->is_writing_soon = !has_room || write_some(all, WRITTEN_MOST) == WRITTEN_MOST;
	if (all->is_writing_soon)
		timer_set(all->writing, WRITE_MS);
}

void reports_flush(struct store *s)
{
	while (s->reports && write_some(s->reports, WRITTEN_MOST))
		;
}

size_t reports_close(struct reports *all, int64_t now_s, bool is_all, struct batch *b)
{
	struct report *r;
	size_t closed = 0;
	for (size_t at = 0; (r = map_next(&all->current, &at));) {
		if (!is_all && r->end_s > now_s)
			continue;
		if (is_all && r->end_s > now_s) {
			r->end_s = now_s > r->start_s ? now_s : r->start_s + 1;
			r->due_s = 0;
		}
		r->state = REPORT_DUE;
		report_put(b, r);
		map_take(&all->current, hash_of(all, r->domain));
		all->bytes -= r->memory.used;
		report_free(r);
		closed++;
	}
	return closed;
}

/* One of a domain that another one is counted for already is sent as it is. */
static void take(struct reports *all, struct report *r, struct batch *b)
{
	if (!map_get(&all->current, hash_of(all, r->domain))) {
		all->bytes += r->memory.used;
		map_put(&all->current, hash_of(all, r->domain), r);
		return;
	}
	r->state = REPORT_DUE;
	report_put(b, r);
	report_free(r);
}

/* What was being counted goes on, also if its day is over: that is found out next. */
static void load(struct reports *all)
{
	struct engine_scan *scan = engine_scan_open(all->store->engine, DIRECTORY, SPAN("r"), SPAN("s"));
	struct span key, value;
	struct batch b = {0};
	enum report_state state;
	int64_t due_s;
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		if (report_peek(value, &state, &due_s) == 0 && state != REPORT_COUNTING)
			continue;
		struct report *r = report_unpack(key, value);
		if (r) {
			take(all, r, &b);
			continue;
		}
		log_event(LOG_LEVEL_ERROR, "tls-report-damaged", log_c("then", "what it has counted is lost"));
		batch_delete(&b, DIRECTORY, key);
	}
	engine_scan_close(scan);
	if (!batch_is_empty(&b))
		store_commit(all->store, &b, NULL, NULL);
}

static void on_tick(void *context)
{
	reports_go_on(context);
}

void reports_open(struct store *s)
{
	struct reports *all = xcalloc(1, sizeof *all);
	*all = (struct reports){.store = s, .secret = random_u64(), .last_question = random_u64() >> 1};
	all->writing = timer_new(s->loop, on_write, all);
	all->tick = timer_new(s->loop, on_tick, all);
	s->reports = all;
	load(all);
	timer_set(all->tick, 1);
}

/* ---- what a person reads ---- */

static void print_one(const struct report *r, struct buf *out)
{
	for (size_t i = 0; i < r->policy_count; i++) {
		const struct tlsrpt_policy *p = &r->policies[i];
		buf_printf(out, "%.*s %s: %llu successful, %llu failed\n", SPAN_ARG(r->domain), tlsrpt_policy_type_name(p->type), (unsigned long long)p->successes,
		           (unsigned long long)p->failures);
		for (size_t k = 0; k < p->detail_count; k++) {
			const struct tlsrpt_failure *f = &p->details[k];
			buf_printf(out, "  %llu %s %.*s%s%.*s\n", (unsigned long long)f->count, tlsrpt_result_name(f->result), SPAN_ARG(f->mx_host),
			           f->reason.len ? ": " : "", SPAN_ARG(f->reason));
		}
	}
}

void reports_print(struct store *s, struct buf *out)
{
	struct report *r;
	heard_print(s->reports, out);
	buf_add_cstr(out, "\nConnections to other servers since the last reports:\n");
	for (size_t at = 0; (r = map_next(&s->reports->current, &at));)
		print_one(r, out);
	if (!s->reports->current.count)
		buf_add_cstr(out, "none\n");
}
