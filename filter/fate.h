/* What becomes of a stranger's message, by what is known of its sender. */
#ifndef FILTER_FATE_H
#define FILTER_FATE_H

#include "config/config.h"
#include "filter/authenticate.h"

enum fate { FATE_TAKE, FATE_JUNK, FATE_LATER, FATE_REFUSE };

/* Once the authentication is done, by the settings dns_lists_limit and sender_checks. Appends what the client is answered in the last two
 * cases: "550 5.7.26 The policy of ...". */
enum fate fate_of(const struct authentication *a, const struct config *config, struct buf *reply);

#endif
