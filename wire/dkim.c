/* Signatures, keys and header fields: RFC 6376 §3.4 to §3.6. */
#include "wire/dkim.h"

#include "wire/address.h"
#include "wire/header.h"
#include "wire/transfer.h"

static struct span value_of(const struct tag *tags, size_t count, struct span name)
{
	const struct tag *t = tag_find(tags, count, name);
	return t ? t->value : (struct span){0};
}

/* §3.2: white space may stand anywhere within a value where it has no meaning. */
static struct span without_space(struct span value, struct arena *a)
{
	BUF_AUTO out = {0};
	for (size_t i = 0; i < value.len; i++)
		if (!span_trim(span_slice(value, i, 1)).len)
			continue;
		else
			buf_add_char(&out, value.ptr[i]);
	return arena_dup(a, buf_span(&out));
}

static struct span decode_base64(struct span value, struct arena *a)
{
	struct transfer_decoder d = {.encoding = TRANSFER_BASE64};
	BUF_AUTO out = {0};
	transfer_decode(&d, value, &out);
	transfer_decode_end(&d, &out);
	return arena_dup(a, buf_span(&out));
}

static int set_algorithm(struct span value, struct dkim_signature *s, struct error *why)
{
	static const struct {
		const char *name;
		enum dkim_algorithm algorithm;
	} known[] = {{"rsa-sha256", DKIM_RSA_SHA256}, {"ed25519-sha256", DKIM_ED25519_SHA256}, {"rsa-sha1", DKIM_RSA_SHA1}};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (span_equal_nocase(value, span_cstr(known[i].name))) {
			s->algorithm = known[i].algorithm;
			return 0;
		}
	return error_set(why, 0, "unknown algorithm");
}

static int set_form(struct span word, enum dkim_canonical *out)
{
	if (span_equal_nocase(word, SPAN("relaxed")))
		*out = DKIM_RELAXED;
	else if (span_equal_nocase(word, SPAN("simple")))
		*out = DKIM_SIMPLE;
	else
		return -1;
	return 0;
}

/* c=header[/body]; both are simple if unsaid. */
static int set_forms(struct span value, struct dkim_signature *s, struct error *why)
{
	ssize_t slash = span_chr(value, '/');
	struct span header = slash < 0 ? value : span_trim(span_slice(value, 0, (size_t)slash));
	if (value.len == 0)
		return 0;
	if (set_form(header, &s->header) || (slash >= 0 && set_form(span_trim(span_skip(value, (size_t)slash + 1)), &s->body)))
		return error_set(why, 0, "unknown canonicalization");
	return 0;
}

static int set_header_names(struct span value, struct arena *a, struct dkim_signature *s, struct error *why)
{
	struct span list[DKIM_HEADER_NAMES_MOST] = {{0}};
	bool has_from = false;
	while (value.len) {
		ssize_t colon = span_chr(value, ':');
		struct span name = colon < 0 ? value : span_slice(value, 0, (size_t)colon);
		value = span_skip(value, name.len + 1);
		name = span_trim(name);
		if (!name.len)
			continue;
		if (s->header_name_count == DKIM_HEADER_NAMES_MOST)
			return error_set(why, 0, "too many header fields in h=");
		has_from |= span_equal_nocase(name, SPAN("From"));
		list[s->header_name_count++] = name;
	}
	s->header_names = arena_alloc_array(a, s->header_name_count, sizeof *list);
	memcpy(s->header_names, list, s->header_name_count * sizeof *list);
	/* §5.4: From must be signed */
	return has_from ? 0 : error_set(why, 0, "the From field is not signed");
}

/* i= must be of the domain or one below it (§3.5). */
static int check_identity(const struct dkim_signature *s, struct error *why)
{
	ssize_t at = span_rchr(s->identity, '@');
	if (!s->identity.len)
		return 0;
	if (at < 0 || !domain_is_within(span_skip(s->identity, (size_t)(at + 1)), s->domain))
		return error_set(why, 0, "the identity is not of the domain");
	return 0;
}

