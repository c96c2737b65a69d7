#include "pipe/outcome.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

static const struct { int code; const char *status, *meaning; } codes[] = {
	{EX_USAGE, "5.3.0", "it was called in a wrong way"}, {EX_DATAERR, "5.6.0", "the message is not what it takes"}, {EX_NOINPUT, "5.3.0", "it cannot read a file"},
	{EX_NOUSER, "5.1.1", "there is no such user"}, {EX_NOHOST, "5.1.2", "there is no such host"}, {EX_UNAVAILABLE, "5.3.0", "a service is not there"},
	{EX_SOFTWARE, "5.3.0", "a fault of its own"}, {EX_OSERR, "5.3.0", "a fault of the system"}, {EX_OSFILE, "5.3.0", "a file of the system is not there"},
	{EX_CANTCREAT, "5.2.0", "it cannot write"}, {EX_IOERR, "5.3.0", "a fault of input or output"}, {EX_PROTOCOL, "5.5.0", "a fault of protocol"},
	{EX_NOPERM, "5.7.0", "it may not"}, {EX_CONFIG, "5.3.5", "a fault of its configuration"}};

static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
			*text = '?';
}

static struct span first_line(struct span output)
{
	output = span_trim(output);
	ssize_t end = span_chr(output, '\n');
	return span_slice(span_trim(end < 0 ? output : span_slice(output, 0, (size_t)end)), 0, 200);
}

static void of_exit(int code, struct outcome *out, const char **meaning)
{
	*meaning = "";
	if (code == EX_OK || code == EX_TEMPFAIL) {
		out->outcome = code == EX_OK ? RELAY_DELIVERED : RELAY_LATER;
		out->status = code == EX_OK ? "2.0.0" : "4.3.0";
		return;
	}
	out->outcome = RELAY_FAILED;
	out->status = "5.3.0";
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (codes[i].code == code) {
			out->status = codes[i].status;
			*meaning = codes[i].meaning;
		}
}

void outcome_of_program(int status, bool is_timed_out, struct span program, struct span output, struct outcome *out)
{
	struct span line = first_line(output);
	const char *meaning = "";
	char end[100];
	*out = (struct outcome){.outcome = RELAY_LATER, .status = "4.3.0"};
	if (is_timed_out) {
		snprintf(end, sizeof end, "did not end in time");
	} else if (WIFSIGNALED(status)) {
		snprintf(end, sizeof end, "was ended by signal %d", WTERMSIG(status));
	} else {
		of_exit(WEXITSTATUS(status), out, &meaning);
		snprintf(end, sizeof end, "ended with status %d%s%s%s", WEXITSTATUS(status), *meaning ? " (" : "", meaning, *meaning ? ")" : "");
	}
	if (out->outcome == RELAY_DELIVERED)
		snprintf(out->text, sizeof out->text, "the program %.*s has it", SPAN_ARG(span_slice(program, 0, 100)));
	else
		snprintf(out->text, sizeof out->text, "the program %.*s %s%s%.*s", SPAN_ARG(span_slice(program, 0, 100)), end, line.len ? ": " : "", SPAN_ARG(line));
	clean(out->text);
}

void outcome_later(const char *why, struct outcome *out)
{
	*out = (struct outcome){.outcome = RELAY_LATER, .status = "4.3.5"};
	snprintf(out->text, sizeof out->text, "%s", why);
	clean(out->text);
}
