/* Trace records: writing, finding, throwing away. */
#include "store/trace.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/pack.h"
#include "wire/date.h"
#include "wire/remedy.h"

#include <stdio.h>

enum { TRACE_VERSION = 1, REMARKED_VERSION = 2 /* with a remark behind */, FOUND_BYTES_MOST = 4 * 1024 * 1024 };

const char *delivery_kind_word(enum delivery_kind kind)
{
	static const char *const words[] = {"smtp", "lmtp", "submission", "append", "local"};
	return kind < sizeof words / sizeof words[0] ? words[kind] : "?";
}

void trace_pack(struct buf *out, const struct trace_record *t)
{
	pack_u8(out, t->remark.len ? REMARKED_VERSION : TRACE_VERSION);
	pack_u64(out, (uint64_t)t->time_ms);
	pack_u8(out, t->kind);
	pack_u64(out, t->size);
	pack_bytes(out, span_slice(t->client, 0, 64));
	pack_bytes(out, span_slice(t->reverse_path, 0, 512));
	pack_bytes(out, span_slice(t->recipients, 0, 4096));
	pack_bytes(out, span_slice(t->message_id, 0, 1000));
	if (t->remark.len)
		pack_bytes(out, span_slice(t->remark, 0, 512));
}

int trace_unpack(struct span value, struct trace_record *t)
{
	struct unpacker u = {.rest = value};
	uint8_t version = unpack_u8(&u);
	t->time_ms = (int64_t)unpack_u64(&u);
	t->kind = unpack_u8(&u);
	t->size = unpack_u64(&u);
	t->client = unpack_bytes(&u, 64);
	t->reverse_path = unpack_bytes(&u, 512);
	t->recipients = unpack_bytes(&u, 4096);
	t->message_id = unpack_bytes(&u, 1000);
	t->remark = version == REMARKED_VERSION ? unpack_bytes(&u, 512) : SPAN("");
	return (version == TRACE_VERSION || version == REMARKED_VERSION) && unpack_done(&u) ? 0 : -1;
}

void trace_event(struct batch *b, struct span partition, struct id128 delivery, struct span text)
{
	BUF_AUTO key = {0}, value = {0};
	static uint32_t turn; /* events of one millisecond keep their order */
	int64_t now = clock_wall_ms();
	buf_add_char(&key, 'e');
	buf_add(&key, id128_span(&delivery));
	pack_sorted_u64(&key, (uint64_t)now);
	pack_sorted_u32(&key, turn);
	turn++;
	pack_u8(&value, TRACE_VERSION);
	pack_u64(&value, (uint64_t)now);
	pack_bytes(&value, span_slice(text, 0, 1000));
	batch_put(b, partition, buf_span(&key), buf_span(&value));
}

struct search_for {
	struct store *store;
	struct span what;
	struct id128 id;
	bool is_id;
	struct buf *out;
	struct error *why;
};

