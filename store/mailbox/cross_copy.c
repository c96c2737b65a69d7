/* COPY and MOVE between accounts: see cross_copy.h.
 *
 *   take    on the source's worker: the rows, whose blobs are marked as shared from now on
 *   put     on the target's: rows that name the same blobs
 *   remove  of MOVE, on the source's again, where they can be brought back from as after EXPUNGE: it may be a guest who has taken them
 * Batches are written in the order in which they are submitted, and that is the order of these. */
#include "store/mailbox/cross_copy.h"

#include "base/die.h"
#include "base/log.h"
#include "ipc/words.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/seen.h"
#include "store/mailbox/threading.h"
#include "store/queue/queue.h"
#include "store/store.h"
#include "store/sweep.h"

#include <stdlib.h>

enum { MESSAGES_MOST = 50000, UIDS_BYTES_MOST = 65536 }; /* of one command: the worker has others to serve */

struct crossing {
	struct job job;
	struct store *store;
	uint64_t session;
	peer_id peer;
	uint32_t request;
	bool is_move;
	struct view_place from, to;  /* their prefixes are not used */
	struct view *view;           /* of the source, kept */
	uint32_t mailbox;            /* the source */
	struct buf ranges, name;     /* what was asked for */
	struct row *rows;            /* with the flags that the reader has */
	struct id128 *lenders;       /* of their blobs: store/blob.h */
	size_t count;
	struct buf keywords;         /* the source's names, a list of words */
	struct buf from_uids, to_uids;
	uint32_t uidvalidity;
};

static void free_crossing(struct crossing *c)
{
	buf_free(&c->ranges);
	buf_free(&c->name);
	buf_free(&c->keywords);
	buf_free(&c->from_uids);
	buf_free(&c->to_uids);
	free(c->rows);
	free(c->lenders);
	free(c);
}

static void say_outcome(struct crossing *c, struct account *a, enum request_outcome outcome)
{
	struct buf out = {0};
	if (outcome == REQUEST_OK)
		msg_copy_done_pack(&out, 0, &(struct msg_copy_done){.session = c->session, .request = c->request, .uidvalidity = c->uidvalidity,
		                                                    .from = buf_span(&c->from_uids), .to = buf_span(&c->to_uids)});
	else
		msg_request_done_pack(&out, 0, &(struct msg_request_done){.session = c->session, .request = c->request, .outcome = (uint8_t)outcome});
	account_say(a, c->peer, &out);
	account_settle(a);
}

/* ---- remove ---- */

static struct mailbox *source(const struct crossing *c)
{
	const struct account *a = c->view->account;
	for (size_t i = 0; i < a->mailbox_count; i++)
		if (a->mailboxes[i]->id == c->mailbox)
			return mailbox_load(a->mailboxes[i], NULL);
	return NULL;
}

static void end(struct worker *w, struct job *job)
{
	(void)w;
	struct crossing *c = (struct crossing *)job;
	view_let_go(c->view);
	free_crossing(c);
}

static void remove_rows(struct worker *w, struct job *job)
{
	struct crossing *c = (struct crossing *)job;
	struct account *a = c->view->account;
	struct mailbox *m = source(c);
	BUF_AUTO gone = {0};
	for (size_t i = 0; m && i < c->count; i++) {
		const struct row *row = index_find(&m->index, c->rows[i].uid);
		if (!row || !id128_equal(row->blob, c->rows[i].blob))
			continue; /* another session was faster */
		ranges_add(&gone, row->uid);
	}
	if (gone.len)
		mailbox_remove(m, buf_span(&gone), false);
	say_outcome(c, a, REQUEST_OK);
	end(w, job);
}

static void go_back(struct crossing *c, void (*run)(struct worker *w, struct job *j))
{
	c->job.run = run;
	worker_post(store_worker_of(c->store, c->from.account), &c->job);
}

/* ---- put ---- */

static void put_rows(struct crossing *c, struct mailbox *to)
{
	struct account *a = to->account;
	unsigned rights = acl_rights(to, c->to.reader, c->to.is_near);
	ARENA_AUTO arena = {0};
	struct span *words;
	ssize_t words_count = words_unpack(buf_span(&c->keywords), &arena, &words);
	for (size_t i = 0; i < c->count; i++) {
		struct row row = c->rows[i];
		uint8_t flags = row.flags & acl_flags(rights); /* RFC 4314 §4, COPY */
		row.flags = c->to.reader ? flags & ~FLAG_SEEN : flags;
		row.keywords = rights & RIGHT_WRITE && words_count > 0 ? mailbox_translate_keywords(to, words, (size_t)words_count, row.keywords) : 0;
		row.thread = threading_join(a, SPAN(""), row.blob);
		account_blob_added(a, row.blob, true);
		if (!id128_is_zero(c->lenders[i]))
			account_blob_borrows(a, row.blob, c->lenders[i]);
		uint32_t uid = mailbox_append(to, &row)->uid;
		ranges_add(&c->to_uids, uid);
		if (c->to.reader && flags & FLAG_SEEN)
			seen_set(to, c->to.reader, uid, true);
	}
	if (c->to.reader)
		seen_flush(to, c->to.reader);
	c->uidvalidity = to->uidvalidity;
}

