/* `carteiro dkim`: makes keys, shows what to publish, and rotates.
 *
 * A rotation goes in two steps, as a record must be in the DNS before anything is signed with its key: `new` makes the keys and shows the
 * records; `activate` looks for them in the DNS, and then lets the new keys sign and throws the old ones away. */
#include "cli/dkim.h"

#include "auth/dkim_keys.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/tls.h"
#include "resolve/client.h"
#include "wire/address.h"
#include "wire/dkim.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 64, EXIT_DATA = 65, EXIT_UNAVAILABLE = 69, EXIT_IO = 74, STRING_MOST = 255 /* of a TXT record: RFC 1035 §3.3 */ };

static int fail(const char *what, const char *path)
{
	fprintf(stderr, "carteiro: cannot %s %s: %s\n", what, path, strerror(errno));
	return EXIT_IO;
}

/* The file as it is; none is an empty one. */
static int read_keys(const struct config *c, struct buf *out)
{
	BUF_AUTO path = {0};
	config_dkim_keys_path(c, &path);
	if (cli_read_file(buf_cstr(&path), out, DKIM_KEYS_FILE_MOST) && errno != ENOENT)
		return fail("read", buf_cstr(&path));
	return 0;
}

/* The whole file anew, by a rename: who reads it meanwhile sees the old one or the new one. It belongs to whom its folder belongs to. */
static int write_keys(const struct config *c, struct span content)
{
	BUF_AUTO path = {0}, temporary = {0}, folder = {0};
	struct stat status;
	config_dkim_keys_path(c, &path);
	buf_printf(&temporary, "%s.new", buf_cstr(&path));
	buf_printf(&folder, "%s/keys", c->data_dir);
	int directory = open(buf_cstr(&folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fstat(directory, &status))
		return fail("open", buf_cstr(&folder));
	unlink(buf_cstr(&temporary));
	int fd = open(buf_cstr(&temporary), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool is_written = fd >= 0 && write(fd, content.ptr, content.len) == (ssize_t)content.len && fsync(fd) == 0 &&
	                  (geteuid() != 0 || fchown(fd, status.st_uid, status.st_gid) == 0);
	is_written = fd >= 0 && close(fd) == 0 && is_written && rename(buf_cstr(&temporary), buf_cstr(&path)) == 0 && fsync(directory) == 0;
	int code = is_written ? 0 : fail("write", buf_cstr(&path));
	close(directory);
	return code;
}

/* Commands that change the file go one after the other. */
static int lock_keys(const struct config *c)
{
	BUF_AUTO folder = {0};
	buf_printf(&folder, "%s/keys", c->data_dir);
	int fd = open(buf_cstr(&folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX))
		fail("lock", buf_cstr(&folder));
	return fd;
}

static int next_entry(struct span *rest, struct dkim_key_entry *e)
{
	struct error why;
	int got = dkim_keys_next(rest, e, &why);
	if (got < 0)
		fprintf(stderr, "carteiro: keys/dkim: %s\n", why.text);
	return got;
}

static bool has_selector(struct span file, struct span domain, const char *selector)
{
	struct dkim_key_entry e;
	while (dkim_keys_next(&file, &e, NULL) > 0)
		if (span_equal(e.domain, domain) && span_equal(e.selector, span_cstr(selector)))
			return true;
	return false;
}

static bool has_key(struct span file, struct span domain, bool is_active)
{
	struct dkim_key_entry e;
	while (dkim_keys_next(&file, &e, NULL) > 0)
		if (span_equal(e.domain, domain) && e.is_active == is_active)
			return true;
	return false;
}

/* ---- making ---- */

/* "c20261125r": the day tells how old a key is; a letter more if there are several of a day. */
static void choose_selector(struct span file, struct span domain, char kind, char out[32])
{
	time_t now = clock_wall_s();
	struct tm day;
	gmtime_r(&now, &day);
	for (unsigned n = 0; n < 26; n++) {
		size_t len = strftime(out, 24, "c%Y%m%d", &day);
		snprintf(out + len, 32 - len, "%.*s%c", n ? 1 : 0, &"abcdefghijklmnopqrstuvwxyz"[n], kind);
		if (!has_selector(file, domain, out))
			return;
	}
}

static int add_key(struct buf *file, struct span domain, const char *selector, bool is_active, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	bool is_made = key && bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
	long len = is_made ? BIO_get_mem_data(bio, &pem) : 0;
	buf_printf(file, "key %.*s %s %s\n", SPAN_ARG(domain), selector, is_active ? "active" : "new");
	if (is_made)
		buf_add(file, span_of(pem, (size_t)len));
	BIO_free(bio);
	EVP_PKEY_free(key);
	if (!is_made)
		fprintf(stderr, "carteiro: OpenSSL makes no key\n");
	return is_made ? 0 : EXIT_UNAVAILABLE;
}

int dkim_make(const struct config *c, struct span domain)
{
	BUF_AUTO file = {0};
	char rsa[32], ed25519[32];
	int lock = lock_keys(c);
	int code = lock < 0 ? EXIT_IO : read_keys(c, &file);
	if (!code) {
		bool is_first = !has_key(buf_span(&file), domain, true);
		choose_selector(buf_span(&file), domain, 'r', rsa);
		choose_selector(buf_span(&file), domain, 'e', ed25519);
		code = add_key(&file, domain, rsa, is_first, EVP_RSA_gen(2048));
		code = code ? code : add_key(&file, domain, ed25519, is_first, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
		code = code ? code : write_keys(c, buf_span(&file));
	}
	if (file.ptr)
		OPENSSL_cleanse(file.ptr, file.cap);
	if (lock >= 0)
		close(lock);
	return code;
}

/* ---- records ---- */

/* The record's text (RFC 6376 §3.6.1, RFC 8463 §4.2), without its quotes. -1 if the key cannot be read. */
static int record_of(const struct dkim_key_entry *e, struct buf *out)
{
	struct error why;
	unsigned char *der = NULL, raw[64];
	size_t raw_len = sizeof raw;
	EVP_PKEY *key = tls_read_key(e->pem, &why);
	bool is_rsa = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	int len = is_rsa ? i2d_PUBKEY(key, &der) : key && EVP_PKEY_get_raw_public_key(key, raw, &raw_len) == 1 ? (int)raw_len : -1;
	EVP_PKEY_free(key);
	if (len > 0 && len <= 700) {
		buf_printf(out, "v=DKIM1; k=%s; p=", is_rsa ? "rsa" : "ed25519");
		base64_encode(span_of(is_rsa ? der : raw, (size_t)len), out);
	}
	OPENSSL_free(der);
	if (len <= 0)
		fprintf(stderr, "carteiro: keys/dkim: %.*s of %.*s: %s\n", SPAN_ARG(e->selector), SPAN_ARG(e->domain), why.text);
	return len > 0 ? 0 : -1;
}

static int print_record(const struct dkim_key_entry *e)
{
	BUF_AUTO record = {0};
	if (record_of(e, &record))
		return EXIT_DATA;
	printf("%.*s._domainkey.%.*s. 3600 IN TXT", SPAN_ARG(e->selector), SPAN_ARG(e->domain));
	bool is_long = record.len > STRING_MOST;
	printf(is_long ? " (" : "");
	for (struct span rest = buf_span(&record); rest.len; rest = span_skip(rest, STRING_MOST))
		printf(" \"%.*s\"", SPAN_ARG(span_slice(rest, 0, STRING_MOST)));
	printf(is_long ? " )\n" : "\n");
	return 0;
}

int dkim_print_records(const struct config *c, struct span domain)
{
	BUF_AUTO file = {0};
	struct dkim_key_entry e;
	int got, code = read_keys(c, &file);
	struct span rest = buf_span(&file);
	while (!code && (got = next_entry(&rest, &e))) {
		if (got < 0)
			code = EXIT_DATA;
		else if (!domain.len || span_equal(e.domain, domain))
			code = print_record(&e);
	}
	if (file.ptr)
		OPENSSL_cleanse(file.ptr, file.cap);
	return code;
}

static int list(const struct config *c)
{
	BUF_AUTO file = {0};
	struct dkim_key_entry e;
	int got, code = read_keys(c, &file);
	struct span rest = buf_span(&file);
	while (!code && (got = next_entry(&rest, &e))) {
		BUF_AUTO record = {0};
		if (got < 0 || record_of(&e, &record))
			code = EXIT_DATA;
		else
			printf("%.*s %.*s %s %s\n", SPAN_ARG(e.domain), SPAN_ARG(e.selector), span_find(buf_span(&record), SPAN("k=rsa")) >= 0 ? "rsa" : "ed25519",
			       e.is_active ? "active" : "new");
	}
	if (file.ptr)
		OPENSSL_cleanse(file.ptr, file.cap);
	return code;
}

/* ---- activating ---- */

struct search {
	struct loop *loop;
	struct span wanted; /* the record's text */
	bool is_found;
	char text[160];
};

static struct span without_space(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] != ' ' && s.ptr[i] != '\t')
			buf_add_char(out, s.ptr[i]);
	return buf_span(out);
}

static void on_record(void *context, const struct dns_answer *answer)
{
	struct search *s = context;
	for (size_t i = 0; i < answer->count; i++) {
		BUF_AUTO a = {0}, b = {0};
		s->is_found |= span_equal(without_space(answer->records[i], &a), without_space(s->wanted, &b));
	}
	snprintf(s->text, sizeof s->text, "%.*s", SPAN_ARG(answer->outcome == DNS_LATER ? answer->text : answer->count ? SPAN("it is another one") : SPAN("it is not there")));
	loop_stop(s->loop);
}

static bool is_published(const struct config *c, const struct dkim_key_entry *e)
{
	BUF_AUTO record = {0}, name = {0};
	if (record_of(e, &record))
		return false;
	struct search s = {.loop = loop_new(), .wanted = buf_span(&record)};
	struct dns_client *dns = lookup_client_open(s.loop, c);
	buf_printf(&name, "%.*s._domainkey.%.*s", SPAN_ARG(e->selector), SPAN_ARG(e->domain));
	dns->ask(dns, DNS_TXT, buf_span(&name), on_record, &s);
	loop_run(s.loop);
	lookup_client_free(dns);
	loop_free(s.loop);
	if (!s.is_found)
		fprintf(stderr, "carteiro: %s: %s\n", buf_cstr(&name), s.text);
	return s.is_found;
}

static void copy_entry(const struct dkim_key_entry *e, const char *state, struct buf *out)
{
	buf_printf(out, "key %.*s %.*s %s\n", SPAN_ARG(e->domain), SPAN_ARG(e->selector), state);
	buf_add(out, e->pem);
}

/* What stays of the file: without the domain's old keys, and with its new ones active; without any of its keys if it is removed. */
static int rewrite(const struct config *c, struct span domain, bool is_removed, bool is_forced)
{
	BUF_AUTO file = {0}, next = {0};
	struct dkim_key_entry e;
	int got, lock = lock_keys(c), code = lock < 0 ? EXIT_IO : read_keys(c, &file);
	struct span rest = buf_span(&file);
	if (!code && !is_removed && !has_key(rest, domain, false)) {
		fprintf(stderr, "carteiro: %.*s has no new keys: `carteiro dkim new %.*s` makes them\n", SPAN_ARG(domain), SPAN_ARG(domain));
		code = EXIT_DATA;
	}
	while (!code && (got = next_entry(&rest, &e))) {
		bool is_of_domain = got > 0 && span_equal(e.domain, domain);
		if (got < 0)
			code = EXIT_DATA;
		else if (!is_of_domain)
			copy_entry(&e, e.is_active ? "active" : "new", &next);
		else if (!is_removed && !e.is_active && !is_forced && !is_published(c, &e))
			code = EXIT_UNAVAILABLE;
		else if (!is_removed && !e.is_active)
			copy_entry(&e, "active", &next);
	}
	code = code ? code : write_keys(c, buf_span(&next));
	if (file.ptr)
		OPENSSL_cleanse(file.ptr, file.cap);
	if (next.ptr)
		OPENSSL_cleanse(next.ptr, next.cap);
	if (lock >= 0)
		close(lock);
	return code;
}

/* ---- the command ---- */

static int usage(void)
{
	fprintf(stderr, "carteiro dkim list | new DOMAIN | records [DOMAIN] | activate DOMAIN [--force] | remove DOMAIN\n");
	return EXIT_USAGE;
}

static int run(const struct cli *cli, const struct config *c, struct span domain)
{
	struct span word = span_cstr(cli->words[1]);
	bool is_forced = cli->count > 3 && strcmp(cli->words[3], "--force") == 0;
	int code;
	if (span_equal(word, SPAN("list")))
		return list(c);
	if (span_equal(word, SPAN("records")))
		return dkim_print_records(c, domain);
	if (!domain.len)
		return usage();
	if (span_equal(word, SPAN("new"))) {
		code = dkim_make(c, domain);
		code = code ? code : dkim_print_records(c, domain);
	} else if (span_equal(word, SPAN("activate"))) {
		code = rewrite(c, domain, false, is_forced);
	} else if (span_equal(word, SPAN("remove"))) {
		code = rewrite(c, domain, true, false);
	} else {
		return usage();
	}
	return code ? code : server_reload_keys(cli->config_file);
}

int cli_dkim(const struct cli *cli)
{
	struct config c;
	BUF_AUTO domain = {0};
	if (cli->count < 2)
		return usage();
	if (cli_read_config(cli->config_file, &c))
		return 78;
	int code = 0;
	if (cli->count > 2 && (!domain_is_valid(span_cstr(cli->words[2]), ADDRESS_UTF8) || domain_canonical(span_cstr(cli->words[2]), &domain, NULL))) {
		fprintf(stderr, "carteiro: %s is no domain name\n", cli->words[2]);
		code = EXIT_USAGE;
	}
	code = code ? code : run(cli, &c, buf_span(&domain));
	config_free(&c);
	return code;
}
