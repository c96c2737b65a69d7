/* `carteiro export`: every mailbox of an account, or one, read from the running server message by message and written in a form of others.
 *
 * Exit status: 0 only if every message is in its place; 1: some are not, each told with its reason; 75: broken off, to be run again. */
#include "cli/export.h"

#include "base/die.h"
#include "wire/imap_command.h"
#include "wire/imap_reply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FETCH_UIDS = 100 }; /* in one command */

int export_failed(struct export *e, struct span what, const char *why)
{
	fprintf(stderr, "carteiro: not written: %.*s: %.*s: %s\n", SPAN_ARG(e->mailbox), SPAN_ARG(what), why);
	e->failed++;
	e->total_failed++;
	return -1;
}

int export_write(int fd, struct span bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n < 0 && errno != EINTR)
			return -1;
		bytes = span_skip(bytes, n < 0 ? 0 : (size_t)n);
	}
	return 0;
}

int export_make_folder(struct export *e, const char *path)
{
	char part[PATH_MAX];
	for (size_t i = 0; i < strlen(path) && i + 1 < sizeof part; i++) {
		if (path[i + 1] != '/' && path[i + 1] != 0)
			continue;
		memcpy(part, path, i + 1);
		part[i + 1] = 0;
		if (mkdirat(e->root, part, 0700) && errno != EEXIST)
			return export_failed(e, span_cstr(path), strerror(errno));
	}
	return 0;
}

