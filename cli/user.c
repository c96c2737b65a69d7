/* `carteiro user`: passwords are hashed here (yescrypt), so that the server only ever sees the hash. */
#include "base/die.h"
#include "cli/cli.h"
#include "cli/password.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { IMPORT_BYTES_MOST = 64 * 1024 * 1024 };

int password_hash(const char *password, struct buf *out)
{
	char *salt = crypt_gensalt_ra("$y$", 0, NULL, 0);
	void *memory = NULL;
	int size = 0;
	char *hash = salt ? crypt_ra(password, salt, &memory, &size) : NULL;
	if (hash)
		buf_add_cstr(out, hash);
	free(salt);
	free(memory);
	return hash ? 0 : -1;
}

static int read_line(const char *prompt, struct buf *out)
{
	struct termios shown, hidden;
	bool is_terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &shown) == 0;
	char *line = NULL;
	size_t room = 0;
	if (is_terminal) {
		hidden = shown;
		hidden.c_lflag &= (tcflag_t)~ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
		fprintf(stderr, "%s: ", prompt);
	}
	ssize_t n = getline(&line, &room, stdin);
	if (is_terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		fprintf(stderr, "\n");
	}
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (n > 0)
		buf_add(out, span_of(line, (size_t)n));
	if (line)
		explicit_bzero(line, room);
	free(line);
	return n > 0 && n <= 512 ? 0 : -1;
}

static int ask_password(struct buf *out)
{
	BUF_AUTO again = {0};
	if (read_line("Password", out)) {
		fprintf(stderr, "carteiro: a password has 1 to 512 bytes\n");
		return -1;
	}
	if (isatty(STDIN_FILENO) && (read_line("Again", &again) || !span_equal(buf_span(out), buf_span(&again)))) {
		fprintf(stderr, "carteiro: the two were not the same\n");
		return -1;
	}
	return 0;
}

static int with_password(const struct cli *c)
{
	BUF_AUTO password = {0}, hash = {0};
	if (c->count != 3) {
		fprintf(stderr, "carteiro user %s ADDRESS\n", c->words[1]);
		return 64;
	}
	if (ask_password(&password))
		return 65;
	if (password_hash(buf_cstr(&password), &hash)) {
		fprintf(stderr, "carteiro: crypt(3) does not hash that: %s\n", strerror(errno));
		return 70;
	}
	struct server *s = server_connect(c->config_file, true);
	if (!s)
		return 69;
	struct span words[] = {SPAN("user"), span_cstr(c->words[1]), span_cstr(c->words[2]), buf_span(&hash)};
	int code = server_command(s, words, 4);
	server_close(s);
	return code;
}

/* One line "address:hash[:...]"; Dovecot writes the scheme in front: {CRYPT}. */
static int import_line(struct server *s, struct span line)
{
	ssize_t colon = span_chr(line, ':');
	if (colon <= 0)
		return -1;
	struct span address = span_slice(line, 0, (size_t)colon), hash = span_skip(line, (size_t)colon + 1);
	ssize_t end = span_chr(hash, ':');
	if (end >= 0)
		hash = span_slice(hash, 0, (size_t)end);
	ssize_t brace = span_starts_with(hash, SPAN("{")) ? span_chr(hash, '}') : -1;
	if (brace >= 0)
		hash = span_skip(hash, (size_t)brace + 1);
	struct span words[] = {SPAN("user"), SPAN("add"), address, hash};
	return server_command(s, words, 4);
}

static int import(const struct cli *c)
{
	BUF_AUTO text = {0};
	if (c->count != 3 || cli_read_file(c->words[2], &text, IMPORT_BYTES_MOST)) {
		fprintf(stderr, "carteiro user import FILE: %s\n", c->count == 3 ? strerror(errno) : "a file is missing");
		return 66;
	}
	struct server *s = server_connect(c->config_file, true);
	if (!s)
		return 69;
	unsigned number = 0, done = 0, failed = 0;
	for (struct span rest = buf_span(&text); rest.len;) {
		ssize_t end = span_chr(rest, '\n');
		struct span line = span_trim(end < 0 ? rest : span_slice(rest, 0, (size_t)end));
		rest = end < 0 ? span_skip(rest, rest.len) : span_skip(rest, (size_t)end + 1);
		number++;
		if (!line.len || line.ptr[0] == '#')
			continue;
		if (import_line(s, line) == 0) {
			done++;
		} else {
			failed++;
			fprintf(stderr, "carteiro: %s:%u was not taken\n", c->words[2], number);
		}
	}
	server_close(s);
	printf("%u added, %u not\n", done, failed);
	return failed ? 1 : 0;
}

int cli_user(const struct cli *c)
{
	if (c->count > 1 && (strcmp(c->words[1], "add") == 0 || strcmp(c->words[1], "passwd") == 0))
		return with_password(c);
	if (c->count > 1 && strcmp(c->words[1], "import") == 0)
		return import(c);
	return cli_forward(c, true);
}
