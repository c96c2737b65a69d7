#include "wire/dsn_words.h"

static const struct dsn_words english = {
	.actions = {
		[DSN_FAILED] = {"Your message could not be delivered",
		                "Your message could not be delivered to the recipients below. Nothing more\r\n"
		                "will be tried for them; other recipients of the message are not affected.\r\n", NULL},
		[DSN_DELAYED] = {"Your message is delayed",
		                 "Your message could not be delivered yet to the recipients below. There is\r\n"
		                 "nothing that you need to do: it will be tried again.\r\n", NULL},
		[DSN_DELIVERED] = {"Your message has been delivered",
		                   "This is the report that was asked for with your message.\r\n", "It has been delivered to the mailbox."},
		[DSN_RELAYED] = {"Your message has been passed on",
		                 "This is the report that was asked for with your message.\r\n",
		                 "It has been passed on to a mail system that sends no such reports."},
		[DSN_EXPANDED] = {"Your message has been passed on",
		                  "This is the report that was asked for with your message.\r\n",
		                  "It has been passed on to all whom this address stands for."},
	},
	.here = "This is the mail system at ",
	.answer = "The answer of ", .said = " was:",
	.whole_attached = "Your message is attached. If you need help, please give the\r\n"
	                  "whole of this notification to your administrator.\r\n",
	.header_attached = "The header of your message is attached. If you need help, please give the\r\n"
	                   "whole of this notification to your administrator.\r\n",
};

static const struct dsn_words portuguese = {
	.actions = {
		[DSN_FAILED] = {"A sua mensagem não pôde ser entregue",
		                "A sua mensagem não pôde ser entregue aos destinatários abaixo. Não haverá\r\n"
		                "mais tentativas para eles; os outros destinatários da mensagem não são\r\n"
		                "afetados.\r\n", NULL},
		[DSN_DELAYED] = {"A sua mensagem está atrasada",
		                 "A sua mensagem ainda não pôde ser entregue aos destinatários abaixo. Não é\r\n"
		                 "preciso fazer nada: haverá novas tentativas.\r\n", NULL},
		[DSN_DELIVERED] = {"A sua mensagem foi entregue",
		                   "Este é o relatório que foi pedido com a sua mensagem.\r\n", "Foi entregue na caixa de correio."},
		[DSN_RELAYED] = {"A sua mensagem foi encaminhada",
		                 "Este é o relatório que foi pedido com a sua mensagem.\r\n",
		                 "Foi encaminhada a um sistema de correio que não envia tais relatórios."},
		[DSN_EXPANDED] = {"A sua mensagem foi encaminhada",
		                  "Este é o relatório que foi pedido com a sua mensagem.\r\n",
		                  "Foi encaminhada a todos os que este endereço representa."},
	},
	.here = "Este é o sistema de correio em ",
	.answer = "A resposta de ", .said = " foi:",
	.whole_attached = "A sua mensagem segue em anexo. Se precisar de ajuda, entregue esta\r\n"
	                  "notificação inteira ao seu administrador.\r\n",
	.header_attached = "O cabeçalho da sua mensagem segue em anexo. Se precisar de ajuda, entregue\r\n"
	                   "esta notificação inteira ao seu administrador.\r\n",
};

static const struct explanation {
	const char *status, *words[LANGUAGES];
} explanations[] = {
	{"5.1.1", {"There is no mailbox of that name. Please check the spelling of the address.",
	           "Não há nenhuma caixa de correio com esse nome. Verifique se o endereço está bem escrito."}},
	{"5.1.2", {"There is no mail system of that name. Please check what stands behind the @.",
	           "Não há nenhum sistema de correio com esse nome. Verifique o que está depois do @."}},
	{"5.1.10", {"The domain says that it takes no mail at all.", "O domínio declara que não recebe correio."}},
	{"5.2.1", {"The mailbox has been switched off.", "A caixa de correio foi desativada."}},
	{"5.2.2", {"The mailbox is full. You may try again later, or ask the recipient by other means.",
	           "A caixa de correio está cheia. Tente mais tarde, ou avise o destinatário por outro meio."}},
	{"5.3.4", {"The message is larger than that mail system takes.", "A mensagem é maior do que esse sistema de correio aceita."}},
	{"5.4.4", {"The mail system could not be found in the network.", "O sistema de correio não foi encontrado na rede."}},
	{"5.4.6", {"The message went round in a loop between mail systems.", "A mensagem andou em círculo entre sistemas de correio."}},
	{"5.4.7", {"It could not be delivered for a long time, and no more attempts will be made.",
	           "Não pôde ser entregue durante muito tempo, e não haverá mais tentativas."}},
	{"4.4.7", {"It could not be delivered for a long time, and no more attempts will be made.",
	           "Não pôde ser entregue durante muito tempo, e não haverá mais tentativas."}},
	{"5.6.7", {"The address has characters that a mail system on the way does not support.",
	           "O endereço tem caracteres que um sistema de correio no caminho não aceita."}},
	{"5.7.1", {"The recipient's mail system refuses it by its rules.", "O sistema de correio do destinatário recusa-a pelas suas regras."}},
	{"", {"The mail system refused it for good.", "O sistema de correio recusou-a definitivamente."}},
};

const struct dsn_words *dsn_words(enum language l)
{
	return l == LANGUAGE_PORTUGUESE ? &portuguese : &english;
}

const char *dsn_explain(enum language l, struct span status)
{
	const struct explanation *e = explanations;
	while (*e->status && !span_equal(status, span_cstr(e->status)))
		e++;
	return e->words[l < LANGUAGES ? l : LANGUAGE_ENGLISH];
}
