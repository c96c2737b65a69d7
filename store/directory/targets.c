#include "store/directory/targets.h"

#include "base/buf.h"
#include "base/random.h"

static void seed(struct targets *targets)
{
	if (!targets->seed)
		targets->seed = random_u64() | 1;
}

void targets_begin(struct targets *targets, size_t most)
{
	seed(targets);
	targets->most = targets->count + most;
	targets->visited_most = targets->visited_count + most;
	targets->is_too_large = false;
	targets->turn++;
}

/* Where a target of that account, or address and program, stands in targets->places, or could stand. */
static uint32_t *target_place(const struct targets *targets, uint64_t account, struct span address, struct span program)
{
	struct span key = account ? span_of(&account, sizeof account) : address;
	size_t mask = targets->place_count - 1;
	for (size_t i = (size_t)(span_hash(key, targets->seed) ^ span_hash(program, targets->seed)) & mask;; i = (i + 1) & mask) {
		uint32_t *place = &targets->places[i];
		const struct target *t = *place ? &targets->list[*place - 1] : NULL;
		if (!t || (account ? t->account == account : !t->account && span_equal(t->address, address) && span_equal(t->program, program)))
			return place;
	}
}

static void grow_targets(struct arena *a, struct targets *targets)
{
	size_t room = targets->room ? targets->room * 2 : 8;
	struct target *list = arena_alloc_array(a, room, sizeof *list);
	if (targets->count)
		memcpy(list, targets->list, targets->count * sizeof *list);
	seed(targets);
	targets->list = list;
	targets->room = room;
	targets->place_count = room * 4;
	targets->places = arena_alloc_array(a, targets->place_count, sizeof *targets->places);
	memset(targets->places, 0, targets->place_count * sizeof *targets->places);
	for (size_t i = 0; i < targets->count; i++)
		*target_place(targets, list[i].account, list[i].address, list[i].program) = (uint32_t)i + 1;
}

static void add(struct arena *a, struct targets *targets, uint64_t account, struct span address, struct span program)
{
	if (targets->count == targets->room)
		grow_targets(a, targets);
	uint32_t *place = target_place(targets, account, address, program);
	if (*place)
		return;
	targets->list[targets->count++] = (struct target){.account = account, .address = arena_dup(a, address), .program = program.len ? arena_dup(a, program) : SPAN("")};
	*place = (uint32_t)targets->count;
}

void targets_add(struct arena *a, struct targets *targets, uint64_t account, struct span address)
{
	add(a, targets, account, address, SPAN(""));
}

void targets_add_program(struct arena *a, struct targets *targets, struct span address, struct span user, struct span command)
{
	BUF_AUTO program = {0};
	buf_add(&program, user);
	buf_add_char(&program, ':');
	buf_add(&program, command);
	add(a, targets, 0, address, buf_span(&program));
}

static struct visited **visited_bucket(struct targets *targets, struct span name)
{
	return &targets->visited[span_hash(name, targets->seed) % VISITED_BUCKETS];
}

struct visited *targets_visited(struct targets *targets, struct span name)
{
	struct visited *v = *visited_bucket(targets, name);
	while (v && !span_equal(v->name, name))
		v = v->next;
	return v;
}

struct visited *targets_visit(struct targets *targets, struct span name, struct arena *a)
{
	struct visited *v = targets_visited(targets, name);
	if (!v) {
		struct visited **bucket = visited_bucket(targets, name);
		v = arena_alloc(a, sizeof *v);
		*v = (struct visited){.next = *bucket, .name = arena_dup(a, name)};
		*bucket = v;
	}
	v->outcome = RCPT_UNKNOWN;
	v->turn = targets->turn;
	targets->visited_count++;
	return v;
}
