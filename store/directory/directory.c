/* Domains, accounts and aliases: looking them up and changing them. */
#include "store/directory/directory.h"

#include "base/die.h"
#include "base/pack.h"
#include "wire/password_hash.h"
#include "wire/scram.h"

#include <errno.h>

enum {
	DIRECTORY_VERSION = 1,
	SCRAM_VERSION = 2, /* of an account's record that has keys for SCRAM at its end */
	KIND_ACCOUNT = 1,
	KIND_ALIAS = 2,
	HOP_BYTES_MOST = 255,
	CACHE_BYTES_MOST = 32 * 1024 * 1024, /* of remembered rows; then it begins anew */
};

struct cached_row {
	struct span key, value;
};

/* Rows that were there. What is not there is not remembered: strangers ask for any name. */
struct directory_cache {
	struct map rows; /* by hash of the key */
	struct arena memory;
	size_t bytes;
};

static void make_key(struct buf *key, char letter, struct span name)
{
	buf_add_char(key, letter);
	buf_add(key, span_slice(name, 0, KEY_BYTES_MOST - 1));
}

static struct span id_span(uint64_t id, char bytes[8])
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (char)(id >> (56 - 8 * i));
	return span_of(bytes, 8);
}

void directory_changed(struct store *s)
{
	struct directory_cache *c = s->directory_cache;
	if (!c)
		return;
	map_free(&c->rows);
	arena_free(&c->memory);
	*c = (struct directory_cache){0};
}

static void remember(struct store *s, struct span key, struct span value)
{
	if (!s->directory_cache)
		s->directory_cache = xcalloc(1, sizeof *s->directory_cache);
	if (s->directory_cache->bytes > CACHE_BYTES_MOST)
		directory_changed(s);
	struct directory_cache *c = s->directory_cache;
	struct cached_row *row = arena_alloc(&c->memory, sizeof *row);
	*row = (struct cached_row){arena_dup(&c->memory, key), arena_dup(&c->memory, value)};
	map_put(&c->rows, span_hash(key, 0), row);
	c->bytes += sizeof *row + key.len + value.len;
}

static int get(struct store *s, char letter, struct span name, struct buf *value, struct error *why)
{
	BUF_AUTO key = {0};
	make_key(&key, letter, name);
	struct cached_row *row = s->directory_cache ? map_get(&s->directory_cache->rows, span_hash(buf_span(&key), 0)) : NULL;
	if (row && span_equal(row->key, buf_span(&key))) {
		buf_add(value, row->value);
		return 1;
	}
	BUF_AUTO read = {0};
	int found = engine_get(s->engine, DIRECTORY, buf_span(&key), &read, why);
	if (found > 0)
		remember(s, buf_span(&key), buf_span(&read));
	buf_add(value, buf_span(&read));
	return found;
}

int directory_domain(struct store *s, struct span domain, struct error *why)
{
	BUF_AUTO value = {0};
	return get(s, 'd', domain, &value, why);
}

/* A record of an early version ends behind its version. */
static struct span hop_of(struct span value)
{
	struct unpacker u = {.rest = value};
	unpack_u8(&u);
	return u.rest.len ? unpack_bytes(&u, HOP_BYTES_MOST) : SPAN("");
}

int directory_own_domain(struct store *s, struct span domain, struct buf *hop)
{
	BUF_AUTO value = {0};
	int found = get(s, 'd', domain, &value, NULL);
	if (found > 0)
		buf_add(hop, hop_of(buf_span(&value)));
	return found;
}

