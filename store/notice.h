/* What the server writes to its users and its administrator of itself. */
#ifndef STORE_NOTICE_H
#define STORE_NOTICE_H

#include "store/store.h"

/* The account sends unlike itself, and is held (store/habit.h): tells its owner, in his language, and the administrator. */
void notice_account_held(struct store *s, uint64_t account, struct span name, const char *why);
/* The account's quota, or its domain's, is nine tenths full: tells the owner, or the administrator. */
void notice_quota(struct store *s, uint64_t account, bool is_domain);

#endif
