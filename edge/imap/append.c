/* APPEND and REPLACE: RFC 9051 §6.3.12, RFC 3502, RFC 4469, RFC 6855 §4, RFC 8508; the reply RFC 4315 §3, TOOBIG RFC 7889 §4.
 *
 * The command comes in chunks (wire/imap_append.h), whose steps are taken one after the other. A message goes on to filter and store as it
 * comes (edge/delivery.h); no more of it is held here than one piece. A single one is kept as soon as it is whole; several wait in
 * store until the last is whole, and enter the mailbox together.
 *
 * A header with 8-bit characters is taken from every client, as Dovecot takes it. RFC 6855 §4 would have it refused where UTF8=ACCEPT is not
 * enabled; but RFC 9051 §6.3.12 permits them, people's old mail has them, in all charsets, and who moves it here from elsewhere must not lose it
 * to a rule about new mail. It is kept byte for byte, as what SMTP brings. */
#include "wire/imap_append.h"

#include "base/clock.h"
#include "base/die.h"
#include "edge/imap/append.h"

#include <stdlib.h>

enum { PIECE_BYTES = 64 * 1024 };

/* ---- failing ---- */

static void forget(struct imap_session *s)
{
	if (s->appending) {
		buf_free(&s->appending->parked);
		buf_free(&s->appending->fields_bytes);
	}
	free(s->appending);
	s->appending = NULL;
}

void imap_append_abandon(struct imap_session *s)
{
	struct channel *store = s->connection->edge->store;
	struct unpacker parked = {.rest = s->appending ? buf_span(&s->appending->parked) : SPAN("")};
	if (s->delivery)
		delivery_cancel(s->delivery);
	s->delivery = NULL;
	while (store && parked.rest.len) {
		struct id128 id;
		unpack_id128(&parked, &id);
		channel_send(store, delivery_cancel, .delivery = id);
	}
	forget(s);
}

/* What is left of the command comes all the same, and is thrown away. */
static void skip_rest(struct imap_session *s, bool has_literal, uint64_t literal_left)
{
	if (literal_left) {
		s->scanner.literal_left = literal_left;
		s->is_skipping = true;
	} else if (has_literal) {
		imap_skip_literal(s);
	}
}

void imap_append_fail(struct imap_session *s, const char *text)
{
	bool has_literal = s->appending->has_literal;
	imap_append_abandon(s);
	imap_no(s, "%s", text);
	skip_rest(s, has_literal, s->message_left);
	s->message_left = 0;
}

static void fail_bad(struct imap_session *s, const struct imap_parser *p)
{
	bool has_literal = s->appending->has_literal;
	imap_append_abandon(s);
	imap_bad(s, p);
	skip_rest(s, has_literal, 0);
}

/* ---- the outcome ---- */

static const char *text_of(enum delivery_outcome outcome)
{
	switch (outcome) {
	case DELIVERED: case QUEUED: case DELIVERY_PARKED: return NULL;
	case DELIVERY_NO_MAILBOX: return "[TRYCREATE] There is no mailbox of that name";
	case DELIVERY_NO_PERMISSION: return "[NOPERM] You may put no messages there";
	case DELIVERY_NO_SPACE: return "[OVERQUOTA] There is no room";
	case DELIVERY_TOO_LARGE: return "[TOOBIG] The message is too large";
	case DELIVERY_REFUSED: return "[CANNOT] The message is refused";
	case DELIVERY_LATER: case DELIVERY_UNKNOWN: case DELIVERY_NOT_YOURS: case DELIVERY_NO_RECIPIENT: case DELIVERY_DISCARDED: break;
	}
	return "[UNAVAILABLE] The message was not kept: try again later";
}

static void go_on(struct imap_session *s);

static void on_delivered(struct connection *c, const struct msg_delivery_result *r)
{
	struct imap_session *s = c->state;
	if (!s)
		return;
	const char *fault = text_of(r->outcome);
	s->delivery = NULL;
	if (c->is_closing)
		return;
	if (r->outcome == DELIVERY_PARKED) {
		buf_add(&s->appending->parked, id128_span(&r->delivery));
		go_on(s);
	} else if (fault) {
		imap_append_fail(s, fault);
	} else {
		forget(s);
		if (r->uid)
			imap_ok(s, "[APPENDUID %u %u] APPEND done", r->uidvalidity, r->uid);
		else
			imap_ok(s, "APPEND done");
	}
}

