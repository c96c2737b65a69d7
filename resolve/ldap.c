/* A table in LDAP: ldap_table(5), by libldap. What a stranger wrote is escaped where it enters a filter or a name. */
#include "resolve/database.h"

#include "base/clock.h"
#include "base/die.h"
#include "wire/table_query.h"

#include <errno.h>
#include <ldap.h>
#include <poll.h>
#include <stdlib.h>

enum { ATTRIBUTES_MOST = 32 };

void database_library_start(void)
{
	int version = LDAP_VERSION3;
	setenv("LDAPNOINIT", "1", 1); /* the table's own settings tell everything */
	ldap_set_option(NULL, LDAP_OPT_PROTOCOL_VERSION, &version);
}

struct connection {
	LDAP *ldap;
	struct timeval most;
	int64_t end_ms;               /* of what is being done */
	struct ldap_conncb callbacks;
};

static struct timeval most_of(const struct table_settings *s)
{
	return (struct timeval){.tv_sec = s->timeout_s && s->timeout_s < DATABASE_SECONDS_MOST ? s->timeout_s : DATABASE_SECONDS_MOST};
}

static void start_time(struct connection *c)
{
	c->end_ms = clock_monotonic_ms() + c->most.tv_sec * 1000;
}

static bool is_time_over(const struct connection *c)
{
	return clock_monotonic_ms() >= c->end_ms;
}

/* ---- time ----
 *
 * LDAP_OPT_NETWORK_TIMEOUT does not hold while TLS is made, nor in the midst of a message: the library reads again after any EAGAIN. So a layer
 * of ours lies between the socket and TLS (lber-sockbuf(3)), where reading and writing fail when the time is over. */

static bool is_ready(Sockbuf_IO_Desc *d, short events)
{
	const struct connection *c = d->sbiod_pvt;
	struct pollfd p = {.fd = -1, .events = events};
	ber_sockbuf_ctrl(d->sbiod_sb, LBER_SB_OPT_GET_FD, &p.fd);
	for (;;) {
		int64_t left = c->end_ms - clock_monotonic_ms();
		int ready = poll(&p, 1, left > 0 ? (int)left : 0);
		if (ready > 0)
			return true;
		if (ready && errno == EINTR)
			continue;
		errno = ETIMEDOUT;
		return false;
	}
}

static int layer_setup(Sockbuf_IO_Desc *d, void *connection)
{
	d->sbiod_pvt = connection;
	return 0;
}

static int layer_ctrl(Sockbuf_IO_Desc *d, int option, void *value)
{
	return LBER_SBIOD_CTRL_NEXT(d, option, value);
}

static ber_slen_t layer_read(Sockbuf_IO_Desc *d, void *bytes, ber_len_t len)
{
	return is_ready(d, POLLIN) ? LBER_SBIOD_READ_NEXT(d, bytes, len) : -1;
}

static ber_slen_t layer_write(Sockbuf_IO_Desc *d, void *bytes, ber_len_t len)
{
	return is_ready(d, POLLOUT) ? LBER_SBIOD_WRITE_NEXT(d, bytes, len) : -1;
}

static Sockbuf_IO layer = {.sbi_setup = layer_setup, .sbi_ctrl = layer_ctrl, .sbi_read = layer_read, .sbi_write = layer_write};

enum { LAYER_LEVEL = (LBER_SBIOD_LEVEL_PROVIDER + LBER_SBIOD_LEVEL_TRANSPORT) / 2 };

/* To one of the hosts, which has its own time. */
static int on_connected(LDAP *l, Sockbuf *sb, LDAPURLDesc *url, struct sockaddr *address, struct ldap_conncb *callbacks)
{
	(void)l;
	(void)url;
	(void)address;
	start_time(callbacks->lc_arg);
	return ber_sockbuf_add_io(sb, &layer, LAYER_LEVEL, callbacks->lc_arg);
}

static void on_disconnected(LDAP *l, Sockbuf *sb, struct ldap_conncb *callbacks)
{
	(void)l;
	(void)sb;
	(void)callbacks;
}

/* ---- connecting ---- */

static bool is_yes(struct span value)
{
	return span_equal(value, SPAN("yes"));
}

