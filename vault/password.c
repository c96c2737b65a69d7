/* The pool and the memory of checks. */
#include "vault/password.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/random.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>

enum { REMEMBERED = 8192, REMEMBER_MS = 10 * 60 * 1000, DIGEST_BYTES = 32, HASH_BYTES_MOST = 512 };

struct check {
	struct check *next;
	char hash[HASH_BYTES_MOST + 1], password[PASSWORD_BYTES_MOST + 1];
	unsigned char digest[DIGEST_BYTES];
	bool is_right;
	password_done_fn *done;
	void *context;
};

struct remembered {
	unsigned char digest[DIGEST_BYTES];
	int64_t until_ms;
};

struct password_pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct check *waiting, **waiting_last, *finished;
	unsigned waiting_count;
	struct waker *waker;
	unsigned char key[DIGEST_BYTES];
	struct remembered remembered[REMEMBERED];
};

/* What a password is compared with when there is no such user: made by crypt(5) from a password that nobody has. */
static const char nobody[] = "$y$j9T$0000000000000000000000$0000000000000000000000000000000000000000000";

static void run_check(struct check *c, void **memory, int *size)
{
	char *made = crypt_ra(c->password, c->hash[0] ? c->hash : nobody, memory, size);
	size_t len = strlen(c->hash);
	c->is_right = made && len && strlen(made) == len && CRYPTO_memcmp(made, c->hash, len) == 0;
	OPENSSL_cleanse(c->password, sizeof c->password);
}

static void *run(void *context)
{
	struct password_pool *p = context;
	void *memory = NULL;
	int size = 0;
	for (;;) {
		pthread_mutex_lock(&p->lock);
		while (!p->waiting)
			pthread_cond_wait(&p->wake, &p->lock);
		struct check *c = p->waiting;
		p->waiting = c->next;
		if (!p->waiting)
			p->waiting_last = &p->waiting;
		p->waiting_count--;
		pthread_mutex_unlock(&p->lock);
		run_check(c, &memory, &size);
		pthread_mutex_lock(&p->lock);
		c->next = p->finished;
		p->finished = c;
		pthread_mutex_unlock(&p->lock);
		waker_wake(p->waker);
	}
	return NULL;
}

static struct remembered *place_of(struct password_pool *p, const unsigned char *digest)
{
	uint32_t at;
	memcpy(&at, digest, sizeof at);
	return &p->remembered[at % REMEMBERED];
}

static void on_finished(void *context)
{
	struct password_pool *p = context;
	pthread_mutex_lock(&p->lock);
	struct check *c = p->finished;
	p->finished = NULL;
	pthread_mutex_unlock(&p->lock);
	while (c) {
		struct check *next = c->next;
		if (c->is_right) {
			struct remembered *r = place_of(p, c->digest);
			memcpy(r->digest, c->digest, sizeof r->digest);
			r->until_ms = clock_monotonic_ms() + REMEMBER_MS;
		}
		c->done(c->context, c->is_right);
		free(c);
		c = next;
	}
}

struct password_pool *password_pool_new(struct loop *l, unsigned threads)
{
	struct password_pool *p = xcalloc(1, sizeof *p);
	p->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	p->wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	p->waiting_last = &p->waiting;
	p->waker = waker_new(l, on_finished, p);
	random_bytes(p->key, sizeof p->key);
	for (unsigned i = 0; i < threads; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, run, p))
			die("vault: cannot start a thread");
		pthread_detach(thread);
	}
	return p;
}

/* Both parts are in the digest, so a changed password is a different check. */
static void make_digest(struct password_pool *p, struct check *c)
{
	char both[HASH_BYTES_MOST + PASSWORD_BYTES_MOST + 2];
	size_t hash_len = strlen(c->hash) + 1, password_len = strlen(c->password);
	memcpy(both, c->hash, hash_len);
	memcpy(both + hash_len, c->password, password_len);
	unsigned len = sizeof c->digest;
	if (!HMAC(EVP_sha256(), p->key, sizeof p->key, (unsigned char *)both, hash_len + password_len, c->digest, &len))
		die("vault: no HMAC");
	OPENSSL_cleanse(both, sizeof both);
}

int password_check(struct password_pool *p, struct span hash, struct span password, password_done_fn *done, void *context)
{
	struct check *c = xcalloc(1, sizeof *c);
	bool is_possible = hash.len <= HASH_BYTES_MOST && password.len <= PASSWORD_BYTES_MOST && span_chr(password, 0) < 0;
	if (is_possible && hash.len)
		memcpy(c->hash, hash.ptr, hash.len);
	if (is_possible && password.len)
		memcpy(c->password, password.ptr, password.len);
	c->done = done;
	c->context = context;
	make_digest(p, c);
	struct remembered *r = place_of(p, c->digest);
	if (c->hash[0] && r->until_ms > clock_monotonic_ms() && CRYPTO_memcmp(r->digest, c->digest, sizeof r->digest) == 0) {
		OPENSSL_cleanse(c->password, sizeof c->password);
		free(c);
		done(context, true);
		return 0;
	}
	pthread_mutex_lock(&p->lock);
	bool is_full = p->waiting_count >= PASSWORD_WAITING_MOST;
	if (!is_full) {
		*p->waiting_last = c;
		p->waiting_last = &c->next;
		p->waiting_count++;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	if (is_full)
		free(c);
	return is_full ? -1 : 0;
}
