/* STORE: RFC 3501 §6.4.6. */
#include "edge/imap/session.h"

#include "base/pack.h"
#include "ipc/words.h"

enum { KEYWORD_BYTES_MOST = 2048 }; /* of one command; those of a mailbox may be more (KEYWORDS_MOST) */

struct storing {
	enum flags_mode mode;
	bool is_silent;
};

bool imap_pack_keywords(struct imap_session *s, const struct imap_flags *flags, struct buf *out)
{
	words_pack(out, flags->keywords, flags->keyword_count);
	if (out->len <= KEYWORD_BYTES_MOST)
		return true;
	imap_no(s, "[LIMIT] Too many keywords");
	return false;
}

/* Row by row, the flags as they are now. A keyword that is new in the mailbox has no name here yet: such rows are told with
 * the changes, which bring the name. */
static void on_rows(struct imap_session *s, const struct msg_fetch_rows *m)
{
	struct storing *w = s->work;
	struct imap_view *v = &s->view;
	struct unpacker u = {.rest = m->rows};
	while (u.rest.len && !u.bad) {
		struct imap_row row;
		imap_row_unpack(&u, &row);
		uint32_t number = u.bad ? 0 : imap_view_sequence(v, row.uid);
		if (number == 0)
			continue;
		if (w->is_silent) {
			/* The client knows the flags if nobody else has changed anything since it heard last: only changed rows come,
			 * and all of them have this command's MODSEQ. */
			if (row.modseq == v->modseq + 1)
				imap_view_told(v, &row);
			continue;
		}
		if (!imap_view_knows_keywords(v, &row))
			continue;
		imap_say_numbered(s, number, SPAN(" FETCH ("));
		if (s->is_uid)
			buf_printf(&s->out, "UID %u ", row.uid);
		buf_add_cstr(&s->out, "FLAGS ");
		imap_view_render_flags(v, &row, &s->out);
		buf_add_cstr(&s->out, ")\r\n");
		imap_view_told(v, &row);
	}
	imap_flush(s);
	if (m->is_last)
		imap_ok(s, "STORE done");
}

static bool take_mode(struct imap_parser *p, struct storing *w)
{
	static const struct {
		const char *name;
		struct storing what;
	} modes[] = {
		{"FLAGS", {FLAGS_SET, false}}, {"FLAGS.SILENT", {FLAGS_SET, true}}, {"+FLAGS", {FLAGS_ADD, false}},
		{"+FLAGS.SILENT", {FLAGS_ADD, true}}, {"-FLAGS", {FLAGS_REMOVE, false}}, {"-FLAGS.SILENT", {FLAGS_REMOVE, true}},
	};
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (imap_take_word(p, modes[i].name)) {
			*w = modes[i].what;
			return true;
		}
	return imap_fail(p, "Expected FLAGS, +FLAGS or -FLAGS");
}

void imap_store(struct imap_session *s, struct imap_parser *p)
{
	static const struct imap_answers answers = {.rows = on_rows};
	struct storing *w = arena_alloc(&s->arena, sizeof *w);
	struct imap_sequence_set set;
	struct imap_flags flags;
	BUF_AUTO ranges = {0};
	BUF_AUTO keywords = {0};
	uint32_t count;
	if (!imap_take_space(p) || !imap_take_sequence_set(p, &set) || !imap_take_space(p) || !take_mode(p, w) ||
	    !imap_take_space(p) || !imap_take_flags(p, true, &flags) || !imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	if (!imap_view_resolve(s, &set, s->is_uid, &ranges, &count) || !imap_pack_keywords(s, &flags, &keywords))
		return;
	if (s->view.is_read_only) {
		imap_no(s, "[READ-ONLY] The mailbox is open for reading only");
		return;
	}
	s->work = w;
	if (count == 0)
		imap_ok(s, "STORE done: no such messages");
	else
		imap_ask(s, &answers, flags_ask, .ranges = buf_span(&ranges), .mode = (uint8_t)w->mode, .flags = flags.system,
		         .keywords = buf_span(&keywords), .only_changed = w->is_silent);
}
