/* IMAP commands as text: RFC 3501 §9, with the literals of RFC 7888.
 *
 * Two layers, both pure: a scanner that finds where a command ends while its bytes come in, and a parser over the bytes
 * of a whole command, literals as they stand in it ("{5}" CR LF and five bytes). Results are spans into the command or
 * the arena. What the grammar does not allow fails, and says why in a text fit for a BAD. */
#ifndef WIRE_IMAP_COMMAND_H
#define WIRE_IMAP_COMMAND_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum {
	IMAP_TAG_MAX = 64,               /* clients use a few characters */
	IMAP_NESTING_MAX = 50,           /* attack E75 */
	IMAP_RANGES_MAX = 16384,         /* of one sequence set: attack E77 */
	IMAP_FLAGS_MAX = 100,            /* of one list: more than a mailbox can have */
	IMAP_KEYWORD_MAX = 255,
	IMAP_MAILBOX_NAME_MAX = 1000,    /* bytes of UTF-8 */
};

/* ---- where a command ends ---- */

enum imap_scan_result {
	IMAP_SCAN_MORE,    /* everything was taken, the command goes on */
	IMAP_SCAN_LINE,    /* the command is whole */
	IMAP_SCAN_LITERAL, /* a line ends in a literal's size: imap_scan_literal takes it, or the command ends here */
};

enum { IMAP_SCAN_TAIL = 16 }; /* "{4294967295+}" CR LF */

/* Zeroed is ready for a command. */
struct imap_scanner {
	uint64_t literal_left;        /* bytes of a literal that are still to come */
	uint64_t literal_size;        /* with IMAP_SCAN_LITERAL: as announced; UINT64_MAX if it is no 32-bit number */
	bool literal_waits;           /* the client waits for "+" before it sends it */
	char tail[IMAP_SCAN_TAIL];    /* the end of the line so far */
	unsigned tail_len;
};

/* Looks at the next bytes of the stream. Returns how many of them belong to the command. A line ends at LF; that a CR is
 * missing before it is the parser's complaint. */
size_t imap_scan(struct imap_scanner *s, struct span in, enum imap_scan_result *result);

/* The literal that was announced is part of the command. */
void imap_scan_literal(struct imap_scanner *s);

/* ---- what it says ---- */

/* error.code of a refusal that is not one of grammar: a NO [CANNOT] instead of a BAD. */
enum { IMAP_FAULT_GRAMMAR, IMAP_FAULT_NAME };

struct imap_parser {
	struct span rest;    /* what has not been taken */
	struct arena *arena;
	bool has_utf8_names; /* mailbox names are UTF-8, not modified UTF-7: RFC 6855 §3, RFC 9051 §5.1 */
	struct error why;    /* after a function returned false */
};

/* A parser over a whole command (with its final CR LF) whose results live in the arena. False if it does not end in
 * CR LF. The command's bytes must stay where they are as long as the results are used. */
bool imap_parser_init(struct imap_parser *p, struct span command, struct arena *arena);

bool imap_fail(struct imap_parser *p, const char *text); /* always false */

/* The tag and the SP behind it. */
bool imap_take_tag(struct imap_parser *p, struct span *tag);
bool imap_take_char(struct imap_parser *p, char c);
bool imap_take_space(struct imap_parser *p);
bool imap_take_end(struct imap_parser *p);
/* True, and taken, if the next word is this one: an atom in any case, with SP, ")" or the end behind it. */
bool imap_take_word(struct imap_parser *p, const char *word);
bool imap_next_is(const struct imap_parser *p, char c);

bool imap_take_atom(struct imap_parser *p, struct span *out);
/* string: quoted or literal. Quoted text may have valid UTF-8 too (RFC 9051 §4.3), as clients send it. */
bool imap_take_string(struct imap_parser *p, struct span *out);
/* "~{3}" CR LF and three bytes, which may be any: RFC 9051 §4.3.1. */
bool imap_take_literal8(struct imap_parser *p, struct span *out);
bool imap_take_astring(struct imap_parser *p, struct span *out);
bool imap_take_number(struct imap_parser *p, uint32_t least, uint32_t *out);

/* mailbox, decoded to UTF-8: a name without NUL of at most IMAP_MAILBOX_NAME_MAX bytes, "INBOX" in capitals, also as the first
 * level of a longer name, and one "/" less where it ends in one. */
bool imap_take_mailbox(struct imap_parser *p, struct span *out);
/* Appends a mailbox name, or a pattern, as it was written, in UTF-8. -1 if it is none. */
int imap_decode_name(const struct imap_parser *p, struct span written, struct buf *out);
/* RFC 3501 §5.1: INBOX is INBOX in any case; if more follows, it begins with one of the characters of `behind`. */
void imap_capitalise_inbox(struct buf *name, const char *behind);

/* sequence-set. "*" is IMAP_STAR in a range's `last`, or in both; between numbers first <= last. "$" is what the last SEARCH with SAVE
 * found (RFC 5182). */
struct imap_range {
	uint32_t first, last;
};

struct imap_sequence_set {
	struct imap_range *ranges;
	size_t count;
	bool is_saved; /* "$", and no ranges */
};

#define IMAP_STAR 0 /* no number of a message */

bool imap_take_sequence_set(struct imap_parser *p, struct imap_sequence_set *out);

/* System flags are bits as in RFC 3501 §2.3.2's order below; keywords are names. */
enum imap_flag {
	IMAP_FLAG_SEEN = 1,
	IMAP_FLAG_ANSWERED = 2,
	IMAP_FLAG_FLAGGED = 4,
	IMAP_FLAG_DELETED = 8,
	IMAP_FLAG_DRAFT = 16,
};

struct imap_flags {
	uint8_t system;
	struct span *keywords;
	size_t keyword_count;
};

/* flag-list; with may_be_bare also flags without parentheses, up to the end (STORE). Flag extensions and \Recent are ignored, as
 * RFC 3501 §7.1 says of flags that PERMANENTFLAGS does not name. */
bool imap_take_flags(struct imap_parser *p, bool may_be_bare, struct imap_flags *out);

/* date (RFC 3501 §9), as days since 1970-01-01. */
bool imap_take_date(struct imap_parser *p, int64_t *day);

/* STATUS items. */
enum imap_status_item {
	IMAP_STATUS_MESSAGES = 1,
	IMAP_STATUS_RECENT = 2,
	IMAP_STATUS_UIDNEXT = 4,
	IMAP_STATUS_UIDVALIDITY = 8,
	IMAP_STATUS_UNSEEN = 16,
	IMAP_STATUS_SIZE = 32, /* RFC 8438 */
	IMAP_STATUS_HIGHESTMODSEQ = 64, /* RFC 7162 §3.1.7 */
	IMAP_STATUS_MAILBOXID = 128,    /* RFC 8474 §4.3 */
	IMAP_STATUS_DELETED = 256,      /* RFC 9051 §6.3.11 */
	IMAP_STATUS_APPENDLIMIT = 512,  /* RFC 7889 §3.1 */
	IMAP_STATUS_DELETED_STORAGE = 1024, /* RFC 9208 §4.1.4 */
};

/* "(" status-att *(SP status-att) ")" as bits. */
bool imap_take_status_items(struct imap_parser *p, unsigned *out);

/* True if the text can stand as an atom. */
bool imap_is_atom(struct span text);

#endif
