/* What an edge asks about an envelope: whether a sender is the user's own, and who a recipient is. Where a table beside the directory has to be
 * asked first (store/directory/tables.h), the answer is given when it has answered. */
#ifndef STORE_RECIPIENT_H
#define STORE_RECIPIENT_H

#include "store/store.h"

void recipient_sender_asked(struct store_peer *edge, const struct msg_sender_ask *m);
void recipient_asked(struct store_peer *edge, const struct msg_rcpt_ask *m);

#endif
