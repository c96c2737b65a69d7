#include "relay/demand.h"

#include "relay/login.h"

#include <stdio.h>

enum { SUBMISSIONS_PORT = 465 }; /* RFC 8314 §3.3 */

bool demand_is_secret(const struct job *j)
{
	return j->facts & FACT_REQUIRETLS && j->reverse_path.len;
}

/* What never uses TLS need not know what the domain would demand. */
bool demand_is_lax(const struct job *j)
{
	return j->facts & FACT_TLS_OPTIONAL || j->tls == ROUTE_TLS_NEVER;
}

/* By `name`, or another one; where DANE proves it, that stays. */
static void demand_proof(struct job *j, struct target *t, const char *name, const char *other_name)
{
	t->must_use_tls = true;
	if ((t->proof && !t->proof->is_advisory) || t->host[0] == '[')
		return;
	struct tls_proof *p = arena_alloc(&j->arena, sizeof *p);
	*p = (struct tls_proof){.name = name, .other_name = other_name};
	t->proof = p;
	t->is_tested = false;
}

/* The password is shown to none but the next hop itself, by the name that was configured: a host's may be made up, if DNSSEC does not prove it. */
static void demand_for_login(struct job *j, struct target *t)
{
	t->wants_login = login_is_wanted(j->relay, j->route, j->next_hop);
	if (t->wants_login)
		demand_proof(j, t, j->hop_host, t->is_named_securely ? arena_dup(&j->arena, span_cstr(t->host)).ptr : NULL);
}

static void demand_of_configured(struct job *j, struct target *t)
{
	demand_for_login(j, t);
	t->is_tls_first = j->port == SUBMISSIONS_PORT;
	t->must_use_tls |= t->is_tls_first;
}

static void leave_out(struct job *j, const struct target *t, const char *why)
{
	char text[sizeof j->last_failure];
	snprintf(text, sizeof text, "%s: %s", t->name, why);
	text_clean(span_cstr(text), j->last_failure, sizeof j->last_failure);
	j->was_unsafe = true;
}

/* False: it cannot prove what the route wants, since it has no name. */
static bool demand_of_route(struct job *j, struct target *t)
{
	t->tls = j->tls;
	t->must_use_tls |= j->tls == ROUTE_TLS_MUST;
	if (j->tls == ROUTE_TLS_VERIFIED && t->host[0] == '[') {
		leave_out(j, t, "tls=verified is for a next hop with a name, and this is an address");
		return false;
	}
	if (j->tls == ROUTE_TLS_VERIFIED)
		demand_proof(j, t, arena_dup(&j->arena, span_cstr(t->host)).ptr, j->hop_host);
	return true;
}

/* RFC 8689 §4.2.1: the name of the host is proved by DNSSEC, by an MTA-STS policy or by who has configured it; then the certificate proves
 * that it is the host. */
static bool demand_secrecy(struct job *j, struct target *t)
{
	bool is_host = t->is_named_securely || t->is_by_policy || j->route != ROUTE_DOMAIN;
	if (!is_host || t->host[0] == '[') {
		leave_out(j, t, "REQUIRETLS: neither DNSSEC nor an MTA-STS policy says that it takes this domain's mail");
		return false;
	}
	t->wants_requiretls = true;
	demand_proof(j, t, arena_dup(&j->arena, span_cstr(t->host)).ptr, j->route != ROUTE_DOMAIN ? j->hop_host : NULL);
	return true;
}

void demand_of_hosts(struct job *j)
{
	size_t kept = 0;
	for (size_t i = 0; i < j->targets.count; i++) {
		struct target t = j->targets.list[i];
		if (j->route != ROUTE_DOMAIN)
			demand_of_configured(j, &t);
		t.is_lax = demand_is_lax(j);
		if (demand_of_route(j, &t) && (!demand_is_secret(j) || demand_secrecy(j, &t)))
			j->targets.list[kept++] = t;
	}
	j->targets.count = kept;
}
