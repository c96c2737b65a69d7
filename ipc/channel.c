/* Frames over a socketpair, in both directions. */
#include "ipc/channel.h"

#include "base/die.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_BYTES = 128 * 1024,   /* at most so much a read: fairness between channels */
	KEEP_BYTES = 256 * 1024,   /* a buffer that grew beyond this for one large message is given back */
	BACKLOG_MOST = 256 * 1024 * 1024, /* a peer that is so far behind reads no more */
	FDS_WAITING_MOST = 16,
};

struct channel {
	struct loop *loop;
	struct watch *readable, *writable;
	struct channel_use use;
	struct buf in, out;
	size_t sent;       /* of `out`, from its front */
	struct later flush;
	uint32_t epoch;
	int fd;
	int fds[FDS_WAITING_MOST];
	size_t fd_count;
	bool is_writing;   /* the socket was full: waiting for it */
	bool is_closed;
	bool is_in_use, is_freed;  /* channel_free inside a handler waits for the handler's end */
};

static void close_channel(struct channel *c, bool is_violation)
{
	if (c->is_closed)
		return;
	c->is_closed = true;
	watch_off(c->readable);
	watch_off(c->writable);
	loop_later_cancel(c->loop, &c->flush);
	if (c->use.closed)
		c->use.closed(c->use.context, is_violation);
}

void channel_violation(struct channel *c, const char *what)
{
	if (c->is_closed)
		return;
	log_event(LOG_LEVEL_ERROR, "ipc-violation", log_c("peer", c->use.peer), log_c("what", what));
	close_channel(c, true);
}

/* One recvmsg; -1 if the peer has gone. */
static int receive(struct channel *c)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FDS_WAITING_MOST)];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = buf_reserve(&c->in, READ_BYTES), .iov_len = READ_BYTES};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
			if (c->fd_count < FDS_WAITING_MOST)
				c->fds[c->fd_count++] = fd;
			else
				close(fd);
		}
	}
	if (n == 0)
		return -1;
	c->in.len += (size_t)n;
	return 0;
}

static void dispatch_frames(struct channel *c)
{
	size_t at = 0;
	while (!c->is_closed && !c->is_freed) {
		struct frame frame;
		ssize_t taken = frame_parse(span_skip(buf_span(&c->in), at), &frame);
		if (taken == 0)
			break;
		if (taken < 0) {
			channel_violation(c, "not a frame");
			return;
		}
		at += (size_t)taken;
		if (c->use.dispatch(c->use.handlers, c->use.context, frame.type, frame.payload) && !c->is_freed)
			channel_violation(c, msg_name(frame.type));
	}
	buf_drop_front(&c->in, at);
	if (c->in.len == 0 && c->in.cap > KEEP_BYTES)
		buf_free(&c->in);
}

static void destroy(struct channel *c)
{
	watch_free(c->readable);
	watch_free(c->writable);
	loop_later_cancel(c->loop, &c->flush);
	for (size_t i = 0; i < c->fd_count; i++)
		close(c->fds[i]);
	close(c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

static void on_readable(void *context)
{
	struct channel *c = context;
	c->is_in_use = true;
	int gone = receive(c);
	dispatch_frames(c);
	if (gone && !c->is_freed)
		close_channel(c, false);
	c->is_in_use = false;
	if (c->is_freed)
		destroy(c);
}

static void forget_out(struct channel *c)
{
	buf_clear(&c->out);
	c->sent = 0;
}

/* The socket is full. */
static void wait_for_peer(struct channel *c)
{
	if (c->sent > c->out.len / 2) {
		buf_drop_front(&c->out, c->sent);
		c->sent = 0;
	}
	if (c->out.len > BACKLOG_MOST) {
		channel_violation(c, "does not read what it is told");
		return;
	}
	c->is_writing = true;
	watch_on(c->writable);
}

static void on_flush(void *context)
{
	struct channel *c = context;
	while (c->sent < c->out.len && !c->is_closed) {
		ssize_t n = send(c->fd, c->out.ptr + c->sent, c->out.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			wait_for_peer(c);
			return;
		}
		if (n < 0)
			break; /* the reader's side of it reports the end, after what the peer still said */
		c->sent += (size_t)n;
	}
	forget_out(c);
	if (c->is_writing) {
		c->is_writing = false;
		watch_off(c->writable);
	}
	if (c->out.cap > KEEP_BYTES)
		buf_free(&c->out);
}

struct channel *channel_new(struct loop *l, int fd, const struct channel_use *use)
{
	struct channel *c = xcalloc(1, sizeof *c);
	*c = (struct channel){.loop = l, .fd = fd, .use = *use, .flush = {.fn = on_flush, .context = c}};
	c->readable = watch_new(l, fd, false, on_readable, c);
	c->writable = watch_new(l, fd, true, on_flush, c);
	watch_on(c->readable);
	return c;
}

void channel_free(struct channel *c)
{
	if (!c || c->is_freed)
		return;
	c->is_closed = true;
	if (c->is_in_use) {
		c->is_freed = true;
		watch_off(c->readable);
		watch_off(c->writable);
		return;
	}
	destroy(c);
}

void channel_flush(struct channel *c)
{
	while (c->out.len && !c->is_closed) {
		struct pollfd p = {.fd = c->fd, .events = POLLOUT};
		if (poll(&p, 1, 1000) <= 0)
			return;
		on_flush(c);
	}
}

struct buf *channel_out(struct channel *c)
{
	if (c->is_closed)
		forget_out(c); /* nobody reads it any more */
	else if (!c->is_writing || c->out.len > BACKLOG_MOST)
		loop_later(c->loop, &c->flush);
	return &c->out;
}

uint32_t channel_epoch(const struct channel *c)
{
	return c->epoch;
}

void channel_set_epoch(struct channel *c, uint32_t epoch)
{
	c->epoch = epoch;
}

void channel_send_fd(struct channel *c, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	if (c->is_closed || c->out.len == 0)
		return;
	/* the descriptor travels with the last byte of its message, so that it is there when the message is whole */
	size_t last = c->out.len - 1;
	char byte = c->out.ptr[last];
	c->out.len = last;
	channel_flush(c);
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(h), &fd, sizeof fd);
	ssize_t n;
	do
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		log_event(LOG_LEVEL_WARNING, "ipc-descriptor-not-sent", log_c("peer", c->use.peer), log_c("why", strerror(errno)));
}

int channel_take_fd(struct channel *c)
{
	if (c->fd_count == 0)
		return -1;
	int fd = c->fds[0];
	memmove(c->fds, c->fds + 1, --c->fd_count * sizeof c->fds[0]);
	return fd;
}

void channel_set_context(struct channel *c, void *context)
{
	c->use.context = context;
}
