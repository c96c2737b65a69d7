"""What a domain demands of mail to it by an MTA-STS policy (RFC 8461): what is delivered, with what proof, and what waits. The table is
domain x fault -> outcome. The web server stands on addresses of the world, since those of private networks are asked for nothing."""
import contextlib
import http.server
import re
import ssl
import sys
import threading

import pytest

import hosts
import network
from certificates import make_chain, openssl
from conftest import until

DNS, A, GOOD, WRONG, SELF, OLD, PLAIN, WEB_PRIVATE = ('10.99.0.%d' % n for n in (2, 10, 20, 30, 50, 60, 70, 80))
STRIPPED = hosts.FAKE
A_OUTSIDE, WEB, WEB_WRONG = '192.0.2.10', '192.0.2.80', '192.0.2.81'
PROVED, WAITS, CLEAR, ENCRYPTED, BY_DANE = 'verified', 'waits', 'clear', 'encrypted', 'DANE'


class Case:
    """mode    of the policy; None: there is none
    mx        the addresses behind the domain's mx
    patterns  of the policy; {d}: the domain
    text      in the queue or the log
    web       what the web server does instead of giving the policy; its address
    txt       records in place of the usual one"""

    def __init__(self, mode, mx, outcome, text=None, patterns=('mx.{d}.test',), web=None, at=WEB, txt=None, zone=''):
        self.mode, self.mx, self.outcome, self.text, self.patterns, self.web, self.at, self.txt, self.zone = mode, mx, outcome, text, patterns, web, at, txt, zone


UNFITTING = 'the certificate of mx.{d}.test does not fit the MTA-STS policy of {d}.test ('
CASES = {
    'good': Case('enforce', GOOD, PROVED),
    'wild': Case('enforce', GOOD, PROVED, patterns=('other.test', '*.wild.test')),
    'upper': Case('enforce', GOOD, PROVED, patterns=('MX.Upper.TEST',)),
    'none': Case('none', PLAIN, CLEAR, patterns=()),
    'nothing': Case(None, PLAIN, CLEAR, txt=()),
    # the receiver
    'wrong': Case('enforce', WRONG, WAITS, UNFITTING + 'hostname mismatch)'),
    'self': Case('enforce', SELF, WAITS, UNFITTING + 'self-signed certificate)'),
    'old': Case('enforce', OLD, WAITS, UNFITTING + 'certificate has expired)'),
    'plain': Case('enforce', PLAIN, WAITS, "TLS is a must here (the domain's MTA-STS policy): the server does not offer STARTTLS"),
    'stripped': Case('enforce', STRIPPED, WAITS, "TLS is a must here (the domain's MTA-STS policy): 454"),
    'unnamed': Case('enforce', GOOD, WAITS, 'mx.unnamed.test is none of the hosts that the MTA-STS policy of unnamed.test names', patterns=('*.mx.unnamed.test', 'unnamed.test')),
    'second': Case('enforce', WRONG, PROVED, zone='second MX 20 mx2.second\nmx2.second A %s\n' % GOOD, patterns=('*.second.test',)),
    # the same with a policy for testing
    'twrong': Case('testing', WRONG, ENCRYPTED, 'mta-sts-tested level=warning host=mx.twrong.test[10.99.0.30]:25 domain=twrong.test why="hostname mismatch"'),
    'tplain': Case('testing', PLAIN, CLEAR, 'mta-sts-tested level=warning host=mx.tplain.test[10.99.0.70]:25 domain=tplain.test why="there is no TLS"'),
    'tunnamed': Case('testing', PLAIN, CLEAR, 'mta-sts-unnamed-host level=warning domain=tunnamed.test host=mx.tunnamed.test', patterns=('a.test',)),
    'tgood': Case('testing', GOOD, ENCRYPTED),
    # what is no policy: as without
    'redirect': Case('enforce', PLAIN, CLEAR, 'mta-sts.redirect.test: the server answers with 302', web='redirect'),
    'missing': Case('enforce', PLAIN, CLEAR, 'mta-sts.missing.test: the server answers with 404', web='missing'),
    'huge': Case('enforce', PLAIN, CLEAR, 'mta-sts.huge.test: the answer is too large', web='huge'),
    'endless': Case('enforce', PLAIN, CLEAR, 'mta-sts.endless.test: the answer is too large', web='endless'),
    'headers': Case('enforce', PLAIN, CLEAR, 'mta-sts.headers.test: the answer is too large', web='headers'),
    'html': Case('enforce', PLAIN, CLEAR, 'mta-sts.html.test: the answer is not text/plain', web='html'),
    'rubbish': Case('rubbish', PLAIN, CLEAR, 'domain=rubbish.test why="its mode is none of enforce, testing and none"'),
    'cut': Case('enforce', PLAIN, CLEAR, 'https://mta-sts.cut.test: ', web='cut'),
    'webname': Case('enforce', PLAIN, CLEAR, "domain=webname.test why=\"https://mta-sts.webname.test: SSL certificate problem: hostname mismatch", at=WEB_WRONG),
    'private': Case('enforce', PLAIN, CLEAR, 'mta-sts.private.test: its address 10.99.0.80 is refused', at=WEB_PRIVATE),
    'loopback': Case('enforce', PLAIN, CLEAR, 'mta-sts.loopback.test: its address 127.0.0.1 is refused', at='127.0.0.1'),
    'noweb': Case('enforce', PLAIN, CLEAR, 'mta-sts.noweb.test: it has no address', at=None),
    'closed': Case('enforce', PLAIN, CLEAR, 'https://mta-sts.closed.test: ', at=GOOD),
    'two': Case('enforce', PLAIN, CLEAR, 'mta-sts-no-record level=warning domain=two.test why="it has several TXT records"', txt=('v=STSv1; id=1', 'v=STSv1; id=2')),
    'badid': Case('enforce', PLAIN, CLEAR, 'mta-sts-no-record level=warning domain=badid.test', txt=('v=STSv1; id=a-b',)),
    'others': Case('enforce', GOOD, PROVED, txt=('v=STSv1; id=1', 'google-site-verification=x')),
    # TLSA records say all (§2)
    'dane': Case('enforce', WRONG, BY_DANE, patterns=('nowhere.test',), zone='_25._tcp.mx.dane TLSA 3 1 1 {spki}\n'),
    'undane': Case('enforce', GOOD, WAITS, 'TLS handshake: ', zone='_25._tcp.mx.undane TLSA 3 1 1 {spki}\n'),
}
# used by tests of their own
MORE = {
    'slow': Case('enforce', PLAIN, CLEAR, web='slow'),
    'kept': Case('enforce', PLAIN, WAITS),
    'changed': Case('enforce', PLAIN, WAITS, txt=('v=STSv1; id=1',)),
    'brief': Case('enforce', PLAIN, WAITS),
    'renewed': Case('enforce', GOOD, PROVED),
    'late': Case('enforce', GOOD, PROVED, web='slow'),
}
MANY = {'many%d' % n: Case('enforce', GOOD, PROVED, web='slow') for n in range(40)}
ALL = dict(CASES, **MORE, **MANY)


