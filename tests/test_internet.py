"""The whole way of a letter into an internet of our own: names from the root on, receivers by others, and what can be wrong with them. The
table is destination x fault -> outcome."""
import contextlib
import re
import socket
import threading

import pytest

import hosts
import internet
import network
from certificates import make_chain
from conftest import until
from test_mta_sts import A_OUTSIDE, Case, WEB, WEB_PRIVATE, WEB_WRONG, Web, policy

NSD, DNS, A, P, E, O, B = ('10.99.0.%d' % n for n in (2, 3, 10, 20, 30, 40, 50))
SINKS = {'fine': [], 'slow': ['-w', '2'], 'gone': ['-q', '.'], 'gonedata': ['-q', 'DATA'], 'soft': ['-r', 'RCPT'], 'softdot': ['-r', '.'],
         'hard': ['-f', 'RCPT'], 'harddot': ['-f', '.'], 'old': ['-e'], 'hello': ['-f', 'EHLO'], 'mail': ['-r', 'MAIL']}
SINK_AT = {name: '10.99.0.%d' % (100 + i) for i, name in enumerate(SINKS)}
FAKES = {'lying': b'454 4.7.0 not now\r\n', 'talking': b'220 go\r\n220 I said go\r\n', 'closing': None, 'busy': b'', 'full': b''}
FAKE_AT = {name: '10.99.0.%d' % (150 + i) for i, name in enumerate(FAKES)}
MX, TLSA = '{0} MX 10 mx.{0}\nmx.{0} A {1}\n', '_25._tcp.mx.{0} TLSA 3 1 1 {1}\n'
OFFICES = {'p': P, 'e': E, 'o': O, 'c': B}  # Postfix, Exim, OpenSMTPD, carteiro
PROVED, ENCRYPTED, CLEAR, WAITS, BOUNCED = 'proved', 'encrypted', 'clear', 'waits', 'bounced'

TABLE = [
    # what has no fault
    ('v@fine.p.test', PROVED, ''), ('v@fine.e.test', PROVED, ''), ('v@fine.c.test', PROVED, ''), ('v@none.o.test', CLEAR, ''),
    ('v@none.p.test', ENCRYPTED, ''), ('v@none.e.test', ENCRYPTED, ''), ('v@none.c.test', ENCRYPTED, ''), ('v@fine.s.test', CLEAR, ''),
    # their words
    ('later@none.p.test', WAITS, '450 4.2.0 <later@none.p.test>: Recipient address rejected: come again'), ('never@none.p.test', BOUNCED, '5.7.1'),
    ('later@none.e.test', WAITS, '451 4.2.0 come again'), ('never@none.e.test', BOUNCED, '5.7.1'), ('never@none.o.test', BOUNCED, r'5\.\d+\.\d+'),
    ('nobody@none.c.test', BOUNCED, '5.1.1'),
    # DANE: other keys; records that nothing proves; records, and no TLS
    ('v@wrong.p.test', WAITS, 'TLS handshake: '), ('v@wrong.e.test', WAITS, 'TLS handshake: '), ('v@wrong.c.test', WAITS, 'TLS handshake: '),
    ('v@fine.o.test', WAITS, 'TLS is a must here'),
    ('v@p.dark.test', ENCRYPTED, ''), ('v@e.dark.test', ENCRYPTED, ''), ('v@o.dark.test', CLEAR, ''), ('v@c.dark.test', ENCRYPTED, ''),
    # MTA-STS
    ('v@stsgood.test', ENCRYPTED, ''), ('v@stsbad.test', WAITS, 'is none of the hosts that the MTA-STS policy of stsbad.test names'),
    ('v@stsname.test', WAITS, 'does not fit the MTA-STS policy of stsname.test (hostname mismatch)'), ('v@stsplain.test', WAITS, 'TLS is a must here'),
    # the DNS
    ('v@bogus.test', WAITS, 'the answer fails DNSSEC'), ('v@lame.test', WAITS, 'mail exchangers of lame.test'), ('v@nothing.test', BOUNCED, '5.1.2'),
    ('v@null.test', BOUNCED, '5.1.10'), ('v@unreached.test', WAITS, 'connect'), ('v@loop.test', BOUNCED, '5.4.6'),
    # servers that misbehave
    ('v@slow.s.test', CLEAR, ''), ('v@gone.s.test', WAITS, 'connection lost before the answer to the message, which may have been taken'), ('v@gonedata.s.test', WAITS, 'reply to '),
    ('v@soft.s.test', WAITS, '450 '), ('v@softdot.s.test', WAITS, '450 '), ('v@hard.s.test', BOUNCED, r'5\.\d+\.\d+'), ('v@harddot.s.test', BOUNCED, r'5\.\d+\.\d+'),
    ('v@old.s.test', CLEAR, ''), ('v@hello.s.test', CLEAR, ''), ('v@mail.s.test', WAITS, '450 '),
    ('v@lying.s.test', CLEAR, ''), ('v@closing.s.test', CLEAR, ''), ('v@talking.s.test', CLEAR, ''),
    ('v@lyingdane.s.test', WAITS, 'TLS is a must here'), ('v@closingdane.s.test', WAITS, 'TLS'),
    ('v@busy.s.test', WAITS, '421 4.3.2 come again'), ('v@full.s.test', WAITS, '554 5.3.2 no service'),
    # the first host is one of these, the second takes the mail
    ('v@second.s.test', CLEAR, ''), ('v@third.s.test', CLEAR, ''),
]
STS = {'stsgood': Case('enforce', P, ENCRYPTED), 'stsbad': Case('enforce', P, WAITS, patterns=('other.test',)), 'stsname': Case('enforce', P, WAITS),
       'stsplain': Case('enforce', O, WAITS)}