static int set_number(const struct tag *t, bool *has, uint64_t *out, struct error *why)
{
	if (!t)
		return 0;
	*has = true;
	return span_to_u64(t->value, UINT64_MAX, out) ? error_set(why, 0, "%.*s= is no number", SPAN_ARG(t->name)) : 0;
}

static int set_numbers(const struct tag *tags, size_t count, struct dkim_signature *s, struct error *why)
{
	if (set_number(tag_find(tags, count, SPAN("l")), &s->has_length, &s->length, why) ||
	    set_number(tag_find(tags, count, SPAN("t")), &s->has_time, &s->time_s, why) ||
	    set_number(tag_find(tags, count, SPAN("x")), &s->has_expiration, &s->expiration_s, why))
		return -1;
	if (s->has_time && s->has_expiration && s->expiration_s <= s->time_s)
		return error_set(why, 0, "it expires before it was made");
	return 0;
}

/* A word of a list with colons. */
static bool list_has(struct span list, struct span word)
{
	while (list.len) {
		ssize_t colon = span_chr(list, ':');
		struct span one = colon < 0 ? list : span_slice(list, 0, (size_t)colon);
		if (span_equal_nocase(span_trim(one), word))
			return true;
		list = span_skip(list, one.len + 1);
	}
	return false;
}

/* q= says how the key is found; there is one way (§3.5). */
static bool names_dns(struct span value)
{
	return list_has(value, SPAN("dns/txt")) || list_has(value, SPAN("dns"));
}

static bool is_selector(struct span s)
{
	return s.len > 0 && s.len <= DKIM_SELECTOR_MOST && domain_is_valid(s, ADDRESS_UTF8);
}

/* What all kinds have. */
static int set_common(const struct tag *tags, size_t n, struct arena *a, struct dkim_signature *out, struct error *why)
{
	const struct tag *b = tag_find(tags, n, SPAN("b"));
	if (!b || !b->value.len || !value_of(tags, n, SPAN("a")).len)
		return error_set(why, 0, "a tag of a=, b= is missing");
	out->b_value = b->whole;
	out->signature = decode_base64(b->value, a);
	out->domain = without_space(value_of(tags, n, SPAN("d")), a);
	out->selector = without_space(value_of(tags, n, SPAN("s")), a);
	if (!domain_is_valid(out->domain, ADDRESS_UTF8) || !is_selector(out->selector))
		return error_set(why, 0, "d= or s= is no domain name");
	return set_algorithm(value_of(tags, n, SPAN("a")), out, why);
}

/* What those have that cover a message. */
static int set_cover(const struct tag *tags, size_t n, struct arena *a, struct dkim_signature *out, struct error *why)
{
	const struct tag *query = tag_find(tags, n, SPAN("q"));
	out->body_hash = decode_base64(value_of(tags, n, SPAN("bh")), a);
	if (!value_of(tags, n, SPAN("bh")).len)
		return error_set(why, 0, "the tag bh= is missing");
	if (query && !names_dns(query->value))
		return error_set(why, 0, "unknown query method");
	if (set_forms(value_of(tags, n, SPAN("c")), out, why) || set_header_names(value_of(tags, n, SPAN("h")), a, out, why))
		return -1;
	return set_numbers(tags, n, out, why);
}

