#include "resolve/database.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	WAITING_MOST = 2000,     /* jobs of one database */
	LEFT_ALONE_MS = 500,     /* after a failure */
	RENEWED_MS = 10 * 1000,  /* a connection that is older is opened anew after a key that could not be looked up: it may have lost its rights */
	FAULTS_KEPT = 256,
	FAULT_AGAIN_MS = 60 * 60 * 1000,
	RESULTS_BYTES_MOST = 512 * 1024,
};

/* A fault that the log has. */
struct fault {
	uint64_t hash;
	int64_t at_ms;
};

struct database {
	const struct database_driver *driver;
	struct table_settings settings;
	struct arena memory;
	char *name, *authorities;
	char *files[DATABASE_FILES_MOST + 1];       /* up to a NULL */
	_Atomic unsigned users;
	_Atomic int64_t left_alone_until_ms;
	_Atomic bool is_down;                       /* the log has it */
	pthread_mutex_t faults_lock;
	struct fault faults[FAULTS_KEPT];           /* by their hash */
	void *connections[DATABASE_CONNECTIONS];
	int64_t opened_ms[DATABASE_CONNECTIONS];
	bool is_used[DATABASE_CONNECTIONS];         /* by a thread. From here on: under the pool's lock */
	struct database_job *first, **last;         /* that wait */
	size_t waiting;
	struct database *next;                      /* of the pool's, while jobs wait */
};

struct database_job {
	struct database_job *next;
	struct database_pool *pool;
	struct database *database;
	unsigned slot;              /* of its connections, while a thread is at it */
	bool is_taken;              /* by a thread */
	struct buf key, results;
	enum database_outcome outcome;
	database_done_fn *done;
	void *context;
};

struct database_pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct database *asked, **last; /* for which jobs wait, in turn */
	struct database_job *finished;
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
	d->driver->files(&d->settings, d->authorities, d->files);
	d->faults_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	d->last = &d->first;
	atomic_store(&d->users, 1);
	return d;
}

