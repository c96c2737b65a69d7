/* Header fields in a range of bytes: RFC 5322 §2.2. Tolerates bare LF line ends, white space before the colon (§4.5)
 * and lines that are no field, since stored mail has them. One pass, no allocation but for results. */
#ifndef WIRE_HEADER_H
#define WIRE_HEADER_H

#include "base/buf.h"

struct header_field {
	struct span name;  /* without white space; empty if the line has no name and colon */
	struct span value; /* behind the colon, folded as it is, without the final line end */
	struct span whole; /* from the first byte of the name to the end of the last line, line end included */
	size_t offset;     /* of `whole` in the header */
};

/* Start with {.header = bytes}: they may go on behind the blank line that ends the header. */
struct header_reader {
	struct span header;
	size_t at; /* where the next field starts; when header_next has returned false, where the blank line starts */
};

/* Gives the next field, folded lines included. Returns false at the blank line or the end of the bytes. */
bool header_next(struct header_reader *r, struct header_field *out);

/* Finds the first field of that name. */
bool header_find(struct span header, struct span name, struct header_field *out);

/* Appends a value on one line: line ends are taken out (RFC 5322 §2.2.3), NULs too, and white space at both ends. */
void header_unfold(struct span value, struct buf *out);

/* Puts names into the order in which header_filter_fields looks them up. */
void header_names_sort(struct span *names, size_t n);

/* Appends the fields named (or, is_not, the others) as they are, then an empty line: what IMAP calls HEADER.FIELDS and
 * HEADER.FIELDS.NOT (RFC 3501 §6.4.5). The names are sorted; time is linear in the header, times the logarithm of n. */
void header_filter_fields(struct span header, const struct span *names, size_t n, bool is_not, struct buf *out);

#endif
