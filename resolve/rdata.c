/* DNS messages: RFC 1035 §4.1, §3.3.9, §3.4.1; RFC 3596 §2.2. */
#include "resolve/rdata.h"

#include <arpa/inet.h>

enum {
	HEADER_BYTES = 12,
	CLASS_IN = 1,
	LABEL_MOST = 63,
	POINTER = 0xc0,
	LABELS_MOST = 127, /* of a name of 255 octets */
	POINTERS_MOST = 127,
	FIXED_BYTES = 10,  /* type, class, TTL and length of a record */
};

static unsigned byte_at(struct span m, size_t at)
{
	return (unsigned char)m.ptr[at];
}

static unsigned u16_at(struct span m, size_t at)
{
	return byte_at(m, at) << 8 | byte_at(m, at + 1);
}

/* Bytes that the name at `at` takes there; 0 if the message ends before it does. */
static size_t name_length(struct span m, size_t at)
{
	size_t start = at;
	while (at < m.len) {
		unsigned n = byte_at(m, at);
		if ((n & POINTER) == POINTER)
			return m.len - at < 2 ? 0 : at + 2 - start;
		if (n > LABEL_MOST)
			return 0;
		at += 1 + n;
		if (n == 0)
			return at - start;
	}
	return 0;
}

int rdata_start(struct rdata_reader *r, struct span message, struct error *why)
{
	*r = (struct rdata_reader){.message = message, .at = HEADER_BYTES};
	if (message.len < HEADER_BYTES)
		return error_set(why, 0, "a DNS message ends in its header");
	r->rcode = byte_at(message, 3) & 15;
	r->records_left = u16_at(message, 6);
	/* each question takes at least five bytes, so the loop is bounded by the message */
	for (unsigned questions = u16_at(message, 4); questions; questions--) {
		size_t n = name_length(message, r->at);
		if (n == 0 || message.len - r->at - n < 4)
			return error_at(why, r->at, 0, "a DNS message ends in its question");
		r->at += n + 4;
	}
	return 0;
}

int rdata_next(struct rdata_reader *r, struct rdata_record *out, struct error *why)
{
	struct span m = r->message;
	while (r->records_left) {
		size_t n = name_length(m, r->at);
		if (n == 0 || m.len - r->at - n < FIXED_BYTES)
			return error_at(why, r->at, 0, "a DNS message ends in a record");
		size_t fixed = r->at + n, len = u16_at(m, fixed + 8);
		if (m.len - fixed - FIXED_BYTES < len)
			return error_at(why, fixed, 0, "a DNS record is longer than its message");
		*out = (struct rdata_record){.type = u16_at(m, fixed), .at = fixed + FIXED_BYTES, .len = len};
		r->at = fixed + FIXED_BYTES + len;
		r->records_left--;
		if (u16_at(m, fixed + 2) == CLASS_IN)
			return 1;
	}
	return 0;
}

static bool is_host_char(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_';
}

/* Names that are only asked for again (the macros of SPF make such) may have more in them. */
static bool is_name_char(char c)
{
	return c >= ' ' && c <= '~' && c != '.' && c != '\\';
}

static int add_label(struct span label, bool (*is_allowed)(char c), char *out, size_t *len)
{
	/* the dot before it, and the NUL */
	if (*len + (*len > 0) + label.len + 1 > RDATA_NAME_MOST)
		return -1;
	if (*len)
		out[(*len)++] = '.';
	for (size_t i = 0; i < label.len; i++) {
		if (!is_allowed(label.ptr[i]))
			return -1;
		out[(*len)++] = ascii_lower(label.ptr[i]);
	}
	return 0;
}

static ssize_t read_name(struct span m, size_t at, bool (*is_allowed)(char c), char out[RDATA_NAME_MOST])
{
	size_t taken = name_length(m, at), len = 0;
	if (taken == 0)
		return -1;
	for (unsigned steps = 0; steps < LABELS_MOST + POINTERS_MOST; steps++) {
		if (at >= m.len)
			return -1;
		unsigned n = byte_at(m, at);
		if (n == 0) {
			out[len] = 0;
			return (ssize_t)taken;
		}
		if ((n & POINTER) == POINTER) {
			if (m.len - at < 2)
				return -1;
			size_t target = u16_at(m, at) & 0x3fff;
			if (target >= at)
				return -1;
			at = target;
			continue;
		}
		if (n > LABEL_MOST || m.len - at - 1 < n || add_label(span_slice(m, at + 1, n), is_allowed, out, &len))
			return -1;
		at += 1 + n;
	}
	return -1;
}