static enum request_outcome try_to_put(struct crossing *c, struct account *a)
{
	struct mailbox *to = mailbox_find(a, buf_span(&c->name));
	unsigned rights = to ? acl_rights(to, c->to.reader, c->to.is_near) : 0;
	uint64_t bytes = 0;
	if (!(rights & RIGHT_INSERT))
		return acl_lets_know(rights) ? REQUEST_NO_PERMISSION : REQUEST_NO_MAILBOX;
	if (!mailbox_load(to, NULL))
		return REQUEST_FAILED;
	for (size_t i = 0; i < c->count; i++)
		bytes += c->rows[i].size;
	if (!account_has_room(a, bytes, c->count))
		return REQUEST_NO_SPACE;
	put_rows(c, to);
	return REQUEST_OK;
}

static void put(struct worker *w, struct job *job)
{
	struct crossing *c = (struct crossing *)job;
	struct error why = {0};
	struct account *a = account_get(w, c->to.account, &why);
	enum request_outcome outcome = a ? try_to_put(c, a) : REQUEST_FAILED;
	if (!a) {
		log_event(LOG_LEVEL_ERROR, "account-damaged", log_n("account", (int64_t)c->to.account), log_c("why", why.text));
		struct parcel *p = parcel_new(c->peer);
		msg_request_done_pack(&p->frames, 0, &(struct msg_request_done){.session = c->session, .request = c->request, .outcome = REQUEST_FAILED});
		worker_say(w, p);
	} else if (outcome == REQUEST_OK && c->is_move) {
		account_settle(a);
	} else {
		say_outcome(c, a, outcome);
	}
	go_back(c, outcome == REQUEST_OK && c->is_move ? remove_rows : end);
}

/* ---- take ---- */

/* How many numbers they have. */
static uint64_t ranges_sum(struct span ranges)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < ranges_count(ranges); i++) {
		uint32_t first, last;
		ranges_get(ranges, i, &first, &last);
		sum += last - first + (uint64_t)1;
	}
	return sum;
}

/* False, after saying why not. */
static bool may_take(struct request *r, struct crossing *c, struct mailbox *m)
{
	if (c->is_move && (request_is_read_only(r, c->request) || request_lacks(r, c->request, m, RIGHT_DELETE | RIGHT_EXPUNGE))) /* RFC 6851 §4.2 */
		return false;
	if (!ranges_are_valid(buf_span(&c->ranges)))
		request_done(r, c->request, REQUEST_FAILED, "not a set");
	else
		mailbox_find_uids(m, buf_span(&c->ranges), 0, &c->from_uids);
	return !r->out.len;
}

/* Rows, and their blobs: from now on another account may name them. */
static void take_rows(struct crossing *c, struct mailbox *m)
{
	struct account *a = m->account;
	struct span uids = buf_span(&c->from_uids);
	struct batch shared = {.is_durable = true};
	for (size_t i = 0; i < ranges_count(uids); i++) {
		uint32_t first, last;
		ranges_get(uids, i, &first, &last);
		for (size_t at = index_lower(&m->index, first); at < m->index.count && m->index.rows[at].uid <= last; at++) {
			struct row *row = &m->index.rows[at];
			c->rows = xrealloc_array(c->rows, c->count + 1, sizeof *c->rows);
			c->lenders = xrealloc_array(c->lenders, c->count + 1, sizeof *c->lenders);
			struct id128 *lender = &c->lenders[c->count];
			c->rows[c->count] = *row;
			c->rows[c->count++].flags = seen_flags(m, c->from.reader, row);
			sweep_spare(c->store, row->blob);
			if (account_blob_share(a, row->blob, lender))
				queue_put_shared(&shared, a->worker->engine, row->blob);
			sweep_spare(c->store, *lender); /* zero is nobody's */
		}
	}
	mailbox_pack_keywords(m, &c->keywords);
	c->mailbox = m->id;
	account_settle(a);
	store_commit(c->store, &shared, NULL, NULL);
}

static void take(struct worker *w, struct job *job)
{
	struct crossing *c = (struct crossing *)job;
	struct view *v = c->view ? c->view : view_get(w, c->session, &c->from, c->peer);
	if (v && !c->view)
		c->view = view_keep(v); /* whatever becomes of the session meanwhile */
	if (v && !account_is_durable(v->account)) { /* blobs are read */
		account_when_durable(v->account, job);
		return;
	}
	struct request r = {.worker = w, .view = v, .account = v ? v->account : NULL};
	struct mailbox *m = v ? request_mailbox(&r, c->request) : NULL;
	if (m && may_take(&r, c, m)) {
		if (c->from_uids.len > UIDS_BYTES_MOST || ranges_sum(buf_span(&c->from_uids)) > MESSAGES_MOST)
			request_done(&r, c->request, REQUEST_LIMIT, "");
		else
			take_rows(c, m);
	}
	if (!v || r.out.len) {
		if (v) {
			account_say(r.account, c->peer, &r.out);
			account_settle(r.account);
			view_let_go(v);
		}
		free_crossing(c);
		return;
	}
	c->job.run = put;
	worker_post(store_worker_of(c->store, c->to.account), &c->job);
}

void cross_copy_post(struct store *s, peer_id peer, const struct view_place *from, const struct view_place *to, const struct msg_copy_ask *m)
{
	struct crossing *c = xcalloc(1, sizeof *c);
	*c = (struct crossing){.job.run = take, .store = s, .session = m->session, .peer = peer, .request = m->request, .is_move = m->is_move, .from = *from, .to = *to};
	c->from.prefix = c->to.prefix = SPAN("");
	buf_add(&c->ranges, m->ranges);
	buf_add(&c->name, m->mailbox);
	worker_post(store_worker_of(s, from->account), &c->job);
}
