/* Macros: see macros.h. */
#include "milter/macros.h"

static const char *const standard[MILTER_STAGES] = {
	[MILTER_AT_CONNECT] = "j {daemon_name} v _ {client_addr} {client_name} {client_ptr}",
	[MILTER_AT_HELO] = "{tls_version} {cipher} {cipher_bits}",
	[MILTER_AT_MAIL] = "i {auth_type} {auth_authen} {mail_addr} {mail_host}",
	[MILTER_AT_RCPT] = "i {rcpt_addr} {rcpt_host}",
	[MILTER_AT_DATA] = "i",
	[MILTER_AT_BODY_END] = "i",
	[MILTER_AT_HEADER_END] = "i",
};

static struct span domain_of(struct span address)
{
	ssize_t at = span_rchr(address, '@');
	return at < 0 ? SPAN("") : span_skip(address, (size_t)at + 1);
}

static struct span word_at(struct span text, unsigned n)
{
	struct span word = span_next_word(&text);
	while (n--)
		word = span_next_word(&text);
	return word;
}

/* TLS_AES_256_GCM_SHA384 */
static struct span bits_of(struct span cipher)
{
	return span_find(cipher, SPAN("256")) >= 0 ? SPAN("256") : span_find(cipher, SPAN("128")) >= 0 ? SPAN("128") : SPAN("");
}

static void add_value(const struct inquiry *m, struct span name, struct span recipient, struct buf *out)
{
	struct span host = span_cstr(child_hostname(m->milter->self)), cipher = word_at(buf_span(&m->tls), 1);
	char id[ID128_TEXT_BYTES + 1];
	const struct { struct span name, value; } values[] = {
		{SPAN("j"), host}, {SPAN("daemon_name"), host}, {SPAN("v"), SPAN("carteiro")}, {SPAN("i"), id128_text(m->id, id)},
		{SPAN("client_addr"), inquiry_client_address(m)}, {SPAN("client_name"), inquiry_client_name(m)}, {SPAN("client_ptr"), inquiry_client_name(m)},
		{SPAN("tls_version"), word_at(buf_span(&m->tls), 0)}, {SPAN("cipher"), cipher}, {SPAN("cipher_bits"), bits_of(cipher)},
		{SPAN("auth_type"), m->user.len ? SPAN("PLAIN") : SPAN("")}, {SPAN("auth_authen"), buf_span(&m->user)},
		{SPAN("mail_addr"), buf_span(&m->reverse_path)}, {SPAN("mail_host"), domain_of(buf_span(&m->reverse_path))},
		{SPAN("rcpt_addr"), recipient}, {SPAN("rcpt_host"), domain_of(recipient)},
	};
	if (span_equal(name, SPAN("_"))) {
		buf_add(out, inquiry_client_name(m));
		buf_add_cstr(out, " [");
		buf_add(out, inquiry_client_address(m));
		buf_add_char(out, ']');
	}
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		if (span_equal(name, values[i].name))
			buf_add(out, values[i].value);
}

static struct span without_braces(struct span name)
{
	bool has = name.len > 2 && name.ptr[0] == '{' && name.ptr[name.len - 1] == '}';
	return has ? span_slice(name, 1, name.len - 2) : name;
}

bool macros_add(const struct inquiry *m, enum milter_stage stage, char command, struct span names, bool has_names, struct span recipient, struct buf *out)
{
	BUF_AUTO list = {0};
	buf_add(&list, has_names ? names : span_cstr(standard[stage]));
	for (size_t i = 0; i < list.len; i++)
		if (list.ptr[i] == ',')
			list.ptr[i] = ' ';
	struct span rest = buf_span(&list), name;
	buf_add_char(out, command);
	while ((name = span_next_word(&rest)).len) {
		BUF_AUTO value = {0};
		name = without_braces(name);
		add_value(m, name, recipient, &value);
		if (!value.len)
			continue;
		buf_printf(out, name.len > 1 ? "{%.*s}" : "%.*s", SPAN_ARG(name));
		buf_add_char(out, 0);
		buf_add(out, buf_span(&value));
		buf_add_char(out, 0);
	}
	return out->len > 1;
}
