/* The store process: what it is told at its start, who talks to it, and which message goes where.
 *
 *   from an edge    envelopes -> store/recipient.c; deliveries -> store/deliver.c; questions about a mailbox -> its account's worker (store/mailbox/view.c)
 *   from a filter   verdicts -> store/deliver.c; what was asked about stored messages -> store/parse.c
 *   from vault      accounts' hashes, whose a session is -> here
 *   from relay      store/queue/schedule.c; what TLS was like -> store/report/count.c
 *   from resolve    policies of other domains -> store/directory/policy.c; what tables say -> store/directory/tables.c
 *   from master     commands -> store/command.c */
#include "store/store.h"

#include "base/die.h"
#include "base/sandbox.h"
#include "store/command.h"
#include "store/deliver.h"
#include "store/directory/directory.h"
#include "store/directory/home.h"
#include "store/directory/policy.h"
#include "store/login.h"
#include "store/mailbox/view.h"
#include "store/outbox.h"
#include "store/parse.h"
#include "store/queue/queue.h"
#include "store/recipient.h"
#include "store/housekeeping.h"
#include "store/report/report.h"
#include "store/scram.h"
#include "store/share.h"
#include "store/sign.h"
#include "store/sweep.h"
#include "store/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- peers ---- */

struct store_peer *store_peer(struct store *s, peer_id id)
{
	for (size_t i = 0; id && i < STORE_PEERS_MOST; i++)
		if (s->peers[i].id == id)
			return &s->peers[i];
	return NULL;
}

struct store_peer *store_peer_by_role(struct store *s, enum role role, unsigned index)
{
	for (size_t i = 0; i < STORE_PEERS_MOST; i++)
		if (s->peers[i].id && s->peers[i].role == role && s->peers[i].index == index)
			return &s->peers[i];
	return NULL;
}

peer_id store_pick_filter(struct store *s)
{
	unsigned turn = atomic_fetch_add(&s->filter_turn, 1);
	for (unsigned i = 0; i < STORE_PEERS_MOST; i++) {
		peer_id filter = atomic_load(&s->filters[(turn + i) % STORE_PEERS_MOST]);
		if (filter)
			return filter;
	}
	return 0;
}

struct worker *store_worker_of(struct store *s, uint64_t account)
{
	return s->workers[account % s->worker_count];
}

/* ---- commits ---- */

static void free_commit(struct commit *c)
{
	batch_free(&c->batch);
	free(c);
}

void store_commit(struct store *s, struct batch *b, loop_fn *done, void *context)
{
	struct commit *c = xcalloc(1, sizeof *c);
	*c = (struct commit){.batch = *b, .done = free_commit};
	if (done)
		parcel_list_add(&c->said, parcel_to_call(done, context));
	*b = (struct batch){0};
	committer_submit(s->committer, c);
}

/* ---- from edges ---- */

static void violation(struct store_peer *p, const char *what)
{
	channel_violation(p->channel, what);
}

static void on_session_open(void *context, const struct msg_session_open *m)
{
	session_opened(context, m);
}

static void on_session_close(void *context, const struct msg_session_close *m)
{
	session_closed(context, m->session);
}

static void on_sender_ask(void *context, const struct msg_sender_ask *m)
{
	recipient_sender_asked(context, m);
}

static void on_rcpt_ask(void *context, const struct msg_rcpt_ask *m)
{
	recipient_asked(context, m);
}

static void on_delivery_begin(void *context, const struct msg_delivery_begin *m)
{
	if (deliver_begin(context, m))
		violation(context, "delivery_begin");
}

static void on_delivery_rcpt(void *context, const struct msg_delivery_rcpt *m)
{
	if (deliver_rcpt(context, m))
		violation(context, "delivery_rcpt");
}

static void on_delivery_piece(void *context, const struct msg_delivery_piece *m)
{
	if (deliver_piece(context, m))
		violation(context, "delivery_piece");
}

static void on_delivery_end(void *context, const struct msg_delivery_end *m)
{
	if (deliver_end(context, m))
		violation(context, "delivery_end");
}

static void on_append_ask(void *context, const struct msg_append_ask *m)
{
	if (deliver_group(context, m))
		violation(context, "append_ask");
}

static void on_shares_ask(void *context, const struct msg_shares_ask *m)
{
	struct session *s = session_find(context, m->session);
	if (s && s->account)
		share_tell(context, s, m->request);
	else if (s)
		violation(context, "shares_ask");
}

static void on_delivery_cancel(void *context, const struct msg_delivery_cancel *m)
{
	if (deliver_cancel(context, m))
		violation(context, "delivery_cancel");
}

static void on_delivery_filter_lost(void *context, const struct msg_delivery_filter_lost *m)
{
	deliver_filter_lost(context, m);
}

