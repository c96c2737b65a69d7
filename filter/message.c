/* One message: its structure, its trace fields, its verdict. */
#include "filter/message.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"
#include "filter/authenticate.h"
#include "ipc/words.h"
#include "wire/address_list.h"
#include "wire/date.h"
#include "wire/header.h"
#include "wire/message_cache.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum {
	HEADER_BYTES_MOST = 1024 * 1024,
	CUTS_MOST = 128,
	PREFIX_BYTES_MOST = 32768,
	HOPS_MOST = 50,     /* Received fields: more, and it goes round in circles (RFC 5321 §6.3); Postfix has the same */
	AUTHORS_MOST = 100,
};

struct message {
	struct filter_process *filter;
	struct filter_edge *edge;
	struct id128 id;
	uint8_t kind, facts;
	struct buf reverse_path, client, helo, with, tls, recipient;
	struct mime_parser *parser;
	EVP_MD_CTX *sha256;
	uint64_t size;
	struct buf header;       /* its first bytes, until the blank line is in them */
	bool has_header, has_ended;
	struct authentication *authentication; /* NULL: the sender is not checked */
};

struct authors {
	struct arena memory;
	struct span list[AUTHORS_MOST];
	size_t count;
};

/* What the verdict says, while it is made. */
struct verdict {
	struct message *message;
	enum verdict_outcome outcome;
	const char *text;
	struct buf prefix, cuts, added; /* added: fields of a submission that were missing */
	unsigned cut_count, hops;
	uint64_t cut_bytes;
	bool has_date, has_message_id, has_from;
	bool is_junk;
	struct arena memory;
	struct authors authors;
	struct span date, message_id;
};

static struct message *find(struct filter_edge *e, struct id128 id)
{
	struct message *m = map_get(&e->filter->judged, id128_hash(id));
	return m && m->edge == e && id128_equal(m->id, id) ? m : NULL;
}

static void free_message(struct message *m)
{
	map_take(&m->filter->judged, id128_hash(m->id));
	struct buf *bufs[] = {&m->reverse_path, &m->client, &m->helo, &m->with, &m->tls, &m->recipient, &m->header};
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
		buf_free(bufs[i]);
	authentication_free(m->authentication);
	mime_parser_free(m->parser);
	EVP_MD_CTX_free(m->sha256);
	free(m);
}

/* Strangers only: not what this machine itself sends, nor neighbours and users. */
static void start_authentication(struct message *m)
{
	struct authentication_facts facts = {
		.client_address = buf_span(&m->client), .helo = buf_span(&m->helo), .reverse_path = buf_span(&m->reverse_path)};
	bool is_local = span_starts_with(facts.client_address, SPAN("127.")) || span_equal(facts.client_address, SPAN("::1"));
	if (m->kind == DELIVERY_SMTP && !is_local && child_config(m->filter->self)->sender_checks != SENDER_CHECKS_OFF)
		m->authentication = authentication_new(m->filter, &facts);
}

int message_begin(struct filter_edge *e, const struct msg_judge_begin *b)
{
	struct filter_process *f = e->filter;
	if (map_get(&f->judged, id128_hash(b->delivery)))
		return -1;
	struct message *m = xcalloc(1, sizeof *m);
	*m = (struct message){.filter = f, .edge = e, .id = b->delivery, .kind = b->kind, .facts = b->facts};
	buf_add(&m->reverse_path, b->reverse_path);
	buf_add(&m->client, b->client_address);
	buf_add(&m->helo, b->helo);
	buf_add(&m->with, b->with);
	buf_add(&m->tls, b->tls);
	buf_add(&m->recipient, b->recipient);
	m->parser = mime_parser_new(NULL);
	m->sha256 = EVP_MD_CTX_new();
	if (!m->sha256 || EVP_DigestInit_ex(m->sha256, EVP_sha256(), NULL) != 1)
		die("filter: no SHA-256");
	map_put(&f->judged, id128_hash(m->id), m);
	start_authentication(m);
	return 0;
}

