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

/* For looking for text in text, and comparing what people have written: folded, and decomposed for compatibility (NFKD of each
 * character), so that precomposed letters, wide ones and ligatures are found by their plain forms. All that i;unicode-casemap
 * (RFC 5051) takes for equal is equal, and more ("ss" finds sharp s). Piece by piece as casefold_utf8. */
void casefold_search(struct span text, struct buf *out);

/* Appends the key that i;unicode-casemap compares as octets: RFC 5051 §2.3, titlecased and decomposed characters. NULs are left
 * out. */
void casemap_unicode(struct span text, struct buf *out);

/* Names the Unicode version of all this: what is derived from text and kept is kept with it. */
uint16_t casefold_version(void);

#endif
