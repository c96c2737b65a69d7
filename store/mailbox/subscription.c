/* Subscriptions: RFC 3501 §6.3.6. One is of a name, and not of a mailbox: it comes and goes by SUBSCRIBE and UNSUBSCRIBE alone,
 * whatever becomes of the mailbox. Each has a row of its own, "s" and the name; in memory they stand in the order of bytes. */
#include "base/die.h"
#include "base/pack.h"
#include "store/mailbox/account.h"

#include <errno.h>
#include <stdlib.h>

enum { SUBSCRIPTION_VERSION = 1 };

/* Where the name is, or would be. */
static size_t position(const struct account *a, struct span name, bool *is_there)
{
	size_t low = 0, high = a->subscription_count;
	*is_there = false;
	while (low < high && !*is_there) {
		size_t middle = low + (high - low) / 2;
		struct span here = span_cstr(a->subscriptions[middle]);
		int order = span_compare(here, name);
		*is_there = order == 0;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return high;
}

ssize_t account_subscription(const struct account *a, struct span name)
{
	bool is_there;
	size_t at = position(a, mailbox_canonical(name), &is_there);
	return is_there ? (ssize_t)at : -1;
}

static void insert(struct account *a, size_t at, struct span name)
{
	a->subscriptions = xrealloc_array(a->subscriptions, a->subscription_count + 1, sizeof *a->subscriptions);
	memmove(a->subscriptions + at + 1, a->subscriptions + at, (a->subscription_count - at) * sizeof *a->subscriptions);
	a->subscriptions[at] = span_strdup(name);
	a->subscription_count++;
}

int account_read_subscription(struct account *a, struct span key, struct span value, struct error *why)
{
	struct unpacker u = {.rest = value};
	struct span name = span_skip(key, 1);
	if (unpack_u8(&u) != SUBSCRIPTION_VERSION || !unpack_done(&u) || name.len > MAILBOX_NAME_BYTES_MOST)
		return error_set(why, EBADMSG, "a subscription of account %s is damaged", a->partition);
	insert(a, a->subscription_count, name); /* they are read in their order */
	return 0;
}

void account_subscribe(struct account *a, struct span name)
{
	bool is_there;
	name = mailbox_canonical(name);
	size_t at = position(a, name, &is_there);
	BUF_AUTO key = {0}, value = {0};
	if (is_there)
		return;
	insert(a, at, name);
	buf_add_char(&key, 's');
	buf_add(&key, name);
	pack_u8(&value, SUBSCRIPTION_VERSION);
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
	account_tell_watchers(a, MAILBOX_EVENT_SUBSCRIBED, name, SPAN(""));
}

void account_unsubscribe(struct account *a, struct span name)
{
	bool is_there;
	name = mailbox_canonical(name);
	size_t at = position(a, name, &is_there);
	BUF_AUTO key = {0};
	if (!is_there)
		return;
	free(a->subscriptions[at]);
	a->subscription_count--;
	memmove(a->subscriptions + at, a->subscriptions + at + 1, (a->subscription_count - at) * sizeof *a->subscriptions);
	buf_add_char(&key, 's');
	buf_add(&key, name);
	batch_delete(&a->batch, account_partition(a), buf_span(&key));
	account_tell_watchers(a, MAILBOX_EVENT_SUBSCRIBED, name, SPAN(""));
}

void account_forget_subscriptions(struct account *a)
{
	for (size_t i = 0; i < a->subscription_count; i++)
		free(a->subscriptions[i]);
	free(a->subscriptions);
	a->subscriptions = NULL;
	a->subscription_count = 0;
}
