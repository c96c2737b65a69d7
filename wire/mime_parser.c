/* The push parser for messages: see mime.h.
 *
 *   state    line                        next
 *   HEADER   blank                       BODY of the part; HEADER of the embedded message if it is one
 *   HEADER   boundary of an open part    as in BODY; the header ends before it
 *   BODY     delimiter of part k         HEADER of a new child of k
 *   BODY     close delimiter of part k   BODY: the epilogue of k
 *
 * `open` is the path from the root to the part at hand; only its containers can have boundaries in `buckets`. */
#include "wire/mime.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/die.h"
#include "base/utf8.h"
#include "wire/mime_fields.h"

#define DEPTH_MAX 100
/* A longer line is no boundary, and a field name does not end later. */
#define LINE_HEAD_MAX 1024
#define BUCKETS 256 /* a power of two above DEPTH_MAX */
#define NAME_KEPT_MAX 200

/* An open part. */
struct open_part {
	uint32_t index;
	bool has_boundary;
	uint8_t boundary_len;
	char boundary[MIME_BOUNDARY_MAX];
	uint64_t hash;
	int16_t next_in_bucket; /* towards the root; -1 at the end */
};

enum state { IN_HEADER, IN_BODY };

struct mime_parser {
	struct mime_limits limits;
	struct arena arena;
	struct mime_keeper keeper;
	struct mime_tree tree;
	uint32_t part_cap, field_cap;
	struct open_part open[DEPTH_MAX + 2];
	unsigned open_count;
	int16_t buckets[BUCKETS];
	enum state state;
	struct buf header;           /* of the part at hand, up to the cap */
	size_t header_at_line_start; /* its length then */
	uint64_t offset;             /* bytes taken so far */
	uint64_t line_start;
	uint64_t newlines;                     /* so far */
	uint64_t body_newlines[DEPTH_MAX + 2]; /* of an open part: newlines where its body starts */
	unsigned last_line_end;                /* length of the line end before line_start: 0, 1 or 2 */
	char line[LINE_HEAD_MAX];
	size_t line_len;
	char last_byte;
	bool finished;
};

static uint32_t or_default(uint32_t value, uint32_t max)
{
	return value > 0 && value < max ? value : max;
}

/* Appends a new part below `parent` and makes it the innermost open one. */
static void open_part(struct mime_parser *p, uint32_t parent)
{
	struct mime_tree *tree = &p->tree;
	uint32_t index = tree->part_count;

	if (index == p->part_cap) {
		p->part_cap = p->part_cap ? p->part_cap * 2 : 8;
		tree->parts = xrealloc_array(tree->parts, p->part_cap, sizeof(*tree->parts));
	}
	tree->parts[index] = (struct mime_part){.parent = parent, .header_offset = p->offset};
	tree->part_count++;
	p->open[p->open_count].index = index;
	p->open[p->open_count].has_boundary = false;
	p->open_count++;
	p->state = IN_HEADER;
	buf_clear(&p->header);
	p->header_at_line_start = 0;
}

struct mime_parser *mime_parser_new(const struct mime_limits *limits)
{
	struct mime_parser *p = xcalloc(1, sizeof(*p));

	if (limits)
		p->limits = *limits;
	p->limits.max_depth = or_default(p->limits.max_depth, DEPTH_MAX);
	p->limits.max_parts = p->limits.max_parts ? p->limits.max_parts : 10000;
	p->limits.max_fields = p->limits.max_fields ? p->limits.max_fields : 10000;
	p->limits.max_header_bytes = p->limits.max_header_bytes ? p->limits.max_header_bytes : 256 * 1024;
	p->limits.max_kept_bytes = p->limits.max_kept_bytes ? p->limits.max_kept_bytes : 4 * 1024 * 1024;
	p->keeper = (struct mime_keeper){.arena = &p->arena, .room = p->limits.max_kept_bytes};
	for (size_t i = 0; i < BUCKETS; i++)
		p->buckets[i] = -1;
	open_part(p, MIME_NO_PART);
	return p;
}

void mime_parser_free(struct mime_parser *p)
{
	if (!p)
		return;
	free(p->tree.parts);
	free(p->tree.fields);
	buf_free(&p->header);
	arena_free(&p->arena);
	free(p);
}