/* Where the body begins in `kept`, whose first `looked_at` bytes have no empty line; 0: not yet. Lines may end as they like. */
static size_t header_end(struct span kept, size_t looked_at)
{
	static const struct span ends[] = {SPAN("\n\r\n"), SPAN("\n\n")};
	size_t from = looked_at > 3 ? looked_at - 3 : 0, first = 0;
	if (span_starts_with(kept, SPAN("\r\n")) || span_starts_with(kept, SPAN("\n")))
		return kept.ptr[0] == '\n' ? 1 : 2; /* there is none */
	for (size_t i = 0; i < 2; i++) {
		ssize_t at = span_find(span_skip(kept, from), ends[i]);
		if (at >= 0 && (!first || from + (size_t)at + ends[i].len < first))
			first = from + (size_t)at + ends[i].len;
	}
	return first;
}

/* Keeps the header: up to the first empty line. */
static void keep_header(struct message *m, struct span piece)
{
	size_t before = m->header.len;
	buf_add(&m->header, span_slice(piece, 0, HEADER_BYTES_MOST + 1 - before));
	size_t end = header_end(buf_span(&m->header), before);
	m->has_header = end || m->header.len > HEADER_BYTES_MOST;
	if (!m->has_header || !m->authentication)
		return;
	authentication_header(m->authentication, span_slice(buf_span(&m->header), 0, end));
	if (end)
		authentication_body(m->authentication, span_skip(piece, end - before));
}

int message_piece(struct filter_edge *e, const struct msg_judge_piece *p)
{
	struct message *m = find(e, p->delivery);
	if (!m || m->has_ended)
		return -1;
	if (!m->has_header)
		keep_header(m, p->bytes);
	else if (m->authentication)
		authentication_body(m->authentication, p->bytes);
	m->size += p->bytes.len;
	EVP_DigestUpdate(m->sha256, p->bytes.ptr, p->bytes.len);
	mime_parser_feed(m->parser, p->bytes);
	channel_send(e->channel, judge_credit, .delivery = m->id, .pieces = 1);
	return 0;
}

void message_cancel(struct filter_edge *e, struct id128 delivery)
{
	struct message *m = find(e, delivery);
	if (m)
		free_message(m);
}

void message_edge_gone(struct filter_edge *e)
{
	size_t at = 0;
	struct message *m;
	while ((m = map_next(&e->filter->judged, &at)))
		if (m->edge == e)
			free_message(m);
}

/* ---- the header ---- */

