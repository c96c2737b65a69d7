"""Reports of TLS (RFC 8460), both ways: what a server counts of its connections reaches those who want to know, by mail and by HTTPS; what
others report is summed up for the administrator, and what is no such report changes nothing."""
import base64
import contextlib
import datetime
import email
import email.policy
import gzip
import http.server
import json
import re
import ssl
import sys
import threading
import time

import pytest

import hosts
import network
import talk
from certificates import make_chain
from conftest import until
from test_senders import openssl, sign, strings

DNS, A, B, GOOD, WRONG, OLD, PLAIN, WEB_INSIDE, EVIL = ('10.99.0.%d' % n for n in (2, 10, 20, 30, 40, 60, 70, 80, 90))
A_OUTSIDE, WEB, WEB_WRONG, WEB_REPORTS = '192.0.2.10', '192.0.2.80', '192.0.2.81', '192.0.2.82'
MAILED = 'mailto:tls@b.test'
POSTED = 'https://reports.test/v1/tls?of=a'


class Case:
    """mode     of the MTA-STS policy; None: there is none
    mx       where the domain's mx is
    seen     what is reported: {(policy-type, result-type or None of a success): reason}
    rua      where the domain wants its reports"""

    def __init__(self, mx, seen, mode=None, rua=MAILED, zone='', web=WEB, policy=None):
        self.mx, self.seen, self.mode, self.rua, self.zone, self.web, self.policy = mx, seen, mode, rua, zone, web, policy


CASES = {
    'good': Case(GOOD, {('sts', None): ''}, 'enforce', rua=MAILED + ', ' + POSTED),
    'open': Case(GOOD, {('no-policy-found', None): ''}),
    'plain': Case(PLAIN, {('no-policy-found', 'starttls-not-supported'): ''}),
    'wrong': Case(WRONG, {('sts', 'certificate-host-mismatch'): 'hostname mismatch'}, 'enforce'),
    'old': Case(OLD, {('sts', 'certificate-expired'): 'certificate has expired'}, 'enforce'),
    'bare': Case(PLAIN, {('sts', 'starttls-not-supported'): ''}, 'enforce'),
    'tested': Case(WRONG, {('sts', 'certificate-host-mismatch'): 'hostname mismatch'}, 'testing'),
    'unnamed': Case(GOOD, {('sts', 'validation-failure'): 'the policy does not name this host'}, policy='version: STSv1\nmode: enforce\nmx: other.test\nmax_age: 9999\n'),
    'unfetched': Case(GOOD, {('sts', 'sts-policy-fetch-error'): 'https://mta-sts.unfetched.test: the server answers with 404', ('no-policy-found', None): ''}, policy='404'),
    'rubbish': Case(GOOD, {('sts', 'sts-policy-invalid'): 'its version is not STSv1', ('no-policy-found', None): ''}, policy='version: 7\n'),
    'webname': Case(GOOD, {('sts', 'sts-webpki-invalid'): 'https://mta-sts.webname.test: SSL', ('no-policy-found', None): ''}, 'enforce', web=WEB_WRONG),
    'dane': Case(WRONG, {('tlsa', None): ''}, zone='_25._tcp.mx.dane TLSA 3 1 1 {spki}\n'),
    'undane': Case(WRONG, {('tlsa', 'certificate-not-trusted'): ''}, zone='_25._tcp.mx.undane TLSA 3 1 1 {wrong}\n'),
    'badtlsa': Case(GOOD, {('tlsa', 'tlsa-invalid'): 'no TLSA record can be used'}, zone='_25._tcp.mx.badtlsa TLSA 1 1 1 {wrong}\n'),
    'bogus': Case(GOOD, {('tlsa', 'dnssec-invalid'): 'TLSA records of mx.bogus.test'}, zone='_25._tcp.mx.bogus TLSA 3 1 1 {spki}\n'),
    'posted': Case(GOOD, {('no-policy-found', None): ''}, rua=POSTED),
    'loose': Case(WRONG, {('sts', 'certificate-host-mismatch'): ''}, 'enforce', rua='mailto:tls@loose.test'),
    'unwanted': Case(GOOD, None, rua=None),
    'bad': Case(GOOD, None, rua='ftp://reports.test'),
    'private': Case(GOOD, None, rua='https://inside.test/'),
}
MINE = [name for name, case in CASES.items() if case.seen and MAILED in case.rua]


