/* Base subjects: see subject.h. The steps are numbered as in RFC 5256 §2.1. */
#include "wire/subject.h"

#include "wire/encoded_word.h"

static bool is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* Step 1. */
static void normalise(struct span value, struct buf *out)
{
	BUF_AUTO decoded = {0};
	encoded_words_decode(value, &decoded);
	for (size_t i = 0; i < decoded.len; i++) {
		char c = decoded.ptr[i];
		if (c == '\t' || c == '\r' || c == '\n')
			c = ' ';
		if (c && !(c == ' ' && out->len && out->ptr[out->len - 1] == ' '))
			buf_add_char(out, c);
	}
}

/* subj-blob at the front: "[" *BLOBCHAR "]" *WSP, where BLOBCHAR is anything but brackets. Its length, 0 if there is none. */
static size_t blob_length(struct span s)
{
	size_t at = 1;
	if (s.len == 0 || s.ptr[0] != '[')
		return 0;
	while (at < s.len && s.ptr[at] != '[' && s.ptr[at] != ']')
		at++;
	if (at == s.len || s.ptr[at] != ']')
		return 0;
	for (at++; at < s.len && is_wsp(s.ptr[at]); at++)
		;
	return at;
}

/* subj-refwd at the front: ("re" / ("fw" ["d"])) *WSP [subj-blob] ":". */
static size_t refwd_length(struct span s)
{
	size_t at = span_starts_with_nocase(s, SPAN("fwd")) ? 3 :
	            span_starts_with_nocase(s, SPAN("re")) || span_starts_with_nocase(s, SPAN("fw")) ? 2 : 0;
	if (at == 0)
		return 0;
	while (at < s.len && is_wsp(s.ptr[at]))
		at++;
	at += blob_length(span_skip(s, at));
	return at < s.len && s.ptr[at] == ':' ? at + 1 : 0;
}

/* subj-leader at the front: (*subj-blob subj-refwd) / WSP. Blobs that were seen to lead to no subj-refwd are not looked at again by the
 * caller, so that time stays linear. */
static size_t leader_length(struct span s, bool *is_reply)
{
	size_t at = 0, blob;
	if (s.len && is_wsp(s.ptr[0]))
		return 1;
	while ((blob = blob_length(span_skip(s, at))))
		at += blob;
	size_t refwd = refwd_length(span_skip(s, at));
	*is_reply |= refwd > 0;
	return refwd ? at + refwd : 0;
}

/* Step 2. */
static struct span drop_trailers(struct span s, bool *is_reply)
{
	for (;;) {
		if (s.len && is_wsp(s.ptr[s.len - 1])) {
			s.len--;
		} else if (s.len >= 5 && span_equal_nocase(span_skip(s, s.len - 5), SPAN("(fwd)"))) {
			s.len -= 5;
			*is_reply = true;
		} else {
			return s;
		}
	}
}

/* Steps 3 to 5. A blob goes if it leaves something that is more than white space. */
static struct span drop_leaders(struct span s, bool *is_reply)
{
	for (;;) {
		size_t n = leader_length(s, is_reply);
		if (n) {
			s = span_skip(s, n);
			continue;
		}
		/* no subj-refwd stands behind these blobs: all of them go, but for one that would leave nothing */
		bool has_dropped = false;
		while ((n = blob_length(s)) && n < s.len) {
			s = span_skip(s, n);
			has_dropped = true;
		}
		if (!has_dropped)
			return s;
	}
}

bool subject_base(struct span value, struct buf *out)
{
	BUF_AUTO subject = {0};
	bool is_reply = false;
	normalise(value, &subject);
	struct span s = buf_span(&subject);
	for (;;) {
		s = drop_leaders(drop_trailers(s, &is_reply), &is_reply);
		/* step 6 */
		if (s.len < 6 || !span_starts_with_nocase(s, SPAN("[fwd:")) || s.ptr[s.len - 1] != ']')
			break;
		s = span_slice(s, 5, s.len - 6);
		is_reply = true;
	}
	buf_add(out, s);
	return is_reply;
}
