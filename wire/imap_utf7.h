/* Mailbox names on the wire of IMAP4rev1: modified UTF-7, RFC 3501 §5.1.3.
 *
 * Strict: every name has exactly one encoding, so that two spellings never name one mailbox. */
#ifndef WIRE_IMAP_UTF7_H
#define WIRE_IMAP_UTF7_H

#include "base/buf.h"

/* Appends the name in UTF-8. Returns 0, or -1 and nothing appended if it is not modified UTF-7: 8-bit or control
 * characters, base64 that is cut, padded or has bits left over, unpaired surrogates, printable ASCII or NUL in base64,
 * two runs of base64 that touch. */
int imap_utf7_decode(struct span name, struct buf *out);

/* Appends the encoding of a UTF-8 name; bytes that are no UTF-8 become U+FFFD. */
void imap_utf7_encode(struct span name, struct buf *out);

#endif
