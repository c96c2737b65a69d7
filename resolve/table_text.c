#include "resolve/table_text.h"

#include "wire/address.h"
#include "wire/alias_map.h"
#include "wire/program.h"
#include "wire/transport_map.h"

enum { ROWS_MOST = 2000000, FAULTS_MOST = 50 /* a person reads them */ };

struct table_row {
	struct table_row *next;
	struct span key;
	struct table_value value;
};

/* ---- values ---- */

/* An address, a name of the origin, or "@domain". Where virtusertable has %1, any local part can come of it. */
static bool is_target(struct span target)
{
	struct address address;
	BUF_AUTO whole = {0};
	ssize_t at = span_rchr(target, '@');
	if (program_is_target(target))
		return true;
	if (at == 0)
		return domain_is_valid(span_skip(target, 1), ADDRESS_UTF8);
	table_key_canonical(target, &whole); /* with the quotes that were taken off */
	if (at < 0)
		buf_add_cstr(&whole, "@x.invalid");
	return address_parse_mailbox(buf_span(&whole), ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL) == 0;
}

static int read_targets(struct span text, const char *pipes, struct arena *a, struct table_value *out, struct error *why)
{
	struct alias_map_entry entry = {0};
	struct error reason = {0};
	if (alias_map_read_targets(text, pipes, a, &entry, &reason) == 0) {
		*out = (struct table_value){VALUE_TARGETS, entry.targets, entry.count};
		for (size_t i = 0; i < entry.count && out->is == VALUE_TARGETS; i++)
			if (!is_target(entry.targets[i]))
				*out = (struct table_value){.is = VALUE_NOT_HERE};
		if (out->is == VALUE_NOT_HERE)
			error_set(why, 0, "it leads to what is no address");
		return 0;
	}
	*out = (struct table_value){.is = VALUE_NOT_HERE};
	error_set(why, 0, "%s", reason.text);
	return reason.code == ALIAS_MAP_NOT_HERE ? 0 : -1;
}

static int read_transport(enum table_kind kind, struct span text, struct arena *a, struct table_value *out, struct error *why)
{
	static const enum table_value_is meanings[] = {[TRANSPORT_HOP] = VALUE_HOP, [TRANSPORT_MX] = VALUE_MX, [TRANSPORT_HERE] = VALUE_HERE,
	                                               [TRANSPORT_UNCHANGED] = VALUE_UNCHANGED, [TRANSPORT_ERROR] = VALUE_REFUSED};
	BUF_AUTO hop = {0};
	enum transport transport;
	*out = (struct table_value){.is = VALUE_NOT_HERE};
	if (transport_parse(text, kind == TABLE_MAILERTABLE, &transport, &hop, why))
		return 0;
	out->is = meanings[transport];
	if (out->is == VALUE_HOP) {
		out->targets = arena_alloc_array(a, 1, sizeof *out->targets);
		out->targets[0] = arena_dup(a, buf_span(&hop));
		out->count = 1;
	}
	return 0;
}

static bool is_domain(struct span key)
{
	return span_chr(key, '@') < 0 && span_chr(key, '.') >= 0;
}

int table_value_read(enum table_kind kind, const char *pipes, struct span key, struct span text, struct arena *a, struct table_value *out, struct error *why)
{
	switch (kind) {
	case TABLE_OWN_DOMAINS:
		*out = (struct table_value){.is = VALUE_DOMAIN};
		return 0;
	case TABLE_RELAY_DOMAINS:
		*out = (struct table_value){.is = VALUE_RELAYED};
		return 0;
	case TABLE_TRANSPORT: case TABLE_MAILERTABLE:
		return read_transport(kind, text, a, out, why);
	case TABLE_VIRTUSERTABLE:
		if (span_starts_with_nocase(text, SPAN("error:"))) {
			*out = (struct table_value){.is = VALUE_REFUSED};
			return 0;
		}
		break;
	case TABLE_VIRTUAL:
		if (is_domain(key)) {
			*out = (struct table_value){.is = VALUE_DOMAIN};
			return 0;
		}
		break;
	case TABLE_ALIASES: case TABLE_KINDS: break;
	}
	return read_targets(text, kind == TABLE_ALIASES ? pipes : NULL, a, out, why);
}

/* ---- files ---- */

static struct table_row *find_row(const struct table_text *t, struct span key)
{
	struct table_row *row = map_get(&t->rows, span_hash(key, 0));
	while (row && !span_equal(row->key, key))
		row = row->next;
	return row;
}

const struct table_value *table_text_find(const struct table_text *t, struct span key)
{
	const struct table_row *row = find_row(t, key);
	return row ? &row->value : NULL;
}

/* As Postfix reads a file, the first of two rows with one key stays. */
static void add_row(struct table_text *t, struct span key, const struct table_value *value)
{
	if (find_row(t, key))
		return;
	struct table_row *row = arena_alloc(&t->memory, sizeof *row);
	*row = (struct table_row){map_get(&t->rows, span_hash(key, 0)), arena_dup(&t->memory, key), *value};
	map_put(&t->rows, span_hash(key, 0), row);
	t->count++;
}

static int read_row(enum table_kind kind, const char *pipes, struct span line, struct table_text *t, bool *is_here, struct error *why)
{
	BUF_AUTO key = {0};
	ARENA_AUTO a = {0};
	struct table_value value;
	struct span rest = line, name;
	bool has_colon = false, is_list = kind == TABLE_RELAY_DOMAINS || kind == TABLE_OWN_DOMAINS;
	if (kind == TABLE_TRANSPORT || kind == TABLE_MAILERTABLE || is_list)
		name = span_next_word(&rest);
	else
		name = alias_map_take_name(&rest, &has_colon, &a);
	rest = span_trim(rest);
	if (!name.len)
		return error_set(why, 0, "it has no name");
	if (kind == TABLE_ALIASES && !has_colon)
		return error_set(why, 0, "\"%.*s\" has no colon behind it", SPAN_ARG(span_slice(name, 0, 60)));
	if (!rest.len && !is_list)
		return error_set(why, 0, "\"%.*s\" has nothing behind it", SPAN_ARG(span_slice(name, 0, 60)));
	if (t->count == ROWS_MOST)
		return error_set(why, 0, "there are more than %d rows", ROWS_MOST);
	table_key_canonical(name, &key);
	if (table_value_read(kind, pipes, buf_span(&key), rest, &t->memory, &value, why))
		return -1;
	*is_here = value.is != VALUE_NOT_HERE;
	add_row(t, buf_span(&key), &value);
	return 0;
}

int table_text_read(enum table_kind kind, const char *pipes, struct span text, struct table_text *out, table_fault_fn *fault, void *context)
{
	BUF_AUTO line = {0};
	struct line_reader r = {.rest = text};
	int more;
	unsigned faults = 0;
	*out = (struct table_text){0};
	do {
		struct error why = {0};
		bool is_here = true;
		more = logical_line_next(&r, &line, &why);
		bool is_broken = more < 0 || (more > 0 && (span_chr(buf_span(&line), '\0') >= 0 || read_row(kind, pipes, buf_span(&line), out, &is_here, &why)));
		if (is_broken || !is_here)
			fault(context, r.line, why.text[0] ? why.text : "it is not text");
		faults += is_broken;
	} while (more && faults < FAULTS_MOST);
	if (!faults)
		return 0;
	table_text_free(out);
	return -1;
}

void table_text_free(struct table_text *t)
{
	map_free(&t->rows);
	arena_free(&t->memory);
	t->count = 0;
}
