/* Unix users of this machine who get mail: what their ~/.forward says (config/settings.def: system_users). master reads it (master/home.h), and
 * what is remembered of it is kept with the answers of tables (store/directory/tables.h), as TABLE_HOME by the user's name. */
#ifndef STORE_DIRECTORY_HOME_H
#define STORE_DIRECTORY_HOME_H

#include "store/store.h"

/* A target of TABLE_HOME: the user's own mailbox, and no further. No address begins like that. */
#define HOME_MAILBOX SPAN("\\")

/* True if users of the machine get mail at the domain (canonical). */
bool home_is_at(const struct config *config, struct span domain);
/* True if it can be a user's name: what is none is not asked for. */
bool home_is_name(struct span local);
/* From master. -1 if there is no such question. */
int home_answered(struct store *s, const struct msg_home_answer *m);

#endif
