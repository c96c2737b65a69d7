/* What SEARCH asks for: see imap_search.h. */
#include "wire/imap_search.h"

#include "wire/charset.h"

struct search_parser {
	struct imap_parser *p;
	struct span charset; /* of the texts */
	unsigned keys, texts;
};

enum argument { NOTHING, TEXT, HEADER, DATE, NUMBER, WORD, SET };

static const struct key_name {
	const char *name;
	enum imap_search_kind kind;
	enum argument argument;
	uint8_t flag;
	bool is_not;
	const char *header;
} key_names[] = {
	{"ALL", IMAP_SEARCH_ALL, NOTHING, 0, false, NULL},
	{"ANSWERED", IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_ANSWERED, false, NULL},
	{"DELETED", IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_DELETED, false, NULL},
	{"DRAFT", IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_DRAFT, false, NULL},
	{"FLAGGED", IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_FLAGGED, false, NULL},
	{"SEEN", IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_SEEN, false, NULL},
	{"UNANSWERED", IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_ANSWERED, true, NULL},
	{"UNDELETED", IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_DELETED, true, NULL},
	{"UNDRAFT", IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_DRAFT, true, NULL},
	{"UNFLAGGED", IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_FLAGGED, true, NULL},
	{"UNSEEN", IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_SEEN, true, NULL},
	{"KEYWORD", IMAP_SEARCH_KEYWORD, WORD, 0, false, NULL},
	{"UNKEYWORD", IMAP_SEARCH_KEYWORD, WORD, 0, true, NULL},
	{"RECENT", IMAP_SEARCH_RECENT, NOTHING, 0, false, NULL},
	{"OLD", IMAP_SEARCH_RECENT, NOTHING, 0, true, NULL},
	{"BEFORE", IMAP_SEARCH_BEFORE, DATE, 0, false, NULL},
	{"ON", IMAP_SEARCH_ON, DATE, 0, false, NULL},
	{"SINCE", IMAP_SEARCH_SINCE, DATE, 0, false, NULL},
	{"SENTBEFORE", IMAP_SEARCH_SENT_BEFORE, DATE, 0, false, NULL},
	{"SENTON", IMAP_SEARCH_SENT_ON, DATE, 0, false, NULL},
	{"SENTSINCE", IMAP_SEARCH_SENT_SINCE, DATE, 0, false, NULL},
	{"LARGER", IMAP_SEARCH_LARGER, NUMBER, 0, false, NULL},
	{"SMALLER", IMAP_SEARCH_SMALLER, NUMBER, 0, false, NULL},
	{"BCC", IMAP_SEARCH_HEADER, TEXT, 0, false, "Bcc"},
	{"CC", IMAP_SEARCH_HEADER, TEXT, 0, false, "Cc"},
	{"FROM", IMAP_SEARCH_HEADER, TEXT, 0, false, "From"},
	{"SUBJECT", IMAP_SEARCH_HEADER, TEXT, 0, false, "Subject"},
	{"TO", IMAP_SEARCH_HEADER, TEXT, 0, false, "To"},
	{"HEADER", IMAP_SEARCH_HEADER, HEADER, 0, false, NULL},
	{"BODY", IMAP_SEARCH_BODY, TEXT, 0, false, NULL},
	{"TEXT", IMAP_SEARCH_TEXT, TEXT, 0, false, NULL},
	{"UID", IMAP_SEARCH_UID, SET, 0, false, NULL},
};

static bool take_key(struct search_parser *s, unsigned depth, struct imap_search_key **out);

static struct imap_search_key *new_key(struct search_parser *s, enum imap_search_kind kind)
{
	struct imap_search_key *key = arena_alloc(s->p->arena, sizeof *key);
	key->kind = kind;
	s->keys++;
	return key;
}

static struct imap_search_key *parent_of(struct search_parser *s, enum imap_search_kind kind, struct imap_search_key *child)
{
	struct imap_search_key *key = new_key(s, kind);
	key->children = child;
	key->child_count = 1;
	return key;
}

/* RFC 3501 §6.4.4: texts are in the CHARSET. */
static bool take_text(struct search_parser *s, struct span *out)
{
	struct span written;
	BUF_AUTO text = {0};
	if (!imap_take_space(s->p) || !imap_take_astring(s->p, &written))
		return false;
	struct charset_converter *c = charset_new(s->charset);
	charset_convert(c, written, true, &text);
	charset_free(c);
	if (text.len > IMAP_SEARCH_TEXT_MAX || ++s->texts > IMAP_SEARCH_TEXTS_MAX)
		return imap_fail(s->p, "Too much text to look for");
	*out = arena_dup(s->p->arena, buf_span(&text));
	return true;
}

