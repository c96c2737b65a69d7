/* What stands behind a domain in Postfix's transport(5) and Sendmail's mailertable: a transport or mailer, a colon, a next hop.
 *
 *   smtp:[mail.example.net]:587    relay:example.net    lmtp:inet:10.0.0.5:24    local:    error:5.1.2 no such domain    :
 *   esmtp:[mail.example.net]       error:nohost no such domain
 *
 * Pure. What leads to programs, files, Unix sockets or several hosts is none that we have. */
#ifndef WIRE_TRANSPORT_MAP_H
#define WIRE_TRANSPORT_MAP_H

#include "base/buf.h"
#include "base/error.h"

enum transport {
	TRANSPORT_HOP,       /* to the next hop that is appended (wire/next_hop.h) */
	TRANSPORT_MX,        /* to the domain's own mail exchangers */
	TRANSPORT_HERE,      /* its mail is ours: local:, virtual: */
	TRANSPORT_UNCHANGED, /* as if the table were not there: ":" */
	TRANSPORT_ERROR,     /* nowhere, for good: error: */
};

/* 0, or -1 with *why and nothing appended. */
int transport_parse(struct span value, bool is_mailertable, enum transport *out, struct buf *hop, struct error *why);

#endif
