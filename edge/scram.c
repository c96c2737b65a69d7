#include "edge/scram.h"

#include "base/base64.h"
#include "base/die.h"
#include "base/log.h"
#include "edge/sasl.h"
#include "wire/scram.h"

#include <stdlib.h>

static const char BINDING_NAME[] = "tls-exporter";

enum scram_state {
	SCRAM_FIRST, /* the client's first message is awaited, or vault is asked about it */
	SCRAM_FINAL, /* the same of its final one */
	SCRAM_END,   /* the session is bound: the client has to say that it has heard the signature */
};

struct scram_exchange {
	enum scram_state state;
	bool is_plus, is_bound;
	uint64_t number;          /* vault's; 0: it has none, or it is over there */
	struct buf bare, nonce;   /* of the first message; then the final one's nonce */
	struct buf gs2_header;
	struct buf without_proof; /* of the final one */
	unsigned char proof[SCRAM_KEY_BYTES];
	struct buf user;          /* of a session that is bound */
};

static bool has_binding(const struct connection *c)
{
	unsigned char binding[STREAM_BINDING_BYTES];
	return stream_export_binding(c->stream, binding);
}

void scram_add_mechanisms(const struct connection *c, const char *before, struct buf *out)
{
	if (!c->edge->is_scram_offered || !connection_may_login(c))
		return;
	if (has_binding(c))
		buf_printf(out, "%sSCRAM-SHA-256-PLUS", before);
	buf_printf(out, "%sSCRAM-SHA-256", before);
}

bool scram_begin(struct connection *c, struct span mechanism)
{
	bool is_plus = span_equal_nocase(mechanism, SPAN("SCRAM-SHA-256-PLUS"));
	if (!c->edge->is_scram_offered || (!is_plus && !span_equal_nocase(mechanism, SPAN("SCRAM-SHA-256"))) || (is_plus && !has_binding(c)))
		return false;
	c->scram = xcalloc(1, sizeof *c->scram);
	c->scram->is_plus = is_plus;
	return true;
}

void scram_free(struct connection *c)
{
	struct scram_exchange *x = c->scram;
	if (!x)
		return;
	if (x->number && c->edge->vault)
		channel_send(c->edge->vault, scram_drop, .exchange = x->number);
	buf_free(&x->bare);
	buf_free(&x->nonce);
	buf_free(&x->gs2_header);
	buf_free(&x->without_proof);
	buf_free(&x->user);
	free(x);
	c->scram = NULL;
}

void scram_vault_gone(struct connection *c)
{
	if (c->scram)
		c->scram->number = 0; /* the next vault's may be another client's */
}

void scram_cancel(struct connection *c)
{
	bool is_bound = c->scram && c->scram->state == SCRAM_END;
	connection_forget_login(c);
	if (is_bound)
		connection_leave_session(c);
}

/* ---- the first message ---- */

/* RFC 5802 §6. "y" from a client to whom a binding was to be offered: somebody on the way has taken that out of the list. */
static int check_binding(struct connection *c, const struct scram_client_first *first, struct error *why)
{
	struct scram_exchange *x = c->scram;
	if (x->is_plus != (first->binding == SCRAM_BINDING_USED))
		return error_set(why, 0, "a channel binding goes with SCRAM-SHA-256-PLUS, and it with one");
	if (x->is_plus && !span_equal(first->binding_name, span_cstr(BINDING_NAME)))
		return error_set(why, 0, "the only channel binding here is %s", BINDING_NAME);
	if (first->binding != SCRAM_BINDING_UNUSED || !has_binding(c))
		return 0;
	log_event(LOG_LEVEL_WARNING, "scram-downgrade", log_c("protocol", c->protocol->name), log_c("client", c->address),
	          log_c("why", "the client was not shown SCRAM-SHA-256-PLUS: somebody may be between it and this server"));
	return error_set(why, 0, "SCRAM-SHA-256-PLUS is offered here: somebody may be between us");
}

static int read_first(struct connection *c, struct span message, struct buf *user, struct buf *authzid, struct error *why)
{
	struct scram_exchange *x = c->scram;
	struct scram_client_first first;
	if (scram_parse_client_first(message, &first, user, authzid, why) || check_binding(c, &first, why))
		return -1;
	buf_add(&x->bare, first.bare);
	buf_add(&x->nonce, first.nonce);
	buf_add(&x->gs2_header, first.gs2_header);
	return 0;
}

