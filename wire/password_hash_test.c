/* Hashes of passwords: what is refused, and why. Those that are taken are checked in vault/hash_test.c. */
#include "wire/password_hash.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BCRYPT "iB6ELB/jn.EKjca6sZKyN.8IdgVnDfUhrJNqLyS2tUDRRP76.H.P2"
#define SHA512CRYPT "rnXz.s7CCdirzNVK1Lp5YbDGOlk3KCNlXauFerQQGcvdMjv9AqlrYmIzWTvILYWy3lJDOnGHmusKksklIL73u/"
#define YESCRYPT "Lon1f9vVfnefR11kSe7lw/$lhRRUQrwNbvYpiJKVeAGyqoXfhvLWfUmkIANDAYUNM7"
#define ARGON2 "$xFfxJZfzJWzHFt4ZdokcBw$LMQihL4INoCulTeliwAs5dFk4NhldcaMJZGDBOYVCvs"

static void what_is_whole_and_cheap_enough_is_taken(void **state)
{
	(void)state;
	static const struct { const char *text; enum password_scheme scheme; } cases[] = {
		{"$y$j9T$" YESCRYPT, PASSWORD_YESCRYPT}, {"{CRYPT}$y$j9T$" YESCRYPT, PASSWORD_YESCRYPT}, {"$y$j75$" YESCRYPT, PASSWORD_YESCRYPT},
		{"$y$jBT$" YESCRYPT, PASSWORD_YESCRYPT}, {"$2b$14$" BCRYPT, PASSWORD_CRYPT}, {"$2a$04$" BCRYPT, PASSWORD_CRYPT},
		{"$6$rounds=1000000$salt$" SHA512CRYPT, PASSWORD_CRYPT}, {"$6$$" SHA512CRYPT, PASSWORD_CRYPT},
		{"{crypt}$6$salt$" SHA512CRYPT, PASSWORD_CRYPT}, {"$argon2id$v=19$m=65536,t=10,p=4" ARGON2, PASSWORD_ARGON2ID},
		{"$argon2i$v=16$m=8,t=1,p=1" ARGON2, PASSWORD_ARGON2I}, {"{PLAIN}{x}", PASSWORD_PLAIN}, {"{clear}a b", PASSWORD_PLAIN}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct password_hash hash;
		struct error why;
		if (password_hash_parse(span_cstr(cases[i].text), &hash, &why))
			fail_msg("%s: %s", cases[i].text, why.text);
		assert_int_equal(hash.scheme, cases[i].scheme);
	}
}

