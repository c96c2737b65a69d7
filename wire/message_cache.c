/* The tree of a message as bytes: see message_cache.h.
 *
 * Layout (base/pack.h): version, flags, size, longest line, parts, fields. A new layout gets a new version; a reader
 * that does not know it parses the message again. */
#include "wire/message_cache.h"

#include "base/pack.h"

#define CACHE_VERSION 1
#define CACHE_PARTS_MAX 100000
#define CACHE_FIELDS_MAX 100000
#define CACHE_DEPTH_MAX 102 /* the parser's cap, the root and a leaf */

enum {
	HAS_8BIT = 1,
	HAS_NUL = 2,
	HAS_BARE_CR = 4,
	HAS_BARE_LF = 8,
	TRUNCATED = 16,
	FIELDS_TRUNCATED = 32,
	PARTIAL = 64
};
enum { MULTIPART = 1, MESSAGE = 2, HEADER_8BIT = 4, BODY_8BIT = 8, BODY_NUL = 16, ENVELOPE = 32 };

/* How much is packed. */
enum level { ALL, NO_FIELDS, ROOT_ONLY };

static void pack_params(struct buf *b, const struct mime_parameters *params)
{
	pack_u16(b, (uint16_t)params->count);
	for (uint32_t i = 0; i < params->count; i++) {
		pack_bytes(b, params->list[i].name);
		pack_bytes(b, params->list[i].value);
	}
}

static void pack_envelope(struct buf *b, const struct mime_envelope *e)
{
	const struct span values[] = {e->date, e->subject, e->from,        e->sender,     e->reply_to,  e->to,
	                              e->cc,   e->bcc,     e->in_reply_to, e->message_id, e->references};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		pack_bytes(b, values[i]);
}

static uint8_t part_flags(const struct mime_part *part, bool root_only)
{
	unsigned flags = 0;

	flags |= part->is_multipart && !root_only ? MULTIPART : 0;
	flags |= part->is_message && !root_only ? MESSAGE : 0;
	flags |= part->header_has_8bit ? HEADER_8BIT : 0;
	flags |= part->body_has_8bit ? BODY_8BIT : 0;
	flags |= part->body_has_nul ? BODY_NUL : 0;
	flags |= part->envelope && !root_only ? ENVELOPE : 0;
	return (uint8_t)flags;
}

static void pack_part(struct buf *b, const struct mime_part *part, bool root_only)
{
	static const struct mime_part bare;
	const struct mime_part *values = root_only ? &bare : part;

	pack_u32(b, part->parent);
	pack_u64(b, part->header_offset);
	pack_u64(b, part->header_len);
	pack_u64(b, part->body_offset);
	pack_u64(b, part->body_len);
	pack_u64(b, part->lines);
	pack_u32(b, part->longest_line);
	pack_u8(b, part_flags(part, root_only));
	pack_bytes(b, values->type);
	pack_bytes(b, values->subtype);
	pack_params(b, &values->params_written);
	pack_params(b, &values->params);
	pack_bytes(b, values->encoding);
	pack_bytes(b, values->content_id);
	pack_bytes(b, values->description);
	pack_bytes(b, values->md5);
	pack_bytes(b, values->disposition);
	pack_params(b, &values->disposition_params_written);
	pack_params(b, &values->disposition_params);
	pack_bytes(b, values->language);
	pack_bytes(b, values->location);
	if (values->envelope)
		pack_envelope(b, values->envelope);
}

static uint8_t tree_flags(const struct mime_tree *tree, enum level level)
{
	unsigned flags = 0;

	flags |= tree->has_8bit ? HAS_8BIT : 0;
	flags |= tree->has_nul ? HAS_NUL : 0;
	flags |= tree->has_bare_cr ? HAS_BARE_CR : 0;
	flags |= tree->has_bare_lf ? HAS_BARE_LF : 0;
	flags |= tree->is_truncated ? TRUNCATED : 0;
	flags |= tree->fields_truncated || level != ALL ? FIELDS_TRUNCATED : 0;
	flags |= tree->is_partial || level == ROOT_ONLY ? PARTIAL : 0;
	return (uint8_t)flags;
}

