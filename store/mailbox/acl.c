/* Lists of rights: see acl.h. */
#include "store/mailbox/acl.h"

#include "base/die.h"
#include "store/directory/shares.h"
#include "store/mailbox/view.h"

#include <errno.h>
#include <stdlib.h>

enum { ACL_VERSION = 1 };

static bool is_negative(const struct acl_entry *e)
{
	return e->identifier[0] == '-';
}

unsigned acl_rights(const struct mailbox *m, uint64_t reader, bool is_near)
{
	unsigned given = 0, taken = 0;
	if (!reader)
		return RIGHTS_ALL;
	for (size_t i = 0; i < m->acl_count; i++) {
		const struct acl_entry *e = &m->acl[i];
		if (e->identity != reader && !(e->identity == ACL_ANYONE && is_near))
			continue;
		if (is_negative(e))
			taken |= e->rights;
		else
			given |= e->rights;
	}
	return given & ~taken;
}

uint8_t acl_flags(unsigned rights)
{
	return (uint8_t)((rights & RIGHT_SEEN ? FLAG_SEEN : 0) | (rights & RIGHT_DELETE ? FLAG_DELETED : 0) |
	                 (rights & RIGHT_WRITE ? FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT : 0));
}

/* ---- the row ---- */

static void acl_key(struct buf *key, uint32_t mailbox)
{
	index_key(key, 'a', mailbox, 0);
	key->len -= 4;
}

static void put(struct mailbox *m)
{
	struct account *a = m->account;
	BUF_AUTO key = {0}, value = {0};
	acl_key(&key, m->id);
	if (!m->acl_count) {
		batch_delete(&a->batch, account_partition(a), buf_span(&key));
		return;
	}
	pack_u8(&value, ACL_VERSION);
	for (size_t i = 0; i < m->acl_count; i++) {
		pack_bytes(&value, span_cstr(m->acl[i].identifier));
		pack_u64(&value, m->acl[i].identity);
		pack_u16(&value, (uint16_t)m->acl[i].rights);
	}
	batch_put(&a->batch, account_partition(a), buf_span(&key), buf_span(&value));
}

static void add(struct mailbox *m, struct span identifier, uint64_t identity, unsigned rights)
{
	m->acl = xrealloc_array(m->acl, m->acl_count + 1, sizeof *m->acl);
	m->acl[m->acl_count++] = (struct acl_entry){span_strdup(identifier), identity, rights};
}

int acl_read(struct account *a, struct span key, struct span value, struct error *why)
{
	struct unpacker u = {.rest = value}, k = {.rest = span_skip(key, 1)};
	struct mailbox *m = NULL;
	uint32_t id = unpack_sorted_u32(&k);
	for (size_t i = 0; i < a->mailbox_count && !m; i++)
		m = a->mailboxes[i]->id == id ? a->mailboxes[i] : NULL;
	if (!m)
		return 0; /* mailbox_erase takes it along */
	uint8_t version = unpack_u8(&u);
	while (u.rest.len && !u.bad && m->acl_count < 2 * ACL_ENTRIES_MOST) {
		struct span identifier = unpack_bytes(&u, ACL_IDENTIFIER_BYTES_MOST);
		uint64_t identity = unpack_u64(&u);
		unsigned rights = unpack_u16(&u) & RIGHTS_ALL;
		if (!u.bad)
			add(m, identifier, identity, rights);
	}
	if (version == ACL_VERSION && unpack_done(&u))
		return 0;
	acl_forget(m); /* what is lost may have taken rights away: the mailbox is its owner's alone */
	return error_set(why, EBADMSG, "a list of rights of account %s is damaged", a->partition);
}

void acl_forget(struct mailbox *m)
{
	for (size_t i = 0; i < m->acl_count; i++)
		free(m->acl[i].identifier);
	free(m->acl);
	m->acl = NULL;
	m->acl_count = 0;
}

/* ---- who finds the account: store/directory/shares.h ---- */

static bool has_rights(const struct account *a, uint64_t reader)
{
	for (size_t i = 0; i < a->mailbox_count; i++)
		for (size_t j = 0; j < a->mailboxes[i]->acl_count; j++) {
			const struct acl_entry *e = &a->mailboxes[i]->acl[j];
			if (e->identity == reader && e->rights && !is_negative(e))
				return true;
		}
	return false;
}

/* Before the entry: batches are written in the order in which they are submitted, and that one waits in account->batch. */
static void let_find(struct account *a, uint64_t reader)
{
	struct batch b = {0};
	shares_put(a->worker->engine, &b, reader, a->id);
	store_commit(a->worker->store, &b, NULL, NULL);
}

/* One entry after the other of the same reader, as a command for all mailboxes changes them, is noted once. */
static void note_dropped(struct account *a, const struct acl_entry *e)
{
	struct buf *b = &a->dropped_readers;
	struct unpacker last = {.rest = span_skip(buf_span(b), b->len < 8 ? b->len : b->len - 8)};
	if (!is_negative(e) && (!b->len || unpack_u64(&last) != e->identity))
		pack_u64(b, e->identity);
}

void acl_dropped(struct mailbox *m)
{
	for (size_t i = 0; i < m->acl_count; i++)
		note_dropped(m->account, &m->acl[i]);
}

