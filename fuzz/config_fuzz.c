/* Any bytes as carteiro.conf: read or refused with a reason, and nothing is left over. */
#include "base/die.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config c;
	static struct config_errors errors;
	if (config_parse(span_of(data, size), "fuzz", &c, &errors) == 0)
		config_free(&c);
	else if (errors.count == 0 || errors.at[0].text[0] == 0)
		die("refused without a reason");
	return 0;
}
