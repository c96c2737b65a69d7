/* Reading the configuration, at the start and again. */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "master/process.h"

/* Reads and checks the file into *m; -1 with *why, and *m as it was. */
int master_read_config(struct master *m, struct error *why);
/* Binds what the configuration names and is not bound yet, closes what it no longer names. -1 with *why. */
int master_bind(struct master *m, struct error *why);
/* Reads the file anew; every process gets it, and new edges take over from the old ones. */
int master_reload(struct master *m, struct error *why);
void master_stop(struct master *m);

#endif
