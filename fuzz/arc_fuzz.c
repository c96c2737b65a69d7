/* Any bytes as a header with a chain, as the sets that vault is shown, and as somebody's results: a sound chain has all its fields, in the
 * header, and its canonical form is one that vault takes; results end, and lie within what was read. */
#include "base/die.h"
#include "wire/arc.h"
#include "wire/authentication_results.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(struct span part, struct span all)
{
	return part.len == 0 || (part.ptr >= all.ptr && part.ptr + part.len <= all.ptr + all.len);
}

static void read_chain(struct span in)
{
	struct arc_chain c;
	BUF_AUTO sets = {0};
	arc_chain_read(in, &c);
	if (c.count > ARC_SETS_MOST || (c.count && c.fault) || (c.count && c.count != c.highest))
		die("a chain that is none");
	for (unsigned i = 0; i < c.count; i++) {
		const struct arc_set *s = &c.sets[i];
		if (!s->results.len || !s->message.len || !s->seal.len || !is_within(s->results, in) || !is_within(s->message, in) || !is_within(s->seal, in))
			die("a set without its fields");
		arc_set_canonical(s, true, &sets);
	}
	if (sets.len > in.len + 3 * 2 * c.count)
		die("a canonical form longer than the fields");
}

static void read_results(struct span in)
{
	ARENA_AUTO a = {0};
	struct span rest = in;
	struct authentication_result r;
	size_t before;
	authentication_results_start(&rest, &a);
	while (before = rest.len, authentication_results_next(&rest, &a, &r)) {
		if (rest.len >= before)
			die("a result of nothing");
		if (r.property_count > AUTHENTICATION_PROPERTIES_MOST || r.method.len + r.result.len > in.len)
			die("a result of more than there is");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	unsigned instance;
	read_chain(in);
	read_results(in);
	arc_sets_are_canonical(in, 3);
	if (!is_within(arc_results_payload(in, &instance), in) || instance > ARC_INSTANCE_SEEN_MOST)
		die("results from elsewhere");
	return 0;
}
