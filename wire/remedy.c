#include "wire/remedy.h"

#include "base/buf.h"

/* In the order in which they are looked for: what is said of one receiver's codes before what anyone may say. All of `words` must be in the
 * reply, in any case; they are folded to lower case here. */
static const struct {
	const char *words[2];
	const char *remedy;
} known[] = {
	/* Gmail: https://support.google.com/a/answer/3726730 */
	{{"7.26", "authenticat"}, "Gmail takes mail only with SPF or DKIM. `carteiro dkim records` shows what the sender's domain must have in the DNS; `carteiro dkim list` what is there."},
	{{"7.27", "spf"}, "SPF of the sender's domain does not name this server: add its address to the domain's SPF record."},
	{{"7.30", "dkim"}, "There is no DKIM signature of the sender's domain that holds: publish what `carteiro dkim records` shows."},
	{{"7.32", "align"}, "Neither SPF nor DKIM is of the domain in the From field: send with a sender of that domain, or publish its DKIM records."},
	{{"7.25", "ptr"}, "The address of this server has no reverse name, or one that does not lead back: have the provider set it to the server's hostname."},
	{{"7.29", "tls"}, "The receiver takes mail over TLS only: take away a route with tls=never."},
	{{"7.28", "rate"}, "Gmail holds back mail from this address or domain for its rate of unwanted mail. Find the account that sends it (`carteiro queue list`), stop it, and wait; Google's Postmaster Tools show the reputation."},
	{{"unsolicited", "gmail"}, "Gmail takes it for unwanted mail. Look at the domain in Google's Postmaster Tools, and at which account has sent what (`carteiro trace`)."},
	{{"unsolicited", "google"}, "Gmail takes it for unwanted mail. Look at the domain in Google's Postmaster Tools, and at which account has sent what (`carteiro trace`)."},
	/* Outlook.com and Microsoft 365 */
	{{"(s3140)", ""}, "Microsoft blocks the network of this server's address. Ask for its removal at https://olcsupport.office.com, and look at it in SNDS (https://sendersupport.olc.protection.outlook.com/snds)."},
	{{"(s3150)", ""}, "Microsoft blocks the network of this server's address. Ask for its removal at https://olcsupport.office.com, and look at it in SNDS (https://sendersupport.olc.protection.outlook.com/snds)."},
	{{"banned sending ip", ""}, "Microsoft 365 blocks this server's address: ask for its removal at https://sender.office.com."},
	{{"7.515", ""}, "Microsoft wants SPF, DKIM and DMARC of the domain in the From field: `carteiro setup` and `carteiro dkim records` show the records to publish."},
	{{"7.509", ""}, "The message fails DMARC of the domain in the From field: publish its DKIM records, or send with a sender of that domain."},
	{{"7.650", ""}, "Microsoft slows this server's address down for its reputation: send less at once, and look at it in SNDS (https://sendersupport.olc.protection.outlook.com/snds). It is tried again."},
	/* Yahoo and AOL: https://senders.yahooinc.com/smtp-error-codes */
	{{"[tss04]", ""}, "Yahoo puts mail off for its volume or its readers' complaints. It is tried again; find the account that sends unwanted mail, and send less at once."},
	{{"[tss05]", ""}, "Yahoo puts mail off for its volume or its readers' complaints. It is tried again; find the account that sends unwanted mail, and send less at once."},
	{{"[tss09]", ""}, "Yahoo refuses this server's address for good. Stop what sends unwanted mail, then ask at https://senders.yahooinc.com."},
	{{"[tss11]", ""}, "Yahoo refuses this server's address for good. Stop what sends unwanted mail, then ask at https://senders.yahooinc.com."},
	{{"[ph01]", ""}, "Yahoo takes something in the message for fraud: look at its links."},
	{{"7.9", "policy reasons"}, "The message fails DMARC, or what Yahoo asks of senders: publish SPF, DKIM and DMARC of the domain in the From field."},
	/* anybody */
	{{"spamhaus", ""}, "This server's address is on a list of Spamhaus: https://check.spamhaus.org says why, and how it comes off."},
	{{"spamcop", ""}, "This server's address is on SpamCop's list, from which it falls a day after the last report: https://www.spamcop.net/bl.shtml."},
	{{"barracuda", ""}, "This server's address is on Barracuda's list: ask for its removal at https://barracudacentral.org/rbl/removal-request."},
	{{"reverse", "dns"}, "The address of this server has no reverse name, or one that does not lead back: have the provider set it to the server's hostname."},
	{{"ptr record", ""}, "The address of this server has no reverse name, or one that does not lead back: have the provider set it to the server's hostname."},
	{{"greylist", ""}, "The receiver takes mail from new senders at the second try: it is tried again by itself."},
};

const char *remedy_for(struct span reply)
{
	BUF_AUTO lower = {0};
	reply = span_slice(reply, 0, 1000);
	for (size_t i = 0; i < reply.len; i++)
		buf_add_char(&lower, ascii_lower(reply.ptr[i]));
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (span_find(buf_span(&lower), span_cstr(known[i].words[0])) >= 0 && span_find(buf_span(&lower), span_cstr(known[i].words[1])) >= 0)
			return known[i].remedy;
	return NULL;
}
