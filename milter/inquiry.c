/* Messages: see inquiry.h. */
#include "milter/inquiry.h"

#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "ipc/words.h"
#include "milter/dialogue.h"

#include <stdlib.h>

enum { INQUIRY_MOST_MS = 9 * 60 * 1000 }; /* clients wait ten minutes for the answer to the final dot (RFC 5321 §4.5.3.2.6) */

static struct inquiry *find(struct milter_peer *peer, struct id128 id)
{
	struct inquiry *m = map_get(&peer->milter->inquiries, id128_hash(id));
	return m && m->peer == peer && id128_equal(m->id, id) ? m : NULL;
}

static void free_inquiry(struct inquiry *m)
{
	struct milter_process *p = m->milter;
	map_take(&p->inquiries, id128_hash(m->id));
	dialogue_free(m->dialogue);
	loop_later_cancel(p->loop, &m->turn);
	timer_free(m->deadline);
	if (p->spool)
		spool_free(p->spool, &m->spooled);
	milter_header_free(&m->header);
	arena_free(&m->memory);
	struct buf *bufs[] = {&m->reverse_path, &m->address, &m->name, &m->helo, &m->tls, &m->user, &m->link_key, &m->text, &m->sender, &m->added, &m->removed};
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
		buf_free(bufs[i]);
	for (size_t i = 0; i < DELIVERY_AHEAD_MOST; i++)
		buf_free(&m->pieces[i]);
	milters_leave(m->milters);
	free(m);
}

struct span inquiry_client_address(const struct inquiry *m)
{
	return m->kind == DELIVERY_LOCAL ? SPAN("127.0.0.1") : buf_span(&m->address);
}

struct span inquiry_client_name(const struct inquiry *m)
{
	return m->kind == DELIVERY_LOCAL ? SPAN("localhost") : m->name.len ? buf_span(&m->name) : SPAN("unknown");
}

/* ---- the answer ---- */

/* Packed texts as a list of words. */
static void pack_list(const struct buf *packed, size_t count, struct buf *out)
{
	ARENA_AUTO a = {0};
	struct span *words = arena_alloc_array(&a, count + 1, sizeof *words);
	struct unpacker u = {.rest = buf_span(packed)};
	for (size_t i = 0; i < count; i++)
		words[i] = unpack_bytes(&u, u.rest.len);
	words_pack(out, words, count);
}

static void count_outcome(const struct inquiry *m)
{
	struct milter_process *p = m->milter;
	p->asked_count++;
	p->held_count += m->outcome == VERDICT_ACCEPT && m->is_held;
	p->refused_count += m->outcome == VERDICT_REFUSE;
	p->later_count += m->outcome == VERDICT_LATER;
	p->discarded_count += m->outcome == VERDICT_DISCARD;
}

static void put_off(struct inquiry *m, const char *text)
{
	m->outcome = VERDICT_LATER;
	buf_clear(&m->text);
	buf_add_cstr(&m->text, text);
}

static void answer(struct inquiry *m)
{
	BUF_AUTO above = {0}, behind = {0}, removed = {0}, rcpt_added = {0}, rcpt_removed = {0};
	bool is_too_much = m->added_count > WORDS_MOST || m->removed_count > WORDS_MOST || m->added.len + 4 > MILTER_LIST_MOST || m->removed.len + 4 > MILTER_LIST_MOST;
	if (m->outcome == VERDICT_ACCEPT && is_too_much)
		put_off(m, "452 4.5.3 The milters change too many recipients");
	count_outcome(m);
	if (m->outcome == VERDICT_ACCEPT) {
		pack_list(&m->added, m->added_count, &rcpt_added);
		pack_list(&m->removed, m->removed_count, &rcpt_removed);
		milter_header_front(&m->header, true, &above);
		milter_header_front(&m->header, false, &behind);
	}
	for (size_t i = 0; m->outcome == VERDICT_ACCEPT && i < m->header.removed_count; i++)
		pack_u32(&removed, m->header.removed[i]);
	channel_send(m->peer->channel, milter_answer, .delivery = m->id, .outcome = (uint8_t)m->outcome, .text = buf_span(&m->text), .is_held = m->is_held,
	             .has_sender = m->has_sender, .sender = buf_span(&m->sender), .rcpt_added = buf_span(&rcpt_added), .rcpt_removed = buf_span(&rcpt_removed),
	             .above = buf_span(&above), .behind = buf_span(&behind), .removed = buf_span(&removed), .came = m->header.came);
	free_inquiry(m);
}

