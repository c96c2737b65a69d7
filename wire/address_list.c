/* Address lists in header fields: see address_list.h.
 *
 * Words are gathered until a special says what they were: "<" a display name, "@" a local part, ":" the name of a
 * group, "," ";" or the end a mailbox without a domain. */
#include "wire/address_list.h"

/* No literal is longer; the search for its end is bounded by it. */
#define LITERAL_MAX 256

/* ATOM and QUOTED leave their text in r->word; other tokens are the special character itself. */
enum { END = 0, ATOM = 1, QUOTED = 2 };

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_special(char c)
{
	return c == '(' || c == '<' || c == '>' || c == '@' || c == ',' || c == ';' || c == ':' || c == '"';
}

/* Takes a comment; the last one with text is kept without its outer parentheses. */
static void take_comment(struct address_list_reader *r)
{
	size_t depth = 0, i = 0;

	buf_clear(&r->comment);
	for (; i < r->rest.len; i++) {
		char c = r->rest.ptr[i];

		if (c == ')' && --depth == 0)
			break;
		if (c == '\\' && i + 1 < r->rest.len)
			c = r->rest.ptr[++i];
		else if (c == '(' && depth++ == 0)
			continue;
		buf_add_char(&r->comment, c);
	}
	r->rest = span_skip(r->rest, i + 1);
}

static void take_quoted(struct address_list_reader *r)
{
	size_t i = 1;

	for (; i < r->rest.len && r->rest.ptr[i] != '"'; i++) {
		if (r->rest.ptr[i] == '\\' && i + 1 < r->rest.len)
			i++;
		buf_add_char(&r->word, r->rest.ptr[i]);
	}
	r->rest = span_skip(r->rest, i + 1);
}

static void take_atom(struct address_list_reader *r)
{
	size_t i = 0;

	for (; i < r->rest.len && !is_space(r->rest.ptr[i]) && !is_special(r->rest.ptr[i]); i++) {
		if (r->rest.ptr[i] == '\\' && i + 1 < r->rest.len)
			i++;
		buf_add_char(&r->word, r->rest.ptr[i]);
	}
	r->rest = span_skip(r->rest, i);
}

/* Takes a token; *spaced is set if white space or a comment was before it. */
static int take_token(struct address_list_reader *r, bool *spaced)
{
	int special;

	*spaced = false;
	buf_clear(&r->word);
	while (r->rest.len > 0 && (is_space(r->rest.ptr[0]) || r->rest.ptr[0] == '(')) {
		*spaced = true;
		if (r->rest.ptr[0] == '(')
			take_comment(r);
		else
			r->rest = span_skip(r->rest, 1);
	}
	if (r->rest.len == 0)
		return END;
	if (r->rest.ptr[0] == '"') {
		take_quoted(r);
		return QUOTED;
	}
	if (!is_special(r->rest.ptr[0])) {
		take_atom(r);
		return ATOM;
	}
	special = (unsigned char)r->rest.ptr[0];
	r->rest = span_skip(r->rest, 1);
	return special;
}

/* Takes words until a special, which is returned: joined with single spaces to `phrase`, without any to `joined`. */
static int take_words(struct address_list_reader *r, struct buf *phrase, struct buf *joined)
{
	bool spaced;
	int token;

	while ((token = take_token(r, &spaced)) == ATOM || token == QUOTED) {
		if (phrase && phrase->len > 0 && spaced)
			buf_add_char(phrase, ' ');
		if (phrase)
			buf_add(phrase, buf_span(&r->word));
		buf_add(joined, buf_span(&r->word));
	}
	return token;
}

/* The domain behind "@"; returns the special that ends it. A literal may have specials in it. */
static int take_domain(struct address_list_reader *r)
{
	ssize_t close;

	while (r->rest.len > 0 && is_space(r->rest.ptr[0]))
		r->rest = span_skip(r->rest, 1);
	if (r->rest.len > 0 && r->rest.ptr[0] == '[' &&
	    (close = span_chr(span_slice(r->rest, 0, LITERAL_MAX), ']')) > 0) {
		buf_add(&r->domain, span_slice(r->rest, 0, (size_t)close + 1));
		r->rest = span_skip(r->rest, (size_t)close + 1);
	}
	return take_words(r, NULL, &r->domain);
}

static bool ends_entry(const struct address_list_reader *r, int token)
{
	return token == END || token == ',' || (token == ';' && r->in_group);
}

