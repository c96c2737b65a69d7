/* The passwords of an account's applications: each has a name, is for some protocols, and may expire. They are made by the server and
 * kept as their SHA-256: a slow hash protects what people choose, and nobody tries all of 140 bits, whatever one try costs. So a login
 * by one is a single look-up, and costs no yescrypt, and an account with many of them is no heavier to guess at than one with none.
 *
 * Rows of the directory: "w" u64 account, digest -> what it is; "v" u64 account, digest -> when it was last used, and by which protocol. */
#ifndef STORE_DIRECTORY_APP_PASSWORD_H
#define STORE_DIRECTORY_APP_PASSWORD_H

#include "store/store.h"

enum { APP_PASSWORDS_MOST = 100 /* of an account */ };

/* Bits of what one is for. */
enum app_protocol { APP_IMAP = 1, APP_POP3 = 2, APP_SMTP = 4, APP_JMAP = 8, APP_EVERYTHING = 15 };

struct app_password {
	struct span digest; /* APP_DIGEST_BYTES */
	struct span name;   /* at most APP_NAME_BYTES_MOST bytes */
	uint8_t protocols;
	int64_t made_s, expires_s; /* 0: never */
	int64_t used_s;            /* 0: not yet */
	struct span used_by;       /* the protocol */
};

/* The bits of "imap,smtp"; 0 if a word of it is none. */
uint8_t app_protocols_parse(struct span words);
void app_protocols_print(uint8_t protocols, struct buf *out);

/* Whether the account has an application with that password which may be used for the protocol (as edges call it: "imap", "pop3",
 * "submission") now. It is appended to *name, and *expires_s is set, whatever the outcome, where it has one. An empty digest: APP_NONE. */
enum app_outcome app_password_find(struct store *s, uint64_t account, struct span digest, struct span protocol, struct buf *name, int64_t *expires_s);
/* It was used just now: written now and then, and nobody waits for it. */
void app_password_used(struct store *s, uint64_t account, struct span digest, struct span protocol);
/* Calls each(context, password) for all that the account has, expired ones too, until one returns true; then returns true. */
bool app_passwords_walk(struct store *s, uint64_t account, bool (*each)(void *context, const struct app_password *p), void *context);

/* In the batch, whose commit makes it so. */
void app_password_put(struct batch *b, uint64_t account, const struct app_password *p);
void app_password_delete(struct batch *b, uint64_t account, struct span digest);
void app_passwords_delete_all(struct batch *b, uint64_t account);

#endif