static void refuse(struct verdict *v, const char *text)
{
	if (v->outcome == VERDICT_ACCEPT) {
		v->outcome = VERDICT_REFUSE;
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

/* Adds the field's addresses. -1 if there are too many, or if it has something in it that no address list has: to the one who reads
 * it that could be an address, so only what is grammar through and through is taken. */
static int add_addresses(struct span value, struct authors *to)
{
	BUF_AUTO unfolded = {0};
	header_unfold(value, &unfolded);
	struct address_list_reader r = {.rest = buf_span(&unfolded)};
	struct address_list_entry entry;
	bool is_whole = true;
	while (address_list_next(&r, &entry)) {
		BUF_AUTO address = {0};
		if (entry.kind != ADDRESS_LIST_MAILBOX)
			continue;
		buf_add(&address, entry.mailbox);
		buf_add_char(&address, '@');
		buf_add(&address, entry.domain);
		if (to->count == AUTHORS_MOST || address.len > 512)
			is_whole = false;
		else
			to->list[to->count++] = arena_dup(&to->memory, buf_span(&address));
	}
	is_whole &= !r.has_skipped;
	address_list_reader_free(&r);
	return is_whole ? 0 : -1;
}

static void add_authors(struct verdict *v, struct span value)
{
	if (add_addresses(value, &v->authors))
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

/* Authentication-Results that claim to be ours (RFC 8601 §5). */
static bool is_forged_result(struct verdict *v, struct span value)
{
	BUF_AUTO unfolded = {0};
	header_unfold(value, &unfolded);
	struct span id = span_trim(buf_span(&unfolded));
	ssize_t end = span_chr(id, ';');
	if (end >= 0)
		id = span_trim(span_slice(id, 0, (size_t)end));
	return span_equal_nocase(span_next_word(&id), span_cstr(child_hostname(v->message->filter->self)));
}

static void read_header(struct verdict *v)
{
	struct message *m = v->message;
	struct header_reader r = {.header = buf_span(&m->header)};
	struct header_field field;
	bool is_submission = m->kind == DELIVERY_SUBMISSION;
	while (header_next(&r, &field)) {
		if (span_equal_nocase(field.name, SPAN("Return-Path")))
			cut(v, &field); /* only the last server writes it, which is us (RFC 5321 §4.4) */
		else if (is_submission && (span_equal_nocase(field.name, SPAN("Bcc")) || span_equal_nocase(field.name, SPAN("Resent-Bcc"))))
			cut(v, &field);
		else if (span_equal_nocase(field.name, SPAN("Authentication-Results")) && is_forged_result(v, field.value))
			cut(v, &field);
		else if (span_equal_nocase(field.name, SPAN("Received")))
			v->hops++;
		else if (span_equal_nocase(field.name, SPAN("Date")))
			v->has_date = true;
		else if (span_equal_nocase(field.name, SPAN("Message-ID")))
			v->has_message_id = true;
		else if (is_submission && names_authors(&field))
			add_authors(v, field.value);
		v->has_from |= span_equal_nocase(field.name, SPAN("From"));
	}
	if (is_submission && !v->has_from)
		v->authors.count = 0; /* a Sender alone is nobody's message */
	if (v->hops > HOPS_MOST)
		refuse(v, "554 5.4.6 Too many hops: the message goes round in circles");
	if (m->header.len > HEADER_BYTES_MOST)
		refuse(v, "552 5.3.4 The header is too large");
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
	if (m->authentication)
		authentication_write(m->authentication, out);
	buf_add_cstr(out, "Received: from ");
	buf_add(out, m->helo.len ? buf_span(&m->helo) : SPAN("unknown"));
	if (m->kind != DELIVERY_SUBMISSION) {
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
	buf_add_cstr(out, "; ");
	date_format(clock_wall_s(), out);
	buf_add_cstr(out, "\r\n");
}

/* RFC 6409 §8.2 and §8.3 */
static void add_missing(struct verdict *v)
{
	struct message *m = v->message;
	char id[ID128_TEXT_BYTES + 1];
	if (m->kind != DELIVERY_SUBMISSION)
		return;
	if (!v->has_date) {
		BUF_AUTO date = {0};
		date_format(clock_wall_s(), &date);
		v->date = arena_dup(&v->memory, buf_span(&date));
		buf_add_cstr(&v->prefix, "Date: ");
		buf_add(&v->prefix, v->date);
		buf_add_cstr(&v->prefix, "\r\n");
	}
	if (!v->has_message_id) {
		BUF_AUTO message_id = {0};
		buf_printf(&message_id, "<%.*s@%s>", SPAN_ARG(id128_text(m->id, id)), child_hostname(m->filter->self));
		v->message_id = arena_dup(&v->memory, buf_span(&message_id));
		buf_add_cstr(&v->prefix, "Message-ID: ");
		buf_add(&v->prefix, v->message_id);
		buf_add_cstr(&v->prefix, "\r\n");
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
	if (v->message->kind == DELIVERY_SUBMISSION)
		envelope->bcc = (struct span){0};
}

static void say(struct verdict *v, const struct mime_tree *tree)
{
	struct message *m = v->message;
	BUF_AUTO cache = {0}, authors = {0};
	unsigned char digest[32];
	EVP_DigestFinal_ex(m->sha256, digest, NULL);
	struct span message_id = tree->parts[0].envelope ? tree->parts[0].envelope->message_id : SPAN("");
	if (v->outcome == VERDICT_ACCEPT)
		message_cache_pack(tree, &cache);
	words_pack(&authors, v->authors.list, v->authors.count);
	if (authors.len > 8192) {
		refuse(v, "550 5.7.1 Too many authors");
		buf_clear(&authors);
	}
	if (v->prefix.len > PREFIX_BYTES_MOST || tree->parts[0].header_len > UINT32_MAX)
		refuse(v, "552 5.3.4 The header is too large");
	m->filter->judged_count++;
	m->filter->refused_count += v->outcome == VERDICT_REFUSE;
	channel_send(m->filter->store, verdict, .delivery = m->id, .outcome = (uint8_t)v->outcome, .is_junk = v->is_junk, .text = span_cstr(v->text ? v->text : ""),
	             .prefix = span_slice(buf_span(&v->prefix), 0, PREFIX_BYTES_MOST), .cuts = span_slice(buf_span(&v->cuts), 0, 4096),
	             .sha256 = span_of(digest, sizeof digest), .size = m->size, .has_8bit = tree->has_8bit,
	             .header_bytes = (uint32_t)tree->parts[0].header_len, .authors = buf_span(&authors),
	             .message_id = span_slice(span_trim(message_id), 0, 1000), .cache = buf_span(&cache));
}

/* What the author's domain asks for, where nothing vouches for the message (RFC 9989 §5.3; RFC 7372 §3.2 has the code). */
static void obey_policy(struct verdict *v)
{
	const struct message *m = v->message;
	struct span domain;
	enum dmarc_policy policy = m->authentication ? authentication_policy(m->authentication, &domain) : DMARC_POLICY_NONE;
	if (policy == DMARC_POLICY_NONE || child_config(m->filter->self)->sender_checks != SENDER_CHECKS_OBEY)
		return;
	v->is_junk = policy == DMARC_POLICY_QUARANTINE;
	if (v->is_junk)
		return;
	BUF_AUTO text = {0};
	buf_printf(&text, "550 5.7.26 The policy of %.*s (DMARC) is to refuse what neither SPF nor DKIM vouch for", SPAN_ARG(domain));
	refuse(v, arena_dup(&v->memory, buf_span(&text)).ptr);
}

static void judge(void *context)
{
	struct message *m = context;
	struct verdict v = {.message = m, .outcome = VERDICT_ACCEPT};
	struct mime_tree tree = *mime_parser_finish(m->parser);
	if (m->kind == DELIVERY_APPEND) {
		if (tree.has_nul)
			refuse(&v, "554 5.6.0 NUL in the message"); /* RFC 3501 §9: no CHAR8 */
	} else {
		read_header(&v);
		obey_policy(&v);
		add_trace(&v);
		add_missing(&v);
		shift_tree(&tree, &v);
	}
	if (m->filter->store)
		say(&v, &tree);
	buf_free(&v.prefix);
	buf_free(&v.cuts);
	arena_free(&v.memory);
	arena_free(&v.authors.memory);
	free_message(m);
}

/* The domains of all From fields; none if one of them is no list of addresses (RFC 9989 §4.4: then nothing can vouch for it). */
static void authenticate(struct message *m)
{
	struct header_reader r = {.header = buf_span(&m->header)};
	struct header_field field;
	struct authors authors = {0};
	bool is_whole = true;
	while (header_next(&r, &field))
		if (span_equal_nocase(field.name, SPAN("From")))
			is_whole &= add_addresses(field.value, &authors) == 0;
	for (size_t i = 0; i < authors.count; i++)
		authors.list[i] = span_skip(authors.list[i], (size_t)(span_rchr(authors.list[i], '@') + 1));
	if (!m->has_header)
		authentication_header(m->authentication, buf_span(&m->header)); /* no body, not even an empty line */
	authentication_end(m->authentication, authors.list, is_whole ? authors.count : 0, judge, m);
	arena_free(&authors.memory);
}

int message_end(struct filter_edge *e, const struct msg_judge_end *end)
{
	struct message *m = find(e, end->delivery);
	if (!m || m->has_ended || end->size != m->size)
		return -1;
	m->has_ended = true;
	if (m->authentication)
		authenticate(m);
	else
		judge(m);
	return 0;
}
