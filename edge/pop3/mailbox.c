/* POP3's view of INBOX: the list taken at the login, messages read in pieces, deletion at QUIT. */
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "base/utf8.h"
#include "edge/pop3/session.h"
#include "ipc/words.h"
#include "wire/surrogate.h"

enum { PIECE_BYTES = 65536 };

/* RFC 3206 §4: with SYS/PERM it helps that a person is told, and not that it is tried again. */
static void give_up(struct pop3_session *s, bool is_broken, const char *why)
{
	log_event(LOG_LEVEL_ERROR, "pop3-failed", log_s("user", buf_span(&s->connection->user)), log_c("why", why));
	pop3_error(s, is_broken ? "[SYS/PERM]" : "[SYS/TEMP]", is_broken ? POP3_TEXT_MAILBOX_BROKEN : POP3_TEXT_MAILBOX_LATER);
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

static void on_expunged(struct pop3_session *s, const struct msg_request_done *m)
{
	if (m->request < s->update.first || m->request > s->request)
		return;
	s->update.has_failed |= m->outcome != REQUEST_OK;
	if (m->request < s->request)
		return;
	if (s->update.has_failed) /* RFC 1939 §6 */
		pop3_error(s, "[SYS/TEMP]", POP3_TEXT_NOT_ALL_DELETED);
	else
		pop3_ok(s, POP3_TEXT_BYE);
	connection_close(s->connection);
}

static void on_request_done(void *context, const struct msg_request_done *m)
{
	struct connection *c = context;
	struct pop3_session *s = c->state;
	if (s->state == POP3_UPDATE) {
		on_expunged(s, m);
		return;
	}
	if (m->request != s->request || s->state != POP3_OPENING)
		return;
	if (m->outcome != REQUEST_OK) {
		give_up(s, m->outcome == REQUEST_FAILED, "INBOX");
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
		give_up(s, true, "rows");
		return;
	}
	if (!m->is_last) {
		channel_send(c->edge->store, fetch_more, .session = c->session, .request = s->request);
		return;
	}
	buf_add_char(&s->unique_ids, 0);
	channel_send(c->edge->store, unique_ids_ask, .session = c->session, .request = ++s->request, .mailbox = SPAN("INBOX"), .from_uid = 1);
}

static struct pop3_message *find_uid(const struct pop3_session *s, uint32_t uid)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->messages[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && s->messages[low].uid == uid ? &s->messages[low] : NULL;
}

/* Those that messages have brought along from another server: a client fetches none of them again. */
static void on_unique_ids(void *context, const struct msg_unique_ids *m)
{
	struct connection *c = context;
	struct pop3_session *s = c->state;
	struct unpacker u = {.rest = m->rows};
	if (s->state != POP3_OPENING || m->request != s->request)
		return;
	while (u.rest.len && !u.bad) {
		uint32_t uid = unpack_u32(&u);
		struct span id = unpack_bytes(&u, POP3_UNIQUE_ID_MOST);
		struct pop3_message *one = find_uid(s, uid);
		if (!one || u.bad)
			continue;
		one->unique_id = (uint32_t)s->unique_ids.len;
		buf_add(&s->unique_ids, id);
		buf_add_char(&s->unique_ids, 0);
	}
	if (u.bad) {
		give_up(s, true, "unique ids");
		return;
	}
	if (m->next_uid) {
		channel_send(c->edge->store, unique_ids_ask, .session = c->session, .request = ++s->request, .mailbox = SPAN("INBOX"), .from_uid = m->next_uid);
		return;
	}
	s->state = POP3_TRANSACTION;
	pop3_reply(s, "+OK %zu %s", s->count, pop3_text(POP3_TEXT_MESSAGES, s->language));
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
	buf_free(&s->sending.header);
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

static bool is_all_sent(const struct pop3_session *s)
{
	return s->sending.in_body && s->sending.lines_left == 0;
}

static void send_bytes(struct pop3_session *s, struct span bytes)
{
	BUF_AUTO out = {0};
	if (!s->sending.has_begun)
		pop3_reply(s, "+OK");
	s->sending.has_begun = true;
	if (is_all_sent(s))
		return;
	smtp_dot_stuff(&s->sending.stuffer, span_slice(bytes, 0, top_length(s, bytes)), &out);
	connection_write(s->connection, buf_span(&out));
}

static void end_message(struct pop3_session *s)
{
	BUF_AUTO out = {0};
	send_bytes(s, SPAN(""));
	smtp_dot_stuff_end(&s->sending.stuffer, &out);
	connection_write(s->connection, buf_span(&out));
	s->sending.is_active = s->sending.has_begun = false;
	connection_continue(s->connection);
}

static void refuse(struct pop3_session *s, const char *code, enum pop3_text text)
{
	s->sending.is_active = false;
	buf_clear(&s->sending.header);
	pop3_error(s, code, text);
	connection_continue(s->connection);
}

/* Where the blank line begins behind the header's fields; -1 if it has not come. */
static ssize_t header_end(struct span bytes)
{
	size_t line = 0;
	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.ptr[i] != '\n')
			continue;
		size_t len = i - line;
		if (len == 0 || (len == 1 && bytes.ptr[line] == '\r'))
			return (ssize_t)line;
		line = i + 1;
	}
	return -1;
}

