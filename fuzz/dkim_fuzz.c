/* Any bytes as a signature, as a key and as a body: what is decoded is no longer than what was read, and a body's canonical form
 * does not depend on how it comes. */
#include "base/die.h"
#include "wire/dkim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void canonical_body(enum dkim_canonical form, struct span in, size_t step, struct buf *out)
{
	struct dkim_body b = {.form = form};
	for (; in.len; in = span_skip(in, step))
		dkim_body_feed(&b, span_slice(in, 0, step), out);
	dkim_body_end(&b, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	ARENA_AUTO a = {0};
	struct dkim_signature s;
	struct dkim_key k;
	BUF_AUTO field = {0};
	for (enum dkim_kind kind = DKIM_SIGNATURE; kind <= DKIM_ARC_SEAL; kind++) {
		if (dkim_signature_parse(kind, in, &a, &s, NULL))
			continue;
		if (s.signature.len > size || s.body_hash.len > size || s.header_name_count > DKIM_HEADER_NAMES_MOST)
			die("a signature larger than its field");
		if (s.b_value.ptr < in.ptr || s.b_value.ptr + s.b_value.len > in.ptr + in.len)
			die("b= outside of the field");
	}
	if (dkim_key_parse(in, &a, &k, NULL) == 0 && k.key.len > size)
		die("a key larger than its record");
	dkim_canonical_field(DKIM_RELAXED, in, &field);
	for (enum dkim_canonical form = DKIM_SIMPLE; form <= DKIM_RELAXED; form++) {
		BUF_AUTO whole = {0}, pieces = {0};
		canonical_body(form, in, size + 1, &whole);
		canonical_body(form, in, 3, &pieces);
		if (!span_equal(buf_span(&whole), buf_span(&pieces)) || whole.len > 2 * size + 2)
			die("two canonical forms of one body");
	}
	return 0;
}
