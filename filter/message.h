/* Judging a message while its client waits: parsed as it arrives; at its end a verdict goes to store, with the fields to put
 * in front, the ranges to leave out, and the parsed structure. */
#ifndef FILTER_MESSAGE_H
#define FILTER_MESSAGE_H

#include "filter/filter.h"

/* -1 if it is what no honest edge says. */
int message_begin(struct filter_edge *e, const struct msg_judge_begin *m);
int message_rcpt(struct filter_edge *e, const struct msg_judge_rcpt *m);
int message_piece(struct filter_edge *e, const struct msg_judge_piece *m);
int message_end(struct filter_edge *e, const struct msg_judge_end *m);
void message_cancel(struct filter_edge *e, struct id128 delivery);
void message_edge_gone(struct filter_edge *e);

#endif
