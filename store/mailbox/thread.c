/* THREAD: see thread.h. The steps of REFERENCES are numbered as in RFC 5256 §3. */
#include "store/mailbox/thread.h"

#include "base/die.h"
#include "base/pack.h"

#include <stdlib.h>

enum {
	NONE = UINT32_MAX,
	NODES_OF_MESSAGE_MOST = 8, /* dummies, on the average: further references are passed over */
	LOOK_STEPS_MOST = 50 * 1000 * 1000, /* of all looks for loops */
};

/* A message, or a dummy for one that is named and not there. Siblings are a list. */
struct node {
	uint32_t message; /* NONE: a dummy */
	uint32_t parent, child, next;
	uint32_t before;  /* the sibling in front, while nodes are linked */
	int64_t date;     /* what it is sorted by; of a dummy, its first child's */
};

struct threading {
	const struct thread_message *messages;
	size_t n;
	struct node *nodes;
	size_t count, most;
	/* Message-IDs, open addressing; 0: free */
	uint64_t *ids;
	uint32_t *id_nodes;
	size_t id_mask;
	uint64_t steps;
	/* children that are being sorted */
	uint32_t *list;
	size_t list_room;
};

static uint32_t new_node(struct threading *t, uint32_t message)
{
	t->nodes[t->count] = (struct node){message, NONE, NONE, NONE, NONE, message == NONE ? 0 : t->messages[message].date};
	return (uint32_t)t->count++;
}

/* The place of an id in the table. */
static size_t id_place(const struct threading *t, uint64_t id)
{
	size_t at = (size_t)(id * 0x9e3779b97f4a7c15u >> 20) & t->id_mask;
	while (t->ids[at] && t->ids[at] != id)
		at = (at + 1) & t->id_mask;
	return at;
}

/* ---- step 1: linking ---- */

static void unlink_node(struct threading *t, uint32_t node)
{
	struct node *n = &t->nodes[node];
	if (n->parent == NONE)
		return;
	if (n->before == NONE)
		t->nodes[n->parent].child = n->next;
	else
		t->nodes[n->before].next = n->next;
	if (n->next != NONE)
		t->nodes[n->next].before = n->before;
	n->parent = n->next = n->before = NONE;
}

/* True if `node` is `ancestor` or below it; also if that cannot be told in time. */
static bool is_below(struct threading *t, uint32_t node, uint32_t ancestor)
{
	if (node == ancestor)
		return true;
	if (t->nodes[ancestor].child == NONE)
		return false;
	for (; node != NONE; node = t->nodes[node].parent)
		if (node == ancestor || ++t->steps > LOOK_STEPS_MOST)
			return true;
	return false;
}

static void link_nodes(struct threading *t, uint32_t parent, uint32_t child)
{
	if (is_below(t, parent, child))
		return;
	uint32_t first = t->nodes[parent].child;
	t->nodes[child].parent = parent;
	t->nodes[child].next = first;
	if (first != NONE)
		t->nodes[first].before = child;
	t->nodes[parent].child = child;
}

static uint32_t node_of_id(struct threading *t, uint64_t id)
{
	size_t at = id_place(t, id);
	if (t->ids[at])
		return t->id_nodes[at];
	if (t->count >= t->most)
		return NONE;
	t->ids[at] = id;
	t->id_nodes[at] = new_node(t, NONE);
	return t->id_nodes[at];
}

/* The node of a message: that of its id, unless an earlier message has it. */
static uint32_t node_of_message(struct threading *t, uint32_t message, uint64_t id)
{
	size_t at = id ? id_place(t, id) : 0;
	if (id && t->ids[at]) {
		struct node *n = &t->nodes[t->id_nodes[at]];
		if (n->message != NONE)
			return new_node(t, message);
		n->message = message;
		n->date = t->messages[message].date;
		return t->id_nodes[at];
	}
	uint32_t node = new_node(t, message);
	if (id) {
		t->ids[at] = id;
		t->id_nodes[at] = node;
	}
	return node;
}

static void link_message(struct threading *t, uint32_t message)
{
	struct unpacker u = {.rest = t->messages[message].ids};
	uint64_t id = u.rest.len ? unpack_u64(&u) : 0;
	uint32_t node = node_of_message(t, message, id), last = NONE;
	while (u.rest.len >= 8) {
		uint32_t reference = node_of_id(t, unpack_u64(&u));
		if (reference == NONE)
			break;
		/* 1.A */
		if (last != NONE && reference != node && t->nodes[reference].parent == NONE)
			link_nodes(t, last, reference);
		last = reference;
	}
	/* 1.B */
	if (t->nodes[node].parent == last)
		return;
	unlink_node(t, node);
	if (last != NONE)
		link_nodes(t, last, node);
}

