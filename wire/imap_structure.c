/* ENVELOPE, BODY and BODYSTRUCTURE: see imap_structure.h. */
#include "wire/imap_structure.h"

#include <inttypes.h>

#include "base/utf8.h"
#include "wire/address_list.h"
#include "wire/imap_command.h"

/* Recursion over parts ends here: the parser's cap, the root and a leaf. */
#define RENDER_DEPTH_MAX 102
/* A language tag list longer than this is cut. */
#define LANGUAGES_MAX 32
/* Longer strings go as literals: some clients have small buffers for quoted ones. */
#define QUOTED_MAX 4096

static bool fits_quoted(struct span text, unsigned flags)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.ptr[i];

		if ((byte < 32 && byte != '\t') || byte == 127 || (byte >= 128 && !(flags & IMAP_STRUCTURE_UTF8)))
			return false;
	}
	return text.len <= QUOTED_MAX && utf8_is_valid(text);
}

/* A literal cannot have NUL (RFC 3501 §4.3.1): it is left out. */
static void render_literal(struct span text, struct buf *out)
{
	size_t nuls = 0;

	for (size_t i = 0; i < text.len; i++)
		nuls += text.ptr[i] == '\0';
	buf_printf(out, "{%zu}\r\n", text.len - nuls);
	if (nuls == 0) {
		buf_add(out, text);
		return;
	}
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] != '\0')
			buf_add_char(out, text.ptr[i]);
}

void imap_render_quoted(struct span text, struct buf *out)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, text.ptr[i]);
	}
	buf_add_char(out, '"');
}

void imap_render_string(struct span text, unsigned flags, struct buf *out)
{
	if (fits_quoted(text, flags))
		imap_render_quoted(text, out);
	else
		render_literal(text, out);
}

void imap_render_word(struct span word, size_t start, struct buf *out)
{
	if (out->len > start)
		buf_add_char(out, ' ');
	buf_add(out, word);
}

void imap_render_system_flags(unsigned flags, size_t start, struct buf *out)
{
	static const struct {
		struct span name;
		enum imap_flag flag;
	} names[] = {{SPAN("\\Answered"), IMAP_FLAG_ANSWERED}, {SPAN("\\Flagged"), IMAP_FLAG_FLAGGED}, {SPAN("\\Deleted"), IMAP_FLAG_DELETED}, {SPAN("\\Seen"), IMAP_FLAG_SEEN}, {SPAN("\\Draft"), IMAP_FLAG_DRAFT}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (flags & names[i].flag)
			imap_render_word(names[i].name, start, out);
}

void imap_render_nstring(struct span text, unsigned flags, struct buf *out)
{
	if (text.ptr)
		imap_render_string(text, flags, out);
	else
		buf_add_cstr(out, "NIL");
}

static struct span nil_if_empty(struct span text)
{
	return text.len > 0 ? text : (struct span){0};
}

/* RFC 3501 §7.4.2: a NIL host marks a group, whose end has a NIL mailbox too. So an address that lacks a domain has an
 * empty one. */
static void render_entry(const struct address_list_entry *entry, unsigned flags, struct buf *out)
{
	switch (entry->kind) {
	case ADDRESS_LIST_GROUP_START:
		buf_add_cstr(out, "(NIL NIL ");
		imap_render_string(entry->name, flags, out);
		buf_add_cstr(out, " NIL)");
		return;
	case ADDRESS_LIST_GROUP_END: buf_add_cstr(out, "(NIL NIL NIL NIL)"); return;
	case ADDRESS_LIST_MAILBOX:
		buf_add_char(out, '(');
		imap_render_nstring(nil_if_empty(entry->name), flags, out);
		buf_add_char(out, ' ');
		imap_render_nstring(nil_if_empty(entry->route), flags, out);
		buf_add_char(out, ' ');
		imap_render_string(entry->mailbox, flags, out);
		buf_add_char(out, ' ');
		imap_render_string(entry->domain, flags, out);
		buf_add_char(out, ')');
		return;
	}
}

static void render_addresses(struct span value, unsigned flags, struct buf *out)
{
	struct address_list_reader r = {.rest = value};
	struct address_list_entry entry;
	size_t start = out->len;

	buf_add_char(out, '(');
	while (address_list_next(&r, &entry))
		render_entry(&entry, flags, out);
	address_list_reader_free(&r);
	if (out->len == start + 1) {
		out->len = start;
		buf_add_cstr(out, "NIL");
		return;
	}
	buf_add_char(out, ')');
}

void imap_render_envelope(const struct mime_envelope *envelope, unsigned flags, struct buf *out)
{
	static const struct mime_envelope nothing;
	const struct mime_envelope *e = envelope ? envelope : &nothing;
	/* RFC 3501 §7.4.2: without Sender or Reply-To, the server says From. */
	const struct span lists[] = {
	    e->from, e->sender.len > 0 ? e->sender : e->from, e->reply_to.len > 0 ? e->reply_to : e->from, e->to, e->cc,
	    e->bcc};

	buf_add_char(out, '(');
	imap_render_nstring(e->date, flags, out);
	buf_add_char(out, ' ');
	imap_render_nstring(e->subject, flags, out);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		buf_add_char(out, ' ');
		render_addresses(lists[i], flags, out);
	}
	buf_add_char(out, ' ');
	imap_render_nstring(e->in_reply_to, flags, out);
	buf_add_char(out, ' ');
	imap_render_nstring(e->message_id, flags, out);
	buf_add_char(out, ')');
}

struct renderer {
	const struct mime_tree *tree;
	bool extended;
	unsigned flags;
	struct buf *out;
};

