/* SCRAM's messages: attributes of one letter between commas, in an order that RFC 5802 §7 lays down. */
#include "wire/scram.h"

#include "base/base64.h"
#include "base/utf8.h"

/* Takes "x=value" up to a comma or the end, and the comma; false if another attribute or none comes. */
static bool take(struct span *rest, char name, struct span *value)
{
	if (rest->len < 2 || rest->ptr[0] != name || rest->ptr[1] != '=')
		return false;
	*value = span_skip(*rest, 2);
	ssize_t end = span_chr(*value, ',');
	if (end >= 0)
		*value = span_slice(*value, 0, (size_t)end);
	*rest = span_skip(*rest, 2 + value->len + (end >= 0));
	return true;
}

/* saslname: UTF-8 without NUL, "," as "=2C" and "=" as "=3D". */
static int add_name(struct span text, struct buf *out)
{
	if (!text.len || !utf8_is_valid(text) || span_chr(text, 0) >= 0)
		return -1;
	while (text.len) {
		bool is_comma = span_starts_with(text, SPAN("=2C")), is_equals = span_starts_with(text, SPAN("=3D"));
		if (text.ptr[0] == '=' && !is_comma && !is_equals)
			return -1;
		buf_add_char(out, is_comma ? ',' : is_equals ? '=' : text.ptr[0]);
		text = span_skip(text, is_comma || is_equals ? 3 : 1);
	}
	return 0;
}

/* printable: RFC 5802 §7. */
static bool is_nonce(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7e)
			return false;
	return text.len > 0;
}

static bool is_binding_name(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_alpha(text.ptr[i]) && !ascii_is_digit(text.ptr[i]) && text.ptr[i] != '.' && text.ptr[i] != '-')
			return false;
	return text.len > 0;
}

static int take_gs2_header(struct span *rest, struct scram_client_first *out, struct buf *authzid, struct error *why)
{
	struct span whole = *rest, name;
	if (take(rest, 'p', &out->binding_name)) {
		out->binding = SCRAM_BINDING_USED;
		if (!is_binding_name(out->binding_name))
			return error_set(why, 0, "the channel binding's name is none");
	} else if (span_starts_with(*rest, SPAN("n,")) || span_starts_with(*rest, SPAN("y,"))) {
		out->binding = rest->ptr[0] == 'y' ? SCRAM_BINDING_UNUSED : SCRAM_BINDING_NONE;
		*rest = span_skip(*rest, 2);
	} else {
		return error_set(why, 0, "it does not begin with what is to be said about channel binding");
	}
	if (take(rest, 'a', &name)) {
		if (add_name(name, authzid))
			return error_set(why, 0, "the name to act for is none");
	} else if (span_starts_with(*rest, SPAN(","))) {
		*rest = span_skip(*rest, 1);
	} else {
		return error_set(why, 0, "behind the channel binding comes no name to act for, nor a comma");
	}
	out->gs2_header = span_slice(whole, 0, whole.len - rest->len);
	return 0;
}

int scram_parse_client_first(struct span message, struct scram_client_first *out, struct buf *user, struct buf *authzid, struct error *why)
{
	struct span rest = message, name;
	*out = (struct scram_client_first){0};
	if (message.len > SCRAM_MESSAGE_MOST)
		return error_set(why, 0, "it is too long");
	if (take_gs2_header(&rest, out, authzid, why))
		return -1;
	out->bare = rest;
	/* §5.1: an extension that is a must, and not known, ends it */
	if (span_starts_with(rest, SPAN("m=")))
		return error_set(why, 0, "it demands an extension");
	if (!take(&rest, 'n', &name) || add_name(name, user))
		return error_set(why, 0, "there is no name where it should be");
	if (!take(&rest, 'r', &out->nonce) || !is_nonce(out->nonce) || out->nonce.len > SCRAM_NONCE_MOST)
		return error_set(why, 0, "there is no nonce where it should be");
	return 0; /* extensions may follow, which are passed over */
}

/* Bytes that are exactly so many. */
static int decode_key(struct span encoded, unsigned char out[SCRAM_KEY_BYTES])
{
	BUF_AUTO decoded = {0};
	if (encoded.len > SCRAM_KEY_BYTES * 2 || base64_decode(encoded, &decoded) || decoded.len != SCRAM_KEY_BYTES)
		return -1;
	memcpy(out, decoded.ptr, SCRAM_KEY_BYTES);
	return 0;
}

