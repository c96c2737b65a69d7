/* The directory: domains, accounts, aliases. A partition of its own, "dir", with
 *   "d" domain                -> domain record: our own, or with a next hop that gets what no account or alias of ours takes
 *   "a" canonical address     -> an account's record or an alias's targets
 *   "a" "@" domain            -> the targets for every address of the domain that has none of its own; "@" and a domain among
 *                                them stands for the same local part there
 *   "u" account id            -> its canonical address
 *   "o" account id            -> what is set for it (store/directory/options.c)
 *   "q" name                  -> how much it may keep (store/directory/quota.h)
 *   "l" name NUL mailbox      -> when messages go from it (store/directory/expire.h)
 *   "g" reader, owner         -> nothing: store/directory/shares.h, as "j"
 *   "h" account id            -> what it usually sends (store/habit.c)
 *   "w" account id, digest    -> the password of an application (store/directory/app_password.c)
 *   "v" account id, digest    -> when that was last used
 *   "e" account id            -> nothing: it has been removed, and its mail is still to be erased
 *   "n"                       -> the next account id
 *   "t" which                 -> where mail for elsewhere goes (store/directory/route.h)
 *   "p" domain                -> the MTA-STS policy of somebody else's (store/directory/policy.c)
 *   "r" id                    -> a report of TLS that is counted, or is to be sent (store/report/report.h)
 *   "y" time hash             -> what somebody has reported of ours
 *   "x"                       -> the key of rewritten senders (auth/srs.h)
 *   "s"                       -> the secret that makes the salts of accounts that are not there (vault/scram.c)
 * Names are canonical (wire/address.h) on the way in. All of it is for the loop's thread. Reads are of what is on the disk;
 * what was read is remembered until a change, so that a recipient that gets mail often costs no look-up. */
#ifndef STORE_DIRECTORY_DIRECTORY_H
#define STORE_DIRECTORY_DIRECTORY_H

#include "base/arena.h"
#include "store/directory/targets.h"
#include "store/store.h"
#include "wire/address.h"

/* The partition: other files keep rows of their own in it, as above. */
#define DIRECTORY SPAN("dir")

enum { ALIAS_TARGETS_MOST = 1000, ALIAS_DEPTH_MOST = 100 };

struct directory_entry {
	bool is_alias;
	uint64_t account;     /* of an account */
	struct span hash;     /* its password's hash */
	struct span scram;    /* its keys for SCRAM (wire/scram.h); empty: none */
	struct span *targets; /* of an alias: canonical addresses */
	size_t target_count;
};

/* 1, 0 if there is none, -1 with *why. Spans live in the arena. */
int directory_domain(struct store *s, struct span domain, struct error *why);
/* As directory_domain; the next hop (wire/next_hop.h) of one that is relayed is appended. */
int directory_own_domain(struct store *s, struct span domain, struct buf *hop);
/* Appends the first domain whose mail stays here: 0 if there is none, 1 if it is the only one, else 2. Tables are not asked. */
size_t directory_own_domains(struct store *s, struct buf *first);
int directory_get(struct store *s, struct span address, struct arena *a, struct directory_entry *out, struct error *why);
/* The account's canonical address, appended. 1, 0, -1. */
int directory_account_name(struct store *s, uint64_t account, struct buf *out, struct error *why);
/* The same from any thread: nothing is remembered. */
int directory_read_name(struct engine *e, uint64_t account, struct buf *out, struct error *why);

/* An account's login name as people type it: an address, or a local part if there is one domain only. As directory_get, with
 * the canonical address appended to *name where the name has one, whether there is such an account or not: so what counts
 * failures by account (vault/throttle.h) does the same for both. */
int directory_login(struct store *s, struct span typed, struct arena *a, struct directory_entry *out, struct buf *name, struct error *why);

/* ---- store/directory/resolve.c ---- */

enum domain_use {
	DOMAIN_ELSEWHERE,
	DOMAIN_OURS,
	DOMAIN_RELAYED, /* its mail is taken, and goes to the next hop that was appended; none: to where any mail for it goes */
	DOMAIN_LATER,   /* the directory, or a table, cannot tell now */
};

/* Whether mail for a domain, as it stands in an address, is ours to take: by the directory, then by the tables. */
enum domain_use directory_use_of(struct store *s, struct span domain, struct table_look *look, struct buf *hop);

/* Who gets mail for the address (as in RCPT): aliases followed, subaddresses taken off; each once, added to *targets in the
 * arena. RCPT_LATER, and a line in the log, where aliases lead to more than ALIAS_TARGETS_MOST, or deeper than ALIAS_DEPTH_MOST: nobody is
 * passed over in silence; and where a table has to be asked first, or cannot be asked (targets->look). may_relay: addresses elsewhere are allowed as the address itself (an alias may always lead there). */
enum rcpt_outcome directory_resolve(struct store *s, struct span address, bool may_relay, struct arena *a, struct targets *targets);

/* A recipient as its RCPT named it, with what that asked for (RFC 3461). */
struct given_recipient {
	struct span address, orcpt;
	uint8_t notify;
	bool may_relay; /* whoever sent the message: a milter has added it */
};

/* As directory_resolve; the targets get what the RCPT asked for. One that RCPT took, and that is none of ours any more, becomes a
 * target too (is_gone). */
enum rcpt_outcome directory_resolve_recipient(struct store *s, const struct given_recipient *r, bool may_relay, struct arena *a,
                                              struct targets *targets);

/* The sender with which a message leaves that an alias of the domain `via` sends on (auth/srs.h), appended: as it is where it is one
 * of ours, or null, or cannot be rewritten. */
void directory_forward_sender(struct store *s, struct span sender, struct span via, struct buf *out);

/* RCPT_LOCAL if the account may send as this address: its own, with any subaddress, or an alias that leads to it. RCPT_LATER if a table has
 * to tell that. The null address is nobody's. */
enum rcpt_outcome directory_owns(struct store *s, uint64_t account, struct span address, struct table_look *look);

/* Changes: collected in the batch; the caller has checked that they make sense, commits the batch, and then calls
 * directory_changed. */
void directory_changed(struct store *s);
void directory_put_domain(struct batch *b, struct span domain, struct span next_hop);
void directory_delete_domain(struct batch *b, struct span domain);
void directory_put_account(struct batch *b, struct span address, uint64_t account, struct span hash, struct span scram);
/* Its mail is to be erased then: directory_walk_removed names it until directory_erased. */
void directory_delete_account(struct batch *b, struct span address, uint64_t account);
void directory_erased(struct batch *b, uint64_t account);
/* Calls each(s, account) for those that are removed and not erased. */
void directory_walk_removed(struct store *s, void (*each)(struct store *s, uint64_t account));
void directory_put_alias(struct batch *b, struct span address, const struct span *targets, size_t count);
void directory_delete_alias(struct batch *b, struct span address);
/* A new account's id: the batch makes it used. */
uint64_t directory_new_account(struct store *s, struct batch *b);
/* The id that it would have, read from the disk: all accounts' ids are smaller. -1 with *why. */
int directory_next_account(struct store *s, uint64_t *next, struct error *why);
/* Calls each(context, name, entry) for all addresses; for domains the entry has their next hop as its only target, or none. */
int directory_walk(struct store *s, bool domains, int (*each)(void *context, struct span name, const struct directory_entry *entry),
                   void *context, struct error *why);
/* The canonical form of an address or domain that somebody typed; -1 with *why. */
int directory_canonical(struct span typed, bool is_domain, struct buf *out, struct error *why);

#endif
