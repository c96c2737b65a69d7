/* The password of an application: made by the server, 28 characters of 32 that are not taken for each other, in groups of four.
 *
 * Such a form is no accident, so that what has it is worth a look-up among an account's applications, and what has not costs none. */
#ifndef WIRE_APP_PASSWORD_H
#define WIRE_APP_PASSWORD_H

#include "base/buf.h"

/* 140 bits: nobody guesses that, however fast its digest is to make. */
enum { APP_PASSWORD_CHARACTERS = 28 };

/* Appends "abcd-efgh-...", of so many random bytes as there are characters: five bits of each are used. */
void app_password_write(const unsigned char random[APP_PASSWORD_CHARACTERS], struct buf *out);

/* Takes what somebody typed: in any case, with or without hyphens and blanks between the characters. -1 if it is no such password. */
int app_password_read(struct span typed, char out[APP_PASSWORD_CHARACTERS]);

#endif
