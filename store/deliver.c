/* A letter's way into the store (the tour in docs/architecture.md): staged and judged here, written by store/deliver_write.c, answered. */
#include "store/delivery.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "ipc/words.h"
#include "store/mailbox/view.h"
#include "store/queue/queue.h"
#include "store/report/report.h"
#include "store/share.h"
#include "store/trace.h"
#include "store/usage.h"

#include <stdlib.h>

enum {
	ORPHAN_MS = 60 * 1000,
	ORPHANS_LOOKED_AT = 256,  /* so many new ones between two looks */
	RECIPIENTS_MOST = 100000, /* the configuration's bound is edge's; this one is against a broken edge */
};

static struct delivery *find(struct store *s, struct id128 id)
{
	struct delivery *d = map_get(&s->deliveries, id128_hash(id));
	return d && id128_equal(d->id, id) ? d : NULL;
}

static struct delivery *find_of(struct store_peer *edge, struct id128 id)
{
	struct delivery *d = find(edge->store, id);
	return d && d->edge == edge->id ? d : NULL;
}

/* What was staged for nothing goes at once. */
static void unstage(struct delivery *d)
{
	struct batch b = {0};
	for (uint32_t piece = 1; piece <= d->blocks_staged; piece++)
		batch_blob_delete(&b, d->blob, piece);
	queue_unstage(&b, d->blob);
	store_commit(d->store, &b, NULL, NULL);
}

void deliver_free(struct delivery *d)
{
	if (find(d->store, d->id) == d)
		map_take(&d->store->deliveries, id128_hash(d->id));
	d->edge = 0;
	if (d->writing || d->waiting)
		return; /* the last of them comes back here */
	if (d->blocks_staged && !d->is_sent_on)
		unstage(d);
	EVP_MD_CTX_free(d->sha256);
	arena_free(&d->recipients_memory);
	struct buf *bufs[] = {&d->reverse_path, &d->client, &d->mailbox, &d->keywords, &d->block, &d->tls_report, &d->text, &d->prefix, &d->cuts,
	                      &d->authors, &d->message_id, &d->thread_ids, &d->cache, &d->envid, &d->sender, &d->rcpt_added, &d->rcpt_removed, &d->unique_id};
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
		buf_free(bufs[i]);
	free(d->recipients);
	free(d);
}

void deliver_log(const struct delivery *d, uint32_t recipient, enum delivery_outcome outcome)
{
	static const char *words[] = {"delivered", "queued", "refused", "later", "unknown", "no-mailbox", "not-yours", "no-space",
	                              "no-recipient", "too-large", "discarded", "parked"};
	bool is_all = recipient == DELIVERY_ALL_RECIPIENTS, is_judged = outcome == DELIVERY_REFUSED || outcome == DELIVERY_LATER;
	struct span to = d->recipient_count ? d->recipients[is_all ? 0 : recipient].address : SPAN("");
	char id[ID128_TEXT_BYTES + 1];
	log_event(LOG_LEVEL_INFO, "message", log_s("id", id128_text(d->id, id)), log_c("outcome", words[outcome]),
	          log_c("kind", delivery_kind_word(d->kind)), log_s("from", buf_span(&d->reverse_path)),
	          log_s("to", to), log_n("recipients", is_all ? (int64_t)d->recipient_count : 1),
	          log_n("size", (int64_t)d->received), log_s("message-id", buf_span(&d->message_id)),
	          log_s("client", buf_span(&d->client)), log_s(is_judged || !d->text.len ? "reply" : "remark", d->text.len ? buf_span(&d->text) : SPAN("")));
}

void deliver_say(struct delivery *d, uint32_t recipient, enum delivery_outcome outcome, struct span text, uint32_t uidvalidity, uint32_t uid)
{
	struct store_peer *edge = store_peer(d->store, d->edge);
	if (edge)
		channel_send(edge->channel, delivery_result, .delivery = d->id, .token = d->token, .recipient = recipient,
		             .outcome = (uint8_t)outcome, .text = text, .uidvalidity = uidvalidity, .uid = uid);
}

