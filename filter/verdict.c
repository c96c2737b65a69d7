/* The header decides; what goes in front is made here. */
#include "filter/verdict.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/pack.h"
#include "base/utf8.h"
#include "filter/fate.h"
#include "filter/milter.h"
#include "ipc/words.h"
#include "wire/address.h"
#include "wire/date.h"
#include "wire/header.h"
#include "wire/lexical.h"
#include "wire/message_cache.h"
#include "wire/message_summary.h"
#include "wire/milter.h"

#include <stdlib.h>

enum {
	CUTS_MOST = 128,
	PREFIX_BYTES_MOST = 32768,
	MILTER_FIELDS_MOST = 5000, /* each is a question to each milter */
	HOPS_MOST = 50,     /* Received fields: more, and it goes round in circles (RFC 5321 §6.3); Postfix has the same */
};

/* What the verdict says, while it is made. */
struct verdict {
	struct message *message;
	enum verdict_outcome outcome;
	const char *text;
	struct buf prefix, cuts, missing; /* missing: fields that a submission did not have */
	unsigned cut_count, hops;
	uint64_t cut_bytes;
	bool has_date, has_message_id, has_from, is_tls_optional;
	bool is_junk;
	const struct milter_said *said; /* what is done of it; NULL: nothing */
	bool has_other_structure;       /* the milters changed what the parsed structure has */
	struct arena memory;
	struct authors authors;
	struct span author_domain;      /* of the From field that a milter put in the place of the author's; empty: it did not */
	struct span date, message_id;
};

/* ---- the header ---- */

static void refuse(struct verdict *v, const char *text)
{
	if (v->outcome == VERDICT_ACCEPT) {
		v->outcome = VERDICT_REFUSE;
		v->text = text;
	}
}

static void put_off(struct verdict *v, const char *text)
{
	if (v->outcome == VERDICT_ACCEPT) {
		v->outcome = VERDICT_LATER;
		v->text = text;
	}
}

static void cut(struct verdict *v, const struct header_field *field)
{
	if (++v->cut_count > CUTS_MOST) {
		refuse(v, "554 5.6.0 Too many fields to take out");
		return;
	}
	pack_u64(&v->cuts, field->offset);
	pack_u64(&v->cuts, field->whole.len);
	v->cut_bytes += field->whole.len;
}

static void add_authors(struct verdict *v, struct span value)
{
	if (authors_add(value, &v->authors) && v->message->kind == DELIVERY_SUBMISSION)
		refuse(v, "550 5.6.0 From, Sender or their Resent- forms are not lists of addresses, or have too many");
}

/* Whom the reader is told that a message is from (RFC 5322 §3.6.2, §3.6.6). */
static bool names_authors(const struct header_field *field)
{
	static const struct span names[] = {SPAN("From"), SPAN("Sender"), SPAN("Resent-From"), SPAN("Resent-Sender")};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (span_equal_nocase(field->name, names[i]))
			return true;
	return false;
}

/* Authentication-Results that claim to be ours (RFC 8601 §5), however the name is written (§2.2: CFWS, quotes, U-labels). */
static bool is_forged_result(struct verdict *v, struct span value)
{
	BUF_AUTO id = {0}, canonical = {0};
	lexical_take_value(&value, &id);
	if (!domain_is_valid(buf_span(&id), ADDRESS_UTF8) || domain_canonical(buf_span(&id), &canonical, NULL))
		return false;
	return span_equal_nocase(buf_span(&canonical), span_cstr(child_hostname(v->message->filter->self)));
}

