/* One line an event, safe whatever the values hold. */
#include "base/log.h"

#include "base/buf.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A value longer than this is cut: a line in the log is for people (a 1000-recipient list is not). */
enum { VALUE_BYTES_MOST = 1024 };

static const char *process_name = "carteiro";
static enum log_level level_most = LOG_LEVEL_INFO;

void log_open(const char *process, enum log_level most)
{
	process_name = process;
	level_most = most;
}

static bool needs_quotes(struct span s)
{
	if (s.len == 0)
		return true;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
			return true;
	}
	return false;
}

static void add_value(struct buf *line, struct span s)
{
	if (!needs_quotes(s)) {
		buf_add(line, span_slice(s, 0, VALUE_BYTES_MOST));
		return;
	}
	buf_add_char(line, '"');
	bool is_cut = s.len > VALUE_BYTES_MOST;
	s = span_slice(s, 0, VALUE_BYTES_MOST);
	while (s.len) {
		unsigned char c = (unsigned char)s.ptr[0];
		size_t n = c < 0x80 ? 1 : utf8_char_length(s);
		/* U+0080..U+009F are C1 controls, which terminals obey too */
		bool is_c1 = n == 2 && c == 0xc2 && (unsigned char)s.ptr[1] < 0xa0;
		if (c == '"' || c == '\\') {
			buf_add_char(line, '\\');
			buf_add_char(line, (char)c);
		} else if (n == 0 || is_c1 || c < ' ' || c == 0x7f) {
			n = 1;
			buf_printf(line, "\\x%02x", c);
		} else {
			buf_add(line, span_slice(s, 0, n));
		}
		s = span_skip(s, n);
	}
	buf_add_cstr(line, is_cut ? "...\"" : "\"");
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
	/* "<N>" in front tells the journal the priority (sd-daemon(3)); a terminal is spared it */
	static const char *priority[] = {"<3>", "<4>", "<6>", "<7>"};
	static const char *word[] = {"error", "warning", "info", "debug"};
	static int is_journal = -1;
	if (level > level_most)
		return;
	if (is_journal < 0)
		is_journal = getenv("JOURNAL_STREAM") != NULL;
	BUF_AUTO line = {0};
	buf_printf(&line, "%s%s %s level=%s", is_journal ? priority[level] : "", process_name, event, word[level]);
	for (size_t i = 0; i < count; i++) {
		buf_add_char(&line, ' ');
		buf_add_cstr(&line, fields[i].key);
		buf_add_char(&line, '=');
		if (fields[i].text.ptr)
			add_value(&line, fields[i].text);
		else
			buf_printf(&line, "%lld", (long long)fields[i].number);
	}
	buf_add_char(&line, '\n');
	/* one write a line: lines of several processes do not mix. A log that cannot be written must stop no mail. */
	ssize_t ignored = write(STDERR_FILENO, line.ptr, line.len);
	(void)ignored;
}
