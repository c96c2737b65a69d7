#include "store/directory/home.h"

#include "base/log.h"
#include "store/directory/directory.h"
#include "wire/forward_file.h"
#include "wire/program.h"

enum { NAME_BYTES_MOST = 32 /* useradd(8) */, LOGGED_FAULTS_MOST = 10 };

bool home_is_at(const struct config *config, struct span domain)
{
	return config->system_users[0] && config_domains_have(config->system_users, domain);
}

bool home_is_name(struct span local)
{
	for (size_t i = 0; i < local.len; i++) {
		char c = local.ptr[i];
		bool is_inner = ascii_is_digit(c) || c == '-' || c == '.';
		if (!(c >= 'a' && c <= 'z') && c != '_' && !(i && is_inner))
			return false;
	}
	return local.len > 0 && local.len <= NAME_BYTES_MOST;
}

/* What a .forward is read into. */
struct reading {
	struct store *store;
	struct span user, path;
	struct arena arena;
	struct span *targets;
	size_t count;
	unsigned faults;
	struct buf told; /* beside the path, for `carteiro alias show` */
};

static void note_fault(struct reading *r, unsigned line, const char *why)
{
	BUF_AUTO at = {0};
	buf_printf(&at, "%.*s:%u", SPAN_ARG(r->path), line);
	if (r->faults++ < LOGGED_FAULTS_MOST)
		log_event(LOG_LEVEL_WARNING, "forward-fault", log_s("user", r->user), log_s("at", buf_span(&at)), log_c("why", why), log_c("then", "that target is passed over"));
	if (r->told.len < 200)
		buf_printf(&r->told, "%s:%u: %.150s", r->told.len ? "; " : "", line, why);
}

static void add(struct reading *r, struct span target)
{
	for (size_t i = 0; i < r->count; i++)
		if (span_equal(r->targets[i], target))
			return;
	r->targets[r->count++] = target;
}

/* A user who names himself means his mailbox: it would lead to where it came from. */
static bool is_himself(const struct reading *r, struct span canonical)
{
	ssize_t at = span_rchr(canonical, '@');
	const struct config *config = child_config(r->store->self);
	return at >= 0 && span_equal(span_slice(canonical, 0, (size_t)at), r->user) && home_is_at(config, span_skip(canonical, (size_t)at + 1));
}

static int add_address(struct reading *r, struct span text, struct error *why)
{
	BUF_AUTO whole = {0}, written = {0}, canonical = {0};
	struct address address;
	buf_add(&whole, text);
	if (span_chr(text, '@') < 0)
		buf_printf(&whole, "@%s", child_config(r->store->self)->origin);
	table_key_canonical(buf_span(&whole), &written); /* with the quotes that were taken off */
	if (address_parse_mailbox(buf_span(&written), ADDRESS_UTF8 | ADDRESS_LOOSE, &address, NULL) || address_canonical(&address, &canonical, NULL))
		return error_set(why, 0, "\"%.*s\" is no address", SPAN_ARG(span_slice(text, 0, 60)));
	bool is_own = span_equal_nocase(text, r->user) || is_himself(r, buf_span(&canonical));
	add(r, is_own ? HOME_MAILBOX : arena_dup(&r->arena, buf_span(&canonical)));
	return 0;
}

static int add_target(struct reading *r, const struct forward_target *t, struct error *why)
{
	struct span target;
	switch (t->kind) {
	case FORWARD_ADDRESS:
		return add_address(r, t->text, why);
	case FORWARD_MAILBOX:
		if (!span_equal_nocase(t->text, r->user))
			return add_address(r, t->text, why); /* somebody else's is not his to choose */
		add(r, HOME_MAILBOX);
		return 0;
	case FORWARD_PROGRAM:
		if (program_target(t->text, child_config(r->store->self)->pipes, &r->arena, &target, why))
			return -1;
		add(r, target);
		return 0;
	}
	return -1;
}

static void read_forward(struct reading *r, struct span forward)
{
	struct forward_reader reader = {.rest = forward};
	r->targets = arena_alloc_array(&r->arena, FORWARD_TARGETS_MOST, sizeof *r->targets);
	for (int more = 1; more;) {
		struct forward_target t;
		struct error why = {0};
		more = forward_file_next(&reader, &r->arena, &t, &why);
		if (more < 0 || (more > 0 && add_target(r, &t, &why)))
			note_fault(r, reader.line, why.text);
	}
}

int home_answered(struct store *s, const struct msg_home_answer *m)
{
	struct reading r = {.store = s, .path = m->text};
	BUF_AUTO told = {0};
	if (!tables_question_name(s, m->id, TABLE_HOME, &r.user))
		return -1;
	r.user = arena_dup(&r.arena, r.user);
	struct table_said said = {.outcome = TABLE_FOUND};
	switch ((enum home_outcome)m->outcome) {
	case HOME_NONE: said.outcome = TABLE_NONE; break;
	case HOME_LATER: said.outcome = TABLE_LATER; break;
	case HOME_USER: break;
	case HOME_UNSAFE:
		log_event(LOG_LEVEL_WARNING, "forward-unsafe", log_s("user", r.user), log_s("why", m->text), log_c("then", "it is passed over: mail goes to his mailbox"));
		break;
	case HOME_FORWARD:
		read_forward(&r, m->forward);
		break;
	}
	if (said.outcome == TABLE_LATER)
		log_event(LOG_LEVEL_ERROR, "home-unknown", log_s("user", r.user), log_s("why", m->text), log_c("then", "mail for him is put off"));
	buf_add(&told, m->text);
	buf_add(&told, buf_span(&r.told));
	said.targets = r.targets;
	said.count = r.count;
	said.table = span_slice(buf_span(&told), 0, 400);
	int bad = tables_take(s, m->id, &said);
	buf_free(&r.told);
	arena_free(&r.arena);
	return bad;
}