def records(domain, case):
    txt = ('v=STSv1; id=20261129T1;',) if case.txt is None else case.txt
    return '%s MX 10 mx.%s\nmx.%s A %s\n' % (domain, domain, domain, case.mx) + case.zone + ''.join(
        '_mta-sts.%s TXT "%s"\n' % (domain, one) for one in txt) + ('mta-sts.%s A %s\n' % (domain, case.at) if case.at else '')


def zone_of(cases, chains):
    return network.ZONE_START + ''.join(records(domain, case) for domain, case in cases.items()).format(**chains['wrong'].facts)


class Web:
    """The web server of all domains: GET requests by host, and what is answered."""

    def __init__(self, net, chains):
        self.asked, self.texts, self.doings = [], {}, {}
        self.release = threading.Event()
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                domain = self.headers['Host'].split('.')[1]
                web.asked.append((domain, self.path))
                with contextlib.suppress(OSError):
                    getattr(web, web.doings.get(domain) or 'give')(self, domain)

            def log_message(self, *words):
                pass
        self.servers = []
        for address, chain in ((WEB, chains['web']), (WEB_PRIVATE, chains['web']), (WEB_WRONG, chains['wrong'])):
            with network.inside(net.name('web')):
                server = http.server.ThreadingHTTPServer((address, 443), Handler)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain.file, chain.key)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            server.daemon_threads = True
            server.handle_error = lambda *words: None
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)

    def close(self):
        self.release.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    @staticmethod
    def answer(handler, status, headers, body):
        handler.send_response(status)
        for pair in headers.items():
            handler.send_header(*pair)
        handler.end_headers()
        handler.wfile.write(body)

    def give(self, handler, domain, kind='text/plain; charset=utf-8', status=200, **more):
        body = self.texts[domain].encode()
        self.answer(handler, status, {'Content-Type': kind, 'Content-Length': str(len(body)), **more}, body)

    def redirect(self, handler, domain):
        self.give(handler, domain, status=302, Location='https://mta-sts.good.test/.well-known/mta-sts.txt')

    def missing(self, handler, domain):
        self.give(handler, domain, status=404)

    def html(self, handler, domain):
        self.give(handler, domain, kind='text/html')

    def huge(self, handler, domain):
        self.answer(handler, 200, {'Content-Type': 'text/plain', 'Content-Length': '10000000000'}, self.texts[domain].encode())
        self.release.wait()

    def endless(self, handler, domain):
        self.answer(handler, 200, {'Content-Type': 'text/plain'}, self.texts[domain].encode())
        while True:
            handler.wfile.write(b'x: ' + 1000 * b'y' + b'\n')

    def headers(self, handler, domain):
        handler.send_response(200)
        handler.flush_headers()
        while True:
            handler.wfile.write(b'X-More: ' + 1000 * b'y' + b'\r\n')

    def cut(self, handler, domain):
        self.answer(handler, 200, {'Content-Type': 'text/plain', 'Content-Length': '5000'}, self.texts[domain].encode())

    def slow(self, handler, domain):
        self.answer(handler, 200, {'Content-Type': 'text/plain', 'Content-Length': '5000'}, b'version: STSv1\n')
        self.release.wait()