/* ---- sorting siblings ---- */

static int by_date(const void *a, const void *b, void *context)
{
	const struct node *nodes = ((struct threading *)context)->nodes;
	const struct node *x = &nodes[*(const uint32_t *)a], *y = &nodes[*(const uint32_t *)b];
	if (x->date != y->date)
		return x->date < y->date ? -1 : 1;
	/* RFC 5256 §2.2: in mailbox order where dates are equal; a dummy stands where its first child does */
	while (x->message == NONE && x->child != NONE)
		x = &nodes[x->child];
	while (y->message == NONE && y->child != NONE)
		y = &nodes[y->child];
	return (x->message > y->message) - (x->message < y->message);
}

/* Sorts a list of siblings and gives its new head. */
static uint32_t sort_siblings(struct threading *t, uint32_t head)
{
	size_t count = 0;
	if (head == NONE || t->nodes[head].next == NONE)
		return head;
	for (uint32_t at = head; at != NONE; at = t->nodes[at].next) {
		if (count == t->list_room) {
			t->list_room = t->list_room ? t->list_room * 2 : 64;
			t->list = xrealloc_array(t->list, t->list_room, sizeof *t->list);
		}
		t->list[count++] = at;
	}
	qsort_r(t->list, count, sizeof *t->list, by_date, t);
	for (size_t i = 0; i < count; i++)
		t->nodes[t->list[i]].next = i + 1 < count ? t->list[i + 1] : NONE;
	return t->list[0];
}

/* Goes down to the first node without children. */
static uint32_t lowest(const struct threading *t, uint32_t node)
{
	while (t->nodes[node].child != NONE)
		node = t->nodes[node].child;
	return node;
}

/* The node that comes after this one when children come before their parents; NONE behind `top`. */
static uint32_t next_upwards(const struct threading *t, uint32_t node, uint32_t top)
{
	if (node == top)
		return NONE;
	if (t->nodes[node].next != NONE)
		return lowest(t, t->nodes[node].next);
	return t->nodes[node].parent;
}

/* ---- steps 2 and 3: roots, and no dummies ---- */

/* Puts the children of a dummy into its place in a list of siblings; gives where the list goes on. */
static uint32_t *splice(struct threading *t, uint32_t *at, uint32_t parent)
{
	struct node *dummy = &t->nodes[*at];
	uint32_t next = dummy->next;
	*at = dummy->child;
	dummy->child = NONE;
	while (*at != NONE) {
		t->nodes[*at].parent = parent;
		at = &t->nodes[*at].next;
	}
	*at = next;
	return at;
}

/* Children have been pruned before. */
static void prune_children(struct threading *t, uint32_t node)
{
	for (uint32_t *at = &t->nodes[node].child; *at != NONE;) {
		if (t->nodes[*at].message == NONE)
			at = splice(t, at, node);
		else
			at = &t->nodes[*at].next;
	}
}

/* The list of threads. A dummy at its top stays if it has several children. */
static uint32_t make_roots(struct threading *t)
{
	uint32_t head = NONE, *last = &head;
	for (size_t i = 0; i < t->count; i++) {
		if (t->nodes[i].parent != NONE)
			continue;
		for (uint32_t at = lowest(t, (uint32_t)i); at != NONE; at = next_upwards(t, at, (uint32_t)i))
			prune_children(t, at);
		uint32_t root = (uint32_t)i, child = t->nodes[i].child;
		if (t->nodes[i].message == NONE && child == NONE)
			continue;
		/* it keeps its parent, by which it is known not to be a root of its own */
		if (t->nodes[i].message == NONE && t->nodes[child].next == NONE)
			root = child;
		*last = root;
		last = &t->nodes[root].next;
	}
	*last = NONE;
	return head;
}

/* ---- steps 4 and 6: dates ---- */

/* Step 6: the deepest siblings first. Step 4: a dummy has the date of its first child. */
static void sort_thread(struct threading *t, uint32_t root)
{
	for (uint32_t at = lowest(t, root); at != NONE;) {
		struct node *n = &t->nodes[at];
		uint32_t next = next_upwards(t, at, root);
		n->child = sort_siblings(t, n->child);
		if (n->message == NONE && n->child != NONE)
			n->date = t->nodes[n->child].date;
		at = next;
	}
}

