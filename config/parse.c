/* Reads carteiro.conf line by line and collects all faults, so that one run of the check shows them all. */
#include "base/die.h"
#include "base/utf8.h"
#include "config/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	SETTINGS_ROOM = 128, /* more than there are */
	HOSTNAME_ROOM = 256,
	SHOWN_BYTES_MOST = 40, /* of a wrong line in an error */
};

struct parser {
	const char *file_name;
	struct config *config;
	struct config_errors *errors;
	size_t line, offset;          /* of the line being read; line 0: the whole file */
	size_t lines[SETTINGS_ROOM];  /* where each setting stands; 0: nowhere so far */
};

static void fault(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct parser *p, const char *format, ...)
{
	if (p->errors->count == CONFIG_ERRORS_MOST)
		return;
	char text[sizeof p->errors->at->text];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	struct error *e = &p->errors->at[p->errors->count++];
	if (p->line)
		error_at(e, p->offset, 0, "%s:%zu: %s", p->file_name, p->line, text);
	else
		error_at(e, p->offset, 0, "%s: %s", p->file_name, text);
}

static bool has_control(struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (((unsigned char)line.ptr[i] < 0x20 && line.ptr[i] != '\t') || line.ptr[i] == 0x7f)
			return true;
	}
	return false;
}

static void read_unknown(struct parser *p, struct span name)
{
	const struct setting *nearest = setting_nearest(name);
	if (nearest)
		fault(p, "unknown setting \"%.*s\": did you mean \"%s\"?", SPAN_ARG(name), nearest->name);
	else
		fault(p, "unknown setting \"%.*s\": carteiro.conf(5) lists all there are",
		      SPAN_ARG(span_slice(name, 0, SHOWN_BYTES_MOST)));
}

static void read_setting(struct parser *p, struct span name, struct span value)
{
	const struct setting *s = setting_find(name);
	if (!s) {
		read_unknown(p, name);
		return;
	}
	size_t *line = &p->lines[s - settings];
	if (*line) {
		fault(p, "%s was already set in line %zu: keep one of them", s->name, *line);
		return;
	}
	*line = p->line;
	struct error why;
	if (span_find(value, SPAN(" #")) >= 0 || span_find(value, SPAN("\t#")) >= 0)
		fault(p, "%s has a comment behind its value: put the comment on a line of its own", s->name);
	else if (setting_read(s, value, p->config, &why) != 0)
		fault(p, "%s", why.text);
}

static void read_line(struct parser *p, struct span whole)
{
	struct span line = span_trim(whole);
	if (whole.len > CONFIG_LINE_BYTES_MOST) {
		fault(p, "the line has %zu bytes: at most %d are allowed", whole.len, CONFIG_LINE_BYTES_MOST);
		return;
	}
	if (line.len == 0 || line.ptr[0] == '#')
		return;
	if (has_control(line) || !utf8_is_valid(line)) {
		fault(p, "the line has a control character or is not UTF-8: write it anew");
		return;
	}
	if (line.ptr[0] == '[') {
		fault(p, "unknown section \"%.*s\": there are no sections, write the settings without them",
		      SPAN_ARG(span_slice(line, 0, SHOWN_BYTES_MOST)));
		return;
	}
	ssize_t equals = span_chr(line, '=');
	if (equals < 0) {
		fault(p, "\"%.*s\" is no setting: write it as name = value", SPAN_ARG(span_slice(line, 0, SHOWN_BYTES_MOST)));
		return;
	}
	read_setting(p, span_trim(span_slice(line, 0, (size_t)equals)), span_trim(span_skip(line, (size_t)equals + 1)));
}

static void read_text(struct parser *p, struct span text)
{
	if (text.len > CONFIG_FILE_BYTES_MOST) {
		fault(p, "the file has %zu bytes: at most %d are allowed", text.len, CONFIG_FILE_BYTES_MOST);
		return;
	}
	struct span rest = text;
	while (rest.len && p->errors->count < CONFIG_ERRORS_MOST) {
		p->offset = text.len - rest.len;
		p->line++;
		ssize_t end = span_chr(rest, '\n');
		read_line(p, end < 0 ? rest : span_slice(rest, 0, (size_t)end));
		rest = span_skip(rest, end < 0 ? rest.len : (size_t)end + 1);
	}
}

static void read_defaults(struct parser *p)
{
	p->line = p->offset = 0;
	for (size_t i = 0; i < settings_count; i++) {
		struct error why;
		if (p->lines[i] == 0 && setting_read(&settings[i], span_cstr(settings[i].standard), p->config, &why) != 0)
			fault(p, "%s", why.text); /* no room beside what is set: the defaults themselves are right (config_defaults) */
	}
}

/* Stays on the line of the setting, or at line 0 for a default. */
static void at_setting(struct parser *p, const char *name)
{
	p->line = p->lines[setting_find(span_cstr(name)) - settings];
	p->offset = 0;
}

