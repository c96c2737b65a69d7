/* The vault process.
 *
 *   from an edge   sign_ask -> the TLS key; certificate_ask; login_ask -> asks store for the account's hash, checks it on the
 *                  pool (vault/password.c), binds the session at store, answers
 *   from store     account_answer, session_bound */
#include "vault/vault.h"

#include "base/die.h"
#include "base/log.h"
#include "base/map.h"
#include "base/sandbox.h"
#include "base/tls.h"
#include "ipc/child.h"
#include "ipc/terms.h"
#include "vault/password.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <unistd.h>

enum { EDGES_MOST = 64, CHAIN_BYTES_MOST = 65536, LOGINS_MOST = 20000 };

struct edge_peer {
	struct vault_process *vault;
	struct channel *channel;
	enum role role;
	unsigned index;
	uint32_t incarnation;
};

struct vault_process {
	struct child *self;
	struct loop *loop;
	struct channel *store;
	struct edge_peer edges[EDGES_MOST];
	uint32_t last_incarnation;
	EVP_PKEY *key;
	struct buf chain;
	struct password_pool *passwords;
	struct map logins; /* by number */
	uint64_t last_login;
	uint64_t signed_count, login_count, refused_count;
};

struct login {
	struct vault_process *vault;
	uint64_t number, id, session, account;
	struct edge_peer *edge;
	uint32_t incarnation;
	char password[PASSWORD_BYTES_MOST];
	size_t password_len;
	bool is_on_pool;
	struct buf user, client, protocol;
};

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

static void end_login(struct login *l, enum login_outcome outcome, struct span user)
{
	struct vault_process *v = l->vault;
	static const char *words[] = {"ok", "refused", "later"};
	log_event(outcome == LOGIN_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "login", log_c("outcome", words[outcome]),
	          log_s("user", outcome == LOGIN_OK ? user : buf_span(&l->user)), log_s("protocol", buf_span(&l->protocol)),
	          log_s("client", buf_span(&l->client)));
	v->login_count += outcome == LOGIN_OK;
	v->refused_count += outcome == LOGIN_REFUSED;
	if (l->edge->channel && l->edge->incarnation == l->incarnation)
		channel_send(l->edge->channel, login_answer, .id = l->id, .outcome = (uint8_t)outcome, .user = user);
	map_take(&v->logins, l->number);
	OPENSSL_cleanse(l->password, sizeof l->password);
	buf_free(&l->user);
	buf_free(&l->client);
	buf_free(&l->protocol);
	free(l);
}

static void on_login_ask(void *context, const struct msg_login_ask *m)
{
	struct edge_peer *e = context;
	struct vault_process *v = e->vault;
	struct login *l = xcalloc(1, sizeof *l);
	*l = (struct login){.vault = v, .number = ++v->last_login, .id = m->id, .session = m->session, .edge = e, .incarnation = e->incarnation};
	l->password_len = m->password.len <= sizeof l->password ? m->password.len : 0;
	if (l->password_len)
		memcpy(l->password, m->password.ptr, l->password_len);
	buf_add(&l->user, m->user);
	buf_add(&l->client, m->client_address);
	buf_add(&l->protocol, m->protocol);
	bool is_full = v->logins.count >= LOGINS_MOST;
	map_put(&v->logins, l->number, l);
	if (!v->store || is_full)
		end_login(l, LOGIN_LATER, SPAN(""));
	else
		channel_send(v->store, account_ask, .id = l->number, .name = m->user);
}

static void on_checked(void *context, bool is_right)
{
	struct login *l = context;
	l->is_on_pool = false;
	if (!is_right || !l->account)
		end_login(l, LOGIN_REFUSED, SPAN(""));
	else if (!l->vault->store)
		end_login(l, LOGIN_LATER, SPAN(""));
	else
		channel_send(l->vault->store, session_bind, .id = l->number, .session = l->session, .account = l->account);
}

static void on_account_answer(void *context, const struct msg_account_answer *m)
{
	struct vault_process *v = context;
	struct login *l = map_get(&v->logins, m->id);
	if (!l || l->account)
		return;
	l->account = m->account;
	if (m->account) {
		buf_clear(&l->user);
		buf_add(&l->user, m->name);
	}
	struct span password = span_of(l->password, l->password_len);
	l->is_on_pool = true;
	if (password_check(v->passwords, m->hash, password, on_checked, l))
		end_login(l, LOGIN_LATER, SPAN(""));
}

static void on_session_bound(void *context, const struct msg_session_bound *m)
{
	struct vault_process *v = context;
	struct login *l = map_get(&v->logins, m->id);
	if (!l)
		return;
	BUF_AUTO user = {0};
	buf_add(&user, buf_span(&l->user));
	end_login(l, m->is_bound ? LOGIN_OK : LOGIN_LATER, m->is_bound ? buf_span(&user) : SPAN(""));
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

/* Nobody else answers the logins that wait for it; those on the pool find out when they are done. */
static void on_store_closed(void *context, bool is_violation)
{
	struct vault_process *v = context;
	if (is_violation)
		child_report_violation(v->self, ROLE_STORE, 0);
	channel_free(v->store);
	v->store = NULL;
	size_t at = 0;
	struct login *l;
	while ((l = map_next(&v->logins, &at)))
		if (!l->is_on_pool)
			end_login(l, LOGIN_LATER, SPAN(""));
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
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	v->passwords = password_pool_new(v->loop, (unsigned)(cores < 1 ? 1 : cores > 8 ? 8 : cores));
}

static void reload(void *context, const struct config *config)
{
	struct vault_process *v = context;
	struct error why = {0};
	if (load_keys(v, config, &why))
		log_event(LOG_LEVEL_ERROR, "tls-kept-as-it-was", log_c("why", why.text));
}

static void status(void *context, struct buf *text)
{
	struct vault_process *v = context;
	buf_printf(text, "signatures=%llu logins=%llu refused=%llu", (unsigned long long)v->signed_count,
	           (unsigned long long)v->login_count, (unsigned long long)v->refused_count);
}

int vault_main(unsigned index, int control)
{
	static struct vault_process v;
	static const struct child_use use = {.configure = configure, .attach = attach, .reload = reload, .status = status};
	return child_run(ROLE_VAULT, index, control, &use, &v, &v.self);
}
