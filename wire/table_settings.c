#include "wire/table_settings.h"

#include "wire/table_query.h"

enum { OF_LDAP = 1 << TABLE_LDAP, OF_PGSQL = 1 << TABLE_PGSQL, OF_BOTH = OF_LDAP | OF_PGSQL, SECONDS_MOST = 600, EXPANSION_MOST = 1000 };

static const struct parameter {
	const char *name;
	unsigned of;
	enum table_setting setting; /* TABLE_SETTINGS: kept nowhere */
	const char *standard;
	const char *only;           /* words: the values that it may have; NULL: any */
} parameters[] = {
	{"domain", OF_BOTH, TABLE_DOMAINS, "", NULL},
	{"result_format", OF_BOTH, TABLE_RESULT_FORMAT, "%s", NULL},
	{"result_filter", OF_LDAP, TABLE_RESULT_FORMAT, "%s", NULL}, /* its old name */
	{"expansion_limit", OF_BOTH, TABLE_EXPANSION_LIMIT, "0", NULL},
	{"hosts", OF_PGSQL, TABLE_HOSTS, "localhost", NULL},
	{"user", OF_PGSQL, TABLE_USER, "", NULL},
	{"password", OF_PGSQL, TABLE_PASSWORD, "", NULL},
	{"dbname", OF_PGSQL, TABLE_DBNAME, "", NULL},
	{"query", OF_PGSQL, TABLE_QUERY, "", NULL},
	{"encoding", OF_PGSQL, TABLE_ENCODING, "UTF8", "UTF8 UTF-8 utf8"},
	{"idle_interval", OF_PGSQL, TABLE_SETTINGS, "", NULL},
	{"retry_interval", OF_PGSQL, TABLE_SETTINGS, "", NULL},
	{"server_host", OF_LDAP, TABLE_SERVER_HOST, "localhost", NULL},
	{"server_port", OF_LDAP, TABLE_SERVER_PORT, "389", NULL},
	{"search_base", OF_LDAP, TABLE_SEARCH_BASE, "", NULL},
	{"query_filter", OF_LDAP, TABLE_QUERY_FILTER, "(mailacceptinggeneralid=%s)", NULL},
	{"result_attribute", OF_LDAP, TABLE_RESULT_ATTRIBUTE, "maildrop", NULL},
	{"scope", OF_LDAP, TABLE_SCOPE, "sub", "sub base one"},
	{"bind", OF_LDAP, TABLE_BIND, "yes", "yes no none simple"},
	{"bind_dn", OF_LDAP, TABLE_BIND_DN, "", NULL},
	{"bind_pw", OF_LDAP, TABLE_BIND_PW, "", NULL},
	{"start_tls", OF_LDAP, TABLE_START_TLS, "no", "yes no"},
	{"tls_ca_cert_file", OF_LDAP, TABLE_TLS_CA_FILE, "", NULL},
	{"tls_require_cert", OF_LDAP, TABLE_TLS_REQUIRE_CERT, "no", "yes no"},
	{"timeout", OF_BOTH, TABLE_TIMEOUT, "10", NULL},
	{"version", OF_LDAP, TABLE_SETTINGS, "", "3"},
	{"dereference", OF_LDAP, TABLE_SETTINGS, "", "0"},
	{"chase_referrals", OF_LDAP, TABLE_SETTINGS, "", "no 0"},
	{"size_limit", OF_LDAP, TABLE_SETTINGS, "", "0"},
	{"recursion_limit", OF_LDAP, TABLE_SETTINGS, "", NULL}, /* of attributes that are refused */
	{"cache", OF_LDAP, TABLE_SETTINGS, "", NULL},
	{"cache_expiry", OF_LDAP, TABLE_SETTINGS, "", NULL},
	{"cache_size", OF_LDAP, TABLE_SETTINGS, "", NULL},
	{"debuglevel", OF_LDAP, TABLE_SETTINGS, "", NULL},
};

enum { PARAMETERS = sizeof parameters / sizeof parameters[0] };

static bool is_one_of(const char *words, struct span value)
{
	struct span rest = span_cstr(words), word;
	while ((word = span_next_word(&rest)).len)
		if (span_equal(word, value))
			return true;
	return false;
}

static const struct parameter *find(enum table_source source, struct span name)
{
	for (size_t i = 0; i < PARAMETERS; i++)
		if (parameters[i].of & 1U << source && span_equal(name, span_cstr(parameters[i].name)))
			return &parameters[i];
	return NULL;
}

