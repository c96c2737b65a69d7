/* The process that reads a .forward: see master/home.h. */
#ifndef MASTER_HOME_READ_H
#define MASTER_HOME_READ_H

#include "base/buf.h"

enum { HOME_FORWARD_BYTES_MOST = 65536, HOME_TEXT_BYTES_MOST = 300 };

/* Looks the user up, becomes him (if it is root that asks), and reads his .forward. The answer is enum home_outcome as one byte, the text of
 * home_answer, a NUL, and the file's bytes. May take for ever. Only for a process that does nothing else. */
void home_read(const char *name, struct buf *answer);

#endif
