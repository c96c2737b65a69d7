/* The pool. */
#include "vault/password.h"

#include "base/die.h"
#include "vault/hash.h"
#include "vault/scram_keys.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

enum { HASH_BYTES_MOST = 512 };

struct check {
	struct check *next;
	char hash[HASH_BYTES_MOST + 1], password[PASSWORD_BYTES_MOST + 1];
	bool wants_scram, is_right;
	struct buf new_hash, scram;
	password_done_fn *done;
	void *context;
};

struct password_pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct check *given, *finished;
	struct waker *waker;
	unsigned threads, busy; /* of the loop's thread alone */
};

/* Who logs in with a hash of another scheme gets one of ours: so the others, some of which are no more than one digest, go. */
static void run_check(struct check *c, struct hash_memory *memory)
{
	bool is_ours;
	c->is_right = hash_matches(span_cstr(c->hash), c->password, &is_ours, memory);
	if (c->is_right && !is_ours && hash_make(c->password, &c->new_hash))
		buf_clear(&c->new_hash);
	if (c->is_right && c->wants_scram)
		scram_keys_make(span_cstr(c->password), &c->scram);
	OPENSSL_cleanse(c->password, sizeof c->password);
}

static void *run(void *context)
{
	struct password_pool *p = context;
	struct hash_memory memory = {0};
	for (;;) {
		pthread_mutex_lock(&p->lock);
		while (!p->given)
			pthread_cond_wait(&p->wake, &p->lock);
		struct check *c = p->given;
		p->given = c->next;
		pthread_mutex_unlock(&p->lock);
		run_check(c, &memory);
		pthread_mutex_lock(&p->lock);
		c->next = p->finished;
		p->finished = c;
		pthread_mutex_unlock(&p->lock);
		waker_wake(p->waker);
	}
	return NULL;
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
		p->busy--;
		c->done(c->context, c->is_right, buf_span(&c->new_hash), buf_span(&c->scram));
		buf_free(&c->new_hash);
		buf_free(&c->scram);
		free(c);
		c = next;
	}
}

struct password_pool *password_pool_new(struct loop *l, unsigned threads)
{
	struct password_pool *p = xcalloc(1, sizeof *p);
	p->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	p->wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	p->waker = waker_new(l, on_finished, p);
	p->threads = threads;
	for (unsigned i = 0; i < threads; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, run, p))
			die("vault: cannot start a thread");
		pthread_detach(thread);
	}
	return p;
}

bool password_pool_is_free(const struct password_pool *p)
{
	return p->busy < p->threads;
}

void password_check(struct password_pool *p, struct span hash, struct span password, bool wants_scram, password_done_fn *done, void *context)
{
	struct check *c = xcalloc(1, sizeof *c);
	*c = (struct check){.wants_scram = wants_scram, .done = done, .context = context};
	bool is_possible = hash.len <= HASH_BYTES_MOST && password.len <= PASSWORD_BYTES_MOST && span_chr(password, 0) < 0;
	if (is_possible && hash.len)
		memcpy(c->hash, hash.ptr, hash.len);
	if (is_possible && password.len)
		memcpy(c->password, password.ptr, password.len);
	p->busy++;
	pthread_mutex_lock(&p->lock);
	c->next = p->given;
	p->given = c;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}
