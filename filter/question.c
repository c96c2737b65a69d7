/* Parsing and searching stored messages. */
#include "filter/question.h"

#include "base/die.h"
#include "base/pack.h"
#include "wire/date.h"
#include "wire/gathered_text.h"
#include "wire/message_cache.h"
#include "wire/message_summary.h"
#include "wire/message_text.h"

#include <stdlib.h>

enum { DAY_S = 86400 };

/* One needle: a text to be found, or a day to compare the Date field with. */
struct needle {
	enum search_node node;
	int64_t day_ms;
	size_t text; /* its number among the texts */
};

struct question {
	uint64_t job, size, received;
	enum parse_want want;
	struct arena memory;
	struct mime_parser *parser;
	struct needle *needles;
	size_t needle_count, text_count;
	struct text_search *search; /* NULL: no text is looked for */
	struct message_text *text;
	struct gathered_text gathered; /* PARSE_TEXT */
	struct buf cache;              /* PARSE_SUMMARY_OF_CACHE: as it comes */
};

static void free_question(struct filter_process *f, struct question *q)
{
	map_take(&f->questions, q->job);
	message_text_free(q->text);
	text_search_free(q->search);
	mime_parser_free(q->parser);
	gathered_text_free(&q->gathered);
	buf_free(&q->cache);
	arena_free(&q->memory);
	free(q);
}

static int read_needles(struct question *q, struct span packed)
{
	struct unpacker u = {.rest = arena_dup(&q->memory, packed)};
	struct text_search_needle *texts = arena_alloc_array(&q->memory, SEARCH_NEEDLES_MOST, sizeof *texts);
	q->needles = arena_alloc_array(&q->memory, SEARCH_NEEDLES_MOST, sizeof *q->needles);
	while (u.rest.len && !u.bad && q->needle_count < SEARCH_NEEDLES_MOST) {
		struct needle *n = &q->needles[q->needle_count++];
		n->node = unpack_u8(&u);
		n->text = q->text_count;
		switch (n->node) {
		case SEARCH_SENT_BEFORE: case SEARCH_SENT_ON: case SEARCH_SENT_SINCE: n->day_ms = (int64_t)unpack_u64(&u); break;
		case SEARCH_HEADER:
			texts[q->text_count].key = TEXT_SEARCH_HEADER;
			texts[q->text_count].header_name = unpack_bytes(&u, 1024);
			texts[q->text_count++].text = unpack_bytes(&u, 8192);
			break;
		case SEARCH_BODY: case SEARCH_TEXT:
			texts[q->text_count].key = n->node == SEARCH_BODY ? TEXT_SEARCH_BODY : TEXT_SEARCH_TEXT;
			texts[q->text_count++].text = unpack_bytes(&u, 8192);
			break;
		default: u.bad = true; break;
		}
	}
	if (q->text_count)
		q->search = text_search_new(texts, q->text_count);
	return u.bad || u.rest.len ? -1 : 0;
}

int question_begin(struct filter_process *f, const struct msg_parse_begin *m)
{
	struct question *q = xcalloc(1, sizeof *q);
	if (map_get(&f->questions, m->job)) {
		free(q);
		return -1;
	}
	q->job = m->job;
	q->size = m->size;
	q->want = m->want;
	map_put(&f->questions, q->job, q);
	if (read_needles(q, m->needles) || (q->needle_count && q->want != PARSE_CACHE) ||
	    (q->want == PARSE_SUMMARY_OF_CACHE && q->size > MESSAGE_CACHE_MAX)) {
		free_question(f, q);
		return -1;
	}
	q->parser = mime_parser_new(NULL);
	if (q->search)
		q->text = message_text_new(q->parser, text_search_sink(q->search));
	else if (q->want == PARSE_TEXT)
		q->text = message_text_new(q->parser, gathered_text_sink(&q->gathered));
	return 0;
}

/* Text is still being looked at. */
static bool needs_text(const struct question *q)
{
	return q->text && (q->search ? !text_search_is_done(q->search) : !q->gathered.is_cut);
}

int question_piece(struct filter_process *f, const struct msg_parse_piece *m)
{
	struct question *q = map_get(&f->questions, m->job);
	if (!q || m->bytes.len > q->size - q->received)
		return -1;
	q->received += m->bytes.len;
	if (q->want == PARSE_SUMMARY_OF_CACHE)
		buf_add(&q->cache, m->bytes);
	else if (needs_text(q))
		message_text_feed(q->text, m->bytes);
	else
		mime_parser_feed(q->parser, m->bytes);
	channel_send(f->store, parse_credit, .job = q->job, .pieces = 1);
	return 0;
}

static bool date_matches(const struct needle *n, const struct mime_tree *tree)
{
	struct date date;
	if (!tree->parts[0].envelope || date_parse(tree->parts[0].envelope->date, &date))
		return false;
	/* RFC 3501 §6.4.4: the date as it is written, without regard to time and zone */
	int64_t written_s = date.utc_seconds + date.zone_minutes * 60, day_s = n->day_ms / 1000;
	if (n->node == SEARCH_SENT_BEFORE)
		return written_s < day_s;
	return written_s >= day_s && (n->node == SEARCH_SENT_SINCE || written_s < day_s + DAY_S);
}

static uint64_t matches(const struct question *q, const struct mime_tree *tree)
{
	uint64_t matched = 0;
	for (size_t i = 0; i < q->needle_count; i++) {
		const struct needle *n = &q->needles[i];
		bool is_date = n->node == SEARCH_SENT_BEFORE || n->node == SEARCH_SENT_ON || n->node == SEARCH_SENT_SINCE;
		if (is_date ? date_matches(n, tree) : text_search_matched(q->search, n->text))
			matched |= (uint64_t)1 << i;
	}
	return matched;
}

static void answer_summary_of_cache(struct question *q, struct buf *out)
{
	struct mime_tree tree;
	struct error why;
	if (message_cache_unpack(buf_span(&q->cache), &q->memory, &tree, &why) == 0)
		message_summary_pack(&tree, out);
}

static void answer(struct question *q, const struct mime_tree *tree, struct buf *out)
{
	switch (q->want) {
	case PARSE_CACHE:
		/* who searches does not look at it */
		if (q->needle_count == 0)
			message_cache_pack(tree, out);
		break;
	case PARSE_SUMMARY: message_summary_pack(tree, out); break;
	case PARSE_SUMMARY_OF_CACHE: answer_summary_of_cache(q, out); break;
	case PARSE_TEXT:
		pack_u8(out, q->gathered.is_cut);
		gathered_text_pack(&q->gathered, out);
		break;
	}
}

int question_end(struct filter_process *f, const struct msg_parse_end *m)
{
	struct question *q = map_get(&f->questions, m->job);
	BUF_AUTO cache = {0};
	if (!q || q->received != q->size)
		return -1;
	if (needs_text(q))
		message_text_finish(q->text);
	const struct mime_tree *tree = mime_parser_finish(q->parser);
	answer(q, tree, &cache);
	f->asked_count++;
	channel_send(f->store, parse_done, .job = q->job, .matched = matches(q, tree), .cache = buf_span(&cache));
	free_question(f, q);
	return 0;
}

void question_store_gone(struct filter_process *f)
{
	size_t at = 0;
	struct question *q;
	while ((q = map_next(&f->questions, &at)))
		free_question(f, q);
}
