/* The edge process: what it is told at its start, what it listens to, which message goes where.
 *
 *   from store     answers about a session's mailboxes -> the session's protocol (connection->protocol->store); deliveries'
 *                  credits and outcomes -> edge/delivery.c; recipients and senders -> edge/smtp/
 *   from vault     signatures -> edge/signer.c; the certificate -> here; logins -> edge/connection.c and
 *                  edge/scram.c
 *   from filters   credits -> edge/delivery.c */
#include "edge/edge.h"

#include "base/die.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "edge/delivery.h"
#include "edge/imap/imap.h"
#include "edge/listener.h"
#include "edge/pop3/pop3.h"
#include "edge/proxied.h"
#include "edge/scram.h"
#include "edge/signer.h"
#include "edge/smtp/smtp.h"

#include <stdlib.h>
#include <unistd.h>

enum { STOP_MOST_MS = 3000 };

/* ---- from store ---- */

static void on_session_opened(void *context, const struct msg_session_opened *m)
{
	connection_session_opened(context, m);
}

static void on_session_ended(void *context, const struct msg_session_ended *m)
{
	connection_session_ended(context, m);
}

static void on_sender_answer(void *context, const struct msg_sender_answer *m)
{
	struct connection *c = connection_of_token(context, m->token);
	if (c)
		smtp_sender_answered(c, m);
}

static void on_rcpt_answer(void *context, const struct msg_rcpt_answer *m)
{
	struct connection *c = connection_of_token(context, m->token);
	if (c)
		smtp_rcpt_answered(c, m);
}

static void on_delivery_credit(void *context, const struct msg_delivery_credit *m)
{
	delivery_store_credit(context, m);
}

static void on_delivery_result(void *context, const struct msg_delivery_result *m)
{
	delivery_result(context, m);
}

/* Hands a message about a session to the session's protocol. */
#define ON_SESSION(name) \
	static void on_##name(void *context, const struct msg_##name *m) \
	{ \
		struct connection *c = connection_of_session(context, m->session); \
		if (c && c->state && c->protocol->store && c->protocol->store->name) \
			c->protocol->store->name(c, m); \
	}

ON_SESSION(mailbox_row)
ON_SESSION(mailbox_opened)
ON_SESSION(uid_rows)
ON_SESSION(request_done)
ON_SESSION(fetch_rows)
ON_SESSION(body_piece)
ON_SESSION(copy_done)
ON_SESSION(quota_row)
ON_SESSION(share_row)
ON_SESSION(acl_row)
ON_SESSION(metadata_row)
ON_SESSION(import_sources)
ON_SESSION(unique_ids)
ON_SESSION(search_found)
ON_SESSION(search_done)
ON_SESSION(changes)
ON_SESSION(mailbox_changed)
ON_SESSION(mailbox_event)

static const struct store_to_edge store_handlers = {
	.session_opened = on_session_opened, .session_ended = on_session_ended, .sender_answer = on_sender_answer,
	.rcpt_answer = on_rcpt_answer, .delivery_credit = on_delivery_credit, .delivery_result = on_delivery_result,
	.mailbox_row = on_mailbox_row, .mailbox_opened = on_mailbox_opened, .uid_rows = on_uid_rows,
	.request_done = on_request_done, .fetch_rows = on_fetch_rows, .body_piece = on_body_piece, .copy_done = on_copy_done, .quota_row = on_quota_row, .share_row = on_share_row, .acl_row = on_acl_row, .metadata_row = on_metadata_row, .import_sources = on_import_sources, .unique_ids = on_unique_ids,
	.search_found = on_search_found, .search_done = on_search_done, .changes = on_changes, .mailbox_changed = on_mailbox_changed, .mailbox_event = on_mailbox_event,
};

