/* What time does to mailboxes, every hour: messages that an expiry rule is about go (store/directory/expire.h), and what was deleted long
 * enough ago is given up (store/mailbox/removed.h). One account after the other, each on its worker. */
#ifndef STORE_HOUSEKEEPING_H
#define STORE_HOUSEKEEPING_H

#include "store/store.h"

void housekeeping_start(struct store *s);

/* A round now; done(context, ...) when it is over. The next hour's comes as it would have. */
struct housekeeping_report {
	size_t accounts, expired, purged; /* messages; entries of removed ones */
};
typedef void housekeeping_fn(void *context, const struct housekeeping_report *report);
void housekeeping_run(struct store *s, housekeeping_fn *done, void *context);

#endif
