/* The steps of a dialogue, in this order; what a milter does not want to hear is passed over, what it does not answer is not waited for.
 *
 *   OPENING      the connection and its options (link.c); a connection that is used again is past HELO
 *   CONNECT, HELO, MAIL
 *   RCPT         once for each recipient
 *   DATA
 *   HEADER       once for each field
 *   HEADER_END
 *   BODY         in chunks, while it comes
 *   BODY_END     the changes, and the last answer
 *   OVER
 *
 * A milter that fails (it is down, takes too long, breaks the protocol) has said nothing: milter_default says what follows. */
#include "milter/dialogue.h"

#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "milter/link.h"
#include "milter/macros.h"

#include <stdlib.h>

enum {
	CHUNK_BYTES = 32768,           /* of the body; at most MILTER_DATA_MAX */
	BACKLOG_MOST = 256 * 1024,     /* that waits to be written, where no answers are waited for */
	CHANGES_MOST = 1000,
	CHANGES_BYTES_MOST = 256 * 1024,
};

enum step { OPENING, CONNECT, HELO, MAIL, RCPT, DATA, HEADER, HEADER_END, BODY, BODY_END, OVER };

struct dialogue {
	struct inquiry *inquiry;
	struct link *link;
	struct timer *patience;
	enum step step;
	size_t at;                     /* which recipient or field */
	uint64_t body_at;
	bool is_waiting;               /* for an answer */
	bool has_heard;                /* anything */
	bool is_accepted_for_connection;
	struct arena memory;
	struct milter_change *changes;
	size_t change_count, change_room;
};

static const struct step_facts {
	const char *name;
	char command;
	bool has_macros;
	enum milter_stage stage;
	uint32_t unwanted, silent;
} steps[] = {
	[OPENING] = {"connecting", 0, false, 0, 0, 0},
	[CONNECT] = {"CONNECT", MILTER_CONNECT, true, MILTER_AT_CONNECT, MILTER_NO_CONNECT, MILTER_SILENT_CONNECT},
	[HELO] = {"HELO", MILTER_HELO, true, MILTER_AT_HELO, MILTER_NO_HELO, MILTER_SILENT_HELO},
	[MAIL] = {"MAIL", MILTER_MAIL, true, MILTER_AT_MAIL, MILTER_NO_MAIL, MILTER_SILENT_MAIL},
	[RCPT] = {"RCPT", MILTER_RCPT, true, MILTER_AT_RCPT, MILTER_NO_RCPT, MILTER_SILENT_RCPT},
	[DATA] = {"DATA", MILTER_DATA, true, MILTER_AT_DATA, MILTER_NO_DATA, MILTER_SILENT_DATA},
	[HEADER] = {"a header field", MILTER_HEADER, false, 0, MILTER_NO_HEADERS, MILTER_SILENT_HEADER},
	[HEADER_END] = {"the header's end", MILTER_HEADER_END, true, MILTER_AT_HEADER_END, MILTER_NO_HEADER_END, MILTER_SILENT_HEADER_END},
	[BODY] = {"the body", MILTER_BODY, false, 0, MILTER_NO_BODY, MILTER_SILENT_BODY},
	[BODY_END] = {"the end", MILTER_BODY_END, true, MILTER_AT_BODY_END, 0, 0},
	[OVER] = {"nothing", 0, false, 0, 0, 0},
};

static const char *milter_name(const struct dialogue *d)
{
	return d->inquiry->milters->list[d->inquiry->target].name;
}

/* ---- the end ---- */

static void let_go_of_link(struct dialogue *d, bool is_usable)
{
	struct link *l = d->link;
	bool is_amid = d->step > HELO && d->step < BODY_END;
	d->link = NULL;
	if (!l)
		return;
	if (is_usable && d->step >= MAIL && !d->is_accepted_for_connection)
		link_keep(l, is_amid);
	else
		link_close(l, is_usable);
}

