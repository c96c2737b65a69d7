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

/* ---- for searching and sorting ---- */

/* One character, folded and decomposed, has at most 18 characters of each (U+FDFA), and folding makes at most three of one. */
enum { CHAR_UNITS_MAX = 64 };

/* Appends UTF-16 as UTF-8. */
static void add_units(const UChar *units, int32_t n, struct buf *out)
{
	int32_t i = 0;

	while (i < n) {
		UChar32 c;

		U16_NEXT(units, i, n, c);
		utf8_add(out, (uint32_t)c);
	}
}

/* Folding may make what can be decomposed, and decomposing what can be folded. */
static int32_t fold_and_decompose(const UNormalizer2 *nfkd, UChar32 c, UChar *units)
{
	UChar other[CHAR_UNITS_MAX];
	UErrorCode status = U_ZERO_ERROR;
	int32_t n = 0;

	U16_APPEND_UNSAFE(units, n, c);
	for (int round = 0; round < 2; round++) {
		n = u_strFoldCase(other, CHAR_UNITS_MAX, units, n, U_FOLD_CASE_DEFAULT, &status);
		n = unorm2_normalize(nfkd, other, n, units, CHAR_UNITS_MAX, &status);
	}
	return U_SUCCESS(status) ? n : 0;
}

static int32_t title_and_decompose(const UNormalizer2 *nfkd, UChar32 c, UChar *units)
{
	UErrorCode status = U_ZERO_ERROR;
	int32_t n = unorm2_getDecomposition(nfkd, u_totitle(c), units, CHAR_UNITS_MAX, &status);

	return U_SUCCESS(status) && n > 0 ? n : 0;
}

typedef int32_t map_char_fn(const UNormalizer2 *nfkd, UChar32 c, UChar *units);

static void map_chars(struct span text, map_char_fn *map, UChar32 (*simple)(UChar32), struct buf *out)
{
	UErrorCode status = U_ZERO_ERROR;
	const UNormalizer2 *nfkd = unorm2_getNFKDInstance(&status);

	while (text.len > 0) {
		UChar units[CHAR_UNITS_MAX];
		UChar32 c = (unsigned char)text.ptr[0];
		size_t width = c < 0x80 ? 1 : utf8_char_length(text);
		int32_t at = 0;

		if (width == 0) {
			utf8_add(out, 0xfffd);
			text = span_skip(text, 1);
			continue;
		}
		if (c >= 0x80)
			U8_NEXT_UNSAFE(text.ptr, at, c);
		text = span_skip(text, width);
		if (c == 0 && simple == u_totitle)
			continue;
		int32_t n = U_SUCCESS(status) ? map(nfkd, c, units) : 0;
		if (n > 0)
			add_units(units, n, out);
		else
			utf8_add(out, (uint32_t)simple(c));
	}
}

static UChar32 fold_simple(UChar32 c)
{
	return u_foldCase(c, U_FOLD_CASE_DEFAULT);
}

/* True for the scripts of East Asia whose characters fold to themselves: most of a text in them goes by here. */
static bool is_plain_wide(UChar32 c)
{
	return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3041 && c <= 0x3093 && u_getIntPropertyValue(c, UCHAR_NFKD_QUICK_CHECK) == 1);
}

void casefold_search(struct span text, struct buf *out)
{
	while (text.len > 0) {
		UChar32 c;
		int32_t at = 0;

		text = span_skip(text, fold_ascii(text, out));
		if (text.len == 0)
			return;
		size_t width = utf8_char_length(text);
		if (width == 3) {
			U8_NEXT_UNSAFE(text.ptr, at, c);
			if (is_plain_wide(c)) {
				buf_add(out, span_slice(text, 0, 3));
				text = span_skip(text, 3);
				continue;
			}
		}
		if (width == 0)
			width = 1;
		map_chars(span_slice(text, 0, width), fold_and_decompose, fold_simple, out);
		text = span_skip(text, width);
	}
}

void casemap_unicode(struct span text, struct buf *out)
{
	while (text.len > 0) {
		size_t n = 0;
		char *to = buf_reserve(out, text.len);

		for (; n < text.len && (unsigned char)text.ptr[n] < 0x80 && text.ptr[n]; n++)
			to[n] = ascii_upper(text.ptr[n]);
		out->len += n;
		text = span_skip(text, n);
		size_t width = utf8_char_length(text);
		map_chars(span_slice(text, 0, width ? width : 1), title_and_decompose, u_totitle, out);
		text = span_skip(text, width ? width : 1);
	}
}

uint16_t casefold_version(void)
{
	UVersionInfo version;

	u_getUnicodeVersion(version);
	return (uint16_t)(version[0] << 8 | version[1]);
}