static void drop_listeners_not_offered(struct config *c)
{
	size_t kept = 0;
	for (size_t i = 0; i < c->listeners_count; i++) {
		if (config_offers(c, c->listeners[i].protocol))
			c->listeners[kept++] = c->listeners[i];
	}
	c->listeners_count = kept;
}

static void at_listener(struct parser *p, const struct config_listener *l)
{
	char name[32];
	snprintf(name, sizeof name, "%s_listen", config_protocol_name(l->protocol));
	at_setting(p, name);
}

/* What is set stands before the defaults in the list, so that `other` is set if one of them is. */
static void check_listener(struct parser *p, const struct config_listener *l, const struct config_listener *other)
{
	if (l->port != other->port || strcmp(l->address, other->address) != 0)
		return;
	at_listener(p, l);
	if (p->line == 0)
		at_listener(p, other);
	fault(p, "%s_listen and %s_listen both have port %d of %s: change one of them", config_protocol_name(other->protocol),
	      config_protocol_name(l->protocol), l->port, l->address);
}

static void check_listeners(struct parser *p)
{
	const struct config *c = p->config;
	if (c->listeners_count > CONFIG_LISTENERS_MOST) {
		p->line = 0;
		fault(p, "there are %zu addresses to listen on: at most %d are allowed", c->listeners_count, CONFIG_LISTENERS_MOST);
		return;
	}
	for (size_t i = 0; i < c->listeners_count; i++) {
		for (size_t k = 0; k < i; k++)
			check_listener(p, &c->listeners[i], &c->listeners[k]);
	}
}

/* What is wrong only together. */
static void check_together(struct parser *p)
{
	const struct config *c = p->config;
	if ((*c->tls_certificate == 0) != (*c->tls_key == 0)) {
		at_setting(p, *c->tls_key ? "tls_key" : "tls_certificate");
		fault(p, "tls_certificate and tls_key belong together: set both or neither");
	}
	if (c->retry_first_s > c->retry_most_s) {
		at_setting(p, p->lines[setting_find(SPAN("retry_first")) - settings] ? "retry_first" : "retry_most");
		fault(p, "retry_first is longer than retry_most: make it shorter");
	}
	check_listeners(p);
}

int config_parse(struct span text, const char *file_name, struct config *out, struct config_errors *errors)
{
	struct parser p = {.file_name = file_name, .config = out, .errors = errors};
	if (settings_count > SETTINGS_ROOM)
		die("config: SETTINGS_ROOM is too small for %zu settings", settings_count);
	*out = (struct config){0};
	errors->count = 0;
	read_text(&p, text);
	if (errors->count == 0) {
		read_defaults(&p);
		drop_listeners_not_offered(out);
		check_together(&p);
	}
	if (errors->count == 0)
		return 0;
	config_free(out);
	return -1;
}

void config_defaults(struct config *out)
{
	struct config_errors errors;
	if (config_parse(SPAN(""), "defaults", out, &errors) != 0)
		die("config: %s", errors.at[0].text);
}

void config_free(struct config *c)
{
	for (size_t i = 0; i < settings_count; i++) {
		if (setting_is_text(&settings[i]))
			free(*(char **)((char *)c + settings[i].offset));
	}
	*c = (struct config){0};
}

static void set_text(char **field, const char *folder, const char *name)
{
	BUF_AUTO path = {0};
	buf_add_cstr(&path, folder);
	buf_add_cstr(&path, name);
	free(*field);
	*field = xstrdup(buf_cstr(&path));
}

static int complete_hostname(struct config *c, struct error *why)
{
	char name[HOSTNAME_ROOM] = {0};
	if (*c->hostname)
		return 0;
	if (gethostname(name, sizeof name - 1) != 0 || !hostname_is_qualified(span_cstr(name)))
		return error_set(why, 0, "the system's name \"%s\" is not fully qualified: set hostname, as mail.example.org", name);
	set_text(&c->hostname, "", name);
	return 0;
}

int config_complete(struct config *c, struct error *why)
{
	if (*c->tls_certificate == 0)
		set_text(&c->tls_certificate, c->data_dir, "/keys/tls.crt");
	if (*c->tls_key == 0)
		set_text(&c->tls_key, c->data_dir, "/keys/tls.key");
	if (*c->drop_dir == 0)
		set_text(&c->drop_dir, c->data_dir, "-drop");
	if (complete_hostname(c, why))
		return -1;
	const char *dot = strchr(c->hostname, '.');
	if (*c->origin == 0)
		set_text(&c->origin, "", dot && strchr(dot + 1, '.') ? dot + 1 : c->hostname);
	return 0;
}

void config_dkim_keys_path(const struct config *c, struct buf *out)
{
	buf_printf(out, "%s/keys/dkim", c->data_dir);
}
