/* The text of HTML: see html_text.h. A small part of the tokeniser of HTML's standard (WHATWG, 13.2.5). */
#include "wire/html_text.h"

#include "base/utf8.h"

static void give(struct html_text *h, char c, struct buf *out)
{
	if (h->is_hidden)
		return;
	buf_add_char(out, c);
	h->is_spaced = c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Elements that do not break a line: what stands before and behind is one word (phrasing content of HTML). */
static bool is_inline(struct span name)
{
	static const char *const names[] = {"a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd",
	                                    "mark", "o:p", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (span_equal_nocase(name, span_cstr(names[i])))
			return true;
	return false;
}

/* The tag's name is whole. */
static void on_name(struct html_text *h, struct buf *out)
{
	struct span name = span_of(h->word, h->word_len);
	bool is_end = span_starts_with(name, SPAN("/"));
	name = span_skip(name, is_end);
	if (span_equal_nocase(name, SPAN("script")) || span_equal_nocase(name, SPAN("style")))
		h->is_hidden = !is_end;
	else if (!is_inline(name) && !h->is_spaced)
		give(h, ' ', out);
}

static const struct {
	const char *name;
	uint16_t character;
} references[] = {
	{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", ' '}, {"shy", 0}, {"zwnj", 0}, {"ndash", 0x2013},
	{"mdash", 0x2014}, {"hellip", 0x2026}, {"lsquo", 0x2018}, {"rsquo", 0x2019}, {"ldquo", 0x201c}, {"rdquo", 0x201d}, {"bdquo", 0x201e},
	{"laquo", 0xab}, {"raquo", 0xbb}, {"euro", 0x20ac}, {"pound", 0xa3}, {"yen", 0xa5}, {"cent", 0xa2}, {"copy", 0xa9}, {"reg", 0xae},
	{"trade", 0x2122}, {"deg", 0xb0}, {"middot", 0xb7}, {"bull", 0x2022}, {"sect", 0xa7}, {"para", 0xb6}, {"times", 0xd7}, {"szlig", 0xdf},
	{"Agrave", 0xc0}, {"Aacute", 0xc1}, {"Acirc", 0xc2}, {"Atilde", 0xc3}, {"Auml", 0xc4}, {"Aring", 0xc5}, {"AElig", 0xc6}, {"Ccedil", 0xc7},
	{"Egrave", 0xc8}, {"Eacute", 0xc9}, {"Ecirc", 0xca}, {"Euml", 0xcb}, {"Igrave", 0xcc}, {"Iacute", 0xcd}, {"Icirc", 0xce}, {"Iuml", 0xcf},
	{"Ntilde", 0xd1}, {"Ograve", 0xd2}, {"Oacute", 0xd3}, {"Ocirc", 0xd4}, {"Otilde", 0xd5}, {"Ouml", 0xd6}, {"Oslash", 0xd8},
	{"Ugrave", 0xd9}, {"Uacute", 0xda}, {"Ucirc", 0xdb}, {"Uuml", 0xdc}, {"agrave", 0xe0}, {"aacute", 0xe1}, {"acirc", 0xe2}, {"atilde", 0xe3},
	{"auml", 0xe4}, {"aring", 0xe5}, {"aelig", 0xe6}, {"ccedil", 0xe7}, {"egrave", 0xe8}, {"eacute", 0xe9}, {"ecirc", 0xea}, {"euml", 0xeb},
	{"igrave", 0xec}, {"iacute", 0xed}, {"icirc", 0xee}, {"iuml", 0xef}, {"ntilde", 0xf1}, {"ograve", 0xf2}, {"oacute", 0xf3}, {"ocirc", 0xf4},
	{"otilde", 0xf5}, {"ouml", 0xf6}, {"oslash", 0xf8}, {"ugrave", 0xf9}, {"uacute", 0xfa}, {"ucirc", 0xfb}, {"uuml", 0xfc}, {"oelig", 0x153},
	{"OElig", 0x152}, {"scaron", 0x161}, {"Scaron", 0x160},
};

/* "#65", "#x41"; 0 if that is no number of a character. */
static uint32_t numbered(struct span word)
{
	uint32_t number = 0, base = 10;
	size_t at = 1;
	if (word.len > 1 && (word.ptr[1] == 'x' || word.ptr[1] == 'X')) {
		base = 16;
		at = 2;
	}
	for (; at < word.len; at++) {
		char c = ascii_lower(word.ptr[at]);
		uint32_t digit = ascii_is_digit(c) ? (uint32_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) : 99;
		if (digit >= base || number > 0x10ffff)
			return 0;
		number = number * base + digit;
	}
	return number;
}

static bool give_reference(struct html_text *h, struct span word, struct buf *out)
{
	uint32_t character = span_starts_with(word, SPAN("#")) ? numbered(word) : 0;
	bool is_known = character > 0;
	for (size_t i = 0; !is_known && i < sizeof references / sizeof references[0]; i++)
		if (span_equal(word, span_cstr(references[i].name))) {
			character = references[i].character;
			is_known = true;
		}
	if (!is_known)
		return false;
	if (character == 0xa0)
		character = ' ';
	if (character < 0x80 && character)
		give(h, (char)character, out);
	else if (character && character != 0xad && !h->is_hidden)
		utf8_add(out, character), h->is_spaced = false;
	return true;
}

/* What was held back is text after all. */
static void give_word(struct html_text *h, char first, struct buf *out)
{
	give(h, first, out);
	for (unsigned i = 0; i < h->word_len; i++)
		give(h, h->word[i], out);
	h->word_len = 0;
}

static void on_text(struct html_text *h, char c, struct buf *out)
{
	h->word_len = 0;
	h->tag_len = 0;
	if (c == '<')
		h->state = HTML_OPEN;
	else if (c == '&' && !h->is_hidden)
		h->state = HTML_REFERENCE;
	else
		give(h, c, out);
}

static void on_open(struct html_text *h, char c, struct buf *out)
{
	if (ascii_is_alpha(c) || c == '/') {
		h->word[h->word_len++] = c;
		h->state = HTML_NAME;
	} else if (c == '!' || c == '?') {
		h->dashes = 0;
		h->state = HTML_MARKUP;
	} else {
		h->state = HTML_TEXT;
		give(h, '<', out);
		on_text(h, c, out);
	}
}

static void on_tag(struct html_text *h, char c)
{
	if (c == '>') {
		h->state = HTML_TEXT;
	} else if (c == '"' || c == '\'') {
		h->quote = c;
		h->state = HTML_QUOTED;
	}
}

static void on_name_char(struct html_text *h, char c, struct buf *out)
{
	if (ascii_is_alpha(c) || ascii_is_digit(c) || c == ':') {
		if (h->word_len < HTML_WORD_MAX)
			h->word[h->word_len++] = c;
		return;
	}
	on_name(h, out);
	h->state = HTML_TAG;
	on_tag(h, c);
}

static void on_reference(struct html_text *h, char c, struct buf *out)
{
	bool is_part = ascii_is_alpha(c) || ascii_is_digit(c) || (c == '#' && h->word_len == 0);
	if (is_part && h->word_len < HTML_WORD_MAX) {
		h->word[h->word_len++] = c;
		return;
	}
	bool is_known = h->word_len && give_reference(h, span_of(h->word, h->word_len), out);
	h->state = HTML_TEXT;
	if (!is_known)
		give_word(h, '&', out);
	if (c != ';' || !is_known)
		on_text(h, c, out);
}

/* "<!" up to ">"; "<!--" up to "-->". */
static void on_markup(struct html_text *h, char c)
{
	bool begins = h->tag_len <= 3 && c == '-';
	if (begins && ++h->dashes == 2) {
		h->dashes = 0;
		h->state = HTML_COMMENT;
	} else if (!begins && c == '>') {
		h->state = HTML_TEXT;
	}
}

static void on_comment(struct html_text *h, char c)
{
	if (c == '>' && h->dashes >= 2)
		h->state = HTML_TEXT;
	h->dashes = c == '-' ? h->dashes + 1 : 0;
}

void html_text_feed(struct html_text *h, struct span piece, struct buf *out)
{
	for (size_t i = 0; i < piece.len; i++) {
		char c = piece.ptr[i];
		if (h->state != HTML_TEXT && h->state != HTML_REFERENCE && ++h->tag_len > HTML_TAG_MAX)
			h->state = HTML_TEXT;
		switch (h->state) {
		case HTML_TEXT: on_text(h, c, out); break;
		case HTML_OPEN: on_open(h, c, out); break;
		case HTML_NAME: on_name_char(h, c, out); break;
		case HTML_TAG: on_tag(h, c); break;
		case HTML_QUOTED: h->state = c == h->quote ? HTML_TAG : HTML_QUOTED; break;
		case HTML_MARKUP: on_markup(h, c); break;
		case HTML_COMMENT: on_comment(h, c); break;
		case HTML_REFERENCE: on_reference(h, c, out); break;
		}
	}
}

void html_text_end(struct html_text *h, struct buf *out)
{
	if (h->state == HTML_OPEN)
		give(h, '<', out);
	else if (h->state == HTML_REFERENCE && !(h->word_len && give_reference(h, span_of(h->word, h->word_len), out)))
		give_word(h, '&', out);
	h->state = HTML_TEXT;
}
