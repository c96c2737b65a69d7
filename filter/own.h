/* Messages that store makes itself, as reports: it asks for their signature (DKIM). */
#ifndef FILTER_OWN_H
#define FILTER_OWN_H

#include "filter/filter.h"

/* Answered by own_answer. */
void own_ask(struct filter_process *f, const struct msg_own_ask *m);
/* None is answered. */
void own_store_gone(struct filter_process *f);

#endif
