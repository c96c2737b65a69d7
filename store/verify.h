/* `carteiro verify`: reads everything of accounts, and proves what is said of it: counters, indexes, the bytes of each message.
 *
 * An account's structure is looked at on its worker, between its other operations; the bytes of its messages are read by the thread that
 * reads the whole store (store->searcher), so that the account goes on meanwhile. */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store/command_run.h"

/* Of one account, or all where it is 0. is_repair: what is derived is made anew; damaged messages are set aside, under a name of their own
 * (MAILBOX_OF_DAMAGED), where they are no longer served as if they were whole. Ends the command. */
void verify_run(struct command_run *c, uint64_t account, bool is_repair);

#endif
