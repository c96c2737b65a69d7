#include "store/greylist.h"

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/pack.h"

#include <openssl/evp.h>

enum {
	FIRST_LIFETIME_S = 2 * 86400,  /* who does not come back within that never will */
	KNOWN_LIFETIME_S = 36 * 86400, /* a monthly newsletter is still known */
	KNOWN_FRESH_S = 86400,         /* not written anew for each message */
	DIGEST_BYTES = 32,
	ROWS_A_BATCH = 1000,
};

#define PARTITION SPAN("grey")

/* An IPv4 address is one of a /24 here, since a large sender's hosts take turns; an IPv6 one of a /64. */
static int add_network(struct span client, struct buf *out)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct network n;
	if (network_parse(client, &n))
		return -1;
	bool is_v4 = memcmp(n.prefix, mapped, sizeof mapped) == 0;
	buf_add(out, span_of(n.prefix, is_v4 ? 15 : 8));
	return 0;
}

static void add_lower(struct span text, struct buf *out)
{
	buf_add_char(out, 0);
	for (size_t i = 0; i < text.len; i++)
		buf_add_char(out, ascii_lower(text.ptr[i]));
}

static void make_key(char letter, struct span network, struct span one, struct span other, struct buf *key)
{
	BUF_AUTO all = {0};
	unsigned char digest[DIGEST_BYTES];
	buf_add(&all, network);
	add_lower(one, &all);
	add_lower(other, &all);
	if (EVP_Digest(all.ptr, all.len, digest, NULL, EVP_sha256(), NULL) != 1)
		die("store: no SHA-256");
	buf_add_char(key, letter);
	buf_add(key, span_of(digest, sizeof digest));
}

/* The time in a row; 0: there is none, or it is older than lifetime_s or from the future. -1: it cannot be read. */
static int64_t time_of(struct store *s, struct span key, int64_t lifetime_s)
{
	BUF_AUTO value = {0};
	int found = engine_get(s->engine, PARTITION, key, &value, NULL);
	struct unpacker u = {.rest = buf_span(&value)};
	int64_t at = (int64_t)unpack_u64(&u), now = clock_wall_s();
	if (found <= 0)
		return found;
	return !unpack_done(&u) || at > now || now - at > lifetime_s ? 0 : at;
}

static void note(struct store *s, struct span key)
{
	struct batch b = {0};
	BUF_AUTO value = {0};
	pack_u64(&value, (uint64_t)clock_wall_s());
	batch_put(&b, PARTITION, key, buf_span(&value));
	if (engine_has_room(s->engine))
		store_commit(s, &b, NULL, NULL);
	batch_free(&b);
}

bool greylist_lets_pass(struct store *s, struct span client, struct span sender, struct span recipient)
{
	BUF_AUTO network = {0}, known = {0}, first = {0};
	int64_t delay_s = (int64_t)child_config(s->self)->greylist_delay_s, now = clock_wall_s();
	if (add_network(client, &network))
		return true;
	make_key('k', buf_span(&network), span_skip(sender, (size_t)(span_rchr(sender, '@') + 1)), SPAN(""), &known);
	make_key('f', buf_span(&network), sender, recipient, &first);
	int64_t known_s = time_of(s, buf_span(&known), KNOWN_LIFETIME_S);
	int64_t first_s = known_s ? now : time_of(s, buf_span(&first), FIRST_LIFETIME_S);
	if (known_s < 0 || first_s < 0)
		return true;
	bool is_seen = known_s || (first_s && now - first_s >= delay_s);
	if (is_seen && now - known_s > KNOWN_FRESH_S)
		note(s, buf_span(&known));
	if (!is_seen && !first_s)
		note(s, buf_span(&first));
	if (!is_seen)
		log_event(LOG_LEVEL_INFO, "greylisted", log_s("client", client), log_s("from", sender), log_s("to", recipient), log_n("for", first_s ? delay_s - (now - first_s) : delay_s));
	return is_seen;
}

void greylist_sweep(struct store *s)
{
	struct engine_scan *scan = engine_scan_open(s->engine, PARTITION, SPAN("f"), SPAN("l"));
	struct span key, value;
	struct batch b = {0};
	size_t count = 0;
	int64_t now = clock_wall_s();
	while (count < ROWS_A_BATCH * 100 && engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct unpacker u = {.rest = value};
		int64_t at = (int64_t)unpack_u64(&u);
		if (at <= now && now - at <= (key.ptr[0] == 'f' ? FIRST_LIFETIME_S : KNOWN_LIFETIME_S))
			continue;
		batch_delete(&b, PARTITION, key);
		count++;
	}
	engine_scan_close(scan);
	if (count)
		store_commit(s, &b, NULL, NULL);
	batch_free(&b);
}
