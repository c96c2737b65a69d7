/* What another server has found out about a message: the value of Authentication-Results (RFC 8601 §2.2), which ARC has too. */
#ifndef WIRE_AUTHENTICATION_RESULTS_H
#define WIRE_AUTHENTICATION_RESULTS_H

#include "base/arena.h"

enum { AUTHENTICATION_PROPERTIES_MOST = 16 }; /* of one result: further ones are passed over */

struct authentication_property {
	struct span name;  /* "header.from" */
	struct span value; /* without quotes, in the arena */
};

/* One result: "dmarc=pass (a comment) reason="..." header.from=example.org". */
struct authentication_result {
	struct span method, result; /* a method's version is not kept */
	struct authentication_property properties[AUTHENTICATION_PROPERTIES_MOST];
	size_t property_count;
};

/* Takes the id of the server off the front of a value. */
void authentication_results_start(struct span *rest, struct arena *a);
/* Takes the next result off the front of `rest`. One that is no such thing ("none", or nonsense) has an empty method. False at the end.
 * Linear. */
bool authentication_results_next(struct span *rest, struct arena *a, struct authentication_result *out);
/* The property of that name; empty if there is none. Names are compared without regard to case. */
struct span authentication_result_property(const struct authentication_result *r, struct span name);

#endif
