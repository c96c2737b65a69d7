/* Mailboxes: their records, their messages' comings and goings. */
#include "base/clock.h"
#include "base/die.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/import.h"
#include "store/mailbox/indexer.h"
#include "store/mailbox/log.h"
#include "store/mailbox/outline.h"
#include "store/mailbox/removed.h"
#include "store/mailbox/seen.h"
#include "store/mailbox/view.h"

#include <errno.h>
#include <stdlib.h>

enum { MAILBOX_VERSION = 3 };

static void record_key(struct buf *key, uint32_t mailbox)
{
	index_key(key, 'm', mailbox, 0);
	key->len -= 4;
}

int mailbox_read_record(struct account *a, struct span key, struct span value, struct error *why)
{
	struct unpacker u = {.rest = value}, k = {.rest = span_skip(key, 1)};
	struct mailbox *m = xcalloc(1, sizeof *m);
	m->account = a;
	m->id = unpack_sorted_u32(&k);
	uint8_t version = unpack_u8(&u);
	struct span name = unpack_bytes(&u, MAILBOX_NAME_BYTES_MOST);
	m->name = span_strdup(name);
	m->uidvalidity = unpack_u32(&u);
	m->uidnext = unpack_u32(&u);
	m->highestmodseq = unpack_u64(&u);
	m->recent_uid = unpack_u32(&u);
	m->special_use = unpack_u8(&u);
	m->messages = unpack_u32(&u);
	m->unseen = unpack_u32(&u);
	m->deleted = unpack_u32(&u);
	m->size = unpack_u64(&u);
	m->deleted_size = unpack_u64(&u);
	m->index.tail_first = unpack_u32(&u);
	uint32_t count = unpack_u32(&u);
	for (uint32_t i = 0; i < count && i < KEYWORDS_MOST && !u.bad; i++) {
		struct span word = unpack_bytes(&u, 1024);
		m->keywords[m->keyword_count++] = span_strdup(word);
	}
	m->log_from = unpack_u64(&u);
	m->log_ranges = unpack_u32(&u);
	if (version != MAILBOX_VERSION || !unpack_done(&u)) {
		mailbox_free(m);
		return error_set(why, EBADMSG, "a mailbox record of account %s is damaged", a->partition);
	}
	a->mailboxes = xrealloc_array(a->mailboxes, a->mailbox_count + 1, sizeof *a->mailboxes);
	a->mailboxes[a->mailbox_count++] = m;
	return 0;
}

void mailbox_put(struct mailbox *m)
{
	BUF_AUTO key = {0}, value = {0};
	record_key(&key, m->id);
	pack_u8(&value, MAILBOX_VERSION);
	pack_bytes(&value, span_cstr(m->name));
	pack_u32(&value, m->uidvalidity);
	pack_u32(&value, m->uidnext);
	pack_u64(&value, m->highestmodseq);
	pack_u32(&value, m->recent_uid);
	pack_u8(&value, m->special_use);
	pack_u32(&value, m->messages);
	pack_u32(&value, m->unseen);
	pack_u32(&value, m->deleted);
	pack_u64(&value, m->size);
	pack_u64(&value, m->deleted_size);
	pack_u32(&value, m->index.tail_first);
	pack_u32(&value, m->keyword_count);
	for (unsigned i = 0; i < m->keyword_count; i++)
		pack_bytes(&value, span_cstr(m->keywords[i]));
	pack_u64(&value, m->log_from);
	pack_u32(&value, m->log_ranges);
	m->is_record_stale = false;
	batch_put(&m->account->batch, account_partition(m->account), buf_span(&key), buf_span(&value));
}

void mailbox_put_recent(struct mailbox *m)
{
	if (batch_is_empty(&m->account->batch))
		m->account->batch.is_durable = false;
	mailbox_put(m);
}

void mailbox_free(struct mailbox *m)
{
	for (unsigned i = 0; i < m->keyword_count; i++)
		free(m->keywords[i]);
	indexer_forget(m);
	acl_forget(m);
	seen_forget(m);
	index_free(&m->index);
	free(m->expunged);
	free(m->name);
	free(m);
}

struct span mailbox_canonical(struct span name)
{
	return span_equal_nocase(name, SPAN("INBOX")) ? SPAN("INBOX") : name;
}

struct mailbox *mailbox_find(const struct account *a, struct span name)
{
	name = mailbox_canonical(name);
	for (size_t i = 0; i < a->mailbox_count; i++)
		if (span_equal(span_cstr(a->mailboxes[i]->name), name))
			return a->mailboxes[i];
	return NULL;
}

struct mailbox *mailbox_of_use(const struct account *a, enum special_use use)
{
	for (size_t i = 0; i < a->mailbox_count; i++)
		if (a->mailboxes[i]->special_use == use)
			return a->mailboxes[i];
	return NULL;
}

