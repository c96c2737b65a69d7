/* What a session has told its client about the selected mailbox: which messages there are, and up to which change it has
 * heard. Sequence numbers (RFC 3501 §2.3.1.2) exist only here: the place of a UID in the set of UIDs told.
 *
 * Invariant: a UID leaves the set only together with its EXPUNGE response. */
#ifndef EDGE_IMAP_VIEW_H
#define EDGE_IMAP_VIEW_H

#include "base/arena.h"
#include "base/buf.h"
#include "ipc/messages.gen.h"
#include "wire/imap_modifiers.h"

struct imap_session;
struct imap_searches;
struct roaring_bitmap_s;

struct imap_view {
	struct roaring_bitmap_s *uids;    /* told; NULL: no mailbox is selected */
	struct roaring_bitmap_s *expunged; /* of these, gone; the EXPUNGE waits for a command that allows it */
	struct imap_searches *searches;   /* search.h */
	struct roaring_bitmap_s *own;     /* whose flags as of own_modseq the client knows from its own command */
	uint64_t modseq, own_modseq;
	uint32_t id, uidvalidity, uidnext;
	uint64_t owner;                   /* of somebody else's mailbox: his account, whose ids these are */
	struct buf recent;                /* ranges (ipc/words.h) of UIDs that are \Recent here, gone ones too: RFC 3501 §2.3.2 */
	struct arena keyword_arena;
	struct span *keywords;
	size_t keyword_count;
	bool is_read_only;                /* EXAMINE */
	unsigned rights;                  /* enum right */
	bool has_no_recent;               /* IMAP4rev2 */
	bool is_stale;                    /* store has said that something has changed */
	bool is_asking;
	bool is_pushing;                  /* without a command: NOTIFY. The next command is read when that is over */
	bool has_new_messages;            /* EXISTS is due */
	uint64_t unsaid_modseq;           /* since this MODSEQ messages have gone whose EXPUNGE waits */
	bool has_told_unsaid;             /* the client has been told so */
	bool has_told_aside;              /* EXISTS came with the answer to a command since the last IDLE */
	uint32_t changes_request;
};

/* A message's row as store packs it (ipc/terms.h). */
struct imap_row {
	uint32_t uid;
	uint8_t flags;
	uint64_t keywords, modseq;
};

void imap_row_unpack(struct unpacker *u, struct imap_row *out);

void imap_view_open(struct imap_session *s, const struct msg_mailbox_opened *m, bool is_read_only);
void imap_view_add_uids(struct imap_session *s, struct span ranges);
void imap_view_close(struct imap_session *s);

uint32_t imap_view_count(const struct imap_view *v);
uint32_t imap_view_recent(const struct imap_view *v);
/* 0: the client has not been told of it. */
uint32_t imap_view_sequence(const struct imap_view *v, uint32_t uid);

/* The UIDs that a set names, as ranges (ipc/words.h) with nothing between them that is not in the view, and how many they
 * are. False after the reply: numbers beyond the mailbox's end, or too many ranges. */
bool imap_view_resolve(struct imap_session *s, const struct imap_sequence_set *set, bool is_uid, struct buf *ranges, uint32_t *count);

/* The UIDs that a set names, whether they are there or not, as ranges; "*" is the highest one told. */
void imap_view_uids_of_set(struct imap_session *s, const struct imap_sequence_set *set, struct buf *ranges);
/* Leaves of the UIDs in *ranges, which are in the view, those at these places among them (RFC 9394 §3.2); gives their number. */
uint32_t imap_view_cut(const struct imap_view *v, const struct imap_partial *partial, struct buf *ranges);

/* Appends "(\Seen ...)". */
void imap_view_render_flags(const struct imap_view *v, const struct imap_row *row, struct buf *out);
/* Says which flags the mailbox has and which of them can be set: both, since what FLAGS names and PERMANENTFLAGS does not
 * cannot be set to stay (RFC 3501 §7.1). */
void imap_view_say_flags(struct imap_session *s);
/* Appends "MODSEQ (n)". */
void imap_view_render_modseq(const struct imap_row *row, struct buf *out);
/* EXISTS, and RECENT for clients that know it. */
void imap_view_say_count(struct imap_session *s);
/* True if the row has only keywords whose names are known here. */
bool imap_view_knows_keywords(const struct imap_view *v, const struct imap_row *row);

/* True if messages have gone whose EXPUNGE waits. */
bool imap_view_has_unsaid(const struct imap_view *v);

/* The client learns the row's flags from its own command's response, or knows them from the command itself. */
void imap_view_told(struct imap_view *v, const struct imap_row *row);

/* When IDLE begins: repeats an EXISTS that came with another command's answer. */
void imap_view_tell_again(struct imap_session *s);

/* At the end of a command, or in IDLE: says what has changed. True if store must be asked first; imap_say_reply or
 * imap_flush follows then. */
bool imap_view_refresh(struct imap_session *s, bool may_expunge);
void imap_view_changes(struct imap_session *s, const struct msg_changes *m);

#endif