/* ---- turns ---- */

static void next_turn(void *context)
{
	struct inquiry *m = context;
	if (m->dialogue) {
		dialogue_free(m->dialogue);
		m->dialogue = NULL;
		m->target++;
	}
	if (m->outcome == VERDICT_ACCEPT && m->is_late && m->target < m->milters->count)
		put_off(m, "451 4.7.1 The milters take too long, try again later");
	if (m->outcome != VERDICT_ACCEPT || m->target == m->milters->count)
		answer(m);
	else
		m->dialogue = dialogue_new(m);
}

void inquiry_dialogue_over(struct inquiry *m)
{
	inquiry_body_unwanted(m);
	loop_later(m->milter->loop, &m->turn);
}

/* Everything but the body is there. */
static void start_if_ready(struct inquiry *m)
{
	if (!m->has_client || !m->has_fields || m->recipient_count < m->recipients_coming)
		return;
	struct span client[] = {inquiry_client_address(m), inquiry_client_name(m), buf_span(&m->helo), buf_span(&m->user), buf_span(&m->tls)};
	words_pack(&m->link_key, client, sizeof client / sizeof client[0]);
	loop_later(m->milter->loop, &m->turn);
}

static void on_deadline(void *context)
{
	struct inquiry *m = context;
	m->is_late = true;
	if (m->dialogue)
		dialogue_lost(m->dialogue, "it has not answered in nine minutes");
}

/* ---- from filter ---- */

int inquiry_begin(struct milter_peer *peer, const struct msg_milter_begin *b)
{
	struct milter_process *p = peer->milter;
	if (map_get(&p->inquiries, id128_hash(b->delivery)))
		return -1;
	struct inquiry *m = xcalloc(1, sizeof *m);
	*m = (struct inquiry){.milter = p, .peer = peer, .milters = milters_use(p->milters), .id = b->delivery, .kind = b->kind, .facts = b->facts,
	                      .recipients_coming = b->recipients, .turn = {.fn = next_turn, .context = m}, .outcome = VERDICT_ACCEPT};
	buf_add(&m->reverse_path, b->reverse_path);
	buf_add(&m->address, b->client_address);
	buf_add(&m->helo, b->helo);
	buf_add(&m->tls, b->tls);
	buf_add(&m->user, b->user);
	m->recipients = arena_alloc_array(&m->memory, b->recipients, sizeof *m->recipients);
	m->deadline = timer_new(p->loop, on_deadline, m);
	map_put(&p->inquiries, id128_hash(m->id), m);
	return 0;
}

/* A message that is not there has been answered: what comes for it was on its way. */
int inquiry_rcpt(struct milter_peer *peer, const struct msg_milter_rcpt *r)
{
	struct inquiry *m = find(peer, r->delivery);
	if (!m)
		return 0;
	if (m->recipient_count == m->recipients_coming)
		return -1;
	m->recipients[m->recipient_count++] = arena_dup(&m->memory, r->address);
	start_if_ready(m);
	return 0;
}

int inquiry_client(struct milter_peer *peer, const struct msg_milter_client *c)
{
	struct inquiry *m = find(peer, c->delivery);
	if (!m)
		return 0;
	if (m->has_client)
		return -1;
	m->has_client = true;
	buf_add(&m->name, c->name);
	start_if_ready(m);
	return 0;
}

