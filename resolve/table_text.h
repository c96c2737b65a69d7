/* What tables have: values, and text files with a value a line. */
#ifndef RESOLVE_TABLE_TEXT_H
#define RESOLVE_TABLE_TEXT_H

#include "base/map.h"
#include "wire/table.h"

enum table_value_is {
	VALUE_TARGETS,   /* of an address: as written */
	VALUE_DOMAIN,    /* the name is a domain, and ours */
	VALUE_RELAYED,
	VALUE_HOP,       /* targets[0] is the next hop */
	VALUE_MX,        /* the receivers' own servers */
	VALUE_HERE,      /* its mail stays here */
	VALUE_UNCHANGED, /* as if there were no such table */
	VALUE_REFUSED,
	VALUE_NOT_HERE,  /* something that is not done here */
};

struct table_value {
	enum table_value_is is;
	struct span *targets;
	size_t count;
};

/* Reads what stands behind a key. pipes: the setting, for programs of aliases. 0 with all in the arena, VALUE_NOT_HERE with *why too; -1 with *why if it is broken. */
int table_value_read(enum table_kind kind, const char *pipes, struct span key, struct span text, struct arena *a, struct table_value *out, struct error *why);

struct table_row;

/* A file that was read. Start with zero. */
struct table_text {
	struct arena memory;
	struct map rows; /* chains, by the key's hash */
	size_t count;
};

/* Called for a row that is not done here, and for each fault. */
typedef void table_fault_fn(void *context, unsigned line, const char *why);

/* Reads a whole file. 0; or -1 with *out empty after a fault, of which each was told. */
int table_text_read(enum table_kind kind, const char *pipes, struct span text, struct table_text *out, table_fault_fn *fault, void *context);
/* NULL if there is none. */
const struct table_value *table_text_find(const struct table_text *t, struct span key);
void table_text_free(struct table_text *t);

#endif
