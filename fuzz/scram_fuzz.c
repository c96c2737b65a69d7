/* SCRAM's messages, what is stored for it, and the preparation of passwords. */
#include "wire/saslprep.h"
#include "wire/scram.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct scram_client_first first;
	struct scram_client_final final;
	struct scram_keys keys, again;
	BUF_AUTO user = {0}, authzid = {0}, text = {0}, prepared = {0};
	if (scram_parse_client_first(in, &first, &user, &authzid, NULL) == 0 &&
	    (first.gs2_header.len + first.bare.len != size || user.len > size || !first.nonce.len))
		abort();
	if (scram_parse_client_final(in, &final, NULL) == 0) {
		scram_binding_is(final.binding, SPAN("n,,"), SPAN(""));
		if (final.without_proof.len >= size)
			abort();
	}
	if (scram_keys_parse(in, &keys, NULL) == 0) {
		scram_keys_write(&keys, &text);
		if (scram_keys_parse(buf_span(&text), &again, NULL) || again.iterations != keys.iterations || again.salt_len != keys.salt_len)
			abort();
	}
	if (saslprep(in, &prepared) == 0 && prepared.len > SASLPREP_BYTES_MOST)
		abort();
	return 0;
}
