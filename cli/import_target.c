/* The client of the running server that takes what a source finds. Groups of messages go by one APPEND each (RFC 3502), in UTF-8
 * (RFC 6855), with what only an administrator's session may say of them (wire/imap_append.h). While the server works on one group the next
 * is read. A group that is refused is said again message by message, so that one bad message keeps no other out. */
#include "cli/import.h"

#include "base/clock.h"
#include "base/die.h"
#include "wire/date.h"
#include "wire/imap_command.h"
#include "wire/imap_structure.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROGRESS_MS = 100 };

/* ---- telling ---- */

static void clear_bar(const struct import *i)
{
	if (i->is_terminal)
		fputs("\r\033[K", stderr);
}

void import_progress(struct import *i)
{
	int64_t now_ms = clock_monotonic_ms();
	if (!i->is_terminal || now_ms - i->shown_ms < PROGRESS_MS)
		return;
	i->shown_ms = now_ms;
	unsigned percent = i->expected ? (unsigned)(i->seen * 100 / i->expected) : 0, bars = percent > 100 ? 20 : percent / 5;
	fprintf(stderr, "\r\033[K[%.*s%.*s] %llu/%llu %.*s", (int)bars, "####################", (int)(20 - bars), "....................",
	        (unsigned long long)i->seen, (unsigned long long)i->expected, i->mailbox.len > 40 ? 40 : (int)i->mailbox.len, i->mailbox.ptr);
}

void import_say(struct import *i, const char *format, ...)
{
	va_list args;
	clear_bar(i);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	fflush(stdout);
}

void import_failed(struct import *i, struct span label, const char *why)
{
	clear_bar(i);
	fprintf(stderr, "carteiro: not taken: %.*s: %.*s: %s\n", SPAN_ARG(buf_span(&i->mailbox)), SPAN_ARG(label), why);
	i->mailbox_count_of.failed++;
	i->total.failed++;
}

static void lose(struct import *i)
{
	if (i->is_broken)
		return;
	i->is_broken = i->session.client.is_lost = true; /* a message that was announced may be half said: nothing follows */
	clear_bar(i);
	fprintf(stderr, "carteiro: the server went away (%s): run the same command again, it goes on where it has stopped\n", i->session.client.why.text);
}

/* ---- the session ---- */

int import_open(struct import *i, const char *address)
{
	i->is_terminal = isatty(STDERR_FILENO);
	return account_session_open(&i->session, i->cli->config_file, address);
}

void import_close(struct import *i)
{
	account_session_close(&i->session);
	for (size_t n = 0; n < 2; n++) {
		arena_free(&i->groups[n].memory);
		buf_free(&i->groups[n].bytes);
	}
	buf_free(&i->mailbox);
}

/* ---- mailboxes ---- */

static const struct {
	const char *name, *use;
} usual[] = {
	{"Sent", "\\Sent"}, {"Sent Items", "\\Sent"}, {"Sent Messages", "\\Sent"}, {"Sent Mail", "\\Sent"}, {"Drafts", "\\Drafts"}, {"Draft", "\\Drafts"},
	{"Junk", "\\Junk"}, {"Spam", "\\Junk"}, {"Junk E-mail", "\\Junk"}, {"Junk Email", "\\Junk"}, {"Bulk Mail", "\\Junk"}, {"Trash", "\\Trash"},
	{"Deleted Items", "\\Trash"}, {"Deleted Messages", "\\Trash"}, {"Deleted", "\\Trash"}, {"Archive", "\\Archive"}, {"Archives", "\\Archive"},
};

struct span import_target_name(const struct import *i, struct span name, const char *use)
{
	char word[32];
	for (size_t n = 0; !use && n < sizeof usual / sizeof usual[0]; n++)
		if (span_equal_nocase(name, span_cstr(usual[n].name)))
			use = usual[n].use;
	if (!use)
		return name;
	snprintf(word, sizeof word, " %s ", use);
	for (size_t n = 0; n < i->session.mailbox_count; n++)
		if (strcasestr(i->session.mailboxes[n].attributes, word))
			return span_cstr(i->session.mailboxes[n].name);
	return name;
}

static bool is_there(const struct import *i, struct span name)
{
	for (size_t n = 0; n < i->session.mailbox_count; n++)
		if (span_equal(span_cstr(i->session.mailboxes[n].name), name))
			return true;
	return span_equal_nocase(name, SPAN("INBOX"));
}

static int ask_name(struct import *i, const char *command, struct span name, const char *behind, void (*each)(void *context, struct span response), void *context)
{
	BUF_AUTO line = {0};
	buf_printf(&line, "%s ", command);
	imap_client_add_string(&line, name);
	buf_add_cstr(&line, behind);
	int result = imap_client_command(&i->session.client, buf_span(&line), each, context);
	if (result < 0)
		lose(i);
	return result;
}