/* Returns false as soon as it is too large. */
static bool pack_level(const struct mime_tree *tree, enum level level, struct buf *b)
{
	uint32_t parts = level == ROOT_ONLY ? 1 : tree->part_count;
	uint32_t fields = level == ALL ? tree->field_count : 0;
	size_t start = b->len;

	pack_u8(b, CACHE_VERSION);
	pack_u8(b, tree_flags(tree, level));
	pack_u64(b, tree->size_bytes);
	pack_u64(b, tree->longest_line);
	pack_u32(b, parts);
	for (uint32_t i = 0; i < parts && b->len - start <= MESSAGE_CACHE_MAX; i++)
		pack_part(b, &tree->parts[i], level == ROOT_ONLY);
	pack_u32(b, fields);
	for (uint32_t i = 0; i < fields && b->len - start <= MESSAGE_CACHE_MAX; i++) {
		pack_u64(b, tree->fields[i].offset);
		pack_u64(b, tree->fields[i].len);
		pack_bytes(b, tree->fields[i].name);
	}
	return b->len - start <= MESSAGE_CACHE_MAX;
}

void message_cache_pack(const struct mime_tree *tree, struct buf *out)
{
	static const enum level levels[] = {ALL, NO_FIELDS, ROOT_ONLY};
	size_t start = out->len;

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		out->len = start;
		if (pack_level(tree, levels[i], out))
			return;
	}
}

static void unpack_params(struct unpacker *u, struct arena *arena, struct mime_parameters *out)
{
	uint32_t count = unpack_u16(u);

	/* Each takes at least its two lengths, so hostile counts cannot ask for much memory. */
	if (count > MIME_PARAMETERS_MAX || count > u->rest.len / 8)
		u->bad = true;
	if (u->bad || count == 0)
		return;
	out->list = arena_alloc_array(arena, count, sizeof(*out->list));
	out->count = count;
	for (uint32_t i = 0; i < count; i++) {
		out->list[i].name = unpack_bytes(u, MESSAGE_CACHE_MAX);
		out->list[i].value = unpack_bytes(u, MESSAGE_CACHE_MAX);
	}
}

/* An empty value is one that is not there: mime.h. */
static struct span unpack_value(struct unpacker *u)
{
	struct span value = unpack_bytes(u, MESSAGE_CACHE_MAX);

	return value.len > 0 ? value : (struct span){0};
}

static struct mime_envelope *unpack_envelope(struct unpacker *u, struct arena *arena)
{
	struct mime_envelope *e = arena_alloc(arena, sizeof(*e));
	struct span *const values[] = {&e->date, &e->subject, &e->from,        &e->sender,     &e->reply_to,  &e->to,
	                               &e->cc,   &e->bcc,     &e->in_reply_to, &e->message_id, &e->references};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		*values[i] = unpack_value(u);
	return e;
}

static void unpack_part(struct unpacker *u, struct arena *arena, struct mime_part *part)
{
	unsigned flags;

	part->parent = unpack_u32(u);
	part->header_offset = unpack_u64(u);
	part->header_len = unpack_u64(u);
	part->body_offset = unpack_u64(u);
	part->body_len = unpack_u64(u);
	part->lines = unpack_u64(u);
	part->longest_line = unpack_u32(u);
	flags = unpack_u8(u);
	part->is_multipart = flags & MULTIPART;
	part->is_message = flags & MESSAGE;
	part->header_has_8bit = flags & HEADER_8BIT;
	part->body_has_8bit = flags & BODY_8BIT;
	part->body_has_nul = flags & BODY_NUL;
	part->type = unpack_value(u);
	part->subtype = unpack_value(u);
	unpack_params(u, arena, &part->params_written);
	unpack_params(u, arena, &part->params);
	part->encoding = unpack_value(u);
	part->content_id = unpack_value(u);
	part->description = unpack_value(u);
	part->md5 = unpack_value(u);
	part->disposition = unpack_value(u);
	unpack_params(u, arena, &part->disposition_params_written);
	unpack_params(u, arena, &part->disposition_params);
	part->language = unpack_value(u);
	part->location = unpack_value(u);
	if (flags & ENVELOPE)
		part->envelope = unpack_envelope(u, arena);
}

