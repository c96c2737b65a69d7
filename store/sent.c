/* The last messages that were submitted, in a ring: see sent.h. */
#include "store/sent.h"

#include "base/clock.h"
#include "base/die.h"
#include "store/sweep.h"

#include <stdlib.h>

_Static_assert(2 * SENT_KEPT_MS <= SWEEP_YOUNG_MS, "what is remembered must be there");

void sent_add(struct sent *s, const struct sent_message *m)
{
	if (!s->messages)
		s->messages = xcalloc(SENT_MOST, sizeof *s->messages);
	s->messages[s->count++ % SENT_MOST] = *m;
}

/* By the clock that the sweep looks at: should it be set meanwhile, both see that. */
static bool is_young(const struct sent_message *m)
{
	return id128_made_ms(m->blob) + SENT_KEPT_MS > clock_wall_ms();
}

bool sent_find(const struct sent *s, const struct sent_message *m, struct id128 *blob)
{
	size_t kept = s->count < SENT_MOST ? s->count : SENT_MOST;
	for (size_t i = 1; i <= kept; i++) {
		const struct sent_message *one = &s->messages[(s->count - i) % SENT_MOST];
		if (one->account != m->account || one->received != m->received || memcmp(one->digest, m->digest, sizeof m->digest) != 0 || !is_young(one))
			continue;
		*blob = one->blob;
		return true;
	}
	return false;
}

void sent_free(struct sent *s)
{
	free(s->messages);
	*s = (struct sent){0};
}
