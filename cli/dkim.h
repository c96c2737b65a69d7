/* The keys of DKIM: keys/dkim in data_dir (auth/dkim_keys.h). */
#ifndef CLI_DKIM_H
#define CLI_DKIM_H

#include "cli/cli.h"

/* Makes a pair of keys, RSA-2048 and Ed25519, for the domain (its canonical form): active at once if it has none yet, else waiting for
 * `carteiro dkim activate`. 0, or an exit status with a message on stderr. */
int dkim_make(const struct config *c, struct span domain);
/* Prints the records of the domain's keys as lines of a zone file; of all domains if it is empty. 0, or an exit status. */
int dkim_print_records(const struct config *c, struct span domain);

#endif