int scram_parse_client_final(struct span message, struct scram_client_final *out, struct error *why)
{
	struct span rest = message;
	*out = (struct scram_client_final){0};
	if (message.len > SCRAM_MESSAGE_MOST)
		return error_set(why, 0, "it is too long");
	if (!take(&rest, 'c', &out->binding))
		return error_set(why, 0, "it does not begin with the channel binding");
	if (!take(&rest, 'r', &out->nonce) || !is_nonce(out->nonce))
		return error_set(why, 0, "there is no nonce where it should be");
	/* extensions come before the proof, which is the last */
	ssize_t comma = span_rchr(message, ',');
	struct span proof = span_skip(message, (size_t)(comma + 1));
	if (rest.len < proof.len || !span_starts_with(proof, SPAN("p=")) || decode_key(span_skip(proof, 2), out->proof))
		return error_set(why, 0, "there is no proof at its end");
	out->without_proof = span_slice(message, 0, (size_t)comma);
	return 0;
}

bool scram_binding_is(struct span binding, struct span gs2_header, struct span data)
{
	BUF_AUTO decoded = {0};
	if (base64_decode(binding, &decoded))
		return false;
	struct span said = buf_span(&decoded);
	return span_equal(span_slice(said, 0, gs2_header.len), gs2_header) && span_equal(span_skip(said, gs2_header.len), data);
}

/* ---- keys ---- */

static bool take_until(struct span *rest, char end, struct span *out)
{
	ssize_t at = span_chr(*rest, end);
	if (at < 0)
		return false;
	*out = span_slice(*rest, 0, (size_t)at);
	*rest = span_skip(*rest, (size_t)at + 1);
	return true;
}

int scram_keys_parse(struct span text, struct scram_keys *out, struct error *why)
{
	BUF_AUTO salt = {0};
	struct span rest = text, scheme, iterations, encoded_salt, stored_key;
	uint64_t count;
	*out = (struct scram_keys){0};
	if (text.len > SCRAM_KEYS_TEXT_MOST || !take_until(&rest, '$', &scheme) || !span_equal(scheme, SPAN("SCRAM-SHA-256")))
		return error_set(why, 0, "these are no keys for SCRAM-SHA-256");
	if (!take_until(&rest, ':', &iterations) || span_to_u64(iterations, SCRAM_ITERATIONS_MOST, &count) || count < SCRAM_ITERATIONS_LEAST)
		return error_set(why, 0, "the keys for SCRAM have no iterations between %d and %d", SCRAM_ITERATIONS_LEAST, SCRAM_ITERATIONS_MOST);
	if (!take_until(&rest, '$', &encoded_salt) || base64_decode(encoded_salt, &salt) || !salt.len || salt.len > sizeof out->salt)
		return error_set(why, 0, "the keys for SCRAM have no salt");
	if (!take_until(&rest, ':', &stored_key) || decode_key(stored_key, out->stored_key) || decode_key(rest, out->server_key))
		return error_set(why, 0, "the keys for SCRAM are not whole");
	out->iterations = (uint32_t)count;
	out->salt_len = salt.len;
	memcpy(out->salt, salt.ptr, salt.len);
	return 0;
}

void scram_keys_write(const struct scram_keys *k, struct buf *out)
{
	buf_add_cstr(out, "SCRAM-SHA-256$");
	buf_add_number(out, k->iterations);
	buf_add_char(out, ':');
	base64_encode(span_of(k->salt, k->salt_len), out);
	buf_add_char(out, '$');
	base64_encode(span_of(k->stored_key, SCRAM_KEY_BYTES), out);
	buf_add_char(out, ':');
	base64_encode(span_of(k->server_key, SCRAM_KEY_BYTES), out);
}

/* ---- what the server says ---- */

void scram_write_server_first(struct span nonce, const struct scram_keys *k, struct buf *out)
{
	buf_add_cstr(out, "r=");
	buf_add(out, nonce);
	buf_add_cstr(out, ",s=");
	base64_encode(span_of(k->salt, k->salt_len), out);
	buf_add_cstr(out, ",i=");
	buf_add_number(out, k->iterations);
}

void scram_write_server_final(struct span signature, struct buf *out)
{
	buf_add_cstr(out, "v=");
	base64_encode(signature, out);
}
