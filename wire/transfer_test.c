/* Transfer encodings, charsets, case folding, encoded words: RFC 2045 §6, RFC 2047. */
#include "wire/test.h"

#include "wire/casefold.h"
#include "wire/charset.h"
#include "wire/encoded_word.h"
#include "wire/transfer.h"

static void decode(enum transfer_encoding encoding, struct span in, size_t step, struct buf *out)
{
	struct transfer_decoder d = {.encoding = encoding};

	for (size_t at = 0; at < in.len; at += step)
		transfer_decode(&d, span_slice(in, at, step), out);
	transfer_decode_end(&d, out);
}

static void encodings_are_decoded_in_pieces(void **state)
{
	static const struct {
		enum transfer_encoding encoding;
		const char *in, *out;
	} cases[] = {
	    {TRANSFER_BASE64, "aGVs\r\nbG8=", "hello"},
	    {TRANSFER_BASE64, "aGVsbG8", "hello"},
	    {TRANSFER_BASE64, "!a G*V s b G 8 =\r\n", "hello"},
	    {TRANSFER_BASE64, "aA==aQ==", "hi"},
	    {TRANSFER_BASE64, "=", ""},
	    {TRANSFER_QUOTED_PRINTABLE, "a=3Db=\r\nc =20\r\nd \t\r\ne", "a=bc  \r\nd\r\ne"},
	    {TRANSFER_QUOTED_PRINTABLE, "a= \r\nb=\nc", "abc"},
	    {TRANSFER_QUOTED_PRINTABLE, "a=xyz=4=", "a=xyz=4"},
	    {TRANSFER_QUOTED_PRINTABLE, "=c3=a9", "\xc3\xa9"},
	    {TRANSFER_QUOTED_PRINTABLE, "a==41", "a=A"},
	    {TRANSFER_7BIT, "a=3D", "a=3D"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step < 8; step++) {
			BUF_AUTO out = {0};

			decode(cases[i].encoding, span_cstr(cases[i].in), step, &out);
			assert_span(buf_span(&out), cases[i].out);
		}
	}
}

static void encoded_text_has_short_lines_and_comes_back(void **state)
{
	static const enum transfer_encoding encodings[] = {TRANSFER_BASE64, TRANSFER_QUOTED_PRINTABLE};
	BUF_AUTO text = {0};

	(void)state;
	for (size_t i = 0; i < 3000; i++)
		buf_add_char(&text, (char)(i * 7 % 256));
	buf_add_cstr(&text, " \r\n\t\r\n.\r\nend ");
	repeat(&text, "x", 500);
	repeat(&text, " ", 300);
	for (size_t i = 0; i < 2; i++) {
		for (size_t step = 1; step < 100; step += 13) {
			struct transfer_encoder e = {.encoding = encodings[i]};
			BUF_AUTO coded = {0};
			BUF_AUTO back = {0};
			size_t column = 0;

			for (size_t at = 0; at < text.len; at += step)
				transfer_encode(&e, span_slice(buf_span(&text), at, step), &coded);
			transfer_encode_end(&e, &coded);
			for (size_t at = 0; at < coded.len; at++) {
				column = coded.ptr[at] == '\n' ? 0 : column + 1;
				assert_true(column <= 77 && (unsigned char)coded.ptr[at] < 127);
			}
			decode(encodings[i], buf_span(&coded), 11, &back);
			assert_true(span_equal(buf_span(&back), buf_span(&text)));
		}
	}
}

/* D69: soft breaks or spaces without end keep nothing. */
static void endless_white_space_is_streamed(void **state)
{
	struct transfer_decoder d = {.encoding = TRANSFER_QUOTED_PRINTABLE};
	BUF_AUTO out = {0};

	(void)state;
	for (size_t i = 0; i < 100000; i++)
		transfer_decode(&d, SPAN("=\r\n"), &out);
	assert_int_equal(out.len, 0);
	for (size_t i = 0; i < 100000; i++)
		transfer_decode(&d, SPAN(" "), &out);
	transfer_decode_end(&d, &out);
	assert_int_equal(out.len, 100000);
}

