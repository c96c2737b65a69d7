/* What stands in parentheses behind the arguments of SELECT, FETCH and STORE: RFC 4466 §2.1, §2.4 and §2.5, with what RFC 7162
 * and RFC 9394 put there. Each of the functions takes the space in front too, and nothing where nothing is left. */
#ifndef WIRE_IMAP_MODIFIERS_H
#define WIRE_IMAP_MODIFIERS_H

#include "wire/imap_command.h"

/* mod-sequence-value (RFC 7162 §7): 63 bits. */
bool imap_take_modseq(struct imap_parser *p, uint64_t least, uint64_t *out);

struct imap_select_parameters {
	bool is_condstore, is_qresync;
	/* of QRESYNC */
	uint32_t uidvalidity;
	uint64_t modseq;
	bool has_known;
	struct imap_sequence_set known; /* UIDs without "*" */
	bool has_match;
	struct imap_sequence_set match_numbers, match_uids; /* pairs of them; of one there may be more */
};

bool imap_take_select_parameters(struct imap_parser *p, struct imap_select_parameters *out);

/* RFC 9394 §3.1: positions counted from the first message, or from the last where is_from_end; first <= last. */
struct imap_partial {
	bool is_from_end;
	uint32_t first, last;
};

/* partial-range: "1:100" or "-1:-100". */
bool imap_take_partial_range(struct imap_parser *p, struct imap_partial *out);

struct imap_fetch_modifiers {
	bool has_changed_since, is_vanished, has_partial;
	uint64_t changed_since;
	struct imap_partial partial;
};

bool imap_take_fetch_modifiers(struct imap_parser *p, struct imap_fetch_modifiers *out);

/* "(" "UNCHANGEDSINCE" SP mod-sequence ")" and the space behind it, if they come next. */
bool imap_take_store_modifiers(struct imap_parser *p, bool *has_unchanged_since, uint64_t *unchanged_since);

#endif
