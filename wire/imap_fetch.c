/* What FETCH asks for: see imap_fetch.h. */
#include "wire/imap_fetch.h"

#include "wire/header.h"
#include "wire/imap_structure.h"

static bool add(struct imap_parser *p, struct imap_fetch *f, const struct imap_fetch_item *item)
{
	for (size_t i = 0; i < f->count; i++)
		if (span_equal(f->items[i].label, item->label) && f->items[i].length == item->length) {
			f->items[i].is_peek &= item->is_peek;
			return true;
		}
	if (f->count == IMAP_FETCH_ITEMS_MAX)
		return imap_fail(p, "Too many items in one FETCH");
	f->items[f->count++] = *item;
	return true;
}

/* Items without arguments. */
static const struct imap_fetch_item simple_items[] = {
	{.kind = IMAP_FETCH_FLAGS, .label = {"FLAGS", 5}},
	{.kind = IMAP_FETCH_UID, .label = {"UID", 3}},
	{.kind = IMAP_FETCH_INTERNALDATE, .label = {"INTERNALDATE", 12}},
	{.kind = IMAP_FETCH_ENVELOPE, .label = {"ENVELOPE", 8}},
	{.kind = IMAP_FETCH_BODYSTRUCTURE, .label = {"BODYSTRUCTURE", 13}},
	{.kind = IMAP_FETCH_SIZE, .label = {"RFC822.SIZE", 11}},
	{.kind = IMAP_FETCH_MODSEQ, .label = {"MODSEQ", 6}},
	{.kind = IMAP_FETCH_SAVEDATE, .label = {"SAVEDATE", 8}},
	{.kind = IMAP_FETCH_EMAILID, .label = {"EMAILID", 7}},
	{.kind = IMAP_FETCH_THREADID, .label = {"THREADID", 8}},
	{.kind = IMAP_FETCH_SECTION, .label = {"RFC822.HEADER", 13}, .section = IMAP_SECTION_HEADER, .is_peek = true},
	{.kind = IMAP_FETCH_SECTION, .label = {"RFC822.TEXT", 11}, .section = IMAP_SECTION_TEXT},
	{.kind = IMAP_FETCH_SECTION, .label = {"RFC822", 6}, .section = IMAP_SECTION_ALL},
};

static const struct {
	const char *name;
	enum imap_section section;
} section_names[] = {
	{"HEADER", IMAP_SECTION_HEADER}, {"HEADER.FIELDS", IMAP_SECTION_FIELDS}, {"HEADER.FIELDS.NOT", IMAP_SECTION_FIELDS_NOT},
	{"TEXT", IMAP_SECTION_TEXT}, {"MIME", IMAP_SECTION_MIME},
};

static bool take_numbers(struct imap_parser *p, struct imap_fetch_item *item)
{
	item->numbers = arena_alloc_array(p->arena, IMAP_SECTION_DEPTH_MAX, sizeof *item->numbers);
	while (p->rest.len && ascii_is_digit(p->rest.ptr[0])) {
		if (item->number_count == IMAP_SECTION_DEPTH_MAX)
			return imap_fail(p, "A section has too many numbers");
		if (!imap_take_number(p, 1, &item->numbers[item->number_count++]))
			return false;
		if (!imap_next_is(p, '.'))
			return imap_next_is(p, ']') || imap_fail(p, "A section's number has a dot or ] behind it");
		p->rest = span_skip(p->rest, 1);
	}
	return item->number_count == 0 || !imap_next_is(p, ']') || imap_fail(p, "A section ends in a dot");
}

static bool take_section_name(struct imap_parser *p, struct imap_fetch_item *item)
{
	struct span name;
	if (!imap_take_atom(p, &name))
		return false;
	for (size_t i = 0; i < sizeof section_names / sizeof section_names[0]; i++) {
		if (!span_equal_nocase(name, span_cstr(section_names[i].name)))
			continue;
		item->section = section_names[i].section;
		/* RFC 3501 §6.4.5: MIME must be prefixed by part numbers */
		return item->section != IMAP_SECTION_MIME || item->number_count || imap_fail(p, "MIME needs the number of a part");
	}
	return imap_fail(p, "There is no such section");
}

