/* Sending. The way of a report that is due:
 *
 *   asking    where the domain wants it: _smtp._tls.DOMAIN   -> nowhere: gone
 *   signing   one message to all mailto: URIs, by filter     -> in the queue, in the batch that takes these URIs out of the row
 *   posting   to one https: URI after the other, by resolve  -> those that have not taken it stay in the row
 *   ended     nothing is left: the row is deleted; else it is due again later, for a day (RFC 8460 §5.5)
 *
 * A restart finds the row as it was written last, and begins there. */
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "ipc/words.h"
#include "store/queue/message.h"
#include "store/queue/own.h"
#include "store/report/row.h"
#include "store/sign.h"
#include "wire/gzip.h"

#include <stdlib.h>

enum {
	ACTIVE_MOST = 16,
	FIRST_WAIT_S = 300,           /* doubled from try to try */
	WAIT_DOUBLINGS_MOST = 5,
	GIVE_UP_S = 86400,            /* RFC 8460 §5.5 */
	ABSENT_WAIT_S = 10,           /* for a process that is being started */
	DAY_S = 86400,
};

struct sending {
	struct reports *all;
	struct sending *next;
	struct report *report;
	uint64_t question;            /* that it waits for; 0: none */
	peer_id peer;                 /* whose answer that is */
	struct buf file, file_name;
	struct span uris[TLSRPT_URIS_MOST];
	size_t uri_count, at;
	struct buf mail;
	struct queued *queued;
};

static const char *contact(const struct reports *all)
{
	return child_config(all->store->self)->postmaster;
}

/* ---- the end of a try ---- */

static void free_sending(struct sending *s)
{
	struct sending **at = &s->all->active;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->all->active_count--;
	report_free(s->report);
	buf_free(&s->file);
	buf_free(&s->file_name);
	buf_free(&s->mail);
	free(s);
}

static void on_ended(void *context)
{
	struct sending *s = context;
	struct reports *all = s->all;
	free_sending(s);
	reports_go_on(all);
}

static void finish(struct sending *s)
{
	struct batch b = {.is_durable = true}; /* else a crash might have it sent again */
	report_delete(&b, s->report);
	s->question = 0;
	store_commit(s->all->store, &b, on_ended, s);
}

static void keep_uris(struct sending *s)
{
	BUF_AUTO packed = {0};
	words_pack(&packed, s->uris, s->uri_count);
	s->report->uris = s->uri_count ? arena_dup(&s->report->memory, buf_span(&packed)) : SPAN("");
}

static void wait_for(struct sending *s, int64_t wait_s)
{
	struct batch b = {0};
	s->question = 0;
	s->report->due_s = clock_wall_s() + wait_s;
	report_put(&b, s->report);
	store_commit(s->all->store, &b, on_ended, s);
}

static void put_off(struct sending *s, const char *why)
{
	struct report *r = s->report;
	bool is_over = clock_wall_s() - r->first_s >= GIVE_UP_S;
	log_event(LOG_LEVEL_WARNING, is_over ? "tls-report-given-up" : "tls-report-later", log_s("domain", r->domain), log_c("why", why));
	if (is_over)
		finish(s);
	else
		wait_for(s, (int64_t)FIRST_WAIT_S << (r->attempts < WAIT_DOUBLINGS_MOST ? r->attempts++ : WAIT_DOUBLINGS_MOST));
}

/* The channel to ask by; NULL after putting it off, since there is none. */
static struct channel *ask(struct sending *s, struct store_peer *peer)
{
	if (!peer) {
		wait_for(s, ABSENT_WAIT_S);
		return NULL;
	}
	s->question = ++s->all->last_question;
	s->peer = peer->id;
	return peer->channel;
}

static struct sending *find(struct store_peer *peer, uint64_t id)
{
	struct sending *s = peer->store->reports->active;
	while (s && (s->question != id || s->peer != peer->id))
		s = s->next;
	return s;
}

void reports_peer_gone(struct store *store, peer_id gone)
{
	for (struct sending *s = store->reports ? store->reports->active : NULL; s; s = s->next)
		if (s->question && s->peer == gone)
			wait_for(s, ABSENT_WAIT_S);
}

bool reports_are_active(const struct reports *all, struct id128 id)
{
	const struct sending *s = all->active;
	while (s && !id128_equal(s->report->id, id))
		s = s->next;
	return s != NULL;
}