static int read_entry(struct span value, struct arena *a, struct directory_entry *out)
{
	struct unpacker u = {.rest = arena_dup(a, value)};
	uint8_t version = unpack_u8(&u), kind = unpack_u8(&u);
	*out = (struct directory_entry){.is_alias = kind == KIND_ALIAS};
	bool has_scram = version == SCRAM_VERSION && kind == KIND_ACCOUNT;
	if ((version != DIRECTORY_VERSION && !has_scram) || (kind != KIND_ACCOUNT && kind != KIND_ALIAS))
		return -1;
	if (kind == KIND_ACCOUNT) {
		out->account = unpack_u64(&u);
		out->hash = unpack_bytes(&u, PASSWORD_HASH_BYTES_MOST);
		out->scram = has_scram ? unpack_bytes(&u, SCRAM_KEYS_TEXT_MOST) : SPAN("");
		return unpack_done(&u) ? 0 : -1;
	}
	uint32_t count = unpack_u32(&u);
	if (count > ALIAS_TARGETS_MOST)
		return -1;
	out->targets = arena_alloc_array(a, count, sizeof *out->targets);
	for (uint32_t i = 0; i < count; i++)
		out->targets[out->target_count++] = unpack_bytes(&u, 512);
	return unpack_done(&u) ? 0 : -1;
}

int directory_get(struct store *s, struct span address, struct arena *a, struct directory_entry *out, struct error *why)
{
	BUF_AUTO value = {0};
	int found = get(s, 'a', address, &value, why);
	if (found > 0 && read_entry(buf_span(&value), a, out))
		return error_set(why, EBADMSG, "the directory's entry of %.*s is damaged", SPAN_ARG(address));
	return found;
}

int directory_account_name(struct store *s, uint64_t account, struct buf *out, struct error *why)
{
	char bytes[8];
	return get(s, 'u', id_span(account, bytes), out, why);
}

int directory_read_name(struct engine *e, uint64_t account, struct buf *out, struct error *why)
{
	char bytes[8];
	BUF_AUTO key = {0};
	make_key(&key, 'u', id_span(account, bytes));
	return engine_get(e, DIRECTORY, buf_span(&key), out, why);
}

int directory_canonical(struct span typed, bool is_domain, struct buf *out, struct error *why)
{
	struct address address;
	if (is_domain) {
		if (!domain_is_valid(typed, ADDRESS_UTF8))
			return error_set(why, 0, "\"%.*s\" is not a domain", SPAN_ARG(span_slice(typed, 0, 100)));
		return domain_canonical(typed, out, why);
	}
	if (address_parse_mailbox(typed, ADDRESS_UTF8, &address, why))
		return -1;
	return address_canonical(&address, out, why);
}

/* The next domain whose mail stays here. */
static bool next_own_domain(struct engine_scan *scan, struct span *name)
{
	struct span key, value;
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		*name = span_skip(key, 1);
		if (!hop_of(value).len)
			return true;
	}
	return false;
}

size_t directory_own_domains(struct store *s, struct buf *first)
{
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, SPAN("d"), SPAN("e"));
	struct span name;
	size_t count = 0;
	for (; count < 2 && next_own_domain(scan, &name); count++)
		if (!count)
			buf_add(first, name);
	engine_scan_close(scan);
	return count;
}

int directory_login(struct store *s, struct span typed, struct arena *a, struct directory_entry *out, struct buf *name, struct error *why)
{
	BUF_AUTO address = {0}, canonical = {0};
	buf_add(&address, typed);
	if (span_chr(typed, '@') < 0) {
		BUF_AUTO domain = {0};
		if (directory_own_domains(s, &domain) != 1)
			return 0;
		buf_add_char(&address, '@');
		buf_add(&address, buf_span(&domain));
	}
	if (directory_canonical(buf_span(&address), false, &canonical, NULL))
		return 0;
	buf_add(name, buf_span(&canonical));
	int found = directory_get(s, buf_span(&canonical), a, out, why);
	if (found > 0 && out->is_alias)
		found = 0; /* nobody logs in as an alias */
	return found;
}

/* ---- changes ---- */

static void put(struct batch *b, char letter, struct span name, struct span value)
{
	BUF_AUTO key = {0};
	make_key(&key, letter, name);
	batch_put(b, DIRECTORY, buf_span(&key), value);
}

static void delete(struct batch *b, char letter, struct span name)
{
	BUF_AUTO key = {0};
	make_key(&key, letter, name);
	batch_delete(b, DIRECTORY, buf_span(&key));
}

