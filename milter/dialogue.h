/* What is said to one milter about one message, in the order of SMTP, and what it answers. */
#ifndef MILTER_DIALOGUE_H
#define MILTER_DIALOGUE_H

#include "milter/inquiry.h"

struct link;

/* With the milter whose turn it is. Its outcome goes into the message, and inquiry_dialogue_over is called, perhaps before it returns. */
struct dialogue *dialogue_new(struct inquiry *m);
/* There is more of the body, or its end. */
void dialogue_body_there(struct dialogue *d);
bool dialogue_wants_body(const struct dialogue *d);
/* NULL is allowed. */
void dialogue_free(struct dialogue *d);

/* For link.c. */
void dialogue_ready(struct dialogue *d);
void dialogue_heard(struct dialogue *d, const struct milter_packet *packet);
void dialogue_drained(struct dialogue *d);
/* The milter cannot be asked any more, or is not to be. */
void dialogue_lost(struct dialogue *d, const char *why);

#endif
