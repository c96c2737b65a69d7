/* Rows: "q" name -> u8 version, u64 bytes, u64 messages. */
#include "store/directory/quota.h"

#include "base/log.h"
#include "base/pack.h"
#include "store/directory/directory.h"

enum { QUOTA_VERSION = 1 };

static void make_key(struct buf *key, struct span name)
{
	buf_add_char(key, 'q');
	buf_add(key, name);
}

static int unpack(struct span value, struct quota *out)
{
	struct unpacker u = {.rest = value};
	bool is_known = unpack_u8(&u) == QUOTA_VERSION;
	*out = (struct quota){.bytes = unpack_u64(&u), .messages = unpack_u64(&u)};
	return unpack_done(&u) && is_known ? 0 : -1;
}

int quota_get(struct store *s, struct span name, struct quota *out)
{
	BUF_AUTO key = {0}, value = {0};
	struct error why = {0};
	*out = (struct quota){0};
	make_key(&key, name);
	int found = engine_get(s->engine, DIRECTORY, buf_span(&key), &value, &why);
	if (found > 0 && unpack(buf_span(&value), out))
		found = -1;
	if (found < 0)
		log_event(LOG_LEVEL_ERROR, "quota-unread", log_s("name", name), log_c("why", why.text), log_c("do", "set it again: `carteiro quota set`"));
	return found;
}

void quota_put(struct batch *b, struct span name, const struct quota *q)
{
	BUF_AUTO key = {0}, value = {0};
	make_key(&key, name);
	pack_u8(&value, QUOTA_VERSION);
	pack_u64(&value, q->bytes);
	pack_u64(&value, q->messages);
	batch_put(b, DIRECTORY, buf_span(&key), buf_span(&value));
}

void quota_delete(struct batch *b, struct span name)
{
	BUF_AUTO key = {0};
	make_key(&key, name);
	batch_delete(b, DIRECTORY, buf_span(&key));
}

void quota_walk(struct store *s, void (*each)(void *context, struct span name, const struct quota *q), void *context)
{
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, SPAN("q"), SPAN("r"));
	struct span key, value;
	struct quota quota;
	while (engine_scan_next(scan, &key, &value, NULL) > 0)
		if (unpack(value, &quota) == 0)
			each(context, span_skip(key, 1), &quota);
	engine_scan_close(scan);
}

struct quota quota_of_account(struct store *s, struct span address)
{
	BUF_AUTO name = {0};
	struct quota quota;
	if (quota_get(s, address, &quota) > 0)
		return quota;
	buf_add_cstr(&name, "*@");
	buf_add(&name, address_domain(address));
	if (quota_get(s, buf_span(&name), &quota) > 0)
		return quota;
	return (struct quota){.bytes = child_config(s->self)->user_quota_bytes};
}

struct quota quota_of_domain(struct store *s, struct span address)
{
	BUF_AUTO name = {0};
	struct quota quota;
	buf_add_cstr(&name, "@");
	buf_add(&name, address_domain(address));
	quota_get(s, buf_span(&name), &quota);
	return quota;
}
