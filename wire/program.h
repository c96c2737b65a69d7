/* Programs that mail is handed to: "|command" of an alias or a .forward. A command is split into words here, as a shell would do it, and no
 * shell ever sees it: characters that would mean something to one are refused, so that nobody believes that they do.
 *
 * A target of an alias is an address, or such a program behind PROGRAM_MARK. No address begins with that: the space would have to be quoted
 * (RFC 5321 §4.1.2), and then it begins with the quote. */
#ifndef WIRE_PROGRAM_H
#define WIRE_PROGRAM_H

#include "base/arena.h"
#include "base/error.h"

enum { PROGRAM_BYTES_MOST = 480, PROGRAM_WORDS_MOST = 64 };
#define PROGRAM_MARK SPAN("| ")

bool program_is_target(struct span target);

/* Splits a command: blanks between words, quotes of both kinds, a backslash before any character outside '...'. The words are in the arena,
 * each with a NUL behind it. How many, at least 1; or -1 with *why. */
ssize_t program_words(struct span command, struct arena *a, struct span **words, struct error *why);

/* True if the path is one of the words of the setting `pipes`. */
bool program_is_allowed(const char *setting, struct span path);

/* The target, in the arena, of a command without its "|". 0; -1 with *why if it is no command, or one that the setting does not have. */
int program_target(struct span command, const char *setting, struct arena *a, struct span *target, struct error *why);

#endif
