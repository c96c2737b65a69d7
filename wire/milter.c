/* Packets from and to milters: see milter.h. The names in comments are those of libmilter's mfdef.h and mfapi.h. */
#include "wire/milter.h"

#include "base/pack.h"
#include "base/utf8.h"
#include "wire/address.h"
#include "wire/header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

enum { LENGTH_BYTES = 4, REPLY_MAX = 480, FIELD_NAME_MAX = 128 };

static uint32_t number_at(struct span data, size_t at)
{
	const unsigned char *p = (const unsigned char *)data.ptr + at;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

ssize_t milter_packet_parse(struct span in, struct milter_packet *out, struct error *why)
{
	if (in.len < LENGTH_BYTES)
		return 0;
	uint32_t length = number_at(in, 0);
	if (length == 0 || length > MILTER_DATA_MAX + 1)
		return error_set(why, 0, "a packet of %u octets", (unsigned)length);
	if (in.len < LENGTH_BYTES + length)
		return 0;
	*out = (struct milter_packet){.kind = in.ptr[LENGTH_BYTES], .data = span_slice(in, LENGTH_BYTES + 1, length - 1)};
	return LENGTH_BYTES + (ssize_t)length;
}

void milter_packet_add(struct buf *out, char kind, struct span data)
{
	pack_sorted_u32(out, (uint32_t)data.len + 1);
	buf_add_char(out, kind);
	buf_add(out, data);
}

void milter_offer_add(struct buf *out)
{
	BUF_AUTO data = {0};
	pack_sorted_u32(&data, MILTER_VERSION);
	pack_sorted_u32(&data, MILTER_ACTIONS);
	pack_sorted_u32(&data, MILTER_PROTOCOL);
	milter_packet_add(out, MILTER_OPTIONS, buf_span(&data));
}

/* Takes what stands before the next NUL off the front; false if there is no NUL. */
static bool take_text(struct span *data, struct span *out)
{
	ssize_t end = span_chr(*data, 0);
	if (end < 0)
		return false;
	*out = span_slice(*data, 0, (size_t)end);
	*data = span_skip(*data, (size_t)end + 1);
	return true;
}

int milter_options_parse(struct span data, struct milter_options *out, struct error *why)
{
	if (data.len < 12)
		return error_set(why, 0, "options of %zu octets", data.len);
	*out = (struct milter_options){
		.version = number_at(data, 0), .actions = number_at(data, 4) & MILTER_ACTIONS, .protocol = number_at(data, 8) & MILTER_PROTOCOL};
	if (out->version < MILTER_VERSION_LEAST || out->version > MILTER_VERSION)
		return error_set(why, 0, "it speaks version %u of the protocol: 2 to 6 are known here", (unsigned)out->version);
	struct span rest = span_skip(data, 12), names;
	while (rest.len) {
		if (rest.len < 4)
			return error_set(why, 0, "options that end amid a list of macros");
		uint32_t stage = number_at(rest, 0);
		rest = span_skip(rest, 4);
		if (stage >= MILTER_STAGES || !take_text(&rest, &names) || names.len > MILTER_MACROS_MAX)
			return error_set(why, 0, "options with a malformed list of macros");
		out->macros[stage] = names;
		out->has_macros[stage] = true;
	}
	return 0;
}

/* ---- changes ---- */

/* Takes an address, with or without its brackets (libmilter lets filters write both). */
static int take_address(struct span *data, bool may_be_null, struct span *out, struct error *why)
{
	struct address address;
	struct span text;
	if (!take_text(data, &text))
		return error_set(why, 0, "an address without an end");
	if (text.len >= 2 && text.ptr[0] == '<' && text.ptr[text.len - 1] == '>')
		text = span_slice(text, 1, text.len - 2);
	*out = text;
	if (may_be_null && text.len == 0)
		return 0;
	return address_parse_mailbox(text, ADDRESS_UTF8 | ADDRESS_LOOSE, &address, why);
}

static int take_field(struct span *data, struct milter_change *out, struct error *why)
{
	if (!take_text(data, &out->name) || !take_text(data, &out->value) || data->len)
		return error_set(why, 0, "a malformed header field");
	return 0;
}

static int take_index(struct span *data, struct milter_change *out, struct error *why)
{
	if (data->len < 4)
		return error_set(why, 0, "a header field without its index");
	out->index = number_at(*data, 0);
	*data = span_skip(*data, 4);
	return out->index > INT32_MAX ? error_set(why, 0, "a header field with the index %u", (unsigned)out->index) : 0;
}

int milter_change_parse(const struct milter_packet *packet, struct milter_change *out, struct error *why)
{
	struct span rest = packet->data;
	*out = (struct milter_change){.kind = (enum milter_reply)packet->kind};
	switch (packet->kind) {
	case MILTER_ADD_HEADER: return take_field(&rest, out, why);
	case MILTER_INSERT_HEADER: case MILTER_CHANGE_HEADER: return take_index(&rest, out, why) ? -1 : take_field(&rest, out, why);
	case MILTER_ADD_RCPT: case MILTER_DELETE_RCPT: case MILTER_ADD_RCPT_PAR: return take_address(&rest, false, &out->value, why);
	case MILTER_CHANGE_FROM: return take_address(&rest, true, &out->value, why);
	case MILTER_QUARANTINE: return take_text(&rest, &out->value) ? 0 : error_set(why, 0, "a reason without an end");
	default: return 1;
	}
}

/* ---- header fields ---- */

/* RFC 5322 §3.6.8 ftext. */
static bool name_is_valid(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] > '~' || name.ptr[i] == ':')
			return false;
	return name.len > 0 && name.len <= FIELD_NAME_MAX;
}

