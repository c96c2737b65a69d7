/* relay: what it is told and who does it.
 *
 *   configure     the TLS context, the address to connect from
 *   attach        the channel to store: "there is room for so many jobs"; the channel to resolve
 *   job, job_rcpt, job_start, job_piece, job_settled   from store -> relay/job.c
 *   mx_host, mx_policy, mx_fault, mx_answer            from resolve -> relay/job.c
 *
 * A job (relay/job.c) asks resolve for the hosts of its domain and tries them with one session after another
 * (relay/session.c: the connection; relay/transaction.c: the message's envelope; relay/transfer.c: its bytes, pulled from
 * store), until each recipient has a result. What relay forgets, store gives again; results are kept until store has written
 * them, over its death (relay/former.h). */
#include "relay/relay.h"

#include "base/die.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/tls.h"
#include "relay/former.h"
#include "relay/login.h"
#include "relay/process.h"
#include "relay/session.h"

#include <stdlib.h>

enum { STOP_MOST_MS = 5000 }; /* for the answer to messages that are out; master waits 8 s */

/* ---- from store ---- */

static void on_job(void *context, const struct msg_job *m)
{
	struct relay_process *p = context;
	if (!p->is_stopping && !job_new(p, m))
		channel_violation(p->store, "a job without a free slot, or with a number that is taken");
}

static void on_job_rcpt(void *context, const struct msg_job_rcpt *m)
{
	struct relay_process *p = context;
	if (!p->is_stopping && !job_add_recipient(p, m))
		channel_violation(p->store, "a recipient of no job");
}

static void on_job_start(void *context, const struct msg_job_start *m)
{
	struct relay_process *p = context;
	if (!p->is_stopping && !job_start(p, m))
		channel_violation(p->store, "the start of no job");
}

static void on_job_piece(void *context, const struct msg_job_piece *m)
{
	job_piece(context, m);
}

static void on_job_settled(void *context, const struct msg_job_settled *m)
{
	struct relay_process *p = context;
	if (!p->is_stopping && !job_settled(p, m))
		channel_violation(p->store, "the settling of a job that was not told");
}

static const struct store_to_relay store_handlers = {
	.job = on_job, .job_rcpt = on_job_rcpt, .job_start = on_job_start, .job_piece = on_job_piece, .job_settled = on_job_settled};

/* A new store gives the jobs again. */
static void drop_store(struct relay_process *p)
{
	struct job *j;
	for (size_t at = 0; (j = map_next(&p->jobs, &at));)
		former_begin(j);
	sessions_retire(p);
	p->open_slots = 0;
	channel_free(p->store);
	p->store = NULL;
	relay_job_ended(p);
}

static void on_store_closed(void *context, bool is_violation)
{
	struct relay_process *p = context;
	drop_store(p);
	if (is_violation)
		child_report_violation(p->self, ROLE_STORE, 0);
}

/* ---- from resolve ---- */

static void on_mx_host(void *context, const struct msg_mx_host *m)
{
	struct relay_process *p = context;
	if (!job_host(p, m))
		channel_violation(p->resolve, "a malformed mail host");
}

static void on_mx_answer(void *context, const struct msg_mx_answer *m)
{
	struct relay_process *p = context;
	if (!job_hosts(p, m) && p->resolve)
		channel_violation(p->resolve, "an answer without a mail host");
}

static void on_mx_policy(void *context, const struct msg_mx_policy *m)
{
	job_policy(context, m);
}

static void on_mx_fault(void *context, const struct msg_mx_fault *m)
{
	job_fault(context, m);
}

static const struct resolve_to_relay resolve_handlers = {
	.mx_host = on_mx_host, .mx_policy = on_mx_policy, .mx_fault = on_mx_fault, .mx_answer = on_mx_answer};

static void on_resolve_closed(void *context, bool is_violation)
{
	struct relay_process *p = context;
	channel_free(p->resolve);
	p->resolve = NULL;
	if (is_violation)
		child_report_violation(p->self, ROLE_RESOLVE, 0);
}

/* ---- slots ---- */

void relay_offer_slots(struct relay_process *p)
{
	size_t most = child_config(p->self)->relay_connections, taken = p->jobs.count + p->formers_out + p->open_slots;
	if (!p->store || p->is_stopping || taken >= most)
		return;
	channel_send(p->store, relay_ready, .slots = (uint32_t)(most - taken));
	p->open_slots += (uint32_t)(most - taken);
}

