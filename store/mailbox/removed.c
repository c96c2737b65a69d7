/* The grace of deleted messages: see removed.h. */
#include "store/mailbox/removed.h"

#include "base/clock.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "store/store.h"

#include <errno.h>

enum { REMOVED_VERSION = 1, ENTRY_ROWS = 256, ALL_ENTRIES = 1 << 30 };

static void make_key(struct buf *key, uint64_t removed_ms, uint32_t number)
{
	buf_clear(key);
	buf_add_char(key, 'g');
	pack_sorted_u64(key, removed_ms);
	pack_sorted_u32(key, number);
}

static bool read_key(struct span key, struct removed_entry *out)
{
	struct unpacker u = {.rest = span_skip(key, 1)};
	out->removed_ms = unpack_sorted_u64(&u);
	out->number = unpack_sorted_u32(&u);
	return unpack_done(&u);
}

static bool has_grace(const struct account *a)
{
	return a->worker->store && a->worker->store->undelete_grace_s;
}

static void put_entry(struct mailbox *m, const struct row *const *rows, size_t count, uint64_t now_ms)
{
	struct account *a = m->account;
	BUF_AUTO key = {0}, value = {0}, keywords = {0};
	make_key(&key, now_ms, ++a->last_removed);
	mailbox_pack_keywords(m, &keywords);
	pack_u8(&value, REMOVED_VERSION);
	pack_bytes(&value, span_cstr(m->name));
	pack_u8(&value, m->special_use);
	pack_bytes(&value, buf_span(&keywords));
	pack_u32(&value, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		index_pack_row(&value, rows[i]);
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
}

void removed_keep(struct mailbox *m, const struct row *const *rows, size_t count)
{
	uint64_t now_ms = (uint64_t)clock_wall_ms();
	for (size_t i = 0; !has_grace(m->account) && i < count; i++)
		account_blob_dropped(m->account, rows[i]->blob);
	for (size_t i = 0; has_grace(m->account) && i < count; i += ENTRY_ROWS)
		put_entry(m, rows + i, count - i < ENTRY_ROWS ? count - i : ENTRY_ROWS, now_ms);
}

/* An entry as it was read; rows stands before its rows. */
struct stored {
	struct removed_entry entry;
	uint8_t special_use;
	struct span keywords;
	struct unpacker rows;
};

static int unpack(struct span key, struct span value, struct stored *out)
{
	struct unpacker u = {.rest = value};
	*out = (struct stored){0};
	bool is_known = unpack_u8(&u) == REMOVED_VERSION && read_key(key, &out->entry);
	out->entry.mailbox = unpack_bytes(&u, MAILBOX_NAME_BYTES_MOST);
	out->special_use = unpack_u8(&u);
	out->keywords = unpack_bytes(&u, 32768);
	out->entry.messages = unpack_u32(&u);
	out->rows = u;
	for (uint32_t i = 0; i < out->entry.messages && !u.bad; i++) {
		struct row row;
		index_unpack_row(&u, &row);
		out->entry.bytes += row.size;
	}
	return unpack_done(&u) && is_known ? 0 : -1;
}

typedef void entry_fn(void *context, struct span key, struct stored *e);

static ssize_t walk(struct account *a, uint64_t from_ms, uint64_t before_ms, size_t most, entry_fn *each, void *context, struct error *why)
{
	BUF_AUTO from = {0}, to = {0};
	make_key(&from, from_ms, 0);
	make_key(&to, before_ms, 0);
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), buf_span(&from), buf_span(&to));
	struct span key, value;
	size_t count = 0;
	int more = 1;
	while (count < most && (more = engine_scan_next(scan, &key, &value, why)) > 0) {
		struct stored e;
		if (unpack(key, value, &e)) {
			/* the others can be brought back, and given up, nevertheless */
			log_event(LOG_LEVEL_ERROR, "deleted-damaged", log_c("account", a->partition), log_c("why", "a record of deleted messages cannot be read"));
			continue;
		}
		each(context, key, &e);
		count++;
	}
	engine_scan_close(scan);
	return more < 0 ? -1 : (ssize_t)count;
}

struct walking {
	void (*each)(void *context, const struct removed_entry *e);
	void *context;
};

static void show(void *context, struct span key, struct stored *e)
{
	const struct walking *w = context;
	(void)key;
	w->each(w->context, &e->entry);
}

int removed_walk(struct account *a, void (*each)(void *context, const struct removed_entry *e), void *context, struct error *why)
{
	return walk(a, 0, UINT64_MAX, ALL_ENTRIES, show, &(struct walking){each, context}, why) < 0 ? -1 : 0;
}

/* ---- bringing back ---- */

struct restoring {
	struct account *account;
	const struct removed_choice *choice;
	ssize_t count;
	struct error *why;
};

static bool is_chosen(const struct removed_choice *c, const struct removed_entry *e)
{
	if (c->is_one)
		return e->removed_ms == c->removed_ms && e->number == c->number;
	return !c->mailbox.len || span_equal(mailbox_canonical(c->mailbox), e->mailbox);
}

static void restore(void *context, struct span key, struct stored *e)
{
	struct restoring *r = context;
	ARENA_AUTO arena = {0};
	struct span *words;
	if (r->count < 0 || !is_chosen(r->choice, &e->entry))
		return;
	struct mailbox *m = mailbox_find(r->account, e->entry.mailbox);
	ssize_t word_count = words_unpack(e->keywords, &arena, &words);
	if (!m)
		m = mailbox_make(r->account, e->entry.mailbox, mailbox_of_use(r->account, e->special_use) ? USE_NONE : e->special_use);
	if (!mailbox_load(m, r->why)) {
		r->count = -1;
		return;
	}
	for (uint32_t i = 0; i < e->entry.messages; i++) {
		struct row row;
		index_unpack_row(&e->rows, &row);
		row.flags = (uint8_t)(row.flags & ~FLAG_DELETED);
		row.keywords = mailbox_translate_keywords(m, words, word_count < 0 ? 0 : (size_t)word_count, row.keywords);
		mailbox_append(m, &row);
		r->count++;
	}
	batch_delete(&r->account->batch, account_partition(r->account), key);
}

ssize_t removed_restore(struct account *a, const struct removed_choice *choice, struct error *why)
{
	struct restoring r = {a, choice, 0, why};
	uint64_t from_ms = choice->is_one ? choice->removed_ms : choice->since_ms;
	uint64_t before_ms = choice->is_one ? choice->removed_ms + 1 : UINT64_MAX;
	return walk(a, from_ms, before_ms, ALL_ENTRIES, restore, &r, why) < 0 ? -1 : r.count;
}

/* ---- giving up ---- */

static void give_up(void *context, struct span key, struct stored *e)
{
	struct account *a = context;
	for (uint32_t i = 0; i < e->entry.messages; i++) {
		struct row row;
		index_unpack_row(&e->rows, &row);
		account_blob_dropped(a, row.blob);
	}
	batch_delete(&a->batch, account_partition(a), key);
}

ssize_t removed_purge(struct account *a, uint64_t before_ms, size_t most, struct error *why)
{
	return walk(a, 0, before_ms, most, give_up, a, why);
}
