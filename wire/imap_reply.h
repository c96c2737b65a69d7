/* What an IMAP server says, as a client of it reads it (RFC 3501 §7): LIST, FETCH, response codes. Servers are strangers: everything is looked
 * at within the bytes of one response, its literals among them, and lists within lists only so deep. */
#ifndef WIRE_IMAP_REPLY_H
#define WIRE_IMAP_REPLY_H

#include "base/buf.h"

enum { IMAP_REPLY_DEPTH_MOST = 30 };

struct imap_reply_list {
	struct buf name;         /* as it was written, without quotes */
	char separator;          /* 0: none */
	struct buf attributes;   /* with a SP before and behind each */
};

/* A LIST or LSUB response without its CR LF. False if it is none. What *out has is written over. */
bool imap_reply_list(struct span response, struct imap_reply_list *out);
void imap_reply_list_free(struct imap_reply_list *l);
/* "\Sent" of its attributes, in any case. */
bool imap_reply_has(const struct imap_reply_list *l, const char *attribute);

struct imap_reply_fetch {
	uint32_t uid;            /* 0: not told */
	bool has_flags, has_date, has_size, has_labels, has_id;
	struct span flags;       /* between the parentheses */
	int64_t date_s;
	uint64_t size;           /* RFC822.SIZE */
	struct span labels;      /* of X-GM-LABELS, between the parentheses */
	uint64_t gmail_id;       /* X-GM-MSGID */
	bool has_literal;        /* the response ends in one of literal_size bytes that has not been read */
	uint64_t literal_size;
};

/* A FETCH response without its CR LF, or up to a literal. False if it is none, or none that can be read. */
bool imap_reply_fetch(struct span response, struct imap_reply_fetch *out);

/* The next word of a list of flags or labels: an atom, or a string, which is unquoted. False at the end. */
bool imap_reply_word(struct span *list, struct buf *out);

/* The bit (enum imap_flag) of a system flag, "\Seen"; 0 of other words. RFC 3501 §2.3.2. */
uint8_t imap_reply_system_flag(struct span word);

/* The number of "[UIDVALIDITY 5]". False if there is none. */
bool imap_reply_code(struct span response, const char *code, uint32_t *number);

/* The size that an announced literal at the end of a line has: "{5}". */
bool imap_reply_literal(struct span line, uint64_t *size);

#endif
