/*   waiting     for its turn: so many at once and no more
 *   looking up  the host's addresses, by our own questions: libcurl asks no DNS
 *   asking      libcurl has it -> answered */
#include "resolve/fetch.h"

#include "base/die.h"
#include "base/network.h"
#include "base/tls.h"
#include "resolve/rdata.h"
#include "wire/address.h"
#include "wire/mta_sts.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	ACTIVE_MOST = 32,
	ADDRESSES_MOST = 8,
	FETCH_MOST_MS = 60 * 1000,     /* RFC 8461 §3.3 suggests one minute */
	CONNECT_MOST_MS = 20 * 1000,   /* for all addresses */
	HEADER_BYTES_MOST = 64 * 1024, /* of all answers before the one that counts, too */
	HTTP_OK = 200,
	HTTPS_PORT = 443,
};

struct fetch_socket {
	struct fetch *fetch;
	struct fetch_socket *next;
	curl_socket_t fd;
	struct watch *readable, *writable;
};

struct fetch {
	struct fetches *all;
	struct fetch *next, *before;
	fetch_done_fn *done;
	void *context;
	bool is_active;
	char host[RDATA_NAME_MOST + sizeof "mta-sts."];
	unsigned port;
	char *url, *report;            /* report: to be posted; NULL: the policy is to be had */
	size_t report_bytes;
	struct lookup v4, v6;
	unsigned lookups;              /* under way */
	char addresses[ADDRESSES_MOST][INET6_ADDRSTRLEN];
	size_t address_count;
	struct timer *deadline, *timer; /* of all; libcurl's */
	CURLM *multi;
	CURL *easy;
	struct curl_slist *pin, *fields;
	struct fetch_socket *sockets;
	struct buf body;
	size_t header_bytes;
	bool is_too_large;
	char fault[CURL_ERROR_SIZE], refused[INET6_ADDRSTRLEN];
};

void fetch_library_start(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		die("resolve: libcurl does not start");
	CURL *easy = curl_easy_init(); /* what the first one loads */
	curl_easy_cleanup(easy);
}

/* ---- sockets and timers, as libcurl wants them ---- */

static void end_socket(struct fetch_socket *s)
{
	struct fetch_socket **at = &s->fetch->sockets;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	watch_free(s->readable);
	watch_free(s->writable);
	free(s);
}

static void look_whether_done(struct fetch *f);

static void go_on(struct fetch *f, curl_socket_t fd, int events)
{
	int running;
	curl_multi_socket_action(f->multi, fd, events, &running);
	look_whether_done(f);
}

static void on_readable(void *context)
{
	const struct fetch_socket *s = context;
	go_on(s->fetch, s->fd, CURL_CSELECT_IN);
}

static void on_writable(void *context)
{
	const struct fetch_socket *s = context;
	go_on(s->fetch, s->fd, CURL_CSELECT_OUT);
}

static void on_timer(void *context)
{
	go_on(context, CURL_SOCKET_TIMEOUT, 0);
}

static void set_watch(struct fetch_socket *s, struct watch **w, bool for_writing, bool is_wanted)
{
	if (is_wanted && !*w) {
		*w = watch_new(s->fetch->all->loop, s->fd, for_writing, for_writing ? on_writable : on_readable, s);
		watch_on(*w);
	} else if (!is_wanted && *w) {
		watch_free(*w);
		*w = NULL;
	}
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket)
{
	struct fetch *f = context;
	struct fetch_socket *s = socket;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			end_socket(s);
		return 0;
	}
	if (!s) {
		s = xcalloc(1, sizeof *s);
		*s = (struct fetch_socket){.fetch = f, .next = f->sockets, .fd = fd};
		f->sockets = s;
		curl_multi_assign(f->multi, fd, s);
	}
	set_watch(s, &s->readable, false, what & CURL_POLL_IN);
	set_watch(s, &s->writable, true, what & CURL_POLL_OUT);
	return 0;
}

