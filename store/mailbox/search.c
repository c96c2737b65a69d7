/* SEARCH (RFC 3501 §6.4.4): a program of nodes (ipc/terms.h) is tried on every row. What needs a message's content is
 * asked of filter, for those messages only that the rest of the program does not decide. */
#include "base/die.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "store/parse.h"
#include "store/mailbox/view.h"

#include <stdlib.h>

enum { ASKED_AT_ONCE = 16, ANSWER_BYTES = 64000 };

enum truth { IS_FALSE, IS_TRUE, IS_UNKNOWN };

struct search {
	struct buf program;
	struct buf needles;      /* of the nodes that filter decides, in their order */
	bool needs_body;         /* and not only headers */
	struct buf found;        /* uint32_t UIDs, in the order in which they were decided */
	unsigned asked;          /* messages that filter works on */
	bool is_walking, is_failed;
};

/* One message that filter works on. */
struct asked_row {
	struct cursor *cursor;
	uint32_t uid;
};

void search_free(struct search *s)
{
	if (!s)
		return;
	buf_free(&s->program);
	buf_free(&s->needles);
	buf_free(&s->found);
	free(s);
}

/* ---- checking ---- */

struct check {
	struct unpacker u;
	struct search *search;
	unsigned nodes, needles;
};

static void check_needle(struct check *c, enum search_node node)
{
	pack_u8(&c->search->needles, (uint8_t)node);
	if (node == SEARCH_SENT_BEFORE || node == SEARCH_SENT_ON || node == SEARCH_SENT_SINCE) {
		pack_u64(&c->search->needles, unpack_u64(&c->u));
	} else {
		if (node == SEARCH_HEADER)
			pack_bytes(&c->search->needles, unpack_bytes(&c->u, 1024));
		pack_bytes(&c->search->needles, unpack_bytes(&c->u, 8192));
	}
	c->search->needs_body |= node == SEARCH_BODY || node == SEARCH_TEXT;
	if (++c->needles > SEARCH_NEEDLES_MOST)
		c->u.bad = true;
}

static void check_node(struct check *c, unsigned depth)
{
	enum search_node node = unpack_u8(&c->u);
	uint32_t count = 0;
	if (depth > SEARCH_DEPTH_MOST || ++c->nodes > SEARCH_NODES_MOST)
		c->u.bad = true;
	if (c->u.bad)
		return;
	switch (node) {
	case SEARCH_ALL: break;
	case SEARCH_AND:
		count = unpack_u32(&c->u);
		break;
	case SEARCH_OR: count = 2; break;
	case SEARCH_NOT: count = 1; break;
	case SEARCH_UIDS:
		if (!ranges_are_valid(unpack_bytes(&c->u, 65536)))
			c->u.bad = true;
		break;
	case SEARCH_FLAG: unpack_u8(&c->u); break;
	case SEARCH_KEYWORD: unpack_bytes(&c->u, 1024); break;
	case SEARCH_BEFORE: case SEARCH_ON: case SEARCH_SINCE: case SEARCH_LARGER: case SEARCH_SMALLER: case SEARCH_MODSEQ:
		unpack_u64(&c->u);
		break;
	case SEARCH_SENT_BEFORE: case SEARCH_SENT_ON: case SEARCH_SENT_SINCE: case SEARCH_HEADER: case SEARCH_BODY: case SEARCH_TEXT:
		check_needle(c, node);
		break;
	case SEARCH_NODES: c->u.bad = true; break;
	}
	for (uint32_t i = 0; i < count && !c->u.bad; i++)
		check_node(c, depth + 1);
}

/* ---- trying a row ---- */

struct trial {
	struct unpacker u;
	const struct mailbox *mailbox;
	const struct row *row;
	bool has_answers;
	uint64_t answers; /* of filter, a bit for each needle */
	unsigned needle;
};

static enum truth truth_of(bool is_true)
{
	return is_true ? IS_TRUE : IS_FALSE;
}

