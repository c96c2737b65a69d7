/* An IMAP session's life: the greeting, reading commands with their literals, and store's answers. */
#include "edge/imap/notify.h"

#include "base/die.h"
#include "base/log.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum {
	/* Bytes of a refused non-synchronising literal that are read and thrown away; with more the session ends (RFC 7888 §4). */
	SKIP_BYTES_BEFORE_LOGIN = 64 * 1024,
	INPUT_LINE_MOST = 12 * 1024, /* a SASL response */
	PEEK_BYTES = 64 * 1024,
};

/* ---- replies that are no command's end ---- */

void imap_continuation(struct imap_session *s, const char *text)
{
	imap_flush(s);
	connection_printf(s->connection, "+ %s\r\n", text);
}

/* ---- commands ---- */

static bool begin_command(struct imap_session *s, struct imap_parser *p)
{
	struct span tag, name;
	bool is_whole = imap_parser_init(p, buf_span(&s->command), &s->arena);
	p->has_utf8_names = imap_has_utf8_names(s);
	if (!imap_take_tag(p, &tag)) {
		imap_bad(s, p);
		return false;
	}
	memcpy(s->tag_bytes, tag.ptr, tag.len);
	s->tag = span_of(s->tag_bytes, tag.len);
	if (!is_whole) {
		imap_bad_text(s, "A line must end in CR LF");
		return false;
	}
	if (!imap_take_atom(p, &name)) {
		imap_bad(s, p);
		return false;
	}
	s->is_uid = span_equal_nocase(name, SPAN("UID"));
	if (s->is_uid && (!imap_take_space(p) || !imap_take_atom(p, &name))) {
		imap_bad(s, p);
		return false;
	}
	s->running = imap_command_find(name, s->is_uid);
	if (s->running && (s->running->flags & IMAP_ADMINISTRATOR) && !s->connection->is_administrator)
		s->running = NULL;
	bool has_numbers = s->running && (s->running->flags & IMAP_HAS_UID) && !s->is_uid && (s->enabled & IMAP_ENABLED_UIDONLY);
	if (s->running && (s->running->states & s->state) && !has_numbers)
		return true;
	const char *why = has_numbers ? "[UIDREQUIRED] There are no message numbers after ENABLE UIDONLY" : /* RFC 9586 §3 */
	                  !s->running ? "There is no such command" : s->state == IMAP_NOT_AUTHENTICATED ? "Log in first" :
	                  s->running->states == IMAP_NOT_AUTHENTICATED ? "Already logged in" : "Select a mailbox first";
	s->running = NULL;
	imap_bad_text(s, why);
	return false;
}

static void run_command(struct imap_session *s)
{
	struct imap_parser p;
	if (begin_command(s, &p))
		s->running->run(s, &p);
}

static size_t most_bytes(const struct imap_session *s)
{
	return s->state == IMAP_NOT_AUTHENTICATED ? IMAP_COMMAND_BYTES_BEFORE_LOGIN : IMAP_COMMAND_BYTES_MOST;
}

void imap_skip_literal(struct imap_session *s)
{
	uint64_t most = s->state == IMAP_NOT_AUTHENTICATED ? SKIP_BYTES_BEFORE_LOGIN
	                                                   : child_config(s->connection->edge->self)->message_size_limit_bytes;
	s->is_skipping = !s->scanner.literal_waits;
	if (!s->is_skipping || s->connection->is_closing)
		return; /* RFC 3501 §7.5: without the "+" it does not come */
	if (s->scanner.literal_size > most)
		imap_bye(s, "[TOOBIG] A literal is too large");
	else
		imap_scan_literal(&s->scanner);
}

/* The command cannot be taken: says so once, with its tag if it has one, and throws the rest away. */
static void refuse_command(struct imap_session *s, const char *why)
{
	struct imap_parser p = {.rest = buf_span(&s->command), .arena = &s->arena};
	struct span tag;
	if (imap_take_tag(&p, &tag)) {
		memcpy(s->tag_bytes, tag.ptr, tag.len);
		s->tag = span_of(s->tag_bytes, tag.len);
	}
	s->is_skipping = true;
	imap_bad_text(s, why);
}

/* True if APPEND takes the literal that is announced as it comes, or refuses it. */
static bool is_taken_by_append(struct imap_session *s)
{
	struct imap_parser p;
	struct span tag;
	if (!(s->state & IMAP_LOGGED_IN) || !imap_parser_init(&p, buf_span(&s->command), &s->arena))
		return false;
	bool result = imap_take_tag(&p, &tag) && imap_append_takes(&p);
	arena_free(&s->arena);
	return result;
}

