/* Columns of summaries: see columns.h. */
#include "store/mailbox/columns.h"

#include "base/pack.h"
#include "wire/casefold.h"

#include <stdlib.h>

enum { COLUMNS_VERSION = 1 };

static void column_key(struct buf *key, uint32_t mailbox, enum summary_column column, uint32_t segment)
{
	index_key_begin(key, 'k', mailbox);
	buf_add_char(key, (char)column);
	pack_sorted_u32(key, segment);
}

void columns_pack(const struct span values[SEGMENT_ROWS], struct buf *out)
{
	pack_u8(out, COLUMNS_VERSION);
	pack_u16(out, casefold_version());
	for (unsigned i = 0; i < SEGMENT_ROWS; i++) {
		if (!values[i].ptr)
			continue;
		pack_u8(out, (uint8_t)i);
		pack_u16(out, (uint16_t)values[i].len);
		buf_add(out, values[i]);
	}
}

bool columns_unpack(struct column_values *c)
{
	struct unpacker u = {.rest = buf_span(&c->memory)};
	memset(c->values, 0, sizeof c->values);
	if (unpack_u8(&u) != COLUMNS_VERSION || unpack_u16(&u) != casefold_version())
		return false;
	while (u.rest.len) {
		uint8_t at = unpack_u8(&u);
		uint16_t len = unpack_u16(&u);
		if (u.bad || len > u.rest.len)
			return false;
		c->values[at] = span_slice(u.rest, 0, len);
		u.rest = span_skip(u.rest, len);
	}
	return true;
}

void columns_put(struct account *a, uint32_t mailbox, uint32_t segment, const struct buf summaries[SEGMENT_ROWS])
{
	static const struct span nothing[SUMMARY_COLUMNS];
	struct span values[SUMMARY_COLUMNS][SEGMENT_ROWS] = {0};
	BUF_AUTO key = {0}, value = {0};
	for (unsigned i = 0; i < SEGMENT_ROWS; i++) {
		struct span columns[SUMMARY_COLUMNS];
		if (message_summary_unpack(buf_span(&summaries[i]), columns))
			memcpy(columns, nothing, sizeof columns);
		for (unsigned c = 0; c < SUMMARY_COLUMNS; c++)
			values[c][i] = columns[c];
	}
	for (unsigned c = 0; c < SUMMARY_COLUMNS; c++) {
		buf_clear(&value);
		columns_pack(values[c], &value);
		column_key(&key, mailbox, c, segment);
		batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
	}
}

bool columns_get(const struct account *a, uint32_t mailbox, uint32_t segment, enum summary_column column, struct column_values *out)
{
	BUF_AUTO key = {0};
	buf_clear(&out->memory);
	column_key(&key, mailbox, column, segment);
	return engine_get(a->worker->engine, account_partition(a), buf_span(&key), &out->memory, NULL) > 0 && columns_unpack(out);
}

void columns_free(struct column_values *c)
{
	if (c)
		buf_free(&c->memory);
	free(c);
}

void columns_delete(struct account *a, uint32_t mailbox, uint32_t segment)
{
	BUF_AUTO key = {0};
	for (unsigned c = 0; c < SUMMARY_COLUMNS; c++) {
		column_key(&key, mailbox, c, segment);
		batch_delete(&a->batch, account_partition(a), buf_span(&key));
	}
}
