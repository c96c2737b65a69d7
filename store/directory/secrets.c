#include "store/directory/secrets.h"

#include "base/die.h"
#include "base/random.h"

const unsigned char *directory_secret(struct store *s, enum directory_secret which)
{
	static const char *const keys[] = {"x", "s"};
	struct span key = span_cstr(keys[which]), partition = SPAN("dir");
	unsigned char *secret = s->secrets[which];
	BUF_AUTO value = {0};
	struct error why = {0};
	if (s->has_secret[which])
		return secret;
	int found = engine_get(s->engine, partition, key, &value, &why);
	if (found < 0 || (found && value.len != DIRECTORY_SECRET_BYTES))
		die("store: the directory's key cannot be read: %s", why.text); /* a new one would be another: what the old one made is on its way */
	if (found) {
		memcpy(secret, value.ptr, DIRECTORY_SECRET_BYTES);
	} else {
		struct batch b = {0};
		random_bytes(secret, DIRECTORY_SECRET_BYTES);
		/* before any message that leaves with it: commits keep their order */
		batch_put(&b, partition, key, span_of(secret, DIRECTORY_SECRET_BYTES));
		store_commit(s, &b, NULL, NULL);
	}
	s->has_secret[which] = true;
	return secret;
}
