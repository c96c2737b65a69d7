/* An OpenSSL 3 provider with keys that sign in another process.
 *
 * OpenSSL runs the handshake in an ASYNC job (SSL_MODE_ASYNC); digest_sign asks for the signature and pauses the job
 * until the answer is there. The whole text goes to the signer, never a digest: so it can see that a TLS handshake is
 * what it signs. The key management has no export, or OpenSSL might sign with its own code. */
#include "base/tls_remote_key.h"

#include "base/die.h"

#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <stdlib.h>

struct remote_key {
	EVP_PKEY *public_half; /* of the default provider */
	const char *type;      /* "EC", "RSA" or "ED25519" */
};

struct signing {
	struct remote_key *key;
	char digest[32];
	bool is_pss;
};

static struct {
	tls_ask_signature_fn *ask;
	void *context;
	struct tls_signature *current;
} signer;

void tls_set_signer(tls_ask_signature_fn *ask, void *context)
{
	signer.ask = ask;
	signer.context = context;
}

void tls_set_current(struct tls_signature *pending)
{
	signer.current = pending;
}

/* ---- key management ---- */

static void *key_new(const char *type)
{
	struct remote_key *key = calloc(1, sizeof *key);
	if (key)
		key->type = type;
	return key;
}

static void *key_new_ec(void *provider)
{
	(void)provider;
	return key_new("EC");
}

static void *key_new_rsa(void *provider)
{
	(void)provider;
	return key_new("RSA");
}

static void *key_new_ed25519(void *provider)
{
	(void)provider;
	return key_new("ED25519");
}

static void key_free(void *data)
{
	struct remote_key *key = data;
	if (!key)
		return;
	EVP_PKEY_free(key->public_half);
	free(key);
}

static int key_has(const void *data, int selection)
{
	(void)selection;
	/* it can sign, so as far as OpenSSL needs to know the private half is there */
	return data && ((const struct remote_key *)data)->public_half;
}

static int key_match(const void *a, const void *b, int selection)
{
	(void)selection;
	const struct remote_key *x = a, *y = b;
	return x->public_half && y->public_half && EVP_PKEY_eq(x->public_half, y->public_half) == 1;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
	(void)selection;
	struct remote_key *key = data;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, key->type, "provider=default");
	int ok = context && EVP_PKEY_fromdata_init(context) == 1 &&
	         EVP_PKEY_fromdata(context, &key->public_half, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) == 1;
	EVP_PKEY_CTX_free(context);
	return ok;
}

static const OSSL_PARAM *key_import_types(int selection)
{
	(void)selection;
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_END,
	};
	return types;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
	struct remote_key *key = data;
	return key->public_half && EVP_PKEY_get_params(key->public_half, params);
}

static const OSSL_PARAM *key_gettable_params(void *provider)
{
	(void)provider;
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END,
	};
	return types;
}

static const char *ec_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

typedef void (*dispatch_fn)(void);

#define KEY_COMMON \
	{OSSL_FUNC_KEYMGMT_FREE, (dispatch_fn)key_free}, {OSSL_FUNC_KEYMGMT_HAS, (dispatch_fn)key_has}, \
	{OSSL_FUNC_KEYMGMT_MATCH, (dispatch_fn)key_match}, {OSSL_FUNC_KEYMGMT_IMPORT, (dispatch_fn)key_import}, \
	{OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (dispatch_fn)key_import_types}, \
	{OSSL_FUNC_KEYMGMT_GET_PARAMS, (dispatch_fn)key_get_params}, \
	{OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (dispatch_fn)key_gettable_params}

static const OSSL_DISPATCH ec_keys[] = {
	{OSSL_FUNC_KEYMGMT_NEW, (dispatch_fn)key_new_ec}, KEY_COMMON,
	{OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (dispatch_fn)ec_operation_name}, {0, NULL}};
static const OSSL_DISPATCH rsa_keys[] = {{OSSL_FUNC_KEYMGMT_NEW, (dispatch_fn)key_new_rsa}, KEY_COMMON, {0, NULL}};
static const OSSL_DISPATCH ed25519_keys[] = {{OSSL_FUNC_KEYMGMT_NEW, (dispatch_fn)key_new_ed25519}, KEY_COMMON, {0, NULL}};

static const OSSL_ALGORITHM key_algorithms[] = {
	{"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=remote", ec_keys, NULL},
	{"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=remote", rsa_keys, NULL},
	{"ED25519:1.3.101.112", "provider=remote", ed25519_keys, NULL},
	{NULL, NULL, NULL, NULL}};

/* ---- signatures ---- */

static void *sign_new(void *provider, const char *properties)
{
	(void)provider, (void)properties;
	return calloc(1, sizeof(struct signing));
}

static void sign_free(void *data)
{
	free(data);
}

