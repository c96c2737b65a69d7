/* mbox files and UW imapd's mbx as a source: one file, or a folder of them. First it is found where messages begin, then each is read as it
 * goes over. A message of an mbox has no name: it is known by its bytes without its state, and by which of several with the same it is. */
#include "cli/import.h"
#include "wire/imap_command.h"
#include "wire/maildir.h"
#include "wire/mbox.h"

#include "base/die.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, DEPTH_MOST = 20, PROBE_BYTES = 1100, MBX_MAGIC_BYTES = 7 };

struct place {
	uint64_t from, to;   /* of its bytes, without a From_ line */
	int64_t date_s;
	uint32_t uid, keywords; /* of mbx */
	uint8_t flags;
};

struct mbox {
	struct import *import;
	int fd;
	bool is_mbx;
	struct span name;
	struct place *places;
	size_t count, room;
	uint64_t size;
	uint32_t uidvalidity, uidnext;
	struct map seen;     /* how many messages with the same first bytes of their hash */
	char head[MBX_HEAD_BYTES];
	struct mbx_head mbx;
};

static void add_place(struct mbox *b, const struct place *p)
{
	if (b->count == b->room) {
		b->room = b->room ? b->room * 2 : 256;
		b->places = xrealloc_array(b->places, b->room, sizeof *b->places);
	}
	b->places[b->count++] = *p;
}

static ssize_t read_at(const struct mbox *b, void *to, size_t most, uint64_t at)
{
	ssize_t n;
	while ((n = pread(b->fd, to, most, (off_t)at)) < 0 && errno == EINTR)
		continue;
	return n;
}

/* ---- where messages begin ---- */

static int64_t seconds_of(const struct mbox_date *d)
{
	struct tm tm = {.tm_year = d->year - 1900, .tm_mon = d->month, .tm_mday = d->day, .tm_hour = d->hour, .tm_min = d->minute, .tm_sec = d->second,
	                .tm_isdst = -1};
	return d->has_zone ? timegm(&tm) - d->zone_minutes * 60 : mktime(&tm);
}

struct scan {
	struct mbox *mbox;
	bool has_message, was_empty; /* the line before */
	bool is_header;
	char line[MBOX_FROM_LINE_MOST + 2];
	size_t line_len;
	uint64_t line_at;            /* where it begins */
	uint64_t length_to;          /* where Content-Length says that the message ends; 0: it says nothing */
	uint64_t length;
	bool has_length;
	struct place open;
};

static void end_message(struct scan *s, uint64_t at)
{
	if (!s->has_message)
		return;
	s->open.to = at;
	add_place(s->mbox, &s->open);
	s->has_message = false;
}

/* Whether a From_ line begins there, or behind an empty line there, or the file ends. */
static bool is_boundary(const struct mbox *b, uint64_t at)
{
	char bytes[PROBE_BYTES];
	if (at > b->size)
		return false;
	ssize_t n = read_at(b, bytes, sizeof bytes, at);
	struct mbox_date date;
	struct span rest = span_of(bytes, n > 0 ? (size_t)n : 0);
	for (int empty = 0; empty < 2 && rest.len && (rest.ptr[0] == '\n' || span_starts_with(rest, SPAN("\r\n"))); empty++)
		rest = span_skip(rest, rest.ptr[0] == '\r' ? 2 : 1);
	if (!rest.len)
		return n >= 0;
	ssize_t end = span_chr(rest, '\n');
	return end > 0 && mbox_from_parse(span_trim(span_slice(rest, 0, (size_t)end)), &date);
}

/* A line is whole, or as much of it as a From_ line has. */
static void take_line(struct scan *s)
{
	struct span line = span_of(s->line, s->line_len);
	struct mbox_date date;
	bool is_empty = span_equal(line, SPAN("\n")) || span_equal(line, SPAN("\r\n")), is_first = s->line_at == 0;
	bool is_inside = s->has_message && s->line_at < s->length_to;
	if (!is_inside && (is_first || s->was_empty) && mbox_from_parse(span_trim(line), &date)) {
		end_message(s, s->line_at);
		s->has_message = s->is_header = true;
		s->has_length = false;
		s->length_to = 0;
		s->open = (struct place){.from = s->line_at + s->line_len, .date_s = seconds_of(&date)};
	} else if (s->is_header && is_empty) {
		uint64_t body = s->line_at + s->line_len;
		s->is_header = false;
		s->length_to = s->has_length && is_boundary(s->mbox, body + s->length) ? body + s->length : 0;
	} else if (s->is_header && span_starts_with_nocase(line, SPAN("Content-Length:"))) {
		s->has_length = span_to_u64(span_trim(span_skip(line, 15)), UINT32_MAX, &s->length) == 0;
	}
	s->was_empty = is_empty;
}

