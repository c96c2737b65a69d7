/* A TLS report as JSON: RFC 8460 §4.4; and what is kept of one that came: its sums.
 *
 * Pure functions. Reading is bounded in size, depth and number of values before the library that reads JSON sees any of it. */
#ifndef WIRE_TLSRPT_REPORT_H
#define WIRE_TLSRPT_REPORT_H

#include "base/arena.h"
#include "base/buf.h"
#include "wire/tlsrpt.h"

enum {
	TLSRPT_JSON_BYTES_MOST = 4 * 1024 * 1024,
	TLSRPT_POLICIES_MOST = 16,  /* of a report that are read or made */
	TLSRPT_FAILURES_MOST = 32,  /* of a policy */
	TLSRPT_STRINGS_MOST = 64,   /* of a policy */
	TLSRPT_TEXT_BYTES_MOST = 255,
};

struct tlsrpt_failure {
	enum tlsrpt_result result;
	struct span sending_ip, mx_host, mx_helo, receiving_ip, reason; /* empty: not known */
	uint64_t count;
};

struct tlsrpt_policy {
	enum tlsrpt_policy_type type;
	struct span domain;
	const struct span *strings; /* policy-string */
	size_t string_count;
	uint64_t successes, failures;
	struct tlsrpt_failure *details;
	size_t detail_count;
};

struct tlsrpt_report {
	struct span organization, contact, id;
	int64_t start_s, end_s; /* the last second that is in it */
	struct tlsrpt_policy *policies;
	size_t policy_count;
};

/* Texts that are no UTF-8 are left out. */
void tlsrpt_report_write(const struct tlsrpt_report *r, struct buf *out);

/* What a report says of one domain, all its policies together. */
struct tlsrpt_sum {
	struct span domain; /* canonical */
	uint64_t successes, failures;
	struct span details; /* "certificate-expired 3, ...": of those that RFC 8460 names; printable ASCII */
};

struct tlsrpt_sums {
	struct span signer, organization, id; /* signer: the domain whose DKIM signature it has; not of the JSON */
	int64_t start_s, end_s;
	struct tlsrpt_sum list[TLSRPT_POLICIES_MOST]; /* a domain once */
	size_t count;
};

/* Reads a report, whose sums lie in the arena. 0, or -1 with *why: it is no JSON, too large, too deep, or lacks what §4.4 wants. */
int tlsrpt_report_read(struct span json, struct arena *a, struct tlsrpt_sums *out, struct error *why);

/* As bytes, for messages between processes and for the disk: at most TLSRPT_SUMS_BYTES_MOST. */
enum { TLSRPT_SUMS_BYTES_MOST = 16384 };
void tlsrpt_sums_pack(const struct tlsrpt_sums *s, struct buf *out);
/* -1 if it is none. The texts are in `packed`. */
int tlsrpt_sums_unpack(struct span packed, struct tlsrpt_sums *out);

/* A report as it is sent by mail (§5.3). The texts are ours, or of the DNS and printable. */
struct tlsrpt_mail {
	struct span from;       /* an address; its domain is the submitter */
	const struct span *to;  /* addresses */
	size_t to_count;
	struct span domain;     /* that it is about */
	struct span report_id, message_id; /* without angle brackets */
	struct span boundary;   /* unique, of letters and digits */
	struct span file_name;  /* tlsrpt_file_name */
	struct span file;       /* gzip's */
	int64_t now_s;
};

/* Appends the whole message, 7-bit, with CR LF lines. */
void tlsrpt_mail_build(const struct tlsrpt_mail *m, struct buf *out);
/* §5.1, with the ending of a file that gzip has made. */
void tlsrpt_file_name(struct span submitter, const struct tlsrpt_report *r, struct span domain, struct span unique, struct buf *out);
/* What stands behind the "@" of an address. */
struct span tlsrpt_domain_of(struct span address);

#endif
