#include "resolve/table_question.h"

#include "base/die.h"
#include "base/log.h"
#include "ipc/channel.h"
#include "ipc/terms.h"
#include "ipc/words.h"
#include "wire/address.h"
#include "wire/program.h"

#include <stdlib.h>

enum {
	QUESTIONS_MOST = 4096,
	ANSWER_MS_MOST = 15 * 1000, /* then whoever asked hears "later"; a thread may be in connect() for longer */
	TARGET_BYTES_MOST = 512,
	TARGETS_BYTES_MOST = 600000 - 4 * 1001,
};

struct table_question {
	struct tables *tables;
	struct table_question *next, *before;
	uint64_t id;
	enum table_about about;
	struct arena memory;
	struct span name;
	enum table_kind kind;       /* whose tables are asked now */
	unsigned kinds_done;        /* bits */
	struct table_key keys[TABLE_KEYS_MOST];
	size_t key_count, key, table; /* the next to be looked up, and where */
	struct database_job *job;
	struct timer *timer;
	const struct table *relaying; /* has the domain among those that are relayed */
};

static void free_question(struct table_question *q)
{
	if (q->job)
		database_cancel(q->job);
	if (q->timer)
		timer_free(q->timer);
	if (q->next)
		q->next->before = q->before;
	if (q->before)
		q->before->next = q->next;
	else
		q->tables->questions = q->next;
	q->tables->question_count--;
	arena_free(&q->memory);
	free(q);
}

static void tell(struct tables *t, uint64_t id, enum table_outcome outcome, bool is_wide, const struct span *targets, size_t count, const char *table)
{
	BUF_AUTO packed = {0};
	words_pack(&packed, targets, count);
	if (t->store)
		channel_send(t->store, table_answer, .id = id, .outcome = (uint8_t)outcome, .is_wide = is_wide, .targets = buf_span(&packed),
		             .table = span_slice(span_cstr(table), 0, 300));
}

/* All that follows must return at once: the question is gone. */
static void answer(struct table_question *q, enum table_outcome outcome, const struct table *t)
{
	tell(q->tables, q->id, outcome, false, NULL, 0, t ? t->name : "");
	free_question(q);
}

/* ---- what a value means ---- */

/* %1 is the local part, %2 the subaddress without its delimiter, %3 the same with it (Sendmail's virtusertable). */
static struct span fill_in(struct span target, const struct table_key *key, struct arena *a)
{
	BUF_AUTO out = {0};
	struct span base = span_slice(key->local, 0, key->local.len - key->detail.len);
	if (span_chr(target, '%') < 0)
		return target;
	for (size_t i = 0; i < target.len; i++) {
		char next = target.ptr[i] == '%' && i + 1 < target.len ? target.ptr[i + 1] : '\0';
		i += next >= '1' && next <= '3';
		if (next == '1')
			buf_add(&out, base);
		else if (next == '2')
			buf_add(&out, span_skip(key->detail, 1));
		else if (next == '3')
			buf_add(&out, key->detail);
		else
			buf_add_char(&out, target.ptr[i]);
	}
	return arena_dup(a, buf_span(&out));
}

/* A target as an address of its own: the domain of names without one is the origin, "@domain" is the same local part there, and a subaddress
 * that virtual(5) has not looked at goes along. Canonical; empty if it is no address. */
static struct span complete(const struct table_question *q, const struct table_key *key, struct span target, struct arena *a)
{
	BUF_AUTO text = {0}, whole = {0}, canonical = {0};
	struct address address;
	if (program_is_target(target))
		return target;
	if (q->kind == TABLE_VIRTUSERTABLE)
		target = fill_in(target, key, a);
	ssize_t at = span_rchr(target, '@');
	struct span local = at < 0 ? target : span_slice(target, 0, (size_t)at);
	buf_add(&text, at == 0 ? key->local : local);
	if (at != 0 && q->kind == TABLE_VIRTUAL)
		buf_add(&text, key->detail);
	buf_add_char(&text, '@');
	buf_add(&text, at < 0 ? span_cstr(q->tables->origin) : span_skip(target, (size_t)at + 1));
	table_key_canonical(buf_span(&text), &whole); /* with the quotes that were taken off */
	if (address_parse_mailbox(buf_span(&whole), ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL) || address_canonical(&address, &canonical, NULL) || canonical.len > TARGET_BYTES_MOST)
		return SPAN("");
	return arena_dup(a, buf_span(&canonical));
}

/* True if the question is answered. What leads to the address itself alone is no alias of it. */
static bool take_targets(struct table_question *q, const struct table *t, const struct table_key *key, const struct table_value *v, bool *is_itself)
{
	ARENA_AUTO a = {0};
	struct span *targets = arena_alloc_array(&a, v->count + 1, sizeof *targets);
	size_t bytes = 0;
	for (size_t i = 0; i < v->count; i++) {
		targets[i] = complete(q, key, v->targets[i], &a);
		bytes += targets[i].len;
		if (!targets[i].len || bytes > TARGETS_BYTES_MOST) {
			log_event(LOG_LEVEL_ERROR, "table-fault", log_c("at", t->name), log_s("name", key->text), log_s("target", v->targets[i]),
			          log_c("why", targets[i].len ? "its targets are too many" : "it leads to what is no address"));
			answer(q, TABLE_LATER, t);
			return true;
		}
	}
	*is_itself = v->count == 1 && span_equal(targets[0], q->name);
	if (*is_itself)
		return false;
	tell(q->tables, q->id, TABLE_FOUND, key->is_wide, targets, v->count, t->name);
	free_question(q);
	return true;
}

/* Goes on with the next kind of tables. */
static void leave_kind(struct table_question *q)
{
	q->key = q->key_count;
}

