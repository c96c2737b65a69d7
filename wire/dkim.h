/* DKIM as text: RFC 6376 with RFC 8301 (no SHA-1, no short keys), RFC 8463 (Ed25519) and RFC 8616 (UTF-8); and the fields of ARC that are
 * such signatures too (RFC 8617).
 *
 * Pure functions: signatures and keys as tag lists, and the canonical forms of header fields and bodies. What is hashed and
 * verified is in auth/dkim.c. */
#ifndef WIRE_DKIM_H
#define WIRE_DKIM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "wire/tag_list.h"

enum {
	DKIM_HEADER_NAMES_MOST = 256, /* in h= */
	DKIM_SELECTOR_MOST = 190,     /* with "._domainkey." and a domain it is a name of the DNS or none */
};

enum dkim_algorithm { DKIM_RSA_SHA256, DKIM_ED25519_SHA256, DKIM_RSA_SHA1 /* known so that its name can be given as the reason */ };
enum dkim_canonical { DKIM_SIMPLE, DKIM_RELAXED };

/* The fields that are signatures: a DKIM-Signature; an ARC-Message-Signature, which has no version and another i= (RFC 8617 §4.1.2); an
 * ARC-Seal, which covers no body, and fields that nobody names (§4.1.3). */
enum dkim_kind { DKIM_SIGNATURE, DKIM_ARC_MESSAGE, DKIM_ARC_SEAL };

struct dkim_signature {
	enum dkim_algorithm algorithm;
	enum dkim_canonical header, body;
	struct span domain, selector, identity; /* identity: as written; empty: unsaid, which means "@domain" */
	struct span signature, body_hash;       /* decoded */
	struct span b_value;                    /* b= as it stands in the field, with the white space around it (§3.7) */
	struct span *header_names; /* at most DKIM_HEADER_NAMES_MOST, in the arena */
	size_t header_name_count;
	bool has_length, has_time, has_expiration;
	uint64_t length, time_s, expiration_s;
};

/* Parses the value of such a field (§3.5), as it is folded. Decoded and unfolded parts are in the arena, others point
 * into `value`. 0, or -1 with *why, a text fit for a result's reason: a tag is missing or makes no sense, From is not among the
 * signed fields (§6.1.1), the identity is not of the domain. */
int dkim_signature_parse(enum dkim_kind kind, struct span value, struct arena *a, struct dkim_signature *out, struct error *why);

struct dkim_key {
	bool is_ed25519;
	struct span key;   /* decoded; empty: revoked */
	bool is_testing;   /* t=y */
	bool is_for_reports; /* s= allows it for reports of TLS alone (RFC 8460 §3), not for mail */
	bool is_strict;    /* t=s: the identity's domain must be the signature's own */
};

/* Parses a key's record (§3.6.1), whose strings are joined. 0, or -1 with *why. */
int dkim_key_parse(struct span record, struct arena *a, struct dkim_key *out, struct error *why);

/* What a new signature says; relaxed/relaxed always. */
struct dkim_new {
	bool is_ed25519;
	struct span domain, selector;
	uint64_t time_s, expiration_s;
	struct span header_names; /* "From:To:Subject" */
	struct span body_hash, signature; /* bytes; without a signature, it is the field whose canonical form is signed */
};

/* Appends the whole DKIM-Signature field, folded, with its line end. */
void dkim_build_field(const struct dkim_new *n, struct buf *out);
/* Each appends a tag of such a field on a line of its own, folded: names, with the ";" behind them, and bytes. */
void dkim_build_names(const char *tag, struct span header_names, struct buf *out);
void dkim_build_base64(const char *tag, struct span bytes, struct buf *out);

/* Appends the field in its canonical form (§3.4.1, §3.4.2). `field` is whole: name, colon, value, line ends; the form ends in
 * CR LF. */
void dkim_canonical_field(enum dkim_canonical form, struct span field, struct buf *out);

/* A body on its way into its canonical form (§3.4.3, §3.4.4), in memory that does not grow with it. */
struct dkim_body {
	enum dkim_canonical form; /* rest zeroed is ready */
	uint64_t empty_lines;     /* at the end so far: they count only if something follows */
	bool has_cr, has_space, in_line;
	bool has_any;             /* something was given out */
};

/* Appends what is certain now: never more than all that was fed. */
void dkim_body_feed(struct dkim_body *b, struct span piece, struct buf *out);
void dkim_body_end(struct dkim_body *b, struct buf *out);

#endif