static void add_safe(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_add_char(out, (unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : text.ptr[i]);
}

static struct span without_brackets(struct span text)
{
	bool has = text.len > 2 && text.ptr[0] == '<' && text.ptr[text.len - 1] == '>';
	return has ? span_slice(text, 1, text.len - 2) : text;
}

/* Whether an address is one of "a@x,b@y". It may have a comma itself, in quotes. */
static bool lists(struct span addresses, struct span one)
{
	for (size_t i = 0; i + one.len <= addresses.len; i++) {
		struct span rest = span_skip(addresses, i);
		bool begins = i == 0 || addresses.ptr[i - 1] == ',', ends = rest.len == one.len || rest.ptr[one.len] == ',';
		if (begins && ends && span_starts_with_nocase(rest, one))
			return true;
	}
	return false;
}

static bool is_about(const struct search_for *f, struct id128 id, const struct trace_record *t)
{
	if (f->is_id)
		return id128_equal(id, f->id);
	struct span bare = without_brackets(f->what);
	return span_equal_nocase(t->reverse_path, bare) || span_equal_nocase(without_brackets(t->message_id), bare) || lists(t->recipients, bare);
}

static void add_events(const struct search_for *f, struct span partition, struct id128 id)
{
	BUF_AUTO from = {0}, to = {0};
	struct span key, value;
	buf_add_char(&from, 'e');
	buf_add(&from, id128_span(&id));
	buf_add(&to, buf_span(&from));
	for (int i = 0; i < 13; i++)
		buf_add_char(&to, (char)0xff);
	struct engine_scan *scan = engine_scan_open(f->store->engine, partition, buf_span(&from), buf_span(&to));
	while (engine_scan_next(scan, &key, &value, f->why) > 0 && f->out->len < FOUND_BYTES_MOST) {
		struct unpacker u = {.rest = value};
		unpack_u8(&u);
		int64_t time_ms = (int64_t)unpack_u64(&u);
		buf_add_cstr(f->out, "    ");
		date_format_internet(time_ms / 1000, f->out);
		buf_add_char(f->out, ' ');
		struct span text = unpack_bytes(&u, 1000);
		const char *remedy = remedy_for(text);
		add_safe(f->out, text);
		buf_add_char(f->out, '\n');
		if (remedy)
			buf_printf(f->out, "        what to do: %s\n", remedy);
	}
	engine_scan_close(scan);
}

static void add_record(const struct search_for *f, struct span partition, struct id128 id, const struct trace_record *t)
{
	char text[ID128_TEXT_BYTES + 1];
	id128_text(id, text);
	date_format_internet(t->time_ms / 1000, f->out);
	buf_printf(f->out, " %s %s from <", text, delivery_kind_word(t->kind));
	add_safe(f->out, t->reverse_path);
	buf_add_cstr(f->out, "> to ");
	add_safe(f->out, t->recipients);
	buf_printf(f->out, " size %llu client ", (unsigned long long)t->size);
	add_safe(f->out, t->client.len ? t->client : SPAN("-"));
	buf_add_cstr(f->out, " message-id ");
	add_safe(f->out, t->message_id.len ? t->message_id : SPAN("-"));
	buf_add_cstr(f->out, partition.ptr[0] == 'a' ? ": in the mailbox" : ": accepted");
	buf_add_cstr(f->out, t->remark.len ? ", " : "");
	add_safe(f->out, t->remark);
	buf_add_char(f->out, '\n');
	add_events(f, partition, id);
}

static int search_partition(void *context, struct span partition)
{
	struct search_for *f = context;
	if (partition.len == 0 || (partition.ptr[0] != 'a' && partition.ptr[0] != 'q'))
		return 0;
	BUF_AUTO from = {0}, to = {0};
	buf_add_char(&from, 'd');
	buf_add_char(&to, f->is_id ? 'd' : 'e');
	if (f->is_id) { /* its record alone */
		buf_add(&from, id128_span(&f->id));
		buf_add(&to, id128_span(&f->id));
		buf_add_char(&to, 0);
	}
	struct engine_scan *scan = engine_scan_open(f->store->engine, partition, buf_span(&from), buf_span(&to));
	struct span key, value;
	while (engine_scan_next(scan, &key, &value, f->why) > 0 && f->out->len < FOUND_BYTES_MOST) {
		struct trace_record t;
		struct id128 id;
		struct unpacker u = {.rest = span_skip(key, 1)};
		unpack_id128(&u, &id);
		if (unpack_done(&u) && trace_unpack(value, &t) == 0 && is_about(f, id, &t))
			add_record(f, partition, id, &t);
	}
	engine_scan_close(scan);
	return 0;
}

int trace_find(struct store *s, struct span what, struct buf *out, struct error *why)
{
	struct search_for f = {.store = s, .what = what, .out = out, .why = why};
	f.is_id = id128_parse(what, &f.id) == 0;
	return engine_partitions(s->engine, SPAN(""), search_partition, &f, why) < 0 ? -1 : 0;
}

struct trace_sweep {
	struct store *store;
	uint64_t oldest_ms;
};

/* Ids start with their time, so what is old stands in front. */
static int sweep_partition(void *context, struct span partition)
{
	struct trace_sweep *sweep = context;
	struct store *s = sweep->store;
	struct batch b = {0};
	if (partition.len == 0 || (partition.ptr[0] != 'a' && partition.ptr[0] != 'q'))
		return 0;
	uint64_t oldest = sweep->oldest_ms;
	for (const char *letter = "de"; *letter; letter++) {
		BUF_AUTO from = {0}, to = {0};
		struct span key, value;
		buf_add_char(&from, *letter);
		buf_add_char(&to, *letter);
		for (int i = 0; i < 6; i++)
			buf_add_char(&to, (char)(oldest >> (40 - 8 * i)));
		struct engine_scan *scan = engine_scan_open(s->engine, partition, buf_span(&from), buf_span(&to));
		if (engine_scan_next(scan, &key, &value, NULL) > 0)
			batch_delete_range(&b, partition, buf_span(&from), buf_span(&to));
		engine_scan_close(scan);
	}
	if (!batch_is_empty(&b))
		store_commit(s, &b, NULL, NULL);
	batch_free(&b);
	return 0;
}

void trace_sweep(struct store *s, uint64_t oldest_ms)
{
	struct trace_sweep sweep = {s, oldest_ms};
	engine_partitions(s->engine, SPAN(""), sweep_partition, &sweep, NULL);
}