/* Answers for all recipients and forgets the delivery. */
void deliver_answer(struct delivery *d, enum delivery_outcome outcome, struct span text)
{
	if (outcome == DELIVERED || outcome == QUEUED || outcome == DELIVERY_DISCARDED)
		d->store->accepted_count++;
	else
		d->store->refused_count++;
	if ((outcome == DELIVERED || outcome == QUEUED) && d->is_for_account && d->tls_report.len)
		report_heard(d->store, buf_span(&d->tls_report));
	deliver_log(d, DELIVERY_ALL_RECIPIENTS, outcome);
	deliver_say(d, DELIVERY_ALL_RECIPIENTS, outcome, text, 0, 0);
	deliver_free(d);
}

/* ---- staging ---- */

/* Edge writes to filter and to store at once, on two sockets: the verdict on a small message may be here before its
 * beginning is. */
static struct delivery *new_delivery(struct store *s, struct id128 id)
{
	struct delivery *d = xcalloc(1, sizeof *d);
	d->store = s;
	d->id = id;
	d->made_ms = clock_monotonic_ms();
	map_put(&s->deliveries, id128_hash(id), d);
	return d;
}

/* Verdicts whose deliveries were given up before they began. */
static void forget_orphans(struct store *s)
{
	size_t at = 0;
	struct delivery *d;
	if (++s->orphan_verdicts % ORPHANS_LOOKED_AT)
		return;
	while ((d = map_next(&s->deliveries, &at)))
		if (!d->has_begun && clock_monotonic_ms() - d->made_ms > ORPHAN_MS)
			deliver_free(d);
}

int deliver_begin(struct store_peer *edge, const struct msg_delivery_begin *m)
{
	struct store *s = edge->store;
	struct delivery *d = map_get(&s->deliveries, id128_hash(m->delivery));
	if ((d && (d->has_begun || d->filter != m->filter || !id128_equal(d->id, m->delivery))) || id128_is_zero(m->delivery))
		return -1;
	struct session *session = session_find(edge, m->session);
	bool needs_login = m->kind == DELIVERY_SUBMISSION || m->kind == DELIVERY_APPEND;
	if (needs_login && !session && edge->role == ROLE_EDGE_USER) {
		/* ended by us (a new password) while the message was on its way; its verdict may have come before it */
		if (d)
			deliver_free(d);
		channel_send(edge->channel, delivery_result, .delivery = m->delivery, .token = m->token, .recipient = DELIVERY_ALL_RECIPIENTS,
		             .outcome = DELIVERY_LATER);
		return 0;
	}
	bool is_of_user = needs_login || m->kind == DELIVERY_LOCAL;
	if (is_of_user != (edge->role == ROLE_EDGE_USER) || (needs_login && (!session || !session->account)))
		return -1; /* strangers' edges only accept mail; users' edges act for who has logged in, and for programs of this machine */
	bool is_import = m->uid || m->unique_id.len || m->source.len;
	if (is_import && (m->kind != DELIVERY_APPEND || !session || !session->is_administrator || m->uid == UINT32_MAX ||
	                  (m->source.len && m->source.len != sizeof d->source)))
		return -1;
	if (!d)
		d = new_delivery(s, m->delivery);
	d->has_begun = true;
	d->blob = id128_new();
	d->edge = edge->id;
	d->token = m->token;
	d->session = m->session;
	d->account = needs_login ? session->account : 0;
	d->kind = m->kind;
	struct span mailbox = m->mailbox;
	if (d->kind == DELIVERY_APPEND) {
		struct view_place place;
		if (share_find(s, session, m->mailbox, &place, &mailbox) == SHARE_NONE)
			mailbox = m->mailbox; /* which is nowhere */
		d->account = place.account;
		d->reader = place.reader;
		d->is_near = place.is_near;
		usage_of_account(s, d->account); /* so that its worker knows its limits as they are now */
	}
	d->facts = m->facts;
	d->filter = m->filter;
	d->flags = m->flags;
	d->internaldate_ms = m->internaldate_ms;
	buf_add(&d->reverse_path, m->reverse_path);
	buf_add(&d->client, m->client_address);
	buf_add(&d->mailbox, mailbox);
	buf_add(&d->keywords, m->keywords);
	d->uid = m->uid;
	d->has_source = m->source.len > 0;
	if (d->has_source)
		memcpy(d->source, m->source.ptr, sizeof d->source);
	buf_add(&d->unique_id, m->unique_id);
	d->ret = m->ret;
	d->priority = m->priority;
	d->hold_s = m->kind == DELIVERY_SUBMISSION ? m->hold_s : 0;
	buf_add(&d->envid, m->envid);
	d->sha256 = EVP_MD_CTX_new();
	if (!d->sha256 || EVP_DigestInit_ex(d->sha256, EVP_sha256(), NULL) != 1)
		die("store: no SHA-256");
	if (!engine_has_room(s->engine))
		deliver_answer(d, DELIVERY_NO_SPACE, SPAN(""));
	return 0;
}

