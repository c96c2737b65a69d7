/* An IMAP session, and what the files of this folder share.
 *
 * A command's life: session.c reads it whole and looks it up in commands.c; its handler answers at once, or asks store
 * (imap_ask) and goes on in the functions of a struct imap_answers; in the end it calls one of imap_ok, imap_no, imap_bad.
 * That tells what has changed in the mailbox, then writes the tagged reply, and the next command is read. */
#ifndef EDGE_IMAP_SESSION_H
#define EDGE_IMAP_SESSION_H

#include "edge/delivery.h"
#include "edge/imap/imap.h"
#include "edge/imap/view.h"
#include "wire/imap_command.h"
#include "wire/language.h"
#include "wire/namespace.h"

enum {
	IMAP_COMMAND_BYTES_BEFORE_LOGIN = 8 * 1024, /* attack E73 */
	IMAP_COMMAND_BYTES_MOST = 64 * 1024,        /* RFC 2683 §3.2.1.5 asks for 8000 */
	IMAP_BAD_MOST = 50,                         /* commands that are none, before the session is ended */
	IMAP_LOGIN_FAILURES_MOST = 5,
	IMAP_TIMEOUT_BEFORE_LOGIN_MS = 3 * 60 * 1000,
	IMAP_OUT_BYTES = 32 * 1024,                 /* written at once */
};

/* RFC 3501 §3, as bits. */
enum imap_state {
	IMAP_NOT_AUTHENTICATED = 1,
	IMAP_AUTHENTICATED = 2,
	IMAP_SELECTED = 4,
	IMAP_LOGGED_IN = IMAP_AUTHENTICATED | IMAP_SELECTED,
	IMAP_ANY_STATE = IMAP_NOT_AUTHENTICATED | IMAP_LOGGED_IN,
};

/* What the next bytes from the client are. */
enum imap_input {
	IMAP_INPUT_COMMAND,
	IMAP_INPUT_SASL,        /* the response to AUTHENTICATE's challenge */
	IMAP_INPUT_APPEND,      /* the next chunk of APPEND, behind a literal */
	IMAP_INPUT_MESSAGE,     /* such a literal */
	IMAP_INPUT_IDLE,        /* DONE */
};

/* What the client has switched on, for the whole session: RFC 5161. */
enum imap_enabled {
	IMAP_ENABLED_CONDSTORE = 1, /* RFC 7162 §3.1.1: also by any command that uses it */
	IMAP_ENABLED_QRESYNC = 2,
	IMAP_ENABLED_REV2 = 4,      /* RFC 9051 */
	IMAP_ENABLED_UTF8 = 8,      /* RFC 6855 */
	IMAP_ENABLED_UIDONLY = 16,  /* RFC 9586 */
};

struct imap_session;
struct imap_fetching;
struct imap_appending;
struct imap_notifying;
struct imap_fetch;
struct imap_searching;

enum imap_command_flags {
	IMAP_HAS_UID = 1,    /* there is a UID form: RFC 3501 §6.4.8 */
	IMAP_ONLY_UID = 2,   /* of this meaning there is only the UID form: RFC 4315 §2.1 */
	IMAP_ADMINISTRATOR = 8, /* to everybody else there is no such command */
	IMAP_NO_EXPUNGE = 4, /* EXPUNGE may not be said at its end, unless it is the UID form: RFC 3501 §7.4.1 */
};

struct imap_command {
	const char *name;
	unsigned states;     /* in which it is allowed */
	unsigned flags;
	const char *rfc;
	void (*run)(struct imap_session *s, struct imap_parser *p); /* p stands behind the name */
};

/* commands.c; NULL if there is none of that name. */
const struct imap_command *imap_command_find(struct span name, bool is_uid);

