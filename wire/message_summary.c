/* Summaries of messages: see message_summary.h. */
#include "wire/message_summary.h"

#include "base/pack.h"
#include "base/utf8.h"
#include "wire/address_list.h"
#include "wire/casefold.h"
#include "wire/date.h"
#include "wire/encoded_word.h"
#include "wire/imap_envelope.h"
#include "wire/imap_structure.h"
#include "wire/subject.h"

enum {
	SUMMARY_VERSION = 2,
	INTERPRETED_BYTES_MAX = 256 * 1024, /* of a header by the parser (wire/mime.h): fields behind that are not in the envelope */
	SOURCE_BYTES_MAX = 8 * 1024,        /* of a value that are decoded */
};

/* Longest start of the text that ends between characters. */
static struct span cut_text(struct span text, size_t most)
{
	if (text.len <= most)
		return text;
	while (most && ((unsigned char)text.ptr[most] & 0xc0) == 0x80)
		most--;
	return span_slice(text, 0, most);
}

static void pack_cut(struct buf *out, struct span text)
{
	pack_bytes(out, cut_text(text, SUMMARY_VALUE_MAX));
}

static void pack_date(const struct mime_envelope *e, struct buf *out)
{
	BUF_AUTO value = {0};
	struct date date;
	bool is_there = date_parse(e->date, &date) == 0;
	pack_u8(&value, is_there);
	if (is_there) {
		pack_u64(&value, (uint64_t)date.utc_seconds);
		pack_u64(&value, (uint64_t)(date.utc_seconds + date.zone_minutes * 60));
	}
	pack_bytes(out, buf_span(&value));
}

static size_t count_fields(const struct mime_tree *tree, struct span name)
{
	size_t count = 0;
	for (uint32_t i = 0; i < tree->field_count; i++)
		count += span_equal_nocase(tree->fields[i].name, name);
	return count;
}

static void pack_field(const struct mime_tree *tree, const char *name, struct span written, struct buf *out)
{
	BUF_AUTO decoded = {0}, value = {0};
	size_t count = count_fields(tree, span_cstr(name));
	bool is_cut = written.len > SOURCE_BYTES_MAX || tree->fields_truncated || tree->parts[0].header_len > INTERPRETED_BYTES_MAX;
	pack_u8(&value, 0);
	encoded_words_decode(span_slice(written, 0, SOURCE_BYTES_MAX), &decoded);
	casefold_search(buf_span(&decoded), &value);
	is_cut |= value.len > SUMMARY_VALUE_MAX || count > 1 || (written.len == 0 && count > 0);
	value.ptr[0] = (char)(is_cut ? SUMMARY_PART : written.len ? SUMMARY_WHOLE : SUMMARY_ABSENT);
	pack_cut(out, buf_span(&value));
}

static void pack_base_subject(const struct mime_envelope *e, struct buf *out)
{
	BUF_AUTO base = {0}, value = {0};
	bool is_reply = subject_base(span_slice(e->subject, 0, SOURCE_BYTES_MAX), &base);
	pack_u8(&value, is_reply);
	casemap_unicode(buf_span(&base), &value);
	pack_cut(out, buf_span(&value));
}

/* RFC 5957 §3. */
static void add_display(const struct address_list_entry *entry, struct buf *out)
{
	BUF_AUTO name = {0}, address = {0};
	encoded_words_decode(entry->name, &name);
	if (name.len) {
		casemap_unicode(buf_span(&name), out);
		return;
	}
	buf_add(&address, entry->mailbox);
	if (entry->mailbox.len && entry->domain.len)
		buf_printf(&address, "@%.*s", SPAN_ARG(entry->domain));
	casemap_unicode(buf_span(&address), out);
}

/* Both keys of the first address of a list. A group is its own first address (RFC 3501 §7.4.2, ENVELOPE). */
static void pack_address(struct span list, struct buf *mailbox, struct buf *display)
{
	struct address_list_reader r = {.rest = span_slice(list, 0, SOURCE_BYTES_MAX)};
	struct address_list_entry entry;
	BUF_AUTO key = {0}, name = {0};
	if (address_list_next(&r, &entry)) {
		casemap_unicode(entry.kind == ADDRESS_LIST_GROUP_START ? entry.name : entry.mailbox, &key);
		if (entry.kind == ADDRESS_LIST_GROUP_START)
			casemap_unicode(entry.name, &name);
		else
			add_display(&entry, &name);
	}
	address_list_reader_free(&r);
	pack_cut(mailbox, buf_span(&key));
	if (display)
		pack_cut(display, buf_span(&name));
}

/* Takes the next "<id>" off the front and gives it without quotes, white space and comments around it; false at the end. RFC 5322 §3.6.4:
 * it has an "@". */