/* REFS: a thread stands where its newest message does. */
static int64_t newest_date(const struct threading *t, uint32_t root)
{
	int64_t newest = INT64_MIN;
	for (uint32_t at = lowest(t, root); at != NONE; at = next_upwards(t, at, root))
		if (t->nodes[at].message != NONE && t->messages[t->nodes[at].message].date > newest)
			newest = t->messages[t->nodes[at].message].date;
	return newest;
}

/* ---- step 5: subjects ---- */

struct subject_entry {
	uint32_t node; /* NONE: free */
	struct span subject;
};

struct subject_table {
	struct subject_entry *entries;
	size_t mask;
};

/* The thread's subject: RFC 5256 §3, 5.B.i. */
static struct span subject_of(const struct threading *t, uint32_t node)
{
	uint32_t message = t->nodes[node].message;
	return t->messages[message == NONE ? t->nodes[t->nodes[node].child].message : message].subject;
}

static struct subject_entry *find_subject(const struct subject_table *table, struct span subject)
{
	size_t at = (size_t)span_hash(subject, 0) & table->mask;
	while (table->entries[at].node != NONE && !span_equal(table->entries[at].subject, subject))
		at = (at + 1) & table->mask;
	return &table->entries[at];
}

static bool is_reply(const struct threading *t, uint32_t node)
{
	return t->nodes[node].message != NONE && t->messages[t->nodes[node].message].is_reply;
}

static bool is_dummy(const struct threading *t, uint32_t node)
{
	return t->nodes[node].message == NONE;
}

/* 5.B */
static void fill_table(const struct threading *t, uint32_t head, struct subject_table *table)
{
	for (uint32_t at = head; at != NONE; at = t->nodes[at].next) {
		struct span subject = subject_of(t, at);
		if (subject.len == 0)
			continue;
		struct subject_entry *e = find_subject(table, subject);
		if (e->node == NONE || (!is_dummy(t, e->node) && (is_dummy(t, at) || (is_reply(t, e->node) && !is_reply(t, at)))))
			*e = (struct subject_entry){at, subject};
	}
}

static void add_child(struct threading *t, uint32_t parent, uint32_t child)
{
	t->nodes[child].parent = parent;
	t->nodes[child].next = t->nodes[parent].child;
	t->nodes[parent].child = child;
}

/* 5.C: `at`, which has been taken out of the list, joins the thread in the table. */
static void merge(struct threading *t, uint32_t top, uint32_t at)
{
	if (is_dummy(t, top) && is_dummy(t, at)) {
		for (uint32_t child = t->nodes[at].child, next; child != NONE; child = next) {
			next = t->nodes[child].next;
			add_child(t, top, child);
		}
		t->nodes[at].child = NONE;
	} else if (is_dummy(t, top) || (is_reply(t, at) && !is_reply(t, top))) {
		add_child(t, top, at);
	} else {
		/* the table's node becomes the dummy, so that its place in the list stays: what it was is a new node */
		uint32_t moved = new_node(t, NONE), next = t->nodes[top].next;
		t->nodes[moved] = t->nodes[top];
		for (uint32_t child = t->nodes[moved].child; child != NONE; child = t->nodes[child].next)
			t->nodes[child].parent = moved;
		t->nodes[top] = (struct node){NONE, NONE, NONE, next, NONE, t->nodes[moved].date};
		add_child(t, top, moved);
		add_child(t, top, at);
	}
}

/* The threads' subjects are those from before the merging, which changes what is a dummy's first child. */
static struct span *list_subjects(const struct threading *t, uint32_t head)
{
	struct span *subjects = xcalloc(t->count + 1, sizeof *subjects);
	size_t count = 0;
	for (uint32_t at = head; at != NONE; at = t->nodes[at].next)
		subjects[count++] = subject_of(t, at);
	return subjects;
}

static uint32_t join_subjects(struct threading *t, uint32_t head)
{
	struct subject_table table = {.mask = t->id_mask};
	struct span *subjects = list_subjects(t, head), *subject = subjects;
	table.entries = xcalloc(table.mask + 1, sizeof *table.entries);
	for (size_t i = 0; i <= table.mask; i++)
		table.entries[i].node = NONE;
	fill_table(t, head, &table);
	for (uint32_t *at = &head; *at != NONE; subject++) {
		uint32_t node = *at, top = subject->len ? find_subject(&table, *subject)->node : node;
		if (top == node) {
			at = &t->nodes[node].next;
			continue;
		}
		*at = t->nodes[node].next;
		t->nodes[node].next = NONE;
		merge(t, top, node);
	}
	free(table.entries);
	free(subjects);
	return head;
}

/* ---- the answer ---- */

