/* Any bytes as a DNS message: read to its end or refused, and every name fits and is a host's. */
#include "base/die.h"
#include "resolve/rdata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span message = span_of(data, size);
	struct rdata_reader reader;
	struct rdata_record record;
	if (rdata_start(&reader, message, NULL))
		return 0;
	while (rdata_next(&reader, &record, NULL) == 1) {
		unsigned preference;
		char host[RDATA_NAME_MOST], address[INET6_ADDRSTRLEN];
		if (record.at > size || record.len > size - record.at)
			die("a record outside of its message");
		if (rdata_mx(message, &record, &preference, host) == 0 && strlen(host) >= RDATA_NAME_MOST)
			die("a name without end");
		rdata_address(message, &record, address);
		if (rdata_alias(message, &record, host) == 0 && strlen(host) >= RDATA_NAME_MOST)
			die("a name without end");
		if (rdata_tlsa_is_usable(span_slice(message, record.at, record.len)) && record.len < 4)
			die("nothing to match");
		BUF_AUTO value = {0};
		if (rdata_value(message, &record, &value) == 0 && value.len > record.len + RDATA_NAME_MOST)
			die("a value larger than its record");
	}
	return 0;
}
