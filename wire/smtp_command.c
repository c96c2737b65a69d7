/* SMTP command lines: RFC 5321 §4.1.1, with the parameters of RFC 1870, 3030, 3461, 4865, 4954, 6152, 6531, 6710 and 8689. */
#include "wire/smtp.h"

#include "base/utf8.h"
#include "wire/date.h"

enum argument_rule { NONE, OPTIONAL, NEEDED };

/* RFC 5321 §4.1.1, RFC 2033, RFC 3207 §4, RFC 4954 §4. */
static const struct verb_entry {
	const char *name;
	enum smtp_verb verb;
	enum argument_rule rule;
} verbs[] = {
    {"EHLO", SMTP_EHLO, NEEDED}, {"HELO", SMTP_HELO, NEEDED},       {"LHLO", SMTP_LHLO, NEEDED},
    {"MAIL", SMTP_MAIL, NEEDED}, {"RCPT", SMTP_RCPT, NEEDED},       {"DATA", SMTP_DATA, NONE},
    {"RSET", SMTP_RSET, NONE},   {"NOOP", SMTP_NOOP, OPTIONAL},     {"VRFY", SMTP_VRFY, NEEDED},
    {"EXPN", SMTP_EXPN, NEEDED}, {"HELP", SMTP_HELP, OPTIONAL},     {"QUIT", SMTP_QUIT, NONE},
    {"BDAT", SMTP_BDAT, NEEDED}, {"AUTH", SMTP_AUTH, NEEDED}, {"STARTTLS", SMTP_STARTTLS, NONE}, {"XCLIENT", SMTP_XCLIENT, NEEDED},
};

static const struct verb_entry *find_verb(struct span word)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (span_equal_nocase(word, span_cstr(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

static ssize_t find_control(struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned char byte = (unsigned char)line.ptr[i];

		if ((byte < 32 && byte != '\t') || byte == 127)
			return (ssize_t)i;
	}
	return -1;
}

int smtp_parse_command(struct span line, struct smtp_command *out, struct error *why)
{
	const struct verb_entry *entry;
	struct span rest = line;
	ssize_t control;

	*out = (struct smtp_command){0};
	out->word = span_next_word(&rest);
	out->argument = span_trim(rest);
	entry = find_verb(out->word);
	if (entry)
		out->verb = entry->verb;
	if (line.len > (out->verb == SMTP_AUTH ? SMTP_AUTH_LINE_MAX : SMTP_COMMAND_MAX))
		return error_set(why, 500, "5.5.6 the command line is too long");
	control = find_control(line);
	if (control >= 0)
		return error_at(why, (size_t)control, 500, "5.5.2 the command has a control character");
	if (!entry)
		return 0;
	if (entry->rule == NONE && out->argument.len > 0)
		return error_set(why, 501, "5.5.4 %s takes no argument", entry->name);
	if (entry->rule == NEEDED && out->argument.len == 0)
		return error_set(why, 501, "5.5.4 %s needs an argument", entry->name);
	return 0;
}

/* esmtp-keyword ["=" esmtp-value] (RFC 5321 §4.1.2; the value may have UTF-8 by RFC 6531 §3.3). */
struct parameter {
	struct span keyword, value;
	bool has_value;
};

static bool is_keyword(struct span word)
{
	for (size_t i = 0; i < word.len; i++) {
		char c = word.ptr[i];

		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && (c != '-' || i == 0))
			return false;
	}
	return word.len > 0;
}

bool smtp_is_value(struct span word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.ptr[i] == '=' || (unsigned char)word.ptr[i] <= 32 || word.ptr[i] == 127)
			return false;
	return word.len > 0 && utf8_is_valid(word);
}

