#include "wire/language.h"

static const char *const tags[LANGUAGES] = {[LANGUAGE_ENGLISH] = "en", [LANGUAGE_PORTUGUESE] = "pt"};

int language_parse(struct span tag, enum language *out)
{
	/* RFC 5646 §2.1.1: in any case; §2.1: subtags follow behind a hyphen */
	for (size_t i = 0; i < LANGUAGES; i++) {
		bool is_whole = tag.len == 2 || (tag.len > 3 && tag.ptr[2] == '-');
		if (!is_whole || ascii_lower(tag.ptr[0]) != tags[i][0] || ascii_lower(tag.ptr[1]) != tags[i][1])
			continue;
		*out = (enum language)i;
		return 0;
	}
	return -1;
}

const char *language_tag(enum language l)
{
	return tags[l < LANGUAGES ? l : LANGUAGE_ENGLISH];
}
