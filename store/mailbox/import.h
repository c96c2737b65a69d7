/* What messages that came from another server bring along, in rows of the account beside their index:
 *
 *   "o" source         where a message came from, a hash that the importer makes: written in the batch that keeps the message, and kept when
 *                      that has gone, so that it comes once whatever breaks off the import, and not again when its owner has deleted it
 *   "u" mailbox uid    its UIDL (RFC 1939 §7) as POP3's clients know it: it goes with the message, and into no other mailbox */
#ifndef STORE_MAILBOX_IMPORT_H
#define STORE_MAILBOX_IMPORT_H

#include "store/mailbox/account.h"

/* Messages with higher UIDs get others: who says them, a stranger's server perhaps, leaves room for those to come. */
enum { IMPORT_UID_MOST = 0x7fffffff };

/* 1 if a message of that source is on the disk, or was; 0 if not, -1 if that cannot be read. */
int source_is_known(struct account *a, struct span source);
void source_put(struct account *a, const struct mailbox *m, uint32_t uid, struct span source);

void unique_id_put(struct mailbox *m, uint32_t uid, struct span id);
/* Those of these UIDs go with their messages. */
void unique_ids_removed(struct mailbox *m, struct span ranges);
/* Whether the account has any; true where that cannot be read. */
bool unique_ids_are_there(struct account *a);

#endif
