/* The logger: one line an event, `event key=value key=value`, to stderr (which is the journal under systemd).
 *
 * Values are quoted where they need it, and control characters and bytes that are not printable ASCII or valid UTF-8
 * are written as \xHH, so that a stranger's text can neither end a line nor steer a terminal.
 * Never log a password, a key or a message's content. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/span.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_field {
	const char *key;
	struct span text; /* used if text.ptr is set */
	int64_t number;
};

static inline struct log_field log_s(const char *key, struct span text)
{
	return (struct log_field){key, text.ptr ? text : SPAN(""), 0};
}

static inline struct log_field log_c(const char *key, const char *text)
{
	return log_s(key, span_cstr(text ? text : ""));
}

static inline struct log_field log_n(const char *key, int64_t number)
{
	return (struct log_field){key, {0}, number};
}

/* log_event(LOG_LEVEL_INFO, "accepted", log_s("id", id), log_n("size", n)); */
#define log_event(level, event, ...) \
	log_write(level, event, (const struct log_field[]){__VA_ARGS__}, \
	          sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count);

/* The process's name on each line ("edge-mx"), and the highest level that is written. The name must stay valid. */
void log_open(const char *process, enum log_level most);

#endif
