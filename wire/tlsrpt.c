#include "wire/tlsrpt.h"

#include "wire/address.h"

enum { NAME_BYTES_MOST = 32 }; /* of a field: §3 */

const char *tlsrpt_result_name(enum tlsrpt_result result)
{
	static const char *const names[TLSRPT_RESULTS] = {
		"", "starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted", "validation-failure",
		"tlsa-invalid", "dnssec-invalid", "dane-required", "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"};
	return result < TLSRPT_RESULTS ? names[result] : "";
}

const char *tlsrpt_policy_type_name(enum tlsrpt_policy_type type)
{
	static const char *const names[TLSRPT_POLICY_TYPES] = {"no-policy-found", "tlsa", "sts"};
	return type < TLSRPT_POLICY_TYPES ? names[type] : "";
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
	while (s.len && is_space(s.ptr[0]))
		s = span_skip(s, 1);
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

/* ---- URIs ---- */

/* What RFC 3986 allows, less what the record's grammar wants encoded. */
static bool has_characters_of_uris(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || memchr("\"<>\\^`{|},!;", s.ptr[i], sizeof "\"<>\\^`{|},!;" - 1))
			return false;
	return true;
}

/* What follows "?" in a mailto: URI would be fields of the message (RFC 6068): nobody needs to choose ours. */
struct span tlsrpt_uri_address(struct span uri)
{
	if (!span_starts_with_nocase(uri, SPAN("mailto:")))
		return SPAN("");
	struct span address = span_skip(uri, sizeof "mailto:" - 1);
	ssize_t question = span_chr(address, '?');
	return question < 0 ? address : span_slice(address, 0, (size_t)question);
}

bool tlsrpt_uri_is_valid(struct span uri)
{
	struct address address;
	if (uri.len > TLSRPT_URI_BYTES_MOST || !has_characters_of_uris(uri))
		return false;
	if (span_starts_with_nocase(uri, SPAN("https://")))
		return uri.len > sizeof "https://" - 1 && span_chr(span_skip(uri, sizeof "https://" - 1), '@') < 0;
	struct span mailbox = tlsrpt_uri_address(uri);
	return span_chr(mailbox, '%') < 0 && mailbox.len && address_parse_mailbox(mailbox, 0, &address, NULL) == 0;
}

/* ---- the record ---- */

static bool is_record(struct span txt)
{
	struct span version = SPAN("v=TLSRPTv1");
	if (!span_starts_with(txt, version))
		return false;
	struct span rest = trim(span_skip(txt, version.len));
	return rest.len && rest.ptr[0] == ';';
}

static bool is_name(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		bool is_first_kind = ascii_is_alpha(s.ptr[i]) || ascii_is_digit(s.ptr[i]);
		if (!is_first_kind && (i == 0 || !memchr("_-.", s.ptr[i], 3)))
			return false;
	}
	return s.len > 0 && s.len <= NAME_BYTES_MOST;
}

/* "rua=" may have white space around its commas, and many have it elsewhere. */
static int read_rua(struct span list, struct span uris[TLSRPT_URIS_MOST])
{
	int count = 0;
	while (list.len && count < TLSRPT_URIS_MOST) {
		ssize_t comma = span_chr(list, ',');
		struct span uri = trim(comma < 0 ? list : span_slice(list, 0, (size_t)comma));
		if (tlsrpt_uri_is_valid(uri))
			uris[count++] = uri;
		list = comma < 0 ? SPAN("") : span_skip(list, (size_t)comma + 1);
	}
	return count;
}

static int parse_record(struct span txt, struct span uris[TLSRPT_URIS_MOST], struct error *why)
{
	struct span rest = span_skip(txt, (size_t)span_chr(txt, ';') + 1), rua = {0};
	while (trim(rest).len) {
		ssize_t end = span_chr(rest, ';');
		struct span field = trim(end < 0 ? rest : span_slice(rest, 0, (size_t)end));
		ssize_t equals = span_chr(field, '=');
		struct span name = span_slice(field, 0, equals < 0 ? 0 : (size_t)equals);
		if (!is_name(name))
			return error_set(why, 0, "its TXT record is malformed");
		if (span_equal(name, SPAN("rua")) && !rua.ptr)
			rua = span_skip(field, name.len + 1);
		rest = end < 0 ? SPAN("") : span_skip(rest, (size_t)end + 1);
	}
	int count = read_rua(rua, uris);
	return count ? count : error_set(why, 0, "its TXT record has no URI to report to");
}

int tlsrpt_find_uris(const struct span *records, size_t count, struct span uris[TLSRPT_URIS_MOST], struct error *why)
{
	const struct span *found = NULL;
	for (size_t i = 0; i < count; i++) {
		if (!is_record(records[i]))
			continue;
		if (found)
			return error_set(why, 0, "it has several TXT records");
		found = &records[i];
	}
	return found ? parse_record(*found, uris, why) : 0;
}
