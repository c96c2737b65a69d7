/* What a value may look like, kind by kind. */
#include "base/checked.h"
#include "base/die.h"
#include "config/settings.h"
#include "wire/address.h"
#include "wire/dns_list.h"
#include "wire/milter.h"
#include "wire/next_hop.h"
#include "wire/table.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum {
	LABEL_BYTES_MOST = 63, /* RFC 1035 §2.3.4 */
	RESOLVER_PORT = 53,
	SHOWN_BYTES_MOST = 60, /* of a wrong value in an error */
};

/* The beginning of the value, for a "%.*s". */
#define SHOWN(s) SPAN_ARG(span_slice(s, 0, SHOWN_BYTES_MOST))

static const char *const protocol_words = "smtp lmtp submission submissions imap imaps pop3 pop3s";

const char *config_protocol_name(enum config_protocol protocol)
{
	switch (protocol) {
	case CONFIG_SMTP: return "smtp";
	case CONFIG_LMTP: return "lmtp";
	case CONFIG_SUBMISSION: return "submission";
	case CONFIG_SUBMISSIONS: return "submissions";
	case CONFIG_IMAP: return "imap";
	case CONFIG_IMAPS: return "imaps";
	case CONFIG_POP3: return "pop3";
	case CONFIG_POP3S: return "pop3s";
	}
	return "";
}

static void *field_of(const struct setting *s, struct config *c)
{
	return (char *)c + s->offset;
}

/* The index of `word` among the words, -1 if it is none of them. */
static int word_index(const char *words, struct span word)
{
	struct span rest = span_cstr(words);
	int index = 0;
	for (struct span next; (next = span_next_word(&rest)).len > 0; index++) {
		if (span_equal(next, word))
			return index;
	}
	return -1;
}

