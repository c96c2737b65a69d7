/* Hashes of passwords. */
#include "wire/password_hash.h"

#include "base/base64.h"

enum {
	/* 64 MiB and about a second for a check, of which as many run as there are cores, and eight at most */
	YESCRYPT_LOG2_LEAST = 10, YESCRYPT_LOG2_MOST = 14, /* of N, with r = 32 at most: crypt(5)'s costs 1 to 7 */
	BCRYPT_COST_MOST = 14,
	SHACRYPT_ROUNDS_MOST = 1000000,
	ARGON2_KIB_MOST = 65536, ARGON2_PASSES_MOST = 10, ARGON2_LANES_MOST = 4,
	SCHEME_BYTES_MOST = 30,
	ARGON2_BYTES_LEAST = 8, ARGON2_BYTES_MOST = 64, /* of salt and hash */
};

static const char crypt_digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static bool is_made_of(struct span s, const char *characters)
{
	for (size_t i = 0; i < s.len; i++)
		if (!s.ptr[i] || !strchr(characters, s.ptr[i]))
			return false;
	return true;
}

static bool is_crypt_text(struct span s, size_t least, size_t most)
{
	return s.len >= least && s.len <= most && is_made_of(s, crypt_digits);
}

/* Takes what stands before the next "$" off the front, and the "$"; all of it if there is none. */
static struct span take_part(struct span *rest)
{
	ssize_t end = span_chr(*rest, '$');
	struct span part = end < 0 ? *rest : span_slice(*rest, 0, (size_t)end);
	*rest = end < 0 ? span_skip(*rest, rest->len) : span_skip(*rest, (size_t)end + 1);
	return part;
}

static bool take_prefix(struct span *s, struct span prefix)
{
	if (!span_starts_with(*s, prefix))
		return false;
	*s = span_skip(*s, prefix.len);
	return true;
}

static int malformed(struct error *why, const char *name)
{
	return error_set(why, 0, "that is no whole %s hash", name);
}

static int too_costly(struct error *why, const char *what)
{
	return error_set(why, 0, "%s: a check would cost too much; give that user a new password", what);
}

/* ---- crypt(5) ---- */

/* "j9T$salt$hash": flags of the default flavour, N and r as one digit each; what has more parameters is not made by crypt(3). */
static int parse_yescrypt(struct span rest, struct error *why)
{
	struct span parameters = take_part(&rest), salt = take_part(&rest);
	if (parameters.len != 3 || parameters.ptr[0] != 'j' || !is_crypt_text(parameters, 3, 3) || !is_crypt_text(salt, 1, 86) ||
	    !is_crypt_text(rest, 43, 43))
		return malformed(why, "yescrypt");
	long log2_n = strchr(crypt_digits, parameters.ptr[1]) - crypt_digits + 1, r = strchr(crypt_digits, parameters.ptr[2]) - crypt_digits + 1;
	if (log2_n < YESCRYPT_LOG2_LEAST || (r != 8 && r != 32))
		return malformed(why, "yescrypt");
	return log2_n <= YESCRYPT_LOG2_MOST ? 0 : too_costly(why, "yescrypt at a cost above 7");
}

static int parse_bcrypt(struct span rest, struct error *why)
{
	uint64_t cost;
	struct span digits = take_part(&rest);
	if (digits.len != 2 || span_to_u64(digits, 31, &cost) || cost < 4 || !is_crypt_text(rest, 53, 53))
		return malformed(why, "bcrypt");
	return cost <= BCRYPT_COST_MOST ? 0 : too_costly(why, "bcrypt at a cost above 14");
}

static int parse_shacrypt(struct span rest, size_t digest, struct error *why)
{
	uint64_t rounds = 1000;
	bool has_rounds = take_prefix(&rest, SPAN("rounds="));
	if (has_rounds && span_to_u64(take_part(&rest), 999999999, &rounds))
		return malformed(why, "sha256crypt or sha512crypt");
	struct span salt = take_part(&rest);
	/* crypt(3) takes other characters in a salt too; nobody's program puts them there */
	if (rounds < 1000 || !is_crypt_text(salt, 0, 16) || !is_crypt_text(rest, digest, digest))
		return malformed(why, "sha256crypt or sha512crypt");
	return rounds <= SHACRYPT_ROUNDS_MOST ? 0 : too_costly(why, "more than a million rounds");
}

