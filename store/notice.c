#include "store/notice.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/utf8.h"
#include "store/directory/options.h"
#include "store/queue/own.h"
#include "wire/notice.h"

#include <stdlib.h>

struct words {
	const char *subject, *text; /* the text with the account's name, once, and for the administrator with what is unlike it */
};

static const struct words to_owner[LANGUAGES] = {
	[LANGUAGE_ENGLISH] = {
		"Your account sends unusually much mail: it is held",
		"What your account %.*s sends is held on this server:\r\n"
		"it is not what it usually sends.\r\n"
		"\r\n"
		"Nothing is lost. The messages wait until your administrator lets them go.\r\n"
		"If it was not you who sent them, somebody else knows your password: tell your\r\n"
		"administrator, who gives you a new one.\r\n"},
	[LANGUAGE_PORTUGUESE] = {
		"A sua conta envia correio fora do habitual: está retido",
		"O que a sua conta %.*s envia fica retido neste servidor:\r\n"
		"não é o que costuma enviar.\r\n"
		"\r\n"
		"Nada se perde. As mensagens esperam até que o administrador as liberte.\r\n"
		"Se não foi quem as enviou, outra pessoa conhece a sua palavra-passe: avise o\r\n"
		"administrador, que lhe dará uma nova.\r\n"},
};

static const struct words to_administrator[LANGUAGES] = {
	[LANGUAGE_ENGLISH] = {
		"An account sends unlike itself, and is held",
		"The account %.*s sends unlike itself:\r\n"
		"%s.\r\n"
		"\r\n"
		"What it sends is accepted, and waits in the queue (carteiro queue list), until\r\n"
		"one of these says what is to become of it:\r\n"
		"\r\n"
		"    carteiro user release ADDRESS   it was its user: all of it goes on\r\n"
		"    carteiro user revoke ADDRESS    it was not: its password ends, and its sessions\r\n"
		"    carteiro user purge ADDRESS     what it has in the queue is thrown away\r\n"},
	[LANGUAGE_PORTUGUESE] = {
		"Uma conta envia fora do habitual, e está retida",
		"A conta %.*s envia fora do habitual:\r\n"
		"%s.\r\n"
		"\r\n"
		"O que envia é aceite e espera na fila (carteiro queue list), até que um destes\r\n"
		"comandos diga o que fazer:\r\n"
		"\r\n"
		"    carteiro user release ADDRESS   foi o utilizador: tudo segue\r\n"
		"    carteiro user revoke ADDRESS    não foi: a palavra-passe e as sessões acabam\r\n"
		"    carteiro user purge ADDRESS     o que tem na fila é deitado fora\r\n"},
};

static const struct words full_to_owner[LANGUAGES] = {
	[LANGUAGE_ENGLISH] = {
		"Your mailbox is nearly full",
		"Nine tenths of the room that %.*s has on this server are full.\r\n"
		"When all of it is, mail for you is refused, and its senders are told so.\r\n"
		"\r\n"
		"Delete what you no longer need, and empty the trash.\r\n"},
	[LANGUAGE_PORTUGUESE] = {
		"A sua caixa de correio está quase cheia",
		"Nove décimos do espaço que %.*s tem neste servidor estão ocupados.\r\n"
		"Quando estiver todo ocupado, o correio que lhe for dirigido é recusado, e quem\r\n"
		"o envia é avisado.\r\n"
		"\r\n"
		"Apague o que já não precisa e esvazie o lixo.\r\n"},
};

static const struct words full_to_administrator[LANGUAGES] = {
	[LANGUAGE_ENGLISH] = {
		"A domain's quota is nearly full",
		"Nine tenths of what all users of the domain %.*s together may keep are full%s.\r\n"
		"When all of it is, mail for them is refused.\r\n"
		"\r\n"
		"    carteiro quota show DOMAIN   tells how much it is\r\n"
		"    carteiro quota set DOMAIN    gives it more\r\n"},
	[LANGUAGE_PORTUGUESE] = {
		"A quota de um domínio está quase cheia",
		"Nove décimos do que todos os utilizadores do domínio %.*s podem guardar em\r\n"
		"conjunto estão ocupados%s. Quando estiver tudo ocupado, o correio que lhes for\r\n"
		"dirigido é recusado.\r\n"
		"\r\n"
		"    carteiro quota show DOMÍNIO  diz quanto é\r\n"
		"    carteiro quota set DOMÍNIO   dá-lhe mais\r\n"},
};

