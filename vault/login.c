/* A login's way: store names the account and its hash; the throttle judges; what was checked lately needs no check; else it
 * waits in its network's line, and at its turn is judged again and checked on a thread; store binds the session.
 *
 *   ASKS -> WAITS -> CHECKED -> BINDS -> the answer
 *
 * A login by SCRAM, which needs no thread, has a way of its own between the first step and the last two (vault/scram.c).
 *
 * What is refused or held back is answered later: a time after its arrival that depends on how many failures there were and
 * on nothing else, neither on whether there is such an account nor on what scheme its hash has.
 *
 * An edge is believed in what it says of its client's address, since nobody else has seen the client. Captured, it can
 * invent addresses: then the counts by address hold nothing back, and it can fill those of others to keep them out, which it
 * can do anyway. What stays true: a wrong password never becomes right; an account is guessed at login_failures_per_account
 * times an hour, and login_failures times for each network that it is known from, if the edge has seen those; and each guess
 * is in the log. */
#include "vault/login.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "vault/external.h"
#include "vault/grant.h"
#include "vault/memory.h"
#include "vault/scram.h"
#include "vault/scram_keys.h"
#include "wire/app_password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum {
	LOGINS_MOST = 20000,
	ANSWERS_HELD_MOST = 10000, /* beyond, they leave at once: the limits alone must do then */
	ANSWER_STEP_MS = 1000,     /* the next time for an answer whose check took longer than its delay */
};

static struct login *login_of(struct ticket *t)
{
	return (struct login *)((char *)t - offsetof(struct login, ticket));
}

static const char *held_why(enum throttle_verdict verdict)
{
	switch (verdict) {
	case THROTTLE_OPEN: case THROTTLE_KNOWN: break;
	case THROTTLE_PAIR: return "too many wrong passwords for this account from there";
	case THROTTLE_ADDRESS: return "too many wrong passwords from there";
	case THROTTLE_ACCOUNT: return "too many wrong passwords for this account";
	}
	return "";
}

/* ---- the end ---- */

bool login_is_heard(const struct login *l)
{
	return l->edge->channel && l->edge->incarnation == l->incarnation;
}

void login_free(struct login *l)
{
	map_take(&l->vault->logins, l->number);
	OPENSSL_cleanse(l->password, sizeof l->password);
	scram_run_free(l->scram);
	timer_free(l->timer);
	buf_free(&l->user);
	buf_free(&l->authzid);
	buf_free(&l->owner_name);
	buf_free(&l->app_name);
	buf_free(&l->client);
	buf_free(&l->protocol);
	buf_free(&l->hash);
	free(l);
}

static void answer(struct login *l)
{
	bool is_ok = l->outcome == LOGIN_OK;
	if (login_is_heard(l))
		channel_send(l->edge->channel, login_answer, .id = l->id, .outcome = (uint8_t)l->outcome, .user = is_ok ? buf_span(&l->owner_name) : SPAN(""),
		             .signature = is_ok && l->scram ? scram_signature(l->scram) : SPAN(""), .is_administrator = is_ok && l->is_grant);
	login_free(l);
}

static void on_answer_due(void *context)
{
	struct login *l = context;
	l->vault->answers_held--;
	answer(l);
}

static void answer_later(struct login *l)
{
	struct vault_process *v = l->vault;
	int64_t in_ms = l->asked_ms + throttle_delay_ms(v->throttle, &l->guesser) - clock_monotonic_ms();
	while (in_ms < 0)
		in_ms += ANSWER_STEP_MS;
	if (v->answers_held >= ANSWERS_HELD_MOST) {
		answer(l);
		return;
	}
	v->answers_held++;
	OPENSSL_cleanse(l->password, sizeof l->password);
	l->timer = timer_new(v->loop, on_answer_due, l);
	timer_set(l->timer, in_ms);
}

static const char *way_of(const struct login *l)
{
	return l->scram ? scram_mechanism(l->scram) : l->is_grant ? "grant" : l->is_external ? "certificate" : l->is_app ? "application" : "password";
}

/* Whose mail it was to be: of a master user the other's. */
static struct span owner_of(const struct login *l)
{
	return l->owner_name.len ? buf_span(&l->owner_name) : l->authzid.len ? buf_span(&l->authzid) : buf_span(&l->user);
}

