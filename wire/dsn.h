/* Delivery status notifications, bounces and reports of success: RFC 3464 in the multipart/report of RFC 6522.
 *
 * Every text given may come from outside: control characters become spaces, what is not ASCII is encoded, and lengths
 * are cut, so that no text can end a field or add one. */
#ifndef WIRE_DSN_H
#define WIRE_DSN_H

#include "base/buf.h"
#include "wire/language.h"

#define DSN_HEADER_MAX (50 * 1024) /* of the original header that is returned: no bounce is much larger than what caused it */
#define DSN_TEXT_MAX 900           /* of any one text; a field stays below the 998 octets of RFC 5322 §2.1.1 */
#define DSN_RECIPIENTS_MAX 100000 /* recipients_most's largest value */

/* RFC 3464 §2.3.3. */
enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };

struct dsn_recipient {
	enum dsn_action action;
	struct span address;    /* the final recipient */
	struct span original;   /* as the sender gave it, if it was different; or empty */
	struct span original_type; /* its type, where the sender's ORCPT named one (RFC 3461 §4.2); empty: told by the text */
	struct span status;     /* "5.1.1"; anything that does not go with the action is sent as 5.0.0, 4.0.0 or 2.0.0 */
	struct span remote_mta; /* host that refused it; empty if this one did */
	struct span diagnostic; /* its reply, "550 5.1.1 no such user"; or empty */
	int64_t last_attempt;   /* UTC seconds, 0 if unknown */
};

struct dsn {
	struct span reporting_mta; /* our host name */
	struct span postmaster;    /* address in From */
	struct span recipient;     /* To: the original envelope sender */
	struct span message_id;    /* of the notification, with its angle brackets; unique */
	struct span boundary;      /* unique, of letters and digits; at most 60 */
	struct span queue_id;      /* ours of the original message, or empty */
	struct span envelope_id;   /* the sender's (RFC 3461 §4.4), decoded; or empty */
	int64_t now, arrival;      /* UTC seconds; arrival 0 if unknown */
	const struct dsn_recipient *recipients;
	size_t recipient_count;      /* those beyond DSN_RECIPIENTS_MAX are left out */
	struct span original_header; /* with or without its blank line; cut at a field to DSN_HEADER_MAX */
	enum language language;      /* of what is said to people; all else is for programs */
	struct span original_message; /* the whole of it, to be returned in place of the header; or empty */
};

/* Appends the whole notification, CR LF lines. It is sent from the null reverse-path. 7-bit unless the original header, or
 * the language, is not, which is then declared. */
void dsn_build(const struct dsn *dsn, struct buf *out);

#endif
