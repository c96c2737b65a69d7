/* What SEARCH and its kin are to give back, in which order, and of which mailboxes: see imap_search.h. */
#include "wire/imap_search.h"

/* ---- return options ---- */

static bool take_partial(struct imap_parser *p, struct imap_search *out)
{
	if (!imap_take_space(p))
		return false;
	struct span from = p->rest;
	if (!imap_take_partial_range(p, &out->partial))
		return false;
	out->partial_label = span_slice(from, 0, from.len - p->rest.len);
	return true;
}

static bool take_option(struct imap_parser *p, struct imap_search *out)
{
	static const struct {
		const char *name;
		enum imap_return option;
	} options[] = {
		{"MIN", IMAP_RETURN_MIN}, {"MAX", IMAP_RETURN_MAX}, {"ALL", IMAP_RETURN_ALL}, {"COUNT", IMAP_RETURN_COUNT},
		{"SAVE", IMAP_RETURN_SAVE}, {"PARTIAL", IMAP_RETURN_PARTIAL}, {"RELEVANCY", IMAP_RETURN_RELEVANCY},
		{"UPDATE", IMAP_RETURN_UPDATE}, {"CONTEXT", IMAP_RETURN_CONTEXT},
	};
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		if (!imap_take_word(p, options[i].name))
			continue;
		if (out->want & options[i].option & IMAP_RETURN_PARTIAL)
			return imap_fail(p, "PARTIAL is given twice");
		out->want |= options[i].option;
		return options[i].option != IMAP_RETURN_PARTIAL || take_partial(p, out);
	}
	return imap_fail(p, "There is no such return option");
}

bool imap_take_return(struct imap_parser *p, struct imap_search *out)
{
	out->is_extended = true;
	if (!imap_take_space(p) || !imap_take_char(p, '('))
		return false;
	while (!imap_next_is(p, ')'))
		if (!take_option(p, out) || (imap_next_is(p, ' ') && !imap_take_space(p)))
			return false;
	/* RFC 5267 §4.4 */
	if ((out->want & IMAP_RETURN_PARTIAL) && (out->want & IMAP_RETURN_ALL))
		return imap_fail(p, "PARTIAL and ALL exclude each other");
	/* RFC 4731 §3.1: "()" is ALL. UPDATE and CONTEXT by themselves ask for no data (RFC 5267 §4.2, §4.3) */
	if (out->want == 0)
		out->want = IMAP_RETURN_ALL;
	return imap_take_char(p, ')') && imap_take_space(p);
}

/* ---- orders ---- */

static bool take_criterion(struct imap_parser *p, struct imap_sort_key *out)
{
	static const struct {
		const char *name;
		enum imap_sort sort;
	} sorts[] = {
		{"ARRIVAL", IMAP_SORT_ARRIVAL}, {"CC", IMAP_SORT_CC}, {"DATE", IMAP_SORT_DATE}, {"FROM", IMAP_SORT_FROM},
		{"SIZE", IMAP_SORT_SIZE}, {"SUBJECT", IMAP_SORT_SUBJECT}, {"TO", IMAP_SORT_TO},
		{"DISPLAYFROM", IMAP_SORT_DISPLAY_FROM}, {"DISPLAYTO", IMAP_SORT_DISPLAY_TO}, {"RELEVANCY", IMAP_SORT_RELEVANCY},
	};
	out->is_reverse = imap_take_word(p, "REVERSE");
	if (out->is_reverse && !imap_take_space(p))
		return false;
	for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++)
		if (imap_take_word(p, sorts[i].name)) {
			out->sort = sorts[i].sort;
			return true;
		}
	return imap_fail(p, "There is no such sort key");
}

bool imap_take_sort_criteria(struct imap_parser *p, struct imap_search *out)
{
	if (!imap_take_char(p, '('))
		return false;
	do {
		if (out->sort_count == IMAP_SORT_KEYS_MAX)
			return imap_fail(p, "Too many sort keys");
		if (!take_criterion(p, &out->sort[out->sort_count++]))
			return false;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return imap_take_char(p, ')') && imap_take_space(p);
}

/* ---- several mailboxes ---- */

/* one-or-more-mailbox (RFC 5465 §8): one, or several in parentheses. */
static bool take_names(struct imap_parser *p, size_t room, struct imap_search_source *out)
{
	if (!imap_take_space(p))
		return false;
	bool is_list = imap_next_is(p, '(');
	p->rest = span_skip(p->rest, is_list);
	out->names = arena_alloc_array(p->arena, IMAP_SOURCES_MAX, sizeof *out->names);
	do {
		if (out->name_count == room)
			return imap_fail(p, "Too many mailboxes");
		if (!imap_take_mailbox(p, &out->names[out->name_count++]))
			return false;
	} while (is_list && imap_next_is(p, ' ') && imap_take_space(p));
	return !is_list || imap_take_char(p, ')');
}

static bool take_source(struct imap_parser *p, size_t room, struct imap_search_source *out)
{
	static const struct {
		const char *name;
		enum imap_source source;
	} sources[] = {
		{"selected", IMAP_SOURCE_SELECTED}, {"inboxes", IMAP_SOURCE_INBOXES}, {"personal", IMAP_SOURCE_PERSONAL},
		{"subscribed", IMAP_SOURCE_SUBSCRIBED}, {"subtree", IMAP_SOURCE_SUBTREE}, {"subtree-one", IMAP_SOURCE_SUBTREE_ONE},
		{"mailboxes", IMAP_SOURCE_MAILBOXES},
	};
	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
		if (imap_take_word(p, sources[i].name)) {
			out->source = sources[i].source;
			return out->source < IMAP_SOURCE_SUBTREE || take_names(p, room, out);
		}
	return imap_fail(p, "There is no such source of messages");
}

/* RFC 7377 §4; there are no scope options yet. */
bool imap_take_sources(struct imap_parser *p, struct imap_search *out)
{
	size_t names = 0;
	if (!imap_take_space(p) || !imap_take_char(p, '('))
		return false;
	out->sources = arena_alloc_array(p->arena, IMAP_SORT_KEYS_MAX, sizeof *out->sources);
	do {
		if (out->source_count == IMAP_SORT_KEYS_MAX)
			return imap_fail(p, "Too many sources of messages");
		struct imap_search_source *source = &out->sources[out->source_count++];
		if (!take_source(p, IMAP_SOURCES_MAX - names, source))
			return false;
		names += source->name_count;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return imap_take_char(p, ')') && imap_take_space(p);
}

bool imap_take_tags(struct imap_parser *p, struct span *tags, size_t room, size_t *count)
{
	*count = 0;
	do {
		if (*count == room)
			return imap_fail(p, "Too many tags");
		if (!imap_take_space(p) || !imap_take_string(p, &tags[(*count)++]))
			return false;
	} while (p->rest.len);
	return true;
}