/* RFC 6856 §2.1: a client that has not said UTF8 gets no header with UTF-8 in it, but a surrogate, since an error for one message would
 * stop many clients for good. LIST has the sizes of messages as they are. The bytes of a body stay what they always were by POP3, where a
 * part says by its own charset what they are. */
static void send_as_ascii(struct pop3_session *s, struct span bytes, bool is_last)
{
	struct buf *header = &s->sending.header;
	BUF_AUTO made = {0};
	buf_add(header, bytes);
	ssize_t end = header_end(buf_span(header));
	if (end < 0 && !is_last && header->len < POP3_HEADER_MOST)
		return;
	struct span fields = end < 0 ? buf_span(header) : span_slice(buf_span(header), 0, (size_t)end);
	if (end < 0 && !is_last && utf8_has_8bit(fields)) {
		refuse(s, "[UTF8]", POP3_TEXT_UTF8_ONLY);
		return;
	}
	if (utf8_has_8bit(fields)) {
		surrogate_header(fields, &made);
		send_bytes(s, buf_span(&made));
		send_bytes(s, span_skip(buf_span(header), fields.len));
	} else {
		send_bytes(s, buf_span(header));
	}
	buf_free(header);
}

static void on_body_piece(void *context, const struct msg_body_piece *m)
{
	struct connection *c = context;
	struct pop3_session *s = c->state;
	if (!s->sending.is_active || m->request != s->request)
		return;
	s->sending.is_asked = false;
	uint64_t size = s->messages[s->sending.message].size;
	if (!m->is_there || (m->bytes.len == 0 && s->sending.offset < size)) {
		if (!s->sending.has_begun)
			refuse(s, NULL, POP3_TEXT_MESSAGE_GONE);
		else
			connection_close(c); /* a message that breaks off must not look whole */
		return;
	}
	s->sending.offset += m->bytes.len;
	if (s->is_utf8 || s->sending.has_begun)
		send_bytes(s, m->bytes);
	else
		send_as_ascii(s, m->bytes, s->sending.offset >= size);
	if (!s->sending.is_active)
		return;
	if (s->sending.offset >= size || is_all_sent(s))
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
		pop3_ok(s, POP3_TEXT_BYE);
		connection_close(c);
		return;
	}
	s->state = POP3_UPDATE;
	s->update.first = s->request + 1;
	connection_wait(c);
	/* RFC 1939 §6: only now. One batch as a rule; very scattered deletions go in several, of which each is done whole or not at all. */
	for (struct span rest = buf_span(&gone); rest.len; rest = span_skip(rest, PIECE_BYTES))
		channel_send(c->edge->store, expunge_ask, .session = c->session, .request = ++s->request, .ranges = span_slice(rest, 0, PIECE_BYTES), .only_deleted = 0);
}

const struct store_to_edge pop3_store_handlers = {
	.mailbox_opened = on_opened, .request_done = on_request_done, .fetch_rows = on_fetch_rows, .body_piece = on_body_piece, .unique_ids = on_unique_ids};