static int read_line(struct table_settings *s, struct span line, unsigned number, struct arena *a, struct error *why)
{
	ssize_t equals = span_chr(line, '=');
	struct span name = span_trim(span_slice(line, 0, equals < 0 ? 0 : (size_t)equals)), value = span_trim(span_skip(line, (size_t)(equals + 1)));
	const struct parameter *p = find(s->source, name);
	if (!name.len)
		return error_set(why, 0, "write it as name = value");
	if (!p)
		return error_set(why, 0, "the parameter %.*s is not known here, and would change the answers: take it out if it is not needed",
		                 SPAN_ARG(span_slice(name, 0, 60)));
	if (p->only && !is_one_of(p->only, value))
		return error_set(why, 0, "%s = %.*s cannot be done here: it may be %s", p->name, SPAN_ARG(span_slice(value, 0, 60)), p->only);
	if (p->setting != TABLE_SETTINGS) {
		s->values[p->setting] = arena_dup(a, value);
		s->lines[p->setting] = number;
	}
	return 0;
}

static int read_number(struct table_settings *s, enum table_setting which, uint64_t most, unsigned *out, struct error *why)
{
	uint64_t number;
	if (span_to_u64(s->values[which], most, &number))
		return error_set(why, 0, "%s must be a number up to %u", which == TABLE_TIMEOUT ? "timeout" : "expansion_limit", (unsigned)most);
	*out = (unsigned)number;
	return 0;
}

/* What is wrong with one setting, apart from the others. */
static int check_one(struct table_settings *s, enum table_setting which, struct error *why)
{
	switch (which) {
	case TABLE_DOMAINS:
		if (span_chr(s->values[which], ':') >= 0 || span_chr(s->values[which], '/') >= 0)
			return error_set(why, 0, "domain names another table: write the domains themselves there");
		return 0;
	case TABLE_EXPANSION_LIMIT: return read_number(s, which, EXPANSION_MOST, &s->expansion_limit, why);
	case TABLE_TIMEOUT: return read_number(s, which, SECONDS_MOST, &s->timeout_s, why);
	case TABLE_QUERY: return table_sql_check(s->values[which], why);
	case TABLE_RESULT_FORMAT: case TABLE_SEARCH_BASE: case TABLE_QUERY_FILTER: return table_format_check(s->values[which], why);
	default: return 0;
	}
}

/* What is wrong only with all of it read. */
static int check(struct table_settings *s, unsigned *line, struct error *why)
{
	*line = 0;
	if (s->source == TABLE_PGSQL && (!s->values[TABLE_QUERY].len || !s->values[TABLE_DBNAME].len || !s->values[TABLE_USER].len))
		return error_set(why, 0, "query, dbname and user must be there (select_field and its like, of old versions, are not known)");
	if (s->source == TABLE_LDAP && !s->values[TABLE_SEARCH_BASE].len)
		return error_set(why, 0, "search_base must be there");
	for (enum table_setting i = 0; i < TABLE_SETTINGS; i++)
		if (check_one(s, i, why)) {
			*line = s->lines[i];
			return -1;
		}
	return 0;
}

int table_settings_read(enum table_source source, struct span text, struct arena *a, struct table_settings *out, unsigned *line, struct error *why)
{
	BUF_AUTO setting = {0};
	struct line_reader r = {.rest = text};
	int more;
	*out = (struct table_settings){.source = source};
	for (size_t i = 0; i < PARAMETERS; i++)
		if (parameters[i].setting != TABLE_SETTINGS)
			out->values[parameters[i].setting] = span_cstr(parameters[i].standard);
	while ((more = logical_line_next(&r, &setting, why)) > 0 && read_line(out, buf_span(&setting), r.line, a, why) == 0)
		;
	*line = r.line;
	return more ? -1 : check(out, line, why);
}

bool table_settings_want(const struct table_settings *s, struct span key)
{
	struct span rest = s->values[TABLE_DOMAINS];
	ssize_t at = span_rchr(key, '@');
	if (!rest.len)
		return true;
	for (size_t i = 0; at > 0 && i < rest.len;) {
		size_t len = 0;
		while (i + len < rest.len && rest.ptr[i + len] != ',' && rest.ptr[i + len] != ' ' && rest.ptr[i + len] != '\t')
			len++;
		if (len && span_equal_nocase(span_slice(rest, i, len), span_skip(key, (size_t)at + 1)))
			return true;
		i += len + 1;
	}
	return false;
}
