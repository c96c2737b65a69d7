/* Reports that came to us. "y" u64 when (ms, big-endian) u64 hash -> the sums, as wire/tlsrpt_report.h packs them, of our own domains. */
#include "base/clock.h"
#include "base/log.h"
#include "base/pack.h"
#include "store/directory/directory.h"
#include "store/report/row.h"

#include <time.h>

enum {
	HEARD_MOST = 2000,      /* kept, of all: the newest */
	HEARD_OF_ONE_MOST = 40, /* of one signer: none keeps the others from being heard */
	PRINTED_MOST = 100,
};

static void make_key(struct buf *key, int64_t when_ms, uint64_t hash)
{
	buf_add_char(key, 'y');
	pack_sorted_u64(key, (uint64_t)when_ms);
	pack_sorted_u64(key, hash);
}

/* What else is kept: is it the same report, and what has to go for a new one of this signer. */
struct look {
	bool is_known;
	size_t count, of_signer;
	struct buf oldest, oldest_of_signer;
};

static void look_through(const struct reports *all, const struct tlsrpt_sums *new, struct look *l)
{
	struct engine_scan *scan = engine_scan_open(all->store->engine, DIRECTORY, SPAN("y"), SPAN("z"));
	struct span key, value;
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct tlsrpt_sums s;
		if (l->count++ == 0)
			buf_add(&l->oldest, key);
		if (tlsrpt_sums_unpack(value, &s) || !span_equal_nocase(s.signer, new->signer))
			continue;
		if (l->of_signer++ == 0)
			buf_add(&l->oldest_of_signer, key);
		l->is_known |= span_equal(s.id, new->id);
	}
	engine_scan_close(scan);
}

static void keep(struct reports *all, const struct tlsrpt_sums *s, const struct look *l)
{
	struct batch b = {0};
	BUF_AUTO key = {0}, value = {0};
	make_key(&key, clock_wall_ms(), span_hash(s->id, all->secret));
	tlsrpt_sums_pack(s, &value);
	batch_put(&b, DIRECTORY, buf_span(&key), buf_span(&value));
	if (l->of_signer >= HEARD_OF_ONE_MOST)
		batch_delete(&b, DIRECTORY, buf_span(&l->oldest_of_signer));
	else if (l->count >= HEARD_MOST)
		batch_delete(&b, DIRECTORY, buf_span(&l->oldest));
	store_commit(all->store, &b, NULL, NULL);
}

static void say(const struct tlsrpt_sums *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct tlsrpt_sum *one = &s->list[i];
		log_event(one->failures ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "tls-report", log_s("domain", one->domain), log_s("organization", s->organization),
		          log_s("signer", s->signer), log_n("successes", (int64_t)one->successes), log_n("failures", (int64_t)one->failures), log_s("details", one->details));
	}
}

void report_heard(struct store *s, struct span packed)
{
	struct tlsrpt_sums sums;
	struct look l = {.count = 0};
	size_t kept = 0;
	if (tlsrpt_sums_unpack(packed, &sums))
		return;
	for (size_t i = 0; i < sums.count; i++)
		if (directory_domain(s, sums.list[i].domain, NULL) > 0)
			sums.list[kept++] = sums.list[i];
	sums.count = kept;
	look_through(s->reports, &sums, &l);
	if (!kept) {
		log_event(LOG_LEVEL_INFO, "tls-report-ignored", log_s("signer", sums.signer), log_c("why", "it is about no domain of ours"));
	} else if (!l.is_known) {
		say(&sums);
		if (engine_has_room(s->engine))
			keep(s->reports, &sums, &l);
	}
	buf_free(&l.oldest);
	buf_free(&l.oldest_of_signer);
}

static void print_one(const struct tlsrpt_sums *s, struct buf *out)
{
	char day[16] = "";
	struct tm tm;
	time_t start = (time_t)s->start_s;
	gmtime_r(&start, &tm);
	strftime(day, sizeof day, "%Y-%m-%d", &tm);
	for (size_t i = 0; i < s->count; i++) {
		const struct tlsrpt_sum *one = &s->list[i];
		buf_printf(out, "%s %.*s by %.*s (%.*s): %llu successful, %llu failed%s%.*s\n", day, SPAN_ARG(one->domain), SPAN_ARG(s->organization), SPAN_ARG(s->signer),
		           (unsigned long long)one->successes, (unsigned long long)one->failures, one->details.len ? ": " : "", SPAN_ARG(one->details));
	}
}

/* The newest last. */
void heard_print(struct reports *all, struct buf *out)
{
	struct look l = {.count = 0};
	struct span key, value;
	size_t at = 0;
	look_through(all, &(struct tlsrpt_sums){.count = 0}, &l);
	buf_add_cstr(out, "Connections of others to this server, as they report them:\n");
	struct engine_scan *scan = engine_scan_open(all->store->engine, DIRECTORY, SPAN("y"), SPAN("z"));
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct tlsrpt_sums s;
		if (at++ + PRINTED_MOST >= l.count && tlsrpt_sums_unpack(value, &s) == 0)
			print_one(&s, out);
	}
	engine_scan_close(scan);
	if (!l.count)
		buf_add_cstr(out, "none\n");
	buf_free(&l.oldest);
	buf_free(&l.oldest_of_signer);
}
