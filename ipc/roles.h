/* The processes that carteiro consists of, and which of them talk to each other. */
#ifndef IPC_ROLES_H
#define IPC_ROLES_H

#include "base/span.h"

enum role { ROLE_MASTER, ROLE_VAULT, ROLE_RESOLVE, ROLE_STORE, ROLE_FILTER, ROLE_RELAY, ROLE_MILTER, ROLE_PIPE, ROLE_EDGE_MX, ROLE_EDGE_USER, ROLES };

/* "edge-mx"; what logs and process lists show. */
const char *role_name(enum role role);
/* ROLES if there is no such name. */
enum role role_of_name(struct span name);
/* True if master joins two processes of these roles by a channel. */
bool role_talks_to(enum role a, enum role b);

#endif
