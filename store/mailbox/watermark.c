/* The indexer's watermark: see watermark.h. */
#include "store/mailbox/watermark.h"

#include "base/pack.h"
#include "wire/casefold.h"

enum { MARK_VERSION = 2 };

static void mark_key(struct buf *key, uint32_t mailbox)
{
	index_key(key, 'w', mailbox, 0);
}

void watermark_read(const struct account *a, uint32_t mailbox, struct watermark *out)
{
	BUF_AUTO key = {0}, value = {0};
	*out = (struct watermark){0};
	mark_key(&key, mailbox);
	if (engine_get(a->worker->engine, account_partition(a), buf_span(&key), &value, NULL) <= 0)
		return;
	struct unpacker u = {.rest = buf_span(&value)};
	bool is_ours = unpack_u8(&u) == MARK_VERSION && unpack_u16(&u) == casefold_version();
	struct watermark mark = {.columns_next = unpack_u32(&u)};
	mark.texts_next = unpack_u32(&u);
	mark.trigrams_next = unpack_u32(&u);
	mark.words_next = unpack_u32(&u);
	if (is_ours && unpack_done(&u))
		*out = mark;
}

void watermark_put(struct account *a, uint32_t mailbox, const struct watermark *mark)
{
	BUF_AUTO key = {0}, value = {0};
	mark_key(&key, mailbox);
	pack_u8(&value, MARK_VERSION);
	pack_u16(&value, casefold_version());
	pack_u32(&value, mark->columns_next);
	pack_u32(&value, mark->texts_next);
	pack_u32(&value, mark->trigrams_next);
	pack_u32(&value, mark->words_next);
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
}
