/* What the DNS says, as bytes: the answer section of a message (RFC 1035 §4.1) and the records that mail needs.
 *
 * Pure functions over one message, which may be hostile: every offset is checked, a compression pointer only ever leads
 * backwards, so that no name loops, and the number of steps is bounded by the message. */
#ifndef RESOLVE_RDATA_H
#define RESOLVE_RDATA_H

#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

#include <netinet/in.h>

enum {
	RDATA_TYPE_A = 1,
	RDATA_TYPE_CNAME = 5,
	RDATA_TYPE_PTR = 12,
	RDATA_TYPE_MX = 15,
	RDATA_TYPE_TXT = 16,
	RDATA_TYPE_AAAA = 28,
	RDATA_TYPE_TLSA = 52,
	RDATA_NAME_MOST = 254, /* a name of 255 octets on the wire (RFC 1035 §2.3.4) as text, with its NUL */
	RDATA_NO_NAME = 3,     /* the rcode NXDOMAIN */
};

struct rdata_reader {
	struct span message;
	size_t at;
	unsigned records_left;
	unsigned rcode;
};

struct rdata_record {
	unsigned type;
	size_t at, len; /* of its data in the message */
};

/* Reads the header and skips the question. 0, or -1 with *why. */
int rdata_start(struct rdata_reader *r, struct span message, struct error *why);
/* The next record of the answer section of class IN. 1, 0 at its end, or -1 with *why. */
int rdata_next(struct rdata_reader *r, struct rdata_record *out, struct error *why);

/* The name at `at` as text without the last dot, the root as "". Returns how many bytes it takes where it stands, or -1 if
 * it is no name or none that a host can have (letters, digits, hyphen, underscore). */
ssize_t rdata_host_name(struct span message, size_t at, char out[RDATA_NAME_MOST]);

/* An MX record (RFC 1035 §3.3.9); the host is "" in a null MX (RFC 7505). 0, or -1 if it is none. */
int rdata_mx(struct span message, const struct rdata_record *record, unsigned *preference, char host[RDATA_NAME_MOST]);
/* An A or AAAA record as text. 0, or -1 if it is none. */
int rdata_address(struct span message, const struct rdata_record *record, char out[INET6_ADDRSTRLEN]);
/* The name that a CNAME record leads to (RFC 1035 §3.3.1). 0, or -1 if it is none. */
int rdata_alias(struct span message, const struct rdata_record *record, char name[RDATA_NAME_MOST]);
/* Whether a TLSA record's data (RFC 6698 §2.1) says something that a mail server can be held to (RFC 7672 §3.1): DANE-TA or
 * DANE-EE, a selector and a digest that are known. */
bool rdata_tlsa_is_usable(struct span data);
/* Appends a record's value as auth/dns.h has it. 0, or -1 and nothing appended if it is malformed or of another type. */
int rdata_value(struct span message, const struct rdata_record *record, struct buf *out);

#endif