MESSAGE = b'From: u@a.test\r\nTo: <v@x.test>\r\nSubject: hello\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@a.test>\r\n\r\nbody\r\n'


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [NSD, DNS], 'a': [A, A_OUTSIDE], 'p': [P], 'e': [E], 'o': [O], 'b': [B], 'sinks': list(SINK_AT.values()),
                         'fakes': list(FAKE_AT.values()), 'web': [WEB, WEB_WRONG, WEB_PRIVATE]}, DNS)
    try:
        yield n
    finally:
        n.close()


@pytest.fixture(scope='module')
def chains(place):
    offices = ['mx.%s.%s.test' % (kind, office) for office in OFFICES for kind in ('fine', 'none', 'wrong')]
    web = make_chain(place / 'web', *('mta-sts.%s.test' % name for name in STS))
    return {'mx': make_chain(place / 'mx', 'mx.stsgood.test', 'mx.stsbad.test', *offices), 'web': web, 'wrong': web}


@pytest.fixture(scope='module')
def names(net, place, chains):
    spki = chains['mx'].facts['spki']
    zones = {'.': '', 'test': ''}
    for name, case in STS.items():
        zones['test'] += MX.format(name, case.mx) + '_mta-sts.%s TXT "v=STSv1; id=1"\nmta-sts.%s A %s\n' % (name, name, WEB)
    zones['test'] += 'null MX 0 .\nunreached MX 10 mx.unreached\nmx.unreached A 10.99.0.2\nloop MX 10 mx.loop\nmx.loop A 127.0.0.1\nnothing TXT "x"\n'
    zones['test'] += ''.join('crowd MX 10 mx%d.crowd\n' % n + ''.join('mx%d.crowd A 10.99.0.%d\n' % (n, at) for at in (2, 3)) for n in range(100))
    zones['test'] += 'lame NS ns.lame\nns.lame A %s\n' % E  # where no names are
    zones['a.test'] = '@ MX 10 mx\nmx A %s\n' % A
    zones['bogus.test'] = '@ MX 10 mx\nmx A %s\n' % P
    zones['dark.test'] = ''
    for office, at in OFFICES.items():
        zones[office + '.test'] = ''.join(MX.format(kind, at) for kind in ('fine', 'none', 'wrong')) + TLSA.format('fine', spki) + TLSA.format('wrong', '0' * 64)
        zones['dark.test'] += MX.format(office, at) + TLSA.format(office, '0' * 64)
    zones['s.test'] = ''.join(MX.format(name, at) for name, at in {**SINK_AT, **FAKE_AT}.items())
    for name in 'lying', 'closing':
        zones['s.test'] += MX.format(name + 'dane', FAKE_AT[name]) + TLSA.format(name + 'dane', spki)
    zones['s.test'] += 'second MX 10 mx.busy\nsecond MX 20 mx.fine\nthird MX 10 mx.gonedata\nthird MX 20 mx.full\nthird MX 30 mx.fine\n'
    n = internet.Roots(net, 'dns', NSD, DNS, place / 'dns', zones, unsigned=('dark.test',))
    n.spoil('bogus.test', '10 mx.bogus.test.', '20 mx.bogus.test.')
    n.start()
    return n