/* What a command that waits for store does with the answers; those that are NULL are not expected. */
struct imap_answers {
	void (*row)(struct imap_session *s, const struct msg_mailbox_row *m);
	void (*opened)(struct imap_session *s, const struct msg_mailbox_opened *m);
	void (*uids)(struct imap_session *s, const struct msg_uid_rows *m);
	void (*rows)(struct imap_session *s, const struct msg_fetch_rows *m);
	void (*piece)(struct imap_session *s, const struct msg_body_piece *m);
	void (*copied)(struct imap_session *s, const struct msg_copy_done *m);
	void (*share)(struct imap_session *s, const struct msg_share_row *m);
	void (*acl)(struct imap_session *s, const struct msg_acl_row *m);
	void (*quota)(struct imap_session *s, const struct msg_quota_row *m);
	void (*metadata)(struct imap_session *s, const struct msg_metadata_row *m);
	void (*sources)(struct imap_session *s, const struct msg_import_sources *m);
	void (*found)(struct imap_session *s, const struct msg_search_found *m);
	void (*searched)(struct imap_session *s, const struct msg_search_done *m);
	void (*done)(struct imap_session *s, const struct msg_request_done *m); /* NULL: NO, with the outcome's code */
};

struct imap_session {
	struct connection *connection;
	enum imap_state state;
	enum imap_input input;
	struct imap_view view;         /* of the selected mailbox */
	unsigned bad_count, login_failures;
	unsigned enabled;              /* bits of enum imap_enabled */
	bool is_of_microsoft;          /* says the client by ID */
	enum language language;        /* of what people read: language.c */

	/* the command that is being read or run */
	struct imap_scanner scanner;
	struct buf command;            /* its bytes, literals included */
	bool is_skipping;              /* it has been refused; the rest of it is thrown away */
	bool has_literal;              /* it runs before the literal that it announces has come: APPEND */
	struct arena arena;            /* what lives as long as the command */
	char tag_bytes[IMAP_TAG_MAX];
	struct span tag;
	const struct imap_command *running;
	bool is_uid;
	void *work;                    /* of the command's own file, in the arena */
	struct imap_all_mailboxes *all; /* all_mailboxes.c */
	uint32_t request;              /* number of the last question to store */
	int64_t asked_ms;              /* when: monotonic */
	bool has_written;              /* of the command's answer */
	const struct imap_answers *answers;
	struct buf out;                /* responses that are not written yet */
	struct buf reply;              /* the tagged one, which waits until the changes have been told */
	bool starts_deflate;           /* behind it: COMPRESS */
	bool tells_modseq;             /* in it, once it is known: imap_ok_with_modseq */
	void (*then)(struct imap_session *s); /* what the command goes on with: vanished.c */

	/* in IDLE: its place in the queue of those that are told that the server is still there (idle.c) */
	struct imap_session *idle_before, *idle_behind;
	int64_t idle_due_ms;

	struct imap_notifying *notifying; /* notify.c; NULL: NOTIFY is off */
	struct imap_fetching *fetching; /* fetch.c */
	struct imap_searching *searching; /* search.c */
	struct imap_appending *appending; /* append.c */
	struct delivery *delivery;
	uint64_t message_left;          /* bytes of the literal at hand */
};

/* ---- reply.c: ending a command ---- */

