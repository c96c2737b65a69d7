#include "resolve/standing.h"

#include "auth/spf.h"
#include "auth/spf_name.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/network.h"
#include "base/random.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { VERDICTS_MOST = 4000, VALID_MS = 10 * 60 * 1000, FAMILIES = 2 };

/* One family: its address, and the two checks of it. */
struct leg {
	struct verdict_on_sender *of;
	char text[INET6_ADDRSTRLEN];
	unsigned char bytes[sizeof(struct in6_addr)];
	struct spf_names names;
	struct spf_check *spf;
	bool fits;
};

struct verdict_on_sender {
	struct standing *standing;
	struct verdict_on_sender *same_hash;
	uint64_t hash;
	struct leg legs[FAMILIES]; /* IPv4, IPv6 */
	size_t waiting;            /* for checks; 0: it is found */
	int64_t until_ms;          /* then it is found anew; monotonic */
	struct standing_question *questions;
	char domain[];
};

void standing_open(struct standing *s, struct child *self, struct dns_client *dns)
{
	*s = (struct standing){.self = self, .dns = dns, .secret = random_u64()};
}

/* ---- where our mail leaves from ---- */

/* Nothing is sent: the kernel only says from which address it would be. */
static int kernels_choice(int family, char out[INET6_ADDRSTRLEN])
{
	/* a root server's: one that every route to the world leads to */
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(53)}, from4;
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)}, from6;
	socklen_t len4 = sizeof from4, len6 = sizeof from6;
	inet_pton(AF_INET, "198.41.0.4", &to4.sin_addr);
	inet_pton(AF_INET6, "2001:503:ba3e::2:30", &to6.sin6_addr);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), failed;
	if (fd < 0)
		return -1;
	if (family == AF_INET)
		failed = connect(fd, (struct sockaddr *)&to4, sizeof to4) || getsockname(fd, (struct sockaddr *)&from4, &len4) ||
		         !inet_ntop(family, &from4.sin_addr, out, INET6_ADDRSTRLEN);
	else
		failed = connect(fd, (struct sockaddr *)&to6, sizeof to6) || getsockname(fd, (struct sockaddr *)&from6, &len6) ||
		         !inet_ntop(family, &from6.sin6_addr, out, INET6_ADDRSTRLEN);
	close(fd);
	return failed ? -1 : 0;
}

/* -1 if there is none, so that nothing can leave by this family. */
static int find_address(const struct standing *s, int family, char out[INET6_ADDRSTRLEN])
{
	unsigned char bytes[sizeof(struct in6_addr)];
	const char *set = child_config(s->self)->smtp_out_address;
	if (inet_pton(family, set, bytes) != 1)
		return kernels_choice(family, out);
	snprintf(out, INET6_ADDRSTRLEN, "%s", set);
	return 0;
}

/* ---- one sender ---- */

/* Whoever is told may ask again, or end other questions. */
static void tell(struct verdict_on_sender *v)
{
	struct standing_question *q;
	v->waiting++; /* it is not forgotten meanwhile */
	while ((q = v->questions)) {
		v->questions = q->next;
		q->waits_for = NULL;
		q->v4_fits = v->legs[0].fits;
		q->v6_fits = v->legs[1].fits;
		q->done(q->context);
	}
	v->waiting--;
}

static void one_less(struct verdict_on_sender *v)
{
	if (--v->waiting)
		return;
	v->until_ms = clock_monotonic_ms() + VALID_MS;
	tell(v);
}

static void find_unfit(struct leg *l, const char *why)
{
	l->fits = false;
	log_event(LOG_LEVEL_WARNING, "address-unfit", log_c("address", l->text), log_c("sender", l->of->domain), log_c("why", why),
	          log_c("then", "no mail leaves from it to where another one of ours can go"));
}

static void on_names(void *context)
{
	struct leg *l = context;
	bool is_valid = l->names.count == 0 && !l->names.is_void; /* the DNS does not answer */
	for (size_t i = 0; i < l->names.count; i++)
		is_valid |= l->names.is_valid[i];
	if (!is_valid)
		find_unfit(l, l->names.count ? "its reverse name does not lead back to it" : "it has no reverse name");
	one_less(l->of);
}

static void on_spf(void *context)
{
	struct leg *l = context;
	enum auth_outcome outcome = spf_check_result(l->spf)->outcome;
	if (outcome == AUTH_FAIL || outcome == AUTH_SOFTFAIL)
		find_unfit(l, "the SPF record of the sender's domain leaves it out");
	one_less(l->of);
}

