/* A file of blocks: see spool.h. */
#include "base/spool.h"

#include "base/die.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK_BYTES = 65536 };

struct spool {
	int fd;
	uint32_t *free;      /* blocks that nobody has, below `blocks` */
	size_t free_count;
	uint32_t blocks;     /* that the file has had since it was empty */
};

struct spool *spool_new(const char *folder, struct error *why)
{
	BUF_AUTO path = {0};
	buf_printf(&path, "%s/spool-XXXXXX", folder);
	buf_cstr(&path);
	int fd = mkostemp(path.ptr, O_CLOEXEC);
	if (fd < 0) {
		error_set(why, errno, "cannot make a file in %s: %s", folder, strerror(errno));
		return NULL;
	}
	unlink(path.ptr);
	struct spool *s = xcalloc(1, sizeof *s);
	s->fd = fd;
	return s;
}

static uint32_t take_block(struct spool *s)
{
	if (s->free_count)
		return s->free[--s->free_count];
	if (s->blocks == UINT32_MAX)
		die("spool: %u blocks", (unsigned)s->blocks);
	s->free = xrealloc_array(s->free, (size_t)s->blocks + 1, sizeof *s->free); /* room for all of them */
	return s->blocks++;
}

int spool_add(struct spool *s, struct spooled *what, struct span bytes, struct error *why)
{
	while (bytes.len) {
		size_t in_block = (size_t)(what->size % BLOCK_BYTES);
		struct span part = span_slice(bytes, 0, BLOCK_BYTES - in_block);
		if (what->size == (uint64_t)what->block_count * BLOCK_BYTES) {
			what->blocks = xrealloc_array(what->blocks, what->block_count + 1, sizeof *what->blocks);
			what->blocks[what->block_count++] = take_block(s);
		}
		ssize_t n = pwrite(s->fd, part.ptr, part.len, (off_t)what->blocks[what->block_count - 1] * BLOCK_BYTES + (off_t)in_block);
		if (n <= 0)
			return error_set(why, errno, "cannot write what a message brings: %s", n < 0 ? strerror(errno) : "no room");
		what->size += (uint64_t)n;
		bytes = span_skip(bytes, (size_t)n);
	}
	return 0;
}

int spool_read(struct spool *s, const struct spooled *what, uint64_t at, size_t most, struct buf *out, struct error *why)
{
	size_t in_block = (size_t)(at % BLOCK_BYTES), length = BLOCK_BYTES - in_block;
	if (at >= what->size)
		return 0;
	if (length > most)
		length = most;
	if (length > what->size - at)
		length = (size_t)(what->size - at);
	ssize_t n = pread(s->fd, buf_reserve(out, length), length, (off_t)what->blocks[at / BLOCK_BYTES] * BLOCK_BYTES + (off_t)in_block);
	if (n <= 0)
		return error_set(why, errno, "cannot read what a message brought: %s", n < 0 ? strerror(errno) : "the file is shorter");
	out->len += (size_t)n;
	return 0;
}

void spool_free(struct spool *s, struct spooled *what)
{
	for (size_t i = 0; i < what->block_count; i++)
		s->free[s->free_count++] = what->blocks[i];
	free(what->blocks);
	*what = (struct spooled){0};
	if (s->free_count < s->blocks || !s->blocks)
		return;
	s->free_count = s->blocks = 0;
	if (ftruncate(s->fd, 0)) /* it is only larger than it needs to be */
		return;
}
