/* The fields of a header in the order in which a signature takes them: RFC 6376 §5.4.2, and the bytes that are signed, §3.7. */
#ifndef AUTH_DKIM_FIELDS_H
#define AUTH_DKIM_FIELDS_H

#include "base/map.h"
#include "wire/dkim.h"

struct dkim_field {
	struct span name, whole;
	struct dkim_field *above; /* the next one further up whose name has the same hash */
};

/* Zeroed is empty; ends with dkim_fields_free. */
struct dkim_fields {
	struct dkim_field *list;
	size_t count, room;
	struct map lowest;        /* by the name's hash */
	uint64_t seed;            /* so that a stranger cannot choose names that share one */
};

/* Reads a header; spans point into it. */
void dkim_fields_read(struct dkim_fields *f, struct span header);
void dkim_fields_free(struct dkim_fields *f);

/* Appends what a signature with these names signs of the header: each name takes the lowest field that none before it has
 * taken; one that is not there adds nothing. Time is linear in the header and in the square of the names, which are few. */
void dkim_fields_signed(const struct dkim_fields *f, enum dkim_canonical form, const struct span *names, size_t count, struct buf *out);

/* Appends the signature's own field without what is between b= and the next ";", and without its line end (§3.7). b_value points
 * into `whole`. */
void dkim_field_unsigned(enum dkim_canonical form, struct span whole, struct span b_value, struct buf *out);

#endif
