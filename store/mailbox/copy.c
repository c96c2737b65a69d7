/* COPY, MOVE and EXPUNGE (RFC 3501 §6.4.7, RFC 6851, RFC 3501 §6.4.3): each is one batch, so a message that is moved is in
 * exactly one mailbox whatever happens. */
#include "ipc/words.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/seen.h"
#include "store/mailbox/view.h"

enum { ANSWER_RANGES_BYTES = 65536 };

static uint64_t translate_keywords(const struct mailbox *from, struct mailbox *to, uint64_t bits)
{
	struct span words[KEYWORDS_MOST];
	if (!bits)
		return 0;
	for (unsigned k = 0; k < from->keyword_count; k++)
		words[k] = span_cstr(from->keywords[k]);
	return mailbox_translate_keywords(to, words, from->keyword_count, bits);
}

/* Who copies, and what he may do where the copies go; NULL: the owner. */
static void copy_row(struct mailbox *from, struct mailbox *to, size_t at, bool is_move, const struct view *reader, struct buf *to_uids)
{
	struct row row = from->index.rows[at];
	unsigned rights = reader ? acl_rights(to, reader->reader, reader->is_near) : RIGHTS_ALL;
	uint8_t flags = reader ? seen_flags(from, reader->reader, &row) & acl_flags(rights) : row.flags;
	/* RFC 4314 §4, COPY; what the owner has seen remains so */
	row.flags = reader ? (uint8_t)((flags & ~FLAG_SEEN) | (row.flags & FLAG_SEEN)) : flags;
	row.keywords = rights & RIGHT_WRITE ? translate_keywords(from, to, row.keywords) : 0;
	if (!is_move)
		account_blob_added(from->account, row.blob, false);
	uint32_t uid = mailbox_append(to, &row)->uid;
	if (reader && flags & FLAG_SEEN)
		seen_set(to, reader->reader, uid, true);
	ranges_add(to_uids, uid);
}

void mailbox_find_uids(const struct mailbox *m, struct span ranges, uint8_t flags, struct buf *uids)
{
	for (size_t i = 0; i < ranges_count(ranges); i++) {
		uint32_t first, last;
		ranges_get(ranges, i, &first, &last);
		for (size_t at = index_lower(&m->index, first); at < m->index.count && m->index.rows[at].uid <= last; at++)
			if ((m->index.rows[at].flags & flags) == flags)
				ranges_add(uids, m->index.rows[at].uid);
	}
}

/* The messages at those UIDs, which are there; gives their new UIDs. Copies that go into the same mailbox have higher UIDs and
 * are not reached. */
static void copy_rows(struct mailbox *from, struct mailbox *to, struct span uids, bool is_move, const struct view *reader, struct buf *to_uids)
{
	for (size_t i = 0; i < ranges_count(uids); i++) {
		uint32_t first, last;
		ranges_get(uids, i, &first, &last);
		for (size_t at = index_lower(&from->index, first); at < from->index.count && from->index.rows[at].uid <= last; at++)
			copy_row(from, to, at, is_move, reader, to_uids);
	}
	if (reader)
		seen_flush(to, reader->reader);
	if (is_move && uids.len)
		mailbox_remove(from, uids, true);
}

static bool has_room_for(struct mailbox *m, struct span uids)
{
	uint64_t bytes = 0, messages = 0;
	for (size_t i = 0; i < ranges_count(uids); i++) {
		uint32_t first, last;
		ranges_get(uids, i, &first, &last);
		for (size_t at = index_lower(&m->index, first); at < m->index.count && m->index.rows[at].uid <= last; at++, messages++)
			bytes += m->index.rows[at].size;
	}
	return account_has_room(m->account, bytes, messages);
}

void mailbox_move_all(struct mailbox *from, struct mailbox *to)
{
	BUF_AUTO all = {0};
	BUF_AUTO uids = {0};
	BUF_AUTO to_uids = {0};
	ranges_add_range(&all, 1, UINT32_MAX);
	mailbox_find_uids(from, buf_span(&all), 0, &uids);
	copy_rows(from, to, buf_span(&uids), true, NULL, &to_uids);
}

void copy_asked(void *context, const struct msg_copy_ask *msg)
{
	struct request *r = context;
	struct mailbox *m = request_mailbox(r, msg->request), *to;
	BUF_AUTO from_uids = {0};
	BUF_AUTO to_uids = {0};
	struct error why = {0};
	if (!m || (msg->is_move && request_is_read_only(r, msg->request)))
		return;
	if (msg->is_move && request_lacks(r, msg->request, m, RIGHT_DELETE | RIGHT_EXPUNGE)) /* RFC 6851 §4.2 */
		return;
	to = request_find(r, msg->request, msg->mailbox, RIGHT_INSERT);
	if (!to)
		return;
	if (!mailbox_load(to, &why) || !ranges_are_valid(msg->ranges)) {
		request_done(r, msg->request, REQUEST_FAILED, "cannot be read");
		return;
	}
	mailbox_find_uids(m, msg->ranges, 0, &from_uids);
	if (!msg->is_move && !has_room_for(m, buf_span(&from_uids))) {
		request_done(r, msg->request, REQUEST_NO_SPACE, "the quota has no room for them");
		return;
	}
	if (from_uids.len > ANSWER_RANGES_BYTES) {
		request_done(r, msg->request, REQUEST_LIMIT, "too many messages for one command");
		return;
	}
	copy_rows(m, to, buf_span(&from_uids), msg->is_move, r->view->reader ? r->view : NULL, &to_uids);
	request_say(r, copy_done, .session = msg->session, .request = msg->request, .uidvalidity = to->uidvalidity,
	            .from = buf_span(&from_uids), .to = buf_span(&to_uids));
}

void expunge_asked(void *context, const struct msg_expunge_ask *msg)
{
	struct request *r = context;
	struct mailbox *m = request_mailbox(r, msg->request);
	BUF_AUTO gone = {0};
	if (!m || request_is_read_only(r, msg->request) || request_lacks(r, msg->request, m, RIGHT_EXPUNGE))
		return;
	if (!ranges_are_valid(msg->ranges)) {
		request_done(r, msg->request, REQUEST_FAILED, "not a set");
		return;
	}
	mailbox_find_uids(m, msg->ranges, msg->only_deleted ? FLAG_DELETED : 0, &gone);
	if (gone.len)
		mailbox_remove(m, buf_span(&gone), false);
	request_done(r, msg->request, REQUEST_OK, "");
}