static void what_is_not_is_refused_with_a_reason(void **state)
{
	(void)state;
	static const struct { const char *text, *why; } cases[] = {
		{"", "neither"}, {"x", "neither"}, {"*", "neither"}, {"!$6$salt$" SHA512CRYPT, "neither"}, {"secret", "neither"},
		{"ab01FAX.bQRSU", "neither"}, {"$7$CU..../....", "neither"}, {"$y", "neither"}, {"{", "neither"}, {"{SHA", "neither"},
		{"{}x", "scheme {}"}, {"{NTLM}x", "{NTLM}"}, {"{SCRAM-SHA-256}4096,x", "{SCRAM-SHA-256}"}, {"{PLAIN-MD5}x", "{PLAIN-MD5}"},
		{"{pass word}x", "{?}"}, {"{\x1b[2J}x", "{?}"}, {"{CRYPT.HEX}00", "{CRYPT.HEX}"}, {"{CRYPT}", "neither"}, {"{CRYPT}{SHA}x", "neither"},
		{"$y$j9T$", "yescrypt"}, {"$y$j9T$salt$short", "yescrypt"}, {"$y$j9T" YESCRYPT, "yescrypt"}, {"$y$j9$" YESCRYPT, "yescrypt"},
		{"$y$.9T$" YESCRYPT, "yescrypt"}, {"$y$jzT$" YESCRYPT, "cost"}, {"$y$jCT$" YESCRYPT, "cost"}, {"$y$j9U$" YESCRYPT, "yescrypt"},
		{"$y$j9T$" YESCRYPT "x", "yescrypt"}, {"$2y$15$" BCRYPT, "cost"}, {"$2y$31$" BCRYPT, "cost"}, {"$2y$32$" BCRYPT, "bcrypt"},
		{"$2y$5$" BCRYPT, "bcrypt"}, {"$2y$03$" BCRYPT, "bcrypt"}, {"$2y$05$" BCRYPT "x", "bcrypt"}, {"$2x$05$" BCRYPT, "neither"},
		{"$6$rounds=1000001$salt$" SHA512CRYPT, "cost"}, {"$6$rounds=999999999$salt$" SHA512CRYPT, "cost"},
		{"$6$rounds=99999999999999999999$salt$" SHA512CRYPT, "sha512crypt"}, {"$6$rounds=-1$salt$" SHA512CRYPT, "sha512crypt"},
		{"$6$rounds=1$salt$" SHA512CRYPT, "sha512crypt"}, {"$6$salt$" SHA512CRYPT "x", "sha512crypt"}, {"$6$salt", "sha512crypt"},
		{"$6$seventeenlettersx$" SHA512CRYPT, "sha512crypt"}, {"$5$salt$" SHA512CRYPT, "sha512crypt"}, {"$1$R1KmtFRI$lY5Oq4bo", "md5crypt"},
		{"$argon2id$v=19$m=4194304,t=3,p=1" ARGON2, "cost"}, {"$argon2id$v=19$m=65537,t=3,p=1" ARGON2, "cost"},
		{"$argon2id$v=19$m=65536,t=4294967295,p=1" ARGON2, "cost"}, {"$argon2id$v=19$m=65536,t=3,p=255" ARGON2, "cost"},
		{"$argon2id$v=19$m=4294967296,t=3,p=1" ARGON2, "Argon2"}, {"$argon2id$v=19$m=7,t=3,p=1" ARGON2, "Argon2"},
		{"$argon2id$v=19$m=65536,t=0,p=1" ARGON2, "Argon2"}, {"$argon2id$v=18$m=65536,t=3,p=1" ARGON2, "Argon2"},
		{"$argon2id$v=19$t=3,m=65536,p=1" ARGON2, "Argon2"}, {"$argon2id$v=19$m=65536,t=3,p=1,x=1" ARGON2, "Argon2"},
		{"$argon2id$v=19$m=65536,t=3,p=1$xFfxJZfzJWzHFt4ZdokcBw$", "Argon2"}, {"$argon2id$v=19$m=65536,t=3,p=1$a$b", "Argon2"},
		{"$argon2id$v=19$m=65536,t=3,p=1" ARGON2 "$x", "Argon2"}, {"$argon2d$v=19$m=65536,t=3,p=1" ARGON2, "Argon2"},
		{"{ARGON2ID}x", "Argon2"}, {"{SHA}", "SHA"}, {"{SHA}!", "SHA"}, {"{SHA}L55TUjtiq8FBorTWAZ0jy6g129A", "SHA"},
		{"{SHA}CjPGH1Jz4QrG97exL76fMCbwb4pbzCJz", "SHA"}, {"{SSHA}L55TUjtiq8FBorTWAZ0jy6g129A=", "SHA"}, {"{SSHA}AAAA", "SHA"},
		{"{SHA256}L55TUjtiq8FBorTWAZ0jy6g129A=", "SHA"}, {"{SHA256.HEX}4104d3", "SHA"}, {"{SHA256.HEX}zz", "SHA"}, {"{SSHA256.HEX}123", "SHA"},
		{"{PLAIN}", "no password"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct password_hash hash;
		struct error why = {0};
		if (password_hash_parse(span_cstr(cases[i].text), &hash, &why) == 0)
			fail_msg("%s was taken", cases[i].text);
		if (!strstr(why.text, cases[i].why))
			fail_msg("%s: %s", cases[i].text, why.text);
	}
}

static void a_hash_or_salt_without_end_is_refused(void **state)
{
	(void)state;
	BUF_AUTO text = {0};
	struct password_hash hash;
	struct error why;
	buf_add_cstr(&text, "{SSHA512}");
	while (text.len < 9 + 172) /* 129 bytes: 64 of them and a salt of 65 */
		buf_add_char(&text, 'A');
	assert_int_equal(password_hash_parse(buf_span(&text), &hash, &why), -1);
	while (text.len < 5000)
		buf_add_char(&text, 'A');
	assert_int_equal(password_hash_parse(buf_span(&text), &hash, &why), -1);
	assert_non_null(strstr(why.text, "500"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_whole_and_cheap_enough_is_taken),
		cmocka_unit_test(what_is_not_is_refused_with_a_reason),
		cmocka_unit_test(a_hash_or_salt_without_end_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