int deliver_rcpt(struct store_peer *edge, const struct msg_delivery_rcpt *m)
{
	struct delivery *d = find_of(edge, m->delivery);
	if (!d)
		return 0; /* answered already (there is no room): edge will see that */
	if (d->received || d->has_end || d->recipient_count == RECIPIENTS_MOST)
		return -1;
	if (d->recipient_count == d->recipient_room) {
		d->recipient_room = d->recipient_room ? d->recipient_room * 2 : 4;
		d->recipients = xrealloc_array(d->recipients, d->recipient_room, sizeof *d->recipients);
	}
	d->recipients[d->recipient_count++] = (struct given_recipient){
		.address = arena_dup(&d->recipients_memory, m->address), .orcpt = arena_dup(&d->recipients_memory, m->orcpt), .notify = m->notify};
	return 0;
}

static void try_to_finish(struct delivery *d);

static void on_staged(void *context)
{
	struct delivery *d = context;
	struct store_peer *edge = store_peer(d->store, d->edge);
	d->writing--;
	if (!edge) {
		deliver_free(d);
		return;
	}
	channel_send(edge->channel, delivery_credit, .delivery = d->id, .pieces = 1);
	if (d->has_end)
		try_to_finish(d);
}

/* Writes the full block as a piece of the blob, unsynced: the batch that accepts the message syncs it too. */
static void stage_block(struct delivery *d)
{
	struct batch b = {0};
	if (d->blocks_staged == 0)
		queue_stage(&b, d->blob); /* so that a start after a crash finds what to sweep */
	batch_blob_put(&b, d->blob, ++d->blocks_staged, buf_span(&d->block));
	buf_clear(&d->block);
	d->writing++;
	store_commit(d->store, &b, on_staged, d);
}

int deliver_piece(struct store_peer *edge, const struct msg_delivery_piece *m)
{
	struct delivery *d = find_of(edge, m->delivery);
	if (!d)
		return 0; /* answered already (its filter has gone): edge will see that */
	if (d->has_end || m->bytes.len == 0 || d->writing >= DELIVERY_AHEAD_MOST)
		return -1; /* not behind the end, and not ahead of its credits */
	EVP_DigestUpdate(d->sha256, m->bytes.ptr, m->bytes.len);
	d->received += m->bytes.len;
	struct span rest = m->bytes;
	bool has_staged = false;
	while (rest.len) {
		if (d->block.len == BLOB_PIECE_BYTES) {
			stage_block(d);
			has_staged = true;
		}
		struct span part = span_slice(rest, 0, BLOB_PIECE_BYTES - d->block.len);
		buf_add(&d->block, part);
		rest = span_skip(rest, part.len);
	}
	if (!has_staged)
		channel_send(edge->channel, delivery_credit, .delivery = d->id, .pieces = 1);
	return 0;
}