static void read_header(struct verdict *v)
{
	struct message *m = v->message;
	struct header_reader r = {.header = buf_span(&m->header)};
	struct header_field field;
	bool is_ours = message_is_ours(m);
	size_t count = 0;
	while (header_next(&r, &field)) {
		count++;
		if (span_equal_nocase(field.name, SPAN("Return-Path")))
			cut(v, &field); /* only the last server writes it, which is us (RFC 5321 §4.4) */
		else if (is_ours && (span_equal_nocase(field.name, SPAN("Bcc")) || span_equal_nocase(field.name, SPAN("Resent-Bcc"))))
			cut(v, &field);
		else if (span_equal_nocase(field.name, SPAN("Authentication-Results")) && is_forged_result(v, field.value))
			cut(v, &field);
		else if (span_equal_nocase(field.name, SPAN("Received")))
			v->hops++;
		else if (span_equal_nocase(field.name, SPAN("Date")))
			v->has_date = true;
		else if (span_equal_nocase(field.name, SPAN("Message-ID")))
			v->has_message_id = true;
		else if (span_equal_nocase(field.name, SPAN("TLS-Required")))
			v->is_tls_optional = span_equal_nocase(span_trim(field.value), SPAN("No")); /* RFC 8689 §3 */
		else if (is_ours && names_authors(&field))
			add_authors(v, field.value);
		v->has_from |= span_equal_nocase(field.name, SPAN("From"));
	}
	if (is_ours && !v->has_from)
		v->authors.count = 0; /* a Sender alone is nobody's message */
	if (v->hops > HOPS_MOST)
		refuse(v, "554 5.4.6 Too many hops: the message goes round in circles");
	if (m->asking && count > MILTER_FIELDS_MOST)
		refuse(v, "552 5.3.4 The header has too many fields");
	if (m->header.len > HEADER_BYTES_MOST)
		refuse(v, "552 5.3.4 The header is too large");
}

/* ---- what the milters did ---- */

/* Fields are numbered in this order, which verdict_change walks too. */
void verdict_fields(const struct verdict *v, void (*each)(void *context, struct span whole), void *context)
{
	struct header_reader missing = {.header = buf_span(&v->missing)}, r = {.header = buf_span(&v->message->header)};
	struct unpacker cuts = {.rest = buf_span(&v->cuts)};
	struct header_field field;
	uint64_t next_cut = unpack_u64(&cuts);
	while (header_next(&missing, &field))
		each(context, field.whole);
	while (header_next(&r, &field)) {
		if (!cuts.bad && field.offset == next_cut) {
			unpack_u64(&cuts); /* its length */
			next_cut = unpack_u64(&cuts);
			continue;
		}
		each(context, field.whole);
	}
}

/* Which fields the parsed structure is made of: the envelope (RFC 9051 §7.5.2), MIME, and what threads are made by. */
static bool is_of_structure(struct span name)
{
	static const struct span names[] = {SPAN("Date"), SPAN("Subject"), SPAN("From"), SPAN("Sender"), SPAN("Reply-To"), SPAN("To"), SPAN("Cc"), SPAN("Bcc"),
	                                    SPAN("In-Reply-To"), SPAN("Message-ID"), SPAN("References"), SPAN("MIME-Version")};
	bool is_one = span_starts_with_nocase(name, SPAN("Content-"));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		is_one |= span_equal_nocase(name, names[i]);
	return is_one;
}

/* What the milters take out: the numbers, ascending. */
struct removal {
	struct unpacker numbers;
	uint32_t next, at;
	bool has_next;
};

static void take_number(struct removal *r)
{
	r->has_next = r->numbers.rest.len > 0;
	r->next = r->has_next ? unpack_u32(&r->numbers) : 0;
}

/* Whether the field whose turn it is stays. */
static bool stays(struct verdict *v, struct removal *r, struct span name)
{
	bool is_next = r->has_next && r->next == r->at;
	r->at++;
	if (is_next) {
		take_number(r);
		v->has_other_structure |= is_of_structure(name);
	}
	return !is_next;
}

/* Cuts are ascending: those of read_header, and the milters' between them. */
static void remove_fields(struct verdict *v, struct removal *removal)
{
	struct header_reader missing = {.header = buf_span(&v->missing)}, r = {.header = buf_span(&v->message->header)};
	struct buf old_missing = v->missing, old_cuts = v->cuts;
	struct unpacker cuts = {.rest = buf_span(&old_cuts)};
	struct header_field field;
	uint64_t next_cut = unpack_u64(&cuts);
	v->missing = v->cuts = (struct buf){0};
	v->cut_count = 0;
	v->cut_bytes = 0;
	while (header_next(&missing, &field))
		if (stays(v, removal, field.name))
			buf_add(&v->missing, field.whole);
	while (header_next(&r, &field)) {
		bool is_cut = !cuts.bad && field.offset == next_cut;
		if (is_cut) {
			unpack_u64(&cuts);
			next_cut = unpack_u64(&cuts);
		}
		if (is_cut || !stays(v, removal, field.name))
			cut(v, &field);
	}
	buf_free(&old_missing);
	buf_free(&old_cuts);
}

