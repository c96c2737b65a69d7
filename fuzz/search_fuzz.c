/* What store keeps for searching, and threads: any bytes may be read, and any references end in time with each message there once. */
#include <stddef.h>
#include <stdint.h>

#include "base/die.h"
#include "base/pack.h"
#include "store/mailbox/columns.h"
#include "store/mailbox/texts.h"
#include "store/mailbox/thread.h"
#include "store/mailbox/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGES_MOST = 64 };

static void read_kept(struct span in)
{
	struct column_values c = {0};
	struct text_block b = {0};
	buf_add(&c.memory, in);
	columns_unpack(&c);
	buf_add(&b.memory, in);
	text_block_unpack(&b);
	trigram_page_mask(in, 7);
	struct word_scan scan = {.rest = in};
	struct word_places_reader reader = {.u.rest = in};
	struct word_places places = {0};
	for (unsigned word, last = 0, count = 0; word_scan_next(&scan, SPAN("a"), &word); last = word)
		if ((count++ && word <= last) || (word_places_read(&reader, word, &places) && reader.next != word + 1))
			die("words do not come in order");
	buf_free(&c.memory);
	buf_free(&b.memory);
}

/* Each message from two bytes and as many references, of a few ids. */
static void thread(struct span in, enum thread_algorithm algorithm)
{
	struct thread_message messages[MESSAGES_MOST];
	struct buf ids[MESSAGES_MOST] = {0};
	unsigned seen[MESSAGES_MOST + 1] = {0};
	BUF_AUTO out = {0};
	size_t n = 0;
	long depth = 0;
	for (size_t at = 0; at + 2 <= in.len && n < MESSAGES_MOST; n++) {
		unsigned char first = (unsigned char)in.ptr[at], second = (unsigned char)in.ptr[at + 1];
		pack_u64(&ids[n], first % 16);
		for (at += 2; at < in.len && ids[n].len / 8 <= second % 8; at++)
			pack_u64(&ids[n], (unsigned char)in.ptr[at] % 32 + 1);
		messages[n] = (struct thread_message){(uint32_t)n + 1, second >> 4, span_slice(SPAN("abc"), 0, first >> 6), first & 32, buf_span(&ids[n])};
	}
	thread_messages(algorithm, messages, n, &out);
	struct unpacker u = {.rest = buf_span(&out)};
	while (u.rest.len) {
		uint32_t token = unpack_u32(&u);
		depth += token == THREAD_OPEN ? 1 : token == THREAD_CLOSE ? -1 : 0;
		if (token != THREAD_OPEN && token != THREAD_CLOSE && (token > n || depth < 1 || seen[token]++))
			die("a message is there twice, or in no thread");
	}
	for (size_t i = 0; i < n; i++) {
		if (!seen[i + 1])
			die("a message is lost");
		buf_free(&ids[i]);
	}
	if (depth)
		die("parentheses do not match");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	read_kept(in);
	thread(in, THREAD_REFERENCES);
	thread(in, THREAD_REFS);
	thread(in, THREAD_ORDEREDSUBJECT);
	return 0;
}
