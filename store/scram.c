/* The accounts without keys are counted once, when the number is first asked for; from then on by each change. */
#include "store/scram.h"

#include "base/log.h"
#include "store/directory/directory.h"
#include "store/directory/secrets.h"

static int count_one(void *context, struct span name, const struct directory_entry *entry)
{
	(void)name;
	size_t *count = context;
	*count += !entry->is_alias && !entry->scram.len;
	return 0;
}

size_t scram_missing(struct store *s)
{
	if (!s->has_scram_missing)
		directory_walk(s, false, count_one, &s->scram_missing, NULL);
	s->has_scram_missing = true;
	return s->scram_missing;
}

void scram_tell(struct store *s)
{
	struct span secret = span_of(directory_secret(s, DIRECTORY_SECRET_SALTS), DIRECTORY_SECRET_BYTES);
	for (size_t i = 0; i < STORE_PEERS_MOST; i++) /* an earlier vault may not be seen to have gone yet */
		if (s->peers[i].id && s->peers[i].role == ROLE_VAULT)
			channel_send(s->peers[i].channel, scram_offer, .is_offered = scram_missing(s) == 0, .salt_secret = secret);
}

void scram_count(struct store *s, int more)
{
	bool was_offered = scram_missing(s) == 0;
	s->scram_missing += (size_t)(ssize_t)more;
	bool is_offered = s->scram_missing == 0;
	if (is_offered == was_offered)
		return;
	log_event(LOG_LEVEL_INFO, "scram", log_c("offered", is_offered ? "yes" : "no"),
	          log_c("why", is_offered ? "every account has keys for it" : "an account without keys for it was added; it gets them at its first login in clear"));
	scram_tell(s);
}
