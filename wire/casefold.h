/* Text without case, for comparing and searching: Unicode full case folding, the same in every locale. */
#ifndef WIRE_CASEFOLD_H
#define WIRE_CASEFOLD_H

#include "base/buf.h"

/* Appends `text` case-folded (CaseFolding.txt C+F). Bytes that are not UTF-8 become U+FFFD each. ASCII takes a path
 * without ICU. Folding works character by character, so text may be given in pieces cut between characters. */
void casefold_utf8(struct span text, struct buf *out);

/* The same, then in normalisation form C: for identifiers that are compared as a whole. `text` is a short valid
 * UTF-8 string; it is appended as it is should ICU refuse it. */
void casefold_nfc(struct span text, struct buf *out);

#endif
