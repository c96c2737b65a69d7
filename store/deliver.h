/* Deliveries in progress: an edge sends envelope and body, filter sends its verdict, and when both are here the message is
 * written and the edge is answered. Nothing is kept of a delivery that does not come to its end. */
#ifndef STORE_DELIVER_H
#define STORE_DELIVER_H

#include "store/store.h"

/* From an edge. They return -1 if the message is one that no honest edge sends. */
int deliver_begin(struct store_peer *edge, const struct msg_delivery_begin *m);
int deliver_rcpt(struct store_peer *edge, const struct msg_delivery_rcpt *m);
int deliver_piece(struct store_peer *edge, const struct msg_delivery_piece *m);
int deliver_end(struct store_peer *edge, const struct msg_delivery_end *m);
int deliver_cancel(struct store_peer *edge, const struct msg_delivery_cancel *m);
/* Parked ones are kept, all or none: store/deliver_group.c */
int deliver_group(struct store_peer *edge, const struct msg_append_ask *m);
/* An edge has lost the filter of a delivery. Whether its verdict came first is known only here. */
void deliver_filter_lost(struct store_peer *edge, const struct msg_delivery_filter_lost *m);
/* An edge whose store died asks what became of a delivery that it had handed over whole. */
void deliver_query(struct store_peer *edge, const struct msg_delivery_query *m);
/* From a filter. */
int deliver_verdict(struct store_peer *filter, const struct msg_verdict *m);
/* What the peer had to do with is given up (an edge), or answered with "later" (a filter). */
void deliver_peer_gone(struct store *s, const struct store_peer *peer);

/* Calls each(context, blob) for the blobs of all deliveries in progress. */
void deliver_walk_blobs(struct store *s, void (*each)(void *context, struct id128 blob), void *context);

#endif