/* Both names of a master user who acts, and of who would like to be one. */
static void write_log(const struct login *l, const char *why)
{
	static const char *const words[] = {"ok", "refused", "later", "held", "forbidden"};
	struct log_field fields[8] = {log_c("outcome", words[l->outcome]), log_s("user", owner_of(l)), log_s("protocol", buf_span(&l->protocol)),
	                              log_s("client", buf_span(&l->client)), log_c("by", way_of(l))};
	size_t count = 5;
	if (!span_equal(owner_of(l), buf_span(&l->user)))
		fields[count++] = log_s("master", buf_span(&l->user));
	if (l->app_name.len)
		fields[count++] = log_s("application", buf_span(&l->app_name));
	if (l->outcome != LOGIN_OK)
		fields[count++] = log_c("why", why);
	log_write(l->outcome == LOGIN_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "login", fields, count);
}

/* Logged here, before the answer: so that the log's work is not in its time. */
void login_end(struct login *l, enum login_outcome outcome, const char *why)
{
	struct vault_process *v = l->vault;
	uint64_t *const counts[] = {&v->login_count, &v->refused_count, &v->busy_count, &v->held_count, &v->refused_count};
	l->state = LOGIN_ENDS;
	l->outcome = outcome;
	write_log(l, why);
	++*counts[outcome];
	if (outcome == LOGIN_OK && l->is_external && login_is_heard(l))
		external_used(l->edge, &l->handshake);
	if (outcome == LOGIN_REFUSED || outcome == LOGIN_HELD)
		answer_later(l);
	else
		answer(l);
}

/* ---- the check ---- */

void login_bind(struct login *l)
{
	struct vault_process *v = l->vault;
	bool is_master = l->acting == ACTING_FOR_ANOTHER;
	l->state = LOGIN_BINDS;
	if (l->acting == ACTING_FORBIDDEN)
		login_end(l, LOGIN_FORBIDDEN, "it is no master user, or there is nobody of that name to act for");
	else if (is_master && l->is_app)
		login_end(l, LOGIN_FORBIDDEN, "the password of a master user's application is for himself");
	else if (v->store)
		channel_send(v->store, session_bind, .id = l->number, .session = l->session, .account = l->owner, .credential = l->owner_credential,
		             .master = is_master ? l->account : 0, .master_credential = is_master ? l->credential : 0,
		             .app = l->is_app ? span_of(l->app, sizeof l->app) : SPAN(""), .protocol = buf_span(&l->protocol), .is_administrator = l->is_grant);
	else
		login_end(l, LOGIN_LATER, "the store is not there");
}

void login_take_right(struct login *l)
{
	throttle_right(l->vault->throttle, &l->guesser);
	login_bind(l);
}

bool login_is_held(struct login *l, enum throttle_verdict verdict)
{
	if (throttle_holds(verdict))
		login_end(l, LOGIN_HELD, held_why(verdict));
	return throttle_holds(verdict);
}

/* A right password is checked again where keys for SCRAM are to be made of it. */
static enum memory_answer recall(const struct login *l)
{
	enum memory_answer answer = memory_recall(l->vault->memory, &l->check);
	return answer == MEMORY_RIGHT && l->wants_scram ? MEMORY_NOTHING : answer;
}

/* What can be said without a thread; false if nothing can. A password that was wrong before is no new guess. */
static bool end_at_once(struct login *l, enum throttle_verdict verdict)
{
	if (login_is_held(l, verdict))
		return true;
	switch (recall(l)) {
	case MEMORY_NOTHING: return false;
	case MEMORY_RIGHT: login_take_right(l); return true;
	case MEMORY_WRONG: login_end(l, LOGIN_REFUSED, "wrong as before"); return true;
	}
	return false;
}

static void start_checks(struct vault_process *v);

static void leave_line(struct login *l)
{
	lines_leave(l->lines, &l->ticket);
}

