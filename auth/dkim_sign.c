#include "auth/dkim_sign.h"

enum { INSTANCES_MOST = 20 }; /* of one field: a message with more of them signs these */

static const struct {
	const char *name;
	bool is_oversigned;
} covered[] = {
	{"From", true}, {"To", true}, {"Cc", true}, {"Subject", true}, {"Date", true}, {"Message-ID", true}, {"Reply-To", true},
	{"Sender", false}, {"In-Reply-To", false}, {"References", false}, {"MIME-Version", true}, {"Content-Type", true},
	{"Content-Transfer-Encoding", true}, {"Content-Disposition", false}, {"List-Id", false}, {"List-Post", false}, {"List-Help", false},
	{"List-Subscribe", false}, {"List-Unsubscribe", true}, {"List-Unsubscribe-Post", true}, {"Resent-From", false}, {"Resent-To", false},
	{"Resent-Cc", false}, {"Resent-Date", false}, {"Resent-Message-ID", false}, {"Autocrypt", false},
};

static size_t count_of(const struct dkim_fields *f, const char *name)
{
	size_t n = 0;
	for (size_t i = 0; i < f->count; i++)
		n += span_equal_nocase(f->list[i].name, span_cstr(name));
	return n < INSTANCES_MOST ? n : INSTANCES_MOST;
}

void dkim_choose_names(const struct dkim_fields *f, struct buf *out)
{
	size_t before = out->len;
	for (size_t i = 0; i < sizeof covered / sizeof covered[0]; i++) {
		size_t count = count_of(f, covered[i].name) + covered[i].is_oversigned;
		for (; count; count--) {
			if (out->len > before)
				buf_add_char(out, ':');
			buf_add_cstr(out, covered[i].name);
		}
	}
}

int dkim_signed_fields(const struct dkim_fields *f, struct span names, struct buf *out)
{
	struct span list[DKIM_HEADER_NAMES_MOST];
	size_t count = 0, before = out->len;
	while (names.len && count < DKIM_HEADER_NAMES_MOST) {
		ssize_t colon = span_chr(names, ':');
		list[count] = colon < 0 ? names : span_slice(names, 0, (size_t)colon);
		names = span_skip(names, list[count++].len + 1);
	}
	dkim_fields_signed(f, DKIM_RELAXED, list, count, out);
	return out->len - before > DKIM_SIGNED_BYTES_MOST ? -1 : 0;
}

int dkim_sign_bytes(EVP_PKEY *key, struct span data, struct buf *out)
{
	const unsigned char *bytes = (const unsigned char *)data.ptr;
	bool is_rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	unsigned char digest[32];
	size_t len = data.len, room = 0;
	if (!is_rsa) { /* RFC 8463 §3 */
		EVP_Digest(data.ptr, data.len, digest, NULL, EVP_sha256(), NULL);
		bytes = digest;
		len = sizeof digest;
	}
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool is_good = c && EVP_DigestSignInit(c, NULL, is_rsa ? EVP_sha256() : NULL, NULL, key) == 1 &&
	               EVP_DigestSign(c, NULL, &room, bytes, len) == 1 && room < 4096;
	if (is_good && (is_good = EVP_DigestSign(c, (unsigned char *)buf_reserve(out, room), &room, bytes, len) == 1))
		out->len += room;
	EVP_MD_CTX_free(c);
	return is_good ? 0 : -1;
}

int dkim_sign(const struct dkim_request *r, EVP_PKEY *key, struct buf *out)
{
	BUF_AUTO data = {0}, field = {0}, signature = {0};
	struct dkim_new n = {.is_ed25519 = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519, .domain = r->domain, .selector = r->selector,
	                     .time_s = r->now_s, .expiration_s = r->now_s + DKIM_LIFETIME_S, .header_names = r->header_names, .body_hash = r->body_hash};
	dkim_build_field(&n, &field);
	buf_add(&data, r->fields);
	dkim_canonical_field(DKIM_RELAXED, buf_span(&field), &data);
	data.len -= 2; /* CR LF: RFC 6376 §3.7 */
	if (dkim_sign_bytes(key, buf_span(&data), &signature))
		return -1;
	n.signature = buf_span(&signature);
	dkim_build_field(&n, out);
	return 0;
}
