/* 128-bit identifiers. */
#include "base/ids.h"

#include "base/clock.h"
#include "base/random.h"

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

struct id128 id128_new(void)
{
	struct id128 id;
	random_bytes(id.bytes, sizeof id.bytes);
	uint64_t ms = (uint64_t)clock_wall_ms();
	for (size_t i = 0; i < 6; i++)
		id.bytes[i] = (unsigned char)(ms >> (8 * (5 - i)));
	return id;
}

int64_t id128_made_ms(struct id128 id)
{
	int64_t ms = 0;
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id.bytes[i];
	return ms;
}

bool id128_equal(struct id128 a, struct id128 b)
{
	return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

bool id128_is_zero(struct id128 id)
{
	return id128_equal(id, (struct id128){0});
}

struct span id128_text(struct id128 id, char out[ID128_TEXT_BYTES + 1])
{
	/* 26 digits of 5 bits hold 130: two zero bits stand in front */
	unsigned bits = 2, value = 0;
	size_t at = 0;
	for (size_t n = 0; n < ID128_TEXT_BYTES; n++) {
		while (bits < 5) {
			value = value << 8 | id.bytes[at++];
			bits += 8;
		}
		bits -= 5;
		out[n] = digits[(value >> bits) & 31];
		value &= (1u << bits) - 1;
	}
	out[ID128_TEXT_BYTES] = 0;
	return (struct span){out, ID128_TEXT_BYTES};
}

int id128_parse(struct span text, struct id128 *out)
{
	unsigned bits = 0, value = 0;
	size_t at = 0;
	if (text.len != ID128_TEXT_BYTES)
		return -1;
	for (size_t n = 0; n < text.len; n++) {
		const char *digit = memchr(digits, ascii_lower(text.ptr[n]), sizeof digits - 1);
		if (!digit || (n == 0 && digit - digits > 7))
			return -1;
		value = value << 5 | (unsigned)(digit - digits);
		bits += n == 0 ? 3 : 5;
		if (bits >= 8) {
			bits -= 8;
			out->bytes[at++] = (unsigned char)(value >> bits);
			value &= (1u << bits) - 1;
		}
	}
	return 0;
}

uint64_t id128_hash(struct id128 id)
{
	uint64_t h;
	memcpy(&h, id.bytes + 8, sizeof h);
	return h;
}

void unpack_id128(struct unpacker *u, struct id128 *out)
{
	if (u->bad || u->rest.len < sizeof out->bytes) {
		u->bad = true;
		*out = (struct id128){0};
		return;
	}
	memcpy(out->bytes, u->rest.ptr, sizeof out->bytes);
	u->rest = span_skip(u->rest, sizeof out->bytes);
}
