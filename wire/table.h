/* Tables beside the directory: the words of the setting `tables`, and what is looked up in a table.
 *
 *   KIND:/path/of/a/text/file    KIND:ldap:/path/of/its/settings    KIND:pgsql:/path/of/its/settings
 *
 * The kinds are Postfix's virtual(5), aliases(5), transport(5), relay_domains and, as domains, virtual_mailbox_domains and its like, and
 * Sendmail's virtusertable and mailertable. */
#ifndef WIRE_TABLE_H
#define WIRE_TABLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum table_kind { TABLE_OWN_DOMAINS, TABLE_VIRTUAL, TABLE_ALIASES, TABLE_VIRTUSERTABLE, TABLE_RELAY_DOMAINS, TABLE_TRANSPORT, TABLE_MAILERTABLE, TABLE_KINDS };
enum table_source { TABLE_TEXT, TABLE_LDAP, TABLE_PGSQL };

/* What a table is asked about. */
enum table_about {
	TABLE_ADDRESS, /* who gets mail for it */
	TABLE_DOMAIN,  /* whether its mail is ours to take */
	TABLE_ROUTE,   /* where mail for an address goes */
	TABLE_HOME,    /* where a Unix user's .forward leads: no table has it, master does (store/directory/home.h) */
};

struct table_name {
	enum table_kind kind;
	enum table_source source;
	struct span path;
};

/* Takes the next word of the setting off `rest`; words have white space or commas between them. 1 with *out, whose span points into
 * `rest`; 0 at the end; -1 with *why. */
int table_name_next(struct span *rest, struct table_name *out, struct span *word, struct error *why);

/* True if a table of the kind knows something of that. */
bool table_answers(enum table_kind kind, enum table_about about);
/* "virtual", as it stands in the setting. */
const char *table_kind_name(enum table_kind kind);

/* One name that is looked up in a table. */
struct table_key {
	struct span text;
	struct span local;  /* of the address that is asked about; what "@domain" as a target takes over, and %1 of virtusertable */
	struct span detail; /* what was taken off for this key, with its delimiter */
	bool is_wide;       /* a whole domain's */
};

enum { TABLE_KEYS_MOST = 160 }; /* a domain has 127 labels at most */

/* The keys, in the order in which Postfix or Sendmail look them up. name: canonical (wire/address.h), an address or a domain; delimiters:
 * recipient_delimiter; origin: the domain of names without one, canonical. How many are in `keys`, whose spans live in the arena. */
size_t table_keys(enum table_kind kind, enum table_about about, struct span name, const char *delimiters, struct span origin, struct arena *a,
                  struct table_key keys[TABLE_KEYS_MOST]);

/* Appends a key as somebody wrote it into a table, in the form of table_keys: lower case, A-labels, without quotes that it does not need. */
void table_key_canonical(struct span written, struct buf *out);

#endif
