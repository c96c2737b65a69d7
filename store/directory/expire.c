/* Rows: "l" target NUL mailbox -> u8 version, u64 seconds. Neither has a NUL. */
#include "store/directory/expire.h"

#include "base/pack.h"
#include "store/directory/directory.h"

enum { EXPIRE_VERSION = 1 };

static void make_key(struct buf *key, struct span target, struct span mailbox)
{
	buf_add_char(key, 'l');
	buf_add(key, target);
	buf_add_char(key, 0);
	buf_add(key, mailbox);
}

void expire_put(struct batch *b, const struct expire_rule *rule)
{
	BUF_AUTO key = {0}, value = {0};
	make_key(&key, rule->target, rule->mailbox);
	pack_u8(&value, EXPIRE_VERSION);
	pack_u64(&value, rule->after_s);
	batch_put(b, DIRECTORY, buf_span(&key), buf_span(&value));
}

int expire_get(struct store *s, struct span target, struct span mailbox, uint64_t *after_s, struct error *why)
{
	BUF_AUTO key = {0}, value = {0};
	make_key(&key, target, mailbox);
	int found = engine_get(s->engine, DIRECTORY, buf_span(&key), &value, why);
	struct unpacker u = {.rest = buf_span(&value)};
	if (found > 0 && unpack_u8(&u) == EXPIRE_VERSION)
		*after_s = unpack_u64(&u);
	return found;
}

void expire_delete(struct batch *b, struct span target, struct span mailbox)
{
	BUF_AUTO key = {0};
	make_key(&key, target, mailbox);
	batch_delete(b, DIRECTORY, buf_span(&key));
}

void expire_walk(struct store *s, struct span target, void (*each)(void *context, const struct expire_rule *rule), void *context)
{
	BUF_AUTO from = {0}, to = {0};
	if (target.len) {
		make_key(&from, target, SPAN(""));
		make_key(&to, target, SPAN(""));
		to.ptr[to.len - 1] = 1;
	} else {
		buf_add_cstr(&from, "l");
		buf_add_cstr(&to, "m");
	}
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, buf_span(&from), buf_span(&to));
	struct span key, value;
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct span name = span_skip(key, 1);
		ssize_t end = span_chr(name, 0);
		struct unpacker u = {.rest = value};
		if (end < 0 || unpack_u8(&u) != EXPIRE_VERSION)
			continue;
		struct expire_rule rule = {span_slice(name, 0, (size_t)end), span_skip(name, (size_t)end + 1), unpack_u64(&u)};
		each(context, &rule);
	}
	engine_scan_close(scan);
}

static void delete_one(void *context, const struct expire_rule *rule)
{
	expire_delete(context, rule->target, rule->mailbox);
}

void expire_delete_all(struct store *s, struct batch *b, struct span target)
{
	expire_walk(s, target, delete_one, b);
}
