/* Any bytes as what a milter says: what is made of it cannot break a header or a reply. */
#include "base/die.h"
#include "wire/milter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_change(const struct milter_packet *p)
{
	struct milter_change c;
	BUF_AUTO field = {0};
	if (milter_change_parse(p, &c, NULL) || !c.name.ptr)
		return;
	for (int has_space = 0; has_space < 2; has_space++) {
		buf_clear(&field);
		if (milter_field_make(c.name, c.value, has_space, &field, NULL) == 0 && (!milter_fields_are_whole(buf_span(&field)) || field.len > MILTER_FIELD_MAX))
			die("a field breaks the header");
	}
}

static void try_reply(struct span text)
{
	BUF_AUTO reply = {0};
	if (milter_reply_make(text, &reply, NULL))
		return;
	for (size_t i = 0; i < reply.len; i++)
		if (reply.ptr[i] < ' ' || reply.ptr[i] > '~' || i >= 480)
			die("a reply breaks the session");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct milter_packet p;
	struct milter_options options;
	struct milter_socket at;
	ssize_t taken;
	milter_socket_parse(in, &at, NULL);
	milter_fields_are_whole(in);
	while ((taken = milter_packet_parse(in, &p, NULL)) > 0) {
		if ((size_t)taken > in.len || p.data.len + 5 != (size_t)taken)
			die("a packet is longer than it is");
		milter_options_parse(p.data, &options, NULL);
		try_change(&p);
		try_reply(p.data);
		in = span_skip(in, (size_t)taken);
	}
	return 0;
}
