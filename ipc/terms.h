/* What the numbers in messages mean (ipc/messages.def): a receiver checks the range there and the meaning here. */
#ifndef IPC_TERMS_H
#define IPC_TERMS_H

/* How a message came to us: delivery_begin.kind, judge_begin.kind. */
enum delivery_kind {
	DELIVERY_SMTP,
	DELIVERY_LMTP,
	DELIVERY_SUBMISSION,
	DELIVERY_APPEND,
	DELIVERY_LOCAL,      /* of a program on this machine, by sendmail: it may send to anyone, as anyone */
};

/* Bits of `facts`, about a message. */
enum message_facts {
	FACT_SMTPUTF8 = 1, /* its envelope or header needs RFC 6531 */
	FACT_8BIT = 2,     /* its body has bytes above 0x7f */
	FACT_SECURED = 4,  /* it came over TLS */
	FACT_BINARY = 8,   /* its body may have NULs and line ends that are none (RFC 3030 §3) */
	FACT_REQUIRETLS = 16,   /* it leaves over TLS that is proved, or not at all (RFC 8689 §2) */
	FACT_TLS_OPTIONAL = 32, /* it leaves even where TLS should be a must and fails (RFC 8689 §3) */
	FACTS_OF_MESSAGE = 63,
	/* of store alone, in the queue's records */
	FACT_JUNK = 64,    /* a mailbox gets it in Junk */
	FACT_HELD = 128,   /* waits until it is released by a command */
	FACT_WARNED = 256, /* its sender has been told that it waits */
};

/* `priority`: RFC 6710's, from -9 to 9, and PRIORITY_NORMAL, so that it is no negative number. */
enum { PRIORITY_NORMAL = 9, PRIORITIES = 19 };

/* Pieces of a message's body that edge sends ahead of store's and filter's credits, and how many may be: beyond the window
 * goes the one that was full when it was used up, and the message's last. */
enum { DELIVERY_WINDOW_PIECES = 4, DELIVERY_AHEAD_MOST = DELIVERY_WINDOW_PIECES + 2 };

enum rcpt_outcome {
	RCPT_LOCAL,      /* one of ours */
	RCPT_REMOTE,     /* elsewhere, and the asker may send there */
	RCPT_UNKNOWN,    /* our domain, no such mailbox: 550 5.1.1 */
	RCPT_NO_RELAY,   /* elsewhere, and the asker may not: 550 5.7.1 */
	RCPT_BAD,        /* not an address that can be looked up: 553 5.1.3 */
	RCPT_LATER,      /* cannot be told now: 451 4.3.0 */
	RCPT_FULL,       /* its mailbox is over quota: 452 4.2.2 */
	RCPT_NO_SPACE,   /* the disk is full: 452 4.3.1 */
	RCPT_RATE,       /* the account has sent to too many lately: 450 4.7.1 */
	RCPT_GREYLISTED, /* a stranger's first try: 450 4.2.0 */
	RCPT_NOWHERE,    /* elsewhere, and a table says that no mail goes there: 550 5.1.2 */
};

/* delivery_result.outcome. Only the first two mean that the message is ours now. */
enum delivery_outcome {
	DELIVERED,            /* on the disk, in the mailbox */
	QUEUED,               /* on the disk, with every recipient's state */
	DELIVERY_REFUSED,     /* text has the reply, with its code */
	DELIVERY_LATER,       /* nothing was kept: 451 */
	DELIVERY_UNKNOWN,     /* answer to a query: no such delivery was stored */
	DELIVERY_NO_MAILBOX,  /* APPEND: [TRYCREATE] */
	DELIVERY_NOT_YOURS,   /* the author is not one of the account's addresses: 550 5.7.1 */
	DELIVERY_NO_SPACE,    /* 452 4.3.1 */
	DELIVERY_NO_RECIPIENT, /* the last recipient has gone meanwhile: 550 5.1.1 */
	DELIVERY_TOO_LARGE,   /* 552 5.3.4 */
	DELIVERY_DISCARDED,   /* a milter has thrown it away, and the client is not to know: 250 */
	DELIVERY_NO_PERMISSION, /* APPEND: [NOPERM] */
	DELIVERY_PARKED,      /* APPEND: good, and waits for append_ask; nothing is kept yet */
};

