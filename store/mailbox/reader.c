/* Reading accounts row by row: see reader.h. */
#include "store/mailbox/reader.h"

#include "base/pack.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	/* Where a record is lost nothing says how much there is to look for; and each look at a damaged block costs reading it. */
	MAILBOXES_LOOKED_FOR = 100,  /* of an account whose own record is lost */
	FIRST_MAILBOXES = 6,         /* the same, where no mailbox's record can be read either: those that an account starts with */
	SEGMENTS_LOOKED_FOR = 4096,  /* a million UIDs, of a mailbox whose record is lost */
	SEGMENTS_MISSING_MOST = 8,   /* in a row; then there are no more */
	LOOKED_UP_MOST = 1 << 20,    /* UIDs of a tail that cannot be scanned */
};

struct reading {
	struct worker worker;
	struct account account;
	const struct reader *reader;
	bool is_lost; /* the record of the mailbox at hand */
};

static void tell(struct reading *g, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct reading *g, const char *format, ...)
{
	char text[2048];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	g->reader->fault(g->reader->context, text);
}

static int get(struct reading *g, char letter, uint32_t mailbox, uint32_t number, struct buf *value)
{
	BUF_AUTO key = {0};
	buf_clear(value);
	index_key(&key, letter, mailbox, number);
	return engine_get(g->worker.engine, account_partition(&g->account), buf_span(&key), value, NULL);
}

/* 1, 0 if there is none, -1 after telling what cannot be read. */
static int read_segment(struct reading *g, const struct mailbox *m, uint32_t segment)
{
	BUF_AUTO cold = {0}, hot = {0};
	struct index x = {0};
	int found = get(g, 'c', m->id, segment, &cold);
	if (found == 0)
		return 0;
	get(g, 'h', m->id, segment, &hot);
	int bad = found < 0 ? -1 : index_read_segment(&x, segment, buf_span(&cold), buf_span(&hot));
	if (bad < 0 && !g->is_lost)
		tell(g, "mailbox \"%s\": the index of UIDs %u to %u cannot be read", m->name, segment * SEGMENT_ROWS, segment * SEGMENT_ROWS + SEGMENT_ROWS - 1);
	else if (bad > 0)
		tell(g, "mailbox \"%s\": the flags of UIDs %u to %u cannot be read", m->name, segment * SEGMENT_ROWS, segment * SEGMENT_ROWS + SEGMENT_ROWS - 1);
	for (size_t i = 0; i < x.count; i++)
		g->reader->message(g->reader->context, m, &x.rows[i]);
	index_free(&x);
	return bad < 0 ? -1 : 1;
}

struct bad_rows {
	uint32_t count, first, last;
};

static void take_tail_row(struct reading *g, const struct mailbox *m, struct span key, struct span value, uint32_t uid, struct bad_rows *bad)
{
	struct row row;
	uint32_t mailbox;
	if (index_read_tail(key, value, &mailbox, &row) == 0) {
		g->reader->message(g->reader->context, m, &row);
		return;
	}
	bad->first = bad->count++ ? bad->first : uid;
	bad->last = uid;
}

/* The newest messages, each in a row of its own; of an import, whose UIDs may be far from each other, all of them. */
static void read_tail(struct reading *g, const struct mailbox *m, uint32_t first, uint32_t last)
{
	struct bad_rows bad = {0};
	BUF_AUTO from = {0}, to = {0};
	struct span key, value;
	int more;
	index_key(&from, 't', m->id, first);
	index_key(&to, 't', m->id + 1, 0);
	struct engine_scan *scan = engine_scan_open(g->worker.engine, account_partition(&g->account), buf_span(&from), buf_span(&to));
	while ((more = engine_scan_next(scan, &key, &value, NULL)) > 0) {
		struct unpacker k = {.rest = span_skip(key, 5)};
		uint32_t uid = unpack_sorted_u32(&k);
		take_tail_row(g, m, key, value, uid, &bad);
		first = uid == UINT32_MAX ? uid : uid + 1;
	}
	engine_scan_close(scan);
	/* what a damaged file keeps from a scan may be had row by row */
	for (uint32_t i = 0; more < 0 && i < LOOKED_UP_MOST && first + (uint64_t)i <= last; i++) {
		BUF_AUTO row_key = {0}, row_value = {0};
		index_key(&row_key, 't', m->id, first + i);
		int found = get(g, 't', m->id, first + i, &row_value);
		if (found)
			take_tail_row(g, m, buf_span(&row_key), found > 0 ? buf_span(&row_value) : SPAN(""), first + i, &bad);
	}
	if (bad.count && !g->is_lost)
		tell(g, "mailbox \"%s\": the index of its newest messages cannot be read, UIDs %u to %u", m->name, bad.first, bad.last);
}

