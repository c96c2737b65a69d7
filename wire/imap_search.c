/* What SEARCH asks for: see imap_search.h. */
#include "wire/imap_search.h"

#include "wire/charset.h"

struct search_parser {
	struct imap_parser *p;
	struct imap_search *search;
	struct span charset; /* of the texts */
	unsigned keys, texts;
	bool is_in_fuzzy;
};

enum { IMAP_FUZZY_WORDS_MAX = 16 };

enum argument { NOTHING, TEXT, HEADER, DATE, NUMBER, INTERVAL, WORD, SET, MODSEQ };

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
	{"SAVEDBEFORE", IMAP_SEARCH_SAVED_BEFORE, DATE, 0, false, NULL},
	{"SAVEDON", IMAP_SEARCH_SAVED_ON, DATE, 0, false, NULL},
	{"SAVEDSINCE", IMAP_SEARCH_SAVED_SINCE, DATE, 0, false, NULL},
	{"SAVEDATESUPPORTED", IMAP_SEARCH_ALL, NOTHING, 0, false, NULL}, /* RFC 8514 §4.3: every mailbox has them */
	{"OLDER", IMAP_SEARCH_OLDER, INTERVAL, 0, false, NULL},
	{"YOUNGER", IMAP_SEARCH_YOUNGER, INTERVAL, 0, false, NULL},
	{"MODSEQ", IMAP_SEARCH_MODSEQ, MODSEQ, 0, false, NULL},
	{"EMAILID", IMAP_SEARCH_EMAIL_ID, WORD, 0, false, NULL},
	{"THREADID", IMAP_SEARCH_THREAD_ID, WORD, 0, false, NULL},
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

/* ["entry-name" SP ("priv" / "shared" / "all") SP] number: RFC 7162 §7. There is one MODSEQ of all of a message's flags, so that the
 * entry makes no difference (§3.1.5). */
