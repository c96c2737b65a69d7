/* Lists of hosts. */
#include "relay/target.h"

#include "base/utf8.h"
#include "ipc/words.h"

#include <arpa/inet.h>
#include <stdio.h>

int target_parse_address(const char *text, uint16_t port, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	*out = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*len = sizeof *v4;
		return 0;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*len = sizeof *v6;
		return 0;
	}
	return -1;
}

/* 127/8, and 0/8, which the kernel takes for this machine too. */
static bool v4_is_loopback(const unsigned char *bytes)
{
	return bytes[0] == 127 || bytes[0] == 0;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	if (address->ss_family == AF_INET)
		return v4_is_loopback((const unsigned char *)&v4->sin_addr);
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) || IN6_IS_ADDR_V4COMPAT(&v6->sin6_addr))
		return v4_is_loopback(v6->sin6_addr.s6_addr + 12);
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

static int read_target(struct span host, struct span address, uint16_t port, struct target *out)
{
	char text[INET6_ADDRSTRLEN];
	if (host.len == 0 || host.len >= sizeof out->host || utf8_has_8bit(host) || span_chr(host, 0) >= 0 ||
	    address.len >= sizeof text)
		return -1;
	snprintf(out->host, sizeof out->host, "%.*s", SPAN_ARG(host));
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(address));
	if (target_parse_address(text, port, &out->address, &out->address_len))
		return -1;
	/* a literal names its address already */
	if (host.ptr[0] == '[')
		snprintf(out->name, sizeof out->name, "%.*s:%u", SPAN_ARG(span_slice(host, 0, 200)), port);
	else
		snprintf(out->name, sizeof out->name, "%.*s[%s]:%u", SPAN_ARG(span_slice(host, 0, 200)), text, port);
	out->is_loopback = is_loopback(&out->address);
	return 0;
}

enum { RECORDS_MOST = 16 };

/* What the words have said of the host so far. */
struct host {
	struct span name, base;
	struct span records[RECORDS_MOST];
	size_t record_count;
	bool must_use_tls, is_named_securely;
	const struct tls_proof *proof; /* made at the first address */
};

static const struct tls_proof *make_proof(const struct host *h, const char *next_hop, struct arena *a)
{
	struct tls_proof *p = arena_alloc(a, sizeof *p);
	struct span *records = arena_alloc_array(a, h->record_count, sizeof *records);
	for (size_t i = 0; i < h->record_count; i++)
		records[i] = arena_dup(a, h->records[i]);
	*p = (struct tls_proof){.name = arena_dup(a, h->base.len ? h->base : h->name).ptr, .other_name = arena_dup(a, span_cstr(next_hop)).ptr,
	                        .records = records, .record_count = h->record_count};
	return p;
}

static bool take_word(struct host *h, struct span kind, struct span value)
{
	if (span_equal(kind, SPAN("H")))
		*h = (struct host){.name = value};
	else if (span_equal(kind, SPAN("B")))
		h->base = value;
	else if (span_equal(kind, SPAN("S")))
		h->is_named_securely = true;
	else if (span_equal(kind, SPAN("M")))
		h->must_use_tls = true;
	else if (span_equal(kind, SPAN("T")) && h->record_count < RECORDS_MOST)
		h->records[h->record_count++] = value;
	else
		return false;
	return true;
}

ssize_t targets_read(struct span hosts, const char *next_hop, uint16_t port, struct arena *a, struct target **out)
{
	struct span *words;
	struct host host = {0};
	ssize_t word_count = words_unpack(hosts, a, &words), count = 0;
	if (word_count < 0 || word_count % 2)
		return -1;
	*out = arena_alloc_array(a, TARGETS_MOST, sizeof **out);
	for (ssize_t i = 0; i < word_count; i += 2) {
		if (!span_equal(words[i], SPAN("A"))) {
			if (!take_word(&host, words[i], words[i + 1]))
				return -1;
			continue;
		}
		if (count == TARGETS_MOST || read_target(host.name, words[i + 1], port, &(*out)[count]))
			return -1;
		if (host.record_count && !host.proof)
			host.proof = make_proof(&host, next_hop, a);
		(*out)[count].proof = host.proof;
		(*out)[count].is_named_securely = host.is_named_securely;
		(*out)[count].must_use_tls = host.must_use_tls || host.proof;
		count++;
	}
	return count;
}
