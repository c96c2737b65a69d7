#include "base/tls_record.h"

#include "base/buf.h"
#include "base/die.h"

#include <openssl/ssl.h>
#include <stdlib.h>

enum { HANDSHAKE_BYTES_MOST = 64 * 1024 }; /* that are kept: one with more proves nothing */

static void free_record(void *parent, void *record, CRYPTO_EX_DATA *all, int index, long argl, void *argp)
{
	(void)parent;
	(void)all;
	(void)index;
	(void)argl;
	(void)argp;
	if (!record)
		return;
	buf_free(record);
	free(record);
}

/* OpenSSL's number for what we keep at a session. */
static int place(void)
{
	static int index = -1;
	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_record);
	if (index < 0)
		die("tls: OpenSSL keeps nothing for us");
	return index;
}

/* Each message of the handshake once it is whole, whoever said it. */
static void on_message(int is_sent, int version, int type, const void *bytes, size_t len, SSL *ssl, void *record)
{
	struct buf *messages = record;
	(void)is_sent;
	(void)version;
	(void)ssl;
	if (type == SSL3_RT_HANDSHAKE && messages->len + len <= HANDSHAKE_BYTES_MOST)
		buf_add(messages, span_of(bytes, len));
}

void tls_record_begin(SSL *ssl)
{
	if (!SSL_is_server(ssl) || SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE)
		return;
	struct buf *messages = xcalloc(1, sizeof *messages);
	SSL_set_ex_data(ssl, place(), messages);
	SSL_set_msg_callback(ssl, on_message);
	SSL_set_msg_callback_arg(ssl, messages);
}

void tls_record_end(SSL *ssl)
{
	struct buf *messages = SSL_get_ex_data(ssl, place());
	SSL_set_msg_callback(ssl, NULL);
	bool has_shown_one = SSL_get0_peer_certificate(ssl) && !SSL_session_reused(ssl);
	if (messages && (!has_shown_one || SSL_version(ssl) < TLS1_3_VERSION))
		buf_free(messages);
}

struct span tls_record_messages(const SSL *ssl)
{
	const struct buf *messages = SSL_get_ex_data(ssl, place());
	return messages ? buf_span(messages) : SPAN("");
}
