/* The one place in carteiro that starts another program. */
#ifndef PIPE_RUN_H
#define PIPE_RUN_H

#include "base/arena.h"
#include "base/error.h"
#include "config/config.h"

#include <sys/types.h>

struct run {
	const struct config *config;
	struct span user;              /* empty: pipe_user */
	struct span command;
	struct span sender, recipient; /* of the envelope */
};

/* Starts it in a session of its own, with `input` as standard input and a pipe for its output, whose end is *output. What the user lacks, or
 * the program, is said in its output, with EX_TEMPFAIL. Returns its pid; -1 with *why if there is no such command in the setting, or no
 * process can be made. */
pid_t run_program(const struct run *r, int input, int *output, struct error *why);

/* Takes from this process what its programs must not inherit; to be called once, at its start. */
void run_prepare(void);

#endif