def policy(domain, case, max_age=86400):
    return 'version: STSv1\r\nmode: %s\r\n' % case.mode + ''.join('mx: %s\r\n' % p.format(d=domain) for p in case.patterns) + 'max_age: %d\r\n' % max_age


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [DNS], 'a': [A, A_OUTSIDE], 'mx': [GOOD, WRONG, SELF, OLD, PLAIN], 'web': [WEB, WEB_WRONG, WEB_PRIVATE], 'fake': [STRIPPED]}, DNS)
    try:
        yield n
    finally:
        n.close()


@pytest.fixture(scope='module')
def chains(place):
    names = ['mx.%s.test' % domain for domain in ALL] + ['mx2.second.test']
    made = {'good': make_chain(place / 'good', *names), 'wrong': make_chain(place / 'wrong', 'elsewhere.test'), 'old': make_chain(place / 'old', *names, days=-1),
            'web': make_chain(place / 'web', *('mta-sts.%s.test' % domain for domain in ALL))}
    folder = place / 'self'
    folder.mkdir()
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=mx.self.test',
            '-addext', 'subjectAltName=DNS:mx.self.test', '-keyout', str(folder / 'key'), '-out', str(folder / 'chain'))
    made['self'] = made['good']._replace(key=folder / 'key', file=folder / 'chain')
    return made


@pytest.fixture(scope='module')
def authorities(place, chains):
    path = place / 'authorities'
    path.write_text(''.join(chains[name].authority.read_text() for name in ('good', 'wrong', 'old', 'web')))
    return path


@pytest.fixture(scope='module')
def names(net, place, chains):
    n = network.Names(net, 'dns', DNS, place / 'dns', zone_of(ALL, chains))
    n.start()
    return n


@pytest.fixture(scope='module')
def web(net, chains):
    w = Web(net, chains)
    for domain, case in ALL.items():
        w.texts[domain], w.doings[domain] = policy(domain, case), case.web
    yield w
    w.close()


@pytest.fixture(scope='module')
def receivers(net, place, chains):
    started = [net.start('mx', 'smtp-sink', '-u', 'nobody', '-h', 'mx.plain.test', '%s:25' % PLAIN, '1000', log=place / 'sink')]
    for address, chain in ((GOOD, 'good'), (WRONG, 'wrong'), (SELF, 'self'), (OLD, 'old')):
        started.append(net.start('mx', sys.executable, '-m', 'aiosmtpd', '-n', '-l', '%s:25' % address, '-c', 'aiosmtpd.handlers.Sink',
                                 '--tlscert', str(chains[chain].file), '--tlskey', str(chains[chain].key), log=place / chain / 'log'))

    def strip(client):
        """Somebody on the way, who wants no TLS."""
        client.sendall(b'220 mx.stripped.test ESMTP\r\n')
        hosts.read_line(client)
        client.sendall(b'250-mx.stripped.test\r\n250 STARTTLS\r\n')
        hosts.read_line(client)
        client.sendall(b'454 4.7.0 TLS not available\r\n')
        return hosts.read_line(client)
    with hosts.fake_server(net, strip) as said:
        yield said
    for process in started:
        net.end(process)


