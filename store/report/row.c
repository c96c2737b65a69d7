/* Row: "r" id -> u8 version, u8 state, bytes domain, u64 start, end, due, first, u32 attempts, bytes uris, u8 count, policies. */
#include "store/report/row.h"

#include "base/die.h"
#include "base/pack.h"
#include "ipc/words.h"

#include <stdlib.h>

enum { ROW_VERSION = 1, STRINGS_BYTES_MOST = 8192, URIS_BYTES_MOST = 8192 };

struct report *report_new(struct span domain)
{
	struct report *r = xcalloc(1, sizeof *r);
	r->id = id128_new();
	r->domain = arena_dup(&r->memory, domain);
	return r;
}

void report_free(struct report *r)
{
	arena_free(&r->memory);
	free(r);
}

/* ---- counting ---- */

struct tlsrpt_policy *report_policy(struct report *r, enum tlsrpt_policy_type type, struct span strings, bool may_add)
{
	for (size_t i = 0; i < r->policy_count; i++)
		if (r->policies[i].type == type && span_equal(r->strings[i], strings))
			return &r->policies[i];
	if (r->policy_count == TLSRPT_POLICIES_MOST || !may_add)
		return NULL;
	struct tlsrpt_policy *p = &r->policies[r->policy_count];
	struct span kept = arena_dup(&r->memory, strings), *list;
	ssize_t count = words_unpack(kept, &r->memory, &list);
	*p = (struct tlsrpt_policy){.type = type, .domain = r->domain, .strings = list, .string_count = count < 0 ? 0 : (size_t)count};
	r->strings[r->policy_count++] = kept;
	return p;
}

static bool is_same(const struct tlsrpt_failure *a, const struct tlsrpt_failure *b)
{
	return a->result == b->result && span_equal(a->mx_host, b->mx_host) && span_equal(a->receiving_ip, b->receiving_ip) && span_equal(a->sending_ip, b->sending_ip) &&
	       span_equal(a->mx_helo, b->mx_helo) && span_equal(a->reason, b->reason);
}

static void add_detail(struct report *r, struct tlsrpt_policy *p, const struct tlsrpt_failure *f)
{
	if (!p->details)
		p->details = arena_alloc_array(&r->memory, TLSRPT_FAILURES_MOST, sizeof *p->details);
	p->details[p->detail_count++] = (struct tlsrpt_failure){
		.result = f->result, .count = f->count, .sending_ip = arena_dup(&r->memory, f->sending_ip), .mx_host = arena_dup(&r->memory, f->mx_host),
		.mx_helo = arena_dup(&r->memory, f->mx_helo), .receiving_ip = arena_dup(&r->memory, f->receiving_ip), .reason = arena_dup(&r->memory, f->reason)};
}

void report_add_failure(struct report *r, struct tlsrpt_policy *p, const struct tlsrpt_failure *f, bool may_add)
{
	p->failures += f->count;
	for (size_t i = 0; i < p->detail_count; i++)
		if (is_same(&p->details[i], f)) {
			p->details[i].count += f->count;
			return;
		}
	if (may_add && p->detail_count < TLSRPT_FAILURES_MOST) {
		add_detail(r, p, f);
		return;
	}
	for (size_t i = 0; i < p->detail_count; i++)
		if (p->details[i].result == f->result) {
			p->details[i].count += f->count;
			return;
		}
}

/* ---- rows ---- */

void report_key(struct buf *key, struct id128 id)
{
	buf_add_char(key, 'r');
	buf_add(key, id128_span(&id));
}

static void pack_policy(const struct report *r, size_t i, struct buf *out)
{
	const struct tlsrpt_policy *p = &r->policies[i];
	pack_u8(out, (uint8_t)p->type);
	pack_bytes(out, r->strings[i]);
	pack_u64(out, p->successes);
	pack_u64(out, p->failures);
	pack_u8(out, (uint8_t)p->detail_count);
	for (size_t k = 0; k < p->detail_count; k++) {
		const struct tlsrpt_failure *f = &p->details[k];
		const struct span texts[] = {f->sending_ip, f->mx_host, f->mx_helo, f->receiving_ip, f->reason};
		pack_u8(out, (uint8_t)f->result);
		pack_u64(out, f->count);
		for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++)
			pack_bytes(out, texts[t]);
	}
}

