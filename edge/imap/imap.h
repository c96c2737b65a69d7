/* The server side of IMAP4rev1 (RFC 3501). */
#ifndef EDGE_IMAP_IMAP_H
#define EDGE_IMAP_IMAP_H

#include "edge/connection.h"

extern const struct protocol imap_protocol, local_imap_protocol; /* the latter: of run_dir/imap */

#endif
