/* Handshakes of TLS 1.3 with a client's certificate. */
#include "wire/tls_handshake.h"

#include "base/die.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), der;
	struct tls_handshake h;
	if (tls_handshake_read(in, &h, NULL))
		return 0;
	if (h.before_server.len >= h.before_client.len || h.first_hello.len + h.before_client.len > size)
		die("a part is larger than the whole");
	while (tls_handshake_next_certificate(&h.certificates, &der) > 0)
		if (der.len > size)
			die("a certificate is larger than all of them");
	return 0;
}
