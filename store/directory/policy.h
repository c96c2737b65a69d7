/* What resolve has learnt of other domains and must not forget over a restart: their MTA-STS policies (RFC 8461 §5.1). Rows of the
 * directory's partition (store/directory/directory.h). They are bounded in number and size; resolve says which are to go. */
#ifndef STORE_DIRECTORY_POLICY_H
#define STORE_DIRECTORY_POLICY_H

#include "store/store.h"

/* Tells a new resolve all that is kept. */
void policies_tell(struct store_peer *resolve);
/* 0, or -1 if what resolve says cannot be. One that is older than what is kept is passed over. */
int policy_keep(struct store_peer *resolve, const struct msg_policy_keep *m);
int policy_forget(struct store_peer *resolve, const struct msg_policy_forget *m);

#endif
