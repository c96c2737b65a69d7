/* What the parts of milter share; milter/milter.c is where to read first. */
#ifndef MILTER_PROCESS_H
#define MILTER_PROCESS_H

#include "base/map.h"
#include "base/spool.h"
#include "ipc/child.h"
#include "ipc/terms.h"
#include "wire/milter.h"

enum { MILTER_NAME_BYTES = 160 };

/* The settings, as they were when they were read: who has begun with them ends with them. */
struct milters {
	struct {
		struct milter_socket at;
		char name[MILTER_NAME_BYTES]; /* as it stands in the file: for logs */
	} list[CONFIG_MILTERS_MOST];
	size_t count;
	enum milter_default on_failure;
	int64_t timeout_ms;
	unsigned users;
};

struct link;

struct milter_process {
	struct child *self;
	struct loop *loop;
	struct milters *milters;
	struct map inquiries;     /* messages, by id128_hash (milter/inquiry.h) */
	struct spool *spool;      /* NULL: it could not be made, and only one milter can be asked */
	struct link *links;       /* all connections */
	size_t link_count, idle_count;
	uint64_t asked_count, refused_count, later_count, discarded_count, held_count, failed_count;
};

/* A filter. */
struct milter_peer {
	struct milter_process *milter;
	struct channel *channel;
	unsigned index;
};

struct milters *milters_new(const struct config *config);
struct milters *milters_use(struct milters *m);
void milters_leave(struct milters *m);

#endif
