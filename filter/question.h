/* store's questions about a stored message: its structure, or which needles of a SEARCH are in it. */
#ifndef FILTER_QUESTION_H
#define FILTER_QUESTION_H

#include "filter/filter.h"

int question_begin(struct filter_process *f, const struct msg_parse_begin *m);
int question_piece(struct filter_process *f, const struct msg_parse_piece *m);
int question_end(struct filter_process *f, const struct msg_parse_end *m);
void question_store_gone(struct filter_process *f);

#endif
