/* Who really sent a stranger's message: SPF, DKIM, DMARC, the chain of those who handed it on (ARC), the client's name in the DNS (RFC 8601), and lists that have it, while the
 * message comes.
 *
 * What can be asked about the client is asked at once, keys as soon as the header is there; so the answers are mostly here when the
 * message is whole. What is not answered within AUTHENTICATE_MOST_MS after its end counts as temperror. */
#ifndef FILTER_AUTHENTICATE_H
#define FILTER_AUTHENTICATE_H

#include "auth/arc.h"
#include "base/buf.h"

enum { AUTHENTICATE_MOST_MS = 30000, AUTHENTICATE_AUTHORS_MOST = 4 };

struct authentication;

struct authentication_facts {
	struct span client_address, helo, reverse_path; /* as edge heard them */
	const char *hostname;    /* our own; it stays where it is */
	struct span dns_lists, arc_trusted; /* the settings */
	bool wants_body_hash;    /* for authentication_body_hash */
	struct dns_client *dns;
	struct loop *loop;
	loop_fn *named;          /* called when authentication_client_name becomes known; NULL is allowed */
	void *context;           /* of named */
};

/* The texts are copied. */
struct authentication *authentication_new(const struct authentication_facts *facts);
/* The message's header, which stays where it is from now on. */
void authentication_header(struct authentication *a, struct span header);
/* Bytes of the body, in their order. */
void authentication_body(struct authentication *a, struct span piece);
/* The message is whole, and its header was given. Calls done(context), perhaps before it returns. */
void authentication_end(struct authentication *a, loop_fn *done, void *context);

/* Whether the client's name in the DNS is known, or known to be none. */
bool authentication_knows_name(const struct authentication *a);
/* The client's name in the DNS, that leads back to its address; empty if there is none, or if it is not known yet. */
struct span authentication_client_name(const struct authentication *a);

/* ---- once done was called ---- */

/* Appends the value of Authentication-Results, without its last line end; and the whole field. */
void authentication_results(const struct authentication *a, struct buf *out);
void authentication_write(const struct authentication *a, struct buf *out);
struct span authentication_client(const struct authentication *a);
/* The weight of the lists in the DNS that have the client; *zone: the heaviest of them. */
int authentication_listed(const struct authentication *a, struct span *zone);
/* True if SPF, a key, or a chain that would tell could not be looked up, or not in time: what nothing vouches for may still be vouched for
 * later. */
bool authentication_is_unfinished(const struct authentication *a);
/* How many domains the From fields name; more than AUTHENTICATE_AUTHORS_MOST: not all of them were asked. */
size_t authentication_authors(const struct authentication *a);
/* False if the policy of an author's domain was not asked for in time. */
bool authentication_has_policies(const struct authentication *a);
/* What the author's domain asks for, if nothing vouches for it: DMARC_POLICY_NONE if something does, which may be the seal of somebody whom
 * the setting arc_trusted names (RFC 8617 §7.2.1). *domain: whose policy it is. */
enum dmarc_policy authentication_policy(const struct authentication *a, struct span *domain);

/* That somebody: d= of the seal; empty: no policy was overridden. */
struct span authentication_overridden_by(const struct authentication *a);
const struct arc_result *authentication_arc(const struct authentication *a);
const struct arc_chain *authentication_chain(const struct authentication *a);
/* SHA-256 of the relaxed body, if it was wanted. */
struct span authentication_body_hash(const struct authentication *a);

/* Whose signature a report of TLS has (RFC 8460 §3): the author's domain, or the one above it; empty: nobody's who is to be believed. */
struct span authentication_report_signer(const struct authentication *a);

/* At any time; done is not called any more. NULL is allowed. */
void authentication_free(struct authentication *a);

#endif
