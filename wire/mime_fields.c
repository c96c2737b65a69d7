/* From a part's header to the values of its mime_part: RFC 2045, RFC 2183, RFC 3282, RFC 2557. */
#include "wire/mime_fields.h"

#include "wire/header.h"

/* Where the unfolded value of a field goes, as it is. */
struct place {
	const char *name;
	struct span *at;
};

static bool put(const struct place *places, size_t n, const struct header_field *field, struct span unfolded,
                struct mime_keeper *keeper)
{
	for (size_t i = 0; i < n; i++) {
		if (!span_equal_nocase(field->name, span_cstr(places[i].name)))
			continue;
		if (!places[i].at->ptr)
			*places[i].at = mime_keep(keeper, unfolded);
		return true;
	}
	return false;
}

static void put_envelope(struct mime_envelope *e, const struct header_field *field, struct span unfolded,
                         struct mime_keeper *keeper)
{
	const struct place places[] = {
	    {"Date", &e->date},
	    {"Subject", &e->subject},
	    {"From", &e->from},
	    {"Sender", &e->sender},
	    {"Reply-To", &e->reply_to},
	    {"To", &e->to},
	    {"Cc", &e->cc},
	    {"Bcc", &e->bcc},
	    {"In-Reply-To", &e->in_reply_to},
	    {"References", &e->references},
	    {"Message-ID", &e->message_id},
	};

	put(places, sizeof(places) / sizeof(places[0]), field, unfolded, keeper);
}

static void read_content_type(struct mime_part *part, struct span value, struct mime_keeper *keeper)
{
	struct span type, subtype, rest;

	if (part->type.ptr || !mime_parse_type(value, &type, &subtype, &rest))
		return;
	part->type = mime_keep_lower(keeper, type);
	part->subtype = mime_keep_lower(keeper, subtype);
	mime_parse_parameters(rest, keeper, &part->params_written);
	mime_decode_parameters(&part->params_written, keeper, &part->params);
}

static void read_disposition(struct mime_part *part, struct span value, struct mime_keeper *keeper)
{
	struct span rest, token = mime_parse_token(value, &rest);

	if (part->disposition.ptr || token.len == 0)
		return;
	part->disposition = mime_keep_lower(keeper, token);
	mime_parse_parameters(rest, keeper, &part->disposition_params_written);
	mime_decode_parameters(&part->disposition_params_written, keeper, &part->disposition_params);
}

static void put_content(struct mime_part *part, const struct header_field *field, struct span unfolded,
                        struct mime_keeper *keeper)
{
	const struct place places[] = {
	    {"Content-ID", &part->content_id},     {"Content-Description", &part->description},
	    {"Content-MD5", &part->md5},           {"Content-Language", &part->language},
	    {"Content-Location", &part->location},
	};
	struct span rest, token;

	if (put(places, sizeof(places) / sizeof(places[0]), field, unfolded, keeper))
		return;
	if (span_equal_nocase(field->name, SPAN("Content-Type"))) {
		read_content_type(part, unfolded, keeper);
	} else if (span_equal_nocase(field->name, SPAN("Content-Disposition"))) {
		read_disposition(part, unfolded, keeper);
	} else if (span_equal_nocase(field->name, SPAN("Content-Transfer-Encoding"))) {
		token = mime_parse_token(unfolded, &rest);
		if (!part->encoding.ptr && token.len > 0)
			part->encoding = mime_keep_lower(keeper, token);
	}
}

/* RFC 2045 §5.2, RFC 2046 §5.1.5. */
static void set_default_type(struct mime_part *part, bool default_message, struct mime_keeper *keeper)
{
	if (part->type.len > 0 && part->subtype.len > 0)
		return;
	part->params_written = part->params = (struct mime_parameters){0};
	if (default_message) {
		part->type = SPAN("message");
		part->subtype = SPAN("rfc822");
		return;
	}
	part->type = SPAN("text");
	part->subtype = SPAN("plain");
	mime_parse_parameters(SPAN("charset=us-ascii"), keeper, &part->params_written);
	mime_decode_parameters(&part->params_written, keeper, &part->params);
}

void mime_read_part_header(struct span header, bool default_message, bool with_envelope, struct mime_keeper *keeper,
                           struct mime_part *part)
{
	struct header_reader r = {.header = header};
	struct header_field field;
	BUF_AUTO unfolded = {0};

	if (with_envelope)
		part->envelope = arena_alloc(keeper->arena, sizeof(*part->envelope));
	while (header_next(&r, &field)) {
		bool is_content = span_starts_with_nocase(field.name, SPAN("Content-"));

		if (!is_content && !with_envelope)
			continue;
		buf_clear(&unfolded);
		header_unfold(field.value, &unfolded);
		if (is_content)
			put_content(part, &field, buf_span(&unfolded), keeper);
		else
			put_envelope(part->envelope, &field, buf_span(&unfolded), keeper);
	}
	set_default_type(part, default_message, keeper);
}