static bool take_argument(struct search_parser *s, const struct key_name *n, struct imap_search_key *key)
{
	struct imap_parser *p = s->p;
	switch (n->argument) {
	case NOTHING: return true;
	case TEXT:
		key->name = span_cstr(n->header);
		return take_text(s, &key->text);
	case HEADER:
		if (!imap_take_space(p) || !imap_take_astring(p, &key->name) || !take_text(s, &key->text))
			return false;
		return key->name.len <= IMAP_KEYWORD_MAX || imap_fail(p, "That is not the name of a header field");
	case DATE:
		s->texts += n->kind >= IMAP_SEARCH_SENT_BEFORE;
		if (s->texts > IMAP_SEARCH_TEXTS_MAX)
			return imap_fail(p, "Too much text to look for");
		return imap_take_space(p) && imap_take_date(p, &key->day);
	case NUMBER: return imap_take_space(p) && imap_take_number(p, 0, &key->number);
	case WORD:
		if (!imap_take_space(p) || !imap_take_atom(p, &key->text))
			return false;
		return key->text.len <= IMAP_KEYWORD_MAX || imap_fail(p, "That is not a keyword");
	case SET: return imap_take_space(p) && imap_take_sequence_set(p, &key->set);
	}
	return false;
}

/* search-key *(SP search-key), as children of one AND. */
static bool take_keys(struct search_parser *s, unsigned depth, struct imap_search_key **out)
{
	struct imap_search_key *key = new_key(s, IMAP_SEARCH_AND), **last = &key->children;
	do {
		if (!take_key(s, depth, last))
			return false;
		last = &(*last)->next;
		key->child_count++;
	} while (imap_next_is(s->p, ' ') && imap_take_space(s->p));
	*out = key;
	return true;
}

static bool take_or(struct search_parser *s, unsigned depth, struct imap_search_key **out)
{
	struct imap_search_key *first, *second;
	if (!imap_take_space(s->p) || !take_key(s, depth, &first) || !imap_take_space(s->p) || !take_key(s, depth, &second))
		return false;
	*out = parent_of(s, IMAP_SEARCH_OR, first);
	first->next = second;
	(*out)->child_count = 2;
	return true;
}

static bool take_not(struct search_parser *s, unsigned depth, struct imap_search_key **out)
{
	struct imap_search_key *inner;
	if (!imap_take_space(s->p) || !take_key(s, depth, &inner))
		return false;
	*out = parent_of(s, IMAP_SEARCH_NOT, inner);
	return true;
}

/* NEW is RECENT UNSEEN. */
static struct imap_search_key *new_messages(struct search_parser *s)
{
	struct imap_search_key *seen = new_key(s, IMAP_SEARCH_FLAG), *recent = new_key(s, IMAP_SEARCH_RECENT);
	seen->flag = IMAP_FLAG_SEEN;
	recent->next = parent_of(s, IMAP_SEARCH_NOT, seen);
	struct imap_search_key *both = parent_of(s, IMAP_SEARCH_AND, recent);
	both->child_count = 2;
	return both;
}

static bool take_named(struct search_parser *s, struct imap_search_key **out)
{
	for (size_t i = 0; i < sizeof key_names / sizeof key_names[0]; i++) {
		const struct key_name *n = &key_names[i];
		if (!imap_take_word(s->p, n->name))
			continue;
		struct imap_search_key *key = new_key(s, n->kind);
		key->flag = n->flag;
		if (!take_argument(s, n, key))
			return false;
		*out = n->is_not ? parent_of(s, IMAP_SEARCH_NOT, key) : key;
		return true;
	}
	return imap_fail(s->p, "There is no such search key");
}

/* Recursion ends at IMAP_NESTING_MAX: attack E75. */
static bool take_key(struct search_parser *s, unsigned depth, struct imap_search_key **out)
{
	struct imap_parser *p = s->p;
	if (depth > IMAP_NESTING_MAX)
		return imap_fail(p, "The search is too deep");
	if (s->keys > IMAP_SEARCH_KEYS_MAX)
		return imap_fail(p, "The search has too many keys");
	if (imap_next_is(p, '('))
		return imap_take_char(p, '(') && take_keys(s, depth + 1, out) && imap_take_char(p, ')');
	if (imap_next_is(p, '*') || (p->rest.len && ascii_is_digit(p->rest.ptr[0]))) {
		*out = new_key(s, IMAP_SEARCH_SEQUENCE);
		return imap_take_sequence_set(p, &(*out)->set);
	}
	if (imap_take_word(p, "NOT"))
		return take_not(s, depth + 1, out);
	if (imap_take_word(p, "OR"))
		return take_or(s, depth + 1, out);
	if (imap_take_word(p, "NEW")) {
		*out = new_messages(s);
		return true;
	}
	return take_named(s, out);
}

bool imap_take_search(struct imap_parser *p, struct imap_search *out)
{
	struct search_parser s = {.p = p, .charset = SPAN("UTF-8")};
	*out = (struct imap_search){0};
	if (imap_take_word(p, "CHARSET")) {
		if (!imap_take_space(p) || !imap_take_astring(p, &s.charset) || !imap_take_space(p))
			return false;
		out->is_bad_charset = !charset_is_known(s.charset);
	}
	return take_keys(&s, 0, &out->root) && imap_take_end(p);
}
