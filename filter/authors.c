#include "filter/authors.h"

#include "wire/address.h"
#include "wire/address_list.h"
#include "wire/header.h"
#include "wire/lexical.h"

/* The dot behind a domain, with which it is the same one to those who look it up. */
static struct span without_root(struct span domain)
{
	while (span_ends_with(domain, SPAN(".")))
		domain.len--;
	return domain;
}

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
		entry.domain = without_root(entry.domain);
		buf_add(&address, entry.mailbox);
		buf_add_char(&address, '@');
		buf_add(&address, entry.domain);
		if (to->count == AUTHORS_MOST || address.len > 512 || !domain_is_valid(entry.domain, ADDRESS_UTF8))
			is_whole = false;
		else
			to->list[to->count++] = arena_dup(&to->memory, buf_span(&address));
	}
	is_whole &= !r.has_skipped;
	address_list_reader_free(&r);
	return is_whole ? 0 : -1;
}

static bool is_domain_char(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '.' || c == '_' || (unsigned char)c >= 0x80;
}

int authors_add_all(struct span value, struct authors *to)
{
	BUF_AUTO unfolded = {0};
	header_unfold(value, &unfolded);
	struct span rest = buf_span(&unfolded);
	for (ssize_t at; (at = span_chr(rest, '@')) >= 0;) {
		BUF_AUTO address = {0};
		size_t n = 0;
		rest = lexical_skip_cfws(span_skip(rest, (size_t)at + 1));
		while (n < rest.len && is_domain_char(rest.ptr[n]))
			n++;
		struct span domain = without_root(span_slice(rest, 0, n));
		if (!domain_is_valid(domain, ADDRESS_UTF8))
			continue;
		if (to->count == AUTHORS_MOST)
			return -1;
		buf_add_cstr(&address, "?@");
		buf_add(&address, domain);
		to->list[to->count++] = arena_dup(&to->memory, buf_span(&address));
	}
	return 0;
}
