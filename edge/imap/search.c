/* SEARCH: RFC 3501 §6.4.4. The keys become a program for store (ipc/terms.h); the answer is UIDs. */
#include "wire/imap_search.h"

#include "base/pack.h"
#include "edge/imap/session.h"
#include "ipc/words.h"

enum { PROGRAM_BYTES_MOST = 65536 };

struct searching {
	bool has_begun; /* "* SEARCH" has been written */
};

static void pack_day(struct buf *out, enum search_node node, int64_t day)
{
	pack_u8(out, (uint8_t)node);
	pack_u64(out, day > 0 ? (uint64_t)day * 86400 * 1000 : 0);
}

/* False after the reply, if numbers are named that there are not. */
static bool pack_set(struct imap_session *s, const struct imap_search_key *k, struct buf *out)
{
	BUF_AUTO ranges = {0};
	uint32_t count;
	if (!imap_view_resolve(s, &k->set, k->kind == IMAP_SEARCH_UID, &ranges, &count))
		return false;
	pack_u8(out, SEARCH_UIDS);
	pack_bytes(out, buf_span(&ranges));
	return true;
}

/* Recursion is no deeper than the parser's, which is bounded. */
static bool pack_key(struct imap_session *s, const struct imap_search_key *k, struct buf *out)
{
	switch (k->kind) {
	case IMAP_SEARCH_ALL: pack_u8(out, SEARCH_ALL); break;
	case IMAP_SEARCH_AND:
		pack_u8(out, SEARCH_AND);
		pack_u32(out, k->child_count);
		break;
	case IMAP_SEARCH_OR: pack_u8(out, SEARCH_OR); break;
	case IMAP_SEARCH_NOT: pack_u8(out, SEARCH_NOT); break;
	case IMAP_SEARCH_SEQUENCE: case IMAP_SEARCH_UID: return pack_set(s, k, out);
	case IMAP_SEARCH_FLAG:
		pack_u8(out, SEARCH_FLAG);
		pack_u8(out, (uint8_t)k->flag);
		break;
	case IMAP_SEARCH_KEYWORD:
		pack_u8(out, SEARCH_KEYWORD);
		pack_bytes(out, k->text);
		break;
	case IMAP_SEARCH_RECENT:
		pack_u8(out, SEARCH_UIDS);
		pack_bytes(out, buf_span(&s->view.recent));
		break;
	case IMAP_SEARCH_BEFORE: pack_day(out, SEARCH_BEFORE, k->day); break;
	case IMAP_SEARCH_ON: pack_day(out, SEARCH_ON, k->day); break;
	case IMAP_SEARCH_SINCE: pack_day(out, SEARCH_SINCE, k->day); break;
	case IMAP_SEARCH_SENT_BEFORE: pack_day(out, SEARCH_SENT_BEFORE, k->day); break;
	case IMAP_SEARCH_SENT_ON: pack_day(out, SEARCH_SENT_ON, k->day); break;
	case IMAP_SEARCH_SENT_SINCE: pack_day(out, SEARCH_SENT_SINCE, k->day); break;
	case IMAP_SEARCH_LARGER: case IMAP_SEARCH_SMALLER:
		pack_u8(out, k->kind == IMAP_SEARCH_LARGER ? SEARCH_LARGER : SEARCH_SMALLER);
		pack_u64(out, k->number);
		break;
	case IMAP_SEARCH_HEADER:
		pack_u8(out, SEARCH_HEADER);
		pack_bytes(out, k->name);
		pack_bytes(out, k->text);
		break;
	case IMAP_SEARCH_BODY: case IMAP_SEARCH_TEXT:
		pack_u8(out, k->kind == IMAP_SEARCH_BODY ? SEARCH_BODY : SEARCH_TEXT);
		pack_bytes(out, k->text);
		break;
	}
	for (const struct imap_search_key *child = k->children; child; child = child->next)
		if (!pack_key(s, child, out))
			return false;
	return true;
}

static void begin(struct imap_session *s)
{
	struct searching *w = s->work;
	if (!w->has_begun)
		buf_add_cstr(&s->out, "* SEARCH");
	w->has_begun = true;
}

static void on_uids(struct imap_session *s, const struct msg_uid_rows *m)
{
	begin(s);
	for (size_t i = 0; i < ranges_count(m->ranges); i++) {
		uint32_t first, last;
		ranges_get(m->ranges, i, &first, &last);
		for (uint64_t uid = first; uid <= last; uid++) {
			uint32_t number = imap_view_sequence(&s->view, (uint32_t)uid);
			if (!number)
				continue;
			buf_add_char(&s->out, ' ');
			buf_add_number(&s->out, s->is_uid ? uid : number);
		}
		if (s->out.len > IMAP_OUT_BYTES)
			imap_flush(s);
	}
}

static void on_done(struct imap_session *s, const struct msg_request_done *m)
{
	struct searching *w = s->work;
	if (m->outcome == REQUEST_OK)
		begin(s);
	if (w->has_begun)
		buf_add_cstr(&s->out, "\r\n");
	imap_done_plainly(s, m);
}

void imap_search(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.uids = on_uids, .done = on_done};
	struct imap_search search;
	BUF_AUTO program = {0};
	if (!imap_take_space(p) || !imap_take_search(p, &search)) {
		imap_bad(s, p);
		return;
	}
	if (search.is_bad_charset) {
		imap_no(s, "[BADCHARSET (UTF-8 US-ASCII)] The charset is not known");
		return;
	}
	if (!pack_key(s, search.root, &program))
		return;
	if (program.len > PROGRAM_BYTES_MOST) {
		imap_no(s, "[LIMIT] The search is too large");
		return;
	}
	s->work = arena_alloc(&s->arena, sizeof(struct searching));
	imap_ask(s, &answers, search_ask, .program = buf_span(&program));
}
