/* Bytes that several keep in one file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/spool.h"

#include <stdlib.h>

enum { BYTES = 300000 };

static void fill(struct spool *s, struct spooled *what, char first)
{
	for (size_t done = 0; done < BYTES;) {
		char part[1777];
		size_t n = BYTES - done < sizeof part ? BYTES - done : sizeof part;
		for (size_t i = 0; i < n; i++)
			part[i] = (char)(first + (char)((done + i) % 64));
		assert_int_equal(spool_add(s, what, span_of(part, n), NULL), 0);
		done += n;
	}
}

static void look_at(struct spool *s, const struct spooled *what, char first)
{
	BUF_AUTO all = {0};
	for (size_t before = 1; before != all.len && all.len < BYTES;) {
		before = all.len;
		assert_int_equal(spool_read(s, what, all.len, 32768, &all, NULL), 0);
	}
	assert_int_equal(all.len, BYTES);
	for (size_t i = 0; i < BYTES; i++)
		assert_int_equal(all.ptr[i], (char)(first + (char)(i % 64)));
}

static void each_gets_back_what_it_gave(void **state)
{
	struct error why;
	static struct spool *s; /* it goes with the process */
	s = spool_new("/tmp", &why);
	struct spooled a = {0}, b = {0}, c = {0};
	BUF_AUTO nothing = {0};
	(void)state;
	assert_non_null(s);
	fill(s, &a, 0);
	fill(s, &b, 60);
	look_at(s, &a, 0);
	spool_free(s, &a);
	fill(s, &c, 30); /* in the blocks that a had */
	look_at(s, &b, 60);
	look_at(s, &c, 30);
	assert_int_equal(spool_read(s, &c, BYTES, 1000, &nothing, NULL), 0);
	assert_int_equal(nothing.len, 0);
	spool_free(s, &b);
	spool_free(s, &c);
	fill(s, &a, 1);
	look_at(s, &a, 1);
	spool_free(s, &a);
	spool_free(s, &a);
}

static void a_folder_that_is_not_there_is_told(void **state)
{
	struct error why;
	(void)state;
	assert_null(spool_new("/none/such", &why));
	assert_non_null(strstr(why.text, "/none/such"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_gets_back_what_it_gave), cmocka_unit_test(a_folder_that_is_not_there_is_told)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