def records(name, case):
    has_policy = case.mode or case.policy
    return ('%s MX 10 mx.%s\nmx.%s A %s\n' % (name, name, name, case.mx) + case.zone + ('_mta-sts.%s TXT "v=STSv1; id=1;"\nmta-sts.%s A %s\n' % (name, name, case.web) if has_policy else '') +
            ('_smtp._tls.%s TXT "v=TLSRPTv1; rua=%s"\n' % (name, case.rua) if case.rua else ''))


def spoil(signed):
    """TLSA records of bogus.test that are others than those that were signed."""
    signed, count = re.subn(r'(?m)^(_25\._tcp\.mx\.bogus\.test\.\s+\d+\s+IN\s+TLSA\s+)3 1 1', r'\g<1>3 1 2', signed)
    assert count == 1
    return signed


class Web:
    """Gives the policies of all domains, and takes reports once `taking` is set."""

    def __init__(self, net, chains):
        self.posts, self.taking = [], False
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status, body=b''):
                self.send_response(status)
                self.send_header('Content-Type', 'text/plain')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                name = self.headers['Host'].split('.')[1]
                case = CASES[name]
                text = case.policy or 'version: STSv1\nmode: %s\nmx: mx.%s.test\nmax_age: 86400\n' % (case.mode, name)
                if text == '404':
                    self.answer(404)
                else:
                    self.answer(200, text.encode())

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                web.posts.append((web.taking, self.headers, self.path, body))
                self.answer(201 if web.taking else 500)

            def log_message(self, *words):
                pass
        self.servers = []
        for address, chain in ((WEB, 'web'), (WEB_WRONG, 'wrong'), (WEB_REPORTS, 'web'), (WEB_INSIDE, 'web')):
            with network.inside(net.name('web')):
                server = http.server.ThreadingHTTPServer((address, 443), Handler)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chains[chain].file, chains[chain].key)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            server.daemon_threads = True
            server.handle_error = lambda *words: None
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def reports(self, is_taken=True):
        return [json.loads(gzip.decompress(body)) for taken, _, _, body in self.posts if taken == is_taken]


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [DNS], 'a': [A, A_OUTSIDE], 'b': [B], 'mx': [GOOD, WRONG, OLD, PLAIN], 'web': [WEB, WEB_WRONG, WEB_REPORTS, WEB_INSIDE], 'evil': [EVIL]}, DNS)
    try:
        yield n
    finally:
        n.close()


@pytest.fixture(scope='module')
def chains(place):
    names = ['mx.%s.test' % name for name in CASES]
    return {'good': make_chain(place / 'good', *names), 'wrong': make_chain(place / 'wrong', 'elsewhere.test'), 'old': make_chain(place / 'old', *names, days=-1),
            'web': make_chain(place / 'web', 'reports.test', 'inside.test', *('mta-sts.%s.test' % name for name in CASES))}


@pytest.fixture(scope='module')
def receivers(net, place, chains):
    started = [net.start('mx', 'smtp-sink', '-u', 'nobody', '-h', 'mx.plain.test', '%s:25' % PLAIN, '1000', log=place / 'sink')]
    for address, chain in ((GOOD, 'good'), (WRONG, 'wrong'), (OLD, 'old')):
        started.append(net.start('mx', sys.executable, '-m', 'aiosmtpd', '-n', '-l', '%s:25' % address, '-c', 'aiosmtpd.handlers.Sink',
                                 '--tlscert', str(chains[chain].file), '--tlskey', str(chains[chain].key), log=place / chain / 'log'))
    yield
    for process in started:
        net.end(process)


@pytest.fixture(scope='module')
def web(net, chains):
    w = Web(net, chains)
    yield w
    w.close()


