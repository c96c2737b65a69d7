#include "wire/mta_sts.h"

#include "wire/address.h"

enum { NAME_BYTES_MOST = 32 }; /* of a field: §3.1, §3.2 */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim_end(struct span s)
{
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static struct span trim(struct span s)
{
	while (s.len && is_space(s.ptr[0]))
		s = span_skip(s, 1);
	return trim_end(s);
}

static bool is_alphanumeric(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* sts-ext-name, sts-policy-ext-name */
static bool is_name(struct span s)
{
	if (s.len == 0 || s.len > NAME_BYTES_MOST || !is_alphanumeric(s.ptr[0]))
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!is_alphanumeric(s.ptr[i]) && s.ptr[i] != '_' && s.ptr[i] != '-' && s.ptr[i] != '.')
			return false;
	return true;
}

/* ---- the record (§3.1) ---- */

bool mta_sts_id_is_valid(struct span id)
{
	for (size_t i = 0; i < id.len; i++)
		if (!is_alphanumeric(id.ptr[i]))
			return false;
	return id.len > 0 && id.len <= MTA_STS_ID_BYTES_MOST;
}

/* It begins with "v=STSv1;": others are not looked at. */
static bool is_record(struct span txt)
{
	struct span version = SPAN("v=STSv1");
	return span_starts_with(txt, version) && span_starts_with(trim(span_skip(txt, version.len)), SPAN(";"));
}

/* sts-ext-value */
static bool is_record_value(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '!' || s.ptr[i] > '~' || s.ptr[i] == ';' || s.ptr[i] == '=')
			return false;
	return s.len > 0;
}

static int parse_record(struct span txt, struct span *id, struct error *why)
{
	struct span rest = span_skip(txt, (size_t)span_chr(txt, ';') + 1);
	*id = (struct span){0};
	while (trim(rest).len) {
		ssize_t end = span_chr(rest, ';');
		struct span field = trim(end < 0 ? rest : span_slice(rest, 0, (size_t)end));
		ssize_t equals = span_chr(field, '=');
		struct span name = span_slice(field, 0, equals < 0 ? 0 : (size_t)equals), value = span_skip(field, name.len + 1);
		if (!is_name(name) || !is_record_value(value))
			return error_set(why, 0, "its TXT record is malformed");
		if (span_equal(name, SPAN("id")) && !id->ptr)
			*id = value;
		rest = end < 0 ? SPAN("") : span_skip(rest, (size_t)end + 1);
	}
	return mta_sts_id_is_valid(*id) ? 1 : error_set(why, 0, "its TXT record has no id of letters and digits");
}

int mta_sts_find_id(const struct span *records, size_t count, struct span *id, struct error *why)
{
	const struct span *found = NULL;
	for (size_t i = 0; i < count; i++) {
		if (!is_record(records[i]))
			continue;
		if (found)
			return error_set(why, 0, "it has several TXT records");
		found = &records[i];
	}
	return found ? parse_record(*found, id, why) : 0;
}

/* ---- the policy (§3.2) ---- */

/* Takes a line off the front, without its end. */
static struct span take_line(struct span *rest)
{
	ssize_t end = span_chr(*rest, '\n');
	struct span line = end < 0 ? *rest : span_slice(*rest, 0, (size_t)end);
	*rest = span_skip(*rest, end < 0 ? line.len : line.len + 1);
	if (end >= 0 && span_ends_with(line, SPAN("\r")))
		line.len--;
	return trim_end(line);
}

/* False if the line is no field. */
static bool split_field(struct span line, struct span *name, struct span *value)
{
	ssize_t colon = span_chr(line, ':');
	*name = span_slice(line, 0, colon < 0 ? 0 : (size_t)colon);
	*value = trim(span_skip(line, name->len + 1));
	for (size_t i = 0; i < value->len; i++)
		if ((unsigned char)value->ptr[i] < ' ' || value->ptr[i] == 0x7f)
			return false;
	return is_name(*name);
}

static bool is_pattern(struct span s)
{
	struct span name = span_starts_with(s, SPAN("*.")) ? span_skip(s, 2) : s;
	return name.len <= 253 && domain_is_valid(name, 0);
}

static int read_mode(struct span value, enum mta_sts_mode *out)
{
	static const char *const modes[] = {[MTA_STS_NONE] = "none", [MTA_STS_TESTING] = "testing", [MTA_STS_ENFORCE] = "enforce"};
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (span_equal(value, span_cstr(modes[i]))) {
			*out = (enum mta_sts_mode)i;
			return 0;
		}
	return -1;
}

/* max_age: one to ten digits */
static int read_max_age(struct span value, uint32_t *out)
{
	uint64_t seconds;
	if (span_to_u64(value, 9999999999, &seconds))
		return -1;
	*out = seconds < MTA_STS_MAX_AGE_MOST_S ? (uint32_t)seconds : MTA_STS_MAX_AGE_MOST_S;
	return 0;
}

int mta_sts_policy_parse(struct span text, struct mta_sts_policy *out, struct error *why)
{
	bool has_version = false, has_mode = false, has_max_age = false, has_mx = false;
	*out = (struct mta_sts_policy){.text = text};
	if (text.len > MTA_STS_POLICY_BYTES_MOST)
		return error_set(why, 0, "it has more than %d bytes", MTA_STS_POLICY_BYTES_MOST);
	for (struct span rest = text, name, value; rest.len;) {
		size_t offset = text.len - rest.len;
		struct span line = take_line(&rest);
		if (line.len == 0)
			continue; /* the grammar has no empty lines, but the files of some sites end with one */
		if (!split_field(line, &name, &value))
			return error_at(why, offset, 0, "it has a line that is no field");
		if (span_equal(name, SPAN("mx"))) {
			if (!is_pattern(value))
				return error_at(why, offset, 0, "it has an mx that is no name of a host");
			has_mx = true;
		} else if (span_equal(name, SPAN("version")) && !has_version) {
			if (!span_equal(value, SPAN("STSv1")))
				return error_at(why, offset, 0, "its version is not STSv1");
			has_version = true;
		} else if (span_equal(name, SPAN("mode")) && !has_mode) {
			if (read_mode(value, &out->mode))
				return error_at(why, offset, 0, "its mode is none of enforce, testing and none");
			has_mode = true;
		} else if (span_equal(name, SPAN("max_age")) && !has_max_age) {
			if (read_max_age(value, &out->max_age_s))
				return error_at(why, offset, 0, "its max_age is no number of seconds");
			has_max_age = true;
		}
	}
	if (!has_version || !has_mode || !has_max_age)
		return error_set(why, 0, "it has no %s", !has_version ? "version" : !has_mode ? "mode" : "max_age");
	if (!has_mx && out->mode != MTA_STS_NONE)
		return error_set(why, 0, "it names no mx");
	return 0;
}

static bool matches(struct span pattern, struct span host)
{
	if (span_starts_with(pattern, SPAN("*."))) {
		ssize_t dot = span_chr(host, '.');
		if (dot <= 0)
			return false;
		pattern = span_skip(pattern, 2);
		host = span_skip(host, (size_t)dot + 1);
	}
	return span_equal_nocase(pattern, host);
}

bool mta_sts_policy_has(const struct mta_sts_policy *p, struct span host)
{
	for (struct span rest = p->text, name, value; rest.len;)
		if (split_field(take_line(&rest), &name, &value) && span_equal(name, SPAN("mx")) && matches(value, host))
			return true;
	return false;
}
