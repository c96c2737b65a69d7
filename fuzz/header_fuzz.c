/* Header fields, address lists, encoded words: any input gives a result, and text is valid UTF-8. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "base/utf8.h"
#include "wire/address_list.h"
#include "wire/casefold.h"
#include "wire/encoded_word.h"
#include "wire/header.h"
#include "wire/lexical.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void list(struct span value)
{
	struct address_list_reader r = {.rest = value};
	struct address_list_entry entry;
	size_t count = 0;

	while (address_list_next(&r, &entry))
		if (++count > value.len + 1)
			die("more addresses than bytes");
	address_list_reader_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct span names[] = {SPAN("to"), SPAN("a")};
	struct header_reader r = {.header = in};
	struct header_field field;
	BUF_AUTO text = {0};
	BUF_AUTO folded = {0};
	BUF_AUTO word = {0};

	struct span rest = in;
	lexical_take_value(&rest, &word);
	if (rest.len > in.len || word.len > in.len - rest.len)
		die("a value of more bytes than it has");
	buf_clear(&word);
	header_names_sort(names, 2);
	header_filter_fields(in, names, 2, false, &text);
	while (header_next(&r, &field)) {
		if (field.whole.len == 0)
			die("a field without bytes");
		buf_clear(&text);
		header_unfold(field.value, &text);
		list(buf_span(&text));
	}
	list(in);
	buf_clear(&text);
	encoded_words_decode(in, &text);
	casefold_utf8(buf_span(&text), &folded);
	if (!utf8_is_valid(buf_span(&text)) || !utf8_is_valid(buf_span(&folded)))
		die("text is not UTF-8");
	encoded_word_encode(buf_span(&text), &word);
	if (utf8_has_8bit(buf_span(&word)))
		die("an encoded word has 8-bit bytes");
	return 0;
}