static void emit_thread(const struct threading *t, uint32_t root, struct buf *siblings, struct buf *out)
{
	uint32_t at = root;
	buf_clear(siblings);
	pack_u32(out, THREAD_OPEN);
	for (;;) {
		const struct node *n = &t->nodes[at];
		if (n->message != NONE)
			pack_u32(out, t->messages[n->message].uid);
		if (n->child != NONE) {
			bool has_several = t->nodes[n->child].next != NONE;
			at = n->child;
			if (has_several) {
				pack_u32(out, THREAD_OPEN);
				pack_u32(siblings, t->nodes[at].next);
			}
			continue;
		}
		pack_u32(out, THREAD_CLOSE);
		/* up to a level that has another sibling */
		for (at = NONE; at == NONE && siblings->len;) {
			struct unpacker u = {.rest = span_skip(buf_span(siblings), siblings->len - 4)};
			at = unpack_u32(&u);
			siblings->len -= 4;
			if (at == NONE)
				pack_u32(out, THREAD_CLOSE);
			else
				pack_u32(siblings, t->nodes[at].next);
		}
		if (at == NONE)
			return;
		pack_u32(out, THREAD_OPEN);
	}
}

/* ---- the algorithms ---- */

static uint32_t by_references(struct threading *t, enum thread_algorithm algorithm)
{
	for (size_t i = 0; i < t->n; i++)
		link_message(t, (uint32_t)i);
	uint32_t head = make_roots(t);
	for (uint32_t at = head; at != NONE; at = t->nodes[at].next)
		sort_thread(t, at);
	if (algorithm == THREAD_REFS) {
		for (uint32_t at = head; at != NONE; at = t->nodes[at].next)
			t->nodes[at].date = newest_date(t, at);
		return sort_siblings(t, head);
	}
	head = join_subjects(t, sort_siblings(t, head));
	for (uint32_t at = head; at != NONE; at = t->nodes[at].next)
		sort_thread(t, at);
	return sort_siblings(t, head);
}

static int by_subject(const void *a, const void *b, void *context)
{
	const struct threading *t = context;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	const struct thread_message *x = &t->messages[i], *y = &t->messages[j];
	int order = span_compare(x->subject, y->subject);
	if (order)
		return order;
	return x->date != y->date ? (x->date < y->date ? -1 : 1) : (i > j) - (i < j);
}

/* RFC 5256 §3: the first message of a subject is the parent of the others. */
static uint32_t by_ordered_subject(struct threading *t)
{
	uint32_t *order = xcalloc(t->n + 1, sizeof *order), head = NONE, parent = NONE, *last_child = NULL;
	for (size_t i = 0; i < t->n; i++)
		order[i] = new_node(t, (uint32_t)i);
	qsort_r(order, t->n, sizeof *order, by_subject, t);
	for (size_t i = 0; i < t->n; i++) {
		uint32_t node = order[i];
		if (parent == NONE || !span_equal(t->messages[parent].subject, t->messages[node].subject)) {
			parent = node;
			t->nodes[node].next = head;
			head = node;
			last_child = &t->nodes[node].child;
		} else {
			t->nodes[node].parent = parent;
			*last_child = node;
			last_child = &t->nodes[node].next;
		}
	}
	free(order);
	return sort_siblings(t, head);
}

void thread_messages(enum thread_algorithm algorithm, const struct thread_message *messages, size_t n, struct buf *out)
{
	struct threading t = {.messages = messages, .n = n, .id_mask = 255};
	BUF_AUTO siblings = {0};
	size_t references = 0;
	for (size_t i = 0; i < n; i++)
		references += messages[i].ids.len / 8;
	t.most = references < n * NODES_OF_MESSAGE_MOST ? references + n : n * NODES_OF_MESSAGE_MOST;
	while (t.id_mask < t.most * 2)
		t.id_mask = t.id_mask * 2 + 1;
	/* each message may want a node of its own beside those, and each merging of subjects one more */
	t.nodes = xcalloc(t.most + 2 * n + 1, sizeof *t.nodes);
	t.ids = xcalloc(t.id_mask + 1, sizeof *t.ids);
	t.id_nodes = xcalloc(t.id_mask + 1, sizeof *t.id_nodes);
	uint32_t head = algorithm == THREAD_ORDEREDSUBJECT ? by_ordered_subject(&t) : by_references(&t, algorithm);
	for (; head != NONE; head = t.nodes[head].next)
		emit_thread(&t, head, &siblings, out);
	free(t.nodes);
	free(t.ids);
	free(t.id_nodes);
	free(t.list);
}