@pytest.fixture(scope='module')
def rsa():
    return openssl('genrsa', '-traditional', '2048')


@pytest.fixture(scope='module')
def servers(make_server, net, place, chains, receivers, web, rsa):
    """The one that counts and reports, and the one that gets the reports by mail, as if the domains were its own."""
    a = make_server('a', domain='a.test', hostname='mx.a.test', netns=net.name('a'), start=False, users=['u'])
    b = make_server('b', domain='b.test', hostname='mx.b.test', netns=net.name('b'), start=False, users=['tls', 'other'])
    public = base64.b64encode(openssl('rsa', '-pubout', '-outform', 'DER', stdin=rsa)).decode()
    zone = network.ZONE_START + 'b MX 10 mx.b\nmx.b A %s\nreports A %s\ninside A %s\n' % (B, WEB_REPORTS, WEB_INSIDE) + ''.join(records(*one) for one in CASES.items()).format(**chains['wrong'].facts)
    zone += 'sel._domainkey.friend TXT %s\n' % strings('v=DKIM1; k=rsa; p=' + public) + 'only._domainkey.friend TXT %s\n' % strings('v=DKIM1; k=rsa; s=tlsrpt; p=' + public)
    zone += 'sel._domainkey.evil TXT %s\n' % strings('v=DKIM1; k=rsa; p=' + public)
    zone += '\n'.join(line for line in a.setup_output.splitlines() if '_domainkey' in line).replace(' 3600 IN TXT', ' 1 IN TXT') + '\n'
    names = network.Names(net, 'dns', DNS, place / 'dns', zone, spoil)
    names.start()
    authorities = place / 'authorities'
    authorities.write_text(''.join(chains[name].authority.read_text() for name in ('good', 'wrong', 'old', 'web')))
    for s in (a, b):
        s.configure(resolver=DNS, trust_anchor=str(names.anchor), retry_first='1s', retry_most='1s', tls_authorities=str(authorities))
        s.start()
    for name in MINE:
        b.must('domain', 'add', name + '.test')
    return a, b


@pytest.fixture(scope='module')
def a(servers):
    return servers[0]


@pytest.fixture
def b(servers):
    servers[1].empty('tls@b.test')
    return servers[1]


def relayed(a, name):
    return [line for line in a.log().splitlines() if ' relayed ' in line and 'id=%s ' % name in line]


def submit(a, name):
    return hosts.submit(a, ['v@%s.test' % name], b'From: u@a.test\r\nSubject: tls\r\n\r\nbody\r\n')


def counted(a):
    """What `report tls` says of connections to others: {domain: lines}."""
    text = a.must('report', 'tls').split('\nConnections to other servers since the last reports:\n')[1]
    found, name = {}, None
    for line in text.splitlines():
        name = name if line.startswith(' ') else line.split()[0]
        found.setdefault(name, []).append(line.strip())
    return found


@pytest.fixture(scope='module')
def day(a, web):
    """A message to each domain; counts over a restart; then the day ends."""
    ids = {name: submit(a, name) for name in CASES}
    for name, one in ids.items():
        assert until(lambda n=one: relayed(a, n), 30), (name, a.log()[-3000:])
    a.empty_queue()
    assert until(lambda: set(counted(a)) >= {name + '.test' for name in CASES}), counted(a)
    before = counted(a)
    a.stop()
    a.start()
    assert counted(a) == before
    said = a.must('report', 'tls', 'send')
    assert said == '%d to be sent to those who want them\n' % len(CASES)
    assert counted(a) == {'none': ['none']}
    return before


