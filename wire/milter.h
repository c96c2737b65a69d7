/* The milter protocol, version 6, as libmilter (Sendmail's mfdef.h) and Postfix speak it: we ask, the milter answers.
 *
 * A packet is u32 length (of what follows, in network order), one byte that says what it is, and its data. Pure functions over byte
 * ranges; spans in the results point into the input. What a milter sends is checked as if a stranger had sent it. */
#ifndef WIRE_MILTER_H
#define WIRE_MILTER_H

#include "base/buf.h"
#include "base/error.h"

#include <sys/socket.h>

enum {
	MILTER_VERSION = 6,
	MILTER_VERSION_LEAST = 2,
	MILTER_DATA_MAX = 65535,                  /* of one packet: libmilter ends a session that sends more */
	MILTER_PACKET_MAX = 5 + MILTER_DATA_MAX,
	MILTER_FIELD_MAX = 16 * 1024,             /* of a field that a milter adds */
	MILTER_MACROS_MAX = 512,                  /* octets of the names that a milter asks for at one stage */
};

/* What we say. */
enum milter_command {
	MILTER_ABORT = 'A', MILTER_BODY = 'B', MILTER_CONNECT = 'C', MILTER_MACRO = 'D', MILTER_BODY_END = 'E', MILTER_HELO = 'H', MILTER_QUIT_NC = 'K',
	MILTER_HEADER = 'L', MILTER_MAIL = 'M', MILTER_HEADER_END = 'N', MILTER_OPTIONS = 'O', MILTER_QUIT = 'Q', MILTER_RCPT = 'R', MILTER_DATA = 'T',
};

/* What a milter says; MILTER_OPTIONS answers itself. */
enum milter_reply {
	MILTER_ADD_RCPT = '+', MILTER_DELETE_RCPT = '-', MILTER_ADD_RCPT_PAR = '2', MILTER_SHUTDOWN = '4', MILTER_ACCEPT = 'a', MILTER_CONTINUE = 'c',
	MILTER_DISCARD = 'd', MILTER_CHANGE_FROM = 'e', MILTER_CONN_FAIL = 'f', MILTER_ADD_HEADER = 'h', MILTER_INSERT_HEADER = 'i',
	MILTER_CHANGE_HEADER = 'm', MILTER_PROGRESS = 'p', MILTER_QUARANTINE = 'q', MILTER_REJECT = 'r', MILTER_SKIP = 's', MILTER_TEMPFAIL = 't',
	MILTER_REPLY_CODE = 'y',
};

/* What it may change (SMFIF_). */
enum milter_action {
	MILTER_MAY_ADD_HEADERS = 0x1, MILTER_MAY_ADD_RCPT = 0x4, MILTER_MAY_DELETE_RCPT = 0x8, MILTER_MAY_CHANGE_HEADERS = 0x10, MILTER_MAY_QUARANTINE = 0x20,
	MILTER_MAY_CHANGE_FROM = 0x40, MILTER_MAY_ADD_RCPT_PAR = 0x80, MILTER_MAY_NAME_MACROS = 0x100,
	MILTER_ACTIONS = 0x1fd, /* all but changing the body */
};

/* How it wants to be asked (SMFIP_): what it does not want to hear, and what it does not answer. */
enum milter_protocol {
	MILTER_NO_CONNECT = 0x1, MILTER_NO_HELO = 0x2, MILTER_NO_MAIL = 0x4, MILTER_NO_RCPT = 0x8, MILTER_NO_BODY = 0x10, MILTER_NO_HEADERS = 0x20,
	MILTER_NO_HEADER_END = 0x40, MILTER_SILENT_HEADER = 0x80, MILTER_NO_UNKNOWN = 0x100, MILTER_NO_DATA = 0x200, MILTER_MAY_SKIP = 0x400,
	MILTER_SILENT_CONNECT = 0x1000, MILTER_SILENT_HELO = 0x2000, MILTER_SILENT_MAIL = 0x4000, MILTER_SILENT_RCPT = 0x8000, MILTER_SILENT_DATA = 0x10000,
	MILTER_SILENT_UNKNOWN = 0x20000, MILTER_SILENT_HEADER_END = 0x40000, MILTER_SILENT_BODY = 0x80000,
	MILTER_LEADING_SPACE = 0x100000, /* field values go with the space behind their colon */
	MILTER_PROTOCOL = 0x1ff7ff,
};

/* The stages that macros belong to, as a milter numbers them when it names those that it wants. */
enum milter_stage { MILTER_AT_CONNECT, MILTER_AT_HELO, MILTER_AT_MAIL, MILTER_AT_RCPT, MILTER_AT_DATA, MILTER_AT_BODY_END, MILTER_AT_HEADER_END, MILTER_STAGES };

struct milter_packet {
	char kind;
	struct span data;
};

/* Takes one packet off the front of `in`: the octets taken, 0 if it is not whole yet, -1 with *why if it is none or too long. */
ssize_t milter_packet_parse(struct span in, struct milter_packet *out, struct error *why);
/* Appends one; its data is at most MILTER_DATA_MAX. */
void milter_packet_add(struct buf *out, char kind, struct span data);

/* Appends the packet that opens a session: everything that we know. */
void milter_offer_add(struct buf *out);

struct milter_options {
	uint32_t version, actions, protocol;   /* bits that we did not offer are dropped */
	struct span macros[MILTER_STAGES];     /* the names that it wants at a stage, with spaces or commas between them */
	bool has_macros[MILTER_STAGES];        /* it named them, and be it none */
};

/* Reads the answer to the offer. 0, or -1 with *why. */
int milter_options_parse(struct span data, struct milter_options *out, struct error *why);

/* A change that a milter wants: what it has depends on the packet's kind. */
struct milter_change {
	enum milter_reply kind;
	uint32_t index;        /* of MILTER_INSERT_HEADER, from 0; of MILTER_CHANGE_HEADER, from 1 */
	struct span name;      /* of a field */
	struct span value;     /* of a field, empty to delete it; an address without its brackets; the reason of MILTER_QUARANTINE */
};

/* 0; 1 if the packet is no change; -1 with *why if it is a malformed one. Addresses are grammar (RFC 5321 §4.1.2), an empty one is
 * taken for a sender only. */
int milter_change_parse(const struct milter_packet *packet, struct milter_change *out, struct error *why);

/* Appends a field "name: value" CR LF. Line ends in the value, LF or CR LF as libmilter has them, become CR LF; each must have white space
 * behind it, those at its very end are dropped. has_space: the value brings the space behind the colon with it. -1 with *why and
 * nothing appended if that is no field (RFC 5322 §2.2), or longer than MILTER_FIELD_MAX. */
int milter_field_make(struct span name, struct span value, bool has_space, struct buf *out, struct error *why);
/* True if the bytes are nothing but whole fields as milter_field_make makes them. */
bool milter_fields_are_whole(struct span fields);

/* Appends the text of MILTER_REPLY_CODE as one reply line: "550 5.7.1 Spam". Lines are joined, control characters replaced. -1 with *why if it is
 * none that refuses: RFC 5321 §4.2. */
int milter_reply_make(struct span text, struct buf *out, struct error *why);

/* Where a milter listens: "inet:127.0.0.1:11332", "inet:[::1]:8891", "unix:/run/opendkim/opendkim.sock". */
struct milter_socket {
	struct sockaddr_storage address;
	socklen_t length;
};

/* 0, or -1 with *why. Nothing is looked up. */
int milter_socket_parse(struct span text, struct milter_socket *out, struct error *why);

#endif
