/* Any bytes as a .forward: lines go up, targets are bounded and lie within what was read, and what is a program splits or is refused. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "wire/forward_file.h"
#include "wire/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void split(struct span command, struct arena *a)
{
	struct span *words, target;
	ssize_t count = program_words(command, a, &words, NULL);
	if (count == 0 || count > PROGRAM_WORDS_MOST)
		die("a command of %zd words", count);
	for (ssize_t i = 0; i < count; i++)
		if (words[i].len > command.len || memchr(words[i].ptr, 0, words[i].len))
			die("a word that the command does not have");
	if (program_target(command, "/bin/a", a, &target, NULL))
		return;
	/* what stands in the queue is split again when it is run */
	if (!program_is_target(target) || program_words(span_skip(target, PROGRAM_MARK.len), a, &words, NULL) != count || !span_equal(words[0], SPAN("/bin/a")))
		die("a program that is not in the list");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct forward_reader r = {.rest = span_of(data, size)};
	unsigned last = 0;
	ARENA_AUTO a = {0};
	for (int more = 1; more;) {
		struct forward_target t;
		more = forward_file_next(&r, &a, &t, NULL);
		if (r.line < last || r.count > FORWARD_TARGETS_MOST)
			die("lines go back, or there are too many targets");
		last = r.line;
		if (more > 0 && (t.text.len > size || (!t.text.len && t.kind != FORWARD_PROGRAM)))
			die("a target that is none");
		if (more > 0 && t.kind == FORWARD_PROGRAM)
			split(t.text, &a);
	}
	return 0;
}
