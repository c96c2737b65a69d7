/* backup begin and end, for `carteiro backup` (cli/backup.c): a checkpoint of the store in a folder beside it, for as long as its files are
 * copied. It holds the disk's space of what is deleted meanwhile, so one that nobody ended goes with the next begin. */
#include "store/command_run.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

/* Its files and then the folder; the library makes none inside. */
static int remove_folder(const char *path, struct error *why)
{
	DIR *folder = opendir(path);
	if (!folder)
		return errno == ENOENT ? 0 : error_set(why, errno, "cannot open %s: %s", path, strerror(errno));
	for (struct dirent *entry; (entry = readdir(folder));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(folder), entry->d_name, 0);
	closedir(folder);
	return rmdir(path) ? error_set(why, errno, "cannot remove %s: %s", path, strerror(errno)) : 0;
}

static int remove_checkpoint(const char *path, struct error *why)
{
	BUF_AUTO unfinished = {0};
	buf_printf(&unfinished, "%s.tmp", path); /* as the library calls it until it is whole */
	return remove_folder(path, why) || remove_folder(buf_cstr(&unfinished), why) ? -1 : 0;
}

static void finish_in_loop(void *context)
{
	command_finish(context);
}

static void begin(struct worker *w, struct job *j)
{
	struct command_run *c = (struct command_run *)((char *)j - offsetof(struct command_run, job));
	struct error why = {0};
	const char *path = c->store->checkpoint;
	if (remove_checkpoint(path, &why) || engine_checkpoint(w->engine, path, &why)) {
		command_fail(c, CODE_BROKEN, "no checkpoint of the store can be made: %s", why.text);
		remove_checkpoint(path, NULL);
	}
	atomic_fetch_sub(&c->store->background, 1);
	worker_say(w, parcel_to_call(finish_in_loop, c));
}

static void end(struct worker *w, struct job *j)
{
	struct command_run *c = (struct command_run *)((char *)j - offsetof(struct command_run, job));
	struct error why = {0};
	if (remove_checkpoint(c->store->checkpoint, &why))
		command_fail(c, CODE_BROKEN, "%s", why.text);
	atomic_fetch_sub(&c->store->background, 1);
	worker_say(w, parcel_to_call(finish_in_loop, c));
}

static void post(struct command_run *c, void (*run)(struct worker *w, struct job *j))
{
	c->is_elsewhere = true;
	c->job.run = run;
	atomic_fetch_add(&c->store->background, 1);
	worker_post(c->store->searcher, &c->job);
}

void backup_begin(struct command_run *c)
{
	post(c, begin);
}

void backup_end(struct command_run *c)
{
	post(c, end);
}
