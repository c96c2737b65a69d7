/* Summaries, base subjects, HTML and kept texts: any message gives what fits its bounds, whole or in pieces; any bytes may be taken for what was
 * kept. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "base/utf8.h"
#include "wire/casefold.h"
#include "wire/gathered_text.h"
#include "wire/html_text.h"
#include "wire/message_summary.h"
#include "wire/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void summarise(struct span in)
{
	struct span columns[SUMMARY_COLUMNS];
	BUF_AUTO packed = {0};
	struct mime_parser *p = mime_parser_new(NULL);
	mime_parser_feed(p, in);
	if (message_summary_pack(mime_parser_finish(p), &packed) &&
	    (packed.len > SUMMARY_BYTES_MAX || message_summary_unpack(buf_span(&packed), columns)))
		die("a summary that cannot be read");
	mime_parser_free(p);
	message_summary_unpack(in, columns);
}

/* The text must not depend on where pieces are cut. */
static void gather(struct span in, size_t step, struct buf *out)
{
	struct gathered_text g = {0};
	struct mime_parser *p = mime_parser_new(NULL);
	struct message_text *t = message_text_new(p, gathered_text_sink(&g));
	for (size_t at = 0; at < in.len; at += step)
		message_text_feed(t, span_slice(in, at, step));
	message_text_finish(t);
	gathered_text_pack(&g, out);
	gathered_text_free(&g);
	message_text_free(t);
	mime_parser_free(p);
}

static void read_html(struct span in, size_t step, struct buf *out)
{
	struct html_text h = {0};
	for (size_t at = 0; at < in.len; at += step)
		html_text_feed(&h, span_slice(in, at, step), out);
	html_text_end(&h, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct text_search_needle needle = {TEXT_SEARCH_HEADER, SPAN("subject"), SPAN("a")};
	BUF_AUTO whole = {0}, pieces = {0}, html = {0}, html_pieces = {0}, base = {0}, folded = {0}, again = {0}, key = {0};
	summarise(in);
	gather(in, size + 1, &whole);
	gather(in, 7, &pieces);
	if (!span_equal(buf_span(&whole), buf_span(&pieces)))
		die("a text depends on its pieces");
	gathered_text_matches(in, &needle);
	gathered_text_matches(buf_span(&whole), &needle);
	read_html(in, size + 1, &html);
	read_html(in, 3, &html_pieces);
	if (!span_equal(buf_span(&html), buf_span(&html_pieces)))
		die("HTML depends on its pieces");
	subject_base(in, &base);
	casefold_search(in, &folded);
	casefold_search(buf_span(&folded), &again);
	casemap_unicode(in, &key);
	if (!utf8_is_valid(buf_span(&base)) || !utf8_is_valid(buf_span(&folded)) || !utf8_is_valid(buf_span(&key)) || span_chr(buf_span(&key), 0) >= 0)
		die("what is folded is not UTF-8");
	if (!span_equal(buf_span(&folded), buf_span(&again)))
		die("folding again changes a text");
	return 0;
}
