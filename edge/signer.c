/* Signatures that are waited for. */
#include "edge/signer.h"

static int ask(void *context, enum tls_scheme scheme, struct span text, struct tls_signature *pending)
{
	struct edge_process *e = context;
	if (!e->vault || text.len > 8192 || e->signatures.count >= HANDSHAKES_MOST)
		return -1;
	uint64_t id = ++e->last_token;
	map_put(&e->signatures, id, pending);
	channel_send(e->vault, sign_ask, .id = id, .slot = e->key_slot, .scheme = (uint8_t)scheme, .text = text);
	return 0;
}

void signer_start(struct edge_process *e)
{
	tls_set_signer(ask, e);
}

static void finish(struct tls_signature *pending, bool is_signed, struct span signature)
{
	pending->is_done = true;
	pending->is_signed = is_signed;
	buf_clear(&pending->bytes);
	buf_add(&pending->bytes, signature);
	pending->resume(pending->context);
}

void signer_answered(struct edge_process *e, const struct msg_sign_answer *m)
{
	struct tls_signature *pending = map_take(&e->signatures, m->id);
	if (pending)
		finish(pending, m->is_signed, m->signature);
}

void signer_vault_gone(struct edge_process *e)
{
	size_t at = 0;
	struct tls_signature *pending;
	struct map waiting = e->signatures;
	e->signatures = (struct map){0};
	while ((pending = map_next(&waiting, &at)))
		finish(pending, false, SPAN(""));
	map_free(&waiting);
}
