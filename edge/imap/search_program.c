/* A search's keys as the program that store runs (ipc/terms.h). */
#include "edge/imap/search.h"

#include "base/pack.h"
#include "ipc/words.h"
#include "wire/casefold.h"

#include <stdlib.h>

enum { PROGRAM_BYTES_MOST = 131072 };

struct packing {
	struct imap_session *session;
	bool is_elsewhere;
	struct buf *out;
};

static void pack_day(struct buf *out, enum search_node node, int64_t day)
{
	pack_u8(out, (uint8_t)node);
	pack_u64(out, day > 0 ? (uint64_t)day * 86400 * 1000 : 0);
}

static void pack_text(struct buf *out, struct span text)
{
	BUF_AUTO folded = {0};
	casefold_search(text, &folded);
	pack_bytes(out, buf_span(&folded));
}

static int by_first(const void *a, const void *b)
{
	const struct imap_range *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

/* Numbers of another mailbox, as they are: "*", the last message, is UINT32_MAX to store. */
static void pack_set_elsewhere(struct packing *k, const struct imap_search_key *key)
{
	BUF_AUTO ranges = {0};
	const struct imap_sequence_set *set = &key->set;
	struct imap_range *list = arena_alloc_array(&k->session->arena, set->count + 1, sizeof *list);
	uint64_t next = 1;
	for (size_t i = 0; i < set->count; i++) {
		uint32_t first = set->ranges[i].first == IMAP_STAR ? UINT32_MAX : set->ranges[i].first;
		uint32_t last = set->ranges[i].last == IMAP_STAR ? UINT32_MAX : set->ranges[i].last;
		list[i] = first < last ? (struct imap_range){first, last} : (struct imap_range){last, first};
	}
	qsort(list, set->count, sizeof *list, by_first);
	for (size_t i = 0; i < set->count; i++) {
		uint64_t first = list[i].first < next ? next : list[i].first;
		if (first > list[i].last)
			continue;
		ranges_add_range(&ranges, (uint32_t)first, list[i].last);
		next = (uint64_t)list[i].last + 1;
	}
	pack_u8(k->out, key->kind == IMAP_SEARCH_UID ? SEARCH_UIDS : SEARCH_SEQUENCE);
	pack_bytes(k->out, buf_span(&ranges));
}

/* RFC 7377 §2: numbers beyond the mailbox's end are no error here; they name nothing. */
static struct imap_sequence_set without_missing(struct imap_session *s, const struct imap_sequence_set *set)
{
	struct imap_sequence_set out = {.ranges = arena_alloc_array(&s->arena, set->count + 1, sizeof *out.ranges), .is_saved = set->is_saved};
	uint32_t count = imap_view_count(&s->view);
	for (size_t i = 0; i < set->count && count; i++) {
		struct imap_range r = set->ranges[i];
		if (r.first != IMAP_STAR && r.first > count && r.last != IMAP_STAR)
			continue;
		/* beyond the end and "*": the last message */
		if (r.first != IMAP_STAR && r.first > count)
			r.first = count;
		if (r.last != IMAP_STAR && r.last > count)
			r.last = count;
		out.ranges[out.count++] = r;
	}
	return out;
}

/* False after the reply. */
static bool pack_set(struct packing *k, const struct imap_search_key *key)
{
	BUF_AUTO ranges = {0};
	uint32_t count;
	bool is_uid = key->kind == IMAP_SEARCH_UID;
	if (k->is_elsewhere) {
		pack_set_elsewhere(k, key);
		return true;
	}
	struct imap_sequence_set set = is_uid ? key->set : without_missing(k->session, &key->set);
	if (!imap_view_resolve(k->session, &set, is_uid, &ranges, &count))
		return false;
	pack_u8(k->out, SEARCH_UIDS);
	pack_bytes(k->out, buf_span(&ranges));
	return true;
}

/* "M" and the id, as FETCH tells it (RFC 8474 §4.1); what is no such id is no message's. */
static void pack_email_id(struct buf *out, struct span text)
{
	struct id128 id;
	bool is_id = span_starts_with(text, SPAN("M")) && id128_parse(span_skip(text, 1), &id) == 0;
	pack_u8(out, SEARCH_EMAIL_ID);
	pack_bytes(out, is_id ? id128_span(&id) : SPAN(""));
}

/* "T" and 16 hexadecimal digits, as FETCH tells it; what is no such id is no message's. */
static void pack_thread_id(struct buf *out, struct span text)
{
	uint64_t thread = 0;
	bool is_id = text.len == 17 && text.ptr[0] == 'T';
	for (size_t i = 1; is_id && i < text.len; i++) {
		int digit = ascii_hex_value(text.ptr[i]);
		is_id = digit >= 0;
		thread = thread << 4 | (unsigned)digit;
	}
	pack_u8(out, SEARCH_THREAD_ID);
	pack_u64(out, is_id ? thread : UINT64_MAX);
}

static void pack_number(struct buf *out, enum search_node node, uint64_t number)
{
	pack_u8(out, (uint8_t)node);
	pack_u64(out, number);
}

static void pack_recent(struct packing *k)
{
	pack_u8(k->out, SEARCH_UIDS);
	pack_bytes(k->out, k->is_elsewhere ? SPAN("") : buf_span(&k->session->view.recent));
}

/* Recursion is no deeper than the parser's, which is bounded. */
static bool pack_key(struct packing *k, const struct imap_search_key *key)
{
	struct buf *out = k->out;
	switch (key->kind) {
	case IMAP_SEARCH_ALL: pack_u8(out, SEARCH_ALL); break;
	case IMAP_SEARCH_AND:
		pack_u8(out, SEARCH_AND);
		pack_u32(out, key->child_count);
		break;
	case IMAP_SEARCH_OR: pack_u8(out, SEARCH_OR); break;
	case IMAP_SEARCH_NOT: pack_u8(out, SEARCH_NOT); break;
	case IMAP_SEARCH_FUZZY: pack_u8(out, SEARCH_FUZZY); break;
	case IMAP_SEARCH_SEQUENCE: case IMAP_SEARCH_UID: return pack_set(k, key);
	case IMAP_SEARCH_FLAG:
		pack_u8(out, SEARCH_FLAG);
		pack_u8(out, (uint8_t)key->flag);
		break;
	case IMAP_SEARCH_KEYWORD:
		pack_u8(out, SEARCH_KEYWORD);
		pack_bytes(out, key->text);
		break;
	case IMAP_SEARCH_RECENT: pack_recent(k); break;
	case IMAP_SEARCH_BEFORE: pack_day(out, SEARCH_BEFORE, key->day); break;
	case IMAP_SEARCH_ON: pack_day(out, SEARCH_ON, key->day); break;
	case IMAP_SEARCH_SINCE: pack_day(out, SEARCH_SINCE, key->day); break;
	case IMAP_SEARCH_SAVED_BEFORE: pack_day(out, SEARCH_SAVED_BEFORE, key->day); break;
	case IMAP_SEARCH_SAVED_ON: pack_day(out, SEARCH_SAVED_ON, key->day); break;
	case IMAP_SEARCH_SAVED_SINCE: pack_day(out, SEARCH_SAVED_SINCE, key->day); break;
	case IMAP_SEARCH_SENT_BEFORE: pack_day(out, SEARCH_SENT_BEFORE, key->day); break;
	case IMAP_SEARCH_SENT_ON: pack_day(out, SEARCH_SENT_ON, key->day); break;
	case IMAP_SEARCH_SENT_SINCE: pack_day(out, SEARCH_SENT_SINCE, key->day); break;
	case IMAP_SEARCH_OLDER: pack_number(out, SEARCH_OLDER, key->number); break;
	case IMAP_SEARCH_YOUNGER: pack_number(out, SEARCH_YOUNGER, key->number); break;
	case IMAP_SEARCH_LARGER: pack_number(out, SEARCH_LARGER, key->number); break;
	case IMAP_SEARCH_SMALLER: pack_number(out, SEARCH_SMALLER, key->number); break;
	case IMAP_SEARCH_MODSEQ: pack_number(out, SEARCH_MODSEQ, key->modseq); break;
	case IMAP_SEARCH_EMAIL_ID: pack_email_id(out, key->text); break;
	case IMAP_SEARCH_THREAD_ID: pack_thread_id(out, key->text); break;
	case IMAP_SEARCH_HEADER:
		pack_u8(out, SEARCH_HEADER);
		pack_bytes(out, key->name);
		pack_text(out, key->text);
		break;
	case IMAP_SEARCH_BODY: case IMAP_SEARCH_TEXT:
		pack_u8(out, key->kind == IMAP_SEARCH_BODY ? SEARCH_BODY : SEARCH_TEXT);
		pack_text(out, key->text);
		break;
	}
	for (const struct imap_search_key *child = key->children; child; child = child->next)
		if (!pack_key(k, child))
			return false;
	return true;
}

bool imap_search_pack(struct imap_session *s, const struct imap_search_key *root, bool is_elsewhere, struct buf *program)
{
	struct packing k = {.session = s, .is_elsewhere = is_elsewhere, .out = program};
	if (!pack_key(&k, root))
		return false;
	if (program->len <= PROGRAM_BYTES_MOST)
		return true;
	imap_no(s, "[LIMIT] The search is too large");
	return false;
}
