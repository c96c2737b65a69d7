/* Rows: "h" u64 account -> u8 version, u32 usual, u64 when that was (s), u8 is held, u64 since (s), bytes why. */
#include "store/habit.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "base/rate.h"
#include "store/directory/directory.h"
#include "store/notice.h"
#include "wire/date.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	HABIT_VERSION = 1,
	WHY_BYTES_MOST = 200,
	TIMES_USUAL = 5,        /* so many times what it has ever sent in an hour are unlike it */
	UNKNOWN_LEAST = 30,     /* so many recipients in an hour that are not there, and a third of all, are unlike anybody */
	UNKNOWN_SHARE = 3,
	HALVED_AFTER_S = 30 * 86400, /* what was usual is half as much so much later */
};

struct habit {
	uint32_t usual;         /* the most recipients in one hour */
	int64_t usual_s;        /* when: wall clock, UTC */
	bool is_held;
	int64_t held_s;
	char why[WHY_BYTES_MOST + 1];
	/* of the present hour, which begins with its first message */
	int64_t hour_ms;        /* monotonic */
	size_t sent, delivered, unknown;
};

static void make_key(struct buf *key, uint64_t account)
{
	buf_add_char(key, 'h');
	pack_u64(key, account);
}

static int unpack(struct span value, struct habit *out)
{
	struct unpacker u = {.rest = value};
	bool is_known = unpack_u8(&u) == HABIT_VERSION;
	out->usual = unpack_u32(&u);
	out->usual_s = (int64_t)unpack_u64(&u);
	out->is_held = unpack_u8(&u) != 0;
	out->held_s = (int64_t)unpack_u64(&u);
	struct span why = unpack_bytes(&u, WHY_BYTES_MOST);
	snprintf(out->why, sizeof out->why, "%.*s", SPAN_ARG(why));
	return unpack_done(&u) && is_known ? 0 : -1;
}

static void put(struct batch *b, uint64_t account, const struct habit *h)
{
	BUF_AUTO key = {0}, value = {0};
	make_key(&key, account);
	pack_u8(&value, HABIT_VERSION);
	pack_u32(&value, h->usual);
	pack_u64(&value, (uint64_t)h->usual_s);
	pack_u8(&value, h->is_held);
	pack_u64(&value, (uint64_t)h->held_s);
	pack_bytes(&value, span_cstr(h->why));
	batch_put(b, DIRECTORY, buf_span(&key), buf_span(&value));
}

/* Read once. A row that cannot be read is an account that has sent nothing yet, and is read again with the next start. */
static struct habit *habit_of(struct store *s, uint64_t account)
{
	BUF_AUTO key = {0}, value = {0};
	struct error why = {.text = "it is no such row"};
	struct habit *h = map_get(&s->habits, account);
	if (h)
		return h;
	h = xcalloc(1, sizeof *h);
	make_key(&key, account);
	int found = engine_get(s->engine, DIRECTORY, buf_span(&key), &value, &why);
	if (found < 0 || (found > 0 && unpack(buf_span(&value), h)))
		log_event(LOG_LEVEL_ERROR, "habit-unread", log_n("account", (int64_t)account), log_c("why", why.text));
	map_put(&s->habits, account, h);
	return h;
}

static uint32_t usual_now(const struct habit *h)
{
	int64_t halvings = (clock_wall_s() - h->usual_s) / HALVED_AFTER_S;
	return halvings < 0 ? h->usual : halvings > 31 ? 0 : h->usual >> halvings;
}

/* What the hour came to may be the new measure. True: it is, and is to be written. */
static bool learn(struct habit *h)
{
	if (h->sent <= usual_now(h))
		return false;
	h->usual = h->sent > UINT32_MAX ? UINT32_MAX : (uint32_t)h->sent;
	h->usual_s = clock_wall_s();
	return true;
}

