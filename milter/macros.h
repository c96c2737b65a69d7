/* What a milter is told beside the commands: macros, named as Sendmail names them. */
#ifndef MILTER_MACROS_H
#define MILTER_MACROS_H

#include "milter/inquiry.h"

/* Appends the data of the packet that goes before `command`: the macros of that stage that have a value. names: those that the milter
 * asked for; has_names false: those that Postfix sends. recipient: of MILTER_RCPT. False if there are none. */
bool macros_add(const struct inquiry *m, enum milter_stage stage, char command, struct span names, bool has_names, struct span recipient, struct buf *out);

#endif
