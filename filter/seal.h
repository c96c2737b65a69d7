/* A new set in the chain (ARC, RFC 8617 §5.1) of a stranger's message that is forwarded to another server: it says there what SPF, DKIM and
 * DMARC said here, where SPF can be right.
 *
 * Without a set goes what has none that can be trusted: a chain that others have ended, or of fifty sets, or one that could not be judged;
 * where no domain has a key; and where the header is too large to be handed over. */
#ifndef FILTER_SEAL_H
#define FILTER_SEAL_H

#include "filter/authenticate.h"
#include "filter/filter.h"

struct sealing;

/* domain: of ours, that forwards the message. */
struct sealing *sealing_new(struct filter_process *f, struct span domain);
/* The authentication is done, and stays as long as this; header: as the message will leave. Calls done(context), perhaps before it
 * returns. */
void sealing_start(struct sealing *s, const struct authentication *a, struct span header, loop_fn *done, void *context);
/* The fields of the set, once done was called; empty if there is none. */
struct span sealing_fields(const struct sealing *s);
/* Once done was called: vault was not there, or went before it had answered. */
bool sealing_is_lost(const struct sealing *s);
/* At any time; done is not called any more. NULL is allowed. */
void sealing_free(struct sealing *s);

#endif
