#include "wire/table_query.h"

/* ---- patterns ---- */

static struct span domain_of(struct span text)
{
	ssize_t at = span_rchr(text, '@');
	return at < 0 ? SPAN("") : span_skip(text, (size_t)at + 1);
}

/* Of user@domain the user; else all of it. */
static struct span user_of(struct span text)
{
	ssize_t at = span_rchr(text, '@');
	return at < 0 ? text : span_slice(text, 0, (size_t)at);
}

/* The label with that number from the right; empty if there is none. */
static struct span label_of(struct span domain, int number)
{
	struct span label = SPAN("");
	for (int i = 0; i < number; i++) {
		ssize_t dot = span_rchr(domain, '.');
		label = span_skip(domain, (size_t)(dot + 1));
		domain = span_slice(domain, 0, dot < 0 ? 0 : (size_t)dot);
	}
	return label;
}

static struct span part(char letter, struct span key, struct span value)
{
	switch (letter) {
	case 's': return value;
	case 'u': return user_of(value);
	case 'd': return domain_of(value);
	case 'S': return key;
	case 'U': return user_of(key);
	case 'D': return domain_of(key);
	}
	return label_of(domain_of(key), letter - '0');
}

static bool is_pattern(char c)
{
	return c == 's' || c == 'u' || c == 'd' || c == 'S' || c == 'U' || c == 'D' || (c >= '1' && c <= '9');
}

bool table_format_expand(struct span format, struct span key, struct span value, table_escape_fn *escape, struct buf *out)
{
	for (size_t i = 0; i < format.len; i++) {
		bool is_last = i + 1 == format.len;
		if (format.ptr[i] != '%' || is_last) {
			buf_add_char(out, format.ptr[i]);
			continue;
		}
		char letter = format.ptr[++i];
		struct span text = letter == '%' ? SPAN("%") : part(letter, key, value);
		if (!text.len)
			return false;
		if (escape && letter != '%')
			escape(text, out);
		else
			buf_add(out, text);
	}
	return true;
}

int table_format_check(struct span format, struct error *why)
{
	for (size_t i = 0; i < format.len; i++) {
		if (format.ptr[i] != '%')
			continue;
		char letter = i + 1 < format.len ? format.ptr[++i] : '\0';
		if (letter != '%' && !is_pattern(letter))
			return error_set(why, 0, "\"%.*s\": behind %% there must be s, u, d, S, U, D, a digit from 1 to 9, or %% for itself", SPAN_ARG(span_slice(format, 0, 100)));
	}
	return 0;
}

/* RFC 4515 §3, and all that is not plain ASCII, which it allows. */
void table_escape_filter(struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (c < ' ' || c >= 0x7f || strchr("*()\\", c))
			buf_printf(out, "\\%02x", c);
		else
			buf_add_char(out, (char)c);
	}
}

/* RFC 4514 §2.4: any octet may be written as its number. */
void table_escape_name(struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (ascii_is_alpha((char)c) || ascii_is_digit((char)c) || c == '.' || c == '-' || c == '_' || c == '@')
			buf_add_char(out, (char)c);
		else
			buf_printf(out, "\\%02x", c);
	}
}

/* ---- SQL ---- */

struct sql {
	struct span query, key;
	size_t at;
	struct arena *arena;
	struct buf *out;
	struct span *parameters;
	size_t *count;
	struct error *why;
};

/* The literal whose quote is at the place, two quotes in it being one: in *text, and the place is behind it. */
static int take_literal(struct sql *s, struct buf *text)
{
	size_t i = s->at + 1;
	for (; i < s->query.len; i++) {
		bool is_quote = s->query.ptr[i] == '\'';
		if (is_quote && (i + 1 == s->query.len || s->query.ptr[i + 1] != '\''))
			break;
		buf_add_char(text, s->query.ptr[i]);
		i += is_quote;
	}
	if (i >= s->query.len)
		return error_set(s->why, 0, "a quote of the query is not closed");
	s->at = i + 1;
	return 0;
}

