/* Chains that were made by our own sealing, as they are and as others have changed them. That others find our seals good is shown by
 * tests/test_arc.py. */
#include "auth/arc.h"
#include "auth/arc_sign.h"
#include "auth/test_dns.h"
#include "wire/test.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

#define NOW 1732400000
#define HOSTNAME "mx.example.org"
#define FIELDS "From: Joe <joe@example.com>\r\nTo: sue@example.net\r\nSubject: Is dinner ready?\r\n"
#define BODY "Hi.\r\n\r\nJoe.\r\n"

static EVP_PKEY *key;
static struct buf record;
static struct test_record published[ARC_SETS_MOST + 1];
static char names[ARC_SETS_MOST + 1][64];

static int make_key(void **state)
{
	unsigned char raw[512], *at = raw;
	char text[1024];
	(void)state;
	key = EVP_RSA_gen(2048);
	EVP_EncodeBlock((unsigned char *)text, raw, i2d_PUBKEY(key, &at));
	buf_printf(&record, "v=DKIM1; k=rsa; p=%s", text);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(names[i], sizeof names[i], "s%zu._domainkey.example.org", i);
		published[i] = (struct test_record){DNS_TXT, names[i], buf_span(&record), DNS_ANSWER};
	}
	return 0;
}

static int free_key(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	buf_free(&record);
	return 0;
}

/* Puts the next set in front of the header. */
static void seal(struct buf *header, const char *body, const char *selector, enum arc_status status)
{
	struct arc_chain chain;
	struct dkim_fields fields = {0};
	struct dkim_bodies bodies = {0};
	BUF_AUTO sets = {0}, covered = {0}, data = {0}, out = {0};
	dkim_bodies_want(&bodies, DKIM_RELAXED);
	dkim_bodies_feed(&bodies, span_cstr(body));
	dkim_bodies_end(&bodies);
	arc_chain_read(buf_span(header), &chain);
	for (unsigned i = 0; i < chain.count && status == ARC_PASS; i++)
		arc_set_canonical(&chain.sets[i], true, &sets);
	dkim_fields_read(&fields, buf_span(header));
	arc_choose_names(&fields, &covered);
	assert_int_equal(dkim_signed_fields(&fields, buf_span(&covered), &data), 0);
	struct arc_request r = {.instance = chain.highest + 1, .status = status, .domain = SPAN("example.org"), .selector = span_cstr(selector),
	                        .results = SPAN(HOSTNAME ";\r\n\tspf=pass smtp.mailfrom=joe@example.com"), .header_names = buf_span(&covered),
	                        .fields = buf_span(&data), .body_hash = span_of(bodies.forms[DKIM_RELAXED].digest, DKIM_DIGEST_BYTES),
	                        .sets = buf_span(&sets), .now_s = NOW};
	struct error why = {0};
	assert_int_equal(arc_request_check(&r, SPAN(HOSTNAME), &why), 0);
	assert_int_equal(arc_sign(&r, key, &out), 0);
	buf_add(&out, buf_span(header));
	buf_clear(header);
	buf_add(header, buf_span(&out));
	dkim_fields_free(&fields);
	dkim_bodies_free(&bodies);
}

static void note_end(void *context)
{
	*(bool *)context = true;
}

/* "pass 0" with the oldest that holds, or "fail the reason". */
static void check(struct test_dns *dns, struct span header, const char *body, struct buf *out)
{
	struct dkim_fields fields = {0};
	struct dkim_bodies bodies = {0};
	bool is_done = false;
	dkim_fields_read(&fields, header);
	struct arc_check *c = arc_check_new(&dns->client, header, &fields, &bodies, NOW + 5);
	dkim_bodies_feed(&bodies, span_cstr(body));
	dkim_bodies_end(&bodies);
	arc_check_end(c, note_end, &is_done);
	test_dns_answer_all(dns);
	assert_true(is_done);
	const struct arc_result *r = arc_check_result(c);
	buf_clear(out);
	buf_add_cstr(out, auth_outcome_word(r->outcome));
	if (r->outcome == AUTH_PASS)
		buf_printf(out, " %u", r->oldest_pass);
	else if (r->outcome == AUTH_FAIL)
		buf_printf(out, "%s %s", r->is_later ? " later" : r->is_beyond_us ? " beyond us" : "", r->reason);
	arc_check_free(c);
	dkim_bodies_free(&bodies);
	dkim_fields_free(&fields);
}

static struct test_dns all_keys(void)
{
	return test_dns_of(published, sizeof published / sizeof published[0]);
}

static void put_in_front(struct buf *header, const char *text)
{
	BUF_AUTO old = {0};
	buf_add(&old, buf_span(header));
	buf_clear(header);
	buf_add_cstr(header, text);
	buf_add(header, buf_span(&old));
}

static void chains_of_some_links_hold(void **state)
{
	BUF_AUTO header = {0}, out = {0};
	struct test_dns dns = all_keys();
	(void)state;
	buf_add(&header, SPAN(FIELDS));
	check(&dns, buf_span(&header), BODY, &out);
	assert_span(buf_span(&out), "none");
	for (int i = 1; i <= 5; i++) {
		char selector[8];
		snprintf(selector, sizeof selector, "s%d", i);
		seal(&header, BODY, selector, i == 1 ? ARC_NONE : ARC_PASS);
		check(&dns, buf_span(&header), BODY, &out);
		assert_span(buf_span(&out), "pass 0");
	}
}

