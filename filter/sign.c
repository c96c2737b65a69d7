#include "filter/sign.h"

#include "auth/dkim_bodies.h"
#include "auth/dkim_sign.h"
#include "base/die.h"
#include "filter/vault.h"
#include "wire/address.h"

#include <stdlib.h>

struct signing {
	struct filter_vault *vault;
	struct dkim_bodies bodies;
	struct vault_question question;
};

struct signing *signing_new(struct filter_process *f)
{
	struct signing *s = xcalloc(1, sizeof *s);
	s->vault = f->vault;
	dkim_bodies_want(&s->bodies, DKIM_RELAXED);
	return s;
}

void signing_body(struct signing *s, struct span piece)
{
	dkim_bodies_feed(&s->bodies, piece);
}

void signing_end(struct signing *s, struct span header, struct span domain, loop_fn *done, void *context)
{
	struct dkim_fields fields = {0};
	struct channel *vault = NULL;
	BUF_AUTO names = {0}, data = {0}, canonical = {0};
	dkim_bodies_end(&s->bodies);
	dkim_fields_read(&fields, header);
	dkim_choose_names(&fields, &names);
	bool is_possible = domain_is_valid(domain, ADDRESS_UTF8) && domain_canonical(domain, &canonical, NULL) == 0 && canonical.len <= 255 &&
	                   names.len <= DKIM_NAMES_BYTES_MOST && dkim_signed_fields(&fields, buf_span(&names), &data) == 0;
	dkim_fields_free(&fields);
	if (is_possible)
		vault = vault_question_begin(&s->question, s->vault, done, context);
	if (vault)
		channel_send(vault, dkim_ask, .id = s->question.number, .domain = buf_span(&canonical), .names = buf_span(&names),
		             .fields = buf_span(&data), .body_hash = span_of(s->bodies.forms[DKIM_RELAXED].digest, DKIM_DIGEST_BYTES));
	else
		done(context);
}

bool signing_is_lost(const struct signing *s)
{
	return s->question.is_lost;
}

struct span signing_fields(const struct signing *s)
{
	return buf_span(&s->question.fields);
}

void signing_free(struct signing *s)
{
	if (!s)
		return;
	vault_question_free(&s->question);
	dkim_bodies_free(&s->bodies);
	free(s);
}
