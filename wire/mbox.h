/* mbox and UW imapd's mbx.
 *
 * An mbox has no specification but RFC 4155's description; there are dialects. Here a message begins with a line "From ", a sender that may be
 * anything, and a date as asctime(3) writes it, with or without seconds and zones, at the file's start or behind an empty line. Nothing else
 * divides: not "From " alone, and no Content-Length, but where it leads to just such a line or to the file's end. */
#ifndef WIRE_MBOX_H
#define WIRE_MBOX_H

#include "base/buf.h"

enum { MBOX_FROM_LINE_MOST = 1000, MBX_HEAD_BYTES = 2048, MBX_KEYWORDS = 30, MBX_LINE_MOST = 100, MBOX_FIELD_MOST = 4000 };

struct mbox_date {
	int year, month, day, hour, minute, second; /* month 0 to 11 */
	bool has_zone;
	int zone_minutes; /* east of Greenwich */
};

/* A From_ line without its end. False if it is none. */
bool mbox_from_parse(struct span line, struct mbox_date *out);
/* Appends one for the message, in UTC, with its LF. */
void mbox_from_write(int64_t utc_seconds, struct buf *out);

/* The message in a form that goes into a mailbox, and what the fields say that servers keep their state in and take out again (Status,
 * X-Status, X-Keywords, X-UID, X-IMAP, X-IMAPbase, Content-Length). One ">" of those before "From " goes (mboxrd), where they are no more than
 * anybody writes (32). Bytes may come in any
 * pieces. Start with a zeroed one, and end with mbox_read_end and mbox_read_free. */
struct mbox_reader {
	bool is_body, is_in_line, is_dropped;
	char front[64];        /* of the line, until it is known what it is */
	size_t front_len;
	struct buf field;      /* the dropped one */
	/* what they said */
	uint8_t flags;         /* enum imap_flag */
	uint32_t uid, uidvalidity, uid_last;
	struct buf keywords;   /* with a SP before each */
	bool is_internal;      /* it is no message: UW imapd's and Dovecot's "FOLDER INTERNAL DATA" */
	bool has_length;
	uint64_t length;       /* Content-Length */
};

/* Appends to *out what of the bytes belongs to the message; in lines as they are. */
void mbox_read(struct mbox_reader *r, struct span bytes, struct buf *out);
void mbox_read_end(struct mbox_reader *r, struct buf *out);
void mbox_read_free(struct mbox_reader *r);

/* The other way: what follows a From_ line, with LF, and lines that look like one quoted. Starts zeroed. */
struct mbox_writer {
	bool is_in_line, was_cr;
	char front[64];
	size_t front_len;
	uint64_t written;
	char last;
};
void mbox_write(struct mbox_writer *w, struct span bytes, struct buf *out);
/* The message's end: an empty line. */
void mbox_write_end(struct mbox_writer *w, struct buf *out);

/* ---- mbx ---- */

struct mbx_head {
	uint32_t uidvalidity, uid_last;
	struct span keywords[MBX_KEYWORDS]; /* point into the bytes; empty: none */
};
/* The first MBX_HEAD_BYTES. */
bool mbx_head_parse(struct span bytes, struct mbx_head *out);

struct mbx_message {
	int64_t date_s;
	uint64_t size;      /* of what follows the line */
	uint32_t keywords;  /* bits */
	uint8_t flags;      /* enum imap_flag */
	bool is_expunged;
	uint32_t uid;
	size_t line_bytes;  /* with CR LF */
};
/* The line before a message. False if it is none. */
bool mbx_message_parse(struct span bytes, struct mbx_message *out);

#endif
