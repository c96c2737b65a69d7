/* What is set for one account beside its password: rows "o" of the directory (store/directory/directory.h). */
#ifndef STORE_DIRECTORY_OPTIONS_H
#define STORE_DIRECTORY_OPTIONS_H

#include "store/store.h"
#include "wire/language.h"

/* The language in which the server writes to the account's owner; the setting default_language where none is set for it, and for account 0. */
enum language options_language(struct store *s, uint64_t account);
/* Whether it is a master user, who may act for all others. Not, where that cannot be read. */
bool options_is_master(struct store *s, uint64_t account);
/* Whether it is nobody's own, and its mailboxes are among the shared ones for those who are let in (wire/namespace.h). */
bool options_is_shared(struct store *s, uint64_t account);
/* In the batch, whose commit makes it so. The rest stays as it is on the disk. */
void options_put_language(struct store *s, struct batch *b, uint64_t account, enum language l);
void options_put_master(struct store *s, struct batch *b, uint64_t account, bool is_master);
void options_put_shared(struct store *s, struct batch *b, uint64_t account, bool is_shared);
/* All of them, with the account. */
void options_delete(struct batch *b, uint64_t account);

#endif