void report_put(struct batch *b, const struct report *r)
{
	BUF_AUTO key = {0}, row = {0};
	report_key(&key, r->id);
	pack_u8(&row, ROW_VERSION);
	pack_u8(&row, (uint8_t)r->state);
	pack_u64(&row, (uint64_t)r->due_s);
	pack_bytes(&row, r->domain);
	pack_u64(&row, (uint64_t)r->start_s);
	pack_u64(&row, (uint64_t)r->end_s);
	pack_u64(&row, (uint64_t)r->first_s);
	pack_u32(&row, r->attempts);
	pack_bytes(&row, r->uris);
	pack_u8(&row, (uint8_t)r->policy_count);
	for (size_t i = 0; i < r->policy_count; i++)
		pack_policy(r, i, &row);
	batch_put(b, DIRECTORY, buf_span(&key), buf_span(&row));
}

void report_delete(struct batch *b, const struct report *r)
{
	BUF_AUTO key = {0};
	report_key(&key, r->id);
	batch_delete(b, DIRECTORY, buf_span(&key));
}

static bool unpack_failure(struct unpacker *u, struct tlsrpt_failure *f)
{
	struct span *const texts[] = {&f->sending_ip, &f->mx_host, &f->mx_helo, &f->receiving_ip, &f->reason};
	uint8_t result = unpack_u8(u);
	f->result = result;
	f->count = unpack_u64(u);
	for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++)
		*texts[t] = unpack_bytes(u, TLSRPT_TEXT_BYTES_MOST);
	return !u->bad && result < TLSRPT_RESULTS;
}

static bool unpack_policy(struct report *r, struct unpacker *u)
{
	uint8_t type = unpack_u8(u);
	struct span strings = unpack_bytes(u, STRINGS_BYTES_MOST);
	struct tlsrpt_policy *p = !u->bad && type < TLSRPT_POLICY_TYPES ? report_policy(r, type, strings, true) : NULL;
	uint64_t successes = unpack_u64(u), failures = unpack_u64(u);
	size_t count = unpack_u8(u);
	if (!p || count > TLSRPT_FAILURES_MOST)
		return false;
	p->successes = successes;
	p->failures = failures;
	for (size_t i = 0; i < count; i++) {
		struct tlsrpt_failure f;
		if (!unpack_failure(u, &f))
			return false;
		add_detail(r, p, &f);
	}
	return true;
}

int report_peek(struct span value, enum report_state *state, int64_t *due_s)
{
	struct unpacker u = {.rest = value};
	uint8_t version = unpack_u8(&u), number = unpack_u8(&u);
	*state = number;
	*due_s = (int64_t)unpack_u64(&u);
	return u.bad || version != ROW_VERSION || number > REPORT_DUE ? -1 : 0;
}

static bool unpack_rest(struct report *r, struct unpacker *u)
{
	r->start_s = (int64_t)unpack_u64(u);
	r->end_s = (int64_t)unpack_u64(u);
	r->first_s = (int64_t)unpack_u64(u);
	r->attempts = unpack_u32(u);
	r->uris = arena_dup(&r->memory, unpack_bytes(u, URIS_BYTES_MOST));
	size_t count = unpack_u8(u);
	bool is_good = !u->bad && count <= TLSRPT_POLICIES_MOST;
	for (size_t i = 0; i < count && is_good; i++)
		is_good = unpack_policy(r, u);
	return is_good && unpack_done(u);
}

struct report *report_unpack(struct span key, struct span value)
{
	enum report_state state;
	int64_t due_s;
	struct unpacker u = {.rest = span_skip(value, 1 + 1 + 8)}, id = {.rest = span_skip(key, 1)};
	if (report_peek(value, &state, &due_s))
		return NULL;
	struct report *r = report_new(unpack_bytes(&u, TLSRPT_TEXT_BYTES_MOST));
	unpack_id128(&id, &r->id);
	r->state = state;
	r->due_s = due_s;
	if (unpack_done(&id) && unpack_rest(r, &u))
		return r;
	report_free(r);
	return NULL;
}
