/* Rows: "p" domain -> u8 version, bytes id, u64 when it was fetched (s), bytes text. */
#include "store/directory/policy.h"

#include "base/log.h"
#include "base/pack.h"
#include "store/directory/directory.h"
#include "wire/address.h"
#include "wire/mta_sts.h"

enum { POLICY_VERSION = 1 };

struct kept {
	struct span id, text;
	uint64_t fetched_s;
};

static void make_key(struct buf *key, struct span domain)
{
	buf_add_char(key, 'p');
	buf_add(key, domain);
}

static int read_row(struct span value, struct kept *out)
{
	struct unpacker u = {.rest = value};
	uint8_t version = unpack_u8(&u);
	out->id = unpack_bytes(&u, MTA_STS_ID_BYTES_MOST);
	out->fetched_s = unpack_u64(&u);
	out->text = unpack_bytes(&u, MTA_STS_POLICY_BYTES_MOST);
	return unpack_done(&u) && version == POLICY_VERSION ? 0 : -1;
}

static void write_row(const struct kept *k, struct buf *out)
{
	pack_u8(out, POLICY_VERSION);
	pack_bytes(out, k->id);
	pack_u64(out, k->fetched_s);
	pack_bytes(out, k->text);
}

static bool is_domain(struct span name)
{
	BUF_AUTO canonical = {0};
	return domain_is_valid(name, 0) && domain_canonical(name, &canonical, NULL) == 0 && span_equal(buf_span(&canonical), name);
}

static bool is_policy(struct span id, struct span text)
{
	struct mta_sts_policy policy;
	return mta_sts_id_is_valid(id) && mta_sts_policy_parse(text, &policy, NULL) == 0;
}

static void change(struct store *s, struct batch *b, const struct kept *was, size_t bytes)
{
	b->is_durable = true;
	store_commit(s, b, NULL, NULL);
	s->policies.count = s->policies.count - (was ? 1 : 0) + (bytes ? 1 : 0);
	s->policies.bytes = s->policies.bytes - (was ? was->text.len : 0) + bytes;
}

void policies_tell(struct store_peer *resolve)
{
	struct store *s = resolve->store;
	struct engine_scan *scan = engine_scan_open(s->engine, DIRECTORY, SPAN("p"), SPAN("q"));
	struct span key, value;
	struct error why = {0};
	struct kept k;
	int more;
	s->policies = (struct policy_counts){0};
	while ((more = engine_scan_next(scan, &key, &value, &why)) > 0) {
		struct span domain = span_skip(key, 1);
		if (read_row(value, &k) || !is_domain(domain) || !is_policy(k.id, k.text)) {
			log_event(LOG_LEVEL_ERROR, "mta-sts-policy-damaged", log_s("domain", domain));
			continue;
		}
		s->policies.count++;
		s->policies.bytes += k.text.len;
		channel_send(resolve->channel, policy_kept, .domain = domain, .policy_id = k.id, .fetched_s = k.fetched_s, .policy = k.text);
	}
	engine_scan_close(scan);
	if (more < 0)
		log_event(LOG_LEVEL_ERROR, "mta-sts-policies-unread", log_c("why", why.text));
	channel_send(resolve->channel, policies_told, );
}

int policy_keep(struct store_peer *resolve, const struct msg_policy_keep *m)
{
	struct store *s = resolve->store;
	struct batch b = {0};
	BUF_AUTO key = {0}, value = {0}, row = {0};
	struct kept k = {m->policy_id, m->policy, m->fetched_s}, old;
	if (!is_domain(m->domain) || !is_policy(k.id, k.text))
		return -1;
	make_key(&key, m->domain);
	bool has_old = engine_get(s->engine, DIRECTORY, buf_span(&key), &value, NULL) > 0 && read_row(buf_span(&value), &old) == 0;
	if (has_old && old.fetched_s >= k.fetched_s)
		return 0;
	bool is_full = !has_old && (s->policies.count >= POLICIES_MOST || s->policies.bytes + k.text.len > POLICIES_BYTES_MOST);
	if (is_full || !engine_has_room(s->engine)) {
		log_event(LOG_LEVEL_WARNING, "mta-sts-policy-not-kept", log_s("domain", m->domain), log_c("why", "there is no room for more"));
		return 0;
	}
	write_row(&k, &row);
	batch_put(&b, DIRECTORY, buf_span(&key), buf_span(&row));
	change(s, &b, has_old ? &old : NULL, k.text.len);
	return 0;
}

int policy_forget(struct store_peer *resolve, const struct msg_policy_forget *m)
{
	struct store *s = resolve->store;
	struct batch b = {0};
	BUF_AUTO key = {0}, value = {0};
	struct kept old;
	if (!is_domain(m->domain))
		return -1;
	make_key(&key, m->domain);
	if (engine_get(s->engine, DIRECTORY, buf_span(&key), &value, NULL) <= 0)
		return 0;
	batch_delete(&b, DIRECTORY, buf_span(&key));
	change(s, &b, read_row(buf_span(&value), &old) ? NULL : &old, 0);
	return 0;
}
