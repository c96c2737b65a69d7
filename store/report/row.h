/* One report, in memory and in its row: what was counted for a domain in a period, or what is to be sent. */
#ifndef STORE_REPORT_ROW_H
#define STORE_REPORT_ROW_H

#include "store/batch.h"
#include "store/directory/directory.h"
#include "store/report/report.h"
#include "wire/tlsrpt_report.h"

enum report_state { REPORT_COUNTING, REPORT_DUE };

struct report {
	struct id128 id;
	enum report_state state;
	struct arena memory;       /* of all texts */
	struct span domain;
	int64_t start_s, end_s;    /* the period: end_s is the first second behind it */
	int64_t due_s;             /* when it is to be sent, or sent again */
	int64_t first_s;           /* of the first try; 0: none yet */
	uint32_t attempts;
	struct span uris;          /* words: where it is still to go; empty: the domain has not been asked */
	struct tlsrpt_policy policies[TLSRPT_POLICIES_MOST];
	struct span strings[TLSRPT_POLICIES_MOST]; /* words: of each policy */
	size_t policy_count;
	bool is_dirty;             /* its row is older than it is */
};

struct report *report_new(struct span domain);
void report_free(struct report *r);
/* The policy, perhaps a new one; NULL: there are too many, or `may_add` is false. strings: words, which are such. */
struct tlsrpt_policy *report_policy(struct report *r, enum tlsrpt_policy_type type, struct span strings, bool may_add);
/* Counts a failure of the policy. Where there is no room for another kind of failure, as one more of the same result. */
void report_add_failure(struct report *r, struct tlsrpt_policy *p, const struct tlsrpt_failure *f, bool may_add);

void report_put(struct batch *b, const struct report *r);
void report_delete(struct batch *b, const struct report *r);
/* NULL if the row is damaged. */
struct report *report_unpack(struct span key, struct span value);
/* The state and the time that it is due, without the rest; -1 if the row is damaged. */
int report_peek(struct span value, enum report_state *state, int64_t *due_s);
void report_key(struct buf *key, struct id128 id);

/* What the parts of store/report share. */
enum { REPORTS_DUE_MOST = 256 };

struct sending;

struct reports {
	struct store *store;
	struct map current;         /* of the period at hand, by the hash of the domain */
	uint64_t secret;            /* so that nobody can choose names that share a hash */
	size_t bytes;               /* of their texts */
	int64_t closing_s;          /* when the period at hand ends */
	int64_t last_closed_s;      /* by command: the period after it begins there */
	struct timer *writing, *tick;
	bool is_writing_soon;
	struct sending *active;
	size_t active_count;
	struct id128 due[REPORTS_DUE_MOST]; /* found, to be sent when there is room among the active ones */
	size_t due_at, due_count;
	int64_t next_due_s;         /* of those that are not */
	uint64_t last_question;
};

/* Counts a session of a domain, whose name is canonical and whose strings are words. */
void report_count(struct reports *all, const struct msg_tls_session *m);
/* Ends what is counted: all of it (now_s), or what is of a day that is over. Puts it into the batch. The number. */
size_t reports_close(struct reports *all, int64_t now_s, bool is_all, struct batch *b);
/* Sends what is due, and sets the timer for the rest. */
void reports_go_on(struct reports *all);
bool reports_are_active(const struct reports *all, struct id128 id);
void heard_print(struct reports *all, struct buf *out);

#endif
