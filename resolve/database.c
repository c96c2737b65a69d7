#include "resolve/database.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	WAITING_MOST = 2000,     /* jobs */
	LEFT_ALONE_MS = 500,     /* after a failure */
	RESULTS_BYTES_MOST = 512 * 1024,
};

struct database {
	const struct database_driver *driver;
	struct table_settings settings;
	struct arena memory;
	char *name, *authorities;
	_Atomic unsigned users;
	_Atomic int64_t left_alone_until_ms;
	_Atomic bool is_down;                       /* the log has it */
	void *connections[DATABASE_CONNECTIONS];
	bool is_used[DATABASE_CONNECTIONS];         /* by a thread; under the pool's lock */
};

struct database_job {
	struct database_job *next;
	struct database *database;
	unsigned slot;              /* of its connections, while a thread is at it */
	struct buf key, results;
	enum database_outcome outcome;
	database_done_fn *done;
	void *context;
};

struct database_pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct database_job *first, **last, *finished;
	size_t waiting;
	struct waker *waker;
};

/* ---- one database ---- */

struct database *database_new(enum table_source source, const char *name, struct span text, const char *authorities, unsigned *line, struct error *why)
{
	struct database *d = xcalloc(1, sizeof *d);
	d->driver = source == TABLE_LDAP ? &database_ldap : &database_pgsql;
	if (table_settings_read(source, text, &d->memory, &d->settings, line, why)) {
		arena_free(&d->memory);
		free(d);
		return NULL;
	}
	d->name = xstrdup(name);
	d->authorities = d->settings.values[TABLE_TLS_CA_FILE].len ? span_strdup(d->settings.values[TABLE_TLS_CA_FILE]) : xstrdup(authorities);
	atomic_store(&d->users, 1);
	return d;
}

const char *database_authorities(const struct database *d)
{
	return d->authorities;
}

bool database_wants(const struct database *d, struct span key)
{
	return table_settings_want(&d->settings, key);
}

void database_release(struct database *d)
{
	if (!d || atomic_fetch_sub(&d->users, 1) != 1)
		return;
	for (size_t i = 0; i < DATABASE_CONNECTIONS; i++)
		if (d->connections[i])
			d->driver->close(d->connections[i]);
	arena_free(&d->memory);
	free(d->name);
	free(d->authorities);
	free(d);
}

static void note(struct database *d, bool is_down, const struct error *why)
{
	if (atomic_exchange(&d->is_down, is_down) == is_down)
		return;
	if (is_down)
		log_event(LOG_LEVEL_ERROR, "table-down", log_c("table", d->name), log_c("why", why->text), log_c("then", "what would be looked up there is put off"));
	else
		log_event(LOG_LEVEL_INFO, "table-up", log_c("table", d->name));
}

/* A connection that was open before may have been closed by the other side: then it is opened anew, once. */
static enum database_outcome ask(struct database *d, unsigned slot, struct span key, struct buf *results, struct error *why)
{
	void **connection = &d->connections[slot];
	for (bool was_open = *connection, is_first = true;; was_open = false, is_first = false) {
		if (!*connection)
			*connection = d->driver->open(&d->settings, d->authorities, why);
		if (!*connection)
			return DATABASE_LATER;
		buf_clear(results);
		enum database_outcome outcome = d->driver->ask(*connection, &d->settings, key, results, why);
		if (outcome != DATABASE_LATER)
			return outcome;
		d->driver->close(*connection);
		*connection = NULL;
		if (!was_open || !is_first)
			return DATABASE_LATER;
	}
}

static enum database_outcome ask_unless_down(struct database *d, unsigned slot, struct span key, struct buf *results)
{
	struct error why = {0};
	if (clock_monotonic_ms() < atomic_load(&d->left_alone_until_ms))
		return DATABASE_LATER;
	enum database_outcome outcome = ask(d, slot, key, results, &why);
	if (outcome != DATABASE_LATER && results->len > RESULTS_BYTES_MOST) {
		error_set(&why, 0, "more than %d bytes of results", RESULTS_BYTES_MOST);
		outcome = DATABASE_LATER;
	}
	if (outcome == DATABASE_LATER)
		atomic_store(&d->left_alone_until_ms, clock_monotonic_ms() + LEFT_ALONE_MS);
	note(d, outcome == DATABASE_LATER, &why);
	return outcome;
}

enum database_outcome database_ask(struct database *d, struct span key, struct buf *results, struct error *why)
{
	return ask(d, 0, key, results, why);
}

/* ---- threads ---- */

/* The first job whose database has a connection left. */
static struct database_job *find_job(struct database_pool *p)
{
	for (struct database_job **at = &p->first, *j; (j = *at); at = &j->next) {
		for (j->slot = 0; j->slot < DATABASE_CONNECTIONS && j->database->is_used[j->slot]; j->slot++)
			;
		if (j->slot == DATABASE_CONNECTIONS)
			continue;
		*at = j->next;
		if (!j->next)
			p->last = at;
		j->database->is_used[j->slot] = true;
		p->waiting--;
		return j;
	}
	return NULL;
}

static void *run(void *context)
{
	struct database_pool *p = context;
	struct database_job *j;
	pthread_setname_np(pthread_self(), "database");
	for (;;) {
		pthread_mutex_lock(&p->lock);
		while (!(j = find_job(p)))
			pthread_cond_wait(&p->wake, &p->lock);
		pthread_mutex_unlock(&p->lock);
		j->outcome = ask_unless_down(j->database, j->slot, buf_span(&j->key), &j->results);
		pthread_mutex_lock(&p->lock);
		j->database->is_used[j->slot] = false;
		j->next = p->finished;
		p->finished = j;
		pthread_cond_signal(&p->wake); /* one that waited for this connection */
		pthread_mutex_unlock(&p->lock);
		waker_wake(p->waker);
	}
	return NULL;
}

static void on_finished(void *context)
{
	struct database_pool *p = context;
	pthread_mutex_lock(&p->lock);
	struct database_job *j = p->finished;
	p->finished = NULL;
	pthread_mutex_unlock(&p->lock);
	for (struct database_job *next; j; j = next) {
		next = j->next;
		if (j->done)
			j->done(j->context, j->outcome, buf_span(&j->results));
		database_release(j->database);
		buf_free(&j->key);
		buf_free(&j->results);
		free(j);
	}
}

struct database_pool *database_pool_new(struct loop *l)
{
	struct database_pool *p = xcalloc(1, sizeof *p);
	*p = (struct database_pool){.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .waker = waker_new(l, on_finished, p)};
	p->last = &p->first;
	for (unsigned i = 0; i < DATABASE_THREADS; i++) {
		pthread_t id;
		if (pthread_create(&id, NULL, run, p) || pthread_detach(id))
			die("resolve: cannot start a thread for databases");
	}
	return p;
}

struct database_job *database_post(struct database_pool *p, struct database *d, struct span key, database_done_fn *done, void *context)
{
	struct database_job *j = NULL;
	pthread_mutex_lock(&p->lock);
	if (p->waiting < WAITING_MOST) {
		j = xcalloc(1, sizeof *j);
		*j = (struct database_job){.database = d, .done = done, .context = context};
		atomic_fetch_add(&d->users, 1);
		buf_add(&j->key, key);
		*p->last = j;
		p->last = &j->next;
		p->waiting++;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	return j;
}

void database_cancel(struct database_job *j)
{
	j->done = NULL;
}
