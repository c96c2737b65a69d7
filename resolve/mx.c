/* One question: MX, then the addresses of each host at once.
 *
 *   asked    -> literal                         -> answered
 *            -> one host                        -> as one that an MX record names
 *            -> MX: error                       -> answered (later, no domain, null, loop)
 *            -> MX: hosts, or none: the domain  -> addresses of all, and TLSA records where DNSSEC has proved the way there (RFC 7672)
 *                                               -> answered */
#include "resolve/mx.h"

#include "base/arena.h"
#include "base/die.h"
#include "base/random.h"
#include "ipc/words.h"
#include "resolve/rdata.h"
#include "wire/address.h"
#include "wire/next_hop.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	HOSTS_MOST = 20,          /* relay tries five addresses of them */
	ADDRESSES_MOST = 8,       /* of one host */
	QUESTIONS_MOST = 20000,   /* relay has at most 10,000 messages, each with one question */
	TLSA_MOST = 16,           /* of one host; together as many bytes: */
	TLSA_BYTES_MOST = 2000,
	WORDS_PER_HOST_MOST = 2 + 2 + 2 + 2 + 2 * TLSA_MOST + 2 * ADDRESSES_MOST,
};

struct exchange {
	unsigned preference;
	char host[RDATA_NAME_MOST];
};

struct host {
	struct question *question;
	struct lookup v4, v6, tlsa;
	size_t waiting;           /* of v4 and v6 */
	unsigned preference;
	char name[RDATA_NAME_MOST];
	char v4_addresses[ADDRESSES_MOST][INET6_ADDRSTRLEN], v6_addresses[ADDRESSES_MOST][INET6_ADDRSTRLEN];
	size_t v4_count, v6_count;
	bool failed_for_now;      /* its addresses or its TLSA records could not be asked for; the question's `text` says why */
	bool is_insecure;         /* DNSSEC has not proved its addresses */
	char base[RDATA_NAME_MOST]; /* whose TLSA records are asked for: where its CNAMEs lead, then the name itself (RFC 7672 §2.2.2) */
	struct buf tlsa_bytes;    /* one record after the other */
	size_t tlsa_lens[TLSA_MOST], tlsa_count;
	bool must_use_tls;        /* there are TLSA records, if perhaps none that can be used */
};

struct question {
	struct resolve_process *process;
	struct question *next, *before;
	uint64_t id;
	char domain[256];
	unsigned port;            /* where mail is brought: TLSA records are of a port */
	bool is_port_named;       /* by an administrator: it may be another server on this machine, and no loop */
	struct lookup mx;
	struct host hosts[HOSTS_MOST];
	size_t host_count;
	size_t waiting;           /* lookups of addresses under way */
	bool has_mx, is_secure;   /* DNSSEC has proved that it has these hosts */
	char text[256];
};

static void free_question(struct question *q)
{
	struct resolve_process *p = q->process;
	lookup_cancel(&q->mx);
	for (size_t i = 0; i < q->host_count; i++) {
		lookup_cancel(&q->hosts[i].v4);
		lookup_cancel(&q->hosts[i].v6);
		lookup_cancel(&q->hosts[i].tlsa);
		buf_free(&q->hosts[i].tlsa_bytes);
	}
	if (q->next)
		q->next->before = q->before;
	if (q->before)
		q->before->next = q->next;
	else
		p->questions = q->next;
	p->question_count--;
	free(q);
}

static void send_answer(struct resolve_process *p, uint64_t id, enum mx_outcome outcome, const char *text, struct span hosts)
{
	if (p->relay)
		channel_send(p->relay, mx_answer, .id = id, .outcome = (uint8_t)outcome, .text = span_slice(span_cstr(text), 0, 255), .hosts = hosts);
}

static void end(struct question *q, enum mx_outcome outcome, const char *text)
{
	send_answer(q->process, q->id, outcome, text, (struct span){0});
	free_question(q);
}

