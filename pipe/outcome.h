/* What the end of a program means for the message, as sysexits.h and Postfix's local(8) have it. */
#ifndef PIPE_OUTCOME_H
#define PIPE_OUTCOME_H

#include "base/span.h"
#include "ipc/terms.h"

enum { OUTCOME_TEXT_BYTES = 400 };

struct outcome {
	enum relay_outcome outcome;
	const char *status;             /* RFC 3463 */
	char text[OUTCOME_TEXT_BYTES];  /* printable ASCII */
};

/* status: of waitpid. output: what it has written so far; its first line goes into the text. */
void outcome_of_program(int status, bool is_timed_out, struct span program, struct span output, struct outcome *out);
/* One that was never run, for now. */
void outcome_later(const char *why, struct outcome *out);

#endif