static void write_to(struct store *s, struct span to, const char *subject, struct span text, const struct targets *targets)
{
	BUF_AUTO from = {0}, message_id = {0};
	char id[ID128_TEXT_BYTES + 1];
	struct own_message own = {
		.id = id128_new(), .maker = "notice", .to = to, .facts = utf8_has_8bit(to) ? FACT_SMTPUTF8 : 0, .priority = PRIORITY_NORMAL};
	own_address(s, &from);
	id128_text(own.id, id);
	buf_printf(&message_id, "<%s@%s>", id, child_hostname(s->self));
	buf_add_cstr(&own.text, "Return-Path: <>\r\n"); /* RFC 5321 §4.4 */
	struct notice n = {.from = buf_span(&from), .to = to, .message_id = buf_span(&message_id), .now = clock_wall_s(), .subject = subject, .text = text};
	notice_build(&n, &own.text);
	log_event(LOG_LEVEL_INFO, "notice", log_s("id", span_cstr(id)), log_s("to", to));
	own_send(s, &own, targets);
}

/* What the administrator is told when a table has said who that is. */
struct telling {
	struct arena memory;
	const struct words *words;
	struct span name, why;
};

static void tell_administrator(struct store *s, const struct words *words, struct span name, const char *why);

static void on_table_answer(struct store *s, void *context)
{
	struct telling *t = context;
	tell_administrator(s, t->words, t->name, t->why.ptr);
	arena_free(&t->memory);
	free(t);
}

static void tell_later(struct store *s, uint64_t question, const struct words *words, struct span name, const char *why)
{
	struct telling *t = xcalloc(1, sizeof *t);
	t->words = words;
	t->name = arena_dup(&t->memory, name);
	t->why = arena_dup(&t->memory, span_cstr(why));
	tables_wait(s, question, on_table_answer, t);
}

static void tell_administrator(struct store *s, const struct words *words, struct span name, const char *why)
{
	ARENA_AUTO a = {0};
	BUF_AUTO text = {0}, to = {0};
	struct targets targets = {0};
	own_address(s, &to);
	if (directory_resolve(s, buf_span(&to), true, &a, &targets) == RCPT_LATER && targets.look.question) {
		tell_later(s, targets.look.question, words, name, why);
		return;
	}
	buf_printf(&text, words->text, SPAN_ARG(name), why);
	if (targets.count)
		write_to(s, buf_span(&to), words->subject, buf_span(&text), &targets);
}

static void tell_owner(struct store *s, uint64_t account, const struct words *words, struct span name)
{
	ARENA_AUTO a = {0};
	BUF_AUTO text = {0};
	struct targets targets = {0};
	targets_add(&a, &targets, account, name);
	buf_printf(&text, words->text, SPAN_ARG(name));
	write_to(s, name, words->subject, buf_span(&text), &targets);
}

void notice_account_held(struct store *s, uint64_t account, struct span name, const char *why)
{
	tell_owner(s, account, &to_owner[options_language(s, account)], name);
	tell_administrator(s, &to_administrator[options_language(s, 0)], name, why);
}

void notice_quota(struct store *s, uint64_t account, bool is_domain)
{
	BUF_AUTO name = {0};
	if (directory_account_name(s, account, &name, NULL) <= 0)
		return;
	struct span domain = span_skip(buf_span(&name), (size_t)(span_rchr(buf_span(&name), '@') + 1));
	log_event(LOG_LEVEL_WARNING, "quota-nearly-full", log_s("of", is_domain ? domain : buf_span(&name)));
	if (is_domain)
		tell_administrator(s, &full_to_administrator[options_language(s, 0)], domain, "");
	else
		tell_owner(s, account, &full_to_owner[options_language(s, account)], buf_span(&name));
}
