/* Addresses in SMTP: RFC 5321 §4.1.2 and §4.1.3, RFC 6531 §3.3. See address.h. */
#include "wire/address.h"

#include <arpa/inet.h>
#include <idn2.h>

#include "base/utf8.h"
#include "wire/casefold.h"

/* A cursor over the bytes of one path. */
struct cursor {
	struct span in;
	size_t at;
	unsigned flags;
};

static bool at_end(const struct cursor *c)
{
	return c->at >= c->in.len;
}

static bool next_is(const struct cursor *c, char want)
{
	return !at_end(c) && c->in.ptr[c->at] == want;
}

static bool is_let_dig(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* RFC 5322 §3.2.3. */
static bool is_atext(char c)
{
	return is_let_dig(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Bytes of the UTF-8 character at the cursor, 0 if it is not one or UTF-8 is not allowed. */
static size_t utf8_here(const struct cursor *c)
{
	if (!(c->flags & ADDRESS_UTF8) || at_end(c) || (unsigned char)c->in.ptr[c->at] < 0x80)
		return 0;
	return utf8_char_length(span_skip(c->in, c->at));
}

/* The code and text for a byte that fits nothing here: 8-bit without SMTPUTF8 has its own (RFC 6531 §3.5). */
static int unexpected(const struct cursor *c, struct error *why, const char *where)
{
	if (at_end(c))
		return error_at(why, c->at, 501, "5.1.3 the address ends in its %s", where);
	if ((unsigned char)c->in.ptr[c->at] >= 0x80)
		return error_at(why, c->at, 553, "5.6.7 the %s has bytes that need SMTPUTF8 and valid UTF-8", where);
	return error_at(why, c->at, 501, "5.1.3 a character in the %s is not allowed there", where);
}

/* Dot-string: atoms joined by single dots. */
static int take_dot_string(struct cursor *c, struct error *why)
{
	bool loose = (c->flags & ADDRESS_LOOSE) != 0;
	bool after_dot = true;
	size_t start = c->at;

	while (!at_end(c)) {
		size_t wide = utf8_here(c);

		if (next_is(c, '.')) {
			if (after_dot && (!loose || c->at == start))
				return error_at(why, c->at, 501, "5.1.3 a dot in the local part has nothing before it");
			after_dot = true;
			c->at++;
		} else if (wide > 0 || is_atext(c->in.ptr[c->at])) {
			after_dot = false;
			c->at += wide > 0 ? wide : 1;
		} else {
			break;
		}
	}
	if (c->at == start || (after_dot && !loose))
		return unexpected(c, why, "local part");
	return 0;
}

/* Quoted-string: RFC 5321 §4.1.2; it may be empty. */
static int take_quoted_string(struct cursor *c, struct error *why)
{
	c->at++;
	while (!at_end(c)) {
		unsigned char byte = (unsigned char)c->in.ptr[c->at];
		size_t wide = utf8_here(c);

		if (byte == '"') {
			c->at++;
			return 0;
		}
		if (byte == '\\') {
			c->at++;
			if (at_end(c) || c->in.ptr[c->at] < 32 || c->in.ptr[c->at] > 126)
				return unexpected(c, why, "quoted local part");
			c->at++;
		} else if (wide > 0) {
			c->at += wide;
		} else if (byte >= 32 && byte <= 126) {
			c->at++;
		} else {
			return unexpected(c, why, "quoted local part");
		}
	}
	return error_at(why, c->at, 501, "5.1.3 the quoted local part does not end");
}

static int take_literal(struct cursor *c, struct span *out, struct error *why)
{
	ssize_t close = span_chr(span_skip(c->in, c->at), ']');

	if (close < 0)
		return error_at(why, c->at, 501, "5.1.3 the address literal does not end");
	*out = span_slice(c->in, c->at, (size_t)close + 1);
	if (!address_literal_is_valid(*out))
		return error_at(why, c->at, 501, "5.1.3 the address literal is not an IPv4 or IPv6: address");
	c->at += out->len;
	return 0;
}

/* One label: let-dig, then let-digs and hyphens, the last not a hyphen. UTF-8 letters count as let-dig; whether they
 * make a U-label is for domain_canonical to say. */
static int take_label(struct cursor *c, struct error *why)
{
	size_t start = c->at;

	while (!at_end(c)) {
		size_t wide = utf8_here(c);

		if (wide > 0)
			c->at += wide;
		else if (is_let_dig(c->in.ptr[c->at]) || (c->in.ptr[c->at] == '-' && c->at > start))
			c->at++;
		else
			break;
	}
	if (c->at == start)
		return unexpected(c, why, "domain");
	if (c->in.ptr[c->at - 1] == '-')
		return error_at(why, c->at - 1, 501, "5.1.3 a label of the domain ends in a hyphen");
	if (c->at - start > ADDRESS_LABEL_MAX && !utf8_has_8bit(span_slice(c->in, start, c->at - start)))
		return error_at(why, start, 501, "5.1.3 a label of the domain is longer than 63 octets");
	return 0;
}

static int take_domain(struct cursor *c, struct span *out, struct error *why)
{
	size_t start = c->at;

	if (next_is(c, '['))
		return take_literal(c, out, why);
	for (;;) {
		if (take_label(c, why) < 0)
			return -1;
		if (!next_is(c, '.'))
			break;
		c->at++;
	}
	*out = span_slice(c->in, start, c->at - start);
	if (out->len > ADDRESS_DOMAIN_MAX)
		return error_at(why, start, 501, "5.1.3 the domain is longer than 255 octets");
	return 0;
}

static int take_local_part(struct cursor *c, struct span *out, struct error *why)
{
	size_t start = c->at;
	int got = next_is(c, '"') ? take_quoted_string(c, why) : take_dot_string(c, why);

	if (got < 0)
		return -1;
	*out = span_slice(c->in, start, c->at - start);
	size_t most = c->flags & ADDRESS_LOOSE ? ADDRESS_LOCAL_PART_LOOSE : ADDRESS_LOCAL_PART_MAX;
	if (out->len > most)
		return error_at(why, start, 501, "5.1.3 the local part is longer than %zu octets", most);
	return 0;
}

static int take_mailbox(struct cursor *c, struct address *out, struct error *why)
{
	if (take_local_part(c, &out->local_part, why) < 0)
		return -1;
	if (next_is(c, '>') && (c->flags & ADDRESS_POSTMASTER_OK) &&
	    span_equal_nocase(out->local_part, SPAN("postmaster"))) {
		out->is_postmaster = true;
		return 0;
	}
	if (!next_is(c, '@')) {
		if (at_end(c) || next_is(c, '>'))
			return error_at(why, c->at, 501, "5.1.3 the address has no domain");
		return unexpected(c, why, "local part");
	}
	c->at++;
	return take_domain(c, &out->domain, why);
}

/* A-d-l ":" (RFC 5321 §4.1.2): at most as long as a path, so the loop is short. */
static int skip_source_route(struct cursor *c, struct error *why)
{
	struct span ignored;

	if (!next_is(c, '@'))
		return 0;
	for (;;) {
		if (!next_is(c, '@'))
			return unexpected(c, why, "source route");
		c->at++;
		if (take_domain(c, &ignored, why) < 0)
			return -1;
		if (!next_is(c, ','))
			break;
		c->at++;
	}
	if (!next_is(c, ':'))
		return unexpected(c, why, "source route");
	c->at++;
	return 0;
}

ssize_t address_parse_path(struct span in, unsigned flags, struct address *out, struct error *why)
{
	struct cursor c = {.in = in, .flags = flags};

	*out = (struct address){0};
	if (!next_is(&c, '<'))
		return error_at(why, 0, 501, "5.5.4 an address in angle brackets is missing");
	c.at++;
	if (next_is(&c, '>')) {
		if (!(flags & ADDRESS_EMPTY_OK))
			return error_at(why, c.at, 501, "5.1.3 the address is empty");
		out->is_null = true;
		return 2;
	}
	/* Nothing beyond the longest path is looked at. */
	c.in = span_slice(in, 0, ADDRESS_PATH_MAX);
	if (skip_source_route(&c, why) < 0 || take_mailbox(&c, out, why) < 0) {
		if (c.at >= ADDRESS_PATH_MAX)
			error_at(why, c.at, 501, "5.1.3 the path is longer than 256 octets");
		return -1;
	}
	if (c.at >= ADDRESS_PATH_MAX)
		return error_at(why, c.at, 501, "5.1.3 the path is longer than 256 octets");
	if (!next_is(&c, '>'))
		return unexpected(&c, why, out->is_postmaster ? "local part" : "domain");
	return (ssize_t)c.at + 1;
}

int address_parse_mailbox(struct span in, unsigned flags, struct address *out, struct error *why)
{
	struct cursor c = {.in = in, .flags = flags & ~(unsigned)(ADDRESS_EMPTY_OK | ADDRESS_POSTMASTER_OK)};

	*out = (struct address){0};
	if (in.len > ADDRESS_PATH_MAX - 2)
		return error_at(why, ADDRESS_PATH_MAX - 2, 501, "5.1.3 the address is longer than 254 octets");
	if (take_mailbox(&c, out, why) < 0)
		return -1;
	if (!at_end(&c))
		return unexpected(&c, why, "domain");
	return 0;
}

bool domain_is_valid(struct span in, unsigned flags)
{
	struct cursor c = {.in = in, .flags = flags};
	struct span domain;

	return !next_is(&c, '[') && take_domain(&c, &domain, NULL) == 0 && at_end(&c);
}

bool address_literal_is_valid(struct span in)
{
	char text[INET6_ADDRSTRLEN + 1];
	unsigned char binary[16];
	int family = AF_INET;

	if (in.len < 2 || in.ptr[0] != '[' || in.ptr[in.len - 1] != ']')
		return false;
	in = span_slice(in, 1, in.len - 2);
	if (span_starts_with_nocase(in, SPAN("IPv6:"))) {
		family = AF_INET6;
		in = span_skip(in, 5);
	}
	if (in.len == 0 || in.len >= sizeof(text) || memchr(in.ptr, '\0', in.len))
		return false;
	memcpy(text, in.ptr, in.len);
	text[in.len] = '\0';
	return inet_pton(family, text, binary) == 1;
}

/* The content of a quoted local part, without quotes and backslashes. */
static void unquote(struct span quoted, struct buf *out)
{
	for (size_t i = 1; i + 1 < quoted.len; i++) {
		if (quoted.ptr[i] == '\\' && i + 2 < quoted.len)
			i++;
		buf_add_char(out, quoted.ptr[i]);
	}
}

static bool is_dot_string(struct span in)
{
	struct cursor c = {.in = in, .flags = ADDRESS_UTF8};

	return take_dot_string(&c, NULL) == 0 && at_end(&c);
}

/* "a"@x and a@x are the same mailbox (RFC 5321 §4.1.2), but "a@b"@x must keep its quotes: without them another parser
 * would see a different domain. */
static void local_part_canonical(struct span local, struct buf *out)
{
	BUF_AUTO plain = {0};
	BUF_AUTO folded = {0};
	bool quoted = local.len >= 2 && local.ptr[0] == '"';

	if (quoted)
		unquote(local, &plain);
	else
		buf_add(&plain, local);
	casefold_nfc(buf_span(&plain), &folded);
	if (!quoted || is_dot_string(buf_span(&folded))) {
		buf_add(out, buf_span(&folded));
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < folded.len; i++) {
		if (folded.ptr[i] == '"' || folded.ptr[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, folded.ptr[i]);
	}
	buf_add_char(out, '"');
}

static void add_lower(struct buf *out, struct span text)
{
	char *to = buf_reserve(out, text.len);

	for (size_t i = 0; i < text.len; i++)
		to[i] = ascii_lower(text.ptr[i]);
	out->len += text.len;
}

static int domain_idna(struct span domain, struct buf *out, struct error *why)
{
	BUF_AUTO name = {0};
	uint8_t *ascii = NULL;
	struct span result;
	int rc;

	if (!utf8_is_valid(domain) || memchr(domain.ptr, '\0', domain.len))
		return error_set(why, 553, "5.6.7 the domain is not valid UTF-8");
	buf_add(&name, domain);
	rc = idn2_lookup_u8((const uint8_t *)buf_cstr(&name), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return error_set(why, 553, "5.1.2 the domain is no internationalised name: %s", idn2_strerror(rc));
	/* The mapping may have brought dots and ASCII characters in: judge the result anew. */
	result = span_cstr((const char *)ascii);
	if (domain_is_valid(result, 0)) {
		add_lower(out, result);
		idn2_free(ascii);
		return 0;
	}
	idn2_free(ascii);
	return error_set(why, 553, "5.1.2 the domain is no internationalised name");
}

int domain_canonical(struct span domain, struct buf *out, struct error *why)
{
	if (domain.len > ADDRESS_DOMAIN_MAX)
		return error_set(why, 553, "5.1.2 the domain is longer than 255 octets");
	if (utf8_has_8bit(domain))
		return domain_idna(domain, out, why);
	if (!domain_is_valid(domain, 0) && !address_literal_is_valid(domain))
		return error_set(why, 553, "5.1.2 this is not a domain name");
	add_lower(out, domain);
	return 0;
}

int address_canonical(const struct address *address, struct buf *out, struct error *why)
{
	size_t before = out->len;

	if (address->is_null)
		return 0;
	if (address->is_postmaster) {
		buf_add_cstr(out, "postmaster");
		return 0;
	}
	local_part_canonical(address->local_part, out);
	buf_add_char(out, '@');
	if (domain_canonical(address->domain, out, why) < 0) {
		out->len = before;
		return -1;
	}
	return 0;
}

bool domain_is_within(struct span domain, struct span other)
{
	if (domain.len < other.len || !span_equal_nocase(span_skip(domain, domain.len - other.len), other))
		return false;
	return domain.len == other.len || domain.ptr[domain.len - other.len - 1] == '.';
}

bool address_split_detail(struct span canonical_local, char delimiter, struct span *base, struct span *detail)
{
	ssize_t at;

	*base = canonical_local;
	*detail = (struct span){0};
	if (canonical_local.len < 2 || canonical_local.ptr[0] == '"')
		return false;
	at = span_chr(span_skip(canonical_local, 1), delimiter);
	if (at < 0)
		return false;
	*base = span_slice(canonical_local, 0, (size_t)at + 1);
	*detail = span_skip(canonical_local, (size_t)at + 2);
	return true;
}
