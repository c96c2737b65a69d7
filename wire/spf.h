/* SPF records as text: RFC 7208 §4.5, §4.6.1, §5, §6, §7 and the grammar of §12. Evaluation is in auth/spf.c.
 *
 * Pure functions; the grammar is taken strictly, as a fault anywhere in a record is to be found before it is used (§4.6). */
#ifndef WIRE_SPF_H
#define WIRE_SPF_H

#include "base/buf.h"
#include "base/error.h"

enum {
	SPF_TERMS_MOST = 512,       /* of one record */
	SPF_DOMAIN_MOST = 253,      /* §7.3 */
	SPF_EXPANDED_MOST = 4096,   /* octets that a macro string may become, before it is cut to a name's length */
};

enum spf_mechanism { SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS };

struct spf_term {
	enum spf_mechanism mechanism;
	char qualifier;            /* '+', '-', '~' or '?' */
	struct span domain;        /* a macro string; empty: the domain at hand */
	unsigned prefix4, prefix6; /* bits that count */
	unsigned char address[16]; /* of ip4 (its first four bytes) and ip6 */
	struct span text;          /* as it stands in the record */
};

struct spf_record {
	struct spf_term terms[SPF_TERMS_MOST];
	size_t count;
	struct span redirect, explanation; /* macro strings; empty: none */
};

/* True if a TXT record is one of SPF (§4.5). */
bool spf_is_record(struct span txt);

/* Parses one; spans point into it. 0, or -1 with *why, a text fit for a permerror's reason. */
int spf_parse(struct span txt, struct spf_record *out, struct error *why);

/* What the macro letters stand for (§7.2). */
struct spf_macros {
	struct span sender, local_part, sender_domain, domain, dotted_ip, readable_ip, validated_name, helo, receiver;
	bool is_ipv6;
	int64_t now_s;
};

/* Appends the expansion. is_explanation: of an explanation's text, in which c, r and t and spaces are allowed.
 * 0, or -1 if it is no macro string or becomes longer than SPF_EXPANDED_MOST. */
int spf_expand(struct span text, const struct spf_macros *m, bool is_explanation, struct buf *out);
/* True if it has the macro letter, in either case. */
bool spf_uses_macro(struct span text, char letter);

#endif