/* The best host for the domain is this server, but the domain is none of its own. */
static void send_loop(struct resolve_process *p, uint64_t id, struct span domain)
{
	char text[256];
	snprintf(text, sizeof text, "mail for %.*s loops back to myself", SPAN_ARG(span_slice(domain, 0, 200)));
	send_answer(p, id, MX_LOOP, text, (struct span){0});
}

static void end_looping(struct question *q)
{
	send_loop(q->process, q->id, span_cstr(q->domain));
	free_question(q);
}

static size_t add_addresses(struct span *words, const char (*addresses)[INET6_ADDRSTRLEN], size_t count, size_t most)
{
	size_t n = 0;
	for (size_t i = 0; i < count && i < most; i++) {
		words[n++] = SPAN("A");
		words[n++] = span_cstr(addresses[i]);
	}
	return n;
}

static bool has_own_address(const struct host *h)
{
	const struct own_addresses *own = &h->question->process->own;
	for (size_t i = 0; i < h->v4_count; i++)
		if (own_addresses_have(own, h->v4_addresses[i]))
			return true;
	for (size_t i = 0; i < h->v6_count; i++)
		if (own_addresses_have(own, h->v6_addresses[i]))
			return true;
	return false;
}

/* The best preference of a host that has an address of ours, under whatever name; UINT_MAX if there is none. */
static unsigned own_preference(const struct question *q)
{
	unsigned best = UINT_MAX;
	for (size_t i = 0; i < q->host_count; i++)
		if (q->hosts[i].preference < best && has_own_address(&q->hosts[i]))
			best = q->hosts[i].preference;
	return best;
}

static size_t add_host_words(struct span *words, const struct host *h)
{
	size_t count = 0;
	words[count++] = SPAN("H");
	words[count++] = span_cstr(h->name);
	if (h->question->is_secure) {
		words[count++] = SPAN("S");
		words[count++] = SPAN("");
	}
	if (h->must_use_tls) {
		words[count++] = SPAN("M");
		words[count++] = SPAN("");
		words[count++] = SPAN("B");
		words[count++] = span_cstr(h->base);
	}
	size_t at = 0;
	for (size_t i = 0; i < h->tlsa_count; at += h->tlsa_lens[i++]) {
		words[count++] = SPAN("T");
		words[count++] = span_slice(buf_span(&h->tlsa_bytes), at, h->tlsa_lens[i]);
	}
	count += add_addresses(words + count, h->v4_addresses, h->v4_count, ADDRESSES_MOST);
	count += add_addresses(words + count, h->v6_addresses, h->v6_count, ADDRESSES_MOST - h->v4_count);
	return count;
}

/* We, and all that are no better than we are, are left out: the mail would come back (RFC 5321 §5.1). */
static void end_with_hosts(struct question *q)
{
	struct span words[HOSTS_MOST * WORDS_PER_HOST_MOST];
	size_t count = 0;
	unsigned own = q->is_port_named ? UINT_MAX : own_preference(q);
	bool failed_for_now = false;
	BUF_AUTO packed = {0};
	for (size_t i = 0; i < q->host_count; i++) {
		const struct host *h = &q->hosts[i];
		if (h->preference >= own)
			continue;
		failed_for_now |= h->failed_for_now;
		if (h->v4_count + h->v6_count)
			count += add_host_words(words + count, h);
	}
	if (count) {
		words_pack(&packed, words, count);
		send_answer(q->process, q->id, MX_FOUND, "", buf_span(&packed));
		free_question(q);
	} else if (failed_for_now) {
		end(q, MX_LATER, q->text);
	} else if (own != UINT_MAX) {
		end_looping(q);
	} else {
		snprintf(q->text, sizeof q->text, q->has_mx ? "no mail exchanger of the domain has an address"
		                                           : "the domain has neither a mail exchanger nor an address");
		end(q, MX_NO_DOMAIN, q->text);
	}
}

/* ---- addresses ---- */