static void begin_leg(struct verdict_on_sender *v, struct leg *l, int family)
{
	struct standing *s = v->standing;
	BUF_AUTO sender = {0};
	*l = (struct leg){.of = v};
	l->fits = find_address(s, family, l->text) == 0;
	if (!l->fits || !network_is_outside(span_cstr(l->text))) /* of another one nobody knows what the world sees */
		return;
	inet_pton(family, l->text, l->bytes);
	if (v->domain[0])
		buf_printf(&sender, "postmaster@%s", v->domain);
	struct span hostname = span_cstr(child_hostname(s->self));
	struct spf_facts facts = {.ip = span_cstr(l->text), .helo = hostname, .mail_from = buf_span(&sender), .receiver = hostname, .now_s = clock_wall_s()};
	v->waiting += 2;
	spf_names_start(&l->names, s->dns, span_of(l->bytes, family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr)), on_names, l);
	l->spf = spf_check_new(s->dns, &facts);
	spf_check_start(l->spf, on_spf, l);
}

static void end_leg(struct leg *l)
{
	if (l->names.dns)
		spf_names_cancel(&l->names);
	spf_check_free(l->spf);
	l->spf = NULL;
}

static void begin(struct verdict_on_sender *v)
{
	static const int families[FAMILIES] = {AF_INET, AF_INET6};
	v->waiting = 1; /* answers may come at once */
	for (size_t i = 0; i < FAMILIES; i++) {
		end_leg(&v->legs[i]);
		begin_leg(v, &v->legs[i], families[i]);
	}
	one_less(v);
}

/* ---- all of them ---- */

static void free_verdict(struct verdict_on_sender *v)
{
	for (size_t i = 0; i < FAMILIES; i++)
		end_leg(&v->legs[i]);
	free(v);
}

void standing_end(struct standing *s)
{
	size_t at = 0;
	struct verdict_on_sender *v;
	while ((v = map_next(&s->by_hash, &at)))
		for (struct verdict_on_sender *next; v; v = next) {
			next = v->same_hash;
			free_verdict(v);
		}
	map_free(&s->by_hash);
	s->count = 0;
}

/* NULL: there are too many of which something is still asked. */
static struct verdict_on_sender *verdict_of(struct standing *s, struct span domain)
{
	uint64_t hash = span_hash(domain, s->secret);
	for (struct verdict_on_sender *v = map_get(&s->by_hash, hash); v; v = v->same_hash)
		if (span_equal(span_cstr(v->domain), domain))
			return v;
	if (s->count == VERDICTS_MOST)
		return NULL;
	struct verdict_on_sender *v = xcalloc(1, sizeof *v + domain.len + 1);
	*v = (struct verdict_on_sender){.standing = s, .hash = hash, .same_hash = map_get(&s->by_hash, hash)};
	if (domain.len)
		memcpy(v->domain, domain.ptr, domain.len);
	map_put(&s->by_hash, hash, v);
	s->count++;
	return v;
}

void standing_forget(struct standing *s)
{
	size_t at = 0;
	struct verdict_on_sender *first;
	while ((first = map_next(&s->by_hash, &at))) {
		struct verdict_on_sender *kept = NULL;
		uint64_t hash = first->hash;
		for (struct verdict_on_sender *v = first, *next; v; v = next) {
			next = v->same_hash;
			if (v->waiting) {
				v->same_hash = kept;
				kept = v;
			} else {
				free_verdict(v);
				s->count--;
			}
		}
		if (kept)
			map_put(&s->by_hash, hash, kept);
		else
			map_take(&s->by_hash, hash);
	}
}

void standing_ask(struct standing_question *q, struct standing *s, struct span sender, loop_fn *done, void *context)
{
	if (s->count == VERDICTS_MOST)
		standing_forget(s);
	struct verdict_on_sender *v = verdict_of(s, sender);
	*q = (struct standing_question){.done = done, .context = context, .v4_fits = true, .v6_fits = true};
	if (!v) {
		done(context);
		return;
	}
	q->waits_for = v;
	q->next = v->questions;
	v->questions = q;
	if (v->waiting)
		return;
	if (v->until_ms > clock_monotonic_ms())
		tell(v);
	else
		begin(v);
}

void standing_cancel(struct standing_question *q)
{
	struct verdict_on_sender *v = q->waits_for;
	if (!v)
		return;
	struct standing_question **at = &v->questions;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	q->waits_for = NULL;
}
