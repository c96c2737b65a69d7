/* Who gets mail for an address: the directory's rows and the tables beside it, aliases followed to their ends. */
#include "store/directory/directory.h"

#include "auth/srs.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/directory/home.h"
#include "store/directory/secrets.h"
#include "wire/program.h"
#include "wire/smtp.h"

struct parts {
	struct span local, domain;
};

static struct parts split(struct span canonical)
{
	ssize_t at = span_rchr(canonical, '@');
	if (at < 0)
		return (struct parts){canonical, SPAN("")};
	return (struct parts){span_slice(canonical, 0, (size_t)at), span_skip(canonical, (size_t)at + 1)};
}

enum domain_use directory_use_of(struct store *s, struct span domain, struct table_look *look, struct buf *hop)
{
	BUF_AUTO canonical = {0};
	struct table_said said;
	if (!domain_is_valid(domain, ADDRESS_UTF8) || domain_canonical(domain, &canonical, NULL))
		return DOMAIN_ELSEWHERE;
	int own = directory_own_domain(s, buf_span(&canonical), hop);
	if (own)
		return own < 0 ? DOMAIN_LATER : hop->len ? DOMAIN_RELAYED : DOMAIN_OURS;
	if (home_is_at(child_config(s->self), buf_span(&canonical)))
		return DOMAIN_OURS;
	tables_find(s, TABLE_DOMAIN, buf_span(&canonical), look, &said);
	switch (said.outcome) {
	case TABLE_FOUND: return DOMAIN_OURS;
	case TABLE_RELAYED: return DOMAIN_RELAYED;
	case TABLE_LATER: return DOMAIN_LATER;
	case TABLE_NONE: case TABLE_REFUSED: break;
	}
	return DOMAIN_ELSEWHERE;
}

/* ---- the row of an address ---- */

/* What an address has: a row of ours, or of a table. */
struct found {
	struct directory_entry entry;
	struct span name;
	bool is_of_table;
	bool is_refused;  /* a table says that nobody is to get it */
	uint64_t account; /* behind a table's row: ours of that name, which the row may name as a target; 0: none */
	struct span account_name;
	struct span user; /* of this machine, whose .forward it is; empty: none */
};

/* As it is, then without its subaddress. */
static int find_own(struct store *s, struct span canonical, struct arena *a, struct found *out)
{
	struct parts p = split(canonical);
	struct span base, detail;
	out->name = canonical;
	int found = directory_get(s, canonical, a, &out->entry, NULL);
	for (const char *c = child_config(s->self)->recipient_delimiter; !found && *c; c++) {
		if (!address_split_detail(p.local, *c, &base, &detail))
			continue;
		BUF_AUTO shorter = {0};
		buf_add(&shorter, base);
		buf_add_char(&shorter, '@');
		buf_add(&shorter, p.domain);
		out->name = arena_dup(a, buf_span(&shorter));
		found = directory_get(s, out->name, a, &out->entry, NULL);
	}
	return found;
}

/* postmaster's stand-in (but for a domain that is relayed: it has one itself), then the domain's catch-all. */
static int find_own_wide(struct store *s, struct span canonical, bool is_relayed, struct arena *a, struct found *out)
{
	const struct config *config = child_config(s->self);
	struct parts p = split(canonical);
	int found = 0;
	if (!is_relayed && span_equal(p.local, SPAN("postmaster")) && config->postmaster[0]) {
		BUF_AUTO postmaster = {0};
		if (directory_canonical(span_cstr(config->postmaster), false, &postmaster, NULL) == 0) {
			out->name = arena_dup(a, buf_span(&postmaster));
			found = directory_get(s, out->name, a, &out->entry, NULL);
		}
	}
	if (!found && p.domain.len) {
		out->name = span_skip(canonical, p.local.len);
		found = directory_get(s, out->name, a, &out->entry, NULL);
	}
	return found;
}

static int take_said(const struct table_said *said, struct span canonical, struct arena *a, struct found *out)
{
	*out = (struct found){.name = canonical, .is_of_table = true, .is_refused = said->outcome == TABLE_REFUSED, .entry.is_alias = true};
	out->entry.targets = arena_alloc_array(a, said->count + 1, sizeof *out->entry.targets);
	for (size_t i = 0; i < said->count; i++)
		out->entry.targets[out->entry.target_count++] = arena_dup(a, said->targets[i]);
	return 1;
}

