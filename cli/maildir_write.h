/* Writing a Maildir (cr.yp.to/proto/maildir.html) with folders as Maildir++ has them. */
#ifndef CLI_MAILDIR_WRITE_H
#define CLI_MAILDIR_WRITE_H

#include "base/buf.h"
#include "base/error.h"

struct maildir_message {
	struct span bytes;         /* as they are: lines keep their ends */
	uint64_t internaldate_ms;  /* the file's time of change */
	uint32_t uid, uidvalidity; /* that make its name: the same message written again replaces itself */
	uint64_t keywords;         /* the first 26 are letters of the name, named in dovecot-keywords */
	uint8_t flags;             /* enum mail_flag */
};

/* Makes the Maildir `path` if need be and in it the folder of a mailbox (UTF-8, "/" between levels; INBOX is the Maildir itself), and appends
 * the folder's path to *folder. Dots of names, which separate levels there, become "&AC4-". -1 with *why. */
int maildir_make(const char *path, struct span mailbox, uint32_t id, struct buf *folder, struct error *why);
/* Names the keywords that letters stand for. -1 with *why. */
int maildir_name_keywords(const char *folder, char *const *keywords, unsigned count, struct error *why);
/* Writes a message, synced, into cur. -1 with *why. */
int maildir_write(const char *folder, const struct maildir_message *m, struct error *why);

#endif
