/* What clients send to authenticate. */
#include "edge/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf decoded = {0};
	struct sasl_plain plain;
	if (sasl_decode(span_of(data, size), &decoded) == 0)
		sasl_parse_plain(buf_span(&decoded), &plain);
	sasl_parse_plain(span_of(data, size), &plain);
	sasl_wipe(&decoded);
	return 0;
}