static int sign_set_params(void *data, const OSSL_PARAM params[])
{
	struct signing *s = data;
	const OSSL_PARAM *mode = params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
	if (!mode)
		return 1;
	int number = 0;
	if (mode->data_type == OSSL_PARAM_UTF8_STRING)
		s->is_pss = strcmp(mode->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
	else if (OSSL_PARAM_get_int(mode, &number))
		s->is_pss = number == RSA_PKCS1_PSS_PADDING;
	return 1;
}

static const OSSL_PARAM *sign_settable_params(void *data, void *provider)
{
	(void)data, (void)provider;
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};
	return types;
}

static int sign_init(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signing *s = data;
	s->key = key;
	if (digest && strlen(digest) < sizeof s->digest)
		strcpy(s->digest, digest);
	return sign_set_params(s, params);
}

static enum tls_scheme scheme_of(const struct signing *s)
{
	static const struct { const char *type, *digest; bool is_pss; enum tls_scheme scheme; } table[] = {
		{"EC", "SHA256", false, TLS_ECDSA_SHA256}, {"EC", "SHA384", false, TLS_ECDSA_SHA384},
		{"EC", "SHA512", false, TLS_ECDSA_SHA512}, {"RSA", "SHA256", true, TLS_RSA_PSS_SHA256},
		{"RSA", "SHA384", true, TLS_RSA_PSS_SHA384}, {"RSA", "SHA256", false, TLS_RSA_PKCS1_SHA256},
		{"RSA", "SHA384", false, TLS_RSA_PKCS1_SHA384},
	};
	if (strcmp(s->key->type, "ED25519") == 0)
		return TLS_ED25519;
	EVP_MD *md = EVP_MD_fetch(NULL, s->digest, NULL);
	enum tls_scheme found = TLS_SCHEME_NONE;
	for (size_t i = 0; md && i < sizeof table / sizeof table[0]; i++)
		if (strcmp(table[i].type, s->key->type) == 0 && EVP_MD_is_a(md, table[i].digest) && table[i].is_pss == s->is_pss)
			found = table[i].scheme;
	EVP_MD_free(md);
	return found;
}

static int sign_now(void *data, unsigned char *out, size_t *out_len, size_t size, const unsigned char *text, size_t len)
{
	struct signing *s = data;
	if (!out) {
		*out_len = (size_t)EVP_PKEY_get_size(s->key->public_half);
		return 1;
	}
	struct tls_signature *pending = signer.current;
	enum tls_scheme scheme = scheme_of(s);
	if (!pending || !signer.ask || scheme == TLS_SCHEME_NONE)
		return 0;
	pending->is_done = pending->is_signed = false;
	buf_clear(&pending->bytes);
	if (signer.ask(signer.context, scheme, span_of(text, len), pending))
		return 0;
	while (!pending->is_done)
		if (!ASYNC_pause_job())
			return 0;
	if (!pending->is_signed || pending->bytes.len > size)
		return 0;
	memcpy(out, pending->bytes.ptr, pending->bytes.len);
	*out_len = pending->bytes.len;
	return 1;
}

static const OSSL_DISPATCH signatures[] = {
	{OSSL_FUNC_SIGNATURE_NEWCTX, (dispatch_fn)sign_new}, {OSSL_FUNC_SIGNATURE_FREECTX, (dispatch_fn)sign_free},
	{OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (dispatch_fn)sign_init}, {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (dispatch_fn)sign_now},
	{OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (dispatch_fn)sign_set_params},
	{OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (dispatch_fn)sign_settable_params}, {0, NULL}};

static const OSSL_ALGORITHM signature_algorithms[] = {
	{"ECDSA", "provider=remote", signatures, NULL}, {"RSA:rsaEncryption", "provider=remote", signatures, NULL},
	{"ED25519", "provider=remote", signatures, NULL}, {NULL, NULL, NULL, NULL}};

/* ---- the provider ---- */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return key_algorithms;
	return operation == OSSL_OP_SIGNATURE ? signature_algorithms : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider)
{
	static const OSSL_DISPATCH dispatch[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (dispatch_fn)query}, {0, NULL}};
	(void)core, (void)in;
	static int context;
	*provider = &context;
	*out = dispatch;
	return 1;
}

void tls_remote_key_start(void)
{
	if (!OSSL_PROVIDER_add_builtin(NULL, "remote", provider_init) || !OSSL_PROVIDER_load(NULL, "default") ||
	    !OSSL_PROVIDER_load(NULL, "remote") || !EVP_set_default_properties(NULL, "?provider=default"))
		die("tls: OpenSSL does not take the provider for remote keys");
}

EVP_PKEY *tls_remote_key_new(EVP_PKEY *public_key)
{
	const char *type = EVP_PKEY_is_a(public_key, "EC") ? "EC" : EVP_PKEY_is_a(public_key, "RSA") ? "RSA" : "ED25519";
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, "provider=remote");
	if (!context || EVP_PKEY_todata(public_key, EVP_PKEY_PUBLIC_KEY, &params) != 1 || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(context);
	return key;
}