/* Behind "<": [route ":"] local "@" domain ">". Returns the token that ended it. */
static int take_angle(struct address_list_reader *r)
{
	int token;

	buf_clear(&r->mailbox);
	token = take_words(r, NULL, &r->mailbox);
	if (token == '@' && r->mailbox.len == 0) {
		/* obs-route: everything up to ":" (RFC 5322 §4.4). */
		buf_add_char(&r->route, '@');
		while ((token = take_words(r, NULL, &r->route)) == '@' || token == ',')
			buf_add_char(&r->route, (char)token);
		if (token == ':')
			token = take_words(r, NULL, &r->mailbox);
	}
	if (token == '@')
		token = take_domain(r);
	return token;
}

/* Skips what does not belong behind an address. */
static void finish_entry(struct address_list_reader *r, int token)
{
	bool spaced;

	if (token == '>')
		token = take_token(r, &spaced); /* of an angle address; what ends an entry otherwise is out of place */
	while (!ends_entry(r, token)) {
		r->has_skipped = true;
		token = take_token(r, &spaced);
	}
	/* The group's end is an entry of its own: leave it. */
	if (token == ';')
		r->rest = span_of(r->rest.ptr - 1, r->rest.len + 1);
}

static void start_entry(struct address_list_reader *r, struct address_list_entry *out)
{
	*out = (struct address_list_entry){0};
	buf_clear(&r->name);
	buf_clear(&r->route);
	buf_clear(&r->mailbox);
	buf_clear(&r->domain);
	buf_clear(&r->comment);
	r->count++;
}

static bool end_group(struct address_list_reader *r, struct address_list_entry *out)
{
	*out = (struct address_list_entry){.kind = ADDRESS_LIST_GROUP_END};
	if (!r->in_group)
		return false;
	r->in_group = false;
	return true;
}

/* Skips separators and white space; comments are left, as they may be names. */
static void skip_separators(struct address_list_reader *r)
{
	while (r->rest.len > 0 && (is_space(r->rest.ptr[0]) || r->rest.ptr[0] == ',' || r->rest.ptr[0] == '>' ||
	                           (r->rest.ptr[0] == ';' && !r->in_group)))
		r->rest = span_skip(r->rest, 1);
}

/* The name is the address itself. */
static bool is_named_so(const struct address_list_reader *r)
{
	struct span name = buf_span(&r->name), mailbox = buf_span(&r->mailbox), domain = buf_span(&r->domain);
	return name.len == mailbox.len + 1 + domain.len && span_starts_with_nocase(name, mailbox) && name.ptr[mailbox.len] == '@' &&
	       span_equal_nocase(span_skip(name, mailbox.len + 1), domain);
}

/* What the words before a special turned out to be, when it is "@" or none. Returns the special that goes on. */
static int take_address(struct address_list_reader *r, int token)
{
	if (token == '@') {
		buf_clear(&r->name);
		token = take_domain(r);
		/* "user@host <user@host>": the first was meant as a name. */
		if (token == '<') {
			buf_add(&r->name, buf_span(&r->mailbox));
			buf_add_char(&r->name, '@');
			buf_add(&r->name, buf_span(&r->domain));
			buf_clear(&r->domain);
			token = take_angle(r);
			r->has_skipped |= !is_named_so(r); /* readers differ in which of the two they take */
			return token;
		}
	} else if (token != '<') {
		buf_clear(&r->mailbox);
		buf_add(&r->mailbox, buf_span(&r->name));
		buf_clear(&r->name);
	}
	return token == '<' ? take_angle(r) : token;
}

bool address_list_next(struct address_list_reader *r, struct address_list_entry *out)
{
	int token;

	/* Every turn takes at least one byte. */
	do {
		start_entry(r, out);
		skip_separators(r);
		if (r->rest.len == 0 || r->count > ADDRESS_LIST_MAX)
			return end_group(r, out);
		token = take_words(r, &r->name, &r->mailbox);
		if (token == ';' && r->in_group && r->mailbox.len == 0)
			return end_group(r, out);
		if (token == ':' && !r->in_group) {
			r->in_group = true;
			out->kind = ADDRESS_LIST_GROUP_START;
			out->name = buf_span(&r->name);
			return true;
		}
		finish_entry(r, take_address(r, token));
	} while (r->name.len + r->mailbox.len + r->domain.len == 0);
	out->name = r->name.len > 0 ? buf_span(&r->name) : span_trim(buf_span(&r->comment));
	out->route = buf_span(&r->route);
	out->mailbox = buf_span(&r->mailbox);
	out->domain = buf_span(&r->domain);
	return true;
}

void address_list_reader_free(struct address_list_reader *r)
{
	buf_free(&r->name);
	buf_free(&r->route);
	buf_free(&r->mailbox);
	buf_free(&r->domain);
	buf_free(&r->comment);
	buf_free(&r->word);
	*r = (struct address_list_reader){0};
}
