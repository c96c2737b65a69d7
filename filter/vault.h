/* Questions to vault, which has the keys: for DKIM (filter/sign.h) and ARC (filter/seal.h). */
#ifndef FILTER_VAULT_H
#define FILTER_VAULT_H

#include "filter/filter.h"

struct filter_vault;

struct filter_vault *filter_vault_new(struct filter_process *f);
/* The channel to vault; owns fd. */
void filter_vault_attach(struct filter_vault *v, int fd);

/* One question; zeroed before, ends with vault_question_free. */
struct vault_question {
	struct filter_vault *vault;
	uint64_t number;    /* in the message that asks; 0: vault does not have it */
	struct buf fields;  /* the answer */
	bool is_lost;       /* vault was not there, or went before it had answered */
	loop_fn *done;
	void *context;
};

/* Whoever calls this sends the question with q->number over the channel that it returns; done(context) is called later. NULL if there is no
 * vault now: is_lost, and done is not called. */
struct channel *vault_question_begin(struct vault_question *q, struct filter_vault *v, loop_fn *done, void *context);
/* At any time; done is not called any more. */
void vault_question_free(struct vault_question *q);

#endif