def parsed(raw):
    """The JSON of a report by mail, which is looked at as RFC 8460 §5.3 wants it."""
    m = email.message_from_bytes(raw, policy=email.policy.default)
    assert m.get_content_type() == 'multipart/report' and m.get_param('report-type') == 'tlsrpt'
    text, machine = m.iter_parts()
    assert text.get_content_type() == 'text/plain' and machine.get_content_type() == 'application/tlsrpt+gzip'
    report = json.loads(gzip.decompress(machine.get_content()))
    domain = m['TLS-Report-Domain']
    assert m['TLS-Report-Submitter'] == 'a.test' and m['From'] == 'postmaster@a.test' and m['TLS-Required'] == 'No'
    assert re.sub(r'\s+', ' ', m['Subject']) == 'Report Domain: %s Submitter: a.test Report-ID: <%s>' % (domain, report['report-id'])
    start, end = (datetime.datetime.fromisoformat(report['date-range'][key].replace('Z', '+00:00')).timestamp() for key in ('start-datetime', 'end-datetime'))
    assert re.fullmatch(r'a\.test!%s!%d!%d!\w+\.json\.gz' % (re.escape(domain), start, end), machine.get_filename())
    assert report['organization-name'] == 'a.test' and report['contact-info'] == 'postmaster@a.test' and start <= end <= time.time()
    assert 'dkim=pass' in m['Authentication-Results'] and 'header.d=a.test' in m['Authentication-Results']
    return domain, report


def seen(report):
    found = {}
    for policy in report['policies']:
        kind, summary = policy['policy']['policy-type'], policy['summary']
        if summary['total-successful-session-count']:
            found[kind, None] = ''
        assert summary['total-failure-session-count'] == sum(one['failed-session-count'] for one in policy.get('failure-details', []))
        for one in policy.get('failure-details', []):
            found[kind, one['result-type']] = one.get('failure-reason-code', '')
    return found


def test_each_domain_is_told_what_was_seen(a, servers, day, web):
    b = servers[1]
    assert until(lambda: len(b.messages('tls@b.test')) >= len(MINE), 30), a.log()[-4000:]
    reports = [parsed(raw) for raw in b.messages('tls@b.test')]
    assert sorted(domain for domain, _ in reports) == sorted(name + '.test' for name in MINE)
    for domain, report in reports:
        case = CASES[domain[:-5]]
        found = seen(report)
        assert set(found) == set(case.seen), (domain, report)
        assert all(reason in found[key] for key, reason in case.seen.items()), (domain, report)
        for policy in report['policies']:
            assert policy['policy']['policy-domain'] == domain
            for one in policy.get('failure-details', []):
                if not one['result-type'].startswith('sts-') and one['result-type'] != 'dnssec-invalid' and one.get('failure-reason-code') != 'the policy does not name this host':
                    assert one['receiving-mx-hostname'] == 'mx.' + domain and one['receiving-ip'] == case.mx and one['sending-mta-ip'] == A and one['receiving-mx-helo']
    by_domain = dict(reports)
    policy = by_domain['good.test']['policies'][0]['policy']
    assert policy['policy-string'] == ['version: STSv1', 'mode: enforce', 'mx: mx.good.test', 'max_age: 86400'] and policy['mx-host'] == ['mx.good.test']
    assert re.fullmatch('3 1 1 [0-9a-f]{64}', by_domain['dane.test']['policies'][0]['policy']['policy-string'][0])


def test_others_are_read_and_summed_up(a, servers, day):
    b = servers[1]
    assert until(lambda: b.log().count(' tls-report ') >= len(MINE), 30), b.log()[-3000:]
    told = b.must('report', 'tls')
    assert re.search(r'(?m)^\d{4}-\d\d-\d\d good\.test by a\.test \(a\.test\): 1 successful, 0 failed$', told)
    assert re.search(r'(?m)^\S+ old\.test by a\.test \(a\.test\): 0 successful, (\d+) failed: certificate-expired \1$', told)
    assert re.search(r'tls-report level=info domain=open\.test organization=a\.test signer=a\.test successes=1 failures=0', b.log())
    assert re.search(r'tls-report level=warning domain=old\.test organization=a\.test signer=a\.test successes=0 failures=\d', b.log())