enum { DELIVERY_ALL_RECIPIENTS = 0xffffffff }; /* delivery_result.recipient, but for LMTP */

enum verdict_outcome { VERDICT_ACCEPT, VERDICT_REFUSE, VERDICT_LATER, VERDICT_DISCARD /* taken, and nothing is kept */ };
enum { MILTER_LIST_MOST = 65536, MILTER_RECIPIENTS_MOST = 100000 }; /* octets of recipients that milters add or take out; those that they are told of */

/* request_done.outcome of what is asked about mailboxes. */
enum request_outcome {
	REQUEST_OK,
	REQUEST_NO_MAILBOX,     /* IMAP: [NONEXISTENT], or [TRYCREATE] for COPY and MOVE */
	REQUEST_EXISTS,         /* [ALREADYEXISTS] */
	REQUEST_BAD_NAME,       /* [CANNOT] */
	REQUEST_HAS_CHILDREN,
	REQUEST_READ_ONLY,
	REQUEST_EXPUNGED,       /* [EXPUNGEISSUED]: a message is gone */
	REQUEST_LIMIT,          /* [LIMIT] */
	REQUEST_FAILED,         /* [SERVERBUG]: see the log */
	REQUEST_BAD_CHARSET,    /* [BADCHARSET] */
	REQUEST_NO_SPACE,       /* [OVERQUOTA]: the disk is full, or a quota */
	REQUEST_TOO_MANY,       /* [METADATA TOOMANY] */
	REQUEST_BAD_USE,        /* [USEATTR] */
	REQUEST_NO_PERMISSION,  /* [NOPERM]: RFC 4314 §4 */
	REQUEST_NO_USER,        /* of an ACL: there is nobody of that name */
	REQUEST_OK_LEFT,        /* deleted, and it was the mailbox that the session had open: none is open now */
};

/* System flags, as bits: RFC 3501 §2.3.2. */
enum mail_flag { FLAG_SEEN = 1, FLAG_ANSWERED = 2, FLAG_FLAGGED = 4, FLAG_DELETED = 8, FLAG_DRAFT = 16 };
enum { KEYWORDS_MOST = 64 }; /* of a mailbox: a bit each */

/* acl_set.change; the first three as enum rights_change (wire/rights.h) */
enum acl_change { ACL_SET, ACL_ADD, ACL_REMOVE, ACL_DELETE };

/* mailbox_event.kind */
enum mailbox_event_kind {
	MAILBOX_EVENT_MESSAGES, MAILBOX_EVENT_CREATED, MAILBOX_EVENT_DELETED, MAILBOX_EVENT_RENAMED, MAILBOX_EVENT_SUBSCRIBED, MAILBOX_EVENT_METADATA,
	MAILBOX_EVENT_SERVER_METADATA,
};
enum mailbox_change { CHANGE_NEW = 1, CHANGE_EXPUNGED = 2, CHANGE_FLAGS = 4 };

/* metadata_get.scope */
enum metadata_scope { METADATA_OF_SERVER, METADATA_OF_MAILBOX, METADATA_OF_ALL /* mailboxes */ };

/* flags_ask.mode */
enum flags_mode { FLAGS_SET, FLAGS_ADD, FLAGS_REMOVE };

/* Special uses, RFC 6154: mailbox_row.special_use. */
enum special_use { USE_NONE, USE_DRAFTS, USE_SENT, USE_JUNK, USE_TRASH, USE_ARCHIVE };

/* Bits of fetch_ask.want; what a row of fetch_rows has, in this order:
 *   u32 uid, u8 flags, u64 keywords, u64 modseq: always
 *   FETCH_DATES: u64 internaldate_ms, u32 size
 *   FETCH_IDS: u64 savedate_ms, id email, u64 thread (0: not known)
 *   FETCH_ENVELOPE: bytes envelope (wire/imap_envelope.h); where that is empty, what FETCH_CACHE gives follows
 *   FETCH_CACHE: bytes cache (wire/message_cache.h), empty if it cannot be had
 *   FETCH_HEADER: bytes of the root header, or FETCH_BODY: bytes of the whole message; u8 1 in front, or u8 0 and nothing
 *   if they are more than FETCH_INLINE_MOST and must be asked for by body_ask. */
