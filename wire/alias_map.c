#include "wire/alias_map.h"

#include "base/buf.h"
#include "wire/program.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
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

static int take_program(struct span *target, const char *pipes, struct arena *a, struct error *why)
{
	if (!pipes)
		return error_set(why, ALIAS_MAP_NOT_HERE, "it leads to a program, which only names of aliases(5) do here");
	if (program_target(span_skip(*target, 1), pipes, a, target, why) == 0)
		return 0;
	if (why)
		why->code = ALIAS_MAP_NOT_HERE;
	return -1;
}

static int check_target(struct span target, struct error *why)
{
	if (span_starts_with(target, SPAN("/")))
		return error_set(why, ALIAS_MAP_NOT_HERE, "it leads to a file, which aliases here do not");
	if (span_starts_with_nocase(target, SPAN(":include:")))
		return error_set(why, ALIAS_MAP_NOT_HERE, "it takes its targets from another file: name them here");
	return target.len ? 0 : error_set(why, 0, "an empty target");
}

int alias_map_read_targets(struct span rest, const char *pipes, struct arena *a, struct alias_map_entry *out, struct error *why)
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
		if (span_starts_with(target, SPAN("|")) ? take_program(&target, pipes, a, why) : check_target(target, why))
			return -1;
		out->targets[out->count++] = target;
	}
}

struct span alias_map_take_name(struct span *line, bool *has_colon, struct arena *a)
{
	struct span name = take_word(line, ":", a);
	*line = span_trim(*line);
	*has_colon = span_starts_with(*line, SPAN(":"));
	*line = span_skip(*line, *has_colon);
	return name;
}

int alias_map_next(struct line_reader *r, const char *pipes, struct arena *a, struct alias_map_entry *out, struct error *why)
{
	BUF_AUTO line = {0};
	bool has_colon;
	*out = (struct alias_map_entry){0};
	int more = logical_line_next(r, &line, why);
	if (more <= 0)
		return more;
	struct span rest = buf_span(&line);
	out->name = alias_map_take_name(&rest, &has_colon, a);
	if (!out->name.len)
		return error_set(why, 0, "it has no name");
	if (!has_colon && span_chr(out->name, '@') < 0 && span_chr(out->name, '.') >= 0)
		return error_set(why, 0, "it is a domain, and no address: `carteiro domain add` adds one");
	return alias_map_read_targets(rest, pipes, a, out, why) ? -1 : 1;
}