/* A user of this machine, with what his .forward says: 1, 0, or -1: later. postmaster is one who always is there (RFC 5321 §4.5.1). */
static int find_user(struct store *s, struct span canonical, struct arena *a, struct table_look *look, struct found *out)
{
	const struct config *config = child_config(s->self);
	struct parts p = split(canonical);
	struct span base = p.local, detail;
	struct table_said said = {.outcome = TABLE_FOUND};
	BUF_AUTO name = {0};
	if (!home_is_at(config, p.domain))
		return 0;
	for (const char *c = config->recipient_delimiter; *c; c++)
		if (address_split_detail(p.local, *c, &base, &detail))
			break;
		else
			base = p.local;
	bool is_postmaster = span_equal(base, SPAN("postmaster")) && !config->postmaster[0];
	if (!is_postmaster && !home_is_name(base))
		return 0;
	if (!is_postmaster)
		tables_find(s, TABLE_HOME, base, look, &said);
	if (said.outcome != TABLE_FOUND)
		return said.outcome == TABLE_LATER ? -1 : 0;
	buf_printf(&name, "%.*s@%.*s", SPAN_ARG(base), SPAN_ARG(p.domain));
	take_said(&said, arena_dup(a, buf_span(&name)), a, out);
	out->user = arena_dup(a, base);
	if (!said.count)
		out->entry.targets[out->entry.target_count++] = HOME_MAILBOX;
	return 1;
}

/* What names the address goes before what takes a whole domain, and of each, our aliases before the tables. A table's row for an account of
 * ours goes before that, as before a mailbox of Postfix's: it may send copies elsewhere. Users of the machine come behind those, and before what
 * takes a whole domain. 1, 0, or -1: later. */
static int find_entry(struct store *s, struct span canonical, bool is_relayed, struct arena *a, struct table_look *look, struct found *out)
{
	struct table_said said;
	*out = (struct found){0};
	int found = find_own(s, canonical, a, out);
	if (found < 0 || (found && out->entry.is_alias))
		return found;
	struct found own = *out;
	tables_find(s, TABLE_ADDRESS, canonical, look, &said);
	if (said.outcome == TABLE_LATER)
		return -1;
	if (said.outcome != TABLE_NONE && !said.is_wide) {
		take_said(&said, canonical, a, out);
		out->account = found ? own.entry.account : 0;
		out->account_name = own.name;
		return 1;
	}
	*out = own;
	if (found)
		return found;
	struct found wide = {0};
	if (said.outcome != TABLE_NONE)
		take_said(&said, canonical, a, &wide);
	found = find_user(s, canonical, a, look, out);
	if (!found)
		found = find_own_wide(s, canonical, is_relayed, a, out);
	if (found || !wide.is_of_table)
		return found;
	*out = wide;
	return 1;
}

/* A target of an alias of a whole domain may be a whole domain too: then it is the same local part there. */
static struct span target_of(struct span target, struct span canonical, struct arena *a)
{
	BUF_AUTO address = {0};
	if (!span_starts_with(target, SPAN("@")))
		return target;
	buf_add(&address, split(canonical).local);
	buf_add(&address, target);
	return arena_dup(a, buf_span(&address));
}

/* ---- rewritten senders ---- */

static uint64_t today(void)
{
	return (uint64_t)clock_wall_s() / 86400;
}

void directory_forward_sender(struct store *s, struct span sender, struct span via, struct buf *out)
{
	BUF_AUTO hop = {0};
	struct parts p = split(sender);
	struct table_look look = {0};
	enum domain_use use = via.len && p.domain.len ? directory_use_of(s, p.domain, &look, &hop) : DOMAIN_OURS;
	bool is_rewritten = use != DOMAIN_OURS && use != DOMAIN_RELAYED;
	if (!is_rewritten || srs_make(directory_secret(s, DIRECTORY_SECRET_SENDERS), sender, via, today(), out))
		buf_add(out, sender);
}

/* What comes back to a rewritten sender goes on to the one behind it, which, where a message has come round to us, is such an address of
 * ours again; each is shorter than the last. */
