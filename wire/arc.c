/* Reading a chain: RFC 8617 §4.2 and §5.2. */
#include "wire/arc.h"

#include "wire/dkim.h"
#include "wire/header.h"
#include "wire/lexical.h"

static const struct span names[] = {SPAN("ARC-Authentication-Results"), SPAN("ARC-Message-Signature"), SPAN("ARC-Seal")};
enum { RESULTS, MESSAGE, SEAL, FIELDS_OF_SET };

const char *arc_status_word(enum arc_status status)
{
	static const char *const words[] = {"none", "fail", "pass"};
	return words[status];
}

static struct span *field_of(struct arc_set *set, size_t which)
{
	return which == RESULTS ? &set->results : which == MESSAGE ? &set->message : &set->seal;
}

/* §4.2.1: a position of one or two digits */
static unsigned read_instance(struct span digits)
{
	uint64_t n;
	return digits.len <= 2 && span_to_u64(digits, ARC_INSTANCE_SEEN_MOST, &n) == 0 ? (unsigned)n : 0;
}

struct span arc_results_payload(struct span value, unsigned *instance)
{
	struct span in = lexical_skip_cfws(value);
	*instance = 0;
	if (!span_starts_with(in, SPAN("i")))
		return SPAN("");
	in = lexical_skip_cfws(span_skip(in, 1));
	if (!span_starts_with(in, SPAN("=")))
		return SPAN("");
	in = span_skip(in, 1);
	struct span digits = lexical_take_token(&in);
	in = lexical_skip_cfws(in);
	if (!span_starts_with(in, SPAN(";")))
		return SPAN("");
	*instance = read_instance(digits);
	return span_trim(span_skip(in, 1));
}

/* The instance of an ARC-Message-Signature or ARC-Seal; *status: what cv= says, ARC_FAIL if it makes no sense. */
static unsigned read_tags(struct span value, enum arc_status *status)
{
	struct tag tags[TAGS_MOST];
	ssize_t count = tag_list_parse(value, tags);
	const struct tag *i = count < 0 ? NULL : tag_find(tags, (size_t)count, SPAN("i"));
	const struct tag *cv = count < 0 ? NULL : tag_find(tags, (size_t)count, SPAN("cv"));
	*status = ARC_FAIL;
	if (cv && span_equal_nocase(cv->value, SPAN("pass")))
		*status = ARC_PASS;
	else if (cv && span_equal_nocase(cv->value, SPAN("none")))
		*status = ARC_NONE;
	return i ? read_instance(i->value) : 0;
}

static void fault(struct arc_chain *c, const char *text)
{
	if (!c->fault)
		c->fault = text;
}

static void take_field(struct arc_chain *c, size_t which, const struct header_field *field, enum arc_status statuses[ARC_SETS_MOST])
{
	enum arc_status status = ARC_FAIL;
	unsigned instance;
	c->is_there = true;
	if (which == RESULTS)
		arc_results_payload(field->value, &instance);
	else
		instance = read_tags(field->value, &status);
	if (which == SEAL && instance >= c->highest) /* a later one of the same instance is of a chain that is not sound */
		c->has_ended = status == ARC_FAIL;
	else if (instance > c->highest)
		c->has_ended = false;
	if (instance > c->highest)
		c->highest = instance;
	if (instance == 0 || instance > ARC_SETS_MOST) {
		fault(c, instance ? "the chain has more than 50 sets" : "a field of the chain has no instance");
		return;
	}
	struct span *place = field_of(&c->sets[instance - 1], which);
	if (place->len)
		fault(c, "a field of the chain is there twice");
	*place = field->whole;
	if (which == SEAL)
		statuses[instance - 1] = status;
}

void arc_chain_read(struct span header, struct arc_chain *out)
{
	struct header_reader r = {.header = header};
	struct header_field field;
	enum arc_status statuses[ARC_SETS_MOST] = {ARC_NONE};
	*out = (struct arc_chain){0};
	while (header_next(&r, &field))
		for (size_t i = 0; i < FIELDS_OF_SET; i++)
			if (span_equal_nocase(field.name, names[i]))
				take_field(out, i, &field, statuses);
	if (!out->is_there)
		return;
	if (out->has_ended)
		fault(out, "the last seal says that the chain was broken"); /* §5.2 step 2 */
	for (unsigned i = 0; i < out->highest && i < ARC_SETS_MOST; i++) {
		struct arc_set *set = &out->sets[i];
		if (!set->results.len || !set->message.len || !set->seal.len)
			fault(out, "a field of the chain is missing");
		else if (statuses[i] != (i ? ARC_PASS : ARC_NONE)) /* step 3 C */
			fault(out, "a seal says what it cannot have found");
	}
	out->count = out->fault ? 0 : out->highest;
}

/* ---- what is signed ---- */

void arc_set_canonical(const struct arc_set *set, bool with_seal, struct buf *out)
{
	dkim_canonical_field(DKIM_RELAXED, set->results, out);
	dkim_canonical_field(DKIM_RELAXED, set->message, out);
	if (with_seal)
		dkim_canonical_field(DKIM_RELAXED, set->seal, out);
}

bool arc_sets_are_canonical(struct span bytes, unsigned count)
{
	static const struct span starts[] = {SPAN("arc-authentication-results:"), SPAN("arc-message-signature:"), SPAN("arc-seal:")};
	for (unsigned i = 0; i < count * FIELDS_OF_SET; i++) {
		size_t which = i % FIELDS_OF_SET;
		ssize_t end = span_find(bytes, SPAN("\r\n"));
		if (end < 0 || !span_starts_with(bytes, starts[which]))
			return false;
		struct span value = span_slice(bytes, starts[which].len, (size_t)end - starts[which].len);
		enum arc_status status;
		unsigned instance;
		if (which == RESULTS)
			arc_results_payload(value, &instance);
		else
			instance = read_tags(value, &status);
		if (instance != i / FIELDS_OF_SET + 1)
			return false;
		bytes = span_skip(bytes, (size_t)end + 2);
	}
	return bytes.len == 0;
}
