/* The table of settings, made from config/settings.def. */
#include "config/settings.h"

/* A listener has no field. */
#define OFFSET_TEXT(name) offsetof(struct config, name)
#define OFFSET_HOSTNAME(name) offsetof(struct config, name)
#define OFFSET_MAILBOX(name) offsetof(struct config, name)
#define OFFSET_DNS_LISTS(name) offsetof(struct config, name)
#define OFFSET_DOMAINS(name) offsetof(struct config, name)
#define OFFSET_NEXT_HOP(name) offsetof(struct config, name)
#define OFFSET_MILTERS(name) offsetof(struct config, name)
#define OFFSET_TABLES(name) offsetof(struct config, name)
#define OFFSET_PROGRAMS(name) offsetof(struct config, name)
#define OFFSET_PATH(name) offsetof(struct config, name)
#define OFFSET_ADDRESS(name) offsetof(struct config, name)
#define OFFSET_FLAG(name) offsetof(struct config, name)
#define OFFSET_NUMBER(name) offsetof(struct config, name)
#define OFFSET_SIZE(name) offsetof(struct config, name##_bytes)
#define OFFSET_DURATION(name) offsetof(struct config, name##_s)
#define OFFSET_PROTOCOLS(name) offsetof(struct config, name)
#define OFFSET_LISTEN(name) 0
#define OFFSET_RESOLVER(name) offsetof(struct config, name)
#define OFFSET_NETWORKS(name) offsetof(struct config, name)
#define OFFSET_CHOICE(name) offsetof(struct config, name)

const struct setting settings[] = {
#define GROUP(title) {SETTING_GROUP, title, "", 0, 0, "", "", "", 0},
#define SETTING(kind, name, standard, least, most, words, summary, more) \
	{SETTING_##kind, #name, standard, least, most, words, summary, more, OFFSET_##kind(name)},
#include "config/settings.def"
#undef GROUP
#undef SETTING
};

const size_t settings_count = sizeof settings / sizeof *settings;

enum { NAME_BYTES_MOST = 48 }; /* more than the longest name has: bounds the work of setting_nearest */

bool setting_is_text(const struct setting *s)
{
	return s->kind == SETTING_TEXT || s->kind == SETTING_HOSTNAME || s->kind == SETTING_MAILBOX || s->kind == SETTING_DNS_LISTS ||
	       s->kind == SETTING_DOMAINS || s->kind == SETTING_NEXT_HOP || s->kind == SETTING_MILTERS || s->kind == SETTING_TABLES || s->kind == SETTING_PROGRAMS ||
	       s->kind == SETTING_PATH || s->kind == SETTING_ADDRESS;
}

const struct setting *setting_find(struct span name)
{
	for (size_t i = 0; i < settings_count; i++) {
		if (settings[i].kind != SETTING_GROUP && span_equal(name, span_cstr(settings[i].name)))
			return &settings[i];
	}
	return NULL;
}

static size_t least_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many characters must be put in, taken out or changed to make one of the other. */
static size_t edit_distance(struct span a, struct span b)
{
	size_t row[NAME_BYTES_MOST + 1];
	for (size_t k = 0; k <= b.len; k++)
		row[k] = k;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t k = 1; k <= b.len; k++) {
			size_t change = diagonal + (ascii_lower(a.ptr[i - 1]) != b.ptr[k - 1]);
			diagonal = row[k];
			row[k] = least_of(change, least_of(row[k], row[k - 1]) + 1);
		}
	}
	return row[b.len];
}

const struct setting *setting_nearest(struct span name)
{
	if (name.len > NAME_BYTES_MOST)
		return NULL;
	const struct setting *nearest = NULL;
	size_t best = name.len / 3 + 1;
	for (size_t i = 0; i < settings_count; i++) {
		struct span other = span_cstr(settings[i].name);
		if (settings[i].kind == SETTING_GROUP || other.len > NAME_BYTES_MOST)
			continue;
		size_t distance = edit_distance(name, other);
		if (distance < best) {
			best = distance;
			nearest = &settings[i];
		}
	}
	return nearest;
}
