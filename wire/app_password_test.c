/* The passwords of applications: what is one, and what is not. */
#include "wire/app_password.h"

#include "wire/test.h"

static void what_is_written_is_read_however_it_is_typed(void **state)
{
	(void)state;
	unsigned char random[APP_PASSWORD_CHARACTERS];
	char secret[APP_PASSWORD_CHARACTERS];
	BUF_AUTO text = {0};
	for (size_t i = 0; i < sizeof random; i++)
		random[i] = (unsigned char)(i + 224);
	app_password_write(random, &text);
	assert_string_equal(buf_cstr(&text), "0123-4567-89ab-cdef-ghjk-mnpq-rstv");
	static const char *const typed[] = {"0123-4567-89ab-cdef-ghjk-mnpq-rstv", "0123456789abcdefghjkmnpqrstv", "0123 4567 89AB CDEF GHJK MNPQ RSTV",
	                                    " 0-1-23456789abcdefghjkmnpqrstv-"};
	for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++) {
		assert_int_equal(app_password_read(span_cstr(typed[i]), secret), 0);
		assert_span(span_of(secret, sizeof secret), "0123456789abcdefghjkmnpqrstv");
	}
}

static void other_passwords_are_none(void **state)
{
	(void)state;
	char secret[APP_PASSWORD_CHARACTERS];
	BUF_AUTO blanks = {0};
	repeat(&blanks, " ", 1000);
	buf_add_cstr(&blanks, "0123456789abcdefghjkmnpqrstv");
	static const char *const typed[] = {"", "correct horse", "0123456789abcdefghjkmnpqrst", "0123456789abcdefghjkmnpqrstvw", "i123456789abcdefghjkmnpqrstv",
	                                    "0123_4567_89ab_cdef_ghjk_mnpq_rstv", "0123456789abcdefghjkmnpqrst\xc3\xa9"};
	for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++)
		assert_int_equal(app_password_read(span_cstr(typed[i]), secret), -1);
	assert_int_equal(app_password_read(buf_span(&blanks), secret), -1);
	assert_int_equal(app_password_read(span_of("0123456789abcdefghjkmnpqrs\0v", 28), secret), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_however_it_is_typed),
		cmocka_unit_test(other_passwords_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
