/* COPY and MOVE from one account's mailbox to another's. The bytes stay where they are: both accounts name them. Accounts have batches of their own; they
 * are written so that a message is in at least one of the two whatever happens, and after a crash perhaps in both (as where a client copies and then deletes). */
#ifndef STORE_MAILBOX_CROSS_COPY_H
#define STORE_MAILBOX_CROSS_COPY_H

#include "store/mailbox/view.h"

/* m->mailbox is the name as it is at `to`. Answers with copy_done or request_done. In the loop's thread; copies what it is given. */
void cross_copy_post(struct store *s, peer_id peer, const struct view_place *from, const struct view_place *to, const struct msg_copy_ask *m);

#endif