static int scan_mbox(struct mbox *b)
{
	struct scan s = {.mbox = b};
	char bytes[READ_BYTES];
	uint64_t at = 0;
	ssize_t n;
	while ((n = read_at(b, bytes, sizeof bytes, at)) > 0) {
		struct span rest = span_of(bytes, (size_t)n);
		while (rest.len) {
			ssize_t end = span_chr(rest, '\n');
			struct span part = end < 0 ? rest : span_slice(rest, 0, (size_t)end + 1);
			size_t room = sizeof s.line - s.line_len, kept = part.len < room ? part.len : room;
			memcpy(s.line + s.line_len, part.ptr, kept);
			s.line_len += kept;
			at += part.len;
			rest = span_skip(rest, part.len);
			if (end < 0)
				continue;
			take_line(&s);
			s.line_len = 0;
			s.line_at = at;
		}
	}
	if (n == 0 && s.line_len) {
		take_line(&s); /* a last line without an end */
		s.was_empty = false;
	}
	end_message(&s, at);
	return n < 0 ? -1 : 0;
}

/* The empty line before the next From_ line is none of the message. */
static void cut_empty_line(const struct mbox *b, struct place *p)
{
	char end[4];
	size_t most = p->to - p->from < sizeof end ? (size_t)(p->to - p->from) : sizeof end;
	ssize_t n = read_at(b, end, most, p->to - most);
	struct span tail = span_of(end, n > 0 ? (size_t)n : 0);
	if (span_ends_with(tail, SPAN("\r\n\r\n")))
		p->to -= 2;
	else if (span_ends_with(tail, SPAN("\n\n")))
		p->to -= 1;
}

static int scan_mbx(struct mbox *b)
{
	uint64_t at = MBX_HEAD_BYTES;
	char line[MBX_LINE_MOST];
	ssize_t n;
	while ((n = read_at(b, line, sizeof line, at)) > 0) {
		struct mbx_message m;
		if (!mbx_message_parse(span_of(line, (size_t)n), &m)) {
			char where[40];
			snprintf(where, sizeof where, "from byte %llu on", (unsigned long long)at);
			import_failed(b->import, span_cstr(where), "the file is damaged");
			return 0;
		}
		at += m.line_bytes;
		struct place p = {.from = at, .to = at + m.size, .date_s = m.date_s, .uid = m.uid, .keywords = m.keywords, .flags = m.flags};
		if (!m.is_expunged)
			add_place(b, &p);
		at += m.size;
	}
	return n < 0 ? -1 : 0;
}

/* ---- messages ---- */

static int read_place(const struct mbox *b, const struct place *p, struct mbox_reader *r, import_sink_fn *sink, void *context, struct error *why)
{
	struct import_lines lines = {.sink = sink, .context = context};
	char bytes[READ_BYTES];
	BUF_AUTO out = {0};
	uint64_t at = p->from;
	while (at < p->to) {
		ssize_t n = read_at(b, bytes, p->to - at < sizeof bytes ? (size_t)(p->to - at) : sizeof bytes, at);
		if (n <= 0)
			return error_set(why, errno, "%s", n ? strerror(errno) : "the file has become shorter");
		buf_clear(&out);
		if (b->is_mbx)
			buf_add(&out, span_of(bytes, (size_t)n));
		else
			mbox_read(r, span_of(bytes, (size_t)n), &out);
		if (import_lines_write(&lines, buf_span(&out)))
			return -1;
		at += (uint64_t)n;
	}
	buf_clear(&out);
	mbox_read_end(r, &out);
	return import_lines_write(&lines, buf_span(&out));
}