ssize_t rdata_host_name(struct span m, size_t at, char out[RDATA_NAME_MOST])
{
	return read_name(m, at, is_host_char, out);
}

int rdata_mx(struct span message, const struct rdata_record *record, unsigned *preference, char host[RDATA_NAME_MOST])
{
	if (record->type != RDATA_TYPE_MX || record->len < 3)
		return -1;
	*preference = u16_at(message, record->at);
	ssize_t n = rdata_host_name(message, record->at + 2, host);
	return n >= 0 && (size_t)n == record->len - 2 ? 0 : -1;
}

int rdata_address(struct span message, const struct rdata_record *record, char out[INET6_ADDRSTRLEN])
{
	bool is_v4 = record->type == RDATA_TYPE_A && record->len == sizeof(struct in_addr);
	bool is_v6 = record->type == RDATA_TYPE_AAAA && record->len == sizeof(struct in6_addr);
	if (!is_v4 && !is_v6)
		return -1;
	return inet_ntop(is_v4 ? AF_INET : AF_INET6, message.ptr + record->at, out, INET6_ADDRSTRLEN) ? 0 : -1;
}

int rdata_alias(struct span message, const struct rdata_record *record, char name[RDATA_NAME_MOST])
{
	return record->type == RDATA_TYPE_CNAME && rdata_host_name(message, record->at, name) == (ssize_t)record->len ? 0 : -1;
}

bool rdata_tlsa_is_usable(struct span data)
{
	enum { DANE_TA = 2, DANE_EE = 3, SPKI = 1, FIXED = 3 };
	static const size_t digest_bytes[] = {0, 32, 64}; /* the whole, SHA-256, SHA-512 */
	if (data.len <= FIXED)
		return false;
	unsigned usage = byte_at(data, 0), selector = byte_at(data, 1), matching = byte_at(data, 2);
	if ((usage != DANE_TA && usage != DANE_EE) || selector > SPKI || matching >= sizeof digest_bytes / sizeof digest_bytes[0])
		return false;
	return matching == 0 || data.len - FIXED == digest_bytes[matching];
}

/* RFC 1035 §3.3.14: one or more strings, each with its length in front. */
static int add_strings(struct span data, struct buf *out)
{
	size_t before = out->len;
	while (data.len) {
		size_t n = byte_at(data, 0);
		if (data.len - 1 < n) {
			out->len = before;
			return -1;
		}
		buf_add(out, span_slice(data, 1, n));
		data = span_skip(data, 1 + n);
	}
	return 0;
}

int rdata_value(struct span message, const struct rdata_record *record, struct buf *out)
{
	struct span data = span_slice(message, record->at, record->len);
	char name[RDATA_NAME_MOST];
	switch (record->type) {
	case RDATA_TYPE_A:
	case RDATA_TYPE_AAAA:
		if (record->len != (record->type == RDATA_TYPE_A ? sizeof(struct in_addr) : sizeof(struct in6_addr)))
			return -1;
		buf_add(out, data);
		return 0;
	case RDATA_TYPE_MX:
		if (record->len < 3 || read_name(message, record->at + 2, is_name_char, name) != (ssize_t)record->len - 2)
			return -1;
		buf_add(out, span_slice(data, 0, 2));
		buf_add_cstr(out, name);
		return 0;
	case RDATA_TYPE_PTR:
		if (read_name(message, record->at, is_name_char, name) != (ssize_t)record->len)
			return -1;
		buf_add_cstr(out, name);
		return 0;
	case RDATA_TYPE_TXT:
		return add_strings(data, out);
	case RDATA_TYPE_TLSA:
		buf_add(out, data);
		return 0;
	default:
		return -1;
	}
}
