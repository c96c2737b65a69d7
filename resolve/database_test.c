/* What waits for one database is no burden of another, and goes when nobody waits for it. */
#include "resolve/database.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MANY = 10000 };

/* A socket that takes connections and says nothing, or takes none. */
static int listen_silently(bool is_listening, unsigned *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 && getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	assert_true(!is_listening || listen(fd, 64) == 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static struct database *make(unsigned port)
{
	BUF_AUTO text = {0};
	struct error why = {0};
	unsigned line;
	buf_printf(&text, "server_host = ldap://127.0.0.1:%u\nsearch_base = dc=test\n", port);
	struct database *d = database_new(TABLE_LDAP, "a table", buf_span(&text), "", &line, &why);
	assert_non_null(d);
	return d;
}

static void on_done(void *context, enum database_outcome outcome, struct span results)
{
	struct loop *l = context;
	assert_int_equal(outcome, DATABASE_LATER);
	assert_int_equal(results.len, 0);
	loop_stop(l);
}

static void on_no_answer(void *context, enum database_outcome outcome, struct span results)
{
	(void)context;
	(void)outcome;
	(void)results;
	fail();
}

static size_t post_many(struct database_pool *p, struct database *d, struct database_job **jobs)
{
	size_t count = 0;
	while (count < MANY && (jobs[count] = database_post(p, d, SPAN("a@b.test"), on_no_answer, NULL)))
		count++;
	return count;
}

static void one_that_hangs_takes_nothing_from_another(void **state)
{
	static struct database_job *jobs[MANY];
	unsigned hanging_port, refusing_port;
	int hanging_fd = listen_silently(true, &hanging_port), refusing_fd = listen_silently(false, &refusing_port);
	struct loop *l = loop_new();
	(void)state;
	database_library_start();
	struct database *hanging = make(hanging_port), *refusing = make(refusing_port);
	struct database_pool *p = database_pool_new(l, 2);
	size_t most = post_many(p, hanging, jobs);
	assert_true(most > 100 && most < MANY);
	assert_non_null(database_post(p, refusing, SPAN("a@b.test"), on_done, l));
	loop_run(l); /* until that is answered */
	for (size_t i = 0; i < most; i++)
		database_cancel(jobs[i]);
	size_t again = post_many(p, hanging, jobs);
	assert_true(again + DATABASE_CONNECTIONS >= most && again < MANY);
	for (size_t i = again; i-- > 0;)
		database_cancel(jobs[i]);
	assert_non_null(database_post(p, refusing, SPAN("a@b.test"), on_done, l));
	loop_rearm(l);
	loop_run(l);
	database_release(refusing);
	close(hanging_fd);
	close(refusing_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_hangs_takes_nothing_from_another),
	};
	fflush(NULL);
	_exit(cmocka_run_group_tests(tests, NULL, NULL)); /* threads are in the library still */
}
