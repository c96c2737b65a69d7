/* The signed message of RFC 8463 appendix A, as it is and as others have changed it. */
#include "auth/dkim.h"
#include "auth/dkim_sign.h"
#include "auth/test_dns.h"
#include "wire/test.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

#define NOW 1528637910

#define ED25519_FIELD \
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n" \
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n" \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n" \
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
#define RSA_FIELD \
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n" \
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n date : message-id : from : subject : date;\r\n" \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n" \
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
#define FIELDS \
	"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\n" \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\nMessage-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
#define BODY "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"

#define ED25519_KEY "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define RSA_KEY \
	"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91" \
	"y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
#define ED25519_NAME "brisbane._domainkey.football.example.com"
#define RSA_NAME "test._domainkey.football.example.com"

static void note_end(void *context)
{
	*(bool *)context = true;
}

/* What the first signature of the message is found to be; "pass", or "fail the reason". */
static void check(struct test_dns *dns, const char *header, const char *body, size_t step, int64_t now_s, struct buf *out)
{
	struct dkim_fields fields = {0};
	struct dkim_bodies bodies = {0};
	dkim_fields_read(&fields, span_cstr(header));
	struct dkim_check *c = dkim_check_new(&dns->client, &fields, &bodies, now_s);
	bool is_done = false;
	size_t count;
	for (struct span rest = span_cstr(body); rest.len; rest = span_skip(rest, step))
		dkim_bodies_feed(&bodies, span_slice(rest, 0, step));
	dkim_bodies_end(&bodies);
	dkim_check_end(c, note_end, &is_done);
	test_dns_answer_all(dns);
	assert_true(is_done);
	const struct dkim_result *results = dkim_check_results(c, &count);
	buf_clear(out);
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s%s%s%s", i ? ", " : "", auth_outcome_word(results[i].outcome), results[i].reason[0] ? " " : "", results[i].reason);
	dkim_check_free(c);
	dkim_bodies_free(&bodies);
	dkim_fields_free(&fields);
}

static const struct test_record keys[] = {
	{DNS_TXT, ED25519_NAME, SPAN(ED25519_KEY), DNS_ANSWER}, {DNS_TXT, RSA_NAME, SPAN(RSA_KEY), DNS_ANSWER}};

static void both_signatures_hold_however_the_body_comes(void **state)
{
	BUF_AUTO out = {0};
	(void)state;
	for (size_t step = 1; step < 60; step += 7) {
		struct test_dns dns = test_dns_of(keys, 2);
		check(&dns, ED25519_FIELD RSA_FIELD FIELDS "\r\n", BODY, step, NOW, &out);
		assert_span(buf_span(&out), "pass, pass");
	}
}

