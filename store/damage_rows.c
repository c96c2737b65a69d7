/* For whole-system tests: damages rows of accounts in a folder that no server has open. Of the first COUNT rows whose key begins with LETTER
 * (docs/architecture.md has the letters) the value loses its last byte. Says how many there were. */
#include "store/engine/engine.h"

#include "base/die.h"

#include <stdio.h>
#include <stdlib.h>

struct damaging {
	struct engine *engine;
	struct engine_batch *batch;
	struct span letter;
	unsigned long left, done;
};

static int damage_account(void *context, struct span partition)
{
	struct damaging *d = context;
	const char after[] = {(char)(d->letter.ptr[0] + 1)};
	struct engine_scan *scan = engine_scan_open(d->engine, partition, d->letter, span_of(after, 1));
	struct span key, value;
	while (d->left && engine_scan_next(scan, &key, &value, NULL) > 0) {
		if (value.len == 0)
			continue;
		engine_batch_put(d->batch, partition, key, span_slice(value, 0, value.len - 1));
		d->left--;
		d->done++;
	}
	engine_scan_close(scan);
	return 0;
}

static int damage(struct damaging *d)
{
	struct error why = {0};
	d->batch = engine_batch_new(d->engine);
	if (engine_partitions(d->engine, SPAN("a"), damage_account, d, &why) < 0 || engine_commit(d->engine, d->batch, true, &why))
		die("damage-rows: %s", why.text);
	engine_batch_free(d->batch);
	engine_close(d->engine);
	printf("%lu\n", d->done);
	return 0;
}

int main(int argc, char **argv)
{
	struct error why = {0};
	if (argc != 4 || !argv[2][0])
		die("damage-rows: say FOLDER LETTER COUNT");
	struct damaging d = {.engine = engine_open_rocksdb(argv[1], &why), .letter = span_of(argv[2], 1), .left = strtoul(argv[3], NULL, 10)};
	if (d.engine)
		return damage(&d);
	die("damage-rows: %s", why.text);
}