static enum truth try_keyword(const struct trial *t, struct span name)
{
	for (unsigned k = 0; k < t->mailbox->keyword_count; k++)
		if (span_equal_nocase(span_cstr(t->mailbox->keywords[k]), name))
			return truth_of(t->row->keywords >> k & 1);
	return IS_FALSE;
}

static enum truth try_date(enum search_node node, uint64_t day_ms, uint64_t ms)
{
	enum { DAY_MS = 86400000 };
	if (node == SEARCH_BEFORE)
		return truth_of(ms < day_ms);
	return truth_of(ms >= day_ms && (node == SEARCH_SINCE || ms < day_ms + DAY_MS));
}

static enum truth try_needle(struct trial *t, enum search_node node)
{
	if (node == SEARCH_SENT_BEFORE || node == SEARCH_SENT_ON || node == SEARCH_SENT_SINCE) {
		unpack_u64(&t->u);
	} else {
		if (node == SEARCH_HEADER)
			unpack_bytes(&t->u, SIZE_MAX);
		unpack_bytes(&t->u, SIZE_MAX);
	}
	unsigned bit = t->needle++;
	return t->has_answers ? truth_of(t->answers >> bit & 1) : IS_UNKNOWN;
}

static enum truth try_node(struct trial *t);

/* All nodes are read, also behind the one that decides. */
static enum truth try_several(struct trial *t, uint32_t count, bool is_or)
{
	enum truth decided = is_or ? IS_TRUE : IS_FALSE, result = is_or ? IS_FALSE : IS_TRUE;
	for (uint32_t i = 0; i < count; i++) {
		enum truth one = try_node(t);
		if (one == decided || (one == IS_UNKNOWN && result != decided))
			result = one;
	}
	return result;
}

/* The program was checked when it came: its depth is bounded and it is whole. */
static enum truth try_node(struct trial *t)
{
	const struct row *r = t->row;
	enum search_node node = unpack_u8(&t->u);
	enum truth inner;
	switch (node) {
	case SEARCH_ALL: return IS_TRUE;
	case SEARCH_AND: return try_several(t, unpack_u32(&t->u), false);
	case SEARCH_OR: return try_several(t, 2, true);
	case SEARCH_NOT:
		inner = try_node(t);
		return inner == IS_UNKNOWN ? IS_UNKNOWN : truth_of(inner == IS_FALSE);
	case SEARCH_UIDS: return truth_of(ranges_have(unpack_bytes(&t->u, SIZE_MAX), r->uid));
	case SEARCH_FLAG: {
		uint8_t flags = unpack_u8(&t->u);
		return truth_of((r->flags & flags) == flags);
	}
	case SEARCH_KEYWORD: return try_keyword(t, unpack_bytes(&t->u, SIZE_MAX));
	case SEARCH_BEFORE: case SEARCH_ON: case SEARCH_SINCE: return try_date(node, unpack_u64(&t->u), r->internaldate_ms);
	case SEARCH_LARGER: return truth_of(r->size > unpack_u64(&t->u));
	case SEARCH_SMALLER: return truth_of(r->size < unpack_u64(&t->u));
	case SEARCH_MODSEQ: return truth_of(r->modseq >= unpack_u64(&t->u));
	case SEARCH_SENT_BEFORE: case SEARCH_SENT_ON: case SEARCH_SENT_SINCE: case SEARCH_HEADER: case SEARCH_BODY: case SEARCH_TEXT:
		return try_needle(t, node);
	case SEARCH_NODES: break;
	}
	return IS_FALSE;
}

static enum truth try_row(const struct cursor *c, const struct row *r, bool has_answers, uint64_t answers)
{
	struct trial t = {.u = {.rest = buf_span(&c->search->program)}, .mailbox = c->view->mailbox, .row = r,
	                  .has_answers = has_answers, .answers = answers};
	return try_node(&t);
}