static void on_checked(void *context, bool is_right, struct span new_hash, struct span scram)
{
	struct login *l = context;
	struct vault_process *v = l->vault;
	bool is_in = is_right && l->account;
	bool is_new = memory_recall(v->memory, &l->check) == MEMORY_NOTHING; /* the same may have been checked beside it */
	memory_keep(v->memory, &l->check, is_in);
	leave_line(l);
	if (is_in && (new_hash.len || scram.len) && v->store)
		channel_send(v->store, password_renew, .account = l->account, .old = buf_span(&l->hash), .hash = new_hash.len ? new_hash : buf_span(&l->hash), .scram = scram);
	if (is_in) {
		login_take_right(l);
	} else {
		if (is_new)
			throttle_wrong(v->throttle, &l->guesser);
		login_end(l, LOGIN_REFUSED, l->account ? "wrong password" : "no such user");
	}
	start_checks(v);
}

static void start_checks(struct vault_process *v)
{
	while (password_pool_is_free(v->passwords)) {
		struct ticket *t = lines_next(&v->known);
		if (!t)
			t = lines_next(&v->others);
		if (!t)
			return;
		/* others of its line may have come out meanwhile */
		struct login *l = login_of(t);
		enum throttle_verdict verdict = throttle_judge(v->throttle, &l->guesser);
		if (throttle_holds(verdict) || recall(l) != MEMORY_NOTHING) {
			leave_line(l);
			end_at_once(l, verdict);
			continue;
		}
		l->state = LOGIN_CHECKED;
		password_check(v->passwords, buf_span(&l->hash), span_of(l->password, l->password_len), l->wants_scram, on_checked, l);
		OPENSSL_cleanse(l->password, sizeof l->password);
	}
}

static void wait_in_line(struct login *l, bool is_known, uint64_t key)
{
	struct vault_process *v = l->vault;
	struct ticket *displaced;
	l->state = LOGIN_WAITS;
	l->lines = is_known ? &v->known : &v->others;
	if (lines_join(l->lines, key, &l->ticket, &displaced)) {
		login_end(l, LOGIN_LATER, "too many logins wait");
		return;
	}
	if (displaced)
		login_end(login_of(displaced), LOGIN_LATER, "too many logins wait");
	start_checks(v);
}

/* Of a network whose guesses are waiting or being checked, none is answered out of turn: else a thousand at once would be
 * compared with what is remembered before the first of them counts. Behind an exempt address are many users: each has his
 * own line. */
static void judge(struct login *l)
{
	struct vault_process *v = l->vault;
	enum throttle_verdict verdict = throttle_judge(v->throttle, &l->guesser);
	bool is_known = verdict == THROTTLE_KNOWN;
	uint64_t key = is_known || l->guesser.is_exempt ? l->guesser.pair : l->guesser.network;
	bool is_alone = !lines_has(is_known ? &v->known : &v->others, key);
	if (throttle_holds(verdict) || is_alone) {
		if (end_at_once(l, verdict))
			return;
	}
	wait_in_line(l, is_known, key);
}

/* ---- what is heard ---- */

struct login *login_new(struct edge_peer *e, uint64_t id, uint64_t session, struct span user, struct span authzid, struct span client,
                        struct span protocol)
{
	struct vault_process *v = e->vault;
	struct login *l = xcalloc(1, sizeof *l);
	*l = (struct login){.vault = v, .number = ++v->last_login, .id = id, .session = session, .edge = e, .incarnation = e->incarnation,
	                    .asked_ms = clock_monotonic_ms()};
	buf_add(&l->user, user);
	buf_add(&l->authzid, authzid);
	buf_add(&l->client, client);
	buf_add(&l->protocol, protocol);
	map_put(&v->logins, l->number, l);
	return l;
}

void login_ask_account(struct login *l)
{
	struct vault_process *v = l->vault;
	bool is_full = v->logins.count > LOGINS_MOST;
	if (!v->store || is_full)
		login_end(l, LOGIN_LATER, is_full ? "too many logins wait" : "the store is not there");
	else
		channel_send(v->store, account_ask, .id = l->number, .name = buf_span(&l->user), .authzid = buf_span(&l->authzid),
		             .app = l->may_be_app ? span_of(l->app, sizeof l->app) : SPAN(""), .protocol = buf_span(&l->protocol));
}

/* A plain digest is enough for 140 bits of chance (store/directory/app_password.h); of what people choose none is ever made. */
static void look_for_app(struct login *l)
{
	char secret[APP_PASSWORD_CHARACTERS];
	if (app_password_read(span_of(l->password, l->password_len), secret) == 0)
		l->may_be_app = EVP_Digest(secret, sizeof secret, l->app, NULL, EVP_sha256(), NULL) == 1;
	OPENSSL_cleanse(secret, sizeof secret);
}

