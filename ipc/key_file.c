#include "ipc/key_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

void key_file_take(struct key_file_taken *file, int fd, int fault)
{
	if (file->is_open)
		close(file->fd);
	*file = (struct key_file_taken){.is_open = fd >= 0, .fd = fd, .fault = fault};
}

int key_file_read(struct key_file_taken *taken, const char *path, size_t bytes_most, struct buf *out, struct error *why)
{
	struct key_file_taken file = *taken;
	struct stat status;
	ssize_t n = -1;
	if (!file.is_open)
		return error_set(why, file.fault, "cannot open %s: %s", path, strerror(file.fault));
	*taken = (struct key_file_taken){.fault = EBADF};
	bool is_file = fstat(file.fd, &status) == 0 && S_ISREG(status.st_mode);
	size_t room = is_file && status.st_size >= 0 && (size_t)status.st_size < bytes_most ? (size_t)status.st_size + 1 : bytes_most + 1;
	buf_reserve(out, room);
	while (is_file && (n = read(file.fd, out->ptr + out->len, room - out->len)) > 0)
		out->len += (size_t)n;
	int code = errno;
	close(file.fd);
	if (!is_file)
		return error_set(why, 0, "%s is not a file", path);
	if (n < 0)
		return error_set(why, code, "cannot read %s: %s", path, strerror(code));
	return out->len < room ? 0 : error_set(why, 0, "%s has more than %zu bytes, or grows", path, bytes_most);
}
