/* A FETCH under way. Private to fetch.c (what is asked of store, row by row), fetch_body.c (bytes of messages), fetch_binary.c (the
 * same, decoded) and fetch_render.c (the other items).
 *
 * Of the answer no more is held than one part of store's rows and what CONNECTION_BACKLOG_MOST allows: everything goes on
 * in imap_fetch_go_on, which returns when it must wait for store or for the client to read, and after so much work that others
 * are to have their turn: one command may name many items, of many messages. */
#ifndef EDGE_IMAP_FETCH_H
#define EDGE_IMAP_FETCH_H

#include "base/ids.h"
#include "base/pack.h"
#include "edge/imap/session.h"
#include "wire/imap_fetch.h"
#include "wire/mime.h"

/* What bytes of a message are being asked for (body_ask). */
enum imap_pull {
	PULL_NOTHING,
	PULL_TREE,    /* all of it, to parse it: there is no cache */
	PULL_RANGE,   /* into `gathered`: a header that did not come with the row */
	PULL_BEGINNING, /* the same of a body: all that was asked for */
	PULL_LITERAL, /* to the client */
	PULL_MEASURE, /* to be decoded, for how long that is */
	PULL_DECODED, /* to the client, decoded */
};

/* A part that is decoded: fetch_binary.c. */
struct imap_binary {
	struct transfer_decoder decoder;
	uint64_t size;       /* decoded; known once is_measured */
	uint64_t skip, left; /* of what is written */
	bool is_measured, has_nul;
};

enum imap_step { STEP_ON, STEP_WAIT };

struct imap_fetching {
	struct imap_fetch what;
	struct buf ranges;
	uint64_t changed_since;
	uint32_t expected, seen;               /* messages */
	void (*after)(struct imap_session *s); /* NULL: the command is FETCH */
	uint8_t want;                          /* enum fetch_want */
	bool asks_flags, asks_uid, asks_modseq;
	bool has_unknown_encoding;             /* a part could not be decoded: RFC 3516 §4.3 */
	struct roaring_bitmap_s *newly_seen;   /* \Seen was set by this command: RFC 3501 §6.4.5 */

	/* a part of the answer */
	struct buf rows_memory;
	struct unpacker rows;
	struct buf next_rows; /* the part behind it, which store makes while this one is written */
	bool is_last, waits_for_rows;
	bool has_next, next_is_last;

	/* the message in hand */
	bool has_row;
	struct imap_row row;
	uint32_t sequence, size_bytes;
	uint64_t internaldate_ms, savedate_ms, thread;
	struct id128 email;
	struct span envelope, cache, bytes;    /* bytes: the message, or its header (want) */
	bool has_bytes;
	size_t next_item;
	struct arena arena;                    /* of the tree */
	struct mime_tree tree;
	struct mime_parser *parser;            /* owns the tree if it had to be parsed */
	bool has_tree;
	struct span header;                    /* of the message, with its blank line */
	bool has_header;
	struct buf gathered;                   /* owns the header where it came in pieces */
	uint64_t gathered_offset;              /* of what it has; has_gathered */
	bool has_gathered;

	size_t work;                           /* of this turn, in bytes that were looked at or written */
	struct timer *turn;                    /* goes off in the loop's next turn; NULL until it is needed */
	bool waits_for_turn;

	struct imap_binary binary;             /* of the item in hand */
	enum imap_pull pull;
	bool is_asked;                         /* a piece is under way */
	uint64_t offset, end;                  /* still to be asked for */
};

/* fetch_body.c */

/* A space and the beginning of a literal of so many bytes that follow, with what stands before its brace; or the empty string, whole. */
void imap_begin_literal(struct imap_session *s, uint64_t length, const char *mark);
/* Says the item's bytes, or begins to. */
enum imap_step imap_fetch_section(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item);
/* Makes f->tree; STEP_WAIT while it is not there yet. */
enum imap_step imap_fetch_tree(struct imap_session *s, struct imap_fetching *f);
void imap_fetch_begin_pull(struct imap_fetching *f, enum imap_pull what, uint64_t offset, uint64_t length);
/* The bytes at that range of the message, PULL_RANGE up to the end of the header that stands there; true when *out has them. */
bool imap_fetch_gather(struct imap_session *s, struct imap_fetching *f, enum imap_pull what, uint64_t offset, uint64_t length, struct span *out);
/* Asks for the next piece of what is pulled. */
void imap_fetch_pull(struct imap_session *s, struct imap_fetching *f);
void imap_fetch_piece(struct imap_session *s, const struct msg_body_piece *m);
void imap_fetch_end_row(struct imap_fetching *f);

/* fetch_binary.c: says a part decoded, or its size; takes pieces that were pulled for that. */
enum imap_step imap_fetch_binary(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item);
void imap_fetch_measure(struct imap_fetching *f, struct span bytes, bool is_end);
void imap_fetch_decoded(struct imap_session *s, struct imap_fetching *f, struct span bytes, bool is_end);

enum imap_step imap_fetch_preview(struct imap_session *s, struct imap_fetching *f); /* fetch_preview.c */

/* fetch_render.c: says an item that is no section. */
enum imap_step imap_fetch_simple(struct imap_session *s, struct imap_fetching *f, const struct imap_fetch_item *item);
void imap_fetch_flags(struct imap_session *s, struct imap_fetching *f);

#endif
