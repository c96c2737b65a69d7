/* What SEARCH, SORT and THREAD need of a message's header, in a few hundred bytes: decoded, folded, and cut where it is long; and its ENVELOPE
 * as IMAP says it, which clients ask of all messages. Made of the parsed structure (wire/mime.h), kept in columns by whoever has many messages. */
#ifndef WIRE_MESSAGE_SUMMARY_H
#define WIRE_MESSAGE_SUMMARY_H

#include "wire/mime.h"

enum summary_column {
	/* u8 1, u64 seconds of the Date field in UTC, u64 the same as it is written there (its zone left aside); or u8 0: no date */
	SUMMARY_DATE,
	/* Of a field, for looking for text in it: u8 enum summary_state, then the value folded as by casefold_search */
	SUMMARY_SUBJECT, SUMMARY_FROM, SUMMARY_TO, SUMMARY_CC, SUMMARY_BCC, SUMMARY_MESSAGE_ID,
	/* u8 1 for a reply or forward, then the base subject (wire/subject.h) as casemap_unicode has it */
	SUMMARY_BASE_SUBJECT,
	/* Keys for sorting, as casemap_unicode has them: RFC 5256 §3 (CC, FROM, TO: the first address's mailbox), RFC 5957 */
	SUMMARY_SORT_FROM, SUMMARY_SORT_TO, SUMMARY_SORT_CC, SUMMARY_DISPLAY_FROM, SUMMARY_DISPLAY_TO,
	/* u64 hash of the Message-ID, 0 if there is none; then a u64 for each of its references, oldest first (RFC 5256 §3, REFERENCES) */
	SUMMARY_THREAD,
	/* ENVELOPE as imap_render_envelope has it; empty where it is longer than SUMMARY_VALUE_MAX or needs a literal (wire/imap_envelope.h) */
	SUMMARY_ENVELOPE,
	SUMMARY_COLUMNS,
};

enum summary_state {
	SUMMARY_ABSENT, /* there is no such field */
	SUMMARY_WHOLE,  /* the one field of that name, all of its value */
	SUMMARY_PART,   /* there is more than this: what is not in it may be in the message nevertheless */
};

enum {
	SUMMARY_VALUE_MAX = 1000,   /* bytes of one column */
	SUMMARY_REFERENCES_MAX = 64, /* the first one and the last ones */
	SUMMARY_BYTES_MAX = SUMMARY_COLUMNS * (SUMMARY_VALUE_MAX + 4) + 3,
};

/* Appends SUMMARY_THREAD alone. */
void message_summary_thread(const struct mime_envelope *e, struct buf *out);

/* Appends the summary. False, and nothing, where the tree lacks the values (is_partial). */
bool message_summary_pack(const struct mime_tree *tree, struct buf *out);

/* Takes it apart into spans of `packed`. -1 if it is none, or one of another Unicode version. */
int message_summary_unpack(struct span packed, struct span columns[SUMMARY_COLUMNS]);

/* The column in which a field of that name is looked for; SUMMARY_COLUMNS if there is none. */
enum summary_column message_summary_column(struct span field_name);

#endif
