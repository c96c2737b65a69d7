/* Rows: "o" u64 account -> u8 version, bytes language tag (empty: none is set), and from version 2 on u8 flags. */
#include "store/directory/options.h"

#include "base/log.h"
#include "base/pack.h"
#include "store/directory/directory.h"

enum {
	OPTIONS_VERSION = 2,
	OPTIONS_VERSION_LANGUAGE_ONLY = 1,
	TAG_BYTES_MOST = 35, /* RFC 5646 §4.4.1 */
	FLAG_MASTER = 1,
	FLAG_SHARED = 2,
};

struct options {
	bool has_language, is_master, is_shared;
	enum language language;
};

static void make_key(struct buf *key, uint64_t account)
{
	buf_add_char(key, 'o');
	pack_u64(key, account);
}

static struct options read_options(struct store *s, uint64_t account)
{
	BUF_AUTO key = {0}, value = {0};
	struct error why = {0};
	struct options o = {0};
	make_key(&key, account);
	int found = account ? engine_get(s->engine, DIRECTORY, buf_span(&key), &value, &why) : 0;
	if (found < 0)
		log_event(LOG_LEVEL_ERROR, "options-unread", log_n("account", (int64_t)account), log_c("why", why.text));
	if (found <= 0)
		return o;
	struct unpacker u = {.rest = buf_span(&value)};
	uint8_t version = unpack_u8(&u);
	if (version != OPTIONS_VERSION && version != OPTIONS_VERSION_LANGUAGE_ONLY)
		return o;
	o.has_language = language_parse(unpack_bytes(&u, TAG_BYTES_MOST), &o.language) == 0;
	uint8_t flags = version == OPTIONS_VERSION ? unpack_u8(&u) : 0;
	o.is_master = flags & FLAG_MASTER && unpack_done(&u);
	o.is_shared = flags & FLAG_SHARED && unpack_done(&u);
	return o;
}

static void put(struct batch *b, uint64_t account, const struct options *o)
{
	BUF_AUTO key = {0}, value = {0};
	make_key(&key, account);
	pack_u8(&value, OPTIONS_VERSION);
	pack_bytes(&value, o->has_language ? span_cstr(language_tag(o->language)) : SPAN(""));
	pack_u8(&value, (uint8_t)((o->is_master ? FLAG_MASTER : 0) | (o->is_shared ? FLAG_SHARED : 0)));
	batch_put(b, DIRECTORY, buf_span(&key), buf_span(&value));
}

enum language options_language(struct store *s, uint64_t account)
{
	struct options o = read_options(s, account);
	if (o.has_language)
		return o.language;
	return child_config(s->self)->default_language == DEFAULT_LANGUAGE_PT ? LANGUAGE_PORTUGUESE : LANGUAGE_ENGLISH;
}

bool options_is_master(struct store *s, uint64_t account)
{
	return read_options(s, account).is_master;
}

void options_put_language(struct store *s, struct batch *b, uint64_t account, enum language l)
{
	struct options o = read_options(s, account);
	o.has_language = true;
	o.language = l;
	put(b, account, &o);
}

void options_put_master(struct store *s, struct batch *b, uint64_t account, bool is_master)
{
	struct options o = read_options(s, account);
	o.is_master = is_master;
	put(b, account, &o);
}

bool options_is_shared(struct store *s, uint64_t account)
{
	return read_options(s, account).is_shared;
}

void options_put_shared(struct store *s, struct batch *b, uint64_t account, bool is_shared)
{
	struct options o = read_options(s, account);
	o.is_shared = is_shared;
	put(b, account, &o);
}

void options_delete(struct batch *b, uint64_t account)
{
	BUF_AUTO key = {0};
	make_key(&key, account);
	batch_delete(b, DIRECTORY, buf_span(&key));
}