/* A URI for each of the hosts, with spaces between them. */
static void add_uris(const struct table_settings *s, struct buf *out)
{
	struct span rest = s->values[TABLE_SERVER_HOST], word;
	while ((word = span_next_word(&rest)).len) {
		word = span_slice(word, 0, word.len - span_ends_with(word, SPAN(",")));
		if (out->len)
			buf_add_char(out, ' ');
		if (span_find(word, SPAN("://")) >= 0)
			buf_add(out, word);
		else if (span_chr(word, ':') >= 0)
			buf_printf(out, "ldap://%.*s", SPAN_ARG(word));
		else
			buf_printf(out, "ldap://%.*s:%.*s", SPAN_ARG(word), SPAN_ARG(s->values[TABLE_SERVER_PORT]));
	}
}

/* What the library says of the last call, where it says more than the code. */
static void set_why(const struct connection *c, int code, const char *what, struct error *why)
{
	char *more = NULL;
	bool is_late = code == LDAP_TIMEOUT || is_time_over(c);
	ldap_get_option(c->ldap, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
	error_set(why, is_late ? ETIMEDOUT : 0, "%s: %s%s%s%s", what, ldap_err2string(code), more && *more ? ": " : "", more ? more : "",
	          is_late ? ": no answer in time: the connection is given up" : "");
	ldap_memfree(more);
}

static int set_tls(LDAP *l, const struct table_settings *s, const char *authorities)
{
	int demand = is_yes(s->values[TABLE_TLS_REQUIRE_CERT]) ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER, is_client = 0;
	int code = ldap_set_option(l, LDAP_OPT_X_TLS_CACERTFILE, authorities);
	if (code == LDAP_SUCCESS)
		code = ldap_set_option(l, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
	return code == LDAP_SUCCESS ? ldap_set_option(l, LDAP_OPT_X_TLS_NEWCTX, &is_client) : code;
}

static int start(struct connection *c, const struct table_settings *s, const char *authorities, const char **what)
{
	LDAP *l = c->ldap;
	BUF_AUTO dn = {0}, password = {0};
	int code = LDAP_SUCCESS;
	ldap_set_option(l, LDAP_OPT_NETWORK_TIMEOUT, &c->most);
	ldap_set_option(l, LDAP_OPT_TIMEOUT, &c->most);
	ldap_set_option(l, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
	ldap_set_option(l, LDAP_OPT_RESTART, LDAP_OPT_ON);
	ldap_set_option(l, LDAP_OPT_CONNECT_CB, &c->callbacks);
	if (is_yes(s->values[TABLE_START_TLS]) || span_find(s->values[TABLE_SERVER_HOST], SPAN("ldaps://")) >= 0) {
		*what = "TLS";
		code = set_tls(l, s, authorities);
	}
	if (code == LDAP_SUCCESS && is_yes(s->values[TABLE_START_TLS]))
		code = ldap_start_tls_s(l, NULL, NULL);
	if (code != LDAP_SUCCESS || span_equal(s->values[TABLE_BIND], SPAN("no")) || span_equal(s->values[TABLE_BIND], SPAN("none")))
		return code;
	buf_add(&dn, s->values[TABLE_BIND_DN]);
	buf_add(&password, s->values[TABLE_BIND_PW]);
	struct berval secret = {.bv_val = (char *)buf_cstr(&password), .bv_len = password.len};
	*what = "bind";
	start_time(c);
	return ldap_sasl_bind_s(l, buf_cstr(&dn), LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL);
}

static void close_one(void *connection)
{
	struct connection *c = connection;
	if (c->ldap)
		ldap_unbind_ext_s(c->ldap, NULL, NULL);
	free(c);
}

static void *open_any(const struct table_settings *s, const char *authorities, struct error *why)
{
	BUF_AUTO uris = {0};
	struct connection *c = xcalloc(1, sizeof *c);
	const char *what = "connecting";
	*c = (struct connection){.most = most_of(s), .callbacks = {on_connected, on_disconnected, c}};
	start_time(c);
	add_uris(s, &uris);
	int code = ldap_initialize(&c->ldap, buf_cstr(&uris));
	if (code == LDAP_SUCCESS)
		code = start(c, s, authorities, &what);
	if (code == LDAP_SUCCESS)
		return c;
	set_why(c, code, what, why);
	close_one(c);
	return NULL;
}

/* ---- asking ---- */

struct results {
	const struct table_settings *settings;
	struct span key;
	struct buf *out;
	unsigned count;
};

static void add_values(struct results *r, LDAP *l, LDAPMessage *entry, const char *attribute)
{
	struct berval **values = ldap_get_values_len(l, entry, attribute);
	for (size_t i = 0; values && values[i]; i++) {
		BUF_AUTO one = {0};
		struct span value = span_of(values[i]->bv_val, values[i]->bv_len);
		if (!value.len || !table_format_expand(r->settings->values[TABLE_RESULT_FORMAT], r->key, value, NULL, &one))
			continue;
		r->count++;
		if (r->out->len)
			buf_add_char(r->out, ',');
		buf_add(r->out, buf_span(&one));
	}
	ldap_value_free_len(values);
}

/* The attributes whose values are results: words, which live in the arena. */
static void list_attributes(struct span words, struct arena *a, char *attributes[ATTRIBUTES_MOST + 1])
{
	size_t count = 0;
	for (size_t i = 0; i < words.len && count < ATTRIBUTES_MOST;) {
		size_t len = 0;
		while (i + len < words.len && words.ptr[i + len] != ',' && words.ptr[i + len] != ' ' && words.ptr[i + len] != '\t')
			len++;
		if (len)
			attributes[count++] = (char *)arena_dup(a, span_slice(words, i, len)).ptr;
		i += len + 1;
	}
	attributes[count] = NULL;
}

/* What is said of the server or the connection, and not of this search (RFC 4511 §4.1.9, and codes of the library's own). */
static bool is_of_server(int code)
{
	switch (code) {
	case LDAP_SERVER_DOWN: case LDAP_CONNECT_ERROR: case LDAP_TIMEOUT: case LDAP_LOCAL_ERROR: case LDAP_DECODING_ERROR: case LDAP_NO_MEMORY: case LDAP_BUSY:
	case LDAP_UNAVAILABLE: case LDAP_TIMELIMIT_EXCEEDED: return true;
	default: return false;
	}
}

static enum database_outcome ask(void *connection, const struct table_settings *s, struct span key, struct buf *results, struct error *why)
{
	ARENA_AUTO a = {0};
	BUF_AUTO filter = {0}, base = {0};
	struct connection *c = connection;
	LDAP *l = c->ldap;
	LDAPMessage *found = NULL;
	char *attributes[ATTRIBUTES_MOST + 1];
	struct results r = {s, key, results, 0};
	int scope = span_equal(s->values[TABLE_SCOPE], SPAN("base")) ? LDAP_SCOPE_BASE : span_equal(s->values[TABLE_SCOPE], SPAN("one")) ? LDAP_SCOPE_ONELEVEL : LDAP_SCOPE_SUBTREE;
	if (!table_format_expand(s->values[TABLE_QUERY_FILTER], key, key, table_escape_filter, &filter) ||
	    !table_format_expand(s->values[TABLE_SEARCH_BASE], key, key, table_escape_name, &base))
		return DATABASE_NONE;
	list_attributes(s->values[TABLE_RESULT_ATTRIBUTE], &a, attributes);
	start_time(c);
	int code = ldap_search_ext_s(l, buf_cstr(&base), scope, buf_cstr(&filter), attributes, 0, NULL, NULL, &c->most, LDAP_NO_LIMIT, &found);
	for (LDAPMessage *entry = code == LDAP_SUCCESS ? ldap_first_entry(l, found) : NULL; entry; entry = ldap_next_entry(l, entry))
		for (size_t i = 0; attributes[i]; i++)
			add_values(&r, l, entry, attributes[i]);
	ldap_msgfree(found);
	if (code == LDAP_NO_SUCH_OBJECT && span_chr(s->values[TABLE_SEARCH_BASE], '%') >= 0)
		return DATABASE_NONE; /* a branch for each domain, and none for this one */
	if (code != LDAP_SUCCESS) {
		set_why(c, code, "search", why);
		return is_of_server(code) ? DATABASE_DOWN : DATABASE_LATER;
	}
	if (s->expansion_limit && r.count > s->expansion_limit) {
		error_set(why, 0, "%.*s: more results than expansion_limit", SPAN_ARG(span_slice(key, 0, 100)));
		return DATABASE_LATER;
	}
	return r.count ? DATABASE_FOUND : DATABASE_NONE;
}

static void list_files(const struct table_settings *s, const char *authorities, char *files[DATABASE_FILES_MOST])
{
	(void)s;
	if (authorities[0] == '/')
		files[0] = xstrdup(authorities);
}

const struct database_driver database_ldap = {open_any, ask, close_one, list_files};