/* Takes the next parameter. Returns 1, 0 at the end, or -1. */
static int next_parameter(struct span *rest, struct parameter *out, struct error *why)
{
	struct span word = span_next_word(rest);
	ssize_t equals = span_chr(word, '=');

	if (word.len == 0)
		return 0;
	*out = (struct parameter){.keyword = word};
	if (equals >= 0) {
		out->has_value = true;
		out->keyword = span_slice(word, 0, (size_t)equals);
		out->value = span_skip(word, (size_t)equals + 1);
	}
	if (!is_keyword(out->keyword) || (out->has_value && !smtp_is_value(out->value)))
		return error_set(why, 501, "5.5.4 a parameter is not KEYWORD or KEYWORD=value");
	return 1;
}

static int twice(struct error *why, const char *name)
{
	return error_set(why, 501, "5.5.4 the parameter %s is given twice", name);
}

static int set_size(struct smtp_mail *mail, const struct parameter *p, struct error *why)
{
	if (mail->has_size)
		return twice(why, "SIZE");
	/* RFC 1870 §4: 1*20DIGIT. */
	if (!p->has_value || span_to_u64(p->value, UINT64_MAX, &mail->size_bytes) < 0)
		return error_set(why, 501, "5.5.4 SIZE needs a number of at most 20 digits");
	mail->has_size = true;
	return 0;
}

static int set_body(struct smtp_mail *mail, const struct parameter *p, struct error *why)
{
	if (mail->body != SMTP_BODY_UNSAID)
		return twice(why, "BODY");
	if (span_equal_nocase(p->value, SPAN("7BIT")))
		mail->body = SMTP_BODY_7BIT;
	else if (span_equal_nocase(p->value, SPAN("8BITMIME")))
		mail->body = SMTP_BODY_8BITMIME;
	else if (span_equal_nocase(p->value, SPAN("BINARYMIME")))
		mail->body = SMTP_BODY_BINARYMIME;
	else
		return error_set(why, 501, "5.5.4 BODY must be 7BIT, 8BITMIME or BINARYMIME");
	return 0;
}

static int set_auth(struct smtp_mail *mail, const struct parameter *p, struct error *why)
{
	BUF_AUTO ignored = {0};

	if (mail->has_auth)
		return twice(why, "AUTH");
	if (!p->has_value || smtp_xtext_decode(p->value, &ignored) < 0)
		return error_set(why, 501, "5.5.4 AUTH needs <> or an address in xtext");
	mail->has_auth = true;
	mail->auth = p->value;
	return 0;
}

/* RFC 3461 §4.3. */
static int set_ret(struct smtp_mail *mail, const struct parameter *p, struct error *why)
{
	if (mail->ret != SMTP_RET_UNSAID)
		return twice(why, "RET");
	if (span_equal_nocase(p->value, SPAN("FULL")))
		mail->ret = SMTP_RET_FULL;
	else if (span_equal_nocase(p->value, SPAN("HDRS")))
		mail->ret = SMTP_RET_HDRS;
	else
		return error_set(why, 501, "5.5.4 RET must be FULL or HDRS");
	return 0;
}

/* xtext that stands for printable ASCII only, so that it can stand in a notification's field. */
static bool is_printable_xtext(struct span xtext)
{
	BUF_AUTO text = {0};

	if (xtext.len == 0 || smtp_xtext_decode(xtext, &text) < 0)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 32 || (unsigned char)text.ptr[i] > 126)
			return false;
	return true;
}

/* RFC 3461 §4.4. */
static int set_envid(struct smtp_mail *mail, const struct parameter *p, struct error *why)
{
	if (mail->envid.len > 0)
		return twice(why, "ENVID");
	if (p->value.len > SMTP_ENVID_MAX || !is_printable_xtext(p->value))
		return error_set(why, 501, "5.5.4 ENVID must be xtext of at most %d characters", SMTP_ENVID_MAX);
	mail->envid = p->value;
	return 0;
}

