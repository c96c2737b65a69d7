/* Any bytes as a file of aliases: each line once, and no target is empty. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "wire/alias_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line_reader r = {.rest = span_of(data, size)};
	unsigned last = 0;
	for (int more = 1; more;) {
		ARENA_AUTO a = {0};
		struct alias_map_entry e;
		more = alias_map_next(&r, "/bin/a", &a, &e, NULL);
		if (more && r.line <= last)
			die("a line is given twice");
		last = r.line;
		for (size_t i = 0; more > 0 && i < e.count; i++)
			if (!e.targets[i].len || e.targets[i].len > size + 1)
				die("a target that is none");
	}
	return 0;
}
