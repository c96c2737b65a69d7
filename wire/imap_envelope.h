/* An ENVELOPE as imap_render_envelope (wire/imap_structure.h) has written it, which was kept: RFC 3501 §9, envelope. */
#ifndef WIRE_IMAP_ENVELOPE_H
#define WIRE_IMAP_ENVELOPE_H

#include "base/span.h"

/* True if that is one whole ENVELOPE, with quoted strings of printable ASCII and NIL alone: whoever made it, a client that is given it reads
 * one item of FETCH and nothing else. Any bytes may be given. Linear in their number. */
bool imap_envelope_is_valid(struct span text);

#endif