/* ---- from master ---- */

static void set_bind_address(struct relay_process *p, const struct config *config)
{
	socklen_t len;
	p->bind_to = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
	if (config->smtp_out_address[0])
		target_parse_address(config->smtp_out_address, 0, &p->bind_to, &len);
}

static void configure(void *context, const struct config *config)
{
	struct relay_process *p = context;
	struct error why;
	p->loop = child_loop(p->self);
	tls_library_start();
	why.text[0] = 0;
	p->tls = tls_client_context(config->tls_authorities, &why);
	if (!p->tls)
		die("relay: no TLS: %s", why.text);
	if (why.text[0])
		log_event(LOG_LEVEL_WARNING, "no-authorities", log_c("why", why.text), log_c("then", "relay_host_login is sent to nobody, no MTA-STS policy can be had, and mail waits where one is enforced"));
	login_load(p, config);
	set_bind_address(p, config);
	sandbox_enclose(SANDBOX_CALL, NULL);
}

static void attach(void *context, enum role role, unsigned index, int fd)
{
	struct relay_process *p = context;
	if (role == ROLE_STORE) {
		struct channel_use use = {store_to_relay_dispatch, &store_handlers, p, on_store_closed, "store"};
		if (p->store)
			drop_store(p);
		p->store = channel_new(p->loop, fd, &use);
		channel_set_epoch(p->store, child_epoch(p->self));
		relay_offer_slots(p);
	} else if (role == ROLE_RESOLVE) {
		struct channel_use use = {resolve_to_relay_dispatch, &resolve_handlers, p, on_resolve_closed, "resolve"};
		channel_free(p->resolve);
		p->resolve = channel_new(p->loop, fd, &use);
		channel_set_epoch(p->resolve, child_epoch(p->self));
		jobs_ask_again(p);
	} else {
		die("relay: a channel to %s, number %u, which it does not talk to", role_name(role), index);
	}
}

static void reload(void *context, const struct config *config)
{
	struct relay_process *p = context;
	set_bind_address(p, config);
	login_load(p, config);
	sessions_retire(p); /* they were opened by other rules */
	if (p->store)
		channel_set_epoch(p->store, child_epoch(p->self));
	if (p->resolve)
		channel_set_epoch(p->resolve, child_epoch(p->self));
	relay_offer_slots(p);
}

void relay_job_ended(struct relay_process *p)
{
	if (!p->is_stopping || p->jobs.count)
		return;
	if (p->store)
		channel_flush(p->store);
	child_stopped(p->self);
}

static void on_stop_deadline(void *context)
{
	struct relay_process *p = context;
	child_stopped(p->self);
}

/* A message that is out, and whose answer is still to come, would be sent twice: that is waited for. */
static void stop(void *context)
{
	struct relay_process *p = context;
	struct job *j;
	p->is_stopping = true;
	for (size_t at = 0; (j = map_next(&p->jobs, &at));)
		if (!j->session || j->session->state != SESSION_END)
			job_drop(j);
	formers_drop(p);
	p->stop_deadline = timer_new(p->loop, on_stop_deadline, p);
	timer_set(p->stop_deadline, STOP_MOST_MS);
	relay_job_ended(p);
}

static void status(void *context, struct buf *text)
{
	struct relay_process *p = context;
	buf_printf(text, "jobs=%zu connections=%zu delivered=%llu later=%llu failed=%llu", p->jobs.count, p->session_count,
	           (unsigned long long)p->delivered_count, (unsigned long long)p->later_count, (unsigned long long)p->failed_count);
}

static void key_file(void *context, enum key_file which, int fd, int fault)
{
	struct relay_process *p = context;
	(void)which; /* there is but one for relay */
	key_file_take(&p->login_file, fd, fault);
}

static const struct child_use use = {
	.key_file = key_file, .configure = configure, .attach = attach, .reload = reload, .stop = stop, .status = status, .stop_is_slow = true};

int relay_main(unsigned index, int control)
{
	struct relay_process *p = xcalloc(1, sizeof *p);
	return child_run(ROLE_RELAY, index, control, &use, p, &p->self);
}
