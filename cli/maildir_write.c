/* Maildirs: see maildir_write.h. */
#include "cli/maildir_write.h"

#include "ipc/terms.h"
#include "wire/imap_utf7.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_NAME_MOST = 200, KEYWORD_LETTERS = 26 };

static int make(const char *path, struct error *why)
{
	return mkdir(path, 0700) && errno != EEXIST ? error_set(why, errno, "cannot make %s: %s", path, strerror(errno)) : 0;
}

/* "a/b.c" is ".a.b&AC4-c", in modified UTF-7 as IMAP has it. One that no file may be called as is cut, and gets its number. */
static void add_folder_name(struct buf *folder, struct span mailbox, uint32_t id)
{
	BUF_AUTO encoded = {0}, name = {0};
	imap_utf7_encode(mailbox, &encoded);
	for (size_t i = 0; i < encoded.len; i++) {
		if (encoded.ptr[i] == '.')
			buf_add_cstr(&name, "&AC4-");
		else
			buf_add_char(&name, encoded.ptr[i] == '/' ? '.' : encoded.ptr[i]);
	}
	if (name.len > FOLDER_NAME_MOST) {
		name.len = FOLDER_NAME_MOST;
		buf_printf(&name, "-%u", id);
	}
	buf_printf(folder, "/.%.*s", SPAN_ARG(buf_span(&name)));
}

int maildir_make(const char *path, struct span mailbox, uint32_t id, struct buf *folder, struct error *why)
{
	static const char *const parts[] = {"cur", "new", "tmp"};
	bool is_inbox = span_equal(mailbox, SPAN("INBOX"));
	buf_add_cstr(folder, path);
	if (!is_inbox)
		add_folder_name(folder, mailbox, id);
	if (make(path, why) || make(buf_cstr(folder), why))
		return -1;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		BUF_AUTO part = {0};
		buf_printf(&part, "%s/%s", buf_cstr(folder), parts[i]);
		if (make(buf_cstr(&part), why))
			return -1;
	}
	if (is_inbox)
		return 0;
	BUF_AUTO mark = {0}; /* Maildir++: what has it is a folder, and no Maildir of its own */
	buf_printf(&mark, "%s/maildirfolder", buf_cstr(folder));
	int fd = open(buf_cstr(&mark), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(why, errno, "cannot write %s: %s", buf_cstr(&mark), strerror(errno));
	close(fd);
	return 0;
}

static int write_file(const char *path, struct span bytes, const struct timespec *time, struct error *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool is_bad = fd < 0;
	while (!is_bad && bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		is_bad = n < 0 && errno != EINTR;
		bytes = span_skip(bytes, n < 0 ? 0 : (size_t)n);
	}
	is_bad = is_bad || (time && futimens(fd, (const struct timespec[]){*time, *time})) || fsync(fd);
	int code = errno;
	if (fd >= 0)
		close(fd);
	return is_bad ? error_set(why, code, "cannot write %s: %s", path, strerror(code)) : 0;
}

int maildir_name_keywords(const char *folder, char *const *keywords, unsigned count, struct error *why)
{
	BUF_AUTO path = {0}, text = {0};
	buf_printf(&path, "%s/dovecot-keywords", folder);
	for (unsigned i = 0; i < count && i < KEYWORD_LETTERS; i++)
		buf_printf(&text, "%u %s\n", i, keywords[i]);
	return text.len ? write_file(buf_cstr(&path), buf_span(&text), NULL, why) : 0;
}

static void add_flags(struct buf *name, const struct maildir_message *m)
{
	static const struct { uint8_t flag; char letter; } letters[] = {
		{FLAG_DRAFT, 'D'}, {FLAG_FLAGGED, 'F'}, {FLAG_ANSWERED, 'R'}, {FLAG_SEEN, 'S'}, {FLAG_DELETED, 'T'}};
	for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
		if (m->flags & letters[i].flag)
			buf_add_char(name, letters[i].letter);
	for (unsigned i = 0; i < KEYWORD_LETTERS; i++)
		if (m->keywords >> i & 1)
			buf_add_char(name, (char)('a' + i));
}

int maildir_write(const char *folder, const struct maildir_message *m, struct error *why)
{
	BUF_AUTO name = {0}, from = {0}, to = {0};
	const struct timespec time = {.tv_sec = (time_t)(m->internaldate_ms / 1000), .tv_nsec = (long)(m->internaldate_ms % 1000) * 1000000};
	buf_printf(&name, "%llu.V%uU%u.carteiro,S=%zu", (unsigned long long)(m->internaldate_ms / 1000), m->uidvalidity, m->uid, m->bytes.len);
	buf_printf(&from, "%s/tmp/%s", folder, buf_cstr(&name));
	buf_printf(&to, "%s/cur/%s:2,", folder, buf_cstr(&name));
	add_flags(&to, m);
	if (write_file(buf_cstr(&from), m->bytes, &time, why)) {
		unlink(buf_cstr(&from));
		return -1;
	}
	return rename(buf_cstr(&from), buf_cstr(&to)) ? error_set(why, errno, "cannot write %s: %s", buf_cstr(&to), strerror(errno)) : 0;
}
