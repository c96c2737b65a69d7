/* Unicode case folding: see casefold.h. */
#include "wire/casefold.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

#include "base/utf8.h"

/* Folds ASCII bytes up to the first one above 0x7f; returns how many. */
static size_t fold_ascii(struct span text, struct buf *out)
{
	char *to = buf_reserve(out, text.len);
	size_t i = 0;

	for (; i < text.len && (unsigned char)text.ptr[i] < 0x80; i++)
		to[i] = ascii_lower(text.ptr[i]);
	out->len += i;
	return i;
}

/* Appends the full folding of one character, which has at most three (Unicode §5.18). */
static void fold_char(UChar32 c, struct buf *out)
{
	UChar from[2], to[8];
	int32_t n = 0, i = 0, folded;
	UErrorCode status = U_ZERO_ERROR;

	U16_APPEND_UNSAFE(from, n, c);
	folded = u_strFoldCase(to, 8, from, n, U_FOLD_CASE_DEFAULT, &status);
	if (U_FAILURE(status) || folded > 8) {
		utf8_add(out, (uint32_t)c);
		return;
	}
	while (i < folded) {
		UChar32 piece;

		U16_NEXT(to, i, folded, piece);
		utf8_add(out, (uint32_t)piece);
	}
}

void casefold_utf8(struct span text, struct buf *out)
{
	while (text.len > 0) {
		size_t width;
		UChar32 c;
		int32_t at = 0;

		text = span_skip(text, fold_ascii(text, out));
		if (text.len == 0)
			return;
		width = utf8_char_length(text);
		if (width == 0) {
			utf8_add(out, 0xfffd);
			text = span_skip(text, 1);
			continue;
		}
		U8_NEXT_UNSAFE(text.ptr, at, c);
		fold_char(c, out);
		text = span_skip(text, width);
	}
}

/* Long enough for what has a limit (local parts, names); longer text is not normalised. */
#define NFC_CHARS_MAX 1024

void casefold_nfc(struct span text, struct buf *out)
{
	BUF_AUTO folded = {0};
	UChar wide[NFC_CHARS_MAX], composed[NFC_CHARS_MAX];
	char back[NFC_CHARS_MAX * 3];
	int32_t n = 0, bytes = 0;
	UErrorCode status = U_ZERO_ERROR;
	const UNormalizer2 *nfc;

	casefold_utf8(text, &folded);
	if (!utf8_has_8bit(buf_span(&folded)) || folded.len > NFC_CHARS_MAX) {
		buf_add(out, buf_span(&folded));
		return;
	}
	nfc = unorm2_getNFCInstance(&status);
	u_strFromUTF8(wide, NFC_CHARS_MAX, &n, folded.ptr, (int32_t)folded.len, &status);
	n = U_SUCCESS(status) ? unorm2_normalize(nfc, wide, n, composed, NFC_CHARS_MAX, &status) : 0;
	u_strToUTF8(back, sizeof(back), &bytes, composed, n, &status);
	if (U_FAILURE(status))
		buf_add(out, buf_span(&folded));
	else
		buf_add(out, span_of(back, (size_t)bytes));
}