static enum rcpt_outcome resolve_rewritten(struct store *s, const struct address *address, struct arena *a, struct targets *targets)
{
	BUF_AUTO sender = {0};
	if (srs_undo(directory_secret(s, DIRECTORY_SECRET_SENDERS), address->local_part, today(), &sender))
		return RCPT_UNKNOWN;
	enum rcpt_outcome outcome = directory_resolve(s, buf_span(&sender), true, a, targets);
	return outcome == RCPT_REMOTE ? RCPT_LOCAL : outcome; /* of our own making, so strangers may send there */
}

/* ---- resolving ---- */

struct resolution {
	struct store *store;
	struct arena *arena;
	struct targets *targets;
};

static void tell(const struct resolution *r, struct span name, const char *what)
{
	if (r->targets->look.story)
		buf_printf(r->targets->look.story, "%.*s: %s\n", SPAN_ARG(name), what);
}

static void tell_own(const struct resolution *r, struct span canonical, const struct found *f)
{
	struct buf *story = r->targets->look.story;
	if (!story || f->is_of_table)
		return;
	buf_printf(story, "%.*s:%s", SPAN_ARG(canonical), f->entry.is_alias ? " ->" : " the account ");
	for (size_t i = 0; i < f->entry.target_count; i++)
		buf_printf(story, " %.*s", SPAN_ARG(f->entry.targets[i]));
	buf_printf(story, "%.*s  [the directory]\n", SPAN_ARG(f->entry.is_alias ? SPAN("") : f->name));
}

static void add_elsewhere(const struct resolution *r, struct span address, struct span via)
{
	size_t before = r->targets->count;
	tell(r, address, "goes to another server");
	targets_add(r->arena, r->targets, 0, address);
	if (r->targets->count > before && via.len)
		r->targets->list[before].via = arena_dup(r->arena, via);
}

static enum rcpt_outcome resolve(const struct resolution *r, struct span canonical, struct span as_given, bool may_relay, struct span via, unsigned depth);

/* The mailbox of a user of this machine: the account of his name in the first domain, else root's, else postmaster's. */
static enum rcpt_outcome resolve_mailbox(const struct resolution *r, struct span user, unsigned depth)
{
	const struct span names[] = {user, SPAN("root"), SPAN("postmaster")};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		BUF_AUTO address = {0};
		struct directory_entry entry;
		buf_printf(&address, "%.*s@", SPAN_ARG(names[i]));
		if (!directory_own_domains(r->store, &address))
			return RCPT_UNKNOWN;
		struct span canonical = arena_dup(r->arena, buf_span(&address));
		int found = i == 0 ? directory_get(r->store, canonical, r->arena, &entry, NULL) : 1;
		if (found < 0)
			return RCPT_LATER;
		enum rcpt_outcome one = found ? resolve(r, canonical, canonical, true, SPAN(""), depth + 1) : RCPT_UNKNOWN;
		if (one != RCPT_UNKNOWN)
			return one;
	}
	return RCPT_UNKNOWN;
}

static enum rcpt_outcome resolve_program(const struct resolution *r, const struct found *f, struct span canonical, struct span target)
{
	tell(r, canonical, "is handed to a program");
	/* as Postfix's local(8), of root's own .forward not as root */
	struct span user = span_equal(f->user, SPAN("root")) ? SPAN("") : f->user;
	targets_add_program(r->arena, r->targets, canonical, user, span_skip(target, PROGRAM_MARK.len));
	return RCPT_LOCAL;
}

