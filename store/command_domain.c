/* Commands about domains, and about where mail for elsewhere goes. */
#include "store/command_run.h"
#include "store/directory/route.h"
#include "store/queue/leg.h"
#include "wire/next_hop.h"

/* False after saying what is wrong with it. */
static bool is_next_hop(struct command_run *c, struct span hop)
{
	struct error why = {.text = "it is too long"};
	if (hop.len <= NEXT_HOP_BYTES_MOST && next_hop_parse(hop, &(struct next_hop){0}, &why) == 0)
		return true;
	command_fail(c, CODE_USAGE, "\"%.*s\": %s", SPAN_ARG(span_slice(hop, 0, NEXT_HOP_BYTES_MOST)), why.text);
	return false;
}

void domain_add(struct command_run *c)
{
	struct span domain = command_name(c, 2, true), hop = c->count > 3 ? c->words[3] : SPAN("");
	if (!domain.len)
		return;
	if (directory_domain(c->store, domain, NULL) > 0) {
		command_fail(c, CODE_REFUSED, "%.*s is there already", SPAN_ARG(domain));
	} else if (c->count <= 3 || is_next_hop(c, hop)) {
		directory_put_domain(&c->batch, domain, hop);
		if (!hop.len && !child_config(c->store->self)->postmaster[0])
			buf_printf(&c->text, "postmaster@%.*s has to get mail (RFC 5321 section 4.5.1): add it, or name who gets it by `postmaster =` in the configuration\n",
			           SPAN_ARG(domain));
	}
}

static int list_domain(void *context, struct span name, const struct directory_entry *entry)
{
	struct command_run *c = context;
	buf_add(&c->text, name);
	if (entry->target_count)
		buf_printf(&c->text, " -> %.*s", SPAN_ARG(entry->targets[0]));
	buf_add_char(&c->text, '\n');
	return 0;
}

void domain_list(struct command_run *c)
{
	directory_walk(c->store, true, list_domain, c, NULL);
}

static int find_in_domain(void *context, struct span name, const struct directory_entry *entry)
{
	(void)entry;
	const struct span *domain = context;
	return span_equal(span_skip(name, (size_t)(span_rchr(name, '@') + 1)), *domain);
}

void domain_remove(struct command_run *c)
{
	struct span domain = command_name(c, 2, true);
	if (!domain.len)
		return;
	if (directory_domain(c->store, domain, NULL) <= 0)
		command_fail(c, CODE_REFUSED, "%.*s is not one of this server's domains", SPAN_ARG(domain));
	else if (directory_walk(c->store, false, find_in_domain, &domain, NULL) > 0)
		command_fail(c, CODE_REFUSED, "there are still users or aliases in %.*s: remove them first", SPAN_ARG(domain));
	else
		directory_delete_domain(&c->batch, domain);
}

/* ---- routes ---- */

static const char *const tls_words[] = {
	[ROUTE_TLS_USUAL] = "", [ROUTE_TLS_NEVER] = "tls=never", [ROUTE_TLS_MUST] = "tls=must", [ROUTE_TLS_VERIFIED] = "tls=verified"};

static bool read_tls(struct command_run *c, struct span word, enum route_tls *tls)
{
	for (unsigned i = ROUTE_TLS_NEVER; i <= ROUTE_TLS_VERIFIED; i++)
		if (span_equal(word, span_cstr(tls_words[i]))) {
			*tls = i;
			return true;
		}
	command_fail(c, CODE_USAGE, "\"%.*s\": write tls=never, tls=must or tls=verified", SPAN_ARG(span_slice(word, 0, 100)));
	return false;
}

static struct span which_of(struct command_run *c)
{
	BUF_AUTO which = {0};
	struct error why;
	if (route_canonical(c->words[2], &which, &why) == 0)
		return arena_dup(&c->arena, buf_span(&which));
	command_fail(c, CODE_USAGE, "\"%.*s\": %s", SPAN_ARG(span_slice(c->words[2], 0, 250)), why.text);
	return SPAN("");
}

static bool is_address(struct span hop)
{
	struct next_hop n;
	return hop.len && next_hop_parse(hop, &n, NULL) == 0 && span_starts_with(n.host, SPAN("["));
}

/* A route that is there gets the new next hop. */
void route_add(struct command_run *c)
{
	struct route_row row = {.which = which_of(c), .next_hop = c->words[3]};
	size_t count;
	if (!row.which.len || (c->count > 4 && !read_tls(c, c->words[4], &row.tls)))
		return;
	routes_list(c->store, &count);
	if (span_equal(row.next_hop, SPAN("mx")))
		row.next_hop = SPAN("");
	else if (!is_next_hop(c, row.next_hop))
		return;
	if (row.tls == ROUTE_TLS_VERIFIED && is_address(row.next_hop))
		command_fail(c, CODE_USAGE, "tls=verified is for a next hop with a name: an address has no certificate");
	else if (count == ROUTES_MOST)
		command_fail(c, CODE_REFUSED, "there are %d routes already, and no more are read", ROUTES_MOST);
	else
		route_put(&c->batch, &row);
}

void route_list(struct command_run *c)
{
	size_t count;
	const struct route_row *list = routes_list(c->store, &count);
	for (size_t i = 0; i < count; i++)
		buf_printf(&c->text, "%.*s -> %.*s%s%s\n", SPAN_ARG(list[i].which), SPAN_ARG(list[i].next_hop.len ? list[i].next_hop : SPAN("mx")),
		           list[i].tls ? " " : "", tls_words[list[i].tls]);
}

void route_remove(struct command_run *c)
{
	struct span which = which_of(c);
	size_t count, at = 0;
	const struct route_row *list = routes_list(c->store, &count);
	while (which.len && at < count && !span_equal(list[at].which, which))
		at++;
	if (which.len && at == count)
		command_fail(c, CODE_REFUSED, "there is no route %.*s", SPAN_ARG(which));
	else if (which.len)
		route_delete(&c->batch, which);
}

static void show_again(struct store *s, void *context);

/* False while a table has to be asked. */
static bool show(struct command_run *c)
{
	struct leg leg = {0};
	BUF_AUTO story = {0};
	c->look.story = &story;
	enum table_outcome outcome = leg_look(c->store->queue, c->words[2], SPAN(""), false, &c->look, &c->arena, &leg);
	c->look.story = NULL;
	if (outcome == TABLE_LATER && c->look.question) {
		tables_wait(c->store, c->look.question, show_again, c);
		return false;
	}
	if (outcome == TABLE_LATER)
		command_fail(c, CODE_LATER, "where its mail goes cannot be told now");
	else
		buf_printf(&c->text, "%.*s -> %.*s%s%s\n", SPAN_ARG(c->words[2]), SPAN_ARG(outcome == TABLE_REFUSED ? SPAN("refused") : leg.route == ROUTE_DOMAIN ? SPAN("mx") : leg.next_hop),
		           leg.tls ? " " : "", tls_words[leg.tls]);
	buf_add(&c->text, buf_span(&story));
	return true;
}

static void show_again(struct store *s, void *context)
{
	(void)s;
	if (show(context))
		command_finish(context);
}

void route_show(struct command_run *c)
{
	if (!command_name(c, 2, false).len)
		return;
	c->look.is_new = true;
	c->is_elsewhere = !show(c);
}
