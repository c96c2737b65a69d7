#include "auth/arc_sign.h"

#include "auth/dkim.h"

void arc_choose_names(const struct dkim_fields *f, struct buf *out)
{
	size_t signatures = 0;
	dkim_choose_names(f, out);
	for (size_t i = 0; i < f->count && signatures < DKIM_SIGNATURES_MOST; i++)
		if (span_equal_nocase(f->list[i].name, SPAN("DKIM-Signature"))) {
			buf_add_cstr(out, ":DKIM-Signature");
			signatures++;
		}
}

/* A value that is folded as RFC 5322 §2.2.3 has it, and so is one field and no more. */
static bool is_folded(struct span value)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		bool is_fold = c == '\r' && i + 2 < value.len && value.ptr[i + 1] == '\n' && (value.ptr[i + 2] == ' ' || value.ptr[i + 2] == '\t');
		if (!c || c == '\n' || (c == '\r' && !is_fold))
			return false;
		i += is_fold;
	}
	return true;
}

int arc_request_check(const struct arc_request *r, struct span hostname, struct error *why)
{
	bool is_first = r->status == ARC_NONE;
	if (!r->instance || r->instance > ARC_SETS_MOST || is_first != (r->instance == 1))
		return error_set(why, 0, "the instance is not one that this status has");
	if (r->status == ARC_PASS ? !arc_sets_are_canonical(r->sets, r->instance - 1) : r->sets.len > 0)
		return error_set(why, 0, "the sets before are not the chain's");
	if (!span_starts_with(r->results, hostname) || !span_starts_with(span_skip(r->results, hostname.len), SPAN(";")) || !is_folded(r->results))
		return error_set(why, 0, "the results are not ours");
	if (r->body_hash.len != 32 || !is_folded(r->header_names) || (r->fields.len && !span_ends_with(r->fields, SPAN("\r\n"))))
		return error_set(why, 0, "no fields and body that are signed");
	return 0;
}

static int sign_field(EVP_PKEY *key, struct span before, struct span field, struct buf *signature)
{
	BUF_AUTO data = {0};
	buf_add(&data, before);
	dkim_canonical_field(DKIM_RELAXED, field, &data);
	data.len -= 2; /* CR LF: RFC 6376 §3.7 */
	return dkim_sign_bytes(key, buf_span(&data), signature);
}

int arc_sign(const struct arc_request *r, EVP_PKEY *key, struct buf *out)
{
	BUF_AUTO results = {0}, message = {0}, seal = {0}, unsigned_field = {0}, sets = {0}, message_signature = {0}, seal_signature = {0};
	struct arc_new n = {.instance = r->instance, .status = r->status, .domain = r->domain, .selector = r->selector, .time_s = r->now_s,
	                    .results = r->results, .header_names = r->header_names, .body_hash = r->body_hash};
	arc_build_results(&n, &results);
	arc_build_message(&n, &unsigned_field);
	if (sign_field(key, r->fields, buf_span(&unsigned_field), &message_signature))
		return -1;
	n.signature = buf_span(&message_signature);
	arc_build_message(&n, &message);
	struct arc_set set = {.results = buf_span(&results), .message = buf_span(&message)};
	buf_add(&sets, r->sets);
	arc_set_canonical(&set, false, &sets);
	n.signature = SPAN("");
	buf_clear(&unsigned_field);
	arc_build_seal(&n, &unsigned_field);
	if (sign_field(key, buf_span(&sets), buf_span(&unsigned_field), &seal_signature))
		return -1;
	n.signature = buf_span(&seal_signature);
	arc_build_seal(&n, &seal);
	buf_add(out, buf_span(&seal));
	buf_add(out, buf_span(&message));
	buf_add(out, buf_span(&results));
	return 0;
}