/* ---- the final message ---- */

static int read_final(struct connection *c, struct span message, struct error *why)
{
	struct scram_exchange *x = c->scram;
	struct scram_client_final final;
	unsigned char binding[STREAM_BINDING_BYTES];
	struct span data = SPAN("");
	if (scram_parse_client_final(message, &final, why))
		return -1;
	if (x->is_plus) {
		if (!stream_export_binding(c->stream, binding))
			return error_set(why, 0, "there is no channel binding any more");
		data = span_of(binding, sizeof binding);
	}
	/* what is wrong with it is for vault to say, in the time of a wrong password */
	x->is_bound = scram_binding_is(final.binding, buf_span(&x->gs2_header), data);
	buf_clear(&x->nonce);
	buf_add(&x->nonce, final.nonce);
	buf_add(&x->without_proof, final.without_proof);
	memcpy(x->proof, final.proof, sizeof x->proof);
	return 0;
}

/* ---- vault ---- */

void scram_ask_vault(struct connection *c)
{
	struct scram_exchange *x = c->scram;
	struct channel *vault = c->edge->vault;
	if (x->state == SCRAM_FIRST)
		channel_send(vault, scram_first, .id = c->login_number, .session = c->session, .is_plus = x->is_plus, .user = buf_span(&c->login_user),
		             .authzid = buf_span(&c->login_authzid), .bare = buf_span(&x->bare), .nonce = buf_span(&x->nonce), .client_address = span_cstr(c->address),
		             .protocol = span_slice(span_cstr(c->protocol->name), 0, 16));
	else
		channel_send(vault, scram_final, .id = c->login_number, .exchange = x->number, .is_bound = x->is_bound,
		             .without_proof = buf_span(&x->without_proof), .nonce = buf_span(&x->nonce), .proof = span_of(x->proof, sizeof x->proof));
}

static void challenge(struct connection *c, struct span message, enum scram_state next)
{
	BUF_AUTO encoded = {0};
	base64_encode(message, &encoded);
	c->scram->state = next;
	connection_await_client(c);
	c->protocol->challenge(c, buf_cstr(&encoded));
}

void scram_challenged(struct edge_process *e, const struct msg_scram_challenge *m)
{
	struct connection *c = map_get(&e->logins, m->id);
	if (!c || !c->scram || c->scram->state != SCRAM_FIRST) {
		channel_send(e->vault, scram_drop, .exchange = m->exchange); /* the client has gone */
		return;
	}
	c->scram->number = m->exchange;
	challenge(c, m->message, SCRAM_FINAL);
}

void scram_proved(struct connection *c, const struct msg_login_answer *m)
{
	BUF_AUTO message = {0};
	c->scram->number = 0;
	buf_add(&c->scram->user, m->user);
	scram_write_server_final(m->signature, &message);
	challenge(c, buf_span(&message), SCRAM_END);
}

/* ---- what the client says ---- */

enum scram_step scram_response(struct connection *c, struct span message, struct error *why)
{
	struct scram_exchange *x = c->scram;
	BUF_AUTO user = {0}, authzid = {0};
	struct error reason;
	int bad = 0;
	if (x->state == SCRAM_FIRST)
		bad = read_first(c, message, &user, &authzid, &reason);
	else if (x->state == SCRAM_FINAL)
		bad = read_final(c, message, &reason);
	else if (message.len)
		bad = error_set(&reason, 0, "the last answer is an empty one");
	if (bad) {
		error_set(why, 0, "SCRAM: %s", reason.text);
		scram_cancel(c);
		return SCRAM_MALFORMED;
	}
	bool is_lost = x->state != SCRAM_FIRST && (!c->session || (x->state == SCRAM_FINAL && !x->number));
	if (is_lost) { /* with store or vault */
		connection_end_login(c, LOGIN_LATER);
	} else if (x->state == SCRAM_END) {
		buf_add(&c->user, buf_span(&x->user));
		connection_end_login(c, LOGIN_OK);
	} else {
		buf_add(&c->login_user, buf_span(&user));
		buf_add(&c->login_authzid, buf_span(&authzid));
		connection_ask_login(c);
	}
	return SCRAM_TAKEN;
}
