/* The chain is read at once, keys come while the body does, then: the newest ARC-Message-Signature, all seals, older ARC-Message-Signatures
 * as far as they hold. */
#include "auth/arc.h"

#include "auth/dkim_key.h"
#include "base/die.h"

#include <stdio.h>
#include <stdlib.h>

struct key {
	struct arc_check *check;
	struct span domain, selector;
	struct dkim_key_question question;
};

/* A seal or an ARC-Message-Signature. */
struct one {
	struct dkim_signature signature;
	struct key *key;
};

struct arc_check {
	struct dns_client *dns;
	struct arena memory;
	struct arc_chain chain;
	const struct dkim_fields *fields;
	const struct dkim_bodies *bodies;
	struct one seals[ARC_SETS_MOST];        /* from instance 1 on */
	struct one messages[ARC_MESSAGES_MOST]; /* from the newest on */
	size_t message_count;
	struct key keys[ARC_KEYS_MOST];
	size_t key_count, waiting;
	struct arc_result result;
	char reason[200];
	bool has_ended;
	loop_fn *done;
	void *context;
};

enum fault { FAULT_LASTS, FAULT_IS_BEYOND_US, FAULT_IS_LATER };

/* A fault that lasts is the one that counts; instance 0: of the whole chain. */
static void fail(struct arc_check *c, enum fault fault, const char *what, unsigned instance, const char *reason)
{
	struct arc_result *r = &c->result;
	bool is_worse = (r->is_later || r->is_beyond_us) && fault == FAULT_LASTS;
	if (r->outcome == AUTH_FAIL && !is_worse)
		return;
	r->outcome = AUTH_FAIL;
	r->is_later = fault == FAULT_IS_LATER;
	r->is_beyond_us = fault == FAULT_IS_BEYOND_US;
	if (instance)
		snprintf(c->reason, sizeof c->reason, "%s %u: %.100s", what, instance, reason);
	else
		snprintf(c->reason, sizeof c->reason, "%.150s", reason);
	r->reason = c->reason;
}

static bool has_failed(const struct arc_check *c)
{
	return c->result.outcome == AUTH_FAIL;
}

/* ---- reading ---- */

static void verify_all(struct arc_check *c);

static void on_key(void *context)
{
	struct arc_check *c = ((struct key *)context)->check;
	if (--c->waiting == 0 && c->has_ended)
		verify_all(c);
}

/* The key of a signature, which others of the chain may have too; NULL: it would be one too many. */
static struct key *key_of(struct arc_check *c, const struct dkim_signature *s)
{
	for (size_t i = 0; i < c->key_count; i++)
		if (span_equal_nocase(c->keys[i].domain, s->domain) && span_equal_nocase(c->keys[i].selector, s->selector))
			return &c->keys[i];
	if (c->key_count == ARC_KEYS_MOST)
		return NULL;
	struct key *k = &c->keys[c->key_count++];
	*k = (struct key){.check = c, .domain = s->domain, .selector = s->selector};
	if (dkim_key_ask(&k->question, c->dns, s->domain, s->selector, &c->memory, on_key, k))
		c->waiting++;
	return k;
}

static int parse(struct arc_check *c, enum dkim_kind kind, struct span field, struct one *out, struct error *why)
{
	ssize_t colon = span_chr(field, ':');
	return dkim_signature_parse(kind, span_skip(field, (size_t)(colon + 1)), &c->memory, &out->signature, why);
}

/* §4.1.2: it covers no seal */
static bool names_a_seal(const struct dkim_signature *s)
{
	for (size_t i = 0; i < s->header_name_count; i++)
		if (span_equal_nocase(s->header_names[i], SPAN("ARC-Seal")))
			return true;
	return false;
}

