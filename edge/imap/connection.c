/* Commands about the connection, whatever it is used for: COMPRESS (RFC 4978), UNAUTHENTICATE (RFC 8437). */
#include "edge/imap/notify.h"

void imap_compress(struct imap_session *s, struct imap_parser *p)
{
	struct span mechanism;
	if (!imap_take_space(p) || !imap_take_atom(p, &mechanism) || !imap_take_end(p)) {
		imap_bad(s, p);
	} else if (!span_equal_nocase(mechanism, SPAN("DEFLATE"))) {
		imap_no(s, "[CANNOT] There is no such compression");
	} else if (connection_is_deflated(s->connection)) {
		imap_no(s, "[COMPRESSIONACTIVE] It is compressed already"); /* RFC 4978 §3 */
	} else {
		s->starts_deflate = true; /* behind this answer */
		imap_ok(s, "COMPRESS done");
	}
}

/* RFC 8437 §4: as after the greeting; TLS and compression stay. */
void imap_unauthenticate(struct imap_session *s, struct imap_parser *p)
{
	struct connection *c = s->connection;
	if (!imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	imap_leave_mailbox(s);
	imap_notify_free(s);
	s->state = IMAP_NOT_AUTHENTICATED;
	s->enabled = 0;
	s->language = LANGUAGE_ENGLISH;
	connection_log_out(c);
	connection_set_timeout(c, IMAP_TIMEOUT_BEFORE_LOGIN_MS);
	imap_ok(s, "UNAUTHENTICATE done");
}
