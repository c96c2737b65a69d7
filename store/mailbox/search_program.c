/* The keys of a search: checked once, tried on every message. */
#include "store/mailbox/search.h"
#include "store/mailbox/seen.h"

#include "base/pack.h"
#include "ipc/words.h"

enum { DAY_MS = 86400000 };

static bool is_sent(enum search_node node)
{
	return node == SEARCH_SENT_BEFORE || node == SEARCH_SENT_ON || node == SEARCH_SENT_SINCE;
}

/* ---- checking ---- */

struct check {
	struct unpacker u;
	struct search *search;
	unsigned nodes;
};

/* A needle's spans point into s->program. */
static void check_needle(struct check *c, enum search_node node)
{
	struct search *s = c->search;
	struct search_needle needle = {.node = node, .column = SUMMARY_COLUMNS};
	if (s->needle_count == SEARCH_NEEDLES_MOST) {
		c->u.bad = true;
		return;
	}
	pack_u8(&s->packed_needles, (uint8_t)node);
	if (is_sent(node)) {
		needle.day_ms = unpack_u64(&c->u);
		needle.column = SUMMARY_DATE;
		pack_u64(&s->packed_needles, needle.day_ms);
	} else {
		needle.text.key = node == SEARCH_HEADER ? TEXT_SEARCH_HEADER : node == SEARCH_BODY ? TEXT_SEARCH_BODY : TEXT_SEARCH_TEXT;
		if (node == SEARCH_HEADER) {
			needle.text.header_name = unpack_bytes(&c->u, 1024);
			needle.column = message_summary_column(needle.text.header_name);
			pack_bytes(&s->packed_needles, needle.text.header_name);
		}
		needle.text.text = unpack_bytes(&c->u, 8192);
		pack_bytes(&s->packed_needles, needle.text.text);
	}
	s->needs_body |= node == SEARCH_BODY || node == SEARCH_TEXT;
	s->needs_columns |= needle.column != SUMMARY_COLUMNS;
	s->needs_texts |= needle.column == SUMMARY_COLUMNS;
	s->needles[s->needle_count++] = needle;
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
	case SEARCH_FUZZY:
		count = 2;
		c->search->has_fuzzy = true;
		break;
	case SEARCH_UIDS: case SEARCH_SEQUENCE:
		if (!ranges_are_valid(unpack_bytes(&c->u, 65536)))
			c->u.bad = true;
		break;
	case SEARCH_FLAG: unpack_u8(&c->u); break;
	case SEARCH_KEYWORD: case SEARCH_EMAIL_ID: unpack_bytes(&c->u, 1024); break;
	case SEARCH_BEFORE: case SEARCH_ON: case SEARCH_SINCE: case SEARCH_SAVED_BEFORE: case SEARCH_SAVED_ON: case SEARCH_SAVED_SINCE:
	case SEARCH_OLDER: case SEARCH_YOUNGER: case SEARCH_LARGER: case SEARCH_SMALLER: case SEARCH_MODSEQ:
	case SEARCH_THREAD_ID:
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

int search_program_check(struct search *s, struct span program)
{
	buf_add(&s->program, program);
	struct check c = {.u = {.rest = buf_span(&s->program)}, .search = s};
	check_node(&c, 0);
	return unpack_done(&c.u) ? 0 : -1;
}

/* ---- trying a message ---- */

struct trial {
	struct unpacker u;
	const struct search *search;
	struct mailbox *mailbox;
	const struct row *row;
	const uint64_t *matched;
	unsigned needle;
	uint8_t score;
};

static enum truth truth_of(bool is_true)
{
	return is_true ? IS_TRUE : IS_FALSE;
}

/* RFC 3501 §9, seq-number: "*", and whatever goes up to it, names the last message too. */
static enum truth try_numbers(const struct trial *t, struct span ranges, uint32_t number)
{
	bool is_last = t->row == &t->mailbox->index.rows[t->mailbox->index.count - 1];
	return truth_of(ranges_have(ranges, number) || (is_last && ranges_have(ranges, UINT32_MAX)));
}

static enum truth try_keyword(const struct trial *t, struct span name)
{
	for (unsigned k = 0; k < t->mailbox->keyword_count; k++)
		if (span_equal_nocase(span_cstr(t->mailbox->keywords[k]), name))
			return truth_of(t->row->keywords >> k & 1);
	return IS_FALSE;
}

static enum truth try_day(bool is_before, bool is_since, uint64_t day_ms, uint64_t ms)
{
	if (is_before)
		return truth_of(ms < day_ms);
	return truth_of(ms >= day_ms && (is_since || ms < day_ms + DAY_MS));
}

/* RFC 5032 §2: the message is at least, at most so old. */
static enum truth try_age(const struct trial *t, bool is_older, uint64_t seconds)
{
	uint64_t now = t->search->now_ms, then = now > seconds * 1000 ? now - seconds * 1000 : 0;
	return truth_of(is_older ? t->row->internaldate_ms <= then : t->row->internaldate_ms >= then);
}

static enum truth try_needle(struct trial *t, enum search_node node)
{
	if (is_sent(node)) {
		unpack_u64(&t->u);
	} else {
		if (node == SEARCH_HEADER)
			unpack_bytes(&t->u, SIZE_MAX);
		unpack_bytes(&t->u, SIZE_MAX);
	}
	unsigned at = t->needle++;
	if (t->matched)
		return truth_of(*t->matched >> at & 1);
	return t->search->needles[at].truths[t->row->uid % SEGMENT_ROWS];
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

/* The first node says it exactly. Of several such nodes, the least certain one gives the score. */
static enum truth try_fuzzy(struct trial *t)
{
	enum truth exact = try_node(t), loose = try_node(t);
	if (exact == IS_UNKNOWN || (exact == IS_FALSE && loose == IS_UNKNOWN))
		return IS_UNKNOWN;
	uint8_t score = exact == IS_TRUE ? SCORE_EXACT : SCORE_LOOSE;
	if (!t->score || score < t->score)
		t->score = score;
	return truth_of(exact == IS_TRUE || loose == IS_TRUE);
}

static enum truth try_thread_id(const struct row *r, uint64_t thread)
{
	return truth_of(thread && r->thread == thread);
}

static enum truth try_email_id(const struct row *r, struct span id)
{
	return truth_of(span_equal(id, id128_span(&r->blob)));
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
	case SEARCH_FUZZY: return try_fuzzy(t);
	case SEARCH_UIDS: return try_numbers(t, unpack_bytes(&t->u, SIZE_MAX), r->uid);
	case SEARCH_SEQUENCE: return try_numbers(t, unpack_bytes(&t->u, SIZE_MAX), (uint32_t)(r - t->mailbox->index.rows) + 1);
	case SEARCH_FLAG: {
		uint8_t flags = unpack_u8(&t->u);
		return truth_of((seen_flags(t->mailbox, t->search->reader, r) & flags) == flags);
	}
	case SEARCH_KEYWORD: return try_keyword(t, unpack_bytes(&t->u, SIZE_MAX));
	case SEARCH_BEFORE: case SEARCH_ON: case SEARCH_SINCE:
		return try_day(node == SEARCH_BEFORE, node == SEARCH_SINCE, unpack_u64(&t->u), r->internaldate_ms);
	case SEARCH_SAVED_BEFORE: case SEARCH_SAVED_ON: case SEARCH_SAVED_SINCE:
		return try_day(node == SEARCH_SAVED_BEFORE, node == SEARCH_SAVED_SINCE, unpack_u64(&t->u), r->saved_ms);
	case SEARCH_OLDER: case SEARCH_YOUNGER: return try_age(t, node == SEARCH_OLDER, unpack_u64(&t->u));
	case SEARCH_LARGER: return truth_of(r->size > unpack_u64(&t->u));
	case SEARCH_SMALLER: return truth_of(r->size < unpack_u64(&t->u));
	case SEARCH_MODSEQ: return truth_of(r->modseq >= unpack_u64(&t->u));
	case SEARCH_THREAD_ID: return try_thread_id(r, unpack_u64(&t->u));
	case SEARCH_EMAIL_ID: return try_email_id(r, unpack_bytes(&t->u, SIZE_MAX));
	case SEARCH_SENT_BEFORE: case SEARCH_SENT_ON: case SEARCH_SENT_SINCE: case SEARCH_HEADER: case SEARCH_BODY: case SEARCH_TEXT:
		return try_needle(t, node);
	case SEARCH_NODES: break;
	}
	return IS_FALSE;
}

enum truth search_program_try(const struct search *s, struct mailbox *m, const struct row *r, const uint64_t *matched, uint8_t *score)
{
	struct trial t = {.u = {.rest = buf_span(&s->program)}, .search = s, .mailbox = m, .row = r, .matched = matched};
	enum truth truth = try_node(&t);
	*score = t.score;
	return truth;
}
