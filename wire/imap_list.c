/* LIST and LSUB: see imap_list.h. */
#include "wire/imap_list.h"

#include "base/die.h"
#include "wire/imap_metadata.h"

#include <stdlib.h>

/* ---- what is asked for ---- */

/* list-mailbox = 1*list-char / string */
static bool take_list_mailbox(struct imap_parser *p, struct span *out)
{
	if (imap_next_is(p, '"') || imap_next_is(p, '{'))
		return imap_take_string(p, out);
	size_t n = 0;
	while (n < p->rest.len && p->rest.ptr[n] > ' ' && p->rest.ptr[n] < 0x7f && !strchr("(){\"\\", p->rest.ptr[n]))
		n++;
	*out = span_slice(p->rest, 0, n);
	p->rest = span_skip(p->rest, n);
	return n > 0 || imap_fail(p, "Expected a pattern");
}

static struct span whole_pattern(struct imap_parser *p, struct span reference, struct span pattern)
{
	BUF_AUTO whole = {0};
	if (imap_decode_name(p, reference, &whole) || imap_decode_name(p, pattern, &whole) || whole.len > IMAP_PATTERN_MAX)
		return (struct span){0}; /* no mailbox has such a name */
	imap_capitalise_inbox(&whole, "/%*");
	return arena_dup(p->arena, buf_span(&whole));
}

static bool take_patterns(struct imap_parser *p, struct span reference, struct imap_list *out)
{
	struct span pattern;
	bool is_list = imap_next_is(p, '(');
	out->patterns = arena_alloc_array(p->arena, IMAP_PATTERNS_MAX, sizeof *out->patterns);
	p->rest = span_skip(p->rest, is_list);
	do {
		if (out->pattern_count == IMAP_PATTERNS_MAX)
			return imap_fail(p, "Too many patterns");
		if (!take_list_mailbox(p, &pattern))
			return false;
		/* RFC 5258 §3: an empty one among several, or of an extended LIST, matches nothing */
		out->patterns[out->pattern_count++] = pattern.len ? whole_pattern(p, reference, pattern) : (struct span){0};
	} while (is_list && imap_next_is(p, ' ') && imap_take_space(p));
	out->is_extended |= is_list;
	out->is_root = !is_list && pattern.len == 0;
	return !is_list || imap_take_char(p, ')');
}

struct option_name {
	const char *name;
	unsigned option;
};

