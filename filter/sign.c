#include "filter/sign.h"

#include "auth/dkim_sign.h"
#include "base/die.h"
#include "wire/address.h"

#include <stdlib.h>

struct filter_vault {
	struct filter_process *filter;
	struct channel *channel;
	struct map waiting; /* signings, by number */
	uint64_t last;
};

struct signing {
	struct filter_vault *vault;
	struct dkim_body canonical;
	EVP_MD_CTX *sha256;
	struct buf piece, fields;
	uint64_t number;    /* of the question that vault has; 0: none */
	bool is_lost;
	loop_fn *done;
	void *context;
};

/* ---- vault ---- */

static void finish(struct signing *s)
{
	s->number = 0;
	s->done(s->context);
}

static void on_answer(void *context, const struct msg_dkim_answer *m)
{
	struct filter_vault *v = context;
	struct signing *s = map_take(&v->waiting, m->id);
	if (!s)
		return; /* the message has gone */
	buf_add(&s->fields, m->fields);
	finish(s);
}

static const struct vault_to_filter handlers = {.dkim_answer = on_answer};

static void on_closed(void *context, bool is_violation)
{
	struct filter_vault *v = context;
	size_t at = 0;
	struct signing *s;
	if (is_violation)
		child_report_violation(v->filter->self, ROLE_VAULT, 0);
	channel_free(v->channel);
	v->channel = NULL;
	while ((s = map_next(&v->waiting, &at))) {
		map_take(&v->waiting, s->number);
		s->is_lost = true;
		finish(s);
	}
}

struct filter_vault *filter_vault_new(struct filter_process *f)
{
	struct filter_vault *v = xcalloc(1, sizeof *v);
	v->filter = f;
	return v;
}

void filter_vault_attach(struct filter_vault *v, int fd)
{
	struct channel_use use = {vault_to_filter_dispatch, &handlers, v, on_closed, "vault"};
	if (v->channel)
		on_closed(v, false); /* its end is not heard of yet */
	v->channel = channel_new(v->filter->loop, fd, &use);
}

/* ---- one message ---- */

struct signing *signing_new(struct filter_process *f)
{
	struct signing *s = xcalloc(1, sizeof *s);
	*s = (struct signing){.vault = f->vault, .canonical = {.form = DKIM_RELAXED}, .sha256 = EVP_MD_CTX_new()};
	if (!s->sha256 || EVP_DigestInit_ex(s->sha256, EVP_sha256(), NULL) != 1)
		die("filter: no SHA-256");
	return s;
}

static void hash_piece(struct signing *s)
{
	EVP_DigestUpdate(s->sha256, s->piece.ptr, s->piece.len);
	buf_clear(&s->piece);
}

void signing_body(struct signing *s, struct span piece)
{
	dkim_body_feed(&s->canonical, piece, &s->piece);
	hash_piece(s);
}

void signing_end(struct signing *s, struct span header, struct span domain, loop_fn *done, void *context)
{
	struct filter_vault *v = s->vault;
	struct dkim_fields fields = {0};
	BUF_AUTO names = {0}, data = {0}, canonical = {0};
	unsigned char digest[32];
	s->done = done;
	s->context = context;
	dkim_body_end(&s->canonical, &s->piece);
	hash_piece(s);
	EVP_DigestFinal_ex(s->sha256, digest, NULL);
	dkim_fields_read(&fields, header);
	dkim_choose_names(&fields, &names);
	s->is_lost = !v->channel;
	bool is_possible = v->channel && domain_is_valid(domain, ADDRESS_UTF8) && domain_canonical(domain, &canonical, NULL) == 0 &&
	                   canonical.len <= 255 && names.len <= DKIM_NAMES_BYTES_MOST && dkim_signed_fields(&fields, buf_span(&names), &data) == 0;
	dkim_fields_free(&fields);
	if (!is_possible) {
		finish(s);
		return;
	}
	s->number = ++v->last;
	map_put(&v->waiting, s->number, s);
	channel_send(v->channel, dkim_ask, .id = s->number, .domain = buf_span(&canonical), .names = buf_span(&names), .fields = buf_span(&data),
	             .body_hash = span_of(digest, sizeof digest));
}

bool signing_is_lost(const struct signing *s)
{
	return s->is_lost;
}

struct span signing_fields(const struct signing *s)
{
	return buf_span(&s->fields);
}

void signing_free(struct signing *s)
{
	if (!s)
		return;
	if (s->number)
		map_take(&s->vault->waiting, s->number);
	EVP_MD_CTX_free(s->sha256);
	buf_free(&s->piece);
	buf_free(&s->fields);
	free(s);
}
