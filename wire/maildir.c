#include "wire/maildir.h"

#include "base/utf8.h"
#include "wire/imap_command.h"
#include "wire/imap_utf7.h"

bool maildir_next_line(struct span *text, struct span *line)
{
	if (!text->len)
		return false;
	ssize_t end = span_chr(*text, '\n');
	*line = end < 0 ? *text : span_slice(*text, 0, (size_t)end);
	*text = end < 0 ? span_skip(*text, text->len) : span_skip(*text, (size_t)end + 1);
	if (span_ends_with(*line, SPAN("\r")))
		line->len--;
	return true;
}

/* ---- names ---- */

static struct span base_of(struct span name)
{
	ssize_t colon = span_chr(name, ':');
	return colon < 0 ? name : span_slice(name, 0, (size_t)colon);
}

static const struct {
	char letter;
	uint8_t flag;
} letters[] = {{'D', IMAP_FLAG_DRAFT}, {'F', IMAP_FLAG_FLAGGED}, {'R', IMAP_FLAG_ANSWERED}, {'S', IMAP_FLAG_SEEN}, {'T', IMAP_FLAG_DELETED}};

bool maildir_name_parse(struct span name, struct maildir_name *out)
{
	*out = (struct maildir_name){.base = base_of(name)};
	if (!out->base.len || out->base.ptr[0] == '.')
		return false;
	struct span info = span_skip(name, out->base.len);
	if (!span_starts_with(info, SPAN(":2,")))
		return true;
	for (size_t at = 3; at < info.len && info.ptr[at] != ','; at++) {
		char c = info.ptr[at];
		for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
			if (letters[i].letter == c)
				out->flags |= letters[i].flag;
		out->is_forwarded |= c == 'P';
		if (c >= 'a' && c <= 'z')
			out->keywords |= 1u << (c - 'a');
	}
	return true;
}

void maildir_flags_write(uint8_t flags, bool is_forwarded, uint32_t keywords, struct buf *out)
{
	buf_add_cstr(out, ":2,");
	for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
		if (letters[i].letter == 'R' && is_forwarded)
			buf_add_char(out, 'P');
		if (flags & letters[i].flag)
			buf_add_char(out, letters[i].letter);
	}
	for (int i = 0; i < MAILDIR_LETTERS; i++)
		if (keywords >> i & 1)
			buf_add_char(out, (char)('a' + i));
}

/* ---- UIDs ---- */

static bool take_number(struct span *rest, uint32_t *out)
{
	uint64_t number;
	struct span word = span_next_word(rest);
	if (span_to_u64(word, UINT32_MAX, &number))
		return false;
	*out = (uint32_t)number;
	return true;
}

bool maildir_uidlist_head_parse(struct span line, struct maildir_uidlist_head *out)
{
	uint32_t version;
	*out = (struct maildir_uidlist_head){0};
	if (!take_number(&line, &version))
		return false;
	out->version = version;
	if (version == 1) /* also Courier's */
		return take_number(&line, &out->uidvalidity) && take_number(&line, &out->uidnext) && out->uidvalidity;
	for (struct span word = span_next_word(&line); version == 3 && word.len; word = span_next_word(&line)) {
		struct span value = span_skip(word, 1);
		if ((word.ptr[0] == 'V' && !take_number(&value, &out->uidvalidity)) || (word.ptr[0] == 'N' && !take_number(&value, &out->uidnext)))
			return false;
	}
	return version == 3 && out->uidvalidity;
}

bool maildir_uid_parse(const struct maildir_uidlist_head *head, struct span line, struct maildir_uid *out)
{
	*out = (struct maildir_uid){0};
	if (!take_number(&line, &out->uid) || !out->uid || out->uid == UINT32_MAX)
		return false;
	if (head->version == 1) {
		out->base = base_of(span_skip(line, span_starts_with(line, SPAN(" "))));
		return out->base.len > 0;
	}
	for (;;) {
		line = span_trim(line);
		if (span_starts_with(line, SPAN(":"))) {
			out->base = base_of(span_skip(line, 1));
			return out->base.len > 0;
		}
		struct span word = span_next_word(&line);
		if (!word.len)
			return false;
		if (word.ptr[0] == 'P')
			out->unique_id = span_skip(word, 1);
	}
}

/* "name size uid" or "name size uid:uidvalidity": Courier says UID12-345, or UID12 where there is no UIDVALIDITY. */
bool maildir_courier_unique_id_parse(struct span line, struct span *base, struct buf *unique_id)
{
	uint64_t uid, uidvalidity = 0;
	if (span_starts_with(line, SPAN("/")))
		return false;
	*base = base_of(span_next_word(&line));
	span_next_word(&line);
	struct span number = span_next_word(&line), behind = {0};
	ssize_t colon = span_chr(number, ':');
	if (colon >= 0) {
		behind = span_skip(number, (size_t)colon + 1);
		number = span_slice(number, 0, (size_t)colon);
		colon = span_chr(behind, ':');
		behind = colon < 0 ? behind : span_slice(behind, 0, (size_t)colon);
	}
	if (!base->len || span_to_u64(number, UINT32_MAX, &uid) || !uid || (behind.len && span_to_u64(behind, UINT32_MAX, &uidvalidity)))
		return false;
	buf_printf(unique_id, "UID%llu", (unsigned long long)uid);
	if (uidvalidity)
		buf_printf(unique_id, "-%llu", (unsigned long long)uidvalidity);
	return true;
}

bool maildir_keyword_parse(struct span line, unsigned *number, struct span *keyword)
{
	uint32_t value;
	if (!take_number(&line, &value) || value >= MAILDIR_KEYWORDS_MOST)
		return false;
	*number = value;
	*keyword = span_trim(line);
	return imap_is_atom(*keyword);
}

/* ---- folders ---- */

static int add_level(struct span level, struct buf *out)
{
	size_t before = out->len;
	if (!level.len)
		return -1;
	bool is_decoded = imap_utf7_decode(level, out) == 0;
	if (!is_decoded && utf8_is_valid(level))
		buf_add(out, level);
	for (size_t i = before; i < out->len; i++)
		if (out->ptr[i] == '/' || (unsigned char)out->ptr[i] < ' ')
			return -1;
	return out->len > before ? 0 : -1;
}

int maildir_folder_name(struct span name, char separator, struct buf *out)
{
	for (;;) {
		ssize_t end = span_chr(name, separator);
		if (add_level(end < 0 ? name : span_slice(name, 0, (size_t)end), out))
			return -1;
		if (end < 0)
			return 0;
		buf_add_char(out, '/');
		name = span_skip(name, (size_t)end + 1);
	}
}

int maildir_folder_write(struct span name, struct buf *out)
{
	for (;;) {
		ssize_t end = span_chr(name, '/');
		struct span level = end < 0 ? name : span_slice(name, 0, (size_t)end);
		if (!level.len || span_chr(level, '.') >= 0)
			return -1;
		imap_utf7_encode(level, out);
		if (end < 0)
			return 0;
		buf_add_char(out, '.');
		name = span_skip(name, (size_t)end + 1);
	}
}
