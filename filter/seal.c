#include "filter/seal.h"

#include "auth/arc_sign.h"
#include "base/die.h"
#include "filter/vault.h"

#include <stdlib.h>

struct sealing {
	struct filter_vault *vault;
	struct buf domain;
	struct vault_question question;
};

struct sealing *sealing_new(struct filter_process *f, struct span domain)
{
	struct sealing *s = xcalloc(1, sizeof *s);
	s->vault = f->vault;
	buf_add(&s->domain, domain);
	return s;
}

/* What the new seal says, and its instance; 0: there is to be none. */
static unsigned next_instance(const struct authentication *a, enum arc_status *status)
{
	const struct arc_result *r = authentication_arc(a);
	const struct arc_chain *chain = authentication_chain(a);
	*status = r->outcome == AUTH_PASS ? ARC_PASS : r->outcome == AUTH_NONE ? ARC_NONE : ARC_FAIL;
	/* RFC 8617 §5.2.1 takes a key that cannot be had now for one that never can; whoever comes next may have it, if we do not end the chain */
	if (chain->has_ended || r->is_later || r->is_beyond_us || chain->highest >= ARC_SETS_MOST)
		return 0;
	if (*status == ARC_FAIL ? !chain->highest : *status == ARC_NONE && chain->is_there)
		return 0; /* of what is no set at all; not judged in time */
	return chain->highest + 1;
}

/* False if a milter has sealed the message itself, or taken sets away: two of one instance would be none. */
static bool is_as_judged(const struct authentication *a, struct span header)
{
	struct arc_chain leaving;
	arc_chain_read(header, &leaving);
	return leaving.count == authentication_chain(a)->count && leaving.highest == authentication_chain(a)->highest;
}

static void add_sets_before(const struct arc_chain *chain, struct buf *out)
{
	for (unsigned i = 0; i < chain->count; i++)
		arc_set_canonical(&chain->sets[i], true, out);
}

void sealing_start(struct sealing *s, const struct authentication *a, struct span header, loop_fn *done, void *context)
{
	struct dkim_fields fields = {0};
	struct channel *vault = NULL;
	BUF_AUTO names = {0}, data = {0}, sets = {0}, results = {0};
	enum arc_status status = ARC_NONE;
	unsigned instance = is_as_judged(a, header) ? next_instance(a, &status) : 0;
	if (status == ARC_PASS)
		add_sets_before(authentication_chain(a), &sets);
	authentication_results(a, &results);
	dkim_fields_read(&fields, header);
	arc_choose_names(&fields, &names);
	bool is_possible = instance && names.len <= DKIM_NAMES_BYTES_MOST && dkim_signed_fields(&fields, buf_span(&names), &data) == 0 &&
	                   sets.len <= ARC_SETS_BYTES_MOST && results.len <= ARC_RESULTS_BYTES_MOST;
	dkim_fields_free(&fields);
	if (is_possible)
		vault = vault_question_begin(&s->question, s->vault, done, context);
	if (vault)
		channel_send(vault, arc_ask, .id = s->question.number, .domain = buf_span(&s->domain), .instance = (uint8_t)instance,
		             .status = (uint8_t)status, .results = buf_span(&results), .names = buf_span(&names), .fields = buf_span(&data),
		             .body_hash = authentication_body_hash(a), .sets = buf_span(&sets));
	else
		done(context);
}

struct span sealing_fields(const struct sealing *s)
{
	return buf_span(&s->question.fields);
}

bool sealing_is_lost(const struct sealing *s)
{
	return s->question.is_lost;
}

void sealing_free(struct sealing *s)
{
	if (!s)
		return;
	vault_question_free(&s->question);
	buf_free(&s->domain);
	free(s);
}