struct mailbox *mailbox_load(struct mailbox *m, struct error *why)
{
	if (m->is_loaded)
		return m;
	uint32_t tail_first = m->index.tail_first;
	if (index_load(&m->index, m->account->worker->engine, account_partition(m->account), m->id, tail_first, why)) {
		index_free(&m->index);
		m->index.tail_first = tail_first;
		return NULL;
	}
	m->is_loaded = true;
	m->last_change_modseq = m->highestmodseq; /* which change it was is not known: whoever has heard of all until now looks no further back */
	return m;
}

struct mailbox *mailbox_add(struct account *a, struct span name, uint8_t special_use)
{
	struct mailbox *m = xcalloc(1, sizeof *m);
	/* seconds, but never the same twice and never less than before, whatever the clock does */
	uint32_t uidvalidity = (uint32_t)clock_wall_s();
	if (uidvalidity <= a->last_uidvalidity)
		uidvalidity = a->last_uidvalidity + 1;
	a->last_uidvalidity = uidvalidity;
	*m = (struct mailbox){.account = a, .id = a->next_mailbox++, .uidvalidity = uidvalidity, .uidnext = 1, .highestmodseq = 1, .log_from = 1,
	                      .recent_uid = 1, .special_use = special_use, .is_loaded = true, .index = {.tail_first = 1}};
	m->name = span_strdup(mailbox_canonical(name));
	a->mailboxes = xrealloc_array(a->mailboxes, a->mailbox_count + 1, sizeof *a->mailboxes);
	a->mailboxes[a->mailbox_count++] = m;
	account_put(a);
	mailbox_put(m);
	acl_inherit(m);
	account_tell_watchers(a, MAILBOX_EVENT_CREATED, span_cstr(m->name), SPAN(""));
	return m;
}

int mailbox_keywords(struct mailbox *m, struct span packed, bool may_add, uint64_t *bits)
{
	ARENA_AUTO arena = {0};
	struct span *words;
	ssize_t count = words_unpack(packed, &arena, &words);
	int result = count < 0 ? -1 : 0;
	*bits = 0;
	for (ssize_t i = 0; i < count; i++) {
		unsigned k = 0;
		/* keywords are case-insensitive: RFC 3501 §9 leaves it open, and every server does it */
		while (k < m->keyword_count && !span_equal_nocase(span_cstr(m->keywords[k]), words[i]))
			k++;
		if (k == m->keyword_count && (!may_add || k == KEYWORDS_MOST || words[i].len == 0 || words[i].len > 255)) {
			result = -1;
			continue;
		}
		if (k == m->keyword_count) {
			m->keywords[k] = span_strdup(words[i]);
			m->keyword_count++;
			m->is_record_stale = true;
		}
		*bits |= (uint64_t)1 << k;
	}
	return result;
}

uint64_t mailbox_translate_keywords(struct mailbox *m, const struct span *words, size_t count, uint64_t bits)
{
	uint64_t result = 0, bit;
	for (size_t k = 0; k < count && k < KEYWORDS_MOST; k++) {
		BUF_AUTO word = {0};
		if (!(bits >> k & 1))
			continue;
		words_pack(&word, &words[k], 1);
		if (mailbox_keywords(m, buf_span(&word), true, &bit) == 0)
			result |= bit;
	}
	return result;
}

void mailbox_pack_keywords(const struct mailbox *m, struct buf *out)
{
	struct span words[KEYWORDS_MOST];
	for (unsigned i = 0; i < m->keyword_count; i++)
		words[i] = span_cstr(m->keywords[i]);
	words_pack(out, words, m->keyword_count);
}

uint64_t mailbox_next_modseq(struct mailbox *m)
{
	return ++m->highestmodseq;
}

void mailbox_count(struct mailbox *m, const struct row *row, int sign)
{
	bool is_deleted = row->flags & FLAG_DELETED;
	m->messages += (uint32_t)sign;
	m->unseen += (uint32_t)(sign * !(row->flags & FLAG_SEEN));
	m->deleted += (uint32_t)(sign * is_deleted);
	m->size += (uint64_t)((int64_t)sign * row->size);
	m->account->bytes += (uint64_t)((int64_t)sign * row->size);
	m->account->messages += (uint64_t)(int64_t)sign;
	m->deleted_size += is_deleted ? (uint64_t)((int64_t)sign * row->size) : 0;
}

uint32_t mailbox_recent(struct mailbox *m)
{
	if (m->recent_uid == m->uidnext || !mailbox_load(m, NULL))
		return 0;
	return (uint32_t)(m->index.count - index_lower(&m->index, m->recent_uid));
}

