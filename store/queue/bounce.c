/* Bounces and reports: what the sender is told of recipients that failed for good, or that have got the message. */
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/utf8.h"
#include "store/directory/options.h"
#include "store/queue/message.h"
#include "store/queue/own.h"
#include "wire/dsn.h"
#include "wire/smtp.h"

#include <stdlib.h>

enum { RETURNED_WHOLE_MOST = 50000 }; /* octets; of larger messages the header is returned */

/* There is something to tell of the recipient: it failed, or waits for long, or is done and its sender wants to know. */
static bool is_news(const struct recipient *r, enum news news)
{
	/* RFC 3461 §5.2.6: where nothing was said, failures and delays are told */
	switch (news) {
	case NEWS_FAILURE: return r->state == RECIPIENT_FAILED && (r->notify == 0 || r->notify & SMTP_NOTIFY_FAILURE);
	case NEWS_DELAY: return r->state == RECIPIENT_WAITING && r->attempts && (r->notify == 0 || r->notify & SMTP_NOTIFY_DELAY);
	case NEWS_SUCCESS: return r->state == RECIPIENT_DONE && r->report != REPORT_NONE;
	}
	return false;
}

/* ORCPT's value: its type, and the address undone of its xtext. */
static void read_orcpt(const struct recipient *r, struct arena *a, struct dsn_recipient *out)
{
	struct span orcpt = span_cstr(r->orcpt ? r->orcpt : "");
	ssize_t semicolon = span_chr(orcpt, ';');
	BUF_AUTO address = {0};
	if (semicolon < 0 || smtp_xtext_decode(span_skip(orcpt, (size_t)semicolon + 1), &address))
		return;
	out->original_type = span_slice(orcpt, 0, (size_t)semicolon);
	out->original = arena_dup(a, buf_span(&address));
}

static void copy_news(const struct queued *m, enum news news, struct arena *a, struct dsn *dsn)
{
	static const enum dsn_action actions[] = {
		[REPORT_DELIVERED] = DSN_DELIVERED, [REPORT_RELAYED] = DSN_RELAYED, [REPORT_EXPANDED] = DSN_EXPANDED};
	struct dsn_recipient *list = arena_alloc_array(a, m->recipient_count, sizeof *list);
	for (uint32_t i = 0; i < m->recipient_count; i++) {
		const struct recipient *r = &m->recipients[i];
		if (!is_news(r, news))
			continue;
		struct dsn_recipient *to = &list[dsn->recipient_count++];
		*to = (struct dsn_recipient){
			.action = news == NEWS_FAILURE ? DSN_FAILED : news == NEWS_DELAY ? DSN_DELAYED : actions[r->report <= REPORT_EXPANDED ? r->report : REPORT_RELAYED],
			.address = span_cstr(r->address), .status = span_cstr(recipient_status(r)), .remote_mta = span_cstr(recipient_host(r)),
			.diagnostic = span_cstr(recipient_text(r)), .last_attempt = clock_wall_s()};
		read_orcpt(r, a, to);
	}
	dsn->recipients = list;
}

/* The original's header: what comes before the first blank line, as far as a bounce carries it. */
static void read_header(struct store *s, const struct queued *m, struct buf *header)
{
	struct error why = {0};
	if (blob_read(s->engine, m->blob, m->return_path_bytes, DSN_HEADER_MAX, header, &why) < 0)
		log_event(LOG_LEVEL_ERROR, "message-damaged", log_c("why", why.text));
	ssize_t end = span_find(buf_span(header), SPAN("\r\n\r\n"));
	if (end >= 0)
		header->len = (size_t)end + 4;
}

/* RFC 3461 §4.3: the whole message only where it was asked for, something failed, and it is small. */
static void read_whole(struct store *s, const struct queued *m, enum news news, struct buf *message)
{
	struct error why = {0};
	uint64_t size = m->size - m->return_path_bytes;
	/* RFC 8689 §5: of what must be kept secret only the header; and a report has no binary in it */
	if (news == NEWS_FAILURE && m->ret == SMTP_RET_FULL && !(m->facts & (FACT_REQUIRETLS | FACT_BINARY)) && size <= RETURNED_WHOLE_MOST &&
	    blob_read(s->engine, m->blob, m->return_path_bytes, size, message, &why) < 0)
		log_event(LOG_LEVEL_ERROR, "message-damaged", log_c("why", why.text));
}