/* A line of a field, with its CR LF, has no other CR or LF, no NUL and something else than white space. */
static bool line_is_whole(struct span line)
{
	bool has_text = false;
	if (!span_ends_with(line, SPAN("\r\n")))
		return false;
	for (size_t i = 0; i + 2 < line.len; i++) {
		if (line.ptr[i] == '\r' || line.ptr[i] == 0)
			return false;
		has_text |= line.ptr[i] != ' ' && line.ptr[i] != '\t';
	}
	return has_text;
}

/* is_one: and no more than one. */
static bool are_whole(struct span fields, bool is_one)
{
	bool is_first = true;
	while (fields.len) {
		struct span line = span_slice(fields, 0, (size_t)(span_chr(fields, '\n') + 1));
		ssize_t colon = span_chr(line, ':');
		bool is_folded = line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
		if (!line_is_whole(line) || (is_folded ? is_first : (is_one && !is_first) || colon < 0 || !name_is_valid(span_slice(line, 0, (size_t)colon))))
			return false;
		is_first = false;
		fields = span_skip(fields, line.len);
	}
	return true;
}

bool milter_fields_are_whole(struct span fields)
{
	return are_whole(fields, false);
}

static struct span without_line_ends(struct span value)
{
	while (value.len && (value.ptr[value.len - 1] == '\n' || value.ptr[value.len - 1] == '\r'))
		value.len--;
	return value;
}

int milter_field_make(struct span name, struct span value, bool has_space, struct buf *out, struct error *why)
{
	size_t before = out->len;
	if (!name_is_valid(name))
		return error_set(why, 0, "a header field whose name is none");
	buf_add(out, name);
	buf_add_cstr(out, has_space ? ":" : ": ");
	value = without_line_ends(value);
	for (size_t i = 0; i < value.len && out->len - before <= MILTER_FIELD_MAX; i++) {
		if (value.ptr[i] == '\r' && i + 1 < value.len && value.ptr[i + 1] == '\n')
			continue;
		if (value.ptr[i] == '\n')
			buf_add_char(out, '\r');
		buf_add_char(out, value.ptr[i]);
	}
	buf_add_cstr(out, "\r\n");
	if (out->len - before <= MILTER_FIELD_MAX && are_whole(span_skip(buf_span(out), before), true))
		return 0;
	bool is_long = out->len - before > MILTER_FIELD_MAX;
	out->len = before;
	return error_set(why, 0, is_long ? "the header field %.*s is longer than %d octets" : "the header field %.*s would break the header (its lines, or a control character)",
	                 SPAN_ARG(name), MILTER_FIELD_MAX);
}

