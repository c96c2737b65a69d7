/* DNS lists, then the policy of the author's domain. */
#include "filter/fate.h"

static enum fate by_lists(const struct authentication *a, const struct config *config, struct buf *reply)
{
	struct span zone;
	if (!config->dns_lists[0] || authentication_listed(a, &zone) < (int)config->dns_lists_limit)
		return FATE_TAKE;
	buf_printf(reply, "550 5.7.1 Your address %.*s is listed by %.*s", SPAN_ARG(authentication_client(a)), SPAN_ARG(zone));
	return FATE_REFUSE;
}

/* What the author's domain asks for, where nothing vouches for the message (RFC 9989 §5.3; RFC 7372 §3.2 has the code). While SPF or a key
 * cannot be looked up, it is neither taken unchecked nor refused for the DNS's fault (RFC 7208 §8.6, RFC 6376 §3.9). */
static enum fate by_policy(const struct authentication *a, const struct config *config, struct buf *reply)
{
	struct span domain;
	size_t authors = authentication_authors(a);
	enum dmarc_policy policy = authentication_policy(a, &domain);
	if (config->sender_checks != SENDER_CHECKS_OBEY)
		return FATE_TAKE;
	if (authors > AUTHENTICATE_AUTHORS_MOST) {
		buf_add_cstr(reply, "550 5.7.1 The From field names too many domains");
		return FATE_REFUSE;
	}
	if (authors == 0)
		return FATE_JUNK; /* nobody answers for it (RFC 5322 §3.6: there must be one) */
	if (policy == DMARC_POLICY_NONE && !authentication_has_policies(a)) {
		buf_add_cstr(reply, "451 4.4.3 The DNS does not say in time what the domains in the From field want, try again later");
		return FATE_LATER;
	}
	if (policy == DMARC_POLICY_NONE)
		return FATE_TAKE;
	if (authentication_is_unfinished(a)) {
		buf_printf(reply, "451 4.4.3 The DNS does not say now whether SPF or DKIM vouch for a sender in %.*s, try again later", SPAN_ARG(domain));
		return FATE_LATER;
	}
	if (policy == DMARC_POLICY_QUARANTINE)
		return FATE_JUNK;
	buf_printf(reply, "550 5.7.26 The policy of %.*s (DMARC) is to refuse what neither SPF nor DKIM vouch for", SPAN_ARG(domain));
	return FATE_REFUSE;
}

enum fate fate_of(const struct authentication *a, const struct config *config, struct buf *reply)
{
	enum fate fate = by_lists(a, config, reply);
	return fate == FATE_TAKE ? by_policy(a, config, reply) : fate;
}