static void begin_hour(struct store *s, uint64_t account, struct habit *h)
{
	int64_t now_ms = clock_monotonic_ms();
	struct batch b = {0};
	BUF_AUTO name = {0};
	if (h->hour_ms && now_ms - h->hour_ms < RATE_HOUR_MS)
		return;
	if (learn(h) && directory_account_name(s, account, &name, NULL) > 0) {
		put(&b, account, h);
		store_commit(s, &b, NULL, NULL); /* unsynced: a crash may forget an hour */
	}
	h->hour_ms = now_ms;
	h->sent = h->delivered = h->unknown = 0;
}

static void hold(struct store *s, uint64_t account, struct habit *h)
{
	BUF_AUTO name = {0};
	struct batch b = {.is_durable = true};
	if (directory_account_name(s, account, &name, NULL) == 0)
		return; /* it has been removed, and sends no more */
	h->is_held = true;
	h->held_s = clock_wall_s();
	put(&b, account, h);
	store_commit(s, &b, NULL, NULL);
	log_event(LOG_LEVEL_WARNING, "account-held", log_s("account", buf_span(&name)), log_c("why", h->why),
	          log_c("do", "carteiro user release, if it was its user; else carteiro user revoke, and carteiro user purge"));
	notice_account_held(s, account, buf_span(&name), h->why);
}

bool habit_sends(struct store *s, uint64_t account, size_t recipients)
{
	uint64_t unusual = child_config(s->self)->unusual_recipients;
	if (!account)
		return false;
	struct habit *h = habit_of(s, account);
	if (h->is_held || !unusual)
		return h->is_held;
	begin_hour(s, account, h);
	h->sent += recipients;
	uint64_t usual = (uint64_t)usual_now(h) * TIMES_USUAL;
	if (!recipients || h->sent <= (usual > unusual ? usual : unusual))
		return false;
	snprintf(h->why, sizeof h->why, "%zu recipients within an hour, where it never had more than %u", h->sent, usual_now(h));
	hold(s, account, h);
	return true;
}

void habit_hears(struct store *s, uint64_t account, bool is_unknown)
{
	if (!account || !child_config(s->self)->unusual_recipients)
		return;
	struct habit *h = habit_of(s, account);
	begin_hour(s, account, h);
	h->unknown += is_unknown;
	h->delivered += !is_unknown;
	if (h->is_held || h->unknown < UNKNOWN_LEAST || h->unknown * UNKNOWN_SHARE < h->unknown + h->delivered)
		return;
	snprintf(h->why, sizeof h->why, "%zu of its %zu recipients within an hour are not there", h->unknown, h->unknown + h->delivered);
	hold(s, account, h);
}

bool habit_is_held(struct store *s, uint64_t account)
{
	return account && habit_of(s, account)->is_held;
}

void habit_print(struct store *s, uint64_t account, struct buf *out)
{
	const struct habit *h = habit_of(s, account);
	if (!h->is_held)
		return;
	buf_add_cstr(out, "held since ");
	date_format(h->held_s, out);
	buf_printf(out, ": %s\n", h->why);
}

bool habit_release(struct store *s, struct batch *b, uint64_t account)
{
	struct habit *h = habit_of(s, account);
	if (!h->is_held)
		return false;
	h->is_held = false;
	learn(h);
	h->hour_ms = 0;
	put(b, account, h);
	return true;
}

void habit_delete(struct store *s, struct batch *b, uint64_t account)
{
	BUF_AUTO key = {0};
	make_key(&key, account);
	batch_delete(b, DIRECTORY, buf_span(&key));
	free(map_take(&s->habits, account));
}

/* ---- all of them ---- */

void habit_walk_held(struct store *s, void (*each)(void *context, uint64_t account), void *context)
{
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, SPAN("h"), SPAN("i"));
	struct span key, value;
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct unpacker u = {.rest = span_skip(key, 1)};
		struct habit h = {0};
		uint64_t account = unpack_u64(&u);
		if (!u.bad && unpack(value, &h) == 0 && h.is_held)
			each(context, account);
	}
	engine_scan_close(scan);
}
