/* `carteiro check`: the certificate and its key, and the authorities of clients' certificates. */
#include "base/tls.h"
#include "cli/cli.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_BYTES_MOST = 65536, NAMES_BYTES_MOST = 300 };

/* Appends the file; 1 and a line of what to do if it cannot be read. */
static int read_pem(const char *setting, const char *path, struct buf *out)
{
	if (cli_read_file(path, out, PEM_BYTES_MOST) == 0)
		return 0;
	switch (errno) {
	case ENOENT: case ENOTDIR:
		printf("%s: there is no file %s: put it there, or name another with `%s =`\n", setting, path, setting);
		break;
	case EACCES:
		printf("%s: you may not read %s: run this as root, who opens it for the server%s\n", setting, path,
		       geteuid() ? " (or start the server as a user who may)" : "");
		break;
	case EFBIG:
		printf("%s: %s has more than %d bytes: that is no file of this kind\n", setting, path, PEM_BYTES_MOST);
		break;
	default:
		printf("%s: cannot read %s: %s\n", setting, path, strerror(errno));
	}
	return 1;
}

static int check_mode(const char *path)
{
	struct stat status;
	if (stat(path, &status) || !(status.st_mode & 077))
		return 0;
	printf("tls_key: others than its owner may use %s (mode %03o): chmod 600 it\n", path, (unsigned)status.st_mode & 0777);
	return 1;
}

/* The DNS names of the certificate, with blanks between them; cut where they are many. */
static void add_names(const X509 *certificate, struct buf *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && out->len < NAMES_BYTES_MOST; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type == GEN_DNS)
			buf_printf(out, " %.*s", ASN1_STRING_length(name->d.dNSName), (const char *)ASN1_STRING_get0_data(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
}

static int check_time(const char *path, const X509 *certificate)
{
	struct tm end = {0};
	char date[32] = "";
	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1)
		strftime(date, sizeof date, "%Y-%m-%d", &end);
	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
		printf("tls_certificate: %s has expired on %s: renew it, then `carteiro reload`\n", path, date);
		return 1;
	}
	if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
		printf("tls_certificate: %s is not valid yet: is this machine's clock right?\n", path);
		return 1;
	}
	return 0;
}

/* RFC 6125 §6.4: by its DNS names. */
static int check_name(const char *path, X509 *certificate, const char *hostname)
{
	BUF_AUTO names = {0};
	if (X509_check_host(certificate, hostname, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1)
		return 0;
	add_names(certificate, &names);
	printf("tls_certificate: %s does not name %s, and mail programs will refuse it: get one for that name, or set hostname to "
	       "a name that it has (%s)\n", path, hostname, names.len ? buf_cstr(&names) + 1 : "it has none");
	return 1;
}

static int check_client_authorities(const char *path)
{
	BUF_AUTO pem = {0};
	struct error why;
	X509 *certificate;
	if (!path[0])
		return 0;
	if (read_pem("tls_client_authorities", path, &pem))
		return 1;
	certificate = tls_read_certificate(buf_span(&pem), &why);
	if (!certificate)
		printf("tls_client_authorities: %s: %s\n", path, why.text);
	X509_free(certificate);
	return !certificate;
}

int cli_check_keys(const struct config *c)
{
	BUF_AUTO key_pem = {0}, chain = {0};
	struct error why;
	EVP_PKEY *key = NULL;
	X509 *certificate = NULL;
	int faults = 0;
	if (read_pem("tls_certificate", c->tls_certificate, &chain))
		faults++;
	else if (!(certificate = tls_read_certificate(buf_span(&chain), &why)))
		faults += printf("tls_certificate: %s: %s\n", c->tls_certificate, why.text) > 0;
	if (read_pem("tls_key", c->tls_key, &key_pem))
		faults++;
	else if (!(key = tls_read_key(buf_span(&key_pem), &why)))
		faults += printf("tls_key: %s: %s\n", c->tls_key, why.text) > 0;
	faults += check_mode(c->tls_key);
	if (certificate && key && X509_check_private_key(certificate, key) != 1)
		faults += printf("tls_key: %s is not the key of %s: name the two that belong together (of certbot: privkey.pem and "
		                 "fullchain.pem of one folder)\n", c->tls_key, c->tls_certificate) > 0;
	if (certificate)
		faults += check_time(c->tls_certificate, certificate) + check_name(c->tls_certificate, certificate, c->hostname);
	faults += check_client_authorities(c->tls_client_authorities);
	if (key_pem.ptr)
		explicit_bzero(key_pem.ptr, key_pem.cap);
	EVP_PKEY_free(key);
	X509_free(certificate);
	return faults;
}