void directory_put_domain(struct batch *b, struct span domain, struct span next_hop)
{
	BUF_AUTO value = {0};
	pack_u8(&value, DIRECTORY_VERSION);
	pack_bytes(&value, next_hop);
	put(b, 'd', domain, buf_span(&value));
}

void directory_delete_domain(struct batch *b, struct span domain)
{
	delete(b, 'd', domain);
}

void directory_put_account(struct batch *b, struct span address, uint64_t account, struct span hash, struct span scram)
{
	BUF_AUTO value = {0};
	char bytes[8];
	pack_u8(&value, scram.len ? SCRAM_VERSION : DIRECTORY_VERSION);
	pack_u8(&value, KIND_ACCOUNT);
	pack_u64(&value, account);
	pack_bytes(&value, hash);
	if (scram.len)
		pack_bytes(&value, scram);
	put(b, 'a', address, buf_span(&value));
	put(b, 'u', id_span(account, bytes), address);
}

void directory_delete_account(struct batch *b, struct span address, uint64_t account)
{
	char bytes[8];
	delete(b, 'a', address);
	delete(b, 'u', id_span(account, bytes));
	put(b, 'e', id_span(account, bytes), SPAN(""));
}

void directory_erased(struct batch *b, uint64_t account)
{
	char bytes[8];
	delete(b, 'e', id_span(account, bytes));
}

void directory_walk_removed(struct store *s, void (*each)(struct store *s, uint64_t account))
{
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, SPAN("e"), SPAN("f"));
	struct span key, value;
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct span id = span_skip(key, 1);
		uint64_t account = 0;
		for (size_t i = 0; i < id.len; i++)
			account = account << 8 | (unsigned char)id.ptr[i];
		each(s, account);
	}
	engine_scan_close(scan);
}

void directory_put_alias(struct batch *b, struct span address, const struct span *targets, size_t count)
{
	BUF_AUTO value = {0};
	pack_u8(&value, DIRECTORY_VERSION);
	pack_u8(&value, KIND_ALIAS);
	pack_u32(&value, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		pack_bytes(&value, targets[i]);
	put(b, 'a', address, buf_span(&value));
}

void directory_delete_alias(struct batch *b, struct span address)
{
	delete(b, 'a', address);
}

int directory_next_account(struct store *s, uint64_t *next, struct error *why)
{
	BUF_AUTO value = {0};
	int found = engine_get(s->engine, DIRECTORY, SPAN("n"), &value, why);
	struct unpacker u = {.rest = buf_span(&value)};
	*next = found > 0 ? unpack_u64(&u) : 1;
	if (found >= 0 && u.bad)
		return error_set(why, EBADMSG, "the number of accounts is damaged");
	return found < 0 ? -1 : 0;
}

uint64_t directory_new_account(struct store *s, struct batch *b)
{
	BUF_AUTO next = {0};
	struct error why = {0};
	if (!s->next_account && directory_next_account(s, &s->next_account, &why))
		die("store: the directory cannot be read: %s", why.text); /* an id given twice would open one's mail to another */
	uint64_t id = s->next_account++;
	pack_u64(&next, s->next_account);
	batch_put(b, DIRECTORY, SPAN("n"), buf_span(&next));
	return id;
}

int directory_walk(struct store *s, bool domains, int (*each)(void *context, struct span name, const struct directory_entry *entry),
                   void *context, struct error *why)
{
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, domains ? SPAN("d") : SPAN("a"), domains ? SPAN("e") : SPAN("b"));
	struct span key, value;
	int more, stop = 0;
	while (!stop && (more = engine_scan_next(scan, &key, &value, why)) > 0) {
		ARENA_AUTO a = {0};
		struct directory_entry entry;
		if (domains) {
			struct span hop = hop_of(value);
			entry = (struct directory_entry){.targets = &hop, .target_count = hop.len > 0};
			stop = each(context, span_skip(key, 1), &entry);
		} else if (read_entry(value, &a, &entry) == 0) {
			stop = each(context, span_skip(key, 1), &entry);
		}
	}
	engine_scan_close(scan);
	return stop ? stop : more < 0 ? -1 : 0;
}
