/* Lists of hosts. */
#include "relay/target.h"

#include "base/utf8.h"
#include "ipc/terms.h"
#include "ipc/words.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { RECORDS_MOST = 16 }; /* of one host */

int target_parse_address(const char *text, uint16_t port, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	*out = (struct sockaddr_storage){0};
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*len = sizeof *v4;
		return 0;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*len = sizeof *v6;
		return 0;
	}
	return -1;
}

/* 127/8, and 0/8, which the kernel takes for this machine too; the link's own (where clouds keep the secrets of their machines), and what
 * is no single host: RFC 6890. */
static bool v4_is_nobodys(const unsigned char *bytes)
{
	return bytes[0] == 127 || bytes[0] == 0 || (bytes[0] == 169 && bytes[1] == 254) || bytes[0] >= 224;
}

static bool is_nobodys(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	if (address->ss_family == AF_INET)
		return v4_is_nobodys((const unsigned char *)&v4->sin_addr);
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) || IN6_IS_ADDR_V4COMPAT(&v6->sin6_addr))
		return v4_is_nobodys(v6->sin6_addr.s6_addr + 12);
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) || IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) ||
	       IN6_IS_ADDR_MULTICAST(&v6->sin6_addr);
}

/* One address of the host, 4 bytes or 16. */
static void make_target(const struct msg_mx_host *m, int family, struct span address, uint16_t port, struct target *out)
{
	char text[INET6_ADDRSTRLEN] = "";
	*out = (struct target){0};
	snprintf(out->host, sizeof out->host, "%.*s", SPAN_ARG(m->name));
	inet_ntop(family, address.ptr, text, sizeof text);
	target_parse_address(text, port, &out->address, &out->address_len);
	/* a literal names its address already */
	if (m->name.ptr[0] == '[')
		snprintf(out->name, sizeof out->name, "%.*s:%u", SPAN_ARG(span_slice(m->name, 0, 200)), port);
	else
		snprintf(out->name, sizeof out->name, "%.*s[%s]:%u", SPAN_ARG(span_slice(m->name, 0, 200)), text, port);
	out->is_nobodys = is_nobodys(&out->address);
}

/* What resolve says that the DNS or a policy demands; NULL: nothing. */
static const struct tls_proof *make_proof(const struct msg_mx_host *m, const char *next_hop, const struct span *records, size_t count, struct arena *a)
{
	if (count == 0 && !(m->flags & (MX_HOST_POLICY | MX_HOST_TESTED)))
		return NULL;
	struct tls_proof *p = arena_alloc(a, sizeof *p);
	if (count == 0) {
		*p = (struct tls_proof){.name = arena_dup(a, m->name).ptr, .is_by_list = true, .is_advisory = !(m->flags & MX_HOST_POLICY)};
		return p;
	}
	*p = (struct tls_proof){.name = arena_dup(a, m->tlsa_base.len ? m->tlsa_base : m->name).ptr, .other_name = arena_dup(a, span_cstr(next_hop)).ptr,
	                        .records = records, .record_count = count};
	return p;
}

int target_list_add(struct target_list *list, const struct msg_mx_host *m, const char *next_hop, uint16_t port, struct arena *a)
{
	struct span *records, own = arena_dup(a, m->tlsa); /* the message goes before the targets do */
	ssize_t record_count = words_unpack(own, a, &records);
	size_t v4_count = m->v4.len / sizeof(struct in_addr), count = v4_count + m->v6.len / sizeof(struct in6_addr);
	if (m->name.len == 0 || utf8_has_8bit(m->name) || record_count < 0 || record_count > RECORDS_MOST || count == 0 ||
	    count > TARGETS_MOST - list->count || m->v4.len % sizeof(struct in_addr) || m->v6.len % sizeof(struct in6_addr))
		return -1;
	const struct tls_proof *proof = make_proof(m, next_hop, records, (size_t)record_count, a);
	if (!list->list)
		list->list = arena_alloc_array(a, TARGETS_MOST, sizeof *list->list);
	for (size_t v4 = 0, v6 = 0; v4 + v6 < count;) {
		struct target *t = &list->list[list->count++];
		/* RFC 8305 §4: the families take turns, IPv6 first */
		if (v6 < count - v4_count && (v6 <= v4 || v4 == v4_count))
			make_target(m, AF_INET6, span_slice(m->v6, v6++ * sizeof(struct in6_addr), sizeof(struct in6_addr)), port, t);
		else
			make_target(m, AF_INET, span_slice(m->v4, v4++ * sizeof(struct in_addr), sizeof(struct in_addr)), port, t);
		t->is_named_securely = m->flags & MX_HOST_SECURE;
		t->must_use_tls = (m->flags & MX_HOST_TLS) || (proof && !proof->is_advisory);
		t->is_by_policy = record_count == 0 && (m->flags & MX_HOST_POLICY);
		t->is_tested = proof && proof->is_advisory;
		t->is_dane = m->flags & MX_HOST_TLS;
		t->tlsa = records;
		t->tlsa_count = (size_t)record_count;
		t->proof = proof;
	}
	return 0;
}