/* RFC 3502 §6.1: all UIDs; RFC 8508 §3.4: of REPLACE in an untagged OK, before the EXPUNGE. */
static void on_kept(struct imap_session *s, const struct msg_copy_done *m)
{
	BUF_AUTO text = {0};
	bool is_replace = s->appending->replaced_uid != 0;
	forget(s);
	if (!m->to.len) {
		imap_ok(s, "APPEND done: all have come before"); /* of an import */
		return;
	}
	buf_printf(&text, "[APPENDUID %u ", m->uidvalidity);
	imap_add_set(&text, m->to);
	buf_add_cstr(&text, "] ");
	if (is_replace) {
		buf_printf(&s->out, "* OK %sReplaced\r\n", buf_cstr(&text));
		imap_ok_with_modseq(s, "REPLACE done");
		return;
	}
	buf_add_cstr(&text, "APPEND done");
	imap_ok_span(s, buf_span(&text));
}

static void on_not_kept(struct imap_session *s, const struct msg_request_done *m)
{
	imap_append_abandon(s);
	imap_no_outcome(s, m, true);
}

static void keep_parked(struct imap_session *s)
{
	static const struct imap_answers answers = {.copied = on_kept, .done = on_not_kept};
	const struct imap_appending *w = s->appending;
	imap_ask(s, &answers, append_ask, .deliveries = buf_span(&w->parked), .replaced_uid = w->replaced_uid);
}

/* ---- the steps ---- */

static void on_writable(struct connection *c)
{
	struct imap_session *s = c->state;
	if (!s || !s->delivery || c->is_closing)
		return;
	if (s->appending->is_blocked)
		imap_catenate_go_on(s);
	else
		connection_continue(c); /* the literal goes on, or what stands behind it */
}

/* The mailbox has been looked for before the client sends what may be much. */
static void on_mailbox_known(struct imap_session *s, const struct msg_request_done *m)
{
	s->answers = NULL;
	if (m->outcome == REQUEST_OK) {
		s->appending->is_mailbox_known = true;
		go_on(s);
		return;
	}
	bool has_literal = s->appending->has_literal;
	imap_append_abandon(s);
	imap_no_outcome(s, m, true);
	skip_rest(s, has_literal, 0);
}

static void begin_message(struct imap_session *s, const struct imap_append_step *step, bool is_binary)
{
	static const struct delivery_events events = {.writable = on_writable, .done = on_delivered};
	const struct imap_appending *w = s->appending;
	int64_t date_ms = step->has_date ? step->date_seconds * 1000 : clock_wall_ms();
	BUF_AUTO keywords = {0};
	bool has_literal = w->has_literal;
	if (step->has_import && !s->connection->is_administrator) {
		imap_append_fail(s, "[NOPERM] X-CARTEIRO is for whoever imports mail");
		return;
	}
	s->appending->is_import |= step->has_import;
	if (!imap_pack_keywords(s, &step->flags, &keywords)) {
		imap_append_abandon(s);
		skip_rest(s, has_literal, 0);
		return;
	}
	unsigned facts = (connection_is_secured(s->connection) ? FACT_SECURED : 0) | (is_binary ? FACT_BINARY : 0);
	struct delivery_facts facts_of = {.kind = DELIVERY_APPEND, .mailbox = w->mailbox, .flags = step->flags.system, .keywords = buf_span(&keywords),
	                                  .internaldate_ms = date_ms > 0 ? (uint64_t)date_ms : 0, .priority = PRIORITY_NORMAL, .facts = (uint8_t)facts,
	                                  .uid = step->uid, .unique_id = step->unique_id,
	                                  .source = step->has_source ? span_of(step->source, sizeof step->source) : SPAN("")};
	s->delivery = delivery_new(s->connection, &facts_of, &events);
	if (!s->delivery)
		imap_append_fail(s, "[UNAVAILABLE] Nothing can be stored now: try again later");
}