static void read_front(struct verdict *v, struct span fields)
{
	struct header_reader r = {.header = fields};
	struct header_field field;
	struct authors authors = {0};
	while (header_next(&r, &field)) {
		v->has_other_structure |= is_of_structure(field.name);
		if (!span_equal_nocase(field.name, SPAN("From")) || authors_add(field.value, &authors) || !authors.count)
			continue;
		v->author_domain = arena_dup(&v->memory, span_skip(authors.list[0], (size_t)(span_rchr(authors.list[0], '@') + 1)));
	}
	arena_free(&authors.memory);
}

static bool sender_is_valid(struct span sender)
{
	struct address address;
	return sender.len == 0 || address_parse_mailbox(sender, ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL) == 0;
}

/* Does what they say. -1 if it makes no sense: then they were asked about something else. */
static int change(struct verdict *v, const struct milter_said *said)
{
	struct removal removal = {.numbers = {.rest = buf_span(&said->removed)}};
	if (!milter_fields_are_whole(buf_span(&said->above)) || !milter_fields_are_whole(buf_span(&said->behind)) || !sender_is_valid(buf_span(&said->sender)))
		return -1;
	take_number(&removal);
	remove_fields(v, &removal);
	if (removal.has_next || removal.numbers.bad || removal.at != said->came)
		return -1;
	read_front(v, buf_span(&said->above));
	read_front(v, buf_span(&said->behind));
	v->said = said;
	if (said->has_sender) {
		buf_clear(&v->message->reverse_path);
		buf_add(&v->message->reverse_path, buf_span(&said->sender));
	}
	return 0;
}

static void obey_milters(struct verdict *v, const struct milter_said *said)
{
	const char *text = arena_dup(&v->memory, buf_span(&said->text)).ptr;
	switch (said->outcome) {
	case VERDICT_ACCEPT:
		if (change(v, said))
			put_off(v, "451 4.3.0 The milters' answer cannot be followed, try again later");
		break;
	case VERDICT_REFUSE: refuse(v, text); break;
	case VERDICT_LATER: put_off(v, text); break;
	case VERDICT_DISCARD:
		if (v->outcome == VERDICT_ACCEPT)
			v->outcome = VERDICT_DISCARD;
		break;
	}
}

/* ---- what goes in front ---- */

/* RFC 5321 §4.4: Return-Path and Received. What the client said was checked as grammar by edge; here it only must not break
 * the field. */
static void add_trace(struct verdict *v)
{
	struct message *m = v->message;
	char id[ID128_TEXT_BYTES + 1];
	struct buf *out = &v->prefix;
	bool is_six = span_chr(buf_span(&m->client), ':') >= 0;
	buf_add_cstr(out, "Return-Path: <");
	buf_add(out, buf_span(&m->reverse_path));
	buf_add_cstr(out, ">\r\n");
	if (v->said)
		buf_add(out, buf_span(&v->said->above));
	if (m->authentication && child_config(m->filter->self)->sender_checks != SENDER_CHECKS_OFF)
		authentication_write(m->authentication, out);
	if (m->sealing)
		buf_add(out, sealing_fields(m->sealing));
	if (m->signing)
		buf_add(out, signing_fields(m->signing));
	buf_add_cstr(out, "Received: from ");
	buf_add(out, m->helo.len ? buf_span(&m->helo) : SPAN("unknown"));
	if (m->kind == DELIVERY_LOCAL) {
		buf_add_cstr(out, " (");
		buf_add(out, buf_span(&m->client));
		buf_add_char(out, ')');
	} else if (m->kind != DELIVERY_SUBMISSION) {
		struct span name = m->authentication ? authentication_client_name(m->authentication) : SPAN("");
		buf_add_cstr(out, " (");
		buf_add(out, m->authentication && !name.len ? SPAN("unknown") : name);
		buf_add_cstr(out, m->authentication ? " " : "");
		buf_add_cstr(out, is_six ? "[IPv6:" : "[");
		buf_add(out, buf_span(&m->client));
		buf_add_cstr(out, "])");
	}
	buf_printf(out, "\r\n\tby %s (carteiro) with ", child_hostname(m->filter->self));
	buf_add(out, buf_span(&m->with));
	buf_printf(out, " id %.*s", SPAN_ARG(id128_text(m->id, id)));
	if (m->tls.len) {
		buf_add_cstr(out, "\r\n\t(");
		buf_add(out, buf_span(&m->tls));
		buf_add_char(out, ')');
	}
	if (m->recipient.len) {
		buf_add_cstr(out, "\r\n\tfor <");
		buf_add(out, buf_span(&m->recipient));
		buf_add_char(out, '>');
	}
	if (m->priority != PRIORITY_NORMAL)
		buf_printf(out, "\r\n\tpriority %d", m->priority - PRIORITY_NORMAL); /* RFC 6710 §7 */
	buf_add_cstr(out, "; ");
	date_format(clock_wall_s(), out);
	buf_add_cstr(out, "\r\n");
}

