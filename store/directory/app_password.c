#include "store/directory/app_password.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/directory/directory.h"

enum {
	APP_VERSION = 1,
	PROTOCOL_BYTES_MOST = 16,
	USED_AGAIN_S = 60, /* a client that logs in all the time makes no more rows than that */
};

static const char *const words[] = {"imap", "pop3", "smtp", "jmap"};

static uint8_t bit_of(struct span word)
{
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (span_equal(word, span_cstr(words[i])))
			return (uint8_t)(1U << i);
	return 0;
}

uint8_t app_protocols_parse(struct span rest)
{
	uint8_t protocols = 0;
	for (;;) {
		ssize_t comma = span_chr(rest, ',');
		uint8_t bit = bit_of(comma < 0 ? rest : span_slice(rest, 0, (size_t)comma));
		if (!bit)
			return 0;
		protocols |= bit;
		if (comma < 0)
			return protocols;
		rest = span_skip(rest, (size_t)comma + 1);
	}
}

void app_protocols_print(uint8_t protocols, struct buf *out)
{
	const char *before = "";
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (!(protocols >> i & 1))
			continue;
		buf_printf(out, "%s%s", before, words[i]);
		before = ",";
	}
}

static void make_key(struct buf *key, char letter, uint64_t account, struct span digest)
{
	buf_add_char(key, letter);
	pack_u64(key, account);
	buf_add(key, digest);
}

/* The name points into the row. */
static int read_row(struct span row, struct app_password *out)
{
	struct unpacker u = {.rest = row};
	uint8_t version = unpack_u8(&u);
	out->name = unpack_bytes(&u, APP_NAME_BYTES_MOST);
	out->protocols = unpack_u8(&u);
	out->made_s = (int64_t)unpack_u64(&u);
	out->expires_s = (int64_t)unpack_u64(&u);
	return version == APP_VERSION && unpack_done(&u) ? 0 : -1;
}

static void read_use(struct store *s, uint64_t account, struct span digest, struct buf *row, struct app_password *out)
{
	BUF_AUTO key = {0};
	make_key(&key, 'v', account, digest);
	out->used_s = 0;
	out->used_by = SPAN("");
	if (engine_get(s->engine, DIRECTORY, buf_span(&key), row, NULL) <= 0)
		return;
	struct unpacker u = {.rest = buf_span(row)};
	bool is_ours = unpack_u8(&u) == APP_VERSION;
	int64_t used_s = (int64_t)unpack_u64(&u);
	struct span used_by = unpack_bytes(&u, PROTOCOL_BYTES_MOST);
	if (!is_ours || !unpack_done(&u))
		return;
	out->used_s = used_s;
	out->used_by = used_by;
}

enum app_outcome app_password_find(struct store *s, uint64_t account, struct span digest, struct span protocol, struct buf *name, int64_t *expires_s)
{
	BUF_AUTO key = {0}, row = {0};
	struct app_password p = {0};
	struct error why = {0};
	*expires_s = 0;
	if (digest.len != APP_DIGEST_BYTES)
		return APP_NONE;
	make_key(&key, 'w', account, digest);
	int found = engine_get(s->engine, DIRECTORY, buf_span(&key), &row, &why);
	if (found < 0 || (found && read_row(buf_span(&row), &p)))
		log_event(LOG_LEVEL_ERROR, "application-password-unread", log_n("account", (int64_t)account), log_c("why", found < 0 ? why.text : "the row is damaged"));
	if (found <= 0 || !p.protocols)
		return APP_NONE;
	buf_add(name, p.name);
	*expires_s = p.expires_s;
	if (p.expires_s && p.expires_s <= clock_wall_s())
		return APP_EXPIRED;
	return p.protocols & bit_of(span_equal(protocol, SPAN("submission")) ? SPAN("smtp") : protocol) ? APP_RIGHT : APP_WRONG_PROTOCOL;
}

void app_password_used(struct store *s, uint64_t account, struct span digest, struct span protocol)
{
	BUF_AUTO key = {0}, row = {0}, value = {0};
	struct app_password before;
	struct batch b = {0};
	int64_t now_s = clock_wall_s();
	read_use(s, account, digest, &row, &before);
	if (span_equal(before.used_by, protocol) && before.used_s <= now_s && now_s - before.used_s < USED_AGAIN_S)
		return;
	make_key(&key, 'v', account, digest);
	pack_u8(&value, APP_VERSION);
	pack_u64(&value, (uint64_t)now_s);
	pack_bytes(&value, protocol);
	batch_put(&b, DIRECTORY, buf_span(&key), buf_span(&value));
	store_commit(s, &b, NULL, NULL);
}

static void range_of(char letter, uint64_t account, struct buf *from, struct buf *to)
{
	make_key(from, letter, account, SPAN(""));
	buf_add(to, buf_span(from));
	for (size_t i = 0; i <= APP_DIGEST_BYTES; i++)
		buf_add_char(to, (char)0xff);
}

bool app_passwords_walk(struct store *s, uint64_t account, bool (*each)(void *context, const struct app_password *p), void *context)
{
	BUF_AUTO from = {0}, to = {0};
	struct span key, value;
	bool is_found = false;
	range_of('w', account, &from, &to);
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, buf_span(&from), buf_span(&to));
	while (!is_found && engine_scan_next(scan, &key, &value, NULL) > 0) {
		BUF_AUTO use = {0};
		struct app_password p = {.digest = span_skip(key, from.len)};
		if (read_row(value, &p))
			continue;
		read_use(s, account, p.digest, &use, &p);
		is_found = each(context, &p);
	}
	engine_scan_close(scan);
	return is_found;
}

void app_password_put(struct batch *b, uint64_t account, const struct app_password *p)
{
	BUF_AUTO key = {0}, value = {0};
	make_key(&key, 'w', account, p->digest);
	pack_u8(&value, APP_VERSION);
	pack_bytes(&value, p->name);
	pack_u8(&value, p->protocols);
	pack_u64(&value, (uint64_t)p->made_s);
	pack_u64(&value, (uint64_t)p->expires_s);
	batch_put(b, DIRECTORY, buf_span(&key), buf_span(&value));
}

void app_password_delete(struct batch *b, uint64_t account, struct span digest)
{
	for (size_t i = 0; i < 2; i++) {
		BUF_AUTO key = {0};
		make_key(&key, "wv"[i], account, digest);
		batch_delete(b, DIRECTORY, buf_span(&key));
	}
}

void app_passwords_delete_all(struct batch *b, uint64_t account)
{
	for (size_t i = 0; i < 2; i++) {
		BUF_AUTO from = {0}, to = {0};
		range_of("wv"[i], account, &from, &to);
		batch_delete_range(b, DIRECTORY, buf_span(&from), buf_span(&to));
	}
}