/* RFC 6710 §3: [ "-" ] a digit, and no "-0". */
static int set_priority(struct smtp_mail *mail, const struct parameter *p, struct error *why)
{
	bool is_negative = span_starts_with(p->value, SPAN("-"));
	struct span digit = span_skip(p->value, is_negative);

	if (mail->has_priority)
		return twice(why, "MT-PRIORITY");
	if (digit.len != 1 || !ascii_is_digit(digit.ptr[0]) || (is_negative && digit.ptr[0] == '0'))
		return error_set(why, 501, "5.5.4 MT-PRIORITY must be a number from -9 to 9");
	mail->has_priority = true;
	mail->priority = (digit.ptr[0] - '0') * (is_negative ? -1 : 1);
	return 0;
}

/* RFC 4865 §4.2: one of the two, once. */
static int set_hold(struct smtp_mail *mail, const struct parameter *p, enum smtp_hold kind, struct error *why)
{
	uint64_t seconds = 0;
	struct date date = {0};

	if (mail->hold != SMTP_HOLD_UNSAID)
		return twice(why, "HOLDFOR or HOLDUNTIL");
	if (kind == SMTP_HOLD_FOR && (p->value.len > 9 || span_to_u64(p->value, UINT32_MAX, &seconds) < 0 || seconds == 0))
		return error_set(why, 501, "5.5.4 HOLDFOR needs a number of seconds, of at most 9 digits");
	if (kind == SMTP_HOLD_UNTIL && date_parse_internet(p->value, &date) < 0)
		return error_set(why, 501, "5.5.4 HOLDUNTIL needs a time as in 2027-01-31T18:00:00Z");
	mail->hold = kind;
	mail->hold_for_s = (uint32_t)seconds;
	mail->hold_until_s = date.utc_seconds;
	return 0;
}

/* A parameter that is only there or not. */
static int set_flag(bool *flag, const struct parameter *p, const char *name, struct error *why)
{
	if (*flag)
		return twice(why, name);
	if (p->has_value)
		return error_set(why, 501, "5.5.4 %s takes no value", name);
	*flag = true;
	return 0;
}

static int set_parameter(struct smtp_mail *mail, const struct parameter *p, struct error *why)
{
	if (span_equal_nocase(p->keyword, SPAN("SIZE")))
		return set_size(mail, p, why);
	if (span_equal_nocase(p->keyword, SPAN("BODY")))
		return set_body(mail, p, why);
	if (span_equal_nocase(p->keyword, SPAN("AUTH")))
		return set_auth(mail, p, why);
	if (span_equal_nocase(p->keyword, SPAN("RET")))
		return set_ret(mail, p, why);
	if (span_equal_nocase(p->keyword, SPAN("ENVID")))
		return set_envid(mail, p, why);
	if (span_equal_nocase(p->keyword, SPAN("SMTPUTF8")))
		return set_flag(&mail->smtputf8, p, "SMTPUTF8", why);
	if (span_equal_nocase(p->keyword, SPAN("REQUIRETLS")))
		return set_flag(&mail->requiretls, p, "REQUIRETLS", why);
	if (span_equal_nocase(p->keyword, SPAN("MT-PRIORITY")))
		return set_priority(mail, p, why);
	if (span_equal_nocase(p->keyword, SPAN("HOLDFOR")))
		return set_hold(mail, p, SMTP_HOLD_FOR, why);
	if (span_equal_nocase(p->keyword, SPAN("HOLDUNTIL")))
		return set_hold(mail, p, SMTP_HOLD_UNTIL, why);
	return error_set(why, 555, "5.5.4 this parameter is not supported");
}

/* The prefix ("FROM:" or "TO:"), spaces that some send behind it, and the path; *rest is what follows. */
static int take_path(struct span *rest, struct span prefix, unsigned flags, struct address *out, struct error *why)
{
	struct span in = *rest;
	ssize_t taken;

	if (!span_starts_with_nocase(in, prefix))
		return error_set(why, 501, "5.5.4 %.*s<address> is missing", SPAN_ARG(prefix));
	in = span_skip(in, prefix.len);
	while (in.len > 0 && in.ptr[0] == ' ')
		in = span_skip(in, 1);
	taken = address_parse_path(in, flags, out, why);
	if (taken < 0)
		return -1;
	*rest = span_skip(in, (size_t)taken);
	if (rest->len > 0 && rest->ptr[0] != ' ')
		return error_set(why, 501, "5.5.4 there is no space behind the address");
	return 0;
}