static void on_store_closed(void *context, bool is_violation)
{
	struct edge_process *e = context;
	if (is_violation)
		child_report_violation(e->self, ROLE_STORE, 0);
	channel_free(e->store);
	e->store = NULL;
	delivery_store_gone(e);
	connection_store_gone(e);
}

/* ---- from vault ---- */

static void on_sign_answer(void *context, const struct msg_sign_answer *m)
{
	signer_answered(context, m);
}

static void on_certificate_answer(void *context, const struct msg_certificate_answer *m)
{
	struct edge_process *e = context;
	struct error why = {0};
	struct ssl_ctx_st *tls = m->chain.len ? tls_server_context(m->chain, m->client_authorities, &why) : NULL;
	if (m->chain.len && !tls)
		log_event(LOG_LEVEL_ERROR, "certificate-unusable", log_c("why", why.text));
	if (tls) {
		tls_context_free(e->tls);
		e->tls = tls;
		e->key_slot = m->slot;
	}
	e->is_serving = true;
	for (size_t i = 0; i < e->listener_count; i++)
		listener_start(e->listeners[i]);
}

static void on_login_answer(void *context, const struct msg_login_answer *m)
{
	connection_login_answered(context, m);
}

static void on_scram_offered(void *context, const struct msg_scram_offered *m)
{
	struct edge_process *e = context;
	e->is_scram_offered = m->is_offered;
}

static void on_scram_challenge(void *context, const struct msg_scram_challenge *m)
{
	scram_challenged(context, m);
}

static const struct vault_to_edge vault_handlers = {
	.sign_answer = on_sign_answer, .certificate_answer = on_certificate_answer, .login_answer = on_login_answer,
	.scram_offered = on_scram_offered, .scram_challenge = on_scram_challenge};

static void on_vault_closed(void *context, bool is_violation)
{
	struct edge_process *e = context;
	if (is_violation)
		child_report_violation(e->self, ROLE_VAULT, 0);
	channel_free(e->vault);
	e->vault = NULL;
	signer_vault_gone(e);
	connection_vault_gone(e);
}

/* ---- from filters ---- */

struct filter_peer {
	struct edge_process *edge;
	unsigned index;
};

static void on_judge_credit(void *context, const struct msg_judge_credit *m)
{
	struct filter_peer *f = context;
	delivery_filter_credit(f->edge, m);
}

static const struct filter_to_edge filter_handlers = {.judge_credit = on_judge_credit};

static void filter_ended(struct edge_process *e, unsigned index)
{
	channel_free(e->filters[index]);
	e->filters[index] = NULL;
	free(e->filter_peers[index]);
	e->filter_peers[index] = NULL;
	delivery_filter_gone(e, index);
}

static void on_filter_closed(void *context, bool is_violation)
{
	struct filter_peer *f = context;
	if (is_violation)
		child_report_violation(f->edge->self, ROLE_FILTER, f->index);
	filter_ended(f->edge, f->index);
}

/* ---- the process ---- */

/* A new channel may be here before the end of the old one is: then this is that end, and what waited for it is told. */
static void attach_filter(struct edge_process *e, unsigned index, int fd)
{
	if (e->filters[index])
		filter_ended(e, index);
	struct filter_peer *f = xcalloc(1, sizeof *f);
	*f = (struct filter_peer){e, index};
	struct channel_use use = {filter_to_edge_dispatch, &filter_handlers, f, on_filter_closed, "filter"};
	e->filters[index] = channel_new(e->loop, fd, &use);
	e->filter_peers[index] = f;
}

static void attach(void *context, enum role role, unsigned index, int fd)
{
	struct edge_process *e = context;
	struct channel_use store = {store_to_edge_dispatch, &store_handlers, e, on_store_closed, "store"};
	struct channel_use vault = {vault_to_edge_dispatch, &vault_handlers, e, on_vault_closed, "vault"};
	if (role == ROLE_STORE) {
		if (e->store)
			on_store_closed(e, false);
		e->store = channel_new(e->loop, fd, &store);
		delivery_store_attached(e);
	} else if (role == ROLE_VAULT) {
		if (e->vault)
			on_vault_closed(e, false);
		e->vault = channel_new(e->loop, fd, &vault);
		channel_send(e->vault, certificate_ask, .id = 0);
	} else if (role == ROLE_FILTER && index < EDGE_FILTERS_MOST) {
		attach_filter(e, index, fd);
	} else {
		close(fd);
	}
}