static int on_curl_timer(CURLM *multi, long in_ms, void *context)
{
	struct fetch *f = context;
	(void)multi;
	if (in_ms < 0)
		timer_clear(f->timer);
	else
		timer_set(f->timer, in_ms);
	return 0;
}

/* ---- the answer ---- */

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
	struct fetch *f = context;
	(void)bytes;
	f->header_bytes += size * count;
	f->is_too_large |= f->header_bytes > HEADER_BYTES_MOST;
	return f->is_too_large ? 0 : size * count;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct fetch *f = context;
	f->is_too_large |= size * count > MTA_STS_POLICY_BYTES_MOST - f->body.len;
	if (f->is_too_large)
		return 0;
	buf_add(&f->body, span_of(bytes, size * count));
	return size * count;
}

static CURLcode on_tls(CURL *easy, void *tls, void *context)
{
	struct fetch *f = context;
	(void)easy;
	return tls_context_demand(tls, f->all->authorities, f->host) ? CURLE_SSL_CERTPROBLEM : CURLE_OK;
}

/* ---- the end ---- */

static void free_fetch(struct fetch *f)
{
	struct fetches *all = f->all;
	lookup_cancel(&f->v4);
	lookup_cancel(&f->v6);
	if (f->easy)
		curl_multi_remove_handle(f->multi, f->easy);
	curl_easy_cleanup(f->easy);
	curl_multi_cleanup(f->multi);
	curl_slist_free_all(f->pin);
	curl_slist_free_all(f->fields);
	free(f->url);
	free(f->report);
	while (f->sockets)
		end_socket(f->sockets);
	timer_free(f->deadline);
	timer_free(f->timer);
	buf_free(&f->body);
	*(f->before ? &f->before->next : &all->first) = f->next;
	*(f->next ? &f->next->before : &all->last) = f->before;
	all->active -= f->is_active;
	free(f);
}

static void finish_with(struct fetch *f, const char *fault, enum fetch_fault kind)
{
	struct fetches *all = f->all;
	fetch_done_fn *done = f->done;
	void *context = f->context;
	struct error why = {0};
	if (fault)
		error_set(&why, (int)kind, "https://%.100s: %.120s", f->host, fault);
	for (char *c = why.text; *c; c++) /* the server's words may be in it */
		if (*c < ' ' || *c > '~')
			*c = '?';
	BUF_AUTO body = f->body;
	f->body = (struct buf){0};
	free_fetch(f);
	loop_later(all->loop, &all->turn);
	struct span text = span_of(body.len ? body.ptr : "", body.len);
	done(context, fault ? span_of(NULL, 0) : text, &why);
}

static void finish(struct fetch *f, const char *fault)
{
	finish_with(f, fault, FETCH_FAILED);
}

static bool is_plain_text(const char *type)
{
	struct span kind = span_cstr(type);
	ssize_t semicolon = span_chr(kind, ';');
	return span_equal_nocase(span_trim(semicolon < 0 ? kind : span_slice(kind, 0, (size_t)semicolon)), SPAN("text/plain"));
}

static void look_whether_done(struct fetch *f)
{
	char text[64];
	const char *fault = NULL, *type = NULL;
	long status = 0;
	int left;
	CURLMsg *m = curl_multi_info_read(f->multi, &left);
	if (!m || m->msg != CURLMSG_DONE)
		return;
	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
	if (f->is_too_large || m->data.result == CURLE_FILESIZE_EXCEEDED) {
		fault = "the answer is too large";
	} else if (m->data.result) {
		fault = f->fault[0] ? f->fault : curl_easy_strerror(m->data.result);
	} else if (f->report ? status / 100 != HTTP_OK / 100 : status != HTTP_OK) {
		snprintf(text, sizeof text, "the server answers with %ld", status);
		fault = text;
	} else if (!f->report && !is_plain_text(type)) {
		fault = "the answer is not text/plain";
	}
	finish_with(f, fault, m->data.result == CURLE_PEER_FAILED_VERIFICATION ? FETCH_UNPROVED : FETCH_FAILED);
}

