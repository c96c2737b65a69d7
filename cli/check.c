/* `carteiro check`: what is wrong in the configuration, and around it. */
#include "cli/cli.h"

#include "wire/milter.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int cli_read_file(const char *path, struct buf *out, size_t most)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n;
	while ((n = read(fd, buf_reserve(out, 4096), 4096)) > 0 && out->len <= most)
		out->len += (size_t)n;
	int code = n < 0 ? errno : out->len > most ? EFBIG : 0;
	close(fd);
	errno = code;
	return code ? -1 : 0;
}

int cli_read_config(const char *file, struct config *out)
{
	BUF_AUTO text = {0};
	struct config_errors errors;
	struct error why;
	if (cli_read_file(file, &text, CONFIG_FILE_BYTES_MOST)) {
		fprintf(stderr, "carteiro: cannot read %s: %s (`carteiro setup DOMAIN` writes one; -c names another)\n", file, strerror(errno));
		return -1;
	}
	if (config_parse(buf_span(&text), file, out, &errors)) {
		for (size_t i = 0; i < errors.count; i++)
			fprintf(stderr, "%s\n", errors.at[i].text);
		return -1;
	}
	if (config_complete(out, &why)) {
		fprintf(stderr, "%s: %s\n", file, why.text);
		config_free(out);
		return -1;
	}
	return 0;
}

static int check_milters(const struct config *c)
{
	struct span rest = span_cstr(c->milters), word;
	int faults = 0;
	while ((word = span_next_word(&rest)).len) {
		struct milter_socket at;
		struct timeval most = {.tv_sec = 5};
		milter_socket_parse(word, &at, NULL); /* it has been read once */
		int fd = socket(at.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most); /* of connect too */
		if (connect(fd, (const struct sockaddr *)&at.address, at.length))
			faults += printf("milters: %.*s: %s: start it, or let the user %s connect there\n", SPAN_ARG(word), strerror(errno), c->user) > 0;
		close(fd);
	}
	return faults;
}

/* Whoever may write to one of them, or put another in its place, is all the users who use it. */
static int check_pipes(const struct config *c)
{
	struct span rest = span_cstr(c->pipes), word;
	int faults = 0;
	while ((word = span_next_word(&rest)).len) {
		char path[CONFIG_LINE_BYTES_MOST];
		struct stat program, folder;
		snprintf(path, sizeof path, "%.*s", SPAN_ARG(word));
		if (stat(path, &program)) {
			faults += printf("pipes: %s: %s\n", path, strerror(errno)) > 0;
			continue;
		}
		if (!S_ISREG(program.st_mode) || !(program.st_mode & S_IXOTH))
			faults += printf("pipes: %s: it is no program that every user may run\n", path) > 0;
		if (program.st_uid != 0 || program.st_mode & (S_IWGRP | S_IWOTH))
			faults += printf("pipes: %s: others than root may write to it\n", path) > 0;
		*strrchr(path, '/') = '\0';
		bool is_shared = stat(path[0] ? path : "/", &folder) == 0 && (folder.st_uid != 0 || folder.st_mode & (S_IWGRP | S_IWOTH));
		if (is_shared)
			faults += printf("pipes: %.*s: others than root may write to its folder\n", SPAN_ARG(word)) > 0;
	}
	const struct passwd *user = c->pipes[0] ? getpwnam(c->pipe_user) : NULL;
	if (c->pipes[0] && (!user || user->pw_uid == 0 || strcmp(c->pipe_user, c->user) == 0))
		faults += printf("pipe_user: %s is no user of this system, or root or the server's: name another, as nobody\n", c->pipe_user) > 0;
	return faults;
}

int cli_check(const struct cli *cli)
{
	struct config c;
	struct stat status;
	if (cli_read_config(cli->config_file, &c))
		return 78;
	bool is_spf = cli->count > 1 && strcmp(cli->words[1], "spf") == 0, is_message = cli->count > 1 && strcmp(cli->words[1], "message") == 0;
	if (is_spf || is_message) {
		int code = is_spf ? cli_check_spf(&c) : cli_check_message(cli, &c);
		config_free(&c);
		return code;
	}
	int faults = cli_check_keys(&c);
	if (geteuid() == 0 && !getpwnam(c.user))
		faults += printf("user: there is no user %s on this system: `carteiro setup` makes it\n", c.user) > 0;
	if (stat(c.data_dir, &status))
		faults += printf("data_dir: %s: %s\n", c.data_dir, strerror(errno)) > 0;
	if (c.dnssec && access(c.trust_anchor, R_OK))
		faults += printf("trust_anchor: cannot read %s: install dns-root-data, or set dnssec = off\n", c.trust_anchor) > 0;
	if (c.relay_host_login[0] && !c.relay_host[0])
		faults += printf("relay_host_login: there is no relay_host to log in at\n") > 0;
	if (c.relay_host_login[0] && access(c.relay_host_login, R_OK))
		faults += printf("relay_host_login: cannot read %s: %s\n", c.relay_host_login, strerror(errno)) > 0;
	if (access(c.tls_authorities, R_OK)) /* MTA-STS policies are believed by these alone, and relay_host's certificate */
		faults += printf("tls_authorities: cannot read %s: install ca-certificates, or name another file\n", c.tls_authorities) > 0;
	faults += check_milters(&c);
	faults += check_pipes(&c);
	faults += cli_check_tables(&c);
	config_free(&c);
	if (!faults)
		printf("%s is right\n", cli->config_file);
	return faults ? 78 : 0;
}
