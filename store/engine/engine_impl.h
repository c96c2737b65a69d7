/* What an engine behind store/engine/engine.h provides. Private to this folder.
 *
 * engine.c turns partitions and blob ids into keys, so that an engine only keeps two ordered sets of keys and values:
 * the rows, which are scanned, and the blobs, which are large and only ever read by their key. */
#ifndef STORE_ENGINE_ENGINE_IMPL_H
#define STORE_ENGINE_ENGINE_IMPL_H

#include "store/engine/engine.h"

enum engine_family { ENGINE_ROWS, ENGINE_BLOBS };

enum { ENGINE_FAMILIES = 2 };

/* Each as the function of the same name in engine.h; keys are whole, `to` is never empty unless stated. */
struct engine_calls {
	void (*close)(struct engine *e);
	int (*get)(struct engine *e, enum engine_family family, struct span key, struct buf *value, struct error *why);

	/* Over the rows; to empty: to the very end. Both spans are copied. */
	struct engine_scan *(*scan_open)(struct engine *e, struct span from, struct span to);
	/* The next scan_next gives the first key >= from. */
	void (*scan_seek)(struct engine_scan *s, struct span from);
	int (*scan_next)(struct engine_scan *s, struct span *key, struct span *value, struct error *why);
	void (*scan_close)(struct engine_scan *s);

	struct engine_batch *(*batch_new)(struct engine *e);
	void (*batch_free)(struct engine_batch *b);
	void (*batch_clear)(struct engine_batch *b);
	void (*batch_put)(struct engine_batch *b, enum engine_family family, struct span key, struct span value);
	void (*batch_delete)(struct engine_batch *b, enum engine_family family, struct span key);
	void (*batch_delete_range)(struct engine_batch *b, struct span from, struct span to); /* rows; from < to */

	int (*commit)(struct engine *e, struct engine_batch *b, bool is_durable, struct error *why);
	int (*compact)(struct engine *e, struct error *why);
	int (*checkpoint)(struct engine *e, const char *path, struct error *why);
	bool (*has_room)(struct engine *e);
};

/* The first member of an engine's own structures. */
struct engine {
	const struct engine_calls *calls;
};

struct engine_scan {
	struct engine *engine;
	size_t partition_bytes; /* of every key, in front of the caller's part */
};

struct engine_batch {
	struct engine *engine;
	struct buf from, to; /* the keys being made; freed by engine.c */
	bool has_blobs;      /* puts at least one */
	bool gives_back;     /* deletes a blob or a range: there is space to be given back to the disk */
};

#endif
