/* Base64 on one line: RFC 4648 §4, strictly (§3: no line breaks, no other characters, padding where it belongs). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Appends the decoded bytes. -1 if it is none. */
int base64_decode(struct span encoded, struct buf *out);
/* Appends the characters, padded. */
void base64_encode(struct span bytes, struct buf *out);

#endif
