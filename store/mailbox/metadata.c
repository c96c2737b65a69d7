/* Annotations of mailboxes and of the account as a whole: METADATA, RFC 5464.
 *
 * "n" mailbox name -> the value; mailbox 0 is the server as this account sees it. What readers of somebody else's mailbox keep privately has
 * "@" and the reader's account before its name. */
#include "base/die.h"
#include "ipc/words.h"
#include "store/mailbox/acl.h"
#include "store/mailbox/view.h"

#include <stdlib.h>

enum { ENTRIES_MOST = 200 /* of all readers together, and as many of the owner's own */, GUEST_ENTRIES_MOST = 50, VALUE_BYTES_MOST = 65536, DEPTH_CHILDREN = 1, DEPTH_ALL = 2 };

static const char SPECIAL_USE[] = "/private/specialuse"; /* RFC 6154 §4: computed */

static void make_key(struct buf *key, uint32_t mailbox, struct span name)
{
	index_key(key, 'n', mailbox, 0);
	key->len -= 4;
	buf_add(key, name);
}

static bool is_private(struct span name)
{
	return span_starts_with(name, SPAN("/private"));
}

/* What stands before the names of what this view keeps privately. */
static void add_reader(const struct view *v, struct buf *out)
{
	if (v->reader)
		buf_printf(out, "@%016llx", (unsigned long long)v->reader);
}

/* Whether an entry, as its key has it, is one that this view sees; without what stands before its name then. */
static bool is_visible(const struct view *v, struct span *entry)
{
	BUF_AUTO before = {0};
	add_reader(v, &before);
	if (!v->reader || span_starts_with(*entry, SPAN("/")))
		return span_starts_with(*entry, SPAN("/")) && (!v->reader || !is_private(*entry));
	bool is_own = span_starts_with(*entry, buf_span(&before));
	*entry = span_skip(*entry, before.len);
	return is_own;
}

static bool is_asked_for(struct span entry, const struct span *asked, size_t count, uint8_t depth)
{
	for (size_t i = 0; i < count; i++) {
		if (span_equal(entry, asked[i]))
			return true;
		if (depth == 0 || entry.len <= asked[i].len || !span_starts_with(entry, asked[i]) || entry.ptr[asked[i].len] != '/')
			continue;
		if (depth == DEPTH_ALL || span_chr(span_skip(entry, asked[i].len + 1), '/') < 0)
			return true;
	}
	return false;
}

struct getting {
	struct request *request;
	uint32_t number;
	const struct span *entries;
	size_t count;
	uint8_t depth;
};

static void say_entry(const struct getting *g, struct span mailbox, struct span entry, struct span value)
{
	struct request *r = g->request;
	if (is_asked_for(entry, g->entries, g->count, g->depth))
		request_say(r, metadata_row, .session = r->view->session, .request = g->number, .mailbox = mailbox, .entry = entry, .value = value);
}

static void say_entries(const struct getting *g, uint32_t mailbox, struct span name)
{
	struct account *a = g->request->account;
	BUF_AUTO from = {0}, to = {0};
	make_key(&from, mailbox, SPAN(""));
	make_key(&to, mailbox + 1, SPAN(""));
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), buf_span(&from), buf_span(&to));
	struct span key, value;
	while (engine_scan_next(scan, &key, &value, NULL) > 0) {
		struct span entry = span_skip(key, 5);
		if (is_visible(g->request->view, &entry))
			say_entry(g, name, entry, value);
	}
	engine_scan_close(scan);
}

static void say_of_mailbox(const struct getting *g, const struct mailbox *m)
{
	static const char *const uses[] = {[USE_DRAFTS] = "\\Drafts", [USE_SENT] = "\\Sent", [USE_JUNK] = "\\Junk", [USE_TRASH] = "\\Trash", [USE_ARCHIVE] = "\\Archive"};
	const struct view *v = g->request->view;
	BUF_AUTO name = {0};
	if (!view_add_name(v, span_cstr(m->name), &name))
		return;
	if (!v->reader && m->special_use && m->special_use < sizeof uses / sizeof uses[0])
		say_entry(g, buf_span(&name), span_cstr(SPECIAL_USE), span_cstr(uses[m->special_use]));
	say_entries(g, m->id, buf_span(&name));
}

/* RFC 5464 §3.3 */
static bool may_read(const struct view *v, const struct mailbox *m)
{
	unsigned rights = acl_rights(m, v->reader, v->is_near);
	return (rights & RIGHT_LOOKUP) && (rights & (RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_POST));
}