static bool take_fields(struct imap_parser *p, struct imap_fetch *f, struct imap_fetch_item *item)
{
	item->fields = arena_alloc_array(p->arena, IMAP_FIELDS_MAX - f->field_count, sizeof *item->fields);
	if (!imap_take_space(p) || !imap_take_char(p, '('))
		return false;
	do {
		if (f->field_count++ == IMAP_FIELDS_MAX)
			return imap_fail(p, "Too many header fields");
		if (!imap_take_astring(p, &item->fields[item->field_count++]))
			return false;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return imap_take_char(p, ')');
}

/* The name of the section as the response has it: RFC 3501 §7.4.2. */
static void label_section(struct imap_parser *p, struct imap_fetch_item *item)
{
	BUF_AUTO label = {0};
	const char *name = "";
	buf_add_cstr(&label, "BODY[");
	for (size_t i = 0; i < item->number_count; i++)
		buf_printf(&label, "%s%u", i ? "." : "", item->numbers[i]);
	for (size_t i = 0; i < sizeof section_names / sizeof section_names[0]; i++)
		if (section_names[i].section == item->section)
			name = section_names[i].name;
	buf_printf(&label, "%s%s", item->number_count && name[0] ? "." : "", name);
	for (size_t i = 0; i < item->field_count; i++) {
		buf_add_cstr(&label, i ? " " : " (");
		if (imap_is_atom(item->fields[i]))
			buf_add(&label, item->fields[i]);
		else
			imap_render_string(item->fields[i], 0, &label);
	}
	buf_add_cstr(&label, item->field_count ? ")]" : "]");
	if (item->is_partial)
		buf_printf(&label, "<%u>", item->origin);
	item->label = arena_dup(p->arena, buf_span(&label));
}

static bool take_partial(struct imap_parser *p, struct imap_fetch_item *item)
{
	if (!imap_next_is(p, '<'))
		return true;
	item->is_partial = true;
	return imap_take_char(p, '<') && imap_take_number(p, 0, &item->origin) && imap_take_char(p, '.') && imap_take_number(p, 1, &item->length) &&
	       imap_take_char(p, '>');
}

/* section ["<" number "." nz-number ">"], behind BODY or BODY.PEEK. */
static bool take_section(struct imap_parser *p, struct imap_fetch *f, struct imap_fetch_item *item)
{
	if (!imap_take_char(p, '[') || !take_numbers(p, item))
		return false;
	if (!imap_next_is(p, ']') && !take_section_name(p, item))
		return false;
	if ((item->section == IMAP_SECTION_FIELDS || item->section == IMAP_SECTION_FIELDS_NOT) && !take_fields(p, f, item))
		return false;
	if (!imap_take_char(p, ']'))
		return false;
	if (!take_partial(p, item))
		return false;
	label_section(p, item);
	header_names_sort(item->fields, item->field_count); /* the label has them as they were written */
	return true;
}

/* section-binary ["<" number "." nz-number ">"], behind BINARY, BINARY.PEEK or BINARY.SIZE, which has no part of a part. */
static bool take_binary(struct imap_parser *p, struct imap_fetch_item *item)
{
	BUF_AUTO label = {0};
	if (!imap_take_char(p, '[') || !take_numbers(p, item) || !imap_take_char(p, ']') ||
	    (item->kind == IMAP_FETCH_BINARY && !take_partial(p, item)))
		return false;
	buf_add_cstr(&label, item->kind == IMAP_FETCH_BINARY ? "BINARY[" : "BINARY.SIZE[");
	for (size_t i = 0; i < item->number_count; i++)
		buf_printf(&label, "%s%u", i ? "." : "", item->numbers[i]);
	buf_add_char(&label, ']');
	if (item->is_partial)
		buf_printf(&label, "<%u>", item->origin);
	item->label = arena_dup(p->arena, buf_span(&label));
	return true;
}

/* Items that have a section: the word in front of it. */
static const struct {
	const char *name;
	struct imap_fetch_item item;
} section_items[] = {
	{"BODY.PEEK[", {.kind = IMAP_FETCH_SECTION, .is_peek = true}},
	{"BODY[", {.kind = IMAP_FETCH_SECTION}},
	{"BINARY.PEEK[", {.kind = IMAP_FETCH_BINARY, .is_peek = true}},
	{"BINARY.SIZE[", {.kind = IMAP_FETCH_BINARY_SIZE, .is_peek = true}},
	{"BINARY[", {.kind = IMAP_FETCH_BINARY}},
};

/* "PREVIEW" [SP "(" "LAZY" ")"]: RFC 8970 §6. Whether it is made lazily makes no difference here. */
static bool take_preview(struct imap_parser *p)
{
	if (!span_starts_with(p->rest, SPAN(" (")))
		return true;
	return imap_take_space(p) && imap_take_char(p, '(') && (imap_take_word(p, "LAZY") || imap_fail(p, "Expected LAZY")) && imap_take_char(p, ')');
}

static bool take_item(struct imap_parser *p, struct imap_fetch *f)
{
	if (imap_take_word(p, "PREVIEW"))
		return take_preview(p) && add(p, f, &(struct imap_fetch_item){.kind = IMAP_FETCH_PREVIEW, .label = SPAN("PREVIEW")});
	for (size_t i = 0; i < sizeof simple_items / sizeof simple_items[0]; i++)
		if (imap_take_word(p, simple_items[i].label.ptr))
			return add(p, f, &simple_items[i]);
	if (imap_take_word(p, "BODY"))
		return add(p, f, &(struct imap_fetch_item){.kind = IMAP_FETCH_BODY, .label = SPAN("BODY")});
	for (size_t i = 0; i < sizeof section_items / sizeof section_items[0]; i++) {
		struct span name = span_cstr(section_items[i].name);
		if (!span_starts_with_nocase(p->rest, name))
			continue;
		struct imap_fetch_item item = section_items[i].item;
		p->rest = span_skip(p->rest, name.len - 1);
		return (item.kind == IMAP_FETCH_SECTION ? take_section(p, f, &item) : take_binary(p, &item)) && add(p, f, &item);
	}
	return imap_fail(p, "There is no such item to fetch");
}

/* RFC 3501 §6.4.5: a macro stands alone. */
static bool take_macro(struct imap_parser *p, struct imap_fetch *f)
{
	static const struct {
		const char *name, *items;
	} macros[] = {
		{"ALL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE"},
		{"FAST", "FLAGS INTERNALDATE RFC822.SIZE"},
		{"FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY"},
	};
	for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++) {
		if (!imap_take_word(p, macros[i].name))
			continue;
		struct imap_parser inner = {.rest = span_cstr(macros[i].items), .arena = p->arena};
		do
			take_item(&inner, f);
		while (imap_next_is(&inner, ' ') && imap_take_space(&inner));
		return true;
	}
	return false;
}

bool imap_take_fetch(struct imap_parser *p, struct imap_fetch *out)
{
	*out = (struct imap_fetch){.items = arena_alloc_array(p->arena, IMAP_FETCH_ITEMS_MAX, sizeof *out->items)};
	if (take_macro(p, out))
		return true;
	if (!imap_next_is(p, '('))
		return take_item(p, out);
	p->rest = span_skip(p->rest, 1);
	do {
		if (!take_item(p, out))
			return false;
	} while (imap_next_is(p, ' ') && imap_take_space(p));
	return imap_take_char(p, ')');
}

void imap_fetch_imply(struct imap_parser *p, struct imap_fetch *f, enum imap_fetch_kind kind)
{
	size_t before = f->count;
	for (size_t i = 0; i < sizeof simple_items / sizeof simple_items[0]; i++)
		if (simple_items[i].kind == kind && !add(p, f, &simple_items[i]))
			return;
	if (f->count == before)
		return;
	struct imap_fetch_item item = f->items[before];
	memmove(f->items + 1, f->items, before * sizeof item);
	f->items[0] = item;
}