int smtp_parse_mail(struct span argument, unsigned flags, struct smtp_mail *out, struct error *why)
{
	struct span rest = argument;
	struct parameter p;
	unsigned count = 0;
	int got;

	*out = (struct smtp_mail){0};
	/* SMTPUTF8 stands behind the address that it allows. */
	if (take_path(&rest, SPAN("FROM:"), (flags & ADDRESS_LOOSE) | ADDRESS_UTF8 | ADDRESS_EMPTY_OK,
	              &out->reverse_path, why) < 0)
		return -1;
	while ((got = next_parameter(&rest, &p, why)) > 0) {
		if (++count > SMTP_PARAMETERS_MAX)
			return error_set(why, 501, "5.5.4 there are too many parameters");
		if (set_parameter(out, &p, why) < 0)
			return -1;
	}
	if (got < 0)
		return -1;
	if (!out->smtputf8 && utf8_has_8bit(argument))
		return error_set(why, 553, "5.6.7 the address needs SMTPUTF8");
	return 0;
}

static const struct {
	const char *word;
	unsigned bit;
} notify_words[] = {
    {"NEVER", SMTP_NOTIFY_NEVER}, {"SUCCESS", SMTP_NOTIFY_SUCCESS}, {"FAILURE", SMTP_NOTIFY_FAILURE}, {"DELAY", SMTP_NOTIFY_DELAY},
};

/* RFC 3461 §4.1: NEVER stands alone. */
static int set_notify(struct smtp_rcpt *rcpt, const struct parameter *p, struct error *why)
{
	struct span rest = p->value;
	bool is_good = rest.len > 0;

	if (rcpt->notify)
		return twice(why, "NOTIFY");
	while (is_good && rest.len > 0) {
		ssize_t comma = span_chr(rest, ',');
		struct span word = comma < 0 ? rest : span_slice(rest, 0, (size_t)comma);
		unsigned bit = 0;

		for (size_t i = 0; i < sizeof(notify_words) / sizeof(notify_words[0]); i++)
			if (span_equal_nocase(word, span_cstr(notify_words[i].word)))
				bit = notify_words[i].bit;
		is_good = bit && !(rcpt->notify & bit) && (comma < 0 || (size_t)comma + 1 < rest.len);
		rcpt->notify |= bit;
		rest = span_skip(rest, word.len + (comma >= 0));
	}
	if (!is_good || (rcpt->notify & SMTP_NOTIFY_NEVER && rcpt->notify != SMTP_NOTIFY_NEVER))
		return error_set(why, 501, "5.5.4 NOTIFY must be NEVER, or some of SUCCESS, FAILURE and DELAY");
	return 0;
}

void smtp_format_notify(unsigned notify, struct buf *out)
{
	const char *gap = "";

	for (size_t i = 0; i < sizeof(notify_words) / sizeof(notify_words[0]); i++) {
		if (!(notify & notify_words[i].bit))
			continue;
		buf_add_cstr(out, gap);
		buf_add_cstr(out, notify_words[i].word);
		gap = ",";
	}
}