static void on_delivery_query(void *context, const struct msg_delivery_query *m)
{
	deliver_query(context, m);
}

static const struct edge_to_store edge_handlers = {
	.session_open = on_session_open, .session_close = on_session_close, .sender_ask = on_sender_ask, .rcpt_ask = on_rcpt_ask,
	.delivery_begin = on_delivery_begin, .delivery_rcpt = on_delivery_rcpt, .delivery_piece = on_delivery_piece,
	.delivery_end = on_delivery_end, .delivery_cancel = on_delivery_cancel, .append_ask = on_append_ask, .shares_ask = on_shares_ask, .delivery_filter_lost = on_delivery_filter_lost, .delivery_query = on_delivery_query,
};

/* Messages about an account begin with the session. */
static int dispatch_edge(const void *handlers, void *context, uint16_t type, struct span payload)
{
	struct store_peer *p = context;
	enum msg_mark mark = msg_mark(type);
	if (mark == MSG_MARK_NONE)
		return edge_to_store_dispatch(handlers, context, type, payload);
	struct unpacker u = {.rest = payload};
	uint64_t id = unpack_u64(&u);
	struct session *s = u.bad ? NULL : session_find(p, id);
	if (!s)
		return u.bad ? -1 : 0; /* ended by us while the message was on its way */
	if (!s->account || (mark == MSG_MARK_IMPORT && !s->is_administrator))
		return -1;
	return share_post(p, s, type, payload);
}

/* ---- from filters ---- */

struct filter_job {
	struct job job;
	uint16_t type;
	struct buf payload;
	peer_id filter, gone;
};

static void run_filter_job(struct worker *w, struct job *j)
{
	struct filter_job *f = (struct filter_job *)j;
	struct msg_parse_credit credit;
	struct msg_parse_done done;
	if (f->gone)
		parse_filter_gone(w, f->gone);
	else if (f->type == MSG_PARSE_CREDIT && msg_parse_credit_unpack(buf_span(&f->payload), &credit) == 0)
		parse_credited(w, &credit, f->filter);
	else if (f->type == MSG_PARSE_DONE && msg_parse_done_unpack(buf_span(&f->payload), &done) == 0)
		parse_finished(w, &done, f->filter);
	buf_free(&f->payload);
	free(f);
}

static void on_verdict(void *context, const struct msg_verdict *m)
{
	if (deliver_verdict(context, m))
		violation(context, "verdict");
}

/* The answers about stored messages go to their workers before they come here. */
static void on_own_answer(void *context, const struct msg_own_answer *m)
{
	sign_answered(context, m);
}

static const struct filter_to_store filter_handlers = {.verdict = on_verdict, .own_answer = on_own_answer};

static int dispatch_filter(const void *handlers, void *context, uint16_t type, struct span payload)
{
	struct store_peer *p = context;
	if (type != MSG_PARSE_CREDIT && type != MSG_PARSE_DONE)
		return filter_to_store_dispatch(handlers, context, type, payload);
	struct unpacker u = {.rest = payload};
	unsigned worker = parse_worker(unpack_u64(&u));
	if (u.bad || worker >= p->store->worker_count || msg_check(type, payload))
		return -1;
	struct filter_job *f = xcalloc(1, sizeof *f);
	*f = (struct filter_job){.job.run = run_filter_job, .type = type, .filter = p->id};
	buf_add(&f->payload, payload);
	worker_post_answer(p->store->workers[worker], &f->job);
	return 0;
}

static void filter_gone(struct store *s, peer_id filter)
{
	for (unsigned i = 0; i < s->worker_count; i++) {
		struct filter_job *f = xcalloc(1, sizeof *f);
		*f = (struct filter_job){.job.run = run_filter_job, .gone = filter};
		worker_post(s->workers[i], &f->job);
	}
}

/* ---- from vault ---- */

static void on_account_ask(void *context, const struct msg_account_ask *m)
{
	login_account_asked(context, m);
}

static void on_session_bind(void *context, const struct msg_session_bind *m)
{
	login_session_bind(context, m);
}

static void on_password_renew(void *context, const struct msg_password_renew *m)
{
	struct store_peer *p = context;
	command_renew(p->store, m);
}

static void on_grant_answer(void *context, const struct msg_grant_answer *m)
{
	struct store_peer *p = context;
	grant_answered(p->store, m);
}

static const struct vault_to_store vault_handlers = {.grant_answer = on_grant_answer, .password_renew = on_password_renew, .account_ask = on_account_ask, .session_bind = on_session_bind};

/* ---- from resolve ---- */

static void on_policy_keep(void *context, const struct msg_policy_keep *m)
{
	if (policy_keep(context, m))
		violation(context, "policy_keep");
}

static void on_policy_forget(void *context, const struct msg_policy_forget *m)
{
	if (policy_forget(context, m))
		violation(context, "policy_forget");
}