static void say(struct renderer *r, const char *text)
{
	buf_add_cstr(r->out, text);
}

static void say_nstring(struct renderer *r, struct span text)
{
	imap_render_nstring(text, r->flags, r->out);
}

static void render_params(struct renderer *r, const struct mime_parameters *params)
{
	if (params->count == 0) {
		say(r, "NIL");
		return;
	}
	for (uint32_t i = 0; i < params->count; i++) {
		say(r, i == 0 ? "(" : " ");
		imap_render_string(params->list[i].name, r->flags, r->out);
		say(r, " ");
		imap_render_string(params->list[i].value, r->flags, r->out);
	}
	say(r, ")");
}

static void render_disposition(struct renderer *r, const struct mime_part *part)
{
	if (part->disposition.len == 0) {
		say(r, "NIL");
		return;
	}
	say(r, "(");
	imap_render_string(part->disposition, r->flags, r->out);
	say(r, " ");
	render_params(r, &part->disposition_params_written);
	say(r, ")");
}

/* Content-Language is a list of tags (RFC 3282 §2): one is a string, more a parenthesised list. */
static void render_languages(struct renderer *r, struct span value)
{
	struct span tags[LANGUAGES_MAX];
	size_t count = 0;

	while (value.len > 0 && count < LANGUAGES_MAX) {
		ssize_t comma = span_chr(value, ',');
		size_t n = comma < 0 ? value.len : (size_t)comma;
		struct span tag = span_trim(span_slice(value, 0, n));

		if (tag.len > 0)
			tags[count++] = tag;
		value = span_skip(value, n + 1);
	}
	if (count < 2) {
		say_nstring(r, count == 1 ? tags[0] : (struct span){0});
		return;
	}
	for (size_t i = 0; i < count; i++) {
		say(r, i == 0 ? "(" : " ");
		say_nstring(r, tags[i]);
	}
	say(r, ")");
}

static void render_common_extension(struct renderer *r, const struct mime_part *part)
{
	say(r, " ");
	render_disposition(r, part);
	say(r, " ");
	render_languages(r, part->language);
	say(r, " ");
	say_nstring(r, part->location);
}

/* The fields that all single parts have (RFC 3501 §9 body-fields). */
static void render_fields(struct renderer *r, const struct mime_part *part)
{
	render_params(r, &part->params_written);
	say(r, " ");
	say_nstring(r, part->content_id);
	say(r, " ");
	say_nstring(r, part->description);
	say(r, " ");
	imap_render_string(part->encoding.len > 0 ? part->encoding : SPAN("7bit"), r->flags, r->out);
	buf_printf(r->out, " %" PRIu64, part->body_len);
}

static void render_part(struct renderer *r, uint32_t index, unsigned depth);

static void render_multipart(struct renderer *r, uint32_t index, unsigned depth)
{
	const struct mime_part *part = &r->tree->parts[index];
	uint32_t child = mime_first_child(r->tree, index);

	say(r, "(");
	/* The grammar wants one part at least. */
	if (child == MIME_NO_PART)
		say(r, r->extended ? "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)"
		                   : "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)");
	for (; child != MIME_NO_PART; child = mime_next_sibling(r->tree, child))
		render_part(r, child, depth + 1);
	say(r, " ");
	imap_render_string(part->subtype, r->flags, r->out);
	if (r->extended) {
		say(r, " ");
		render_params(r, &part->params_written);
		render_common_extension(r, part);
	}
	say(r, ")");
}

/* multipart and message/rfc822 promise an inside: without one, the part is only bytes. */
static bool is_opaque(const struct mime_part *part)
{
	return part->type.len == 0 || span_equal(part->type, SPAN("multipart")) ||
	       (span_equal(part->type, SPAN("message")) &&
	        (span_equal(part->subtype, SPAN("rfc822")) || span_equal(part->subtype, SPAN("global"))));
}

static void render_single(struct renderer *r, uint32_t index, unsigned depth)
{
	const struct mime_part *part = &r->tree->parts[index];
	uint32_t child = part->is_message ? mime_first_child(r->tree, index) : MIME_NO_PART;
	bool as_message = child != MIME_NO_PART && depth < RENDER_DEPTH_MAX;
	bool opaque = !as_message && is_opaque(part);

	say(r, "(");
	imap_render_string(opaque ? SPAN("application") : part->type, r->flags, r->out);
	say(r, " ");
	imap_render_string(opaque ? SPAN("octet-stream") : part->subtype, r->flags, r->out);
	say(r, " ");
	render_fields(r, part);
	if (as_message) {
		say(r, " ");
		imap_render_envelope(r->tree->parts[child].envelope, r->flags, r->out);
		say(r, " ");
		render_part(r, child, depth + 1);
	}
	if (as_message || (!opaque && span_equal(part->type, SPAN("text"))))
		buf_printf(r->out, " %" PRIu64, part->lines);
	if (r->extended) {
		say(r, " ");
		say_nstring(r, part->md5);
		render_common_extension(r, part);
	}
	say(r, ")");
}

static void render_part(struct renderer *r, uint32_t index, unsigned depth)
{
	if (r->tree->parts[index].is_multipart && depth < RENDER_DEPTH_MAX)
		render_multipart(r, index, depth);
	else
		render_single(r, index, depth);
}

void imap_render_body(const struct mime_tree *tree, uint32_t part, bool extended, unsigned flags, struct buf *out)
{
	struct renderer r = {.tree = tree, .extended = extended, .flags = flags, .out = out};

	if (part < tree->part_count)
		render_part(&r, part, 0);
}
