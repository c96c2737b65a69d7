/* A channel: a socketpair that master made, one end in each of two processes, and the messages of ipc/messages.def that
 * its direction allows. Everything that a turn of the loop says on a channel goes out in one write.
 *
 * A peer that sends what it may not is cut off: `closed` is called with is_violation, and whoever owns the channel tells
 * master, which ends that peer. What waits to be written is bounded by the protocols above (credits, one answer a question);
 * a peer that reads nothing for 256 MiB is cut off too. */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "base/loop.h"
#include "ipc/frame.h"
#include "ipc/messages.gen.h"

struct channel;

typedef int channel_dispatch_fn(const void *handlers, void *context, uint16_t type, struct span payload);

struct channel_use {
	channel_dispatch_fn *dispatch; /* of the direction that is received, from messages.gen.h */
	const void *handlers;
	void *context;                 /* given to the handlers and to closed */
	void (*closed)(void *context, bool is_violation); /* called once; the owner calls channel_free then or later */
	const char *peer;              /* for logs; must stay valid */
};

/* Takes fd over. */
struct channel *channel_new(struct loop *l, int fd, const struct channel_use *use);
/* What is unsent is dropped. May be called inside a handler. */
void channel_free(struct channel *c);
/* Writes what waits, blocking, for at most a second: before a process ends. */
void channel_flush(struct channel *c);
/* Ends the channel as if the peer had broken the protocol: for checks that only a handler can make. */
void channel_violation(struct channel *c, const char *what);
/* The context of later calls of its handlers. */
void channel_set_context(struct channel *c, void *context);

/* Where frames to be sent are appended; they leave at the end of this turn of the loop. */
struct buf *channel_out(struct channel *c);
uint32_t channel_epoch(const struct channel *c);
void channel_set_epoch(struct channel *c, uint32_t epoch);

/* channel_send(c, rcpt_answer, .token = 1, .outcome = 0); */
#define channel_send(c, name, ...) \
	msg_##name##_pack(channel_out(c), channel_epoch(c), &(const struct msg_##name){__VA_ARGS__})

/* Sends the one message that `channel_send` appended last together with a descriptor (which stays the caller's).
 * Blocking: only master sends descriptors. */
void channel_send_fd(struct channel *c, int fd);
/* The descriptor that came with the message being handled; -1 if none did. The caller owns it. */
int channel_take_fd(struct channel *c);

#endif