/* Of a literal that has passed table_format_check. */
static bool has_pattern(struct span text)
{
	for (size_t i = 0; i + 1 < text.len; i++)
		if (text.ptr[i] == '%' && text.ptr[++i] != '%')
			return true;
	return false;
}

/* E'', U&'' and their like have other rules than a plain literal. */
static bool is_prefixed(const struct sql *s)
{
	char before = s->at ? s->query.ptr[s->at - 1] : ' ';
	return ascii_is_alpha(before) || ascii_is_digit(before) || before == '_' || before == '&' || (unsigned char)before >= 0x80;
}

static int add_literal(struct sql *s)
{
	BUF_AUTO text = {0}, value = {0};
	size_t start = s->at;
	bool has_prefix = is_prefixed(s);
	if (take_literal(s, &text) || table_format_check(buf_span(&text), s->why))
		return -1;
	if (!has_pattern(buf_span(&text))) {
		for (size_t i = start; i < s->at; i++) {
			buf_add_char(s->out, s->query.ptr[i]);
			i += s->query.ptr[i] == '%'; /* %% */
		}
		return 1;
	}
	if (has_prefix)
		return error_set(s->why, 0, "a literal of the query with a pattern has a letter in front: write it as a plain one, '%%s'");
	if (*s->count == TABLE_PARAMETERS_MOST)
		return error_set(s->why, 0, "the query has more than %d literals with patterns", TABLE_PARAMETERS_MOST);
	if (!table_format_expand(buf_span(&text), s->key, s->key, NULL, &value))
		return 0;
	s->parameters[(*s->count)++] = arena_dup(s->arena, buf_span(&value));
	buf_printf(s->out, "$%zu", *s->count);
	return 1;
}

static int add_identifier(struct sql *s)
{
	size_t start = s->at++;
	while (s->at < s->query.len && s->query.ptr[s->at] != '"')
		s->at++;
	struct span text = span_slice(s->query, start, ++s->at - start);
	if (s->at > s->query.len || span_chr(text, '%') >= 0)
		return error_set(s->why, 0, "a name in double quotes in the query is not closed, or has a %%");
	buf_add(s->out, text);
	return 1;
}

static int add_other(struct sql *s)
{
	struct span rest = span_skip(s->query, s->at);
	if (span_starts_with(rest, SPAN("--")) || span_starts_with(rest, SPAN("/*")) || rest.ptr[0] == '$')
		return error_set(s->why, 0, "the query has a comment or a dollar: leave them out");
	if (rest.ptr[0] == '%' && (rest.len < 2 || rest.ptr[1] != '%'))
		return error_set(s->why, 0, "the query has a pattern outside of quotes, where a stranger's address could be a command: write '%%s'");
	buf_add_char(s->out, rest.ptr[0]);
	s->at += rest.ptr[0] == '%' ? 2 : 1;
	return 1;
}

int table_sql(struct span query, struct span key, struct arena *a, struct buf *sql, struct span parameters[TABLE_PARAMETERS_MOST], size_t *count,
              struct error *why)
{
	struct sql s = {.query = query, .key = key, .arena = a, .out = sql, .parameters = parameters, .count = count, .why = why};
	int result = 1;
	*count = 0;
	while (s.at < query.len) {
		int one = query.ptr[s.at] == '\'' ? add_literal(&s) : query.ptr[s.at] == '"' ? add_identifier(&s) : add_other(&s);
		if (one < 0)
			return -1;
		if (!one)
			result = 0;
	}
	return result;
}

int table_sql_check(struct span query, struct error *why)
{
	ARENA_AUTO a = {0};
	BUF_AUTO sql = {0};
	struct span parameters[TABLE_PARAMETERS_MOST];
	size_t count;
	return table_sql(query, SPAN("u@9.8.7.6.5.4.3.2.1"), &a, &sql, parameters, &count, why) < 0 ? -1 : 0;
}