/* The rows are read from the engine: what was set before must be there. */
struct metadata_job {
	struct job job;
	struct view *view;
	uint32_t request;
	uint8_t scope, depth;
	struct buf mailbox, entries;
};

static void get(struct worker *w, struct job *job)
{
	struct metadata_job *j = (struct metadata_job *)job;
	struct request r = {.worker = w, .view = j->view, .account = j->view->account};
	ARENA_AUTO arena = {0};
	struct span *entries;
	ssize_t count = words_unpack(buf_span(&j->entries), &arena, &entries);
	struct getting g = {&r, j->request, entries, count < 0 ? 0 : (size_t)count, j->depth};
	struct mailbox *m = mailbox_find(r.account, buf_span(&j->mailbox));
	enum request_outcome outcome = REQUEST_OK;
	if (j->scope == METADATA_OF_SERVER)
		say_entries(&g, 0, SPAN(""));
	for (size_t i = 0; j->scope == METADATA_OF_ALL && i < r.account->mailbox_count; i++)
		if (may_read(j->view, r.account->mailboxes[i]))
			say_of_mailbox(&g, r.account->mailboxes[i]);
	if (j->scope == METADATA_OF_MAILBOX && m && may_read(j->view, m))
		say_of_mailbox(&g, m);
	else if (j->scope == METADATA_OF_MAILBOX)
		outcome = REQUEST_NO_MAILBOX;
	request_done(&r, j->request, outcome, "");
	view_say(j->view, &r.out);
	view_let_go(j->view);
	buf_free(&j->mailbox);
	buf_free(&j->entries);
	free(j);
}

void metadata_get_asked(void *context, const struct msg_metadata_get *msg)
{
	struct request *r = context;
	struct metadata_job *j = xcalloc(1, sizeof *j);
	*j = (struct metadata_job){.job.run = get, .view = view_keep(r->view), .request = msg->request, .scope = msg->scope, .depth = msg->depth};
	buf_add(&j->mailbox, msg->mailbox);
	buf_add(&j->entries, msg->entries);
	account_when_durable(r->account, &j->job);
}

/* ---- setting ---- */

/* Appends the key, whose name is in the place of the view where that is private. */
static void make_own_key(const struct view *v, uint32_t mailbox, struct span name, struct buf *key)
{
	make_key(key, mailbox, SPAN(""));
	if (is_private(name))
		add_reader(v, key);
	buf_add(key, name);
}

/* How many entries there are below "/private" of this view, or below "/shared", which all have together: nobody uses up another's. */
static size_t count_entries(const struct view *v, uint32_t mailbox, const char *below)
{
	const struct account *a = v->account;
	BUF_AUTO from = {0}, to = {0};
	make_own_key(v, mailbox, span_cstr(below), &from);
	buf_add(&to, buf_span(&from));
	to.ptr[to.len - 1]++;
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), buf_span(&from), buf_span(&to));
	struct span key, value;
	size_t count = 0;
	while (engine_scan_next(scan, &key, &value, NULL) > 0)
		count++;
	engine_scan_close(scan);
	return count;
}

static bool has_room(const struct view *v, uint32_t mailbox, const struct span *words, size_t count)
{
	size_t own = 0, shared = 0;
	for (size_t i = 0; i < count; i += 2)
		++*(is_private(words[i]) ? &own : &shared);
	return (!own || own + count_entries(v, mailbox, "/private") <= (v->reader ? GUEST_ENTRIES_MOST : ENTRIES_MOST)) &&
	       (!shared || shared + count_entries(v, mailbox, "/shared") <= ENTRIES_MOST);
}

/* RFC 6154 §5.4: one mailbox for each use here. *out: what it is to be. */
static enum request_outcome read_use(struct mailbox *m, struct span value, bool is_nil, uint8_t *out)
{
	static const struct {
		const char *name;
		enum special_use use;
	} uses[] = {{"\\Drafts", USE_DRAFTS}, {"\\Sent", USE_SENT}, {"\\Junk", USE_JUNK}, {"\\Trash", USE_TRASH}, {"\\Archive", USE_ARCHIVE}};
	enum special_use use = USE_NONE;
	for (size_t i = 0; !is_nil && i < sizeof uses / sizeof uses[0]; i++)
		if (span_equal_nocase(value, span_cstr(uses[i].name)))
			use = uses[i].use;
	struct mailbox *other = use ? mailbox_of_use(m->account, use) : NULL;
	if ((!is_nil && value.len && use == USE_NONE) || (other && other != m))
		return REQUEST_BAD_USE;
	*out = (uint8_t)use;
	return REQUEST_OK;
}

