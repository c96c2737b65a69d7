/* Writing is by jansson from values; so is reading, after `is_bounded` has counted what there is to read: a value of a few bytes becomes
 * some hundred in memory. */
#include "wire/tlsrpt_report.h"

#include "base/die.h"
#include "base/pack.h"
#include "wire/address.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	DEPTH_MOST = 16,       /* of the schema's: 6 */
	VALUES_MOST = 100000,  /* some 40 MB, at the worst */
	DETAILS_BYTES_MOST = 400,
	COUNT_MOST = 1000000000, /* of sessions, so that sums fit */
};

/* ---- writing ---- */

static void set_text(json_t *object, const char *key, struct span text)
{
	if (text.len)
		json_object_set_new(object, key, json_stringn(text.ptr, text.len));
}

static void set_time(json_t *object, const char *key, int64_t when_s)
{
	char text[32];
	struct tm tm;
	time_t t = (time_t)when_s;
	gmtime_r(&t, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm); /* RFC 3339 */
	json_object_set_new(object, key, json_string(text));
}

static json_t *strings_of(const struct tlsrpt_policy *p, struct span prefix)
{
	json_t *list = json_array();
	for (size_t i = 0; i < p->string_count; i++) {
		struct span text = p->strings[i];
		if (!span_starts_with(text, prefix))
			continue;
		text = span_trim(span_skip(text, prefix.len));
		json_array_append_new(list, json_stringn(text.ptr, text.len));
	}
	return list;
}

static json_t *policy_value(const struct tlsrpt_policy *p)
{
	json_t *policy = json_object();
	json_object_set_new(policy, "policy-type", json_string(tlsrpt_policy_type_name(p->type)));
	if (p->string_count)
		json_object_set_new(policy, "policy-string", strings_of(p, SPAN("")));
	set_text(policy, "policy-domain", p->domain);
	if (p->type == TLSRPT_STS && p->string_count)
		json_object_set_new(policy, "mx-host", strings_of(p, SPAN("mx:")));
	return policy;
}

static json_t *failure_value(const struct tlsrpt_failure *f)
{
	json_t *failure = json_object();
	set_text(failure, "result-type", span_cstr(tlsrpt_result_name(f->result)));
	set_text(failure, "sending-mta-ip", f->sending_ip);
	set_text(failure, "receiving-mx-hostname", f->mx_host);
	set_text(failure, "receiving-mx-helo", f->mx_helo);
	set_text(failure, "receiving-ip", f->receiving_ip);
	json_object_set_new(failure, "failed-session-count", json_integer((json_int_t)f->count));
	set_text(failure, "failure-reason-code", f->reason);
	return failure;
}

static json_t *of_policy(const struct tlsrpt_policy *p)
{
	json_t *value = json_object(), *summary = json_object(), *failures = json_array();
	json_object_set_new(value, "policy", policy_value(p));
	json_object_set_new(summary, "total-successful-session-count", json_integer((json_int_t)p->successes));
	json_object_set_new(summary, "total-failure-session-count", json_integer((json_int_t)p->failures));
	json_object_set_new(value, "summary", summary);
	for (size_t i = 0; i < p->detail_count; i++)
		json_array_append_new(failures, failure_value(&p->details[i]));
	if (p->detail_count)
		json_object_set_new(value, "failure-details", failures);
	else
		json_decref(failures);
	return value;
}

void tlsrpt_report_write(const struct tlsrpt_report *r, struct buf *out)
{
	json_t *report = json_object(), *range = json_object(), *policies = json_array();
	set_text(report, "organization-name", r->organization);
	set_time(range, "start-datetime", r->start_s);
	set_time(range, "end-datetime", r->end_s);
	json_object_set_new(report, "date-range", range);
	set_text(report, "contact-info", r->contact);
	set_text(report, "report-id", r->id);
	for (size_t i = 0; i < r->policy_count; i++)
		json_array_append_new(policies, of_policy(&r->policies[i]));
	json_object_set_new(report, "policies", policies);
	char *text = json_dumps(report, JSON_COMPACT);
	json_decref(report);
	if (!text)
		die("jansson writes no JSON");
	buf_add_cstr(out, text);
	free(text);
}

/* ---- reading ---- */

