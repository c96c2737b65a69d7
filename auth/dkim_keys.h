/* The file with the private keys for DKIM, keys/dkim in data_dir: for each key a line
 *
 *   key DOMAIN SELECTOR STATE
 *
 * and the key in PEM form. `carteiro dkim` writes it, master opens it, vault alone reads it to sign. */
#ifndef AUTH_DKIM_KEYS_H
#define AUTH_DKIM_KEYS_H

#include "base/error.h"
#include "base/span.h"

enum { DKIM_KEYS_FILE_MOST = 64 * 1024 * 1024 }; /* some 20,000 domains */

struct dkim_key_entry {
	struct span domain, selector; /* as in the DNS */
	bool is_active;               /* state "active": messages are signed with it; "new": its record is to be published first */
	struct span pem;
};

/* Takes the next entry off the front of *rest; lines that begin with "#" and empty ones are passed over. 1, 0 at the end, or -1 with
 * *why: the line's beginning. */
int dkim_keys_next(struct span *rest, struct dkim_key_entry *out, struct error *why);

#endif
