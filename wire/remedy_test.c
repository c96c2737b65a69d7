/* Refusals as large receivers say them. */
#include "wire/test.h"

#include "wire/remedy.h"

static void refusals_have_their_remedies(void **state)
{
	static const struct {
		const char *reply, *word; /* of the remedy; NULL: none */
	} cases[] = {
		{"550 5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM.", "dkim records"},
		{"421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address.", "rate"},
		{"550 5.7.1 [192.0.2.1 12] Our system has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked.", "Postmaster Tools"},
		{"550 5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record setup", "reverse name"},
		{"550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140).", "olcsupport"},
		{"550 5.7.606 Access denied, banned sending IP [192.0.2.1]", "sender.office.com"},
		{"550 5.7.515 Access denied, sending domain EXAMPLE.ORG does not meet the required authentication level.", "DMARC"},
		{"421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", "Yahoo"},
		{"554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes", "DMARC"},
		{"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "check.spamhaus.org"},
		{"450 4.2.0 <x@y.example>: Recipient address rejected: Greylisted", "second try"},
		{"550 5.1.1 The email account that you tried to reach does not exist.", NULL},
		{"250 2.0.0 Ok", NULL},
		{"", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *remedy = remedy_for(span_cstr(cases[i].reply));
		if (!cases[i].word != !remedy || (remedy && !strstr(remedy, cases[i].word)))
			fail_msg("%s -> %s", cases[i].reply, remedy ? remedy : "nothing");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(refusals_have_their_remedies)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
