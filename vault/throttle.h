/* How often passwords may be guessed. Wrong ones are counted three ways: from one client network for one account, from one
 * network over all accounts, and for one account from everywhere. Each count is a fixed table, and runs down with time: a
 * limit of 20 an hour lets 20 through at once, and then one every three minutes. Beyond a limit nothing is checked.
 *
 * A network from which an account was lately logged in to is known: there neither what others guess at that account nor
 * what is guessed from there at other accounts keeps its user out, only the count of the two together.
 *
 * An account is the name as the client wrote it, in its canonical form, whether there is such an account or not: nothing
 * here differs for one that does not exist. */
#ifndef VAULT_THROTTLE_H
#define VAULT_THROTTLE_H

#include "config/config.h"
#include "vault/digest.h"

enum throttle_verdict {
	THROTTLE_OPEN,
	THROTTLE_KNOWN,   /* from a known network: goes before others */
	THROTTLE_PAIR,    /* held back: too many from that network for that account */
	THROTTLE_ADDRESS, /* too many from that network */
	THROTTLE_ACCOUNT, /* too many for that account */
};

static inline bool throttle_holds(enum throttle_verdict v)
{
	return v >= THROTTLE_PAIR;
}

struct throttle;

/* Who tries to log in, as whom. */
struct guesser {
	uint64_t network, account, pair;
	bool is_exempt; /* many users are behind that address: it has no count of its own */
};

/* The configuration is borrowed until another takes its place. */
struct throttle *throttle_new(const struct config *config);
void throttle_free(struct throttle *t);
void throttle_configure(struct throttle *t, const struct config *config);

struct guesser throttle_guesser(const struct throttle *t, struct span address, struct span account);
enum throttle_verdict throttle_judge(const struct throttle *t, const struct guesser *g);
/* Its password was right, or wrong. */
void throttle_right(struct throttle *t, const struct guesser *g);
void throttle_wrong(struct throttle *t, const struct guesser *g);
/* How long after its arrival a guess that failed is answered: longer the more there were. */
int64_t throttle_delay_ms(const struct throttle *t, const struct guesser *g);

#endif
