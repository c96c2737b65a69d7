/* The sender rewriting scheme: mail that an alias sends on to another server leaves with a sender of a domain of ours, as SPF of the
 * first sender's domain does not name us; what comes back to that address goes on to the first sender.
 *
 *   SRS0=hash=day=domain=local@ours        and, where the sender is such an address of another forwarder,
 *   SRS1=hash=forwarder==hash=day=domain=local@ours
 *
 * The hash is ours alone, so nobody can make such an address and use us to reach others; the day ends it after three weeks. */
#ifndef AUTH_SRS_H
#define AUTH_SRS_H

#include "base/buf.h"

enum { SRS_KEY_BYTES = 32 };

/* Appends the address. sender: "local@domain"; domain: one of ours, with an MX and SPF that name us; day: since 1970. -1 and nothing
 * appended if there is no such address: the sender is null or has no domain, or the local part would have more octets than RFC 5321
 * §4.5.3.1.1 allows. */
int srs_make(const unsigned char key[SRS_KEY_BYTES], struct span sender, struct span domain, uint64_t day, struct buf *out);
/* True if a local part says that it is such an address. */
bool srs_is(struct span local_part);
/* Appends the address that stands behind one. -1 and nothing appended if it is none that this key made, or is older than three weeks. */
int srs_undo(const unsigned char key[SRS_KEY_BYTES], struct span local_part, uint64_t day, struct buf *out);

#endif