int dkim_signature_parse(enum dkim_kind kind, struct span value, struct arena *a, struct dkim_signature *out, struct error *why)
{
	struct tag tags[TAGS_MOST];
	ssize_t count = tag_list_parse(value, tags);
	*out = (struct dkim_signature){0};
	if (count < 0)
		return error_set(why, 0, "the signature is no list of tags");
	size_t n = (size_t)count;
	if (kind == DKIM_SIGNATURE && !span_equal(value_of(tags, n, SPAN("v")), SPAN("1")))
		return error_set(why, 0, "unknown version");
	if (set_common(tags, n, a, out, why))
		return -1;
	switch (kind) {
	case DKIM_SIGNATURE:
		out->identity = without_space(value_of(tags, n, SPAN("i")), a);
		return set_cover(tags, n, a, out, why) || check_identity(out, why) ? -1 : 0;
	case DKIM_ARC_MESSAGE:
		return set_cover(tags, n, a, out, why);
	case DKIM_ARC_SEAL:
		out->header = out->body = DKIM_RELAXED; /* RFC 8617 §4.1.3, as the next line */
		return tag_find(tags, n, SPAN("h")) ? error_set(why, 0, "h= stands in a seal") : 0;
	}
	return -1;
}

int dkim_key_parse(struct span record, struct arena *a, struct dkim_key *out, struct error *why)
{
	struct tag tags[TAGS_MOST];
	ssize_t count = tag_list_parse(record, tags);
	*out = (struct dkim_key){0};
	if (count < 0)
		return error_set(why, 0, "the key's record is no list of tags");
	size_t n = (size_t)count;
	const struct tag *version = tag_find(tags, n, SPAN("v")), *p = tag_find(tags, n, SPAN("p"));
	const struct tag *hashes = tag_find(tags, n, SPAN("h")), *services = tag_find(tags, n, SPAN("s"));
	struct span type = value_of(tags, n, SPAN("k"));
	if (version && (version != tags || !span_equal(version->value, SPAN("DKIM1"))))
		return error_set(why, 0, "the record is no key of DKIM1");
	if (!p)
		return error_set(why, 0, "the record has no key");
	out->is_ed25519 = span_equal_nocase(type, SPAN("ed25519"));
	if (type.len && !out->is_ed25519 && !span_equal_nocase(type, SPAN("rsa")))
		return error_set(why, 0, "unknown type of key");
	if (hashes && !list_has(hashes->value, SPAN("sha256")))
		return error_set(why, 0, "the key is not for SHA-256");
	bool is_for_mail = !services || list_has(services->value, SPAN("*")) || list_has(services->value, SPAN("email"));
	out->is_for_reports = !is_for_mail && list_has(services->value, SPAN("tlsrpt"));
	if (!is_for_mail && !out->is_for_reports)
		return error_set(why, 0, "the key is not for mail");
	out->is_testing = list_has(value_of(tags, n, SPAN("t")), SPAN("y"));
	out->is_strict = list_has(value_of(tags, n, SPAN("t")), SPAN("s"));
	out->key = decode_base64(p->value, a);
	return 0;
}

/* §3.4.2: white space is one space, none stands at the ends, and line ends within go. */
static void add_relaxed_value(struct span value, struct buf *out)
{
	bool has_space = false, has_any = false;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if (c == '\r' || c == '\n')
			continue;
		if (c == ' ' || c == '\t') {
			has_space = true;
			continue;
		}
		if (has_space && has_any)
			buf_add_char(out, ' ');
		has_space = false;
		has_any = true;
		buf_add_char(out, c);
	}
}

void dkim_canonical_field(enum dkim_canonical form, struct span field, struct buf *out)
{
	ssize_t colon = span_chr(field, ':');
	if (form == DKIM_SIMPLE || colon < 0) {
		buf_add(out, span_ends_with(field, SPAN("\r\n")) ? span_slice(field, 0, field.len - 2) : field);
		buf_add(out, SPAN("\r\n"));
		return;
	}
	struct span name = span_trim(span_slice(field, 0, (size_t)colon));
	for (size_t i = 0; i < name.len; i++)
		buf_add_char(out, ascii_lower(name.ptr[i]));
	buf_add_char(out, ':');
	add_relaxed_value(span_skip(field, (size_t)colon + 1), out);
	buf_add(out, SPAN("\r\n"));
}