/* RFC 3461 §4.2; with SMTPUTF8 an address may stand in UTF-8 as it is (RFC 6533 §3, utf-8-addr-unitext). */
static int set_orcpt(struct smtp_rcpt *rcpt, const struct parameter *p, bool may_be_utf8, struct error *why)
{
	ssize_t semicolon = span_chr(p->value, ';');
	struct span type = span_slice(p->value, 0, semicolon < 0 ? 0 : (size_t)semicolon);
	struct span address = span_skip(p->value, semicolon < 0 ? p->value.len : (size_t)semicolon + 1);
	bool is_utf8 = may_be_utf8 && span_equal_nocase(type, SPAN("utf-8")) && utf8_has_8bit(address);

	if (rcpt->orcpt.len > 0)
		return twice(why, "ORCPT");
	if (p->value.len > SMTP_ORCPT_MAX || !is_keyword(type) || address.len == 0 || (!is_utf8 && !is_printable_xtext(address)))
		return error_set(why, 501, "5.5.4 ORCPT must be a type, \";\" and an address in xtext");
	rcpt->orcpt = p->value;
	return 0;
}

int smtp_parse_rcpt(struct span argument, unsigned flags, struct smtp_rcpt *out, struct error *why)
{
	struct span rest = argument;
	struct parameter p;
	unsigned count = 0;
	int got;

	*out = (struct smtp_rcpt){0};
	if (take_path(&rest, SPAN("TO:"), (flags & (ADDRESS_LOOSE | ADDRESS_UTF8)) | ADDRESS_POSTMASTER_OK, &out->forward_path,
	              why) < 0)
		return -1;
	while ((got = next_parameter(&rest, &p, why)) > 0) {
		if (++count > SMTP_PARAMETERS_MAX)
			return error_set(why, 501, "5.5.4 there are too many parameters");
		if (span_equal_nocase(p.keyword, SPAN("NOTIFY")))
			got = set_notify(out, &p, why);
		else if (span_equal_nocase(p.keyword, SPAN("ORCPT")))
			got = set_orcpt(out, &p, flags & ADDRESS_UTF8, why);
		else
			return error_set(why, 555, "5.5.4 this parameter is not supported");
		if (got < 0)
			return -1;
	}
	return got;
}

int smtp_parse_bdat(struct span argument, uint64_t *size_bytes, bool *is_last, struct error *why)
{
	struct span rest = argument, size = span_next_word(&rest);

	rest = span_trim(rest);
	*is_last = span_equal_nocase(rest, SPAN("LAST"));
	if (span_to_u64(size, UINT64_MAX, size_bytes) < 0 || (rest.len > 0 && !*is_last))
		return error_set(why, 501, "5.5.4 BDAT needs a number of octets, and perhaps LAST");
	return 0;
}

int smtp_check_hello(struct span argument, struct error *why)
{
	char name[ADDRESS_DOMAIN_MAX];
	size_t len = argument.len;

	if (address_literal_is_valid(argument))
		return 0;
	/* A trailing dot only says that the name is complete. */
	if (len > 1 && argument.ptr[len - 1] == '.')
		len--;
	if (len == 0 || len > sizeof(name))
		return error_set(why, 501, "5.5.4 a domain name or an address literal is needed");
	for (size_t i = 0; i < len; i++)
		name[i] = argument.ptr[i] == '_' ? 'x' : argument.ptr[i];
	if (!domain_is_valid(span_of(name, len), 0))
		return error_set(why, 501, "5.5.4 a domain name or an address literal is needed");
	return 0;
}

/* RFC 3461 §4 has upper case only in it, but what else could lower case mean? */
int smtp_xtext_decode(struct span xtext, struct buf *out)
{
	size_t before = out->len;

	for (size_t i = 0; i < xtext.len; i++) {
		char c = xtext.ptr[i];

		if (c == '+' && xtext.len - i > 2 && ascii_hex_value(xtext.ptr[i + 1]) >= 0 &&
		    ascii_hex_value(xtext.ptr[i + 2]) >= 0) {
			c = (char)(ascii_hex_value(xtext.ptr[i + 1]) * 16 + ascii_hex_value(xtext.ptr[i + 2]));
			i += 2;
		} else if (c == '+' || c == '=' || c <= 32 || c == 127) {
			out->len = before;
			return -1;
		}
		buf_add_char(out, c);
	}
	return 0;
}
