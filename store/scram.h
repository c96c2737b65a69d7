/* Whether logins by SCRAM are offered: when every account has keys for them, since a client that sees SCRAM offered takes it, and
 * does not fall back to PLAIN where it fails. An account that came with a hash alone gets keys at its first login in clear. */
#ifndef STORE_SCRAM_H
#define STORE_SCRAM_H

#include "store/store.h"

/* Tells vault how it is, when it comes. */
void scram_tell(struct store *s);
/* So many accounts more (or less) are without keys, and that is on the disk: vault is told if it makes a difference. */
void scram_count(struct store *s, int more);
/* The accounts that have none. */
size_t scram_missing(struct store *s);

#endif
