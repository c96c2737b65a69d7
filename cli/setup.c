/* `carteiro setup DOMAIN`: the configuration, keys, the first account, and the DNS records to publish. */
#include "base/die.h"
#include "base/network.h"
#include "base/random.h"
#include "base/tls.h"
#include "cli/dkim.h"
#include "vault/hash.h"
#include "vault/scram_keys.h"
#include "wire/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <libgen.h>
#include <net/if.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CERTIFICATE_DAYS = 3650, PASSWORD_CHARACTERS = 20, DOMAIN_BYTES_MOST = 253, EXIT_THERE_ALREADY = 1 };

extern char **environ;

struct setup {
	const struct cli *cli;
	const char *domain, *hostname, *data_dir, *run_dir, *user;
	struct buf canonical_domain, canonical_hostname; /* with A-labels, as the DNS has them */
	struct config config;
};

static int fail(const char *what, const char *path)
{
	fprintf(stderr, "carteiro: cannot %s %s: %s\n", what, path, strerror(errno));
	return 73;
}

static int make_canonical(const char *typed, struct buf *out)
{
	struct span domain = span_cstr(typed);
	return domain_is_valid(domain, ADDRESS_UTF8) && domain_canonical(domain, out, NULL) == 0 && out->len <= DOMAIN_BYTES_MOST ? 0 : -1;
}

static int read_options(struct setup *s)
{
	const struct cli *c = s->cli;
	s->user = "admin";
	for (int i = 1; i < c->count; i++) {
		const char **to = strcmp(c->words[i], "--hostname") == 0 ? &s->hostname : strcmp(c->words[i], "--data") == 0 ? &s->data_dir :
		                  strcmp(c->words[i], "--run") == 0 ? &s->run_dir : strcmp(c->words[i], "--user") == 0 ? &s->user : NULL;
		if (to && i + 1 < c->count)
			*to = c->words[++i];
		else if (!to && !s->domain && c->words[i][0] != '-')
			s->domain = c->words[i];
		else
			return -1;
	}
	if (!s->domain || make_canonical(s->domain, &s->canonical_domain))
		return -1;
	s->domain = buf_cstr(&s->canonical_domain);
	BUF_AUTO standard = {0};
	buf_printf(&standard, "mail.%s", s->domain);
	if (make_canonical(s->hostname ? s->hostname : buf_cstr(&standard), &s->canonical_hostname))
		return -1;
	s->hostname = buf_cstr(&s->canonical_hostname);
	return 0;
}

static int write_config(const struct setup *s)
{
	char folder[4096];
	snprintf(folder, sizeof folder, "%s", s->cli->config_file);
	if (mkdir(dirname(folder), 0755) && errno != EEXIST)
		return fail("make the folder of", s->cli->config_file);
	int fd = open(s->cli->config_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST) {
		fprintf(stderr, "carteiro: %s is there already; `carteiro domain add` adds a domain to it\n", s->cli->config_file);
		return 73;
	}
	if (fd < 0)
		return fail("write", s->cli->config_file);
	dprintf(fd, "hostname = %s\npostmaster = postmaster@%s\n", s->hostname, s->domain);
	if (s->data_dir)
		dprintf(fd, "data_dir = %s\n", s->data_dir);
	if (s->run_dir)
		dprintf(fd, "run_dir = %s\n", s->run_dir);
	return close(fd) ? fail("write", s->cli->config_file) : 0;
}

static int make_user(const struct setup *s)
{
	pid_t pid;
	int status;
	if (geteuid() != 0 || getpwnam(s->config.user))
		return 0;
	char *const words[] = {"useradd", "--system", "--user-group", "--no-create-home", "--home-dir", s->config.data_dir,
	                       "--shell", "/usr/sbin/nologin", s->config.user, NULL};
	if (posix_spawnp(&pid, words[0], NULL, NULL, words, environ) || waitpid(pid, &status, 0) < 0 || status) {
		fprintf(stderr, "carteiro: cannot make the user %s: make it yourself, or name another with `user =`\n", s->config.user);
		return 73;
	}
	return 0;
}

static void add_extension(X509 *x509, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	if (extension)
		X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
}

