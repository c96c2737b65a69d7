/* Any bytes as a PROXY header: what is read fits, and what is cut short is not taken for whole. */
#include "base/die.h"
#include "base/network.h"
#include "wire/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct proxy_header h;
	struct network client;
	ssize_t length = proxy_parse(in, &h, NULL);
	if (length > 0 && ((size_t)length > size || length > PROXY_HEADER_MAX || proxy_parse(span_slice(in, 0, (size_t)length - 1), &h, NULL) > 0))
		die("a header is longer than it is");
	proxy_parse(in, &h, NULL);
	if (length > 0 && h.client[0] && network_parse(span_cstr(h.client), &client))
		die("the client's address is none");
	return 0;
}
