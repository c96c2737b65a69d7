#include "store/directory/route.h"

#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/directory/directory.h"
#include "wire/address.h"

#include <stdlib.h>

enum { ROUTE_VERSION = 1 };

static const struct span from = SPAN("from:");

/* All rows, in memory: there are few, and each message is looked up in them. */
struct routes {
	struct arena memory;
	struct route_row *list; /* sorted */
	size_t count;
	bool has_senders;
};

void routes_changed(struct store *s)
{
	if (!s->routes)
		return;
	arena_free(&s->routes->memory);
	free(s->routes);
	s->routes = NULL;
}

static int by_which(const void *a, const void *b)
{
	const struct route_row *x = a, *y = b;
	return span_compare(x->which, y->which);
}

static void add_row(struct routes *all, struct span key, struct span value)
{
	struct unpacker u = {.rest = value};
	uint8_t version = unpack_u8(&u);
	struct span hop = unpack_bytes(&u, NEXT_HOP_BYTES_MOST);
	uint8_t tls = unpack_u8(&u);
	if (version != ROUTE_VERSION || !unpack_done(&u) || tls > ROUTE_TLS_VERIFIED || all->count == ROUTES_MOST) {
		log_event(LOG_LEVEL_ERROR, "route-damaged", log_s("route", span_skip(key, 1)));
		return;
	}
	struct route_row *r = &all->list[all->count++];
	*r = (struct route_row){arena_dup(&all->memory, span_skip(key, 1)), arena_dup(&all->memory, hop), tls};
	all->has_senders |= span_starts_with(r->which, from);
}

/* NULL if they cannot be read: then nobody knows where mail is to go. */
static const struct routes *read_all(struct store *s)
{
	struct engine_scan *scan = s->routes ? NULL : engine_scan_open(s->engine, DIRECTORY, SPAN("t"), SPAN("u"));
	struct span key, value;
	struct error why = {0};
	int more;
	if (!scan)
		return s->routes;
	struct routes *all = xcalloc(1, sizeof *all);
	all->list = arena_alloc_array(&all->memory, ROUTES_MOST, sizeof *all->list);
	while ((more = engine_scan_next(scan, &key, &value, &why)) > 0)
		add_row(all, key, value);
	engine_scan_close(scan);
	if (more < 0)
		die("store: the routes cannot be read: %s", why.text);
	qsort(all->list, all->count, sizeof *all->list, by_which);
	return s->routes = all;
}

const struct route_row *routes_list(struct store *s, size_t *count)
{
	const struct routes *all = read_all(s);
	*count = all->count;
	return all->list;
}

static const struct route_row *look_up(const struct routes *all, struct span which)
{
	struct route_row key = {.which = which};
	return all->count ? bsearch(&key, all->list, all->count, sizeof key, by_which) : NULL;
}

static bool to_canonical(struct span domain, struct buf *out)
{
	return domain_is_valid(domain, ADDRESS_UTF8) && domain_canonical(domain, out, NULL) == 0;
}

static const struct route_row *find_for_domain(const struct routes *all, struct span domain)
{
	BUF_AUTO canonical = {0};
	if (!to_canonical(domain, &canonical))
		return NULL; /* an address literal */
	struct span rest = buf_span(&canonical);
	const struct route_row *found = look_up(all, rest);
	for (ssize_t dot; !found && (dot = span_chr(rest, '.')) >= 0; rest = span_skip(rest, 1)) {
		rest = span_skip(rest, (size_t)dot);
		found = look_up(all, rest);
	}
	return found;
}

static const struct route_row *find_for_sender(const struct routes *all, struct span domain)
{
	BUF_AUTO which = {0}, canonical = {0};
	if (!all->has_senders || !to_canonical(domain, &canonical))
		return NULL;
	buf_add(&which, from);
	buf_add(&which, buf_span(&canonical));
	return look_up(all, buf_span(&which));
}

const struct route_row *route_of_domain(struct store *s, struct span domain)
{
	const struct routes *all = read_all(s);
	return all->count ? find_for_domain(all, domain) : NULL;
}

const struct route_row *route_of_rest(struct store *s, struct span sender_domain)
{
	const struct routes *all = read_all(s);
	const struct route_row *found = all->count ? find_for_sender(all, sender_domain) : NULL;
	return found ? found : look_up(all, SPAN("*"));
}

int route_canonical(struct span typed, struct buf *out, struct error *why)
{
	if (span_equal(typed, SPAN("*"))) {
		buf_add(out, typed);
		return 0;
	}
	bool is_sender = span_starts_with_nocase(typed, from), is_below = span_starts_with(typed, SPAN("."));
	struct span domain = span_skip(typed, is_sender ? from.len : is_below);
	if (is_sender)
		buf_add(out, from);
	else if (is_below)
		buf_add_char(out, '.');
	if (!domain_is_valid(domain, ADDRESS_UTF8))
		return error_set(why, 0, "write a domain, .example.org for all below it, from:example.org for mail of its senders, or *");
	return domain_canonical(domain, out, why);
}

void route_put(struct batch *b, const struct route_row *r)
{
	BUF_AUTO key = {0}, value = {0};
	buf_add_char(&key, 't');
	buf_add(&key, r->which);
	pack_u8(&value, ROUTE_VERSION);
	pack_bytes(&value, r->next_hop);
	pack_u8(&value, (uint8_t)r->tls);
	batch_put(b, DIRECTORY, buf_span(&key), buf_span(&value));
}

void route_delete(struct batch *b, struct span which)
{
	BUF_AUTO key = {0};
	buf_add_char(&key, 't');
	buf_add(&key, which);
	batch_delete(b, DIRECTORY, buf_span(&key));
}
