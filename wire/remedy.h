/* What an administrator can do about the refusals of large receivers, whose words are stable and say little. */
#ifndef WIRE_REMEDY_H
#define WIRE_REMEDY_H

#include "base/span.h"

/* One sentence or two for a reply of another server (code, enhanced status and text, lines joined as they come); NULL: nothing is known. */
const char *remedy_for(struct span reply);

#endif