static X509 *make_certificate(EVP_PKEY *key, const char *hostname)
{
	X509 *x509 = X509_new();
	char names[300];
	snprintf(names, sizeof names, "DNS:%s", hostname);
	X509_set_version(x509, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), random_u64() >> 1);
	X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x509), (long)CERTIFICATE_DAYS * 86400);
	X509_set_pubkey(x509, key);
	X509_NAME *name = X509_get_subject_name(x509);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)hostname, strlen(hostname) > 64 ? 64 : -1, -1, 0);
	X509_set_issuer_name(x509, name);
	add_extension(x509, NID_subject_alt_name, names);
	add_extension(x509, NID_basic_constraints, "critical,CA:FALSE");
	X509_sign(x509, key, EVP_sha256());
	return x509;
}

static FILE *create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

/* A key and a certificate of our own making: TLS works from the start, and a real certificate takes its place later. */
static int make_keys(const struct setup *s)
{
	BUF_AUTO folder = {0};
	const struct config *c = &s->config;
	struct passwd *user = geteuid() == 0 ? getpwnam(c->user) : NULL;
	buf_printf(&folder, "%s/keys", c->data_dir);
	if ((mkdir(c->data_dir, 0700) && errno != EEXIST) || (mkdir(buf_cstr(&folder), 0700) && errno != EEXIST))
		return fail("make", buf_cstr(&folder));
	if (access(c->tls_key, F_OK) == 0)
		return 0;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x509 = make_certificate(key, s->hostname);
	FILE *key_file = create(c->tls_key), *certificate_file = create(c->tls_certificate);
	int bad = !key_file || !certificate_file || !PEM_write_PrivateKey(key_file, key, NULL, NULL, 0, NULL, NULL) ||
	          !PEM_write_X509(certificate_file, x509);
	bad |= key_file && fclose(key_file);
	bad |= certificate_file && fclose(certificate_file);
	EVP_PKEY_free(key);
	X509_free(x509);
	if (!bad && user)
		bad = chown(c->data_dir, user->pw_uid, user->pw_gid) || chown(buf_cstr(&folder), user->pw_uid, user->pw_gid) ||
		      chown(c->tls_key, user->pw_uid, user->pw_gid) || chown(c->tls_certificate, user->pw_uid, user->pw_gid);
	if (!bad)
		return 0;
	int code = fail("write", c->tls_key);
	unlink(c->tls_key);
	unlink(c->tls_certificate);
	return code;
}

/* A second setup with the first one's data finds them there. */
static int make_dkim_keys(const struct setup *s)
{
	BUF_AUTO path = {0};
	config_dkim_keys_path(&s->config, &path);
	return access(buf_cstr(&path), F_OK) == 0 ? 0 : dkim_make(&s->config, span_cstr(s->domain));
}

static int make_account(const struct setup *s)
{
	static const char letters[] = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
	char password[PASSWORD_CHARACTERS + 1] = "", account[600], postmaster[600], root_address[600];
	BUF_AUTO hash = {0}, scram = {0};
	for (int i = 0; i < PASSWORD_CHARACTERS; i++)
		password[i] = letters[random_below(sizeof letters - 1)];
	snprintf(account, sizeof account, "%s@%s", s->user, s->domain);
	snprintf(postmaster, sizeof postmaster, "postmaster@%s", s->domain);
	snprintf(root_address, sizeof root_address, "root@%s", s->domain);
	if (hash_make(password, &hash))
		return fail("hash a password with", "crypt(3)");
	scram_keys_make(span_cstr(password), &scram);
	struct server *server = server_connect(s->cli->config_file, true);
	if (!server)
		return 69;
	/* what an earlier setup has made before it failed is kept; its password nobody has seen */
	int code = server_command(server, (const struct span[]){SPAN("domain"), SPAN("add"), span_cstr(s->domain)}, 3);
	if (code == 0 || code == EXIT_THERE_ALREADY)
		code = server_command(server, (const struct span[]){SPAN("user"), SPAN("add"), span_cstr(account), buf_span(&hash), buf_span(&scram)}, 5);
	if (code == EXIT_THERE_ALREADY)
		code = server_command(server, (const struct span[]){SPAN("user"), SPAN("passwd"), span_cstr(account), buf_span(&hash), buf_span(&scram)}, 5);
	for (size_t i = 0; i < 2 && code == 0; i++) {
		const char *alias = i == 0 ? postmaster : root_address; /* root: whom cron and others write to */
		if (strcmp(alias, account) != 0)
			code = server_command(server, (const struct span[]){SPAN("alias"), SPAN("add"), span_cstr(alias), span_cstr(account)}, 4);
		code = code == EXIT_THERE_ALREADY ? 0 : code;
	}
	server_close(server);
	if (!code)
		printf("Account   %s\nPassword  %s\n\n", account, password);
	return code;
}

