#include "auth/spf_name.h"

#include "wire/address.h"

#include <stdio.h>

void address_reversed(struct span address, struct buf *out)
{
	for (size_t i = address.len; i-- > 0;) {
		unsigned char byte = (unsigned char)address.ptr[i];
		if (address.len == 4)
			buf_printf(out, "%u.", byte);
		else
			buf_printf(out, "%x.%x.", byte & 15, byte >> 4);
	}
}

void spf_reverse_name(struct span address, struct buf *out)
{
	address_reversed(address, out);
	buf_add_cstr(out, address.len == 4 ? "in-addr.arpa" : "ip6.arpa");
}

static void ask_next(struct spf_names *n);

static void on_address(void *context, const struct dns_answer *answer)
{
	struct spf_names *n = context;
	n->question = NULL;
	for (size_t i = 0; answer->outcome == DNS_ANSWER && i < answer->count; i++)
		n->is_valid[n->at] |= span_equal(answer->records[i], n->address);
	n->at++;
	ask_next(n);
}

static void ask_next(struct spf_names *n)
{
	if (n->at == n->count) {
		n->done(n->context);
		return;
	}
	n->question = n->dns->ask(n->dns, n->address.len == 4 ? DNS_A : DNS_AAAA, span_cstr(n->names[n->at]), on_address, n);
}

static void on_names(void *context, const struct dns_answer *answer)
{
	struct spf_names *n = context;
	n->question = NULL;
	n->is_void = answer->outcome != DNS_LATER && answer->count == 0;
	for (size_t i = 0; answer->outcome == DNS_ANSWER && i < answer->count && n->count < SPF_NAMES_MOST; i++)
		if (answer->records[i].len < sizeof n->names[0])
			snprintf(n->names[n->count++], sizeof n->names[0], "%.*s", SPAN_ARG(answer->records[i]));
	ask_next(n);
}

void spf_names_start(struct spf_names *n, struct dns_client *dns, struct span address, loop_fn *done, void *context)
{
	BUF_AUTO name = {0};
	*n = (struct spf_names){.dns = dns, .address = address, .done = done, .context = context};
	spf_reverse_name(address, &name);
	n->question = dns->ask(dns, DNS_PTR, buf_span(&name), on_names, n);
}

void spf_names_cancel(struct spf_names *n)
{
	if (n->question)
		n->dns->cancel(n->dns, n->question);
	n->question = NULL;
}

bool spf_names_fit(const struct spf_names *n, struct span domain)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->is_valid[i] && domain_is_within(span_cstr(n->names[i]), domain))
			return true;
	return false;
}

struct span spf_names_best(const struct spf_names *n, struct span domain)
{
	struct span best = SPAN("unknown");
	bool has_one = false, has_below = false;
	for (size_t i = 0; i < n->count; i++) {
		struct span name = span_cstr(n->names[i]);
		if (!n->is_valid[i])
			continue;
		if (span_equal_nocase(name, domain))
			return name;
		bool is_below = domain_is_within(name, domain);
		if (!has_one || (is_below && !has_below))
			best = name;
		has_one = true;
		has_below |= is_below;
	}
	return best;
}
