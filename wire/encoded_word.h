/* Encoded words in header values: RFC 2047. */
#ifndef WIRE_ENCODED_WORD_H
#define WIRE_ENCODED_WORD_H

#include "base/buf.h"

/* Appends an unfolded header value with its encoded words decoded: always valid UTF-8. White space between encoded
 * words goes (§6.2); the bytes of neighbours with the same charset are joined before conversion, since many writers cut
 * characters in two. What is no well-formed encoded word stays as it is; 8-bit bytes that are not UTF-8 become U+FFFD.
 * Linear in the length of the value. */
void encoded_words_decode(struct span value, struct buf *out);

/* Appends UTF-8 text as an unstructured value: as it is if it is printable ASCII without "=?", otherwise as encoded
 * words of at most 75 characters (§2) with folded lines between them. Control characters become spaces, so the result
 * never ends a header field. */
void encoded_word_encode(struct span text, struct buf *out);

#endif
