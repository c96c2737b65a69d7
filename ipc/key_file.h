/* A file with a secret that only root may open: master opens it and hands the descriptor over, another process reads it. */
#ifndef IPC_KEY_FILE_H
#define IPC_KEY_FILE_H

#include "base/buf.h"
#include "base/error.h"

/* What came with key_file (struct child_use). Zeroed: nothing yet. */
struct key_file_taken {
	bool is_open;
	int fd, fault;
};

/* Owns fd; the one that was there and not read is closed. */
void key_file_take(struct key_file_taken *file, int fd, int fault);
/* Appends the file's bytes and closes it: it can be read once each time it is handed over. The room is there from the start, so that
 * nothing of it is left behind in memory that was given back. 0, or -1 with *why, which calls it
 * `path`: it could not be opened, is no file, or has more than bytes_most. */
int key_file_read(struct key_file_taken *file, const char *path, size_t bytes_most, struct buf *out, struct error *why);

#endif
