/* Where mail goes next, as an administrator names it: a domain, whose MX records are asked for, or in brackets one host.
 *
 *   example.org    example.org:2525    [mail.example.org]:587    [192.0.2.1]    [IPv6:2001:db8::1]:25    lmtp:[127.0.0.1]:24
 *
 * With lmtp: in front it takes mail by LMTP (RFC 2033), and is one host with or without brackets. */
#ifndef WIRE_NEXT_HOP_H
#define WIRE_NEXT_HOP_H

#include "base/error.h"
#include "base/span.h"

struct next_hop {
	struct span host;  /* a name, or a literal with its brackets */
	uint16_t port;     /* 0: the usual one */
	bool is_host;      /* no MX records are asked for */
	bool is_lmtp;
};

/* 0, or -1 with *why. The spans are of `text`. */
int next_hop_parse(struct span text, struct next_hop *out, struct error *why);

#endif
