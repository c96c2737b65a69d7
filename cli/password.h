/* Hashing passwords with yescrypt. */
#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include "base/buf.h"

/* Appends the hash as crypt(5) writes it. -1 if crypt(3) refuses. */
int password_hash(const char *password, struct buf *out);

#endif
