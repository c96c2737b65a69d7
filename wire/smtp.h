/* SMTP as text: command lines (RFC 5321 §4.1), the bytes of the DATA phase (§4.5.2) and reply lines (§4.2).
 *
 * Pure functions and pure state machines over byte ranges. Spans in the results point into the input.
 * A parser that refuses fills *why with the reply: `code` is the reply code, `text` begins with the enhanced status
 * code (RFC 2034) and can be sent as it is. */
#ifndef WIRE_SMTP_H
#define WIRE_SMTP_H

#include "base/buf.h"
#include "base/error.h"
#include "wire/address.h"

#include <netinet/in.h>

/* Octets of a command line without CR LF. RFC 5321 §4.5.3.1.4 says 512 and extensions add to it; RFC 4954 §4 says 12288
 * for AUTH. */
#define SMTP_COMMAND_MAX 2048
#define SMTP_AUTH_LINE_MAX 12288
/* RFC 5321 §4.5.3.1.5 says 512 for a reply line; servers are seen to send more. */
#define SMTP_REPLY_LINE_MAX 4096
/* Parameters after one address: more than there are extensions. */
#define SMTP_PARAMETERS_MAX 32

enum smtp_verb {
	SMTP_UNKNOWN,
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_LHLO, /* RFC 2033 §4.1 */
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,     /* RFC 3030 */
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_QUIT,
	SMTP_STARTTLS, /* RFC 3207 */
	SMTP_AUTH,     /* RFC 4954 */
	SMTP_XCLIENT,  /* Postfix */
};

struct smtp_command {
	enum smtp_verb verb;
	struct span word;     /* the verb as written: for logs, escaped */
	struct span argument; /* what follows it, without the spaces around */
};

/* Parses a command line without its CR LF. An unknown verb is no fault here: the caller says 500.
 * Returns 0, or -1 with a 500 or 501 reply: too long, control characters, an argument where none is allowed or none
 * where one is needed. out->verb is set even then if it was recognised. */
int smtp_parse_command(struct span line, struct smtp_command *out, struct error *why);

enum smtp_body { SMTP_BODY_UNSAID, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME /* RFC 3030 §3 */ };

/* FUTURERELEASE (RFC 4865 §4): how it was said when the message may leave. */
enum smtp_hold { SMTP_HOLD_UNSAID, SMTP_HOLD_FOR, SMTP_HOLD_UNTIL };

enum { SMTP_PRIORITY_LEAST = -9, SMTP_PRIORITY_MOST = 9 }; /* RFC 6710 §3 */

/* Delivery status notifications: RFC 3461 §4. */
enum smtp_ret { SMTP_RET_UNSAID, SMTP_RET_FULL, SMTP_RET_HDRS };
enum smtp_notify { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 }; /* 0: unsaid */
enum { SMTP_ENVID_MAX = 100, SMTP_ORCPT_MAX = 500 };

struct smtp_mail {
	struct address reverse_path;
	uint64_t size_bytes; /* RFC 1870: as announced; 0 also means unknown */
	bool has_size;
	enum smtp_body body; /* RFC 6152 */
	bool smtputf8;       /* RFC 6531 §3.4 */
	bool has_auth;
	struct span auth; /* RFC 4954 §5: "<>" or xtext, as written */
	enum smtp_ret ret;
	struct span envid; /* xtext, as written; empty: unsaid */
	bool requiretls;   /* RFC 8689 §2 */
	bool has_priority;
	int priority;      /* RFC 6710; 0: unsaid */
	enum smtp_hold hold;
	uint32_t hold_for_s;
	int64_t hold_until_s; /* UTC, since 1970 */
};

/* esmtp-value (RFC 5321 §4.1.2, RFC 6531 §3.3): what may stand behind a parameter's "=". */
bool smtp_is_value(struct span word);

/* Parses the argument of MAIL: "FROM:" Reverse-path *(SP parameter). One or more spaces after the colon are let pass,
 * as many senders put them there. flags: ADDRESS_LOOSE or 0.
 * Returns 0, or -1 with a 501, 553 or 555 reply. */
int smtp_parse_mail(struct span argument, unsigned flags, struct smtp_mail *out, struct error *why);

struct smtp_rcpt {
	struct address forward_path;
	unsigned notify;   /* bits of enum smtp_notify */
	struct span orcpt; /* addr-type ";" xtext, as written; empty: unsaid */
};

/* Parses the argument of RCPT: "TO:" Forward-path *(SP parameter). flags: ADDRESS_UTF8 if this transaction's MAIL had
 * SMTPUTF8, ADDRESS_LOOSE. Returns as smtp_parse_mail. */