int deliver_end(struct store_peer *edge, const struct msg_delivery_end *m)
{
	struct delivery *d = find_of(edge, m->delivery);
	if (!d)
		return 0;
	if (d->has_end || m->size != d->received)
		return -1;
	if (d->block.len && (d->blocks_staged || d->block.len > BLOB_INLINE_MOST))
		stage_block(d);
	EVP_DigestFinal_ex(d->sha256, d->digest, NULL);
	d->has_end = true;
	d->is_parked = m->is_parked;
	if (d->is_parked && d->kind != DELIVERY_APPEND)
		return -1;
	try_to_finish(d);
	return 0;
}

int deliver_cancel(struct store_peer *edge, const struct msg_delivery_cancel *m)
{
	struct delivery *d = find_of(edge, m->delivery);
	if (d && !d->is_sent_on)
		deliver_free(d);
	return 0;
}

int deliver_verdict(struct store_peer *filter, const struct msg_verdict *m)
{
	struct delivery *d = map_get(&filter->store->deliveries, id128_hash(m->delivery));
	if (m->sha256.len != sizeof d->judged_digest || (d && !id128_equal(d->id, m->delivery)))
		return -1;
	if (!d) {
		forget_orphans(filter->store);
		d = new_delivery(filter->store, m->delivery);
		d->filter = (uint8_t)filter->index;
	}
	if (d->has_verdict || d->filter != filter->index)
		return -1;
	d->has_verdict = true;
	d->verdict = m->outcome;
	d->is_junk = m->is_junk;
	d->is_held = m->is_held;
	d->has_sender = m->has_sender;
	d->judged_size = m->size;
	d->header_bytes = m->header_bytes;
	d->has_8bit = m->has_8bit;
	d->is_tls_optional = m->is_tls_optional;
	memcpy(d->judged_digest, m->sha256.ptr, sizeof d->judged_digest);
	buf_add(&d->sender, m->sender);
	buf_add(&d->rcpt_added, m->rcpt_added);
	buf_add(&d->rcpt_removed, m->rcpt_removed);
	buf_add(&d->text, m->text);
	buf_add(&d->tls_report, m->tls_report);
	buf_add(&d->prefix, m->prefix);
	buf_add(&d->cuts, m->cuts);
	buf_add(&d->authors, m->authors);
	buf_add(&d->message_id, m->message_id);
	buf_add(&d->thread_ids, m->thread_ids);
	buf_add(&d->cache, m->cache);
	try_to_finish(d);
	return 0;
}

/* ---- deciding ---- */

/* Users write only in their own name: every author address must be theirs (RFC 6409 §8.1). RCPT_LOCAL, RCPT_UNKNOWN, or RCPT_LATER. */
static enum rcpt_outcome authors_are_own(struct delivery *d)
{
	ARENA_AUTO a = {0};
	struct span *authors;
	ssize_t count = words_unpack(buf_span(&d->authors), &a, &authors);
	enum rcpt_outcome outcome = count > 0 ? RCPT_LOCAL : RCPT_UNKNOWN;
	for (ssize_t i = 0; i < count && outcome == RCPT_LOCAL; i++)
		outcome = directory_owns(d->store, d->account, authors[i], &d->look);
	return outcome;
}

static void on_table_answer(struct store *s, void *context)
{
	struct id128 *id = context;
	struct delivery *d = find(s, *id);
	free(id);
	if (!d || !d->is_asking)
		return;
	d->is_asking = false;
	try_to_finish(d);
}

void deliver_wait_for_table(struct delivery *d)
{
	struct id128 *id = xcalloc(1, sizeof *id);
	*id = d->id;
	d->is_asking = true;
	tables_wait(d->store, d->look.question, on_table_answer, id);
}