static struct mime_part *innermost(struct mime_parser *p)
{
	return &p->tree.parts[p->open[p->open_count - 1].index];
}

static void add_boundary(struct mime_parser *p, struct span boundary)
{
	struct open_part *o = &p->open[p->open_count - 1];
	int16_t *bucket;

	memcpy(o->boundary, boundary.ptr, boundary.len);
	o->boundary_len = (uint8_t)boundary.len;
	o->hash = span_hash(boundary, 0);
	o->has_boundary = true;
	bucket = &p->buckets[o->hash % BUCKETS];
	o->next_in_bucket = *bucket;
	*bucket = (int16_t)(p->open_count - 1);
}

/* Boundaries go in the reverse order of their coming, so the one to go is the first of its bucket. */
static void drop_boundary(struct mime_parser *p, unsigned level)
{
	struct open_part *o = &p->open[level];

	if (!o->has_boundary)
		return;
	p->buckets[o->hash % BUCKETS] = o->next_in_bucket;
	o->has_boundary = false;
}

/* The innermost open part with that boundary, or -1. */
static int find_boundary(const struct mime_parser *p, struct span text)
{
	uint64_t hash;

	if (text.len == 0 || text.len > MIME_BOUNDARY_MAX)
		return -1;
	hash = span_hash(text, 0);
	for (int i = p->buckets[hash % BUCKETS]; i >= 0; i = p->open[i].next_in_bucket)
		if (p->open[i].hash == hash && span_equal(span_of(p->open[i].boundary, p->open[i].boundary_len), text))
			return i;
	return -1;
}

/* Recognises a boundary line; returns the level of its part, or -1. */
static int match_boundary(const struct mime_parser *p, size_t content_len, bool *closing)
{
	struct span text = span_of(p->line, content_len);
	int level;

	if (content_len < 3 || content_len > LINE_HEAD_MAX || text.ptr[0] != '-' || text.ptr[1] != '-')
		return -1;
	text = span_skip(text, 2);
	while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	*closing = false;
	level = find_boundary(p, text);
	if (level >= 0 || !span_ends_with(text, SPAN("--")))
		return level;
	*closing = true;
	return find_boundary(p, span_slice(text, 0, text.len - 2));
}

static bool boundary_is_usable(struct span boundary)
{
	for (size_t i = 0; i < boundary.len; i++)
		if ((unsigned char)boundary.ptr[i] < 32 || boundary.ptr[i] == 127)
			return false;
	return boundary.len > 0 && boundary.len <= MIME_BOUNDARY_MAX;
}

static bool in_digest(const struct mime_parser *p, const struct mime_part *part)
{
	const struct mime_part *parent;

	if (part->parent == MIME_NO_PART)
		return false;
	parent = &p->tree.parts[part->parent];
	return parent->is_multipart && span_equal(parent->subtype, SPAN("digest"));
}

/* The header of the innermost part ends; its body starts at body_offset. */
static void read_header(struct mime_parser *p, uint64_t body_offset)
{
	struct mime_part *part = innermost(p);
	bool is_message = part->parent == MIME_NO_PART || p->tree.parts[part->parent].is_message;

	part->body_offset = body_offset;
	part->header_len = body_offset - part->header_offset;
	p->body_newlines[p->open_count - 1] = p->newlines;
	mime_read_part_header(buf_span(&p->header), in_digest(p, part), is_message, &p->keeper, part);
	p->state = IN_BODY;
}

/* Makes a container of the innermost part if it is one. */
static void open_body(struct mime_parser *p)
{
	struct mime_part *part = innermost(p);
	struct span boundary;

	if (p->open_count > p->limits.max_depth)
		return;
	if (span_equal(part->type, SPAN("multipart"))) {
		boundary = span_trim(mime_parameter_value(&part->params, SPAN("boundary")));
		part->is_multipart = boundary_is_usable(boundary);
		if (part->is_multipart)
			add_boundary(p, boundary);
	} else if (span_equal(part->type, SPAN("message")) &&
	           (span_equal(part->subtype, SPAN("rfc822")) || span_equal(part->subtype, SPAN("global")))) {
		if (p->tree.part_count >= p->limits.max_parts) {
			p->tree.is_truncated = true;
			return;
		}
		part->is_message = true;
		open_part(p, p->open[p->open_count - 1].index);
	}
}

