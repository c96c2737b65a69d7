/* What the parts of resolve share; resolve/resolve.c is where to read first. */
#ifndef RESOLVE_PROCESS_H
#define RESOLVE_PROCESS_H

#include "ipc/child.h"
#include "ipc/terms.h"
#include "resolve/lookup.h"
#include "resolve/own.h"
#include "resolve/policy.h"
#include "resolve/standing.h"
#include "resolve/tables.h"

struct question;
struct record_question;

/* One that asks for records: a filter. */
struct resolve_peer {
	struct resolve_process *process;
	struct resolve_peer *next;
	struct channel *channel;
	enum role role;
	unsigned index;
	struct record_question *questions; /* under way */
	size_t question_count;
};

struct resolve_process {
	struct child *self;
	struct loop *loop;
	struct dns *dns;
	struct channel *relay;       /* NULL while there is none */
	struct resolve_peer *peers;
	struct question *questions;  /* of relay, under way */
	size_t question_count;
	uint64_t asked_count;
	struct own_addresses own;
	struct dns_client *client;   /* of `dns` */
	struct standing standing;
	struct policies policies;    /* of MTA-STS; its channel is the one to store */
	struct ssl_ctx_st *authorities;
	struct tables tables;
	/* the settings that `dns` was made from */
	struct config_resolver resolver;
	char *trust_anchor;
	bool is_dnssec;
};

#endif