static int parse_md5crypt(struct span rest, struct error *why)
{
	struct span salt = take_part(&rest);
	return is_crypt_text(salt, 0, 8) && is_crypt_text(rest, 22, 22) ? 0 : malformed(why, "md5crypt");
}

static int parse_crypt(struct span text, struct password_hash *out, struct error *why)
{
	struct span rest = text;
	*out = (struct password_hash){.scheme = PASSWORD_CRYPT, .text = text};
	if (take_prefix(&rest, SPAN("$y$"))) {
		out->scheme = PASSWORD_YESCRYPT;
		return parse_yescrypt(rest, why);
	}
	if (take_prefix(&rest, SPAN("$2y$")) || take_prefix(&rest, SPAN("$2b$")) || take_prefix(&rest, SPAN("$2a$")))
		return parse_bcrypt(rest, why);
	if (take_prefix(&rest, SPAN("$6$")))
		return parse_shacrypt(rest, 86, why);
	if (take_prefix(&rest, SPAN("$5$")))
		return parse_shacrypt(rest, 43, why);
	if (take_prefix(&rest, SPAN("$1$")))
		return parse_md5crypt(rest, why);
	return error_set(why, 0, "that is neither a hash of yescrypt, bcrypt, sha512crypt, sha256crypt or md5crypt nor has it a {SCHEME} in front");
}

/* ---- Argon2 ---- */

/* Takes "m=65536" and the comma behind it. */
static bool take_number(struct span *s, struct span name, uint64_t *out)
{
	size_t digits = 0;
	if (!take_prefix(s, name))
		return false;
	while (digits < s->len && ascii_is_digit(s->ptr[digits]))
		digits++;
	if (span_to_u64(span_slice(*s, 0, digits), UINT32_MAX, out))
		return false;
	*s = span_skip(*s, digits);
	return s->len == 0 || take_prefix(s, SPAN(","));
}

static bool is_argon2_bytes(struct span s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t bytes = s.len * 3 / 4;
	return bytes >= ARGON2_BYTES_LEAST && bytes <= ARGON2_BYTES_MOST && is_made_of(s, digits);
}

/* RFC 9106 has the function; the text is its reference implementation's: $argon2id$v=19$m=65536,t=3,p=1$salt$hash */
static int parse_argon2(struct span text, struct password_hash *out, struct error *why)
{
	struct span rest = text;
	uint64_t version, kib, passes, lanes;
	*out = (struct password_hash){.text = text};
	if (take_prefix(&rest, SPAN("$argon2id$")))
		out->scheme = PASSWORD_ARGON2ID;
	else if (take_prefix(&rest, SPAN("$argon2i$")))
		out->scheme = PASSWORD_ARGON2I;
	else
		return malformed(why, "Argon2i or Argon2id");
	struct span version_part = take_part(&rest), costs = take_part(&rest), salt = take_part(&rest);
	if (!take_number(&version_part, SPAN("v="), &version) || version_part.len || (version != 16 && version != 19) ||
	    !take_number(&costs, SPAN("m="), &kib) || !take_number(&costs, SPAN("t="), &passes) ||
	    !take_number(&costs, SPAN("p="), &lanes) || costs.len || !is_argon2_bytes(salt) || !is_argon2_bytes(rest) || !passes || !lanes ||
	    kib < 8 * lanes)
		return malformed(why, "Argon2");
	if (kib > ARGON2_KIB_MOST || passes > ARGON2_PASSES_MOST || lanes > ARGON2_LANES_MOST)
		return too_costly(why, "Argon2 with more than 64 MiB, ten passes or four lanes");
	return 0;
}

/* ---- digests ---- */

