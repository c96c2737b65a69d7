/* Pieces, in order, through conversion and dot-stuffing to the stream; or through the MIME parser. */
#include "relay/transfer.h"

#include "relay/session.h"

static void ask(struct session *s)
{
	struct transfer *t = &s->transfer;
	struct job *j = s->job;
	bool has_room = t->mode == TRANSFER_PARSE || stream_backlog(s->stream) < TRANSFER_BACKLOG_MOST;
	for (size_t i = 0; i < TRANSFER_IN_FLIGHT && has_room && t->next_to_ask < j->size; i++) {
		struct transfer_piece *piece = &t->pieces[i];
		uint64_t rest = j->size - t->next_to_ask;
		if (piece->state != PIECE_FREE)
			continue;
		piece->state = PIECE_ASKED;
		piece->offset = t->next_to_ask;
		piece->length = rest < TRANSFER_PIECE_BYTES ? (uint32_t)rest : TRANSFER_PIECE_BYTES;
		t->next_to_ask += piece->length;
		channel_send(j->relay->store, job_read, .job = j->number, .offset = piece->offset, .length = piece->length);
	}
}

static void send_bytes(struct session *s, struct span bytes)
{
	struct transfer *t = &s->transfer;
	if (t->downgrade) {
		buf_clear(&t->converted);
		downgrade_feed(t->downgrade, bytes, &t->converted);
		bytes = buf_span(&t->converted);
	}
	buf_clear(&t->out);
	smtp_dot_stuff(&t->stuffer, bytes, &t->out);
	stream_write(s->stream, buf_span(&t->out));
}

static void send_end(struct session *s)
{
	struct transfer *t = &s->transfer;
	buf_clear(&t->out);
	smtp_dot_stuff_end(&t->stuffer, &t->out);
	stream_write(s->stream, buf_span(&t->out));
}

static void finish(struct session *s)
{
	struct job *j = s->job;
	if (s->transfer.mode == TRANSFER_PARSE) {
		transfer_stop(&s->transfer);
		j->tree = mime_parser_finish(j->parser);
		transaction_parsed(s, true);
		return;
	}
	send_end(s);
	transfer_stop(&s->transfer);
	transaction_body_sent(s);
}

/* The piece that is next, if it is there: they may come out of order. */
static struct transfer_piece *next_piece(struct transfer *t)
{
	for (size_t i = 0; i < TRANSFER_IN_FLIGHT; i++)
		if (t->pieces[i].state == PIECE_THERE && t->pieces[i].offset == t->next_to_take)
			return &t->pieces[i];
	return NULL;
}

static void take_pieces(struct session *s)
{
	struct transfer *t = &s->transfer;
	struct transfer_piece *piece;
	while ((piece = next_piece(t))) {
		t->next_to_take += piece->length;
		piece->state = PIECE_FREE;
		if (t->mode == TRANSFER_PARSE)
			mime_parser_feed(s->job->parser, buf_span(&piece->bytes));
		else
			send_bytes(s, buf_span(&piece->bytes));
	}
	if (t->next_to_take == s->job->size)
		finish(s);
	else
		ask(s);
}

void transfer_start(struct session *s, enum transfer_mode mode, const struct mime_tree *convert)
{
	s->transfer = (struct transfer){.mode = mode, .downgrade = convert ? downgrade_new(convert) : NULL};
	take_pieces(s);
}

/* A piece that nobody waits for was asked for by a session that has gone. */
void transfer_take(struct session *s, const struct msg_job_piece *m)
{
	struct transfer *t = &s->transfer;
	struct transfer_piece *piece = NULL;
	for (size_t i = 0; i < TRANSFER_IN_FLIGHT && t->mode != TRANSFER_OFF; i++)
		if (t->pieces[i].state == PIECE_ASKED && t->pieces[i].offset == m->offset)
			piece = &t->pieces[i];
	if (!piece)
		return;
	if (!m->is_there || m->bytes.len != piece->length) {
		enum transfer_mode mode = t->mode;
		transfer_stop(t);
		if (mode == TRANSFER_PARSE)
			transaction_parsed(s, false);
		else
			transaction_unreadable(s);
		return;
	}
	session_enter(s, s->state); /* there is progress */
	piece->state = PIECE_THERE;
	buf_clear(&piece->bytes);
	buf_add(&piece->bytes, m->bytes);
	take_pieces(s);
}

void transfer_go_on(struct session *s)
{
	if (s->transfer.mode == TRANSFER_SEND)
		ask(s);
}

void transfer_stop(struct transfer *t)
{
	for (size_t i = 0; i < TRANSFER_IN_FLIGHT; i++)
		buf_free(&t->pieces[i].bytes);
	downgrade_free(t->downgrade);
	buf_free(&t->converted);
	buf_free(&t->out);
	*t = (struct transfer){0};
}
