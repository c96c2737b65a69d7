/* The languages that people are written to in: what a server says to them of itself (bounces, notices). */
#ifndef WIRE_LANGUAGE_H
#define WIRE_LANGUAGE_H

#include "base/span.h"

enum language { LANGUAGE_ENGLISH, LANGUAGE_PORTUGUESE, LANGUAGES };

/* By its tag (RFC 5646), "en" or "pt", also with subtags ("pt-BR"). -1 if it is none that we speak. */
int language_parse(struct span tag, enum language *out);
const char *language_tag(enum language l);

#endif
