/* Sessions in mailboxes of other accounts (RFC 2342, RFC 4314): where a name leads, and which account's worker a message goes to.
 *
 * A message that names a mailbox goes to that mailbox's account, with the name as it is there; one that names none goes to where the session has its
 * mailbox open. What the session may do there, the worker says (store/mailbox/acl.h). */
#ifndef STORE_SHARE_H
#define STORE_SHARE_H

#include "store/mailbox/view.h"
#include "store/session.h"

enum share_outcome {
	SHARE_OWN,   /* the account's own */
	SHARE_FOUND,
	SHARE_NONE,  /* nobody's who has let this account in: no more is told */
};

/* Where the name leads. *place stays good until the session ends, or has been in GUESTS_MOST other accounts; *rest is the name there. */
enum share_outcome share_find(struct store *store, struct session *s, struct span name, struct view_place *place, struct span *rest);
/* The view with the mailbox that the session has open. */
struct view_place share_open_place(const struct session *s);
/* Sends on a message about an account's mailboxes. -1: it makes no sense. */
int share_post(struct store_peer *edge, struct session *s, uint16_t type, struct span payload);
/* Answers shares_ask. */
void share_tell(struct store_peer *edge, struct session *s, uint32_t request);
/* Closes the session's views in other accounts. */
void share_leave(struct store *store, struct session *s);
/* An identifier of a list of rights, "-" in front or not: which account it means, ACL_ANYONE, or 0. Appends how it is written there. */
uint64_t share_identity(struct store *s, struct span identifier, struct buf *canonical);

#endif