static int hex_digit(char c)
{
	return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int hex_decode(struct span s, struct buf *out)
{
	if (s.len % 2)
		return -1;
	for (size_t i = 0; i < s.len; i += 2) {
		int high = hex_digit(s.ptr[i]), low = hex_digit(s.ptr[i + 1]);
		if (high < 0 || low < 0)
			return -1;
		buf_add_char(out, (char)(high << 4 | low));
	}
	return 0;
}

/* base64, or hex where `is_hex`, or where a digest without salt has that length: so Dovecot reads them. */
static int parse_digest(struct span text, enum password_scheme scheme, size_t len, bool is_salted, bool is_hex, struct password_hash *out,
                        struct error *why)
{
	BUF_AUTO bytes = {0};
	*out = (struct password_hash){.scheme = scheme, .digest_len = len};
	is_hex |= !is_salted && text.len == 2 * len;
	if ((is_hex ? hex_decode(text, &bytes) : base64_decode(text, &bytes)) || bytes.len < len)
		return malformed(why, "SHA");
	out->salt_len = bytes.len - len;
	if (out->salt_len > PASSWORD_SALT_MOST || is_salted != (out->salt_len > 0))
		return malformed(why, "SHA");
	memcpy(out->digest, bytes.ptr, len);
	memcpy(out->salt, bytes.ptr + len, out->salt_len);
	return 0;
}

/* ---- schemes ---- */

enum family { CRYPT, ARGON2, DIGEST, SALTED, PLAIN };

static const struct {
	const char *name;
	enum family family;
	enum password_scheme scheme;
	size_t digest;
} schemes[] = {
	{"CRYPT", CRYPT}, {"BLF-CRYPT", CRYPT}, {"SHA512-CRYPT", CRYPT}, {"SHA256-CRYPT", CRYPT}, {"MD5-CRYPT", CRYPT}, {"MD5", CRYPT},
	{"ARGON2I", ARGON2}, {"ARGON2ID", ARGON2},
	{"SHA", DIGEST, PASSWORD_SHA1, 20}, {"SHA1", DIGEST, PASSWORD_SHA1, 20}, {"SSHA", SALTED, PASSWORD_SHA1, 20},
	{"SHA256", DIGEST, PASSWORD_SHA256, 32}, {"SSHA256", SALTED, PASSWORD_SHA256, 32},
	{"SHA512", DIGEST, PASSWORD_SHA512, 64}, {"SSHA512", SALTED, PASSWORD_SHA512, 64},
	{"PLAIN", PLAIN}, {"CLEAR", PLAIN}, {"CLEARTEXT", PLAIN},
};

static int parse_plain(struct span text, struct password_hash *out, struct error *why)
{
	*out = (struct password_hash){.scheme = PASSWORD_PLAIN, .text = text};
	return text.len && span_chr(text, 0) < 0 ? 0 : error_set(why, 0, "there is no password");
}

static int parse_with_scheme(struct span name, struct span text, struct password_hash *out, struct error *why)
{
	bool is_hex = span_ends_with(name, SPAN(".HEX")), is_base64 = span_ends_with(name, SPAN(".B64")) || span_ends_with(name, SPAN(".b64"));
	struct span bare = is_hex || is_base64 ? span_slice(name, 0, name.len - 4) : name;
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		if (!span_equal_nocase(bare, span_cstr(schemes[i].name)))
			continue;
		bool is_salted = schemes[i].family == SALTED;
		if (bare.len < name.len && schemes[i].family != DIGEST && !is_salted)
			break;
		switch (schemes[i].family) {
		case CRYPT: return parse_crypt(text, out, why);
		case ARGON2: return parse_argon2(text, out, why);
		case DIGEST: case SALTED:
			return parse_digest(text, schemes[i].scheme, schemes[i].digest, is_salted, is_hex, out, why);
		case PLAIN: return parse_plain(text, out, why);
		}
	}
	/* what is no name may be a part of a password, or steer a terminal */
	bool is_name = name.len <= SCHEME_BYTES_MOST && is_made_of(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.");
	return error_set(why, 0, "the scheme {%.*s} is not one that can be checked here; give that user a new password",
	                 SPAN_ARG(is_name ? name : SPAN("?")));
}

int password_hash_parse(struct span text, struct password_hash *out, struct error *why)
{
	ssize_t brace = span_starts_with(text, SPAN("{")) ? span_chr(text, '}') : -1;
	if (text.len > PASSWORD_HASH_BYTES_MOST)
		return error_set(why, 0, "that has more than %d bytes", PASSWORD_HASH_BYTES_MOST);
	if (brace > 0)
		return parse_with_scheme(span_slice(text, 1, (size_t)brace - 1), span_skip(text, (size_t)brace + 1), out, why);
	return span_starts_with(text, SPAN("$argon2")) ? parse_argon2(text, out, why) : parse_crypt(text, out, why);
}
