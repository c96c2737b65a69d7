/* Lists of "name=value;" as DKIM, DMARC, ARC and their DNS records have them: RFC 6376 §3.2. */
#ifndef WIRE_TAG_LIST_H
#define WIRE_TAG_LIST_H

#include "base/span.h"

#include <sys/types.h>

enum { TAGS_MOST = 64 }; /* of one list: no specification has half as many */

struct tag {
	struct span name;
	struct span value; /* without white space at its ends; folds within are kept */
	struct span whole; /* from behind "=" to before ";" */
};

/* Parses all of `in`, which may be folded. Names are case-sensitive, and each stands once.
 * Returns the number of tags, or -1 if it is no such list. */
ssize_t tag_list_parse(struct span in, struct tag out[TAGS_MOST]);

/* The tag of that name; NULL if there is none. */
const struct tag *tag_find(const struct tag *tags, size_t count, struct span name);

#endif
