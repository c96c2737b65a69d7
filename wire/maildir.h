/* What stands in Maildirs, as Dovecot and Courier write them: names of files, lists of UIDs, of keywords, of subscriptions, of UIDLs.
 *
 * All of it is text in lines, of which each is read by itself; a line that is none is passed over by the caller, which loses what it says
 * of one message, never the message. */
#ifndef WIRE_MAILDIR_H
#define WIRE_MAILDIR_H

#include "base/buf.h"

enum { MAILDIR_KEYWORDS_MOST = 64, MAILDIR_LETTERS = 26 };

/* The name of a message's file: unique part, and behind ":2," the flags, of which "a" to "z" are keywords. */
struct maildir_name {
	struct span base;   /* up to the ":": it names the message for ever */
	uint8_t flags;      /* enum imap_flag (wire/imap_command.h) */
	bool is_forwarded;  /* "P" */
	uint32_t keywords;  /* a bit each */
};

/* False if no message has such a name: it is empty or begins with a dot. */
bool maildir_name_parse(struct span name, struct maildir_name *out);
/* Appends ":2," and what stands behind it, in the order of ASCII as the format wants it. */
void maildir_flags_write(uint8_t flags, bool is_forwarded, uint32_t keywords, struct buf *out);

/* dovecot-uidlist (versions 1 and 3) and courierimapuiddb. */
struct maildir_uidlist_head {
	unsigned version;
	uint32_t uidvalidity, uidnext;
};

struct maildir_uid {
	uint32_t uid;
	struct span base, unique_id; /* of POP3 ("P"); empty: none */
};

bool maildir_uidlist_head_parse(struct span line, struct maildir_uidlist_head *out);
bool maildir_uid_parse(const struct maildir_uidlist_head *head, struct span line, struct maildir_uid *out);

/* A line of courierpop3dsizelist: the file, and appends its UIDL as Courier tells it. */
bool maildir_courier_unique_id_parse(struct span line, struct span *base, struct buf *unique_id);

/* "12 $Label" of dovecot-keywords. */
bool maildir_keyword_parse(struct span line, unsigned *number, struct span *keyword);

/* The folder's name as the server calls it, with "/" between levels, of its name on the disk, whose levels `separator` divides, in modified
 * UTF-7 or, where it is none, in UTF-8. -1 if it is neither. */
int maildir_folder_name(struct span name, char separator, struct buf *out);
/* The other way round, in modified UTF-7, with "." between levels. -1 if a level has a dot or a "/" in it, or is empty. */
int maildir_folder_write(struct span name, struct buf *out);

/* The next line of the text without its LF, of a file that was read whole. False at the end. */
bool maildir_next_line(struct span *text, struct span *line);

#endif
