/* `carteiro setup DOMAIN`: the configuration, keys, the first account, and the DNS records to publish. */
#include "base/die.h"
#include "base/random.h"
#include "cli/dkim.h"
#include "vault/hash.h"
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

enum { CERTIFICATE_DAYS = 3650, PASSWORD_CHARACTERS = 20 };

extern char **environ;

struct setup {
	const struct cli *cli;
	const char *domain, *hostname, *data_dir, *run_dir, *user;
	char default_hostname[300];
	struct config config;
};

static int fail(const char *what, const char *path)
{
	fprintf(stderr, "carteiro: cannot %s %s: %s\n", what, path, strerror(errno));
	return 73;
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
	if (!s->domain || !domain_is_valid(span_cstr(s->domain), ADDRESS_UTF8) || strlen(s->domain) > 253)
		return -1;
	snprintf(s->default_hostname, sizeof s->default_hostname, "mail.%s", s->domain);
	if (!s->hostname)
		s->hostname = s->default_hostname;
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
	return bad ? fail("write", c->tls_key) : 0;
}

/* A second setup with the first one's data finds them there. */
static int make_dkim_keys(const struct setup *s)
{
	BUF_AUTO domain = {0}, path = {0};
	config_dkim_keys_path(&s->config, &path);
	if (access(buf_cstr(&path), F_OK) == 0)
		return 0;
	if (domain_canonical(span_cstr(s->domain), &domain, NULL)) {
		fprintf(stderr, "carteiro: %s is no domain name\n", s->domain);
		return 64;
	}
	return dkim_make(&s->config, buf_span(&domain));
}

static int make_account(const struct setup *s)
{
	static const char letters[] = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
	char password[PASSWORD_CHARACTERS + 1] = "", account[600], postmaster[600], root_address[600];
	BUF_AUTO hash = {0};
	for (int i = 0; i < PASSWORD_CHARACTERS; i++)
		password[i] = letters[random_below(sizeof letters - 1)];
	snprintf(account, sizeof account, "%s@%s", s->user, s->domain);
	snprintf(postmaster, sizeof postmaster, "postmaster@%s", s->domain);
	snprintf(root_address, sizeof root_address, "root@%s", s->domain);
	if (hash_make(password, &hash))
		return fail("hash a password with", "crypt(3)");
	struct server *server = server_connect(s->cli->config_file, true);
	if (!server)
		return 69;
	struct span domain[] = {SPAN("domain"), SPAN("add"), span_cstr(s->domain)};
	struct span user[] = {SPAN("user"), SPAN("add"), span_cstr(account), buf_span(&hash)};
	struct span alias[] = {SPAN("alias"), SPAN("add"), span_cstr(postmaster), span_cstr(account)};
	int code = server_command(server, domain, 3);
	code = code ? code : server_command(server, user, 4);
	if (!code && strcmp(s->user, "postmaster") != 0)
		code = server_command(server, alias, 4);
	struct span root[] = {SPAN("alias"), SPAN("add"), span_cstr(root_address), span_cstr(account)};
	if (!code && strcmp(s->user, "root") != 0)
		code = server_command(server, root, 4); /* whom cron and others write to */
	server_close(server);
	if (!code)
		printf("Account   %s\nPassword  %s\n\n", account, password);
	return code;
}

static void print_addresses(const struct setup *s)
{
	struct ifaddrs *list = NULL;
	char text[INET6_ADDRSTRLEN];
	bool has_one = false;
	if (getifaddrs(&list))
		return;
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (!i->ifa_addr || (i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP))
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			inet_ntop(AF_INET, &((struct sockaddr_in *)i->ifa_addr)->sin_addr, text, sizeof text);
			printf("%s. 3600 IN A %s\n", s->hostname, text);
			has_one = true;
		} else if (i->ifa_addr->sa_family == AF_INET6 &&
		           !IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr)) {
			inet_ntop(AF_INET6, &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr, text, sizeof text);
			printf("%s. 3600 IN AAAA %s\n", s->hostname, text);
			has_one = true;
		}
	}
	freeifaddrs(list);
	if (!has_one)
		printf("; %s. 3600 IN A (this machine's public address)\n", s->hostname);
}

static void print_records(const struct setup *s)
{
	printf("; DNS records to publish\n");
	printf("%s. 3600 IN MX 10 %s.\n", s->domain, s->hostname);
	print_addresses(s);
	printf("%s. 3600 IN TXT \"v=spf1 mx -all\"\n", s->domain);
	printf("_dmarc.%s. 3600 IN TXT \"v=DMARC1; p=quarantine; rua=mailto:postmaster@%s\"\n", s->domain, s->domain);
	BUF_AUTO domain = {0};
	if (domain_canonical(span_cstr(s->domain), &domain, NULL) == 0)
		dkim_print_records(&s->config, buf_span(&domain));
	printf("; and let the address's reverse name be %s\n", s->hostname);
}

int cli_setup(const struct cli *c)
{
	struct setup s = {.cli = c};
	if (read_options(&s)) {
		fprintf(stderr, "carteiro setup DOMAIN [--hostname NAME] [--user NAME] [--data FOLDER] [--run FOLDER]\n");
		return 64;
	}
	int code = write_config(&s);
	if (!code && cli_read_config(c->config_file, &s.config))
		return 78;
	code = code ? code : make_user(&s);
	code = code ? code : make_keys(&s);
	code = code ? code : make_dkim_keys(&s);
	code = code ? code : make_account(&s);
	if (code)
		return code;
	printf("Configuration  %s\n\n", c->config_file);
	print_records(&s);
	printf("\nNext: publish the records, then `carteiro run` (or start the service).\n");
	config_free(&s.config);
	return 0;
}
