/* DKIM signatures for what users send: the body's hash as it comes, the fields at its end, and vault, which has the keys.
 *
 * A message whose domain has no key, or whose header is too large to be handed over, goes without. While vault is being started anew
 * nobody knows which domains have one: signing_is_lost. */
#ifndef FILTER_SIGN_H
#define FILTER_SIGN_H

#include "filter/filter.h"

struct signing;

struct signing *signing_new(struct filter_process *f);
/* Bytes of the body, in their order. */
void signing_body(struct signing *s, struct span piece);
/* The message is whole. header: as it will leave; domain: of its author. Calls done(context), perhaps before it returns. */
void signing_end(struct signing *s, struct span header, struct span domain, loop_fn *done, void *context);
/* The DKIM-Signature fields, once done was called; empty if there are none. */
struct span signing_fields(const struct signing *s);
/* Once done was called: vault was not there, or went before it had answered. */
bool signing_is_lost(const struct signing *s);
/* At any time; done is not called any more. NULL is allowed. */
void signing_free(struct signing *s);

#endif