def test_what_is_not_taken_is_sent_again_and_nothing_twice(a, servers, day, web):
    b = servers[1]
    failed = 'tls-report-not-taken level=warning domain=posted.test to="?' + re.escape(POSTED) + '"? why="https://reports.test: the server answers with 500"'
    assert until(lambda: re.search(failed, a.log()) and 'tls-report-not-taken level=warning domain=good.test' in a.log(), 20), a.log()[-3000:]
    assert 'its address %s is refused' % WEB_INSIDE in a.log()
    assert not web.reports()
    a.kill_all()
    a.start()
    web.taking = True

    def is_posted():
        a.must('report', 'tls', 'send')
        return len(web.reports()) >= 2
    assert until(is_posted, 40, 1), a.log()[-3000:]
    assert sorted(one['policies'][0]['policy']['policy-domain'] for one in web.reports()) == ['good.test', 'posted.test']
    taken, headers, path, body = [post for post in web.posts if post[0]][0]
    assert headers['Content-Type'] == 'application/tlsrpt+gzip' and path == '/v1/tls?of=a' and headers['Host'] == 'reports.test'
    # the same reports as before
    assert {one['report-id'] for one in web.reports()} == {one['report-id'] for one in web.reports(False)}
    a.must('report', 'tls', 'send')
    assert until(lambda: a.must('queue', 'list').startswith('0 messages'))
    assert len(web.reports()) == 2 and len(b.messages('tls@b.test')) == len(MINE)


def test_those_who_want_none_get_none_and_reports_are_not_counted(a, day):
    assert until(lambda: 'tls-report-unwanted level=info domain=bad.test why="its TXT record has no URI to report to"' in a.log())
    assert counted(a) == {'none': ['none']}  # b.test, where the reports went, is not among them


def test_no_fault_of_tls_stops_a_report(a, day):
    assert until(lambda: re.search(r' relayed .* to=tls@loose\.test outcome=delivered host=mx\.loose\.test', a.log()), 20)
    assert ' to=v@loose.test outcome=later' in a.log()  # as the mail that was counted


def test_setup_prints_the_record(a):
    assert '_smtp._tls.a.test. 3600 IN TXT "v=TLSRPTv1; rua=mailto:postmaster@a.test"' in a.setup_output


# ---- what strangers send ----

def report_of(domain='good.test', identity='1', **more):
    value = {'organization-name': 'Friends & Co\x1b[2J', 'date-range': {'start-datetime': '2026-11-28T00:00:00Z', 'end-datetime': '2026-11-28T23:59:59Z'}, 'contact-info': 'x@friend.test',
             'report-id': identity, 'policies': [{'policy': {'policy-type': 'sts', 'policy-domain': domain}, 'summary': {'total-successful-session-count': 7, 'total-failure-session-count': 2},
                                                 'failure-details': [{'result-type': 'certificate-expired', 'failed-session-count': 2}]}]}
    return json.dumps(dict(value, **more)).encode()


def mail(body, kind='application/tlsrpt+gzip', outer='multipart/report; report-type=tlsrpt', author='tls@friend.test'):
    part = b'Content-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s' % (kind.encode(), base64.encodebytes(body).replace(b'\n', b'\r\n'))
    head = ('From: %s\r\nTo: tls@b.test\r\nSubject: Report Domain: good.test Submitter: friend.test Report-ID: <1@friend.test>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n'
            'Message-ID: <%d@friend.test>\r\nMIME-Version: 1.0\r\n' % (author, time.monotonic_ns())).encode()
    if not outer:
        return head + part
    return head + b'Content-Type: %s; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\na report\r\n--b\r\n%s\r\n--b--\r\n' % (outer.encode(), part)


def bring(net, message, recipient='tls@b.test'):
    with network.inside(net.name('evil')):
        s = talk.Smtp(25, B, hello=False)
    with s:
        s.hello('mail.friend.test')
        return s.send_message('tls@friend.test', [recipient], message)


def heard(b):
    return [line for line in b.must('report', 'tls').split('\nConnections to')[0].splitlines()[1:] if 'friend' in line.lower()]


