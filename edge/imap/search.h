/* SEARCH, SORT, THREAD and ESEARCH: what search.c (the commands), search_program.c (the question), search_result.c (the answer),
 * search_many.c (several mailboxes) and search_context.c (what is told of later changes) share. */
#ifndef EDGE_IMAP_SEARCH_H
#define EDGE_IMAP_SEARCH_H

#include "edge/imap/session.h"
#include "wire/imap_search.h"

/* Message numbers of a view by UID, for answers that are long. */
struct imap_numbering {
	uint32_t *numbers; /* NULL: there is no such table */
	uint32_t first;    /* the UID of numbers[0] */
	size_t count;
};

/* A command that searches. */
struct imap_searching {
	struct imap_search what;
	enum search_order order;
	struct buf program, keys;
	bool is_plain;           /* the answer is SEARCH, SORT or THREAD, written as it comes */
	bool has_begun;          /* of that: its name has been written */
	bool has_space;          /* of THREAD: a number or a space is due */
	struct buf found;        /* otherwise: u32 UIDs in the order of the answer */
	struct buf scores;       /* u8 of each */
	struct imap_numbering numbering;
	/* ESEARCH */
	bool is_esearch;
	struct span *mailboxes;  /* those that are searched, in the arena; an empty name is the selected one */
	size_t mailbox_count, mailbox_room, next_mailbox;
	struct span selected_name;
};

/* What lasts as long as the selected mailbox is. */
struct imap_searches {
	struct roaring_bitmap_s *saved;  /* "$": RFC 5182. UIDs, of which some may be gone; NULL: none */
	struct roaring_bitmap_s *changed; /* UIDs that the contexts have not been told of */
	struct imap_context *contexts;
	uint32_t last_request;
	bool is_asking;
};

/* The view's, made when it is needed first. */
struct imap_searches *imap_searches_of(struct imap_session *s);

/* ---- search_program.c ---- */

/* Packs the keys as store reads them. Elsewhere: for a mailbox that is not the selected one. False after the reply. */
bool imap_search_pack(struct imap_session *s, const struct imap_search_key *root, bool is_elsewhere, struct buf *program);

/* ---- search_result.c ---- */

/* Appends numbers as a sequence set, in their order: RFC 5267 §3.2. */
void imap_search_add_numbers(struct buf *out, const uint32_t *numbers, size_t count);
/* What the client calls the message: its number or, with is_uid, its UID; 0 if it has not been told of it. */
uint32_t imap_search_number(struct imap_session *s, const struct imap_numbering *numbering, uint32_t uid, bool is_uid);
void imap_search_number_all(const struct imap_view *v, struct imap_numbering *out);
/* Writes the ESEARCH response. mailbox: of an ESEARCH command, empty otherwise. */
void imap_search_say_result(struct imap_session *s, struct imap_searching *w, const struct msg_search_done *m, struct span mailbox);
/* RFC 5182 §2.1 and §2.4. */
void imap_search_save(struct imap_session *s, const struct imap_searching *w);

/* ---- search_many.c ---- */

/* Asks which mailboxes there are, then searches one after the other. */
void imap_search_many(struct imap_session *s);

/* ---- search.c ---- */

/* Asks store; the answer goes to `answers`. mailbox: empty for the selected one. */
void imap_search_ask(struct imap_session *s, const struct imap_answers *answers, struct span mailbox);

/* ---- search_context.c ---- */

bool imap_context_has_tag(const struct imap_session *s, struct span tag);
/* The result of the command is followed from now on; says why not if it cannot be. */
void imap_context_begin(struct imap_session *s, const struct imap_searching *w);

#endif
