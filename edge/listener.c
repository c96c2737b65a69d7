/* Accepting connections within limits. */
#include "edge/listener.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/network.h"
#include "edge/proxied.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPTS_A_TURN = 64,    /* then those that are connected have their turn */
	ACCEPT_PAUSE_MS = 100,  /* when there are no descriptors left: not a spin */
};

struct edge_listener {
	struct edge_process *edge;
	const struct protocol *protocol;
	struct watch *watch;
	struct timer *resume;
	int fd;
	bool is_tls, is_on;
};

/* Open connections of one address. */
struct address_count {
	uint64_t key;
	unsigned open;
};

static struct address_count *count_of(struct edge_process *e, const char *address)
{
	uint64_t key = network_key(span_cstr(address));
	struct address_count *count = map_get(&e->addresses, key);
	if (!count) {
		count = xcalloc(1, sizeof *count);
		count->key = key;
		map_put(&e->addresses, key, count);
	}
	return count;
}

/* The setting that keeps one more connection of that address out; NULL if none does. */
static const char *limit_for(struct edge_process *e, const char *address)
{
	const struct config *config = child_config(e->self);
	uint64_t key = network_key(span_cstr(address));
	const struct address_count *count = map_get(&e->addresses, key);
	if (e->connections.count >= config->connections_most)
		return "connections_most";
	if (config_networks_have(&config->limits_exempt, span_cstr(address)))
		return NULL;
	if (config->connections_per_address && count && count->open >= config->connections_per_address)
		return "connections_per_address";
	if (rates_count(&e->connection_rates, key, config->connections_per_minute, RATE_MINUTE_MS, clock_monotonic_ms()) != RATE_OPEN)
		return "connections_per_minute";
	return NULL;
}

/* NULL, and the address has one more; or the limit that does not let it. */
static const char *admit(struct edge_process *e, const char *address)
{
	const char *limit = limit_for(e, address);
	if (!limit)
		count_of(e, address)->open++;
	return limit;
}

bool listener_moved(struct edge_process *e, const char *from, const char *to)
{
	const char *limit = admit(e, to);
	if (limit) {
		log_event(LOG_LEVEL_WARNING, "connection-refused", log_c("client", to), log_c("proxy", from), log_c("limit", limit));
		e->refused_count++;
		return false;
	}
	listener_released(e, from);
	return true;
}

void listener_released(struct edge_process *e, const char *address)
{
	struct address_count *count = map_get(&e->addresses, network_key(span_cstr(address)));
	if (!count || --count->open)
		return;
	map_take(&e->addresses, count->key);
	free(count);
}

/* What a protocol says to one connection too many; after TLS there is nothing that could be said in the clear. */
static void turn_away(struct edge_process *e, const struct protocol *p, int fd, const char *address, bool is_tls, const char *limit)
{
	const char *text = "421 4.7.0 Too many connections, try again later\r\n";
	if (strcmp(p->name, "imap") == 0)
		text = "* BYE Too many connections, try again later\r\n";
	else if (strcmp(p->name, "pop3") == 0)
		text = "-ERR [SYS/TEMP] Too many connections, try again later\r\n";
	e->refused_count++;
	log_event(LOG_LEVEL_WARNING, "connection-refused", log_c("protocol", p->name), log_c("client", address), log_c("limit", limit));
	if (!is_tls) {
		ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)n;
	}
	close(fd);
}

void listener_serve(struct edge_process *e, const struct protocol *p, int fd, const char *address, bool is_tls)
{
	const char *limit = admit(e, address);
	if (limit)
		turn_away(e, p, fd, address, is_tls, limit);
	else
		connection_new(e, p, fd, address, is_tls);
}

/* A proxy's connections count as their clients' do, once it is known whose they are. */
static void take(struct edge_listener *l, int fd, const char *address)
{
	struct edge_process *e = l->edge;
	const struct config *config = child_config(e->self);
	if (!config_networks_have(&config->proxies, span_cstr(address)))
		listener_serve(e, l->protocol, fd, address, l->is_tls);
	else if (e->proxied.count < config->connections_most)
		proxied_new(e, l->protocol, fd, address, l->is_tls);
	else
		turn_away(e, l->protocol, fd, address, l->is_tls, "connections_most");
}

static void on_accept(void *context)
{
	struct edge_listener *l = context;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof from;
		char address[INET6_ADDRSTRLEN] = "?";
		int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
				log_event(LOG_LEVEL_ERROR, "accept-failed", log_c("why", strerror(errno)),
				          log_c("do", "raise the limit of open files (LimitNOFILE)"));
				watch_off(l->watch);
				timer_set(l->resume, ACCEPT_PAUSE_MS);
			}
			return;
		}
		struct ucred program;
		socklen_t program_len = sizeof program;
		if (from.ss_family == AF_UNIX && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &program, &program_len) == 0)
			snprintf(address, sizeof address, "uid %u", (unsigned)program.uid);
		if (from.ss_family == AF_INET)
			inet_ntop(AF_INET, &((struct sockaddr_in *)&from)->sin_addr, address, sizeof address);
		else if (from.ss_family == AF_INET6)
			inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&from)->sin6_addr, address, sizeof address);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		take(l, fd, address);
	}
}

static void on_resume(void *context)
{
	struct edge_listener *l = context;
	watch_on(l->watch);
}

struct edge_listener *listener_new(struct edge_process *e, const struct protocol *p, int fd, bool is_tls)
{
	struct edge_listener *l = xcalloc(1, sizeof *l);
	*l = (struct edge_listener){.edge = e, .protocol = p, .fd = fd, .is_tls = is_tls};
	l->watch = watch_new(e->loop, fd, false, on_accept, l);
	l->resume = timer_new(e->loop, on_resume, l);
	return l;
}

void listener_start(struct edge_listener *l)
{
	if (l->is_on || (l->is_tls && !l->edge->tls))
		return;
	l->is_on = true;
	watch_on(l->watch);
}

void listener_free(struct edge_listener *l)
{
	watch_free(l->watch);
	timer_free(l->resume);
	close(l->fd);
	free(l);
}
