/* Lists of words and of number ranges inside ipc messages. */
#include "ipc/words.h"

#include "base/pack.h"

enum { RANGE_BYTES = 8 };

void words_pack(struct buf *out, const struct span *words, size_t count)
{
	pack_u32(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		pack_bytes(out, words[i]);
}

ssize_t words_unpack(struct span packed, struct arena *a, struct span **words)
{
	struct unpacker u = {.rest = packed};
	uint32_t count = packed.len ? unpack_u32(&u) : 0;
	if (u.bad || count > WORDS_MOST || count > packed.len)
		return -1;
	*words = arena_alloc_array(a, count, sizeof **words);
	for (uint32_t i = 0; i < count; i++)
		(*words)[i] = unpack_bytes(&u, packed.len);
	return unpack_done(&u) ? (ssize_t)count : -1;
}

size_t ranges_count(struct span packed)
{
	return packed.len / RANGE_BYTES;
}

void ranges_get(struct span packed, size_t i, uint32_t *first, uint32_t *last)
{
	struct unpacker u = {.rest = span_slice(packed, i * RANGE_BYTES, RANGE_BYTES)};
	*first = unpack_u32(&u);
	*last = unpack_u32(&u);
}

bool ranges_are_valid(struct span packed)
{
	uint64_t next = 1;
	if (packed.len % RANGE_BYTES)
		return false;
	for (size_t i = 0; i < ranges_count(packed); i++) {
		uint32_t first, last;
		ranges_get(packed, i, &first, &last);
		if (first < next || last < first)
			return false;
		next = (uint64_t)last + 1;
	}
	return true;
}

void ranges_add_range(struct buf *out, uint32_t first, uint32_t last)
{
	if (out->len >= RANGE_BYTES) {
		uint32_t a, b;
		ranges_get(buf_span(out), out->len / RANGE_BYTES - 1, &a, &b);
		if (b != UINT32_MAX && b + 1 == first) {
			out->len -= RANGE_BYTES;
			first = a;
		}
	}
	pack_u32(out, first);
	pack_u32(out, last);
}

void ranges_add(struct buf *out, uint32_t number)
{
	ranges_add_range(out, number, number);
}

bool ranges_have(struct span packed, uint32_t number)
{
	size_t low = 0, high = ranges_count(packed);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint32_t first, last;
		ranges_get(packed, middle, &first, &last);
		if (number < first)
			high = middle;
		else if (number > last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}
