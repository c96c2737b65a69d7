/* Domains, accounts and aliases: looking them up and changing them. */
#include "store/directory/directory.h"

#include "auth/srs.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/directory/secrets.h"
#include "wire/password_hash.h"
#include "wire/scram.h"
#include "wire/smtp.h"

#include <errno.h>

enum {
	DIRECTORY_VERSION = 1,
	SCRAM_VERSION = 2, /* of an account's record that has keys for SCRAM at its end */
	KIND_ACCOUNT = 1,
	KIND_ALIAS = 2,
	HOP_BYTES_MOST = 255,
	CACHE_BYTES_MOST = 32 * 1024 * 1024, /* of remembered rows; then it begins anew */
};

#define DIRECTORY SPAN("dir")

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

int directory_next_hop(struct store *s, struct span domain, struct buf *hop)
{
	BUF_AUTO canonical = {0}, value = {0};
	if (!domain_is_valid(domain, ADDRESS_UTF8) || domain_canonical(domain, &canonical, NULL))
		return 0;
	int found = get(s, 'd', buf_span(&canonical), &value, NULL);
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

/* ---- who gets it ---- */

struct parts {
	struct span local, domain;
};

static struct parts split(struct span canonical)
{
	ssize_t at = span_rchr(canonical, '@');
	if (at < 0)
		return (struct parts){canonical, SPAN("")};
	return (struct parts){span_slice(canonical, 0, (size_t)at), span_skip(canonical, (size_t)at + 1)};
}

/* The entry of a canonical address: as it is, then without its subaddress, then postmaster's stand-in (but for a domain that is relayed:
 * it has one itself), then the domain's catch-all. */
static int find_entry(struct store *s, struct span canonical, bool is_relayed, struct arena *a, struct directory_entry *out, struct span *name)
{
	const struct config *config = child_config(s->self);
	struct parts p = split(canonical);
	struct span base, detail;
	*name = canonical;
	int found = directory_get(s, canonical, a, out, NULL);
	for (const char *c = config->recipient_delimiter; !found && *c; c++) {
		if (!address_split_detail(p.local, *c, &base, &detail))
			continue;
		BUF_AUTO shorter = {0};
		buf_add(&shorter, base);
		buf_add_char(&shorter, '@');
		buf_add(&shorter, p.domain);
		*name = arena_dup(a, buf_span(&shorter));
		found = directory_get(s, *name, a, out, NULL);
	}
	if (!found && !is_relayed && span_equal(p.local, SPAN("postmaster")) && config->postmaster[0]) {
		BUF_AUTO postmaster = {0};
		if (directory_canonical(span_cstr(config->postmaster), false, &postmaster, NULL) == 0) {
			*name = arena_dup(a, buf_span(&postmaster));
			found = directory_get(s, *name, a, out, NULL);
		}
	}
	if (!found && p.domain.len) {
		*name = span_skip(canonical, p.local.len);
		found = directory_get(s, *name, a, out, NULL);
	}
	return found;
}

/* A target of an alias of a whole domain may be a whole domain too: then it is the same local part there. */
static struct span target_of(struct span target, struct span canonical, struct arena *a)
{
	BUF_AUTO address = {0};
	if (!span_starts_with(target, SPAN("@")))
		return target;
	buf_add(&address, split(canonical).local);
	buf_add(&address, target);
	return arena_dup(a, buf_span(&address));
}

/* ---- rewritten senders ---- */

static uint64_t today(void)
{
	return (uint64_t)clock_wall_s() / 86400;
}

void directory_forward_sender(struct store *s, struct span sender, struct span via, struct buf *out)
{
	BUF_AUTO domain = {0};
	struct parts p = split(sender);
	bool is_rewritten = via.len && p.domain.len && (domain_canonical(p.domain, &domain, NULL) || directory_domain(s, buf_span(&domain), NULL) == 0);
	if (!is_rewritten || srs_make(directory_secret(s, DIRECTORY_SECRET_SENDERS), sender, via, today(), out))
		buf_add(out, sender);
}

/* What comes back to a rewritten sender goes on to the one behind it, which, where a message has come round to us, is such an address of
 * ours again; each is shorter than the last. */
static enum rcpt_outcome resolve_rewritten(struct store *s, const struct address *address, struct arena *a, struct targets *targets)
{
	BUF_AUTO sender = {0};
	if (srs_undo(directory_secret(s, DIRECTORY_SECRET_SENDERS), address->local_part, today(), &sender))
		return RCPT_UNKNOWN;
	enum rcpt_outcome outcome = directory_resolve(s, buf_span(&sender), true, a, targets);
	return outcome == RCPT_REMOTE ? RCPT_LOCAL : outcome; /* of our own making, so strangers may send there */
}

/* ---- resolving ---- */

/* via: our domain whose alias has led here; empty: none */
static enum rcpt_outcome resolve(struct store *s, struct span canonical, struct span as_given, bool may_relay, struct arena *a,
                                 struct targets *targets, struct span via, unsigned depth)
{
	struct directory_entry entry;
	struct span name;
	struct parts p = split(canonical);
	BUF_AUTO hop = {0};
	int is_ours = p.domain.len ? directory_next_hop(s, p.domain, &hop) : 1;
	if (is_ours < 0)
		return RCPT_LATER;
	if (!is_ours) {
		if (!may_relay)
			return RCPT_NO_RELAY;
		size_t before = targets->count;
		targets_add(a, targets, 0, as_given);
		if (targets->count > before)
			targets->list[before].via = arena_dup(a, via);
		return RCPT_REMOTE;
	}
	int found = find_entry(s, canonical, hop.len > 0, a, &entry, &name);
	if (found < 0)
		return RCPT_LATER;
	if (!found && hop.len) {
		targets_add(a, targets, 0, as_given);
		return RCPT_LOCAL; /* strangers may send there */
	}
	if (!found)
		return RCPT_UNKNOWN;
	if (!entry.is_alias) {
		targets_add(a, targets, entry.account, name);
		return RCPT_LOCAL;
	}
	if (span_starts_with(name, SPAN("@")))
		name = canonical; /* a catch-all may lead elsewhere for each */
	struct visited *seen = targets_visited(targets, name);
	/* of an earlier recipient, what came to nothing is followed again: it may have been met in a circle that was still open */
	if (seen && (seen->turn == targets->turn || seen->outcome != RCPT_UNKNOWN))
		return seen->outcome;
	if (targets->visited_count >= targets->visited_most || depth == ALIAS_DEPTH_MOST) {
		targets->is_too_large = true;
		return RCPT_LATER;
	}
	seen = targets_visit(targets, name, a);
	enum rcpt_outcome result = RCPT_UNKNOWN; /* an alias that leads nowhere, or in circles */
	for (size_t i = 0; i < entry.target_count; i++) {
		if (targets->count >= targets->most) {
			targets->is_too_large = true;
			return RCPT_LATER;
		}
		struct span target = target_of(entry.targets[i], canonical, a);
		enum rcpt_outcome one = resolve(s, target, target, true, a, targets, p.domain, depth + 1);
		if (one == RCPT_LATER)
			return one;
		if (one == RCPT_LOCAL || one == RCPT_REMOTE)
			result = RCPT_LOCAL;
	}
	seen->outcome = result;
	return result;
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

/* <postmaster> without a domain belongs to this host (RFC 5321 §4.1.1.3): the stand-in, or the first own domain's. */
static enum rcpt_outcome resolve_postmaster(struct store *s, struct arena *a, struct targets *targets)
{
	BUF_AUTO address = {0};
	if (child_config(s->self)->postmaster[0]) {
		buf_add_cstr(&address, child_config(s->self)->postmaster);
	} else {
		struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, SPAN("d"), SPAN("e"));
		struct span name;
		buf_add_cstr(&address, "postmaster@");
		if (next_own_domain(scan, &name))
			buf_add(&address, name);
		engine_scan_close(scan);
	}
	return resolve(s, buf_span(&address), buf_span(&address), false, a, targets, SPAN(""), 0);
}

static enum rcpt_outcome resolve_text(struct store *s, struct span text, bool may_relay, struct arena *a, struct targets *targets)
{
	struct address address;
	BUF_AUTO canonical = {0};
	if (span_equal_nocase(text, SPAN("postmaster")))
		return resolve_postmaster(s, a, targets);
	if (address_parse_mailbox(text, ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL) || address_canonical(&address, &canonical, NULL))
		return RCPT_BAD;
	BUF_AUTO hop = {0}; /* of a relayed domain, whose server may rewrite senders itself */
	if (srs_is(address.local_part) && directory_next_hop(s, split(buf_span(&canonical)).domain, &hop) > 0 && !hop.len)
		return resolve_rewritten(s, &address, a, targets);
	return resolve(s, buf_span(&canonical), text, may_relay, a, targets, SPAN(""), 0);
}

enum rcpt_outcome directory_resolve(struct store *s, struct span text, bool may_relay, struct arena *a, struct targets *targets)
{
	targets_begin(targets, ALIAS_TARGETS_MOST);
	enum rcpt_outcome outcome = resolve_text(s, text, may_relay, a, targets);
	if (targets->is_too_large)
		log_event(LOG_LEVEL_ERROR, "alias-too-large", log_s("address", text), log_n("most", ALIAS_TARGETS_MOST), log_n("deepest", ALIAS_DEPTH_MOST),
		          log_c("then", "mail for it waits where it comes from: make the alias smaller"));
	return outcome;
}

/* RFC 3461 §5.2.7: what was asked for goes on to the one that an alias leads to; of several, none reports success, and the
 * alias itself is reported as expanded. */
enum rcpt_outcome directory_resolve_recipient(struct store *s, const struct given_recipient *r, bool may_relay, struct arena *a,
                                              struct targets *targets)
{
	size_t before = targets->count;
	enum rcpt_outcome outcome = directory_resolve(s, r->address, may_relay, a, targets);
	if (outcome != RCPT_LOCAL && outcome != RCPT_REMOTE && outcome != RCPT_LATER) {
		targets_add(a, targets, 0, r->address);
		targets->list[targets->count - 1].is_gone |= targets->count > before;
	}
	bool is_several = targets->count - before > 1;
	uint8_t notify = is_several ? r->notify & (uint8_t)~SMTP_NOTIFY_SUCCESS : r->notify;
	if (r->notify && !notify)
		notify = SMTP_NOTIFY_NEVER; /* no failure was to be reported either, and 0 would ask for the default */
	for (size_t i = before; i < targets->count; i++) {
		targets->list[i].notify = notify;
		targets->list[i].orcpt = r->orcpt;
	}
	if (is_several && r->notify & SMTP_NOTIFY_SUCCESS) {
		targets_add(a, targets, 0, r->address);
		struct target *alias = &targets->list[targets->count - 1];
		alias->orcpt = r->orcpt;
		alias->notify = SMTP_NOTIFY_SUCCESS;
		alias->is_expanded = true;
	}
	return outcome;
}

bool directory_owns(struct store *s, uint64_t account, struct span address)
{
	ARENA_AUTO a = {0};
	struct targets targets = {0};
	if (directory_resolve(s, address, false, &a, &targets) != RCPT_LOCAL)
		return false;
	for (size_t i = 0; i < targets.count; i++)
		if (targets.list[i].account == account)
			return true;
	return false;
}

/* The only own domain; empty if there are several. */
static void only_domain(struct store *s, struct buf *out)
{
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, SPAN("d"), SPAN("e"));
	struct span name;
	if (next_own_domain(scan, &name))
		buf_add(out, name);
	if (next_own_domain(scan, &name))
		buf_clear(out);
	engine_scan_close(scan);
}

int directory_login(struct store *s, struct span typed, struct arena *a, struct directory_entry *out, struct buf *name, struct error *why)
{
	BUF_AUTO address = {0}, canonical = {0};
	buf_add(&address, typed);
	if (span_chr(typed, '@') < 0) {
		BUF_AUTO domain = {0};
		only_domain(s, &domain);
		if (!domain.len)
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

uint64_t directory_new_account(struct store *s, struct batch *b)
{
	BUF_AUTO value = {0}, next = {0};
	struct error why = {0};
	if (!s->next_account) {
		int found = engine_get(s->engine, DIRECTORY, SPAN("n"), &value, &why);
		struct unpacker u = {.rest = buf_span(&value)};
		s->next_account = found > 0 ? unpack_u64(&u) : 1;
		if (found < 0 || u.bad)
			die("store: the directory cannot be read: %s", why.text); /* an id given twice would open one's mail to another */
	}
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