static int say_name(struct import *i, const char *command, struct span name, const char *behind)
{
	return ask_name(i, command, name, behind, NULL, NULL);
}

static int restate(struct import *i, uint32_t uidvalidity, uint32_t uidnext)
{
	char numbers[40];
	snprintf(numbers, sizeof numbers, " %u %u", uidvalidity, uidnext);
	return say_name(i, "X-MAILBOX", buf_span(&i->mailbox), numbers);
}

int import_mailbox(struct import *i, struct span name, const char *use, uint32_t uidvalidity, uint64_t expected)
{
	struct span target = import_target_name(i, name, use);
	buf_clear(&i->mailbox);
	buf_add(&i->mailbox, target);
	memset(&i->mailbox_count_of, 0, sizeof i->mailbox_count_of);
	i->seen = 0;
	i->expected = expected;
	i->keeps_uids = false;
	if (i->is_broken)
		return -1;
	if (!span_equal(target, name))
		import_say(i, "%.*s goes into %.*s\n", SPAN_ARG(name), SPAN_ARG(target));
	if (!is_there(i, target)) {
		int refused = say_name(i, "CREATE", target, "");
		if (refused) {
			if (!i->is_broken)
				import_failed(i, SPAN("the mailbox"), i->session.client.why.text);
			return -1;
		}
		account_session_add(&i->session, target, SPAN(" "));
	}
	i->uidvalidity = uidvalidity;
	int result = uidvalidity ? restate(i, uidvalidity, 1) : 1;
	i->keeps_uids = result == 0;
	return i->is_broken ? -1 : 0;
}

void import_mailbox_end(struct import *i, uint32_t uidnext)
{
	import_flush(i);
	if (i->keeps_uids && uidnext && !i->is_broken)
		restate(i, i->uidvalidity, uidnext);
	import_say(i, "%.*s: %llu brought, %llu there already, %llu not taken%s\n", SPAN_ARG(buf_span(&i->mailbox)),
	           (unsigned long long)i->mailbox_count_of.brought, (unsigned long long)i->mailbox_count_of.known,
	           (unsigned long long)i->mailbox_count_of.failed,
	           i->mailbox_count_of.brought && i->uidvalidity && !i->keeps_uids ? " (with new UIDs: it had messages)" : "");
}

void import_subscribe(struct import *i, struct span name)
{
	struct span target = import_target_name(i, name, NULL);
	if (!i->is_broken && is_there(i, target))
		say_name(i, "SUBSCRIBE", target, "");
}

int import_rights(struct import *i, struct span mailbox, struct span identifier, struct span letters)
{
	BUF_AUTO behind = {0};
	buf_add_char(&behind, ' ');
	imap_client_add_string(&behind, identifier);
	buf_printf(&behind, " %.*s", SPAN_ARG(letters));
	return i->is_broken ? -1 : say_name(i, "SETACL", mailbox, buf_cstr(&behind));
}

int import_read_rights(struct import *i, struct span mailbox, void (*each)(void *context, struct span response), void *context)
{
	return i->is_broken ? -1 : ask_name(i, "GETACL", mailbox, "", each, context);
}

/* ---- what has come before ---- */

void import_source(const char *kind, struct span mailbox, struct span key, unsigned char out[IMPORT_SOURCE_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	BUF_AUTO text = {0};
	buf_add_cstr(&text, kind);
	buf_add_char(&text, 0);
	buf_add(&text, mailbox);
	buf_add_char(&text, 0);
	buf_add(&text, key);
	if (EVP_Digest(text.ptr, text.len, digest, NULL, EVP_sha256(), NULL) != 1)
		die("import: no SHA-256");
	memcpy(out, digest, IMPORT_SOURCE_BYTES);
}

static void add_hex(struct buf *out, const unsigned char *source)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t n = 0; n < IMPORT_SOURCE_BYTES; n++) {
		buf_add_char(out, digits[source[n] >> 4]);
		buf_add_char(out, digits[source[n] & 15]);
	}
}

static void on_sources(void *context, struct span response)
{
	if (span_starts_with(response, SPAN("* X-SOURCES ")))
		buf_add(context, span_skip(response, 12));
}