static bool take_modseq(struct imap_parser *p, uint64_t *out)
{
	struct span entry, digits;
	if (!imap_take_space(p))
		return false;
	if (imap_next_is(p, '"')) {
		if (!imap_take_string(p, &entry) || !imap_take_space(p))
			return false;
		if (!span_starts_with_nocase(entry, SPAN("/flags/")))
			return imap_fail(p, "Expected an entry like \"/flags/name\"");
		if (!imap_take_word(p, "priv") && !imap_take_word(p, "shared") && !imap_take_word(p, "all"))
			return imap_fail(p, "Expected priv, shared or all");
		if (!imap_take_space(p))
			return false;
	}
	if (!imap_take_atom(p, &digits) || span_to_u64(digits, INT64_MAX, out))
		return imap_fail(p, "Expected a MODSEQ");
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
		s->texts += n->kind >= IMAP_SEARCH_SENT_BEFORE && n->kind <= IMAP_SEARCH_SENT_SINCE;
		if (s->texts > IMAP_SEARCH_TEXTS_MAX)
			return imap_fail(p, "Too much text to look for");
		return imap_take_space(p) && imap_take_date(p, &key->day);
	case INTERVAL: return imap_take_space(p) && imap_take_number(p, 1, &key->number); /* RFC 5032 §3: nz-number */
	case MODSEQ:
		s->search->has_modseq = true;
		return take_modseq(p, &key->modseq);
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

static bool is_text(const struct imap_search_key *key)
{
	return key->kind == IMAP_SEARCH_HEADER || key->kind == IMAP_SEARCH_BODY || key->kind == IMAP_SEARCH_TEXT;
}

/* The same key with its text taken as words that may stand in any order; as it is if that would be too many. */
static struct imap_search_key *words_of(struct search_parser *s, const struct imap_search_key *key)
{
	struct imap_search_key *all = new_key(s, IMAP_SEARCH_AND), **last = &all->children;
	struct span rest = key->text, word;
	unsigned texts = s->texts;
	while ((word = span_next_word(&rest)).len) {
		if (++texts > IMAP_SEARCH_TEXTS_MAX || all->child_count == IMAP_FUZZY_WORDS_MAX)
			return NULL;
		*last = new_key(s, key->kind);
		(*last)->name = key->name;
		(*last)->text = word;
		last = &(*last)->next;
		all->child_count++;
	}
	s->texts = texts;
	return all->child_count ? all : NULL;
}

/* A copy of the tree with its texts as words. Recursion is no deeper than the parser's. */
static struct imap_search_key *loose_copy(struct search_parser *s, const struct imap_search_key *key)
{
	struct imap_search_key *copy = is_text(key) ? words_of(s, key) : NULL;
	if (copy)
		return copy;
	copy = new_key(s, key->kind);
	*copy = *key;
	copy->next = NULL;
	s->texts += is_text(key) || (key->kind >= IMAP_SEARCH_SENT_BEFORE && key->kind <= IMAP_SEARCH_SENT_SINCE);
	struct imap_search_key **last = &copy->children;
	for (const struct imap_search_key *child = key->children; child && s->keys <= IMAP_SEARCH_KEYS_MAX; child = child->next) {
		*last = loose_copy(s, child);
		last = &(*last)->next;
	}
	return copy;
}

/* RFC 6203 §3. */
static bool take_fuzzy(struct search_parser *s, unsigned depth, struct imap_search_key **out)
{
	struct imap_search_key *inner;
	if (s->is_in_fuzzy)
		return imap_fail(s->p, "FUZZY stands in FUZZY");
	s->is_in_fuzzy = true;
	if (!imap_take_space(s->p) || !take_key(s, depth, &inner))
		return false;
	s->is_in_fuzzy = false;
	s->search->has_fuzzy = true;
	*out = parent_of(s, IMAP_SEARCH_FUZZY, inner);
	inner->next = loose_copy(s, inner);
	(*out)->child_count = 2;
	if (s->keys > IMAP_SEARCH_KEYS_MAX || s->texts > IMAP_SEARCH_TEXTS_MAX)
		return imap_fail(s->p, "Too much text to look for");
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
	if (imap_next_is(p, '*') || imap_next_is(p, '$') || (p->rest.len && ascii_is_digit(p->rest.ptr[0]))) {
		*out = new_key(s, IMAP_SEARCH_SEQUENCE);
		return imap_take_sequence_set(p, &(*out)->set);
	}
	if (imap_take_word(p, "NOT"))
		return take_not(s, depth + 1, out);
	if (imap_take_word(p, "OR"))
		return take_or(s, depth + 1, out);
	if (imap_take_word(p, "FUZZY"))
		return take_fuzzy(s, depth + 1, out);
	if (imap_take_word(p, "NEW")) {
		*out = new_messages(s);
		return true;
	}
	return take_named(s, out);
}

/* The keys, in that charset, up to the end. */
static bool take_program(struct imap_parser *p, struct span charset, struct imap_search *out)
{
	struct search_parser s = {.p = p, .search = out, .charset = charset};
	out->is_bad_charset = !charset_is_known(charset);
	if (!take_keys(&s, 0, &out->root) || !imap_take_end(p))
		return false;
	bool wants_relevancy = out->want & IMAP_RETURN_RELEVANCY;
	for (size_t i = 0; i < out->sort_count; i++)
		wants_relevancy |= out->sort[i].sort == IMAP_SORT_RELEVANCY;
	/* RFC 6203 §4, §6 */
	return out->has_fuzzy || !wants_relevancy || imap_fail(p, "RELEVANCY goes with FUZZY only");
}

static bool take_search(struct imap_parser *p, struct imap_search *out)
{
	struct span charset = SPAN("UTF-8");
	if (imap_take_word(p, "RETURN") && !imap_take_return(p, out))
		return false;
	out->has_charset = imap_take_word(p, "CHARSET");
	if (out->has_charset && (!imap_take_space(p) || !imap_take_astring(p, &charset) || !imap_take_space(p)))
		return false;
	return take_program(p, charset, out);
}

bool imap_take_search(struct imap_parser *p, struct imap_search *out)
{
	*out = (struct imap_search){0};
	return take_search(p, out);
}

bool imap_take_esearch(struct imap_parser *p, struct imap_search *out)
{
	*out = (struct imap_search){0};
	return (!imap_take_word(p, "IN") || imap_take_sources(p, out)) && take_search(p, out);
}

bool imap_take_sort(struct imap_parser *p, struct imap_search *out)
{
	struct span charset;
	*out = (struct imap_search){0};
	if (imap_take_word(p, "RETURN") && !imap_take_return(p, out))
		return false;
	return imap_take_sort_criteria(p, out) && imap_take_astring(p, &charset) && imap_take_space(p) && take_program(p, charset, out);
}

bool imap_take_thread(struct imap_parser *p, struct imap_search *out)
{
	static const char *const names[] = {"ORDEREDSUBJECT", "REFERENCES", "REFS"};
	struct span charset;
	*out = (struct imap_search){0};
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
		if (imap_take_word(p, names[i])) {
			out->thread = (enum imap_thread)i;
			return imap_take_space(p) && imap_take_astring(p, &charset) && imap_take_space(p) && take_program(p, charset, out);
		}
	return imap_fail(p, "There is no such threading algorithm");
}
