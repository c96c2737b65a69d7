/* SEARCH, SORT, THREAD and ESEARCH: any bytes give a tree of bounded depth and size, or a reason. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "base/utf8.h"
#include "wire/imap_search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned count_keys(const struct imap_search_key *key, unsigned depth)
{
	unsigned count = 1, children = 0;

	if (depth > IMAP_NESTING_MAX + 5)
		die("too deep for store");
	if (!utf8_is_valid(key->text))
		die("text is not UTF-8");
	for (const struct imap_search_key *child = key->children; child; child = child->next, children++)
		count += count_keys(child, depth + 1);
	if (children != key->child_count)
		die("children are miscounted");
	return count;
}

static void check(const struct imap_search *search)
{
	unsigned long names = 0;

	if (count_keys(search->root, 0) > IMAP_SEARCH_KEYS_MAX + 100)
		die("too many keys");
	if (search->sort_count > IMAP_SORT_KEYS_MAX)
		die("too many sort keys");
	for (size_t i = 0; i < search->source_count; i++)
		names += search->sources[i].name_count;
	if (names > IMAP_SOURCES_MAX)
		die("too many mailboxes");
	if ((search->want & IMAP_RETURN_PARTIAL) && (search->partial.first == 0 || search->partial.first > search->partial.last))
		die("a partial range that is none");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool (*const parsers[])(struct imap_parser *p, struct imap_search *out) = {
		imap_take_search, imap_take_sort, imap_take_thread, imap_take_esearch};
	for (size_t i = 0; i < sizeof parsers / sizeof parsers[0]; i++) {
		ARENA_AUTO a = {0};
		struct imap_parser p = {.rest = span_of(data, size), .arena = &a};
		struct imap_search search;

		if (parsers[i](&p, &search))
			check(&search);
	}
	return 0;
}
