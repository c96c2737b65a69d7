/* All mailboxes of another IMAP server, or those that are named. Messages are known by the server, the mailbox, its UIDVALIDITY and their UID;
 * what has come is not fetched again. Each is read into a file without a name first, since two servers keep no common pace.
 *
 * Gmail shows its labels as mailboxes: a message comes into each, as mail programs show it there. "All Mail" has every message once more: of
 * it come those that have no label, into Archive; "Important" and "Starred" are views, and a star is \Flagged already. */
#include "cli/import_imap.h"

#include "base/die.h"
#include "wire/imap_command.h"
#include "wire/imap_reply.h"
#include "wire/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WINDOW = 1000, FETCH_UIDS = 50, READ_BYTES = 64 * 1024 };
static const uint64_t spool_most = 64 * 1024 * 1024;

struct listed {
	struct buf raw, name; /* as the server calls it; as it is called here, or empty */
	char separator;
	const char *use;      /* "\\Sent"; NULL: none */
	bool is_mailbox, is_all, is_view;
};

struct remote {
	uint32_t uid;
	uint8_t flags;
	struct span keywords;
	int64_t date_s;
	uint64_t size;
	unsigned char source[IMPORT_SOURCE_BYTES];
	bool is_wanted, has_come;
};

struct walk {
	struct import *import;
	struct imap_source source;
	struct listed *list;
	size_t count;
	bool is_gmail;
	const struct listed *at; /* the mailbox at hand */
	uint32_t uidvalidity, uidnext;
	uint64_t exists, next;   /* next: number of the first message of the next window */
	struct arena memory;
	struct remote *window;
	size_t window_count;
	int spool;
	uint64_t spooled;
};

static void lose(struct walk *w)
{
	struct import *i = w->import;
	if (!i->is_broken)
		fprintf(stderr, "%scarteiro: %s went away (%s): run the same command again, it goes on where it has stopped\n", i->is_terminal ? "\r\033[K" : "",
		        w->source.host, w->source.client.why.text);
	i->is_broken = true;
}

/* ---- mailboxes ---- */

static void on_list(void *context, struct span response)
{
	static const char *const uses[] = {"\\Sent", "\\Drafts", "\\Junk", "\\Trash", "\\Archive"};
	struct walk *w = context;
	struct imap_reply_list l = {0};
	if (imap_reply_list(response, &l) && w->count < IMPORT_MAILBOXES_MOST) {
		w->list = xrealloc_array(w->list, w->count + 1, sizeof *w->list);
		struct listed *one = &w->list[w->count++];
		*one = (struct listed){.separator = l.separator, .is_mailbox = !imap_reply_has(&l, "\\Noselect") && !imap_reply_has(&l, "\\NonExistent")};
		buf_add(&one->raw, buf_span(&l.name));
		for (size_t n = 0; n < sizeof uses / sizeof uses[0]; n++)
			if (imap_reply_has(&l, uses[n]))
				one->use = uses[n];
		one->is_all = imap_reply_has(&l, "\\All") || imap_reply_has(&l, "\\AllMail");
		one->is_view = imap_reply_has(&l, "\\Important") || imap_reply_has(&l, "\\Flagged") || imap_reply_has(&l, "\\Starred");
	}
	imap_reply_list_free(&l);
}

static bool is_inbox(struct span name)
{
	return span_equal_nocase(name, SPAN("INBOX"));
}

/* Courier and Cyrus have all mailboxes below INBOX. */
static bool are_all_below_inbox(const struct walk *w)
{
	size_t others = 0;
	for (size_t n = 0; n < w->count; n++) {
		struct span name = buf_span(&w->list[n].raw);
		if (is_inbox(name))
			continue;
		if (name.len < 7 || !is_inbox(span_slice(name, 0, 5)) || name.ptr[5] != w->list[n].separator)
			return false;
		others++;
	}
	return others > 0;
}

static int name_of(struct span raw, char separator, bool is_below_inbox, struct buf *out)
{
	buf_clear(out);
	if (is_inbox(raw)) {
		buf_add_cstr(out, "INBOX");
		return 0;
	}
	return maildir_folder_name(is_below_inbox ? span_skip(raw, 6) : raw, separator ? separator : '\x01', out);
}

