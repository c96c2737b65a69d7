/* The header of an internationalized message (RFC 6532) for a client that knows ASCII only: RFC 6856 §2.1, after the ideas of RFC 6858.
 *
 * Names in addresses and free text become encoded words (RFC 2047), domains A-labels (RFC 5891). An address whose local part is not ASCII
 * cannot be said: it becomes the name of an empty group (RFC 5322 §3.4), so that a person sees it and no program answers to something
 * else. In other structured fields each such character becomes "?". Fields with 8-bit bytes that are no UTF-8 are no internationalized
 * ones: they, and all that are ASCII, stay as they are. */
#ifndef WIRE_SURROGATE_H
#define WIRE_SURROGATE_H

#include "base/buf.h"

/* Appends the fields of the header (up to its blank line, which is not needed) as such a client gets them. */
void surrogate_header(struct span header, struct buf *out);

#endif