/* ---- the report ---- */

static void make_file(struct sending *s)
{
	struct report *r = s->report;
	BUF_AUTO id = {0}, json = {0};
	char text[ID128_TEXT_BYTES + 1];
	struct span submitter = tlsrpt_domain_of(span_cstr(contact(s->all)));
	buf_printf(&id, "%.*s@%.*s", SPAN_ARG(id128_text(r->id, text)), SPAN_ARG(submitter));
	struct tlsrpt_report report = {.organization = submitter, .contact = span_cstr(contact(s->all)), .id = buf_span(&id), .start_s = r->start_s,
	                               .end_s = r->end_s - 1, .policies = r->policies, .policy_count = r->policy_count};
	tlsrpt_report_write(&report, &json);
	buf_clear(&s->file);
	buf_clear(&s->file_name);
	gzip_pack(buf_span(&json), &s->file);
	tlsrpt_file_name(submitter, &report, r->domain, span_cstr(text), &s->file_name);
}

static void log_sent(const struct sending *s, struct span to)
{
	uint64_t successes = 0, failures = 0;
	for (size_t i = 0; i < s->report->policy_count; i++) {
		successes += s->report->policies[i].successes;
		failures += s->report->policies[i].failures;
	}
	log_event(LOG_LEVEL_INFO, "tls-report-sent", log_s("domain", s->report->domain), log_s("to", to), log_n("successes", (int64_t)successes),
	          log_n("failures", (int64_t)failures));
}

/* ---- https: ---- */

static void post_next(struct sending *s)
{
	struct channel *resolve;
	if (s->uri_count == 0) {
		finish(s);
		return;
	}
	if (s->at == s->uri_count) {
		keep_uris(s);
		put_off(s, "it was not taken everywhere");
		return;
	}
	if ((resolve = ask(s, store_peer_by_role(s->all->store, ROLE_RESOLVE, 0))))
		channel_send(resolve, report_post, .id = s->question, .uri = s->uris[s->at], .report = buf_span(&s->file));
}

int report_posted(struct store_peer *resolve, const struct msg_report_posted *m)
{
	struct sending *s = find(resolve, m->id);
	if (!s)
		return 0;
	s->question = 0;
	if (m->is_taken) {
		log_sent(s, s->uris[s->at]);
		s->uris[s->at] = s->uris[--s->uri_count];
	} else {
		log_event(LOG_LEVEL_WARNING, "tls-report-not-taken", log_s("domain", s->report->domain), log_s("to", s->uris[s->at]), log_s("why", m->text));
		s->at++;
	}
	post_next(s);
	return 0;
}

/* ---- mailto: ---- */

static size_t addresses(const struct sending *s, struct span out[TLSRPT_URIS_MOST])
{
	size_t count = 0;
	for (size_t i = 0; i < s->uri_count; i++)
		if (tlsrpt_uri_address(s->uris[i]).len)
			out[count++] = tlsrpt_uri_address(s->uris[i]);
	return count;
}

static void drop_addresses(struct sending *s)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->uri_count; i++)
		if (!tlsrpt_uri_address(s->uris[i]).len)
			s->uris[kept++] = s->uris[i];
	s->uri_count = kept;
	keep_uris(s);
}

static void make_mail(struct sending *s, const struct span *to, size_t to_count)
{
	BUF_AUTO report_id = {0}, message_id = {0};
	char text[ID128_TEXT_BYTES + 1];
	id128_text(s->report->id, text);
	buf_printf(&report_id, "%s@%.*s", text, SPAN_ARG(tlsrpt_domain_of(span_cstr(contact(s->all)))));
	buf_printf(&message_id, "%s@%s", text, child_hostname(s->all->store->self));
	struct tlsrpt_mail mail = {.from = span_cstr(contact(s->all)), .to = to, .to_count = to_count, .domain = s->report->domain, .report_id = buf_span(&report_id),
	                           .message_id = buf_span(&message_id), .boundary = span_cstr(text), .file_name = buf_span(&s->file_name), .file = buf_span(&s->file),
	                           .now_s = clock_wall_s()};
	buf_clear(&s->mail);
	tlsrpt_mail_build(&mail, &s->mail);
}

