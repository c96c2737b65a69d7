/* The hosts and addresses to try for a message, as resolve names them (mx_answer.hosts). */
#ifndef RELAY_TARGET_H
#define RELAY_TARGET_H

#include "base/arena.h"

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
	bool is_loopback;                  /* this machine: never connected to */
};

/* The number of targets, allocated in `a`; -1 if the list is not one. */
ssize_t targets_read(struct span hosts, uint16_t port, struct arena *a, struct target **out);

/* 0, or -1 if it is no address. */
int target_parse_address(const char *text, uint16_t port, struct sockaddr_storage *out, socklen_t *len);

#endif
