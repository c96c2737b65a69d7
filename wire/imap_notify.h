/* What NOTIFY asks to be told of: RFC 5465. */
#ifndef WIRE_IMAP_NOTIFY_H
#define WIRE_IMAP_NOTIFY_H

#include "wire/imap_fetch.h"

enum { IMAP_NOTIFY_GROUPS_MAX = 32, IMAP_NOTIFY_MAILBOXES_MAX = 256 /* of one group */ };

enum imap_notify_event {
	IMAP_EVENT_NEW = 1, IMAP_EVENT_EXPUNGE = 2, IMAP_EVENT_FLAGS = 4,
	IMAP_EVENT_NAME = 8, IMAP_EVENT_SUBSCRIPTION = 16, IMAP_EVENT_METADATA = 32, IMAP_EVENT_SERVER_METADATA = 64,
};

enum imap_notify_filter {
	IMAP_NOTIFY_SELECTED, IMAP_NOTIFY_SELECTED_DELAYED, IMAP_NOTIFY_INBOXES, IMAP_NOTIFY_PERSONAL, IMAP_NOTIFY_SUBSCRIBED,
	IMAP_NOTIFY_SUBTREE, IMAP_NOTIFY_MAILBOXES,
};

struct imap_notify_group {
	enum imap_notify_filter filter;
	struct span *mailboxes; /* of the last two */
	size_t count;
	unsigned events;        /* bits of enum imap_notify_event */
	struct span fetch;      /* of the selected mailbox: what to fetch of new messages, as it was written; empty: nothing */
};

struct imap_notify {
	bool is_none, has_status;
	bool is_bad_event;      /* one is not known: NO [BADEVENT ...] */
	struct imap_notify_group *groups;
	size_t count;
};

/* The arguments of NOTIFY. All that it gives lives in the parser's arena, not in the command. */
bool imap_take_notify(struct imap_parser *p, struct imap_notify *out);

#endif
