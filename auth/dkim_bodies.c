#include "auth/dkim_bodies.h"

#include "base/die.h"

void dkim_bodies_want(struct dkim_bodies *b, enum dkim_canonical form)
{
	struct dkim_body_hash *h = &b->forms[form];
	if (h->sha256)
		return;
	h->canonical.form = form;
	h->sha256 = EVP_MD_CTX_new();
	if (!h->sha256 || EVP_DigestInit_ex(h->sha256, EVP_sha256(), NULL) != 1)
		die("auth: no SHA-256");
}

static void hash_piece(struct dkim_bodies *b, struct dkim_body_hash *h)
{
	EVP_DigestUpdate(h->sha256, b->piece.ptr, b->piece.len);
	h->length += b->piece.len;
	buf_clear(&b->piece);
}

void dkim_bodies_feed(struct dkim_bodies *b, struct span piece)
{
	for (size_t i = 0; i < 2; i++) {
		if (!b->forms[i].sha256)
			continue;
		dkim_body_feed(&b->forms[i].canonical, piece, &b->piece);
		hash_piece(b, &b->forms[i]);
	}
}

void dkim_bodies_end(struct dkim_bodies *b)
{
	for (size_t i = 0; i < 2; i++) {
		struct dkim_body_hash *h = &b->forms[i];
		if (!h->sha256)
			continue;
		dkim_body_end(&h->canonical, &b->piece);
		hash_piece(b, h);
		EVP_DigestFinal_ex(h->sha256, h->digest, NULL);
	}
}

void dkim_bodies_free(struct dkim_bodies *b)
{
	for (size_t i = 0; i < 2; i++)
		EVP_MD_CTX_free(b->forms[i].sha256);
	buf_free(&b->piece);
	*b = (struct dkim_bodies){0};
}
