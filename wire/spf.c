/* Records: terms one by one, none let pass that the grammar of RFC 7208 §12 does not have. */
#include "wire/spf.h"

#include <arpa/inet.h>

static const struct {
	const char *name;
	enum spf_mechanism mechanism;
	enum { NO_DOMAIN, MAY_HAVE_DOMAIN, NEEDS_DOMAIN } domain;
	bool has_prefix;
} mechanisms[] = {
	{"all", SPF_ALL, NO_DOMAIN, false}, {"include", SPF_INCLUDE, NEEDS_DOMAIN, false}, {"a", SPF_A, MAY_HAVE_DOMAIN, true},
	{"mx", SPF_MX, MAY_HAVE_DOMAIN, true}, {"ptr", SPF_PTR, MAY_HAVE_DOMAIN, false}, {"ip4", SPF_IP4, NO_DOMAIN, true},
	{"ip6", SPF_IP6, NO_DOMAIN, true}, {"exists", SPF_EXISTS, NEEDS_DOMAIN, false},
};

bool spf_is_record(struct span txt)
{
	return span_starts_with_nocase(txt, SPAN("v=spf1")) && (txt.len == 6 || txt.ptr[6] == ' ');
}

static bool is_alphanum(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* toplabel: a letter or a hyphen in it, and a letter or a digit at both ends. */
static bool is_top_label(struct span s)
{
	bool has_letter = false;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_alphanum(s.ptr[i]) && s.ptr[i] != '-')
			return false;
		has_letter |= !ascii_is_digit(s.ptr[i]);
	}
	return s.len && has_letter && s.ptr[0] != '-' && s.ptr[s.len - 1] != '-';
}

/* domain-end is a macro, or a dot and a top label. */
static bool ends_as_a_domain(struct span s)
{
	ssize_t percent = span_rchr(s, '%');
	if (percent >= 0) {
		struct span last = span_skip(s, (size_t)percent);
		if (last.len == 2 && (last.ptr[1] == '_' || last.ptr[1] == '-'))
			return true;
		ssize_t close = span_chr(last, '}');
		if (last.len > 1 && last.ptr[1] == '{' && close == (ssize_t)last.len - 1)
			return true;
		if (last.len == 1)
			return percent > 0 && s.ptr[percent - 1] == '%'; /* "%%" */
	}
	if (s.len && s.ptr[s.len - 1] == '.')
		s.len--;
	ssize_t dot = span_rchr(s, '.');
	return dot >= 0 && is_top_label(span_skip(s, (size_t)dot + 1));
}

static bool is_macro_string(struct span s)
{
	static const struct spf_macros nothing;
	BUF_AUTO ignored = {0};
	return spf_expand(s, &nothing, false, &ignored) == 0;
}

static bool is_domain_spec(struct span s)
{
	return is_macro_string(s) && ends_as_a_domain(s);
}

/* Takes "SLASHES 1*3DIGIT" off the end of *rest. 1 if it was there, 0 if not, -1 if the number is none that may be. */
static int take_prefix(struct span *rest, struct span slashes, unsigned most, unsigned *bits)
{
	size_t digits = 0;
	uint64_t number;
	while (digits < rest->len && ascii_is_digit(rest->ptr[rest->len - 1 - digits]))
		digits++;
	struct span before = span_slice(*rest, 0, rest->len - digits), number_text = span_skip(*rest, before.len);
	if (!digits || !span_ends_with(before, slashes))
		return 0;
	if (span_to_u64(number_text, most, &number) || (digits > 1 && number_text.ptr[0] == '0'))
		return -1;
	*bits = (unsigned)number;
	*rest = span_slice(before, 0, before.len - slashes.len);
	return 1;
}

static int read_address(struct spf_term *t, struct span value)
{
	char text[INET6_ADDRSTRLEN];
	bool is_v4 = t->mechanism == SPF_IP4;
	if (take_prefix(&value, SPAN("/"), is_v4 ? 32 : 128, is_v4 ? &t->prefix4 : &t->prefix6) < 0 || value.len >= sizeof text)
		return -1;
	memcpy(text, value.ptr, value.len);
	text[value.len] = 0;
	return inet_pton(is_v4 ? AF_INET : AF_INET6, text, t->address) == 1 ? 0 : -1;
}

