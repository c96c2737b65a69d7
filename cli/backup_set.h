/* A folder with backups:
 *   objects/SHA-256           a file's bytes, once, whatever backups have it
 *   backups/TIME.manifest     what one backup consists of: a line "size SHA-256 name" a file, and at the end a line
 *                             "manifest SHA-256", of all lines before
 * Must stay true: objects and manifests appear whole and synced or not at all, an object before the manifests that name it; none is ever
 * changed. So whatever ends a backup, those before it stay good. */
#ifndef CLI_BACKUP_SET_H
#define CLI_BACKUP_SET_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum { BACKUP_HASH_CHARACTERS = 64 };

struct backup_file {
	struct span name;   /* "store/..." of the store's; "keys/..." of data_dir; "carteiro.conf"; "tls.crt", "tls.key" */
	struct span object; /* its SHA-256, 64 hexadecimal digits */
	uint64_t size;
};

struct backup_set {
	const char *path;
	int folder, objects, backups; /* open folders */
};

/* Opens the folder, which may_make makes if it is not there, and locks it: for itself alone where may_make or is_alone is true. -1 with a
 * message on stderr. */
int backup_set_open(struct backup_set *s, const char *path, bool may_make, bool is_alone);
void backup_set_close(struct backup_set *s);

/* The names (TIME) of all backups, oldest first, in the arena. -1 with a message on stderr. */
ssize_t backup_set_list(const struct backup_set *s, struct arena *a, struct span **times);
/* The newest one not later than `at` (empty: the newest), TIME or the beginning of one. -1 with a message on stderr. */
int backup_set_find(const struct backup_set *s, struct span at, struct arena *a, struct span *time);
/* The files of one; spans live in the arena. -1 with *why where it cannot be read, or is not as it was written. */
ssize_t backup_set_read(const struct backup_set *s, struct span time, struct arena *a, struct backup_file **files, struct error *why);

/* Puts a file in, if it is not there yet: file->object and file->size are set, *copied raised by what was written. -1 with *why. */
int backup_set_add(const struct backup_set *s, const char *path, struct backup_file *file, struct arena *a, uint64_t *copied, struct error *why);
/* Writes the manifest, after syncing the objects that it names. *time: its name. -1 with *why. */
int backup_set_finish(const struct backup_set *s, const struct backup_file *files, size_t count, struct arena *a, struct span *time, struct error *why);
/* Reads an object whole and holds it against its name and size. -1 with *why. */
int backup_set_check(const struct backup_set *s, const struct backup_file *file, struct error *why);
/* Writes an object out as the new file `path`, synced, and holds it against its name meanwhile. -1 with *why. */
int backup_set_take(const struct backup_set *s, const struct backup_file *file, const char *path, struct error *why);

#endif