/* First under another name, then, when it is on the disk, in its place. */
int export_file(struct export *e, int folder, const char *name, struct span bytes)
{
	char hidden[PATH_MAX];
	snprintf(hidden, sizeof hidden, ".%s.new", name);
	int fd = openat(folder, hidden, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool is_good = fd >= 0 && export_write(fd, bytes) == 0 && fsync(fd) == 0 && renameat(folder, hidden, folder, name) == 0 && fsync(folder) == 0;
	int code = errno;
	if (fd >= 0)
		close(fd);
	return is_good ? 0 : export_failed(e, span_cstr(name), strerror(code));
}

static int lose(struct export *e)
{
	if (!e->is_broken)
		fprintf(stderr, "carteiro: the server went away (%s): run the same command again, it goes on where it has stopped\n", e->session.client.why.text);
	e->is_broken = true;
	return -1;
}

/* ---- what there is ---- */

static uint64_t keyword_bit(struct export *e, struct span word)
{
	unsigned k = 0;
	while (k < e->keyword_count && !span_equal_nocase(span_cstr(e->keywords[k]), word))
		k++;
	if (k == EXPORT_KEYWORDS_MOST)
		return 0;
	if (k == e->keyword_count)
		e->keywords[e->keyword_count++] = span_strdup(word);
	return (uint64_t)1 << k;
}

static void take_flags(struct export *e, struct span flags, struct export_message *m)
{
	struct span word;
	while ((word = span_next_word(&flags)).len) {
		m->flags |= imap_reply_system_flag(word);
		if (word.ptr[0] != '\\')
			m->keywords |= keyword_bit(e, word);
	}
}

static void on_row(void *context, struct span response)
{
	struct export *e = context;
	struct imap_reply_fetch f;
	if (!imap_reply_fetch(response, &f) || !f.uid || !f.has_size || !f.has_date)
		return;
	if (e->count == e->room) {
		e->room = e->room ? e->room * 2 : 256;
		e->messages = xrealloc_array(e->messages, e->room, sizeof *e->messages);
	}
	struct export_message *m = &e->messages[e->count++];
	*m = (struct export_message){.uid = f.uid, .date_s = f.date_s, .size = f.size};
	take_flags(e, f.flags, m);
}

static void on_opened(void *context, struct span response)
{
	struct export *e = context;
	imap_reply_code(response, "UIDVALIDITY", &e->uidvalidity);
	imap_reply_code(response, "UIDNEXT", &e->uidnext);
}

static int list_messages(struct export *e)
{
	BUF_AUTO line = {0};
	e->count = 0;
	e->uidvalidity = e->uidnext = 0;
	buf_add_cstr(&line, "EXAMINE ");
	imap_client_add_string(&line, e->mailbox);
	int result = imap_client_command(&e->session.client, buf_span(&line), on_opened, e);
	if (result == 0)
		result = imap_client_command(&e->session.client, SPAN("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)"), on_row, e);
	if (result > 0)
		return export_failed(e, SPAN("the mailbox"), e->session.client.why.text);
	return result ? lose(e) : 0;
}

/* ---- messages ---- */

struct export_message *export_find(struct export *e, uint32_t uid)
{
	size_t low = 0, high = e->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (e->messages[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < e->count && e->messages[low].uid == uid ? &e->messages[low] : NULL;
}

/* The bytes of the literal that the response ends in; a message that cannot be written is read all the same. */
static int take_message(struct export *e, const struct export_form *form, struct export_message *m, uint64_t size)
{
	struct imap_client *c = &e->session.client;
	uint64_t left = size;
	int bad = form->message_begin(e, m);
	while (left) {
		struct span bytes;
		if (imap_client_read(c, left, &bytes))
			return lose(e);
		left -= bytes.len;
		if (!bad)
			bad = form->message_bytes(e, bytes);
	}
	if (!bad && form->message_end(e, m) == 0) {
		m->is_there = true;
		e->written++;
		e->total_written++;
	}
	return imap_client_rest(c, 0, &left) ? lose(e) : 0;
}

static int fetch_some(struct export *e, const struct export_form *form, const struct buf *set)
{
	struct imap_client *c = &e->session.client;
	BUF_AUTO line = {0};
	char tag[16];
	imap_client_tag(c, &line);
	snprintf(tag, sizeof tag, "%s", buf_cstr(&line));
	buf_printf(&line, "UID FETCH %.*s (UID BODY.PEEK[])\r\n", SPAN_ARG(buf_span(set)));
	if (imap_client_write(c, buf_span(&line)))
		return lose(e);
	for (;;) {
		uint64_t literal;
		struct imap_reply_fetch f;
		if (imap_client_response(c, 0, &literal))
			return lose(e);
		struct span r = buf_span(&c->response);
		if (span_starts_with(r, span_cstr(tag)))
			return 0;
		struct export_message *m = imap_reply_fetch(r, &f) && f.has_literal ? export_find(e, f.uid) : NULL;
		if (literal && !m) {
			error_set(&c->why, 0, "a message that was not asked for");
			c->is_lost = true;
			return lose(e);
		}
		if (m && take_message(e, form, m, literal))
			return -1;
	}
}

static int fetch_all(struct export *e, const struct export_form *form)
{
	size_t at = 0;
	while (at < e->count && !e->is_broken) {
		BUF_AUTO set = {0};
		size_t wanted = 0;
		for (; at < e->count && wanted < FETCH_UIDS; at++)
			if (!e->messages[at].is_there) {
				buf_printf(&set, "%s%u", wanted ? "," : "", e->messages[at].uid);
				wanted++;
			}
		if (wanted && fetch_some(e, form, &set))
			return -1;
	}
	return 0;
}

static void write_mailbox(struct export *e, const struct export_form *form, struct span name)
{
	e->mailbox = name;
	e->written = e->there = e->failed = 0;
	int bad = list_messages(e) ? -1 : form->begin(e);
	for (size_t n = 0; bad >= 0 && n < e->count; n++)
		e->there += e->messages[n].is_there;
	if (bad == 0 && fetch_all(e, form) == 0)
		form->end(e);
	if (bad >= 0) {
		e->total_there += e->there;
		printf("%.*s: %llu written, %llu there already, %llu not written\n", SPAN_ARG(name), (unsigned long long)e->written,
		       (unsigned long long)e->there, (unsigned long long)e->failed);
	}
	while (e->keyword_count)
		free(e->keywords[--e->keyword_count]);
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

static bool is_mailbox(const struct account_session *s, size_t n)
{
	if (strcasestr(s->mailboxes[n].attributes, " \\Noselect ") || strcasestr(s->mailboxes[n].attributes, " \\NonExistent "))
		return false;
	for (size_t before = 0; before < n; before++) /* those of a special use are listed twice */
		if (strcmp(s->mailboxes[before].name, s->mailboxes[n].name) == 0)
			return false;
	return true;
}

static int run(struct export *e, const struct export_form *form, const char *only)
{
	BUF_AUTO subscriptions = {0};
	bool is_found = false;
	for (size_t n = 0; n < e->session.mailbox_count && !e->is_broken; n++)
		if (is_mailbox(&e->session, n) && (!only || strcmp(only, e->session.mailboxes[n].name) == 0)) {
			is_found = true;
			write_mailbox(e, form, span_cstr(e->session.mailboxes[n].name));
		}
	if (only && !is_found) {
		fprintf(stderr, "carteiro: there is no mailbox %s\n", only);
		return 66;
	}
	if (!e->is_broken && !only && imap_client_command(&e->session.client, SPAN("LSUB \"\" \"*\""), on_subscribed, &subscriptions) == 0)
		form->finish(e, &subscriptions);
	printf("%llu written, %llu there already, %llu not written\n", (unsigned long long)e->total_written, (unsigned long long)e->total_there,
	       (unsigned long long)e->total_failed);
	return e->is_broken ? EXIT_EXPORT_BROKEN : e->total_failed ? EXIT_NOT_ALL_EXPORTED : 0;
}

int cli_export(const struct cli *c)
{
	struct export e = {.root = -1};
	bool is_maildir = c->count > 1 && strcmp(c->words[1], "maildir") == 0, is_mbox = c->count > 1 && strcmp(c->words[1], "mbox") == 0;
	if ((c->count != 4 && c->count != 5) || (!is_maildir && !is_mbox)) {
		fputs("carteiro export maildir|mbox ADDRESS FOLDER [MAILBOX]\n", stderr);
		return 64;
	}
	int code = account_session_open(&e.session, c->config_file, c->words[2]);
	if (code == 0 && mkdir(c->words[3], 0700) && errno != EEXIST)
		code = EXIT_NO_OUTPUT;
	if (code == 0 && (e.root = open(c->words[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		code = EXIT_NO_OUTPUT;
	if (code == EXIT_NO_OUTPUT)
		fprintf(stderr, "carteiro: cannot write to %s: %s\n", c->words[3], strerror(errno));
	if (code == 0)
		code = run(&e, is_maildir ? &export_maildir : &export_mbox, c->count == 5 ? c->words[4] : NULL);
	if (e.root >= 0)
		close(e.root);
	account_session_close(&e.session);
	free(e.messages);
	return code;
}
