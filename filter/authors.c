#include "filter/authors.h"

#include "wire/address_list.h"
#include "wire/header.h"

int authors_add(struct span value, struct authors *to)
{
	BUF_AUTO unfolded = {0};
	header_unfold(value, &unfolded);
	struct address_list_reader r = {.rest = buf_span(&unfolded)};
	struct address_list_entry entry;
	bool is_whole = true;
	while (address_list_next(&r, &entry)) {
		BUF_AUTO address = {0};
		if (entry.kind != ADDRESS_LIST_MAILBOX)
			continue;
		buf_add(&address, entry.mailbox);
		buf_add_char(&address, '@');
		buf_add(&address, entry.domain);
		if (to->count == AUTHORS_MOST || address.len > 512)
			is_whole = false;
		else
			to->list[to->count++] = arena_dup(&to->memory, buf_span(&address));
	}
	is_whole &= !r.has_skipped;
	address_list_reader_free(&r);
	return is_whole ? 0 : -1;
}