enum fetch_want { FETCH_DATES = 1, FETCH_CACHE = 2, FETCH_HEADER = 4, FETCH_BODY = 8, FETCH_IDS = 16, FETCH_ENVELOPE = 32 /* not beside FETCH_CACHE */ };
enum { FETCH_INLINE_MOST = 65536 };

/* key_file.which */
enum key_file { KEY_FILE_CERTIFICATE, KEY_FILE_KEY, KEY_FILE_DKIM, KEY_FILE_RELAY_LOGIN, KEY_FILE_CLIENT_AUTHORITIES, KEY_FILES };

enum login_outcome {
	LOGIN_OK,
	LOGIN_REFUSED, /* no such user, or not his password */
	LOGIN_LATER,   /* could not be checked: a process is down, or too many wait */
	LOGIN_HELD,    /* was not checked: too many wrong passwords before it */
	LOGIN_FORBIDDEN, /* the user is who he says, but may not act for whom he wants to (RFC 4422 §3.6) */
};

/* account_answer.app */
enum app_outcome {
	APP_NONE,           /* it is no application's password of that account */
	APP_RIGHT,
	APP_WRONG_PROTOCOL, /* it is one, but not for what the client speaks */
	APP_EXPIRED,
};
enum { APP_NAME_BYTES_MOST = 64, APP_DIGEST_BYTES = 32 };

/* account_answer.acting */
enum acting {
	ACTING_FOR_HIMSELF,
	ACTING_FOR_ANOTHER, /* he is a master user, and there is such an account */
	ACTING_FORBIDDEN,
};

/* job.route: why the next hop is the one that it is. */
enum route {
	ROUTE_DOMAIN,     /* the recipients' own domain */
	ROUTE_RELAYED,    /* their domain is relayed to it */
	ROUTE_RELAY_HOST, /* the setting */
	ROUTE_ROUTED,     /* a route that was made by command */
	ROUTE_PROGRAM,    /* a program of this machine */
};

/* job.tls: what a route wants of TLS. */
enum route_tls {
	ROUTE_TLS_USUAL,    /* what the receiver's DNS demands, else what there is */
	ROUTE_TLS_NEVER,    /* in the clear: for servers whose TLS is broken */
	ROUTE_TLS_MUST,     /* encrypted, by whomever */
	ROUTE_TLS_VERIFIED, /* with a certificate for the host or the domain, by one of tls_authorities */
};

/* job_result.outcome of relay. */
enum relay_outcome { RELAY_DELIVERED, RELAY_LATER, RELAY_FAILED };

/* Bits of mx_host.flags. */
enum mx_host_flags {
	MX_HOST_SECURE = 1, /* DNSSEC has proved that this is the host's name */
	MX_HOST_TLS = 2,    /* TLS is a must: its DNS has TLSA records, if perhaps none that can be used (RFC 7672 §2.2) */
	MX_HOST_POLICY = 4, /* it must prove its name by an authority: the domain's MTA-STS policy enforces that (RFC 8461 §4) */
	MX_HOST_TESTED = 8, /* that it does not is told to the log alone: the policy is one for testing */
};

/* mx_answer.outcome */
enum mx_outcome {
	MX_FOUND,       /* the hosts are those that mx_host has named */
	MX_NULL,        /* RFC 7505: takes no mail; fails for good */
	MX_NO_DOMAIN,   /* NXDOMAIN, or neither MX nor address: fails for good */
	MX_LATER,       /* time-out, SERVFAIL, bogus DNSSEC: `text` says which */
	MX_UNSAFE,      /* no host is one that the domain's MTA-STS policy lets mail go to: `text` says which (RFC 8461 §4) */
	MX_LOOP,        /* we are the best MX ourselves, but it is not our domain: fails for good */
};

/* rua_answer.outcome */
enum rua_outcome {
	RUA_FOUND,
	RUA_NONE,  /* the domain wants no reports, or its record is none: `text` says which */
	RUA_LATER, /* it cannot be asked now */
};
enum { REPORT_BYTES_MOST = 600 * 1024 /* of one that is sent, packed: with base64 a message that own_ask can have */ };

