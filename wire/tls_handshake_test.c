/* Handshakes of TLS 1.3 with a client's certificate: where the parts end, and what is refused. */
#include "wire/tls_handshake.h"

#include "wire/test.h"

enum { HELLO, SHELLO, EXTENSIONS, REQUEST, SERVER, SERVER_VERIFY, SERVER_FINISHED, CLIENT, CLIENT_VERIFY, PARTS };

static void add(struct buf *out, unsigned char kind, const char *body, size_t len)
{
	buf_add_char(out, (char)kind);
	buf_add_char(out, 0);
	buf_add_char(out, (char)(len >> 8));
	buf_add_char(out, (char)len);
	buf_add(out, span_of(body, len));
}

static void add_part(struct buf *out, int part)
{
	static const char hello[] = "\3\3rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\2ss\x13\2\0";
	static const char certificates[] = "\0\0\0\x10\0\0\3abc\0\0\0\0\2de\0\1x"; /* two of them, the second with an extension of one byte */
	static const char verify[] = "\4\3\0\3sig";
	switch (part) {
	case HELLO: add(out, 1, "hello", 5); break;
	case SHELLO: add(out, 2, hello, sizeof hello - 1); break;
	case EXTENSIONS: add(out, 8, "", 0); break;
	case REQUEST: add(out, 13, "?", 1); break;
	case SERVER: add(out, 11, "server", 6); break;
	case SERVER_VERIFY: add(out, 15, "signed", 6); break;
	case SERVER_FINISHED: add(out, 20, "end", 3); break;
	case CLIENT: add(out, 11, certificates, sizeof certificates - 1); break;
	case CLIENT_VERIFY: add(out, 15, verify, sizeof verify - 1); break;
	}
}

static void add_parts(struct buf *out, int from, int to)
{
	for (int part = from; part < to; part++)
		add_part(out, part);
}

static void the_parts_of_a_handshake_are_found(void **state)
{
	(void)state;
	struct tls_handshake h;
	struct span der;
	BUF_AUTO messages = {0}, server = {0}, client = {0};
	add_parts(&server, HELLO, SERVER + 1);
	add_parts(&client, HELLO, CLIENT + 1);
	add_parts(&messages, HELLO, PARTS);
	add(&messages, 20, "what comes behind", 17);
	assert_int_equal(tls_handshake_read(buf_span(&messages), &h, NULL), 0);
	assert_int_equal(h.cipher_suite, 0x1302);
	assert_int_equal(h.scheme, 0x0403);
	assert_span(h.signature, "sig");
	assert_int_equal(h.first_hello.len, 0);
	assert_true(span_equal(h.before_server, buf_span(&server)) && span_equal(h.before_client, buf_span(&client)));
	assert_int_equal(tls_handshake_next_certificate(&h.certificates, &der), 1);
	assert_span(der, "abc");
	assert_int_equal(tls_handshake_next_certificate(&h.certificates, &der), 1);
	assert_span(der, "de");
	assert_int_equal(tls_handshake_next_certificate(&h.certificates, &der), 0);
}

static void a_client_that_is_told_to_begin_again_is_followed(void **state)
{
	(void)state;
	static const char retry[] = "\3\3\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c\0\x13\2\0";
	struct tls_handshake h;
	BUF_AUTO messages = {0}, first = {0}, behind = {0};
	add(&first, 1, "first", 5);
	add(&behind, 2, retry, sizeof retry - 1);
	add_parts(&behind, HELLO, CLIENT + 1);
	buf_add(&messages, buf_span(&first));
	buf_add(&messages, buf_span(&behind));
	add_part(&messages, CLIENT_VERIFY);
	assert_int_equal(tls_handshake_read(buf_span(&messages), &h, NULL), 0);
	assert_true(span_equal(h.first_hello, buf_span(&first)) && span_equal(h.before_client, buf_span(&behind)));
}

static void other_handshakes_are_refused(void **state)
{
	(void)state;
	struct tls_handshake h;
	struct error why;
	for (int missing = HELLO; missing < PARTS; missing++) {
		BUF_AUTO messages = {0};
		add_parts(&messages, HELLO, missing);
		add_parts(&messages, missing + 1, PARTS);
		assert_int_equal(tls_handshake_read(buf_span(&messages), &h, &why), -1);
	}
	BUF_AUTO whole = {0}, none = {0};
	add_parts(&whole, HELLO, PARTS);
	for (size_t len = 0; len < whole.len; len++)
		assert_int_equal(tls_handshake_read(span_slice(buf_span(&whole), 0, len), &h, &why), -1);
	add_parts(&none, HELLO, CLIENT);
	add(&none, 11, "\0\0\0\0", 4);
	assert_int_equal(tls_handshake_read(buf_span(&none), &h, &why), -1);
	assert_string_equal(why.text, "the client has shown no certificate");
	buf_clear(&none);
	add_parts(&none, HELLO, CLIENT);
	add(&none, 11, "\1c\0\0\5\0\0\0\0\0", 10);
	assert_int_equal(tls_handshake_read(buf_span(&none), &h, &why), -1);
	struct span list = span_of("\0\0\5abc", 6), der;
	assert_int_equal(tls_handshake_next_certificate(&list, &der), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_parts_of_a_handshake_are_found),
		cmocka_unit_test(a_client_that_is_told_to_begin_again_is_followed),
		cmocka_unit_test(other_handshakes_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
