/* The hosts and addresses to try for a message, as resolve names them (mx_host). */
#ifndef RELAY_TARGET_H
#define RELAY_TARGET_H

#include "base/arena.h"
#include "base/tls.h"
#include "ipc/messages.gen.h"
#include "ipc/terms.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum {
	TARGETS_MOST = 160,         /* 20 hosts of 8 addresses: what resolve gives at most */
	TARGET_NAME_BYTES = 256,
};

struct target {
	char host[TARGET_NAME_BYTES];      /* for SNI; an address literal for mail to one */
	char name[TARGET_NAME_BYTES];      /* "host[address]:port": for logs and reports */
	struct sockaddr_storage address;
	socklen_t address_len;
	bool is_nobodys;                   /* of this machine, its link, or no single host: never connected to for what a domain says */
	bool is_named_securely;            /* DNSSEC, or who configured it, says that this is the host */
	bool must_use_tls;                 /* its DNS says so (RFC 7672 §2.2), or a login is to be kept secret: no mail in the clear */
	bool is_tls_first;                 /* before its greeting (RFC 8314 §3.3) */
	bool wants_requiretls;             /* it must offer that (RFC 8689 §4.2.1) */
	enum route_tls tls;                /* of the route that it was chosen for: other mail goes over another connection */
	bool is_lax;                       /* what its DNS demands was not asked for: for mail that says so, and for no other */
	bool wants_login;                  /* it is relay_host, and relay_host_login is set */
	bool is_by_policy;                 /* an MTA-STS policy demands that it proves its name (RFC 8461 §4) */
	bool is_tested;                    /* the policy is one for testing: what it would demand is looked at for the log */
	const struct span *tlsa;           /* its TLSA records that can be used; as long as the arena, as `proof` */
	size_t tlsa_count;
	bool is_dane;                      /* it has TLSA records, if perhaps none that can be used */
	const struct tls_proof *proof;     /* and what its certificate must match; NULL: nothing. Lives as long as the arena. */
};

struct target_list {
	struct target *list;
	size_t count;
};

/* Adds a host's addresses, allocated in `a`, to a list that starts zeroed; -1 if it cannot be one's, or the list is full. next_hop: the
 * host that was asked for, in A-labels. */
int target_list_add(struct target_list *list, const struct msg_mx_host *m, const char *next_hop, uint16_t port, struct arena *a);

/* 0, or -1 if it is no address. */
int target_parse_address(const char *text, uint16_t port, struct sockaddr_storage *out, socklen_t *len);

#endif
