#include "wire/logical_line.h"

static struct span take_line(struct line_reader *r)
{
	ssize_t end = span_chr(r->rest, '\n');
	struct span line = end < 0 ? r->rest : span_slice(r->rest, 0, (size_t)end);
	r->rest = end < 0 ? span_skip(r->rest, r->rest.len) : span_skip(r->rest, (size_t)end + 1);
	r->next++;
	return line;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

int logical_line_next(struct line_reader *r, struct buf *out, struct error *why)
{
	bool has_begun = false;
	buf_clear(out);
	while (r->rest.len) {
		struct line_reader before = *r;
		struct span line = take_line(r), text = span_trim(line);
		if (!text.len || text.ptr[0] == '#')
			continue;
		bool goes_on = is_blank(line.ptr[0]);
		if (has_begun && !goes_on) {
			before.line = r->line;
			*r = before;
			return 1;
		}
		if (!has_begun)
			r->line = r->next;
		if (!has_begun && goes_on)
			return error_set(why, 0, "it begins with white space, and there is no line that it could go on with");
		if (has_begun)
			buf_add_char(out, ' ');
		has_begun = true;
		buf_add(out, text);
	}
	return has_begun;
}
