#include "store/mailbox/import.h"

#include "base/clock.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "store/mailbox/append.h"
#include "store/mailbox/view.h"

enum { ROW_VERSION = 1, UNIQUE_ID_MOST = 70, ANSWER_ROWS = 1000, SOURCES_BYTES_MOST = 4096 * SOURCE_BYTES };

/* ---- sources ---- */

static void source_key(struct buf *key, struct span source)
{
	buf_add_char(key, 'o');
	buf_add(key, source);
}

int source_is_known(struct account *a, struct span source)
{
	BUF_AUTO key = {0}, value = {0};
	source_key(&key, source);
	return engine_get(a->worker->engine, account_partition(a), buf_span(&key), &value, NULL);
}

void source_put(struct account *a, const struct mailbox *m, uint32_t uid, struct span source)
{
	BUF_AUTO key = {0}, value = {0};
	source_key(&key, source);
	pack_u8(&value, ROW_VERSION);
	pack_u32(&value, m->id);
	pack_u32(&value, uid);
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
}

void import_sources_asked(void *context, const struct msg_import_sources_ask *msg)
{
	struct request *r = context;
	BUF_AUTO known = {0};
	struct span rest = msg->sources;
	if (rest.len > SOURCES_BYTES_MOST || rest.len % SOURCE_BYTES) {
		request_done(r, msg->request, REQUEST_LIMIT, "no list of sources, or too long a one");
		return;
	}
	for (; rest.len; rest = span_skip(rest, SOURCE_BYTES)) {
		int is_known = source_is_known(r->account, span_slice(rest, 0, SOURCE_BYTES));
		if (is_known < 0) {
			request_done(r, msg->request, REQUEST_FAILED, "the account cannot be read");
			return;
		}
		buf_add_char(&known, (char)is_known);
	}
	request_say(r, import_sources, .session = msg->session, .request = msg->request, .known = buf_span(&known));
}

/* ---- UIDs ---- */

/* Nobody has it open, and nothing is in it: no client can take a message for another. */
static bool may_restate(const struct mailbox *m)
{
	return m->messages == 0 && !m->views;
}

void import_mailbox_asked(void *context, const struct msg_import_mailbox_ask *msg)
{
	struct request *r = context;
	struct account *a = r->account;
	struct mailbox *m = mailbox_find(a, msg->mailbox);
	if (!m || msg->uidvalidity == 0) {
		request_done(r, msg->request, m ? REQUEST_FAILED : REQUEST_NO_MAILBOX, m ? "no UIDVALIDITY" : "there is no mailbox of that name");
		return;
	}
	if (m->uidvalidity != msg->uidvalidity && !may_restate(m)) {
		request_done(r, msg->request, REQUEST_FAILED, "it has messages, and another UIDVALIDITY");
		return;
	}
	if (m->uidvalidity == msg->uidvalidity && m->uidnext >= msg->uidnext) {
		request_done(r, msg->request, REQUEST_OK, "");
		return;
	}
	m->uidvalidity = msg->uidvalidity;
	/* one from the future is nothing to count on from; the next mailbox has the time's */
	if (a->last_uidvalidity < m->uidvalidity && m->uidvalidity <= (uint32_t)clock_wall_s())
		a->last_uidvalidity = m->uidvalidity;
	if (m->uidnext < msg->uidnext && msg->uidnext <= IMPORT_UID_MOST)
		m->uidnext = msg->uidnext;
	account_put(a);
	mailbox_put(m);
	request_done(r, msg->request, REQUEST_OK, "");
}

/* ---- UIDLs ---- */

void unique_id_put(struct mailbox *m, uint32_t uid, struct span id)
{
	BUF_AUTO key = {0}, value = {0};
	index_key(&key, 'u', m->id, uid);
	pack_u8(&value, ROW_VERSION);
	pack_bytes(&value, id);
	m->account->has_unique_ids = true;
	batch_put(&m->account->batch, account_partition(m->account), buf_span(&key), buf_span(&value));
}

void unique_ids_removed(struct mailbox *m, struct span ranges)
{
	for (size_t i = 0; m->account->has_unique_ids && i < ranges_count(ranges); i++) {
		uint32_t first, last;
		BUF_AUTO from = {0}, to = {0};
		ranges_get(ranges, i, &first, &last);
		index_key(&from, 'u', m->id, first);
		index_key(&to, 'u', m->id, last + 1);
		batch_delete_range(&m->account->batch, account_partition(m->account), buf_span(&from), buf_span(&to));
	}
}

bool unique_ids_are_there(struct account *a)
{
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), SPAN("u"), SPAN("v"));
	struct span key, value;
	int found = engine_scan_next(scan, &key, &value, NULL);
	engine_scan_close(scan);
	return found != 0;
}

static bool read_unique_id(struct span key, struct span value, uint32_t *uid, struct span *id)
{
	struct unpacker u = {.rest = value}, k = {.rest = span_skip(key, 5)};
	*uid = unpack_sorted_u32(&k);
	if (!unpack_done(&k))
		return false;
	uint8_t version = unpack_u8(&u);
	*id = unpack_bytes(&u, UNIQUE_ID_MOST);
	return version == ROW_VERSION && unpack_done(&u);
}

void unique_ids_asked(void *context, const struct msg_unique_ids_ask *msg)
{
	struct request *r = context;
	struct account *a = r->account;
	struct mailbox *m = mailbox_find(a, msg->mailbox);
	BUF_AUTO from = {0}, to = {0}, rows = {0};
	uint32_t next_uid = 0;
	if (m && a->has_unique_ids) {
		struct span key, value, id;
		index_key(&from, 'u', m->id, msg->from_uid);
		index_key(&to, 'u', m->id + 1, 0);
		struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), buf_span(&from), buf_span(&to));
		for (size_t count = 0; engine_scan_next(scan, &key, &value, NULL) > 0; count++) {
			uint32_t uid;
			if (!read_unique_id(key, value, &uid, &id))
				continue; /* damaged: it has the usual one */
			if (count == ANSWER_ROWS) {
				next_uid = uid;
				break;
			}
			pack_u32(&rows, uid);
			pack_bytes(&rows, id);
		}
		engine_scan_close(scan);
	}
	request_say(r, unique_ids, .session = msg->session, .request = msg->request, .rows = buf_span(&rows), .next_uid = next_uid);
}
