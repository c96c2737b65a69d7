/* One question to the tables, key by key and table by table. Private to tables.c. */
#ifndef RESOLVE_TABLE_QUESTION_H
#define RESOLVE_TABLE_QUESTION_H

#include "resolve/tables.h"

/* Answers with one table_answer, perhaps before it returns. */
void table_question_start(struct tables *t, const struct msg_table_ask *m);
/* Ends all; none is answered. */
void table_questions_end(struct tables *t);

#endif