int import_known(struct import *i, unsigned char (*sources)[IMPORT_SOURCE_BYTES], size_t count, bool *known)
{
	BUF_AUTO line = {0}, said = {0};
	if (i->is_broken)
		return -1;
	if (!count)
		return 0;
	import_flush(i); /* one command at a time */
	buf_add_cstr(&line, "X-SOURCES");
	for (size_t n = 0; n < count; n++) {
		buf_add_char(&line, ' ');
		add_hex(&line, sources[n]);
	}
	if (i->is_broken || imap_client_command(&i->session.client, buf_span(&line), on_sources, &said) || said.len != count) {
		lose(i);
		return -1;
	}
	for (size_t n = 0; n < count; n++) {
		known[n] = said.ptr[n] == '1';
		i->mailbox_count_of.known += known[n];
		i->total.known += known[n];
		i->seen += known[n];
	}
	import_progress(i);
	return 0;
}

/* ---- messages ---- */

int import_lines_write(struct import_lines *l, struct span bytes)
{
	while (bytes.len) {
		ssize_t end = span_chr(bytes, '\n');
		size_t before = end < 0 ? bytes.len : (size_t)end;
		bool has_cr = before ? bytes.ptr[before - 1] == '\r' : l->was_cr;
		l->was_cr = end < 0 && has_cr;
		if (before && l->sink(l->context, span_slice(bytes, 0, before)))
			return -1;
		if (end < 0)
			return 0;
		if (l->sink(l->context, has_cr ? SPAN("\n") : SPAN("\r\n")))
			return -1;
		l->was_cr = false;
		bytes = span_skip(bytes, before + 1);
	}
	return 0;
}

struct measure {
	uint64_t size, most; /* most: beyond it nothing more is looked at */
	bool has_nul;
	struct buf *whole; /* as far as IMPORT_GROUP_BYTES */
};

static int measure(void *context, struct span bytes)
{
	struct measure *m = context;
	m->size += bytes.len;
	m->has_nul |= bytes.len && memchr(bytes.ptr, 0, bytes.len);
	if (m->whole && m->size <= IMPORT_GROUP_BYTES)
		buf_add(m->whole, bytes);
	return m->size > m->most ? -1 : 0;
}

static void add_flags(const struct import_message *m, struct buf *out)
{
	struct span keywords = m->keywords, word;
	buf_add_cstr(out, " (");
	size_t start = out->len;
	imap_render_system_flags(m->flags, start, out);
	while ((word = span_next_word(&keywords)).len)
		if (imap_is_atom(word))
			imap_render_word(word, start, out);
	buf_add_char(out, ')');
}

/* All of APPEND's message but its bytes. */
static void add_head(const struct import *i, const struct import_message *m, const struct measure *size, struct buf *out)
{
	add_flags(m, out);
	buf_add_cstr(out, " \"");
	date_format_imap(m->date_s, 0, out);
	buf_add_cstr(out, "\" X-CARTEIRO (SOURCE ");
	add_hex(out, m->source);
	if (m->uid && i->keeps_uids)
		buf_printf(out, " UID %u", m->uid);
	if (m->unique_id.len) {
		buf_add_cstr(out, " UIDL ");
		imap_client_add_string(out, m->unique_id);
	}
	buf_printf(out, ") %s{%llu+}\r\n", size->has_nul ? "~" : "", (unsigned long long)size->size);
}

static void add_append(struct import *i, struct buf *out)
{
	imap_client_tag(&i->session.client, out);
	buf_add_cstr(out, "APPEND ");
	imap_client_add_string(out, buf_span(&i->mailbox));
}

/* How many UIDs "OK [APPENDUID 5 7:9,12] ..." names. */
static uint64_t count_uids(struct span text)
{
	uint64_t count = 0, first, last;
	ssize_t at = span_find(text, SPAN("[APPENDUID "));
	if (at < 0)
		return 0;
	struct span rest = span_skip(text, (size_t)at + 11);
	span_next_word(&rest);
	rest = span_next_word(&rest);
	ssize_t end = span_chr(rest, ']');
	rest = end < 0 ? rest : span_slice(rest, 0, (size_t)end);
	while (rest.len) {
		ssize_t comma = span_chr(rest, ',');
		struct span one = comma < 0 ? rest : span_slice(rest, 0, (size_t)comma);
		rest = span_skip(rest, one.len + 1);
		ssize_t colon = span_chr(one, ':');
		if (span_to_u64(colon < 0 ? one : span_slice(one, 0, (size_t)colon), UINT32_MAX, &first))
			return count;
		last = first;
		if (colon >= 0 && span_to_u64(span_skip(one, (size_t)colon + 1), UINT32_MAX, &last))
			return count;
		count += last >= first ? last - first + 1 : first - last + 1;
	}
	return count;
}

static void count_taken(struct import *i, size_t sent)
{
	uint64_t uids = count_uids(buf_span(&i->session.client.response));
	if (uids > sent)
		uids = sent;
	i->mailbox_count_of.brought += uids;
	i->total.brought += uids;
	i->mailbox_count_of.known += sent - uids; /* they came by another run meanwhile */
	i->total.known += sent - uids;
}

