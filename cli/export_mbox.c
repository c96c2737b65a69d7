/* mbox files as Dovecot and UW imapd read them: From_ lines, bodies quoted (mboxrd), flags and UIDs in fields that servers keep there. A file
 * is whole or not there; one that is there is not written again. */
#include "cli/export.h"
#include "wire/imap_command.h"
#include "wire/imap_utf7.h"
#include "wire/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_children(const struct export *e)
{
	for (size_t n = 0; n < e->session.mailbox_count; n++) {
		struct span name = span_cstr(e->session.mailboxes[n].name);
		if (span_starts_with(name, e->mailbox) && name.len > e->mailbox.len && name.ptr[e->mailbox.len] == '/')
			return true;
	}
	return false;
}

/* A file cannot be a folder too: of a mailbox that has others below it, the messages are in NAME.mbox beside the folder. */
static int make_name(struct export *e)
{
	BUF_AUTO path = {0};
	imap_utf7_encode(e->mailbox, &path);
	if (has_children(e))
		buf_add_cstr(&path, ".mbox");
	ssize_t slash = span_rchr(buf_span(&path), '/');
	if (path.len + 10 > sizeof e->at.name || path.ptr[0] == '.' || path.ptr[0] == '/' || span_find(buf_span(&path), SPAN("/.")) >= 0)
		return export_failed(e, SPAN("the mailbox"), "no file may have its name");
	snprintf(e->at.name, sizeof e->at.name, "%s", buf_cstr(&path));
	snprintf(e->at.hidden, sizeof e->at.hidden, "%.*s.%s.new", slash < 0 ? 0 : (int)slash + 1, e->at.name, e->at.name + slash + 1);
	if (slash < 0)
		return 0;
	path.len = (size_t)slash;
	return export_make_folder(e, buf_cstr(&path));
}

static int begin(struct export *e)
{
	struct stat status;
	if (make_name(e))
		return -1;
	if (fstatat(e->root, e->at.name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
		for (size_t n = 0; n < e->count; n++)
			e->messages[n].is_there = true;
		return 1;
	}
	e->at.has_first = false;
	e->at.file = openat(e->root, e->at.hidden, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	return e->at.file < 0 ? export_failed(e, span_cstr(e->at.hidden), strerror(errno)) : 0;
}

static int put(struct export *e, struct span bytes)
{
	return export_write(e->at.file, bytes) ? export_failed(e, span_cstr(e->at.name), strerror(errno)) : 0;
}

static int message_begin(struct export *e, const struct export_message *m)
{
	BUF_AUTO head = {0};
	mbox_from_write(m->date_s, &head);
	if (!e->at.has_first) {
		buf_printf(&head, "X-IMAPbase: %u %u", e->uidvalidity, e->uidnext - 1);
		for (unsigned k = 0; k < e->keyword_count; k++)
			buf_printf(&head, " %s", e->keywords[k]);
		buf_add_char(&head, '\n');
	}
	e->at.has_first = true;
	buf_printf(&head, "X-UID: %u\nStatus: %sO\n", m->uid, m->flags & IMAP_FLAG_SEEN ? "R" : "");
	buf_printf(&head, "X-Status: %s%s%s%s\n", m->flags & IMAP_FLAG_ANSWERED ? "A" : "", m->flags & IMAP_FLAG_FLAGGED ? "F" : "",
	           m->flags & IMAP_FLAG_DRAFT ? "T" : "", m->flags & IMAP_FLAG_DELETED ? "D" : "");
	if (m->keywords)
		buf_add_cstr(&head, "X-Keywords:");
	for (unsigned k = 0; k < e->keyword_count; k++)
		if (m->keywords >> k & 1)
			buf_printf(&head, " %s", e->keywords[k]);
	if (m->keywords)
		buf_add_char(&head, '\n');
	e->at.writer = (struct mbox_writer){0};
	return put(e, buf_span(&head));
}

static int message_bytes(struct export *e, struct span bytes)
{
	BUF_AUTO out = {0};
	mbox_write(&e->at.writer, bytes, &out);
	return put(e, buf_span(&out));
}

static int message_end(struct export *e, const struct export_message *m)
{
	BUF_AUTO out = {0};
	(void)m;
	mbox_write_end(&e->at.writer, &out);
	return put(e, buf_span(&out));
}

static int end(struct export *e)
{
	bool is_good = !e->failed && fsync(e->at.file) == 0 && renameat(e->root, e->at.hidden, e->root, e->at.name) == 0 && fsync(e->root) == 0;
	int code = errno;
	close(e->at.file);
	if (is_good)
		return 0;
	unlinkat(e->root, e->at.hidden, 0);
	return e->failed ? -1 : export_failed(e, span_cstr(e->at.name), strerror(code));
}

static int finish(struct export *e, const struct buf *subscriptions)
{
	e->mailbox = SPAN("all");
	return export_file(e, e->root, ".subscriptions", buf_span(subscriptions));
}

const struct export_form export_mbox = {begin, message_begin, message_bytes, message_end, end, finish};