/* "(" [option *(SP option)] ")" */
static bool take_options(struct imap_parser *p, const struct option_name *names, size_t count, unsigned *options)
{
	if (!imap_take_char(p, '('))
		return false;
	if (imap_next_is(p, ')'))
		return imap_take_char(p, ')');
	do {
		size_t i = 0;
		while (i < count && !imap_take_word(p, names[i].name))
			i++;
		if (i == count)
			return imap_fail(p, "There is no such option");
		*options |= names[i].option;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return imap_take_char(p, ')');
}

static bool take_selection(struct imap_parser *p, struct imap_list *out)
{
	static const struct option_name names[] = {
		{"SUBSCRIBED", IMAP_LIST_SUBSCRIBED | IMAP_LIST_RETURN_SUBSCRIBED}, {"RECURSIVEMATCH", IMAP_LIST_RECURSIVE},
		{"SPECIAL-USE", IMAP_LIST_SPECIAL_USE | IMAP_LIST_RETURN_SPECIAL_USE}, {"REMOTE", 0}};
	out->is_extended = true;
	if (!take_options(p, names, sizeof names / sizeof names[0], &out->options))
		return false;
	/* RFC 5258 §3.1: RECURSIVEMATCH modifies another option */
	if ((out->options & IMAP_LIST_RECURSIVE) && !(out->options & (IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL_USE)))
		return imap_fail(p, "RECURSIVEMATCH needs another selection option");
	return imap_take_space(p);
}

/* RFC 5819 §2: a return option with an argument. */
static bool take_return_option(struct imap_parser *p, struct imap_list *out)
{
	static const struct option_name names[] = {
		{"SUBSCRIBED", IMAP_LIST_RETURN_SUBSCRIBED}, {"CHILDREN", IMAP_LIST_RETURN_CHILDREN},
		{"SPECIAL-USE", IMAP_LIST_RETURN_SPECIAL_USE}, {"MYRIGHTS", IMAP_LIST_RETURN_MYRIGHTS}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (imap_take_word(p, names[i].name)) {
			out->options |= names[i].option;
			return true;
		}
	if (imap_take_word(p, "METADATA"))
		return imap_take_space(p) && imap_next_is(p, '(') ? imap_take_metadata_entries(p, &out->entries, &out->entry_count) : imap_take_char(p, '(');
	if (imap_take_word(p, "STATUS"))
		return imap_take_space(p) && imap_take_status_items(p, &out->status_items);
	return imap_fail(p, "There is no such option");
}

static bool take_return(struct imap_parser *p, struct imap_list *out)
{
	out->is_extended = true;
	if (!imap_take_space(p) || !imap_take_word(p, "RETURN"))
		return imap_fail(p, "Expected RETURN");
	if (!imap_take_space(p) || !imap_take_char(p, '('))
		return false;
	if (imap_next_is(p, ')'))
		return imap_take_char(p, ')');
	do {
		if (!take_return_option(p, out))
			return false;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return imap_take_char(p, ')');
}

bool imap_take_list(struct imap_parser *p, bool is_lsub, struct imap_list *out)
{
	struct span reference;
	*out = (struct imap_list){0};
	if (!is_lsub && imap_next_is(p, '(') && !take_selection(p, out))
		return false;
	if (!imap_take_astring(p, &reference) || !imap_take_space(p))
		return false;
	if (is_lsub && imap_next_is(p, '('))
		return imap_fail(p, "LSUB has one pattern");
	if (!take_patterns(p, reference, out))
		return false;
	if (!is_lsub && p->rest.len && !take_return(p, out))
		return false;
	out->is_root = out->is_root && !out->is_extended;
	return imap_take_end(p);
}

/* create-param of RFC 6154 §6: SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")" */
static bool take_use(struct imap_parser *p, struct imap_create *out)
{
	static const struct {
		const char *name;
		enum imap_use use;
	} uses[] = {
		{"\\Archive", IMAP_USE_ARCHIVE}, {"\\Drafts", IMAP_USE_DRAFTS}, {"\\Junk", IMAP_USE_JUNK}, {"\\Sent", IMAP_USE_SENT}, {"\\Trash", IMAP_USE_TRASH},
	};
	if (!imap_take_space(p) || !imap_take_char(p, '('))
		return false;
	if (!imap_take_word(p, "USE"))
		return imap_fail(p, "There is no such parameter");
	if (!imap_take_space(p) || !imap_take_char(p, '('))
		return false;
	for (unsigned count = 0; !imap_next_is(p, ')'); count++) {
		struct span name;
		enum imap_use use = IMAP_USE_NONE;
		if ((count && !imap_take_space(p)) || !imap_next_is(p, '\\'))
			return imap_fail(p, "A use begins with \\");
		for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
			if (imap_take_word(p, uses[i].name))
				use = uses[i].use;
		p->rest = span_skip(p->rest, use == IMAP_USE_NONE);
		if (use == IMAP_USE_NONE && !imap_take_atom(p, &name))
			return false;
		out->is_bad_use |= use == IMAP_USE_NONE || (out->use != IMAP_USE_NONE && out->use != use);
		out->use = use;
	}
	return imap_take_char(p, ')') && imap_take_char(p, ')');
}

bool imap_take_create(struct imap_parser *p, struct imap_create *out)
{
	*out = (struct imap_create){0};
	return imap_take_mailbox(p, &out->name) && (p->rest.len == 0 || take_use(p, out));
}

/* ---- matching ----
 *
 * The pattern is a row of characters with gaps between them, each of which lets nothing, a piece of a level ("%") or
 * anything ("*") through. Bit i of the state: the first i characters have matched. All states move at once. */

enum { WORDS_MAX = IMAP_PATTERN_MAX / 64 + 1 };

struct imap_pattern {
	size_t words, length;                     /* characters besides wildcards */
	uint64_t star[WORDS_MAX], percent[WORDS_MAX];
	uint64_t characters[256][WORDS_MAX];      /* bit i: character i is this one */
};

static void set_bit(uint64_t *words, size_t bit)
{
	words[bit / 64] |= (uint64_t)1 << (bit % 64);
}

struct imap_pattern *imap_pattern_new(struct span pattern)
{
	struct imap_pattern *m = xcalloc(1, sizeof *m);
	if (pattern.len > IMAP_PATTERN_MAX)
		die("imap: a pattern that is too long");
	for (size_t i = 0; i < pattern.len; i++) {
		if (pattern.ptr[i] == '*')
			set_bit(m->star, m->length);
		else if (pattern.ptr[i] == '%')
			set_bit(m->percent, m->length);
		else
			set_bit(m->characters[(unsigned char)pattern.ptr[i]], m->length++);
	}
	m->words = m->length / 64 + 1;
	return m;
}

void imap_pattern_free(struct imap_pattern *m)
{
	free(m);
}

bool imap_pattern_matches(const struct imap_pattern *m, struct span name)
{
	uint64_t state[WORDS_MAX] = {1};
	for (size_t i = 0; i < name.len; i++) {
		const uint64_t *wanted = m->characters[(unsigned char)name.ptr[i]];
		uint64_t carry = 0;
		for (size_t w = 0; w < m->words; w++) {
			uint64_t moved = state[w] & wanted[w];
			uint64_t stays = state[w] & (m->star[w] | (name.ptr[i] == '/' ? 0 : m->percent[w]));
			state[w] = moved << 1 | carry | stays;
			carry = moved >> 63;
		}
	}
	return state[m->length / 64] >> (m->length % 64) & 1;
}