static bool next_message_id(struct span *rest, struct buf *id)
{
	for (;;) {
		ssize_t start = span_chr(*rest, '<');
		bool is_quoted = false, has_at = false;
		size_t at;
		if (start < 0)
			return false;
		*rest = span_skip(*rest, (size_t)start + 1);
		buf_clear(id);
		for (at = 0; at < rest->len && (is_quoted || (rest->ptr[at] != '>' && rest->ptr[at] != '<')); at++) {
			char c = rest->ptr[at];
			if (c == '"') {
				is_quoted = !is_quoted;
			} else if (c == '\\' && is_quoted && at + 1 < rest->len) {
				buf_add_char(id, rest->ptr[++at]);
			} else if (is_quoted || (c != ' ' && c != '\t')) {
				has_at |= c == '@';
				buf_add_char(id, c);
			}
		}
		bool is_ended = at < rest->len && rest->ptr[at] == '>';
		*rest = span_skip(*rest, at + is_ended);
		if (is_ended && has_at)
			return true;
	}
}

static uint64_t hash_of(const struct buf *id)
{
	uint64_t hash = span_hash(buf_span(id), 0);
	return hash ? hash : 1;
}

void message_summary_thread(const struct mime_envelope *e, struct buf *out)
{
	BUF_AUTO id = {0};
	struct span rest = e->message_id;
	uint64_t refs[SUMMARY_REFERENCES_MAX];
	size_t count = 0;
	pack_u64(out, next_message_id(&rest, &id) ? hash_of(&id) : 0);
	rest = e->references;
	while (next_message_id(&rest, &id)) {
		if (count == SUMMARY_REFERENCES_MAX)
			memmove(&refs[1], &refs[2], (--count - 1) * sizeof refs[0]);
		refs[count++] = hash_of(&id);
	}
	rest = e->in_reply_to;
	if (count == 0 && next_message_id(&rest, &id))
		refs[count++] = hash_of(&id);
	for (size_t i = 0; i < count; i++)
		pack_u64(out, refs[i]);
}

static void pack_thread(const struct mime_envelope *e, struct buf *out)
{
	BUF_AUTO value = {0};
	message_summary_thread(e, &value);
	pack_cut(out, buf_span(&value));
}

static void pack_envelope(const struct mime_envelope *e, struct buf *out)
{
	BUF_AUTO value = {0};
	imap_render_envelope(e, 0, &value);
	bool can_be_kept = value.len <= SUMMARY_VALUE_MAX && imap_envelope_is_valid(buf_span(&value));
	pack_bytes(out, can_be_kept ? buf_span(&value) : SPAN(""));
}

bool message_summary_pack(const struct mime_tree *tree, struct buf *out)
{
	const struct mime_envelope *e = tree->part_count ? tree->parts[0].envelope : NULL;
	BUF_AUTO sort = {0}, display = {0};
	if (!e)
		return false;
	pack_u8(out, SUMMARY_VERSION);
	pack_u16(out, casefold_version());
	pack_date(e, out);
	pack_field(tree, "Subject", e->subject, out);
	pack_field(tree, "From", e->from, out);
	pack_field(tree, "To", e->to, out);
	pack_field(tree, "Cc", e->cc, out);
	pack_field(tree, "Bcc", e->bcc, out);
	pack_field(tree, "Message-ID", e->message_id, out);
	pack_base_subject(e, out);
	pack_address(e->from, &sort, &display);
	pack_address(e->to, &sort, &display);
	pack_address(e->cc, &sort, NULL);
	buf_add(out, buf_span(&sort));
	buf_add(out, buf_span(&display));
	pack_thread(e, out);
	pack_envelope(e, out);
	return true;
}

int message_summary_unpack(struct span packed, struct span columns[SUMMARY_COLUMNS])
{
	struct unpacker u = {.rest = packed};
	if (unpack_u8(&u) != SUMMARY_VERSION || unpack_u16(&u) != casefold_version())
		return -1;
	for (size_t i = 0; i < SUMMARY_COLUMNS; i++)
		columns[i] = unpack_bytes(&u, SUMMARY_VALUE_MAX);
	return unpack_done(&u) ? 0 : -1;
}

enum summary_column message_summary_column(struct span name)
{
	static const struct {
		const char *name;
		enum summary_column column;
	} fields[] = {
		{"Subject", SUMMARY_SUBJECT}, {"From", SUMMARY_FROM}, {"To", SUMMARY_TO}, {"Cc", SUMMARY_CC}, {"Bcc", SUMMARY_BCC},
		{"Message-ID", SUMMARY_MESSAGE_ID},
	};
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (span_equal_nocase(name, span_cstr(fields[i].name)))
			return fields[i].column;
	return SUMMARY_COLUMNS;
}
