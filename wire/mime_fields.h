/* The values of MIME header fields, for the parser in mime.h. */
#ifndef WIRE_MIME_FIELDS_H
#define WIRE_MIME_FIELDS_H

#include "wire/mime.h"

/* Where values are kept, and how many bytes more. */
struct mime_keeper {
	struct arena *arena;
	size_t room;
	bool overflowed;
};

/* A copy in the arena, or empty when there is no room. */
struct span mime_keep(struct mime_keeper *keeper, struct span value);
struct span mime_keep_lower(struct mime_keeper *keeper, struct span value);

/* Parses "type/subtype" of an unfolded Content-Type value and leaves its parameters in *rest. False if it is none. */
bool mime_parse_type(struct span value, struct span *type, struct span *subtype, struct span *rest);

/* Takes the first token of an unfolded value (as in Content-Disposition), leaving the parameters in *rest. */
struct span mime_parse_token(struct span value, struct span *rest);

/* Parses *(";" attribute "=" value) as written, at most MIME_PARAMETERS_MAX. Errors skip to the next ";". */
void mime_parse_parameters(struct span text, struct mime_keeper *keeper, struct mime_parameters *out);

/* Joins and decodes RFC 2231 sections, and the encoded words that some put in values. Sorted by name. */
void mime_decode_parameters(const struct mime_parameters *written, struct mime_keeper *keeper,
                            struct mime_parameters *out);

/* Fills in type, encoding and so on of a part from its header; with_envelope also its envelope.
 * default_message: the part is in a multipart/digest (RFC 2046 §5.1.5). */
void mime_read_part_header(struct span header, bool default_message, bool with_envelope, struct mime_keeper *keeper,
                           struct mime_part *part);

#endif
