/* `carteiro user app`: the passwords of an account's applications. The command makes the password, so that only its digest comes here. */
#include "store/command_run.h"

#include "base/clock.h"
#include "store/directory/app_password.h"
#include "wire/date.h"

enum { HEX_CHARACTERS = APP_DIGEST_BYTES * 2, EXPIRES_MOST_S = 100 * 366 * 24 * 3600LL };

struct by_name {
	struct span name;
	size_t count; /* that the account has, of any name */
	bool is_there;
	unsigned char digest[APP_DIGEST_BYTES];
};

static bool look(void *context, const struct app_password *p)
{
	struct by_name *n = context;
	n->count++;
	if (!span_equal(p->name, n->name) || p->digest.len != sizeof n->digest)
		return false;
	memcpy(n->digest, p->digest.ptr, sizeof n->digest);
	n->is_there = true;
	return true;
}

static bool take_digest(struct command_run *c, struct span text, unsigned char out[APP_DIGEST_BYTES])
{
	bool is_one = text.len == HEX_CHARACTERS;
	for (size_t i = 0; is_one && i < APP_DIGEST_BYTES; i++) {
		int high = ascii_hex_value(text.ptr[2 * i]), low = ascii_hex_value(text.ptr[2 * i + 1]);
		is_one = high >= 0 && low >= 0;
		out[i] = (unsigned char)(high << 4 | low);
	}
	if (!is_one)
		command_fail(c, CODE_USAGE, "that is not the digest of a password");
	return is_one;
}

/* A time from now as in carteiro.conf, or the end of a day in UTC. */
static bool take_expiry(struct command_run *c, struct span text, int64_t *out)
{
	static const int64_t units[] = {['s'] = 1, ['m'] = 60, ['h'] = 3600, ['d'] = 24 * 3600};
	BUF_AUTO day_end = {0};
	struct date date;
	uint64_t number;
	char unit = text.len ? text.ptr[text.len - 1] : 0;
	int64_t now_s = clock_wall_s();
	buf_add(&day_end, text);
	buf_add_cstr(&day_end, "T23:59:59Z");
	if ((unit == 's' || unit == 'm' || unit == 'h' || unit == 'd') && span_to_u64(span_slice(text, 0, text.len - 1), EXPIRES_MOST_S, &number) == 0)
		*out = now_s + (number > (uint64_t)(EXPIRES_MOST_S / units[(int)unit]) ? EXPIRES_MOST_S : (int64_t)number * units[(int)unit]);
	else if (date_parse_internet(buf_span(&day_end), &date) == 0)
		*out = date.utc_seconds;
	else
		*out = 0;
	if (*out > now_s)
		return true;
	command_fail(c, CODE_USAGE, "\"%.*s\" is no time to come: write expires 90d, or a day as in expires 2030-12-31", SPAN_ARG(span_slice(text, 0, 40)));
	return false;
}

static bool take_options(struct command_run *c, size_t at, struct app_password *p)
{
	for (; at < c->count; at += 2) {
		struct span word = c->words[at], value = at + 1 < c->count ? c->words[at + 1] : SPAN("");
		if (span_equal(word, SPAN("protocols"))) {
			p->protocols = app_protocols_parse(value);
			if (!p->protocols) {
				command_fail(c, CODE_USAGE, "the protocols are imap, pop3, smtp and jmap, with commas between them");
				return false;
			}
		} else if (span_equal(word, SPAN("expires"))) {
			if (!take_expiry(c, value, &p->expires_s))
				return false;
		} else {
			command_fail(c, CODE_USAGE, "behind a name there may be: protocols imap,pop3,smtp,jmap and expires 90d, or a day");
			return false;
		}
	}
	return true;
}

/* user app ADDRESS add NAME DIGEST [protocols ...] [expires ...] */
static void add(struct command_run *c, uint64_t account)
{
	unsigned char digest[APP_DIGEST_BYTES];
	struct by_name n = {.name = c->words[4]};
	struct app_password p = {.name = n.name, .protocols = APP_EVERYTHING, .made_s = clock_wall_s()};
	if (!n.name.len || n.name.len > APP_NAME_BYTES_MOST) {
		command_fail(c, CODE_USAGE, "a name has 1 to %d bytes", APP_NAME_BYTES_MOST);
		return;
	}
	if (!take_digest(c, c->words[5], digest) || !take_options(c, 6, &p))
		return;
	app_passwords_walk(c->store, account, look, &n);
	if (n.is_there) {
		command_fail(c, CODE_REFUSED, "there is an application \"%.*s\" already: remove it first", SPAN_ARG(n.name));
	} else if (n.count >= APP_PASSWORDS_MOST) {
		command_fail(c, CODE_REFUSED, "that account has %d of them, which is as many as it may have", APP_PASSWORDS_MOST);
	} else {
		p.digest = span_of(digest, sizeof digest);
		app_password_put(&c->batch, account, &p);
	}
}

static void print_time(struct buf *out, const char *before, int64_t time_s)
{
	buf_add_cstr(out, before);
	date_format_internet(time_s, out);
}

static bool list_one(void *context, const struct app_password *p)
{
	struct command_run *c = context;
	buf_printf(&c->text, "%.*s  ", SPAN_ARG(p->name));
	app_protocols_print(p->protocols, &c->text);
	print_time(&c->text, "  made ", p->made_s);
	if (p->expires_s)
		print_time(&c->text, p->expires_s <= clock_wall_s() ? "  expired " : "  expires ", p->expires_s);
	if (p->used_s)
		print_time(&c->text, "  last used ", p->used_s);
	if (p->used_s)
		buf_printf(&c->text, " by %.*s", SPAN_ARG(p->used_by));
	else
		buf_add_cstr(&c->text, "  never used");
	buf_add_char(&c->text, '\n');
	return false;
}

static void remove_one(struct command_run *c, uint64_t account)
{
	struct by_name n = {.name = c->words[4]};
	app_passwords_walk(c->store, account, look, &n);
	if (!n.is_there) {
		command_fail(c, CODE_REFUSED, "there is no application \"%.*s\": `carteiro user app ADDRESS list` shows them", SPAN_ARG(n.name));
		return;
	}
	struct span digest = span_of(n.digest, sizeof n.digest);
	app_password_delete(&c->batch, account, digest);
	c->app_ended = arena_dup(&c->arena, digest);
	c->app_ended_of = account;
}

void user_app(struct command_run *c)
{
	struct directory_entry entry;
	struct span name, verb = c->words[3];
	if (!command_find_user(c, 2, &name, &entry))
		return;
	if (span_equal(verb, SPAN("add")) && c->count >= 6)
		add(c, entry.account);
	else if (span_equal(verb, SPAN("list")) && c->count == 4)
		app_passwords_walk(c->store, entry.account, list_one, c);
	else if (span_equal(verb, SPAN("remove")) && c->count == 5)
		remove_one(c, entry.account);
	else
		command_fail(c, CODE_USAGE, "`carteiro user app ADDRESS` wants: add NAME [protocols imap,pop3,smtp,jmap] [expires 90d|DAY], list, or remove NAME");
}
