/* Replies of a server, line by line, into what is kept of them: RFC 5321 §4.2.1. Everything in them comes from a stranger:
 * lines, their number and the text that is kept are bounded, and the text is made valid UTF-8 without controls. */
#ifndef RELAY_REPLY_H
#define RELAY_REPLY_H

#include "base/error.h"
#include "base/span.h"

enum {
	REPLY_TEXT_MOST = 512,  /* job_result.text: ipc/messages.def */
	REPLY_STATUS_MOST = 16, /* "5.999.999" and a NUL */
	REPLY_LINES_MOST = 256, /* of one reply; EHLO lists of 30 are seen */
};

struct reply {
	unsigned code;
	char status[REPLY_STATUS_MOST];   /* RFC 3463; derived from the code if the server gave none */
	char text[REPLY_TEXT_MOST + 1];   /* "550 5.1.1 no such user": what a person is shown */
};

struct reply_reader {
	struct reply reply; /* whole when reply_take has returned 1 */
	size_t text_len;
	unsigned lines;     /* so far; zeroed is ready for the next reply */
};

/* Takes one line without its line end. 1: the reply is whole; 0: it goes on; -1 with *why. `keyword` is the line's text,
 * which is what a reply to EHLO consists of. */
int reply_take(struct reply_reader *r, struct span line, struct span *keyword, struct error *why);

/* Copies at most size - 1 bytes; bytes that are not UTF-8, and controls, become "?". Never ends inside a character. */
size_t text_clean(struct span in, char *out, size_t size);

#endif
