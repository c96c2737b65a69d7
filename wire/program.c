#include "wire/program.h"

#include "base/buf.h"

/* What a shell would do more with than to hand it on. "=" and "~" mean something in a few places only, and "!" to a person's shell. */
static const char *const shell_characters = "|&;<>()$`*?[]{}#";

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int add_character(struct buf *word, char c, char quote, struct error *why)
{
	if ((unsigned char)c < ' ' || c == 0x7f)
		return error_set(why, 0, "the command has a control character");
	if (quote != '\'' && (quote ? c == '$' || c == '`' : span_chr(span_cstr(shell_characters), c) >= 0))
		return error_set(why, 0, "the command has \"%c\", which is for a shell: commands run without one; write a script", c);
	buf_add_char(word, c);
	return 0;
}

/* One word, from its first character on. */
static int take_word(struct span *rest, struct buf *word, struct error *why)
{
	char quote = 0;
	size_t i = 0;
	for (; i < rest->len; i++) {
		char c = rest->ptr[i];
		if (!quote && is_blank(c))
			break;
		if (c == quote) {
			quote = 0;
		} else if (!quote && (c == '"' || c == '\'')) {
			quote = c;
		} else if (c == '\\' && quote != '\'' && i + 1 < rest->len) {
			if (add_character(word, rest->ptr[++i], '\'', why))
				return -1;
		} else if (add_character(word, c, quote, why)) {
			return -1;
		}
	}
	*rest = span_skip(*rest, i);
	return quote ? error_set(why, 0, "the command has a quote that is not closed") : 0;
}

ssize_t program_words(struct span command, struct arena *a, struct span **words, struct error *why)
{
	ssize_t count = 0;
	if (command.len > PROGRAM_BYTES_MOST)
		return error_set(why, 0, "the command has more than %d characters", PROGRAM_BYTES_MOST);
	*words = arena_alloc_array(a, PROGRAM_WORDS_MOST, sizeof **words);
	for (;;) {
		BUF_AUTO word = {0};
		while (command.len && is_blank(command.ptr[0]))
			command = span_skip(command, 1);
		if (!command.len)
			break;
		if (count == PROGRAM_WORDS_MOST)
			return error_set(why, 0, "the command has more than %d words", PROGRAM_WORDS_MOST);
		if (take_word(&command, &word, why))
			return -1;
		(*words)[count++] = arena_dup(a, buf_span(&word));
	}
	return count ? count : error_set(why, 0, "there is no command behind \"|\"");
}

bool program_is_target(struct span target)
{
	return span_starts_with(target, PROGRAM_MARK);
}

bool program_is_allowed(const char *setting, struct span path)
{
	struct span rest = span_cstr(setting), word;
	while ((word = span_next_word(&rest)).len)
		if (span_equal(word, path))
			return true;
	return false;
}

int program_target(struct span command, const char *setting, struct arena *a, struct span *target, struct error *why)
{
	struct span *words;
	BUF_AUTO out = {0};
	command = span_trim(command);
	if (program_words(command, a, &words, why) < 0)
		return -1;
	if (!program_is_allowed(setting, words[0]))
		return error_set(why, 0, "it leads to a program that the setting pipes does not have: %.*s", SPAN_ARG(span_slice(words[0], 0, 60)));
	buf_add(&out, PROGRAM_MARK);
	buf_add(&out, command);
	*target = arena_dup(a, buf_span(&out));
	return 0;
}
