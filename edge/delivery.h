/* A message on its way from a client to filter and store: the bytes go to both as they arrive, in pieces, no more ahead of
 * them than a window; the outcome comes from store. Used by SMTP, LMTP, submission and IMAP's APPEND. */
#ifndef EDGE_DELIVERY_H
#define EDGE_DELIVERY_H

#include "edge/connection.h"

struct delivery;

struct delivery_events {
	/* There is room again after delivery_write said that there is none. */
	void (*writable)(struct connection *c);
	/* The outcome: once for all recipients, or (LMTP) once for each. After the last one the delivery is gone.
	 * outcome is an enum delivery_outcome. A lost store is asked again by itself; DELIVERY_UNKNOWN then means that nothing
	 * was stored. */
	void (*done)(struct connection *c, const struct msg_delivery_result *result);
};

struct delivery_recipient {
	struct span address;
	/* what its RCPT asked for (RFC 3461): bits of enum smtp_notify, and the value of ORCPT as it was written */
	uint8_t notify;
	struct span orcpt;
};

struct delivery_facts {
	enum delivery_kind kind;
	uint8_t facts;             /* enum message_facts */
	struct span reverse_path;
	uint8_t ret;               /* enum smtp_ret */
	struct span envid;         /* as it was written */
	uint8_t priority;          /* as in ipc/terms.h */
	uint32_t hold_s;
	struct span helo;          /* what the client called itself */
	struct span with;          /* RFC 3848: "ESMTPS" */
	/* of APPEND: */
	struct span mailbox;
	uint8_t flags;
	struct span keywords;      /* a list of words */
	uint64_t internaldate_ms;
	uint32_t uid;              /* as in delivery_begin, with the next two */
	struct span unique_id, source;
	const struct delivery_recipient *recipients;
	size_t recipient_count;
	struct span forwarded_by;  /* our domain that sends it on to another server; empty: it stays here */
};

/* Begins one for the connection; everything is copied. NULL if store or filter are not there now: answer 451. */
struct delivery *delivery_new(struct connection *c, const struct delivery_facts *facts, const struct delivery_events *events);
struct id128 delivery_id(const struct delivery *d);
/* Takes bytes of the message. False: no room after these; wait for `writable` before the next. */
bool delivery_write(struct delivery *d, struct span bytes);
uint64_t delivery_size(const struct delivery *d);
/* The message is whole; `done` follows. */
void delivery_end(struct delivery *d);
/* The same of one that is to be kept together with others, by append_ask: DELIVERY_PARKED if it is good. */
void delivery_park(struct delivery *d);
/* Gives it up before its end (the client has gone, or the message is refused); no event follows. After delivery_end only
 * the events stop: what was handed over may be kept. */
void delivery_cancel(struct delivery *d);

/* For edge.c. */
void delivery_store_attached(struct edge_process *e);
void delivery_store_gone(struct edge_process *e);
void delivery_filter_gone(struct edge_process *e, unsigned filter);
void delivery_store_credit(struct edge_process *e, const struct msg_delivery_credit *m);
void delivery_filter_credit(struct edge_process *e, const struct msg_judge_credit *m);
void delivery_result(struct edge_process *e, const struct msg_delivery_result *m);

#endif
