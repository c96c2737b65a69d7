/* TLS reporting (RFC 8460): the TXT record by which a domain asks for reports, and the terms that reports are made of.
 *
 * Pure functions over a byte range; nothing is copied. */
#ifndef WIRE_TLSRPT_H
#define WIRE_TLSRPT_H

#include "base/error.h"
#include "base/span.h"

enum {
	TLSRPT_URIS_MOST = 8,        /* of a record that are used: the first ones */
	TLSRPT_URI_BYTES_MOST = 500,
};

/* What a session came to (§4.3). The numbers travel between processes and lie on the disk. */
enum tlsrpt_result {
	TLSRPT_SUCCESS,
	TLSRPT_STARTTLS_NOT_SUPPORTED,
	TLSRPT_CERTIFICATE_HOST_MISMATCH,
	TLSRPT_CERTIFICATE_EXPIRED,
	TLSRPT_CERTIFICATE_NOT_TRUSTED,
	TLSRPT_VALIDATION_FAILURE,
	TLSRPT_TLSA_INVALID,
	TLSRPT_DNSSEC_INVALID,
	TLSRPT_DANE_REQUIRED,
	TLSRPT_STS_POLICY_FETCH_ERROR,
	TLSRPT_STS_POLICY_INVALID,
	TLSRPT_STS_WEBPKI_INVALID,
	TLSRPT_RESULTS,
};

/* What had been asked of it (§4.4, policy-type). */
enum tlsrpt_policy_type { TLSRPT_NO_POLICY, TLSRPT_TLSA, TLSRPT_STS, TLSRPT_POLICY_TYPES };

/* "certificate-expired", as reports have it; "" of a success. */
const char *tlsrpt_result_name(enum tlsrpt_result result);
const char *tlsrpt_policy_type_name(enum tlsrpt_policy_type type);

/* True if it is an https: URI, or a mailto: URI with one address; without white space, comma, "!" and ";" (§3). */
bool tlsrpt_uri_is_valid(struct span uri);
/* The address of a mailto: URI, as it stands there; empty of any other. */
struct span tlsrpt_uri_address(struct span uri);

/* Looks for the one record among the TXT records of _smtp._tls.DOMAIN (§3). The number of its URIs that can be used; 0 if no record is of
 * TLSRPT; -1 with *why if several are, it is malformed, or no URI can be used: the domain counts as without one. */
int tlsrpt_find_uris(const struct span *records, size_t count, struct span uris[TLSRPT_URIS_MOST], struct error *why);

#endif