/* Entries come as pairs of words: a name, and "v" with the value or nothing for NIL. All are set, or none. */
static enum request_outcome set_entries(const struct view *v, struct mailbox *m, const struct span *words, size_t count)
{
	struct account *a = v->account;
	uint32_t id = m ? m->id : 0;
	enum request_outcome outcome = REQUEST_OK;
	uint8_t use = m ? m->special_use : USE_NONE;
	if (!has_room(v, id, words, count))
		return REQUEST_TOO_MANY;
	for (size_t i = 0; outcome == REQUEST_OK && i + 1 < count; i += 2)
		if (m && span_equal(words[i], span_cstr(SPECIAL_USE)))
			outcome = read_use(m, span_skip(words[i + 1], 1), words[i + 1].len == 0, &use);
	for (size_t i = 0; outcome == REQUEST_OK && i + 1 < count; i += 2) {
		BUF_AUTO key = {0};
		make_own_key(v, id, words[i], &key);
		if (m && span_equal(words[i], span_cstr(SPECIAL_USE)))
			continue;
		if (words[i + 1].len == 0)
			batch_delete(&a->batch, account_partition(a), buf_span(&key));
		else
			batch_put(&a->batch, account_partition(a), buf_span(&key), span_skip(words[i + 1], 1));
	}
	/* those who watch are the owner's sessions */
	for (size_t i = 0; outcome == REQUEST_OK && i + 1 < count; i += 2)
		if (!v->reader || !is_private(words[i]))
			account_tell_watchers(a, m ? MAILBOX_EVENT_METADATA : MAILBOX_EVENT_SERVER_METADATA, m ? span_cstr(m->name) : SPAN(""), words[i]);
	if (outcome == REQUEST_OK && m) {
		m->special_use = use;
		mailbox_next_modseq(m); /* RFC 7162 §3.2 */
		mailbox_put(m);
	}
	return outcome;
}

/* What all readers share is changed only by those who may write (RFC 5464 §3.3 would let any reader); what a mailbox is for is its owner's to say. */
static bool may_set(const struct view *v, const struct mailbox *m, struct span entry)
{
	if (is_private(entry))
		return !v->reader || !span_equal(entry, span_cstr(SPECIAL_USE));
	return acl_rights(m, v->reader, v->is_near) & RIGHT_WRITE;
}

void metadata_set_asked(void *context, const struct msg_metadata_set *msg)
{
	struct request *r = context;
	ARENA_AUTO arena = {0};
	struct span *words;
	ssize_t count = words_unpack(msg->entries, &arena, &words);
	struct mailbox *m = msg->mailbox.len ? mailbox_find(r->account, msg->mailbox) : NULL;
	enum request_outcome outcome = REQUEST_OK;
	if (msg->mailbox.len && !m)
		outcome = REQUEST_NO_MAILBOX;
	else if (m && !may_read(r->view, m)) /* RFC 4314 §6 */
		outcome = acl_lets_know(acl_rights(m, r->view->reader, r->view->is_near)) ? REQUEST_NO_PERMISSION : REQUEST_NO_MAILBOX;
	for (ssize_t i = 0; outcome == REQUEST_OK && m && i < count; i += 2)
		outcome = may_set(r->view, m, words[i]) ? REQUEST_OK : REQUEST_NO_PERMISSION;
	for (ssize_t i = 0; outcome == REQUEST_OK && i < count; i++)
		if (words[i].len > (i % 2 ? VALUE_BYTES_MOST : 255))
			outcome = REQUEST_LIMIT;
		else if (i % 2 == 0 && !span_starts_with(words[i], SPAN("/private/")) && !span_starts_with(words[i], SPAN("/shared/")))
			outcome = REQUEST_FAILED; /* nothing counts it */
	if (outcome == REQUEST_OK)
		outcome = count < 0 ? REQUEST_FAILED : set_entries(r->view, m, words, (size_t)count);
	request_done(r, msg->request, outcome, "");
}

void metadata_copy(struct mailbox *from, struct mailbox *to)
{
	struct account *a = from->account;
	BUF_AUTO start = {0}, end = {0}, key = {0};
	make_key(&start, from->id, SPAN(""));
	make_key(&end, from->id + 1, SPAN(""));
	struct engine_scan *scan = engine_scan_open(a->worker->engine, account_partition(a), buf_span(&start), buf_span(&end));
	struct span row, value;
	while (engine_scan_next(scan, &row, &value, NULL) > 0) {
		make_key(&key, to->id, span_skip(row, 5));
		batch_put(&a->batch, account_partition(a), buf_span(&key), value);
	}
	engine_scan_close(scan);
}
