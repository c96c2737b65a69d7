/* Former jobs: what relay still knows of jobs whose store has died. The new store cannot know of results that the old one
 * had not written, nor of a message that has been sent to its end and not been answered, and gives those recipients out
 * again; sent again, the message would arrive twice (RFC 5321 §4.1.1.4: after the final dot it is the server's). So a
 * former job
 *
 *   - whose message is out goes on waiting for the answer; whoever asks for the same recipients waits with it
 *   - that has results answers for its recipients, once
 *
 * and is forgotten when it has told all. There are at most relay_connections of them: as many jobs as a store's death can
 * find here. What is left over, since the old store had written it after all, gives way to newer ones. */
#ifndef RELAY_FORMER_H
#define RELAY_FORMER_H

#include "relay/job.h"

/* The store that gave the job has died: keeps what is worth it, or drops the job. */
void former_begin(struct job *j);
/* Tells store what former jobs know about the job's recipients. True: about some of them, an answer is still to come, and
 * job_go_on will be called then. */
bool former_answer(struct job *j);
/* The former job's message has been answered, or its connection lost. */
void former_ended(struct job *f);
/* For job_drop. */
void former_remove(struct job *f);
void formers_drop(struct relay_process *p);

#endif
