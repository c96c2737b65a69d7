/* Lines in a ring of turns. A line lives as long as somebody is in it. */
#include "vault/lines.h"

#include "base/die.h"

#include <stdlib.h>

struct line {
	uint64_t key;
	struct ticket *first, *last;
	unsigned waiting, members; /* members: with those whose turn has come and who have not left */
	struct line *next_turn;
};

static void add_turn(struct lines *l, struct line *line)
{
	line->next_turn = NULL;
	if (l->first_turn)
		l->last_turn->next_turn = line;
	else
		l->first_turn = line;
	l->last_turn = line;
}

static struct line *longest(const struct lines *l)
{
	struct line *found = NULL;
	for (struct line *line = l->first_turn; line; line = line->next_turn)
		if (!found || line->waiting > found->waiting)
			found = line;
	return found;
}

/* Takes the last one out of a line in which at least two wait. */
static struct ticket *drop_last(struct lines *l, struct line *line)
{
	struct ticket *before = line->first, *last = line->last;
	while (before->next != last)
		before = before->next;
	before->next = NULL;
	line->last = before;
	line->waiting--;
	line->members--;
	l->waiting--;
	last->line = NULL;
	return last;
}

static struct line *line_of(struct lines *l, uint64_t key)
{
	struct line *line = map_get(&l->by_key, key);
	if (!line) {
		line = xcalloc(1, sizeof *line);
		line->key = key;
		map_put(&l->by_key, key, line);
	}
	return line;
}

int lines_join(struct lines *l, uint64_t key, struct ticket *t, struct ticket **displaced)
{
	const struct line *there = map_get(&l->by_key, key);
	unsigned before = there ? there->waiting : 0;
	*displaced = NULL;
	if (before >= LINE_WAITING_MOST)
		return -1;
	if (l->waiting >= LINES_WAITING_MOST) {
		struct line *victim = longest(l);
		if (victim->waiting < before + 2)
			return -1;
		*displaced = drop_last(l, victim);
	}
	struct line *line = line_of(l, key);
	*t = (struct ticket){.line = line};
	if (line->first)
		line->last->next = t;
	else
		line->first = t;
	line->last = t;
	line->members++;
	l->waiting++;
	if (line->waiting++ == 0)
		add_turn(l, line);
	return 0;
}

struct ticket *lines_next(struct lines *l)
{
	struct line *line = l->first_turn;
	if (!line)
		return NULL;
	struct ticket *t = line->first;
	l->first_turn = line->next_turn;
	line->first = t->next;
	l->waiting--;
	if (--line->waiting)
		add_turn(l, line);
	return t;
}

void lines_leave(struct lines *l, struct ticket *t)
{
	struct line *line = t->line;
	t->line = NULL;
	if (--line->members)
		return;
	map_take(&l->by_key, line->key);
	free(line);
}

bool lines_has(const struct lines *l, uint64_t key)
{
	return map_get(&l->by_key, key) != NULL;
}
