/* Mail of this machine's programs: the socket on which edges take it, and the folder where sendmail leaves it while nobody does. */
#ifndef MASTER_LOCAL_H
#define MASTER_LOCAL_H

#include "base/error.h"
#include "master/process.h"

/* Makes the folder and binds run_dir/submit. -1 with *why. */
int local_open(struct master *m, struct error *why);
/* Everything runs: empties the folder, now and from time to time. */
void local_start(struct master *m);
void local_close(struct master *m);

#endif
