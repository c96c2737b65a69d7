/* One message on its way through the milters: what filter says of it, whose turn it is, and what has come out so far.
 *
 * With one milter the body goes on to it as it comes, no more than a window ahead. With several it is spooled, since the second hears of the
 * body only when the first has answered. */
#ifndef MILTER_INQUIRY_H
#define MILTER_INQUIRY_H

#include "milter/header.h"
#include "milter/process.h"

struct dialogue;

struct inquiry {
	struct milter_process *milter;
	struct milter_peer *peer;
	struct milters *milters;
	struct id128 id;
	uint8_t kind, facts;
	struct buf reverse_path, address, name, helo, tls, user; /* address, name: of the client, as filter knows them */
	struct buf link_key;           /* what a milter hears of the client */
	struct arena memory;
	struct span *recipients;
	size_t recipient_count, recipients_coming;
	struct milter_header header;
	bool has_client, has_fields, has_ended, is_late;
	uint64_t body_size;
	struct buf pieces[DELIVERY_AHEAD_MOST]; /* of a body that is not spooled: those that the milter has not had yet */
	size_t piece_count, piece_at;
	struct spooled spooled;
	struct error spool_fault;      /* code 0: none */
	struct timer *deadline;
	struct later turn;
	struct dialogue *dialogue;     /* of the milter whose turn it is */
	size_t target;                 /* its number; while there is no dialogue, of the next one */
	/* what came out */
	enum verdict_outcome outcome;
	struct buf text;
	bool is_held, has_sender;
	struct buf sender, added, removed; /* lists of words are made of them at the end: added and removed are packed (base/pack.h) */
	size_t added_count, removed_count;
};

/* From filter: -1 if it is what no honest filter says. */
int inquiry_begin(struct milter_peer *peer, const struct msg_milter_begin *b);
int inquiry_rcpt(struct milter_peer *peer, const struct msg_milter_rcpt *r);
int inquiry_client(struct milter_peer *peer, const struct msg_milter_client *c);
int inquiry_fields(struct milter_peer *peer, const struct msg_milter_fields *f);
int inquiry_piece(struct milter_peer *peer, const struct msg_milter_piece *p);
int inquiry_end(struct milter_peer *peer, const struct msg_milter_end *e);
void inquiry_cancel(struct milter_peer *peer, struct id128 delivery);
void inquiry_peer_gone(struct milter_peer *peer);

/* As a milter is told them. */
struct span inquiry_client_address(const struct inquiry *m);
struct span inquiry_client_name(const struct inquiry *m);

/* Appends bytes of the body from `at` on, at most `most`, none if there are no more yet; what is before them is not read again.
 * -1 with *why: they are lost. */
int inquiry_body(struct inquiry *m, uint64_t at, size_t most, struct buf *out, struct error *why);
/* The dialogue does not want (more of) the body. */
void inquiry_body_unwanted(struct inquiry *m);
/* The dialogue is over, and is freed in the loop's next turn; then the next milter has its turn, if the outcome is VERDICT_ACCEPT still. */
void inquiry_dialogue_over(struct inquiry *m);

#endif