def settings(names, **more):
    return {'resolver': DNS, 'trust_anchor': str(names.anchor), 'retry_first': '1s', 'retry_most': '1s', **more}


@pytest.fixture(scope='module')
def offices(net, place, chains, names, make_server):
    """Who takes mail for what: the mailbox v of each; Exim knows no other."""
    def domains(office):
        return ['none.%s.test' % office, 'fine.%s.test' % office, 'wrong.%s.test' % office, office + '.dark.test', 'stsgood.test', 'stsbad.test', 'stsname.test', 'stsplain.test', 'bogus.test']
    made = {'p': internet.postfix(net, 'p', P, place / 'postfix', chains['mx'], domains('p')),
            'e': internet.exim(net, 'e', E, place / 'exim', chains['mx'], domains('e')),
            'o': internet.opensmtpd(net, 'o', O, place / 'opensmtpd', domains('o'))}
    b = make_server('b', domain='none.c.test', hostname='mx.none.c.test', netns=net.name('b'), users=['v'],
                    settings=settings(names, tls_key=str(chains['mx'].key), tls_certificate=str(chains['mx'].file)))
    for domain in domains('c')[1:4]:
        b.must('domain', 'add', domain)
        b.must('alias', 'add', 'v@' + domain, 'v@none.c.test')
    for peer in made.values():
        peer.start()
    yield {**{name: lambda peer=peer: peer.messages('v') for name, peer in made.items()}, 'c': lambda: b.messages('v@none.c.test')}
    for peer in made.values():
        peer.stop()


@pytest.fixture(scope='module')
def sinks(net, place):
    folder = place / 'sinks'
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    running = [net.start('sinks', 'smtp-sink', '-u', 'nobody', '-R', str(folder), '-D', name + '.%M.', '-h', 'mx.%s.test' % name, *options, '%s:25' % SINK_AT[name], '100',
                         log=place / 'sink') for name, options in SINKS.items()]
    yield folder
    for one in running:
        net.end(one)


class Liar:
    """Offers STARTTLS, and does something else; without it, takes mail. One thread a connection."""

    def __init__(self, net, name):
        self.name, self.taken = name, []
        with network.inside(net.name('fakes')):
            self.listener = socket.create_server((FAKE_AT[name], 25))
        self.listener.settimeout(0.1)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while not self.is_over.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self.listener.accept()
                threading.Thread(target=self.session, args=(client,), daemon=True).start()

    def session(self, client):
        with client, contextlib.suppress(OSError, EOFError):
            client.settimeout(10)
            if self.name in ('busy', 'full'):
                client.sendall({'busy': b'421 4.3.2 come again\r\n', 'full': b'554 5.3.2 no service\r\n'}[self.name])
                return
            client.sendall(b'220 mx.%s.s.test ESMTP\r\n' % self.name.encode())
            while True:
                line = hosts.read_line(client).upper()
                if line.startswith(b'EHLO'):
                    client.sendall(b'250-mx\r\n250 STARTTLS\r\n')
                elif line.startswith(b'STARTTLS') and FAKES[self.name] is None:
                    return
                elif line.startswith(b'STARTTLS'):
                    client.sendall(FAKES[self.name])
                elif line.startswith(b'DATA'):
                    client.sendall(b'354 go\r\n')
                    data = b''
                    while not data.endswith(b'\r\n.\r\n'):
                        data += client.recv(65536)
                    self.taken.append(data)
                    client.sendall(b'250 2.0.0 taken\r\n')
                else:
                    client.sendall(b'250 2.0.0 ok\r\n')

    def end(self):
        self.is_over.set()
        self.thread.join()
        self.listener.close()


