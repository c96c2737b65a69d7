/* One message: its bytes as they come, what is asked about it meanwhile, and the verdict when everything is there. */
#include "filter/message.h"

#include "base/die.h"
#include "base/network.h"
#include "filter/dns.h"
#include "filter/milter.h"
#include "filter/verdict.h"
#include "wire/header.h"

#include <openssl/evp.h>
#include <stdlib.h>

static struct message *find(struct filter_edge *e, struct id128 id)
{
	struct message *m = map_get(&e->filter->judged, id128_hash(id));
	return m && m->edge == e && id128_equal(m->id, id) ? m : NULL;
}

static void free_message(struct message *m)
{
	map_take(&m->filter->judged, id128_hash(m->id));
	struct buf *bufs[] = {&m->reverse_path, &m->client, &m->helo, &m->with, &m->tls, &m->recipient, &m->forwarded_by, &m->header};
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
		buf_free(bufs[i]);
	authentication_free(m->authentication);
	signing_free(m->signing);
	sealing_free(m->sealing);
	asking_free(m->asking);
	tls_report_free(m->tls_report);
	verdict_free(m->verdict);
	mime_parser_free(m->parser);
	EVP_MD_CTX_free(m->sha256);
	free(m);
}

/* ---- milters ---- */

static void judge(struct message *m);

/* A piece of the body that the milters were given has been used up. */
static void on_credit(void *context)
{
	struct message *m = context;
	if (!m->pieces_out)
		return;
	m->pieces_out--;
	channel_send(m->edge->channel, judge_credit, .delivery = m->id, .pieces = 1);
}

static void on_answered(void *context)
{
	struct message *m = context;
	while (m->pieces_out)
		on_credit(m);
	judge(m);
}

static void on_client_named(void *context)
{
	struct message *m = context;
	if (m->asking && m->authentication)
		asking_client(m->asking, authentication_client_name(m->authentication));
}

static void add_field(void *context, struct span whole)
{
	asking_field(context, whole);
}

/* They see the header as it will leave but for what they do to it themselves. */
static void give_header(struct message *m)
{
	m->verdict = verdict_new(m);
	if (!verdict_is_good(m->verdict)) {
		asking_free(m->asking); /* it is refused for its header */
		m->asking = NULL;
		return;
	}
	verdict_fields(m->verdict, add_field, m->asking);
	asking_header_end(m->asking);
}

/* Bytes of the body. True if they go to the milters, who say when there may be more. */
static bool ask_about(struct message *m, struct span piece)
{
	if (!m->asking || !asking_is_open(m->asking) || !piece.len)
		return false;
	m->pieces_out++;
	asking_body(m->asking, piece);
	return true;
}

/* ---- beginning ---- */

/* Strangers only: not what this machine itself sends, nor neighbours and users. */
static void start_checks(struct message *m)
{
	const struct config *config = child_config(m->filter->self);
	bool has_reason = config->sender_checks != SENDER_CHECKS_OFF || config->dns_lists[0] || m->asking; /* which want to know the client's name */
	bool is_sealed = m->kind == DELIVERY_SMTP && config->arc_seal && config->sender_checks != SENDER_CHECKS_OFF && m->forwarded_by.len;
	struct authentication_facts facts = {
		.dns_lists = span_cstr(config->dns_lists), .arc_trusted = span_cstr(config->arc_trusted), .wants_body_hash = is_sealed,
		.client_address = buf_span(&m->client), .helo = buf_span(&m->helo), .reverse_path = buf_span(&m->reverse_path),
		.hostname = child_hostname(m->filter->self), .named = on_client_named, .context = m, .dns = filter_dns_client(m->filter->dns), .loop = m->filter->loop};
	if (m->kind == DELIVERY_SMTP && !network_is_loopback(facts.client_address) && has_reason)
		m->authentication = authentication_new(&facts);
	else if (m->asking)
		asking_client(m->asking, SPAN(""));
	if (m->authentication && authentication_knows_name(m->authentication))
		on_client_named(m);
	if (m->authentication && is_sealed)
		m->sealing = sealing_new(m->filter, buf_span(&m->forwarded_by));
	if (message_is_ours(m))
		m->signing = signing_new(m->filter);
}

static void take_body(struct message *m, struct span piece)
{
	if (m->authentication)
		authentication_body(m->authentication, piece);
	if (m->signing)
		signing_body(m->signing, piece);
}

int message_begin(struct filter_edge *e, const struct msg_judge_begin *b)
{
	struct filter_process *f = e->filter;
	if (map_get(&f->judged, id128_hash(b->delivery)))
		return -1;
	struct message *m = xcalloc(1, sizeof *m);
	*m = (struct message){.filter = f, .edge = e, .id = b->delivery, .kind = b->kind, .facts = b->facts, .priority = b->priority};
	buf_add(&m->reverse_path, b->reverse_path);
	buf_add(&m->client, b->client_address);
	buf_add(&m->helo, b->helo);
	buf_add(&m->with, b->with);
	buf_add(&m->tls, b->tls);
	buf_add(&m->recipient, b->recipient);
	buf_add(&m->forwarded_by, b->forwarded_by);
	m->parser = mime_parser_new(NULL);
	m->sha256 = EVP_MD_CTX_new();
	if (!m->sha256 || EVP_DigestInit_ex(m->sha256, EVP_sha256(), NULL) != 1)
		die("filter: no SHA-256");
	map_put(&f->judged, id128_hash(m->id), m);
	m->recipients_coming = b->recipients;
	if (b->recipients && child_config(f->self)->milters[0])
		m->asking = asking_new(f, b, on_credit, on_answered, m);
	start_checks(m);
	return 0;
}