static void charsets_are_converted_in_pieces(void **state)
{
	static const struct {
		const char *charset;
		struct span in;
		const char *out;
	} cases[] = {
	    {"utf-8", SPAN("h\xc3\xa9\xf0\x9f\x98\x80"), "h\xc3\xa9\xf0\x9f\x98\x80"},
	    {"ISO-8859-1", SPAN("h\xe9"), "h\xc3\xa9"},
	    {"iso-2022-jp", SPAN("\x1b$B$\"\x1b(B"), "\xe3\x81\x82"},
	    {"utf-16le", SPAN("\x3d\xd8\x00\xde"), "\xf0\x9f\x98\x80"},
	    {"no-such-charset", SPAN("\x80\xe9"), "\xe2\x82\xac\xc3\xa9"},
	    {"utf-8,swaplfnl", SPAN("a\xe9"), "a\xc3\xa9"},
	    {"", SPAN("\xc3\xa9"), "\xc3\xa9"},
	    {"us-ascii", SPAN("\xc3\xa9"), "\xc3\xa9"},
	    {"utf-8", SPAN("a\xff\xc0\x80z"), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"},
	    {"utf-8", SPAN("a\xc3"), "a\xef\xbf\xbd"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step < 6; step++) {
			struct charset_converter *c = charset_new(span_cstr(cases[i].charset));
			BUF_AUTO out = {0};

			for (size_t at = 0; at < cases[i].in.len; at += step)
				charset_convert(c, span_slice(cases[i].in, at, step), false, &out);
			charset_convert(c, (struct span){0}, true, &out);
			charset_free(c);
			assert_span(buf_span(&out), cases[i].out);
		}
	}
	assert_true(charset_is_known(SPAN("koi8-r")));
	assert_false(charset_is_known(SPAN("x-nothing")));
}

static void case_is_folded(void **state)
{
	BUF_AUTO out = {0};

	(void)state;
	casefold_utf8(SPAN("Stra\xc3\x9f"
	                   "E \xc3\x89\xce\xa3\xcf\x82 A\xff"),
	              &out);
	assert_span(buf_span(&out), "strasse \xc3\xa9\xcf\x83\xcf\x83 a\xef\xbf\xbd");
}

static void encoded_words_become_text(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    /* RFC 2047 §8 */
	    {"(=?ISO-8859-1?Q?a?=)", "(a)"},
	    {"(=?ISO-8859-1?Q?a?= b)", "(a b)"},
	    {"=?ISO-8859-1?Q?a?=   =?ISO-8859-1?Q?b?=", "ab"},
	    {"=?ISO-8859-1?Q?a_b?=", "a b"},
	    {"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"},
	    {"=?utf-8*en?b?aMM=?= =?UTF-8?B?qQ==?=", "h\xc3\xa9"},
	    {"=?utf-8?x?a?= =?utf-8?q?a", "=?utf-8?x?a?= =?utf-8?q?a"},
	    {"=?nothing?q?=E9?=", "\xc3\xa9"},
	    {"=??q?a?=", "=??q?a?="},
	    {"plain \xff text", "plain \xef\xbf\xbd text"},
	    {"=?utf-8?q?=?=", ""},
	    {"=?utf-8?q?"
	     "?= x",
	     " x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		BUF_AUTO out = {0};

		encoded_words_decode(span_cstr(cases[i].in), &out);
		assert_span(buf_span(&out), cases[i].out);
	}
}

static void encoding_words_never_ends_a_field(void **state)
{
	BUF_AUTO out = {0};
	BUF_AUTO back = {0};
	BUF_AUTO text = {0};

	(void)state;
	encoded_word_encode(SPAN("plain"), &out);
	assert_span(buf_span(&out), "plain");
	repeat(&text, "\xc3\xa9\xf0\x9f\x98\x80 ", 50);
	buf_add_cstr(&text, "\r\nBcc: x");
	buf_clear(&out);
	encoded_word_encode(buf_span(&text), &out);
	assert_lacks(buf_span(&out), "Bcc");
	for (size_t i = 0, column = 0; i < out.len; i++) {
		column = out.ptr[i] == '\n' ? 0 : column + 1;
		assert_true(column <= 78);
	}
	for (size_t i = 0; i < out.len; i++)
		if (out.ptr[i] == '\r' || out.ptr[i] == '\n')
			out.ptr[i] = ' ';
	encoded_words_decode(buf_span(&out), &back);
	text.ptr[span_find(buf_span(&text), SPAN("\r\n"))] = ' ';
	text.ptr[span_find(buf_span(&text), SPAN("\n"))] = ' ';
	assert_true(span_equal(buf_span(&back), buf_span(&text)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(encodings_are_decoded_in_pieces),
	    cmocka_unit_test(encoded_text_has_short_lines_and_comes_back),
	    cmocka_unit_test(endless_white_space_is_streamed),
	    cmocka_unit_test(charsets_are_converted_in_pieces),
	    cmocka_unit_test(case_is_folded),
	    cmocka_unit_test(encoded_words_become_text),
	    cmocka_unit_test(encoding_words_never_ends_a_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
