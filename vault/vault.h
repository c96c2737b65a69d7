/* vault: private keys and the checking of passwords. It signs TLS handshakes for edges, and tells store, over a channel of
 * its own, which connection is now whose. */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

int vault_main(unsigned index, int control);

#endif
