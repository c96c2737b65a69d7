/* resolve: what it is told and what it answers.
 *
 *   configure   starts libunbound with the resolver, the trust anchor and everything else that lies in files; asks for
 *               this machine's addresses, as a reload does (resolve/own.c)
 *   attach      the channel to relay, to store, or to a filter
 *   mx_ask      of relay -> resolve/mx.c, which asks by resolve/lookup.c and reads with resolve/rdata.c; answered by mx_answer
 *   policy_kept, policies_told   of store -> resolve/policy.c, which asks for MTA-STS policies and tells store what it should keep
 *   rua_ask, report_post         of store -> resolve/report.c
 *   table_ask   of store -> resolve/tables.c, which reads text files and asks LDAP and PostgreSQL; answered by table_answer
 *   dns_ask     of a filter -> resolve/record.c; answered by dns_answer
 *
 * It has no mail and no keys but the passwords of such databases, and keeps nothing on the disk. */
#include "resolve/resolve.h"

#include "base/die.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/tls.h"
#include "resolve/client.h"
#include "resolve/mx.h"
#include "resolve/process.h"
#include "resolve/record.h"
#include "resolve/report.h"

#include <stdlib.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"

static void on_mx_ask(void *context, const struct msg_mx_ask *m)
{
	mx_ask(context, m);
}

static const struct relay_to_resolve relay_handlers = {.mx_ask = on_mx_ask};

static void drop_relay(struct resolve_process *p)
{
	channel_free(p->relay);
	p->relay = NULL;
	mx_end_all(p, "nobody waits");
}

static void on_relay_closed(void *context, bool is_violation)
{
	struct resolve_process *p = context;
	drop_relay(p);
	if (is_violation)
		child_report_violation(p->self, ROLE_RELAY, 0);
}

static void on_policy_kept(void *context, const struct msg_policy_kept *m)
{
	struct resolve_process *p = context;
	if (!policies_kept(&p->policies, m))
		channel_violation(p->policies.store, "a policy that is none");
}

static void on_policies_told(void *context, const struct msg_policies_told *m)
{
	struct resolve_process *p = context;
	(void)m;
	policies_told(&p->policies);
}

static void on_table_ask(void *context, const struct msg_table_ask *m)
{
	struct resolve_process *p = context;
	tables_ask(&p->tables, m);
}

static void on_rua_ask(void *context, const struct msg_rua_ask *m)
{
	struct resolve_process *p = context;
	p->asked_count++;
	rua_ask(&p->policies, m);
}

static void on_report_post(void *context, const struct msg_report_post *m)
{
	struct resolve_process *p = context;
	report_post(&p->policies, m);
}

static const struct store_to_resolve store_handlers = {
	.policy_kept = on_policy_kept, .policies_told = on_policies_told, .rua_ask = on_rua_ask, .report_post = on_report_post, .table_ask = on_table_ask};

static void on_store_closed(void *context, bool is_violation)
{
	struct resolve_process *p = context;
	tables_attach(&p->tables, NULL);
	channel_free(p->policies.store);
	p->policies.store = NULL;
	if (is_violation)
		child_report_violation(p->self, ROLE_STORE, 0);
}

static void attach_store(struct resolve_process *p, int fd)
{
	struct channel_use use = {store_to_resolve_dispatch, &store_handlers, p, on_store_closed, "store"};
	channel_free(p->policies.store);
	struct channel *store = channel_new(p->loop, fd, &use);
	channel_set_epoch(store, child_epoch(p->self));
	policies_attach(&p->policies, store);
	tables_attach(&p->tables, store);
}

static void on_dns_ask(void *context, const struct msg_dns_ask *m)
{
	record_ask(context, m);
}

static const struct filter_to_resolve filter_handlers = {.dns_ask = on_dns_ask};

static void drop_peer(struct resolve_peer *peer)
{
	struct resolve_peer **at = &peer->process->peers;
	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	record_end_all(peer, NULL);
	channel_free(peer->channel);
	free(peer);
}

static void on_peer_closed(void *context, bool is_violation)
{
	struct resolve_peer *peer = context;
	if (is_violation)
		child_report_violation(peer->process->self, peer->role, peer->index);
	drop_peer(peer);
}

static void attach_peer(struct resolve_process *p, enum role role, unsigned index, int fd)
{
	struct resolve_peer *peer = p->peers;
	while (peer && (peer->role != role || peer->index != index))
		peer = peer->next;
	if (peer)
		drop_peer(peer); /* a new one was started */
	peer = xcalloc(1, sizeof *peer);
	*peer = (struct resolve_peer){.process = p, .next = p->peers, .role = role, .index = index};
	p->peers = peer;
	struct channel_use use = {filter_to_resolve_dispatch, &filter_handlers, peer, on_peer_closed, role_name(role)};
	peer->channel = channel_new(p->loop, fd, &use);
	channel_set_epoch(peer->channel, child_epoch(p->self));
}

static void start_dns(struct resolve_process *p, const struct config *config)
{
	p->dns = dns_new(p->loop, config);
	p->client = lookup_client_new(p->loop, p->dns);
	standing_open(&p->standing, p->self, p->client);
	policies_open(&p->policies, p->loop, p->dns, p->authorities);
	p->resolver = config->resolver;
	p->is_dnssec = config->dnssec;
	free(p->trust_anchor);
	p->trust_anchor = xstrdup(config->trust_anchor);
}

