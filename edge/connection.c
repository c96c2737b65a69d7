/* Connections: what all protocols share. */
#include "edge/connection.h"

#include "base/die.h"
#include "base/log.h"
#include "base/network.h"
#include "edge/listener.h"
#include "edge/scram.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { HANDSHAKE_TIMEOUT_MS = 60 * 1000 };

static void forget_question(struct connection *c)
{
	if (c->login_number)
		map_take(&c->edge->logins, c->login_number);
	c->login_number = 0;
}

void connection_forget_login(struct connection *c)
{
	if (c->login_password.ptr)
		OPENSSL_cleanse(c->login_password.ptr, c->login_password.cap);
	buf_free(&c->login_user);
	buf_free(&c->login_authzid);
	buf_free(&c->login_password);
	c->mechanism = SASL_NONE;
	c->is_external = false;
	forget_question(c);
	scram_free(c);
}

static void on_closed(void *context, const char *why)
{
	struct connection *c = context;
	struct edge_process *e = c->edge;
	if (!c->is_closing && strcmp(why, "timeout") == 0 && c->state) {
		log_event(LOG_LEVEL_INFO, "timeout", log_c("protocol", c->protocol->name), log_c("client", c->address));
	} else if (strncmp(why, "TLS:", 4) == 0) {
		log_event(LOG_LEVEL_INFO, "tls-failed", log_c("protocol", c->protocol->name), log_c("client", c->address), log_c("why", why));
	}
	connection_forget_login(c);
	if (c->state)
		c->protocol->closed(c);
	connection_leave_session(c);
	map_take(&e->connections, c->token);
	listener_released(e, c->address);
	stream_free(c->stream);
	buf_free(&c->user);
	free(c);
	if (e->is_draining && e->connections.count == 0)
		child_stopped(e->self);
}

static void on_readable(void *context)
{
	struct connection *c = context;
	if (!c->state || c->is_waiting || c->is_closing)
		return;
	/* who does not read the answers is not heard either: else a loop of short commands would fill our memory */
	c->is_held = connection_backlog(c) >= CONNECTION_BACKLOG_MOST;
	if (c->is_held)
		stream_pause(c->stream);
	else
		c->protocol->input(c);
}

static void on_drained(void *context)
{
	struct connection *c = context;
	if (c->is_held && !c->is_waiting)
		stream_resume(c->stream);
	c->is_held = false;
	if (c->state && c->protocol->drained && !c->is_closing)
		c->protocol->drained(c);
}

static void on_secured(void *context)
{
	struct connection *c = context;
	if (!c->state)
		c->protocol->open(c);
	else
		c->protocol->secured(c);
}

static void on_silent(void *context)
{
	struct connection *c = context;
	log_event(LOG_LEVEL_INFO, "timeout", log_c("protocol", c->protocol->name), log_c("client", c->address));
	if (c->state && !c->protocol->ends_without_a_word)
		c->protocol->shutdown(c, CONNECTION_SILENT);
	else
		connection_close(c);
}

void connection_new(struct edge_process *e, const struct protocol *p, int fd, const char *address, bool is_tls)
{
	static const struct stream_events events = {on_readable, on_drained, on_secured, on_closed, on_silent};
	struct connection *c = xcalloc(1, sizeof *c);
	*c = (struct connection){.edge = e, .protocol = p, .token = ++e->last_token, .was_tls_first = is_tls};
	snprintf(c->address, sizeof c->address, "%s", address);
	c->is_loopback = network_is_loopback(span_cstr(address));
	map_put(&e->connections, c->token, c);
	c->stream = stream_new(e->loop, fd, &events, c);
	stream_set_timeout(c->stream, HANDSHAKE_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS);
	e->accepted_count++;
	if (is_tls)
		stream_start_tls_server(c->stream, e->tls);
	else
		p->open(c);
}

/* ---- reading and writing ---- */