/* The next older ARC-Message-Signature; false, with *reason, if it proves nothing. */
static bool read_message(struct arc_check *c, struct dkim_bodies *bodies, int64_t now_s, enum fault *fault, const char **reason, struct error *why)
{
	struct one *o = &c->messages[c->message_count];
	*fault = FAULT_LASTS;
	*reason = why->text;
	if (parse(c, DKIM_ARC_MESSAGE, c->chain.sets[c->chain.count - c->message_count - 1].message, o, why))
		return false;
	if (dkim_signature_look(&o->signature, now_s, reason) != AUTH_NONE)
		return false;
	*reason = "it covers a seal";
	if (names_a_seal(&o->signature))
		return false;
	*reason = "the chain has more keys than are asked for";
	*fault = FAULT_IS_BEYOND_US;
	o->key = key_of(c, &o->signature);
	if (!o->key)
		return false;
	dkim_bodies_want(bodies, o->signature.body);
	c->message_count++;
	return true;
}

static void read_seals(struct arc_check *c)
{
	for (unsigned n = c->chain.count; n; n--) {
		struct one *o = &c->seals[n - 1];
		struct error why = {0};
		if (parse(c, DKIM_ARC_SEAL, c->chain.sets[n - 1].seal, o, &why)) {
			fail(c, FAULT_LASTS, "the seal of instance", n, why.text);
			return;
		}
		if (o->signature.algorithm == DKIM_RSA_SHA1) {
			fail(c, FAULT_LASTS, "the seal of instance", n, "SHA-1 proves nothing"); /* RFC 8301 §3.1 */
			return;
		}
		o->key = key_of(c, &o->signature);
		if (!o->key)
			fail(c, FAULT_IS_BEYOND_US, "", 0, "the chain has more keys than are asked for");
	}
}

static void read_chain(struct arc_check *c, struct dkim_bodies *bodies, int64_t now_s)
{
	struct error why = {0};
	enum fault fault;
	const char *reason;
	unsigned instance;
	struct span results = c->chain.sets[c->chain.count - 1].results;
	if (read_message(c, bodies, now_s, &fault, &reason, &why))
		read_seals(c);
	else
		fail(c, fault, "the signature of instance", c->chain.count, reason);
	if (has_failed(c) && !c->result.is_beyond_us)
		return;
	c->result.sealer = c->seals[c->chain.count - 1].signature.domain;
	c->result.results = arc_results_payload(span_skip(results, (size_t)(span_chr(results, ':') + 1)), &instance);
	while (!has_failed(c) && c->message_count < ARC_MESSAGES_MOST && c->message_count < c->chain.count &&
	       read_message(c, bodies, now_s, &fault, &reason, &why))
		;
}

struct arc_check *arc_check_new(struct dns_client *dns, struct span header, const struct dkim_fields *fields, struct dkim_bodies *bodies,
                                int64_t now_s)
{
	struct arc_check *c = xcalloc(1, sizeof *c);
	*c = (struct arc_check){.dns = dns, .fields = fields, .bodies = bodies, .result = {.reason = ""}};
	arc_chain_read(header, &c->chain);
	if (c->chain.fault)
		fail(c, FAULT_LASTS, "", 0, c->chain.fault);
	else if (c->chain.count)
		read_chain(c, bodies, now_s);
	return c;
}

/* ---- verifying ---- */

/* Does a key of the DNS say that it has signed this? */
static enum auth_outcome verify(const struct one *o, const unsigned char *digest, enum fault *fault, const char **reason)
{
	struct dkim_key_question *q = &o->key->question;
	*fault = q->outcome == AUTH_TEMPERROR ? FAULT_IS_LATER : FAULT_LASTS;
	*reason = q->reason;
	return q->outcome == AUTH_PASS ? dkim_key_verify(q, &o->signature, digest, reason) : q->outcome;
}

