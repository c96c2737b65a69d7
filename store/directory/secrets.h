/* Secrets that are made once for a data directory, and stay. For the loop's thread. */
#ifndef STORE_DIRECTORY_SECRETS_H
#define STORE_DIRECTORY_SECRETS_H

#include "store/store.h"

/* Read, or made, at its first use: one that is there and cannot be read ends the process. */
const unsigned char *directory_secret(struct store *s, enum directory_secret which);

#endif
