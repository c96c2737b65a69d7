/* `carteiro backup extract`: one user's mail out of a backup, which is read where it is. */
#include "cli/backup.h"
#include "cli/backup_set.h"
#include "cli/extract.h"
#include "store/directory/directory.h"
#include "store/mailbox/account.h"

#include <stdio.h>

enum { EXIT_NO_USER = 67, WORDS_MOST = 7 };

static int link_store(const struct backup_set *set, const struct backup_file *files, ssize_t count, const struct extract_links *links)
{
	for (ssize_t i = 0; i < count; i++) {
		BUF_AUTO object = {0}, name = {0};
		if (!span_starts_with(files[i].name, SPAN("store/")))
			continue;
		buf_add(&name, span_skip(files[i].name, strlen("store/")));
		buf_printf(&object, "%s/objects/%.*s", set->path, SPAN_ARG(files[i].object));
		if (extract_links_add(links, buf_cstr(&name), buf_cstr(&object)))
			return EXIT_BACKUP_IO;
	}
	return 0;
}

static int extract_user(struct extraction *x, const char *address, const char *to)
{
	ARENA_AUTO a = {0};
	BUF_AUTO name = {0};
	struct directory_entry entry;
	struct error why = {0};
	if (directory_canonical(span_cstr(address), false, &name, &why)) {
		fprintf(stderr, "carteiro: %s\n", why.text);
		return EXIT_BACKUP_USAGE;
	}
	int found = directory_get(&x->store, buf_span(&name), &a, &entry, &why);
	if (found <= 0 || entry.is_alias) {
		fprintf(stderr, "carteiro: %s\n", found < 0 ? why.text : "the backup has no such user");
		return found < 0 ? EXIT_BACKUP_IO : EXIT_NO_USER;
	}
	extract_account(x, entry.account, buf_cstr(&name), to);
	printf("%zu message%s, %llu bytes: %zu fault%s\n", x->messages, x->messages == 1 ? "" : "s", (unsigned long long)x->bytes, x->faults,
	       x->faults == 1 ? "" : "s");
	if ((x->mailbox.len || x->uid) && !x->messages)
		fprintf(stderr, "carteiro: there is no such mailbox or message, or it is empty\n");
	return x->is_stopped ? EXIT_BACKUP_IO : x->faults || ((x->mailbox.len || x->uid) && !x->messages) ? EXIT_BACKUP_FAILED : 0;
}

/* words: DIR ADDRESS [MAILBOX [UID]] TO */
static int extract_from(const struct backup_set *set, struct span time, const char **words, int count)
{
	ARENA_AUTO a = {0};
	struct extract_links links = {0};
	struct extraction x = {0};
	struct backup_file *files;
	struct error why = {0};
	uint64_t uid = 0;
	if (count > 3)
		x.mailbox = mailbox_canonical(span_cstr(words[2]));
	if (count > 4 && (span_to_u64(span_cstr(words[3]), UINT32_MAX, &uid) || !uid)) {
		fprintf(stderr, "carteiro: \"%s\" is no UID\n", words[3]);
		return EXIT_BACKUP_USAGE;
	}
	x.uid = (uint32_t)uid;
	ssize_t n = backup_set_read(set, time, &a, &files, &why);
	if (n < 0)
		fprintf(stderr, "carteiro: %s: `--at` names an earlier one\n", why.text);
	if (n < 0 || extract_links_make(&links))
		return EXIT_BACKUP_IO;
	int code = link_store(set, files, n, &links);
	if (!code) {
		x.store.engine = engine_open_rocksdb_to_read(links.path, false, &why);
		code = x.store.engine ? extract_user(&x, words[1], words[count - 1]) : EXIT_BACKUP_IO;
		if (x.store.engine)
			extract_end(&x);
		else
			fprintf(stderr, "carteiro: %s\n", why.text);
	}
	extract_links_remove(&links);
	return code;
}

int backup_extract(const struct cli *c)
{
	ARENA_AUTO a = {0};
	const char *at = "", *words[WORDS_MOST];
	int count = 0;
	struct backup_set set;
	struct span time;
	if (c->count > 2 + WORDS_MOST || !backup_option(c, "--at", 2, &at, words, &count) || count < 3 || count > 5) {
		fprintf(stderr, "carteiro backup extract DIR [--at TIME] ADDRESS [MAILBOX [UID]] TO\n");
		return EXIT_BACKUP_USAGE;
	}
	if (backup_set_open(&set, words[0], false, false))
		return EXIT_BACKUP_IO;
	int code = backup_set_find(&set, span_cstr(at), &a, &time) ? EXIT_BACKUP_IO : extract_from(&set, time, words, count);
	backup_set_close(&set);
	return code;
}