/* table_answer.outcome */
enum table_outcome {
	TABLE_NONE,     /* no table has it */
	TABLE_FOUND,    /* an address's targets; a domain that is ours; a route's next hop */
	TABLE_RELAYED,  /* a domain whose mail is taken and sent on */
	TABLE_REFUSED,  /* a table says that mail for it is to be refused */
	TABLE_LATER,    /* a table cannot be asked, or says what is not done here: the log has it */
};

/* home_answer.outcome */
enum home_outcome {
	HOME_NONE,    /* no user of the machine who gets mail */
	HOME_USER,    /* one without a .forward */
	HOME_FORWARD, /* what his .forward says is in the message */
	HOME_UNSAFE,  /* he has one that is passed over: the text says why */
	HOME_LATER,   /* cannot be told now: the text says why */
};

/* MTA-STS policies that are kept: resolve has them in memory, store on the disk. */
enum { POLICIES_MOST = 100000, POLICIES_BYTES_MOST = 64 * 1024 * 1024 /* of their texts */ };

/* A search program, search_ask.program: nodes in prefix order, each one byte and what it says. */
enum search_node {
	SEARCH_ALL,
	SEARCH_AND,       /* u32 count, then as many nodes */
	SEARCH_OR,        /* two nodes */
	SEARCH_NOT,       /* one node */
	SEARCH_FUZZY,     /* two nodes: either, and the first one is worth a higher score */
	SEARCH_UIDS,      /* bytes: ranges; the last message is in one that goes up to UINT32_MAX */
	SEARCH_SEQUENCE,  /* the same of message numbers, for a mailbox that the session does not have open */
	SEARCH_FLAG,      /* u8 flags: all of them set */
	SEARCH_KEYWORD,   /* bytes: its name */
	SEARCH_BEFORE, SEARCH_ON, SEARCH_SINCE,             /* u64 ms of a day's start, by the internal date */
	SEARCH_SAVED_BEFORE, SEARCH_SAVED_ON, SEARCH_SAVED_SINCE, /* the same by the time at which it came into the mailbox */
	SEARCH_SENT_BEFORE, SEARCH_SENT_ON, SEARCH_SENT_SINCE, /* the same by the Date field */
	SEARCH_OLDER, SEARCH_YOUNGER,                       /* u64 seconds before now, by the internal date */
	SEARCH_LARGER, SEARCH_SMALLER,                      /* u64 */
	SEARCH_HEADER,    /* bytes name, bytes needle (UTF-8, folded by casefold_search) */
	SEARCH_BODY,      /* bytes needle */
	SEARCH_TEXT,      /* bytes needle */
	SEARCH_MODSEQ,    /* u64 */
	SEARCH_EMAIL_ID,  /* bytes: the blob's id */
	SEARCH_THREAD_ID, /* u64 */
	SEARCH_NODES,
};
enum { SEARCH_DEPTH_MOST = 64, SEARCH_NODES_MOST = 4096, SEARCH_NEEDLES_MOST = 64 };

/* search_ask.order */
enum search_order { SEARCH_BY_UID, SEARCH_SORTED, SEARCH_THREADED };
/* search_ask.keys: RFC 5256 §3, RFC 5957, RFC 6203 §6. */
enum sort_key {
	SORT_ARRIVAL, SORT_CC, SORT_DATE, SORT_FROM, SORT_SIZE, SORT_SUBJECT, SORT_TO, SORT_DISPLAY_FROM, SORT_DISPLAY_TO, SORT_RELEVANCY,
	SORT_KEYS,
	SORT_REVERSE = 128, /* beside one of these */
};
enum thread_algorithm { THREAD_ORDEREDSUBJECT, THREAD_REFERENCES, THREAD_REFS };
/* Between UIDs in search_found.found: the parentheses of RFC 5256 §5, thread-list. */
enum thread_mark { THREAD_OPEN = 0, THREAD_CLOSE = 0xffffffff };
enum { SCORE_LOOSE = 50, SCORE_EXACT = 100 };

/* parse_begin.want: what parse_done.cache is to be. */
enum parse_want {
	PARSE_CACHE,            /* the message's structure (wire/message_cache.h), or nothing if there are needles */
	PARSE_SUMMARY,          /* its summary (wire/message_summary.h) */
	PARSE_SUMMARY_OF_CACHE, /* the same, and what is handed over is the structure and no message */
	PARSE_TEXT,             /* u8 1 if that is not all of it, then its text (wire/gathered_text.h) */
};

#endif