static void take_addresses(struct host *h, const struct lookup_result *result)
{
	struct rdata_reader reader;
	struct rdata_record record;
	if (rdata_start(&reader, result->message, NULL))
		return;
	while (rdata_next(&reader, &record, NULL) == 1) {
		char text[INET6_ADDRSTRLEN], alias[RDATA_NAME_MOST];
		if (rdata_alias(result->message, &record, alias) == 0)
			memcpy(h->base, alias, sizeof h->base); /* the last one leads to the addresses */
		if (rdata_address(result->message, &record, text))
			continue;
		h->is_insecure |= !result->is_secure;
		bool is_v4 = record.type == RDATA_TYPE_A;
		size_t *count = is_v4 ? &h->v4_count : &h->v6_count;
		if (*count < ADDRESSES_MOST)
			memcpy(is_v4 ? h->v4_addresses[(*count)++] : h->v6_addresses[(*count)++], text, sizeof text);
	}
}

static void one_less(struct question *q)
{
	if (--q->waiting == 0)
		end_with_hosts(q);
}

/* ---- TLSA (RFC 7672) ---- */

static void take_tlsa(struct host *h, const struct lookup_result *result)
{
	struct rdata_reader reader;
	struct rdata_record record;
	if (rdata_start(&reader, result->message, NULL))
		return;
	while (rdata_next(&reader, &record, NULL) == 1) {
		struct span data = span_slice(result->message, record.at, record.len);
		if (record.type != RDATA_TYPE_TLSA)
			continue;
		h->must_use_tls = true;
		if (!rdata_tlsa_is_usable(data) || h->tlsa_count == TLSA_MOST || h->tlsa_bytes.len + data.len > TLSA_BYTES_MOST)
			continue;
		buf_add(&h->tlsa_bytes, data);
		h->tlsa_lens[h->tlsa_count++] = data.len;
	}
}

static void ask_tlsa(struct host *h);

/* Where the records cannot be asked for, nobody knows whether the host may be trusted without: it is left out (RFC 7672 §2.1.2). */
static void on_tlsa(void *context, const struct lookup_result *result)
{
	struct host *h = context;
	struct question *q = h->question;
	bool is_expanded = strcmp(h->base, h->name) != 0;
	if (result->outcome == LOOKUP_LATER) {
		h->failed_for_now = true;
		h->v4_count = h->v6_count = 0;
		snprintf(q->text, sizeof q->text, "TLSA records of %.70s: %s", h->base, result->text);
	} else if (result->outcome == LOOKUP_ANSWER && result->is_secure) {
		take_tlsa(h, result);
	}
	if (result->outcome != LOOKUP_LATER && !h->must_use_tls && is_expanded) {
		memcpy(h->base, h->name, sizeof h->base);
		ask_tlsa(h);
	}
	one_less(q);
}

static void ask_tlsa(struct host *h)
{
	struct question *q = h->question;
	char name[RDATA_NAME_MOST + 16];
	snprintf(name, sizeof name, "_%u._tcp.%s", q->port, h->base);
	if (strlen(name) >= RDATA_NAME_MOST)
		return; /* there can be none */
	q->waiting++;
	lookup_start(&h->tlsa, q->process->dns, name, RDATA_TYPE_TLSA, on_tlsa, h);
}

static void on_addresses(void *context, const struct lookup_result *result)
{
	struct host *h = context;
	struct question *q = h->question;
	if (result->outcome == LOOKUP_ANSWER)
		take_addresses(h, result);
	if (result->outcome == LOOKUP_LATER) {
		h->failed_for_now = true;
		snprintf(q->text, sizeof q->text, "addresses of %.70s: %s", h->name, result->text);
	}
	if (--h->waiting == 0 && q->is_secure && !h->is_insecure && h->v4_count + h->v6_count)
		ask_tlsa(h);
	one_less(q);
}