static void what_was_changed_on_the_way_is_found(void **state)
{
	static const struct {
		const char *header, *body, *result;
	} cases[] = {
		{RSA_FIELD FIELDS, BODY "\r\n\r\n", "pass"}, /* empty lines at the end say nothing */
		{RSA_FIELD "Received: x\r\n" FIELDS, BODY, "pass"},
		{RSA_FIELD FIELDS, BODY "more\r\n", "fail the body has changed"},
		{RSA_FIELD FIELDS, "", "fail the body has changed"},
		{RSA_FIELD "Subject: a second one\r\n" FIELDS, BODY, "fail the signature does not fit the header"}, /* signed as absent */
		{RSA_FIELD "From: x@y.example\r\n" FIELDS, BODY, "fail the signature does not fit the header"},
		{"DKIM-Signature: nonsense\r\n" FIELDS, BODY, "permerror the signature is no list of tags"},
		{FIELDS, BODY, ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct test_dns dns = test_dns_of(keys, 2);
		BUF_AUTO out = {0};
		check(&dns, cases[i].header, cases[i].body, 1000, NOW, &out);
		assert_span(buf_span(&out), cases[i].result);
	}
}

static void only_a_fitting_key_is_taken(void **state)
{
	static const struct {
		struct test_record record;
		const char *result;
	} cases[] = {
		{{DNS_TXT, RSA_NAME, SPAN(RSA_KEY), DNS_LATER}, "temperror the key cannot be had: the test says so"},
		{{DNS_A, RSA_NAME, SPAN("abcd"), DNS_ANSWER}, "permerror no key for signature"},
		{{DNS_TXT, "elsewhere", SPAN(RSA_KEY), DNS_ANSWER}, "permerror no key for signature"},
		{{DNS_TXT, RSA_NAME, SPAN("v=DKIM1; p="), DNS_ANSWER}, "permerror the key is revoked"},
		{{DNS_TXT, RSA_NAME, SPAN(ED25519_KEY), DNS_ANSWER}, "permerror the key is of another type"},
		{{DNS_TXT, RSA_NAME, SPAN("p=AAAA"), DNS_ANSWER}, "permerror the key cannot be read"},
		/* 512 bits */
		{{DNS_TXT, RSA_NAME,
		  SPAN("p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALCSALLd/hSvxLDgHDDwvBg+EWEQkz7NHM7tIWe3AzUmuCdl4XPOznFaFuhZu2lGwUGYyPsUK7RxQOH5gd"
		            "5Fy1ECAwEAAQ=="), DNS_ANSWER},
		 "permerror the RSA key has not 1024 to 4096 bits"},
		{{DNS_TXT, RSA_NAME, SPAN("t=s; " RSA_KEY), DNS_ANSWER}, "permerror the record is no key of DKIM1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct test_dns dns = test_dns_of(&cases[i].record, 1);
		BUF_AUTO out = {0};
		check(&dns, RSA_FIELD FIELDS, BODY, 1000, NOW, &out);
		assert_span(buf_span(&out), cases[i].result);
	}
}

static void signatures_that_prove_nothing_ask_for_no_key(void **state)
{
	static const struct {
		const char *header, *result;
	} cases[] = {
		{"DKIM-Signature: v=1; a=rsa-sha1; d=a.example; s=s; h=from; bh=AA; b=AA\r\n" FIELDS, "permerror SHA-1 proves nothing"},
		{"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=AA; b=AA; x=5\r\n" FIELDS, "fail the signature has expired"},
		{"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=AA; b=AA; t=9999999999\r\n" FIELDS, "fail the signature is from the future"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct test_dns dns = test_dns_of(keys, 2);
		BUF_AUTO out = {0};
		check(&dns, cases[i].header, BODY, 1000, NOW, &out);
		assert_span(buf_span(&out), cases[i].result);
		assert_int_equal(dns.asked, 0);
	}
}

static void a_part_of_the_body_is_not_enough(void **state)
{
	struct test_dns dns = test_dns_of(keys, 2);
	BUF_AUTO out = {0};
	(void)state;
	check(&dns, "DKIM-Signature: v=1; a=rsa-sha256; d=football.example.com; s=test; h=from; bh=AA; b=AA; l=5\r\n" FIELDS, BODY, 1000, NOW, &out);
	assert_span(buf_span(&out), "policy the end of the body is not signed");
}

static void of_a_thousand_signatures_eight_are_looked_at(void **state)
{
	struct test_dns dns = test_dns_of(keys, 2);
	BUF_AUTO header = {0}, out = {0};
	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_add_cstr(&header, RSA_FIELD);
	buf_add_cstr(&header, FIELDS);
	check(&dns, buf_cstr(&header), BODY, 1000, NOW, &out);
	assert_int_equal(dns.asked, 8);
	assert_span(buf_span(&out), "pass, pass, pass, pass, pass, pass, pass, pass");
}

static void a_check_can_end_before_its_answers(void **state)
{
	struct test_dns dns = test_dns_of(keys, 2);
	struct dkim_fields fields = {0};
	struct dkim_bodies bodies = {0};
	dkim_fields_read(&fields, SPAN(RSA_FIELD FIELDS "\r\n"));
	struct dkim_check *c = dkim_check_new(&dns.client, &fields, &bodies, NOW);
	bool is_done = false;
	(void)state;
	dkim_bodies_end(&bodies);
	dkim_check_end(c, note_end, &is_done);
	dkim_check_free(c);
	dkim_bodies_free(&bodies);
	dkim_fields_free(&fields);
	assert_null(dns.waiting);
	assert_false(is_done);
}

/* Signs a message with a new key, and checks it as somebody else would. */
static void what_we_sign_holds_and_cannot_be_added_to(void **state)
{
	static const struct {
		const char *before, *result;
	} cases[] = {{"", "pass"}, {"X-Other: y\r\n", "pass"}, {"Subject: another\r\n", "fail the signature does not fit the header"},
	             {"Reply-To: a@b.example\r\n", "fail the signature does not fit the header"}};
	int types[] = {EVP_PKEY_ED25519, EVP_PKEY_RSA};
	(void)state;
	for (size_t t = 0; t < 2; t++) {
		EVP_PKEY *key = types[t] == EVP_PKEY_RSA ? EVP_RSA_gen(2048) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		unsigned char raw[512], digest[32], *at = raw;
		struct dkim_fields fields = {0};
		BUF_AUTO names = {0}, data = {0}, field = {0}, record = {0}, body = {0};
		struct dkim_body canonical = {.form = DKIM_RELAXED};
		size_t raw_len = sizeof raw;
		if (types[t] == EVP_PKEY_RSA)
			raw_len = (size_t)i2d_PUBKEY(key, &at);
		else
			assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &raw_len), 1);
		char text[1024];
		EVP_EncodeBlock((unsigned char *)text, raw, (int)raw_len);
		buf_printf(&record, "v=DKIM1; k=%s; p=%s", types[t] == EVP_PKEY_RSA ? "rsa" : "ed25519", text);
		dkim_body_feed(&canonical, SPAN(BODY), &body);
		dkim_body_end(&canonical, &body);
		EVP_Digest(body.ptr, body.len, digest, NULL, EVP_sha256(), NULL);
		dkim_fields_read(&fields, SPAN(FIELDS "\r\n"));
		dkim_choose_names(&fields, &names);
		assert_int_equal(dkim_signed_fields(&fields, buf_span(&names), &data), 0);
		struct dkim_request r = {.domain = SPAN("football.example.com"), .selector = SPAN("new"), .header_names = buf_span(&names),
		                         .fields = buf_span(&data), .body_hash = span_of(digest, sizeof digest), .now_s = NOW};
		assert_int_equal(dkim_sign(&r, key, &field), 0);
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			struct test_record published = {DNS_TXT, "new._domainkey.football.example.com", buf_span(&record), DNS_ANSWER};
			struct test_dns dns = test_dns_of(&published, 1);
			BUF_AUTO header = {0}, out = {0};
			buf_add(&header, buf_span(&field));
			buf_add_cstr(&header, cases[i].before);
			buf_add(&header, SPAN(FIELDS "\r\n"));
			check(&dns, buf_cstr(&header), BODY, 1000, NOW + 5, &out);
			assert_span(buf_span(&out), cases[i].result);
			check(&dns, buf_cstr(&header), BODY, 1000, NOW + DKIM_LIFETIME_S + 1, &out);
			assert_span(buf_span(&out), "fail the signature has expired");
		}
		dkim_fields_free(&fields);
		EVP_PKEY_free(key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_signatures_hold_however_the_body_comes),
		cmocka_unit_test(what_was_changed_on_the_way_is_found),
		cmocka_unit_test(only_a_fitting_key_is_taken),
		cmocka_unit_test(signatures_that_prove_nothing_ask_for_no_key),
		cmocka_unit_test(a_part_of_the_body_is_not_enough),
		cmocka_unit_test(of_a_thousand_signatures_eight_are_looked_at),
		cmocka_unit_test(a_check_can_end_before_its_answers),
		cmocka_unit_test(what_we_sign_holds_and_cannot_be_added_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