/* What an alias leads to. While the tables are asked for one target, the others are looked at: so that all are asked at once. */
static enum rcpt_outcome resolve_targets(const struct resolution *r, const struct found *f, struct span canonical, bool is_relayed, struct visited *seen, unsigned depth)
{
	enum rcpt_outcome result = RCPT_UNKNOWN; /* an alias that leads nowhere, or in circles */
	bool is_later = false;
	for (size_t i = 0; i < f->entry.target_count; i++) {
		if (r->targets->count >= r->targets->most) {
			r->targets->is_too_large = true;
			return RCPT_LATER;
		}
		struct span target = target_of(f->entry.targets[i], canonical, r->arena);
		enum rcpt_outcome one = RCPT_LOCAL;
		struct found himself;
		int user;
		bool is_itself = f->is_of_table && !f->user.len && span_equal(target, canonical); /* it goes where it would go without the table's row */
		if (is_itself && f->account)
			targets_add(r->arena, r->targets, f->account, f->account_name);
		else if (is_itself && is_relayed)
			add_elsewhere(r, target, SPAN(""));
		else if (is_itself && (user = find_user(r->store, canonical, r->arena, &r->targets->look, &himself)))
			one = user < 0 ? RCPT_LATER : resolve_targets(r, &himself, canonical, is_relayed, seen, depth + 1);
		else if (program_is_target(target))
			one = resolve_program(r, f, canonical, target);
		else if (f->user.len && span_equal(target, HOME_MAILBOX))
			one = resolve_mailbox(r, f->user, depth);
		else
			one = resolve(r, target, target, true, split(canonical).domain, depth + 1);
		if (one == RCPT_LATER && (r->targets->is_too_large || !r->targets->look.question))
			return one;
		is_later |= one == RCPT_LATER;
		if (one == RCPT_LOCAL || one == RCPT_REMOTE)
			result = RCPT_LOCAL;
	}
	seen->outcome = result;
	return is_later ? RCPT_LATER : result;
}

/* via: our domain whose alias has led here; empty: none */
static enum rcpt_outcome resolve(const struct resolution *r, struct span canonical, struct span as_given, bool may_relay, struct span via, unsigned depth)
{
	struct targets *targets = r->targets;
	struct found f;
	struct parts p = split(canonical);
	BUF_AUTO hop = {0};
	enum domain_use use = p.domain.len ? directory_use_of(r->store, p.domain, &targets->look, &hop) : DOMAIN_OURS;
	if (use == DOMAIN_LATER)
		return RCPT_LATER;
	if (use == DOMAIN_ELSEWHERE) {
		if (!may_relay)
			return RCPT_NO_RELAY;
		add_elsewhere(r, as_given, via);
		return RCPT_REMOTE;
	}
	int found = find_entry(r->store, canonical, use == DOMAIN_RELAYED, r->arena, &targets->look, &f);
	if (found < 0)
		return RCPT_LATER;
	if (!found && use == DOMAIN_RELAYED) {
		add_elsewhere(r, as_given, SPAN(""));
		return RCPT_LOCAL; /* strangers may send there */
	}
	if (!found || f.is_refused) {
		tell(r, canonical, f.is_refused ? "is refused" : "is not there");
		return RCPT_UNKNOWN;
	}
	tell_own(r, canonical, &f);
	if (!f.entry.is_alias) {
		targets_add(r->arena, targets, f.entry.account, f.name);
		return RCPT_LOCAL;
	}
	if (span_starts_with(f.name, SPAN("@")))
		f.name = canonical; /* a catch-all may lead elsewhere for each */
	struct visited *seen = targets_visited(targets, f.name);
	/* of an earlier recipient, what came to nothing is followed again: it may have been met in a circle that was still open */
	if (seen && (seen->turn == targets->turn || seen->outcome != RCPT_UNKNOWN))
		return seen->outcome;
	if (targets->visited_count >= targets->visited_most || depth == ALIAS_DEPTH_MOST) {
		targets->is_too_large = true;
		return RCPT_LATER;
	}
	seen = targets_visit(targets, f.name, r->arena);
	return resolve_targets(r, &f, canonical, use == DOMAIN_RELAYED, seen, depth);
}

/* <postmaster> without a domain belongs to this host (RFC 5321 §4.1.1.3): the stand-in, or the first own domain's. */
static enum rcpt_outcome resolve_postmaster(struct store *s, struct arena *a, struct targets *targets)
{
	BUF_AUTO address = {0};
	if (child_config(s->self)->postmaster[0]) {
		buf_add_cstr(&address, child_config(s->self)->postmaster);
	} else {
		buf_add_cstr(&address, "postmaster@");
		directory_own_domains(s, &address);
	}
	return resolve(&(struct resolution){s, a, targets}, buf_span(&address), buf_span(&address), false, SPAN(""), 0);
}