static void on_literal(struct imap_session *s)
{
	if (s->is_skipping) {
		imap_skip_literal(s);
	} else if (is_taken_by_append(s)) {
		struct imap_parser p;
		s->has_literal = true;
		if (begin_command(s, &p))
			s->running->run(s, &p);
		else
			imap_skip_literal(s);
		s->has_literal = false;
	} else if (s->scanner.literal_size > most_bytes(s) - s->command.len) {
		refuse_command(s, "[LIMIT] A literal is too large");
		imap_skip_literal(s);
	} else {
		imap_scan_literal(&s->scanner);
		if (s->scanner.literal_waits)
			imap_continuation(s, "OK");
	}
}

static void read_command(struct imap_session *s)
{
	enum imap_scan_result result;
	struct span in = connection_peek(s->connection, PEEK_BYTES);
	size_t n = imap_scan(&s->scanner, in, &result), room = most_bytes(s) - s->command.len;
	if (!s->is_skipping)
		buf_add(&s->command, span_slice(in, 0, n < room ? n : room));
	connection_consume(s->connection, n);
	if (!s->is_skipping && n > room && s->input == IMAP_INPUT_APPEND) {
		imap_append_fail(s, "[LIMIT] The command is too long");
		s->is_skipping = true;
	} else if (!s->is_skipping && n > room) {
		refuse_command(s, "The command is too long");
	}
	if (s->connection->is_closing)
		return;
	bool is_append = s->input == IMAP_INPUT_APPEND;
	switch (result) {
	case IMAP_SCAN_MORE: break;
	case IMAP_SCAN_LITERAL:
		if (is_append)
			imap_append_chunk(s, true);
		else
			on_literal(s);
		break;
	case IMAP_SCAN_LINE:
		if (is_append)
			imap_append_chunk(s, false);
		else if (!s->is_skipping)
			run_command(s);
		s->is_skipping = false;
		break;
	}
}

/* Input that is a line and no command. */
static bool read_line(struct imap_session *s)
{
	struct span line;
	int got = connection_line(s->connection, INPUT_LINE_MOST, true, &line);
	if (got < 0)
		imap_bye(s, "A line is too long");
	if (got <= 0)
		return false;
	if (s->input == IMAP_INPUT_SASL)
		imap_sasl_line(s, line);
	else
		imap_idle_line(s, line);
	return true;
}

static void input(struct connection *c)
{
	struct imap_session *s = c->state;
	while (!c->is_waiting && !c->is_closing && connection_peek(c, 1).len) {
		/* who asks and does not read is not answered until he does */
		if (s->input == IMAP_INPUT_COMMAND && connection_backlog(c) >= CONNECTION_BACKLOG_MOST) {
			connection_wait(c);
			return;
		}
		switch (s->input) {
		case IMAP_INPUT_COMMAND: case IMAP_INPUT_APPEND: read_command(s); break;
		case IMAP_INPUT_MESSAGE: imap_append_input(s); break;
		case IMAP_INPUT_SASL: case IMAP_INPUT_IDLE:
			if (!read_line(s))
				return;
			break;
		}
	}
}

/* ---- answers of store ---- */

#define ON_ANSWER(message, field) \
	static void on_##message(void *context, const struct msg_##message *m) \
	{ \
		struct imap_session *s = ((struct connection *)context)->state; \
		if (s->answers && m->request == s->request && s->answers->field && !s->connection->is_closing) \
			s->answers->field(s, m); \
	}

ON_ANSWER(mailbox_row, row)
ON_ANSWER(mailbox_opened, opened)
ON_ANSWER(uid_rows, uids)
ON_ANSWER(fetch_rows, rows)
ON_ANSWER(body_piece, piece)
ON_ANSWER(copy_done, copied)
ON_ANSWER(quota_row, quota)
ON_ANSWER(share_row, share)
ON_ANSWER(acl_row, acl)
ON_ANSWER(metadata_row, metadata)
ON_ANSWER(import_sources, sources)

/* Of a command, or of a result that is followed. */
#define ON_SEARCH_ANSWER(message, field, follow) \
	ON_ANSWER(message, field) \
	static void on_##message##_of_any(void *context, const struct msg_##message *m) \
	{ \
		struct imap_session *s = ((struct connection *)context)->state; \
		if (!(m->request & IMAP_CONTEXT_REQUEST)) \
			on_##message(context, m); \
		else if (!s->connection->is_closing) \
			follow(s, m); \
	}

ON_SEARCH_ANSWER(search_found, found, imap_contexts_found)
ON_SEARCH_ANSWER(search_done, searched, imap_contexts_searched)