static int list(struct walk *w)
{
	bool is_extended = imap_source_can(&w->source, "SPECIAL-USE") && imap_source_can(&w->source, "LIST-EXTENDED");
	if (imap_client_command(&w->source.client, is_extended ? SPAN("LIST \"\" \"*\" RETURN (SPECIAL-USE)") : SPAN("LIST \"\" \"*\""), on_list, w)) {
		lose(w);
		return -1;
	}
	bool is_below_inbox = are_all_below_inbox(w);
	for (size_t n = 0; n < w->count; n++)
		if (name_of(buf_span(&w->list[n].raw), w->list[n].separator, is_below_inbox, &w->list[n].name)) {
			import_failed(w->import, buf_span(&w->list[n].raw), "its name is neither modified UTF-7 nor UTF-8");
			w->list[n].is_mailbox = false;
		}
	return 0;
}

static bool is_wanted(const struct walk *w, const struct listed *l)
{
	for (int n = 0; n < w->source.mailbox_count; n++)
		if (span_equal(span_cstr(w->source.mailboxes[n]), buf_span(&l->name)))
			return true;
	return w->source.mailbox_count == 0 && !(w->is_gmail && l->is_view);
}

/* ---- a window of messages ---- */

static void take_flags(struct walk *w, struct span flags, struct remote *r)
{
	struct span word;
	BUF_AUTO keywords = {0};
	while ((word = span_next_word(&flags)).len) {
		r->flags |= imap_reply_system_flag(word);
		if (word.ptr[0] != '\\')
			buf_printf(&keywords, " %.*s", SPAN_ARG(word));
	}
	r->keywords = arena_dup(&w->memory, buf_span(&keywords));
}

static void add_source(struct walk *w, struct remote *r)
{
	BUF_AUTO key = {0}, mailbox = {0};
	buf_printf(&key, "%u:%u", w->uidvalidity, r->uid);
	buf_printf(&mailbox, "%s/%s/%.*s", w->source.host, w->source.user, SPAN_ARG(buf_span(&w->at->raw)));
	import_source("imap", buf_span(&mailbox), buf_span(&key), r->source);
}

/* A message that goes meanwhile moves those behind it: the next window begins earlier then. */
static void on_expunge(struct walk *w, struct span response)
{
	uint64_t number;
	struct span rest = span_skip(response, 2), word = span_next_word(&rest);
	if (!span_starts_with(response, SPAN("* ")) || !span_equal_nocase(span_trim(rest), SPAN("EXPUNGE")) || span_to_u64(word, UINT32_MAX, &number))
		return;
	w->exists -= w->exists > 0;
	w->next -= number < w->next && w->next > 1;
}

static void on_row(void *context, struct span response)
{
	struct walk *w = context;
	struct imap_reply_fetch f;
	on_expunge(w, response);
	if (!imap_reply_fetch(response, &f) || !f.uid || !f.has_size || w->window_count == WINDOW)
		return;
	struct remote *r = &w->window[w->window_count++];
	*r = (struct remote){.uid = f.uid, .size = f.size, .date_s = f.date_s};
	take_flags(w, f.flags, r);
	add_source(w, r);
	r->is_wanted = !w->at->is_all || !w->is_gmail || (f.has_labels && span_trim(f.labels).len == 0);
}

static void on_opened(void *context, struct span response)
{
	struct walk *w = context;
	struct span rest = span_skip(response, 2), word = span_next_word(&rest);
	imap_reply_code(response, "UIDVALIDITY", &w->uidvalidity);
	imap_reply_code(response, "UIDNEXT", &w->uidnext);
	if (span_starts_with(response, SPAN("* ")) && span_equal_nocase(span_trim(rest), SPAN("EXISTS")))
		span_to_u64(word, UINT32_MAX, &w->exists);
}

/* ---- their bytes ---- */

static int read_message(const struct import_message *m, import_sink_fn *sink, void *context, struct error *why)
{
	const struct walk *w = m->of;
	struct import_lines lines = {.sink = sink, .context = context};
	char bytes[READ_BYTES];
	for (uint64_t at = 0; at < m->length;) {
		ssize_t n = pread(w->spool, bytes, m->length - at < sizeof bytes ? (size_t)(m->length - at) : sizeof bytes, (off_t)(m->offset + at));
		if (n <= 0)
			return error_set(why, errno, "cannot read the file without a name: %s", strerror(errno));
		if (import_lines_write(&lines, span_of(bytes, (size_t)n)))
			return -1;
		at += (uint64_t)n;
	}
	return 0;
}

