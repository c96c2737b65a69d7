/* The smallest pieces of structured fields: white space and comments (RFC 5322 §3.2.2), quoted strings (§3.2.4) and MIME's
 * tokens (RFC 2045 §5.1). What is not closed ends with the bytes. Time is linear; comments nest by a counter, not by recursion. */
#ifndef WIRE_LEXICAL_H
#define WIRE_LEXICAL_H

#include "base/buf.h"

/* The rest behind white space, line ends and comments. */
struct span lexical_skip_cfws(struct span in);
/* Skips those and takes a token, 8-bit bytes let pass; empty if there is none. */
struct span lexical_take_token(struct span *in);
/* Takes a quoted string, whose `"` comes first in the input, and appends what it stands for. */
void lexical_take_quoted(struct span *in, struct buf *out);
/* Skips white space and comments, and appends the token or the quoted string that follows: RFC 2045 §5.1 value. */
void lexical_take_value(struct span *in, struct buf *out);

#endif
