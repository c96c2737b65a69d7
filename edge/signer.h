/* The TLS key's work, asked of vault (base/tls.h). */
#ifndef EDGE_SIGNER_H
#define EDGE_SIGNER_H

#include "edge/edge.h"

enum { HANDSHAKES_MOST = 5000 }; /* that wait: each holds some 22 KB */

void signer_start(struct edge_process *e);
void signer_answered(struct edge_process *e, const struct msg_sign_answer *m);
void signer_vault_gone(struct edge_process *e);

#endif
