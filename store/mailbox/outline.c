/* Outlines: see outline.h. */
#include "store/mailbox/outline.h"

#include "ipc/words.h"

enum {
	OUTLINE_VERSION = 1,
	RANGES_BYTES_MOST = 512 * 1024,
	RENEWED_SHARE = 64, /* after as many changes as this part of its messages: it walks all of them */
	FOLLOWED_BYTES_MOST = 1024, /* of one that is read and written with every sixteenth delivery */
};

static void make_key(struct buf *key, uint32_t mailbox)
{
	index_key(key, 'q', mailbox, 0);
}

static void write(struct mailbox *m, const struct outline *o)
{
	struct account *a = m->account;
	BUF_AUTO key = {0}, value = {0};
	m->outline_modseq = o->modseq;
	make_key(&key, m->id);
	pack_u8(&value, OUTLINE_VERSION);
	pack_u64(&value, o->modseq);
	pack_u32(&value, o->uidnext);
	pack_u32(&value, o->first_unseen_uid);
	pack_bytes(&value, buf_span(&o->uids));
	if (batch_is_empty(&a->batch))
		a->batch.is_durable = false;
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
}

static void add_row(struct outline *o, const struct row *row)
{
	ranges_add(&o->uids, row->uid);
	if (!o->first_unseen_uid && !(row->flags & FLAG_SEEN))
		o->first_unseen_uid = row->uid;
}

void outline_put(struct mailbox *m)
{
	struct outline o = {.modseq = m->highestmodseq, .uidnext = m->uidnext};
	if (!m->is_loaded || m->index.count < OUTLINE_MESSAGES_LEAST || m->outline_modseq == m->highestmodseq)
		return;
	for (size_t i = 0; i < m->index.count && o.uids.len <= RANGES_BYTES_MOST; i++)
		add_row(&o, &m->index.rows[i]);
	if (o.uids.len <= RANGES_BYTES_MOST)
		write(m, &o);
	buf_free(&o.uids);
}

void outline_renew(struct mailbox *m)
{
	if (m->highestmodseq - m->outline_modseq <= m->index.count / RENEWED_SHARE)
		return;
	outline_put(m);
	account_settle(m->account);
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

/* The one on the disk, which may be out of date. */
static bool read_outline(struct mailbox *m, struct outline *out)
{
	BUF_AUTO key = {0}, value = {0};
	make_key(&key, m->id);
	return engine_get(m->account->worker->engine, account_partition(m->account), buf_span(&key), &value, NULL) > 0 && unpack(buf_span(&value), out) &&
	       out->modseq <= m->highestmodseq && out->uidnext <= m->uidnext;
}

/* Every change takes a MODSEQ: if there were only as many as messages that came, and these are all there, nothing else has changed. */
static bool is_followed(const struct mailbox *m, const struct outline *o, size_t found)
{
	uint64_t changes = m->highestmodseq - o->modseq;
	return changes == m->uidnext - o->uidnext && changes == found;
}

void outline_follow(struct mailbox *m)
{
	struct outline o = {0};
	if (m->is_loaded && m->index.count >= OUTLINE_MESSAGES_LEAST && read_outline(m, &o) && o.uids.len <= FOLLOWED_BYTES_MOST) {
		size_t first = index_lower(&m->index, o.uidnext);
		if (is_followed(m, &o, m->index.count - first)) {
			for (size_t i = first; i < m->index.count; i++)
				add_row(&o, &m->index.rows[i]);
			o.modseq = m->highestmodseq;
			o.uidnext = m->uidnext;
			write(m, &o);
		}
	}
	buf_free(&o.uids);
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
		add_row(out, &row);
		count++;
	}
	engine_scan_close(scan);
	return count;
}

bool outline_get(struct mailbox *m, struct outline *out)
{
	uint32_t count = 0;
	*out = (struct outline){0};
	if (!m->is_loaded && account_is_durable(m->account) && m->messages >= OUTLINE_MESSAGES_LEAST && read_outline(m, out) &&
	    is_followed(m, out, add_tail(m, out))) {
		for (size_t i = 0; i < ranges_count(buf_span(&out->uids)); i++) {
			uint32_t first, last;
			ranges_get(buf_span(&out->uids), i, &first, &last);
			count += last - first + 1;
		}
		if (count == m->messages)
			return true;
	}
	buf_free(&out->uids);
	return false;
}