/* Counts as a reader of JSON would, whatever follows a fault. */
static bool is_bounded(struct span json)
{
	size_t depth = 0, values = 0;
	bool in_string = false;
	if (json.len > TLSRPT_JSON_BYTES_MOST)
		return false;
	for (size_t i = 0; i < json.len; i++) {
		char c = json.ptr[i];
		if (in_string) {
			i += c == '\\';
			in_string = c != '"';
			continue;
		}
		in_string = c == '"';
		bool is_opening = c == '{' || c == '[';
		depth += is_opening;
		depth -= (c == '}' || c == ']') && depth;
		values += is_opening || c == ',' || c == ':';
		if (depth > DEPTH_MOST || values > VALUES_MOST)
			return false;
	}
	return true;
}

/* What people read of it: never a way to steer their terminals. */
static struct span take_text(const json_t *object, const char *key, struct arena *a)
{
	const json_t *value = json_object_get(object, key);
	char text[TLSRPT_TEXT_BYTES_MOST];
	size_t len = value && json_is_string(value) ? json_string_length(value) : 0;
	for (size_t i = 0; i < len && i < sizeof text; i++) {
		char c = json_string_value(value)[i];
		text[i] = c < ' ' || c > '~' ? '?' : c;
	}
	return arena_dup(a, span_of(text, len < sizeof text ? len : sizeof text));
}

/* RFC 3339, as far as the seconds; a fraction and a zone other than Z are passed over: a day is a day. */
static int take_time(const json_t *object, const char *key, int64_t *out)
{
	const char *text = json_string_value(json_object_get(object, key));
	struct tm tm = {0};
	char t;
	if (!text || sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &t, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 7 || (t != 'T' && t != 't') || tm.tm_year < 1970)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*out = timegm(&tm);
	return *out < 0 ? -1 : 0;
}

static int take_count(const json_t *object, const char *key, uint64_t *out)
{
	const json_t *value = json_object_get(object, key);
	*out = 0;
	if (!value)
		return 0; /* some leave out what is none */
	if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > COUNT_MOST)
		return -1;
	*out = (uint64_t)json_integer_value(value);
	return 0;
}

struct tally {
	struct span domain;
	uint64_t by_result[TLSRPT_RESULTS];
};

static void count_failures(const json_t *list, struct tally *t)
{
	size_t i;
	json_t *failure;
	json_array_foreach(list, i, failure) {
		const char *type = json_string_value(json_object_get(failure, "result-type"));
		uint64_t count;
		for (unsigned r = TLSRPT_SUCCESS + 1; type && r < TLSRPT_RESULTS; r++)
			if (strcmp(type, tlsrpt_result_name(r)) == 0 && take_count(failure, "failed-session-count", &count) == 0 && t->by_result[r] < COUNT_MOST)
				t->by_result[r] += count;
	}
}

static struct span tell(const struct tally *t, struct arena *a)
{
	char text[DETAILS_BYTES_MOST] = "";
	size_t at = 0;
	for (unsigned r = TLSRPT_SUCCESS + 1; r < TLSRPT_RESULTS; r++)
		if (t->by_result[r])
			at += (size_t)snprintf(text + at, sizeof text - at, "%s%s %llu", at ? ", " : "", tlsrpt_result_name(r), (unsigned long long)t->by_result[r]);
	return arena_dup(a, span_cstr(text));
}

/* The place of a domain, perhaps a new one; -1: there is no more. */
static ssize_t place_of(struct tlsrpt_sums *sums, struct tally *tallies, struct span domain)
{
	for (size_t i = 0; i < sums->count; i++)
		if (span_equal(tallies[i].domain, domain))
			return (ssize_t)i;
	if (sums->count == TLSRPT_POLICIES_MOST)
		return -1;
	tallies[sums->count] = (struct tally){.domain = domain};
	sums->list[sums->count] = (struct tlsrpt_sum){.domain = domain};
	return (ssize_t)sums->count++;
}

