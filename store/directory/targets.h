/* Those who get a message, each once, and the aliases that were followed to find them. All lives in an arena. */
#ifndef STORE_DIRECTORY_TARGETS_H
#define STORE_DIRECTORY_TARGETS_H

#include "base/arena.h"
#include "store/directory/tables.h"

enum { VISITED_BUCKETS = 128 };

/* One who gets a message in the end. */
struct target {
	uint64_t account;    /* 0: elsewhere */
	struct span address; /* canonical if ours; else as given */
	/* of the recipient that led here (RFC 3461): bits of enum smtp_notify, and ORCPT's value */
	uint8_t notify;
	struct span orcpt;
	bool is_expanded;    /* none that gets it: an alias of several, whose sender wants to hear of that */
	bool is_gone;        /* none that gets it: no longer a recipient, whose sender must hear of that */
	struct span program; /* of one for whom a program runs: "USER:COMMAND", USER empty for pipe_user; else empty */
	struct span via;     /* of one elsewhere: our domain whose alias sends it there; empty: the sender named it */
};

struct targets {
	struct target *list;
	size_t count, room;
	uint32_t *places;    /* open addressing: the index in the list and one, by the account or the address; 0: free */
	size_t place_count;  /* a power of two, over the room */
	uint64_t seed;
	struct visited *visited[VISITED_BUCKETS]; /* aliases that were followed: each is followed once, whatever leads to it */
	size_t visited_count, visited_most, most; /* of what one recipient leads to: not more than these */
	bool is_too_large;       /* it leads to more */
	unsigned turn;           /* of the recipient */
	struct table_look look;  /* into the tables beside the directory */
};

/* An alias that was followed; outcome: what it came to, RCPT_UNKNOWN while it is being followed. */
struct visited {
	struct visited *next;
	struct span name;
	enum rcpt_outcome outcome;
	unsigned turn; /* of the recipient for which it was followed last */
};

/* For the next recipient: it may lead to so many targets, by so many aliases. */
void targets_begin(struct targets *targets, size_t most);
/* Adds one that is not there yet; the address is copied into the arena. */
void targets_add(struct arena *a, struct targets *targets, uint64_t account, struct span address);
/* The same of a program, which runs for the address. */
void targets_add_program(struct arena *a, struct targets *targets, struct span address, struct span user, struct span command);
/* The alias of that name, if it was followed, or NULL; and notes that it is. */
struct visited *targets_visited(struct targets *targets, struct span name);
struct visited *targets_visit(struct targets *targets, struct span name, struct arena *a);

#endif
