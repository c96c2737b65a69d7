/* What APPEND and REPLACE put together: RFC 9051 §6.3.12, with several messages (RFC 3502), messages in parts (RFC 4469), binary ones
 * (RFC 3516 §4.4), those in UTF-8 (RFC 6855 §4) and the replacing of one (RFC 8508). Whoever imports mail says more of a message, in an
 * append-ext of RFC 4466 §2.4: X-CARTEIRO (UID 5 UIDL "its id by POP3" SOURCE 0123456789abcdef0123456789abcdef).
 *
 * The messages' bytes come between the lines of the command, in literals that nobody holds as a whole. So the command is read in chunks,
 * each up to the literal that it announces or to the command's end, and each is a row of steps. */
#ifndef WIRE_IMAP_APPEND_H
#define WIRE_IMAP_APPEND_H

#include "wire/imap_command.h"

enum { IMAP_APPEND_SOURCE_BYTES = 16, IMAP_APPEND_UNIQUE_ID_MOST = 70 };

enum imap_append_kind {
	IMAP_APPEND_BEGIN, /* a message, with its flags and date */
	IMAP_APPEND_TEXT,  /* size_bytes of it come as a literal; the chunk ends here */
	IMAP_APPEND_URL,   /* further bytes of it are those that url names */
	IMAP_APPEND_DONE,  /* the message is whole */
	IMAP_APPEND_END,   /* the command is whole; the chunk ends here */
	IMAP_APPEND_MORE,  /* an argument comes as a literal: the chunk is to be read again when it has it */
	IMAP_APPEND_FAULT, /* p->why */
};

struct imap_append_step {
	enum imap_append_kind kind;
	struct imap_flags flags;
	bool has_date;
	int64_t date_seconds;
	/* of X-CARTEIRO: who may say it is the caller's to know */
	bool has_import;
	uint32_t uid;          /* that it is to have; 0: any */
	struct span unique_id; /* RFC 1939 §7; empty: the usual one */
	bool has_source;       /* a hash of where it comes from */
	unsigned char source[IMAP_APPEND_SOURCE_BYTES];
	uint64_t size_bytes;
	bool is_binary;    /* of a literal8: it may have NULs */
	bool is_whole;     /* the literal is the message, not a part of one */
	struct span url;
};

/* Where the command is. Zeroed is behind the mailbox's name. */
struct imap_append_reader {
	enum {
		IMAP_APPEND_AT_MESSAGE, IMAP_APPEND_AT_LITERAL, IMAP_APPEND_BEHIND_LITERAL, IMAP_APPEND_AT_PART, IMAP_APPEND_BEHIND_PART,
		IMAP_APPEND_AT_UTF8, IMAP_APPEND_BEHIND_UTF8,
	} place;
	unsigned messages; /* that are whole */
};

/* The next step of a chunk, which p holds without its last CR LF. */
enum imap_append_kind imap_append_next(struct imap_parser *p, struct imap_append_reader *r, struct imap_append_step *out);

/* The hash of a source, in hexadecimal digits. */
bool imap_append_take_source(struct imap_parser *p, unsigned char source[IMAP_APPEND_SOURCE_BYTES]);

/* True, with the size, if nothing but a literal's announcement is left: "{5}", "{5+}", or "~{5}" of a literal8. */
bool imap_next_is_literal_head(const struct imap_parser *p, uint64_t *size, bool *is_binary);

/* What a URL of a message on this server names: RFC 5092, relative ones of RFC 4469 §2. */
struct imap_url {
	struct span mailbox;      /* UTF-8; empty: the one that is selected (RFC 4469 §2) */
	uint32_t uidvalidity;     /* 0: whichever it has */
	uint32_t uid;
	struct span section;      /* as FETCH has it between "[" and "]" */
	bool is_partial;
	uint32_t origin, length;  /* length 0: to the end */
};

/* False if it is no such URL. */
bool imap_url_parse(struct span url, struct arena *arena, struct imap_url *out);

#endif
