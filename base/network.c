/* Networks. */
#include "base/network.h"

#include <arpa/inet.h>

enum { ADDRESS_BITS = 128, MAPPED_BYTES = 12 /* in front of an IPv4 address */ };

static const unsigned char mapped[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

/* The address as 16 bytes, and how many of their bits stand in front of what was written. -1 if it is none. */
static int read_address(struct span text, unsigned char out[16], unsigned *front)
{
	char copy[INET6_ADDRSTRLEN];
	if (text.len == 0 || text.len >= sizeof copy || span_chr(text, 0) >= 0)
		return -1;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	*front = 0;
	if (inet_pton(AF_INET6, copy, out) == 1)
		return 0;
	memcpy(out, mapped, sizeof mapped);
	*front = 8 * MAPPED_BYTES;
	return inet_pton(AF_INET, copy, out + MAPPED_BYTES) == 1 ? 0 : -1;
}

static bool bit(const unsigned char *bytes, unsigned i)
{
	return bytes[i / 8] >> (7 - i % 8) & 1;
}

int network_parse(struct span text, struct network *out)
{
	ssize_t slash = span_chr(text, '/');
	unsigned front;
	uint64_t bits;
	if (read_address(slash < 0 ? text : span_slice(text, 0, (size_t)slash), out->prefix, &front))
		return -1;
	out->bits = ADDRESS_BITS;
	if (slash < 0)
		return 0;
	if (span_to_u64(span_skip(text, (size_t)slash + 1), ADDRESS_BITS - front, &bits))
		return -1;
	out->bits = front + (unsigned)bits;
	for (unsigned i = out->bits; i < ADDRESS_BITS; i++)
		if (bit(out->prefix, i))
			return -1;
	return 0;
}

bool network_has(const struct network *n, const struct network *address)
{
	size_t whole = n->bits / 8;
	if (memcmp(n->prefix, address->prefix, whole) != 0)
		return false;
	for (unsigned i = (unsigned)whole * 8; i < n->bits; i++)
		if (bit(n->prefix, i) != bit(address->prefix, i))
			return false;
	return true;
}

bool network_is_loopback(struct span address)
{
	static const unsigned char six[16] = {[15] = 1};
	unsigned char bytes[16];
	unsigned front;
	if (read_address(address, bytes, &front))
		return false;
	return memcmp(bytes, six, sizeof six) == 0 || (memcmp(bytes, mapped, sizeof mapped) == 0 && bytes[MAPPED_BYTES] == 127);
}

static bool is_in_one_of(const char *const *networks, size_t count, const struct network *one)
{
	struct network n;
	for (size_t i = 0; i < count; i++)
		if (network_parse(span_cstr(networks[i]), &n) == 0 && network_has(&n, one))
			return true;
	return false;
}

static bool is_private(const struct network *one)
{
	static const char *const privates[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"};
	return is_in_one_of(privates, sizeof privates / sizeof privates[0], one);
}

bool network_is_private(struct span address)
{
	struct network one;
	return network_parse(address, &one) == 0 && one.bits == ADDRESS_BITS && is_private(&one);
}

static bool is_outside(const struct network *one)
{
	/* this network and this machine, IETF protocols, benchmarking, multicast and reserved; of IPv6 also IPv4-compatible and site-local ones,
	 * and translation for one's own network (RFC 8215) */
	static const char *const others[] = {"0.0.0.0/8", "127.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "224.0.0.0/3", "::/96", "ff00::/8", "fec0::/10", "64:ff9b:1::/48"};
	return !is_private(one) && !is_in_one_of(others, sizeof others / sizeof others[0], one);
}

bool network_is_outside(struct span address)
{
	/* addresses that have an IPv4 one in them: NAT64 (RFC 6052 §2.1), 6to4 (RFC 3056 §2) */
	static const struct {
		const char *prefix;
		unsigned at;
	} wrappers[] = {{"64:ff9b::/96", 12}, {"2002::/16", 2}};
	struct network one, wrapper;
	if (network_parse(address, &one) || one.bits != ADDRESS_BITS)
		return false;
	for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++) {
		if (network_parse(span_cstr(wrappers[i].prefix), &wrapper) || !network_has(&wrapper, &one))
			continue;
		struct network inside = {.bits = ADDRESS_BITS};
		memcpy(inside.prefix, mapped, sizeof mapped);
		memcpy(inside.prefix + MAPPED_BYTES, one.prefix + wrappers[i].at, 4);
		return is_outside(&inside);
	}
	return is_outside(&one);
}

uint64_t network_key(struct span address)
{
	unsigned char bytes[16];
	unsigned front;
	uint64_t key;
	if (read_address(address, bytes, &front))
		return 0;
	if (memcmp(bytes, mapped, sizeof mapped) == 0) {
		uint32_t four;
		memcpy(&four, bytes + MAPPED_BYTES, sizeof four);
		return 1ull << 32 | ntohl(four);
	}
	memcpy(&key, bytes, sizeof key);
	return key;
}
