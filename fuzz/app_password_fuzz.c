/* Passwords of applications, as somebody types them. */
#include "wire/app_password.h"

#include "base/die.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char secret[APP_PASSWORD_CHARACTERS], again[APP_PASSWORD_CHARACTERS];
	if (app_password_read(span_of(data, size), secret) == 0 &&
	    (app_password_read(span_of(secret, sizeof secret), again) || memcmp(secret, again, sizeof secret) != 0))
		die("a password is another one when it is read again");
	return 0;
}
