/* Any bytes as a record and as an explanation: read or refused, and no expansion grows beyond its bound. */
#include "base/die.h"
#include "wire/spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct spf_record record;
	static const struct spf_macros macros = {
		.sender = SPAN("strong-bad@email.example.com"), .local_part = SPAN("strong-bad"), .sender_domain = SPAN("email.example.com"),
		.domain = SPAN("email.example.com"), .dotted_ip = SPAN("2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.c.b.0.1"),
		.readable_ip = SPAN("2001:db8::cb01"), .validated_name = SPAN("unknown"), .helo = SPAN("h.example"), .receiver = SPAN("r.example"),
		.is_ipv6 = true, .now_s = 1};
	struct span in = span_of(data, size);
	BUF_AUTO out = {0};
	spf_uses_macro(in, 'p');
	if (spf_expand(in, &macros, true, &out) == 0 && out.len > SPF_EXPANDED_MOST + 1024)
		die("an expansion without end");
	if (!spf_is_record(in) || spf_parse(in, &record, NULL))
		return 0;
	for (size_t i = 0; i < record.count; i++) {
		BUF_AUTO domain = {0};
		const struct spf_term *t = &record.terms[i];
		if (t->prefix4 > 32 || t->prefix6 > 128 || t->text.ptr < in.ptr || t->text.ptr + t->text.len > in.ptr + in.len)
			die("a term outside of its record");
		if (spf_expand(t->domain, &macros, false, &domain) && domain.len <= SPF_EXPANDED_MOST)
			die("a macro that was let pass does not expand");
	}
	return 0;
}