struct row *mailbox_append(struct mailbox *m, struct row *row)
{
	struct account *a = m->account;
	row->uid = m->uidnext++;
	row->modseq = mailbox_next_modseq(m);
	row->saved_ms = (uint64_t)clock_wall_ms();
	mailbox_count(m, row, 1);
	uint32_t tail_first = m->index.tail_first;
	index_append(&m->index, row, &a->batch, account_partition(a), m->id);
	if (m->index.tail_first != tail_first)
		outline_follow(m);
	if (m->index.tail_first != tail_first || m->is_record_stale)
		mailbox_put(m);
	indexer_appended(m, row->uid);
	mailbox_notify(m, CHANGE_NEW);
	return &m->index.rows[m->index.count - 1];
}

void mailbox_count_tail(struct mailbox *m, const struct row *row)
{
	if (row->uid < m->uidnext)
		return;
	m->uidnext = row->uid + 1;
	if (row->modseq > m->highestmodseq)
		m->highestmodseq = row->modseq;
	mailbox_count(m, row, 1);
}

static void remember_expunged(struct mailbox *m, uint32_t uid, uint64_t modseq)
{
	if (m->expunged_count == m->expunged_room) {
		view_forget_expunged(m);
		if (m->expunged_count >= m->expunged_room / 2) {
			m->expunged_room = m->expunged_room ? m->expunged_room * 2 : 16;
			m->expunged = xrealloc_array(m->expunged, m->expunged_room, sizeof *m->expunged);
		}
	}
	m->expunged[m->expunged_count++] = (struct expunged){modseq, uid};
}

/* The rows whose UIDs are in `ranges`; the caller frees them. */
static const struct row **find_rows(const struct mailbox *m, struct span ranges, size_t *count)
{
	const struct row **rows = xcalloc(m->index.count + 1, sizeof(struct row *));
	*count = 0;
	for (size_t i = 0; i < ranges_count(ranges); i++) {
		uint32_t first, last;
		ranges_get(ranges, i, &first, &last);
		for (size_t at = index_lower(&m->index, first); at < m->index.count && m->index.rows[at].uid <= last; at++)
			rows[(*count)++] = &m->index.rows[at];
	}
	return rows;
}

void mailbox_remove(struct mailbox *m, struct span ranges, bool keep_blobs)
{
	struct account *a = m->account;
	BUF_AUTO gone = {0};
	size_t count;
	uint64_t modseq = mailbox_next_modseq(m);
	const struct row **rows = find_rows(m, ranges, &count);
	for (size_t i = 0; i < count; i++) {
		mailbox_count(m, rows[i], -1);
		ranges_add(&gone, rows[i]->uid);
		if (m->views)
			remember_expunged(m, rows[i]->uid, modseq);
	}
	if (!keep_blobs)
		removed_keep(m, rows, count);
	free(rows);
	m->last_change_modseq = modseq;
	log_removed(m, modseq, buf_span(&gone));
	unique_ids_removed(m, buf_span(&gone));
	seen_removed(m, buf_span(&gone));
	index_remove(&m->index, ranges, &a->batch, account_partition(a), m->id);
	indexer_removed(m, ranges);
	mailbox_put(m);
	mailbox_notify(m, CHANGE_EXPUNGED);
}

void mailbox_erase(struct mailbox *m, bool is_final)
{
	struct account *a = m->account;
	BUF_AUTO key = {0}, end = {0};
	BUF_AUTO all = {0};
	size_t count = 0;
	ranges_add_range(&all, 1, UINT32_MAX);
	const struct row **rows = mailbox_load(m, NULL) ? find_rows(m, buf_span(&all), &count) : NULL;
	for (size_t i = 0; is_final && i < count; i++)
		account_blob_dropped(a, rows[i]->blob);
	if (!is_final)
		removed_keep(m, rows, count);
	free(rows);
	for (const char *letter = "achnqtuxz" INDEXER_LETTERS; *letter; letter++) {
		index_key(&key, *letter, m->id, 0);
		index_key(&end, *letter, m->id + 1, 0);
		batch_delete_range(&a->batch, account_partition(a), buf_span(&key), buf_span(&end));
	}
	a->bytes -= m->size;
	a->messages -= m->messages;
	record_key(&key, m->id);
	batch_delete(&a->batch, account_partition(a), buf_span(&key));
	for (size_t i = 0; i < a->mailbox_count; i++)
		if (a->mailboxes[i] == m) {
			memmove(&a->mailboxes[i], &a->mailboxes[i + 1], (--a->mailbox_count - i) * sizeof *a->mailboxes);
			break;
		}
	account_tell_watchers(a, MAILBOX_EVENT_DELETED, span_cstr(m->name), SPAN(""));
	acl_dropped(m);
	m->is_gone = true;
	view_mailbox_gone(m); /* frees it when its last view is closed */
}
