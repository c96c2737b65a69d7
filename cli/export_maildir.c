/* Maildir++ as Dovecot reads it: names that tell dates, UIDs and flags, dovecot-uidlist, dovecot-keywords, subscriptions. A file's unique part
 * has UIDVALIDITY and UID, so that a second run finds what is there. */
#include "cli/export.h"
#include "wire/imap_command.h"
#include "wire/maildir.h"

#include "base/die.h"
#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_BYTES = 200 };

static uint32_t letters_of(const struct export_message *m)
{
	return (uint32_t)(m->keywords & ((1u << MAILDIR_LETTERS) - 1));
}

static void add_info(const struct export *e, const struct export_message *m, struct buf *name)
{
	bool is_forwarded = false;
	for (unsigned k = 0; k < e->keyword_count; k++)
		is_forwarded |= (m->keywords >> k & 1) && strcasecmp(e->keywords[k], "$Forwarded") == 0;
	maildir_flags_write(m->flags, is_forwarded, letters_of(m), name);
}

/* Flags that have changed here since change the name. */
static void take_name(struct export *e, int cur, const char *name)
{
	struct maildir_name parsed;
	long long date_s;
	unsigned uidvalidity, uid;
	BUF_AUTO wanted = {0};
	if (!maildir_name_parse(span_cstr(name), &parsed) || sscanf(name, "%lld.V%uU%u.", &date_s, &uidvalidity, &uid) != 3 || uidvalidity != e->uidvalidity)
		return;
	struct export_message *m = export_find(e, uid);
	if (!m)
		return;
	buf_add(&wanted, parsed.base);
	add_info(e, m, &wanted);
	if (strcmp(name, buf_cstr(&wanted)) != 0 && renameat(cur, name, cur, buf_cstr(&wanted)))
		return;
	m->is_there = true;
	e->at.names[m - e->messages] = span_strdup(buf_span(&wanted));
}