static void ask_addresses(struct question *q)
{
	struct dns *dns = q->process->dns;
	size_t count = q->host_count;
	q->waiting = 2 * count + 1; /* one for this function: answers may come before it is done */
	for (size_t i = 0; i < count; i++) {
		q->hosts[i].question = q;
		q->hosts[i].waiting = 2;
		memcpy(q->hosts[i].base, q->hosts[i].name, sizeof q->hosts[i].base);
		lookup_start(&q->hosts[i].v4, dns, q->hosts[i].name, RDATA_TYPE_A, on_addresses, &q->hosts[i]);
		lookup_start(&q->hosts[i].v6, dns, q->hosts[i].name, RDATA_TYPE_AAAA, on_addresses, &q->hosts[i]);
	}
	one_less(q);
}

/* ---- MX ---- */

static int by_preference(const void *a, const void *b)
{
	const struct exchange *x = a, *y = b;
	return x->preference < y->preference ? -1 : x->preference > y->preference;
}

/* RFC 5321 §5.1: those of one preference in random order. */
static void sort(struct exchange *list, size_t count)
{
	qsort(list, count, sizeof *list, by_preference);
	for (size_t start = 0, stop; start < count; start = stop) {
		for (stop = start + 1; stop < count && list[stop].preference == list[start].preference; stop++)
			;
		for (size_t n = stop - start; n > 1; n--) {
			size_t other = start + random_below(n);
			struct exchange last = list[start + n - 1];
			list[start + n - 1] = list[other];
			list[other] = last;
		}
	}
}

/* All MX records of the answer; -1 if it is malformed. */
static ssize_t read_exchanges(struct span message, struct arena *a, struct exchange **out)
{
	struct rdata_reader reader;
	struct rdata_record record;
	size_t count = 0;
	int more;
	if (rdata_start(&reader, message, NULL))
		return -1;
	/* a record takes at least eleven bytes, whatever number the header gives */
	*out = arena_alloc_array(a, message.len / 11 + 1, sizeof **out);
	while ((more = rdata_next(&reader, &record, NULL)) == 1)
		if (rdata_mx(message, &record, &(*out)[count].preference, (*out)[count].host) == 0)
			count++;
	return more < 0 ? -1 : (ssize_t)count;
}

static bool is_us(const struct question *q, const char *host)
{
	return span_equal_nocase(span_cstr(host), span_cstr(child_hostname(q->process->self)));
}

static bool has_mx_record(struct span message)
{
	struct rdata_reader reader;
	struct rdata_record record;
	if (rdata_start(&reader, message, NULL))
		return false;
	while (rdata_next(&reader, &record, NULL) == 1)
		if (record.type == RDATA_TYPE_MX)
			return true;
	return false;
}

static void add_host(struct question *q, const char *name, unsigned preference)
{
	for (size_t i = 0; i < q->host_count; i++)
		if (strcmp(q->hosts[i].name, name) == 0)
			return; /* of several preferences, the best */
	if (q->host_count == HOSTS_MOST)
		return;
	struct host *h = &q->hosts[q->host_count++];
	h->preference = preference;
	snprintf(h->name, sizeof h->name, "%s", name);
}

/* Our own name is looked for here, our addresses when they are known (end_with_hosts). */
static void use_exchanges(struct question *q, const struct exchange *list, size_t count)
{
	unsigned own = UINT_MAX;
	for (size_t i = 0; i < count; i++)
		if (is_us(q, list[i].host) && list[i].preference < own)
			own = list[i].preference;
	for (size_t i = 0; i < count; i++)
		if (list[i].preference < own && list[i].host[0])
			add_host(q, list[i].host, list[i].preference);
	if (q->host_count)
		ask_addresses(q);
	else if (own != UINT_MAX)
		end_looping(q);
	else
		end(q, MX_NO_DOMAIN, "no mail exchanger of the domain has a usable name");
}

/* The implicit MX: RFC 5321 §5.1. */
static void use_domain(struct question *q)
{
	if (is_us(q, q->domain) && !q->is_port_named) {
		end_looping(q);
		return;
	}
	add_host(q, q->domain, 0);
	ask_addresses(q);
}

