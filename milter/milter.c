/* The milter process.
 *
 *   configure, reload   the setting `milters`
 *   from filter         milter_begin, milter_rcpt, milter_client, milter_fields, milter_piece, milter_end, milter_cancel -> milter/inquiry.c
 *
 * A message (milter/inquiry.c) goes through the milters one after the other: with each there is a dialogue (milter/dialogue.c) over a link
 * (milter/link.c: the connection), with macros (milter/macros.c), and what it changes in the header is seen by the next
 * (milter/header.c). The answer goes to filter, which makes its verdict with it. */
#include "milter/milter.h"

#include "base/die.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "milter/link.h"
#include "milter/inquiry.h"

#include <stdio.h>
#include <stdlib.h>

struct milters *milters_new(const struct config *config)
{
	struct milters *m = xcalloc(1, sizeof *m);
	struct span rest = span_cstr(config->milters), word;
	*m = (struct milters){.users = 1, .on_failure = config->milter_default, .timeout_ms = (int64_t)config->milter_timeout_s * 1000};
	while ((word = span_next_word(&rest)).len && m->count < CONFIG_MILTERS_MOST) {
		milter_socket_parse(word, &m->list[m->count].at, NULL); /* config has checked it */
		snprintf(m->list[m->count++].name, MILTER_NAME_BYTES, "%.*s", SPAN_ARG(word));
	}
	return m;
}

struct milters *milters_use(struct milters *m)
{
	m->users++;
	return m;
}

void milters_leave(struct milters *m)
{
	if (--m->users == 0)
		free(m);
}

/* ---- from filter ---- */

static void check(struct milter_peer *peer, int fault, const char *what)
{
	if (fault)
		channel_violation(peer->channel, what);
}

static void on_begin(void *context, const struct msg_milter_begin *m)
{
	check(context, inquiry_begin(context, m), "milter_begin");
}

static void on_rcpt(void *context, const struct msg_milter_rcpt *m)
{
	check(context, inquiry_rcpt(context, m), "milter_rcpt");
}

static void on_client(void *context, const struct msg_milter_client *m)
{
	check(context, inquiry_client(context, m), "milter_client");
}

static void on_fields(void *context, const struct msg_milter_fields *m)
{
	check(context, inquiry_fields(context, m), "milter_fields");
}

static void on_piece(void *context, const struct msg_milter_piece *m)
{
	check(context, inquiry_piece(context, m), "milter_piece");
}

static void on_end(void *context, const struct msg_milter_end *m)
{
	check(context, inquiry_end(context, m), "milter_end");
}

static void on_cancel(void *context, const struct msg_milter_cancel *m)
{
	inquiry_cancel(context, m->delivery);
}

static const struct filter_to_milter handlers = {
	.milter_begin = on_begin, .milter_rcpt = on_rcpt, .milter_client = on_client, .milter_fields = on_fields, .milter_piece = on_piece,
	.milter_end = on_end, .milter_cancel = on_cancel};

static void on_closed(void *context, bool is_violation)
{
	struct milter_peer *peer = context;
	if (is_violation)
		child_report_violation(peer->milter->self, ROLE_FILTER, peer->index);
	inquiry_peer_gone(peer);
	channel_free(peer->channel);
	free(peer);
}

/* ---- from master ---- */

static void configure(void *context, const struct config *config)
{
	struct milter_process *p = context;
	struct error why;
	p->loop = child_loop(p->self);
	p->milters = milters_new(config);
	p->spool = spool_new(config->data_dir, &why);
	if (!p->spool)
		log_event(LOG_LEVEL_WARNING, "no-spool", log_c("why", why.text), log_c("then", "with more than one milter, messages are put off"));
}

static void enclose(void *context)
{
	(void)context;
	sandbox_enclose(SANDBOX_CALL, NULL);
}

static void attach(void *context, enum role role, unsigned index, int fd)
{
	struct milter_process *p = context;
	struct milter_peer *peer = xcalloc(1, sizeof *peer);
	if (role != ROLE_FILTER)
		die("milter: a channel to %s, number %u, which it does not talk to", role_name(role), index);
	*peer = (struct milter_peer){.milter = p, .index = index};
	struct channel_use use = {filter_to_milter_dispatch, &handlers, peer, on_closed, "filter"};
	peer->channel = channel_new(p->loop, fd, &use);
}

static void reload(void *context, const struct config *config)
{
	struct milter_process *p = context;
	milters_leave(p->milters);
	p->milters = milters_new(config);
	links_retire(p);
}

static void stop(void *context)
{
	links_retire(context);
}

static void status(void *context, struct buf *text)
{
	const struct milter_process *p = context;
	buf_printf(text, "milters=%zu asked=%llu refused=%llu later=%llu discarded=%llu held=%llu failed=%llu connections=%zu", p->milters->count,
	           (unsigned long long)p->asked_count, (unsigned long long)p->refused_count, (unsigned long long)p->later_count,
	           (unsigned long long)p->discarded_count, (unsigned long long)p->held_count, (unsigned long long)p->failed_count, p->link_count);
}

static const struct child_use use = {.configure = configure, .enclose = enclose, .attach = attach, .reload = reload, .stop = stop, .status = status};

int milter_main(unsigned index, int control)
{
	struct milter_process *p = xcalloc(1, sizeof *p);
	return child_run(ROLE_MILTER, index, control, &use, p, &p->self);
}
