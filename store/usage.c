/* The table of what is kept: see usage.h. */
#include "store/usage.h"

#include "base/die.h"
#include "store/directory/directory.h"
#include "store/mailbox/account.h"

#include <pthread.h>
#include <stdlib.h>

struct domain {
	struct domain *next;
	char *name;
	struct usage usage;
	bool is_whole; /* every account of it is counted; the loop's alone */
};

struct entry {
	struct usage usage;
	struct domain *domain;
	bool is_counted;  /* by its worker, or from the disk */
	uint64_t epoch;   /* of its limits */
};

struct usages {
	pthread_mutex_t lock;
	struct map entries; /* by account */
	struct domain *domains;
	uint64_t epoch;     /* changes with the limits */
};

struct usages *usages_new(void)
{
	struct usages *u = xcalloc(1, sizeof *u);
	*u = (struct usages){.epoch = 1};
	pthread_mutex_init(&u->lock, NULL);
	return u;
}

static struct entry *entry_of(struct usages *u, uint64_t account)
{
	struct entry *e = map_get(&u->entries, account);
	if (!e) {
		e = xcalloc(1, sizeof *e);
		map_put(&u->entries, account, e);
	}
	return e;
}

static void add_to_domain(struct domain *d, const struct quota *used, int sign)
{
	if (!d)
		return;
	d->usage.used.bytes += (uint64_t)sign * used->bytes;
	d->usage.used.messages += (uint64_t)sign * used->messages;
}

static void count(struct entry *e, const struct quota *used)
{
	add_to_domain(e->domain, &e->usage.used, -1);
	add_to_domain(e->domain, used, 1);
	e->usage.used = *used;
	e->is_counted = true;
}

static struct domain *domain_of(struct usages *u, struct span address)
{
	struct span name = span_skip(address, (size_t)(span_rchr(address, '@') + 1));
	struct domain *d = u->domains;
	while (d && !span_equal(span_cstr(d->name), name))
		d = d->next;
	if (!d) {
		d = xcalloc(1, sizeof *d);
		*d = (struct domain){.next = u->domains, .name = span_strdup(name)};
		u->domains = d;
	}
	return d;
}

static void refresh(struct store *s, uint64_t account);

struct counting {
	struct store *store;
	struct span domain;
};

static int count_one(void *context, struct span name, const struct directory_entry *entry)
{
	const struct counting *c = context;
	if (!entry->is_alias && span_equal(span_skip(name, (size_t)(span_rchr(name, '@') + 1)), c->domain))
		refresh(c->store, entry->account);
	return 0;
}

/* Once: from then on each account says what it keeps. */
static void count_domain(struct store *s, struct domain *d)
{
	bool was_whole = d->is_whole;
	d->is_whole = true; /* refresh comes here too */
	if (!was_whole)
		directory_walk(s, false, count_one, &(struct counting){s, span_cstr(d->name)}, NULL);
}

/* The account as it is now, its limits and, if nobody has said it, what it keeps. Only the loop makes entries known, so that it may look
 * at the disk without the lock. */
static void refresh(struct store *s, uint64_t account)
{
	struct usages *u = s->usages;
	BUF_AUTO name = {0};
	struct quota used = {0};
	pthread_mutex_lock(&u->lock);
	struct entry *e = entry_of(u, account);
	bool is_new = e->epoch != u->epoch, is_uncounted = !e->is_counted;
	pthread_mutex_unlock(&u->lock);
	if (is_uncounted)
		account_measure(s->engine, account, &used.bytes, &used.messages);
	if (is_new && directory_account_name(s, account, &name, NULL) <= 0)
		is_new = false;
	struct quota most = {0}, domain_most = {0};
	if (is_new) {
		most = quota_of_account(s, buf_span(&name));
		domain_most = quota_of_domain(s, buf_span(&name));
	}
	struct domain *d = NULL;
	pthread_mutex_lock(&u->lock);
	if (!e->is_counted)
		count(e, &used);
	if (is_new) {
		d = domain_of(u, buf_span(&name));
		if (e->domain != d)
			add_to_domain(d, &e->usage.used, 1);
		e->domain = d;
		d->usage.most = domain_most;
		e->usage.most = most;
		e->epoch = u->epoch;
	}
	pthread_mutex_unlock(&u->lock);
	if (d && (domain_most.bytes || domain_most.messages))
		count_domain(s, d);
}

struct usage usage_of_account(struct store *s, uint64_t account)
{
	refresh(s, account);
	pthread_mutex_lock(&s->usages->lock);
	struct usage result = entry_of(s->usages, account)->usage;
	pthread_mutex_unlock(&s->usages->lock);
	return result;
}

/* A domain's sum is of all its accounts, also those that nobody has touched since the start. */
struct usage usage_of_domain(struct store *s, struct span address)
{
	struct usages *u = s->usages;
	struct quota most = quota_of_domain(s, address);
	pthread_mutex_lock(&u->lock);
	struct domain *d = domain_of(u, address);
	d->usage.most = most;
	pthread_mutex_unlock(&u->lock);
	count_domain(s, d);
	pthread_mutex_lock(&u->lock);
	struct usage result = d->usage;
	pthread_mutex_unlock(&u->lock);
	return result;
}

/* What adds nothing fits in what is over full already too: REPLACE, of which only the net consumption counts (RFC 8508 §3.4). */
static bool fits(const struct usage *u, uint64_t bytes, uint64_t messages)
{
	return (!u->most.bytes || !bytes || (bytes <= u->most.bytes && u->used.bytes <= u->most.bytes - bytes)) &&
	       (!u->most.messages || !messages || (messages <= u->most.messages && u->used.messages <= u->most.messages - messages));
}

bool usage_has_room(struct store *s, uint64_t account, uint64_t bytes)
{
	refresh(s, account);
	return usage_fits(s, account, bytes, 1);
}

bool usage_fits(struct store *s, uint64_t account, uint64_t bytes, uint64_t messages)
{
	pthread_mutex_lock(&s->usages->lock);
	const struct entry *e = entry_of(s->usages, account);
	bool result = fits(&e->usage, bytes, messages) && (!e->domain || fits(&e->domain->usage, bytes, messages));
	pthread_mutex_unlock(&s->usages->lock);
	return result;
}

void usage_limits_changed(struct store *s)
{
	pthread_mutex_lock(&s->usages->lock);
	s->usages->epoch++;
	pthread_mutex_unlock(&s->usages->lock);
}

void usage_forget(struct store *s, uint64_t account)
{
	pthread_mutex_lock(&s->usages->lock);
	struct entry *e = map_take(&s->usages->entries, account);
	if (e)
		add_to_domain(e->domain, &e->usage.used, -1);
	free(e);
	pthread_mutex_unlock(&s->usages->lock);
}

bool usage_nears_end(const struct usage *u)
{
	return (u->most.bytes && u->used.bytes >= u->most.bytes - u->most.bytes / 10) ||
	       (u->most.messages && u->used.messages >= u->most.messages - u->most.messages / 10);
}

struct usage_said usage_say(struct store *s, uint64_t account, const struct quota *used)
{
	struct usage_said said = {0};
	pthread_mutex_lock(&s->usages->lock);
	struct entry *e = entry_of(s->usages, account);
	bool was_near = e->domain && usage_nears_end(&e->domain->usage);
	count(e, used);
	said.account = e->usage;
	said.domain_nears_end = e->domain && !was_near && usage_nears_end(&e->domain->usage);
	pthread_mutex_unlock(&s->usages->lock);
	return said;
}