/* ---- walking the mailbox ---- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void say_found(struct cursor *c, struct buf *ranges)
{
	struct buf out = {0};
	msg_uid_rows_pack(&out, 0, &(struct msg_uid_rows){.session = c->view->session, .request = c->request, .ranges = buf_span(ranges)});
	view_say(c->view, &out);
	buf_clear(ranges);
}

static void say_answer(struct cursor *c)
{
	struct search *s = c->search;
	size_t count = s->found.len / sizeof(uint32_t);
	BUF_AUTO ranges = {0};
	struct buf out = {0};
	if (count)
		qsort(s->found.ptr, count, sizeof(uint32_t), by_number);
	for (size_t i = 0; i < count; i++) {
		uint32_t uid;
		memcpy(&uid, s->found.ptr + i * sizeof uid, sizeof uid);
		ranges_add(&ranges, uid);
		if (ranges.len > ANSWER_BYTES)
			say_found(c, &ranges);
	}
	say_found(c, &ranges);
	msg_request_done_pack(&out, 0, &(struct msg_request_done){
		.session = c->view->session, .request = c->request, .outcome = s->is_failed ? REQUEST_FAILED : REQUEST_OK,
		.text = s->is_failed ? SPAN("some messages could not be read") : SPAN("")});
	view_say(c->view, &out);
	cursor_end(c);
}

static void walk(struct cursor *c);

static void on_answer(void *context, struct span cache, uint64_t matched, bool is_failed)
{
	(void)cache;
	struct asked_row *asked = context;
	struct cursor *c = asked->cursor;
	struct search *s = c->search;
	struct mailbox *m = c->view->mailbox;
	struct row *r = m && !m->is_gone ? index_find(&m->index, asked->uid) : NULL;
	s->asked--;
	s->is_failed |= is_failed && r != NULL;
	if (r && !is_failed && try_row(c, r, true, matched) == IS_TRUE)
		buf_add(&s->found, span_of(&asked->uid, sizeof asked->uid));
	free(asked);
	if (!s->is_walking)
		walk(c);
}

static void ask_filter(struct cursor *c, const struct row *r)
{
	struct search *s = c->search;
	struct asked_row *asked = xcalloc(1, sizeof *asked);
	*asked = (struct asked_row){c, r->uid};
	s->asked++;
	parse_start(c->view->account->worker, r->blob, s->needs_body || !r->header_bytes ? r->size : r->header_bytes,
	            buf_span(&s->needles), on_answer, asked);
}

static void walk(struct cursor *c)
{
	struct search *s = c->search;
	struct mailbox *m = c->view->mailbox;
	bool is_over = c->view->is_closed || !m || m->is_gone;
	s->is_walking = true;
	size_t at = is_over ? 0 : index_lower(&m->index, c->next_uid);
	for (; !is_over && at < m->index.count && s->asked < ASKED_AT_ONCE; at++) {
		const struct row *r = &m->index.rows[at];
		c->next_uid = r->uid + 1;
		enum truth truth = try_row(c, r, false, 0);
		if (truth == IS_TRUE)
			buf_add(&s->found, span_of(&r->uid, sizeof r->uid));
		else if (truth == IS_UNKNOWN)
			ask_filter(c, r);
	}
	is_over |= !m || at == m->index.count;
	s->is_walking = false;
	if (is_over && s->asked == 0)
		say_answer(c);
}

static void begin(struct worker *w, struct job *j)
{
	(void)w;
	walk((struct cursor *)((char *)j - offsetof(struct cursor, job)));
}

void search_asked(void *context, const struct msg_search_ask *msg)
{
	struct request *r = context;
	struct cursor *c = &r->view->cursor;
	if (!request_mailbox(r, msg->request))
		return;
	struct search *s = xcalloc(1, sizeof *s);
	struct check check = {.u = {.rest = msg->program}, .search = s};
	check_node(&check, 0);
	if (!unpack_done(&check.u) || c->is_active || c->is_waiting) {
		search_free(s);
		request_done(r, msg->request, REQUEST_LIMIT, "the search is too large");
		return;
	}
	*c = (struct cursor){.job.run = begin, .view = r->view, .request = msg->request, .search = s, .next_uid = 1,
	                     .is_active = true, .is_waiting = true};
	buf_add(&s->program, msg->program);
	account_when_durable(r->account, &c->job);
}
