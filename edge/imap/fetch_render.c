/* Items of FETCH that are no bytes of the message: RFC 3501 §7.4.2. */
#include "edge/imap/fetch.h"

#include "wire/date.h"
#include "wire/imap_envelope.h"
#include "wire/imap_structure.h"

static void begin_item(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item)
{
	if (f->next_item++)
		buf_add_char(&s->out, ' ');
	buf_add(&s->out, item->label);
	buf_add_char(&s->out, ' ');
}

void imap_fetch_flags(struct imap_session *s, struct imap_fetching *f)
{
	imap_view_render_flags(&s->view, &f->row, &s->out);
	/* a keyword whose name is not known here yet is told with the changes */
	if (imap_view_knows_keywords(&s->view, &f->row))
		imap_view_told(&s->view, &f->row);
}

static void say_date(struct imap_session *s, uint64_t ms)
{
	buf_add_char(&s->out, '"');
	date_format_imap((int64_t)(ms / 1000), 0, &s->out);
	buf_add_char(&s->out, '"');
}

/* RFC 8474 §5.3: letters and digits. A message that is copied keeps its EMAILID. */
static void say_emailid(struct imap_session *s, struct id128 email)
{
	char text[ID128_TEXT_BYTES + 1];
	buf_printf(&s->out, "(M%s)", id128_text(email, text).ptr);
}

static void say_threadid(struct imap_session *s, uint64_t thread)
{
	if (thread)
		buf_printf(&s->out, "(T%016llx)", (unsigned long long)thread);
	else
		buf_add_cstr(&s->out, "NIL");
}

enum imap_step imap_fetch_simple(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item)
{
	bool has_envelope = item->kind == IMAP_FETCH_ENVELOPE && imap_envelope_is_valid(f->envelope);
	bool needs_tree = (item->kind == IMAP_FETCH_ENVELOPE && !has_envelope) || item->kind == IMAP_FETCH_BODY || item->kind == IMAP_FETCH_BODYSTRUCTURE;
	if (needs_tree && imap_fetch_tree(s, f) == STEP_WAIT)
		return STEP_WAIT;
	if (item->kind == IMAP_FETCH_MODSEQ) {
		if (f->next_item++)
			buf_add_char(&s->out, ' ');
		imap_view_render_modseq(&f->row, &s->out);
		return STEP_ON;
	}
	unsigned flags = imap_has_utf8_names(s) ? IMAP_STRUCTURE_UTF8 : 0;
	begin_item(s, f, item);
	switch (item->kind) {
	case IMAP_FETCH_FLAGS: imap_fetch_flags(s, f); break;
	case IMAP_FETCH_UID: buf_add_number(&s->out, f->row.uid); break;
	case IMAP_FETCH_INTERNALDATE: say_date(s, f->internaldate_ms); break;
	case IMAP_FETCH_SAVEDATE: say_date(s, f->savedate_ms); break;
	case IMAP_FETCH_EMAILID: say_emailid(s, f->email); break;
	case IMAP_FETCH_THREADID: say_threadid(s, f->thread); break;
	case IMAP_FETCH_SIZE: buf_add_number(&s->out, f->size_bytes); break;
	case IMAP_FETCH_ENVELOPE:
		if (has_envelope)
			buf_add(&s->out, f->envelope);
		else
			imap_render_envelope(f->tree.parts[0].envelope, flags, &s->out);
		break;
	case IMAP_FETCH_BODY: imap_render_body(&f->tree, 0, false, flags, &s->out); break;
	case IMAP_FETCH_BODYSTRUCTURE: imap_render_body(&f->tree, 0, true, flags, &s->out); break;
	case IMAP_FETCH_MODSEQ: case IMAP_FETCH_SECTION: case IMAP_FETCH_PREVIEW: case IMAP_FETCH_BINARY: case IMAP_FETCH_BINARY_SIZE: break;
	}
	return STEP_ON;
}
