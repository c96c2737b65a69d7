/* Addresses as they stand in SMTP commands: RFC 5321 §4.1.2 (Path, Mailbox), with UTF-8 as RFC 6531 §3.3 allows, and
 * the one canonical form in which they are looked up and compared.
 *
 * The parsers are pure functions over a byte range: they allocate nothing and know no configuration.
 * Invariant: a `struct address` only ever points into the range it was parsed from. */
#ifndef WIRE_ADDRESS_H
#define WIRE_ADDRESS_H

#include "base/buf.h"
#include "base/error.h"

/* RFC 5321 §4.5.3.1.1 to .3, in octets; a path counts its angle brackets and its source route. */
#define ADDRESS_LOCAL_PART_MAX 64
#define ADDRESS_LOCAL_PART_LOOSE 192 /* what is taken from others, as Postfix does: rewritten and VERP senders exceed 64 */
#define ADDRESS_DOMAIN_MAX 255
#define ADDRESS_PATH_MAX 256
#define ADDRESS_LABEL_MAX 63 /* RFC 1035 §2.3.4 */

enum address_flags {
	ADDRESS_UTF8 = 1,          /* UTF-8 in local part and domain (RFC 6531 §3.3) */
	ADDRESS_EMPTY_OK = 2,      /* the null reverse-path "<>" */
	ADDRESS_POSTMASTER_OK = 4, /* "<postmaster>" without a domain (RFC 5321 §4.1.1.3) */
	ADDRESS_LOOSE = 8,         /* "a..b" and "a." as some phone providers have given them out, and long local parts */
};

struct address {
	struct span local_part; /* as written, with its quotes if it has them */
	struct span domain;     /* as written; an address literal with its brackets; empty for null and postmaster */
	bool is_null;
	bool is_postmaster; /* <postmaster>, which belongs to whatever host reads it */
};

/* Parses one Path ("<" [source-route] mailbox ">") at the start of `in`.
 *
 * in     bytes of the command line, without its CR LF; need not be NUL-terminated
 * flags  of enum address_flags
 * out    on success, spans into `in`; the source route is checked and dropped (RFC 5321 appendix C)
 * returns the number of bytes taken, or -1 with *why: a text fit for a reply, its code (501 or 553) and the offset of
 * the fault */
ssize_t address_parse_path(struct span in, unsigned flags, struct address *out, struct error *why);

/* Parses a Mailbox (local-part "@" domain, no brackets) that takes up all of `in`. Returns 0, or -1 as above. */
int address_parse_mailbox(struct span in, unsigned flags, struct address *out, struct error *why);

/* True if `in` is, all of it, a domain name by RFC 5321 §4.1.2 (with UTF-8 labels if flags has ADDRESS_UTF8). */
bool domain_is_valid(struct span in, unsigned flags);

/* True if `in` is, all of it, "[" IPv4 "]" or "[IPv6:" IPv6 "]" (RFC 5321 §4.1.3). No other tag is registered. */
bool address_literal_is_valid(struct span in);

/* Appends the form in which an address is looked up: the local part in lower case (ASCII, or Unicode case folding and
 * NFC), without quotes where it does not need them; "@"; the domain as domain_canonical gives it. The null address
 * appends nothing, <postmaster> appends "postmaster".
 * Returns 0, or -1 with *why (code 553) and nothing appended if the domain is no name by IDNA. */
int address_canonical(const struct address *address, struct buf *out, struct error *why);

/* Appends a domain in lower case with A-labels (IDNA 2008 non-transitional, RFC 5891 §5), or a literal in lower case.
 * Returns 0, or -1 with *why (code 553) and nothing appended. */
int domain_canonical(struct span domain, struct buf *out, struct error *why);

/* True if a domain is the other one or one below it: their ASCII letters are compared in any case. */
bool domain_is_within(struct span domain, struct span other);

/* Splits "user+detail" at the first delimiter that is not its first byte. A quoted local part is never split.
 * Returns true if there was one; otherwise *base is all of it and *detail is empty. */
bool address_split_detail(struct span canonical_local, char delimiter, struct span *base, struct span *detail);

/* What stands behind the last "@" of an address; all of it where there is none. */
static inline struct span address_domain(struct span address)
{
	return span_skip(address, (size_t)(span_rchr(address, '@') + 1));
}

#endif
