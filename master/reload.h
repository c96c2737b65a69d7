/* Changing the configuration of a running instance, and ending it. */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "master/process.h"

/* Reads the file anew; every process gets it, and new edges take over from the old ones. */
int master_reload(struct master *m, struct error *why);
/* Lets vault read the files with keys again, and nothing else. */
void master_reload_keys(struct master *m);
void master_stop(struct master *m);

#endif
