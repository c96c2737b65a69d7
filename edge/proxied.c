#include "edge/proxied.h"

#include "base/die.h"
#include "base/log.h"
#include "edge/listener.h"
#include "wire/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	HEADER_MOST_MS = 10 * 1000,
	LOOK_AGAIN_MS = 20, /* for the rest of a header: it is left in the socket, which would wake us for what we have seen */
};

struct proxied {
	struct edge_process *edge;
	const struct protocol *protocol;
	uint64_t number;
	int fd;
	bool is_tls;
	char proxy[46];
	struct watch *readable;
	struct timer *deadline, *again;
};

/* Gives the socket back; -1: it is closed. */
static int end(struct proxied *c, bool is_closed)
{
	int fd = c->fd;
	map_take(&c->edge->proxied, c->number);
	watch_free(c->readable);
	timer_free(c->deadline);
	timer_free(c->again);
	free(c);
	if (!is_closed)
		return fd;
	close(fd);
	return -1;
}

static void refuse(struct proxied *c, const char *why)
{
	c->edge->refused_count++;
	log_event(LOG_LEVEL_WARNING, "proxy-refused", log_c("protocol", c->protocol->name), log_c("proxy", c->proxy), log_c("why", why),
	          log_c("do", "an address in `proxies` must send the PROXY header on each connection"));
	end(c, true);
}

static void serve(struct proxied *c, const struct proxy_header *header, size_t length)
{
	char octets[PROXY_HEADER_MAX], client[46];
	struct edge_process *e = c->edge;
	const struct protocol *p = c->protocol;
	bool is_tls = c->is_tls;
	snprintf(client, sizeof client, "%s", header->client[0] ? header->client : c->proxy);
	if (recv(c->fd, octets, length, 0) != (ssize_t)length) {
		refuse(c, "the header is gone");
		return;
	}
	int fd = end(c, false);
	listener_serve(e, p, fd, client, is_tls);
}

static void look(void *context)
{
	struct proxied *c = context;
	char octets[PROXY_HEADER_MAX];
	struct proxy_header header;
	struct error why = {0};
	ssize_t n = recv(c->fd, octets, sizeof octets, MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(c, true); /* one that only looks whether we are there */
		return;
	}
	ssize_t length = proxy_parse(span_of(octets, (size_t)n), &header, &why);
	if (length < 0) {
		refuse(c, why.text);
	} else if (length > 0) {
		serve(c, &header, (size_t)length);
	} else {
		watch_off(c->readable);
		timer_set(c->again, LOOK_AGAIN_MS);
	}
}

static void look_again(void *context)
{
	struct proxied *c = context;
	watch_on(c->readable);
}

static void on_deadline(void *context)
{
	refuse(context, "no PROXY header came in time");
}

void proxied_new(struct edge_process *e, const struct protocol *p, int fd, const char *proxy, bool is_tls)
{
	struct proxied *c = xcalloc(1, sizeof *c);
	*c = (struct proxied){.edge = e, .protocol = p, .number = ++e->last_token, .fd = fd, .is_tls = is_tls};
	snprintf(c->proxy, sizeof c->proxy, "%s", proxy);
	map_put(&e->proxied, c->number, c);
	c->readable = watch_new(e->loop, fd, false, look, c);
	c->deadline = timer_new(e->loop, on_deadline, c);
	c->again = timer_new(e->loop, look_again, c);
	timer_set(c->deadline, HEADER_MOST_MS);
	watch_on(c->readable);
}

void proxied_drop_all(struct edge_process *e)
{
	size_t at = 0;
	struct proxied *c;
	while ((c = map_next(&e->proxied, &at)))
		end(c, true);
}
