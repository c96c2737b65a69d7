#include "auth/dkim_keys.h"

static struct span take_line(struct span *rest)
{
	ssize_t end = span_chr(*rest, '\n');
	struct span line = span_slice(*rest, 0, end < 0 ? rest->len : (size_t)end + 1);
	*rest = span_skip(*rest, line.len);
	return line;
}

int dkim_keys_next(struct span *rest, struct dkim_key_entry *out, struct error *why)
{
	struct span line, words;
	do {
		if (!rest->len)
			return 0;
		line = span_trim(take_line(rest));
	} while (!line.len || line.ptr[0] == '#');
	words = line;
	bool is_key = span_equal(span_next_word(&words), SPAN("key"));
	*out = (struct dkim_key_entry){.domain = span_next_word(&words), .selector = span_next_word(&words)};
	struct span state = span_next_word(&words);
	out->is_active = span_equal(state, SPAN("active"));
	if (!is_key || !out->selector.len || (!out->is_active && !span_equal(state, SPAN("new"))))
		return error_set(why, 0, "not \"key DOMAIN SELECTOR STATE\": %.*s", SPAN_ARG(span_slice(line, 0, 80)));
	out->pem = span_slice(*rest, 0, 0);
	while (rest->len && !span_starts_with(*rest, SPAN("key "))) {
		struct span of_key = take_line(rest);
		out->pem.len += of_key.len;
	}
	return 1;
}
