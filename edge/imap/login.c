/* Commands of any state and those before login: RFC 3501 §6.1 and §6.2, RFC 2971, RFC 4959. */
#include "edge/imap/session.h"
#include "edge/sasl.h"

#include "base/log.h"

/* RFC 2971 §3.3: at most 30 pairs. */
enum { ID_PAIRS_MOST = 30 };

void imap_noop(struct imap_session *s, struct imap_parser *p)
{
	if (imap_take_end(p))
		imap_ok(s, "NOOP done");
	else
		imap_bad(s, p);
}

void imap_logout(struct imap_session *s, struct imap_parser *p)
{
	if (!imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	s->state = IMAP_NOT_AUTHENTICATED; /* no changes are told any more */
	buf_add_cstr(&s->out, s->language == LANGUAGE_PORTUGUESE ? "* BYE Adeus\r\n" : "* BYE Goodbye\r\n");
	imap_ok(s, "LOGOUT done");
	connection_close(s->connection);
}

/* "(" [string SP nstring *(SP string SP nstring)] ")" / nil; *vendor is what it says of that name. */
static bool take_id(struct imap_parser *p, struct span *vendor)
{
	struct span name, text;
	if (imap_take_word(p, "NIL"))
		return imap_take_end(p);
	if (!imap_take_char(p, '('))
		return false;
	for (unsigned pairs = 0; !imap_next_is(p, ')'); pairs++) {
		if (pairs == ID_PAIRS_MOST)
			return imap_fail(p, "Too many pairs");
		if ((pairs && !imap_take_space(p)) || !imap_take_string(p, &name) || !imap_take_space(p))
			return false;
		if (imap_take_word(p, "NIL"))
			continue;
		if (!imap_take_string(p, &text))
			return false;
		if (span_equal_nocase(name, SPAN("vendor")))
			*vendor = text;
	}
	return imap_take_char(p, ')') && imap_take_end(p);
}

void imap_id(struct imap_session *s, struct imap_parser *p)
{
	struct span vendor = {0};
	if (!imap_take_space(p) || !take_id(p, &vendor)) {
		imap_bad(s, p);
		return;
	}
	s->is_of_microsoft = span_equal_nocase(vendor, SPAN("Microsoft Corporation"));
	/* no version: it helps attackers only */
	buf_add_cstr(&s->out, "* ID (\"name\" \"carteiro\")\r\n");
	imap_ok(s, "ID done");
}

void imap_starttls(struct imap_session *s, struct imap_parser *p)
{
	if (!imap_take_end(p)) {
		imap_bad(s, p);
	} else if (!connection_may_start_tls(s->connection)) {
		imap_bad_text(s, "There is no TLS to start");
	} else {
		imap_ok(s, "Begin TLS");
		connection_start_tls(s->connection);
	}
}

/* ---- login ---- */

/* True after the NO where no password may be taken: RFC 3501 §6.2.3, RFC 5530. */
static bool is_forbidden(struct imap_session *s)
{
	if (connection_may_login(s->connection))
		return false;
	imap_no(s, "[PRIVACYREQUIRED] A password is taken over TLS only");
	return true;
}

void imap_login(struct imap_session *s, struct imap_parser *p)
{
	struct span user, password;
	if (!imap_take_space(p) || !imap_take_astring(p, &user) || !imap_take_space(p) || !imap_take_astring(p, &password) ||
	    !imap_take_end(p))
		imap_bad(s, p);
	else if (!is_forbidden(s))
		connection_login(s->connection, user, SPAN(""), password);
}

static void authenticate(struct imap_session *s, struct span response)
{
	struct error why;
	s->input = IMAP_INPUT_COMMAND; /* or a challenge makes it wait for the next response */
	switch (sasl_response(s->connection, response, &why)) {
	case SASL_TAKEN: break;
	case SASL_NOT_BASE64: imap_bad_text(s, why.text); break; /* RFC 9051 §6.2.2 */
	case SASL_MALFORMED: imap_no(s, "[AUTHENTICATIONFAILED] %s", why.text); break;
	}
}

void imap_authenticate(struct imap_session *s, struct imap_parser *p)
{
	struct span mechanism, response;
	if (!imap_take_space(p) || !imap_take_atom(p, &mechanism)) {
		imap_bad(s, p);
		return;
	}
	bool has_response = p->rest.len > 0;
	if (has_response && !imap_take_space(p)) {
		imap_bad(s, p);
		return;
	}
	response = p->rest;
	if (is_forbidden(s)) {
		return;
	} else if (!sasl_begin(s->connection, mechanism)) {
		imap_no(s, "[CANNOT] There is no such mechanism");
	} else if (has_response) {
		/* RFC 4959 §3: "=" is an empty response */
		authenticate(s, span_equal(response, SPAN("=")) ? SPAN("") : response);
	} else {
		s->input = IMAP_INPUT_SASL;
		imap_continuation(s, "");
	}
}

void imap_sasl_line(struct imap_session *s, struct span line)
{
	/* RFC 3501 §6.2.2: "*" cancels */
	if (span_equal(line, SPAN("*"))) {
		sasl_cancel(s->connection);
		imap_bad_text(s, "AUTHENTICATE is cancelled");
	} else {
		authenticate(s, line);
	}
}

void imap_challenge(struct connection *c, const char *encoded)
{
	struct imap_session *s = c->state;
	s->input = IMAP_INPUT_SASL;
	imap_continuation(s, encoded);
}

int64_t imap_silence_ms(const struct imap_session *s)
{
	return (int64_t)child_config(s->connection->edge->self)->idle_timeout_s * 1000;
}

static void count_failure(struct imap_session *s)
{
	if (++s->login_failures >= IMAP_LOGIN_FAILURES_MOST)
		imap_bye(s, "Too many failed logins");
}

void imap_logged_in(struct connection *c, enum login_outcome outcome)
{
	struct imap_session *s = c->state;
	BUF_AUTO text = {0};
	switch (outcome) {
	case LOGIN_OK:
		s->state = IMAP_AUTHENTICATED;
		s->bad_count = 0;
		connection_set_timeout(c, imap_silence_ms(s));
		buf_add_char(&text, '[');
		imap_add_capabilities(s, &text);
		buf_add_cstr(&text, "] Logged in");
		imap_ok_span(s, buf_span(&text));
		return;
	case LOGIN_REFUSED:
		imap_no(s, "[AUTHENTICATIONFAILED] User name or password wrong");
		count_failure(s);
		return;
	case LOGIN_HELD:
		/* RFC 5530 §3: after AUTHENTICATIONFAILED there is no point in trying the same again later, after this there is */
		imap_no(s, "[UNAVAILABLE] Too many wrong passwords, try again later");
		count_failure(s);
		return;
	case LOGIN_FORBIDDEN:
		imap_no(s, "[AUTHORIZATIONFAILED] That is not a user to act for");
		count_failure(s);
		return;
	case LOGIN_LATER: imap_no(s, "[UNAVAILABLE] Cannot be checked now, try again later"); return;
	}
}
