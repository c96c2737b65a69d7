/* RFC 8460 §5.3: a multipart/report (RFC 6522) of a text for people and the report. */
#include "wire/date.h"
#include "wire/tlsrpt_report.h"
#include "wire/transfer.h"

struct span tlsrpt_domain_of(struct span address)
{
	return span_skip(address, (size_t)(span_rchr(address, '@') + 1));
}

void tlsrpt_file_name(struct span submitter, const struct tlsrpt_report *r, struct span domain, struct span unique, struct buf *out)
{
	buf_printf(out, "%.*s!%.*s!%lld!%lld!%.*s.json.gz", SPAN_ARG(submitter), SPAN_ARG(domain), (long long)r->start_s, (long long)r->end_s, SPAN_ARG(unique));
}

static void add_header(const struct tlsrpt_mail *m, struct buf *out)
{
	struct span submitter = tlsrpt_domain_of(m->from);
	buf_printf(out, "From: <%.*s>\r\nTo: ", SPAN_ARG(m->from));
	for (size_t i = 0; i < m->to_count; i++)
		buf_printf(out, "%s<%.*s>", i ? ",\r\n " : "", SPAN_ARG(m->to[i]));
	buf_printf(out, "\r\nSubject: Report Domain: %.*s\r\n Submitter: %.*s\r\n Report-ID: <%.*s>\r\nDate: ", SPAN_ARG(m->domain), SPAN_ARG(submitter), SPAN_ARG(m->report_id));
	date_format(m->now_s, out);
	buf_printf(out, "\r\nMessage-ID: <%.*s>\r\nTLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\n", SPAN_ARG(m->message_id), SPAN_ARG(m->domain), SPAN_ARG(submitter));
	/* RFC 3834 §5: no automatic answers to this. RFC 8689 §3: what TLS lacks on the way does not stop it (RFC 8460 §3). */
	buf_printf(out, "Auto-Submitted: auto-generated\r\nTLS-Required: No\r\nMIME-Version: 1.0\r\n"
	                "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"=_%.*s\"\r\n\r\n", SPAN_ARG(m->boundary));
}

void tlsrpt_mail_build(const struct tlsrpt_mail *m, struct buf *out)
{
	struct transfer_encoder base64 = {.encoding = TRANSFER_BASE64};
	add_header(m, out);
	buf_printf(out, "--=_%.*s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", SPAN_ARG(m->boundary));
	buf_printf(out, "This is an aggregate TLS report from %.*s\r\nabout mail to %.*s (RFC 8460).\r\n\r\n", SPAN_ARG(tlsrpt_domain_of(m->from)), SPAN_ARG(m->domain));
	buf_printf(out, "--=_%.*s\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n filename=\"%.*s\"\r\n\r\n",
	           SPAN_ARG(m->boundary), SPAN_ARG(m->file_name));
	transfer_encode(&base64, m->file, out);
	transfer_encode_end(&base64, out);
	buf_printf(out, "\r\n--=_%.*s--\r\n", SPAN_ARG(m->boundary));
}
