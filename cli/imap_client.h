/* A client of an IMAP server, for the commands that bring mail or fetch it: of this one by its socket run_dir/imap, or of any other by the
 * network. It blocks, as a command may. What the server says is hostile: each response is bounded. */
#ifndef CLI_IMAP_CLIENT_H
#define CLI_IMAP_CLIENT_H

#include "base/buf.h"
#include "base/error.h"

struct ssl_st;

enum { IMAP_CLIENT_RESPONSE_MOST = 4 * 1024 * 1024, IMAP_CLIENT_SILENCE_MS = 15 * 60 * 1000 };

struct imap_client {
	int fd;
	struct ssl_st *tls;   /* NULL: none */
	struct buf in;        /* what has been read; from `at` on it is not taken yet */
	size_t at;
	unsigned last_tag;
	bool is_lost;         /* nothing more can be said or heard */
	struct error why;     /* why it is lost, or what the last command was answered */
	struct buf response;  /* the last one, with its literals, without its last CR LF */
};

/* All: -1 when the connection is lost, with c->why. */
void imap_client_open(struct imap_client *c, int fd);
void imap_client_close(struct imap_client *c);
int imap_client_write(struct imap_client *c, struct span bytes);
/* The next response, into c->response. Bytes of a literal of more than `inline_most` bytes stay unread: *literal is their number then, and
 * imap_client_read takes them, after which imap_client_rest adds what follows. */
int imap_client_response(struct imap_client *c, uint64_t inline_most, uint64_t *literal);
int imap_client_rest(struct imap_client *c, uint64_t inline_most, uint64_t *literal);
/* Some of the next `most` bytes, at least one; valid until the next call. */
int imap_client_read(struct imap_client *c, uint64_t most, struct span *bytes);

/* Says a command (a tag goes before it, CR LF behind it); `each` gets the untagged responses. 0: OK; 1: NO or BAD, with c->why. */
int imap_client_command(struct imap_client *c, struct span command, void (*each)(void *context, struct span response), void *context);
/* The tag of the next command, appended with a SP. */
void imap_client_tag(struct imap_client *c, struct buf *out);
/* Waits for the tagged response of the last tag. As imap_client_command. */
int imap_client_result(struct imap_client *c, void (*each)(void *context, struct span response), void *context);

/* Appends a quoted string, or a literal+ where that cannot have it. */
void imap_client_add_string(struct buf *out, struct span text);

#endif