/* The record's UIDNEXT does not count what stands in the tail alone: that is at most a tail's rows. */
static void read_messages(struct reading *g, const struct mailbox *m)
{
	uint64_t last = (uint64_t)m->uidnext + TAIL_ROWS_MOST + 1;
	for (uint32_t segment = 0; segment <= m->uidnext / SEGMENT_ROWS; segment++)
		read_segment(g, m, segment);
	read_tail(g, m, m->index.tail_first, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
}

/* A mailbox without a record, if it has messages at all. */
static bool read_lost(struct reading *g, uint32_t id)
{
	struct mailbox m = {.account = &g->account, .id = id};
	char name[32];
	uint32_t missing = 0, beyond = 0;
	BUF_AUTO value = {0};
	bool is_there = false;
	for (uint32_t segment = 0; segment < SEGMENTS_LOOKED_FOR && missing < SEGMENTS_MISSING_MOST; segment++) {
		bool has = get(g, 'c', id, segment, &value) > 0;
		missing = has ? 0 : missing + 1;
		beyond = has ? segment + 1 : beyond;
	}
	uint32_t last = (beyond + 1) * SEGMENT_ROWS;
	for (uint32_t uid = 1; uid <= last && !is_there; uid++)
		is_there = beyond || get(g, 't', id, uid, &value) > 0;
	if (!is_there)
		return false;
	snprintf(name, sizeof name, "mailbox-%u", id);
	m.name = name;
	tell(g, "the record of a mailbox cannot be read: what it has is called \"%s\"", name);
	if (!g->reader->mailbox(g->reader->context, &m))
		return true;
	for (uint32_t segment = 0; segment < beyond; segment++)
		read_segment(g, &m, segment);
	read_tail(g, &m, 1, last);
	return true;
}

static int get_record(struct reading *g, uint32_t id, struct buf *key, struct buf *value)
{
	index_key(key, 'm', id, 0);
	key->len -= sizeof id; /* a record's key has no number behind the mailbox */
	return engine_get(g->worker.engine, account_partition(&g->account), buf_span(key), value, NULL);
}

static bool read_mailbox(struct reading *g, uint32_t id)
{
	BUF_AUTO key = {0}, value = {0};
	int found = get_record(g, id, &key, &value);
	g->is_lost = found <= 0 || mailbox_read_record(&g->account, buf_span(&key), buf_span(&value), NULL);
	if (g->is_lost)
		return (found != 0 || g->reader->is_damaged) && read_lost(g, id);
	const struct mailbox *m = g->account.mailboxes[g->account.mailbox_count - 1];
	if (g->reader->mailbox(g->reader->context, m))
		read_messages(g, m);
	return true;
}

/* The first mailbox that there cannot be. */
static uint32_t find_end(struct reading *g)
{
	int found = account_read_record(&g->account, NULL);
	if (found > 0)
		return g->account.next_mailbox;
	bool is_bad = found < 0, has_mailbox = false;
	for (uint32_t id = 1; id <= FIRST_MAILBOXES && (is_bad || g->reader->is_damaged); id++) {
		BUF_AUTO key = {0}, value = {0};
		found = get_record(g, id, &key, &value);
		is_bad |= found < 0;
		has_mailbox |= found > 0;
	}
	if (has_mailbox)
		tell(g, "the account's record cannot be read");
	return has_mailbox ? MAILBOXES_LOOKED_FOR : is_bad ? FIRST_MAILBOXES + 1 : 0;
}

size_t reader_account(struct engine *e, uint64_t id, const struct reader *r)
{
	struct reading g = {.worker = {.engine = e}, .account = {.id = id}, .reader = r};
	struct account *a = &g.account;
	size_t count = 0;
	a->worker = &g.worker;
	snprintf(a->partition, sizeof a->partition, "a%016llx", (unsigned long long)id);
	uint32_t end = find_end(&g);
	for (uint32_t mailbox = 1; mailbox < end; mailbox++)
		count += read_mailbox(&g, mailbox);
	for (size_t i = 0; i < a->mailbox_count; i++)
		mailbox_free(a->mailboxes[i]);
	free(a->mailboxes);
	return count;
}