static void on_table_answer(void *context, const struct msg_table_answer *m)
{
	struct store_peer *p = context;
	if (tables_answered(p->store, m))
		violation(context, "table_answer");
}

static void on_tables_changed(void *context, const struct msg_tables_changed *m)
{
	struct store_peer *p = context;
	(void)m;
	tables_have_changed(p->store);
}

static void on_rua_answer(void *context, const struct msg_rua_answer *m)
{
	if (report_rua_answered(context, m))
		violation(context, "rua_answer");
}

static void on_report_posted(void *context, const struct msg_report_posted *m)
{
	if (report_posted(context, m))
		violation(context, "report_posted");
}

static const struct resolve_to_store resolve_handlers = {
	.policy_keep = on_policy_keep, .policy_forget = on_policy_forget, .rua_answer = on_rua_answer, .report_posted = on_report_posted,
	.table_answer = on_table_answer, .tables_changed = on_tables_changed};

/* ---- from relay and master ---- */

static void on_relay_ready(void *context, const struct msg_relay_ready *m)
{
	queue_relay_ready(context, m->slots);
}

static void on_job_read(void *context, const struct msg_job_read *m)
{
	if (queue_job_read(context, m))
		violation(context, "job_read");
}

static void on_job_result(void *context, const struct msg_job_result *m)
{
	if (queue_job_result(context, m))
		violation(context, "job_result");
}

static void on_job_done(void *context, const struct msg_job_done *m)
{
	if (queue_job_done(context, m))
		violation(context, "job_done");
}

static void on_tls_session(void *context, const struct msg_tls_session *m)
{
	if (report_session(context, m))
		violation(context, "tls_session");
}

static const struct relay_to_store relay_handlers = {
	.tls_session = on_tls_session, .relay_ready = on_relay_ready, .job_read = on_job_read, .job_result = on_job_result, .job_done = on_job_done};

static const struct pipe_to_store pipe_handlers = {
	.relay_ready = on_relay_ready, .job_read = on_job_read, .job_result = on_job_result, .job_done = on_job_done};

static void on_command(void *context, const struct msg_command *m)
{
	command_run(context, m);
}

static void on_home_answer(void *context, const struct msg_home_answer *m)
{
	struct store_peer *p = context;
	if (home_answered(p->store, m))
		violation(context, "home_answer");
}

static const struct master_to_store master_handlers = {.command = on_command, .home_answer = on_home_answer};

/* ---- coming and going of peers ---- */

static void on_peer_closed(void *context, bool is_violation)
{
	struct store_peer *p = context;
	struct store *s = p->store;
	peer_id gone = p->id;
	if (is_violation)
		child_report_violation(s->self, p->role, p->index);
	if (p->role == ROLE_FILTER && p->index < STORE_PEERS_MOST) {
		peer_id expected = gone;
		atomic_compare_exchange_strong(&s->filters[p->index], &expected, 0);
	}
	struct store_peer was = *p;
	*p = (struct store_peer){.store = s};
	deliver_peer_gone(s, &was);
	session_peer_gone(s, gone);
	reports_peer_gone(s, gone);
	sign_peer_gone(s, gone);
	if (was.role == ROLE_FILTER)
		filter_gone(s, gone);
	if (was.role == ROLE_VAULT)
		grants_vault_gone(s);
	if (was.role == ROLE_RELAY || was.role == ROLE_PIPE)
		queue_relay_gone(s, gone);
	if (was.role == ROLE_RESOLVE || was.role == ROLE_MASTER)
		tables_resolve_gone(s, gone);
	channel_free(was.channel);
}

static void attach(void *context, enum role role, unsigned index, int fd)
{
	static const struct { channel_dispatch_fn *dispatch; const void *handlers; } uses[ROLES] = {
		[ROLE_EDGE_MX] = {dispatch_edge, &edge_handlers}, [ROLE_EDGE_USER] = {dispatch_edge, &edge_handlers},
		[ROLE_FILTER] = {dispatch_filter, &filter_handlers}, [ROLE_VAULT] = {vault_to_store_dispatch, &vault_handlers},
		[ROLE_RELAY] = {relay_to_store_dispatch, &relay_handlers}, [ROLE_PIPE] = {pipe_to_store_dispatch, &pipe_handlers}, [ROLE_RESOLVE] = {resolve_to_store_dispatch, &resolve_handlers},
		[ROLE_MASTER] = {master_to_store_dispatch, &master_handlers}};
	struct store *s = context;
	for (size_t i = 0; i < STORE_PEERS_MOST; i++) {
		struct store_peer *p = &s->peers[i];
		if (p->id || !uses[role].dispatch)
			continue;
		*p = (struct store_peer){.store = s, .role = role, .index = index, .id = ++s->last_peer};
		struct channel_use use = {uses[role].dispatch, uses[role].handlers, p, on_peer_closed, role_name(role)};
		p->channel = channel_new(s->loop, fd, &use);
		if (role == ROLE_FILTER && index < STORE_PEERS_MOST)
			atomic_store(&s->filters[index], p->id);
		if (role == ROLE_RESOLVE)
			policies_tell(p);
		if (role == ROLE_VAULT)
			scram_tell(s);
		return;
	}
	close(fd);
}

