#include "relay/tls_report.h"

#include "base/utf8.h"
#include "ipc/words.h"
#include "relay/demand.h"
#include "wire/tlsrpt_report.h"

#include <stdio.h>

enum { STRINGS_BYTES_MOST = 8192 - 4 - 4 * TLSRPT_STRINGS_MOST }; /* of tls_session, less the words' lengths */

static bool is_reported(const struct job *j)
{
	return j->route == ROUTE_DOMAIN && !demand_is_lax(j) && j->hop_host[0] && j->hop_host[0] != '[' && j->relay->store && !j->is_former;
}

/* ---- the policy's strings ---- */

struct strings {
	struct span list[TLSRPT_STRINGS_MOST];
	size_t count, bytes;
};

static void add_string(struct strings *s, struct span text)
{
	if (text.len == 0 || s->count == TLSRPT_STRINGS_MOST || text.len > STRINGS_BYTES_MOST - s->bytes || !utf8_is_valid(text))
		return;
	s->list[s->count++] = text;
	s->bytes += text.len;
}

/* As people write it: RFC 6698 §2.2. */
static struct span tlsa_text(struct span record, struct arena *a)
{
	BUF_AUTO text = {0};
	const unsigned char *r = (const unsigned char *)record.ptr;
	if (record.len < 4)
		return SPAN("");
	buf_printf(&text, "%u %u %u ", r[0], r[1], r[2]);
	for (size_t i = 3; i < record.len; i++)
		buf_printf(&text, "%02x", r[i]);
	return arena_dup(a, buf_span(&text));
}

static void add_records(struct strings *s, const struct target *t, struct arena *a)
{
	for (size_t i = 0; i < t->tlsa_count; i++)
		add_string(s, tlsa_text(t->tlsa[i], a));
}

static void add_lines(struct strings *s, struct span policy)
{
	while (policy.len) {
		ssize_t end = span_chr(policy, '\n');
		add_string(s, span_trim(end < 0 ? policy : span_slice(policy, 0, (size_t)end)));
		policy = end < 0 ? SPAN("") : span_skip(policy, (size_t)end + 1);
	}
}

/* ---- telling store ---- */

static enum tlsrpt_policy_type policy_of(const struct session *s)
{
	if (s->target.tlsa_count || (s->target.is_dane && !s->job->policy.len))
		return TLSRPT_TLSA;
	return s->job->policy.len ? TLSRPT_STS : TLSRPT_NO_POLICY; /* which holds where no TLSA record can be used (RFC 8461 §2) */
}

static struct span clean(const char *text, char *out, size_t size)
{
	text_clean(span_cstr(text ? text : ""), out, size);
	return span_cstr(out);
}

static void receiving_ip(const struct session *s, char out[INET6_ADDRSTRLEN])
{
	const struct sockaddr_storage *a = &s->target.address;
	const void *bytes = a->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr : (const void *)&((const struct sockaddr_in *)a)->sin_addr;
	out[0] = 0;
	inet_ntop(a->ss_family, bytes, out, INET6_ADDRSTRLEN);
}

static void tell_of(const struct session *s, enum tlsrpt_policy_type policy, enum tlsrpt_result result, const char *reason)
{
	ARENA_AUTO a = {0};
	BUF_AUTO packed = {0};
	struct strings strings = {.count = 0};
	char address[INET6_ADDRSTRLEN], text[256];
	if (!is_reported(s->job) || !s->may_use_tls)
		return;
	if (policy == TLSRPT_TLSA)
		add_records(&strings, &s->target, &a);
	else if (policy == TLSRPT_STS)
		add_lines(&strings, s->job->policy);
	words_pack(&packed, strings.list, strings.count);
	receiving_ip(s, address);
	channel_send(s->relay->store, tls_session, .domain = span_cstr(s->job->hop_host), .policy = (uint8_t)policy, .strings = buf_span(&packed),
	             .result = (uint8_t)result, .sending_ip = span_cstr(s->own_address), .mx_host = span_cstr(s->target.host), .mx_helo = span_cstr(s->helo),
	             .receiving_ip = span_cstr(address), .reason = clean(reason, text, sizeof text));
}