/* Ends the innermost open part at `end`, where `newlines` line ends have been seen. */
static void close_part(struct mime_parser *p, uint64_t end, uint64_t newlines)
{
	struct mime_part *part = innermost(p);
	uint64_t from = p->body_newlines[p->open_count - 1];

	part->body_len = end > part->body_offset ? end - part->body_offset : 0;
	part->lines = newlines > from ? newlines - from : 0;
	drop_boundary(p, p->open_count - 1);
	p->open_count--;
}

static void take_boundary(struct mime_parser *p, unsigned level, bool closing)
{
	uint64_t end = p->line_start - p->last_line_end;
	uint64_t newlines = p->newlines - (p->last_line_end > 0 ? 1 : 0);

	if (p->state == IN_HEADER) {
		p->header.len = p->header_at_line_start;
		read_header(p, p->line_start);
	}
	while (p->open_count > level + 1)
		close_part(p, end, newlines);
	if (closing)
		drop_boundary(p, level);
	else if (p->tree.part_count < p->limits.max_parts)
		open_part(p, p->open[level].index);
	else
		p->tree.is_truncated = true;
}

/* A line of the root header starts a field or goes on with one. */
static void note_field(struct mime_parser *p, size_t line_head_len)
{
	struct mime_tree *tree = &p->tree;
	struct span line = span_of(p->line, line_head_len);
	struct mime_field field = {.offset = p->line_start, .len = p->offset - p->line_start};
	ssize_t colon = span_chr(line, ':');

	if ((line.ptr[0] == ' ' || line.ptr[0] == '\t') && (tree->field_count > 0 || tree->fields_truncated)) {
		if (!tree->fields_truncated)
			tree->fields[tree->field_count - 1].len += field.len;
		return;
	}
	if (tree->field_count == p->limits.max_fields) {
		tree->fields_truncated = true;
		return;
	}
	if (tree->field_count == p->field_cap) {
		p->field_cap = p->field_cap ? p->field_cap * 2 : 32;
		tree->fields = xrealloc_array(tree->fields, p->field_cap, sizeof(*tree->fields));
	}
	if (colon > 0 && line.ptr[0] != ' ' && line.ptr[0] != '\t')
		field.name =
		    mime_keep(&p->keeper, span_slice(span_trim(span_slice(line, 0, (size_t)colon)), 0, NAME_KEPT_MAX));
	tree->fields[tree->field_count++] = field;
}

static void note_long_line(struct mime_parser *p, uint64_t len)
{
	struct mime_part *part = innermost(p);

	if (len > p->tree.longest_line)
		p->tree.longest_line = len;
	if (p->state == IN_BODY && len > part->longest_line)
		part->longest_line = len > UINT32_MAX ? UINT32_MAX : (uint32_t)len;
}

/* A whole line has been taken; line_end is the length of its end, 0 for the last line without one. */
static void end_line(struct mime_parser *p, unsigned line_end)
{
	uint64_t len = p->offset - p->line_start - line_end;
	size_t head = len < LINE_HEAD_MAX ? (size_t)len : LINE_HEAD_MAX;
	bool closing = false;
	int level = len <= LINE_HEAD_MAX ? match_boundary(p, head, &closing) : -1;
	bool blank_ends_header = false;

	note_long_line(p, len);
	if (level >= 0) {
		take_boundary(p, (unsigned)level, closing);
	} else if (p->state == IN_HEADER) {
		blank_ends_header = len == 0;
		if (!blank_ends_header && p->open_count == 1)
			note_field(p, head);
	}
	if (line_end > 0)
		p->newlines++;
	p->last_line_end = line_end;
	p->line_start = p->offset;
	p->line_len = 0;
	if (blank_ends_header) {
		read_header(p, p->offset);
		open_body(p);
	}
	p->header_at_line_start = p->header.len;
}

