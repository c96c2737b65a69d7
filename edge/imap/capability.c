/* What the server can do, in one table, and what the client has switched on: RFC 3501 §6.1.1 and §7.2.1, RFC 5161. */
#include "edge/imap/session.h"
#include "edge/sasl.h"

enum { BEFORE = IMAP_NOT_AUTHENTICATED, AFTER = IMAP_LOGGED_IN, ALWAYS = IMAP_ANY_STATE };

static const char UIDONLY[] = "UIDONLY";

/* Each is announced in the states where a client can make use of it. */
static const struct {
	const char *name;
	unsigned states;
	const char *rfc;
} capabilities[] = {
	{"IMAP4rev2", ALWAYS, "RFC 9051"},
	{"IMAP4rev1", ALWAYS, "RFC 3501"},
	{"LITERAL+", ALWAYS, "RFC 7888"},
	{"ID", ALWAYS, "RFC 2971"},
	{"ENABLE", ALWAYS, "RFC 5161"},
	{"SASL-IR", ALWAYS, "RFC 4959"},
	{"IDLE", AFTER, "RFC 2177"},
	{"NAMESPACE", AFTER, "RFC 2342"},
	{"UIDPLUS", AFTER, "RFC 4315"},
	{"MOVE", AFTER, "RFC 6851"},
	{"UNSELECT", AFTER, "RFC 3691"},
	{"CHILDREN", AFTER, "RFC 3348"},
	{"LIST-EXTENDED", AFTER, "RFC 5258"},
	{"SPECIAL-USE", AFTER, "RFC 6154"},
	{"STATUS=SIZE", AFTER, "RFC 8438"},
	{"CONDSTORE", AFTER, "RFC 7162"},
	{"QRESYNC", AFTER, "RFC 7162"},
	{"OBJECTID", AFTER, "RFC 8474"},
	{"SAVEDATE", AFTER, "RFC 8514"},
	{"BINARY", AFTER, "RFC 3516"},
	{"PREVIEW", AFTER, "RFC 8970"},
	{"METADATA", AFTER, "RFC 5464"},
	{"NOTIFY", AFTER, "RFC 5465"},
	{"LIST-METADATA", AFTER, "RFC 9590"},
	{"MULTIAPPEND", AFTER, "RFC 3502"},
	{"CATENATE", AFTER, "RFC 4469"},
	{"COMPRESS=DEFLATE", AFTER, "RFC 4978"},
	{"UNAUTHENTICATE", AFTER, "RFC 8437"},
	{"ACL", AFTER, "RFC 4314"},
	{"RIGHTS=kxte", AFTER, "RFC 4314"},
	{"LIST-MYRIGHTS", AFTER, "RFC 8440"},
	{"LIST-STATUS", AFTER, "RFC 5819"},
	{"QUOTA", AFTER, "RFC 9208"},
	{"QUOTA=RES-STORAGE", AFTER, "RFC 9208"},
	{"QUOTA=RES-MESSAGE", AFTER, "RFC 9208"},
	{"CREATE-SPECIAL-USE", AFTER, "RFC 6154"},
	{"UTF8=ACCEPT", AFTER, "RFC 6855"},
	{"REPLACE", AFTER, "RFC 8508"},
	{"PARTIAL", AFTER, "RFC 9394"},
	{"ESEARCH", AFTER, "RFC 4731"},
	{"SEARCHRES", AFTER, "RFC 5182"},
	{"WITHIN", AFTER, "RFC 5032"},
	{"SEARCH=FUZZY", AFTER, "RFC 6203"},
	{"SORT", AFTER, "RFC 5256"},
	{"SORT=DISPLAY", AFTER, "RFC 5957"},
	{"THREAD=ORDEREDSUBJECT", AFTER, "RFC 5256"},
	{"THREAD=REFERENCES", AFTER, "RFC 5256"},
	{"THREAD=REFS", AFTER, "draft-ietf-morg-inthread"},
	{"ESORT", AFTER, "RFC 5267"},
	{"CONTEXT=SEARCH", AFTER, "RFC 5267"},
	{"CONTEXT=SORT", AFTER, "RFC 5267"},
	{"MULTISEARCH", AFTER, "RFC 7377"},
	{"LANGUAGE", ALWAYS, "RFC 5255"},
	{"INPROGRESS", AFTER, "RFC 9585"},
	{"I18NLEVEL=1", AFTER, "RFC 5255"},
	{UIDONLY, AFTER, "RFC 9586"},
};