/* text: as the client hears it. */
static void end(struct dialogue *d, enum verdict_outcome outcome, struct span text, bool is_usable)
{
	struct inquiry *m = d->inquiry;
	char id[ID128_TEXT_BYTES + 1];
	static const char *const words[] = {"accept", "refuse", "later", "discard"};
	if (outcome != VERDICT_ACCEPT)
		log_event(LOG_LEVEL_INFO, "milter-answer", log_s("id", id128_text(m->id, id)), log_c("milter", milter_name(d)), log_c("answer", words[outcome]),
		          log_c("at", steps[d->step].name), log_s("reply", text));
	let_go_of_link(d, is_usable);
	d->step = OVER;
	timer_clear(d->patience);
	m->outcome = outcome;
	buf_clear(&m->text);
	buf_add(&m->text, text);
	inquiry_dialogue_over(m);
}

static void open_link(struct dialogue *d, bool may_be_idle);

/* Nothing was kept of what it said. */
static void fail(struct dialogue *d, const char *why)
{
	struct inquiry *m = d->inquiry;
	static const char *const then[] = {"the client tries again later", "the message goes on without it", "the message is refused"};
	char id[ID128_TEXT_BYTES + 1];
	if (d->step == OVER)
		return;
	if (d->link && d->link->is_reused && !d->has_heard && !d->body_at) {
		/* it was started anew meanwhile, or does not like to be used again */
		link_close(d->link, false);
		open_link(d, false);
		return;
	}
	m->milter->failed_count++;
	log_event(LOG_LEVEL_WARNING, "milter-failed", log_s("id", id128_text(m->id, id)), log_c("milter", milter_name(d)), log_c("at", steps[d->step].name),
	          log_c("why", why), log_c("then", then[m->milters->on_failure]), log_c("do", "see that it runs and listens there; milter_default says what follows"));
	switch (m->milters->on_failure) {
	case MILTER_DEFAULT_TEMPFAIL: end(d, VERDICT_LATER, SPAN("451 4.7.1 Service unavailable - try again later"), false); break;
	case MILTER_DEFAULT_ACCEPT: end(d, VERDICT_ACCEPT, SPAN(""), false); break;
	case MILTER_DEFAULT_REJECT: end(d, VERDICT_REFUSE, SPAN("550 5.7.1 Service unavailable"), false); break;
	}
}

void dialogue_lost(struct dialogue *d, const char *why)
{
	fail(d, why);
}

static void on_patience_lost(void *context)
{
	fail(context, "it does not answer in time (milter_timeout)");
}

/* ---- what is said ---- */

static void add_text(struct buf *data, struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_add_char(data, text.ptr[i] ? text.ptr[i] : '?');
	buf_add_char(data, 0);
}

static void add_address(struct buf *data, struct span address)
{
	buf_add_char(data, '<');
	buf_add(data, address);
	add_text(data, SPAN(">"));
}

static void say_connect(struct dialogue *d, struct buf *data)
{
	struct span address = inquiry_client_address(d->inquiry);
	add_text(data, inquiry_client_name(d->inquiry));
	buf_add_char(data, !address.len ? 'U' : span_chr(address, ':') >= 0 ? '6' : '4');
	if (!address.len)
		return;
	buf_add(data, SPAN("\0\0")); /* the port is not known here */
	add_text(data, address);
}

static void say_mail(struct dialogue *d, struct buf *data)
{
	add_address(data, buf_span(&d->inquiry->reverse_path));
	if (d->inquiry->facts & FACT_8BIT)
		add_text(data, SPAN("BODY=8BITMIME"));
	if (d->inquiry->facts & FACT_SMTPUTF8)
		add_text(data, SPAN("SMTPUTF8"));
}

/* Line ends are LF there. What is too long for a packet is cut: no milter could take it. */
static void say_field(struct dialogue *d, struct buf *data)
{
	const struct milter_field *field = &d->inquiry->header.list[d->at];
	struct span value = field->value;
	bool has_space = d->link->options.protocol & MILTER_LEADING_SPACE;
	add_text(data, span_slice(field->name, 0, 1000));
	if (!has_space && value.len && value.ptr[0] == ' ')
		value = span_skip(value, 1);
	for (size_t i = 0; i < value.len && data->len < MILTER_DATA_MAX - 1; i++)
		if (value.ptr[i] != '\r')
			buf_add_char(data, value.ptr[i] ? value.ptr[i] : '?');
	buf_add_char(data, 0);
}

