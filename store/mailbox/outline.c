/* Outlines: see outline.h. */
#include "store/mailbox/outline.h"

#include "ipc/words.h"

enum {
	OUTLINE_VERSION = 1,
	RANGES_BYTES_MOST = 512 * 1024,
	FOLLOWED_BYTES_MOST = 1024, /* of one that is written with every sixteenth delivery */
};

static void make_key(struct buf *key, uint32_t mailbox)
{
	index_key(key, 'q', mailbox, 0);
}

static void put(struct mailbox *m, size_t most)
{
	struct account *a = m->account;
	BUF_AUTO key = {0}, value = {0}, uids = {0};
	uint32_t first_unseen = 0;
	if (!m->is_loaded || m->index.count < OUTLINE_MESSAGES_LEAST || m->outline_modseq == m->highestmodseq)
		return;
	for (size_t i = 0; i < m->index.count && uids.len <= most; i++) {
		ranges_add(&uids, m->index.rows[i].uid);
		if (!first_unseen && !(m->index.rows[i].flags & FLAG_SEEN))
			first_unseen = m->index.rows[i].uid;
	}
	if (uids.len > most)
		return;
	m->outline_modseq = m->highestmodseq;
	make_key(&key, m->id);
	pack_u8(&value, OUTLINE_VERSION);
	pack_u64(&value, m->highestmodseq);
	pack_u32(&value, m->uidnext);
	pack_u32(&value, first_unseen);
	pack_bytes(&value, buf_span(&uids));
	if (batch_is_empty(&a->batch))
		a->batch.is_durable = false;
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
}

void outline_put(struct mailbox *m)
{
	put(m, RANGES_BYTES_MOST);
}

void outline_follow(struct mailbox *m)
{
	/* what is dense has few ranges: where the first thousands make many, nothing is gained by looking further */
	put(m, FOLLOWED_BYTES_MOST);
}

static bool unpack(struct span value, struct outline *out)
{
	struct unpacker u = {.rest = value};
	bool is_known = unpack_u8(&u) == OUTLINE_VERSION;
	out->modseq = unpack_u64(&u);
	out->uidnext = unpack_u32(&u);
	out->first_unseen_uid = unpack_u32(&u);
	struct span uids = unpack_bytes(&u, RANGES_BYTES_MOST);
	buf_add(&out->uids, uids);
	return unpack_done(&u) && is_known && ranges_are_valid(uids);
}

/* Adds the messages that came since: they stand in the tail. */
static uint32_t add_tail(const struct mailbox *m, struct outline *out)
{
	BUF_AUTO from = {0}, to = {0};
	uint32_t count = 0, mailbox;
	index_key(&from, 't', m->id, out->uidnext);
	index_key(&to, 't', m->id + 1, 0);
	struct engine_scan *scan = engine_scan_open(m->account->worker->engine, account_partition(m->account), buf_span(&from), buf_span(&to));
	struct span key, value;
	struct row row;
	while (engine_scan_next(scan, &key, &value, NULL) > 0 && index_read_tail(key, value, &mailbox, &row) == 0) {
		ranges_add(&out->uids, row.uid);
		if (!out->first_unseen_uid && !(row.flags & FLAG_SEEN))
			out->first_unseen_uid = row.uid;
		count++;
	}
	engine_scan_close(scan);
	return count;
}

bool outline_get(struct mailbox *m, struct outline *out)
{
	BUF_AUTO key = {0}, value = {0};
	*out = (struct outline){0};
	make_key(&key, m->id);
	if (m->is_loaded || !account_is_durable(m->account) || m->messages < OUTLINE_MESSAGES_LEAST ||
	    engine_get(m->account->worker->engine, account_partition(m->account), buf_span(&key), &value, NULL) <= 0 || !unpack(buf_span(&value), out) ||
	    out->modseq > m->highestmodseq || out->uidnext > m->uidnext) {
		buf_free(&out->uids);
		return false;
	}
	/* every change takes a MODSEQ: if there were only as many as messages that came, and these all stand in the tail, nothing else has changed */
	uint64_t changes = m->highestmodseq - out->modseq;
	uint32_t came = m->uidnext - out->uidnext, found = add_tail(m, out), count = 0;
	for (size_t i = 0; i < ranges_count(buf_span(&out->uids)); i++) {
		uint32_t first, last;
		ranges_get(buf_span(&out->uids), i, &first, &last);
		count += last - first + 1;
	}
	if (changes == came && found == came && count == m->messages)
		return true;
	buf_free(&out->uids);
	return false;
}
