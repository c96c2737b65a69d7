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

bool network_is_private(struct span address)
{
	static const char *const privates[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"};
	struct network n, one;
	bool is_private = false;
	if (network_parse(address, &one) || one.bits != ADDRESS_BITS)
		return false;
	for (size_t i = 0; i < sizeof privates / sizeof privates[0] && !is_private; i++)
		is_private = network_parse(span_cstr(privates[i]), &n) == 0 && network_has(&n, &one);
	return is_private;
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