void imap_add_capabilities(struct imap_session *s, struct buf *out)
{
	struct connection *c = s->connection;
	buf_add_cstr(out, "CAPABILITY");
	for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++)
		/* Outlook's servers enable UIDONLY where they see it, and then fetch by numbers all the same */
		if (capabilities[i].states & s->state && !(s->is_of_microsoft && capabilities[i].name == UIDONLY))
			buf_printf(out, " %s", capabilities[i].name);
	if (s->state != IMAP_NOT_AUTHENTICATED) {
		/* RFC 7889 §2: of every mailbox */
		buf_printf(out, " APPENDLIMIT=%llu", (unsigned long long)child_config(c->edge->self)->message_size_limit_bytes);
		return;
	}
	if (connection_may_start_tls(c))
		buf_add_cstr(out, " STARTTLS");
	sasl_add_mechanisms(c, " AUTH=", out);
	/* RFC 3501 §6.2.3: without protection no password is taken */
	buf_add_cstr(out, connection_may_login(c) ? " AUTH=PLAIN" : " LOGINDISABLED");
}

void imap_capability(struct imap_session *s, struct imap_parser *p)
{
	if (!imap_take_end(p)) {
		imap_bad(s, p);
		return;
	}
	buf_add_cstr(&s->out, "* ");
	imap_add_capabilities(s, &s->out);
	buf_add_cstr(&s->out, "\r\n");
	imap_ok(s, "CAPABILITY done");
}

/* ---- ENABLE ---- */

static const struct {
	const char *name;
	unsigned enables;
} switches[] = {
	{"CONDSTORE", IMAP_ENABLED_CONDSTORE},
	{"QRESYNC", IMAP_ENABLED_QRESYNC | IMAP_ENABLED_CONDSTORE}, /* RFC 7162 §3.2.3 */
	{UIDONLY, IMAP_ENABLED_UIDONLY},
	{"UTF8=ACCEPT", IMAP_ENABLED_UTF8},
	{"IMAP4rev2", IMAP_ENABLED_REV2},
};

void imap_enable_now(struct imap_session *s, unsigned what)
{
	bool begins_condstore = what & ~s->enabled & IMAP_ENABLED_CONDSTORE;
	s->enabled |= what;
	/* RFC 7162 §3.1.2.1: what the client has of the mailbox is as of this MODSEQ */
	if (begins_condstore && s->state == IMAP_SELECTED)
		buf_printf(&s->out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n", (unsigned long long)s->view.modseq);
}

/* RFC 5161 §3.1: what is not known is ignored, and what is on already is not said again. */
void imap_enable(struct imap_session *s, struct imap_parser *p)
{
	unsigned wanted = 0;
	BUF_AUTO said = {0};
	do {
		struct span name;
		if (!imap_take_space(p) || !imap_take_atom(p, &name)) {
			imap_bad(s, p);
			return;
		}
		for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++)
			if (span_equal_nocase(name, span_cstr(switches[i].name)) && (switches[i].enables & ~(wanted | s->enabled))) {
				wanted |= switches[i].enables;
				buf_printf(&said, " %s", switches[i].name);
			}
	} while (p->rest.len);
	buf_printf(&s->out, "* ENABLED%s\r\n", buf_cstr(&said));
	imap_enable_now(s, wanted);
	imap_ok(s, "ENABLE done");
}