@pytest.fixture(scope='module')
def server(make_server, net, names, authorities, web, receivers):
    return make_server('a', domain='a.test', hostname='mx.a.test', netns=net.name('a'), users=['u'],
                       settings={'resolver': DNS, 'trust_anchor': str(names.anchor), 'retry_first': '1s', 'retry_most': '1s', 'tls_authorities': str(authorities)})


MESSAGE = b'From: u@a.test\r\nSubject: sts\r\n\r\nbody\r\n'


def send(server, domain):
    return hosts.submit(server, ['v@%s.test' % domain], MESSAGE)


def relayed(server, name):
    """The log's lines about a message's tries."""
    return [line for line in server.log().splitlines() if ' relayed ' in line and 'id=%s ' % name in line]


def delivered(server, name, seconds=20):
    assert until(lambda: any('outcome=delivered' in line for line in relayed(server, name)), seconds), server.log()[-3000:]
    return relayed(server, name)[-1]


def waits(server, name, text):
    """Two tries more, and it does not change its mind. No server has taken the message."""
    before = len(relayed(server, name))
    assert until(lambda: len(relayed(server, name)) >= before + 2, 30), server.log()[-3000:]
    assert all('outcome=later' in line and 'status=4.7.5' in line for line in relayed(server, name)), relayed(server, name)
    shown = server.must('queue', 'show', name)
    assert text in shown, shown
    assert text in server.must('trace', name)


@pytest.mark.parametrize('domain', CASES)
def test_mail_leaves_as_the_policy_demands_or_waits(server, receivers, domain):
    case = CASES[domain]
    text = (case.text or '').format(d=domain)
    name = send(server, domain)
    if case.outcome == WAITS:
        waits(server, name, text)
        server.must('queue', 'remove', name)
        assert not any(isinstance(said, bytes) and said != b'QUIT\r\n' for said in receivers)
        return
    line = delivered(server, name)
    tls = re.search(r' tls="?([^"]*?)"? text=', line)[1]
    assert {PROVED: tls.endswith(' verified'), BY_DANE: tls.endswith(' DANE'), CLEAR: tls == '',
            ENCRYPTED: tls.startswith('TLSv1.3 ') and not re.search('DANE|verified', tls)}[case.outcome], line
    assert text in server.log()
    if domain == 'second':
        assert 'host=mx2.second.test[' in line


@pytest.mark.parametrize('domain, status', [('good', b'5.7.30'), ('wrong', b'5.7.10'), ('unnamed', b'5.7.10'), ('tgood', b'5.7.30')])
def test_what_requires_tls_comes_back_where_it_cannot_leave_so(server, receivers, domain, status):
    """RFC 8689: from a server that proves itself and does not offer REQUIRETLS, and from those that do not prove themselves."""
    server.empty('u@a.test')
    with server.smtp('submission') as s:
        s.tls()
        assert s.plain('u@a.test', hosts.PASSWORD).code == 235
        assert s.send_message('u@a.test', ['v@%s.test' % domain], MESSAGE, ' REQUIRETLS').code == 250
    (bounce,) = hosts.arrived(server, 'u@a.test')
    assert b'Status: ' + status in bounce, bounce


@pytest.mark.parametrize('domain', ['unnamed', 'stripped', 'plain'])
def test_what_says_that_tls_does_not_matter_leaves_in_spite_of_a_policy(server, receivers, domain):
    name = hosts.submit(server, ['v@%s.test' % domain], b'TLS-Required: No\r\n' + MESSAGE)
    lines = lambda: [line for line in server.log().splitlines() if ' relayed ' in line and 'id=%s ' % name in line]  # noqa: E731
    assert until(lambda: any('outcome=delivered' in line for line in lines()) or (domain == 'stripped' and receivers), 20), server.log()[-2000:]
    server.command('queue', 'remove', name)


def test_nobody_is_asked_who_should_not_be(server, web):
    """Only the one file, and nothing behind an address that is none of the world's."""
    assert {path for _, path in web.asked} == {'/.well-known/mta-sts.txt'}
    assert 'good' in dict(web.asked) and not {'private', 'webname', 'two', 'badid', 'nothing'} & set(dict(web.asked))


def test_a_policy_that_is_remembered_is_not_fetched_again_and_a_failure_neither(server, web):
    before = [domain for domain, _ in web.asked]
    assert before.count('good') == 1 and before.count('missing') == 1
    for domain in ('good', 'missing', 'nothing'):
        delivered(server, send(server, domain))
    assert [domain for domain, _ in web.asked] == before


