/* The accept record: packing and reading. */
#include "store/queue/schedule.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/pack.h"
#include "wire/smtp.h"

#include <stdio.h>
#include <stdlib.h>

/* Earlier builds wrote RECORD_WITHOUT_..., without what the next one brought. */
enum { RECORD_VERSION = 5, RECORD_WITHOUT_SUBMITTER = 4, RECORD_WITHOUT_PRIORITY = 3, RECORD_WITHOUT_VIA = 2, RECORD_WITHOUT_DSN = 1 };

enum { VIA_BYTES_MOST = 600 }; /* a domain, or a program: "|", a user's name, ":", PROGRAM_BYTES_MOST */
enum { HOLD_MOST_MS = 366 * 86400 * 1000ll }; /* hold_most's largest value: config/settings.def */

void queue_key(struct buf *key, char letter, struct id128 id)
{
	buf_clear(key);
	buf_add_char(key, letter);
	buf_add(key, id128_span(&id));
}

struct queued *queued_new(struct queue *q, struct id128 id)
{
	struct queued *m = xcalloc(1, sizeof *m);
	m->queue = q;
	m->id = id;
	return m;
}

void queued_free(struct queued *m)
{
	for (uint32_t i = 0; i < m->recipient_count; i++) {
		free(m->recipients[i].address);
		free(m->recipients[i].last);
		free(m->recipients[i].orcpt);
		free(m->recipients[i].via);
	}
	free(m->recipients);
	free(m->reverse_path);
	free(m->envid);
	if (m->message)
		accepted_release(m->message);
	buf_free(&m->events);
	free(m);
}

int64_t queue_wall_ms(int64_t monotonic_ms)
{
	return monotonic_ms - clock_monotonic_ms() + clock_wall_ms();
}

/* How far the wall clock is ahead of the monotonic one. */
static int64_t wall_offset_ms(void)
{
	return clock_wall_ms() - clock_monotonic_ms();
}

/* The record's times may be anything. offset_ms: what turned them into times of the wall clock. */
static int64_t past_of(int64_t wall_ms, int64_t offset_ms)
{
	int64_t now = clock_monotonic_ms() + offset_ms;
	int64_t age = wall_ms >= now ? 0 : wall_ms < 0 ? now : now - wall_ms;
	return clock_monotonic_ms() - age;
}

static int64_t wait_until(int64_t wall_ms, int64_t offset_ms, int64_t most_ms)
{
	int64_t now = clock_monotonic_ms() + offset_ms;
	if (wall_ms <= now)
		return 0;
	return wall_ms - now < most_ms ? wall_ms - now : most_ms;
}

int64_t queued_age_ms(const struct queued *m)
{
	return clock_monotonic_ms() - m->created_ms - (int64_t)m->hold_ms;
}

void queued_hurry(struct queued *m)
{
	int64_t from = queued_age_ms(m) < 0 ? m->created_ms + (int64_t)m->hold_ms : 0;
	for (uint32_t i = 0; i < m->recipient_count; i++)
		m->recipients[i].next_ms = from;
}

void queued_pack(const struct queued *m, struct buf *out)
{
	pack_u8(out, RECORD_VERSION);
	pack_u64(out, m->queue->life);
	pack_u64(out, (uint64_t)wall_offset_ms());
	buf_add(out, id128_span(&m->blob));
	pack_u64(out, m->size);
	pack_u64(out, m->received);
	pack_u32(out, m->return_path_bytes);
	pack_u16(out, m->facts);
	pack_u8(out, m->is_shared);
	pack_bytes(out, span_cstr(m->reverse_path));
	pack_u8(out, m->ret);
	pack_bytes(out, span_cstr(m->envid ? m->envid : ""));
	pack_u8(out, m->priority);
	pack_u64(out, m->submitter);
	pack_u64(out, (uint64_t)queue_wall_ms(m->created_ms));
	pack_u64(out, m->hold_ms);
	pack_u32(out, m->recipient_count);
	for (uint32_t i = 0; i < m->recipient_count; i++) {
		const struct recipient *r = &m->recipients[i];
		pack_u64(out, r->account);
		pack_bytes(out, span_cstr(r->address));
		/* what is being tried when we crash is tried again */
		pack_u8(out, (uint8_t)(r->state == RECIPIENT_TRYING ? RECIPIENT_WAITING : r->state));
		pack_u32(out, r->attempts);
		pack_u64(out, (uint64_t)queue_wall_ms(r->next_ms));
		pack_bytes(out, span_cstr(recipient_status(r)));
		pack_bytes(out, span_cstr(recipient_host(r)));
		pack_bytes(out, span_cstr(recipient_text(r)));
		pack_u8(out, r->notify);
		pack_u8(out, r->report);
		pack_bytes(out, span_cstr(r->orcpt ? r->orcpt : ""));
		pack_bytes(out, span_cstr(r->via ? r->via : ""));
	}
}

