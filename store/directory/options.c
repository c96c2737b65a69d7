/* Rows: "o" u64 account -> u8 version, bytes language tag. */
#include "store/directory/options.h"

#include "base/log.h"
#include "base/pack.h"
#include "store/directory/directory.h"

enum { OPTIONS_VERSION = 1, TAG_BYTES_MOST = 35 /* RFC 5646 §4.4.1 */ };

static void make_key(struct buf *key, uint64_t account)
{
	buf_add_char(key, 'o');
	pack_u64(key, account);
}

enum language options_language(struct store *s, uint64_t account)
{
	BUF_AUTO key = {0}, value = {0};
	struct error why = {0};
	enum language language = child_config(s->self)->default_language == DEFAULT_LANGUAGE_PT ? LANGUAGE_PORTUGUESE : LANGUAGE_ENGLISH;
	make_key(&key, account);
	int found = account ? engine_get(s->engine, DIRECTORY, buf_span(&key), &value, &why) : 0;
	if (found < 0)
		log_event(LOG_LEVEL_ERROR, "options-unread", log_n("account", (int64_t)account), log_c("why", why.text));
	struct unpacker u = {.rest = buf_span(&value)};
	if (found > 0 && unpack_u8(&u) == OPTIONS_VERSION)
		language_parse(unpack_bytes(&u, TAG_BYTES_MOST), &language);
	return language;
}

void options_put_language(struct batch *b, uint64_t account, enum language l)
{
	BUF_AUTO key = {0}, value = {0};
	make_key(&key, account);
	pack_u8(&value, OPTIONS_VERSION);
	pack_bytes(&value, span_cstr(language_tag(l)));
	batch_put(b, DIRECTORY, buf_span(&key), buf_span(&value));
}

void options_delete(struct batch *b, uint64_t account)
{
	BUF_AUTO key = {0};
	make_key(&key, account);
	batch_delete(b, DIRECTORY, buf_span(&key));
}