void login_asked(struct edge_peer *e, const struct msg_login_ask *m)
{
	struct login *l = login_new(e, m->id, m->session, m->user, m->authzid, m->client_address, m->protocol);
	l->password_len = m->password.len <= sizeof l->password ? m->password.len : 0;
	if (l->password_len)
		memcpy(l->password, m->password.ptr, l->password_len);
	if (grant_take(l, m->password))
		return;
	look_for_app(l);
	login_ask_account(l);
}

/* It is one of an application of that account. The right one is nobody's guess, so that no limit holds it back: who guesses at an account
 * keeps its applications out no more than he can let himself in. One that is for something else is a wrong password. */
static void take_app(struct login *l, enum app_outcome outcome)
{
	struct vault_process *v = l->vault;
	l->is_app = true;
	if (outcome == APP_RIGHT) {
		login_take_right(l);
		return;
	}
	if (login_is_held(l, throttle_judge(v->throttle, &l->guesser)))
		return;
	if (memory_recall(v->memory, &l->check) == MEMORY_NOTHING)
		throttle_wrong(v->throttle, &l->guesser);
	memory_keep(v->memory, &l->check, false);
	login_end(l, LOGIN_REFUSED, outcome == APP_EXPIRED ? "the application's password has expired" : "the application's password is not for this protocol");
}

static void take_account(struct login *l, const struct msg_account_answer *m)
{
	l->account = m->account;
	l->credential = m->credential;
	l->acting = (enum acting)m->acting;
	l->owner = m->owner;
	l->owner_credential = m->owner_credential;
	l->wants_scram = m->account && !scram_keys_are_ours(m->scram);
	buf_add(&l->hash, m->hash);
	buf_add(&l->owner_name, m->owner_name);
	buf_add(&l->app_name, m->app_name);
	if (m->account) {
		buf_clear(&l->user);
		buf_add(&l->user, m->name);
	}
}

void login_account_answered(struct vault_process *v, const struct msg_account_answer *m)
{
	struct login *l = map_get(&v->logins, m->id);
	if (!l || l->state != LOGIN_ASKS)
		return;
	/* a name that cannot be an account's has no canonical form */
	BUF_AUTO typed = {0};
	buf_add(&typed, buf_span(&l->user));
	struct span name = m->name.len ? m->name : buf_span(&typed);
	struct span parts[] = {name, m->hash, span_of(l->password, l->password_len)};
	l->guesser = throttle_guesser(v->throttle, buf_span(&l->client), name);
	l->check = digest_make(v->secret, parts, 3);
	take_account(l, m);
	if (l->scram)
		scram_account_answered(l, name, m->scram);
	else if (l->is_external && m->account)
		login_take_right(l);
	else if (l->is_external)
		login_end(l, LOGIN_REFUSED, "the certificate names nobody who has an account here");
	else if (l->may_be_app && m->account && m->app != APP_NONE)
		take_app(l, (enum app_outcome)m->app);
	else
		judge(l);
}

void login_session_bound(struct vault_process *v, const struct msg_session_bound *m)
{
	struct login *l = map_get(&v->logins, m->id);
	if (!l || l->state != LOGIN_BINDS)
		return;
	if (m->is_bound)
		login_end(l, LOGIN_OK, "");
	else
		login_end(l, LOGIN_LATER, "the session or the account has gone, or the password has changed");
}

/* Nobody else answers those that wait for it; the others find out at their turn. */
void logins_store_gone(struct vault_process *v)
{
	size_t at = 0;
	struct login *l;
	while ((l = map_next(&v->logins, &at)))
		if (l->state == LOGIN_ASKS || l->state == LOGIN_BINDS)
			login_end(l, LOGIN_LATER, "the store is not there");
}

void logins_configure(struct vault_process *v, const struct config *config)
{
	throttle_configure(v->throttle, config);
}

void logins_start(struct vault_process *v, const struct config *config, unsigned threads)
{
	v->secret = xcalloc(1, sizeof *v->secret);
	digest_key_make(v->secret);
	v->memory = memory_new();
	v->throttle = throttle_new(config);
	v->passwords = password_pool_new(v->loop, threads);
}