/* The literal that the response ends in, and what follows. */
static int spool(struct walk *w, uint64_t size, int *fault)
{
	struct imap_client *c = &w->source.client;
	uint64_t left = size, literal;
	*fault = 0;
	while (left) {
		struct span bytes;
		if (imap_client_read(c, left, &bytes)) {
			lose(w);
			return -1;
		}
		left -= bytes.len;
		if (!*fault && pwrite(w->spool, bytes.ptr, bytes.len, (off_t)w->spooled) != (ssize_t)bytes.len)
			*fault = errno ? errno : EIO;
		w->spooled += bytes.len;
	}
	if (imap_client_rest(c, 0, &literal) == 0)
		return 0;
	lose(w);
	return -1;
}

static struct remote *find(struct walk *w, uint32_t uid)
{
	for (size_t n = 0; n < w->window_count; n++)
		if (w->window[n].uid == uid && w->window[n].is_wanted && !w->window[n].has_come)
			return &w->window[n];
	return NULL;
}

static int take_message(struct walk *w, struct remote *r, uint64_t size)
{
	char label[24];
	int fault;
	uint64_t offset = w->spooled;
	snprintf(label, sizeof label, "UID %u", r->uid);
	if (spool(w, size, &fault))
		return -1;
	r->has_come = true;
	if (fault) {
		import_failed(w->import, span_cstr(label), strerror(fault));
		return 0;
	}
	struct import_message m = {.uid = r->uid, .flags = r->flags, .keywords = r->keywords, .date_s = r->date_s, .label = span_cstr(label),
	                           .read = read_message, .of = w, .offset = offset, .length = size};
	memcpy(m.source, r->source, sizeof m.source);
	import_add(w->import, &m);
	if (w->spooled > spool_most) {
		import_flush(w->import);
		w->spooled = ftruncate(w->spool, 0) ? w->spooled : 0;
	}
	return 0;
}

static int fetch_set(struct walk *w, const struct buf *set)
{
	struct imap_client *c = &w->source.client;
	BUF_AUTO line = {0};
	char tag[16];
	imap_client_tag(c, &line);
	snprintf(tag, sizeof tag, "%s", buf_cstr(&line));
	buf_printf(&line, "UID FETCH %.*s (UID BODY.PEEK[])\r\n", SPAN_ARG(buf_span(set)));
	if (imap_client_write(c, buf_span(&line))) {
		lose(w);
		return -1;
	}
	while (!w->import->is_broken) {
		uint64_t literal;
		struct imap_reply_fetch f;
		int fault;
		if (imap_client_response(c, 0, &literal)) {
			lose(w);
			return -1;
		}
		struct span r = buf_span(&c->response);
		if (span_starts_with(r, span_cstr(tag)))
			return 0;
		on_expunge(w, r);
		struct remote *one = literal && imap_reply_fetch(r, &f) && f.has_literal ? find(w, f.uid) : NULL;
		if (one ? take_message(w, one, literal) : literal && spool(w, literal, &fault))
			return -1;
	}
	return -1;
}

static void fetch_window(struct walk *w)
{
	for (size_t at = 0; at < w->window_count && !w->import->is_broken;) {
		BUF_AUTO set = {0};
		size_t first = at, wanted = 0;
		for (; at < w->window_count && wanted < FETCH_UIDS; at++)
			if (w->window[at].is_wanted)
				buf_printf(&set, "%s%u", wanted++ ? "," : "", w->window[at].uid);
		if (wanted && fetch_set(w, &set))
			return;
		for (size_t n = first; n < at; n++) {
			char label[24];
			snprintf(label, sizeof label, "UID %u", w->window[n].uid);
			if (w->window[n].is_wanted && !w->window[n].has_come)
				import_failed(w->import, span_cstr(label), "the server did not give it");
		}
	}
}

static void choose(struct walk *w)
{
	unsigned char sources[WINDOW][IMPORT_SOURCE_BYTES];
	bool known[WINDOW];
	size_t which[WINDOW], asked = 0;
	for (size_t n = 0; n < w->window_count; n++)
		if (w->window[n].is_wanted) {
			memcpy(sources[asked], w->window[n].source, IMPORT_SOURCE_BYTES);
			which[asked++] = n;
		}
	if (import_known(w->import, sources, asked, known))
		return;
	for (size_t n = 0; n < asked; n++) {
		struct remote *r = &w->window[which[n]];
		char label[24];
		snprintf(label, sizeof label, "UID %u", r->uid);
		r->is_wanted = !known[n];
		if (r->is_wanted && r->size > w->import->session.config.message_size_limit_bytes) {
			import_failed(w->import, span_cstr(label), "it is larger than message_size_limit");
			r->is_wanted = false;
		}
	}
	fetch_window(w);
}