int inquiry_fields(struct milter_peer *peer, const struct msg_milter_fields *f)
{
	struct inquiry *m = find(peer, f->delivery);
	if (!m)
		return 0;
	if (m->has_fields || milter_header_take(&m->header, f->fields))
		return -1;
	m->has_fields = f->is_last;
	start_if_ready(m);
	return 0;
}

static void give_credit(struct inquiry *m, size_t pieces)
{
	if (pieces)
		channel_send(m->peer->channel, milter_credit, .delivery = m->id, .pieces = (uint32_t)pieces);
}

static bool is_spooled(const struct inquiry *m)
{
	return m->milters->count > 1;
}

static void spool(struct inquiry *m, struct span bytes)
{
	struct milter_process *p = m->milter;
	if (m->spool_fault.text[0])
		return;
	if (!p->spool)
		error_set(&m->spool_fault, 0, "there is no file for messages: see no-spool at the start of this process");
	else
		spool_add(p->spool, &m->spooled, bytes, &m->spool_fault);
}

int inquiry_piece(struct milter_peer *peer, const struct msg_milter_piece *p)
{
	struct inquiry *m = find(peer, p->delivery);
	if (!m)
		return 0;
	if (!m->has_fields || m->has_ended || m->piece_count == DELIVERY_AHEAD_MOST)
		return -1;
	m->body_size += p->bytes.len;
	if (is_spooled(m))
		spool(m, p->bytes);
	else if (!m->dialogue || dialogue_wants_body(m->dialogue))
		buf_add(&m->pieces[m->piece_count++], p->bytes);
	if (!m->piece_count)
		give_credit(m, 1);
	if (m->dialogue)
		dialogue_body_there(m->dialogue);
	return 0;
}

int inquiry_end(struct milter_peer *peer, const struct msg_milter_end *e)
{
	struct inquiry *m = find(peer, e->delivery);
	if (!m)
		return 0;
	if (m->has_ended || !m->has_fields || e->size != m->body_size)
		return -1;
	m->has_ended = true;
	timer_set(m->deadline, INQUIRY_MOST_MS);
	if (m->dialogue)
		dialogue_body_there(m->dialogue);
	return 0;
}

void inquiry_cancel(struct milter_peer *peer, struct id128 delivery)
{
	struct inquiry *m = find(peer, delivery);
	if (m)
		free_inquiry(m);
}

void inquiry_peer_gone(struct milter_peer *peer)
{
	size_t at = 0;
	struct inquiry *m;
	while ((m = map_next(&peer->milter->inquiries, &at)))
		if (m->peer == peer)
			free_inquiry(m);
}

/* ---- the body ---- */

static void drop_piece(struct inquiry *m)
{
	struct buf first = m->pieces[0];
	memmove(m->pieces, m->pieces + 1, (DELIVERY_AHEAD_MOST - 1) * sizeof m->pieces[0]);
	buf_free(&first);
	m->pieces[DELIVERY_AHEAD_MOST - 1] = (struct buf){0};
	m->piece_count--;
	m->piece_at = 0;
	give_credit(m, 1);
}

void inquiry_body_unwanted(struct inquiry *m)
{
	while (m->piece_count)
		drop_piece(m);
}

int inquiry_body(struct inquiry *m, uint64_t at, size_t most, struct buf *out, struct error *why)
{
	if (m->spool_fault.text[0]) {
		*why = m->spool_fault;
		return -1;
	}
	if (is_spooled(m))
		return m->spooled.size ? spool_read(m->milter->spool, &m->spooled, at, most, out, why) : 0;
	if (!m->piece_count)
		return 0;
	struct span part = span_slice(buf_span(&m->pieces[0]), m->piece_at, most);
	buf_add(out, part);
	m->piece_at += part.len;
	if (m->piece_at == m->pieces[0].len)
		drop_piece(m);
	return 0;
}
