#include "wire/alias_map.h"

#include "base/buf.h"

static struct span take_line(struct alias_map_reader *r)
{
	ssize_t end = span_chr(r->rest, '\n');
	struct span line = end < 0 ? r->rest : span_slice(r->rest, 0, (size_t)end);
	r->rest = end < 0 ? span_skip(r->rest, r->rest.len) : span_skip(r->rest, (size_t)end + 1);
	r->next++;
	return line;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* A line with those that go on with it; empty at the end of the file. */
static void take_logical_line(struct alias_map_reader *r, struct buf *out)
{
	while (r->rest.len && !out->len) {
		struct span line = take_line(r);
		r->line = r->next;
		if (line.len && line.ptr[0] != '#' && span_trim(line).len)
			buf_add(out, span_trim(line));
	}
	while (out->len && r->rest.len && (is_blank(r->rest.ptr[0]) || r->rest.ptr[0] == '#')) {
		struct span line = take_line(r);
		if (line.ptr[0] == '#')
			continue;
		buf_add_char(out, ' ');
		buf_add(out, span_trim(line));
	}
}

/* A word, quotes taken off: to white space, or to one of `ends`. */
static struct span take_word(struct span *rest, const char *ends, struct arena *a)
{
	BUF_AUTO word = {0};
	bool is_quoted = false;
	size_t i = 0;
	for (; i < rest->len; i++) {
		char c = rest->ptr[i];
		if (c == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && c == '\\' && i + 1 < rest->len)
			buf_add_char(&word, rest->ptr[++i]);
		else if (!is_quoted && (is_blank(c) || span_chr(span_cstr(ends), c) >= 0))
			break;
		else
			buf_add_char(&word, c);
	}
	*rest = span_skip(*rest, i);
	return arena_dup(a, buf_span(&word));
}

static int check_target(struct span target, struct error *why)
{
	if (span_starts_with(target, SPAN("|")))
		return error_set(why, 0, "it leads to a program, which aliases here do not");
	if (span_starts_with(target, SPAN("/")))
		return error_set(why, 0, "it leads to a file, which aliases here do not");
	if (span_starts_with_nocase(target, SPAN(":include:")))
		return error_set(why, 0, "it takes its targets from another file: name them here");
	return target.len ? 0 : error_set(why, 0, "an empty target");
}

static int read_targets(struct span rest, struct arena *a, struct alias_map_entry *out, struct error *why)
{
	size_t room = 0;
	for (size_t i = 0; i < rest.len; i++)
		room += rest.ptr[i] == ',' || is_blank(rest.ptr[i]);
	room = room + 1 > ALIAS_MAP_TARGETS_MOST ? ALIAS_MAP_TARGETS_MOST : room + 1;
	out->targets = arena_alloc_array(a, room, sizeof *out->targets);
	for (;;) {
		while (rest.len && (is_blank(rest.ptr[0]) || rest.ptr[0] == ','))
			rest = span_skip(rest, 1);
		if (!rest.len)
			return out->count ? 0 : error_set(why, 0, "it has no target");
		if (out->count == room)
			return error_set(why, 0, "it has more than %d targets", ALIAS_MAP_TARGETS_MOST);
		struct span target = take_word(&rest, ",", a);
		if (span_starts_with(target, SPAN("\\")))
			target = span_skip(target, 1); /* "this one, and no alias of it": ours never lead to themselves */
		if (check_target(target, why))
			return -1;
		out->targets[out->count++] = target;
	}
}

int alias_map_next(struct alias_map_reader *r, struct arena *a, struct alias_map_entry *out, struct error *why)
{
	BUF_AUTO line = {0};
	*out = (struct alias_map_entry){0};
	take_logical_line(r, &line);
	if (!line.len)
		return 0;
	struct span rest = buf_span(&line);
	out->name = take_word(&rest, ":", a);
	rest = span_trim(rest);
	bool has_colon = span_starts_with(rest, SPAN(":"));
	if (!out->name.len)
		return error_set(why, 0, "it has no name");
	if (!has_colon && span_chr(out->name, '@') < 0 && span_chr(out->name, '.') >= 0)
		return error_set(why, 0, "it is a domain, and no address: `carteiro domain add` adds one");
	rest = span_skip(rest, has_colon);
	return read_targets(rest, a, out, why) ? -1 : 1;
}