static void on_deadline(void *context)
{
	finish(context, "no answer in time");
}

/* ---- the question ---- */

static void set_options(struct fetch *f)
{
	CURL *e = f->easy;
	BUF_AUTO pin = {0};
	buf_printf(&pin, "%s:%u:", f->host, f->port);
	for (size_t i = 0; i < f->address_count; i++)
		buf_printf(&pin, strchr(f->addresses[i], ':') ? "%s[%s]" : "%s%s", i ? "," : "", f->addresses[i]);
	f->pin = curl_slist_append(NULL, buf_cstr(&pin));
	bool is_bad = !f->pin || curl_easy_setopt(e, CURLOPT_URL, f->url) || curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https") ||
	              curl_easy_setopt(e, CURLOPT_RESOLVE, f->pin) ||
	              curl_easy_setopt(e, CURLOPT_PROXY, "") || /* nor one that the environment names */
	              curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) || /* RFC 8461 §3.3 */
	              curl_easy_setopt(e, CURLOPT_CAINFO, NULL) || curl_easy_setopt(e, CURLOPT_CAPATH, NULL) || /* on_tls says who is believed */
	              curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_tls) || curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, f) ||
	              curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ||
	              curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) ||
	              curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) || curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) ||
	              curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MOST_MS) ||
	              curl_easy_setopt(e, CURLOPT_MAXFILESIZE, (long)MTA_STS_POLICY_BYTES_MOST) ||
	              curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) || curl_easy_setopt(e, CURLOPT_HEADERDATA, f) ||
	              curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) || curl_easy_setopt(e, CURLOPT_WRITEDATA, f) ||
	              curl_easy_setopt(e, CURLOPT_ERRORBUFFER, f->fault) ||
	              curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_socket) || curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f) ||
	              curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) || curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	if (f->report) {
		f->fields = curl_slist_append(curl_slist_append(NULL, "Content-Type: application/tlsrpt+gzip"), "Expect:");
		is_bad |= !f->fields || curl_easy_setopt(e, CURLOPT_HTTPHEADER, f->fields) || curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)f->report_bytes) ||
		          curl_easy_setopt(e, CURLOPT_POSTFIELDS, f->report);
	}
	if (is_bad)
		die("resolve: libcurl does not take its options");
}

/* Each has a handle of its own, so that nothing of one server, neither addresses nor connections, is there for the next. */
static void ask(struct fetch *f)
{
	f->multi = curl_multi_init();
	f->easy = curl_easy_init();
	if (!f->multi || !f->easy)
		die("resolve: libcurl does not start a question");
	set_options(f);
	f->timer = timer_new(f->all->loop, on_timer, f);
	if (curl_multi_add_handle(f->multi, f->easy)) /* which sets the timer: it begins in the next turn */
		die("resolve: libcurl does not take a question");
}

static void take_addresses(struct fetch *f, struct span message)
{
	struct rdata_reader reader;
	struct rdata_record record;
	char text[INET6_ADDRSTRLEN];
	if (rdata_start(&reader, message, NULL))
		return;
	while (f->address_count < ADDRESSES_MOST && rdata_next(&reader, &record, NULL) == 1) {
		if (rdata_address(message, &record, text))
			continue;
		if (network_is_outside(span_cstr(text)))
			memcpy(f->addresses[f->address_count++], text, sizeof text);
		else
			memcpy(f->refused, text, sizeof text);
	}
}

