#include "wire/table.h"

#include "wire/address.h"

static const char *const kind_names[TABLE_KINDS] = {"domains", "virtual", "aliases", "virtusertable", "relay_domains", "transport", "mailertable"};

const char *table_kind_name(enum table_kind kind)
{
	return kind_names[kind];
}

bool table_answers(enum table_kind kind, enum table_about about)
{
	switch (kind) {
	case TABLE_VIRTUAL: return about == TABLE_ADDRESS || about == TABLE_DOMAIN;
	case TABLE_ALIASES: case TABLE_VIRTUSERTABLE: return about == TABLE_ADDRESS;
	case TABLE_OWN_DOMAINS: case TABLE_RELAY_DOMAINS: return about == TABLE_DOMAIN;
	case TABLE_TRANSPORT: return about == TABLE_DOMAIN || about == TABLE_ROUTE;
	case TABLE_MAILERTABLE: return about == TABLE_ROUTE;
	case TABLE_KINDS: break;
	}
	return false;
}

/* ---- the setting ---- */

static bool is_between(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

static bool take_prefix(struct span *text, struct span prefix)
{
	if (!span_starts_with(*text, prefix))
		return false;
	*text = span_skip(*text, prefix.len);
	return true;
}

static int read_word(struct span word, struct table_name *out, struct error *why)
{
	ssize_t colon = span_chr(word, ':');
	struct span kind = span_slice(word, 0, colon < 0 ? 0 : (size_t)colon);
	*out = (struct table_name){.kind = TABLE_KINDS, .path = span_skip(word, kind.len + 1)};
	for (enum table_kind k = 0; k < TABLE_KINDS; k++)
		if (span_equal(kind, span_cstr(kind_names[k])))
			out->kind = k;
	if (out->kind == TABLE_KINDS)
		return error_set(why, 0, "begin it with one of domains:, virtual:, aliases:, virtusertable:, relay_domains:, transport: and mailertable:");
	out->source = take_prefix(&out->path, SPAN("ldap:")) ? TABLE_LDAP : take_prefix(&out->path, SPAN("pgsql:")) ? TABLE_PGSQL : TABLE_TEXT;
	if (!span_starts_with(out->path, SPAN("/")))
		return error_set(why, 0, "name a text file by its whole path, or ldap: or pgsql: and the file with its settings: virtual:/etc/postfix/virtual");
	return 1;
}

int table_name_next(struct span *rest, struct table_name *out, struct span *word, struct error *why)
{
	while (rest->len && is_between(rest->ptr[0]))
		*rest = span_skip(*rest, 1);
	size_t len = 0;
	while (len < rest->len && !is_between(rest->ptr[len]))
		len++;
	*word = span_slice(*rest, 0, len);
	*rest = span_skip(*rest, len);
	return len ? read_word(*word, out, why) : 0;
}

/* ---- keys ---- */

struct keys {
	struct arena *arena;
	struct table_key *list;
	size_t count;
	struct span local, domain; /* of an address */
};

static void add(struct keys *k, struct span first, const char *between, struct span second, struct span detail, bool is_wide)
{
	BUF_AUTO text = {0};
	if (k->count == TABLE_KEYS_MOST)
		return;
	buf_add(&text, first);
	buf_add_cstr(&text, between);
	buf_add(&text, second);
	k->list[k->count++] = (struct table_key){arena_dup(k->arena, buf_span(&text)), k->local, detail, is_wide};
}

/* The domains above one, each with `between` in front. */
static void add_parents(struct keys *k, const char *between, struct span domain)
{
	for (ssize_t dot; (dot = span_chr(domain, '.')) >= 0;) {
		domain = span_skip(domain, (size_t)dot + 1);
		add(k, SPAN(""), between, domain, SPAN(""), true);
	}
}

/* The local part without its subaddress, by the first delimiter that splits it. */
static struct span base_of(struct span local, const char *delimiters)
{
	struct span base, detail;
	for (const char *c = delimiters; *c; c++)
		if (address_split_detail(local, *c, &base, &detail))
			return base;
	return local;
}

static void add_address_keys(struct keys *k, enum table_kind kind, const char *delimiters, struct span origin)
{
	struct span base = base_of(k->local, delimiters), detail = span_skip(k->local, base.len);
	bool is_of_origin = span_equal(k->domain, origin);
	if (kind != TABLE_ALIASES)
		add(k, k->local, "@", k->domain, SPAN(""), false);
	if (kind == TABLE_VIRTUSERTABLE && detail.len)
		add(k, base, "+*@", k->domain, detail, false);
	if (kind != TABLE_ALIASES && detail.len)
		add(k, base, "@", k->domain, detail, false);
	if ((kind == TABLE_ALIASES || kind == TABLE_VIRTUAL) && is_of_origin) {
		add(k, k->local, "", SPAN(""), SPAN(""), false);
		if (detail.len)
			add(k, base, "", SPAN(""), detail, false);
	}
	if (kind == TABLE_VIRTUAL || kind == TABLE_VIRTUSERTABLE)
		add(k, SPAN(""), "@", k->domain, SPAN(""), true);
}

/* transport(5), "TABLE SEARCH ORDER"; mailertable's widest row is a dot. */
static void add_route_keys(struct keys *k, enum table_kind kind, const char *delimiters)
{
	if (kind == TABLE_TRANSPORT)
		add_address_keys(k, kind, delimiters, SPAN(""));
	add(k, SPAN(""), "", k->domain, SPAN(""), true);
	add_parents(k, ".", k->domain);
	add(k, SPAN(""), kind == TABLE_TRANSPORT ? "*" : ".", SPAN(""), SPAN(""), true);
}

size_t table_keys(enum table_kind kind, enum table_about about, struct span name, const char *delimiters, struct span origin, struct arena *a,
                  struct table_key list[TABLE_KEYS_MOST])
{
	struct keys k = {.arena = a, .list = list};
	ssize_t at = about == TABLE_DOMAIN ? -1 : span_rchr(name, '@');
	k.local = span_slice(name, 0, at < 0 ? 0 : (size_t)at);
	k.domain = span_skip(name, (size_t)(at + 1));
	switch (about) {
	case TABLE_ADDRESS:
		add_address_keys(&k, kind, delimiters, origin);
		break;
	case TABLE_ROUTE:
		add_route_keys(&k, kind, delimiters);
		break;
	case TABLE_DOMAIN:
		add(&k, SPAN(""), "", k.domain, SPAN(""), true);
		if (kind != TABLE_VIRTUAL && kind != TABLE_OWN_DOMAINS) /* relay_domains are with all below them (parent_domain_matches_subdomains), transports where a dot says so */
			add_parents(&k, kind == TABLE_TRANSPORT ? "." : "", k.domain);
		break;
	case TABLE_HOME: break;
	}
	return k.count;
}

static void add_local(struct span local, struct buf *out)
{
	BUF_AUTO whole = {0}, canonical = {0};
	struct address address;
	for (int quoted = 0; local.len && quoted < 2; quoted++) {
		buf_clear(&whole);
		if (quoted)
			buf_add_char(&whole, '"');
		for (size_t i = 0; i < local.len; i++) {
			if (quoted && (local.ptr[i] == '"' || local.ptr[i] == '\\'))
				buf_add_char(&whole, '\\');
			buf_add_char(&whole, local.ptr[i]);
		}
		buf_add_cstr(&whole, quoted ? "\"@x.invalid" : "@x.invalid");
		if (address_parse_mailbox(buf_span(&whole), ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL) == 0 && address_canonical(&address, &canonical, NULL) == 0) {
			buf_add(out, span_slice(buf_span(&canonical), 0, (size_t)span_rchr(buf_span(&canonical), '@')));
			return;
		}
	}
	for (size_t i = 0; i < local.len; i++)
		buf_add_char(out, ascii_lower(local.ptr[i]));
}

/* A domain, with a dot in front for those below it; or what is none, as "*". */
static void add_domain(struct span domain, struct buf *out)
{
	bool has_dot = span_starts_with(domain, SPAN("."));
	struct span name = span_skip(domain, has_dot);
	if (has_dot)
		buf_add_char(out, '.');
	if (domain_is_valid(name, ADDRESS_UTF8) && domain_canonical(name, out, NULL) == 0)
		return;
	for (size_t i = 0; i < name.len; i++)
		buf_add_char(out, ascii_lower(name.ptr[i]));
}

void table_key_canonical(struct span written, struct buf *out)
{
	ssize_t at = span_rchr(written, '@');
	if (at < 0 && span_chr(written, '.') < 0) {
		add_local(written, out); /* a name, or a domain of one label, which is the same in lower case */
		return;
	}
	if (at > 0)
		add_local(span_slice(written, 0, (size_t)at), out);
	if (at >= 0)
		buf_add_char(out, '@');
	add_domain(span_skip(written, (size_t)(at + 1)), out);
}
