/* master: reads the configuration, binds the ports, starts the other processes, hands each its channels and listeners,
 * starts again what dies, reloads on SIGHUP, stops on SIGTERM and SIGINT, and takes commands on the control socket.
 * It reads no byte from the network. */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "base/error.h"

#include <stdbool.h>

struct master_options {
	const char *config_file;
	bool is_offline;     /* only what commands need: no listener, no relay; ends with the last command's connection */
};

/* Runs until it is told to stop; returns the program's exit status. Errors are on stderr, with what to do. */
int master_run(const struct master_options *options);

#endif
