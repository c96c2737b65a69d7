/* `carteiro quota`: how much mail accounts and domains may keep, and how much they do. */
#include "store/command_run.h"
#include "store/usage.h"

struct span command_target(struct command_run *c, size_t word, bool may_be_domain)
{
	struct span typed = c->words[word], name;
	bool is_each = span_starts_with(typed, SPAN("*@")), is_domain = is_each || (may_be_domain && span_chr(typed, '@') < 0);
	BUF_AUTO target = {0};
	struct directory_entry entry;
	if (!is_domain)
		return command_find_user(c, word, &name, &entry) ? name : (struct span){0};
	if (is_each)
		c->words[word] = span_skip(typed, 2);
	name = command_name(c, word, true);
	if (!name.len)
		return name;
	if (directory_domain(c->store, name, NULL) <= 0) {
		command_fail(c, CODE_REFUSED, "%.*s is not one of this server's domains", SPAN_ARG(name));
		return (struct span){0};
	}
	buf_printf(&target, "%s@%.*s", is_each ? "*" : "", SPAN_ARG(name));
	return arena_dup(&c->arena, buf_span(&target));
}

/* "500M", "10G", "2T" or bytes. */
static bool read_size(struct span text, uint64_t *out)
{
	static const char units[] = "kMGT";
	unsigned shift = 0;
	const char *unit = text.len ? strchr(units, text.ptr[text.len - 1]) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		text.len--;
	}
	if (span_to_u64(text, UINT64_MAX >> (shift + 1), out))
		return false;
	*out <<= shift;
	return *out > 0;
}

void quota_set(struct command_run *c)
{
	struct span target = command_target(c, 2, true);
	struct quota quota = {0};
	bool is_none = span_equal(c->words[3], SPAN("none"));
	if (!target.len)
		return;
	if (!is_none && !read_size(c->words[3], &quota.bytes))
		command_fail(c, CODE_USAGE, "\"%.*s\": write a size as in 500M, 10G or 2T, or none", SPAN_ARG(span_slice(c->words[3], 0, 100)));
	else if (c->count > 4 && span_to_u64(c->words[4], UINT32_MAX, &quota.messages))
		command_fail(c, CODE_USAGE, "\"%.*s\": write how many messages", SPAN_ARG(span_slice(c->words[4], 0, 100)));
	else
		quota_put(&c->batch, target, &quota);
}

void quota_unset(struct command_run *c)
{
	struct span target = command_target(c, 2, true);
	struct quota quota;
	if (!target.len)
		return;
	if (quota_get(c->store, target, &quota) <= 0)
		command_fail(c, CODE_REFUSED, "no quota is set for %.*s", SPAN_ARG(target));
	else
		quota_delete(&c->batch, target);
}

static void print_size(struct buf *out, uint64_t bytes)
{
	static const char *const units[] = {"", "k", "M", "G", "T"};
	unsigned unit = 0;
	double size = (double)bytes;
	for (; size >= 1024 && unit < 4; unit++)
		size /= 1024;
	buf_printf(out, size == (double)(uint64_t)size || unit == 0 ? "%.0f%s" : "%.1f%s", size, units[unit]);
}

static void print_quota(struct buf *out, const struct quota *q)
{
	if (q->bytes)
		print_size(out, q->bytes);
	else
		buf_add_cstr(out, "none");
	if (q->messages)
		buf_printf(out, ", %llu messages", (unsigned long long)q->messages);
}

static void print_usage(struct command_run *c, struct span name, const struct usage *u)
{
	buf_printf(&c->text, "%.*s keeps ", SPAN_ARG(name));
	print_size(&c->text, u->used.bytes);
	buf_printf(&c->text, " in %llu message%s; quota ", (unsigned long long)u->used.messages, u->used.messages == 1 ? "" : "s");
	print_quota(&c->text, &u->most);
	if (u->most.bytes)
		buf_printf(&c->text, " (%.0f %% full)", 100.0 * (double)u->used.bytes / (double)u->most.bytes);
	buf_add_char(&c->text, '\n');
}

void quota_show(struct command_run *c)
{
	struct span target = command_target(c, 2, true);
	struct directory_entry entry;
	struct usage usage;
	struct quota each;
	if (!target.len)
		return;
	if (target.ptr[0] == '*') {
		buf_printf(&c->text, "%.*s ", SPAN_ARG(target));
		print_quota(&c->text, quota_get(c->store, target, &each) > 0 ? &each : &(struct quota){.bytes = child_config(c->store->self)->user_quota_bytes});
		buf_add_char(&c->text, '\n');
		return;
	}
	if (target.ptr[0] == '@')
		usage = usage_of_domain(c->store, target);
	else if (directory_get(c->store, target, &c->arena, &entry, NULL) > 0)
		usage = usage_of_account(c->store, entry.account);
	else
		return;
	print_usage(c, target, &usage);
}

static void list_one(void *context, struct span name, const struct quota *q)
{
	struct command_run *c = context;
	buf_printf(&c->text, "%.*s ", SPAN_ARG(name));
	print_quota(&c->text, q);
	buf_add_char(&c->text, '\n');
}

void quota_list(struct command_run *c)
{
	quota_walk(c->store, list_one, c);
}
