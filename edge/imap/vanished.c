/* Which messages have gone since the client was here last: VANISHED (EARLIER), RFC 7162 §3.2.10.1. store reads it from its change
 * log. What goes in the meantime is not in it: the client learns of that as of every change. */
#include "edge/imap/session.h"

#include "ipc/words.h"

#include <roaring/roaring.h>

/* Those that the view still has are left out: their time comes with the next changes. */
static void on_uids(struct imap_session *s, const struct msg_uid_rows *m)
{
	roaring_bitmap_t *gone = roaring_bitmap_create();
	BUF_AUTO ranges = {0};
	for (size_t i = 0; i < ranges_count(m->ranges); i++) {
		uint32_t first, last;
		ranges_get(m->ranges, i, &first, &last);
		roaring_bitmap_add_range_closed(gone, first, last);
	}
	roaring_bitmap_andnot_inplace(gone, s->view.uids);
	roaring_uint32_iterator_t *i = roaring_create_iterator(gone);
	for (; i->has_value; roaring_advance_uint32_iterator(i))
		ranges_add(&ranges, i->current_value);
	roaring_free_uint32_iterator(i);
	roaring_bitmap_free(gone);
	if (ranges.len == 0)
		return;
	buf_add_cstr(&s->out, "* VANISHED (EARLIER) ");
	imap_add_set(&s->out, buf_span(&ranges));
	buf_add_cstr(&s->out, "\r\n");
	imap_flush(s);
}

static void on_done(struct imap_session *s, const struct msg_request_done *m)
{
	if (m->outcome == REQUEST_OK)
		s->then(s);
	else
		imap_no_outcome(s, m, false);
}

void imap_say_vanished(struct imap_session *s, struct span ranges, uint64_t since, void (*then)(struct imap_session *s))
{
	static const struct imap_answers answers = {.uids = on_uids, .done = on_done};
	s->then = then;
	imap_ask(s, &answers, vanished_ask, .since = since, .ranges = ranges);
}
