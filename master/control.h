/* The control socket: commands that a person types, guarded by the file's permissions. `status`, `reload` and `stop` are
 * answered here; everything else goes to store as a list of words. */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include "master/process.h"

/* Binds run_dir/control. -1 with *why (another master answers there, or the folder cannot be written). */
int control_open(struct master *m, struct error *why);
void control_close(struct master *m);
void control_store_attached(struct master *m, int fd);
void control_process_ready(struct master *m);
/* What a process says of itself; with no text when it ends or drains before it has answered. */
void control_status_answer(struct master *m, const struct process *p, struct span text);

#endif
