/* LANGUAGE: RFC 5255 §3. What a command's NO, and a BYE, say to people is said in English or Portuguese. What is wrong with a command that
 * is none (BAD) stays in English: that is read by who writes clients. */
#include "edge/imap/session.h"

struct translation {
	const char *english, *portuguese;
};

static const struct translation texts[] = {
	{"A message is not empty", "Uma mensagem não pode estar vazia"},
	{"A message has no NUL: send it as a literal8", "Uma mensagem não tem NUL: envie-a como literal8"},
	{"A password is taken over TLS only", "A palavra-passe só é aceite por TLS"},
	{"A value is too long", "Um valor é demasiado longo"},
	{"Another mailbox has that use", "Outra pasta já tem esse uso"},
	{"Cannot be checked now, try again later", "Não é possível verificar agora, tente mais tarde"},
	{"It is compressed already", "Já está comprimido"},
	{"Logged in", "Sessão iniciada"},
	{"Nothing can be stored now: try again later", "Agora nada pode ser guardado: tente mais tarde"},
	{"Quotas are set by the server's administrator", "As quotas são definidas pelo administrador do servidor"},
	{"Some have changed since", "Algumas mudaram entretanto"},
	{"Some of the messages are gone", "Algumas das mensagens já não existem"},
	{"That cannot be done with a mailbox of that name", "Isso não se pode fazer com uma pasta com esse nome"},
	{"That is not a mailbox name", "Esse não é um nome de pasta"},
	{"That is not a user to act for", "Não se pode agir em nome desse utilizador"},
	{"That is too much", "É demasiado"},
	{"That use is not one that a mailbox can have here", "Aqui uma pasta não pode ter esse uso"},
	{"That went wrong; the server's log says why", "Correu mal; o registo do servidor diz porquê"},
	{"The charset is not known", "O conjunto de caracteres não é conhecido"},
	{"The command is too long", "O comando é demasiado longo"},
	{"The mailbox cannot be read", "A pasta não pode ser lida"},
	{"The mailbox is open for reading only", "A pasta está aberta só para leitura"},
	{"The mailbox that was selected has been deleted", "A pasta selecionada foi apagada"},
	{"The message becomes too large", "A mensagem ficaria demasiado grande"},
	{"The message is refused", "A mensagem é recusada"},
	{"The message is too large", "A mensagem é demasiado grande"},
	{"The message was not kept: try again later", "A mensagem não foi guardada: tente mais tarde"},
	{"The search is too large", "A pesquisa é demasiado grande"},
	{"The server restarts: connect again", "O servidor está a reiniciar: volte a ligar-se"},
	{"There are mailboxes below it: delete them first", "Há pastas dentro dela: apague-as primeiro"},
	{"There are too many already", "Já há demasiadas"},
	{"There are too many entries already", "Já há demasiadas anotações"},
	{"There is a mailbox of that name", "Já existe uma pasta com esse nome"},
	{"There is no mailbox of that name", "Não existe nenhuma pasta com esse nome"},
	{"There is no room", "Não há espaço"},
	{"There is no such compression", "Não existe essa compressão"},
	{"There is no such mechanism", "Não existe esse mecanismo"},
	{"There is no such message", "Não existe essa mensagem"},
	{"There is no such quota root", "Não existe essa quota"},
	{"There is no user of that name here", "Aqui não há nenhum utilizador com esse nome"},
	{"Too many bad commands", "Demasiados comandos errados"},
	{"Too many failed logins", "Demasiadas tentativas falhadas"},
	{"Too many keywords", "Demasiadas etiquetas"},
	{"Too many messages in one command", "Demasiadas mensagens num só comando"},
	{"Too many ranges in one command", "Demasiados intervalos num só comando"},
	{"Too many wrong passwords, try again later", "Demasiadas palavras-passe erradas, tente mais tarde"},
	{"User name or password wrong", "Utilizador ou palavra-passe errados"},
	{"What all users share is the administrator's", "O que é de todos pertence ao administrador"},
	{"You may not do that with this mailbox", "Não tem permissão para fazer isso com esta pasta"},
	{"You may put no messages there", "Não tem permissão para pôr lá mensagens"},
	{"silent for too long", "sem atividade há demasiado tempo"},
};

static const char *portuguese_of(struct span english)
{
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (span_equal(english, span_cstr(texts[i].english)))
			return texts[i].portuguese;
	return NULL;
}

void imap_translate(const struct imap_session *s, struct span text, struct buf *out)
{
	/* "[CODE ...] text": what stands in brackets is for programs */
	ssize_t code = span_starts_with(text, SPAN("[")) ? span_find(text, SPAN("] ")) : -1;
	struct span human = code < 0 ? text : span_skip(text, (size_t)code + 2);
	const char *portuguese = s->language == LANGUAGE_PORTUGUESE ? portuguese_of(human) : NULL;
	buf_add(out, span_slice(text, 0, text.len - human.len));
	if (portuguese) {
		buf_add_cstr(out, portuguese);
	} else if (s->language == LANGUAGE_PORTUGUESE && span_ends_with(human, SPAN(" done"))) {
		buf_add(out, span_slice(human, 0, human.len - 4));
		buf_add_cstr(out, "terminado");
	} else {
		buf_add(out, human);
	}
}

/* The first of the ranges that is spoken: RFC 5255 §3.2. "DEFAULT" is English. */
static bool choose(struct imap_session *s, struct span tag)
{
	if (span_equal_nocase(tag, SPAN("DEFAULT")) || span_equal_nocase(tag, SPAN("i-default")) || span_equal(tag, SPAN("*"))) {
		s->language = LANGUAGE_ENGLISH;
		return true;
	}
	return language_parse(tag, &s->language) == 0;
}

void imap_language(struct imap_session *s, struct imap_parser *p)
{
	bool is_chosen = false, asks = p->rest.len == 0;
	enum language before = s->language;
	while (p->rest.len) {
		struct span tag;
		bool is_star = p->rest.len > 1 && p->rest.ptr[1] == '*';
		if (!imap_take_space(p) || (is_star ? !imap_take_char(p, '*') : !imap_take_astring(p, &tag))) {
			s->language = before;
			imap_bad(s, p);
			return;
		}
		is_chosen = is_chosen || choose(s, is_star ? SPAN("*") : tag);
	}
	if (asks) {
		buf_add_cstr(&s->out, "* LANGUAGE (en pt)\r\n");
		imap_ok(s, "LANGUAGE done");
	} else if (!is_chosen) {
		imap_no(s, "These languages are not spoken here");
	} else {
		buf_printf(&s->out, "* LANGUAGE (%s)\r\n", language_tag(s->language));
		if (s->state & IMAP_LOGGED_IN)
			buf_add_cstr(&s->out, IMAP_NAMESPACES); /* RFC 5255 §3.2: the names are the same in every language */
		imap_ok(s, "LANGUAGE done");
	}
}
