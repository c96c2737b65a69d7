/* A view: one logged-in session and the mailbox that it has open, as the account's worker knows it. The session itself (in
 * edge) keeps the UIDs that it has seen and the MODSEQ up to which it has heard; here is who must be told of changes, and
 * what is being answered in pieces. */
#ifndef STORE_MAILBOX_VIEW_H
#define STORE_MAILBOX_VIEW_H

#include "ipc/messages.gen.h"
#include "store/mailbox/account.h"

/* A FETCH whose answer goes out in pieces. */
struct cursor {
	struct job job;       /* to go on with it */
	struct view *view;
	uint32_t request;
	struct buf ranges;    /* what is asked for */
	uint32_t next_uid;
	uint8_t want;         /* bits of enum fetch_want */
	bool has_no_cache;    /* the message at next_uid: filter could make none */
	uint64_t changed_since;
	struct column_values *envelopes; /* of a segment: fetch.c; NULL until they are needed */
	uint32_t envelopes_segment;
	bool is_active, is_waiting; /* for the disk or for filter */
};

/* Where a session has a view, and as who. */
struct view_place {
	uint64_t account;
	uint64_t key;     /* of the view among its worker's; the session's id in its own account */
	uint64_t reader;  /* 0: its owner's own; else the account of whoever looks at somebody else's mailboxes, with what their ACLs let it do */
	bool is_near;     /* and it is of the owner's domain: acl.h */
	struct span prefix; /* of the names as the reader says them (wire/namespace.h); empty for the owner */
};

struct view {
	struct account *account;
	struct mailbox *mailbox; /* NULL: none is open */
	struct view *next;       /* of the same mailbox */
	uint64_t session, key;
	uint64_t reader; /* as in its place, as are the next two */
	bool is_near;
	char *prefix;
	peer_id peer;
	bool is_read_only;
	bool is_told;            /* it knows that there is something new, and has not asked yet */
	uint64_t heard_modseq;   /* it has asked for what came after this, and so heard of all before */
	bool is_watching;
	struct view *next_watcher; /* of the same account */
	unsigned kept;           /* by jobs that are under way: view_keep */
	bool is_closed;          /* freed as soon as nothing of it is under way */
	struct cursor cursor;
	struct search *searches; /* search.h */
};

/* One message of an edge to an account, in its worker's thread: the context of all handlers in this folder. */
struct request {
	struct worker *worker;
	struct view *view;
	struct account *account;
	struct buf out; /* the answers */
};

#define request_say(r, name, ...) msg_##name##_pack(&(r)->out, 0, &(const struct msg_##name){__VA_ARGS__})

/* Posts a message of a session to the worker of an account (called in the loop's thread; copies what it is given). */
void view_post_message(struct worker *w, uint64_t session, const struct view_place *place, peer_id peer, uint16_t type, struct span payload);
/* The session has ended, or has no more to do there. */
void view_post_close(struct worker *w, uint64_t key);
/* The view, made if it is not there yet. NULL, after a line in the log, where the account cannot be read. */
struct view *view_get(struct worker *w, uint64_t session, const struct view_place *place, peer_id peer);

/* What the handlers share. */
void request_done(struct request *r, uint32_t request, enum request_outcome outcome, const char *text);
/* The open mailbox with its index; NULL after saying REQUEST_NO_MAILBOX. */
struct mailbox *request_mailbox(struct request *r, uint32_t request);
/* The mailbox of that name, if the view has these rights to it (wire/rights.h). NULL after saying why not: where it may not even know that there is one,
 * there is none (RFC 4314 §6). */
struct mailbox *request_find(struct request *r, uint32_t request, struct span name, unsigned rights);
/* True after saying REQUEST_NO_PERMISSION: it has not all of these rights to the mailbox. */
bool request_lacks(struct request *r, uint32_t request, const struct mailbox *m, unsigned rights);
/* Appends the name as the reader says it; false if that is too long to be said. */
bool view_add_name(const struct view *v, struct span name, struct buf *out);
/* True after saying REQUEST_READ_ONLY. */
bool request_is_read_only(struct request *r, uint32_t request);
/* Says what a handler that goes on later has to say; the second: how it has ended. */
void view_say(struct view *v, struct buf *out);
void view_say_done(struct view *v, uint32_t request, enum request_outcome outcome, const char *text);
/* Whether it may read the mailbox (RIGHT_READ): a handler that goes on later asks again, since the right may have been taken away. */
bool view_may_read(const struct view *v, const struct mailbox *m);

