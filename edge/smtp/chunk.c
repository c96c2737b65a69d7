/* BDAT: the message in chunks of as many octets as the client says (RFC 3030). No octet in them means anything but itself, so nothing
 * in a chunk can be taken for a command; a chunk that is refused is read to its end all the same. */
#include "edge/smtp/session.h"

enum {
	READ_BYTES = 65536,
	SWALLOWED_MOST = 4, /* times the largest message: a refused chunk that is larger than that is not waited for */
};

static const char *refusal_of(const struct smtp_session *s)
{
	switch (s->state) {
	case SMTP_STATE_GREETED: return "503 5.5.1 Say hello first";
	case SMTP_STATE_READY: return "503 5.5.1 MAIL and RCPT come first";
	case SMTP_STATE_MAIL: return "554 5.5.1 No valid recipients";
	case SMTP_STATE_RCPT: case SMTP_STATE_CHUNKS: return NULL;
	case SMTP_STATE_DATA: case SMTP_STATE_CHUNK: case SMTP_STATE_AUTH: case SMTP_STATE_CONNECTED: break; /* no commands then */
	}
	return "503 5.5.1 Not now";
}

void smtp_bdat(struct smtp_session *s, const struct smtp_command *command)
{
	struct connection *c = s->connection;
	uint64_t most = child_config(c->edge->self)->message_size_limit_bytes;
	struct error why = {0};
	if (smtp_parse_bdat(command->argument, &s->chunk_size, &s->is_last_chunk, &why)) {
		/* nobody knows where the next command begins */
		smtp_reply(s, "%d %s", why.code, why.text);
		connection_close(c);
		return;
	}
	s->chunk_refusal = refusal_of(s);
	if (s->chunk_size / SWALLOWED_MOST > most) {
		smtp_reply(s, "552 5.3.4 Too large");
		connection_close(c);
		return;
	}
	if (!s->chunk_refusal && (s->chunk_size > most || s->chunked_size > most - s->chunk_size))
		s->is_too_large = true;
	if (!s->chunk_refusal && !s->delivery && !smtp_start_message(s))
		s->chunk_refusal = "451 4.3.0 Cannot be taken now, try again later";
	s->chunk_left = s->chunk_size;
	s->chunked_size += s->chunk_refusal ? 0 : s->chunk_size;
	s->state = SMTP_STATE_CHUNK;
	smtp_chunk_input(s);
}

/* The chunk has been read. */
static void end_chunk(struct smtp_session *s)
{
	const char *refusal = s->chunk_refusal;
	if (refusal) {
		s->state = SMTP_STATE_READY;
		smtp_reset(s);
		if (!s->helo.len)
			s->state = SMTP_STATE_GREETED;
		smtp_junk(s, "%s", refusal);
		return;
	}
	if (s->is_last_chunk)
		smtp_chunk_scan_end(&s->chunk_scanner);
	s->is_malformed |= s->chunk_scanner.is_malformed;
	s->state = SMTP_STATE_CHUNKS;
	if (s->is_last_chunk || s->is_malformed || s->is_too_large)
		smtp_finish_message(s);
	else
		smtp_reply(s, "250 2.0.0 Ok: %llu octets", (unsigned long long)s->chunk_size);
}

void smtp_chunk_input(struct smtp_session *s)
{
	struct connection *c = s->connection;
	while (!c->is_waiting && s->chunk_left) {
		struct span in = connection_peek(c, s->chunk_left < READ_BYTES ? (size_t)s->chunk_left : READ_BYTES);
		bool has_room = true;
		if (!in.len)
			return;
		if (!s->chunk_refusal)
			smtp_chunk_scan(&s->chunk_scanner, in);
		if (!s->chunk_refusal && !s->is_too_large && !s->chunk_scanner.is_malformed)
			has_room = delivery_write(s->delivery, in);
		s->chunk_left -= in.len;
		connection_consume(c, in.len);
		if (!has_room)
			connection_wait(c); /* also behind the last octet: many small chunks are as much as a large one */
	}
	if (!s->chunk_left && !c->is_waiting)
		end_chunk(s);
}
