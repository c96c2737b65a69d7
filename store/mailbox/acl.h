/* Who may do what with a mailbox besides its owner, who may do all: RFC 4314.
 *
 * "a" mailbox -> its entries: identifier, whom it means, rights. An identifier is an account's address, or "anyone": here, all accounts of the owner's
 * domain, since others on this server are strangers to him. With "-" in front the rights are taken away from what other entries give. An
 * entry means the account that had the address when it was made, and nobody who has it later. */
#ifndef STORE_MAILBOX_ACL_H
#define STORE_MAILBOX_ACL_H

#include "store/mailbox/account.h"
#include "wire/rights.h"

enum { ACL_ENTRIES_MOST = 500, ACL_IDENTIFIER_BYTES_MOST = 512 };
#define ACL_ANYONE UINT64_MAX /* as an identity */

struct acl_entry {
	char *identifier;
	uint64_t identity; /* account, or ACL_ANYONE */
	unsigned rights;
};

/* What the reader (0: the owner) may do; is_near: of the owner's domain. */
unsigned acl_rights(const struct mailbox *m, uint64_t reader, bool is_near);
/* Whether somebody with these rights may know that the mailbox is there (RFC 4314 §4, MYRIGHTS): to all others there is none. */
bool acl_lets_know(unsigned rights);
/* Flags that may be set and cleared with these rights (enum mail_flag); keywords go with FLAG_ANSWERED. */
uint8_t acl_flags(unsigned rights);
/* Changes an entry, into account->batch; whom it is about then finds the account, or not (store/directory/shares.h). False if there would be too many. identity: of the identifier without its "-". */
bool acl_change(struct mailbox *m, struct span identifier, uint64_t identity, enum acl_change change, unsigned rights);
/* The list goes, with its mailbox. */
void acl_dropped(struct mailbox *m);
/* After the account's batch has been submitted: who has no right in it any more does not find it any more. */
void acl_settle(struct account *a);
/* A new mailbox has what the one above it has, or the nearest that there is: RFC 4314 §4, CREATE. Into account->batch. */
void acl_inherit(struct mailbox *m);
/* The nearest mailbox above a name; NULL: there is none. */
struct mailbox *acl_parent(const struct account *a, struct span name);
/* A row as it was scanned from the engine. -1 with *why if it is damaged. */
int acl_read(struct account *a, struct span key, struct span value, struct error *why);
void acl_forget(struct mailbox *m); /* in memory only */

#endif
