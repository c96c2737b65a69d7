/* The chain of those who handed a message on (ARC): RFC 8617.
 *
 * Pure functions: which fields of a header are the chain's, whether it is one (§5.2 steps 1 to 3), and the bytes that its seals are
 * made of (§5.1.1). Whether signatures hold is in auth/arc.c. */
#ifndef WIRE_ARC_H
#define WIRE_ARC_H

#include "base/buf.h"

enum {
	ARC_SETS_MOST = 50,          /* §4.2.1 */
	ARC_INSTANCE_SEEN_MOST = 99, /* two digits: a number beyond is none */
};

/* cv= of a seal */
enum arc_status { ARC_NONE, ARC_FAIL, ARC_PASS };
const char *arc_status_word(enum arc_status status);

/* The three fields of an instance, whole. */
struct arc_set {
	struct span results, message, seal; /* ARC-Authentication-Results, ARC-Message-Signature, ARC-Seal */
};

struct arc_chain {
	struct arc_set sets[ARC_SETS_MOST]; /* those of instance 1 and on */
	unsigned count;                     /* instances of a chain that is sound; 0: there is none, or it is not sound */
	unsigned highest;                   /* instance that any field names; 0: no field does */
	bool is_there;                      /* a field of a chain is */
	bool has_ended;                     /* its newest seal says cv=fail: nobody adds to it (§5.1) */
	const char *fault;                  /* why it is not sound; NULL: it is, or is not there */
};

/* Reads a header, which may go on behind its blank line; spans point into it. Linear in the header. */
void arc_chain_read(struct span header, struct arc_chain *out);

/* What stands behind "i=N;" in the value of an ARC-Authentication-Results field. *instance: 0 if it is no such value. */
struct span arc_results_payload(struct span value, unsigned *instance);

/* Appends the relaxed form of a set's first two fields; with_seal: of all three, as later seals have it. */
void arc_set_canonical(const struct arc_set *set, bool with_seal, struct buf *out);

/* True if these bytes are what arc_set_canonical makes of the sets 1 to `count`, one behind the other: what a vault looks at before it
 * seals. Linear. */
bool arc_sets_are_canonical(struct span bytes, unsigned count);

/* What a new set says. */
struct arc_new {
	unsigned instance;
	enum arc_status status;
	struct span domain, selector;
	uint64_t time_s;
	struct span results;                 /* value of Authentication-Results, folded, without its last line end */
	struct span header_names, body_hash; /* of the ARC-Message-Signature: as of a DKIM-Signature (wire/dkim.h) */
	struct span signature;               /* of the field that is built; empty: it is the one to be signed */
};

/* Each appends a whole field, folded, with its line end. */
void arc_build_results(const struct arc_new *n, struct buf *out);
void arc_build_message(const struct arc_new *n, struct buf *out);
void arc_build_seal(const struct arc_new *n, struct buf *out);

#endif