static void say_macros(struct dialogue *d)
{
	const struct step_facts *s = &steps[d->step];
	const struct milter_options *o = &d->link->options;
	BUF_AUTO data = {0};
	struct span recipient = d->step == RCPT ? d->inquiry->recipients[d->at] : SPAN("");
	if (s->has_macros && macros_add(d->inquiry, s->stage, s->command, o->macros[s->stage], o->has_macros[s->stage], recipient, &data))
		link_send(d->link, MILTER_MACRO, span_slice(buf_span(&data), 0, MILTER_DATA_MAX));
}

static bool is_unwanted(const struct dialogue *d)
{
	uint32_t protocol = d->link->options.protocol;
	if (d->step == DATA && d->link->options.version < 4)
		return true; /* it came with version 4 */
	return (protocol & steps[d->step].unwanted) != 0;
}

static void enter(struct dialogue *d, enum step step)
{
	d->step = step;
	d->at = 0;
	if (!dialogue_wants_body(d))
		inquiry_body_unwanted(d->inquiry);
}

bool dialogue_wants_body(const struct dialogue *d)
{
	return d->step <= BODY && (d->step == OPENING || !d->link || !d->link->is_ready || !(d->link->options.protocol & MILTER_NO_BODY));
}

/* Whether this step has something to say still: a recipient, a field. Otherwise the next one is entered. */
static bool has_more(struct dialogue *d)
{
	const struct inquiry *m = d->inquiry;
	if (d->step == RCPT)
		return d->at < m->recipient_count;
	if (d->step == HEADER) {
		while (d->at < m->header.count && !m->header.list[d->at].name.len)
			d->at++;
		return d->at < m->header.count;
	}
	if (d->step == BODY)
		return d->body_at < m->body_size || !m->has_ended;
	return d->at == 0;
}

/* Appends what the step's command brings along. 1; 0 if it has to be waited for; -1 with *why. */
static int make_data(struct dialogue *d, struct buf *data, struct error *why)
{
	struct inquiry *m = d->inquiry;
	switch (d->step) {
	case CONNECT: say_connect(d, data); return 1;
	case HELO: add_text(data, m->helo.len ? buf_span(&m->helo) : span_cstr(child_hostname(m->milter->self))); return 1;
	case MAIL: say_mail(d, data); return 1;
	case RCPT: add_address(data, m->recipients[d->at]); return 1;
	case HEADER: say_field(d, data); return 1;
	case BODY:
		if (inquiry_body(m, d->body_at, CHUNK_BYTES, data, why))
			return -1;
		d->body_at += data->len;
		return data->len > 0;
	case BODY_END: return m->has_ended;
	case DATA: case HEADER_END: return 1;
	case OPENING: case OVER: break;
	}
	return 0;
}

/* Says one thing; false if there is nothing to say now. */
static bool say_next(struct dialogue *d)
{
	BUF_AUTO data = {0};
	struct error why = {0};
	if (is_unwanted(d) || !has_more(d)) {
		enter(d, d->step + 1);
		return true;
	}
	int has_data = make_data(d, &data, &why);
	if (has_data < 0)
		fail(d, why.text);
	if (has_data <= 0)
		return false;
	say_macros(d);
	link_send(d->link, steps[d->step].command, buf_span(&data));
	d->is_waiting = !(d->link->options.protocol & steps[d->step].silent);
	if (d->is_waiting)
		timer_set(d->patience, d->inquiry->milters->timeout_ms);
	else
		d->at++;
	return true;
}

static void go_on(struct dialogue *d)
{
	while (d->step != OPENING && d->step != OVER && !d->is_waiting) {
		if (link_backlog(d->link) > BACKLOG_MOST) {
			timer_set(d->patience, d->inquiry->milters->timeout_ms);
			return; /* dialogue_drained goes on */
		}
		if (!say_next(d)) {
			if (d->step != OVER)
				timer_clear(d->patience); /* the client is waited for */
			return;
		}
	}
}

void dialogue_ready(struct dialogue *d)
{
	d->has_heard = !d->link->is_reused;
	d->is_waiting = false;
	enter(d, d->link->is_reused ? MAIL : CONNECT);
	go_on(d);
}

void dialogue_drained(struct dialogue *d)
{
	go_on(d);
}

void dialogue_body_there(struct dialogue *d)
{
	go_on(d);
}

