/* Parameters of SELECT, modifiers of FETCH and STORE: see imap_modifiers.h. */
#include "wire/imap_modifiers.h"

bool imap_take_modseq(struct imap_parser *p, uint64_t least, uint64_t *out)
{
	size_t n = 0;
	while (n < p->rest.len && ascii_is_digit(p->rest.ptr[n]))
		n++;
	if (span_to_u64(span_slice(p->rest, 0, n), INT64_MAX, out) || *out < least)
		return imap_fail(p, "Expected a mod-sequence");
	p->rest = span_skip(p->rest, n);
	return true;
}

/* A set of UIDs as a client knows them: "*" would be another set at each look. */
static bool take_known(struct imap_parser *p, struct imap_sequence_set *out)
{
	if (!imap_take_sequence_set(p, out))
		return false;
	for (size_t i = 0; i < out->count; i++)
		if (out->ranges[i].first == IMAP_STAR || out->ranges[i].last == IMAP_STAR)
			return imap_fail(p, "Known UIDs have no \"*\"");
	return true;
}

/* seq-match-data: RFC 7162 §3.2.5.2. */
static bool take_match_data(struct imap_parser *p, struct imap_select_parameters *out)
{
	out->has_match = true;
	return imap_take_char(p, '(') && take_known(p, &out->match_numbers) && imap_take_space(p) && take_known(p, &out->match_uids) &&
	       imap_take_char(p, ')');
}

/* RFC 7162 §7, select-param: "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")" */
static bool take_qresync(struct imap_parser *p, struct imap_select_parameters *out)
{
	out->is_qresync = true;
	if (!imap_take_space(p) || !imap_take_char(p, '(') || !imap_take_number(p, 1, &out->uidvalidity) || !imap_take_space(p) ||
	    !imap_take_modseq(p, 1, &out->modseq))
		return false;
	if (imap_next_is(p, ' ') && !(p->rest.len > 1 && p->rest.ptr[1] == '(')) {
		out->has_known = true;
		if (!imap_take_space(p) || !take_known(p, &out->known))
			return false;
	}
	if (imap_next_is(p, ' ') && (!imap_take_space(p) || !take_match_data(p, out)))
		return false;
	return imap_take_char(p, ')');
}

bool imap_take_select_parameters(struct imap_parser *p, struct imap_select_parameters *out)
{
	*out = (struct imap_select_parameters){0};
	if (p->rest.len == 0)
		return true;
	if (!imap_take_space(p) || !imap_take_char(p, '('))
		return false;
	do {
		if (imap_take_word(p, "CONDSTORE"))
			out->is_condstore = true;
		else if (!out->is_qresync && imap_take_word(p, "QRESYNC")) {
			if (!take_qresync(p, out))
				return false;
		} else {
			return imap_fail(p, "There is no such parameter");
		}
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return imap_take_char(p, ')');
}

bool imap_take_partial_range(struct imap_parser *p, struct imap_partial *out)
{
	uint32_t first, last;
	out->is_from_end = imap_next_is(p, '-');
	p->rest = span_skip(p->rest, out->is_from_end);
	if (!imap_take_number(p, 1, &first) || !imap_take_char(p, ':') || (out->is_from_end && !imap_take_char(p, '-')) ||
	    !imap_take_number(p, 1, &last))
		return false;
	out->first = first < last ? first : last;
	out->last = first < last ? last : first;
	return true;
}

bool imap_take_fetch_modifiers(struct imap_parser *p, struct imap_fetch_modifiers *out)
{
	*out = (struct imap_fetch_modifiers){0};
	if (p->rest.len == 0)
		return true;
	if (!imap_take_space(p) || !imap_take_char(p, '('))
		return false;
	do {
		if (!out->has_changed_since && imap_take_word(p, "CHANGEDSINCE")) {
			out->has_changed_since = true;
			if (!imap_take_space(p) || !imap_take_modseq(p, 0, &out->changed_since))
				return false;
		} else if (imap_take_word(p, "VANISHED")) {
			out->is_vanished = true;
		} else if (!out->has_partial && imap_take_word(p, "PARTIAL")) {
			out->has_partial = true;
			if (!imap_take_space(p) || !imap_take_partial_range(p, &out->partial))
				return false;
		} else {
			return imap_fail(p, "There is no such modifier");
		}
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	/* RFC 7162 §3.2.6 */
	if (out->is_vanished && !out->has_changed_since)
		return imap_fail(p, "VANISHED needs CHANGEDSINCE");
	return imap_take_char(p, ')');
}

bool imap_take_store_modifiers(struct imap_parser *p, bool *has_unchanged_since, uint64_t *unchanged_since)
{
	*has_unchanged_since = imap_next_is(p, '(');
	if (!*has_unchanged_since)
		return true;
	if (!imap_take_char(p, '('))
		return false;
	if (!imap_take_word(p, "UNCHANGEDSINCE"))
		return imap_fail(p, "There is no such modifier");
	return imap_take_space(p) && imap_take_modseq(p, 0, unchanged_since) && imap_take_char(p, ')') && imap_take_space(p);
}
