/* What checks of passwords came out as lately, so that a client which logs in often costs one slow check and not many. A
 * wrong password is remembered as well: one that is tried again and again, by a program that nobody told the new one, costs
 * nothing and counts once (vault/login.c).
 *
 * Fixed tables, one for what was right and one for what was wrong: a flood of wrong ones drives out no right one. */
#ifndef VAULT_MEMORY_H
#define VAULT_MEMORY_H

#include "vault/digest.h"

struct memory;

enum memory_answer { MEMORY_NOTHING, MEMORY_RIGHT, MEMORY_WRONG };

struct memory *memory_new(void);
void memory_free(struct memory *m);
/* `check`: the digest of account, hash and password, so that a changed password is a different check. */
void memory_keep(struct memory *m, const struct digest *check, bool is_right);
enum memory_answer memory_recall(struct memory *m, const struct digest *check);

#endif
