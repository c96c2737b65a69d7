/* Where a recipient elsewhere goes next: by the directory, its routes and the tables beside it. */
#ifndef STORE_QUEUE_LEG_H
#define STORE_QUEUE_LEG_H

#include "base/arena.h"
#include "store/queue/message.h"

/* A recipient that is due, and what it must share with those of its job: one transaction has one next hop and one sender. */
struct leg {
	struct span next_hop, via; /* in an arena, or valid until the configuration changes */
	uint32_t index;
	enum route route;
	enum route_tls tls;
};

/* Where mail for the recipient goes: next hop, route and TLS of *out; TABLE_REFUSED: nowhere; TABLE_LATER as of tables_find. is_forwarded: an
 * alias of ours sends it there. */
enum table_outcome leg_look(const struct queue *q, struct span recipient, struct span sender, bool is_forwarded, struct table_look *look, struct arena *a,
                            struct leg *out);

/* True with the leg's next hop, route and TLS set. False: the recipient has been put off, or waits for a table's answer (is_asking), after
 * which the message is due again; or it has failed, as a table says. */
bool leg_find(struct queued *m, struct recipient *r, struct arena *a, struct leg *out);
/* True if tables are asked for recipients of the message, and nothing else about it has changed since its record was written. */
bool leg_is_all_asking(const struct queued *m);

#endif