static void unpack_recipient(struct unpacker *u, struct recipient *r, int64_t offset_ms, int64_t wait_most_ms, uint8_t version)
{
	r->account = unpack_u64(u);
	r->address = span_strdup(unpack_bytes(u, 512));
	r->state = unpack_u8(u);
	r->attempts = unpack_u32(u);
	r->next_ms = clock_monotonic_ms() + wait_until((int64_t)unpack_u64(u), offset_ms, wait_most_ms);
	char status[sizeof r->last->status];
	struct span written = unpack_bytes(u, sizeof status - 1), host = unpack_bytes(u, 255), text = unpack_bytes(u, 512);
	snprintf(status, sizeof status, "%.*s", SPAN_ARG(written));
	if (written.len || host.len || text.len)
		recipient_set_last(r, status, text, host);
	if (version <= RECORD_WITHOUT_DSN)
		return;
	r->notify = unpack_u8(u);
	r->report = unpack_u8(u);
	struct span orcpt = unpack_bytes(u, SMTP_ORCPT_MAX);
	r->orcpt = orcpt.len ? span_strdup(orcpt) : NULL;
	struct span via = version <= RECORD_WITHOUT_VIA ? SPAN("") : unpack_bytes(u, VIA_BYTES_MOST);
	r->via = via.len ? span_strdup(via) : NULL;
}

/* The bits that are store's alone stood three lower. */
static uint16_t unpack_facts(struct unpacker *u, uint8_t version)
{
	if (version > RECORD_WITHOUT_PRIORITY)
		return unpack_u16(u);
	unsigned facts = unpack_u8(u);
	return (uint16_t)((facts & 7) | (facts & 56) << 3);
}

/* A record of this process's life has times that do not depend on what became of the wall clock since; of others that clock is believed. */
static int64_t unpack_offset(const struct queue *q, struct unpacker *u, uint8_t version)
{
	bool has_life = version > RECORD_WITHOUT_PRIORITY;
	uint64_t life = has_life ? unpack_u64(u) : 0;
	int64_t offset = has_life ? (int64_t)unpack_u64(u) : 0, now = wall_offset_ms();
	bool is_ours = q && has_life && life == q->life;
	return is_ours ? offset : now;
}

static void unpack_head(struct queued *m, struct unpacker *u, uint8_t version)
{
	unpack_id128(u, &m->blob);
	m->size = unpack_u64(u);
	m->received = unpack_u64(u);
	m->return_path_bytes = unpack_u32(u);
	m->facts = unpack_facts(u, version);
	m->is_shared = unpack_u8(u) != 0;
}

int queued_unpack_blob(struct span value, struct id128 *blob, bool *is_shared)
{
	struct unpacker u = {.rest = value};
	struct queued m = {0};
	uint8_t version = unpack_u8(&u);
	unpack_offset(NULL, &u, version);
	unpack_head(&m, &u, version);
	*blob = m.blob;
	*is_shared = m.is_shared;
	return u.bad || version < RECORD_WITHOUT_DSN || version > RECORD_VERSION ? -1 : 0;
}

/* What stands behind the head, up to the times. */
struct envelope {
	struct span reverse_path, envid;
	uint8_t ret, priority;
	uint64_t submitter;
};