@pytest.fixture(scope='module')
def liars(net):
    made = {name: Liar(net, name) for name in FAKES}
    yield made
    for liar in made.values():
        liar.end()


@pytest.fixture(scope='module')
def web(net, chains):
    web = Web(net, chains)
    web.texts = {name: policy(name, case) for name, case in STS.items()}
    yield web
    web.close()


@pytest.fixture(scope='module')
def server(make_server, net, place, names, offices, sinks, liars, web, chains):
    both = place / 'authorities'
    both.write_bytes(chains['web'].authority.read_bytes() + chains['mx'].authority.read_bytes())
    return make_server('a', domain='a.test', hostname='mx.a.test', netns=net.name('a'), users=['u'], settings=settings(names, tls_authorities=str(both)))


def tries(server, name):
    return [line for line in server.log().splitlines() if ' relayed ' in line and 'id=%s ' % name in line]


@pytest.fixture(autouse=True)
def empty(server):
    server.empty('u@a.test')
    yield
    server.empty_queue()


@pytest.mark.parametrize('recipient, outcome, text', TABLE, ids=[row[0] for row in TABLE])
def test_what_becomes_of_mail(server, offices, recipient, outcome, text):
    name = hosts.submit(server, [recipient], MESSAGE.replace(b'v@x.test', recipient.encode()))
    if outcome == WAITS:
        assert until(lambda: len(tries(server, name)) >= 2, 30), server.log()[-2000:]  # and does not change its mind
        assert all('outcome=later' in line for line in tries(server, name)), tries(server, name)
        shown = server.must('queue', 'show', name)
        assert text in shown, shown
        server.must('queue', 'remove', name)
    elif outcome == BOUNCED:
        bounce = hosts.the_bounce_of(server, recipient)
        assert re.fullmatch(text, bounce['Status']), bounce.as_string()
    else:
        assert until(lambda: any('outcome=delivered' in line for line in tries(server, name)), 40), tries(server, name) or server.log()[-2000:]
        tls = re.search(r' tls="?([^"]*?)"? text=', tries(server, name)[-1])[1]
        assert {PROVED: tls.endswith(' DANE'), ENCRYPTED: tls.startswith('TLSv1.') and 'DANE' not in tls, CLEAR: tls == ''}[outcome], tries(server, name)
    assert until(lambda: server.must('queue', 'list').startswith('0 messages'))


def test_of_many_hosts_five_addresses_are_tried(server):
    """All of them refuse the connection. RFC 5321 §5.1: at least two are to be tried, and a domain may have any number."""
    name = hosts.submit(server, ['v@crowd.test'], MESSAGE)
    assert until(lambda: len(tries(server, name)) >= 2)
    first = server.log().split(tries(server, name)[0])[0]
    assert first.count('crowd.test[') == 5, first[-3000:]


def test_what_was_delivered_is_there_once(server, offices, sinks, liars):
    """Of the table's rows, by the Message-ID of each."""
    for office in OFFICES:
        server.empty('u@a.test')
        wanted = b'Subject: once to %s\r\n' % office.encode()
        kind = 'none'
        name = hosts.submit(server, ['v@%s.%s.test' % (kind, office)], MESSAGE.replace(b'Subject: hello\r\n', wanted))
        assert until(lambda: any('outcome=delivered' in line for line in tries(server, name)), 40), server.log()[-2000:]
        assert until(lambda: any(wanted.strip() in m for m in offices[office]()), 20), office
        (one,) = [m for m in offices[office]() if wanted.strip() in m]
        assert one.replace(b'\r\n', b'\n').endswith(b'\n\nbody\n')
    assert until(lambda: list(sinks.glob('fine.*')))
    assert [len(liars[name].taken) for name in ('lying', 'closing', 'talking')] == [1, 1, 1]


def test_what_is_refused_for_its_content_comes_back(server):
    for office in 'p', 'e':
        server.empty('u@a.test')
        hosts.submit(server, ['v@none.%s.test' % office], MESSAGE.replace(b'Subject: hello', b'Subject: never'))
        bounce = hosts.the_bounce_of(server, 'v@none.%s.test' % office)
        assert bounce['Status'] == '5.7.1' and 'such content is not wanted' in bounce['Diagnostic-Code']
