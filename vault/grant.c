#include "vault/grant.h"

#include "base/clock.h"
#include "base/random.h"
#include "vault/login.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { TOKEN_BYTES = 32, TOKEN_TEXT_BYTES = 2 * TOKEN_BYTES + sizeof "grant-" - 1 };

static bool digest(struct span token, unsigned char out[GRANT_DIGEST_BYTES])
{
	return EVP_Digest(token.ptr, token.len, out, NULL, EVP_sha256(), NULL) == 1;
}

/* A free place, or that of the oldest. */
static struct grant *place_for_one(struct vault_process *v)
{
	struct grant *oldest = &v->grants[0];
	for (size_t i = 0; i < GRANTS_MOST; i++)
		if (v->grants[i].until_ms < oldest->until_ms)
			oldest = &v->grants[i];
	return oldest;
}

static void forget(struct grant *g)
{
	buf_free(&g->name);
	*g = (struct grant){0};
}

void grant_asked(struct vault_process *v, const struct msg_grant_ask *m)
{
	unsigned char random[TOKEN_BYTES];
	BUF_AUTO token = {0};
	struct grant *g = place_for_one(v);
	forget(g);
	random_bytes(random, sizeof random);
	buf_add_cstr(&token, "grant-");
	for (size_t i = 0; i < sizeof random; i++)
		buf_printf(&token, "%02x", random[i]);
	if (digest(buf_span(&token), g->digest)) {
		g->until_ms = clock_monotonic_ms() + GRANT_MS;
		g->account = m->account;
		g->credential = m->credential;
		buf_add(&g->name, m->name);
	} else {
		buf_clear(&token);
	}
	channel_send(v->store, grant_answer, .id = m->id, .token = buf_span(&token));
	OPENSSL_cleanse(random, sizeof random);
	if (token.ptr)
		OPENSSL_cleanse(token.ptr, token.cap);
}

static struct grant *find(struct login *l, struct span password)
{
	struct vault_process *v = l->vault;
	unsigned char spent[GRANT_DIGEST_BYTES];
	if (password.len != TOKEN_TEXT_BYTES || !span_starts_with(password, SPAN("grant-")) || !digest(password, spent))
		return NULL;
	for (size_t i = 0; i < GRANTS_MOST; i++) {
		struct grant *g = &v->grants[i];
		if (g->until_ms > clock_monotonic_ms() && CRYPTO_memcmp(g->digest, spent, sizeof spent) == 0)
			return l->authzid.len == 0 && span_equal(buf_span(&g->name), buf_span(&l->user)) ? g : NULL;
	}
	return NULL;
}

bool grant_take(struct login *l, struct span password)
{
	struct grant *g = find(l, password);
	if (!g)
		return false;
	l->is_grant = true;
	l->account = l->owner = g->account;
	l->credential = l->owner_credential = g->credential;
	l->acting = ACTING_FOR_HIMSELF;
	buf_add(&l->owner_name, buf_span(&g->name));
	forget(g);
	login_bind(l);
	return true;
}
