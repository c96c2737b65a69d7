/* `carteiro check spf`: what SPF says of clients, a line each. */
#include "auth/spf.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "resolve/client.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHECK_MOST_MS = 20000 }; /* RFC 7208 §4.6.4: at least twenty seconds */

struct run {
	struct loop *loop;
	bool is_done;
};

static void on_done(void *context)
{
	struct run *r = context;
	r->is_done = true;
	loop_stop(r->loop);
}

static void on_timeout(void *context)
{
	loop_stop(context);
}

static struct span take_field(struct span *rest)
{
	ssize_t tab = span_chr(*rest, '\t');
	struct span field = tab < 0 ? *rest : span_slice(*rest, 0, (size_t)tab);
	*rest = span_skip(*rest, field.len + 1);
	return span_trim(field);
}

static void print_result(const struct spf_result *r, struct span ip)
{
	printf("%s\t", auth_outcome_word(r->outcome));
	if (r->explanation.len)
		printf("%.*s", SPAN_ARG(r->explanation));
	else if (r->outcome == AUTH_FAIL)
		printf("%.*s may not send for %.*s", SPAN_ARG(ip), SPAN_ARG(r->domain));
	else if (r->reason && r->reason[0])
		printf("%s", r->reason);
	else if (r->term.len)
		printf("%.*s", SPAN_ARG(r->term));
	putchar('\n');
	fflush(stdout);
}

static void check_line(struct span line, struct loop *l, struct dns_client *dns, struct span receiver)
{
	struct spf_facts facts = {.receiver = receiver, .now_s = clock_wall_s()};
	struct run r = {.loop = l};
	facts.ip = take_field(&line);
	facts.helo = take_field(&line);
	facts.mail_from = take_field(&line);
	if (span_starts_with(facts.mail_from, SPAN("<")) && span_ends_with(facts.mail_from, SPAN(">")))
		facts.mail_from = span_slice(facts.mail_from, 1, facts.mail_from.len - 2);
	struct spf_check *c = spf_check_new(dns, &facts);
	struct timer *t = timer_new(l, on_timeout, l);
	timer_set(t, CHECK_MOST_MS);
	spf_check_start(c, on_done, &r);
	if (!r.is_done)
		loop_run(l);
	loop_rearm(l);
	if (r.is_done)
		print_result(spf_check_result(c), facts.ip);
	else
		puts("temperror\tthe DNS does not answer in time");
	timer_free(t);
	spf_check_free(c);
}

int cli_check_spf(const struct config *config)
{
	struct loop *l = loop_new();
	struct dns_client *dns = lookup_client_open(l, config);
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	while ((n = getline(&line, &room, stdin)) > 0)
		if (span_trim(span_of(line, (size_t)n)).len)
			check_line(span_of(line, (size_t)n), l, dns, span_cstr(config->hostname));
	free(line);
	lookup_client_free(dns);
	loop_free(l);
	return 0;
}