static void on_addresses(void *context, const struct lookup_result *result)
{
	struct fetch *f = context;
	char text[128];
	if (result->outcome == LOOKUP_ANSWER)
		take_addresses(f, result->message);
	if (result->outcome == LOOKUP_LATER)
		snprintf(f->fault, sizeof f->fault, "%s", result->text);
	if (--f->lookups)
		return;
	if (f->address_count) {
		f->fault[0] = 0;
		ask(f);
	} else if (f->refused[0]) {
		snprintf(text, sizeof text, "its address %s is refused, as it is none of the world's", f->refused);
		finish(f, text);
	} else {
		finish(f, f->fault[0] ? f->fault : "it has no address");
	}
}

static void begin(struct fetch *f)
{
	f->is_active = true;
	f->all->active++;
	f->lookups = 2;
	f->deadline = timer_new(f->all->loop, on_deadline, f);
	timer_set(f->deadline, FETCH_MOST_MS);
	lookup_start(&f->v4, f->all->dns, f->host, RDATA_TYPE_A, on_addresses, f);
	lookup_start(&f->v6, f->all->dns, f->host, RDATA_TYPE_AAAA, on_addresses, f);
}

/* The first that waits; those before it are active. */
static struct fetch *next_to_begin(const struct fetches *all)
{
	struct fetch *f = all->first;
	while (f && f->is_active)
		f = f->next;
	return all->active < ACTIVE_MOST ? f : NULL;
}

static void on_turn(void *context)
{
	struct fetches *all = context;
	for (struct fetch *f; (f = next_to_begin(all));)
		begin(f); /* it may be over before this returns */
}

static struct fetch *add(struct fetches *all, fetch_done_fn *done, void *context)
{
	struct fetch *f = xcalloc(1, sizeof *f);
	*f = (struct fetch){.all = all, .before = all->last, .done = done, .context = context, .port = HTTPS_PORT};
	*(all->last ? &all->last->next : &all->first) = f;
	all->last = f;
	all->turn.fn = on_turn;
	all->turn.context = all;
	loop_later(all->loop, &all->turn);
	return f;
}

void fetch_start(struct fetches *all, const char *domain, fetch_done_fn *done, void *context)
{
	struct fetch *f = add(all, done, context);
	BUF_AUTO url = {0};
	snprintf(f->host, sizeof f->host, "mta-sts.%s", domain);
	buf_printf(&url, "https://%s/.well-known/mta-sts.txt", f->host);
	f->url = span_strdup(buf_span(&url));
}

/* -1 if the URI has no host that has a name of the DNS. */
static int take_host(struct fetch *f)
{
	CURLU *u = curl_url();
	char *host = NULL, *port = NULL, *scheme = NULL;
	BUF_AUTO name = {0};
	uint64_t number = HTTPS_PORT;
	bool is_bad = !u || curl_url_set(u, CURLUPART_URL, f->url, CURLU_NON_SUPPORT_SCHEME) || curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
	              strcmp(scheme, "https") != 0 || curl_url_get(u, CURLUPART_HOST, &host, 0) || !domain_is_valid(span_cstr(host), 0) ||
	              domain_canonical(span_cstr(host), &name, NULL) || name.len >= RDATA_NAME_MOST || curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ||
	              span_to_u64(span_cstr(port), UINT16_MAX, &number);
	if (!is_bad)
		snprintf(f->host, sizeof f->host, "%s", buf_cstr(&name));
	f->port = (unsigned)number;
	curl_free(host);
	curl_free(port);
	curl_free(scheme);
	curl_url_cleanup(u);
	return is_bad ? -1 : 0;
}

void fetch_post(struct fetches *all, struct span uri, struct span report, fetch_done_fn *done, void *context)
{
	struct fetch *f = add(all, done, context);
	f->url = span_strdup(uri);
	f->report = span_strdup(report);
	f->report_bytes = report.len;
	if (take_host(f))
		snprintf(f->host, sizeof f->host, "%s", "invalid"); /* RFC 6761 §6.4: it has no address */
}

void fetches_end(struct fetches *all)
{
	loop_later_cancel(all->loop, &all->turn);
	while (all->first)
		free_fetch(all->first);
}
