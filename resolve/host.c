/* One mail host: its addresses, and its TLSA records (RFC 7672). */
#include "resolve/question.h"

#include "ipc/words.h"

#include <arpa/inet.h>
#include <stdio.h>

void host_end(struct host *h)
{
	lookup_cancel(&h->v4);
	lookup_cancel(&h->v6);
	lookup_cancel(&h->tlsa);
	buf_free(&h->tlsa_bytes);
}

bool host_has_own_address(const struct host *h)
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

static size_t pack_addresses(char *out, int family, size_t bytes, const char (*addresses)[INET6_ADDRSTRLEN], size_t count)
{
	for (size_t i = 0; i < count; i++)
		inet_pton(family, addresses[i], out + i * bytes);
	return count * bytes;
}

void host_send(const struct host *h)
{
	struct question *q = h->question;
	char v4[ADDRESSES_MOST * sizeof(struct in_addr)], v6[ADDRESSES_MOST * sizeof(struct in6_addr)];
	size_t v6_most = ADDRESSES_MOST - h->v4_count, v6_count = h->v6_count < v6_most ? h->v6_count : v6_most, at = 0;
	size_t v4_len = pack_addresses(v4, AF_INET, sizeof(struct in_addr), h->v4_addresses, h->v4_count);
	size_t v6_len = pack_addresses(v6, AF_INET6, sizeof(struct in6_addr), h->v6_addresses, v6_count);
	struct span records[TLSA_MOST];
	BUF_AUTO tlsa = {0};
	for (size_t i = 0; i < h->tlsa_count; at += h->tlsa_lens[i++])
		records[i] = span_slice(buf_span(&h->tlsa_bytes), at, h->tlsa_lens[i]);
	words_pack(&tlsa, records, h->tlsa_count);
	channel_send(q->process->relay, mx_host, .id = q->id, .name = span_cstr(h->name), .v4 = span_of(v4, v4_len), .v6 = span_of(v6, v6_len),
	             .flags = (uint8_t)((q->is_secure ? MX_HOST_SECURE : 0) | (h->must_use_tls ? MX_HOST_TLS : 0) | h->policy),
	             .tlsa_base = span_cstr(h->must_use_tls ? h->base : ""), .tlsa = buf_span(&tlsa));
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
		h->is_bogus = result->is_bogus;
		h->v4_count = h->v6_count = 0;
		snprintf(q->text, sizeof q->text, "TLSA records of %.70s: %s", h->base, result->text);
	} else if (result->outcome == LOOKUP_ANSWER && result->is_secure) {
		take_tlsa(h, result);
	}
	if (result->outcome != LOOKUP_LATER && !h->must_use_tls && is_expanded) {
		memcpy(h->base, h->name, sizeof h->base);
		ask_tlsa(h);
	}
	question_one_less(q);
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
	if (--h->waiting == 0 && q->is_secure && !q->is_lax && !h->is_insecure && h->v4_count + h->v6_count)
		ask_tlsa(h);
	question_one_less(q);
}

void host_ask(struct host *h)
{
	struct dns *dns = h->question->process->dns;
	h->waiting = 2;
	memcpy(h->base, h->name, sizeof h->base);
	lookup_start(&h->v4, dns, h->name, RDATA_TYPE_A, on_addresses, h);
	lookup_start(&h->v6, dns, h->name, RDATA_TYPE_AAAA, on_addresses, h);
}
