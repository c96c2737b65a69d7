/* filter: reads message content and keeps no state between messages. It judges what edges hand it, and answers store's
 * questions about stored messages. */
#ifndef FILTER_FILTER_H
#define FILTER_FILTER_H

#include "base/map.h"
#include "ipc/child.h"
#include "ipc/terms.h"

struct filter_edge;
struct filter_dns;
struct filter_vault;
struct filter_milter;

struct filter_process {
	struct child *self;
	struct loop *loop;
	struct channel *store;
	struct filter_dns *dns; /* towards resolve (filter/dns.h) */
	struct filter_vault *vault; /* filter/vault.h */
	struct filter_milter *milter; /* filter/milter.h */
	struct map judged;    /* messages being judged, by id128_hash (filter/message.h) */
	struct own_message *own; /* of store, to be signed (filter/own.h) */
	size_t report_bytes;  /* of reports of TLS that are coming (filter/tls_report.h) */
	struct map questions; /* of store, by job (filter/question.h) */
	uint64_t judged_count, refused_count, asked_count;
};

struct filter_edge {
	struct filter_process *filter;
	struct channel *channel;
	enum role role;
	unsigned index;
};

int filter_main(unsigned index, int control);

#endif