static void on_mx(void *context, const struct lookup_result *result)
{
	struct question *q = context;
	ARENA_AUTO arena = {0};
	struct exchange *list;
	switch (result->outcome) {
	case LOOKUP_NO_NAME:
		end(q, MX_NO_DOMAIN, "the domain does not exist");
		return;
	case LOOKUP_LATER:
		snprintf(q->text, sizeof q->text, "mail exchangers of %.70s: %s", q->domain, result->text);
		end(q, MX_LATER, q->text);
		return;
	case LOOKUP_ANSWER:
		break;
	}
	ssize_t count = read_exchanges(result->message, &arena, &list);
	q->has_mx = has_mx_record(result->message);
	q->is_secure = result->is_secure;
	if (count < 0) {
		end(q, MX_LATER, "the answer about the domain's mail exchangers is malformed");
	} else if (count == 1 && !list[0].host[0]) {
		end(q, MX_NULL, "the domain takes no mail (null MX)");
	} else if (!q->has_mx) {
		use_domain(q);
	} else {
		sort(list, (size_t)count);
		use_exchanges(q, list, (size_t)count);
	}
}

/* ---- questions ---- */

static void answer_literal(struct resolve_process *p, uint64_t id, struct span literal, bool is_port_named)
{
	struct span inside = span_slice(literal, 1, literal.len - 2);
	unsigned char bytes[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];
	bool is_v6 = span_starts_with_nocase(inside, SPAN("IPv6:"));
	if (is_v6)
		inside = span_skip(inside, sizeof "IPv6:" - 1);
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(inside));
	if (!address_literal_is_valid(literal) || inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes) != 1) {
		send_answer(p, id, MX_NO_DOMAIN, "this is no address literal", (struct span){0});
		return;
	}
	if (!is_port_named && own_addresses_have(&p->own, text)) {
		send_loop(p, id, literal);
		return;
	}
	struct span words[] = {SPAN("H"), literal, SPAN("A"), span_cstr(text)};
	BUF_AUTO packed = {0};
	words_pack(&packed, words, 4);
	send_answer(p, id, MX_FOUND, "", buf_span(&packed));
}

void mx_ask(struct resolve_process *p, uint64_t id, struct span next_hop)
{
	BUF_AUTO name = {0};
	struct next_hop hop;
	bool is_one = next_hop_parse(next_hop, &hop, NULL) == 0;
	p->asked_count++;
	if (is_one && span_starts_with(hop.host, SPAN("["))) {
		answer_literal(p, id, hop.host, hop.port != 0);
		return;
	}
	/* RFC 6531 §3.2: the DNS knows A-labels only */
	if (!is_one || domain_canonical(hop.host, &name, NULL)) {
		send_answer(p, id, MX_NO_DOMAIN, "this is no domain name", (struct span){0});
		return;
	}
	if (p->question_count >= QUESTIONS_MOST) {
		send_answer(p, id, MX_LATER, "too many questions are waiting for an answer", (struct span){0});
		return;
	}
	struct question *q = xcalloc(1, sizeof *q);
	*q = (struct question){.process = p, .next = p->questions, .id = id,
	                       .is_port_named = hop.port != 0, .port = hop.port ? hop.port : (unsigned)child_config(p->self)->smtp_out_port};
	snprintf(q->domain, sizeof q->domain, "%s", buf_cstr(&name));
	if (q->next)
		q->next->before = q;
	p->questions = q;
	p->question_count++;
	if (!hop.is_host) {
		lookup_start(&q->mx, p->dns, q->domain, RDATA_TYPE_MX, on_mx, q);
		return;
	}
	q->is_secure = true; /* who named it needs no proof that it is meant */
	use_domain(q);
}

void mx_end_all(struct resolve_process *p, const char *why)
{
	while (p->questions)
		end(p->questions, MX_LATER, why);
}