int smtp_parse_rcpt(struct span argument, unsigned flags, struct smtp_rcpt *out, struct error *why);
/* "SUCCESS,FAILURE": what NOTIFY was given with; nothing for 0. */
void smtp_format_notify(unsigned notify, struct buf *out);

/* Checks the argument of EHLO, HELO or LHLO: one domain or address literal (RFC 5321 §4.1.1.1). Underscores are let
 * pass, since many machines have them in their names. Returns 0, or -1 with a 501 reply. */
int smtp_check_hello(struct span argument, struct error *why);

/* Parses the argument of BDAT: chunk-size [SP "LAST"] (RFC 3030 §2). Returns 0, or -1 with a 501 reply: then nobody knows how many
 * octets follow. */
int smtp_parse_bdat(struct span argument, uint64_t *size_bytes, bool *is_last, struct error *why);

/* What a proxy says of the client that it speaks for (Postfix's XCLIENT_README). */
struct smtp_xclient {
	char client[INET6_ADDRSTRLEN]; /* its address; empty: unsaid */
	struct buf helo;               /* what it called itself; empty: unsaid. The caller's to free, also after a refusal */
};

/* Parses the argument of XCLIENT: names and values in xtext. Returns 0, or -1 with a 501 reply. */
int smtp_parse_xclient(struct span argument, struct smtp_xclient *out, struct error *why);

/* Undoes xtext (RFC 3461 §4). Returns 0, or -1 and nothing appended if it is not xtext. */
int smtp_xtext_decode(struct span xtext, struct buf *out);

/* ---- The DATA phase ----
 *
 * The message ends at CR LF "." CR LF and nowhere else, so that no other reading of the stream can find a second
 * message in it. A bare CR, bare LF or NUL makes the message one to refuse (has_...), after its real end. */
enum smtp_data_state {
	SMTP_DATA_LINE_START, /* at the beginning, or behind CR LF */
	SMTP_DATA_TEXT,
	SMTP_DATA_CR,
	SMTP_DATA_DOT,    /* "." at the start of a line */
	SMTP_DATA_DOT_CR, /* and CR behind it */
	SMTP_DATA_END,
};

struct smtp_data_scanner {
	enum smtp_data_state state; /* zeroed is ready */
	bool has_bare_cr, has_bare_lf, has_nul;
	uint64_t payload_bytes; /* handed out so far */
};

/* Takes bytes off the front of *in and gives the next range of message (dots unstuffed), which points into *in or to a
 * constant. Call it until it returns false: then *in is used up, or the state is SMTP_DATA_END and *in is what follows
 * the end (the next commands). */
bool smtp_data_scan(struct smtp_data_scanner *s, struct span *in, struct span *payload);

/* True if what was scanned must be refused (550 5.6.0). */
static inline bool smtp_data_is_malformed(const struct smtp_data_scanner *s)
{
	return s->has_bare_cr || s->has_bare_lf || s->has_nul;
}

/* The same faults in a message that comes in chunks, in which no "." means anything. With BINARYMIME they are none in its body, of
 * which every octet counts (RFC 3030 §3); its header is still lines. */
struct smtp_chunk_scanner {
	bool is_binary; /* set by the caller; the rest zeroed is ready */
	bool in_line, in_body;
	bool after_cr;
	bool is_malformed;
};

void smtp_chunk_scan(struct smtp_chunk_scanner *s, struct span piece);
/* The message is whole. */
void smtp_chunk_scan_end(struct smtp_chunk_scanner *s);

/* The sending side. Every line end goes out as CR LF: a bare CR or LF becomes one, so no peer finds an end that we did
 * not write. A message of CR LF lines comes out of smtp_data_scan as it went in. */
struct smtp_dot_stuffer {
	bool in_line; /* zeroed is ready */
	bool after_cr;
};

void smtp_dot_stuff(struct smtp_dot_stuffer *s, struct span piece, struct buf *out);
/* Ends the last line if it has no end, and appends "." CR LF. */
void smtp_dot_stuff_end(struct smtp_dot_stuffer *s, struct buf *out);

/* ---- Replies, as a client reads them ---- */
struct smtp_reply_line {
	unsigned code; /* 200 to 599 */
	bool is_last;
	struct span enhanced; /* "2.1.5" (RFC 2034 §4), empty if there is none or it contradicts the code */
	struct span text;     /* behind both; bytes from outside, to be escaped where shown */
};

/* Parses one reply line without its CR LF. Returns 0, or -1 with *why. */
int smtp_parse_reply_line(struct span line, struct smtp_reply_line *out, struct error *why);

/* Takes an enhanced status code (RFC 3463 §2) off the front of text; its length, 0 if there is none. */
size_t smtp_enhanced_length(struct span text);

#endif