static void what_was_changed_since_is_found(void **state)
{
	struct {
		const char *before, *body, *result;
	} cases[] = {
		{"", BODY, "pass 0"},
		{"Received: x\r\n", BODY, "pass 0"},
		{"", BODY "more\r\n", "fail the signature of instance 2: the body has changed"},
		{"Subject: a second one\r\n", BODY, "fail the signature of instance 2: the signature does not fit the header"},
		{"From: x@y.example\r\n", BODY, "fail the signature of instance 2: the signature does not fit the header"},
		{"ARC-Seal: i=2; cv=pass; a=rsa-sha256; d=example.org; s=s1; b=AA\r\n", BODY, "fail a field of the chain is there twice"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO header = {0}, out = {0};
		struct test_dns dns = all_keys();
		buf_add(&header, SPAN(FIELDS));
		seal(&header, BODY, "s1", ARC_NONE);
		seal(&header, BODY, "s2", ARC_PASS);
		put_in_front(&header, cases[i].before);
		check(&dns, buf_span(&header), cases[i].body, &out);
		assert_span(buf_span(&out), cases[i].result);
	}
}

/* A byte of an older set's field, changed: no seal from there on fits. */
static void old_results_cannot_be_changed(void **state)
{
	BUF_AUTO header = {0}, out = {0};
	struct test_dns dns = all_keys();
	(void)state;
	buf_add(&header, SPAN(FIELDS));
	seal(&header, BODY, "s1", ARC_NONE);
	seal(&header, BODY, "s2", ARC_PASS);
	ssize_t at = span_find(buf_span(&header), SPAN("ARC-Authentication-Results: i=1;"));
	at += span_find(span_skip(buf_span(&header), (size_t)at), SPAN("spf=pass"));
	header.ptr[at + 4] = 'P';
	check(&dns, buf_span(&header), BODY, &out);
	assert_span(buf_span(&out), "fail the seal of instance 1: the signature does not fit the header");
}

static void what_was_changed_between_is_told_by_the_oldest_that_holds(void **state)
{
	BUF_AUTO header = {0}, out = {0};
	struct test_dns dns = all_keys();
	(void)state;
	buf_add(&header, SPAN(FIELDS));
	seal(&header, "another body\r\n", "s1", ARC_NONE);
	seal(&header, BODY, "s2", ARC_PASS);
	seal(&header, BODY, "s3", ARC_PASS);
	check(&dns, buf_span(&header), BODY, &out);
	assert_span(buf_span(&out), "pass 2");
}

static void a_key_that_is_away_is_told_from_one_that_is_not_there(void **state)
{
	struct {
		enum dns_outcome first, second;
		const char *body, *result;
	} cases[] = {
		{DNS_LATER, DNS_ANSWER, BODY, "fail later the seal of instance 1: the key cannot be had: the test says so"},
		{DNS_NO_NAME, DNS_ANSWER, BODY, "fail the seal of instance 1: no key for signature"},
		{DNS_ANSWER, DNS_LATER, BODY, "fail later the signature of instance 2: the key cannot be had: the test says so"},
		{DNS_NO_NAME, DNS_LATER, BODY, "fail the seal of instance 1: no key for signature"}, /* that lasts */
		{DNS_ANSWER, DNS_LATER, "x\r\n", "fail the signature of instance 2: the body has changed"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO header = {0}, out = {0};
		struct test_record two[] = {published[1], published[2]};
		two[0].outcome = cases[i].first;
		two[1].outcome = cases[i].second;
		struct test_dns dns = test_dns_of(two, 2);
		buf_add(&header, SPAN(FIELDS));
		seal(&header, BODY, "s1", ARC_NONE);
		seal(&header, BODY, "s2", ARC_PASS);
		check(&dns, buf_span(&header), cases[i].body, &out);
		assert_span(buf_span(&out), cases[i].result);
	}
}

/* Attack 55: fifty sets by one sealer cost one question, those of nine sealers are not judged; older signatures are looked at up to
 * ARC_MESSAGES_MOST. */
static void what_a_chain_costs_is_bounded(void **state)
{
	BUF_AUTO header = {0}, others = {0}, out = {0};
	struct test_dns dns = all_keys();
	(void)state;
	buf_add(&header, SPAN(FIELDS));
	for (int i = 1; i <= ARC_SETS_MOST; i++)
		seal(&header, BODY, "s1", i == 1 ? ARC_NONE : ARC_PASS);
	check(&dns, buf_span(&header), BODY, &out);
	assert_span(buf_span(&out), "pass 43");
	assert_int_equal(dns.asked, 1);
	buf_add(&others, SPAN(FIELDS));
	for (int i = 1; i <= ARC_KEYS_MOST + 1; i++) {
		char selector[8];
		snprintf(selector, sizeof selector, "s%d", i);
		seal(&others, BODY, selector, i == 1 ? ARC_NONE : ARC_PASS);
	}
	dns.asked = 0;
	check(&dns, buf_span(&others), BODY, &out);
	assert_span(buf_span(&out), "fail beyond us the chain has more keys than are asked for");
	assert_int_equal(dns.asked, ARC_KEYS_MOST);
}

/* §5.1.2: alone, as if there were no other set; and the chain is at its end. */
static void a_broken_chain_is_sealed_as_broken(void **state)
{
	BUF_AUTO header = {0}, out = {0};
	struct test_dns dns = all_keys();
	(void)state;
	buf_add(&header, SPAN(FIELDS));
	seal(&header, BODY, "s1", ARC_NONE);
	seal(&header, "another body\r\n", "s2", ARC_FAIL);
	check(&dns, buf_span(&header), "another body\r\n", &out);
	assert_span(buf_span(&out), "fail the last seal says that the chain was broken");
	assert_int_equal(dns.asked, 0);
}

static void only_new_sets_are_asked_for(void **state)
{
	static const char sets[] = "arc-authentication-results:i=1;\r\narc-message-signature:i=1;\r\narc-seal:i=1;\r\n";
	static const struct {
		unsigned instance;
		enum arc_status status;
		const char *sets, *results;
		int result;
	} cases[] = {
		{1, ARC_NONE, "", HOSTNAME "; none", 0},
		{2, ARC_PASS, sets, HOSTNAME ";\r\n\tspf=pass", 0},
		{2, ARC_FAIL, "", HOSTNAME "; none", 0},
		{0, ARC_NONE, "", HOSTNAME "; none", -1},
		{51, ARC_FAIL, "", HOSTNAME "; none", -1},
		{2, ARC_NONE, "", HOSTNAME "; none", -1},
		{1, ARC_PASS, "", HOSTNAME "; none", -1},
		{2, ARC_PASS, "", HOSTNAME "; none", -1},
		{3, ARC_PASS, sets, HOSTNAME "; none", -1},
		{2, ARC_FAIL, sets, HOSTNAME "; none", -1},
		{2, ARC_PASS, "from:a@example.org\r\n", HOSTNAME "; none", -1},
		{1, ARC_NONE, "", "mx.example.com; none", -1},
		{1, ARC_NONE, "", HOSTNAME ".evil.example; none", -1},
		{1, ARC_NONE, "", HOSTNAME "; none\r\nSubject: x", -1},
		{1, ARC_NONE, "", HOSTNAME "; none\n x", -1},
		{1, ARC_NONE, "", HOSTNAME "; none\r\n", -1},
	};
	static const char hash[32];
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct arc_request r = {.instance = cases[i].instance, .status = cases[i].status, .results = span_cstr(cases[i].results),
		                        .sets = span_cstr(cases[i].sets), .body_hash = span_of(hash, sizeof hash)};
		assert_int_equal(arc_request_check(&r, SPAN(HOSTNAME), NULL), cases[i].result);
	}
}

static void results_vouch_for_their_author_alone(void **state)
{
	static const struct {
		const char *results;
		bool vouches;
		const char *spf, *signer;
	} cases[] = {
		{"mx.google.example; dkim=pass header.i=@a.example header.s=s header.b=abc; spf=pass (x; y) smtp.mailfrom=u@b.example; dmarc=pass (p=NONE) header.from=A.example",
		 true, NULL, NULL},
		{"mx.microsoft.example 1; spf=pass smtp.mailfrom=a.example; dmarc=pass action=none header.from=b.example; dkim=pass header.d=c.example; arc=none",
		 false, "a.example", "c.example"},
		{"mx; dmarc=fail header.from=a.example; spf=fail smtp.mailfrom=a.example; dkim=fail header.d=a.example", false, "", ""},
		{"mx; dmarc=pass", false, "", ""},
		{"mx; dmarc=fail reason=\"x; dmarc=pass header.from=a.example\"", false, "", ""},
		{"", false, "", ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ARENA_AUTO a = {0};
		struct dmarc_facts facts;
		assert_int_equal(arc_results_vouch(span_cstr(cases[i].results), SPAN("a.example"), &a, &facts), cases[i].vouches);
		if (cases[i].vouches)
			continue;
		assert_span(facts.spf_domain, cases[i].spf);
		assert_span(facts.signer_count ? facts.signers[0] : SPAN(""), cases[i].signer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_of_some_links_hold),
		cmocka_unit_test(what_was_changed_since_is_found),
		cmocka_unit_test(old_results_cannot_be_changed),
		cmocka_unit_test(what_was_changed_between_is_told_by_the_oldest_that_holds),
		cmocka_unit_test(a_key_that_is_away_is_told_from_one_that_is_not_there),
		cmocka_unit_test(what_a_chain_costs_is_bounded),
		cmocka_unit_test(a_broken_chain_is_sealed_as_broken),
		cmocka_unit_test(only_new_sets_are_asked_for),
		cmocka_unit_test(results_vouch_for_their_author_alone),
	};
	return cmocka_run_group_tests(tests, make_key, free_key);
}