static void on_request_done(void *context, const struct msg_request_done *m)
{
	struct imap_session *s = ((struct connection *)context)->state;
	if (s->connection->is_closing)
		return;
	if (s->view.is_asking && m->request == s->view.changes_request) {
		/* RFC 2180 §3.3: another session has deleted the mailbox. How the command ended is said first: an APPEND to another
		 * mailbox, say, has been done. */
		s->view.is_asking = false;
		if (s->reply.len)
			imap_say_reply(s);
		imap_bye(s, m->outcome == REQUEST_NO_MAILBOX ? "The mailbox that was selected has been deleted" : "The mailbox cannot be read");
		return;
	}
	if (m->request & IMAP_CONTEXT_REQUEST) {
		imap_contexts_failed(s, m);
		return;
	}
	if (!s->answers || m->request != s->request)
		return;
	if (s->answers->done)
		s->answers->done(s, m);
	else
		imap_no_outcome(s, m, false);
}

static void on_changes(void *context, const struct msg_changes *m)
{
	struct imap_session *s = ((struct connection *)context)->state;
	if (s->connection->is_closing || !s->view.uids)
		return;
	imap_view_changes(s, m);
	imap_idle_push(s);
}

static void on_mailbox_changed(void *context, const struct msg_mailbox_changed *m)
{
	(void)m;
	struct imap_session *s = ((struct connection *)context)->state;
	s->view.is_stale = true;
	imap_idle_push(s);
}

static void on_mailbox_event(void *context, const struct msg_mailbox_event *m)
{
	imap_notify_event(((struct connection *)context)->state, m);
}

static const struct store_to_edge store_handlers = {
	.mailbox_row = on_mailbox_row, .mailbox_opened = on_mailbox_opened, .uid_rows = on_uid_rows,
	.request_done = on_request_done, .fetch_rows = on_fetch_rows, .body_piece = on_body_piece, .copy_done = on_copy_done, .quota_row = on_quota_row, .share_row = on_share_row, .acl_row = on_acl_row, .metadata_row = on_metadata_row, .import_sources = on_import_sources,
	.search_found = on_search_found_of_any, .search_done = on_search_done_of_any, .changes = on_changes, .mailbox_changed = on_mailbox_changed, .mailbox_event = on_mailbox_event,
};

/* ---- the connection ---- */

static void open_session(struct connection *c)
{
	struct imap_session *s = xcalloc(1, sizeof *s);
	s->connection = c;
	s->state = IMAP_NOT_AUTHENTICATED;
	c->state = s;
	connection_set_timeout(c, IMAP_TIMEOUT_BEFORE_LOGIN_MS);
	imap_progress_watch(c->edge);
	buf_add_cstr(&s->out, "* OK [");
	imap_add_capabilities(s, &s->out);
	buf_printf(&s->out, "] %s carteiro ready\r\n", child_hostname(c->edge->self));
	imap_flush(s);
}

static void forget_command(struct imap_session *s)
{
	if (s->command.ptr)
		OPENSSL_cleanse(s->command.ptr, s->command.cap); /* it may have a password */
	buf_free(&s->command);
	buf_free(&s->out);
	buf_free(&s->reply);
	arena_free(&s->arena);
	s->scanner = (struct imap_scanner){0};
	s->is_skipping = false;
}

/* RFC 3501 §6.2.1: nothing that was said before TLS is remembered. */
static void secured(struct connection *c)
{
	struct imap_session *s = c->state;
	forget_command(s);
	s->input = IMAP_INPUT_COMMAND;
	s->running = NULL;
	s->tag = (struct span){0};
}

static void drained(struct connection *c)
{
	struct imap_session *s = c->state;
	if (s->fetching)
		imap_fetch_go_on(s);
	else if (s->input == IMAP_INPUT_IDLE) {
		imap_idle_push(s);
		imap_notify_flush(s);
	}
	else if (c->is_waiting && !s->running && !c->login_number && !s->view.is_asking)
		connection_continue(c); /* input had stopped for want of room */
}

static void closed(struct connection *c)
{
	struct imap_session *s = c->state;
	if (c->user.len)
		log_event(LOG_LEVEL_INFO, "imap-end", log_s("user", buf_span(&c->user)), log_c("client", c->address));
	imap_idle_leave(s);
	imap_append_abandon(s);
	imap_notify_free(s);
	imap_fetch_free(s);
	imap_search_free(s);
	imap_view_close(s);
	forget_command(s);
	free(s);
	c->state = NULL;
}

static void shutdown_session(struct connection *c, const char *why)
{
	struct imap_session *s = c->state;
	/* in the middle of a literal there is no place for words */
	if (s->fetching)
		connection_close(c);
	else
		imap_bye(s, why);
}

#define IMAP_FUNCTIONS \
	.open = open_session, .input = input, .drained = drained, .secured = secured, .closed = closed, .shutdown = shutdown_session, \
	.logged_in = imap_logged_in, .challenge = imap_challenge, .store = &store_handlers

const struct protocol imap_protocol = {.name = "imap", IMAP_FUNCTIONS};
const struct protocol local_imap_protocol = {.name = "imap", .is_local = true, IMAP_FUNCTIONS};