static void begin_text(struct imap_session *s, const struct imap_append_step *step)
{
	uint64_t most = child_config(s->connection->edge->self)->message_size_limit_bytes;
	struct imap_appending *w = s->appending;
	/* RFC 3502 §3: an empty message gives the command up; nobody wants one otherwise */
	if (step->is_whole && step->size_bytes == 0) {
		imap_append_fail(s, "[CANNOT] A message is not empty");
		return;
	}
	if (step->size_bytes > most || delivery_size(s->delivery) > most - step->size_bytes) {
		BUF_AUTO text = {0};
		buf_printf(&text, "[TOOBIG] A message has at most %llu bytes", (unsigned long long)most);
		imap_append_fail(s, buf_cstr(&text));
		return;
	}
	if (s->scanner.literal_waits)
		imap_continuation(s, "OK");
	w->has_literal = false;
	w->is_binary = step->is_binary;
	s->message_left = step->size_bytes;
	s->input = step->size_bytes ? IMAP_INPUT_MESSAGE : IMAP_INPUT_APPEND;
	buf_clear(&s->command);
	if (s->connection->is_waiting)
		connection_continue(s->connection);
}

/* A message that is the only one is kept at once: the command's end follows, which has nothing more to do. */
static void end_message(struct imap_session *s)
{
	struct imap_appending *w = s->appending;
	if (!s->connection->is_waiting)
		connection_wait(s->connection);
	if (delivery_size(s->delivery) == 0)
		imap_append_fail(s, "[CANNOT] A message is not empty");
	else if (w->parked.len == 0 && !w->replaced_uid && !w->is_import && w->first && w->first->step.kind == IMAP_APPEND_END)
		delivery_end(s->delivery);
	else if (w->parked.len == IMAP_APPEND_MESSAGES_MOST * sizeof(struct id128))
		imap_append_fail(s, "[LIMIT] Too many messages in one command");
	else
		delivery_park(s->delivery);
}

static void ask_for_mailbox(struct imap_session *s)
{
	static const struct imap_answers answers = {.done = on_mailbox_known};
	imap_ask(s, &answers, mailbox_list_ask, .name = s->appending->mailbox);
}

/* A literal8 may, and a part of another message, which may be one that has. */
static bool may_have_nul(const struct imap_append_pending *pending)
{
	return pending && (pending->step.is_binary || !pending->step.is_whole);
}

/* Takes the steps of the chunk until one must wait. */
static void go_on(struct imap_session *s)
{
	struct imap_appending *w;
	while ((w = s->appending) && w->first && !s->connection->is_closing) {
		const struct imap_append_pending *pending = w->first;
		if (pending->step.kind == IMAP_APPEND_BEGIN && !w->is_mailbox_known) {
			ask_for_mailbox(s);
			return;
		}
		w->first = pending->next;
		switch (pending->step.kind) {
		case IMAP_APPEND_BEGIN: begin_message(s, &pending->step, may_have_nul(pending->next)); break;
		case IMAP_APPEND_TEXT: begin_text(s, &pending->step); return;
		case IMAP_APPEND_URL: imap_catenate_url(s, pending->step.url); return;
		case IMAP_APPEND_DONE: end_message(s); return;
		case IMAP_APPEND_END: keep_parked(s); return;
		case IMAP_APPEND_MORE: case IMAP_APPEND_FAULT: return;
		}
	}
}

void imap_append_go_on(struct imap_session *s)
{
	go_on(s);
}

/* ---- reading ---- */

/* Reads the steps of a chunk. An argument that comes as a literal is read first, and the chunk then anew. */
static void take_chunk(struct imap_session *s, struct imap_parser *p)
{
	struct imap_appending *w = s->appending;
	struct imap_append_reader before = w->reader;
	struct imap_append_pending **last = &w->first;
	enum imap_append_kind kind;
	w->first = NULL;
	do {
		struct imap_append_pending *pending = arena_alloc(&s->arena, sizeof *pending);
		kind = imap_append_next(p, &w->reader, &pending->step);
		*last = pending;
		last = &pending->next;
	} while (kind != IMAP_APPEND_TEXT && kind < IMAP_APPEND_END);
	if (kind == IMAP_APPEND_FAULT) {
		fail_bad(s, p);
	} else if (kind == IMAP_APPEND_MORE) {
		w->reader = before;
		w->first = NULL;
		s->input = IMAP_INPUT_APPEND;
		imap_append_argument(s);
	} else {
		go_on(s);
	}
}

