/* Verification: the keys by the DNS while the body comes, then each signature. */
#include "auth/dkim.h"

#include "auth/dkim_key.h"
#include "base/die.h"

#include <stdlib.h>

struct one {
	struct dkim_check *check;
	struct span field;      /* the signature's own, whole */
	struct dkim_result result;
	struct dkim_key_question key;
};

struct dkim_check {
	struct dns_client *dns;
	struct arena memory;
	const struct dkim_fields *fields;
	const struct dkim_bodies *bodies;
	struct one list[DKIM_SIGNATURES_MOST];
	struct dkim_result results[DKIM_SIGNATURES_MOST];
	size_t count, waiting;
	bool has_ended;
	loop_fn *done;
	void *context;
};

/* The reason stays where it is. */
static void conclude(struct one *o, enum auth_outcome outcome, const char *reason)
{
	o->result.outcome = outcome;
	o->result.reason = reason;
}

static bool is_open(const struct one *o)
{
	return o->result.outcome == AUTH_NONE;
}

static void verify_all(struct dkim_check *c);

static void take_key(struct one *o)
{
	if (o->key.outcome != AUTH_PASS)
		conclude(o, o->key.outcome, o->key.reason);
	o->result.is_testing = o->key.key.is_testing;
}

static void on_key(void *context)
{
	struct one *o = context;
	take_key(o);
	if (--o->check->waiting == 0 && o->check->has_ended)
		verify_all(o->check);
}

static void read_signature(struct one *o, struct span value, int64_t now_s)
{
	struct error why = {0};
	struct dkim_signature *s = &o->result.signature;
	const char *reason;
	if (dkim_signature_parse(DKIM_SIGNATURE, value, &o->check->memory, s, &why)) {
		conclude(o, AUTH_PERMERROR, arena_dup(&o->check->memory, span_cstr(why.text)).ptr);
		return;
	}
	enum auth_outcome outcome = dkim_signature_look(s, now_s, &reason);
	o->result.is_expired = s->has_expiration && s->expiration_s < (uint64_t)now_s;
	if (outcome != AUTH_NONE)
		conclude(o, outcome, reason);
}

struct dkim_check *dkim_check_new(struct dns_client *dns, const struct dkim_fields *fields, struct dkim_bodies *bodies, int64_t now_s)
{
	struct dkim_check *c = xcalloc(1, sizeof *c);
	*c = (struct dkim_check){.dns = dns, .fields = fields, .bodies = bodies};
	for (size_t i = 0; i < fields->count && c->count < DKIM_SIGNATURES_MOST; i++) {
		const struct dkim_field *f = &fields->list[i];
		if (!span_equal_nocase(f->name, SPAN("DKIM-Signature")))
			continue;
		struct one *o = &c->list[c->count++];
		*o = (struct one){.check = c, .field = f->whole};
		ssize_t colon = span_chr(f->whole, ':');
		read_signature(o, span_skip(f->whole, (size_t)(colon + 1)), now_s);
		if (!is_open(o))
			continue;
		const struct dkim_signature *s = &o->result.signature;
		dkim_bodies_want(bodies, s->body);
		if (dkim_key_ask(&o->key, dns, s->domain, s->selector, &c->memory, on_key, o))
			c->waiting++;
		else
			take_key(o);
	}
	return c;
}

/* ---- verifying ---- */

static void verify(struct one *o)
{
	const struct dkim_signature *s = &o->result.signature;
	BUF_AUTO data = {0};
	unsigned char digest[DKIM_DIGEST_BYTES];
	const char *reason;
	ssize_t at = span_rchr(s->identity, '@');
	if (o->key.key.is_strict && s->identity.len && !span_equal_nocase(span_skip(s->identity, (size_t)(at + 1)), s->domain)) {
		conclude(o, AUTH_PERMERROR, "the key allows no subdomain in i=");
		return;
	}
	enum auth_outcome outcome = dkim_signature_covers(s, o->check->bodies, &reason);
	if (outcome == AUTH_PASS) {
		dkim_fields_signed(o->check->fields, s->header, s->header_names, s->header_name_count, &data);
		dkim_field_unsigned(s->header, o->field, s->b_value, &data);
		EVP_Digest(data.ptr, data.len, digest, NULL, EVP_sha256(), NULL);
		outcome = dkim_key_verify(&o->key, s, digest, &reason);
		o->result.has_signed_report = o->key.has_signed;
	}
	conclude(o, outcome, reason);
}

static void verify_all(struct dkim_check *c)
{
	for (size_t i = 0; i < c->count; i++) {
		if (is_open(&c->list[i]))
			verify(&c->list[i]);
		c->results[i] = c->list[i].result;
	}
	c->done(c->context);
}

void dkim_check_end(struct dkim_check *c, loop_fn *done, void *context)
{
	c->has_ended = true;
	c->done = done;
	c->context = context;
	if (!c->waiting)
		verify_all(c);
}

const struct dkim_result *dkim_check_results(const struct dkim_check *c, size_t *count)
{
	*count = c->count;
	return c->results;
}

void dkim_check_free(struct dkim_check *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		dkim_key_free(&c->list[i].key);
	arena_free(&c->memory);
	free(c);
}