/* ---- replies ---- */

int milter_reply_make(struct span text, struct buf *out, struct error *why)
{
	size_t before = out->len;
	if (text.len && text.ptr[text.len - 1] == 0)
		text.len--;
	text = without_line_ends(text);
	if (text.len < 3 || (text.ptr[0] != '4' && text.ptr[0] != '5') || text.ptr[1] < '0' || text.ptr[1] > '5' || !ascii_is_digit(text.ptr[2]) ||
	    (text.len > 3 && text.ptr[3] != ' ' && text.ptr[3] != '-'))
		return error_set(why, 0, "a reply that begins with no code from 400 to 559");
	struct span code = span_slice(text, 0, 3);
	buf_add(out, code);
	while (text.len) {
		ssize_t end = span_chr(text, '\n');
		struct span line = end < 0 ? text : span_slice(text, 0, (size_t)end);
		text = span_skip(text, end < 0 ? text.len : (size_t)end + 1);
		line = span_trim(span_starts_with(line, code) ? span_skip(line, line.len > 3 && line.ptr[3] == '-' ? 4 : 3) : line);
		if (line.len)
			buf_add_char(out, ' ');
		for (size_t i = 0; i < line.len && out->len - before < REPLY_MAX; i++)
			buf_add_char(out, line.ptr[i] < ' ' || line.ptr[i] > '~' ? '?' : line.ptr[i]);
	}
	if (out->len - before == 3)
		buf_add_cstr(out, out->ptr[before] == '4' ? " 4.7.1 Try again later" : " 5.7.1 Command rejected");
	out->len = out->len - before > REPLY_MAX ? before + REPLY_MAX : out->len;
	return 0;
}

/* ---- where it listens ---- */

static int unix_socket(struct span path, struct milter_socket *out, struct error *why)
{
	struct sockaddr_un *at = (struct sockaddr_un *)&out->address;
	if (path.len == 0 || path.ptr[0] != '/' || path.len >= sizeof at->sun_path || span_chr(path, 0) >= 0)
		return error_set(why, 0, "write unix: and a whole path of at most %zu characters behind it", sizeof at->sun_path - 1);
	at->sun_family = AF_UNIX;
	memcpy(at->sun_path, path.ptr, path.len);
	out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
	return 0;
}

static int inet_socket(struct span text, struct milter_socket *out, struct error *why)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&out->address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out->address;
	char host[INET6_ADDRSTRLEN];
	uint64_t port;
	ssize_t colon = span_rchr(text, ':');
	struct span address = span_slice(text, 0, colon < 0 ? 0 : (size_t)colon);
	bool is_six = address.len >= 2 && address.ptr[0] == '[' && address.ptr[address.len - 1] == ']';
	if (is_six)
		address = span_slice(address, 1, address.len - 2);
	if (colon < 0 || span_to_u64(span_skip(text, (size_t)colon + 1), 65535, &port) || port == 0 || address.len >= sizeof host || span_chr(address, 0) >= 0)
		return error_set(why, 0, "write inet:127.0.0.1:11332, or inet:[::1]:11332");
	snprintf(host, sizeof host, "%.*s", SPAN_ARG(address));
	if (is_six ? inet_pton(AF_INET6, host, &six->sin6_addr) != 1 : inet_pton(AF_INET, host, &four->sin_addr) != 1)
		return error_set(why, 0, "write an address and no name, as inet:127.0.0.1:11332 or inet:[::1]:11332");
	if (is_six) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)port);
	} else {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)port);
	}
	out->length = is_six ? sizeof *six : sizeof *four;
	return 0;
}

int milter_socket_parse(struct span text, struct milter_socket *out, struct error *why)
{
	*out = (struct milter_socket){0};
	if (span_starts_with(text, SPAN("unix:")))
		return unix_socket(span_skip(text, 5), out, why);
	if (span_starts_with(text, SPAN("inet:")))
		return inet_socket(span_skip(text, 5), out, why);
	return error_set(why, 0, "write inet:127.0.0.1:11332 or unix:/run/opendkim/opendkim.sock");
}
