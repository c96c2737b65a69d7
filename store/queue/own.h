/* Messages of the server's own making: bounces, reports, notices. They come from the null reverse-path, and nothing answers them. */
#ifndef STORE_QUEUE_OWN_H
#define STORE_QUEUE_OWN_H

#include "store/queue/queue.h"

struct queued;

struct own_message {
	struct id128 id;
	struct buf text;      /* the whole message, with our Return-Path line; taken over */
	const char *maker;    /* for the trace: "bounce" */
	struct span to;       /* for the trace */
	unsigned facts;       /* enum message_facts, but for FACT_8BIT, which is found here */
	uint8_t priority;
};

/* Puts it into the batch as an accept record; the message is to be entered (own_enter) when the batch is written. */
struct queued *own_put(struct store *s, struct own_message *own, const struct targets *targets, struct batch *b);
/* Enters a message that own_put has made: signed (DKIM), if it leaves this server, there is a key, and somebody can sign. */
void own_enter(struct queued *m);
/* As own_put, in a batch of its own, and enters it. */
void own_send(struct store *s, struct own_message *own, const struct targets *targets);
/* The address that the server writes from: the setting postmaster, or that name at our host; appended. */
void own_address(struct store *s, struct buf *out);

#endif
