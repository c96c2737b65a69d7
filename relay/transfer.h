/* The message's bytes, from store to the server: pulled in pieces as the server takes them, so that no more of a message
 * than a few pieces is ever here. */
#ifndef RELAY_TRANSFER_H
#define RELAY_TRANSFER_H

#include "ipc/messages.gen.h"
#include "wire/downgrade.h"
#include "wire/smtp.h"

struct session;

enum {
	TRANSFER_PIECE_BYTES = 65536,         /* job_read.length at most */
	TRANSFER_IN_FLIGHT = 2,               /* one is being written while the next one is read */
	TRANSFER_BACKLOG_MOST = 256 * 1024,   /* that waits for the server */
};

enum transfer_mode { TRANSFER_OFF, TRANSFER_SEND, TRANSFER_PARSE };

struct transfer_piece {
	enum { PIECE_FREE, PIECE_ASKED, PIECE_THERE } state;
	uint64_t offset;
	uint32_t length;
	struct buf bytes;
};

struct transfer {
	enum transfer_mode mode;
	uint64_t next_to_ask, next_to_take;
	struct transfer_piece pieces[TRANSFER_IN_FLIGHT];
	struct smtp_dot_stuffer stuffer;
	struct downgrade *downgrade;      /* NULL: as it is */
	struct buf converted, out;
};

void transfer_start(struct session *s, enum transfer_mode mode, const struct mime_tree *convert);
void transfer_take(struct session *s, const struct msg_job_piece *m);
/* The server has taken what was written. */
void transfer_go_on(struct session *s);
void transfer_stop(struct transfer *t);

#endif