static void on_queued(void *context)
{
	struct sending *s = context;
	queue_enter(s->queued);
	post_next(s);
}

/* From the null reverse-path, so that nothing comes back; and whatever TLS is like there (RFC 8460 §3), which is then not counted: a report
 * about a report's way would be the next one. */
static void enqueue(struct sending *s, struct span signature)
{
	struct store *store = s->all->store;
	struct span to[TLSRPT_URIS_MOST] = {0};
	size_t to_count = addresses(s, to);
	ARENA_AUTO a = {0};
	struct targets targets = {0};
	struct batch b = {.is_durable = true};
	struct own_message own = {.id = id128_new(), .maker = "tls-report", .to = to[0], .facts = FACT_TLS_OPTIONAL, .priority = PRIORITY_NORMAL};
	bool is_later = false, is_asked = false; /* a table is */
	for (size_t i = 0; i < to_count; i++) {
		bool is_one_later = directory_resolve(store, to[i], true, &a, &targets) == RCPT_LATER;
		is_asked |= is_one_later && targets.look.question;
		is_later |= is_one_later && !targets.look.question;
	}
	if (is_asked && !is_later) {
		wait_for(s, ABSENT_WAIT_S);
		return;
	}
	if (is_later) {
		put_off(s, "whose address that is cannot be told now");
		return;
	}
	for (size_t i = 0; i < to_count; i++)
		log_sent(s, to[i]);
	drop_addresses(s);
	if (!targets.count) { /* addresses of our own domains that are none */
		post_next(s);
		return;
	}
	buf_add_cstr(&own.text, "Return-Path: <>\r\n");
	buf_add(&own.text, signature);
	buf_add(&own.text, buf_span(&s->mail));
	if (s->uri_count)
		report_put(&b, s->report);
	else
		report_delete(&b, s->report);
	s->queued = own_put(store, &own, &targets, &b);
	store_commit(store, &b, on_queued, s);
}

static void on_signed(void *context, struct span fields, bool is_lost)
{
	struct sending *s = context;
	if (is_lost || !engine_has_room(s->all->store->engine)) {
		wait_for(s, ABSENT_WAIT_S);
	} else if (fields.len == 0) {
		log_event(LOG_LEVEL_WARNING, "tls-report-unsigned", log_s("domain", s->report->domain), log_c("from", contact(s->all)),
		          log_c("do", "such a report is not sent by mail: `carteiro dkim new` for the domain of the setting postmaster"));
		drop_addresses(s);
		post_next(s);
	} else {
		enqueue(s, fields);
	}
}

/* ---- the beginning ---- */

static void use_uris(struct sending *s)
{
	struct span *list, to[TLSRPT_URIS_MOST];
	ssize_t count = words_unpack(s->report->uris, &s->report->memory, &list);
	for (ssize_t i = 0; i < count && s->uri_count < TLSRPT_URIS_MOST; i++)
		if (tlsrpt_uri_is_valid(list[i]))
			s->uris[s->uri_count++] = list[i];
	make_file(s);
	size_t to_count = addresses(s, to);
	if (s->file.len > REPORT_BYTES_MOST) {
		log_event(LOG_LEVEL_ERROR, "tls-report-too-large", log_s("domain", s->report->domain));
		finish(s);
	} else if (to_count) {
		make_mail(s, to, to_count);
		sign_own(s->all->store, tlsrpt_domain_of(span_cstr(contact(s->all))), buf_span(&s->mail), on_signed, s);
	} else {
		post_next(s);
	}
}

int report_rua_answered(struct store_peer *resolve, const struct msg_rua_answer *m)
{
	struct sending *s = find(resolve, m->id);
	ARENA_AUTO a = {0};
	struct span *list;
	if (words_unpack(m->uris, &a, &list) < 0)
		return -1;
	if (!s)
		return 0;
	s->question = 0;
	switch ((enum rua_outcome)m->outcome) {
	case RUA_FOUND:
		s->report->uris = arena_dup(&s->report->memory, m->uris);
		use_uris(s);
		return 0;
	case RUA_NONE:
		if (m->text.len)
			log_event(LOG_LEVEL_INFO, "tls-report-unwanted", log_s("domain", s->report->domain), log_s("why", m->text));
		finish(s);
		return 0;
	case RUA_LATER:
		put_off(s, arena_dup(&a, m->text).ptr);
		return 0;
	}
	return -1;
}