static enum auth_outcome verify_message(const struct arc_check *c, size_t at, enum fault *fault, const char **reason)
{
	const struct one *o = &c->messages[at];
	const struct dkim_signature *s = &o->signature;
	BUF_AUTO data = {0};
	unsigned char digest[DKIM_DIGEST_BYTES];
	enum auth_outcome outcome = dkim_signature_covers(s, c->bodies, reason);
	*fault = FAULT_LASTS;
	if (outcome != AUTH_PASS)
		return outcome;
	dkim_fields_signed(c->fields, s->header, s->header_names, s->header_name_count, &data);
	dkim_field_unsigned(s->header, c->chain.sets[c->chain.count - at - 1].message, s->b_value, &data);
	EVP_Digest(data.ptr, data.len, digest, NULL, EVP_sha256(), NULL);
	return verify(o, digest, fault, reason);
}

/* Each seal signs all sets up to its own (§5.1.1): they are hashed once, and each seal's hash goes on from there. */
static void verify_seals(struct arc_check *c)
{
	EVP_MD_CTX *before = EVP_MD_CTX_new(), *one = EVP_MD_CTX_new();
	if (!before || !one || EVP_DigestInit_ex(before, EVP_sha256(), NULL) != 1)
		die("auth: no SHA-256");
	for (unsigned i = 0; i < c->chain.count; i++) {
		const struct arc_set *set = &c->chain.sets[i];
		BUF_AUTO sets = {0}, own = {0};
		unsigned char digest[DKIM_DIGEST_BYTES];
		enum fault fault;
		const char *reason;
		arc_set_canonical(set, false, &sets);
		EVP_DigestUpdate(before, sets.ptr, sets.len);
		dkim_field_unsigned(DKIM_RELAXED, set->seal, c->seals[i].signature.b_value, &own);
		if (EVP_MD_CTX_copy_ex(one, before) != 1)
			die("auth: no SHA-256");
		EVP_DigestUpdate(one, own.ptr, own.len);
		EVP_DigestFinal_ex(one, digest, NULL);
		if (verify(&c->seals[i], digest, &fault, &reason) != AUTH_PASS)
			fail(c, fault, "the seal of instance", i + 1, reason);
		buf_clear(&own);
		dkim_canonical_field(DKIM_RELAXED, set->seal, &own);
		EVP_DigestUpdate(before, own.ptr, own.len);
	}
	EVP_MD_CTX_free(before);
	EVP_MD_CTX_free(one);
}

/* §5.2 step 5: how far back what was forwarded is what is here. */
static void find_oldest_pass(struct arc_check *c)
{
	size_t passed = 1;
	enum fault fault;
	const char *reason;
	while (passed < c->message_count && verify_message(c, passed, &fault, &reason) == AUTH_PASS)
		passed++;
	c->result.oldest_pass = passed == c->chain.count ? 0 : c->chain.count - (unsigned)passed + 1;
}

static void verify_chain(struct arc_check *c)
{
	enum fault fault;
	const char *reason;
	if (verify_message(c, 0, &fault, &reason) != AUTH_PASS)
		fail(c, fault, "the signature of instance", c->chain.count, reason);
	if (!has_failed(c) || c->result.is_later)
		verify_seals(c);
	if (has_failed(c))
		return;
	c->result.outcome = AUTH_PASS;
	find_oldest_pass(c);
}

static void verify_all(struct arc_check *c)
{
	if (!has_failed(c) && c->chain.count)
		verify_chain(c);
	c->done(c->context);
}

void arc_check_end(struct arc_check *c, loop_fn *done, void *context)
{
	c->has_ended = true;
	c->done = done;
	c->context = context;
	if (!c->waiting)
		verify_all(c);
}

const struct arc_result *arc_check_result(const struct arc_check *c)
{
	return &c->result;
}

const struct arc_chain *arc_check_chain(const struct arc_check *c)
{
	return &c->chain;
}

void arc_check_free(struct arc_check *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->key_count; i++)
		dkim_key_free(&c->keys[i].question);
	arena_free(&c->memory);
	free(c);
}
