/* check_host(): one term after the other, each DNS question by itself.
 *
 *   load a domain's record -> its terms -> (ask, on an answer: match or the next term) -> a frame's outcome
 *   include pushes a frame, whose outcome decides the term below it (§5.2); redirect loads another record into the frame (§6.1) */
#include "auth/spf.h"

#include "auth/spf_name.h"
#include "base/arena.h"
#include "base/die.h"
#include "wire/address.h"
#include "wire/spf.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	LOOKUPS_MOST = 10,     /* §4.6.4: terms that ask the DNS */
	VOIDS_MOST = 2,
	HOSTS_MOST = 10,       /* of one mx */
	FRAMES_MOST = LOOKUPS_MOST + 2,
	EXPLANATION_MOST = 400,
};

struct frame {
	struct span domain;
	struct buf txt;
	struct spf_record record;
	size_t term;
	bool is_redirected;
};

struct spf_check {
	struct dns_client *dns;
	struct arena memory;
	unsigned char ip[16];
	bool has_address;
	struct span address;       /* of `ip`: four or sixteen bytes */
	struct spf_macros macros;  /* domain is the frame's */
	struct frame *frames[FRAMES_MOST];
	size_t depth;
	unsigned lookups, voids;
	struct dns_question *question;
	struct span hosts[HOSTS_MOST]; /* of the mx at hand */
	size_t host_count, host_at;
	struct spf_names names;
	bool has_names;
	void (*then)(struct spf_check *c); /* once the names are there */
	struct span explanation;   /* a macro string, in the arena: from the DNS */
	struct spf_result result;
	loop_fn *done;
	void *context;
};

static void run(struct spf_check *c);
static void load(struct spf_check *c);

static struct frame *top(struct spf_check *c)
{
	return c->frames[c->depth - 1];
}

static void conclude(struct spf_check *c, enum auth_outcome outcome, const char *reason)
{
	c->result.outcome = outcome;
	c->result.reason = reason;
	c->done(c->context);
}

/* ---- the target of a term ---- */

static void on_names(void *context)
{
	struct spf_check *c = context;
	c->has_names = true;
	c->then(c);
}

/* Calls then(c), with the client's validated names if the macro string wants one. */
static void with_names(struct spf_check *c, struct span text, void (*then)(struct spf_check *c))
{
	if (c->has_names || !spf_uses_macro(text, 'p')) {
		then(c);
		return;
	}
	c->then = then;
	spf_names_start(&c->names, c->dns, c->address, on_names, c);
}

static int expand(struct spf_check *c, struct span text, bool is_explanation, struct buf *out)
{
	c->macros.domain = top(c)->domain;
	c->macros.validated_name = c->has_names ? spf_names_best(&c->names, top(c)->domain) : SPAN("unknown");
	return spf_expand(text, &c->macros, is_explanation, out);
}

/* The domain that a term names, in the arena: the frame's own if it names none. §7.3: cut from the left to fit. */
static struct span target_of(struct spf_check *c, struct span domain_spec)
{
	BUF_AUTO out = {0};
	if (!domain_spec.len)
		return top(c)->domain;
	if (expand(c, domain_spec, false, &out))
		return SPAN(""); /* no name: NXDOMAIN */
	struct span name = buf_span(&out);
	if (name.len && name.ptr[name.len - 1] == '.')
		name.len--;
	while (name.len > SPF_DOMAIN_MOST) {
		ssize_t dot = span_chr(name, '.');
		name = dot < 0 ? SPAN("") : span_skip(name, (size_t)dot + 1);
	}
	return arena_dup(&c->memory, name);
}

/* ---- outcomes ---- */

static void on_explained(void *context, const struct dns_answer *answer);

static void ask_explanation(struct spf_check *c)
{
	c->question = c->dns->ask(c->dns, DNS_TXT, target_of(c, top(c)->record.explanation), on_explained, c);
}

static void finish_explanation(struct spf_check *c)
{
	BUF_AUTO out = {0};
	if (expand(c, c->explanation, true, &out) == 0)
		c->result.explanation = arena_dup(&c->memory, span_slice(buf_span(&out), 0, EXPLANATION_MOST));
	conclude(c, AUTH_FAIL, "");
}

/* §6.2: anything wrong with it, and there is none. */
static void on_explained(void *context, const struct dns_answer *answer)
{
	struct spf_check *c = context;
	c->question = NULL;
	if (answer->outcome != DNS_ANSWER || answer->count != 1) {
		conclude(c, AUTH_FAIL, "");
		return;
	}
	c->explanation = arena_dup(&c->memory, answer->records[0]);
	with_names(c, c->explanation, finish_explanation);
}