int message_rcpt(struct filter_edge *e, const struct msg_judge_rcpt *r)
{
	struct message *m = find(e, r->delivery);
	if (!m || !m->recipients_coming)
		return -1;
	m->recipients_coming--;
	if (m->asking)
		asking_recipient(m->asking, r->address);
	return 0;
}

/* Where the body begins in `kept`, whose first `looked_at` bytes have no empty line; 0: not yet. Lines may end as they like. */
static size_t header_end(struct span kept, size_t looked_at)
{
	static const struct span ends[] = {SPAN("\n\r\n"), SPAN("\n\n")};
	size_t from = looked_at > 3 ? looked_at - 3 : 0, first = 0;
	if (span_starts_with(kept, SPAN("\r\n")) || span_starts_with(kept, SPAN("\n")))
		return kept.ptr[0] == '\n' ? 1 : 2; /* there is none */
	for (size_t i = 0; i < 2; i++) {
		ssize_t at = span_find(span_skip(kept, from), ends[i]);
		if (at >= 0 && (!first || from + (size_t)at + ends[i].len < first))
			first = from + (size_t)at + ends[i].len;
	}
	return first;
}

/* Bytes of the body, if there are any among them. True if `judge_credit` is somebody else's business. */
static bool pass_body(struct message *m, struct span piece)
{
	if (m->tls_report)
		tls_report_feed(m->tls_report, piece);
	take_body(m, piece);
	return ask_about(m, piece);
}

/* Keeps the header: up to the first empty line. */
static bool keep_header(struct message *m, struct span piece)
{
	size_t before = m->header.len;
	buf_add(&m->header, span_slice(piece, 0, HEADER_BYTES_MOST + 1 - before));
	size_t end = header_end(buf_span(&m->header), before);
	m->has_header = end || m->header.len > HEADER_BYTES_MOST;
	if (m->has_header && m->authentication)
		authentication_header(m->authentication, span_slice(buf_span(&m->header), 0, end));
	if (!end) {
		if (m->has_header) {
			asking_free(m->asking); /* it is refused for its length */
			m->asking = NULL;
		}
		return false;
	}
	if (m->asking)
		give_header(m);
	if (m->authentication)
		m->tls_report = tls_report_new(span_slice(buf_span(&m->header), 0, end), &m->filter->report_bytes);
	if (m->tls_report)
		tls_report_feed(m->tls_report, span_slice(buf_span(&m->header), 0, end));
	return pass_body(m, span_skip(piece, end - before));
}

int message_piece(struct filter_edge *e, const struct msg_judge_piece *p)
{
	struct message *m = find(e, p->delivery);
	if (!m || m->has_ended || m->recipients_coming)
		return -1;
	bool is_passed = m->has_header ? pass_body(m, p->bytes) : keep_header(m, p->bytes);
	m->size += p->bytes.len;
	EVP_DigestUpdate(m->sha256, p->bytes.ptr, p->bytes.len);
	mime_parser_feed(m->parser, p->bytes);
	if (!is_passed)
		channel_send(e->channel, judge_credit, .delivery = m->id, .pieces = 1);
	return 0;
}

void message_cancel(struct filter_edge *e, struct id128 delivery)
{
	struct message *m = find(e, delivery);
	if (m)
		free_message(m);
}

void message_edge_gone(struct filter_edge *e)
{
	size_t at = 0;
	struct message *m;
	while ((m = map_next(&e->filter->judged, &at)))
		if (m->edge == e)
			free_message(m);
}

/* ---- the end ---- */

static void give_verdict(void *context)
{
	struct message *m = context;
	verdict_give(m->verdict);
	free_message(m);
}

/* What a user sends is signed as it will leave. */
static void sign(struct message *m)
{
	BUF_AUTO header = {0};
	verdict_header(m->verdict, &header);
	signing_end(m->signing, buf_span(&header), verdict_author_domain(m->verdict), give_verdict, m);
}

/* What a stranger sends on by way of us, as it will leave. */
static void seal(struct message *m)
{
	BUF_AUTO header = {0};
	verdict_header(m->verdict, &header);
	sealing_start(m->sealing, m->authentication, buf_span(&header), give_verdict, m);
}

/* When the sender is checked and the milters have answered. */
static void judge(struct message *m)
{
	const struct milter_said *said = m->asking ? asking_said(m->asking) : NULL;
	if (!m->has_ended || !m->is_checked || (m->asking && !said))
		return;
	if (!m->verdict)
		m->verdict = verdict_new(m);
	verdict_judge(m->verdict, said);
	if (m->signing)
		sign(m);
	else if (m->sealing && verdict_is_good(m->verdict))
		seal(m);
	else
		give_verdict(m);
}

static void on_checked(void *context)
{
	struct message *m = context;
	m->is_checked = true;
	on_client_named(m); /* if it is not known by now, it will not be */
	judge(m);
}

int message_end(struct filter_edge *e, const struct msg_judge_end *end)
{
	struct message *m = find(e, end->delivery);
	if (!m || m->has_ended || m->recipients_coming || end->size != m->size)
		return -1;
	m->has_ended = true;
	if (m->authentication && !m->has_header)
		authentication_header(m->authentication, buf_span(&m->header)); /* no body, not even an empty line */
	if (m->asking && !m->has_header)
		give_header(m);
	if (m->asking)
		asking_end(m->asking);
	if (m->authentication)
		authentication_end(m->authentication, on_checked, m);
	else
		on_checked(m);
	return 0;
}