struct sending {
	struct import *import;
	uint64_t left; /* of what has been announced */
};

/* What has been announced comes, and no more. */
static int send_bytes(void *context, struct span bytes)
{
	struct sending *s = context;
	if (bytes.len > s->left)
		return -1;
	s->left -= bytes.len;
	return imap_client_write(&s->import->session.client, bytes);
}

/* Streamed: read once for its size, and once more. */
static void send_alone(struct import *i, const struct import_message *m, const struct measure *size)
{
	BUF_AUTO head = {0};
	struct error why = {0};
	struct sending sending = {i, size->size};
	add_append(i, &head);
	add_head(i, m, size, &head);
	if (imap_client_write(&i->session.client, buf_span(&head)))
		return lose(i);
	if (m->read(m, send_bytes, &sending, &why) || sending.left || imap_client_write(&i->session.client, SPAN("\r\n"))) {
		if (!i->session.client.is_lost)
			error_set(&i->session.client.why, 0, "%.*s changed while it was read", SPAN_ARG(m->label));
		return lose(i);
	}
	switch (imap_client_result(&i->session.client, NULL, NULL)) {
	case 0: count_taken(i, 1); break;
	case 1: import_failed(i, m->label, i->session.client.why.text); break;
	default: lose(i); break;
	}
}

static void send_singly(struct import *i, struct import_group *g)
{
	for (size_t n = 0; n < g->count && !i->is_broken; n++) {
		struct error why = {0};
		struct measure size = {.most = i->session.config.message_size_limit_bytes};
		if (g->messages[n]->read(g->messages[n], measure, &size, &why))
			import_failed(i, g->messages[n]->label, why.text);
		else
			send_alone(i, g->messages[n], &size);
	}
}

static void empty(struct import_group *g)
{
	buf_clear(&g->bytes);
	arena_free(&g->memory);
	g->count = 0;
}

/* Hears what became of the group that the server has. */
static void hear(struct import *i)
{
	struct import_group *g = &i->groups[!i->filling];
	if (!i->is_sent)
		return;
	i->is_sent = false;
	int result = i->is_broken ? -1 : imap_client_result(&i->session.client, NULL, NULL);
	if (result < 0)
		lose(i);
	else if (result == 0)
		count_taken(i, g->count);
	else if (g->count == 1)
		import_failed(i, g->messages[0]->label, i->session.client.why.text);
	else
		send_singly(i, g);
	empty(g);
}

/* Sends the group that is filled, when the one before is done: so UIDs stay in their order. */
static void send_group(struct import *i)
{
	struct import_group *g = &i->groups[i->filling];
	BUF_AUTO head = {0};
	hear(i);
	if (!g->count)
		return;
	i->filling = !i->filling;
	i->is_sent = true;
	add_append(i, &head);
	if (i->is_broken || imap_client_write(&i->session.client, buf_span(&head)) || imap_client_write(&i->session.client, buf_span(&g->bytes)) ||
	    imap_client_write(&i->session.client, SPAN("\r\n")))
		lose(i);
}

void import_flush(struct import *i)
{
	send_group(i);
	hear(i);
}

static struct import_message *copy(struct import_group *g, const struct import_message *m)
{
	struct import_message *own = arena_alloc(&g->memory, sizeof *own);
	*own = *m;
	own->unique_id = arena_dup(&g->memory, m->unique_id);
	own->keywords = arena_dup(&g->memory, m->keywords);
	own->label = arena_dup(&g->memory, m->label);
	return own;
}

void import_add(struct import *i, const struct import_message *m)
{
	BUF_AUTO whole = {0};
	struct error why = {0};
	struct measure size = {.whole = &whole, .most = i->session.config.message_size_limit_bytes};
	if (i->is_broken)
		return;
	i->seen++;
	import_progress(i);
	int bad = m->read(m, measure, &size, &why);
	if (bad || size.size == 0) {
		import_failed(i, m->label, size.size > size.most ? "it is larger than message_size_limit" : bad ? why.text : "it is empty");
		return;
	}
	if (size.size > IMPORT_GROUP_BYTES) {
		import_flush(i);
		if (!i->is_broken)
			send_alone(i, m, &size);
		return;
	}
	struct import_group *g = &i->groups[i->filling];
	if (g->count == IMPORT_GROUP_MESSAGES || (g->count && g->bytes.len + whole.len > IMPORT_GROUP_BYTES)) {
		send_group(i);
		g = &i->groups[i->filling];
	}
	g->messages[g->count++] = copy(g, m);
	add_head(i, m, &size, &g->bytes);
	buf_add(&g->bytes, buf_span(&whole));
}
