#include "relay/login.h"

#include "base/base64.h"
#include "base/die.h"
#include "base/log.h"
#include "wire/next_hop.h"

#include <openssl/crypto.h>

enum { FILE_BYTES_MOST = 256 * 1024, LOGIN_BYTES_MOST = 1000 /* name and password; RFC 4954 §4 lets a line have 12288 octets */ };

static void forget(struct relay_process *p)
{
	for (size_t i = 0; i < p->login_count; i++) {
		struct buf *secrets[] = {&p->logins[i].next_hop, &p->logins[i].name, &p->logins[i].password};
		for (size_t k = 0; k < 3; k++) {
			if (secrets[k]->ptr)
				OPENSSL_cleanse(secrets[k]->ptr, secrets[k]->cap);
			buf_free(secrets[k]);
		}
	}
	free(p->logins);
	p->logins = NULL;
	p->login_count = 0;
}

/* "name:password", or that behind a next hop, as Postfix's sasl_passwd has it: a name may have a space only in the first form. */
static int take_line(struct relay_process *p, struct span line, const char *path, struct error *why)
{
	struct span rest = line, first = span_next_word(&rest), login = span_trim(rest), hop = SPAN("");
	struct next_hop ignored;
	if (login.len && next_hop_parse(first, &ignored, NULL) == 0 && span_chr(login, ':') > 0)
		hop = first;
	else
		login = line;
	ssize_t colon = span_chr(login, ':');
	if (colon <= 0 || (size_t)colon + 1 == login.len || login.len > LOGIN_BYTES_MOST || span_chr(line, 0) >= 0)
		return error_set(why, 0, "%s has a line that is neither name:password nor NEXT-HOP name:password", path);
	if (p->login_count == RELAY_LOGINS_MOST)
		return error_set(why, 0, "%s has more than %d lines", path, RELAY_LOGINS_MOST);
	struct relay_login *l = &p->logins[p->login_count++];
	buf_add(&l->next_hop, hop);
	buf_add(&l->name, span_slice(login, 0, (size_t)colon));
	buf_add(&l->password, span_skip(login, (size_t)colon + 1));
	return 0;
}

static int read_logins(struct relay_process *p, const struct config *config, struct error *why)
{
	BUF_AUTO file = {0};
	int bad = key_file_read(&p->login_file, config->relay_host_login, FILE_BYTES_MOST, &file, why);
	struct span rest = buf_span(&file);
	p->logins = xcalloc(RELAY_LOGINS_MOST, sizeof *p->logins);
	while (!bad && rest.len) {
		ssize_t end = span_chr(rest, '\n');
		struct span line = span_slice(rest, 0, end < 0 ? rest.len : (size_t)end);
		rest = span_skip(rest, line.len + 1);
		if (span_ends_with(line, SPAN("\r")))
			line.len--;
		if (span_trim(line).len && line.ptr[0] != '#')
			bad = take_line(p, line, config->relay_host_login, why);
	}
	if (!bad && !p->login_count)
		bad = error_set(why, 0, "%s has no line name:password", config->relay_host_login);
	if (file.ptr)
		OPENSSL_cleanse(file.ptr, file.cap);
	return bad;
}

void login_load(struct relay_process *p, const struct config *config)
{
	struct error why;
	forget(p);
	p->is_login_unread = config->relay_host_login[0] && read_logins(p, config, &why);
	if (!p->is_login_unread)
		return;
	forget(p);
	log_event(LOG_LEVEL_ERROR, "no-relay-login", log_c("why", why.text), log_c("then", "mail for relay_host waits"));
}

const struct relay_login *login_for(const struct relay_process *p, enum route route, const char *next_hop)
{
	const struct relay_login *general = NULL;
	for (size_t i = 0; i < p->login_count && route != ROUTE_DOMAIN; i++) {
		if (span_equal_nocase(buf_span(&p->logins[i].next_hop), span_cstr(next_hop)))
			return &p->logins[i];
		if (!p->logins[i].next_hop.len && !general)
			general = &p->logins[i];
	}
	return route == ROUTE_RELAY_HOST ? general : NULL;
}

bool login_is_wanted(const struct relay_process *p, enum route route, const char *next_hop)
{
	return login_for(p, route, next_hop) || (p->is_login_unread && route != ROUTE_DOMAIN);
}

static void say_secret(struct session *s, const char *before, struct span secret)
{
	BUF_AUTO line = {0};
	buf_reserve(&line, secret.len * 2 + 64); /* at once, so that no copy of it stays behind where it grew */
	buf_add_cstr(&line, before);
	base64_encode(secret, &line);
	buf_add_cstr(&line, "\r\n");
	stream_write(s->stream, buf_span(&line));
	OPENSSL_cleanse(line.ptr, line.cap);
}

void login_begin(struct session *s)
{
	const struct relay_login *l = login_for(s->relay, s->job->route, s->next_hop);
	s->login_steps = 0;
	const char *relay_host = child_config(s->relay->self)->relay_host;
	if (s->job->route == ROUTE_RELAY_HOST && !span_equal_nocase(span_cstr(relay_host), span_cstr(s->next_hop))) {
		session_fail(s, FAILURE_HOST, "relay_host has been changed meanwhile: the login is another's", NULL);
		return;
	}
	if (!l) {
		session_fail(s, FAILURE_HOST, "relay_host_login could not be read: see the log", NULL);
		return;
	}
	if (!s->offers.auth_plain && !s->offers.auth_login) {
		session_fail(s, FAILURE_HOST, "the server takes no login by PLAIN or LOGIN", NULL);
		return;
	}
	if (!stream_is_proved(s->stream)) {
		session_fail(s, FAILURE_UNSAFE, "no password for a server that has not proved its name: relay_host must have one, and a certificate for it", NULL);
		return;
	}
	session_enter(s, SESSION_AUTH);
	if (!s->offers.auth_plain) {
		stream_write(s->stream, SPAN("AUTH LOGIN\r\n"));
		return;
	}
	BUF_AUTO secret = {0};
	buf_add_char(&secret, 0);
	buf_add(&secret, buf_span(&l->name));
	buf_add_char(&secret, 0);
	buf_add(&secret, buf_span(&l->password));
	say_secret(s, "AUTH PLAIN ", buf_span(&secret)); /* RFC 4616 */
	OPENSSL_cleanse(secret.ptr, secret.cap);
}

/* Of LOGIN there is no standard: the name is asked for, then the password. */
void login_on_reply(struct session *s, const struct reply *r)
{
	if (s->is_retired) { /* by a reload: what is told now is another's password */
		session_fail(s, FAILURE_HOST, "the configuration has changed in the middle of the login", NULL);
		return;
	}
	const struct relay_login *l = login_for(s->relay, s->job->route, s->next_hop);
	if (r->code == 235) {
		transaction_begin(s);
	} else if (r->code == 334 && !s->offers.auth_plain && s->login_steps < 2 && l) {
		session_enter(s, SESSION_AUTH);
		say_secret(s, "", buf_span(s->login_steps++ ? &l->password : &l->name));
	} else {
		session_fail(s, FAILURE_HOST, "the server refuses relay_host_login", r->text);
	}
}
