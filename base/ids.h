/* Identifiers of 128 bits: of deliveries (one follows a message from the session to the mailbox or the next hop) and of
 * blobs. A new one starts with the time, so that newer ones sort later, and ends in 80 random bits. */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include "base/pack.h"

struct id128 {
	unsigned char bytes[16];
};

enum { ID128_TEXT_BYTES = 26 }; /* Crockford's base 32, lower case, without the NUL */

struct id128 id128_new(void);
/* The time that it starts with: milliseconds since 1970. */
int64_t id128_made_ms(struct id128 id);
bool id128_equal(struct id128 a, struct id128 b);
bool id128_is_zero(struct id128 id);
/* Writes 26 characters and a NUL. */
struct span id128_text(struct id128 id, char out[ID128_TEXT_BYTES + 1]);
/* 0, or -1 if the text is not such an id. */
int id128_parse(struct span text, struct id128 *out);
uint64_t id128_hash(struct id128 id);
void unpack_id128(struct unpacker *u, struct id128 *out);

static inline struct span id128_span(const struct id128 *id)
{
	return (struct span){(const char *)id->bytes, sizeof id->bytes};
}

#endif
