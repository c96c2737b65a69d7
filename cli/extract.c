/* Messages of accounts, each held against its checksum, into Maildirs: see extract.h. */
#include "cli/extract.h"

#include "cli/maildir_write.h"
#include "store/blob.h"
#include "store/directory/directory.h"
#include "store/mailbox/reader.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- links ---- */

int extract_links_make(struct extract_links *l)
{
	const char *folder = getenv("TMPDIR");
	int n = snprintf(l->path, sizeof l->path, "%s/carteiro-XXXXXX", folder && strlen(folder) < 40 ? folder : "/var/tmp");
	if (n > 0 && mkdtemp(l->path))
		return 0;
	fprintf(stderr, "carteiro: cannot make %s: %s\n", l->path, strerror(errno));
	return -1;
}

int extract_links_add(const struct extract_links *l, const char *name, const char *file)
{
	BUF_AUTO path = {0};
	char *whole = realpath(file, NULL);
	buf_printf(&path, "%s/%s", l->path, name);
	int result = whole ? symlink(whole, buf_cstr(&path)) : -1;
	if (result)
		fprintf(stderr, "carteiro: cannot link %s: %s\n", file, strerror(errno));
	free(whole);
	return result;
}

static void remove_files(const char *path)
{
	DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
	rmdir(path);
}

void extract_links_remove(const struct extract_links *l)
{
	static const char *const inside[] = {"lost", "archive"}; /* where a repair puts what it does not use */
	for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
		BUF_AUTO path = {0};
		buf_printf(&path, "%s/%s", l->path, inside[i]);
		remove_files(buf_cstr(&path));
	}
	remove_files(l->path);
}

/* ---- accounts ---- */

static void tell_fault(struct extraction *x, const char *text)
{
	x->faults++;
	fprintf(stderr, "%s: %s\n", x->name, text);
}

static void on_fault(void *context, const char *text)
{
	struct extraction *x = context;
	x->faults_of_rows++;
	tell_fault(x, text);
}

static bool on_mailbox(void *context, const struct mailbox *m)
{
	struct extraction *x = context;
	struct error why = {0};
	if (x->is_stopped || (x->mailbox.len && !span_equal(x->mailbox, span_cstr(m->name))))
		return false;
	buf_clear(&x->folder);
	if (maildir_make(x->to, span_cstr(m->name), m->id, &x->folder, &why) == 0 &&
	    maildir_name_keywords(buf_cstr(&x->folder), m->keywords, m->keyword_count, &why) == 0)
		return true;
	tell_fault(x, why.text);
	x->is_stopped = true;
	return false;
}

static void on_message(void *context, const struct mailbox *m, const struct row *row)
{
	struct extraction *x = context;
	struct error why = {.text = "its bytes are missing"};
	BUF_AUTO bytes = {0};
	char text[2048];
	uint64_t size = 0;
	if (x->is_stopped || (x->uid && x->uid != row->uid))
		return;
	buf_add(&x->found, id128_span(&row->blob));
	int found = blob_verify(x->store.engine, row->blob, &size, &why);
	if (found > 0)
		found = blob_read(x->store.engine, row->blob, 0, UINT64_MAX, &bytes, &why);
	if (found <= 0 || bytes.len != row->size) {
		snprintf(text, sizeof text, "mailbox \"%s\", UID %u is damaged: %s", m->name, row->uid, found > 0 ? "it has another size" : why.text);
		tell_fault(x, text);
		return;
	}
	struct maildir_message message = {.bytes = buf_span(&bytes), .internaldate_ms = row->internaldate_ms, .uid = row->uid,
	                                  .uidvalidity = m->uidvalidity, .keywords = row->keywords, .flags = row->flags};
	if (maildir_write(buf_cstr(&x->folder), &message, &why)) {
		tell_fault(x, why.text);
		x->is_stopped = true;
		return;
	}
	x->messages++;
	x->bytes += bytes.len;
}

size_t extract_account(struct extraction *x, uint64_t account, const char *name, const char *to)
{
	const struct reader reader = {.context = x, .mailbox = on_mailbox, .message = on_message, .fault = on_fault, .is_damaged = x->is_damaged};
	x->name = name;
	x->to = to;
	return reader_account(x->store.engine, account, &reader);
}

void extract_end(struct extraction *x)
{
	directory_changed(&x->store);
	free(x->store.directory_cache);
	engine_close(x->store.engine);
	buf_free(&x->folder);
	buf_free(&x->found);
}