static void unpack_envelope(struct envelope *e, struct unpacker *u, uint8_t version)
{
	bool has_dsn = version != RECORD_WITHOUT_DSN;
	e->reverse_path = unpack_bytes(u, 512);
	e->ret = has_dsn ? unpack_u8(u) : SMTP_RET_UNSAID;
	e->envid = has_dsn ? unpack_bytes(u, SMTP_ENVID_MAX) : SPAN("");
	e->priority = version > RECORD_WITHOUT_PRIORITY ? unpack_u8(u) : PRIORITY_NORMAL;
	e->submitter = version > RECORD_WITHOUT_SUBMITTER ? unpack_u64(u) : 0;
}

uint64_t queued_unpack_submitter(struct span value)
{
	struct unpacker u = {.rest = value};
	struct queued m = {0};
	struct envelope e;
	uint8_t version = unpack_u8(&u);
	unpack_offset(NULL, &u, version);
	unpack_head(&m, &u, version);
	unpack_envelope(&e, &u, version);
	return u.bad || version > RECORD_VERSION ? 0 : e.submitter;
}

int queued_unpack(struct queued *m, struct span value, int64_t wait_most_ms)
{
	struct unpacker u = {.rest = value};
	struct envelope e;
	uint8_t version = unpack_u8(&u);
	int64_t offset_ms = unpack_offset(m->queue, &u, version);
	unpack_head(m, &u, version);
	unpack_envelope(&e, &u, version);
	m->reverse_path = span_strdup(e.reverse_path);
	m->ret = e.ret;
	m->envid = e.envid.len ? span_strdup(e.envid) : NULL;
	m->priority = e.priority;
	m->submitter = e.submitter;
	bool has_priority = version > RECORD_WITHOUT_PRIORITY;
	m->created_ms = past_of((int64_t)unpack_u64(&u), offset_ms);
	uint64_t hold_ms = has_priority ? unpack_u64(&u) : 0;
	m->hold_ms = hold_ms <= HOLD_MOST_MS ? hold_ms : 0;
	if (-queued_age_ms(m) > wait_most_ms)
		wait_most_ms = -queued_age_ms(m);
	uint32_t count = unpack_u32(&u);
	if (version < RECORD_WITHOUT_DSN || version > RECORD_VERSION || u.bad || count > value.len || m->priority >= PRIORITIES ||
	    hold_ms > HOLD_MOST_MS)
		return -1;
	m->recipients = xcalloc(count, sizeof *m->recipients);
	for (uint32_t i = 0; i < count; i++)
		unpack_recipient(&u, &m->recipients[m->recipient_count++], offset_ms, wait_most_ms, version);
	return unpack_done(&u) ? 0 : -1;
}

struct span recipient_program(const struct recipient *r)
{
	return r->via && r->via[0] == '|' ? span_cstr(r->via + 1) : SPAN("");
}

char *recipient_make_program(struct span program)
{
	BUF_AUTO via = {0};
	buf_add_char(&via, '|');
	buf_add(&via, program);
	return span_strdup(buf_span(&via));
}

void recipient_set_last(struct recipient *r, const char *status, struct span text, struct span host)
{
	text = span_slice(text, 0, 512);
	host = span_slice(host, 0, 255);
	struct attempt *last = xcalloc(1, sizeof *last + host.len + 1 + text.len + 1);
	snprintf(last->status, sizeof last->status, "%s", status);
	last->text = last->words + host.len + 1; /* both end in a NUL by themselves */
	if (host.len)
		memcpy(last->words, host.ptr, host.len);
	if (text.len)
		memcpy(last->words + host.len + 1, text.ptr, text.len);
	free(r->last);
	r->last = last;
}

const char *recipient_status(const struct recipient *r)
{
	return r->last ? r->last->status : "";
}

const char *recipient_host(const struct recipient *r)
{
	return r->last ? r->last->words : "";
}

const char *recipient_text(const struct recipient *r)
{
	return r->last ? r->last->text : "";
}

bool recipient_has_news(const struct recipient *r)
{
	return r->state == RECIPIENT_FAILED || (r->state == RECIPIENT_DONE && r->report != REPORT_NONE);
}

struct span recipient_domain(const struct recipient *r)
{
	struct span address = span_cstr(r->address);
	return span_skip(address, (size_t)(span_rchr(address, '@') + 1));
}