void imap_append_argument(struct imap_session *s)
{
	if (s->scanner.literal_size > IMAP_COMMAND_BYTES_MOST - s->command.len) {
		imap_append_fail(s, "[LIMIT] A literal is too large");
		return;
	}
	s->appending->has_literal = false;
	imap_scan_literal(&s->scanner);
	if (s->scanner.literal_waits)
		imap_continuation(s, "OK");
}

void imap_append_chunk(struct imap_session *s, bool has_literal)
{
	struct imap_parser p;
	bool is_whole = imap_parser_init(&p, buf_span(&s->command), &s->arena);
	p.has_utf8_names = imap_has_utf8_names(s);
	s->appending->has_literal = has_literal;
	if (is_whole)
		take_chunk(s, &p);
	else
		fail_bad(s, &p);
}

/* RFC 8508 §3.3 */
static bool take_replaced(struct imap_session *s, struct imap_parser *p, struct imap_appending *w)
{
	struct imap_sequence_set set = {.ranges = arena_alloc(&s->arena, sizeof *set.ranges), .count = 1};
	BUF_AUTO ranges = {0};
	uint32_t number, count, last;
	if (!imap_take_number(p, 1, &number) || !imap_take_space(p)) {
		fail_bad(s, p);
		return false;
	}
	set.ranges[0] = (struct imap_range){number, number};
	bool has_literal = w->has_literal, is_there = imap_view_resolve(s, &set, s->is_uid, &ranges, &count);
	if (is_there && count == 1 && !s->view.is_read_only) {
		ranges_get(buf_span(&ranges), 0, &w->replaced_uid, &last);
		return true;
	}
	if (is_there) {
		imap_append_fail(s, s->view.is_read_only ? "[READ-ONLY] The mailbox is open for reading only" : "[EXPUNGEISSUED] There is no such message");
		return false;
	}
	imap_append_abandon(s);
	skip_rest(s, has_literal, 0);
	return false;
}

static void begin(struct imap_session *s, struct imap_parser *p, bool is_replace)
{
	struct imap_appending *w = xcalloc(1, sizeof *w);
	s->appending = w;
	w->has_literal = s->has_literal;
	if (!imap_take_space(p) || (is_replace && !p->rest.len)) {
		fail_bad(s, p);
		return;
	}
	if (is_replace && !take_replaced(s, p, w))
		return;
	if (imap_take_mailbox(p, &w->mailbox))
		take_chunk(s, p);
	else
		fail_bad(s, p);
}

void imap_append(struct imap_session *s, struct imap_parser *p)
{
	begin(s, p, false);
}

void imap_replace(struct imap_session *s, struct imap_parser *p)
{
	begin(s, p, true);
}

bool imap_append_takes(struct imap_parser *p)
{
	struct imap_append_reader reader = {0};
	struct imap_append_step step;
	struct span name;
	uint64_t size;
	bool is_binary;
	if (imap_take_word(p, "UID") && !imap_take_space(p))
		return false;
	bool is_replace = imap_take_word(p, "REPLACE");
	if ((!is_replace && !imap_take_word(p, "APPEND")) || !imap_take_space(p))
		return false;
	if (is_replace && (!imap_take_number(p, 1, &(uint32_t){0}) || !imap_take_space(p)))
		return true; /* it will be refused */
	if (imap_next_is_literal_head(p, &size, &is_binary) && !is_binary)
		return false; /* the mailbox's name */
	if (!imap_take_mailbox(p, &name))
		return true;
	while (imap_append_next(p, &reader, &step) < IMAP_APPEND_END && step.kind != IMAP_APPEND_TEXT)
		;
	return step.kind != IMAP_APPEND_MORE;
}

void imap_append_input(struct imap_session *s)
{
	struct connection *c = s->connection;
	struct span in = connection_peek(c, s->message_left < PIECE_BYTES ? (size_t)s->message_left : PIECE_BYTES);
	/* RFC 3501 §4.3: a literal has no NUL, but a literal8 may (RFC 3516 §4.4) */
	if (!s->appending->is_binary && span_chr(in, 0) >= 0) {
		imap_append_fail(s, "[CANNOT] A message has no NUL: send it as a literal8");
		return;
	}
	bool has_room = delivery_write(s->delivery, in);
	s->message_left -= in.len;
	connection_consume(c, in.len);
	if (s->message_left == 0)
		s->input = IMAP_INPUT_APPEND;
	if (!has_room)
		connection_wait(c);
}
