/* The filter process.
 *
 *   from an edge   judge_begin, judge_rcpt, judge_piece, judge_end, judge_cancel -> filter/message.c; its verdict goes to store
 *   from store     parse_begin, parse_piece, parse_end -> filter/question.c; own_ask -> filter/own.c */
#include "filter/filter.h"

#include "base/die.h"
#include "base/sandbox.h"
#include "filter/dns.h"
#include "filter/message.h"
#include "filter/milter.h"
#include "filter/own.h"
#include "filter/question.h"
#include "filter/vault.h"
#include "wire/charset.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

static void violation(struct filter_edge *e, const char *what)
{
	channel_violation(e->channel, what);
}

static void on_begin(void *context, const struct msg_judge_begin *m)
{
	if (message_begin(context, m))
		violation(context, "judge_begin");
}

static void on_rcpt(void *context, const struct msg_judge_rcpt *m)
{
	if (message_rcpt(context, m))
		violation(context, "judge_rcpt");
}

static void on_piece(void *context, const struct msg_judge_piece *m)
{
	if (message_piece(context, m))
		violation(context, "judge_piece");
}

static void on_end(void *context, const struct msg_judge_end *m)
{
	if (message_end(context, m))
		violation(context, "judge_end");
}

static void on_cancel(void *context, const struct msg_judge_cancel *m)
{
	message_cancel(context, m->delivery);
}

static const struct edge_to_filter edge_handlers = {
	.judge_begin = on_begin, .judge_rcpt = on_rcpt, .judge_piece = on_piece, .judge_end = on_end, .judge_cancel = on_cancel};

static void on_parse_begin(void *context, const struct msg_parse_begin *m)
{
	struct filter_process *f = context;
	if (question_begin(f, m))
		channel_violation(f->store, "parse_begin");
}

static void on_parse_piece(void *context, const struct msg_parse_piece *m)
{
	struct filter_process *f = context;
	if (question_piece(f, m))
		channel_violation(f->store, "parse_piece");
}

static void on_parse_end(void *context, const struct msg_parse_end *m)
{
	struct filter_process *f = context;
	if (question_end(f, m))
		channel_violation(f->store, "parse_end");
}

static void on_own_ask(void *context, const struct msg_own_ask *m)
{
	own_ask(context, m);
}

static const struct store_to_filter store_handlers = {
	.own_ask = on_own_ask, .parse_begin = on_parse_begin, .parse_piece = on_parse_piece, .parse_end = on_parse_end};

static void on_edge_closed(void *context, bool is_violation)
{
	struct filter_edge *e = context;
	if (is_violation)
		child_report_violation(e->filter->self, e->role, e->index);
	message_edge_gone(e);
	channel_free(e->channel);
	free(e);
}

static void on_store_closed(void *context, bool is_violation)
{
	struct filter_process *f = context;
	if (is_violation)
		child_report_violation(f->self, ROLE_STORE, 0);
	channel_free(f->store);
	f->store = NULL;
	question_store_gone(f);
	own_store_gone(f);
}

static void attach(void *context, enum role role, unsigned index, int fd)
{
	struct filter_process *f = context;
	if (role == ROLE_RESOLVE) {
		filter_dns_attach(f->dns, fd);
		return;
	}
	if (role == ROLE_VAULT) {
		filter_vault_attach(f->vault, fd);
		return;
	}
	if (role == ROLE_MILTER) {
		filter_milter_attach(f->milter, fd);
		return;
	}
	if (role == ROLE_STORE) {
		struct channel_use use = {store_to_filter_dispatch, &store_handlers, f, on_store_closed, "store"};
		if (f->store)
			on_store_closed(f, false); /* its end is not heard of yet */
		f->store = channel_new(f->loop, fd, &use);
		return;
	}
	struct filter_edge *e = xcalloc(1, sizeof *e);
	*e = (struct filter_edge){.filter = f, .role = role, .index = index};
	struct channel_use use = {edge_to_filter_dispatch, &edge_handlers, e, on_edge_closed, role_name(role)};
	e->channel = channel_new(f->loop, fd, &use);
}

static void configure(void *context, const struct config *config)
{
	struct filter_process *f = context;
	(void)config;
	f->loop = child_loop(f->self);
	f->dns = filter_dns_new(f);
	f->vault = filter_vault_new(f);
	f->milter = filter_milter_new(f);
	/* ICU, OpenSSL and jansson open what they need now, while they can */
	unsigned char digest[32];
	charset_is_known(SPAN("utf-8"));
	json_object_seed(0);
	if (EVP_Digest("", 0, digest, NULL, EVP_sha256(), NULL) != 1)
		die("filter: no SHA-256");
}

static void enclose(void *context)
{
	(void)context;
	sandbox_enclose(SANDBOX_COMPUTE, NULL);
}

static void status(void *context, struct buf *text)
{
	struct filter_process *f = context;
	buf_printf(text, "judged=%llu refused=%llu questions=%llu", (unsigned long long)f->judged_count,
	           (unsigned long long)f->refused_count, (unsigned long long)f->asked_count);
}

int filter_main(unsigned index, int control)
{
	static struct filter_process f;
	static const struct child_use use = {.configure = configure, .enclose = enclose, .attach = attach, .status = status};
	return child_run(ROLE_FILTER, index, control, &use, &f, &f.self);
}
