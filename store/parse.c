/* Messages on their way to filter and back, on behalf of the workers. */
#include "store/parse.h"

#include "base/die.h"
#include "base/log.h"
#include "store/store.h"

#include <stdlib.h>

enum { PIECE_BYTES = 65536, WINDOW_PIECES = 4, WORKER_SHIFT = 56 };

struct parse {
	struct worker *worker;
	uint64_t job;
	peer_id filter;
	struct id128 blob;
	struct buf memory;  /* what is sent, if it is no blob */
	uint64_t size, sent;
	uint32_t window;
	bool is_sent;
	parse_done_fn *done;
	void *context;
};

unsigned parse_worker(uint64_t job)
{
	return (unsigned)(job >> WORKER_SHIFT);
}

static void finish(struct parse *p, struct span cache, uint64_t matched, bool is_failed)
{
	map_take(&p->worker->parses, p->job);
	p->done(p->context, cache, matched, is_failed);
	buf_free(&p->memory);
	free(p);
}

/* Appends the next bytes of what is sent. */
static bool read_piece(struct parse *p, uint64_t most, struct buf *piece, struct error *why)
{
	if (p->memory.len) {
		buf_add(piece, span_slice(buf_span(&p->memory), p->sent, most));
		return true;
	}
	return blob_read(p->worker->engine, p->blob, p->sent, most, piece, why) > 0 && piece->len;
}

/* Sends pieces as far as the window goes. -1 if the message cannot be read. */
static int send_pieces(struct parse *p, struct buf *out)
{
	struct error why = {0};
	while (p->window && p->sent < p->size) {
		BUF_AUTO piece = {0};
		uint64_t left = p->size - p->sent;
		if (!read_piece(p, left < PIECE_BYTES ? left : PIECE_BYTES, &piece, &why)) {
			char id[ID128_TEXT_BYTES + 1];
			log_event(LOG_LEVEL_ERROR, "message-damaged", log_s("blob", id128_text(p->blob, id)), log_c("why", why.text));
			return -1;
		}
		msg_parse_piece_pack(out, 0, &(struct msg_parse_piece){.job = p->job, .bytes = buf_span(&piece)});
		p->sent += piece.len;
		p->window--;
	}
	if (p->sent == p->size && !p->is_sent) {
		p->is_sent = true;
		msg_parse_end_pack(out, 0, &(struct msg_parse_end){.job = p->job});
	}
	return 0;
}

static void say_or_fail(struct parse *p, struct parcel *parcel)
{
	if (send_pieces(p, &parcel->frames)) {
		parcel_free(parcel);
		finish(p, SPAN(""), 0, true);
		return;
	}
	worker_say(p->worker, parcel);
}

static void start(struct parse *p, enum parse_want want, struct span needles)
{
	struct worker *w = p->worker;
	p->window = WINDOW_PIECES;
	p->filter = store_pick_filter(w->store);
	p->job = (uint64_t)w->index << WORKER_SHIFT | ++w->last_parse;
	map_put(&w->parses, p->job, p);
	if (!p->filter) {
		finish(p, SPAN(""), 0, true);
		return;
	}
	struct parcel *parcel = parcel_new(p->filter);
	msg_parse_begin_pack(&parcel->frames, 0, &(struct msg_parse_begin){.job = p->job, .size = p->size, .want = (uint8_t)want, .needles = needles});
	say_or_fail(p, parcel);
}

void parse_start(struct worker *w, struct id128 blob, uint64_t size, enum parse_want want, struct span needles, parse_done_fn *done,
                 void *context)
{
	struct parse *p = xcalloc(1, sizeof *p);
	*p = (struct parse){.worker = w, .blob = blob, .size = size, .done = done, .context = context};
	start(p, want, needles);
}

void parse_start_cache(struct worker *w, struct span cache, parse_done_fn *done, void *context)
{
	struct parse *p = xcalloc(1, sizeof *p);
	*p = (struct parse){.worker = w, .size = cache.len, .done = done, .context = context};
	buf_add(&p->memory, cache);
	start(p, PARSE_SUMMARY_OF_CACHE, SPAN(""));
}

void parse_credited(struct worker *w, const struct msg_parse_credit *m, peer_id filter)
{
	struct parse *p = map_get(&w->parses, m->job);
	if (!p || p->filter != filter || p->is_sent)
		return;
	p->window += m->pieces < WINDOW_PIECES ? m->pieces : WINDOW_PIECES;
	say_or_fail(p, parcel_new(p->filter));
}

void parse_finished(struct worker *w, const struct msg_parse_done *m, peer_id filter)
{
	struct parse *p = map_get(&w->parses, m->job);
	if (p && p->filter == filter)
		finish(p, m->cache, m->matched, false);
}

void parse_filter_gone(struct worker *w, peer_id filter)
{
	size_t at = 0;
	struct parse *p;
	/* a callback may start new ones, which may move the table: begin again after each */
	while ((p = map_next(&w->parses, &at)))
		if (p->filter == filter) {
			finish(p, SPAN(""), 0, true);
			at = 0;
		}
}
