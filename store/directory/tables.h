/* What the tables beside the directory say (config/settings.def: tables), as far as resolve has been asked: a bounded memory of its answers,
 * by address and domain.
 *
 * At RCPT an answer is good for some seconds. One that is missing or older is asked for, and what needs it goes on when it is there. Later -
 * at acceptance, and for notifications - the newest answer stays good for an hour: nobody who was taken becomes unknown because a table is
 * down. Where it has changed meanwhile, what was taken goes where it leads now, or is put off, and its RCPT says the next time how it is. For the loop's thread. */
#ifndef STORE_DIRECTORY_TABLES_H
#define STORE_DIRECTORY_TABLES_H

#include "store/store.h"
#include "wire/table.h"

/* How one resolution uses the tables, and what it came to. Zeroed is ready for an acceptance. */
struct table_look {
	int64_t since_ms;     /* when it began, monotonic; set at its first use */
	bool is_new;          /* only answers of the last seconds are good */
	uint64_t question;    /* one that it waits for; 0: none. Set together with TABLE_LATER */
	bool is_busy;         /* it could not be asked, as too much is asked already, or resolve is about to start. Set together with TABLE_LATER */
	bool has_found;       /* a table has led somewhere */
	const char *table;    /* the one that could not be asked, or NULL: unknown. Valid until the next question */
	struct buf *story;    /* where each step is told; NULL: nowhere */
};

/* What a table has; valid until the next tables_find. */
struct table_said {
	enum table_outcome outcome;
	bool is_wide;         /* of a row for a whole domain */
	struct span *targets;
	size_t count;
	struct span table;    /* as in the setting */
};

/* At the start, and at each reload: what kinds of tables there are. */
void tables_configure(struct store *s, const struct config *config);
/* Forgets all. Nobody may wait. */
void tables_close(struct store *s);
/* Some are configured. */
bool tables_are_there(const struct store *s);
/* What the tables have of a canonical name. TABLE_LATER in *said with look->question set: it was asked, and the answer is to come; without:
 * a table cannot be asked now. */
void tables_find(struct store *s, enum table_about about, struct span name, struct table_look *look, struct table_said *said);

typedef void table_waiter_fn(struct store *s, void *context);

/* Calls fn(s, context) once when the question of a look is answered, whatever the answer is. */
void tables_wait(struct store *s, uint64_t question, table_waiter_fn *fn, void *context);

/* The name that a question under way is about; false if there is none such. */
bool tables_question_name(const struct store *s, uint64_t question, enum table_about about, struct span *name);
/* A question's answer, which is copied. -1 if there is no such question. */
int tables_take(struct store *s, uint64_t question, const struct table_said *said);
/* From resolve. -1 if there is no such question. */
int tables_answered(struct store *s, const struct msg_table_answer *m);
void tables_have_changed(struct store *s);
/* resolve has gone: what it was asked is answered with TABLE_LATER. */
void tables_resolve_gone(struct store *s, peer_id resolve);

#endif
