/* The table of settings as data, and the parser of one value. Private to config/. */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "config/config.h"

enum setting_kind {
	SETTING_GROUP, /* a heading: `name` is its title, and it has nothing else */
	SETTING_TEXT,
	SETTING_HOSTNAME,
	SETTING_MAILBOX,
	SETTING_DNS_LISTS,
	SETTING_DOMAINS,
	SETTING_NEXT_HOP,
	SETTING_MILTERS,
	SETTING_TABLES,
	SETTING_PROGRAMS,
	SETTING_PATH,
	SETTING_ADDRESS,
	SETTING_FLAG,
	SETTING_NUMBER,
	SETTING_SIZE,
	SETTING_DURATION,
	SETTING_PROTOCOLS,
	SETTING_LISTEN,
	SETTING_RESOLVER,
	SETTING_NETWORKS,
	SETTING_CHOICE,
};

struct setting {
	enum setting_kind kind;
	const char *name, *standard; /* the default */
	uint64_t least, most;
	const char *words, *summary, *more;
	size_t offset; /* of the field in struct config */
};

extern const struct setting settings[];
extern const size_t settings_count;

/* True if the field is a char * that is the config's own. */
bool setting_is_text(const struct setting *s);

/* NULL if there is none of that name. */
const struct setting *setting_find(struct span name);
/* The one whose name is most like `name`; NULL if none is near. */
const struct setting *setting_nearest(struct span name);

/* Reads the value into its field. -1 with *why: what is wrong and what to write, without file and line. */
int setting_read(const struct setting *s, struct span value, struct config *c, struct error *why);

bool hostname_is_qualified(struct span name);

#endif
