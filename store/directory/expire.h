/* Rules by which messages go from a mailbox after some time. Rows "l" of the directory (store/directory/directory.h). */
#ifndef STORE_DIRECTORY_EXPIRE_H
#define STORE_DIRECTORY_EXPIRE_H

#include "store/store.h"

struct expire_rule {
	struct span target;   /* an address, or "*@domain" for each of a domain's users */
	struct span mailbox;
	uint64_t after_s;     /* since the message came into it; 0: never, whatever the domain's rule says */
};

void expire_put(struct batch *b, const struct expire_rule *rule);
/* 1, 0 if there is no such rule, -1 with *why. */
int expire_get(struct store *s, struct span target, struct span mailbox, uint64_t *after_s, struct error *why);
void expire_delete(struct batch *b, struct span target, struct span mailbox);
/* Calls each(context, rule) for all, in the order of targets; of one target only where it is not empty. */
void expire_walk(struct store *s, struct span target, void (*each)(void *context, const struct expire_rule *rule), void *context);
/* All of a target's. */
void expire_delete_all(struct store *s, struct batch *b, struct span target);

#endif
