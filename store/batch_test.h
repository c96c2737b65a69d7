/* What the store's tests share. Include after setjmp.h and cmocka.h. */
#ifndef STORE_BATCH_TEST_H
#define STORE_BATCH_TEST_H

#include "store/batch.h"

/* Writes the batch, and empties it. */
static inline void write_batch(struct engine *e, struct batch *b)
{
	struct engine_batch *to = engine_batch_new(e);
	struct error why;
	batch_apply(b, to);
	assert_int_equal(engine_commit(e, to, true, &why), 0);
	engine_batch_free(to);
	batch_free(b);
}

#endif