/* RFC 6409 §8.2 and §8.3 */
static void make_missing(struct verdict *v)
{
	struct message *m = v->message;
	char id[ID128_TEXT_BYTES + 1];
	if (!message_is_ours(m))
		return;
	if (!v->has_date) {
		BUF_AUTO date = {0};
		date_format(clock_wall_s(), &date);
		v->date = arena_dup(&v->memory, buf_span(&date));
		buf_add_cstr(&v->missing, "Date: ");
		buf_add(&v->missing, v->date);
		buf_add_cstr(&v->missing, "\r\n");
	}
	if (!v->has_message_id) {
		BUF_AUTO message_id = {0};
		buf_printf(&message_id, "<%.*s@%s>", SPAN_ARG(id128_text(m->id, id)), child_hostname(m->filter->self));
		v->message_id = arena_dup(&v->memory, buf_span(&message_id));
		buf_add_cstr(&v->missing, "Message-ID: ");
		buf_add(&v->missing, v->message_id);
		buf_add_cstr(&v->missing, "\r\n");
	}
}

/* ---- the verdict ---- */

/* Offsets in the parsed structure are those of the message as it is kept: prefix, then what came less the cuts, all of
 * which lie in the root header. */
static void shift_tree(struct mime_tree *tree, const struct verdict *v)
{
	uint64_t delta = v->prefix.len - v->cut_bytes; /* may wrap: what it is added to brings it back */
	for (uint32_t i = 0; i < tree->part_count; i++) {
		if (i == 0) {
			tree->parts[i].header_len += delta;
		} else {
			tree->parts[i].header_offset += delta;
		}
		tree->parts[i].body_offset += delta;
	}
	tree->size_bytes += delta;
	tree->field_count = 0;
	tree->fields_truncated = true;
	struct mime_envelope *envelope = tree->parts[0].envelope;
	if (!envelope)
		return;
	if (v->date.len)
		envelope->date = v->date;
	if (v->message_id.len)
		envelope->message_id = v->message_id;
	if (message_is_ours(v->message))
		envelope->bcc = (struct span){0};
}

static void say(struct verdict *v, const struct mime_tree *tree, struct span report)
{
	struct message *m = v->message;
	BUF_AUTO cache = {0}, authors = {0}, thread_ids = {0};
	unsigned char digest[32];
	EVP_DigestFinal_ex(m->sha256, digest, NULL);
	struct span message_id = tree->parts[0].envelope ? tree->parts[0].envelope->message_id : SPAN("");
	static const struct milter_said nothing;
	const struct milter_said *said = v->said ? v->said : &nothing;
	if (v->outcome == VERDICT_ACCEPT && !v->has_other_structure) /* otherwise it is parsed anew when somebody wants to know */
		message_cache_pack(tree, &cache);
	if (tree->parts[0].envelope)
		message_summary_thread(tree->parts[0].envelope, &thread_ids);
	words_pack(&authors, v->authors.list, v->authors.count);
	if (authors.len > 8192) {
		refuse(v, "550 5.7.1 Too many authors");
		buf_clear(&authors);
	}
	if (v->prefix.len > PREFIX_BYTES_MOST || tree->parts[0].header_len > UINT32_MAX)
		refuse(v, "552 5.3.4 The header is too large");
	m->filter->judged_count++;
	m->filter->refused_count += v->outcome == VERDICT_REFUSE;
	channel_send(m->filter->store, verdict, .delivery = m->id, .outcome = (uint8_t)v->outcome, .is_junk = v->is_junk, .is_held = said->is_held, .has_sender = said->has_sender,
	             .sender = buf_span(&said->sender), .rcpt_added = buf_span(&said->rcpt_added), .rcpt_removed = buf_span(&said->rcpt_removed), .text = span_cstr(v->text ? v->text : ""), .tls_report = report,
	             .prefix = span_slice(buf_span(&v->prefix), 0, PREFIX_BYTES_MOST), .cuts = span_slice(buf_span(&v->cuts), 0, 4096),
	             .sha256 = span_of(digest, sizeof digest), .size = m->size, .has_8bit = tree->has_8bit || utf8_has_8bit(buf_span(&said->above)) || utf8_has_8bit(buf_span(&said->behind)), .is_tls_optional = v->is_tls_optional,
	             .header_bytes = (uint32_t)tree->parts[0].header_len, .authors = buf_span(&authors),
	             .message_id = span_slice(span_trim(message_id), 0, 1000), .thread_ids = buf_span(&thread_ids), .cache = buf_span(&cache));
}

