#include "store/directory/tables.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/die.h"
#include "ipc/words.h"
#include "wire/address.h"
#include "wire/next_hop.h"
#include "wire/program.h"

#include <stdlib.h>

enum {
	NEW_MS = 5 * 1000,          /* how old a good answer may be at RCPT */
	KEPT_MS = 60 * 60 * 1000,   /* and later, */
	KEPT_NONE_MS = 10 * 60 * 1000, /* or that there is none */
	DOWN_MS = 1000,             /* how long a table that could not be asked is left alone */
	ENTRIES_MOST = 50000,
	BYTES_MOST = 64 * 1024 * 1024,
	QUESTIONS_MOST = 4000,      /* under way: resolve has room for so many */
	TARGETS_MOST = 1000,        /* ALIAS_TARGETS_MOST */
	ADDRESS_BYTES_MOST = 512,
	HOP_BYTES_MOST = 250,       /* NEXT_HOP_BYTES_MOST */
};

/* One answer. */
struct answer {
	struct arena memory;
	struct table_said said;
	int64_t got_ms;
	uint64_t generation;        /* of the tables, when it came */
};

struct waiter {
	struct waiter *next;
	table_waiter_fn *fn;
	void *context;
};

struct entry {
	struct entry *older, *newer; /* by last use */
	enum table_about about;
	struct span name;           /* in `memory` */
	struct arena memory;
	struct answer *answer;      /* the newest; NULL: none yet */
	int64_t failed_ms;          /* when it could not be asked last; 0: never, or not since it was last answered */
	uint64_t failed_generation; /* of the tables, then */
	char failed_table[64];
	uint64_t question;          /* under way; 0: none */
	peer_id asked;              /* whom */
	struct waiter *waiters, **last_waiter;
};

struct store_tables {
	bool answers[TABLE_HOME + 1]; /* there is a table, or for TABLE_HOME master, that says something about that */
	struct map entries;         /* by hash of what and name */
	struct map questions;       /* entries, by number */
	struct entry *oldest, *newest;
	size_t count, bytes;
	uint64_t last_question, generation, seed;
};

void tables_configure(struct store *s, const struct config *config)
{
	struct span rest = span_cstr(config->tables), word;
	struct table_name name;
	if (!s->tables)
		s->tables = xcalloc(1, sizeof *s->tables);
	memset(s->tables->answers, 0, sizeof s->tables->answers);
	while (table_name_next(&rest, &name, &word, NULL) > 0)
		for (enum table_about about = TABLE_ADDRESS; about <= TABLE_ROUTE; about++)
			s->tables->answers[about] |= table_answers(name.kind, about);
	s->tables->answers[TABLE_HOME] = config->system_users[0];
	s->tables->generation++;
}

bool tables_are_there(const struct store *s)
{
	const struct store_tables *t = s->tables;
	return t && (t->answers[TABLE_ADDRESS] || t->answers[TABLE_DOMAIN] || t->answers[TABLE_ROUTE] || t->answers[TABLE_HOME]);
}

/* ---- entries ---- */

static void release(struct store_tables *t, struct answer *a)
{
	if (!a)
		return;
	t->bytes -= a->memory.used;
	arena_free(&a->memory);
	free(a);
}

static void unlink_entry(struct store_tables *t, struct entry *e)
{
	*(e->older ? &e->older->newer : &t->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &t->newest) = e->older;
}

static void link_newest(struct store_tables *t, struct entry *e)
{
	e->older = t->newest;
	e->newer = NULL;
	*(t->newest ? &t->newest->newer : &t->oldest) = e;
	t->newest = e;
}

static uint64_t hash_of(const struct store_tables *t, enum table_about about, struct span name)
{
	return span_hash(name, t->seed + (uint64_t)about);
}

static void free_entry(struct store_tables *t, struct entry *e)
{
	unlink_entry(t, e);
	if (map_get(&t->entries, hash_of(t, e->about, e->name)) == e)
		map_take(&t->entries, hash_of(t, e->about, e->name));
	release(t, e->answer);
	t->count--;
	arena_free(&e->memory);
	free(e);
}

/* The oldest go, but for those that somebody waits for. */
static void make_room(struct store_tables *t)
{
	for (struct entry *e = t->oldest, *next; e && (t->count >= ENTRIES_MOST || t->bytes > BYTES_MOST); e = next) {
		next = e->newer;
		if (!e->question)
			free_entry(t, e);
	}
}

