/* What a client has asked to be told of by NOTIFY, and what waits to be said: notify.c. */
#ifndef EDGE_IMAP_NOTIFY_H
#define EDGE_IMAP_NOTIFY_H

#include "edge/imap/session.h"
#include "wire/imap_notify.h"

struct imap_notifying {
	struct arena memory;
	struct imap_notify what;
	struct buf notices; /* responses that could not be said yet */
};

/* Whether the selected mailbox's changes of that kind are told at all: without NOTIFY they are (RFC 5465 §3.1). */
bool imap_notify_wants(const struct imap_session *s, enum imap_notify_event event);
/* Whether they are told at once, without a command. */
bool imap_notify_pushes(const struct imap_session *s);
/* Whether what has gone is told with a command only (SELECTED-DELAYED). */
bool imap_notify_delays_expunge(const struct imap_session *s);
void imap_notify_event(struct imap_session *s, const struct msg_mailbox_event *m);
/* Says what waits, if nothing else is being said. */
void imap_notify_flush(struct imap_session *s);
/* Puts what waits ahead of a command's reply. */
void imap_notify_add(struct imap_session *s);
/* Messages have come into the selected mailbox, from that UID on: fetches what the client wants of them. */
void imap_notify_new_messages(struct imap_session *s, uint32_t first_uid);
void imap_notify_free(struct imap_session *s);

#endif
