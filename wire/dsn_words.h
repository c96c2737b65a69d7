/* What a delivery status notification says to people, in their language. For wire/dsn.c. */
#ifndef WIRE_DSN_WORDS_H
#define WIRE_DSN_WORDS_H

#include "wire/dsn.h"

enum { DSN_ACTIONS = DSN_EXPANDED + 1 };

/* UTF-8; lines of an introduction end in CR LF. */
struct dsn_words {
	struct {
		const char *subject, *intro, *outcome; /* outcome NULL: it depends on the status */
	} actions[DSN_ACTIONS];
	const char *here;           /* before the server's name, which ends the sentence */
	const char *answer, *said;  /* around the name of the server that has answered */
	const char *whole_attached, *header_attached;
};

const struct dsn_words *dsn_words(enum language l);
/* What the status says, in words (RFC 3463 §3). */
const char *dsn_explain(enum language l, struct span status);

#endif