static struct entry *entry_of(struct store_tables *t, enum table_about about, struct span name)
{
	struct entry *e = map_get(&t->entries, hash_of(t, about, name));
	if (e && e->about == about && span_equal(e->name, name)) {
		unlink_entry(t, e);
		link_newest(t, e);
		return e;
	}
	make_room(t);
	e = xcalloc(1, sizeof *e);
	e->about = about;
	e->name = arena_dup(&e->memory, name);
	e->last_waiter = &e->waiters;
	map_put(&t->entries, hash_of(t, about, name), e); /* one that shares the hash is out of reach, and goes when it is the oldest */
	link_newest(t, e);
	t->count++;
	return e;
}

/* ---- asking ---- */

static void ask(struct store *s, struct entry *e, struct table_look *look)
{
	struct store_peer *peer = store_peer_by_role(s, e->about == TABLE_HOME ? ROLE_MASTER : ROLE_RESOLVE, 0);
	if (!e->question && peer && s->tables->questions.count < QUESTIONS_MOST) {
		e->question = ++s->tables->last_question;
		e->asked = peer->id;
		map_put(&s->tables->questions, e->question, e);
		if (e->about == TABLE_HOME)
			channel_send(peer->channel, home_ask, .id = e->question, .name = e->name);
		else
			channel_send(peer->channel, table_ask, .id = e->question, .about = (uint8_t)e->about, .name = e->name);
	}
	look->question = e->question;
	look->is_busy = !e->question;
}

static bool leads_somewhere(const struct table_said *said)
{
	return said->outcome == TABLE_FOUND || said->outcome == TABLE_RELAYED;
}

static bool is_good(const struct store_tables *t, const struct answer *a, const struct table_look *look)
{
	if (!a)
		return false;
	if (look->is_new)
		return a->got_ms >= look->since_ms || (a->generation == t->generation && look->since_ms - a->got_ms < NEW_MS);
	return look->since_ms - a->got_ms < (leads_somewhere(&a->said) ? KEPT_MS : KEPT_NONE_MS);
}

static const char *const about_words[] = {[TABLE_ADDRESS] = "who gets it", [TABLE_DOMAIN] = "whether it is ours", [TABLE_ROUTE] = "where it goes",
                                           [TABLE_HOME] = "who it is"};

static void tell(const struct table_look *look, struct span name, enum table_about about, const struct table_said *said)
{
	static const char *const words[] = {[TABLE_NONE] = "no table has it", [TABLE_FOUND] = "", [TABLE_RELAYED] = "a domain whose mail is taken and sent on",
	                                    [TABLE_REFUSED] = "it is refused", [TABLE_LATER] = "cannot be looked up now"};
	if (!look->story || said->outcome == TABLE_NONE || (said->outcome == TABLE_LATER && look->question))
		return;
	buf_printf(look->story, "%.*s: %s", SPAN_ARG(name), said->outcome == TABLE_FOUND && about == TABLE_DOMAIN ? "a domain of ours" : words[said->outcome]);
	if (said->outcome == TABLE_FOUND && about == TABLE_HOME)
		buf_add_cstr(look->story, said->count ? "a user of this machine ->" : "a user of this machine -> \\");
	else if (said->outcome == TABLE_FOUND && about != TABLE_DOMAIN)
		buf_add_cstr(look->story, said->count ? "->" : "-> mx");
	for (size_t i = 0; i < said->count; i++)
		buf_printf(look->story, " %.*s", SPAN_ARG(said->targets[i]));
	if (said->outcome == TABLE_LATER)
		buf_printf(look->story, " (%s)", about_words[about]);
	if (said->table.len)
		buf_printf(look->story, "  [%.*s]", SPAN_ARG(said->table));
	buf_add_char(look->story, '\n');
}

void tables_find(struct store *s, enum table_about about, struct span name, struct table_look *look, struct table_said *said)
{
	struct store_tables *t = s->tables;
	*said = (struct table_said){.outcome = TABLE_NONE};
	if (!t || !t->answers[about] || name.len > ADDRESS_BYTES_MOST)
		return;
	if (!look->since_ms)
		look->since_ms = clock_monotonic_ms();
	struct entry *e = entry_of(t, about, name);
	if (is_good(t, e->answer, look)) {
		*said = e->answer->said;
		look->has_found |= leads_somewhere(said);
	} else {
		said->outcome = TABLE_LATER;
		look->question = 0;
		look->is_busy = false;
		look->table = NULL;
		if (e->failed_ms && e->failed_generation == t->generation && look->since_ms - e->failed_ms < DOWN_MS) {
			look->table = e->failed_table;
			said->table = span_cstr(e->failed_table);
		} else {
			ask(s, e, look);
		}
	}
	tell(look, name, about, said);
}

void tables_wait(struct store *s, uint64_t question, table_waiter_fn *fn, void *context)
{
	struct entry *e = map_get(&s->tables->questions, question);
	struct waiter *w = xcalloc(1, sizeof *w);
	if (!e)
		die("store: a table's question that is over is waited for");
	*w = (struct waiter){.fn = fn, .context = context};
	*e->last_waiter = w;
	e->last_waiter = &w->next;
}

