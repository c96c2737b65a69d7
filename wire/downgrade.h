/* An 8-bit or binary message for a server that takes 7 bits and lines only: RFC 6152 §3, RFC 3030 §3, RFC 2045 §6.
 *
 * Text parts with 8-bit bytes or long lines become quoted-printable, other parts base64; Content-Transfer-Encoding
 * fields of changed parts and of all that contain them are replaced; signed parts are converted too, as the alternative
 * is a bounce. 8-bit bytes between parts become "?". Header fields are otherwise left as they are: raw 8-bit bytes in
 * them are for the caller to judge (RFC 6531). */
#ifndef WIRE_DOWNGRADE_H
#define WIRE_DOWNGRADE_H

#include "wire/mime.h"

/* RFC 5321 §4.5.3.1.6, without CR LF. */
#define DOWNGRADE_LINE_MAX 998

struct downgrade;

/* True if the body has 8-bit bytes, NULs, lines longer than 998 octets or binary data anywhere. */
bool downgrade_is_needed(const struct mime_tree *tree);

/* The tree of the message must outlive it, be whole (not is_partial) and match the bytes. */
struct downgrade *downgrade_new(const struct mime_tree *tree);
void downgrade_free(struct downgrade *d);

/* Appends the conversion of the next bytes of the message. It is complete when the last of them has been fed. */
void downgrade_feed(struct downgrade *d, struct span piece, struct buf *out);

#endif
