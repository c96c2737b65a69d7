/* An exchange: the first message names the account, whose salt is answered with a nonce of ours; the final message has the
 * client's proof, and is answered with our signature once the session is bound.
 *
 * What is not there has a salt too, which is always the same for that name, and fails at the end like a wrong password. A wrong
 * password counts in the same throttle as in the clear; but since each proof is another, one that was wrong before counts again. Between
 * the two messages a login waits for its client, for EXCHANGE_MS at most, in the same table as those that wait for a check.
 *
 * An edge is believed in what it says of the channel binding, as nobody else has the TLS session. */
#include "vault/scram.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/random.h"
#include "vault/scram_keys.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum {
	EXCHANGES_MOST = 10000,      /* that wait for their clients: half of all logins, so that they keep no password out */
	EXCHANGE_MS = 2 * 60 * 1000, /* clients take a second at most for the keys, but a telephone may fall asleep over it */
	CHALLENGE_MS = 10,           /* at most, by chance: the look-up of who is there takes some microseconds less or more, which that hides */
	NONCE_BYTES = 24,            /* of randomness: each exchange has its own, so that nothing said in one is of use in another */
};

struct scram_run {
	struct vault_process *vault;
	bool is_open; /* waits for its client, and is counted */
	struct scram_keys keys;
	struct buf nonce;        /* the client's, then with ours behind it */
	struct buf bare, challenge; /* client-first-message-bare and server-first-message */
	bool is_plus, has_keys;
	unsigned char signature[SCRAM_KEY_BYTES];
};

static void set_open(struct scram_run *r, bool is_open)
{
	r->vault->exchanges_open += (unsigned)is_open - (unsigned)r->is_open;
	r->is_open = is_open;
}

void scram_run_free(struct scram_run *r)
{
	if (!r)
		return;
	set_open(r, false);
	buf_free(&r->nonce);
	buf_free(&r->bare);
	buf_free(&r->challenge);
	OPENSSL_cleanse(r, sizeof *r);
	free(r);
}

struct span scram_signature(const struct scram_run *r)
{
	return span_of(r->signature, sizeof r->signature);
}

const char *scram_mechanism(const struct scram_run *r)
{
	return r->is_plus ? "scram-plus" : "scram";
}

/* ---- whether it is offered ---- */

void scram_tell_edge(struct edge_peer *e)
{
	channel_send(e->channel, scram_offered, .is_offered = e->vault->is_scram_offered);
}

void scram_offer_said(struct vault_process *v, const struct msg_scram_offer *m)
{
	if (m->salt_secret.len != sizeof v->salt_secret) {
		channel_violation(v->store, "scram_offer");
		return;
	}
	v->is_scram_offered = m->is_offered;
	memcpy(v->salt_secret, m->salt_secret.ptr, sizeof v->salt_secret);
	for (size_t i = 0; i < EDGES_MOST; i++)
		if (v->edges[i].channel)
			scram_tell_edge(&v->edges[i]);
}

/* ---- the exchange ---- */

void scram_first_said(struct edge_peer *e, const struct msg_scram_first *m)
{
	struct login *l = login_new(e, m->id, m->session, m->user, m->authzid, m->client_address, m->protocol);
	l->scram = xcalloc(1, sizeof *l->scram);
	l->scram->vault = e->vault;
	l->scram->is_plus = m->is_plus;
	buf_add(&l->scram->nonce, m->nonce);
	buf_add(&l->scram->bare, m->bare);
	login_ask_account(l);
}

static void on_too_late(void *context)
{
	login_free(context);
}

static void on_challenge_due(void *context)
{
	struct login *l = context;
	timer_free(l->timer);
	l->timer = timer_new(l->vault->loop, on_too_late, l);
	timer_set(l->timer, EXCHANGE_MS);
	if (login_is_heard(l))
		channel_send(l->edge->channel, scram_challenge, .id = l->id, .exchange = l->number, .message = buf_span(&l->scram->challenge));
}

void scram_account_answered(struct login *l, struct span name, struct span scram)
{
	struct scram_run *r = l->scram;
	struct vault_process *v = l->vault;
	unsigned char nonce[NONCE_BYTES];
	if (login_is_held(l, throttle_judge(v->throttle, &l->guesser)))
		return;
	if (v->exchanges_open >= EXCHANGES_MOST) {
		login_end(l, LOGIN_LATER, "too many clients take their time");
		return;
	}
	r->has_keys = l->account && scram_keys_parse(scram, &r->keys, NULL) == 0;
	if (!r->has_keys)
		scram_keys_make_up(span_of(v->salt_secret, sizeof v->salt_secret), name, &r->keys);
	random_bytes(nonce, sizeof nonce);
	base64_encode(span_of(nonce, sizeof nonce), &r->nonce);
	scram_write_server_first(buf_span(&r->nonce), &r->keys, &r->challenge);
	l->state = LOGIN_OFFERED;
	set_open(r, true);
	l->timer = timer_new(v->loop, on_challenge_due, l);
	timer_set(l->timer, (int64_t)random_below(CHALLENGE_MS + 1));
}

/* NULL: it is over, or another edge's. */
static struct login *find(struct edge_peer *e, uint64_t exchange)
{
	struct login *l = map_get(&e->vault->logins, exchange);
	return l && l->edge == e && login_is_heard(l) && l->state == LOGIN_OFFERED ? l : NULL;
}

void scram_dropped(struct edge_peer *e, const struct msg_scram_drop *m)
{
	struct login *l = find(e, m->exchange);
	if (l)
		login_free(l);
}

static void compare(struct login *l, struct span without_proof, const unsigned char *proof)
{
	struct scram_run *r = l->scram;
	BUF_AUTO auth_message = {0}; /* RFC 5802 §3 */
	buf_add(&auth_message, buf_span(&r->bare));
	buf_add_char(&auth_message, ',');
	buf_add(&auth_message, buf_span(&r->challenge));
	buf_add_char(&auth_message, ',');
	buf_add(&auth_message, without_proof);
	bool is_right = scram_proof_matches(&r->keys, buf_span(&auth_message), proof);
	scram_sign(&r->keys, buf_span(&auth_message), r->signature);
	if (is_right && r->has_keys) {
		login_take_right(l);
		return;
	}
	throttle_wrong(l->vault->throttle, &l->guesser);
	login_end(l, LOGIN_REFUSED, r->has_keys ? "wrong password" : l->account ? "no keys for SCRAM: a login in clear makes them" : "no such user");
}

void scram_final_said(struct edge_peer *e, const struct msg_scram_final *m)
{
	struct login *l = find(e, m->exchange);
	if (!l) {
		/* too late, or it was begun with a vault that has gone */
		channel_send(e->channel, login_answer, .id = m->id, .outcome = LOGIN_LATER);
		return;
	}
	struct scram_run *r = l->scram;
	set_open(r, false);
	timer_free(l->timer);
	l->timer = NULL;
	l->id = m->id;
	l->asked_ms = clock_monotonic_ms();
	/* others may have guessed since the first message: the limit is for what is compared */
	if (login_is_held(l, throttle_judge(l->vault->throttle, &l->guesser)))
		return;
	if (!m->is_bound)
		login_end(l, LOGIN_REFUSED, "the channel binding is another's: somebody may be between the client and this server");
	else if (!span_equal(m->nonce, buf_span(&r->nonce)))
		login_end(l, LOGIN_REFUSED, "the nonce is another's");
	else if (m->proof.len != SCRAM_KEY_BYTES)
		channel_violation(e->channel, "scram_final");
	else
		compare(l, m->without_proof, (const unsigned char *)m->proof.ptr);
}
