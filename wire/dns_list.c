#include "wire/dns_list.h"

#include "wire/address.h"

static int read_octet(struct span part, unsigned char *least, unsigned char *most)
{
	uint64_t from, to;
	if (span_starts_with(part, SPAN("[")) && span_ends_with(part, SPAN("]"))) {
		struct span range = span_slice(part, 1, part.len - 2);
		ssize_t dots = span_find(range, SPAN(".."));
		if (dots < 0 || span_to_u64(span_slice(range, 0, (size_t)dots), 255, &from) || span_to_u64(span_skip(range, (size_t)dots + 2), 255, &to) || from > to)
			return -1;
	} else if (span_to_u64(part, 255, &from)) {
		return -1;
	} else {
		to = from;
	}
	*least = (unsigned char)from;
	*most = (unsigned char)to;
	return 0;
}

/* Four octets with dots between; those within brackets are part of a range. */
static int read_answer(struct span answer, struct dns_list *out)
{
	for (size_t i = 0; i < 4; i++) {
		size_t n = 0;
		bool is_inside = false;
		while (n < answer.len && (is_inside || answer.ptr[n] != '.')) {
			is_inside = answer.ptr[n] == '[' || (is_inside && answer.ptr[n] != ']');
			n++;
		}
		if ((i < 3) != (n < answer.len) || read_octet(span_slice(answer, 0, n), &out->least[i], &out->most[i]))
			return -1;
		answer = span_skip(answer, n + 1);
	}
	return 0;
}

static int read_weight(struct span text, int *out)
{
	bool is_negative = span_starts_with(text, SPAN("-"));
	uint64_t number;
	if (span_to_u64(span_skip(text, is_negative), 100, &number))
		return -1;
	*out = is_negative ? -(int)number : (int)number;
	return 0;
}

int dns_list_parse(struct span word, struct dns_list *out, struct error *why)
{
	*out = (struct dns_list){.least = {127, 0, 0, 2}, .most = {127, 0, 0, 254}, .weight = 1};
	ssize_t star = span_rchr(word, '*');
	if (star >= 0 && read_weight(span_skip(word, (size_t)star + 1), &out->weight))
		return error_set(why, 0, "\"%.*s\": a weight is a number from -100 to 100", SPAN_ARG(span_slice(word, 0, 80)));
	struct span rest = star < 0 ? word : span_slice(word, 0, (size_t)star);
	ssize_t equals = span_chr(rest, '=');
	if (equals >= 0 && read_answer(span_skip(rest, (size_t)equals + 1), out))
		return error_set(why, 0, "\"%.*s\": an answer looks like 127.0.0.2 or 127.0.0.[2..11]", SPAN_ARG(span_slice(word, 0, 80)));
	out->zone = equals < 0 ? rest : span_slice(rest, 0, (size_t)equals);
	if (!domain_is_valid(out->zone, 0) || out->zone.len > 180)
		return error_set(why, 0, "\"%.*s\" is no domain name", SPAN_ARG(span_slice(out->zone, 0, 80)));
	return 0;
}

bool dns_list_counts(const struct dns_list *l, struct span address)
{
	for (size_t i = 0; i < 4 && address.len == 4; i++) {
		unsigned char octet = (unsigned char)address.ptr[i];
		if (octet < l->least[i] || octet > l->most[i])
			return false;
	}
	return address.len == 4;
}
