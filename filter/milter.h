/* What the milters say of a message: asked of the process `milter` while it comes.
 *
 * While that process is being started anew, or if it dies meanwhile, nobody knows what they would say: the answer is then VERDICT_LATER. */
#ifndef FILTER_MILTER_H
#define FILTER_MILTER_H

#include "filter/filter.h"

struct filter_milter;
struct asking;

struct filter_milter *filter_milter_new(struct filter_process *f);
/* The channel to milter; owns fd. */
void filter_milter_attach(struct filter_milter *fm, int fd);

struct milter_said {
	enum verdict_outcome outcome;
	struct buf text;                      /* the reply, where it is not accepted */
	bool is_held, has_sender;
	struct buf sender, rcpt_added, rcpt_removed; /* the latter two are words */
	struct buf above, behind;             /* header fields: over our Received field, and behind it */
	struct buf removed;                   /* u32 each, ascending: which of the fields that were given do not stay */
	uint32_t came;                        /* how many there were */
};

/* Begins, by what edge says. credit(context): a piece of the body has been used up. answered(context): asking_said has something,
 * perhaps before the message is whole, never before asking_new has returned. */
struct asking *asking_new(struct filter_process *f, const struct msg_judge_begin *b, loop_fn *credit, loop_fn *answered, void *context);
/* True until it has been answered; then it needs nothing more, and the calls below do nothing. */
bool asking_is_open(const struct asking *a);
void asking_recipient(struct asking *a, struct span address);
/* The client's name in the DNS; empty if it has none. The first call counts. */
void asking_client(struct asking *a, struct span name);
/* Header fields, in their order, and their end. */
void asking_field(struct asking *a, struct span whole);
void asking_header_end(struct asking *a);
/* Bytes of the body: `credit` follows, unless it is answered before. */
void asking_body(struct asking *a, struct span piece);
void asking_end(struct asking *a);
/* NULL: not answered yet. */
const struct milter_said *asking_said(const struct asking *a);
/* At any time; nothing is called any more. NULL is allowed. */
void asking_free(struct asking *a);

#endif
