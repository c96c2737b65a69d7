/* What is demanded of a job's hosts beside what their DNS demands: by who has configured the next hop, and by the message itself. */
#ifndef RELAY_DEMAND_H
#define RELAY_DEMAND_H

#include "relay/job.h"

/* Goes over the job's targets, and leaves out those that cannot be used. */
void demand_of_hosts(struct job *j);
/* The message leaves over TLS that is proved, to servers that promise the same, or not at all (RFC 8689 §4.2.1). Bounces are better read by
 * somebody than lost (§5). */
bool demand_is_secret(const struct job *j);
/* It leaves whatever the domain says of TLS (§4.2.2). */
bool demand_is_lax(const struct job *j);

#endif