static void note_facts(struct mime_parser *p, struct span piece)
{
	struct mime_part *part = innermost(p);
	size_t at = 0;

	if (utf8_has_8bit(piece)) {
		p->tree.has_8bit = true;
		*(p->state == IN_HEADER ? &part->header_has_8bit : &part->body_has_8bit) = true;
	}
	if (memchr(piece.ptr, '\0', piece.len)) {
		p->tree.has_nul = true;
		part->body_has_nul |= p->state == IN_BODY;
	}
	if (p->last_byte == '\r' && piece.ptr[0] != '\n')
		p->tree.has_bare_cr = true;
	while (!p->tree.has_bare_cr && at < piece.len) {
		ssize_t cr = span_chr(span_skip(piece, at), '\r');

		if (cr < 0)
			break;
		at += (size_t)cr + 1;
		if (at < piece.len && piece.ptr[at] != '\n')
			p->tree.has_bare_cr = true;
	}
}

/* Takes bytes of one line; the last may be its LF. */
static void take_line_piece(struct mime_parser *p, struct span piece)
{
	size_t room = LINE_HEAD_MAX - p->line_len;
	size_t header_room = p->limits.max_header_bytes - (p->state == IN_HEADER ? p->header.len : 0);
	bool has_end = piece.ptr[piece.len - 1] == '\n';
	char before_end = piece.len > 1 ? piece.ptr[piece.len - 2] : p->last_byte;

	note_facts(p, piece);
	memcpy(p->line + p->line_len, piece.ptr, piece.len < room ? piece.len : room);
	p->line_len += piece.len < room ? piece.len : room;
	if (p->state == IN_HEADER)
		buf_add(&p->header, span_slice(piece, 0, header_room));
	p->offset += piece.len;
	p->last_byte = piece.ptr[piece.len - 1];
	if (!has_end)
		return;
	/* "CR LF" only if the CR is of this line: the last byte of the line before is its LF. */
	if (before_end != '\r')
		p->tree.has_bare_lf = true;
	end_line(p, before_end == '\r' ? 2 : 1);
}

void mime_parser_feed(struct mime_parser *p, struct span piece)
{
	if (p->finished)
		die("a MIME parser is fed after its end");
	while (piece.len > 0) {
		ssize_t lf = span_chr(piece, '\n');
		size_t n = lf < 0 ? piece.len : (size_t)lf + 1;

		take_line_piece(p, span_slice(piece, 0, n));
		piece = span_skip(piece, n);
	}
}

/* Up to here no boundary can follow that would take away what was fed: a line that may still become one is held back, and so is
 * the line end before it, or a CR that may begin one. */
static uint64_t settled_offset(const struct mime_parser *p)
{
	uint64_t len = p->offset - p->line_start;
	bool may_be_boundary = len < 2 ? len == 0 || p->line[0] == '-' : p->line[0] == '-' && p->line[1] == '-';

	if (p->finished)
		return p->offset;
	if (may_be_boundary && len <= LINE_HEAD_MAX + 1)
		return p->line_start - p->last_line_end;
	return p->offset - (p->last_byte == '\r' ? 1 : 0);
}

const struct mime_tree *mime_parser_so_far(struct mime_parser *p, uint64_t *settled)
{
	*settled = settled_offset(p);
	if (!p->finished) {
		struct mime_part *part = innermost(p);
		uint64_t offset = p->state == IN_HEADER ? part->header_offset : part->body_offset;

		/* never nothing: a cursor would pass what is empty, and not come back */
		*(p->state == IN_HEADER ? &part->header_len : &part->body_len) = *settled > offset ? *settled - offset : 1;
	}
	return &p->tree;
}

const struct mime_tree *mime_parser_finish(struct mime_parser *p)
{
	if (p->finished)
		return &p->tree;
	p->finished = true;
	if (p->last_byte == '\r')
		p->tree.has_bare_cr = true;
	if (p->offset > p->line_start)
		end_line(p, 0);
	if (p->state == IN_HEADER)
		read_header(p, p->offset);
	while (p->open_count > 0)
		close_part(p, p->offset, p->newlines);
	p->tree.size_bytes = p->offset;
	p->tree.is_truncated |= p->keeper.overflowed;
	return &p->tree;
}