/* Appends the UIDs in `ranges` of messages that are there and have these flags (copy.c). */
void mailbox_find_uids(const struct mailbox *m, struct span ranges, uint8_t flags, struct buf *uids);
/* Moves every message; both mailboxes are loaded (copy.c). */
void mailbox_move_all(struct mailbox *from, struct mailbox *to);

void view_leave_mailbox(struct view *v);
/* The same, and writes what the record on the disk lacks; in an operation that changes nothing else. */
void view_close_mailbox(struct view *v);
/* Forgets the expunged messages that every view has heard of. */
void view_forget_expunged(struct mailbox *m);
void view_mailbox_gone(struct mailbox *m);
/* Begins the view's cursor over ranges, which cursor->job goes on with by `run`: the caller adds what else it is about, and posts that with
 * account_when_durable. NULL after saying REQUEST_NO_MAILBOX, or REQUEST_FAILED: another is under way, or these are no ranges. */
struct cursor *cursor_begin(struct request *r, uint32_t request, struct span ranges, uint64_t changed_since, void (*run)(struct worker *w, struct job *j));
/* A cursor that has ended: lets a closed view go. */
void cursor_end(struct cursor *c);
/* Lets a closed view go if nothing of it is under way. */
void view_release(struct view *v);
/* It stays until view_let_go, whatever becomes of its session. */
struct view *view_keep(struct view *v);
void view_let_go(struct view *v);
/* Ends the searches of a closed view (search.c), some of them later. */
void view_stop_searches(struct view *v);

/* ---- handlers, by file ---- */
void mailbox_list_asked(void *context, const struct msg_mailbox_list_ask *m);       /* list.c */
void mailbox_create_asked(void *context, const struct msg_mailbox_create *m);
void mailbox_delete_asked(void *context, const struct msg_mailbox_delete *m);
void mailbox_rename_asked(void *context, const struct msg_mailbox_rename *m);
void mailbox_subscribe_asked(void *context, const struct msg_mailbox_subscribe *m);
void mailbox_open_asked(void *context, const struct msg_mailbox_open *m);           /* open.c */
void mailbox_close_asked(void *context, const struct msg_mailbox_close *m);
void changes_asked(void *context, const struct msg_changes_ask *m);                 /* change.c */
void vanished_asked(void *context, const struct msg_vanished_ask *m);
void fetch_asked(void *context, const struct msg_fetch_ask *m);                     /* fetch.c */
void fetch_more_asked(void *context, const struct msg_fetch_more *m);
void body_asked(void *context, const struct msg_body_ask *m);
void message_asked(void *context, const struct msg_message_ask *m);
void flags_asked(void *context, const struct msg_flags_ask *m);                     /* flags.c */
void acl_get_asked(void *context, const struct msg_acl_get *m);                     /* acl.c */
void acl_set_asked(void *context, const struct msg_acl_set *m);
void copy_asked(void *context, const struct msg_copy_ask *m);                       /* copy.c */
void expunge_asked(void *context, const struct msg_expunge_ask *m);
void metadata_get_asked(void *context, const struct msg_metadata_get *m);           /* metadata.c */
void metadata_set_asked(void *context, const struct msg_metadata_set *m);
/* Gives a mailbox the annotations of another. */
void metadata_copy(struct mailbox *from, struct mailbox *to);
void notify_set_asked(void *context, const struct msg_notify_set *m);               /* view.c */
void quota_asked(void *context, const struct msg_quota_ask *m);                     /* quota.c */
void import_mailbox_asked(void *context, const struct msg_import_mailbox_ask *m);   /* import.c */
void import_sources_asked(void *context, const struct msg_import_sources_ask *m);
void unique_ids_asked(void *context, const struct msg_unique_ids_ask *m);
void search_asked(void *context, const struct msg_search_ask *m);                   /* search.c */

/* Appends a row of a mailbox as fetch_rows and changes carry it (ipc/terms.h), with the flags that the view has, without what `want` adds. */
void fetch_pack_row(struct buf *rows, const struct view *v, struct mailbox *m, const struct row *r);

#endif
