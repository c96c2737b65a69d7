/* Signatures (DKIM) for messages that store makes itself, bounces and reports: it asks a filter, which asks vault. */
#ifndef STORE_SIGN_H
#define STORE_SIGN_H

#include "store/store.h"

enum { SIGN_BYTES_MOST = 1048576 }; /* of own_ask */

/* fields: whole DKIM-Signature fields; empty: the domain has no key, or nobody could be asked now (is_lost). Valid during the call. */
typedef void sign_done_fn(void *context, struct span fields, bool is_lost);

/* message: as it leaves, of at most SIGN_BYTES_MOST; domain: of its author, at most 255 bytes. Calls done once, perhaps before it
 * returns. */
void sign_own(struct store *s, struct span domain, struct span message, sign_done_fn *done, void *context);

void sign_answered(struct store_peer *filter, const struct msg_own_answer *m);
void sign_peer_gone(struct store *s, peer_id gone);

#endif