/* Of a message that is taken although its author's policy is against it. */
static void remark_override(struct verdict *v)
{
	struct span sealer = authentication_overridden_by(v->message->authentication);
	BUF_AUTO remark = {0};
	if (v->outcome != VERDICT_ACCEPT || !sealer.len)
		return;
	buf_printf(&remark, "DMARC overridden by the seal of %.*s", SPAN_ARG(sealer));
	v->text = arena_dup(&v->memory, buf_span(&remark)).ptr;
}

static void judge_sender(struct verdict *v)
{
	const struct message *m = v->message;
	BUF_AUTO reply = {0};
	if (!m->authentication)
		return;
	enum fate fate = fate_of(m->authentication, child_config(m->filter->self), &reply);
	const char *text = arena_dup(&v->memory, buf_span(&reply)).ptr;
	switch (fate) {
	case FATE_TAKE: remark_override(v); break;
	case FATE_JUNK: v->is_junk = true; break;
	case FATE_LATER: put_off(v, text); break;
	case FATE_REFUSE: refuse(v, text); break;
	}
}

struct verdict *verdict_new(struct message *m)
{
	struct verdict *v = xcalloc(1, sizeof *v);
	*v = (struct verdict){.message = m, .outcome = VERDICT_ACCEPT};
	if (m->kind == DELIVERY_APPEND)
		return v;
	read_header(v);
	make_missing(v);
	return v;
}

void verdict_judge(struct verdict *v, const struct milter_said *said)
{
	judge_sender(v);
	if (said)
		obey_milters(v, said);
}

bool verdict_is_good(const struct verdict *v)
{
	return v->outcome == VERDICT_ACCEPT;
}

void verdict_header(const struct verdict *v, struct buf *out)
{
	struct span header = buf_span(&v->message->header);
	struct unpacker cuts = {.rest = buf_span(&v->cuts)};
	size_t at = 0;
	if (v->said) {
		buf_add(out, buf_span(&v->said->above));
		buf_add(out, buf_span(&v->said->behind));
	}
	buf_add(out, buf_span(&v->missing));
	while (cuts.rest.len) {
		size_t offset = (size_t)unpack_u64(&cuts), len = (size_t)unpack_u64(&cuts);
		buf_add(out, span_slice(header, at, offset - at));
		at = offset + len;
	}
	buf_add(out, span_skip(header, at));
}

struct span verdict_author_domain(const struct verdict *v)
{
	if (v->outcome != VERDICT_ACCEPT || !v->authors.count)
		return SPAN("");
	if (v->author_domain.len)
		return v->author_domain;
	struct span author = v->authors.list[0];
	return span_skip(author, (size_t)(span_rchr(author, '@') + 1));
}

void verdict_give(struct verdict *v)
{
	struct message *m = v->message;
	struct mime_tree tree = *mime_parser_finish(m->parser);
	BUF_AUTO report = {0};
	if (m->tls_report && v->outcome == VERDICT_ACCEPT)
		tls_report_read(m->tls_report, &tree, m->authentication, &report); /* before its offsets are others */
	if (m->kind == DELIVERY_APPEND) {
		if (tree.has_nul && !(m->facts & FACT_BINARY))
			refuse(v, "554 5.6.0 NUL in the message"); /* RFC 3501 §9: no CHAR8 */
	} else {
		if (m->signing && signing_is_lost(m->signing))
			put_off(v, "451 4.3.0 Cannot be signed now, try again later");
		if (m->sealing && sealing_is_lost(m->sealing))
			put_off(v, "451 4.3.0 Cannot be sealed now, try again later");
		add_trace(v);
		if (v->said)
			buf_add(&v->prefix, buf_span(&v->said->behind));
		buf_add(&v->prefix, buf_span(&v->missing));
		shift_tree(&tree, v);
	}
	if (m->filter->store)
		say(v, &tree, buf_span(&report));
}

void verdict_free(struct verdict *v)
{
	if (!v)
		return;
	buf_free(&v->prefix);
	buf_free(&v->missing);
	buf_free(&v->cuts);
	arena_free(&v->memory);
	arena_free(&v->authors.memory);
	free(v);
}
