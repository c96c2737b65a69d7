/* Putting messages into threads: RFC 5256 §3 (THREAD: ORDEREDSUBJECT, REFERENCES), and REFS, which is REFERENCES without joining threads by
 * their subjects, in the order of the newest message of each. Pure functions over keys in memory. */
#ifndef STORE_MAILBOX_THREAD_H
#define STORE_MAILBOX_THREAD_H

#include "base/buf.h"
#include "ipc/terms.h"

struct thread_message {
	uint32_t uid;
	int64_t date;        /* as RFC 5256 §2.2 has it */
	struct span subject; /* the base subject, comparable as octets */
	bool is_reply;       /* or a forward */
	struct span ids;     /* SUMMARY_THREAD (wire/message_summary.h) */
};

/* Appends the threads of n messages (in mailbox order) as search_found has them (ipc/messages.def). Time is bounded whatever the references
 * say: a link that would need too long a look for loops is not made. */
void thread_messages(enum thread_algorithm algorithm, const struct thread_message *messages, size_t n, struct buf *out);

#endif