static void begin(struct reports *all, struct report *r)
{
	struct sending *s = xcalloc(1, sizeof *s);
	struct channel *resolve;
	*s = (struct sending){.all = all, .next = all->active, .report = r};
	all->active = s;
	all->active_count++;
	if (!r->first_s)
		r->first_s = clock_wall_s();
	if (!contact(all)[0] || !child_config(all->store->self)->tls_reports)
		finish(s); /* nobody is there to be asked about it */
	else if (r->uris.len)
		use_uris(s);
	else if ((resolve = ask(s, store_peer_by_role(all->store, ROLE_RESOLVE, 0))))
		channel_send(resolve, rua_ask, .id = s->question, .domain = r->domain);
}

/* ---- what is due ---- */

static void look_for_due(struct reports *all)
{
	struct engine_scan *scan = engine_scan_open(all->store->engine, DIRECTORY, SPAN("r"), SPAN("s"));
	struct span key, value;
	int64_t now = clock_wall_s(), due_s;
	enum report_state state;
	all->due_at = all->due_count = 0;
	all->next_due_s = INT64_MAX;
	while (all->due_count < REPORTS_DUE_MOST && engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct unpacker u = {.rest = span_skip(key, 1)};
		struct id128 id;
		unpack_id128(&u, &id);
		if (u.bad || report_peek(value, &state, &due_s) || state != REPORT_DUE || reports_are_active(all, id))
			continue;
		if (due_s <= now)
			all->due[all->due_count++] = id;
		else if (due_s < all->next_due_s)
			all->next_due_s = due_s;
	}
	engine_scan_close(scan);
}

static void begin_next(struct reports *all)
{
	BUF_AUTO key = {0}, value = {0};
	report_key(&key, all->due[all->due_at++]);
	if (engine_get(all->store->engine, DIRECTORY, buf_span(&key), &value, NULL) <= 0)
		return;
	struct report *r = report_unpack(buf_span(&key), buf_span(&value));
	if (r) {
		begin(all, r);
		return;
	}
	struct batch b = {0};
	log_event(LOG_LEVEL_ERROR, "tls-report-damaged", log_c("then", "it is not sent"));
	batch_delete(&b, DIRECTORY, buf_span(&key));
	store_commit(all->store, &b, NULL, NULL);
}

static void set_tick(struct reports *all)
{
	int64_t now = clock_wall_s(), next_s = all->next_due_s < all->closing_s ? all->next_due_s : all->closing_s;
	timer_set(all->tick, (next_s > now ? next_s - now : 1) * 1000);
}

static void send_due(struct reports *all)
{
	if (all->due_at == all->due_count && all->active_count < ACTIVE_MOST)
		look_for_due(all);
	while (all->active_count < ACTIVE_MOST && all->due_at < all->due_count)
		begin_next(all);
	set_tick(all);
}

static void on_closed(void *context)
{
	send_due(context);
}

void reports_go_on(struct reports *all)
{
	struct batch b = {0};
	int64_t now = clock_wall_s();
	if (now < all->closing_s) {
		send_due(all);
		return;
	}
	all->closing_s = now - now % DAY_S + DAY_S;
	if (reports_close(all, now, false, &b))
		store_commit(all->store, &b, on_closed, all);
	else
		send_due(all);
}

/* Also those that wait for another try. */
static size_t hurry(struct reports *all, struct batch *b)
{
	struct engine_scan *scan = engine_scan_open(all->store->engine, DIRECTORY, SPAN("r"), SPAN("s"));
	struct span key, value;
	size_t count = 0;
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct report *r = report_unpack(key, value);
		if (!r)
			continue;
		if (r->state == REPORT_DUE && !reports_are_active(all, r->id)) {
			r->due_s = 0;
			report_put(b, r);
			count++;
		}
		report_free(r);
	}
	engine_scan_close(scan);
	return count;
}

size_t reports_send_now(struct store *s)
{
	struct reports *all = s->reports;
	struct batch b = {0};
	size_t count = hurry(all, &b);
	all->last_closed_s = clock_wall_s();
	count += reports_close(all, all->last_closed_s, true, &b);
	if (count)
		store_commit(s, &b, on_closed, all);
	return count;
}
