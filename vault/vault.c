/* The vault process.
 *
 *   from master    key_file, before it is configured and at each reload -> vault/keys.c
 *   from a filter  dkim_ask -> vault/dkim.c
 *   from an edge   sign_ask, certificate_ask -> vault/keys.c; login_ask -> vault/login.c, which asks store for the account's
 *                  hash, lets the throttle judge (vault/throttle.c), checks on the pool (vault/password.c), and binds the
 *                  session at store; scram_first, scram_final, scram_drop -> vault/scram.c, and external_ask -> vault/external.c, with
 *                  ways of the same steps
 *   from store     account_answer, session_bound -> vault/login.c; scram_offer -> vault/scram.c; grant_ask -> vault/grant.c */
#include "vault/vault.h"

#include "base/die.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/tls.h"
#include "vault/dkim.h"
#include "vault/external.h"
#include "vault/grant.h"
#include "vault/keys.h"
#include "vault/scram.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS_MOST = 8 }; /* that check passwords */

/* ---- keys ---- */

static void on_sign_ask(void *context, const struct msg_sign_ask *m)
{
	keys_sign(context, m);
}

static void on_certificate_ask(void *context, const struct msg_certificate_ask *m)
{
	keys_certificate(context, m);
}

/* ---- logins ---- */

static void on_login_ask(void *context, const struct msg_login_ask *m)
{
	struct edge_peer *e = context;
	/* strangers do not log in: an edge that serves them has no business to guess */
	if (e->role != ROLE_EDGE_USER)
		channel_violation(e->channel, "login_ask");
	else
		login_asked(e, m);
}

static void on_external_ask(void *context, const struct msg_external_ask *m)
{
	struct edge_peer *e = context;
	if (e->role != ROLE_EDGE_USER)
		channel_violation(e->channel, "external_ask");
	else
		external_asked(e, m);
}

static void on_scram_first(void *context, const struct msg_scram_first *m)
{
	struct edge_peer *e = context;
	if (e->role != ROLE_EDGE_USER)
		channel_violation(e->channel, "scram_first");
	else
		scram_first_said(e, m);
}

static void on_scram_final(void *context, const struct msg_scram_final *m)
{
	scram_final_said(context, m);
}

static void on_scram_drop(void *context, const struct msg_scram_drop *m)
{
	scram_dropped(context, m);
}

static void on_grant_ask(void *context, const struct msg_grant_ask *m)
{
	grant_asked(context, m);
}

static void on_scram_offer(void *context, const struct msg_scram_offer *m)
{
	scram_offer_said(context, m);
}

static void on_account_answer(void *context, const struct msg_account_answer *m)
{
	login_account_answered(context, m);
}

static void on_session_bound(void *context, const struct msg_session_bound *m)
{
	login_session_bound(context, m);
}

/* ---- the process ---- */

static const struct edge_to_vault edge_handlers = {
	.sign_ask = on_sign_ask, .certificate_ask = on_certificate_ask, .login_ask = on_login_ask, .external_ask = on_external_ask, .scram_first = on_scram_first,
	.scram_final = on_scram_final, .scram_drop = on_scram_drop};
static const struct store_to_vault store_handlers = {
	.account_answer = on_account_answer, .session_bound = on_session_bound, .scram_offer = on_scram_offer, .grant_ask = on_grant_ask};

static void on_edge_closed(void *context, bool is_violation)
{
	struct edge_peer *e = context;
	if (is_violation)
		child_report_violation(e->vault->self, e->role, e->index);
	channel_free(e->channel);
	e->channel = NULL;
}

static void on_store_closed(void *context, bool is_violation)
{
	struct vault_process *v = context;
	if (is_violation)
		child_report_violation(v->self, ROLE_STORE, 0);
	channel_free(v->store);
	v->store = NULL;
	logins_store_gone(v);
}

static void on_dkim_ask(void *context, const struct msg_dkim_ask *m)
{
	struct filter_peer *f = context;
	dkim_asked(f->vault, f->channel, m);
}

static void on_arc_ask(void *context, const struct msg_arc_ask *m)
{
	struct filter_peer *f = context;
	arc_asked(f->vault, f->channel, m);
}

static const struct filter_to_vault filter_handlers = {.dkim_ask = on_dkim_ask, .arc_ask = on_arc_ask};

static void on_filter_closed(void *context, bool is_violation)
{
	struct filter_peer *f = context;
	if (is_violation)
		child_report_violation(f->vault->self, ROLE_FILTER, f->index);
	channel_free(f->channel);
	f->channel = NULL;
}