static int begin(struct export *e)
{
	BUF_AUTO path = {0};
	bool is_inbox = span_equal(e->mailbox, SPAN("INBOX"));
	buf_add_char(&path, '.');
	if (!is_inbox && maildir_folder_write(e->mailbox, &path))
		return export_failed(e, SPAN("the mailbox"), "a Maildir has no name for a level with a dot in it");
	for (size_t i = 0; i < 3; i++) {
		static const char *const below[] = {"cur", "new", "tmp"};
		BUF_AUTO folder = {0};
		buf_printf(&folder, "%s/%s", buf_cstr(&path), below[i]);
		if (export_make_folder(e, buf_cstr(&folder)))
			return -1;
	}
	e->at.folder = openat(e->root, buf_cstr(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int cur = e->at.folder < 0 ? -1 : openat(e->at.folder, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = cur < 0 ? NULL : fdopendir(cur);
	struct dirent *one;
	if (!names)
		return export_failed(e, SPAN("the mailbox"), strerror(errno));
	e->at.names = xcalloc(e->count + 1, sizeof *e->at.names);
	while ((one = readdir(names)))
		take_name(e, cur, one->d_name);
	closedir(names);
	return 0;
}

static int message_begin(struct export *e, const struct export_message *m)
{
	char name[NAME_BYTES], number[16];
	snprintf(name, sizeof name, "tmp/V%uU%u.carteiro", e->uidvalidity, m->uid);
	snprintf(number, sizeof number, "UID %u", m->uid);
	e->at.was_cr = false;
	e->at.size = 0;
	e->at.file = openat(e->at.folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	return e->at.file < 0 ? export_failed(e, span_cstr(number), strerror(errno)) : 0;
}

/* As all programs write Maildirs: lines end in LF. */
static int message_bytes(struct export *e, struct span bytes)
{
	BUF_AUTO out = {0};
	for (size_t i = 0; i < bytes.len; i++) {
		char c = bytes.ptr[i];
		if (e->at.was_cr && c != '\n')
			buf_add_char(&out, '\r');
		e->at.was_cr = c == '\r';
		if (!e->at.was_cr)
			buf_add_char(&out, c);
	}
	e->at.size += out.len;
	return export_write(e->at.file, buf_span(&out)) ? export_failed(e, SPAN("a message"), strerror(errno)) : 0;
}

static int message_end(struct export *e, const struct export_message *m)
{
	char from[NAME_BYTES];
	BUF_AUTO name = {0}, path = {0};
	struct timespec times[2] = {{.tv_sec = m->date_s}, {.tv_sec = m->date_s}};
	if (e->at.was_cr && export_write(e->at.file, SPAN("\r")))
		return export_failed(e, SPAN("a message"), strerror(errno));
	e->at.size += e->at.was_cr;
	snprintf(from, sizeof from, "tmp/V%uU%u.carteiro", e->uidvalidity, m->uid);
	buf_printf(&name, "%lld.V%uU%u.carteiro,S=%llu,W=%llu", (long long)m->date_s, e->uidvalidity, m->uid, (unsigned long long)e->at.size,
	           (unsigned long long)m->size);
	add_info(e, m, &name);
	buf_printf(&path, "cur/%s", buf_cstr(&name));
	bool is_good = futimens(e->at.file, times) == 0 && fsync(e->at.file) == 0 && renameat(e->at.folder, from, e->at.folder, buf_cstr(&path)) == 0;
	int code = errno;
	close(e->at.file);
	e->at.file = -1;
	if (!is_good)
		return export_failed(e, buf_span(&name), strerror(code));
	e->at.names[m - e->messages] = span_strdup(buf_span(&name));
	return 0;
}

static int end(struct export *e)
{
	BUF_AUTO uids = {0}, keywords = {0};
	buf_printf(&uids, "3 V%u N%u G%016llx%016llx\n", e->uidvalidity, e->uidnext, (unsigned long long)random_u64(), (unsigned long long)random_u64());
	for (size_t n = 0; n < e->count; n++)
		if (e->at.names[n])
			buf_printf(&uids, "%u :%s\n", e->messages[n].uid, e->at.names[n]);
	for (unsigned k = 0; k < e->keyword_count; k++)
		if (k < MAILDIR_LETTERS)
			buf_printf(&keywords, "%u %s\n", k, e->keywords[k]);
	if (e->keyword_count > MAILDIR_LETTERS)
		printf("%.*s: of %u keywords, a Maildir keeps %d\n", SPAN_ARG(e->mailbox), e->keyword_count, MAILDIR_LETTERS);
	int cur = openat(e->at.folder, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int bad = cur < 0 || fsync(cur) ? export_failed(e, SPAN("cur"), strerror(errno)) : 0;
	if (cur >= 0)
		close(cur);
	if (!bad)
		bad = export_file(e, e->at.folder, "dovecot-keywords", buf_span(&keywords));
	if (!bad)
		bad = export_file(e, e->at.folder, "dovecot-uidlist", buf_span(&uids));
	if (!bad && !span_equal(e->mailbox, SPAN("INBOX")))
		bad = export_file(e, e->at.folder, "maildirfolder", SPAN(""));
	for (size_t n = 0; n < e->count; n++)
		free(e->at.names[n]);
	free(e->at.names);
	e->at.names = NULL;
	close(e->at.folder);
	return bad;
}

static int finish(struct export *e, const struct buf *subscriptions)
{
	BUF_AUTO text = {0};
	buf_add_cstr(&text, "V\t2\n\n");
	for (size_t i = 0; i < subscriptions->len; i++)
		buf_add_char(&text, subscriptions->ptr[i] == '/' ? '\t' : subscriptions->ptr[i]);
	e->mailbox = SPAN("all");
	return export_file(e, e->root, "subscriptions", buf_span(&text));
}

const struct export_form export_maildir = {begin, message_begin, message_bytes, message_end, end, finish};
