/* A connection to a milter: opened, its options agreed on, used for one dialogue after another about messages of one client.
 *
 * A milter hears once, at the beginning, who the client is. QUIT_NC should let a connection be used for another client, but
 * libmilter passes over it after an answer that ended the message early, so that nobody knows what follows: for another client there
 * is another connection, as Postfix and Sendmail have it. */
#ifndef MILTER_LINK_H
#define MILTER_LINK_H

#include "base/arena.h"
#include "base/stream.h"
#include "milter/process.h"

struct dialogue;

struct link {
	struct milter_process *milter;
	struct milters *milters;
	size_t target;
	struct dialogue *dialogue;      /* NULL: idle */
	struct milter_options options;
	bool is_ready;                  /* the options are there */
	bool is_reused;                 /* it was idle: whether the milter is still there is not known */
	struct buf client;
	/* of link.c */
	struct stream *stream;
	struct watch *connecting;
	int fd;
	struct timer *timer;
	struct arena memory;
	struct buf packet;
	struct later release;
	bool is_dead;
	struct link *next, *before;
};

/* A link for the dialogue: an idle one that was opened for the same client (may_be_idle), which is ready; or a new one, of which
 * dialogue_ready is told, or dialogue_lost. client: all that the milter was told of it. NULL with *why. */
struct link *link_open(struct milter_process *p, struct milters *milters, size_t target, struct span client, bool may_be_idle, struct dialogue *d,
                       struct error *why);
void link_send(struct link *l, char kind, struct span data);
size_t link_backlog(const struct link *l);
/* The dialogue is over. Keeps it for the next of this client; is_amid: the milter still waits for more of the message. */
void link_keep(struct link *l, bool is_amid);
/* Says goodbye, if the milter can be expected to listen, and closes it. */
void link_close(struct link *l, bool is_polite);
/* Idle ones are closed, the others when they become idle: the settings have changed. */
void links_retire(struct milter_process *p);

#endif