static void pop(struct spf_check *c)
{
	buf_free(&top(c)->txt);
	free(top(c));
	c->depth--;
}

/* The frame on top has come to its outcome. */
static void end_frame(struct spf_check *c, enum auth_outcome outcome, const char *reason);

static void matched(struct spf_check *c, const struct spf_term *t)
{
	if (c->depth == 1)
		c->result.term = arena_dup(&c->memory, t->text);
	end_frame(c, t->qualifier == '+' ? AUTH_PASS : t->qualifier == '-' ? AUTH_FAIL : t->qualifier == '~' ? AUTH_SOFTFAIL : AUTH_NEUTRAL, "");
}

static void next_term(struct spf_check *c)
{
	top(c)->term++;
	run(c);
}

static void end_frame(struct spf_check *c, enum auth_outcome outcome, const char *reason)
{
	while (c->depth > 1 && (outcome == AUTH_TEMPERROR || outcome == AUTH_PERMERROR))
		pop(c); /* §5.2: errors go through */
	if (c->depth > 1) {
		pop(c);
		const struct spf_term *include = &top(c)->record.terms[top(c)->term];
		if (outcome == AUTH_PASS)
			matched(c, include);
		else
			next_term(c);
		return;
	}
	if (outcome == AUTH_FAIL && top(c)->record.explanation.len)
		with_names(c, top(c)->record.explanation, ask_explanation);
	else
		conclude(c, outcome, reason);
}

/* ---- records ---- */

/* §4.5: exactly one of the records. NULL with *count: how many there were. */
static const struct span *select_record(const struct dns_answer *answer, size_t *count)
{
	const struct span *found = NULL;
	*count = 0;
	for (size_t i = 0; answer->outcome == DNS_ANSWER && i < answer->count; i++) {
		if (!spf_is_record(answer->records[i]))
			continue;
		found = &answer->records[i];
		++*count;
	}
	return *count == 1 ? found : NULL;
}

static void on_record(void *context, const struct dns_answer *answer)
{
	struct spf_check *c = context;
	struct frame *f = top(c);
	struct error why = {0};
	size_t count;
	const struct span *record = select_record(answer, &count);
	c->question = NULL;
	if (answer->outcome == DNS_LATER) {
		end_frame(c, AUTH_TEMPERROR, "the record cannot be had");
		return;
	}
	if (!record) {
		bool is_first = c->depth == 1 && !f->is_redirected;
		end_frame(c, count == 0 && is_first ? AUTH_NONE : AUTH_PERMERROR, count ? "more than one record" : "no record");
		return;
	}
	buf_clear(&f->txt);
	buf_add(&f->txt, *record);
	f->term = 0;
	if (spf_parse(buf_span(&f->txt), &f->record, &why)) {
		struct span text = arena_dup(&c->memory, span_cstr(why.text));
		end_frame(c, AUTH_PERMERROR, text.ptr);
		return;
	}
	run(c);
}

static void load(struct spf_check *c)
{
	c->question = c->dns->ask(c->dns, DNS_TXT, top(c)->domain, on_record, c);
}

static void push(struct spf_check *c, struct span domain)
{
	struct frame *f = xcalloc(1, sizeof *f);
	f->domain = domain;
	c->frames[c->depth++] = f;
}

/* ---- terms ---- */