/* What stands behind a mechanism's name: [":" domain-spec] [prefixes]. */
static int read_arguments(struct spf_term *t, size_t which, struct span rest)
{
	if (mechanisms[which].has_prefix &&
	    (take_prefix(&rest, SPAN("//"), 128, &t->prefix6) < 0 || take_prefix(&rest, SPAN("/"), 32, &t->prefix4) < 0))
		return -1;
	if (!rest.len)
		return mechanisms[which].domain == NEEDS_DOMAIN ? -1 : 0;
	if (rest.ptr[0] != ':' || mechanisms[which].domain == NO_DOMAIN)
		return -1;
	t->domain = span_skip(rest, 1);
	return is_domain_spec(t->domain) ? 0 : -1;
}

static int bad_term(struct span term, struct error *why)
{
	return error_set(why, 0, "bad term \"%.*s\"", SPAN_ARG(span_slice(term, 0, 80)));
}

static int read_mechanism(struct span term, struct span name, struct spf_term *out, struct error *why)
{
	*out = (struct spf_term){.qualifier = '+', .prefix4 = 32, .prefix6 = 128, .text = term};
	if (span_chr(SPAN("+-~?"), term.ptr[0]) >= 0)
		out->qualifier = term.ptr[0];
	for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
		if (!span_equal_nocase(name, span_cstr(mechanisms[i].name)))
			continue;
		struct span rest = span_of(name.ptr + name.len, term.len - (size_t)(name.ptr + name.len - term.ptr));
		out->mechanism = mechanisms[i].mechanism;
		bool is_address = out->mechanism == SPF_IP4 || out->mechanism == SPF_IP6;
		if (is_address ? rest.len < 2 || rest.ptr[0] != ':' || read_address(out, span_skip(rest, 1)) : read_arguments(out, i, rest))
			return bad_term(term, why);
		return 0;
	}
	return error_set(why, 0, "unknown mechanism \"%.*s\"", SPAN_ARG(span_slice(term, 0, 80)));
}

/* §6: of redirect= and exp= at most one each; others are let pass if they are macro strings. */
static int read_modifier(struct span term, struct span name, struct spf_record *out, struct error *why)
{
	struct span value = span_skip(term, name.len + 1);
	bool is_redirect = span_equal_nocase(name, SPAN("redirect")), is_explanation = span_equal_nocase(name, SPAN("exp"));
	if (!is_redirect && !is_explanation)
		return is_macro_string(value) ? 0 : bad_term(term, why);
	struct span *to = is_redirect ? &out->redirect : &out->explanation;
	if (to->len)
		return error_set(why, 0, "%.*s= stands twice", SPAN_ARG(name));
	if (!is_domain_spec(value))
		return bad_term(term, why);
	*to = value;
	return 0;
}

static int read_term(struct span term, struct spf_record *out, struct error *why)
{
	struct span name = term;
	bool has_qualifier = span_chr(SPAN("+-~?"), term.ptr[0]) >= 0;
	if (has_qualifier)
		name = span_skip(name, 1);
	size_t n = 0;
	while (n < name.len && (is_alphanum(name.ptr[n]) || name.ptr[n] == '-' || name.ptr[n] == '_' || name.ptr[n] == '.'))
		n++;
	char next = n < name.len ? name.ptr[n] : 0;
	name.len = n;
	if (!n || !ascii_is_alpha(name.ptr[0]))
		return bad_term(term, why);
	if (next == '=')
		return has_qualifier ? bad_term(term, why) : read_modifier(term, name, out, why);
	if (out->count == SPF_TERMS_MOST)
		return error_set(why, 0, "too many terms");
	if (read_mechanism(term, name, &out->terms[out->count], why))
		return -1;
	out->count++;
	return 0;
}

int spf_parse(struct span txt, struct spf_record *out, struct error *why)
{
	struct span rest = span_skip(txt, 6);
	out->count = 0;
	out->redirect = out->explanation = (struct span){0};
	for (size_t i = 0; i < txt.len; i++)
		if ((unsigned char)txt.ptr[i] < 32 || (unsigned char)txt.ptr[i] > 126)
			return error_set(why, 0, "a byte that no record may have");
	while (rest.len) {
		ssize_t space = span_chr(rest, ' ');
		struct span term = space < 0 ? rest : span_slice(rest, 0, (size_t)space);
		rest = span_skip(rest, term.len + 1);
		if (term.len && read_term(term, out, why))
			return -1;
	}
	return 0;
}