void acl_settle(struct account *a)
{
	struct unpacker u = {.rest = buf_span(&a->dropped_readers)};
	struct batch b = {0};
	while (u.rest.len) {
		uint64_t reader = unpack_u64(&u);
		if (!has_rights(a, reader))
			shares_drop(a->worker->engine, &b, reader, a->id);
	}
	buf_clear(&a->dropped_readers);
	if (!batch_is_empty(&b))
		store_commit(a->worker->store, &b, NULL, NULL);
}

/* ---- changes ---- */

static void drop(struct mailbox *m, size_t at)
{
	note_dropped(m->account, &m->acl[at]);
	free(m->acl[at].identifier);
	memmove(&m->acl[at], &m->acl[at + 1], (--m->acl_count - at) * sizeof *m->acl);
}

bool acl_change(struct mailbox *m, struct span identifier, uint64_t identity, enum acl_change change, unsigned rights)
{
	size_t at = 0;
	while (at < m->acl_count && !span_equal(span_cstr(m->acl[at].identifier), identifier))
		at++;
	/* somebody else had the address */
	if (at < m->acl_count && change != ACL_DELETE && m->acl[at].identity != identity) {
		drop(m, at);
		put(m);
		at = m->acl_count;
	}
	if (at == m->acl_count && (change == ACL_DELETE || change == ACL_REMOVE))
		return true;
	if (at == m->acl_count) {
		if (m->acl_count >= ACL_ENTRIES_MOST)
			return false;
		add(m, identifier, identity, 0);
	}
	struct acl_entry *e = &m->acl[at];
	if (!is_negative(e) && (change == ACL_SET || change == ACL_ADD) && rights)
		let_find(m->account, identity);
	if (change != ACL_ADD)
		note_dropped(m->account, e);
	e->rights = change == ACL_SET ? rights : change == ACL_ADD ? e->rights | rights : e->rights & ~rights;
	if (change == ACL_DELETE || (e->rights == 0 && change == ACL_REMOVE))
		drop(m, at);
	put(m);
	return true;
}

struct mailbox *acl_parent(const struct account *a, struct span name)
{
	for (size_t n = name.len; n > 1; n--) {
		struct mailbox *m = name.ptr[n - 1] == '/' ? mailbox_find(a, span_slice(name, 0, n - 1)) : NULL;
		if (m)
			return m;
	}
	return NULL;
}

void acl_inherit(struct mailbox *m)
{
	const struct mailbox *parent = acl_parent(m->account, span_cstr(m->name));
	if (!parent || !parent->acl_count)
		return;
	for (size_t i = 0; i < parent->acl_count; i++)
		add(m, span_cstr(parent->acl[i].identifier), parent->acl[i].identity, parent->acl[i].rights);
	put(m);
}

/* ---- what requests may ---- */

bool acl_lets_know(unsigned rights)
{
	return rights & (RIGHT_LOOKUP | RIGHT_READ | RIGHT_INSERT | RIGHT_CREATE | RIGHT_DELETE_MAILBOX | RIGHT_ADMINISTER);
}

bool request_lacks(struct request *r, uint32_t request, const struct mailbox *m, unsigned rights)
{
	unsigned has = acl_rights(m, r->view->reader, r->view->is_near);
	bool knows = acl_lets_know(has), lacks = (has & rights) != rights;
	if (!knows || lacks)
		request_done(r, request, knows ? REQUEST_NO_PERMISSION : REQUEST_NO_MAILBOX, "");
	return !knows || lacks;
}

struct mailbox *request_find(struct request *r, uint32_t request, struct span name, unsigned rights)
{
	struct mailbox *m = mailbox_find(r->account, name);
	if (!m)
		request_done(r, request, REQUEST_NO_MAILBOX, "there is no mailbox of that name");
	return m && !request_lacks(r, request, m, rights) ? m : NULL;
}

void acl_get_asked(void *context, const struct msg_acl_get *msg)
{
	struct request *r = context;
	const struct mailbox *m = request_find(r, msg->request, msg->mailbox, RIGHT_ADMINISTER);
	if (!m)
		return;
	request_say(r, acl_row, .session = msg->session, .request = msg->request, .identifier = msg->owner, .rights = RIGHTS_ALL);
	for (size_t i = 0; i < m->acl_count; i++)
		request_say(r, acl_row, .session = msg->session, .request = msg->request, .identifier = span_cstr(m->acl[i].identifier),
		            .rights = (uint16_t)m->acl[i].rights);
	request_done(r, msg->request, REQUEST_OK, "");
}

void acl_set_asked(void *context, const struct msg_acl_set *msg)
{
	struct request *r = context;
	struct mailbox *m = request_find(r, msg->request, msg->mailbox, RIGHT_ADMINISTER);
	if (!m)
		return;
	if (!msg->identifier.len || (msg->rights & ~RIGHTS_ALL) || (msg->identity == 0 && msg->change != ACL_DELETE))
		request_done(r, msg->request, REQUEST_NO_USER, "");
	else if (msg->identity == r->account->id)
		request_done(r, msg->request, REQUEST_NO_PERMISSION, ""); /* RFC 4314 §2: the owner has all rights always */
	else if (acl_change(m, msg->identifier, msg->identity, msg->change, msg->rights))
		request_done(r, msg->request, REQUEST_OK, "");
	else
		request_done(r, msg->request, REQUEST_LIMIT, "");
}
