/* Our own addresses: of listeners, and of the machine where a listener has all of them. */
#include "resolve/own.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct own_addresses own(const char *settings, const struct ifaddrs *interfaces)
{
	struct config config;
	struct config_errors errors;
	struct own_addresses o = {0};
	assert_int_equal(config_parse(span_cstr(settings), "test", &config, &errors), 0);
	own_addresses_set(&o, &config, interfaces);
	config_free(&config);
	return o;
}

static void the_addresses_of_smtp_listeners_at_the_outgoing_port_are_ours(void **state)
{
	(void)state;
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
	inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
	struct ifaddrs without = {0}, second = {.ifa_next = &without, .ifa_addr = (struct sockaddr *)&v6},
	               first = {.ifa_next = &second, .ifa_addr = (struct sockaddr *)&v4};
	static const struct {
		const char *settings, *address;
		bool is_ours;
	} cases[] = {
		{"", "192.0.2.1", true}, {"", "::ffff:192.0.2.1", true}, {"", "2001:db8::1", true}, {"", "2001:DB8:0::1", true},
		{"", "192.0.2.2", false}, {"", "2001:db8::2", false}, {"", "0.0.0.0", false}, {"", "mx.test", false}, {"", "", false},
		{"smtp_listen = 0.0.0.0:25\n", "192.0.2.1", true}, {"smtp_listen = 0.0.0.0:25\n", "2001:db8::1", false},
		/* somebody else's port, if anybody's */
		{"smtp_listen = 2525\n", "192.0.2.1", false}, {"smtp_out_port = 2525\n", "192.0.2.1", false},
		{"smtp_listen = 2525\nsmtp_out_port = 2525\n", "192.0.2.1", true},
		{"protocols = submission imap\n", "192.0.2.1", false},
		/* one address of several: another mail server may listen on the others */
		{"smtp_listen = 127.0.0.1:25\n", "192.0.2.1", false}, {"smtp_listen = 127.0.0.1:25\n", "127.0.0.1", true},
		{"smtp_listen = [2001:db8::9]:25 198.51.100.7:25\n", "2001:db8::9", true},
		{"smtp_listen = [2001:db8::9]:25 198.51.100.7:25\n", "198.51.100.7", true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct own_addresses o = own(cases[i].settings, &first);
		assert_int_equal(own_addresses_have(&o, cases[i].address), cases[i].is_ours);
		own_addresses_free(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_addresses_of_smtp_listeners_at_the_outgoing_port_are_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
