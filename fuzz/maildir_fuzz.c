/* Any bytes as the files of a Maildir: what is found lies within them, and names of folders come back as they were. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "wire/imap_command.h"
#include "wire/maildir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_lists(struct span line)
{
	struct maildir_uidlist_head head;
	struct maildir_uid uid;
	struct span base, keyword;
	unsigned number;
	BUF_AUTO id = {0};
	if (maildir_uidlist_head_parse(line, &head) && !head.uidvalidity)
		die("a list without a UIDVALIDITY");
	for (head.version = 1; head.version <= 3; head.version += 2)
		if (maildir_uid_parse(&head, line, &uid) && (!uid.uid || uid.base.len > line.len || uid.unique_id.len > line.len))
			die("a UID that is none");
	if (maildir_courier_unique_id_parse(line, &base, &id) && (base.len > line.len || id.len > 70))
		die("a UIDL that is none");
	if (maildir_keyword_parse(line, &number, &keyword) && (number >= MAILDIR_KEYWORDS_MOST || !imap_is_atom(keyword)))
		die("a keyword that is none");
}

static void look_at_name(struct span line)
{
	struct maildir_name name, again;
	BUF_AUTO written = {0}, folder = {0}, disk = {0}, back = {0};
	if (maildir_name_parse(line, &name)) {
		buf_add(&written, name.base);
		maildir_flags_write(name.flags, name.is_forwarded, name.keywords, &written);
		if (!maildir_name_parse(buf_span(&written), &again) || again.flags != name.flags || again.keywords != name.keywords ||
		    again.is_forwarded != name.is_forwarded || !span_equal(again.base, name.base))
			die("a name that does not come back");
	}
	if (maildir_folder_name(line, '\t', &folder) || maildir_folder_write(buf_span(&folder), &disk))
		return;
	if (maildir_folder_name(buf_span(&disk), '.', &back) || !span_equal(buf_span(&back), buf_span(&folder)))
		die("a folder that does not come back");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size), line;
	while (maildir_next_line(&text, &line)) {
		look_at_lists(line);
		look_at_name(line);
	}
	return 0;
}
