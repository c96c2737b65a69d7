/* What SEARCH, SORT, THREAD and FETCH ENVELOPE need of many messages' headers (wire/message_summary.h), in columns: of each full segment of the index (256
 * messages) and each column one value "k" mailbox column segment. Derived from the messages by filter: written without a sync, dropped and
 * made again when the version of Unicode is another one, lost without harm. A message that is gone is simply passed over. */
#ifndef STORE_MAILBOX_COLUMNS_H
#define STORE_MAILBOX_COLUMNS_H

#include "store/mailbox/account.h"
#include "wire/message_summary.h"

/* One column of a segment. A message without a value has one without ptr. */
struct column_values {
	struct buf memory;
	struct span values[SEGMENT_ROWS]; /* by UID % SEGMENT_ROWS */
};

/* Writes the columns of a segment: its messages' summaries by UID % SEGMENT_ROWS, empty ones where there are none. */
void columns_put(struct account *a, uint32_t mailbox, uint32_t segment, const struct buf summaries[SEGMENT_ROWS]);
/* False if they are not there, or damaged, or of another version. */
bool columns_get(const struct account *a, uint32_t mailbox, uint32_t segment, enum summary_column column, struct column_values *out);
/* Of one that malloc has given; NULL is none. */
void columns_free(struct column_values *c);
/* Deletes all that is derived of a segment whose messages are gone: columns and index of text. */
void columns_delete(struct account *a, uint32_t mailbox, uint32_t segment);

/* A column as it is written, for tests: false if it is damaged. */
void columns_pack(const struct span values[SEGMENT_ROWS], struct buf *out);
bool columns_unpack(struct column_values *c);

#endif