BOMB = gzip.compress(bytes(200 * 1024 * 1024))
HOSTILE = {
    'unsigned': lambda key: mail(gzip.compress(report_of())),
    'signed_by_another': lambda key: sign(mail(gzip.compress(report_of())), key, domain=b'evil.test'),
    'changed': lambda key: sign(mail(gzip.compress(report_of())), key) + b'more\r\n',
    'of_another_domain': lambda key: sign(mail(gzip.compress(report_of('elsewhere.test'))), key),
    'bomb': lambda key: sign(mail(BOMB), key),
    'deep': lambda key: sign(mail(gzip.compress(b'[' * 1000000)), key),
    'wide': lambda key: sign(mail(gzip.compress(b'[' + b'{},' * 1000000)), key),
    'no_json': lambda key: sign(mail(gzip.compress(b'a report')), key),
    'no_gzip': lambda key: sign(mail(report_of()), key),
    'cut': lambda key: sign(mail(gzip.compress(report_of())[:-9]), key),
    'no_part': lambda key: sign(mail(gzip.compress(report_of()), kind='application/octet-stream'), key),
    'counts': lambda key: sign(mail(gzip.compress(report_of(policies=[{'policy': {'policy-domain': 'good.test'}, 'summary': {'total-successful-session-count': -1}}]))), key),
    'to_nobody_here': None,
}


@pytest.mark.parametrize('name', HOSTILE)
def test_what_is_no_report_of_ours_changes_nothing(net, b, rsa, name):
    pids, before = sorted(b.pids()), b.log().count(' tls-report ')
    recipient = 'tls@b.test'
    if name == 'to_nobody_here':
        b.command('alias', 'add', 'out@b.test', 'v@a.test')
        recipient, message = 'out@b.test', sign(mail(gzip.compress(report_of())), rsa)
    else:
        message = HOSTILE[name](rsa)
    assert bring(net, message, recipient).code == 250
    if recipient == 'tls@b.test':
        assert until(lambda: len(b.messages('tls@b.test')) == 1)
    assert b.log().count(' tls-report ') == before and not heard(b)
    assert sorted(b.pids()) == pids
    b.empty_queue()


def test_reports_of_others_count_once(net, b, rsa):
    line = '2026-11-28 good.test by Friends & Co?[2J (friend.test): 7 successful, 2 failed: certificate-expired 2'
    assert bring(net, sign(mail(gzip.compress(report_of())), rsa)).code == 250
    assert until(lambda: heard(b) == [line]), b.must('report', 'tls')
    assert bring(net, sign(mail(gzip.compress(report_of())), rsa), 'other@b.test').code == 250  # the same to another recipient
    assert until(lambda: len(b.messages('other@b.test')) == 1)
    assert heard(b) == [line]
    # without gzip, without a multipart, and by a key that is for reports alone
    assert bring(net, sign(mail(report_of(identity='2'), kind='application/tlsrpt+json', outer=None), rsa, selector=b'only')).code == 250
    assert until(lambda: heard(b) == [line, line])
    assert b'the key is not for mail' in b.messages('tls@b.test')[-1] and b'dkim=pass' not in b.messages('tls@b.test')[-1]
    b.stop()
    b.start()
    assert heard(b) == [line, line]


def test_one_sender_of_many_does_not_push_out_the_others(net, b, rsa):
    ours = len(b.must('report', 'tls').split('\nConnections to')[0].splitlines())
    for n in range(45):
        assert bring(net, sign(mail(gzip.compress(report_of(identity='many-%d' % n))), rsa)).code == 250
    assert until(lambda: len(heard(b)) == 40), len(heard(b))
    assert len([line for line in b.must('report', 'tls').splitlines() if ' by a.test ' in line]) == len(MINE) and ours >= len(MINE)


def test_a_server_without_a_postmaster_or_with_reports_off_sends_none(a, day):
    submit(a, 'open')
    assert until(lambda: 'open.test' in counted(a))
    a.configure(tls_reports='off')
    a.must('reload')
    done = a.command('report', 'tls', 'send')
    assert done.returncode == 1 and 'no reports are sent' in done.stdout + done.stderr
    with contextlib.suppress(KeyError):
        del a.settings['tls_reports']
    a.configure()
    a.must('reload')
