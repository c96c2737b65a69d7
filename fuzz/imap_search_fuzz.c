/* SEARCH: any bytes give a tree of bounded depth and size, or a reason. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_AUTO a = {0};
	struct imap_parser p = {.rest = span_of(data, size), .arena = &a};
	struct imap_search search;

	if (imap_take_search(&p, &search) && count_keys(search.root, 0) > IMAP_SEARCH_KEYS_MAX + 100)
		die("too many keys");
	return 0;
}