/* ---- the process ---- */

/* The moment at which this store was taken out of a backup, in a file that `carteiro backup restore` has written; 0: it was not. */
static uint64_t read_restored(const char *folder)
{
	BUF_AUTO path = {0};
	char text[24];
	uint64_t restored_ms;
	buf_printf(&path, "%s/" STORE_RESTORED, folder);
	int fd = open(buf_cstr(&path), O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (fd >= 0)
		close(fd);
	if (n <= 0 || span_to_u64(span_trim(span_of(text, (size_t)n)), INT64_MAX, &restored_ms))
		die("store: cannot read %s", buf_cstr(&path)); /* without it clients would take other messages for those that they know */
	return restored_ms;
}

static void configure(void *context, const struct config *config)
{
	struct store *s = context;
	struct error why = {0};
	BUF_AUTO path = {0}, backup = {0};
	s->loop = child_loop(s->self);
	tables_configure(s, config);
	buf_printf(&path, "%s/store", config->data_dir);
	if (mkdir(buf_cstr(&path), 0700) && errno != EEXIST)
		die("store: cannot make %s: %s", buf_cstr(&path), strerror(errno));
	buf_printf(&backup, "%s/backup", config->data_dir);
	if (mkdir(buf_cstr(&backup), 0700) && errno != EEXIST)
		die("store: cannot make %s: %s", buf_cstr(&backup), strerror(errno));
	sandbox_enclose(SANDBOX_KEEP, (const char *const[]){buf_cstr(&path), buf_cstr(&backup), NULL}); /* not the keys that lie beside them */
	buf_add_cstr(&backup, "/checkpoint");
	s->checkpoint = xstrdup(buf_cstr(&backup));
	s->restored_ms = read_restored(buf_cstr(&path));
	s->engine = engine_open_rocksdb(buf_cstr(&path), &why);
	if (!s->engine)
		die("store: %s", why.text);
	s->committer = committer_new(s->engine, outbox_say, s);
	outbox_open(s);
	s->usages = usages_new();
	sweep_prepare(s);
	s->undelete_grace_s = config->undelete_grace_s;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned workers = config->store_workers ? config->store_workers : (unsigned)(cores < 1 ? 1 : cores);
	s->worker_count = workers > WORKERS_MOST ? WORKERS_MOST : workers;
	for (unsigned i = 0; i < s->worker_count; i++)
		s->workers[i] = worker_new(s, i);
	s->sweeper = worker_new(s, WORKERS_MOST);
	s->searcher = worker_new(s, WORKERS_MOST + 1);
}

static void start(void *context)
{
	struct store *s = context;
	queue_open(s);
	reports_open(s);
	sweep_start(s);
	housekeeping_start(s);
	command_erase_removed(s);
}

static void reload(void *context, const struct config *config)
{
	struct store *s = context;
	s->undelete_grace_s = config->undelete_grace_s;
	queue_configure(context, config);
	tables_configure(context, config);
}

static void status(void *context, struct buf *text)
{
	struct store *s = context;
	struct committer_counts counts = committer_counts(s->committer);
	buf_printf(text, "accepted=%llu refused=%llu sessions=%zu queue=%zu without-scram=%zu commits=%llu syncs=%llu",
	           (unsigned long long)s->accepted_count, (unsigned long long)s->refused_count, s->sessions.count, queue_count(s), scram_missing(s),
	           (unsigned long long)counts.commits, (unsigned long long)counts.syncs);
}

/* Everything that was acknowledged is on the disk; what is under way is written, and the engine closed in order. */
static void stop(void *context)
{
	struct store *s = context;
	reports_flush(s);
	for (unsigned i = 0; i < s->worker_count; i++)
		worker_stop(s->workers[i]);
	if (s->committer)
		committer_free(s->committer);
	if (s->spared && atomic_load(&s->background) == 0)
		sweep_end(s);
	if (s->engine && atomic_load(&s->background) == 0)
		engine_close(s->engine); /* else a thread still uses it; the log on the disk has everything */
	_exit(0);
}

int store_main(unsigned index, int control)
{
	static struct store s;
	static const struct child_use use = {
		.configure = configure, .attach = attach, .start = start, .reload = reload, .status = status, .stop = stop};
	return child_run(ROLE_STORE, index, control, &use, &s, &s.self);
}
