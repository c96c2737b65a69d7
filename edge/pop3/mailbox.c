/* POP3's view of INBOX: the list taken at the login, messages read in pieces, deletion at QUIT. */
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "edge/pop3/session.h"
#include "ipc/words.h"

enum { PIECE_BYTES = 65536 };

static void give_up(struct pop3_session *s, const char *why)
{
	log_event(LOG_LEVEL_ERROR, "pop3-failed", log_s("user", buf_span(&s->connection->user)), log_c("why", why));
	pop3_reply(s, "-ERR [SYS/TEMP] The mailbox cannot be read now");
	connection_close(s->connection);
}

/* ---- opening ---- */

void pop3_open_mailbox(struct pop3_session *s)
{
	struct connection *c = s->connection;
	s->state = POP3_OPENING;
	connection_wait(c);
	channel_send(c->edge->store, mailbox_open, .session = c->session, .request = ++s->request, .name = SPAN("INBOX"), .is_read_only = 0);
}

static void on_opened(void *context, const struct msg_mailbox_opened *m)
{
	struct connection *c = context;
	struct pop3_session *s = c->state;
	s->uidvalidity = m->uidvalidity;
}

static void on_request_done(void *context, const struct msg_request_done *m)
{
	struct connection *c = context;
	struct pop3_session *s = c->state;
	if (m->request != s->request)
		return;
	if (s->state == POP3_UPDATE) {
		if (m->outcome == REQUEST_OK)
			pop3_reply(s, "+OK Bye");
		else
			pop3_reply(s, "-ERR [SYS/TEMP] Some messages were not deleted");
		connection_close(c);
		return;
	}
	if (s->state != POP3_OPENING)
		return;
	if (m->outcome != REQUEST_OK) {
		give_up(s, "INBOX");
		return;
	}
	/* it is open; now every message's size */
	BUF_AUTO all = {0};
	ranges_add_range(&all, 1, UINT32_MAX);
	channel_send(c->edge->store, fetch_ask, .session = c->session, .request = ++s->request, .ranges = buf_span(&all), .want = FETCH_DATES);
}

static void on_fetch_rows(void *context, const struct msg_fetch_rows *m)
{
	struct connection *c = context;
	struct pop3_session *s = c->state;
	struct unpacker u = {.rest = m->rows};
	if (s->state != POP3_OPENING || m->request != s->request)
		return;
	while (u.rest.len && !u.bad) {
		struct pop3_message one = {.uid = unpack_u32(&u)};
		unpack_u8(&u);
		unpack_u64(&u);
		unpack_u64(&u);
		unpack_u64(&u);
		one.size = unpack_u32(&u);
		if (s->count == s->room) {
			s->room = s->room ? s->room * 2 : 64;
			s->messages = xrealloc_array(s->messages, s->room, sizeof *s->messages);
		}
		s->messages[s->count++] = one;
	}
	if (u.bad || s->count > POP3_MESSAGES_MOST) {
		give_up(s, "rows");
		return;
	}
	if (!m->is_last) {
		channel_send(c->edge->store, fetch_more, .session = c->session, .request = s->request);
		return;
	}
	s->state = POP3_TRANSACTION;
	pop3_reply(s, "+OK %zu messages", s->count);
	connection_continue(c);
}

/* ---- reading ---- */

static void ask_piece(struct pop3_session *s)
{
	struct connection *c = s->connection;
	s->sending.is_asked = true;
	channel_send(c->edge->store, body_ask, .session = c->session, .request = ++s->request,
	             .uid = s->messages[s->sending.message].uid, .offset = s->sending.offset, .length = PIECE_BYTES);
}

void pop3_retrieve(struct pop3_session *s, size_t message, uint64_t lines)
{
	memset(&s->sending, 0, sizeof s->sending);
	s->sending.message = message;
	s->sending.lines_left = lines;
	s->sending.is_active = true;
	connection_wait(s->connection);
	ask_piece(s);
}

/* How much of a piece TOP sends: the header, the blank line, and so many lines of the body (RFC 1939 §7). */
static size_t top_length(struct pop3_session *s, struct span piece)
{
	if (s->sending.lines_left == UINT64_MAX)
		return piece.len;
	for (size_t i = 0; i < piece.len; i++) {
		if (s->sending.in_body && s->sending.lines_left == 0)
			return i;
		if (piece.ptr[i] != '\n') {
			s->sending.line_has_text |= piece.ptr[i] != '\r';
			continue;
		}
		if (s->sending.in_body)
			s->sending.lines_left--;
		else if (!s->sending.line_has_text)
			s->sending.in_body = true;
		s->sending.line_has_text = false;
	}
	return piece.len;
}

static void end_message(struct pop3_session *s)
{
	BUF_AUTO out = {0};
	smtp_dot_stuff_end(&s->sending.stuffer, &out);
	connection_write(s->connection, buf_span(&out));
	s->sending.is_active = false;
	connection_continue(s->connection);
}

static void on_body_piece(void *context, const struct msg_body_piece *m)
{
	struct connection *c = context;
	struct pop3_session *s = c->state;
	BUF_AUTO out = {0};
	if (!s->sending.is_active || m->request != s->request)
		return;
	s->sending.is_asked = false;
	uint64_t size = s->messages[s->sending.message].size;
	bool is_first = s->sending.offset == 0;
	if (!m->is_there || (m->bytes.len == 0 && s->sending.offset < size)) {
		s->sending.is_active = false;
		if (is_first)
			pop3_reply(s, "-ERR There is no such message any more");
		if (is_first)
			connection_continue(c);
		else
			connection_close(c); /* a message that breaks off must not look whole */
		return;
	}
	if (is_first)
		pop3_reply(s, "+OK");
	size_t take = top_length(s, m->bytes);
	smtp_dot_stuff(&s->sending.stuffer, span_slice(m->bytes, 0, take), &out);
	connection_write(c, buf_span(&out));
	s->sending.offset += m->bytes.len;
	if (s->sending.offset >= size || take < m->bytes.len || (s->sending.in_body && s->sending.lines_left == 0))
		end_message(s);
	else
		pop3_send_more(s);
}

void pop3_send_more(struct pop3_session *s)
{
	if (s->sending.is_active && !s->sending.is_asked && connection_backlog(s->connection) < CONNECTION_BACKLOG_MOST)
		ask_piece(s);
}

/* ---- QUIT ---- */

void pop3_update(struct pop3_session *s)
{
	struct connection *c = s->connection;
	BUF_AUTO gone = {0};
	for (size_t i = 0; i < s->count; i++)
		if (s->messages[i].is_deleted)
			ranges_add(&gone, s->messages[i].uid);
	if (!gone.len) {
		pop3_reply(s, "+OK Bye");
		connection_close(c);
		return;
	}
	s->state = POP3_UPDATE;
	connection_wait(c);
	/* RFC 1939 §6: only now. One batch as a rule; very scattered deletions go in several. */
	for (struct span rest = buf_span(&gone); rest.len; rest = span_skip(rest, PIECE_BYTES))
		channel_send(c->edge->store, expunge_ask, .session = c->session, .request = rest.len > PIECE_BYTES ? 0 : ++s->request,
		             .ranges = span_slice(rest, 0, PIECE_BYTES), .only_deleted = 0);
}

const struct store_to_edge pop3_store_handlers = {
	.mailbox_opened = on_opened, .request_done = on_request_done, .fetch_rows = on_fetch_rows, .body_piece = on_body_piece};