/* ---- what is heard ---- */

static void apply_recipient(struct inquiry *m, const struct milter_change *c)
{
	if (c->kind == MILTER_DELETE_RCPT) {
		pack_bytes(&m->removed, c->value);
		m->removed_count++;
	} else {
		pack_bytes(&m->added, c->value);
		m->added_count++;
	}
}

static void hold(struct dialogue *d, struct span reason)
{
	char id[ID128_TEXT_BYTES + 1];
	d->inquiry->is_held = true;
	log_event(LOG_LEVEL_INFO, "milter-quarantine", log_s("id", id128_text(d->inquiry->id, id)), log_c("milter", milter_name(d)), log_s("why", reason));
}

/* The milter has said its last: what it changed becomes true. */
static void apply_changes(struct dialogue *d)
{
	struct inquiry *m = d->inquiry;
	struct error why;
	bool has_space = d->link->options.protocol & MILTER_LEADING_SPACE;
	if (milter_header_change(&m->header, d->changes, d->change_count, has_space, &why)) {
		fail(d, why.text);
		return;
	}
	for (size_t i = 0; i < d->change_count; i++) {
		const struct milter_change *c = &d->changes[i];
		if (c->kind == MILTER_ADD_RCPT || c->kind == MILTER_ADD_RCPT_PAR || c->kind == MILTER_DELETE_RCPT)
			apply_recipient(m, c);
		if (c->kind == MILTER_QUARANTINE)
			hold(d, c->value);
		if (c->kind == MILTER_CHANGE_FROM) {
			m->has_sender = true;
			buf_clear(&m->sender);
			buf_add(&m->sender, c->value);
		}
	}
	end(d, VERDICT_ACCEPT, SPAN(""), true);
}

static uint32_t action_of(enum milter_reply kind)
{
	switch (kind) {
	case MILTER_ADD_HEADER: case MILTER_INSERT_HEADER: return MILTER_MAY_ADD_HEADERS;
	case MILTER_CHANGE_HEADER: return MILTER_MAY_CHANGE_HEADERS;
	case MILTER_ADD_RCPT: return MILTER_MAY_ADD_RCPT;
	case MILTER_ADD_RCPT_PAR: return MILTER_MAY_ADD_RCPT_PAR;
	case MILTER_DELETE_RCPT: return MILTER_MAY_DELETE_RCPT;
	case MILTER_CHANGE_FROM: return MILTER_MAY_CHANGE_FROM;
	case MILTER_QUARANTINE: return MILTER_MAY_QUARANTINE;
	default: return 0;
	}
}

static void note_change(struct dialogue *d, const struct milter_packet *packet)
{
	struct milter_change c;
	struct error why;
	int fault = milter_change_parse(packet, &c, &why);
	if (fault > 0)
		error_set(&why, 0, "it says what is not known here: %02x", (unsigned)(unsigned char)packet->kind);
	else if (!fault && (d->step != BODY_END || !d->is_waiting))
		fault = error_set(&why, 0, "it changes the message before its end");
	else if (!fault && !(d->link->options.actions & action_of(c.kind)))
		fault = error_set(&why, 0, "it changes what it did not ask to change: %c", packet->kind);
	else if (!fault && (d->change_count == CHANGES_MOST || d->memory.used > CHANGES_BYTES_MOST))
		fault = error_set(&why, 0, "it changes too much");
	if (fault) {
		fail(d, why.text);
		return;
	}
	if (d->change_count == d->change_room) {
		d->change_room = d->change_room ? d->change_room * 2 : 16;
		d->changes = xrealloc_array(d->changes, d->change_room, sizeof *d->changes);
	}
	c.name = arena_dup(&d->memory, c.name);
	c.value = arena_dup(&d->memory, c.value);
	d->changes[d->change_count++] = c;
	timer_set(d->patience, d->inquiry->milters->timeout_ms);
}

/* Also at RCPT: the client was told long ago that the recipient is taken, so that nobody but the client can tell the sender. The whole
 * message comes back to him, rather than that one recipient is left out in silence. */
