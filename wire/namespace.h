/* Names of mailboxes that are somebody else's: RFC 2342.
 *
 *   Other Users/ann@example.org/Work     Ann's mailbox Work
 *   Shared Folders/info@example.org/INBOX  of an account that is nobody's own */
#ifndef WIRE_NAMESPACE_H
#define WIRE_NAMESPACE_H

#include "base/buf.h"

#define NAMESPACE_OTHERS_PREFIX "Other Users/"
#define NAMESPACE_SHARED_PREFIX "Shared Folders/"

enum namespace { NAMESPACE_PERSONAL, NAMESPACE_OTHERS, NAMESPACE_SHARED };

/* Which one a name is of. For the latter two: the address of whom it belongs to, and what the mailbox is called there (empty where the
 * name ends before or in the "/" behind the address). The address is the name up to the first "/" behind its "@", as it was written. */
enum namespace namespace_of(struct span name, struct span *owner, struct span *rest);
/* True for names that no mailbox of one's own can have. */
bool namespace_is_reserved(struct span name);
/* Appends what stands before the mailbox names of that owner. */
void namespace_add_prefix(enum namespace n, struct span owner, struct buf *out);

#endif