void imap_ok(struct imap_session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void imap_no(struct imap_session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A command that is none, with the parser's reason; NO where it is a mailbox name that cannot be. */
void imap_bad(struct imap_session *s, const struct imap_parser *p);
void imap_bad_text(struct imap_session *s, const char *text);
/* The text of an OK that may be long. */
void imap_ok_span(struct imap_session *s, struct span text);
/* OK that tells up to which change the client has heard, if it keeps a copy: RFC 7162 §3.2.7. */
void imap_ok_with_modseq(struct imap_session *s, const char *text);
/* NO with the response code for it (RFC 5530); is_target: the mailbox named is one to put messages into. */
void imap_no_outcome(struct imap_session *s, const struct msg_request_done *m, bool is_target);
/* Writes the tagged reply that waits, and takes the next command. */
void imap_say_reply(struct imap_session *s);

/* Writes what is in s->out. */
void imap_flush(struct imap_session *s);
/* Appends "* ", the number and the rest, " FETCH (" say: without printf, since most of what is written is this. */
void imap_say_numbered(struct imap_session *s, uint32_t number, struct span rest);
/* Begins a FETCH response, whose items follow: "* 12 FETCH (", with "UID 34 " in it or not; or UIDFETCH, which has it in front
 * (RFC 9586 §3.3). */
void imap_begin_fetch(struct imap_session *s, uint32_t number, uint32_t uid, bool with_uid);
/* "* BYE why", and the connection's end. */
void imap_bye(struct imap_session *s, const char *why);

/* Makes ready to ask store: the answers to s->request go to `answers`, input waits. NULL if store is not there; the session
 * is closed then. */
struct channel *imap_asking(struct imap_session *s, const struct imap_answers *answers);

/* imap_ask(s, &answers, mailbox_list_ask, .name = name); */
#define imap_ask(s, answers_, message, ...) \
	do { \
		struct channel *store_ = imap_asking(s, answers_); \
		if (store_) \
			channel_send(store_, message, .session = (s)->connection->session, .request = (s)->request, __VA_ARGS__); \
	} while (0)

/* The same of a message that has nothing but session and request. */
#define imap_ask_plainly(s, answers_, message) \
	do { \
		struct channel *store_ = imap_asking(s, answers_); \
		if (store_) \
			channel_send(store_, message, .session = (s)->connection->session, .request = (s)->request); \
	} while (0)

/* ---- all_mailboxes.c ---- */

struct imap_share;

struct imap_all_mailboxes {
	/* of the asker: */
	void (*row)(struct imap_session *s, const struct msg_mailbox_row *m);
	void (*done)(struct imap_session *s, const struct msg_request_done *m);
	bool wants_recent;
	bool has_others; /* those of other accounts too */
	/* all_mailboxes.c: */
	struct imap_share *shares, **last, *next;
};

/* Asks for every mailbox: `row` for each, then `done`. *all lives as long as the command. */
void imap_ask_all_mailboxes(struct imap_session *s, struct imap_all_mailboxes *all);
/* Behind that: what stands before the names of each other account's mailboxes. False: there are no more. */
void imap_first_share(struct imap_all_mailboxes *all);
bool imap_next_share(struct imap_all_mailboxes *all, struct span *prefix);

/* A request_done that says OK ends the command so; another one with its NO. */
void imap_done_plainly(struct imap_session *s, const struct msg_request_done *m);

/* ---- session.c ---- */

/* The literal that was announced is refused (the reply has been given): if it comes nevertheless, it is thrown away. */
void imap_skip_literal(struct imap_session *s);
/* "+ text" */
void imap_continuation(struct imap_session *s, const char *text);

/* ---- language.c ---- */

/* Appends the text of a reply, code and all, in the client's language. */
void imap_translate(const struct imap_session *s, struct span text, struct buf *out);

/* ---- progress.c ---- */

/* Sessions of this process are told from now on that what they wait for goes on. */
void imap_progress_watch(struct edge_process *e);

/* ---- capability.c ---- */

/* Appends the capabilities as they are now: RFC 3501 §7.2.1. */
void imap_add_capabilities(struct imap_session *s, struct buf *out);
/* Switches on what a command asks for or implies; says what the client must know then. */
void imap_enable_now(struct imap_session *s, unsigned what);

/* ---- files with a state of their own ---- */

void imap_sasl_line(struct imap_session *s, struct span line);     /* login.c */
void imap_challenge(struct connection *c, const char *encoded);
void imap_logged_in(struct connection *c, enum login_outcome outcome);
/* append.c: true if the command at hand is APPEND or REPLACE, and goes on before the literal that it announces has come */
bool imap_append_takes(struct imap_parser *p);
void imap_append_chunk(struct imap_session *s, bool has_literal);  /* the next chunk is here; it ends in an announced literal, or not */
void imap_append_argument(struct imap_session *s);                 /* the literal that was announced is an argument */
void imap_append_input(struct imap_session *s);                    /* bytes of the message */
void imap_append_abandon(struct imap_session *s);
/* Ends the command with NO and the text, and gives up what it had. */
void imap_append_fail(struct imap_session *s, const char *text);
void imap_idle_line(struct imap_session *s, struct span line);     /* idle.c */
void imap_idle_push(struct imap_session *s);                       /* if it is idle, tells what has changed */
void imap_idle_leave(struct imap_session *s);                      /* it is idle no more, or gone */
/* How long a logged-in client may be silent outside of IDLE: RFC 3501 §5.4. */
int64_t imap_silence_ms(const struct imap_session *s);             /* login.c */
void imap_fetch_go_on(struct imap_session *s);                     /* fetch.c: there is room to write again */
/* Tells UID, FLAGS and MODSEQ of what has changed among the UIDs in *ranges, which it takes over; then `end`. */
void imap_fetch_changed(struct imap_session *s, struct buf *ranges, uint64_t since, void (*end)(struct imap_session *s));
/* Tells what is asked for of the messages from that UID on, without setting \Seen; then `end`. */
void imap_fetch_new(struct imap_session *s, const struct imap_fetch *what, uint32_t first_uid, void (*end)(struct imap_session *s));
/* vanished.c: tells which of these UIDs have gone since that MODSEQ (RFC 7162 §3.2.10.1); then `then`. */
void imap_say_vanished(struct imap_session *s, struct span ranges, uint64_t since, void (*then)(struct imap_session *s));
/* Appends UIDs or numbers as a sequence-set: copy.c. */
void imap_add_set(struct buf *out, struct span ranges);
void imap_fetch_free(struct imap_session *s);
void imap_leave_mailbox(struct imap_session *s);                   /* select.c: if one is selected */
/* Says STATUS of a mailbox: bits of enum imap_status_item. */
void imap_say_status(struct imap_session *s, const struct msg_mailbox_row *m, unsigned items); /* status.c */
/* Appends "F12", or "F12-34" of account 34's mailbox 12: RFC 8474 §4. */
void imap_add_mailbox_id(uint32_t id, uint64_t owner, struct buf *out); /* status.c */
bool imap_is_selected(const struct imap_session *s, const struct msg_mailbox_row *m); /* status.c */
/* Says MYRIGHTS of a mailbox: bits of enum right. */
void imap_say_rights(struct imap_session *s, struct span name, unsigned rights); /* acl.c */
/* Appends an entry of METADATA with its value. */
void imap_add_metadata(struct imap_session *s, struct span entry, struct span value); /* metadata.c */
/* True if the client reads and writes names in UTF-8: RFC 6855 §3, RFC 9051 §5.1. */
bool imap_has_utf8_names(const struct imap_session *s);            /* status.c */
void imap_search_free(struct imap_session *s);                     /* search.c */
/* "$": appends the UIDs of what is saved and still there, and says how many they are: RFC 5182. */
uint32_t imap_search_saved(const struct imap_view *v, struct buf *ranges); /* search_result.c */
/* Appends a mailbox's name as the client reads it. */
void imap_add_mailbox_name(struct imap_session *s, struct span name); /* status.c */
/* Packs the keywords for store; false after a NO if they are too many. */
bool imap_pack_keywords(struct imap_session *s, const struct imap_flags *flags, struct buf *out); /* store.c */

/* ---- search_context.c: results that are followed (RFC 5267 §4.3) ---- */

enum { IMAP_CONTEXT_REQUEST = 1 << 30 }; /* a bit of the numbers of their questions, which no command's has */

void imap_searches_free(struct imap_view *v);
void imap_contexts_changed(struct imap_session *s, uint32_t uid);  /* a message has come, or its flags have changed */
void imap_contexts_expunged(struct imap_session *s);               /* those in view.expunged are about to be told */
/* Everything has been told: tells what has been found out before, and asks store what that means for the results. */
void imap_contexts_refresh(struct imap_session *s);
void imap_contexts_found(struct imap_session *s, const struct msg_search_found *m);
void imap_contexts_searched(struct imap_session *s, const struct msg_search_done *m);
void imap_contexts_failed(struct imap_session *s, const struct msg_request_done *m);

/* ---- handlers, by file ---- */
/* The answer to NAMESPACE: RFC 2342. */
#define IMAP_NAMESPACES "* NAMESPACE ((\"\" \"/\")) ((\"" NAMESPACE_OTHERS_PREFIX "\" \"/\")) ((\"" NAMESPACE_SHARED_PREFIX "\" \"/\"))\r\n"
#define IMAP_HANDLER(name) void name(struct imap_session *s, struct imap_parser *p)
IMAP_HANDLER(imap_capability); /* capability.c */
IMAP_HANDLER(imap_enable);
IMAP_HANDLER(imap_language);   /* language.c */
IMAP_HANDLER(imap_compress);   /* connection.c */
IMAP_HANDLER(imap_unauthenticate);
IMAP_HANDLER(imap_noop);       /* login.c */
IMAP_HANDLER(imap_logout);
IMAP_HANDLER(imap_id);
IMAP_HANDLER(imap_starttls);
IMAP_HANDLER(imap_authenticate);
IMAP_HANDLER(imap_login);
IMAP_HANDLER(imap_list);       /* list.c */
IMAP_HANDLER(imap_lsub);
IMAP_HANDLER(imap_create);     /* status.c */
IMAP_HANDLER(imap_delete);
IMAP_HANDLER(imap_rename);
IMAP_HANDLER(imap_subscribe);
IMAP_HANDLER(imap_unsubscribe);
IMAP_HANDLER(imap_status);
IMAP_HANDLER(imap_namespace);
IMAP_HANDLER(imap_select);     /* select.c */
IMAP_HANDLER(imap_examine);
IMAP_HANDLER(imap_close);
IMAP_HANDLER(imap_unselect);
IMAP_HANDLER(imap_check);
IMAP_HANDLER(imap_fetch);      /* fetch.c */
IMAP_HANDLER(imap_store);      /* store.c */
IMAP_HANDLER(imap_copy);       /* copy.c */
IMAP_HANDLER(imap_move);
IMAP_HANDLER(imap_expunge);
IMAP_HANDLER(imap_uid_expunge);
IMAP_HANDLER(imap_search);     /* search.c */
IMAP_HANDLER(imap_sort);
IMAP_HANDLER(imap_thread);
IMAP_HANDLER(imap_esearch);
IMAP_HANDLER(imap_cancel_update); /* search_context.c */
IMAP_HANDLER(imap_append);     /* append.c */
IMAP_HANDLER(imap_replace);
IMAP_HANDLER(imap_import_mailbox); /* import.c */
IMAP_HANDLER(imap_import_sources);
IMAP_HANDLER(imap_idle);       /* idle.c */
IMAP_HANDLER(imap_notify);     /* notify.c */
IMAP_HANDLER(imap_getmetadata); /* metadata.c */
IMAP_HANDLER(imap_setmetadata);
IMAP_HANDLER(imap_getacl);     /* acl.c */
IMAP_HANDLER(imap_setacl);
IMAP_HANDLER(imap_deleteacl);
IMAP_HANDLER(imap_listrights);
IMAP_HANDLER(imap_myrights);
IMAP_HANDLER(imap_getquota);   /* quota.c */
IMAP_HANDLER(imap_getquotaroot);
IMAP_HANDLER(imap_setquota);

#endif
