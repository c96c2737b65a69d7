/* What filter says of a message: taken or refused, the fields that go in front, the ranges that are left out, its structure. */
#ifndef FILTER_VERDICT_H
#define FILTER_VERDICT_H

#include "base/arena.h"
#include "filter/authenticate.h"
#include "filter/authors.h"
#include "filter/filter.h"
#include "filter/seal.h"
#include "filter/sign.h"
#include "filter/tls_report.h"
#include "ipc/terms.h"
#include "wire/mime.h"

#include <openssl/evp.h>

enum {
	HEADER_BYTES_MOST = 1024 * 1024,
};

struct verdict;
struct asking;
struct milter_said;

struct message {
	struct filter_process *filter;
	struct filter_edge *edge;
	struct id128 id;
	uint8_t kind, facts, priority;
	struct buf reverse_path, client, helo, with, tls, recipient, forwarded_by;
	struct mime_parser *parser;
	EVP_MD_CTX *sha256;
	uint64_t size;
	struct buf header;       /* its first bytes, until the blank line is in them */
	bool has_header, has_ended, is_checked; /* is_checked: its sender */
	struct authentication *authentication; /* NULL: the sender is not checked */
	struct signing *signing;               /* NULL: it is not signed */
	struct sealing *sealing;               /* NULL: it is not sealed */
	struct asking *asking;                 /* NULL: no milter is asked */
	struct tls_report *tls_report;         /* NULL: it does not say that it is one */
	uint32_t recipients_coming;            /* judge_rcpt that edge has still to send */
	unsigned pieces_out;                   /* that edge waits for the milters to use up */
	struct verdict *verdict;               /* once its header is looked at */
};

/* Of a user, or of a program on this machine: it is completed (RFC 6409 §8), signed, and its Bcc stays here. */
static inline bool message_is_ours(const struct message *m)
{
	return m->kind == DELIVERY_SUBMISSION || m->kind == DELIVERY_LOCAL;
}

/* The header is whole, and is read. */
struct verdict *verdict_new(struct message *m);
/* Calls each(context, whole) for the fields of the header as it will leave this server, but for the trace fields. */
void verdict_fields(const struct verdict *v, void (*each)(void *context, struct span whole), void *context);
/* The message is whole, and its sender checked: its fate is decided, and what the milters did is done; NULL: none was asked. */
void verdict_judge(struct verdict *v, const struct milter_said *said);
/* True if it is taken, as far as that is known. */
bool verdict_is_good(const struct verdict *v);
/* Appends the header as it will leave this server, but for the trace fields. */
void verdict_header(const struct verdict *v, struct buf *out);
/* The domain of the first author; empty if there is none, or if the message is refused. */
struct span verdict_author_domain(const struct verdict *v);
/* Writes the trace fields and tells store. */
void verdict_give(struct verdict *v);
/* NULL is allowed. */
void verdict_free(struct verdict *v);

#endif
