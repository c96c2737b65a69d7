#include "cli/handover.h"

#include "base/die.h"
#include "base/random.h"
#include "base/utf8.h"
#include "wire/smtp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char drop_magic[] = "carteiro-drop 1\n";

void handover_add(struct handover *h, struct span recipient)
{
	if (h->count == HANDOVER_RECIPIENTS_MOST || !recipient.len)
		return;
	h->recipients = xrealloc_array(h->recipients, h->count + 1, sizeof *h->recipients);
	h->recipients[h->count] = (struct buf){0};
	buf_add(&h->recipients[h->count++], recipient);
}

void handover_free(struct handover *h)
{
	for (size_t i = 0; i < h->count; i++)
		buf_free(&h->recipients[i]);
	free(h->recipients);
	struct buf *bufs[] = {&h->sender, &h->message, &h->options, &h->notify};
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
		buf_free(bufs[i]);
	*h = (struct handover){0};
}

/* ---- by the socket ---- */

int handover_connect(const struct config *c)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int n = snprintf(at.sun_path, sizeof at.sun_path, "%s/submit", c->run_dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && n > 0 && (size_t)n < sizeof at.sun_path && connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

struct talk {
	FILE *in, *out;
};

static int talk_open(const struct config *c, struct talk *t)
{
	int fd = handover_connect(c), again = fd < 0 ? -1 : dup(fd);
	if (again < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*t = (struct talk){fdopen(fd, "r"), fdopen(again, "w")};
	if (!t->in || !t->out)
		die("sendmail: no memory");
	return 0;
}

static void talk_close(struct talk *t)
{
	fclose(t->in);
	fclose(t->out);
}

/* Lines of others go into commands: none has a byte that would end one. */
static bool is_line(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
			return false;
	return s.len < 1000;
}

static bool is_sound(const struct handover *h)
{
	bool is_good = is_line(buf_span(&h->sender)) && is_line(buf_span(&h->options)) && is_line(buf_span(&h->notify));
	for (size_t i = 0; is_good && i < h->count; i++)
		is_good = is_line(buf_span(&h->recipients[i]));
	return is_good;
}

/* The code of a reply, whose last line stays in `text`; 0 if the server has gone. */
static unsigned read_reply(struct talk *server, char *text, size_t room)
{
	while (fgets(text, (int)room, server->in)) {
		struct smtp_reply_line line;
		if (smtp_parse_reply_line(span_trim(span_cstr(text)), &line, NULL))
			return 0;
		if (line.is_last)
			return line.code;
	}
	return 0;
}

static unsigned command(struct talk *server, const struct buf *line, char *text, size_t room)
{
	if (fwrite(line->ptr, 1, line->len, server->out) != line->len || fflush(server->out))
		return 0;
	return read_reply(server, text, room);
}

static int refused(unsigned code, const char *text, struct span what)
{
	if (code < 500)
		return EXIT_LATER;
	fprintf(stderr, "sendmail: %.*s%s%s", SPAN_ARG(what), what.len ? ": " : "", text);
	return EXIT_REFUSED;
}

static int send_envelope(struct talk *server, const struct handover *h, size_t *taken)
{
	char text[1024];
	BUF_AUTO mail = {0};
	bool is_utf8 = utf8_has_8bit(buf_span(&h->sender));
	for (size_t i = 0; i < h->count; i++)
		is_utf8 |= utf8_has_8bit(buf_span(&h->recipients[i]));
	buf_printf(&mail, "MAIL FROM:<%.*s>%.*s%s%s\r\n", SPAN_ARG(buf_span(&h->sender)), SPAN_ARG(buf_span(&h->options)),
	           utf8_has_8bit(buf_span(&h->message)) ? " BODY=8BITMIME" : "", is_utf8 ? " SMTPUTF8" : "");
	unsigned code = command(server, &mail, text, sizeof text);
	if (code != 250)
		return refused(code, text, buf_span(&h->sender));
	for (size_t i = 0; i < h->count; i++) {
		BUF_AUTO rcpt = {0};
		buf_printf(&rcpt, "RCPT TO:<%.*s>%.*s\r\n", SPAN_ARG(buf_span(&h->recipients[i])), SPAN_ARG(buf_span(&h->notify)));
		code = command(server, &rcpt, text, sizeof text);
		if (code / 100 == 2)
			++*taken;
		else if (refused(code, text, buf_span(&h->recipients[i])) == EXIT_LATER)
			return EXIT_LATER; /* all of it later: none is forgotten */
	}
	return *taken ? 0 : EXIT_NO_USER;
}

static int send_message(struct talk *server, const struct handover *h)
{
	char text[1024];
	struct smtp_dot_stuffer stuffer = {0};
	BUF_AUTO data = {0}, stuffed = {0};
	buf_add(&data, SPAN("DATA\r\n"));
	unsigned code = command(server, &data, text, sizeof text);
	if (code != 354)
		return refused(code, text, SPAN(""));
	smtp_dot_stuff(&stuffer, buf_span(&h->message), &stuffed);
	smtp_dot_stuff_end(&stuffer, &stuffed);
	code = command(server, &stuffed, text, sizeof text);
	return code == 250 ? 0 : refused(code, text, SPAN(""));
}

int handover_send(const struct config *c, const struct handover *h)
{
	char text[1024];
	size_t taken = 0;
	BUF_AUTO hello = {0};
	struct talk server;
	if (!is_sound(h)) {
		fprintf(stderr, "sendmail: an address or an option has a control character\n");
		return EXIT_REFUSED;
	}
	if (talk_open(c, &server))
		return EXIT_LATER;
	buf_add(&hello, SPAN("EHLO localhost\r\n"));
	int code = read_reply(&server, text, sizeof text) == 220 && command(&server, &hello, text, sizeof text) == 250 ? 0 : EXIT_LATER;
	code = code ? code : send_envelope(&server, h, &taken);
	code = code ? code : send_message(&server, h);
	talk_close(&server);
	return code ? code : taken < h->count ? EXIT_NO_USER : 0;
}

/* ---- the drop folder ---- */

static int open_drop(const struct config *c)
{
	int fd = open(c->drop_dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		fprintf(stderr, "sendmail: cannot open %s: %s (has the server ever run?)\n", c->drop_dir, strerror(errno));
	return fd;
}

static void pack_envelope(const struct handover *h, struct buf *out)
{
	buf_add_cstr(out, drop_magic);
	buf_printf(out, "S%.*s\nO%.*s\nN%.*s\n", SPAN_ARG(buf_span(&h->sender)), SPAN_ARG(buf_span(&h->options)), SPAN_ARG(buf_span(&h->notify)));
	for (size_t i = 0; i < h->count; i++)
		buf_printf(out, "R%.*s\n", SPAN_ARG(buf_span(&h->recipients[i])));
	buf_add_char(out, '\n');
}

static int write_all(int fd, struct span bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n < 0 && errno != EINTR)
			return -1;
		bytes = span_skip(bytes, n < 0 ? 0 : (size_t)n);
	}
	return 0;
}

/* First under a name with a dot, which nobody takes; then under its own, when it is whole and on the disk. */
int handover_drop(const struct config *c, const struct handover *h)
{
	char hidden[40], name[32];
	BUF_AUTO envelope = {0};
	int folder = open_drop(c);
	if (folder < 0)
		return EXIT_LATER;
	snprintf(name, sizeof name, "%016llx", (unsigned long long)random_u64());
	snprintf(hidden, sizeof hidden, ".%s", name);
	pack_envelope(h, &envelope);
	int fd = openat(folder, hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool is_kept = fd >= 0 && write_all(fd, buf_span(&envelope)) == 0 && write_all(fd, buf_span(&h->message)) == 0 && fsync(fd) == 0 &&
	               renameat(folder, hidden, folder, name) == 0;
	int code = errno;
	int readable = is_kept ? openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (readable >= 0) {
		fsync(readable);
		close(readable);
	} else if (is_kept) {
		syncfs(fd); /* a folder that may not be read cannot be synced by itself */
	}
	if (!is_kept) {
		fprintf(stderr, "sendmail: cannot keep the message: %s\n", strerror(code));
		unlinkat(folder, hidden, 0);
	}
	if (fd >= 0)
		close(fd);
	close(folder);
	return is_kept ? 0 : EXIT_LATER;
}

static int read_envelope(struct span *file, struct handover *h)
{
	if (!span_starts_with(*file, span_cstr(drop_magic)))
		return -1;
	*file = span_skip(*file, strlen(drop_magic));
	for (;;) {
		ssize_t end = span_chr(*file, '\n');
		struct span line = span_slice(*file, 0, end < 0 ? 0 : (size_t)end), value = span_skip(line, 1);
		if (end < 0 || !is_line(line))
			return -1;
		*file = span_skip(*file, line.len + 1);
		if (!line.len)
			return h->count ? 0 : -1;
		switch (line.ptr[0]) {
		case 'S': buf_add(&h->sender, value); break;
		case 'O': buf_add(&h->options, value); break;
		case 'N': buf_add(&h->notify, value); break;
		case 'R': handover_add(h, value); break;
		default: return -1;
		}
	}
}

/* Only a file that its owner alone has a name for: no link to another's, no device, nothing that an open would wait for. */
static int read_dropped(int folder, const char *name, size_t most, struct buf *out)
{
	struct stat status;
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	bool is_good = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 && (size_t)status.st_size <= most;
	ssize_t n = is_good ? 1 : -1;
	while (n > 0 && out->len <= most && (n = read(fd, buf_reserve(out, 65536), 65536)) > 0)
		out->len += (size_t)n;
	if (fd >= 0)
		close(fd);
	return n == 0 ? 0 : -1;
}

static void set_aside(int folder, const char *name, const char *why)
{
	char aside[300];
	snprintf(aside, sizeof aside, ".refused-%.200s", name);
	renameat(folder, name, folder, aside);
	fprintf(stderr, "drop drop-refused level=error file=%s why=\"%s\" do=\"look at it in the drop folder, and remove it\"\n", aside, why);
}

static void hand_over_one(const struct config *c, int folder, const char *name)
{
	struct handover h = {0};
	BUF_AUTO file = {0};
	size_t most = c->message_size_limit_bytes + HANDOVER_RECIPIENTS_MOST * 1000;
	int code = read_dropped(folder, name, most, &file);
	struct span rest = buf_span(&file);
	if (code || read_envelope(&rest, &h)) {
		set_aside(folder, name, "it is no message that sendmail left");
	} else {
		buf_add(&h.message, rest);
		code = handover_send(c, &h);
		if (code == 0)
			unlinkat(folder, name, 0);
		else if (code == EXIT_REFUSED)
			set_aside(folder, name, "the server refuses it");
		else if (code == EXIT_NO_USER)
			set_aside(folder, name, "the server refuses a recipient");
	}
	handover_free(&h);
}

int handover_empty_drop(const struct config *c)
{
	int folder = open_drop(c);
	int readable = folder < 0 ? -1 : openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = readable < 0 ? NULL : fdopendir(readable);
	struct dirent *one;
	if (!list)
		return EXIT_LATER;
	/* one at a time: the server may be slow, and the next one is started all the same */
	bool is_alone = flock(dirfd(list), LOCK_EX | LOCK_NB) == 0;
	while (is_alone && (one = readdir(list)))
		if (one->d_name[0] != '.')
			hand_over_one(c, folder, one->d_name);
	closedir(list);
	close(folder);
	return 0;
}
