/* The server side of POP3 (RFC 1939; RFC 2449 CAPA, RFC 2595 STLS, RFC 5034 AUTH, RFC 3206 response codes,
 * RFC 6856 UTF8 and LANG): a view of INBOX as it was at the login. Messages are deleted at QUIT, all in one batch. */
#ifndef EDGE_POP3_POP3_H
#define EDGE_POP3_POP3_H

#include "edge/connection.h"

extern const struct protocol pop3_protocol;

#endif
