/* The vault process.
 *
 *   from an edge   sign_ask -> the TLS key; certificate_ask; login_ask -> vault/login.c, which asks store for the account's
 *                  hash, lets the throttle judge (vault/throttle.c), checks on the pool (vault/password.c), and binds the
 *                  session at store
 *   from store     account_answer, session_bound -> vault/login.c */
#include "vault/vault.h"

#include "base/die.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/tls.h"
#include "vault/login.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHAIN_BYTES_MOST = 65536 };

/* ---- keys ---- */

/* Links are followed: certbot's live certificates are links. */
static int read_file(const char *path, struct buf *out, struct error *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;
	if (fd >= 0) {
		while ((n = read(fd, buf_reserve(out, 4096), 4096)) > 0 && out->len < CHAIN_BYTES_MOST)
			out->len += (size_t)n;
		close(fd);
	}
	return n == 0 ? 0 : error_set(why, errno, "cannot read %s: %s", path, fd < 0 || n < 0 ? strerror(errno) : "it is too large");
}

static int load_keys(struct vault_process *v, const struct config *config, struct error *why)
{
	BUF_AUTO key_pem = {0};
	struct buf chain = {0};
	if (read_file(config->tls_certificate, &chain, why) || read_file(config->tls_key, &key_pem, why)) {
		buf_free(&chain);
		return -1;
	}
	BIO *bio = BIO_new_mem_buf(key_pem.ptr, (int)key_pem.len);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	OPENSSL_cleanse(key_pem.ptr, key_pem.cap);
	if (!key) {
		buf_free(&chain);
		return error_set(why, 0, "%s holds no private key in PEM form without a password", config->tls_key);
	}
	EVP_PKEY_free(v->key);
	buf_free(&v->chain);
	v->key = key;
	v->chain = chain;
	return 0;
}

/* Only what a TLS server signs in a handshake: so this is no oracle for other texts under the same key. */
static bool is_handshake(struct span text)
{
	static const char tls13[] = "TLS 1.3, server CertificateVerify"; /* RFC 8446 §4.4.3; its NUL counts */
	bool is_padded = text.len > 64 + sizeof tls13;
	for (size_t i = 0; is_padded && i < 64; i++)
		is_padded = text.ptr[i] == ' ';
	if (is_padded)
		return span_equal(span_slice(text, 64, sizeof tls13), span_of(tls13, sizeof tls13));
	/* RFC 8422 §5.4: two randoms, then ServerECDHParams, which begin with named_curve (3) */
	return text.len > 64 + 4 && text.len < 64 + 300 && text.ptr[64] == 3;
}

static void on_sign_ask(void *context, const struct msg_sign_ask *m)
{
	struct edge_peer *e = context;
	struct vault_process *v = e->vault;
	BUF_AUTO signature = {0};
	struct error why = {0};
	bool is_signed = v->key && m->slot == 0 && is_handshake(m->text) &&
	                 tls_sign(v->key, (enum tls_scheme)m->scheme, m->text, &signature, &why) == 0;
	v->signed_count += is_signed;
	channel_send(e->channel, sign_answer, .id = m->id, .is_signed = is_signed, .signature = is_signed ? buf_span(&signature) : SPAN(""));
}

static void on_certificate_ask(void *context, const struct msg_certificate_ask *m)
{
	struct edge_peer *e = context;
	channel_send(e->channel, certificate_answer, .id = m->id, .chain = buf_span(&e->vault->chain));
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
	.sign_ask = on_sign_ask, .certificate_ask = on_certificate_ask, .login_ask = on_login_ask};
static const struct store_to_vault store_handlers = {.account_answer = on_account_answer, .session_bound = on_session_bound};

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

static void attach(void *context, enum role role, unsigned index, int fd)
{
	struct vault_process *v = context;
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
		return;
	}
	close(fd);
}

static void configure(void *context, const struct config *config)
{
	struct vault_process *v = context;
	struct error why = {0};
	v->loop = child_loop(v->self);
	tls_library_start();
	if (load_keys(v, config, &why))
		log_event(LOG_LEVEL_ERROR, "no-tls", log_c("why", why.text), log_c("do", "set tls_certificate and tls_key"));
	/* certificates are renewed into files that nobody knows the names of yet */
	sandbox_enclose(SANDBOX_GUARD, (const char *const[]){"/", NULL});
	logins_start(v, config);
}

static void reload(void *context, const struct config *config)
{
	struct vault_process *v = context;
	struct error why = {0};
	logins_configure(v, config);
	if (load_keys(v, config, &why))
		log_event(LOG_LEVEL_ERROR, "tls-kept-as-it-was", log_c("why", why.text));
}

static void status(void *context, struct buf *text)
{
	struct vault_process *v = context;
	buf_printf(text, "signatures=%llu logins=%llu refused=%llu held=%llu busy=%llu waiting=%u", (unsigned long long)v->signed_count,
	           (unsigned long long)v->login_count, (unsigned long long)v->refused_count, (unsigned long long)v->held_count,
	           (unsigned long long)v->busy_count, v->known.waiting + v->others.waiting);
}

int vault_main(unsigned index, int control)
{
	static struct vault_process v;
	static const struct child_use use = {.configure = configure, .attach = attach, .reload = reload, .status = status};
	return child_run(ROLE_VAULT, index, control, &use, &v, &v.self);
}
