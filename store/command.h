/* The commands that a person types and that concern what store has: domain, user, alias, queue, trace. */
#ifndef STORE_COMMAND_H
#define STORE_COMMAND_H

#include "store/store.h"

/* Carries the command out and answers through master's channel: command_output, then command_done. */
void command_run(struct store_peer *master, const struct msg_command *m);
/* Replaces the hash of an account's password by another of the same one, or its keys for SCRAM, in turn with the commands: a new
 * password that was typed meanwhile stays. */
void command_renew(struct store *s, const struct msg_password_renew *m);

/* At the start: erases what a removed account has left, if the process ended amid that. */
void command_erase_removed(struct store *s);

/* vault has made the token that a command asked for. */
void grant_answered(struct store *s, const struct msg_grant_answer *m);
/* Nobody else answers those that wait for it. */
void grants_vault_gone(struct store *s);

#endif
