/* docs/configuration.md and carteiro.conf(5), made from the table of settings. */
#include "config/settings.h"

static const char *const introduction[] = {
	"Each line sets one thing: name = value. Values stand without quotes; where there are several, spaces are between them. "
	"Empty lines, and lines that begin with #, say nothing. A setting that is left out has its default.",
	"carteiro check reads the file and says of every fault in which line it is and what to do about it.",
};

static const char example[] =
	"hostname = mail.example.org\nprotocols = smtp submissions imaps\nmessage_size_limit = 25M\n";

static const char *kind_text(enum setting_kind kind)
{
	switch (kind) {
	case SETTING_GROUP: return "";
	case SETTING_TEXT: return "one word";
	case SETTING_HOSTNAME: return "a fully qualified name";
	case SETTING_MAILBOX: return "an address";
	case SETTING_TABLES: return "tables, with commas or spaces between them: virtual:/etc/postfix/virtual, transport:pgsql:/etc/postfix/transport.cf";
	case SETTING_PROGRAMS: return "paths, with spaces between them: /usr/bin/vacation /usr/bin/procmail";
	case SETTING_MILTERS: return "sockets, with spaces between them: inet:127.0.0.1:11332 unix:/run/opendkim/opendkim.sock";
	case SETTING_NEXT_HOP: return "a domain, or a host in brackets, and a port: example.net, [smtp.example.net]:587";
	case SETTING_DNS_LISTS: return "lists: zen.spamhaus.org, bl.example.org=127.0.0.[2..11]*2";
	case SETTING_DOMAINS: return "domains";
	case SETTING_PATH: return "a path that begins with /";
	case SETTING_ADDRESS: return "an IPv4 or IPv6 address";
	case SETTING_FLAG: return "on or off";
	case SETTING_NUMBER: return "a whole number";
	case SETTING_SIZE: return "a size in bytes, or with k, M or G behind it";
	case SETTING_DURATION: return "a time with s, m, h or d behind it";
	case SETTING_PROTOCOLS: return "words";
	case SETTING_LISTEN: return "ports (for all addresses) and addresses with a port: 25, 192.0.2.1:25, [2001:db8::1]:25";
	case SETTING_RESOLVER: return "an address, or one with a port: 127.0.0.1@5353";
	case SETTING_NETWORKS: return "addresses and networks: 192.0.2.1, 192.0.2.0/24, 2001:db8::/32";
	case SETTING_CHOICE: return "one of";
	}
	return "";
}

/* "a whole number, 1 to 256", "one of off, loopback, on". */
static void add_kind(struct buf *out, const struct setting *s)
{
	buf_add_cstr(out, kind_text(s->kind));
	if (s->kind == SETTING_NUMBER)
		buf_printf(out, ", %llu to %llu", (unsigned long long)s->least, (unsigned long long)s->most);
	struct span words = span_cstr(s->words), word = span_next_word(&words);
	for (const char *gap = " "; word.len; gap = ", ", word = span_next_word(&words))
		buf_printf(out, "%s%.*s", gap, SPAN_ARG(word));
}

static void markdown_setting(struct buf *out, const struct setting *s)
{
	buf_printf(out, "\n### `%s`\n\n%s%s%s\n\n- Value: ", s->name, s->summary, *s->more ? " " : "", s->more);
	add_kind(out, s);
	if (*s->standard)
		buf_printf(out, "\n- Default: `%s`\n", s->standard);
	else
		buf_add_cstr(out, "\n- Default: empty\n");
}

void config_print_markdown(struct buf *out)
{
	buf_add_cstr(out, "# carteiro.conf\n");
	for (size_t i = 0; i < sizeof introduction / sizeof *introduction; i++)
		buf_printf(out, "\n%s\n", introduction[i]);
	buf_printf(out, "\n```\n%s```\n", example);
	for (size_t i = 0; i < settings_count; i++) {
		if (settings[i].kind == SETTING_GROUP)
			buf_printf(out, "\n## %s\n", settings[i].name);
		else
			markdown_setting(out, &settings[i]);
	}
}

/* Text in which roff sees no escape and no request: groff_char(7). */
static void roff_text(struct buf *out, const char *text)
{
	bool is_line_start = true;
	for (; *text; text++) {
		if (is_line_start && (*text == '.' || *text == '\''))
			buf_add_cstr(out, "\\&");
		is_line_start = *text == '\n';
		if (*text == '\\')
			buf_add_cstr(out, "\\e");
		else if (*text == '-')
			buf_add_cstr(out, "\\-");
		else
			buf_add_char(out, *text);
	}
}

static void man_setting(struct buf *out, const struct setting *s)
{
	buf_printf(out, ".TP\n\\fB%s\\fR = ", s->name);
	if (*s->standard)
		roff_text(out, s->standard);
	else
		buf_add_cstr(out, "(empty)");
	buf_add_char(out, '\n');
	roff_text(out, s->summary);
	buf_add_char(out, '\n');
	if (*s->more) {
		roff_text(out, s->more);
		buf_add_char(out, '\n');
	}
	BUF_AUTO kind = {0};
	add_kind(&kind, s);
	buf_add_cstr(out, ".br\nValue: ");
	roff_text(out, buf_cstr(&kind));
	buf_add_cstr(out, ".\n");
}

void config_print_man(struct buf *out)
{
	buf_add_cstr(out, ".TH CARTEIRO.CONF 5 \"\" carteiro \"File formats\"\n.SH NAME\n"
	                  "carteiro.conf \\- settings of the carteiro mail server\n.SH DESCRIPTION\n");
	for (size_t i = 0; i < sizeof introduction / sizeof *introduction; i++) {
		buf_add_cstr(out, ".PP\n");
		roff_text(out, introduction[i]);
		buf_add_char(out, '\n');
	}
	buf_add_cstr(out, ".SH SETTINGS\nEach is shown with its default.\n");
	for (size_t i = 0; i < settings_count; i++) {
		if (settings[i].kind == SETTING_GROUP)
			buf_printf(out, ".SS %s\n", settings[i].name);
		else
			man_setting(out, &settings[i]);
	}
	buf_printf(out, ".SH EXAMPLE\n.nf\n%s.fi\n.SH SEE ALSO\n.BR carteiro (8)\n", example);
}
