/* Bytes of a named charset to UTF-8, piece by piece, by ICU. Conversion never fails: what cannot be read becomes
 * U+FFFD, and an unknown charset is read as windows-1252, the superset of Latin-1 that mail means by it. */
#ifndef WIRE_CHARSET_H
#define WIRE_CHARSET_H

#include "base/buf.h"

/* Longest name that is looked up; the longest registered one has 45 characters. */
#define CHARSET_NAME_MAX 60

struct charset_converter;

/* A converter from the charset (RFC 2978 name or alias, any case). US-ASCII is read as UTF-8, which contains it and is
 * what 8-bit text without a name turns out to be. Never NULL; give it back with charset_free. */
struct charset_converter *charset_new(struct span name);
void charset_free(struct charset_converter *c);

/* Appends the conversion of the next bytes; characters may be cut between pieces. flush at the last piece. */
void charset_convert(struct charset_converter *c, struct span piece, bool flush, struct buf *out);

/* True if ICU knows the name. */
bool charset_is_known(struct span name);

#endif
