/* Items of FETCH that are no bytes of the message: RFC 3501 §7.4.2. */
#include "edge/imap/fetch.h"

#include "wire/date.h"
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

enum imap_step imap_fetch_simple(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item)
{
	bool needs_tree = item->kind == IMAP_FETCH_ENVELOPE || item->kind == IMAP_FETCH_BODY || item->kind == IMAP_FETCH_BODYSTRUCTURE;
	if (needs_tree && imap_fetch_tree(s, f) == STEP_WAIT)
		return STEP_WAIT;
	if (item->kind == IMAP_FETCH_MODSEQ) {
		if (f->next_item++)
			buf_add_char(&s->out, ' ');
		imap_view_render_modseq(&f->row, &s->out);
		return STEP_ON;
	}
	begin_item(s, f, item);
	switch (item->kind) {
	case IMAP_FETCH_FLAGS: imap_fetch_flags(s, f); break;
	case IMAP_FETCH_UID: buf_add_number(&s->out, f->row.uid); break;
	case IMAP_FETCH_INTERNALDATE:
		buf_add_char(&s->out, '"');
		date_format_imap((int64_t)(f->internaldate_ms / 1000), 0, &s->out);
		buf_add_char(&s->out, '"');
		break;
	case IMAP_FETCH_SIZE: buf_add_number(&s->out, f->size_bytes); break;
	case IMAP_FETCH_ENVELOPE: imap_render_envelope(f->tree.parts[0].envelope, 0, &s->out); break;
	case IMAP_FETCH_BODY: imap_render_body(&f->tree, 0, false, 0, &s->out); break;
	case IMAP_FETCH_BODYSTRUCTURE: imap_render_body(&f->tree, 0, true, 0, &s->out); break;
	case IMAP_FETCH_MODSEQ: case IMAP_FETCH_SECTION: break;
	}
	return STEP_ON;
}
