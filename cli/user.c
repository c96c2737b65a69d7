/* `carteiro user`: passwords are hashed here (yescrypt, and the keys for SCRAM), so that the server only ever sees the hashes. */
#include "base/die.h"
#include "base/random.h"
#include "cli/cli.h"
#include "vault/hash.h"
#include "vault/scram_keys.h"
#include "wire/app_password.h"
#include "wire/password_hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { IMPORT_BYTES_MOST = 64 * 1024 * 1024 };

int cli_read_secret(const char *prompt, struct buf *out)
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
	if (cli_read_secret("Password", out)) {
		fprintf(stderr, "carteiro: a password has 1 to 512 bytes\n");
		return -1;
	}
	if (isatty(STDIN_FILENO) && (cli_read_secret("Again", &again) || !span_equal(buf_span(out), buf_span(&again)))) {
		fprintf(stderr, "carteiro: the two were not the same\n");
		return -1;
	}
	return 0;
}

/* One that nobody has, and nobody can guess. */
static void make_password(struct buf *out)
{
	unsigned char bytes[32];
	random_bytes(bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		buf_printf(out, "%02x", bytes[i]);
}

static int with_password(const struct cli *c)
{
	BUF_AUTO password = {0}, hash = {0}, scram = {0};
	if (c->count != 3) {
		fprintf(stderr, "carteiro user %s ADDRESS\n", c->words[1]);
		return 64;
	}
	if (strcmp(c->words[1], "revoke") == 0)
		make_password(&password);
	else if (ask_password(&password))
		return 65;
	if (hash_make(buf_cstr(&password), &hash)) {
		fprintf(stderr, "carteiro: crypt(3) does not hash that: %s\n", strerror(errno));
		return 70;
	}
	scram_keys_make(buf_span(&password), &scram);
	struct server *s = server_connect(c->config_file, true);
	if (!s)
		return 69;
	struct span words[] = {SPAN("user"), span_cstr(c->words[1]), span_cstr(c->words[2]), buf_span(&hash), buf_span(&scram)};
	int code = server_command(s, words, 5);
	server_close(s);
	return code;
}

/* The hash as it is stored: as it stands, or, where it is the password itself, one of ours, and keys for SCRAM. -1 with *why. */
static int take_hash(struct span text, struct buf *out, struct buf *scram, struct error *why)
{
	struct password_hash hash;
	BUF_AUTO password = {0};
	if (password_hash_parse(text, &hash, why))
		return -1;
	if (hash.scheme != PASSWORD_PLAIN) {
		buf_add(out, text);
		return 0;
	}
	buf_add(&password, hash.text);
	int bad = hash_make(buf_cstr(&password), out);
	scram_keys_make(buf_span(&password), scram);
	explicit_bzero(password.ptr, password.cap);
	return bad ? error_set(why, 0, "crypt(3) does not hash that password") : 0;
}

/* One line "address:hash[:...]", as in passwd(5) and Dovecot's passwd-file. 0, the server's code after it has told why, or -1
 * with *why. */
static int import_line(struct server *s, struct span line, struct error *why)
{
	BUF_AUTO hash = {0}, scram = {0};
	ssize_t colon = span_chr(line, ':');
	if (colon <= 0)
		return error_set(why, 0, "that is not address:hash");
	struct span address = span_slice(line, 0, (size_t)colon), text = span_skip(line, (size_t)colon + 1);
	ssize_t end = span_chr(text, ':');
	if (take_hash(end < 0 ? text : span_slice(text, 0, (size_t)end), &hash, &scram, why))
		return -1;
	struct span words[] = {SPAN("user"), SPAN("add"), address, buf_span(&hash), buf_span(&scram)};
	return server_command(s, words, scram.len ? 5 : 4);
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
		struct error why = {.text = "was not taken"};
		if (import_line(s, line, &why) == 0) {
			done++;
		} else {
			failed++;
			fprintf(stderr, "carteiro: %s:%u: %s\n", c->words[2], number, why.text);
		}
	}
	server_close(s);
	printf("%u added, %u not\n", done, failed);
	return failed ? 1 : 0;
}

/* user app ADDRESS add NAME ...: the password is made here and shown once; the server gets its digest. */
static int add_app(const struct cli *c)
{
	enum { WORDS_MOST = 16 };
	BUF_AUTO password = {0}, hex = {0};
	unsigned char random[APP_PASSWORD_CHARACTERS], digest[SHA256_DIGEST_LENGTH];
	char secret[APP_PASSWORD_CHARACTERS];
	struct span words[WORDS_MOST];
	size_t count = 0;
	random_bytes(random, sizeof random);
	app_password_write(random, &password);
	if (app_password_read(buf_span(&password), secret) || EVP_Digest(secret, sizeof secret, digest, NULL, EVP_sha256(), NULL) != 1) {
		fprintf(stderr, "carteiro: OpenSSL makes no digest\n");
		return 70;
	}
	for (size_t i = 0; i < sizeof digest; i++)
		buf_printf(&hex, "%02x", digest[i]);
	for (int i = 0; i < c->count && count < WORDS_MOST - 1; i++) {
		words[count++] = span_cstr(c->words[i]);
		if (i == 4)
			words[count++] = buf_span(&hex);
	}
	struct server *s = server_connect(c->config_file, true);
	if (!s)
		return 69;
	int code = server_command(s, words, count);
	server_close(s);
	if (code == 0)
		printf("%s\n", buf_cstr(&password));
	explicit_bzero(random, sizeof random);
	explicit_bzero(secret, sizeof secret);
	explicit_bzero(password.ptr, password.cap);
	return code;
}

int cli_user(const struct cli *c)
{
	if (c->count > 4 && strcmp(c->words[1], "app") == 0 && strcmp(c->words[3], "add") == 0)
		return add_app(c);
	if (c->count > 1 && (strcmp(c->words[1], "add") == 0 || strcmp(c->words[1], "passwd") == 0 || strcmp(c->words[1], "revoke") == 0))
		return with_password(c);
	if (c->count > 1 && strcmp(c->words[1], "import") == 0)
		return import(c);
	return cli_forward(c, true);
}
