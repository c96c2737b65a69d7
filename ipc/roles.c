/* Roles and their channels (docs/architecture.md, "Processes"). */
#include "ipc/roles.h"

static const char *names[ROLES] = {"master", "vault", "resolve", "store", "filter", "relay", "milter", "pipe", "edge-mx", "edge-user"};

const char *role_name(enum role role)
{
	return role < ROLES ? names[role] : "?";
}

enum role role_of_name(struct span name)
{
	for (enum role role = ROLE_MASTER; role < ROLES; role++)
		if (span_equal(name, span_cstr(names[role])))
			return role;
	return ROLES;
}

bool role_talks_to(enum role a, enum role b)
{
	static const enum role pairs[][2] = {
		{ROLE_MASTER, ROLE_STORE},
		{ROLE_EDGE_MX, ROLE_STORE}, {ROLE_EDGE_MX, ROLE_FILTER}, {ROLE_EDGE_MX, ROLE_VAULT},
		{ROLE_EDGE_USER, ROLE_STORE}, {ROLE_EDGE_USER, ROLE_FILTER}, {ROLE_EDGE_USER, ROLE_VAULT},
		{ROLE_FILTER, ROLE_STORE}, {ROLE_FILTER, ROLE_RESOLVE}, {ROLE_FILTER, ROLE_VAULT}, {ROLE_FILTER, ROLE_MILTER}, {ROLE_VAULT, ROLE_STORE}, {ROLE_RELAY, ROLE_STORE}, {ROLE_RELAY, ROLE_RESOLVE},
		{ROLE_RESOLVE, ROLE_STORE}, {ROLE_PIPE, ROLE_STORE},
	};
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		if ((pairs[i][0] == a && pairs[i][1] == b) || (pairs[i][0] == b && pairs[i][1] == a))
			return true;
	return false;
}