static void print_addresses(const struct setup *s)
{
	struct ifaddrs *list = NULL;
	bool has_one = false;
	if (getifaddrs(&list))
		return;
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		char text[INET6_ADDRSTRLEN] = "";
		bool is_six = i->ifa_addr && i->ifa_addr->sa_family == AF_INET6;
		if (!i->ifa_addr || (!is_six && i->ifa_addr->sa_family != AF_INET) || (i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP))
			continue;
		const void *address = is_six ? (const void *)&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr
		                             : (const void *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr;
		inet_ntop(i->ifa_addr->sa_family, address, text, sizeof text);
		if (network_is_private(span_cstr(text)))
			continue;
		printf("%s. 3600 IN %s %s\n", s->hostname, is_six ? "AAAA" : "A", text);
		has_one = true;
	}
	freeifaddrs(list);
	if (!has_one)
		printf("; %s. 3600 IN A (the address by which the world reaches this machine: its own are private)\n", s->hostname);
}

/* RFC 7672 §3.1.1: by its key, so that a certificate that is renewed for the same key still fits. A comment: in a zone that is not signed
 * it says nothing, and once the key changes without it, mail no longer comes. */
static void print_tlsa(const struct setup *s)
{
	BUF_AUTO pem = {0};
	unsigned char *bytes = NULL, digest[32];
	X509 *certificate = cli_read_file(s->config.tls_certificate, &pem, 1 << 20) ? NULL : tls_read_certificate(buf_span(&pem), NULL);
	int len = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes) : 0;
	if (len > 0 && EVP_Digest(bytes, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1) {
		printf("; in a signed zone, for DANE, as long as the key in %s is this one:\n; _25._tcp.%s. 3600 IN TLSA 3 1 1 ", s->config.tls_key, s->hostname);
		for (size_t i = 0; i < sizeof digest; i++)
			printf("%02x", digest[i]);
		printf("\n");
	}
	OPENSSL_free(bytes);
	X509_free(certificate);
}

static void print_records(const struct setup *s)
{
	printf("; DNS records to publish\n");
	printf("%s. 3600 IN MX 10 %s.\n", s->domain, s->hostname);
	print_addresses(s);
	printf("%s. 3600 IN TXT \"v=spf1 mx -all\"\n", s->domain);
	if (strcmp(s->hostname, s->domain) != 0) /* for bounces, whose sender is the host's name (RFC 7208 §2.4) */
		printf("%s. 3600 IN TXT \"v=spf1 a -all\"\n", s->hostname);
	printf("_dmarc.%s. 3600 IN TXT \"v=DMARC1; p=quarantine; rua=mailto:postmaster@%s\"\n", s->domain, s->domain);
	printf("_smtp._tls.%s. 3600 IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@%s\"\n", s->domain, s->domain); /* RFC 8460 §3 */
	dkim_print_records(&s->config, span_cstr(s->domain));
	print_tlsa(s);
	printf("; and let the address's reverse name be %s\n", s->hostname);
}

static int set_up(struct setup *s)
{
	if (cli_read_config(s->cli->config_file, &s->config))
		return 78;
	int code = make_user(s);
	code = code ? code : make_keys(s);
	code = code ? code : make_dkim_keys(s);
	code = code ? code : make_account(s);
	if (code)
		return code;
	printf("Configuration  %s\n\n", s->cli->config_file);
	print_records(s);
	printf("\nNext: publish the records, then `carteiro run` (or start the service).\n");
	return 0;
}

int cli_setup(const struct cli *c)
{
	struct setup s = {.cli = c};
	if (read_options(&s)) {
		fprintf(stderr, "carteiro setup DOMAIN [--hostname NAME] [--user NAME] [--data FOLDER] [--run FOLDER]\n");
		return 64;
	}
	int code = write_config(&s);
	if (!code) {
		code = set_up(&s);
		if (code) {
			unlink(c->config_file);
			fprintf(stderr, "carteiro: nothing is set up yet: mend that, and run `carteiro setup` again\n");
		}
	}
	config_free(&s.config);
	buf_free(&s.canonical_domain);
	buf_free(&s.canonical_hostname);
	return code;
}
