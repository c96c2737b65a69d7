/* The computing of SCRAM: the example of RFC 7677 §3, and what must not match. */
#include "vault/scram_keys.h"

#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define AUTH_MESSAGE "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" NONCE

static void decode(const char *text, unsigned char *out)
{
	BUF_AUTO b = {0};
	assert_int_equal(base64_decode(span_cstr(text), &b), 0);
	memcpy(out, b.ptr, b.len);
}

static void the_example_of_rfc_7677_is_proved_and_signed(void **state)
{
	(void)state;
	struct scram_keys k = {.iterations = 4096, .salt_len = 16};
	unsigned char proof[SCRAM_KEY_BYTES], wanted[SCRAM_KEY_BYTES], signature[SCRAM_KEY_BYTES];
	decode("W22ZaJ0SNY7soEsUEjb6gQ==", k.salt);
	decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", proof);
	decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", wanted);
	scram_keys_derive(SPAN("pencil"), &k);
	assert_true(scram_proof_matches(&k, SPAN(AUTH_MESSAGE), proof));
	scram_sign(&k, SPAN(AUTH_MESSAGE), signature);
	assert_memory_equal(signature, wanted, sizeof wanted);
	assert_false(scram_proof_matches(&k, SPAN(AUTH_MESSAGE "x"), proof));
	for (size_t i = 0; i < sizeof proof * 8; i++) {
		proof[i / 8] ^= (unsigned char)(1 << i % 8);
		assert_false(scram_proof_matches(&k, SPAN(AUTH_MESSAGE), proof));
		proof[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	scram_keys_derive(SPAN("Pencil"), &k);
	assert_false(scram_proof_matches(&k, SPAN(AUTH_MESSAGE), proof));
}

static void keys_are_made_with_a_salt_of_their_own(void **state)
{
	(void)state;
	struct scram_keys one, other;
	BUF_AUTO first = {0}, second = {0};
	scram_keys_make(SPAN("correct horse"), &first);
	scram_keys_make(SPAN("correct horse"), &second);
	assert_true(scram_keys_are_ours(buf_span(&first)));
	assert_int_equal(scram_keys_parse(buf_span(&first), &one, NULL), 0);
	assert_int_equal(scram_keys_parse(buf_span(&second), &other, NULL), 0);
	assert_memory_not_equal(one.salt, other.salt, SCRAM_SALT_BYTES);
	memcpy(other.salt, one.salt, sizeof one.salt);
	scram_keys_derive(SPAN("correct horse"), &other);
	assert_memory_equal(one.stored_key, other.stored_key, SCRAM_KEY_BYTES);
	assert_memory_equal(one.server_key, other.server_key, SCRAM_KEY_BYTES);
	assert_false(scram_keys_are_ours(SPAN("")));
	assert_false(scram_keys_are_ours(SPAN("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")));
}

static void a_password_is_prepared_if_it_can_be(void **state)
{
	(void)state;
	static const struct { const char *one, *other; bool is_same; } cases[] = {
		{"I\xc2\xadX", "IX", true}, {"e\xcc\x81", "\xc3\xa9", true}, {"\xff\x01", "\xff\x01", true}, {"\xff\x01", "\xff\x02", false}, {"a", "A", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scram_keys one = {.iterations = 4096, .salt_len = 16}, other = one;
		scram_keys_derive(span_cstr(cases[i].one), &one);
		scram_keys_derive(span_cstr(cases[i].other), &other);
		assert_int_equal(memcmp(one.stored_key, other.stored_key, SCRAM_KEY_BYTES) == 0, cases[i].is_same);
	}
}

static void nobody_has_a_salt_like_somebody(void **state)
{
	(void)state;
	struct scram_keys one, again, other, elsewhere;
	struct span secret = SPAN("0123456789abcdef0123456789abcdef"), another = SPAN("0123456789abcdef0123456789abcdeg");
	scram_keys_make_up(secret, SPAN("ghost@example.test"), &one);
	scram_keys_make_up(secret, SPAN("ghost@example.test"), &again);
	scram_keys_make_up(secret, SPAN("ghost2@example.test"), &other);
	scram_keys_make_up(another, SPAN("ghost@example.test"), &elsewhere);
	assert_memory_equal(one.salt, again.salt, SCRAM_SALT_MOST);
	assert_memory_not_equal(one.salt, other.salt, SCRAM_SALT_BYTES);
	assert_memory_not_equal(one.salt, elsewhere.salt, SCRAM_SALT_BYTES);
	assert_memory_not_equal(one.stored_key, again.stored_key, SCRAM_KEY_BYTES);
	assert_int_equal(one.iterations, SCRAM_ITERATIONS);
	assert_int_equal(one.salt_len, SCRAM_SALT_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_rfc_7677_is_proved_and_signed),
		cmocka_unit_test(keys_are_made_with_a_salt_of_their_own),
		cmocka_unit_test(a_password_is_prepared_if_it_can_be),
		cmocka_unit_test(nobody_has_a_salt_like_somebody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
