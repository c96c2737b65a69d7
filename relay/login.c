#include "relay/login.h"

#include "base/base64.h"
#include "base/die.h"
#include "base/log.h"

#include <openssl/crypto.h>

enum { FILE_BYTES_MOST = 1000 };

static void forget(struct buf *secret)
{
	if (secret->ptr)
		OPENSSL_cleanse(secret->ptr, secret->cap);
	buf_free(secret);
}

static int read_login(struct relay_process *p, const struct config *config, struct error *why)
{
	BUF_AUTO file = {0};
	int bad = key_file_read(&p->login_file, config->relay_host_login, FILE_BYTES_MOST, &file, why);
	struct span line = buf_span(&file);
	ssize_t end = span_chr(line, '\n');
	line = end < 0 ? line : span_slice(line, 0, (size_t)end);
	if (span_ends_with(line, SPAN("\r")))
		line.len--;
	ssize_t colon = span_chr(line, ':');
	if (!bad && (colon <= 0 || (size_t)colon + 1 == line.len || span_chr(line, 0) >= 0))
		bad = error_set(why, 0, "%s has no line name:password", config->relay_host_login);
	if (!bad) {
		buf_add(&p->login.name, span_slice(line, 0, (size_t)colon));
		buf_add(&p->login.password, span_skip(line, (size_t)colon + 1));
	}
	if (file.ptr)
		OPENSSL_cleanse(file.ptr, file.cap);
	return bad;
}

void login_load(struct relay_process *p, const struct config *config)
{
	struct error why;
	forget(&p->login.name);
	forget(&p->login.password);
	if (config->relay_host_login[0] && read_login(p, config, &why))
		log_event(LOG_LEVEL_ERROR, "no-relay-login", log_c("why", why.text), log_c("then", "mail for relay_host waits"));
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
	const struct relay_login *l = &s->relay->login;
	s->login_steps = 0;
	const char *relay_host = child_config(s->relay->self)->relay_host;
	if (!span_equal_nocase(span_cstr(relay_host), span_cstr(s->next_hop))) {
		session_fail(s, FAILURE_HOST, "relay_host has been changed meanwhile: the login is another's", NULL);
		return;
	}
	if (!l->name.len) {
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
	const struct relay_login *l = &s->relay->login;
	if (r->code == 235) {
		transaction_begin(s);
	} else if (r->code == 334 && !s->offers.auth_plain && s->login_steps < 2) {
		session_enter(s, SESSION_AUTH);
		say_secret(s, "", buf_span(s->login_steps++ ? &l->password : &l->name));
	} else {
		session_fail(s, FAILURE_HOST, "the server refuses relay_host_login", r->text);
	}
}
