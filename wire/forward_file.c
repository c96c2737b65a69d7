#include "wire/forward_file.h"

#include "base/buf.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Up to the start of a target: blanks, commas, line ends and comments are passed over. */
static void skip_gap(struct forward_reader *r)
{
	while (r->rest.len) {
		char c = r->rest.ptr[0];
		if (c == '#' && !r->is_amid) {
			ssize_t end = span_chr(r->rest, '\n');
			r->rest = span_skip(r->rest, end < 0 ? r->rest.len : (size_t)end);
			continue;
		}
		if (c == '\n')
			r->next++;
		else if (!is_blank(c) && c != ',')
			return;
		r->is_amid = c == '\n' ? false : r->is_amid || c == ',';
		r->rest = span_skip(r->rest, 1);
	}
}

struct item {
	struct buf text;      /* quotes taken off */
	bool has_gap;         /* blanks outside quotes, between two words */
	bool is_open;         /* a quote was not closed on its line */
	bool has_control;
};

static void take_item(struct forward_reader *r, struct item *item)
{
	bool is_quoted = false, is_after_blank = false;
	size_t i = 0;
	for (; i < r->rest.len && r->rest.ptr[i] != '\n'; i++) {
		char c = r->rest.ptr[i];
		if (!is_quoted && c == ',')
			break;
		if (!is_quoted && is_blank(c)) {
			is_after_blank = true;
			continue;
		}
		if (is_after_blank) {
			item->has_gap = true;
			buf_add_char(&item->text, ' ');
			is_after_blank = false;
		}
		if (c == '"') {
			is_quoted = !is_quoted;
			continue;
		}
		if (is_quoted && c == '\\' && i + 1 < r->rest.len && r->rest.ptr[i + 1] != '\n')
			c = r->rest.ptr[++i];
		item->has_control |= (unsigned char)c < ' ' || c == 0x7f;
		buf_add_char(&item->text, c);
	}
	item->is_open = is_quoted;
	r->rest = span_skip(r->rest, i);
	r->is_amid = true;
}

/* "Ana <ana@example.org>" is ana@example.org. */
static int read_address(struct span text, bool has_gap, struct span *out, struct error *why)
{
	ssize_t open = span_rchr(text, '<');
	if (open >= 0 && span_ends_with(text, SPAN(">")))
		*out = span_trim(span_slice(text, (size_t)open + 1, text.len - (size_t)open - 2));
	else if (has_gap)
		return error_set(why, 0, "two words without a comma between them");
	else
		*out = text;
	return out->len ? 0 : error_set(why, 0, "an empty address");
}

static int read_item(const struct item *item, struct arena *a, struct forward_target *out, struct error *why)
{
	struct span text = arena_dup(a, buf_span(&item->text));
	if (item->is_open)
		return error_set(why, 0, "a quote that is not closed");
	if (item->has_control)
		return error_set(why, 0, "it is not text");
	if (span_starts_with(text, SPAN("|"))) {
		*out = (struct forward_target){FORWARD_PROGRAM, span_skip(text, 1)};
		return 0;
	}
	if (span_starts_with(text, SPAN("/")))
		return error_set(why, 0, "it leads to a file, into which no mail is written here");
	if (span_starts_with_nocase(text, SPAN(":include:")))
		return error_set(why, 0, "it takes its targets from another file: name them here");
	if (span_starts_with(text, SPAN("\\"))) {
		*out = (struct forward_target){FORWARD_MAILBOX, span_skip(text, 1)};
		return item->has_gap || text.len == 1 ? error_set(why, 0, "no name behind the backslash") : 0;
	}
	out->kind = FORWARD_ADDRESS;
	return read_address(text, item->has_gap, &out->text, why);
}

int forward_file_next(struct forward_reader *r, struct arena *a, struct forward_target *out, struct error *why)
{
	struct item item = {0};
	*out = (struct forward_target){0};
	skip_gap(r);
	r->line = r->next + 1;
	if (!r->rest.len)
		return 0;
	if (r->count == FORWARD_TARGETS_MOST) {
		r->rest = SPAN("");
		return error_set(why, 0, "more than %d targets: the rest is not read", FORWARD_TARGETS_MOST);
	}
	r->count++;
	take_item(r, &item);
	int bad = read_item(&item, a, out, why);
	buf_free(&item.text);
	return bad ? -1 : 1;
}
