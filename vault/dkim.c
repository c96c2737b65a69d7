/* Loading keys, and making signatures with them. */
#include "vault/dkim.h"

#include "auth/arc_sign.h"
#include "auth/dkim_keys.h"
#include "auth/dkim_sign.h"
#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/tls.h"
#include "vault/keys.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

enum { KEYS_OF_DOMAIN_MOST = 4 }; /* each makes a message longer by some 700 bytes */

struct signing_key {
	struct signing_key *next; /* of the same hash */
	char *domain, *selector;
	EVP_PKEY *key;
};

static void free_keys(struct map *keys)
{
	size_t at = 0;
	struct signing_key *first, *k;
	while ((first = map_next(keys, &at)))
		while ((k = first)) {
			first = k->next;
			EVP_PKEY_free(k->key);
			free(k->domain);
			free(k->selector);
			free(k);
		}
	map_free(keys);
}

static int add_key(struct map *keys, const struct dkim_key_entry *e, struct error *why)
{
	struct error reason;
	EVP_PKEY *key = tls_read_key(e->pem, &reason);
	if (!key)
		return error_set(why, 0, "keys/dkim: %.*s of %.*s: %s", SPAN_ARG(span_slice(e->selector, 0, 80)), SPAN_ARG(span_slice(e->domain, 0, 80)), reason.text);
	struct signing_key *k = xcalloc(1, sizeof *k);
	uint64_t hash = span_hash(e->domain, 0);
	*k = (struct signing_key){.next = map_take(keys, hash), .domain = span_strdup(e->domain), .selector = span_strdup(e->selector), .key = key};
	map_put(keys, hash, k);
	return 0;
}

static int read_keys(struct span file, struct map *keys, struct error *why)
{
	struct dkim_key_entry e;
	int got;
	while ((got = dkim_keys_next(&file, &e, why)) > 0)
		if (e.is_active && add_key(keys, &e, why))
			return -1;
	return got;
}

int dkim_load(struct vault_process *v, struct error *why)
{
	BUF_AUTO file = {0};
	struct map keys = {0};
	bool is_there = v->files[KEY_FILE_DKIM].is_open || v->files[KEY_FILE_DKIM].fault != ENOENT;
	int bad = is_there && (key_file_read(&v->files[KEY_FILE_DKIM], "keys/dkim", DKIM_KEYS_FILE_MOST, &file, why) || read_keys(buf_span(&file), &keys, why));
	if (file.ptr)
		OPENSSL_cleanse(file.ptr, file.cap);
	if (bad) {
		free_keys(&keys);
		return -1;
	}
	free_keys(&v->dkim_keys);
	v->dkim_keys = keys;
	return 0;
}

static const struct signing_key *find(const struct vault_process *v, struct span domain)
{
	const struct signing_key *k = map_get(&v->dkim_keys, span_hash(domain, 0));
	while (k && !span_equal(span_cstr(k->domain), domain))
		k = k->next;
	return k;
}

/* The first key of the domain, or of the nearest one above that has one, which is *domain then: it vouches too, as the two have one
 * organisation (RFC 9989 §4.4.1). */
static const struct signing_key *find_above(const struct vault_process *v, struct span *domain)
{
	const struct signing_key *k;
	while (!(k = find(v, *domain)) && span_chr(*domain, '.') >= 0)
		*domain = span_skip(*domain, (size_t)span_chr(*domain, '.') + 1);
	return k;
}

static void sign_with_all(const struct signing_key *first, struct span domain, const struct msg_dkim_ask *m, struct buf *out)
{
	unsigned count = 0;
	for (const struct signing_key *k = first; k && count < KEYS_OF_DOMAIN_MOST; k = k->next) {
		struct dkim_request r = {.domain = domain, .selector = span_cstr(k->selector), .header_names = m->names, .fields = m->fields,
		                         .body_hash = m->body_hash, .now_s = (uint64_t)clock_wall_s()};
		if (!span_equal(span_cstr(k->domain), domain))
			continue;
		if (dkim_sign(&r, k->key, out))
			log_event(LOG_LEVEL_ERROR, "dkim-unsigned", log_c("domain", k->domain), log_c("selector", k->selector));
		count++;
	}
}

void dkim_asked(struct vault_process *v, struct channel *filter, const struct msg_dkim_ask *m)
{
	BUF_AUTO fields = {0};
	struct span domain = m->domain;
	const struct signing_key *k = find_above(v, &domain);
	if (k && m->body_hash.len == 32)
		sign_with_all(k, domain, m, &fields);
	v->dkim_count += fields.len > 0;
	channel_send(filter, signed_fields, .id = m->id, .fields = span_slice(buf_span(&fields), 0, 16384));
}

/* ---- ARC ---- */

/* The first RSA key among those of the domain. */
static const struct signing_key *rsa_key(const struct signing_key *k, struct span domain)
{
	while (k && (!span_equal(span_cstr(k->domain), domain) || EVP_PKEY_get_base_id(k->key) != EVP_PKEY_RSA))
		k = k->next;
	return k;
}

void arc_asked(struct vault_process *v, struct channel *filter, const struct msg_arc_ask *m)
{
	BUF_AUTO fields = {0};
	struct error why;
	struct span hostname = span_cstr(child_hostname(v->self)), domain = m->domain;
	const struct signing_key *k = rsa_key(find_above(v, &domain), domain);
	if (!k) {
		domain = hostname;
		k = rsa_key(find_above(v, &domain), domain);
	}
	if (k) {
		struct arc_request r = {.instance = m->instance, .status = (enum arc_status)m->status, .domain = domain, .selector = span_cstr(k->selector),
		                        .results = m->results, .header_names = m->names, .fields = m->fields, .body_hash = m->body_hash,
		                        .sets = m->sets, .now_s = (uint64_t)clock_wall_s()};
		if (arc_request_check(&r, hostname, &why))
			log_event(LOG_LEVEL_ERROR, "arc-unsealed", log_c("why", why.text));
		else if (arc_sign(&r, k->key, &fields))
			log_event(LOG_LEVEL_ERROR, "arc-unsealed", log_c("domain", k->domain), log_c("selector", k->selector));
	}
	v->arc_count += fields.len > 0;
	channel_send(filter, signed_fields, .id = m->id, .fields = span_slice(buf_span(&fields), 0, 32768));
}