static int read_message(const struct import_message *m, import_sink_fn *sink, void *context, struct error *why)
{
	const struct mbox *b = m->of;
	struct mbox_reader r = {0};
	int result = read_place(b, &b->places[m->offset], &r, sink, context, why);
	mbox_read_free(&r);
	return result;
}

static int digest(void *context, struct span bytes)
{
	return EVP_DigestUpdate(context, bytes.ptr, bytes.len) == 1 ? 0 : -1;
}

struct seen {
	struct import_message message;
	struct buf keywords;
	char label[40];
	bool is_internal, is_bad;
	struct error why;
};

/* What its bytes and its fields say. */
static void look(struct mbox *b, size_t n, struct seen *out)
{
	struct place *p = &b->places[n];
	struct mbox_reader r = {0};
	unsigned char hash[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *sha256 = EVP_MD_CTX_new();
	uint64_t first_bytes;
	BUF_AUTO key = {0};
	if (!sha256 || EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) != 1)
		die("import: no SHA-256");
	out->is_bad = read_place(b, p, &r, digest, sha256, &out->why) != 0;
	EVP_DigestFinal_ex(sha256, hash, NULL);
	EVP_MD_CTX_free(sha256);
	memcpy(&first_bytes, hash, sizeof first_bytes);
	uintptr_t twins = (uintptr_t)map_get(&b->seen, first_bytes) + 1;
	map_put(&b->seen, first_bytes, (void *)twins);
	buf_add(&key, span_of(hash, 32));
	buf_printf(&key, "#%llu", (unsigned long long)twins);
	snprintf(out->label, sizeof out->label, "message %zu", n + 1);
	out->is_internal = r.is_internal && n == 0;
	buf_add(&out->keywords, buf_span(&r.keywords));
	for (unsigned k = 0; k < MBX_KEYWORDS; k++)
		if ((p->keywords >> k & 1) && b->mbx.keywords[k].len)
			buf_printf(&out->keywords, " %.*s", SPAN_ARG(b->mbx.keywords[k]));
	out->message = (struct import_message){.uid = b->is_mbx ? p->uid : r.uid, .flags = (uint8_t)(p->flags | r.flags), .date_s = p->date_s, .read = read_message,
	                                       .of = b, .offset = n};
	import_source(b->is_mbx ? "mbx" : "mbox", b->name, buf_span(&key), out->message.source);
	mbox_read_free(&r);
}

static void bring_some(struct mbox *b, size_t from, size_t count, struct seen *seen)
{
	struct import *i = b->import;
	unsigned char sources[IMPORT_GROUP_MESSAGES][IMPORT_SOURCE_BYTES];
	size_t which[IMPORT_GROUP_MESSAGES], asked = 0;
	bool known[IMPORT_GROUP_MESSAGES];
	for (size_t n = 0; n < count; n++) {
		look(b, from + n, &seen[n]);
		if (seen[n].is_internal)
			continue;
		if (seen[n].is_bad) {
			import_failed(i, span_cstr(seen[n].label), seen[n].why.text);
			continue;
		}
		memcpy(sources[asked], seen[n].message.source, IMPORT_SOURCE_BYTES);
		which[asked++] = n;
	}
	if (import_known(i, sources, asked, known))
		return;
	for (size_t k = 0; k < asked && !i->is_broken; k++) {
		struct seen *one = &seen[which[k]];
		one->message.label = span_cstr(one->label);
		one->message.keywords = buf_span(&one->keywords);
		if (!known[k])
			import_add(i, &one->message);
	}
}

static void bring(struct mbox *b)
{
	for (size_t from = 0; from < b->count && !b->import->is_broken; from += IMPORT_GROUP_MESSAGES) {
		size_t count = b->count - from < IMPORT_GROUP_MESSAGES ? b->count - from : IMPORT_GROUP_MESSAGES;
		struct seen *seen = xcalloc(count, sizeof *seen);
		bring_some(b, from, count, seen);
		for (size_t n = 0; n < count; n++)
			buf_free(&seen[n].keywords);
		free(seen);
	}
}

static int ignore(void *context, struct span bytes)
{
	(void)context;
	(void)bytes;
	return 0;
}