/* A table has the key. True if that answers the question. */
static bool take_value(struct table_question *q, const struct table *t, const struct table_value *v)
{
	bool is_itself = false;
	switch (v->is) {
	case VALUE_TARGETS:
		if (q->about == TABLE_DOMAIN) {
			answer(q, TABLE_FOUND, t); /* virtual: a domain of one label has looked like a name */
			return true;
		}
		if (take_targets(q, t, &q->keys[q->key], v, &is_itself))
			return true;
		break;
	case VALUE_DOMAIN:
		if (q->about == TABLE_DOMAIN) {
			answer(q, TABLE_FOUND, t);
			return true;
		}
		break;
	case VALUE_RELAYED:
		q->relaying = t;
		break;
	case VALUE_HERE:
		if (q->about == TABLE_DOMAIN) {
			answer(q, TABLE_FOUND, t);
			return true;
		}
		break; /* no way out of here */
	case VALUE_HOP: case VALUE_MX:
		if (q->about != TABLE_ROUTE)
			break;
		tell(q->tables, q->id, TABLE_FOUND, false, v->targets, v->count, t->name);
		free_question(q);
		return true;
	case VALUE_UNCHANGED:
		break;
	case VALUE_REFUSED:
		if (q->about == TABLE_DOMAIN)
			break;
		answer(q, TABLE_REFUSED, t);
		return true;
	case VALUE_NOT_HERE:
		if (q->about == TABLE_DOMAIN)
			break; /* whatever it is, it does not make the domain ours */
		answer(q, TABLE_LATER, t);
		return true;
	}
	leave_kind(q);
	return false;
}

/* ---- key by key ---- */

static bool begin_next_kind(struct table_question *q)
{
	struct tables *all = q->tables;
	for (size_t i = 0; i < all->count; i++) {
		enum table_kind kind = all->list[i].kind;
		if (q->kinds_done >> kind & 1U || !table_answers(kind, q->about))
			continue;
		q->kinds_done |= 1U << kind;
		q->kind = kind;
		q->key_count = table_keys(kind, q->about, q->name, all->delimiters, span_cstr(all->origin), &q->memory, q->keys);
		q->key = q->table = 0;
		return true;
	}
	return false;
}

static void go_on(struct table_question *q);

static void on_database(void *context, enum database_outcome outcome, struct span results)
{
	struct table_question *q = context;
	const struct table *t = &q->tables->list[q->table];
	ARENA_AUTO a = {0};
	struct table_value value;
	struct error why = {0};
	q->job = NULL;
	if (outcome == DATABASE_FOUND && table_value_read(t->kind, q->tables->pipes, q->keys[q->key].text, results, &a, &value, &why)) {
		log_event(LOG_LEVEL_ERROR, "table-fault", log_c("at", t->name), log_s("name", q->keys[q->key].text), log_c("why", why.text));
		outcome = DATABASE_LATER;
	}
	if (outcome == DATABASE_LATER) {
		answer(q, TABLE_LATER, t);
		return;
	}
	if (outcome == DATABASE_FOUND && take_value(q, t, &value))
		return;
	q->table++;
	go_on(q);
}

static void on_timer(void *context)
{
	struct table_question *q = context;
	answer(q, TABLE_LATER, &q->tables->list[q->table]);
}

static size_t count_databases(const struct tables *t)
{
	size_t count = 0;
	for (size_t i = 0; i < t->count; i++)
		count += t->list[i].source != TABLE_TEXT;
	return count;
}

static void ask_database(struct table_question *q, struct table *t)
{
	if (!q->timer) {
		q->timer = timer_new(q->tables->loop, on_timer, q);
		timer_set(q->timer, ANSWER_MS_MOST);
	}
	if (!q->tables->pool)
		q->tables->pool = database_pool_new(q->tables->loop, count_databases(q->tables));
	q->job = database_post(q->tables->pool, t->content.database, q->keys[q->key].text, on_database, q);
	if (!q->job)
		answer(q, TABLE_LATER, t);
}

/* Up to the end, or to a database. */
static void go_on(struct table_question *q)
{
	struct tables *all = q->tables;
	for (;; q->table++) {
		if (q->table >= all->count) {
			q->table = 0;
			q->key++;
		}
		while (q->key >= q->key_count)
			if (!begin_next_kind(q)) {
				answer(q, q->relaying ? TABLE_RELAYED : TABLE_NONE, q->relaying);
				return;
			}
		struct table *t = &all->list[q->table];
		if (t->kind != q->kind)
			continue;
		if (!t->is_read) {
			answer(q, TABLE_LATER, t);
			return;
		}
		if (t->source != TABLE_TEXT && !database_wants(t->content.database, q->keys[q->key].text))
			continue;
		if (t->source != TABLE_TEXT) {
			ask_database(q, t);
			return;
		}
		const struct table_value *v = table_text_find(&t->content.text, q->keys[q->key].text);
		if (v && take_value(q, t, v))
			return;
	}
}

void table_question_start(struct tables *t, const struct msg_table_ask *m)
{
	if (t->question_count >= QUESTIONS_MOST) {
		tell(t, m->id, TABLE_LATER, false, NULL, 0, "too many questions at once");
		return;
	}
	struct table_question *q = xcalloc(1, sizeof *q);
	*q = (struct table_question){.tables = t, .next = t->questions, .id = m->id, .about = m->about};
	if (q->next)
		q->next->before = q;
	t->questions = q;
	t->question_count++;
	q->name = arena_dup(&q->memory, m->name);
	go_on(q);
}

void table_questions_end(struct tables *t)
{
	while (t->questions)
		free_question(t->questions);
}
