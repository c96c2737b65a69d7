/* The ballast file: store/engine/ballast.h. */
#include "store/engine/ballast.h"

#include "base/checked.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int ballast_path(const char *folder, char *path, size_t room)
{
	int len = snprintf(path, room, "%s/ballast", folder);
	return len < 0 || (size_t)len >= room ? -1 : 0;
}

bool disk_has(const char *folder, uint64_t bytes)
{
	struct statvfs fs;
	uint64_t free_bytes;
	if (statvfs(folder, &fs) != 0)
		return false;
	return checked_mul((uint64_t)fs.f_bavail, (uint64_t)fs.f_frsize, &free_bytes) || free_bytes >= bytes;
}

bool ballast_make(const char *folder)
{
	char path[PATH_MAX];
	struct stat st;
	if (ballast_path(folder, path, sizeof path) != 0)
		return false;
	if (stat(path, &st) == 0 && st.st_size >= BALLAST_BYTES)
		return true;
	if (!disk_has(folder, 2 * (uint64_t)BALLAST_BYTES))
		return false;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	int fault = posix_fallocate(fd, 0, BALLAST_BYTES);
	close(fd);
	if (fault != 0)
		unlink(path);
	return fault == 0;
}

void ballast_drop(const char *folder)
{
	char path[PATH_MAX];
	if (ballast_path(folder, path, sizeof path) == 0)
		unlink(path);
}
