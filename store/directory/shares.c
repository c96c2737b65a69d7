/* Rows: "g" u64 reader, u64 owner -> nothing; "j" domain NUL u64 owner -> nothing. */
#include "store/directory/shares.h"

#include "base/log.h"
#include "base/pack.h"
#include "store/directory/directory.h"
#include "store/mailbox/acl.h"

static void reader_key(struct buf *key, uint64_t reader)
{
	buf_add_char(key, 'g');
	pack_u64(key, reader);
}

static void domain_key(struct buf *key, struct span domain)
{
	buf_add_char(key, 'j');
	buf_add(key, domain);
	buf_add_char(key, 0);
}

/* False where the owner's domain cannot be told. */
static bool share_key(struct engine *e, uint64_t reader, uint64_t owner, struct buf *key)
{
	BUF_AUTO name = {0};
	if (reader != ACL_ANYONE)
		reader_key(key, reader);
	else if (directory_read_name(e, owner, &name, NULL) > 0)
		domain_key(key, address_domain(buf_span(&name)));
	else
		return false;
	pack_u64(key, owner);
	return true;
}

void shares_put(struct engine *e, struct batch *b, uint64_t reader, uint64_t owner)
{
	BUF_AUTO key = {0};
	if (share_key(e, reader, owner, &key))
		batch_put(b, DIRECTORY, buf_span(&key), SPAN(""));
}

void shares_drop(struct engine *e, struct batch *b, uint64_t reader, uint64_t owner)
{
	BUF_AUTO key = {0};
	if (share_key(e, reader, owner, &key))
		batch_delete(b, DIRECTORY, buf_span(&key));
}

static bool is_there(struct store *s, struct buf *key, uint64_t owner)
{
	BUF_AUTO value = {0};
	struct error why = {0};
	pack_u64(key, owner);
	int found = engine_get(s->engine, DIRECTORY, buf_span(key), &value, &why);
	if (found < 0)
		log_event(LOG_LEVEL_ERROR, "shares-unread", log_c("why", why.text));
	return found > 0;
}

bool shares_have(struct store *s, uint64_t reader, struct span domain, uint64_t owner)
{
	BUF_AUTO own = {0}, near = {0};
	reader_key(&own, reader);
	domain_key(&near, domain);
	return is_there(s, &own, owner) || is_there(s, &near, owner);
}

static void walk(struct store *s, struct span prefix, void (*each)(void *context, uint64_t owner), void *context)
{
	BUF_AUTO end = {0};
	struct span key, value;
	struct error why = {0};
	int more;
	buf_add(&end, prefix);
	for (size_t i = 0; i < sizeof(uint64_t) + 1; i++)
		buf_add_char(&end, (char)0xff);
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, prefix, buf_span(&end));
	while ((more = engine_scan_next(scan, &key, &value, &why)) > 0) {
		struct unpacker u = {.rest = span_skip(key, prefix.len)};
		uint64_t owner = unpack_u64(&u);
		if (unpack_done(&u))
			each(context, owner);
	}
	engine_scan_close(scan);
	if (more < 0)
		log_event(LOG_LEVEL_ERROR, "shares-unread", log_c("why", why.text));
}

void shares_walk(struct store *s, uint64_t reader, struct span domain, void (*each)(void *context, uint64_t owner), void *context)
{
	BUF_AUTO own = {0}, near = {0};
	reader_key(&own, reader);
	domain_key(&near, domain);
	walk(s, buf_span(&own), each, context);
	walk(s, buf_span(&near), each, context);
}

/* Those that name it are found by their ends; it is asked when an account is removed, and never else. */
static void delete_rows(struct store *s, struct batch *b, struct span from, struct span to, uint64_t account)
{
	BUF_AUTO id = {0};
	struct span key, value;
	pack_u64(&id, account);
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, from, to);
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		bool is_reader = key.ptr[0] == 'g' && span_equal(span_slice(key, 1, id.len), buf_span(&id));
		if (is_reader || (key.len > id.len && span_equal(span_skip(key, key.len - id.len), buf_span(&id))))
			batch_delete(b, DIRECTORY, key);
	}
	engine_scan_close(scan);
}

void shares_delete(struct store *s, struct batch *b, uint64_t account)
{
	delete_rows(s, b, SPAN("g"), SPAN("h"), account);
	delete_rows(s, b, SPAN("j"), SPAN("k"), account);
}
