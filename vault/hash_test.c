/* Checking passwords: hashes as Dovecot's `doveadm pw` writes them. */
#include "vault/hash.h"

#include "wire/password_hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const hashes[] = { /* of "correct horse" */
	"{SSHA}CjPGH1Jz4QrG97exL76fMCbwb4pbzCJz",
	"{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
	"{SSHA256}qz7cfy5RKDJSWOveY7Mgdq8zht8x0uUU86bi9hzaRvnFx9W8",
	"{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=",
	"{SHA256}4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631",
	"{SSHA256.HEX}9d13b0a21db4c18c18034744938a6fe565d785bf47313a4f9d417ba92ca7fec0291857fb",
	"{SHA256.HEX}4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631",
	"{ssha.b64}vEUFDTaz9fsNkRNReTiJEzoQXOht3BZi",
	"{SSHA512}Uyuq9qEuDKT9USr9qdKpHMVUqD6wz1PuMucw+FbSsHZ2eoXTLXuzmrEUOhXVJqEbeKZB2aAYy6rqns6jo31nNzc6muY=",
	"{SHA512}VraY3v7bWkNbY0r+MyC7rz/c2SC2xQOkRvx7endrKY1HnRumqLYXgI6wv1ec6aldZoNHvKtxSQhayTyyeZUZew==",
	"{CRYPT}$2y$05$G7G97STXGiv/WO3IiJb9dO1PUAfi4N57vY9tCrny17Aopx0wCEFMu",
	"{BLF-CRYPT}$2y$05$iB6ELB/jn.EKjca6sZKyN.8IdgVnDfUhrJNqLyS2tUDRRP76.H.P2",
	"$2y$05$iB6ELB/jn.EKjca6sZKyN.8IdgVnDfUhrJNqLyS2tUDRRP76.H.P2",
	"{MD5-CRYPT}$1$R1KmtFRI$lY5Oq4boYfMRVeuM26AeI/",
	"{MD5}$1$EZDjRC3M$vatLj8X4xR0FUIPUW0FhJ0",
	"{SHA256-CRYPT}$5$M41KvG60I9sRy59q$kltFAo6dDk54ciaByOJqgBVoSQWR7fXwmhqC7xVPB03",
	"{SHA512-CRYPT}$6$oAZBQLMuGSSgmVIb$rnXz.s7CCdirzNVK1Lp5YbDGOlk3KCNlXauFerQQGcvdMjv9AqlrYmIzWTvILYWy3lJDOnGHmusKksklIL73u/",
	"{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$wvWmFC7tnAnkdb5TDqAJkA$6A0P5q6WMDGsyRRpxnqvd6CJnlSd0/NdfYMdOUiYjA4",
	"{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$xFfxJZfzJWzHFt4ZdokcBw$LMQihL4INoCulTeliwAs5dFk4NhldcaMJZGDBOYVCvs",
	"$argon2id$v=19$m=65536,t=3,p=1$xFfxJZfzJWzHFt4ZdokcBw$LMQihL4INoCulTeliwAs5dFk4NhldcaMJZGDBOYVCvs",
};

static void the_right_password_matches_and_others_do_not(void **state)
{
	(void)state;
	struct hash_memory memory = {0};
	bool is_ours;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		struct span hash = span_cstr(hashes[i]);
		if (!hash_matches(hash, "correct horse", &is_ours, &memory))
			fail_msg("%s does not match", hashes[i]);
		assert_false(is_ours);
		assert_false(hash_matches(hash, "correct hors", &is_ours, &memory));
		assert_false(hash_matches(hash, "correct horse ", &is_ours, &memory));
		assert_false(hash_matches(hash, "", &is_ours, &memory));
		assert_false(hash_matches(hash, hashes[i], &is_ours, &memory));
	}
	free(memory.crypt);
}

static void our_own_hash_is_ours(void **state)
{
	(void)state;
	struct hash_memory memory = {0};
	bool is_ours = false;
	BUF_AUTO hash = {0};
	assert_int_equal(hash_make("correct horse", &hash), 0);
	assert_true(hash_matches(buf_span(&hash), "correct horse", &is_ours, &memory));
	assert_true(is_ours);
	assert_false(hash_matches(buf_span(&hash), "correct Horse", &is_ours, &memory));
	free(memory.crypt);
}

static void what_is_no_hash_matches_nothing(void **state)
{
	(void)state;
	static const char *const cases[] = {"", "x", "correct horse", "{PLAIN}correct horse", "{CRYPT}correct horse", "*", "{SHA}", "{}", "{SHA256"};
	struct hash_memory memory = {0};
	bool is_ours;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_false(hash_matches(span_cstr(cases[i]), "correct horse", &is_ours, &memory));
		assert_false(hash_matches(span_cstr(cases[i]), cases[i], &is_ours, &memory));
		assert_false(hash_matches(span_cstr(cases[i]), "", &is_ours, &memory));
	}
	free(memory.crypt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_right_password_matches_and_others_do_not),
		cmocka_unit_test(our_own_hash_is_ours),
		cmocka_unit_test(what_is_no_hash_matches_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