/* ---- answers ---- */

/* Its waiters may ask again, and wait again, for the same. */
static void wake(struct store *s, struct entry *e)
{
	struct waiter *w = e->waiters;
	e->waiters = NULL;
	e->last_waiter = &e->waiters;
	map_take(&s->tables->questions, e->question);
	e->question = 0;
	for (struct waiter *next; w; w = next) {
		next = w->next;
		w->fn(s, w->context);
		free(w);
	}
}

static void fail(struct store *s, struct entry *e, struct span table)
{
	e->failed_ms = clock_monotonic_ms();
	e->failed_generation = s->tables->generation;
	struct span short_name = span_slice(table, 0, sizeof e->failed_table - 1);
	memcpy(e->failed_table, short_name.len ? short_name.ptr : "", short_name.len);
	e->failed_table[short_name.len] = '\0';
	wake(s, e);
}

/* What resolve says is checked as what a stranger says. */
static bool are_targets(enum table_about about, enum table_outcome outcome, const struct span *targets, size_t count)
{
	size_t least = about == TABLE_ADDRESS && outcome == TABLE_FOUND, most = outcome != TABLE_FOUND || about == TABLE_DOMAIN ? 0 : about == TABLE_ROUTE ? 1 : TARGETS_MOST;
	struct address address;
	struct next_hop hop;
	if (count < least || count > most)
		return false;
	for (size_t i = 0; i < count; i++) {
		bool is_one = about == TABLE_ADDRESS && program_is_target(targets[i]) ? true : about == TABLE_ROUTE ? next_hop_parse(targets[i], &hop, NULL) == 0 : address_parse_mailbox(targets[i], ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL) == 0;
		if (!is_one || targets[i].len > (about == TABLE_ROUTE ? HOP_BYTES_MOST : ADDRESS_BYTES_MOST))
			return false;
	}
	return true;
}

bool tables_question_name(const struct store *s, uint64_t question, enum table_about about, struct span *name)
{
	const struct entry *e = s->tables ? map_get(&s->tables->questions, question) : NULL;
	if (!e || e->about != about)
		return false;
	*name = e->name;
	return true;
}

int tables_take(struct store *s, uint64_t question, const struct table_said *said)
{
	struct store_tables *t = s->tables;
	struct entry *e = map_get(&t->questions, question);
	if (!e)
		return -1;
	if (said->outcome == TABLE_LATER) {
		fail(s, e, said->table);
		return 0;
	}
	struct answer *a = xcalloc(1, sizeof *a);
	*a = (struct answer){.got_ms = clock_monotonic_ms(), .generation = t->generation, .said = *said};
	a->said.targets = arena_alloc_array(&a->memory, said->count + 1, sizeof *a->said.targets);
	for (size_t i = 0; i < said->count; i++)
		a->said.targets[i] = arena_dup(&a->memory, said->targets[i]);
	a->said.table = arena_dup(&a->memory, said->table);
	t->bytes += a->memory.used;
	e->failed_ms = 0;
	release(t, e->answer);
	e->answer = a;
	wake(s, e);
	return 0;
}

int tables_answered(struct store *s, const struct msg_table_answer *m)
{
	const struct entry *e = map_get(&s->tables->questions, m->id);
	ARENA_AUTO memory = {0};
	struct table_said said = {.outcome = m->outcome, .is_wide = m->is_wide, .table = m->table};
	ssize_t count = words_unpack(m->targets, &memory, &said.targets);
	if (!e || e->about == TABLE_HOME || count < 0 || (m->outcome != TABLE_LATER && !are_targets(e->about, m->outcome, said.targets, (size_t)count)))
		return -1;
	said.count = m->outcome == TABLE_LATER ? 0 : (size_t)count;
	return tables_take(s, m->id, &said);
}

void tables_have_changed(struct store *s)
{
	s->tables->generation++;
}

void tables_resolve_gone(struct store *s, peer_id resolve)
{
	size_t at = 0, count = 0;
	struct entry *e, **lost = xcalloc(s->tables->questions.count + 1, sizeof *lost);
	while ((e = map_next(&s->tables->questions, &at)))
		if (e->asked == resolve)
			lost[count++] = e;
	for (size_t i = 0; i < count; i++)
		fail(s, lost[i], SPAN("")); /* none of them goes while it has a question */
	free(lost);
}

void tables_close(struct store *s)
{
	while (s->tables->oldest)
		free_entry(s->tables, s->tables->oldest);
	map_free(&s->tables->entries);
	map_free(&s->tables->questions);
	free(s->tables);
	s->tables = NULL;
}