static void build(struct store *s, const struct queued *m, enum news news, struct id128 id, enum language language, struct buf *out)
{
	ARENA_AUTO a = {0};
	BUF_AUTO header = {0}, whole = {0}, postmaster = {0}, message_id = {0}, envid = {0};
	char text[ID128_TEXT_BYTES + 1], envelope[ID128_TEXT_BYTES + 1];
	id128_text(id, text);
	buf_printf(&message_id, "<%s@%s>", text, child_hostname(s->self));
	own_address(s, &postmaster);
	read_header(s, m, &header);
	read_whole(s, m, news, &whole);
	smtp_xtext_decode(span_cstr(m->envid ? m->envid : ""), &envid);
	struct dsn dsn = {
		.reporting_mta = span_cstr(child_hostname(s->self)), .postmaster = buf_span(&postmaster),
		.recipient = span_cstr(m->reverse_path), .message_id = buf_span(&message_id), .boundary = span_cstr(text),
		.queue_id = id128_text(m->id, envelope), .envelope_id = buf_span(&envid), .now = clock_wall_s(), .arrival = queue_wall_ms(m->created_ms) / 1000,
		.language = language, .original_header = buf_span(&header), .original_message = buf_span(&whole)};
	copy_news(m, news, &a, &dsn);
	buf_add_cstr(out, "Return-Path: <>\r\n"); /* RFC 5321 §4.4; relay leaves it out again */
	dsn_build(&dsn, out);
}

static bool has_news(const struct queued *m, enum news news)
{
	for (uint32_t i = 0; i < m->recipient_count; i++)
		if (is_news(&m->recipients[i], news))
			return true;
	return false;
}

bool bounce_is_possible(struct store *s, const struct queued *m, bool *is_asked)
{
	ARENA_AUTO a = {0};
	struct targets targets = {0};
	*is_asked = false;
	if (m->reverse_path[0] == 0 || (!has_news(m, NEWS_FAILURE) && !has_news(m, NEWS_DELAY) && !has_news(m, NEWS_SUCCESS)))
		return true;
	enum rcpt_outcome outcome = directory_resolve(s, span_cstr(m->reverse_path), true, &a, &targets);
	*is_asked = outcome == RCPT_LATER && targets.look.question;
	return outcome != RCPT_LATER;
}

struct queued *bounce_make(struct store *s, const struct queued *m, enum news news, struct batch *b)
{
	static const char *const words[] = {[NEWS_FAILURE] = "bounce", [NEWS_DELAY] = "delay-warning", [NEWS_SUCCESS] = "report"};
	ARENA_AUTO a = {0};
	struct targets targets = {0};
	char text[ID128_TEXT_BYTES + 1];
	id128_text(m->id, text);
	if (!has_news(m, news))
		return NULL;
	if (m->reverse_path[0] == 0) {
		log_event(LOG_LEVEL_WARNING, "bounce-of-bounce-dropped", log_s("id", span_cstr(text)));
		return NULL;
	}
	directory_resolve(s, span_cstr(m->reverse_path), true, &a, &targets);
	if (targets.count == 0) {
		log_event(LOG_LEVEL_WARNING, "bounce-dropped", log_s("id", span_cstr(text)), log_c("to", m->reverse_path));
		return NULL;
	}
	struct own_message own = {.id = id128_new(), .maker = "bounce", .to = span_cstr(m->reverse_path), .priority = m->priority};
	/* as the message that it is about: RFC 8689 §5 and §4.1, RFC 6710 §4.3 */
	own.facts = (utf8_has_8bit(own.to) ? FACT_SMTPUTF8 : 0) | (m->facts & (FACT_REQUIRETLS | FACT_TLS_OPTIONAL));
	build(s, m, news, own.id, options_language(s, targets.count == 1 ? targets.list[0].account : 0), &own.text);
	char bounce_text[ID128_TEXT_BYTES + 1];
	log_event(LOG_LEVEL_INFO, words[news], log_s("id", span_cstr(text)), log_s("bounce", id128_text(own.id, bounce_text)),
	          log_c("to", m->reverse_path));
	return own_put(s, &own, &targets, b);
}