static bool range_is_inside(uint64_t offset, uint64_t len, uint64_t size)
{
	return offset <= size && len <= size - offset;
}

/* Parents come before children and every part is below the one before it or below one of that one's ancestors. */
static bool shape_is_valid(const struct mime_tree *tree)
{
	uint32_t path[CACHE_DEPTH_MAX];
	size_t depth = 0;

	for (uint32_t i = 0; i < tree->part_count; i++) {
		const struct mime_part *part = &tree->parts[i];

		if ((i == 0) != (part->parent == MIME_NO_PART))
			return false;
		while (i > 0 && depth > 0 && path[depth - 1] != part->parent)
			depth--;
		if ((i > 0 && depth == 0) || depth == CACHE_DEPTH_MAX)
			return false;
		if (i > 0 && !tree->parts[part->parent].is_multipart && !tree->parts[part->parent].is_message)
			return false;
		if (!range_is_inside(part->header_offset, part->header_len, tree->size_bytes) ||
		    !range_is_inside(part->body_offset, part->body_len, tree->size_bytes) ||
		    part->body_offset != part->header_offset + part->header_len)
			return false;
		path[depth++] = i;
	}
	return tree->part_count > 0;
}

static void unpack_fields(struct unpacker *u, struct arena *arena, struct mime_tree *tree)
{
	uint32_t count = unpack_u32(u);

	if (count > CACHE_FIELDS_MAX || count > u->rest.len / 20)
		u->bad = true;
	if (u->bad || count == 0)
		return;
	tree->fields = arena_alloc_array(arena, count, sizeof(*tree->fields));
	tree->field_count = count;
	for (uint32_t i = 0; i < count; i++) {
		tree->fields[i].offset = unpack_u64(u);
		tree->fields[i].len = unpack_u64(u);
		tree->fields[i].name = unpack_value(u);
		if (!range_is_inside(tree->fields[i].offset, tree->fields[i].len, tree->size_bytes))
			u->bad = true;
	}
}

static void unpack_tree(struct unpacker *u, struct arena *arena, struct mime_tree *tree)
{
	unsigned flags = unpack_u8(u);
	uint32_t count;

	tree->has_8bit = flags & HAS_8BIT;
	tree->has_nul = flags & HAS_NUL;
	tree->has_bare_cr = flags & HAS_BARE_CR;
	tree->has_bare_lf = flags & HAS_BARE_LF;
	tree->is_truncated = flags & TRUNCATED;
	tree->fields_truncated = flags & FIELDS_TRUNCATED;
	tree->is_partial = flags & PARTIAL;
	tree->size_bytes = unpack_u64(u);
	tree->longest_line = unpack_u64(u);
	count = unpack_u32(u);
	/* A part takes at least 90 bytes. */
	if (count > CACHE_PARTS_MAX || count > u->rest.len / 90)
		u->bad = true;
	if (u->bad)
		return;
	tree->parts = arena_alloc_array(arena, count > 0 ? count : 1, sizeof(*tree->parts));
	tree->part_count = count;
	for (uint32_t i = 0; i < count && !u->bad; i++)
		unpack_part(u, arena, &tree->parts[i]);
	unpack_fields(u, arena, tree);
}

int message_cache_unpack(struct span bytes, struct arena *arena, struct mime_tree *out, struct error *why)
{
	struct unpacker u = {0};

	*out = (struct mime_tree){0};
	if (bytes.len > MESSAGE_CACHE_MAX)
		return error_set(why, 0, "a message cache is larger than %d bytes", MESSAGE_CACHE_MAX);
	u.rest = arena_dup(arena, bytes);
	if (unpack_u8(&u) != CACHE_VERSION)
		return error_set(why, 0, "a message cache has an unknown version");
	unpack_tree(&u, arena, out);
	if (!unpack_done(&u) || !shape_is_valid(out)) {
		*out = (struct mime_tree){0};
		return error_set(why, 0, "a message cache is damaged");
	}
	return 0;
}
