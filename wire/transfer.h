/* Content-Transfer-Encodings, piece by piece in bounded memory: RFC 2045 §6. Decoders take anything: what is no
 * base64 or quoted-printable is skipped or kept as it is, as §6.7 and §6.8 advise. */
#ifndef WIRE_TRANSFER_H
#define WIRE_TRANSFER_H

#include "base/buf.h"

enum transfer_encoding {
	TRANSFER_7BIT, /* also what a missing field means */
	TRANSFER_8BIT,
	TRANSFER_BINARY,
	TRANSFER_QUOTED_PRINTABLE,
	TRANSFER_BASE64,
	TRANSFER_UNKNOWN, /* decoded as it is */
};

/* The encoding that a Content-Transfer-Encoding value names; white space around it is ignored. */
enum transfer_encoding transfer_encoding_named(struct span name);

/* Start with {.encoding = ...}. Output is never longer than all input so far. */
struct transfer_decoder {
	enum transfer_encoding encoding;
	unsigned bits, bit_count; /* base64: what is not yet a whole byte */
	char held[128];           /* quoted-printable: "=" and what follows, or white space that may end a line */
	size_t held_len;
};

void transfer_decode(struct transfer_decoder *d, struct span piece, struct buf *out);
void transfer_decode_end(struct transfer_decoder *d, struct buf *out);

/* Start with {.encoding = TRANSFER_BASE64 or TRANSFER_QUOTED_PRINTABLE}; other encodings copy.
 * Lines have at most 76 characters and end in CR LF. Quoted-printable keeps CR LF as line ends and encodes bare ones.
 */
struct transfer_encoder {
	enum transfer_encoding encoding;
	unsigned char held[3];
	size_t held_len;
	size_t column;
};

void transfer_encode(struct transfer_encoder *e, struct span piece, struct buf *out);
/* Encodes what is held back. Base64 ends its last line; quoted-printable ends where the input did. */
void transfer_encode_end(struct transfer_encoder *e, struct buf *out);

#endif