static void refuse(struct dialogue *d, enum verdict_outcome outcome, struct span text)
{
	char id[ID128_TEXT_BYTES + 1];
	if (d->step == RCPT)
		log_event(LOG_LEVEL_INFO, "milter-refuses-recipient", log_s("id", id128_text(d->inquiry->id, id)), log_c("milter", milter_name(d)),
		          log_s("to", d->inquiry->recipients[d->at]), log_s("reply", text));
	end(d, outcome, text, true);
}

static void take_reply_code(struct dialogue *d, struct span text)
{
	BUF_AUTO reply = {0};
	struct error why;
	if (milter_reply_make(text, &reply, &why))
		fail(d, why.text);
	else
		refuse(d, reply.ptr[0] == '4' ? VERDICT_LATER : VERDICT_REFUSE, buf_span(&reply));
}

static void take_accept(struct dialogue *d)
{
	d->is_accepted_for_connection = d->step < MAIL;
	if (d->step == BODY_END)
		apply_changes(d);
	else
		end(d, VERDICT_ACCEPT, SPAN(""), true);
}

static void take_continue(struct dialogue *d)
{
	if (d->step == BODY_END) {
		apply_changes(d);
		return;
	}
	d->at++;
	go_on(d);
}

static void take_skip(struct dialogue *d)
{
	if (d->step != BODY) {
		fail(d, "it skips what is not the body");
		return;
	}
	enter(d, BODY_END);
	go_on(d);
}

void dialogue_heard(struct dialogue *d, const struct milter_packet *packet)
{
	enum milter_reply kind = (enum milter_reply)packet->kind;
	static const struct span unavailable = SPAN("451 4.7.1 Service unavailable - try again later");
	d->has_heard = true;
	if (d->step == OVER)
		return;
	if (kind == MILTER_PROGRESS) {
		if (d->is_waiting)
			timer_set(d->patience, d->inquiry->milters->timeout_ms);
		return;
	}
	bool is_answer = kind == MILTER_ACCEPT || kind == MILTER_CONTINUE || kind == MILTER_REJECT || kind == MILTER_TEMPFAIL || kind == MILTER_REPLY_CODE ||
	                 kind == MILTER_DISCARD || kind == MILTER_SKIP || kind == MILTER_SHUTDOWN || kind == MILTER_CONN_FAIL;
	if (!is_answer) {
		note_change(d, packet);
		return;
	}
	if (!d->is_waiting) {
		fail(d, "it talks without being asked");
		return;
	}
	d->is_waiting = false;
	timer_clear(d->patience);
	if (kind == MILTER_ACCEPT)
		take_accept(d);
	else if (kind == MILTER_CONTINUE)
		take_continue(d);
	else if (kind == MILTER_SKIP)
		take_skip(d);
	else if (kind == MILTER_REJECT)
		refuse(d, VERDICT_REFUSE, SPAN("550 5.7.1 Command rejected"));
	else if (kind == MILTER_REPLY_CODE)
		take_reply_code(d, packet->data);
	else if (kind == MILTER_DISCARD)
		end(d, VERDICT_DISCARD, SPAN(""), true);
	else
		refuse(d, VERDICT_LATER, unavailable); /* MILTER_TEMPFAIL, MILTER_SHUTDOWN, MILTER_CONN_FAIL */
}

/* ---- its life ---- */

static void open_link(struct dialogue *d, bool may_be_idle)
{
	struct inquiry *m = d->inquiry;
	struct error why;
	d->step = OPENING;
	d->has_heard = d->is_waiting = false;
	timer_set(d->patience, m->milters->timeout_ms);
	d->link = link_open(m->milter, m->milters, m->target, buf_span(&m->link_key), may_be_idle, d, &why);
	if (!d->link)
		fail(d, why.text);
	else if (d->link->is_ready)
		dialogue_ready(d);
}

struct dialogue *dialogue_new(struct inquiry *m)
{
	struct dialogue *d = xcalloc(1, sizeof *d);
	d->inquiry = m;
	d->patience = timer_new(m->milter->loop, on_patience_lost, d);
	m->dialogue = d;
	open_link(d, true);
	return d;
}

void dialogue_free(struct dialogue *d)
{
	if (!d)
		return;
	if (d->link)
		link_close(d->link, false); /* the client has gone amid the message */
	timer_free(d->patience);
	arena_free(&d->memory);
	free(d->changes);
	free(d);
}
