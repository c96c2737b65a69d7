/* Commands about reports. */
#include "store/command_run.h"
#include "store/report/report.h"

void report_tls(struct command_run *c)
{
	if (c->count == 2) {
		reports_print(c->store, &c->text);
	} else if (!span_equal(c->words[2], SPAN("send"))) {
		command_fail(c, CODE_USAGE, "`carteiro report tls`, or `carteiro report tls send`");
	} else {
		const struct config *config = child_config(c->store->self);
		if (!config->tls_reports || !config->postmaster[0])
			command_fail(c, CODE_REFUSED, "no reports are sent: that needs tls_reports = on, and a postmaster, in the configuration");
		else
			buf_printf(&c->text, "%zu to be sent to those who want them\n", reports_send_now(c->store));
	}
}
