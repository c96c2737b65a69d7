#include "filter/tls_report.h"

#include "base/die.h"
#include "base/log.h"
#include "wire/gzip.h"
#include "wire/header.h"
#include "wire/tlsrpt_report.h"
#include "wire/transfer.h"

#include <stdlib.h>

enum {
	MESSAGE_BYTES_MOST = 1024 * 1024, /* the reports of large senders about large domains have some 100 KB */
	KEPT_BYTES_MOST = 32 * 1024 * 1024, /* of all at once: anybody may begin as many messages as there are connections */
};

struct tls_report {
	struct buf bytes;
	size_t *bytes_kept;
	bool is_too_large;
};

/* multipart/report with report-type=tlsrpt, or the report itself: which of them it is, the parts say at the end. */
static bool is_announced(struct span header)
{
	struct header_field field;
	if (!header_find(header, SPAN("Content-Type"), &field))
		return false;
	for (size_t i = 0; i < field.value.len; i++)
		if (span_starts_with_nocase(span_skip(field.value, i), SPAN("tlsrpt")))
			return true;
	return false;
}

struct tls_report *tls_report_new(struct span header, size_t *bytes_kept)
{
	if (!is_announced(header))
		return NULL;
	struct tls_report *r = xcalloc(1, sizeof *r);
	r->bytes_kept = bytes_kept;
	return r;
}

static void forget_bytes(struct tls_report *r)
{
	*r->bytes_kept -= r->bytes.len;
	buf_free(&r->bytes);
}

void tls_report_feed(struct tls_report *r, struct span piece)
{
	r->is_too_large |= piece.len > MESSAGE_BYTES_MOST - r->bytes.len || piece.len > KEPT_BYTES_MOST - *r->bytes_kept;
	if (r->is_too_large) {
		forget_bytes(r);
		return;
	}
	buf_add(&r->bytes, piece);
	*r->bytes_kept += piece.len;
}

static const struct mime_part *find_part(const struct mime_tree *tree, bool *is_packed)
{
	for (uint32_t i = 0; i < tree->part_count; i++) {
		const struct mime_part *p = &tree->parts[i];
		*is_packed = span_equal(p->subtype, SPAN("tlsrpt+gzip"));
		if (span_equal(p->type, SPAN("application")) && (*is_packed || span_equal(p->subtype, SPAN("tlsrpt+json"))))
			return p;
	}
	return NULL;
}

static int unpack(struct tls_report *r, const struct mime_tree *tree, struct buf *json, struct error *why)
{
	bool is_packed;
	BUF_AUTO decoded = {0};
	const struct mime_part *part = find_part(tree, &is_packed);
	if (r->is_too_large)
		return error_set(why, 0, "it is larger than any report");
	if (!part)
		return error_set(why, 0, "it has no part that is a report");
	struct transfer_decoder decoder = {.encoding = transfer_encoding_named(part->encoding)};
	transfer_decode(&decoder, span_slice(buf_span(&r->bytes), part->body_offset, part->body_len), &decoded);
	transfer_decode_end(&decoder, &decoded);
	if (is_packed)
		return gzip_unpack(buf_span(&decoded), TLSRPT_JSON_BYTES_MOST, json, why);
	buf_add(json, buf_span(&decoded));
	return 0;
}

static int read_sums(struct tls_report *r, const struct mime_tree *tree, struct span signer, struct arena *a, struct tlsrpt_sums *sums, struct error *why)
{
	BUF_AUTO json = {0};
	if (!signer.len)
		return error_set(why, 0, "it has no DKIM signature of its author's domain");
	if (unpack(r, tree, &json, why) || tlsrpt_report_read(buf_span(&json), a, sums, why))
		return -1;
	sums->signer = span_slice(signer, 0, TLSRPT_TEXT_BYTES_MOST);
	return 0;
}

void tls_report_read(struct tls_report *r, const struct mime_tree *tree, const struct authentication *authentication, struct buf *out)
{
	ARENA_AUTO a = {0};
	struct tlsrpt_sums sums;
	struct error why = {0};
	struct span signer = authentication ? authentication_report_signer(authentication) : SPAN("");
	if (read_sums(r, tree, signer, &a, &sums, &why) == 0)
		tlsrpt_sums_pack(&sums, out);
	else
		log_event(LOG_LEVEL_INFO, "tls-report-ignored", log_s("signer", signer), log_c("why", why.text));
}

void tls_report_free(struct tls_report *r)
{
	if (!r)
		return;
	forget_bytes(r);
	free(r);
}
