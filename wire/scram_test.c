/* SCRAM's messages: the example of RFC 7677 §3, and what is refused. */
#include "wire/scram.h"

#include "wire/saslprep.h"
#include "wire/test.h"

#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define NONCE CLIENT_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define KEYS "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void the_example_of_rfc_7677_is_read_and_written(void **state)
{
	(void)state;
	struct scram_client_first first;
	struct scram_client_final final;
	struct scram_keys keys;
	BUF_AUTO user = {0}, authzid = {0}, out = {0}, text = {0};
	assert_int_equal(scram_parse_client_first(SPAN("n,,n=user,r=" CLIENT_NONCE), &first, &user, &authzid, NULL), 0);
	assert_int_equal(first.binding, SCRAM_BINDING_NONE);
	assert_true(span_equal(first.gs2_header, SPAN("n,,")) && span_equal(first.bare, SPAN("n=user,r=" CLIENT_NONCE)));
	assert_true(span_equal(first.nonce, SPAN(CLIENT_NONCE)) && span_equal(buf_span(&user), SPAN("user")) && authzid.len == 0);
	assert_int_equal(scram_keys_parse(SPAN(KEYS), &keys, NULL), 0);
	scram_write_server_first(SPAN(NONCE), &keys, &out);
	assert_string_equal(buf_cstr(&out), "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
	scram_keys_write(&keys, &text);
	assert_string_equal(buf_cstr(&text), KEYS);
	assert_int_equal(scram_parse_client_final(SPAN("c=biws,r=" NONCE ",p=" PROOF), &final, NULL), 0);
	assert_true(span_equal(final.without_proof, SPAN("c=biws,r=" NONCE)) && span_equal(final.nonce, SPAN(NONCE)));
	assert_true(scram_binding_is(final.binding, SPAN("n,,"), SPAN("")));
	assert_int_equal(final.proof[0], 0x74);
	assert_int_equal(final.proof[SCRAM_KEY_BYTES - 1], 0x54);
}

static void names_and_bindings_are_read(void **state)
{
	(void)state;
	static const struct { const char *message, *user, *authzid, *header, *binding_name; enum scram_binding binding; } cases[] = {
		{"y,,n=a=2Cb=3Dc,r=x", "a,b=c", "", "y,,", "", SCRAM_BINDING_UNUSED},
		{"n,a=other=2C,n=\xc3\xa9,r=x", "\xc3\xa9", "other,", "n,a=other=2C,", "", SCRAM_BINDING_NONE},
		{"p=tls-exporter,,n=user,r=x,ext=1,more", "user", "", "p=tls-exporter,,", "tls-exporter", SCRAM_BINDING_USED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scram_client_first first;
		BUF_AUTO user = {0}, authzid = {0};
		assert_int_equal(scram_parse_client_first(span_cstr(cases[i].message), &first, &user, &authzid, NULL), 0);
		assert_string_equal(buf_cstr(&user), cases[i].user);
		assert_string_equal(buf_cstr(&authzid), cases[i].authzid);
		assert_true(span_equal(first.gs2_header, span_cstr(cases[i].header)));
		assert_true(span_equal(first.binding_name, span_cstr(cases[i].binding_name)));
		assert_int_equal(first.binding, cases[i].binding);
	}
}

static void other_first_messages_are_refused(void **state)
{
	(void)state;
	static const char *const messages[] = {
		"", "n", "n,", "n,,", "x,,n=u,r=x", "N,,n=u,r=x", "nn=u,r=x", "n,n=u,r=x", "p=,,n=u,r=x", "p=a b,,n=u,r=x", "p,,n=u,r=x", "n,a=,n=u,r=x", "n,b=x,n=u,r=x",
		"n,,m=must,n=u,r=x", "n,,n=,r=x", "n,,n=a=b,r=x", "n,,n=a=2c,r=x", "n,,n=a=,r=x", "n,,n=\xff,r=x", "n,,n=u", "n,,n=u,", "n,,n=u,r=", "n,,n=u,r=a b",
		"n,,n=u,r=\xc3\xa9", "n,,r=x,n=u", "n,,n=u,s=x,r=x", "n,,u,r=x",
	};
	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
		struct scram_client_first first;
		struct error why = {0};
		BUF_AUTO user = {0}, authzid = {0};
		assert_int_equal(scram_parse_client_first(span_cstr(messages[i]), &first, &user, &authzid, &why), -1);
		assert_true(why.text[0]);
	}
	struct scram_client_first first;
	BUF_AUTO user = {0}, authzid = {0}, longest = {0}, nonce = {0};
	assert_int_equal(scram_parse_client_first(SPAN("n,,n=a\0b,r=x"), &first, &user, &authzid, NULL), -1);
	buf_add_cstr(&nonce, "n,,n=u,r=");
	for (int i = 0; i <= SCRAM_NONCE_MOST; i++)
		buf_add_char(&nonce, 'x');
	assert_int_equal(scram_parse_client_first(buf_span(&nonce), &first, &user, &authzid, NULL), -1);
	assert_int_equal(scram_parse_client_first(span_slice(buf_span(&nonce), 0, nonce.len - 1), &first, &user, &authzid, NULL), 0);
	buf_add_cstr(&longest, "n,,n=u,r=x,e=");
	while (longest.len <= SCRAM_MESSAGE_MOST)
		buf_add_char(&longest, 'x');
	assert_int_equal(scram_parse_client_first(buf_span(&longest), &first, &user, &authzid, NULL), -1);
}

static void other_final_messages_are_refused(void **state)
{
	(void)state;
	struct scram_client_final final;
	struct error why;
	static const char *const messages[] = {
		"", "c=biws", "c=biws,r=x", "c=biws,r=x,p=", "c=biws,r=x,p=AAAA", "c=biws,r=x,p=" PROOF "x", "c=biws,r=x,p=!" PROOF, "c=biws,p=" PROOF, "r=x,c=biws,p=" PROOF,
		"c=biws,r=,p=" PROOF, "c=biws,r=x,p=" PROOF ",e=x", "p=" PROOF, "c=biws,r=p=" PROOF, "c=biws,r=x,p=" PROOF ",",
	};
	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
		assert_int_equal(scram_parse_client_final(span_cstr(messages[i]), &final, &why), -1);
	assert_int_equal(scram_parse_client_final(SPAN("c=biws,r=x,e=1,f,p=" PROOF), &final, NULL), 0);
	assert_true(span_equal(final.without_proof, SPAN("c=biws,r=x,e=1,f")));
}

static void a_binding_is_the_whole_header_and_the_data(void **state)
{
	(void)state;
	/* "p=x,,data" */
	assert_true(scram_binding_is(SPAN("cD14LCxkYXRh"), SPAN("p=x,,"), SPAN("data")));
	assert_false(scram_binding_is(SPAN("cD14LCxkYXRh"), SPAN("p=x,,"), SPAN("datb")));
	assert_false(scram_binding_is(SPAN("cD14LCxkYXRh"), SPAN("p=x,,"), SPAN("")));
	assert_false(scram_binding_is(SPAN("cD14LCxkYXRh"), SPAN("p=y,,"), SPAN("data")));
	assert_false(scram_binding_is(SPAN("cD14LCxkYXRh"), SPAN("n,,"), SPAN("data")));
	assert_false(scram_binding_is(SPAN("biws"), SPAN("y,,"), SPAN("")));
	assert_false(scram_binding_is(SPAN("biw"), SPAN("n,,"), SPAN("")));
	assert_false(scram_binding_is(SPAN(""), SPAN("n,,"), SPAN("")));
}

static void other_keys_are_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"", "SCRAM-SHA-256", "SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"SCRAM-SHA-256$4095:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"SCRAM-SHA-256$4294971392:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"SCRAM-SHA-256$4096:$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
		"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl",
		KEYS "=",
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct scram_keys keys;
		struct error why = {0};
		assert_int_equal(scram_keys_parse(span_cstr(texts[i]), &keys, &why), -1);
		assert_true(why.text[0] && !strstr(why.text, "W22"));
	}
}

