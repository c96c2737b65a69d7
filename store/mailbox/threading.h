/* Which messages of an account belong together, whatever mailboxes they are in: THREADID (RFC 8474 §5.2). A message joins the thread of the
 * first that it answers and that is known, by its References, In-Reply-To and Message-ID; decided when it comes, and for good.
 *
 * "r" hash of a message id -> its thread. A row stays when its messages have gone: an answer may still come. */
#ifndef STORE_MAILBOX_THREADING_H
#define STORE_MAILBOX_THREADING_H

#include "store/mailbox/account.h"

/* The thread of a message that comes in; never 0. `ids`: as wire/message_summary.h packs them. Into account->batch. */
uint64_t threading_join(struct account *a, struct span ids, struct id128 blob);
void threading_forget(struct account *a); /* in memory only */

#endif
