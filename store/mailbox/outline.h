/* The outline of a large mailbox: which UIDs it has, so that it is selected after a start without its index being read. Derived, written
 * without a sync, and used only where the mailbox's record proves that it is not out of date.
 *
 * "q" mailbox   as of which MODSEQ and UIDNEXT, the first unseen message, the UIDs as ranges */
#ifndef STORE_MAILBOX_OUTLINE_H
#define STORE_MAILBOX_OUTLINE_H

#include "store/mailbox/account.h"

enum { OUTLINE_MESSAGES_LEAST = 5000 /* fewer are read as fast */ };

struct outline {
	uint64_t modseq;
	uint32_t uidnext, first_unseen_uid;
	struct buf uids; /* ranges (ipc/words.h) */
};

/* Into account->batch, of a mailbox that is loaded, if it is large and the one that is there is out of date. */
void outline_put(struct mailbox *m);
/* The same and at once, of a mailbox that has come to rest, if much has changed since: an import selects nothing, and leaves nothing. */
void outline_renew(struct mailbox *m);
/* Takes messages that have come into the one that is on the disk, if nothing else has changed since, and it is short. */
void outline_follow(struct mailbox *m);
/* The mailbox as it is now, of one that is not loaded. False if there is none, or it is out of date. */
bool outline_get(struct mailbox *m, struct outline *out);

#endif
