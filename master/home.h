/* What a Unix user's ~/.forward says, for store. Home directories are for root to read, and may be on a disk that does not answer: so each is
 * read by a short-lived process that is the user by then, and master only passes its bytes on. (It has a copy of master's memory, which has no secret and which the kernel lets nobody look into once the user has changed.) */
#ifndef MASTER_HOME_H
#define MASTER_HOME_H

#include "master/process.h"

/* From store: answers once with home_answer, now or later. */
void home_ask(struct master *m, const struct msg_home_ask *ask);
/* A process of master's has ended; nothing happens if it was none of these. */
void home_ended(struct master *m, pid_t pid);
/* store has gone: nobody wants the answers. */
void homes_forget(struct master *m);

#endif
