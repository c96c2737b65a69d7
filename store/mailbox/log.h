/* The change log: which UIDs have gone with which MODSEQ, so that a client that comes back asks for what it has missed alone
 * (RFC 7162 §3.2). What has changed and is still there needs none: every row has its MODSEQ.
 *
 * "x" mailbox modseq   the ranges of UIDs (ipc/words.h) that went with that change */
#ifndef STORE_MAILBOX_LOG_H
#define STORE_MAILBOX_LOG_H

#include "store/mailbox/account.h"

/* Ranges that are remembered of a mailbox. Beyond them the log begins anew, and who comes back with an older MODSEQ hears of every
 * UID that is not there. */
enum { LOG_RANGES_MOST = 100000 };

/* Messages have gone: writes that to account->batch. The mailbox's record must follow (mailbox_put). */
void log_removed(struct mailbox *m, uint64_t modseq, struct span uids);

/* Appends which UIDs of `asked` (ranges) have gone since, as ranges. What is read must be on the disk. -1 with *why. */
int log_read(struct mailbox *m, uint64_t since, struct span asked, struct buf *gone, struct error *why);

#endif