/* The first message has the mailbox's state. */
static void read_base(struct mbox *b)
{
	struct mbox_reader r = {0};
	struct error why;
	if (read_place(b, &b->places[0], &r, ignore, NULL, &why) == 0 && r.uidvalidity) {
		b->uidvalidity = r.uidvalidity;
		b->uidnext = r.uid_last + 1;
	}
	mbox_read_free(&r);
}

static void take_file(struct import *i, int fd, struct span name)
{
	struct mbox b = {.import = i, .fd = fd, .name = name};
	struct mbox_date date;
	struct stat status;
	b.size = fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
	ssize_t n = read_at(&b, b.head, sizeof b.head, 0);
	struct span head = span_of(b.head, n > 0 ? (size_t)n : 0);
	ssize_t end = span_chr(head, '\n');
	b.is_mbx = mbx_head_parse(head, &b.mbx);
	if (head.len && !b.is_mbx && (end < 0 || !mbox_from_parse(span_trim(span_slice(head, 0, (size_t)end)), &date))) {
		import_failed(i, name, "it is neither an mbox nor an mbx");
		return;
	}
	bool is_read = n >= 0 && (b.is_mbx ? scan_mbx(&b) : scan_mbox(&b)) == 0;
	for (size_t k = 0; k < b.count && !b.is_mbx; k++)
		cut_empty_line(&b, &b.places[k]);
	if (b.is_mbx) {
		b.uidvalidity = b.mbx.uidvalidity;
		b.uidnext = b.mbx.uid_last + 1;
	} else if (b.count) {
		read_base(&b);
	}
	if (import_mailbox(i, name, NULL, b.uidvalidity, b.count) == 0) {
		if (!is_read)
			import_failed(i, name, "it cannot be read to its end");
		bring(&b);
		import_mailbox_end(i, b.uidnext);
	}
	free(b.places);
	map_free(&b.seen);
}

/* ---- folders of them ---- */

static void subscribe(struct import *i, int folder, const char *file)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int fd = openat(folder, file, O_RDONLY | O_CLOEXEC);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	while (in && (n = getline(&line, &room, in)) > 0) {
		BUF_AUTO name = {0};
		if (maildir_folder_name(span_trim(span_of(line, (size_t)n)), '/', &name) == 0)
			import_subscribe(i, buf_span(&name));
	}
	free(line);
	if (in)
		fclose(in);
}

static void walk(struct import *i, int folder, struct span before, unsigned depth)
{
	struct dirent **names;
	int count = scandirat(folder, ".", &names, NULL, alphasort);
	for (int n = 0; n < count; n++) {
		BUF_AUTO name = {0}, path = {0};
		struct stat status;
		int fd = names[n]->d_name[0] == '.' ? -1 : openat(folder, names[n]->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0 || fstat(fd, &status)) {
			if (names[n]->d_name[0] != '.')
				import_failed(i, span_cstr(names[n]->d_name), strerror(errno));
			status.st_mode = 0;
		}
		buf_add(&path, before);
		buf_add_cstr(&path, names[n]->d_name);
		if (S_ISDIR(status.st_mode) && depth < DEPTH_MOST && !i->is_broken) {
			buf_add_char(&path, '/');
			walk(i, fd, buf_span(&path), depth + 1);
		} else if (S_ISREG(status.st_mode) && !i->is_broken) {
			if (maildir_folder_name(buf_span(&path), '/', &name))
				import_failed(i, buf_span(&path), "its name is neither modified UTF-7 nor UTF-8");
			else
				take_file(i, fd, span_equal_nocase(buf_span(&name), SPAN("INBOX")) ? SPAN("INBOX") : buf_span(&name));
		}
		if (fd >= 0)
			close(fd);
		free(names[n]);
	}
	if (count < 0)
		import_failed(i, before, strerror(errno));
	else
		free(names);
}

int import_mbox(struct import *i, const char *path, struct span name)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &status)) {
		fprintf(stderr, "carteiro: cannot read %s: %s\n", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return EXIT_NO_INPUT;
	}
	if (S_ISDIR(status.st_mode)) {
		walk(i, fd, SPAN(""), 0);
		subscribe(i, fd, ".subscriptions");
		subscribe(i, fd, ".mailboxlist");
	} else {
		take_file(i, fd, name);
	}
	close(fd);
	return 0;
}
