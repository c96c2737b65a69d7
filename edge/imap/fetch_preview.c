/* PREVIEW: RFC 8970. Made of the message when it is asked for, LAZY or not, since that takes no longer than to say that it is not there. */
#include "edge/imap/fetch.h"

#include "wire/imap_structure.h"
#include "wire/preview.h"

static void say(struct imap_session *s, struct imap_fetching *f, struct span text)
{
	if (f->next_item++)
		buf_add_char(&s->out, ' ');
	buf_add_cstr(&s->out, "PREVIEW ");
	imap_render_string(text, imap_has_utf8_names(s) ? IMAP_STRUCTURE_UTF8 : 0, &s->out);
}

enum imap_step imap_fetch_preview(struct imap_session *s, struct imap_fetching *f)
{
	if (imap_fetch_tree(s, f) == STEP_WAIT)
		return STEP_WAIT;
	uint32_t at = preview_part(&f->tree);
	BUF_AUTO text = {0};
	struct span bytes;
	if (at == MIME_NO_PART) {
		say(s, f, SPAN(""));
		return STEP_ON;
	}
	const struct mime_part *part = &f->tree.parts[at];
	uint64_t length = part->body_len < PREVIEW_SOURCE_BYTES ? part->body_len : PREVIEW_SOURCE_BYTES;
	if (!imap_fetch_gather(s, f, PULL_BEGINNING, part->body_offset, length, &bytes))
		return STEP_WAIT;
	f->work += bytes.len;
	preview_make(part, bytes, &text);
	say(s, f, buf_span(&text));
	return STEP_ON;
}