def test_a_slow_server_holds_up_its_own_domain_alone(server, web):
    web.release.clear()
    name = send(server, 'slow')
    assert until(lambda: ('slow', '/.well-known/mta-sts.txt') in web.asked)
    second = send(server, 'slow')
    delivered(server, send(server, 'good'))
    assert not relayed(server, name) and not relayed(server, second)
    web.release.set()
    assert 'tls=""' in delivered(server, name) and 'tls=""' in delivered(server, second)
    assert [domain for domain, _ in web.asked].count('slow') == 1
    assert 'https://mta-sts.slow.test: ' in server.log()


def test_a_policy_holds_when_its_server_and_record_have_gone_and_over_restarts(server, web, names, chains):
    must = "TLS is a must here (the domain's MTA-STS policy)"
    name = send(server, 'kept')
    waits(server, name, must)
    web.doings['kept'] = 'missing'
    names.stop_nsd()
    names.sign(zone_of({domain: case for domain, case in ALL.items() if domain != 'kept'}, chains) + 'kept MX 10 mx.kept\nmx.kept A %s\n' % PLAIN)
    names.start_nsd()
    names.wait()
    waits(server, name, must)
    server.stop()
    server.start()
    waits(server, name, must)
    for roles in (['resolve'], ['store'], ['resolve', 'store']):
        for role in roles:
            server.kill_role(role)
        server.wait_all_running()
        waits(server, name, must)
    server.must('queue', 'remove', name)
    assert [domain for domain, _ in web.asked].count('kept') == 1


def test_another_id_brings_another_policy(server, web, names, chains):
    name = send(server, 'changed')
    waits(server, name, "TLS is a must here (the domain's MTA-STS policy)")
    web.texts['changed'] = policy('changed', Case('none', PLAIN, CLEAR))
    waits(server, name, "TLS is a must here (the domain's MTA-STS policy)")
    names.stop_nsd()
    ALL['changed'].txt = ('v=STSv1; id=2',)
    names.sign(zone_of(ALL, chains))
    names.start_nsd()
    names.wait()
    delivered(server, name)
    assert [domain for domain, _ in web.asked].count('changed') == 2


def test_a_policy_ends_after_its_max_age(server, web):
    web.texts['brief'] = policy('brief', MORE['brief'], max_age=4)
    name = send(server, 'brief')
    assert until(lambda: relayed(server, name), 20)
    web.doings['brief'] = 'missing'
    assert 'outcome=later' in relayed(server, name)[0]
    delivered(server, name, 30)


def test_a_policy_is_renewed_before_it_ends(server, web):
    web.texts['renewed'] = policy('renewed', MORE['renewed'], max_age=20)
    delivered(server, send(server, 'renewed'))
    web.doings['renewed'] = 'slow'  # nobody waits for it
    web.release.clear()

    def is_asked_again():
        assert ' verified"' in delivered(server, send(server, 'renewed'), 5)
        return until(lambda: [domain for domain, _ in web.asked].count('renewed') == 2, 3)  # until the connection is closed
    assert until(is_asked_again, 40)
    web.release.set()


def test_many_slow_servers_are_asked_a_bounded_number_at_once(server, web):
    """The others' mail waits for their turn, that of domains whose policies are known does not."""
    web.release.clear()
    sent = [send(server, domain) for domain in MANY]
    assert until(lambda: len(MANY.keys() & set(dict(web.asked))) >= 32)
    assert ' verified"' in delivered(server, send(server, 'good'))
    assert len(MANY.keys() & set(dict(web.asked))) == 32
    for domain in MANY:
        web.doings[domain] = None
    web.release.set()
    assert sum(' verified"' in delivered(server, name) for name in sent) == 8  # the first 32 got but a part of their policies
    assert MANY.keys() <= set(dict(web.asked))


def test_another_resolver_while_a_policy_is_fetched(server, web):
    web.release.clear()
    name = send(server, 'late')
    assert until(lambda: ('late', '/.well-known/mta-sts.txt') in web.asked)
    web.doings['late'] = None
    server.configure(dnssec='off')
    server.must('reload')
    try:
        assert ' verified"' in delivered(server, name)
        assert 'outcome=later' in relayed(server, name)[0] and 'the resolver is being changed' in relayed(server, name)[0]
    finally:
        web.release.set()
        server.configure(dnssec='on')
        server.must('reload')