const char *const *database_files(const struct database *d)
{
	return (const char *const *)d->files;
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
	for (size_t i = 0; d->files[i]; i++)
		free(d->files[i]);
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

/* Once an hour, however often it is tried, and by however many names if the fault does not tell the name. */
static void note_fault(struct database *d, struct span key, const struct error *why)
{
	uint64_t hash = span_hash(span_cstr(why->text), 0);
	int64_t now = clock_monotonic_ms();
	struct fault *f = &d->faults[hash % FAULTS_KEPT];
	pthread_mutex_lock(&d->faults_lock);
	bool is_told = f->at_ms && f->hash == hash && now - f->at_ms < FAULT_AGAIN_MS;
	if (!is_told)
		*f = (struct fault){hash, now};
	pthread_mutex_unlock(&d->faults_lock);
	if (!is_told)
		log_event(LOG_LEVEL_ERROR, "table-fault", log_c("at", d->name), log_s("name", key), log_c("why", why->text), log_c("then", "this name is put off"));
}

static void close_slot(struct database *d, unsigned slot)
{
	d->driver->close(d->connections[slot]);
	d->connections[slot] = NULL;
}

/* A connection that was open before may have been closed by the other side: then it is opened anew, once. */
static enum database_outcome ask(struct database *d, unsigned slot, struct span key, struct buf *results, struct error *why)
{
	void **connection = &d->connections[slot];
	for (bool was_open = *connection;; was_open = false) {
		if (!*connection) {
			*connection = d->driver->open(&d->settings, d->authorities, why);
			d->opened_ms[slot] = clock_monotonic_ms();
		}
		if (!*connection)
			return DATABASE_DOWN;
		buf_clear(results);
		why->code = 0;
		enum database_outcome outcome = d->driver->ask(*connection, &d->settings, key, results, why);
		if (outcome == DATABASE_DOWN || (outcome == DATABASE_LATER && clock_monotonic_ms() - d->opened_ms[slot] >= RENEWED_MS))
			close_slot(d, slot);
		if (outcome != DATABASE_DOWN || !was_open || why->code == ETIMEDOUT)
			return outcome;
	}
}

static enum database_outcome ask_unless_down(struct database *d, unsigned slot, struct span key, struct buf *results)
{
	struct error why = {0};
	if (clock_monotonic_ms() < atomic_load(&d->left_alone_until_ms))
		return DATABASE_LATER;
	enum database_outcome outcome = ask(d, slot, key, results, &why);
	if (outcome == DATABASE_FOUND && results->len > RESULTS_BYTES_MOST) {
		error_set(&why, 0, "%.*s: more than %d bytes of results", SPAN_ARG(span_slice(key, 0, 100)), RESULTS_BYTES_MOST);
		outcome = DATABASE_LATER;
	}
	note(d, outcome == DATABASE_DOWN, &why);
	if (outcome == DATABASE_LATER)
		note_fault(d, key, &why);
	if (outcome != DATABASE_DOWN)
		return outcome;
	atomic_store(&d->left_alone_until_ms, clock_monotonic_ms() + LEFT_ALONE_MS);
	return DATABASE_LATER;
}

enum database_outcome database_ask(struct database *d, struct span key, struct buf *results, struct error *why)
{
	enum database_outcome outcome = ask(d, 0, key, results, why);
	return outcome == DATABASE_DOWN ? DATABASE_LATER : outcome;
}

/* ---- what waits, under the pool's lock ---- */

static void list_database(struct database_pool *p, struct database *d)
{
	d->next = NULL;
	*p->last = d;
	p->last = &d->next;
}

static void unlist_database(struct database_pool *p, struct database *d)
{
	struct database **at = &p->asked;
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	if (!d->next)
		p->last = at;
}

static void put_job(struct database_pool *p, struct database_job *j)
{
	struct database *d = j->database;
	*d->last = j;
	d->last = &j->next;
	if (!d->waiting++)
		list_database(p, d);
}

/* `at` leads to a job that waits. */
static struct database_job *take_job(struct database_pool *p, struct database *d, struct database_job **at)
{
	struct database_job *j = *at;
	*at = j->next;
	if (!j->next)
		d->last = at;
	if (!--d->waiting)
		unlist_database(p, d);
	return j;
}

/* The first job of a database that has a connection left. It goes behind the others then. */
static struct database_job *find_job(struct database_pool *p)
{
	for (struct database *d = p->asked; d; d = d->next) {
		unsigned slot = 0;
		while (slot < DATABASE_CONNECTIONS && d->is_used[slot])
			slot++;
		if (slot == DATABASE_CONNECTIONS)
			continue;
		struct database_job *j = take_job(p, d, &d->first);
		if (d->waiting) {
			unlist_database(p, d);
			list_database(p, d);
		}
		d->is_used[slot] = true;
		j->slot = slot;
		j->is_taken = true;
		return j;
	}
	return NULL;
}

static void free_job(struct database_job *j)
{
	database_release(j->database);
	buf_free(&j->key);
	buf_free(&j->results);
	free(j);
}

/* ---- threads ---- */

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
		free_job(j);
	}
}

struct database_pool *database_pool_new(struct loop *l, size_t databases)
{
	struct database_pool *p = xcalloc(1, sizeof *p);
	*p = (struct database_pool){.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .waker = waker_new(l, on_finished, p)};
	p->last = &p->asked;
	for (size_t i = 0; i < databases * DATABASE_CONNECTIONS; i++) {
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
	if (d->waiting < WAITING_MOST) {
		j = xcalloc(1, sizeof *j);
		*j = (struct database_job){.pool = p, .database = d, .done = done, .context = context};
		atomic_fetch_add(&d->users, 1);
		buf_add(&j->key, key);
		put_job(p, j);
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	return j;
}

void database_cancel(struct database_job *j)
{
	struct database_pool *p = j->pool;
	struct database *d = j->database;
	j->done = NULL;
	pthread_mutex_lock(&p->lock);
	bool is_waiting = !j->is_taken;
	struct database_job **at = &d->first;
	while (is_waiting && *at != j)
		at = &(*at)->next;
	if (is_waiting)
		take_job(p, d, at);
	pthread_mutex_unlock(&p->lock);
	if (is_waiting)
		free_job(j);
}
