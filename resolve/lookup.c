/* libunbound, without a thread and without a process of its own. */
#include "resolve/lookup.h"

#include "base/die.h"
#include "base/log.h"
#include "resolve/rdata.h"

#include <stdio.h>
#include <stdlib.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

enum {
	LOOKUP_MOST_MS = 10000, /* libunbound was seen to say nothing of a dead server for longer than that */
	CLASS_IN = 1,
	RCODE_FORMERR = 1,
	RCODE_SERVFAIL = 2,
	SECURITY_BOGUS = 1,     /* unbound-event.h */
	SECURITY_SECURE = 2,
};

struct dns {
	struct loop *loop;
	struct ub_ctx *unbound;
};

static void check(int error, const char *what)
{
	if (error)
		die("resolve: libunbound does not take %s: %s", what, ub_strerror(error));
}

static void set_option(struct ub_ctx *u, const char *name, const char *value)
{
	check(ub_ctx_set_option(u, name, value), name);
}

/* The file is only looked for here: a missing one makes libunbound refuse every question later. */
static void set_dnssec(struct ub_ctx *u, const struct config *config)
{
	if (config->dnssec && access(config->trust_anchor, R_OK) == 0) {
		check(ub_ctx_add_ta_file(u, config->trust_anchor), "the trust anchor");
		return;
	}
	if (config->dnssec)
		log_event(LOG_LEVEL_ERROR, "dnssec-off", log_c("why", "the file with the trust anchor cannot be read"),
		          log_c("file", config->trust_anchor), log_c("help", "install the package dns-root-data, or set trust_anchor or dnssec = off"));
	set_option(u, "module-config:", "iterator");
}

static void set_upstream(struct ub_ctx *u, const struct config *config)
{
	char at[INET6_ADDRSTRLEN + 8];
	if (!config->resolver.address[0]) {
		if (ub_ctx_resolvconf(u, NULL))
			log_event(LOG_LEVEL_WARNING, "resolv-conf-unread", log_c("help", "the root servers are asked; or set resolver"));
		return;
	}
	snprintf(at, sizeof at, "%s@%u", config->resolver.address, config->resolver.port);
	check(ub_ctx_set_fwd(u, at), "the resolver's address");
}

static void ignore_answer(void *context, int rcode, void *message, int len, int security, char *why_bogus, int was_limited)
{
	(void)context, (void)rcode, (void)message, (void)len, (void)security, (void)why_bogus, (void)was_limited;
}

struct dns *dns_new(struct loop *l, const struct config *config)
{
	struct dns *d = xcalloc(1, sizeof *d);
	d->loop = l;
	d->unbound = ub_ctx_create_event(loop_base(l));
	if (!d->unbound)
		die("resolve: libunbound does not start");
	/* the order matters: what comes after the first zone or question is not taken any more */
	set_option(d->unbound, "do-not-query-localhost:", "no");
	set_option(d->unbound, "unblock-lan-zones:", "yes");
	set_dnssec(d->unbound, config);
	set_upstream(d->unbound, config);
	/* a resolver that was named is believed about "test." too; libunbound answers that itself otherwise (RFC 6761 §6.2) */
	if (config->resolver.address[0])
		check(ub_ctx_zone_remove(d->unbound, "test."), "the removal of a zone");
	/* reads the trust anchor now: later there are no files */
	check(ub_resolve_event(d->unbound, "localhost", RDATA_TYPE_A, CLASS_IN, NULL, ignore_answer, NULL), "its settings");
	return d;
}

void dns_free(struct dns *d)
{
	ub_ctx_delete(d->unbound);
	free(d);
}

/* Names in libunbound's reasons come from outside. */
static void set_text(struct lookup_result *r, const char *what, const char *detail)
{
	snprintf(r->text, sizeof r->text, "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
	for (char *c = r->text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void finish(struct lookup *q, const struct lookup_result *result)
{
	q->is_under_way = false;
	if (q->is_answered)
		*q->is_answered = true;
	timer_free(q->timer);
	q->timer = NULL;
	q->done(q->context, result);
}

/* libunbound's own rcode says that it failed; what the servers said is in the message. */
static unsigned rcode_of(int rcode, struct span message)
{
	struct rdata_reader reader;
	if (rcode)
		return (unsigned)rcode;
	return rdata_start(&reader, message, NULL) ? RCODE_FORMERR : reader.rcode;
}

static void on_answer(void *context, int rcode, void *message, int len, int security, char *why_bogus, int was_limited)
{
	struct lookup *q = context;
	struct lookup_result result = {.outcome = LOOKUP_LATER};
	struct span bytes = span_of(message, message && len > 0 ? (size_t)len : 0);
	(void)was_limited;
	/* looked at first: bogus data comes with rcode 0 */
	if (security == SECURITY_BOGUS) {
		result.is_bogus = true;
		set_text(&result, "the answer fails DNSSEC validation", why_bogus);
		finish(q, &result);
		return;
	}
	result.is_secure = security == SECURITY_SECURE;
	switch (rcode_of(rcode, bytes)) {
	case 0:
		result.outcome = LOOKUP_ANSWER;
		result.message = bytes;
		break;
	case RDATA_NO_NAME:
		result.outcome = LOOKUP_NO_NAME;
		break;
	case RCODE_SERVFAIL:
		set_text(&result, "the name servers fail (SERVFAIL)", NULL);
		break;
	default:
		set_text(&result, "the name servers answer with an error", NULL);
	}
	finish(q, &result);
}

static void on_timeout(void *context)
{
	struct lookup *q = context;
	struct lookup_result result = {.outcome = LOOKUP_LATER};
	ub_cancel(q->dns->unbound, q->id);
	set_text(&result, "the name servers do not answer", NULL);
	finish(q, &result);
}

void lookup_start(struct lookup *q, struct dns *d, const char *name, unsigned type, lookup_done_fn *done, void *context)
{
	*q = (struct lookup){.dns = d, .done = done, .context = context, .is_under_way = true};
	q->timer = timer_new(d->loop, on_timeout, q);
	timer_set(q->timer, LOOKUP_MOST_MS);
	/* the answer may come before this returns, and `q` may be gone then */
	bool is_answered = false;
	int id = 0;
	/* cppcheck-suppress autoVariables ; taken back below, before this returns */
	q->is_answered = &is_answered;
	int error = ub_resolve_event(d->unbound, name, (int)type, CLASS_IN, q, on_answer, &id);
	if (is_answered)
		return;
	q->is_answered = NULL;
	q->id = id;
	if (error) {
		struct lookup_result result = {.outcome = LOOKUP_LATER};
		set_text(&result, "the question cannot be asked", ub_strerror(error));
		finish(q, &result);
	}
}

void lookup_cancel(struct lookup *q)
{
	if (!q->is_under_way)
		return;
	q->is_under_way = false;
	ub_cancel(q->dns->unbound, q->id);
	timer_free(q->timer);
	q->timer = NULL;
}