static void attach_filter(struct vault_process *v, unsigned index, int fd)
{
	struct filter_peer *f = &v->filters[index % FILTERS_MOST];
	struct channel_use use = {filter_to_vault_dispatch, &filter_handlers, f, on_filter_closed, "filter"};
	if (f->channel)
		channel_free(f->channel); /* its end is not heard of yet */
	*f = (struct filter_peer){.vault = v, .index = index};
	f->channel = channel_new(v->loop, fd, &use);
}

static void attach(void *context, enum role role, unsigned index, int fd)
{
	struct vault_process *v = context;
	if (role == ROLE_FILTER) {
		attach_filter(v, index, fd);
		return;
	}
	if (role == ROLE_STORE) {
		struct channel_use use = {store_to_vault_dispatch, &store_handlers, v, on_store_closed, "store"};
		if (v->store)
			on_store_closed(v, false); /* its end is not heard of yet */
		v->store = channel_new(v->loop, fd, &use);
		return;
	}
	for (size_t i = 0; i < EDGES_MOST; i++) {
		struct edge_peer *e = &v->edges[i];
		if (e->channel)
			continue;
		*e = (struct edge_peer){.vault = v, .role = role, .index = index, .incarnation = ++v->last_incarnation};
		struct channel_use use = {edge_to_vault_dispatch, &edge_handlers, e, on_edge_closed, role_name(role)};
		e->channel = channel_new(v->loop, fd, &use);
		scram_tell_edge(e);
		return;
	}
	log_event(LOG_LEVEL_ERROR, "too-many-edges", log_n("most", EDGES_MOST), log_c("then", "this one has no TLS and no logins"));
	close(fd);
}

static void key_file(void *context, enum key_file which, int fd, int fault)
{
	struct vault_process *v = context;
	key_file_take(&v->files[which], fd, fault);
}

static void configure(void *context, const struct config *config)
{
	struct vault_process *v = context;
	struct error why = {0};
	long cores = sysconf(_SC_NPROCESSORS_ONLN); /* which reads a file */
	v->loop = child_loop(v->self);
	tls_library_start();
	if (keys_load(v, config, &why))
		log_event(LOG_LEVEL_ERROR, "no-tls", log_c("why", why.text), log_c("do", "`carteiro check` tells more"));
	if (external_load(v, config, &why))
		log_event(LOG_LEVEL_ERROR, "no-client-certificates", log_c("why", why.text), log_c("do", "`carteiro check` tells more"));
	if (dkim_load(v, &why))
		log_event(LOG_LEVEL_ERROR, "no-dkim", log_c("why", why.text), log_c("do", "`carteiro dkim list` tells more"));
	/* no file at all: those with keys are opened by master; before the threads, which inherit it */
	sandbox_enclose(SANDBOX_GUARD, NULL);
	logins_start(v, config, (unsigned)(cores < 1 ? 1 : cores > THREADS_MOST ? THREADS_MOST : cores));
}

static void reload(void *context, const struct config *config)
{
	struct vault_process *v = context;
	struct error why = {0};
	logins_configure(v, config);
	if (keys_load(v, config, &why))
		log_event(LOG_LEVEL_ERROR, "tls-kept-as-it-was", log_c("why", why.text), log_c("do", "`carteiro check` tells more"));
	if (external_load(v, config, &why))
		log_event(LOG_LEVEL_ERROR, "client-authorities-kept-as-they-were", log_c("why", why.text), log_c("do", "`carteiro check` tells more"));
	if (dkim_load(v, &why))
		log_event(LOG_LEVEL_ERROR, "dkim-kept-as-it-was", log_c("why", why.text), log_c("do", "`carteiro dkim list` tells more"));
}

static void status(void *context, struct buf *text)
{
	struct vault_process *v = context;
	buf_printf(text, "signatures=%llu dkim=%llu arc=%llu logins=%llu refused=%llu held=%llu busy=%llu waiting=%u exchanges=%u", (unsigned long long)v->signed_count, (unsigned long long)v->dkim_count, (unsigned long long)v->arc_count,
	           (unsigned long long)v->login_count, (unsigned long long)v->refused_count, (unsigned long long)v->held_count,
	           (unsigned long long)v->busy_count, v->known.waiting + v->others.waiting, v->exchanges_open);
}

int vault_main(unsigned index, int control)
{
	static struct vault_process v;
	static const struct child_use use = {.key_file = key_file, .configure = configure, .attach = attach, .reload = reload, .status = status};
	return child_run(ROLE_VAULT, index, control, &use, &v, &v.self);
}
