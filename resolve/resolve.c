/* resolve: what it is told and what it answers.
 *
 *   configure   starts libunbound with the resolver, the trust anchor and everything else that lies in files
 *   attach      the channel to relay
 *   mx_ask      -> resolve/mx.c, which asks by resolve/lookup.c and reads with resolve/rdata.c; answered by mx_answer
 *
 * It has no mail and no keys, and keeps nothing but libunbound's cache. */
#include "resolve/resolve.h"

#include "base/die.h"
#include "resolve/mx.h"
#include "resolve/process.h"

#include <stdlib.h>

static void on_mx_ask(void *context, const struct msg_mx_ask *m)
{
	mx_ask(context, m->id, m->domain);
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

static void start_dns(struct resolve_process *p, const struct config *config)
{
	p->dns = dns_new(p->loop, config);
	p->resolver = config->resolver;
	p->is_dnssec = config->dnssec;
	free(p->trust_anchor);
	p->trust_anchor = xstrdup(config->trust_anchor);
}

static void configure(void *context, const struct config *config)
{
	struct resolve_process *p = context;
	p->loop = child_loop(p->self);
	start_dns(p, config);
}

static void attach(void *context, enum role role, unsigned index, int fd)
{
	struct resolve_process *p = context;
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
	if (memcmp(p->resolver.address, config->resolver.address, sizeof p->resolver.address) == 0 &&
	    p->resolver.port == config->resolver.port && p->is_dnssec == config->dnssec &&
	    strcmp(p->trust_anchor, config->trust_anchor) == 0)
		return;
	mx_end_all(p, "the resolver is being changed");
	dns_free(p->dns);
	start_dns(p, config);
}

static void status(void *context, struct buf *text)
{
	struct resolve_process *p = context;
	buf_printf(text, "questions=%zu asked=%llu", p->question_count, (unsigned long long)p->asked_count);
}

static const struct child_use use = {.configure = configure, .attach = attach, .reload = reload, .status = status};

int resolve_main(unsigned index, int control)
{
	struct resolve_process *p = xcalloc(1, sizeof *p);
	return child_run(ROLE_RESOLVE, index, control, &use, p, &p->self);
}