static void on_listener(void *context, unsigned number, bool is_tls, int fd)
{
	static const struct protocol *const protocols[CONFIG_LOCAL_IMAP + 1] = {
		[CONFIG_LOCAL] = &local_protocol, [CONFIG_LOCAL_IMAP] = &local_imap_protocol,
		[CONFIG_SMTP] = &smtp_protocol, [CONFIG_LMTP] = &lmtp_protocol, [CONFIG_SUBMISSION] = &submission_protocol,
		[CONFIG_SUBMISSIONS] = &submission_protocol, [CONFIG_IMAP] = &imap_protocol, [CONFIG_IMAPS] = &imap_protocol,
		[CONFIG_POP3] = &pop3_protocol, [CONFIG_POP3S] = &pop3_protocol};
	struct edge_process *e = context;
	if (number > CONFIG_LOCAL_IMAP || e->listener_count == EDGE_LISTENERS_MOST) {
		close(fd);
		return;
	}
	e->listeners[e->listener_count++] = listener_new(e, protocols[number], fd, is_tls);
	if (e->is_serving)
		listener_start(e->listeners[e->listener_count - 1]);
}

static void configure(void *context, const struct config *config)
{
	struct edge_process *e = context;
	(void)config;
	e->loop = child_loop(e->self);
	tls_library_start();
	signer_start(e);
}

static void enclose(void *context)
{
	(void)context;
	sandbox_enclose(SANDBOX_SERVE, NULL);
}

/* No new connection; the process ends with its last one (edge/connection.c). */
static void drain(void *context)
{
	struct edge_process *e = context;
	e->is_draining = true;
	for (size_t i = 0; i < e->listener_count; i++)
		listener_free(e->listeners[i]);
	e->listener_count = 0;
	proxied_drop_all(e);
	if (e->connections.count == 0)
		child_stopped(e->self);
}

static void on_stop_deadline(void *context)
{
	struct edge_process *e = context;
	child_stopped(e->self);
}

/* Each client is told; who waits for a message's outcome still hears it; nobody is waited for longer than STOP_MOST_MS. */
static void stop(void *context)
{
	struct edge_process *e = context;
	size_t at = 0;
	struct connection *c;
	timer_set(timer_new(e->loop, on_stop_deadline, e), STOP_MOST_MS);
	while ((c = map_next(&e->connections, &at)))
		if (c->state && !c->is_closing)
			c->protocol->shutdown(c, "the server stops");
	drain(e);
}

static void status(void *context, struct buf *text)
{
	struct edge_process *e = context;
	buf_printf(text, "connections=%zu accepted=%llu refused=%llu limited=%llu tls=%s", e->connections.count,
	           (unsigned long long)e->accepted_count, (unsigned long long)e->refused_count, (unsigned long long)e->limited_count, e->tls ? "yes" : "no");
}

static int edge_main(enum role role, unsigned index, int control)
{
	static struct edge_process e;
	static const struct child_use use = {.configure = configure, .enclose = enclose, .attach = attach, .listen = on_listener, .drain = drain,
	                                     .stop = stop, .stop_is_slow = true, .status = status};
	e.role = role;
	return child_run(role, index, control, &use, &e, &e.self);
}

int edge_mx_main(unsigned index, int control)
{
	return edge_main(ROLE_EDGE_MX, index, control);
}

int edge_user_main(unsigned index, int control)
{
	return edge_main(ROLE_EDGE_USER, index, control);
}