static bool is_within_reach(const struct config *config)
{
	return (!config->dnssec || sandbox_reaches(config->trust_anchor)) && (config->resolver.address[0] || sandbox_reaches(RESOLV_CONF));
}

/* For policies. Without authorities none is believed, as of relay (base/tls.h): that is in the log already. */
static void start_tls(struct resolve_process *p, const struct config *config)
{
	struct error why = {0};
	tls_library_start();
	fetch_library_start();
	p->authorities = tls_client_context(config->tls_authorities, &why);
	if (!p->authorities)
		die("resolve: no TLS: %s", why.text);
}

static void configure(void *context, const struct config *config)
{
	struct resolve_process *p = context;
	p->loop = child_loop(p->self);
	start_tls(p, config);
	start_dns(p, config);
	own_addresses_ask(&p->own, config);
	tables_open(&p->tables, p->loop, config);
	/* what a change of the settings may read again; what the libraries of databases read to find their hosts; tables, which editors replace */
	const char *paths[TABLES_PATHS_MOST + 8] = {RESOLV_CONF, config->trust_anchor, "/etc/hosts", "/etc/nsswitch.conf", config->tls_authorities};
	tables_add_paths(&p->tables, paths, sizeof paths / sizeof paths[0]);
	sandbox_enclose(SANDBOX_CALL, paths);
}

static void attach(void *context, enum role role, unsigned index, int fd)
{
	struct resolve_process *p = context;
	if (role == ROLE_FILTER) {
		attach_peer(p, role, index, fd);
		return;
	}
	if (role == ROLE_STORE) {
		attach_store(p, fd);
		return;
	}
	if (role != ROLE_RELAY)
		die("resolve: a channel to %s, number %u, which it does not talk to", role_name(role), index);
	if (p->relay)
		drop_relay(p); /* a new one was started */
	struct channel_use use = {relay_to_resolve_dispatch, &relay_handlers, p, on_relay_closed, "relay"};
	p->relay = channel_new(p->loop, fd, &use);
	channel_set_epoch(p->relay, child_epoch(p->self));
}

static void reload(void *context, const struct config *config)
{
	struct resolve_process *p = context;
	if (p->relay)
		channel_set_epoch(p->relay, child_epoch(p->self));
	if (p->policies.store)
		channel_set_epoch(p->policies.store, child_epoch(p->self));
	for (struct resolve_peer *peer = p->peers; peer; peer = peer->next)
		channel_set_epoch(peer->channel, child_epoch(p->self));
	own_addresses_ask(&p->own, config);
	if (tables_are_others(&p->tables, config)) {
		log_event(LOG_LEVEL_INFO, "resolve-begins-anew", log_c("why", "its sandbox has the folders of the tables that were configured"));
		_exit(0);
	}
	if (!tables_are_within_reach(&p->tables)) {
		log_event(LOG_LEVEL_INFO, "resolve-begins-anew", log_c("why", "its sandbox does not have a file that a table's settings name"));
		_exit(0);
	}
	standing_forget(&p->standing);
	if (memcmp(p->resolver.address, config->resolver.address, sizeof p->resolver.address) == 0 &&
	    p->resolver.port == config->resolver.port && p->is_dnssec == config->dnssec &&
	    strcmp(p->trust_anchor, config->trust_anchor) == 0)
		return;
	mx_end_all(p, "the resolver is being changed");
	for (struct resolve_peer *peer = p->peers; peer; peer = peer->next)
		record_end_all(peer, "the resolver is being changed");
	if (!is_within_reach(config)) {
		log_event(LOG_LEVEL_INFO, "resolve-begins-anew", log_c("why", "its sandbox does not have the file that it is to read now"));
		_exit(0); /* master starts it again with the new configuration */
	}
	reports_end(&p->policies);
	policies_end(&p->policies);
	standing_end(&p->standing);
	lookup_client_free(p->client);
	dns_free(p->dns);
	start_dns(p, config);
}

static void status(void *context, struct buf *text)
{
	struct resolve_process *p = context;
	size_t count = p->question_count;
	for (const struct resolve_peer *peer = p->peers; peer; peer = peer->next)
		count += peer->question_count;
	buf_printf(text, "questions=%zu asked=%llu", count, (unsigned long long)p->asked_count);
	if (p->tables.count)
		buf_printf(text, " tables=%zu unread=%zu table-questions=%zu", p->tables.count, tables_unread(&p->tables), p->tables.question_count);
}

/* A thread may be waiting for a database: libraries that tidy up at exit would do so under its feet. */
static void stop(void *context)
{
	struct resolve_process *p = context;
	if (p->tables.pool)
		_exit(0);
}

static const struct child_use use = {.stop = stop, .configure = configure, .attach = attach, .reload = reload, .status = status};

int resolve_main(unsigned index, int control)
{
	struct resolve_process *p = xcalloc(1, sizeof *p);
	return child_run(ROLE_RESOLVE, index, control, &use, p, &p->self);
}