int connection_line(struct connection *c, size_t most, bool allow_bare_lf, struct span *line)
{
	struct span in = stream_peek(c->stream, most + 2);
	for (size_t at = 0; at < in.len;) {
		ssize_t lf = span_chr(span_skip(in, at), '\n');
		if (lf < 0)
			break;
		size_t end = at + (size_t)lf;
		bool has_cr = end > 0 && in.ptr[end - 1] == '\r';
		at = end + 1;
		if (!has_cr && !allow_bare_lf)
			continue; /* part of the line; the parser refuses it */
		*line = span_slice(in, 0, end - has_cr);
		/* draining keeps the bytes in place until more are read, but not for sure: the line is copied */
		buf_clear(&c->edge->line);
		buf_add(&c->edge->line, *line);
		*line = buf_span(&c->edge->line);
		stream_consume(c->stream, at);
		return 1;
	}
	return in.len >= most + 2 ? -1 : 0;
}

struct span connection_peek(struct connection *c, size_t most)
{
	return stream_peek(c->stream, most);
}

void connection_consume(struct connection *c, size_t n)
{
	stream_consume(c->stream, n);
}

void connection_write(struct connection *c, struct span bytes)
{
	stream_write(c->stream, bytes);
}

void connection_printf(struct connection *c, const char *format, ...)
{
	char text[2048];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof text)
		die("edge: a reply that is too long for its buffer");
	connection_write(c, span_of(text, (size_t)n));
}

size_t connection_backlog(const struct connection *c)
{
	return stream_backlog(c->stream);
}

void connection_close(struct connection *c)
{
	c->is_closing = true;
	stream_close(c->stream);
}

/* ---- waiting ---- */

void connection_wait(struct connection *c)
{
	c->is_waiting = true;
	stream_pause(c->stream);
}

void connection_continue(struct connection *c)
{
	c->is_waiting = false;
	stream_resume(c->stream);
}

void connection_set_timeout(struct connection *c, int64_t ms)
{
	stream_set_timeout(c->stream, ms, ms);
}

void connection_allow_silence(struct connection *c, int64_t write_ms)
{
	stream_set_timeout(c->stream, 0, write_ms);
}

/* ---- TLS ---- */

bool connection_is_secured(const struct connection *c)
{
	return stream_is_secured(c->stream);
}

bool connection_may_start_tls(const struct connection *c)
{
	return c->edge->tls && !stream_is_secured(c->stream) && !c->protocol->is_local;
}

void connection_start_tls(struct connection *c)
{
	stream_start_tls_server(c->stream, c->edge->tls);
}

void connection_start_deflate(struct connection *c)
{
	stream_start_deflate(c->stream);
}

bool connection_is_deflated(const struct connection *c)
{
	return stream_is_deflated(c->stream);
}

/* ---- login ---- */

bool connection_may_login(const struct connection *c)
{
	enum plaintext_login allowed = child_config(c->edge->self)->plaintext_login;
	return connection_is_secured(c) || c->protocol->is_local || allowed == PLAINTEXT_LOGIN_ON || (allowed == PLAINTEXT_LOGIN_LOOPBACK && c->is_loopback);
}

void connection_end_login(struct connection *c, enum login_outcome outcome)
{
	connection_forget_login(c);
	connection_continue(c);
	c->protocol->logged_in(c, outcome);
}

static void ask_vault(struct connection *c)
{
	struct edge_process *e = c->edge;
	struct span protocol = span_slice(span_cstr(c->protocol->name), 0, 16);
	if (c->scram)
		scram_ask_vault(c);
	else if (c->is_external)
		channel_send(e->vault, external_ask, .id = c->login_number, .session = c->session, .authzid = buf_span(&c->login_authzid),
		             .handshake = connection_client_handshake(c), .client_address = span_cstr(c->address), .protocol = protocol);
	else
		channel_send(e->vault, login_ask, .id = c->login_number, .session = c->session, .user = buf_span(&c->login_user),
		             .authzid = buf_span(&c->login_authzid), .password = buf_span(&c->login_password), .client_address = span_cstr(c->address),
		             .protocol = protocol);
}

void connection_ask_login(struct connection *c)
{
	struct edge_process *e = c->edge;
	connection_wait(c);
	if (!e->vault || !e->store) {
		connection_end_login(c, LOGIN_LATER);
		return;
	}
	if (c->login_user.len > 512 || c->login_authzid.len > 512 || c->login_password.len > 512 || c->user.len) {
		connection_end_login(c, LOGIN_REFUSED);
		return;
	}
	c->login_number = ++e->last_token;
	map_put(&e->logins, c->login_number, c);
	if (c->session)
		ask_vault(c);
	else
		channel_send(e->store, session_open, .token = c->token);
}