/* RFC 4013 §3, and what a phone's keyboard gives. */
static void passwords_are_prepared(void **state)
{
	(void)state;
	static const struct { const char *text, *prepared; } cases[] = {
		{"I\xc2\xadX", "IX"}, {"user", "user"}, {"USER", "USER"}, {"\xc2\xaa", "a"}, {"\xe2\x85\xa8", "IX"}, {"\x07", NULL}, {"\xd8\xa7" "1", NULL},
		{"a\xc2\xa0" "b", "a b"}, {"e\xcc\x81", "\xc3\xa9"}, {"\xf0\x9f\x90\x8e horse", "\xf0\x9f\x90\x8e horse"}, {"\xc2\xad", NULL}, {"\xff", NULL}, {"", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		BUF_AUTO out = {0};
		assert_int_equal(saslprep(span_cstr(cases[i].text), &out), cases[i].prepared ? 0 : -1);
		assert_string_equal(buf_cstr(&out), cases[i].prepared ? cases[i].prepared : "");
	}
	BUF_AUTO longest = {0}, out = {0};
	for (int i = 0; i < 512; i++)
		buf_add_cstr(&longest, "\xef\xb7\xba"); /* eighteen characters */
	assert_int_equal(saslprep(buf_span(&longest), &out), -1);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_rfc_7677_is_read_and_written),
		cmocka_unit_test(names_and_bindings_are_read),
		cmocka_unit_test(other_first_messages_are_refused),
		cmocka_unit_test(other_final_messages_are_refused),
		cmocka_unit_test(a_binding_is_the_whole_header_and_the_data),
		cmocka_unit_test(other_keys_are_refused),
		cmocka_unit_test(passwords_are_prepared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