struct delivery *deliver_parked(struct store_peer *edge, uint64_t session, struct id128 id)
{
	struct delivery *d = find_of(edge, id);
	return d && d->has_parked && !d->is_sent_on && d->session == session ? d : NULL;
}

static void park(struct delivery *d)
{
	d->has_parked = true;
	deliver_say(d, DELIVERY_ALL_RECIPIENTS, DELIVERY_PARKED, SPAN(""), 0, 0);
}

static void finish_good(struct delivery *d)
{
	enum rcpt_outcome authors = d->kind == DELIVERY_SUBMISSION ? authors_are_own(d) : RCPT_LOCAL;
	if (authors == RCPT_LATER && d->look.question)
		deliver_wait_for_table(d);
	else if (authors != RCPT_LOCAL)
		deliver_answer(d, authors == RCPT_LATER ? DELIVERY_LATER : DELIVERY_NOT_YOURS, SPAN(""));
	else if (d->verdict == VERDICT_DISCARD)
		deliver_discard(d);
	else if (d->is_parked)
		park(d);
	else
		deliver_write(d);
}

static void try_to_finish(struct delivery *d)
{
	if (!d->has_end || !d->has_verdict || d->writing || d->is_sent_on || d->is_asking || d->has_parked)
		return;
	if (d->verdict == VERDICT_REFUSE) {
		deliver_answer(d, DELIVERY_REFUSED, buf_span(&d->text));
	} else if (d->verdict == VERDICT_LATER) {
		deliver_answer(d, DELIVERY_LATER, buf_span(&d->text));
	} else if (d->judged_size != d->received || memcmp(d->judged_digest, d->digest, sizeof d->digest)) {
		/* filter judged other bytes than we were given */
		log_event(LOG_LEVEL_ERROR, "verdict-of-other-bytes", log_n("filter", d->filter));
		deliver_answer(d, DELIVERY_LATER, SPAN(""));
	} else {
		finish_good(d);
	}
}

/* ---- faults ---- */

/* A verdict that is still on its way will find no delivery: nothing is stored, and the answer is true. */
void deliver_filter_lost(struct store_peer *edge, const struct msg_delivery_filter_lost *m)
{
	struct delivery *d = find_of(edge, m->delivery);
	if (d && !d->has_verdict)
		deliver_answer(d, DELIVERY_LATER, SPAN(""));
}

void deliver_query(struct store_peer *edge, const struct msg_delivery_query *m)
{
	struct store *s = edge->store;
	ARENA_AUTO a = {0};
	struct targets targets = {0};
	struct session *session = session_find(edge, m->session);
	enum delivery_outcome outcome = DELIVERY_UNKNOWN;
	if (queue_has_delivery(s, m->delivery))
		outcome = QUEUED;
	if (m->address.len)
		directory_resolve(s, m->address, false, &a, &targets);
	else if (session && session->account)
		targets_add(&a, &targets, session->account, SPAN(""));
	for (size_t i = 0; i < targets.count && outcome == DELIVERY_UNKNOWN; i++)
		if (targets.list[i].account && queue_account_has(s, targets.list[i].account, m->delivery))
			outcome = DELIVERED;
	channel_send(edge->channel, delivery_result, .delivery = m->delivery, .token = m->token,
	             .recipient = m->recipient, .outcome = (uint8_t)outcome);
}

void deliver_peer_gone(struct store *s, const struct store_peer *peer)
{
	size_t at = 0;
	struct delivery *d;
	while ((d = map_next(&s->deliveries, &at))) {
		if (peer->role == ROLE_FILTER && d->has_begun && !d->has_verdict && d->filter == peer->index)
			deliver_answer(d, DELIVERY_LATER, SPAN(""));
		else if (d->has_begun && d->edge == peer->id)
			deliver_free(d);
	}
}

void deliver_walk_blobs(struct store *s, void (*each)(void *context, struct id128 blob), void *context)
{
	size_t at = 0;
	const struct delivery *d;
	while ((d = map_next(&s->deliveries, &at)))
		each(context, d->blob);
}
