/* Who waits for a check of a password: a line for each client network, and whose turn it is goes round, so that however
 * many guesses one of them sends, another waits for one of them at most. Bounded: a line has LINE_WAITING_MOST; when
 * LINES_WAITING_MOST wait in all, a newcomer from a shorter line takes the place of the last in the longest one. */
#ifndef VAULT_LINES_H
#define VAULT_LINES_H

#include "base/map.h"

#include <stdbool.h>

enum { LINES_WAITING_MOST = 2000, LINE_WAITING_MOST = 200 };

struct line;

/* To be embedded in what waits. */
struct ticket {
	struct ticket *next;
	struct line *line; /* NULL: in none */
};

/* Start with `struct lines l = {0}`. */
struct lines {
	struct map by_key;
	struct line *first_turn, *last_turn; /* lines where somebody waits, in the order of their turns */
	unsigned waiting;
};

/* -1 if there is no room. *displaced is one that has lost its place to the newcomer, or NULL. */
int lines_join(struct lines *l, uint64_t key, struct ticket *t, struct ticket **displaced);
/* Whose turn it is; NULL if nobody waits. It still belongs to its line until lines_leave. */
struct ticket *lines_next(struct lines *l);
void lines_leave(struct lines *l, struct ticket *t);
/* True if somebody of that line waits or has not left. */
bool lines_has(const struct lines *l, uint64_t key);

#endif
