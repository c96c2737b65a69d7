/* A message's header as the milters see it and change it.
 *
 * The message is kept as what came in, less some fields, behind fields that are put in front. So a field that is added or changed moves to the
 * front, behind our own Received field; those of its name that stand before it move with it, which keeps the order among fields of one
 * name (what trace fields and DKIM signatures depend on). */
#ifndef MILTER_HEADER_H
#define MILTER_HEADER_H

#include "base/arena.h"
#include "wire/milter.h"

enum {
	HEADER_ADDED_MOST = 24 * 1024, /* octets of fields in front */
	HEADER_REMOVED_MOST = 100,
	HEADER_CAME = 1024 * 1024,
	HEADER_FIELDS_BYTES_MOST = 5 * HEADER_CAME, /* as they come, with their lengths: a field has an octet at least */
};

struct milter_field {
	struct span whole, name, value; /* name empty: a line that is no field, which milters do not see; value as it is folded */
	uint32_t number;                /* of those that came */
	bool has_come;                  /* it stands where it came; otherwise in front */
};

/* Zeroed is ready. */
struct milter_header {
	struct arena memory;
	size_t came_bytes;       /* of the fields that came, with their lengths */
	struct milter_field *list;     /* in the order in which they will stand: `front` of them in front */
	size_t count, room;
	size_t above, front;           /* the first `above` stand over our Received field */
	size_t front_bytes;
	uint32_t came;                 /* how many came */
	uint32_t removed[HEADER_REMOVED_MOST]; /* numbers of those that do not stay where they came, ascending */
	size_t removed_count;
};

/* Takes fields that came: each packed (base/pack.h). -1 if they are malformed or too many. */
int milter_header_take(struct milter_header *h, struct span packed);
/* Makes the changes that are MILTER_ADD_HEADER, MILTER_INSERT_HEADER or MILTER_CHANGE_HEADER, in their order, and passes over others.
 * has_space: see milter_field_make. -1 with *why, and nothing is changed. */
int milter_header_change(struct milter_header *h, const struct milter_change *changes, size_t count, bool has_space, struct error *why);
/* Appends the fields that go over our Received field (is_above), or behind it. */
void milter_header_front(const struct milter_header *h, bool is_above, struct buf *out);
void milter_header_free(struct milter_header *h);

#endif