static void tell(const struct session *s, enum tlsrpt_result result, const char *reason)
{
	tell_of(s, policy_of(s), result, reason);
}

void tls_report_connected(struct session *s, int fd)
{
	struct sockaddr_storage own = {0};
	socklen_t len = sizeof own;
	if (getsockname(fd, (struct sockaddr *)&own, &len))
		return;
	const void *bytes = own.ss_family == AF_INET6 ? (const void *)&((struct sockaddr_in6 *)&own)->sin6_addr : (const void *)&((struct sockaddr_in *)&own)->sin_addr;
	inet_ntop(own.ss_family, bytes, s->own_address, sizeof s->own_address);
}

struct span tls_report_helo(struct span greeting)
{
	if (greeting.len > 4 && ascii_is_digit(greeting.ptr[0]))
		greeting = span_skip(greeting, 4); /* "220 " */
	struct span name = span_next_word(&greeting);
	return name.len < TARGET_NAME_BYTES && !utf8_has_8bit(name) ? name : SPAN("");
}

static enum tlsrpt_result certificate_fault(const struct session *s)
{
	switch (stream_fault(s->stream)) {
	case STREAM_FAULT_NONE: return TLSRPT_SUCCESS;
	case STREAM_FAULT_NAME: return TLSRPT_CERTIFICATE_HOST_MISMATCH;
	case STREAM_FAULT_EXPIRED: return TLSRPT_CERTIFICATE_EXPIRED;
	case STREAM_FAULT_TRUST: return TLSRPT_CERTIFICATE_NOT_TRUSTED;
	}
	return TLSRPT_VALIDATION_FAILURE;
}

void tls_report_secured(const struct session *s)
{
	bool is_invalid = s->target.is_dane && !s->target.tlsa_count;
	if (is_invalid)
		tell_of(s, TLSRPT_TLSA, TLSRPT_TLSA_INVALID, "no TLSA record can be used");
	if (is_invalid && policy_of(s) == TLSRPT_TLSA)
		return;
	if (s->target.is_tested && certificate_fault(s) != TLSRPT_SUCCESS)
		tell(s, certificate_fault(s), stream_distrust(s->stream));
	else
		tell(s, TLSRPT_SUCCESS, NULL);
}

void tls_report_refused(const struct session *s, const char *reply)
{
	if (!stream_is_secured(s->stream))
		tell(s, TLSRPT_STARTTLS_NOT_SUPPORTED, reply);
}

void tls_report_handshake_failed(const struct session *s, const char *why)
{
	enum tlsrpt_result fault = s->state == SESSION_HANDSHAKE ? certificate_fault(s) : TLSRPT_SUCCESS;
	if (strcmp(why, "timeout") == 0)
		return;
	if (fault == TLSRPT_SUCCESS)
		tell(s, TLSRPT_VALIDATION_FAILURE, why);
	else if (policy_of(s) != TLSRPT_NO_POLICY) /* else it is the message that wants a certificate, by REQUIRETLS */
		tell(s, fault, stream_distrust(s->stream));
}

void tls_report_fault(const struct job *j, const struct msg_mx_fault *m)
{
	BUF_AUTO packed = {0};
	struct strings strings = {.count = 0};
	if (!is_reported(j))
		return;
	if (m->policy == TLSRPT_STS)
		add_lines(&strings, j->policy);
	words_pack(&packed, strings.list, strings.count);
	channel_send(j->relay->store, tls_session, .domain = span_cstr(j->hop_host), .policy = m->policy, .strings = buf_span(&packed), .result = m->result,
	             .mx_host = m->host, .reason = m->reason);
}