static int read_policy(const json_t *value, struct tally *tallies, struct arena *a, struct tlsrpt_sums *out, struct error *why)
{
	const json_t *policy = json_object_get(value, "policy"), *summary = json_object_get(value, "summary");
	struct span name = take_text(policy, "policy-domain", a);
	BUF_AUTO domain = {0};
	uint64_t successes, failures;
	if (!domain_is_valid(name, 0) || domain_canonical(name, &domain, NULL) || domain.len > TLSRPT_TEXT_BYTES_MOST)
		return error_set(why, 0, "a policy has no policy-domain");
	if (take_count(summary, "total-successful-session-count", &successes) || take_count(summary, "total-failure-session-count", &failures))
		return error_set(why, 0, "a policy's counts are none");
	ssize_t at = place_of(out, tallies, arena_dup(a, buf_span(&domain)));
	if (at < 0)
		return 0;
	out->list[at].successes += successes;
	out->list[at].failures += failures;
	count_failures(json_object_get(value, "failure-details"), &tallies[at]);
	return 0;
}

static int read_report(const json_t *report, struct arena *a, struct tlsrpt_sums *out, struct error *why)
{
	const json_t *range = json_object_get(report, "date-range"), *policies = json_object_get(report, "policies");
	struct tally tallies[TLSRPT_POLICIES_MOST];
	size_t i;
	json_t *policy;
	out->organization = take_text(report, "organization-name", a);
	out->id = take_text(report, "report-id", a);
	if (!out->organization.len || !out->id.len)
		return error_set(why, 0, "it has no organization-name or report-id");
	if (take_time(range, "start-datetime", &out->start_s) || take_time(range, "end-datetime", &out->end_s))
		return error_set(why, 0, "it has no date-range");
	if (!json_is_array(policies) || json_array_size(policies) == 0)
		return error_set(why, 0, "it has no policies");
	json_array_foreach(policies, i, policy)
		if (i < VALUES_MOST && read_policy(policy, tallies, a, out, why))
			return -1;
	for (i = 0; i < out->count; i++)
		out->list[i].details = tell(&tallies[i], a);
	return 0;
}

int tlsrpt_report_read(struct span json, struct arena *a, struct tlsrpt_sums *out, struct error *why)
{
	json_error_t fault;
	*out = (struct tlsrpt_sums){0};
	if (!is_bounded(json))
		return error_set(why, 0, "it is larger or deeper than any report");
	json_t *report = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, &fault);
	if (!report)
		return error_at(why, (size_t)fault.position, 0, "it is no JSON: %.150s", fault.text);
	int bad = read_report(report, a, out, why);
	json_decref(report);
	return bad;
}

/* ---- sums as bytes ---- */

void tlsrpt_sums_pack(const struct tlsrpt_sums *s, struct buf *out)
{
	pack_bytes(out, s->signer);
	pack_bytes(out, s->organization);
	pack_bytes(out, s->id);
	pack_u64(out, (uint64_t)s->start_s);
	pack_u64(out, (uint64_t)s->end_s);
	pack_u8(out, (uint8_t)s->count);
	for (size_t i = 0; i < s->count; i++) {
		pack_bytes(out, s->list[i].domain);
		pack_u64(out, s->list[i].successes);
		pack_u64(out, s->list[i].failures);
		pack_bytes(out, s->list[i].details);
	}
}

int tlsrpt_sums_unpack(struct span packed, struct tlsrpt_sums *out)
{
	struct unpacker u = {.rest = packed};
	*out = (struct tlsrpt_sums){0};
	out->signer = unpack_bytes(&u, TLSRPT_TEXT_BYTES_MOST);
	out->organization = unpack_bytes(&u, TLSRPT_TEXT_BYTES_MOST);
	out->id = unpack_bytes(&u, TLSRPT_TEXT_BYTES_MOST);
	out->start_s = (int64_t)unpack_u64(&u);
	out->end_s = (int64_t)unpack_u64(&u);
	size_t count = unpack_u8(&u);
	if (count > TLSRPT_POLICIES_MOST || out->start_s < 0 || out->end_s < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct tlsrpt_sum *one = &out->list[out->count++];
		one->domain = unpack_bytes(&u, TLSRPT_TEXT_BYTES_MOST);
		one->successes = unpack_u64(&u);
		one->failures = unpack_u64(&u);
		one->details = unpack_bytes(&u, DETAILS_BYTES_MOST);
	}
	return unpack_done(&u) ? 0 : -1;
}