static bool label_is_valid(struct span label)
{
	if (label.len == 0 || label.len > LABEL_BYTES_MOST || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		char c = label.ptr[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-')
			return false;
	}
	return true;
}

bool hostname_is_qualified(struct span name)
{
	size_t labels = 0;
	for (;; labels++) {
		ssize_t dot = span_chr(name, '.');
		if (!label_is_valid(dot < 0 ? name : span_slice(name, 0, (size_t)dot)))
			return false;
		if (dot < 0)
			return labels >= 1;
		name = span_skip(name, (size_t)dot + 1);
	}
}

static bool mailbox_is_plausible(struct span value)
{
	ssize_t at = span_rchr(value, '@');
	return at > 0 && hostname_is_qualified(span_skip(value, (size_t)at + 1)) && span_chr(value, ' ') < 0;
}

/* Copies the address to `out` in its canonical form. */
static int address_read(struct span value, int family, char out[INET6_ADDRSTRLEN])
{
	char text[INET6_ADDRSTRLEN];
	unsigned char binary[sizeof(struct in6_addr)];
	if (value.len == 0 || value.len >= sizeof text)
		return -1;
	memcpy(text, value.ptr, value.len);
	text[value.len] = 0;
	if (inet_pton(family, text, binary) != 1)
		return -1;
	return inet_ntop(family, binary, out, INET6_ADDRSTRLEN) ? 0 : -1;
}

static int address_read_any(struct span value, char out[INET6_ADDRSTRLEN])
{
	return address_read(value, AF_INET, out) == 0 ? 0 : address_read(value, AF_INET6, out);
}

static int dns_lists_check(const struct setting *s, struct span value, struct error *why)
{
	struct span rest = value, word;
	struct error reason;
	for (size_t n = 0; (word = span_next_word(&rest)).len; n++) {
		struct dns_list list;
		if (n == DNS_LISTS_MOST)
			return error_set(why, 0, "%s has more than %d lists", s->name, DNS_LISTS_MOST);
		if (dns_list_parse(word, &list, &reason))
			return error_set(why, 0, "%s: %s", s->name, reason.text);
	}
	return 0;
}

static int milters_check(const struct setting *s, struct span value, struct error *why)
{
	struct span rest = value, word;
	struct error reason;
	for (size_t n = 0; (word = span_next_word(&rest)).len; n++) {
		struct milter_socket at;
		if (n == CONFIG_MILTERS_MOST)
			return error_set(why, 0, "%s has more than %d milters", s->name, CONFIG_MILTERS_MOST);
		if (milter_socket_parse(word, &at, &reason))
			return error_set(why, 0, "%s has \"%.*s\": %s", s->name, SHOWN(word), reason.text);
	}
	return 0;
}

static int tables_check(const struct setting *s, struct span value, struct error *why)
{
	struct span rest = value, word;
	struct table_name name;
	struct error reason;
	int more;
	for (size_t n = 0; (more = table_name_next(&rest, &name, &word, &reason)); n++) {
		if (n == CONFIG_TABLES_MOST)
			return error_set(why, 0, "%s has more than %d tables", s->name, CONFIG_TABLES_MOST);
		if (more < 0)
			return error_set(why, 0, "%s has \"%.*s\": %s", s->name, SHOWN(word), reason.text);
	}
	return 0;
}

static int programs_check(const struct setting *s, struct span value, struct error *why)
{
	struct span rest = value, word;
	while ((word = span_next_word(&rest)).len)
		if (word.ptr[0] != '/')
			return error_set(why, 0, "%s has \"%.*s\", which is not a whole path: begin it with /", s->name, SHOWN(word));
	return 0;
}

static bool is_domain(struct span word, struct buf *canonical)
{
	return domain_is_valid(word, ADDRESS_UTF8) && domain_canonical(word, canonical, NULL) == 0;
}

static int domains_check(const struct setting *s, struct span value, struct error *why)
{
	struct span rest = value, word;
	while ((word = span_next_word(&rest)).len) {
		BUF_AUTO canonical = {0};
		if (!is_domain(word, &canonical))
			return error_set(why, 0, "%s: \"%.*s\" is no domain: write them as example.org lists.example.net", s->name, SHOWN(word));
	}
	return 0;
}

bool config_domains_have(const char *setting, struct span domain)
{
	struct span rest = span_cstr(setting), word;
	while ((word = span_next_word(&rest)).len) {
		BUF_AUTO canonical = {0};
		if (is_domain(word, &canonical) && span_equal(buf_span(&canonical), domain))
			return true;
	}
	return false;
}

static int text_check(const struct setting *s, struct span value, struct error *why)
{
	char address[INET6_ADDRSTRLEN];
	struct error reason;
	if (value.len < s->least)
		return error_set(why, 0, "%s may not be empty: leave the line out for the default, %s", s->name, s->standard);
	if (value.len == 0)
		return 0;
	if (s->most && value.len > s->most)
		return error_set(why, 0, "%s has %zu characters: at most %llu are allowed", s->name, value.len,
		                 (unsigned long long)s->most);
	if (s->kind == SETTING_HOSTNAME && !hostname_is_qualified(value))
		return error_set(why, 0, "%s \"%.*s\" is not a fully qualified name: write one as mail.example.org", s->name,
		                 SHOWN(value));
	if (s->kind == SETTING_DNS_LISTS && dns_lists_check(s, value, why))
		return -1;
	if (s->kind == SETTING_MILTERS && milters_check(s, value, why))
		return -1;
	if (s->kind == SETTING_TABLES && tables_check(s, value, why))
		return -1;
	if (s->kind == SETTING_PROGRAMS && programs_check(s, value, why))
		return -1;
	if (s->kind == SETTING_DOMAINS && domains_check(s, value, why))
		return -1;
	if (s->kind == SETTING_NEXT_HOP && next_hop_parse(value, &(struct next_hop){0}, &reason))
		return error_set(why, 0, "%s \"%.*s\": %s", s->name, SHOWN(value), reason.text);
	if (s->kind == SETTING_MAILBOX && !mailbox_is_plausible(value))
		return error_set(why, 0, "%s \"%.*s\" is not an address: write one as ana@example.org", s->name, SHOWN(value));
	if (s->kind == SETTING_PATH && value.ptr[0] != '/')
		return error_set(why, 0, "%s \"%.*s\" is not a whole path: begin it with /", s->name, SHOWN(value));
	if (s->kind == SETTING_ADDRESS && address_read_any(value, address) != 0)
		return error_set(why, 0, "%s \"%.*s\" is not an IPv4 or IPv6 address", s->name, SHOWN(value));
	if (s->kind == SETTING_TEXT && (span_chr(value, ' ') >= 0 || span_chr(value, '\t') >= 0))
		return error_set(why, 0, "%s \"%.*s\" has a space in it: it takes one word", s->name, SHOWN(value));
	return 0;
}

static int text_read(const struct setting *s, struct span value, struct config *c, struct error *why)
{
	if (text_check(s, value, why) != 0)
		return -1;
	char **field = field_of(s, c);
	free(*field);
	*field = xcalloc(1, value.len + 1);
	if (value.len)
		memcpy(*field, value.ptr, value.len);
	return 0;
}

static int flag_read(const struct setting *s, struct span value, struct config *c, struct error *why)
{
	int index = word_index("off on", value);
	if (index < 0)
		return error_set(why, 0, "%s is \"%.*s\": write on or off", s->name, SHOWN(value));
	*(bool *)field_of(s, c) = index == 1;
	return 0;
}

static int number_read(const struct setting *s, struct span value, struct config *c, struct error *why)
{
	uint64_t number;
	if (span_to_u64(value, UINT64_MAX, &number) != 0)
		return error_set(why, 0, "%s is \"%.*s\": write a whole number, as %s", s->name, SHOWN(value), s->standard);
	if (number < s->least || number > s->most)
		return error_set(why, 0, "%s is %.*s: it must be from %llu to %llu", s->name, SHOWN(value),
		                 (unsigned long long)s->least, (unsigned long long)s->most);
	*(uint32_t *)field_of(s, c) = (uint32_t)number;
	return 0;
}

/* How much one of the unit is, 0 if it is none. */
static uint64_t unit_of(enum setting_kind kind, char unit)
{
	if (kind == SETTING_DURATION)
		return unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 0;
	return unit == 'k' || unit == 'K' ? 1024 : unit == 'M' ? 1024 * 1024 : unit == 'G' ? 1024 * 1024 * 1024 : 0;
}

static int amount_read(const struct setting *s, struct span value, struct config *c, struct error *why)
{
	bool is_duration = s->kind == SETTING_DURATION;
	const char *units = is_duration ? "s, m, h or d" : "k, M or G";
	uint64_t number = 0, unit = 1, amount;
	struct span digits = value;
	if (value.len && !ascii_is_digit(value.ptr[value.len - 1])) {
		unit = unit_of(s->kind, value.ptr[value.len - 1]);
		digits = span_slice(value, 0, value.len - 1);
	}
	bool is_number = span_to_u64(digits, UINT64_MAX, &number) == 0;
	bool lacks_unit = is_duration && digits.len == value.len && number != 0;
	if (is_number && lacks_unit)
		return error_set(why, 0, "%s is %.*s without a unit: add one of %s, as in %s", s->name, SHOWN(value), units,
		                 s->standard);
	if (!is_number || unit == 0)
		return error_set(why, 0, "%s is \"%.*s\": write a whole number with one of %s right behind it, as in %s", s->name,
		                 SHOWN(value), units, s->standard);
	if (checked_mul(number, unit, &amount) || amount < s->least || amount > s->most)
		return error_set(why, 0, "%s is %.*s: it must be from %llu to %llu %s", s->name, SHOWN(value),
		                 (unsigned long long)s->least, (unsigned long long)s->most, is_duration ? "seconds" : "bytes");
	*(uint64_t *)field_of(s, c) = amount;
	return 0;
}

static int protocols_read(const struct setting *s, struct span value, struct config *c, struct error *why)
{
	unsigned bits = 0;
	for (struct span word; (word = span_next_word(&value)).len > 0;) {
		int index = word_index(protocol_words, word);
		if (index < 0)
			return error_set(why, 0, "%s has \"%.*s\": it knows %s, with spaces between them", s->name, SHOWN(word),
			                 protocol_words);
		bits |= 1U << index;
	}
	if (bits == 0)
		return error_set(why, 0, "%s is empty: name at least one of %s", s->name, protocol_words);
	*(unsigned *)field_of(s, c) = bits;
	return 0;
}

static int port_read(const struct setting *s, struct span value, uint16_t *port, struct error *why)
{
	uint64_t number;
	if (span_to_u64(value, UINT64_MAX, &number) != 0 || number == 0 || number > UINT16_MAX)
		return error_set(why, 0, "%s has port \"%.*s\": a port is a number from 1 to 65535", s->name, SHOWN(value));
	*port = (uint16_t)number;
	return 0;
}

static int listener_add(const struct setting *s, const char *address, uint16_t port, struct config *c, struct error *why)
{
	if (c->listeners_count == sizeof c->listeners / sizeof c->listeners[0])
		return error_set(why, 0, "%s: there are more than %d addresses to listen on", s->name, CONFIG_LISTENERS_MOST);
	enum config_protocol protocol = (enum config_protocol)s->least;
	struct config_listener *l = &c->listeners[c->listeners_count++];
	*l = (struct config_listener){.protocol = protocol, .port = port};
	l->is_tls = protocol == CONFIG_SUBMISSIONS || protocol == CONFIG_IMAPS || protocol == CONFIG_POP3S;
	memcpy(l->address, address, strlen(address) + 1);
	return 0;
}

/* One of "25", "127.0.0.1:25", "[::1]:25". */
static int listener_read(const struct setting *s, struct span word, struct config *c, struct error *why)
{
	char address[INET6_ADDRSTRLEN];
	uint16_t port = 0;
	ssize_t colon = span_rchr(word, ':');
	if (colon < 0) {
		if (port_read(s, word, &port, why) != 0 || listener_add(s, "0.0.0.0", port, c, why) != 0)
			return -1;
		return listener_add(s, "::", port, c, why);
	}
	struct span host = span_slice(word, 0, (size_t)colon);
	bool has_brackets = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	int fault = has_brackets ? address_read(span_slice(host, 1, host.len - 2), AF_INET6, address)
	                         : address_read(host, AF_INET, address);
	if (fault)
		return error_set(why, 0, "%s has \"%.*s\": write 25 for all addresses, or 192.0.2.1:25, or [2001:db8::1]:25",
		                 s->name, SHOWN(word));
	if (port_read(s, span_skip(word, (size_t)colon + 1), &port, why) != 0)
		return -1;
	return listener_add(s, address, port, c, why);
}

static int listeners_read(const struct setting *s, struct span value, struct config *c, struct error *why)
{
	if (value.len == 0)
		return error_set(why, 0, "%s is empty: to turn it off, take \"%s\" out of protocols", s->name,
		                 config_protocol_name((enum config_protocol)s->least));
	for (struct span word; (word = span_next_word(&value)).len > 0;) {
		if (listener_read(s, word, c, why) != 0)
			return -1;
	}
	return 0;
}

static int resolver_read(const struct setting *s, struct span value, struct config *c, struct error *why)
{
	struct config_resolver resolver = {.port = RESOLVER_PORT};
	ssize_t at = span_chr(value, '@');
	if (value.len && address_read_any(at < 0 ? value : span_slice(value, 0, (size_t)at), resolver.address) != 0)
		return error_set(why, 0, "%s is \"%.*s\": write an address as 127.0.0.1, or with a port as 127.0.0.1@5353", s->name,
		                 SHOWN(value));
	if (at >= 0 && port_read(s, span_skip(value, (size_t)at + 1), &resolver.port, why) != 0)
		return -1;
	*(struct config_resolver *)field_of(s, c) = resolver;
	return 0;
}

bool config_networks_have(const struct config_networks *networks, struct span address)
{
	struct network client;
	bool has = false;
	for (size_t i = 0; i < networks->count && network_parse(address, &client) == 0; i++)
		has |= network_has(&networks->list[i], &client);
	return has;
}

static int networks_read(const struct setting *s, struct span value, struct config *c, struct error *why)
{
	struct config_networks *networks = field_of(s, c);
	*networks = (struct config_networks){0};
	for (struct span word; (word = span_next_word(&value)).len > 0;) {
		if (networks->count == CONFIG_NETWORKS_MOST)
			return error_set(why, 0, "%s has more than %d networks: join some of them", s->name, CONFIG_NETWORKS_MOST);
		if (network_parse(word, &networks->list[networks->count++]) != 0)
			return error_set(why, 0, "%s has \"%.*s\": write an address, or a network as 192.0.2.0/24 or 2001:db8::/32 with nothing "
			                 "but zeros behind its prefix", s->name, SHOWN(word));
	}
	return 0;
}

static int choice_read(const struct setting *s, struct span value, struct config *c, struct error *why)
{
	int index = word_index(s->words, value);
	if (index < 0)
		return error_set(why, 0, "%s is \"%.*s\": write one of %s", s->name, SHOWN(value), s->words);
	*(unsigned *)field_of(s, c) = (unsigned)index;
	return 0;
}

int setting_read(const struct setting *s, struct span value, struct config *c, struct error *why)
{
	switch (s->kind) {
	case SETTING_GROUP: return 0;
	case SETTING_TEXT:
	case SETTING_HOSTNAME:
	case SETTING_MAILBOX:
	case SETTING_DNS_LISTS:
	case SETTING_DOMAINS:
	case SETTING_NEXT_HOP:
	case SETTING_MILTERS:
	case SETTING_TABLES: case SETTING_PROGRAMS:
	case SETTING_PATH:
	case SETTING_ADDRESS: return text_read(s, value, c, why);
	case SETTING_FLAG: return flag_read(s, value, c, why);
	case SETTING_NUMBER: return number_read(s, value, c, why);
	case SETTING_SIZE:
	case SETTING_DURATION: return amount_read(s, value, c, why);
	case SETTING_PROTOCOLS: return protocols_read(s, value, c, why);
	case SETTING_LISTEN: return listeners_read(s, value, c, why);
	case SETTING_RESOLVER: return resolver_read(s, value, c, why);
	case SETTING_NETWORKS: return networks_read(s, value, c, why);
	case SETTING_CHOICE: return choice_read(s, value, c, why);
	}
	return 0;
}
