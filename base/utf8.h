/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"

/* Bytes of the valid character at the start of s, 0 if there is none. */
size_t utf8_char_length(struct span s);
bool utf8_is_valid(struct span s);
/* True if a byte is above 0x7f. */
bool utf8_has_8bit(struct span s);
/* Appends the character; one that is not Unicode becomes U+FFFD. */
void utf8_add(struct buf *out, uint32_t codepoint);

#endif