static bool has_prefix(struct span a, const unsigned char *b, unsigned bits)
{
	const unsigned char *bytes = (const unsigned char *)a.ptr;
	if (bits / 8 && memcmp(bytes, b, bits / 8))
		return false;
	unsigned rest = bits % 8;
	return !rest || (bytes[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

/* True if one of the address records is the client's, by the term's prefix. */
static bool has_client(const struct spf_check *c, const struct spf_term *t, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		if (answer->records[i].len == c->address.len &&
		    has_prefix(c->address, (const unsigned char *)answer->records[i].ptr, c->macros.is_ipv6 ? t->prefix6 : t->prefix4))
			return true;
	return false;
}

static const struct spf_term *term(struct spf_check *c)
{
	return &top(c)->record.terms[top(c)->term];
}

/* What every answer to a term's first question goes through: true if the check has ended. */
static bool ends_check(struct spf_check *c, const struct dns_answer *answer)
{
	c->question = NULL;
	if (answer->outcome == DNS_LATER) {
		end_frame(c, AUTH_TEMPERROR, "the DNS does not answer");
		return true;
	}
	if (answer->count == 0 && ++c->voids > VOIDS_MOST) {
		end_frame(c, AUTH_PERMERROR, "too many DNS lookups without an answer");
		return true;
	}
	return false;
}

static void on_a(void *context, const struct dns_answer *answer)
{
	struct spf_check *c = context;
	if (ends_check(c, answer))
		return;
	if (has_client(c, term(c), answer))
		matched(c, term(c));
	else
		next_term(c);
}

static void on_exists(void *context, const struct dns_answer *answer)
{
	struct spf_check *c = context;
	if (ends_check(c, answer))
		return;
	if (answer->count)
		matched(c, term(c));
	else
		next_term(c);
}

static enum dns_type address_type(const struct spf_check *c)
{
	return c->macros.is_ipv6 ? DNS_AAAA : DNS_A;
}

static void ask_next_host(struct spf_check *c);

static void on_host(void *context, const struct dns_answer *answer)
{
	struct spf_check *c = context;
	c->question = NULL;
	if (answer->outcome == DNS_LATER)
		end_frame(c, AUTH_TEMPERROR, "the DNS does not answer");
	else if (has_client(c, term(c), answer))
		matched(c, term(c));
	else
		ask_next_host(c);
}

static void ask_next_host(struct spf_check *c)
{
	if (c->host_at == c->host_count)
		next_term(c);
	else
		c->question = c->dns->ask(c->dns, address_type(c), c->hosts[c->host_at++], on_host, c);
}

static void on_mx(void *context, const struct dns_answer *answer)
{
	struct spf_check *c = context;
	if (ends_check(c, answer))
		return;
	if (answer->count > HOSTS_MOST) {
		end_frame(c, AUTH_PERMERROR, "too many mail exchangers");
		return;
	}
	c->host_count = c->host_at = 0;
	for (size_t i = 0; i < answer->count; i++)
		c->hosts[c->host_count++] = arena_dup(&c->memory, span_skip(answer->records[i], 2));
	ask_next_host(c);
}

static void on_ptr(struct spf_check *c)
{
	if (c->names.is_void && ++c->voids > VOIDS_MOST)
		end_frame(c, AUTH_PERMERROR, "too many DNS lookups without an answer");
	else if (spf_names_fit(&c->names, target_of(c, term(c)->domain)))
		matched(c, term(c));
	else
		next_term(c);
}

/* The term at hand, whose macros can be expanded now. */
static void ask_term(struct spf_check *c)
{
	const struct spf_term *t = term(c);
	struct span target = target_of(c, t->domain);
	switch (t->mechanism) {
	case SPF_INCLUDE:
		push(c, target);
		load(c);
		return;
	case SPF_A: c->question = c->dns->ask(c->dns, address_type(c), target, on_a, c); return;
	case SPF_MX: c->question = c->dns->ask(c->dns, DNS_MX, target, on_mx, c); return;
	case SPF_EXISTS: c->question = c->dns->ask(c->dns, DNS_A, target, on_exists, c); return;
	case SPF_PTR: with_names(c, SPAN("%{p}"), on_ptr); return;
	case SPF_ALL: case SPF_IP4: case SPF_IP6: return; /* ask nothing */
	}
}

/* §4.6.4. True if there was one too many. */
static bool is_one_too_many(struct spf_check *c)
{
	if (++c->lookups <= LOOKUPS_MOST)
		return false;
	end_frame(c, AUTH_PERMERROR, "too many DNS lookups");
	return true;
}

static void redirect(struct spf_check *c)
{
	struct frame *f = top(c);
	f->domain = target_of(c, f->record.redirect);
	f->is_redirected = true;
	load(c);
}

static void run(struct spf_check *c)
{
	struct frame *f = top(c);
	for (; f->term < f->record.count; f->term++) {
		const struct spf_term *t = term(c);
		bool is_v4 = t->mechanism == SPF_IP4, is_v6 = t->mechanism == SPF_IP6;
		if (t->mechanism == SPF_ALL ||
		    ((is_v4 || is_v6) && is_v6 == c->macros.is_ipv6 && has_prefix(c->address, t->address, is_v4 ? t->prefix4 : t->prefix6))) {
			matched(c, t);
			return;
		}
		if (is_v4 || is_v6)
			continue;
		if (!is_one_too_many(c))
			with_names(c, t->domain, ask_term);
		return;
	}
	if (!f->record.redirect.len)
		end_frame(c, AUTH_NEUTRAL, "");
	else if (!is_one_too_many(c))
		with_names(c, f->record.redirect, redirect);
}

/* ---- the beginning ---- */

static void set_address(struct spf_check *c, struct span ip)
{
	char text[INET6_ADDRSTRLEN];
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	BUF_AUTO dotted = {0};
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(span_slice(ip, 0, sizeof text - 1)));
	c->macros.is_ipv6 = inet_pton(AF_INET, text, c->ip) != 1;
	c->has_address = !c->macros.is_ipv6 || inet_pton(AF_INET6, text, c->ip) == 1;
	if (c->macros.is_ipv6 && c->has_address && memcmp(c->ip, mapped, sizeof mapped) == 0) {
		memmove(c->ip, c->ip + 12, 4);
		c->macros.is_ipv6 = false;
	}
	c->address = span_of(c->ip, c->macros.is_ipv6 ? 16 : 4);
	inet_ntop(c->macros.is_ipv6 ? AF_INET6 : AF_INET, c->ip, text, sizeof text);
	c->macros.readable_ip = arena_dup(&c->memory, span_cstr(text));
	for (size_t i = 0; i < 16; i++)
		buf_printf(&dotted, "%s%X.%X", i ? "." : "", c->ip[i] >> 4, c->ip[i] & 15);
	c->macros.dotted_ip = c->macros.is_ipv6 ? arena_dup(&c->memory, buf_span(&dotted)) : c->macros.readable_ip;
}

/* §4.3: a name of several labels, none empty or too long; else there is nothing to check. */
static bool is_checkable(struct span domain)
{
	size_t label = 0, labels = 0;
	for (size_t i = 0; i < domain.len; i++) {
		label = domain.ptr[i] == '.' ? 0 : label + 1;
		if (label > 63 || (domain.ptr[i] == '.' && (i == 0 || domain.ptr[i - 1] == '.')))
			return false;
		labels += label == 1;
	}
	return labels > 1 && label > 0 && domain.len <= SPF_DOMAIN_MOST && domain.ptr[0] != '[';
}

static void set_sender(struct spf_check *c, const struct spf_facts *facts)
{
	ssize_t at = span_rchr(facts->mail_from, '@');
	struct span local = at > 0 ? span_slice(facts->mail_from, 0, (size_t)at) : SPAN("postmaster");
	struct span domain = facts->mail_from.len ? span_skip(facts->mail_from, (size_t)(at + 1)) : facts->helo;
	BUF_AUTO canonical = {0}, sender = {0};
	if (domain.len && domain.ptr[domain.len - 1] == '.')
		domain.len--;
	if (domain_is_valid(domain, ADDRESS_UTF8) && domain_canonical(domain, &canonical, NULL) == 0)
		domain = buf_span(&canonical); /* U-labels as the DNS has them */
	c->macros.local_part = arena_dup(&c->memory, local);
	c->macros.sender_domain = c->result.domain = arena_dup(&c->memory, domain);
	buf_add(&sender, local);
	buf_add_char(&sender, '@');
	buf_add(&sender, domain);
	c->macros.sender = arena_dup(&c->memory, buf_span(&sender));
}

struct spf_check *spf_check_new(struct dns_client *dns, const struct spf_facts *facts)
{
	struct spf_check *c = xcalloc(1, sizeof *c);
	c->dns = dns;
	set_address(c, facts->ip);
	set_sender(c, facts);
	c->macros.helo = arena_dup(&c->memory, facts->helo);
	c->macros.receiver = arena_dup(&c->memory, facts->receiver);
	c->macros.now_s = facts->now_s;
	return c;
}

void spf_check_start(struct spf_check *c, loop_fn *done, void *context)
{
	c->done = done;
	c->context = context;
	if (!c->has_address || !is_checkable(c->result.domain)) {
		conclude(c, AUTH_NONE, c->has_address ? "there is no domain to check" : "that is no address of a client");
		return;
	}
	push(c, c->result.domain);
	load(c);
}

const struct spf_result *spf_check_result(const struct spf_check *c)
{
	return &c->result;
}

void spf_check_free(struct spf_check *c)
{
	if (!c)
		return;
	if (c->question)
		c->dns->cancel(c->dns, c->question);
	spf_names_cancel(&c->names);
	while (c->depth)
		pop(c);
	arena_free(&c->memory);
	free(c);
}
