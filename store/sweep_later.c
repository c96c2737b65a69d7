/* For whole-system tests: sweeps and compacts the store in a folder that no server has open, as will be done two hours from now. */
#include "store/sweep.h"

#include "base/clock.h"
#include "base/die.h"

enum { LATER_MS = 2 * SWEEP_YOUNG_MS };

static void say_nothing(void *context, struct parcel_list *said)
{
	(void)context, (void)said;
}

/* engine_compact does nothing where nothing was deleted. */
static void delete_something(struct store *s)
{
	struct batch b = {0};
	batch_blob_delete(&b, (struct id128){0}, 0);
	store_commit(s, &b, NULL, NULL);
}

int main(int argc, char **argv)
{
	struct error why = {0};
	struct map in_use = {0};
	struct store s = {.engine = argc == 2 ? engine_open_rocksdb(argv[1], &why) : NULL};
	if (!s.engine)
		die("sweep-later: %s", argc == 2 ? why.text : "say which folder");
	s.committer = committer_new(s.engine, say_nothing, NULL);
	sweep_prepare(&s);
	clock_shift_wall_for_tests(LATER_MS);
	sweep_blobs(&s, &in_use);
	delete_something(&s);
	committer_free(s.committer);
	if (engine_compact(s.engine, &why))
		die("sweep-later: %s", why.text);
	map_free(&in_use);
	sweep_end(&s);
	engine_close(s.engine);
	return 0;
}
