#include "edge/pop3/text.h"

static const char *const texts[POP3_TEXTS][LANGUAGES] = {
	[POP3_TEXT_READY] = {"carteiro ready", "carteiro pronto"},
	[POP3_TEXT_MESSAGES] = {"messages", "mensagens"},
	[POP3_TEXT_BYE] = {"Bye", "Até logo"},
	[POP3_TEXT_CAPABILITIES] = {"What this server can do", "O que este servidor sabe fazer"},
	[POP3_TEXT_MECHANISMS] = {"Mechanisms", "Mecanismos"},
	[POP3_TEXT_LANGUAGES] = {"Languages", "Idiomas"},
	[POP3_TEXT_LANGUAGE_SET] = {"The language is English", "O idioma é o português"},
	[POP3_TEXT_NO_LANGUAGE] = {"That language is not spoken here", "Esse idioma não é falado aqui"},
	[POP3_TEXT_UTF8] = {"UTF-8 it is", "UTF-8 daqui em diante"},
	[POP3_TEXT_TLS_FIRST] = {"STLS first", "STLS primeiro"},
	[POP3_TEXT_TLS_BEGINS] = {"Begin TLS", "Inicie o TLS"},
	[POP3_TEXT_NO_TLS] = {"TLS is on already, or not available, or too late", "O TLS já está ativo, não está disponível ou vem tarde demais"},
	[POP3_TEXT_NAME_MISSING] = {"A name is missing", "Falta um nome"},
	[POP3_TEXT_NAME_FIRST] = {"USER first, then PASS with a password", "Primeiro USER, depois PASS com uma senha"},
	[POP3_TEXT_NOT_UTF8] = {"That is not UTF-8", "Isso não é UTF-8"},
	[POP3_TEXT_CANCELLED] = {"Cancelled", "Cancelado"},
	[POP3_TEXT_NO_MECHANISM] = {"Mechanism not known", "Mecanismo desconhecido"},
	[POP3_TEXT_NO_ARGUMENT] = {"That command takes no argument", "Esse comando não tem argumento"},
	[POP3_TEXT_NO_MESSAGE] = {"There is no such message", "Não há essa mensagem"},
	[POP3_TEXT_MESSAGE_GONE] = {"There is no such message any more", "Essa mensagem já não existe"},
	[POP3_TEXT_UTF8_ONLY] = {"That message is for programs that say UTF8", "Essa mensagem é para programas que dizem UTF8"},
	[POP3_TEXT_TOP_WANTS] = {"TOP wants a message and a number of lines", "TOP precisa de uma mensagem e de um número de linhas"},
	[POP3_TEXT_NOT_NOW] = {"Not now", "Agora não"},
	[POP3_TEXT_NO_COMMAND] = {"Command not known", "Comando desconhecido"},
	[POP3_TEXT_LINE_TOO_LONG] = {"Line too long", "Linha longa demais"},
	[POP3_TEXT_TOO_MANY_ERRORS] = {"Too many errors, goodbye", "Erros demais, até logo"},
	[POP3_TEXT_WRONG_PASSWORD] = {"User name or password wrong", "Nome de usuário ou senha incorretos"},
	[POP3_TEXT_HELD] = {"Too many wrong passwords, try again later", "Senhas incorretas demais, tente mais tarde"},
	[POP3_TEXT_LATER] = {"Cannot be checked now, try again later", "Não pode ser verificado agora, tente mais tarde"},
	[POP3_TEXT_FORBIDDEN] = {"That is not a user to act for", "Não é permitido agir por esse usuário"},
	[POP3_TEXT_MAILBOX_LATER] = {"The mailbox cannot be read now", "A caixa de correio não pode ser lida agora"},
	[POP3_TEXT_MAILBOX_BROKEN] = {"The mailbox cannot be read, and the server's administrator must see to it",
	                              "A caixa de correio não pode ser lida, e o administrador do servidor precisa ver por quê"},
	[POP3_TEXT_NOT_ALL_DELETED] = {"Some messages were not deleted", "Algumas mensagens não foram apagadas"},
};

const char *pop3_text(enum pop3_text which, enum language language)
{
	return texts[which][language];
}

const char *pop3_language_name(enum language language)
{
	static const char *const names[LANGUAGES] = {[LANGUAGE_ENGLISH] = "English", [LANGUAGE_PORTUGUESE] = "Português"};
	return names[language];
}