void connection_login(struct connection *c, struct span user, struct span authzid, struct span password)
{
	buf_add(&c->login_user, user);
	buf_add(&c->login_authzid, authzid);
	buf_add(&c->login_password, password);
	connection_ask_login(c);
}

void connection_login_external(struct connection *c, struct span authzid)
{
	c->is_external = true;
	buf_add(&c->login_authzid, authzid);
	connection_ask_login(c);
}

struct span connection_client_handshake(const struct connection *c)
{
	return stream_client_handshake(c->stream);
}

void connection_await_client(struct connection *c)
{
	forget_question(c);
	connection_continue(c);
}

void connection_leave_session(struct connection *c)
{
	if (!c->session)
		return;
	map_take(&c->edge->sessions, c->session);
	if (c->edge->store)
		channel_send(c->edge->store, session_close, .session = c->session);
	c->session = 0;
}

void connection_log_out(struct connection *c)
{
	connection_leave_session(c);
	buf_free(&c->user);
	c->is_administrator = false;
}

void connection_session_opened(struct edge_process *e, const struct msg_session_opened *m)
{
	struct connection *c = map_get(&e->connections, m->token);
	if (!c || c->session || !c->login_number) {
		channel_send(e->store, session_close, .session = m->session);
		return;
	}
	c->session = m->session;
	map_put(&e->sessions, c->session, c);
	if (e->vault)
		ask_vault(c);
	else
		connection_end_login(c, LOGIN_LATER);
}

void connection_login_answered(struct edge_process *e, const struct msg_login_answer *m)
{
	struct connection *c = map_get(&e->logins, m->id);
	if (!c)
		return;
	if (m->outcome == LOGIN_OK && c->scram) {
		scram_proved(c, m);
		return;
	}
	if (m->outcome == LOGIN_OK)
		buf_add(&c->user, m->user);
	else
		e->refused_count++;
	c->is_administrator = m->outcome == LOGIN_OK && m->is_administrator;
	connection_end_login(c, (enum login_outcome)m->outcome);
}

void connection_vault_gone(struct edge_process *e)
{
	size_t at = 0;
	struct connection *c;
	while ((c = map_next(&e->logins, &at)))
		connection_end_login(c, LOGIN_LATER);
	at = 0;
	while ((c = map_next(&e->connections, &at)))
		scram_vault_gone(c);
}

bool connection_rename(struct connection *c, const char *address)
{
	if (!listener_moved(c->edge, c->address, address))
		return false;
	snprintf(c->address, sizeof c->address, "%s", address);
	c->is_loopback = network_is_loopback(span_cstr(address));
	return true;
}

/* ---- store ---- */

struct connection *connection_of_token(struct edge_process *e, uint64_t token)
{
	return map_get(&e->connections, token);
}

struct connection *connection_of_session(struct edge_process *e, uint64_t session)
{
	return map_get(&e->sessions, session);
}

void connection_session_ended(struct edge_process *e, const struct msg_session_ended *m)
{
	struct connection *c = map_take(&e->sessions, m->session);
	char why[201];
	if (!c)
		return;
	c->session = 0;
	snprintf(why, sizeof why, "%.*s", SPAN_ARG(m->why));
	if (!c->is_closing)
		c->protocol->shutdown(c, why);
}

/* Whatever was known of sessions died with the store. Who has logged in must do so again. */
void connection_store_gone(struct edge_process *e)
{
	size_t at = 0;
	struct connection *c;
	while ((c = map_next(&e->connections, &at))) {
		bool was_in = c->user.len != 0;
		if (c->session)
			map_take(&e->sessions, c->session);
		c->session = 0;
		if (c->login_number)
			connection_end_login(c, LOGIN_LATER);
		if (c->state && !c->is_closing && c->protocol->store_gone)
			c->protocol->store_gone(c);
		if (was_in && !c->is_closing)
			c->protocol->shutdown(c, "the server restarts: connect again");
	}
}