static void take_mailbox(struct walk *w, const struct listed *l)
{
	struct imap_client *c = &w->source.client;
	BUF_AUTO line = {0};
	bool is_archive = w->is_gmail && l->is_all;
	w->at = l;
	w->uidvalidity = w->uidnext = 0;
	w->exists = 0;
	w->next = 1;
	buf_add_cstr(&line, "EXAMINE ");
	imap_client_add_string(&line, buf_span(&l->raw));
	int result = imap_client_command(c, buf_span(&line), on_opened, w);
	if (result < 0)
		return lose(w);
	if (result > 0)
		return import_failed(w->import, buf_span(&l->name), c->why.text);
	if (import_mailbox(w->import, buf_span(&l->name), is_archive ? "\\Archive" : l->use, w->uidvalidity, w->exists))
		return;
	while (w->next <= w->exists && !w->import->is_broken) {
		char command[160];
		snprintf(command, sizeof command, "FETCH %llu:%llu (UID FLAGS INTERNALDATE RFC822.SIZE%s)", (unsigned long long)w->next,
		         (unsigned long long)(w->exists - w->next < WINDOW ? w->exists : w->next + WINDOW - 1), w->is_gmail ? " X-GM-LABELS" : "");
		w->window_count = 0;
		uint64_t first = w->next;
		w->next = w->exists - first < WINDOW ? w->exists + 1 : first + WINDOW;
		result = imap_client_command(c, span_cstr(command), on_row, w);
		if (result < 0)
			return lose(w);
		if (result > 0)
			import_failed(w->import, span_cstr(command), c->why.text);
		choose(w);
		import_flush(w->import);
		arena_free(&w->memory);
		w->spooled = ftruncate(w->spool, 0) ? w->spooled : 0;
	}
	import_mailbox_end(w->import, w->uidnext);
	import_acl(w->import, &w->source, buf_span(&l->raw), buf_span(&w->import->mailbox));
}

/* ---- all of it ---- */

static void on_subscribed(void *context, struct span response)
{
	struct imap_reply_list l = {0};
	if (imap_reply_list(response, &l)) {
		buf_add(context, buf_span(&l.name));
		buf_add_char(context, '\n');
	}
	imap_reply_list_free(&l);
}

static void subscribe(struct walk *w)
{
	BUF_AUTO names = {0};
	struct span rest, line;
	if (w->import->is_broken || imap_client_command(&w->source.client, SPAN("LSUB \"\" \"*\""), on_subscribed, &names))
		return;
	rest = buf_span(&names);
	while (maildir_next_line(&rest, &line))
		for (size_t n = 0; n < w->count; n++)
			if (w->list[n].is_mailbox && is_wanted(w, &w->list[n]) && span_equal(buf_span(&w->list[n].raw), line))
				import_subscribe(w->import, buf_span(&w->list[n].name));
}

static void take_all(struct walk *w)
{
	int found = 0;
	for (size_t n = 0; n < w->count && !w->import->is_broken; n++)
		if (w->list[n].is_mailbox && is_wanted(w, &w->list[n])) {
			found++;
			take_mailbox(w, &w->list[n]);
		}
	if (found < w->source.mailbox_count)
		import_failed(w->import, SPAN("a mailbox that was named"), "the server has none of that name");
	subscribe(w);
}

int import_imap(struct import *i, const char **words, int count)
{
	struct walk w = {.import = i, .spool = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
	if (!imap_source_options(&w.source, words, count, buf_cstr(&i->session.user)))
		return EXIT_IMPORT_USAGE;
	if (w.spool < 0) {
		fprintf(stderr, "carteiro: cannot make a file in /tmp: %s\n", strerror(errno));
		return EXIT_NO_INPUT;
	}
	w.window = xcalloc(WINDOW, sizeof *w.window);
	int code = imap_source_open(&w.source, i->session.config.tls_authorities);
	w.is_gmail = code == 0 && imap_source_can(&w.source, "X-GM-EXT-1");
	if (code == 0 && list(&w) == 0)
		take_all(&w);
	if (code == 0 && !w.source.client.is_lost)
		imap_client_command(&w.source.client, SPAN("LOGOUT"), NULL, NULL);
	imap_client_close(&w.source.client);
	buf_free(&w.source.capabilities);
	for (size_t n = 0; n < w.count; n++) {
		buf_free(&w.list[n].raw);
		buf_free(&w.list[n].name);
	}
	free(w.list);
	free(w.window);
	arena_free(&w.memory);
	close(w.spool);
	return code;
}
