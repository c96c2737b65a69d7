/* A message of a program on this machine on its way to the server: by the socket run_dir/submit, or into the drop folder. */
#ifndef CLI_HANDOVER_H
#define CLI_HANDOVER_H

#include "base/buf.h"
#include "config/config.h"

enum { HANDOVER_RECIPIENTS_MOST = 10000, EXIT_NO_USER = 67, EXIT_REFUSED = 69, EXIT_LATER = 75 /* sysexits.h */ };

struct handover {
	struct buf sender;      /* empty: the null one */
	struct buf *recipients;
	size_t count;
	struct buf message;     /* lines end in CR LF */
	struct buf options;     /* of MAIL, each with a space in front: " RET=HDRS" */
	struct buf notify;      /* of each RCPT: " NOTIFY=NEVER" */
};

void handover_add(struct handover *h, struct span recipient);
void handover_free(struct handover *h);

/* To the server that runs. 0: it has the message, for all recipients; EXIT_NO_USER: for those it knows, the others are named on stderr;
 * EXIT_REFUSED: it does not want it, the reason is on stderr; EXIT_LATER: nobody is there, or it cannot take it now. */
int handover_send(const struct config *c, const struct handover *h);
/* Into the drop folder, synced. 0, or EXIT_LATER with a message on stderr. */
int handover_drop(const struct config *c, const struct handover *h);
/* Takes everything out of the drop folder that the server accepts; what it refuses for good is set aside and logged on stderr. */
int handover_empty_drop(const struct config *c);
/* A connection to the server's socket; -1: nobody is there. */
int handover_connect(const struct config *c);

#endif