static enum rcpt_outcome resolve_text(struct store *s, struct span text, bool may_relay, struct arena *a, struct targets *targets)
{
	struct address address;
	BUF_AUTO canonical = {0};
	if (span_equal_nocase(text, SPAN("postmaster")))
		return resolve_postmaster(s, a, targets);
	if (address_parse_mailbox(text, ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL) || address_canonical(&address, &canonical, NULL))
		return RCPT_BAD;
	BUF_AUTO hop = {0}; /* of a relayed domain, whose server may rewrite senders itself */
	enum domain_use use = srs_is(address.local_part) ? directory_use_of(s, split(buf_span(&canonical)).domain, &targets->look, &hop) : DOMAIN_ELSEWHERE;
	if (use == DOMAIN_LATER)
		return RCPT_LATER;
	if (use == DOMAIN_OURS)
		return resolve_rewritten(s, &address, a, targets);
	return resolve(&(struct resolution){s, a, targets}, buf_span(&canonical), text, may_relay, SPAN(""), 0);
}

enum rcpt_outcome directory_resolve(struct store *s, struct span text, bool may_relay, struct arena *a, struct targets *targets)
{
	targets_begin(targets, ALIAS_TARGETS_MOST);
	targets->look.question = 0;
	enum rcpt_outcome outcome = resolve_text(s, text, may_relay, a, targets);
	if (targets->is_too_large)
		log_event(LOG_LEVEL_ERROR, "alias-too-large", log_s("address", text), log_n("most", ALIAS_TARGETS_MOST), log_n("deepest", ALIAS_DEPTH_MOST),
		          log_c("then", "mail for it waits where it comes from: make the alias smaller"));
	return outcome;
}

/* RFC 3461 §5.2.7: what was asked for goes on to the one that an alias leads to; of several, none reports success, and the
 * alias itself is reported as expanded. */
enum rcpt_outcome directory_resolve_recipient(struct store *s, const struct given_recipient *r, bool may_relay, struct arena *a,
                                              struct targets *targets)
{
	size_t before = targets->count;
	enum rcpt_outcome outcome = directory_resolve(s, r->address, may_relay, a, targets);
	if (outcome != RCPT_LOCAL && outcome != RCPT_REMOTE && outcome != RCPT_LATER) {
		targets_add(a, targets, 0, r->address);
		targets->list[targets->count - 1].is_gone |= targets->count > before;
	}
	bool is_several = targets->count - before > 1;
	uint8_t notify = is_several ? r->notify & (uint8_t)~SMTP_NOTIFY_SUCCESS : r->notify;
	if (r->notify && !notify)
		notify = SMTP_NOTIFY_NEVER; /* no failure was to be reported either, and 0 would ask for the default */
	for (size_t i = before; i < targets->count; i++) {
		targets->list[i].notify = notify;
		targets->list[i].orcpt = r->orcpt;
	}
	if (is_several && r->notify & SMTP_NOTIFY_SUCCESS) {
		targets_add(a, targets, 0, r->address);
		struct target *alias = &targets->list[targets->count - 1];
		alias->orcpt = r->orcpt;
		alias->notify = SMTP_NOTIFY_SUCCESS;
		alias->is_expanded = true;
	}
	return outcome;
}

/* An account may send as itself, whatever becomes of mail to it. */
static bool is_its_own(struct store *s, uint64_t account, struct span address, struct arena *a)
{
	BUF_AUTO canonical = {0};
	struct found f;
	return directory_canonical(address, false, &canonical, NULL) == 0 && find_own(s, buf_span(&canonical), a, &f) > 0 && !f.entry.is_alias &&
	       f.entry.account == account;
}

enum rcpt_outcome directory_owns(struct store *s, uint64_t account, struct span address, struct table_look *look)
{
	ARENA_AUTO a = {0};
	struct targets targets = {.look = *look};
	if (is_its_own(s, account, address, &a))
		return RCPT_LOCAL;
	enum rcpt_outcome outcome = directory_resolve(s, address, false, &a, &targets);
	*look = targets.look;
	if (outcome == RCPT_LATER)
		return outcome;
	for (size_t i = 0; outcome == RCPT_LOCAL && i < targets.count; i++)
		if (targets.list[i].account == account)
			return RCPT_LOCAL;
	return RCPT_UNKNOWN;
}
