"""TLS that the receiver's DNS demands (RFC 7672): what is delivered, with what proof, and what waits. The table is
destination x fault -> outcome."""
import hashlib
import pathlib
import re
import subprocess

import pytest

import hosts
import network
from certificates import make_chain, openssl
from conftest import until

DNS, A, B, PLAIN, FINGER = '10.99.0.2', '10.99.0.10', '10.99.0.20', '10.99.0.30', '10.99.0.40'
# name of the domain: lines of the zone, what becomes of its mail, and a text of the log or of the queue
CASES = {
    'ee': ('mx.ee A {b}\n_25._tcp.mx.ee TLSA 3 1 1 {spki}', 'proved', None),
    'whole': ('mx.whole A {b}\n_25._tcp.mx.whole TLSA 3 0 0 {leaf}', 'proved', None),
    'long': ('mx.long A {b}\n_25._tcp.mx.long TLSA 3 1 2 {spki512}', 'proved', None),
    'both': ('mx.both A {b}\n_25._tcp.mx.both TLSA 3 1 1 {wrong}\n_25._tcp.mx.both TLSA 3 1 1 {spki}', 'proved', None),
    # an issuer is looked for under the host's name, or the domain's that the mail is for
    'ta': ('', 'proved', None),
    'named': ('mx.named A {b}\n_25._tcp.mx.named TLSA 2 0 1 {ca}', 'proved', None),
    'stranger': ('mx.stranger A {b}\n_25._tcp.mx.stranger TLSA 2 0 1 {ca}', 'waits', 'TLS handshake: '),
    'wrong': ('mx.wrong A {b}\n_25._tcp.mx.wrong TLSA 3 1 1 {wrong}', 'waits', 'TLS handshake: '),
    # what cannot be used still says that there is TLS (RFC 7672 §2.2)
    'pkix': ('mx.pkix A {b}\n_25._tcp.mx.pkix TLSA 1 1 1 {wrong}', 'encrypted', None),
    'odd': ('mx.odd A {b}\n_25._tcp.mx.odd TLSA 3 1 1 {short}\n_25._tcp.mx.odd TLSA 3 9 1 {wrong}', 'encrypted', None),
    'garbage': ('mx.garbage A {b}\n_25._tcp.mx.garbage TLSA 3 0 0 {short}', 'encrypted', None),
    'none': ('mx.none A {b}', 'encrypted', None),
    'bare': ('mx.bare A {plain}\n_25._tcp.mx.bare TLSA 3 1 1 {spki}', 'waits', 'TLS is a must here (DANE, REQUIRETLS or a login): the server does not offer STARTTLS'),
    'pkixbare': ('mx.pkixbare A {plain}\n_25._tcp.mx.pkixbare TLSA 1 1 1 {wrong}', 'waits', 'TLS is a must here'),
    'clear': ('mx.clear A {plain}', 'clear', None),
    # the DNS itself: spoiled records, and those that nothing proves
    'spoiled': ('mx.spoiled A {b}\n_25._tcp.mx.spoiled TLSA 3 1 1 {spki}', 'waits', 'TLSA records of mx.spoiled.test: the answer fails DNSSEC'),
    'second': ('mx.second A {b}\nsecond MX 20 mx2.second\nmx2.second A {b}\n_25._tcp.mx.second TLSA 3 1 1 {wrong}\n_25._tcp.mx2.second TLSA 3 1 1 {spki}',
               'proved', None),
    # names that lead elsewhere: the records stand there, or at the name itself
    'alias': ('mx.alias CNAME mx.ee', 'proved', None),
    'aliaswrong': ('mx.aliaswrong CNAME mx.wrong', 'waits', 'TLS handshake: '),
    'ownrecord': ('mx.ownrecord CNAME mx.none\n_25._tcp.mx.ownrecord TLSA 3 1 1 {spki}', 'proved', None),
}


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [DNS], 'a': [A], 'b': [B], 'plain': [PLAIN], 'finger': [FINGER]}, DNS)
    try:
        yield n
    finally:
        n.close()


def spoil(signed):
    """Another record than the one that was signed."""
    spoiled, count = re.subn(r'(?m)^(_25\._tcp\.mx\.spoiled\.test\.\s+\d+\s+IN\s+TLSA\s+3 1 1 )\S\S', r'\g<1>00', signed)
    assert count == 1
    return spoiled


@pytest.fixture(scope='module')
def chain(place):
    return make_chain(place / 'keys', 'mx.ta.test', 'named.test')


@pytest.fixture(scope='module')
def names(net, place, chain):
    zone = network.ZONE_START + 'mx.ta A %s\n_25._tcp.mx.ta TLSA 2 0 1 %s\n' % (B, chain.facts['ca'])
    for domain, (lines, _, _) in CASES.items():
        zone += '%s MX 10 mx.%s\n%s\n' % (domain, domain, lines.format(b=B, plain=PLAIN, **chain.facts))
    n = network.Names(net, 'dns', DNS, place / 'dns', zone, spoil)
    n.start()
    return n


MESSAGE = b'From: u@a.test\r\nSubject: dane\r\n\r\nbody\r\n'


def receiver(make_server, net, name, **settings):
    s = make_server(name, domain='%s.test' % name, hostname='mx.%s.test' % name, netns=net.name(name), users=['v'], start=False, settings=settings)
    for domain in CASES:
        s.must('domain', 'add', domain + '.test')
        s.must('alias', 'add', 'v@%s.test' % domain, 'v@%s.test' % name)
    return s.start()


@pytest.fixture(scope='module')
def b(make_server, net, chain, names):
    return receiver(make_server, net, 'b', tls_key=str(chain.key), tls_certificate=str(chain.file), resolver=DNS, trust_anchor=str(names.anchor))


@pytest.fixture(scope='module')
def plain(net, place, names):
    """Takes everything, and knows no TLS."""
    sink = net.start('plain', 'smtp-sink', '-u', 'nobody', '-h', 'mx.plain.test', '%s:25' % PLAIN, '1000', log=place / 'sink')
    yield sink
    net.end(sink)


@pytest.fixture(scope='module')
def server(make_server, net, names, b, plain):
    return make_server('a', domain='a.test', hostname='mx.a.test', netns=net.name('a'), users=['u'],
                       settings={'resolver': DNS, 'trust_anchor': str(names.anchor), 'retry_first': '1s', 'retry_most': '1s'})


def relayed(server, name):
    """The log's lines about a message's tries."""
    return [line for line in server.log().splitlines() if ' relayed ' in line and 'id=%s ' % name in line]


def delivered(server, name):
    assert until(lambda: any('outcome=delivered' in line for line in relayed(server, name)), 20), relayed(server, name)
    return relayed(server, name)[-1]


@pytest.mark.parametrize('domain', CASES)
def test_mail_leaves_as_the_dns_demands_or_waits(server, domain):
    outcome, text = CASES[domain][1:]
    name = hosts.submit(server, ['v@%s.test' % domain], MESSAGE)
    if outcome == 'waits':
        assert until(lambda: len(relayed(server, name)) >= 2, 20), server.log()[-2000:]  # and does not change its mind
        assert all('outcome=later' in line for line in relayed(server, name)), relayed(server, name)
        shown = server.must('queue', 'show', name)
        assert text in shown, shown
        server.must('queue', 'remove', name)
        return
    line = delivered(server, name)
    tls = re.search(r' tls="?([^"]*?)"? text=', line)[1]
    assert {'proved': tls.endswith(' DANE'), 'encrypted': tls.startswith('TLSv1.3 ') and 'DANE' not in tls, 'clear': tls == ''}[outcome], line
    if domain == 'second':
        assert 'host=mx2.second.test[' in line


def test_a_next_hop_with_a_port_is_known_by_its_name(server, b):
    server.must('domain', 'add', 'byport.test', 'named.test:25')
    try:
        if 'byport.test' not in b.must('domain', 'list'):
            b.must('domain', 'add', 'byport.test')
            b.must('alias', 'add', 'v@byport.test', 'v@b.test')
        assert ' DANE"' in delivered(server, hosts.submit(server, ['v@byport.test'], MESSAGE))
    finally:
        server.must('domain', 'remove', 'byport.test')


def test_without_dnssec_nothing_is_demanded(server):
    server.configure(dnssec='off')
    server.must('reload')
    try:
        assert until(lambda: 'DANE' not in delivered(server, hosts.submit(server, ['v@wrong.test'], MESSAGE)), 20)
        delivered(server, hosts.submit(server, ['v@bare.test'], MESSAGE))
    finally:
        server.configure(dnssec='on')
        server.must('reload')


def test_setup_prints_a_record_of_the_key(b):
    key = openssl('x509', '-in', str(b.data / 'keys/tls.crt'), '-noout', '-pubkey')
    digest = hashlib.sha256(openssl('pkey', '-pubin', '-outform', 'DER', stdin=key)).hexdigest()
    assert '; _25._tcp.mx.b.test. 3600 IN TLSA 3 1 1 %s\n' % digest in b.setup_output


def test_postfix_finds_our_receiver_proved_too(net, names, b, place):
    """It believes what a resolver on its own machine says that it has validated."""
    (place / 'validating.conf').write_text('''server:
 interface: 127.0.0.1
 username: ""
 chroot: ""
 directory: "%s"
 pidfile: "%s/validating.pid"
 use-syslog: no
 do-not-query-localhost: no
 local-zone: "test." nodefault
 trust-anchor-file: "%s"
remote-control:
 control-enable: no
forward-zone:
 name: "."
 forward-addr: %s
''' % (place, place, names.anchor, DNS))
    resolver = net.start('finger', 'unbound', '-d', '-c', str(place / 'validating.conf'), log=place / 'validating.log')
    pathlib.Path('/etc/netns', net.name('finger'), 'resolv.conf').write_text('nameserver 127.0.0.1\noptions trust-ad\n')

    def verdict():
        done = subprocess.run(['ip', 'netns', 'exec', net.name('finger'), 'posttls-finger', '-c', '-l', 'dane', '-L', 'summary', 'ee.test'],
                              capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr
    try:
        assert until(lambda: 'Verified TLS connection established to mx.ee.test[' in verdict(), 20), verdict()
    finally:
        net.end(resolver)


# ---- REQUIRETLS (RFC 8689) ----

def submit_secret(server, recipient, what=MESSAGE, options=' REQUIRETLS'):
    with server.smtp('submission') as s:
        s.tls()
        assert s.plain('u@a.test', hosts.PASSWORD).code == 235
        reply = s.send_message('u@a.test', [recipient], what, options)
    assert reply.code == 250, reply
    return reply.split()[-1]


@pytest.mark.parametrize('domain, status', [
    ('ee', None), ('ta', None), ('clear', '5.7.10'), ('none', '5.7.10'), ('wrong', '5.7.10'), ('bare', '5.7.10'), ('pkix', '5.7.10')])
def test_a_message_that_requires_tls_leaves_proved_or_comes_back_at_once(server, b, domain, status):
    server.empty('u@a.test')
    b.empty('v@b.test')
    name = submit_secret(server, 'v@%s.test' % domain)
    if not status:
        assert ' DANE' in delivered(server, name)
        (got,) = hosts.arrived(b, 'v@b.test')
        return
    (bounce,) = hosts.arrived(server, 'u@a.test')
    assert b'Status: ' + status.encode() in bounce and b'text/rfc822-headers' in bounce, bounce
    assert b.messages('v@b.test') == []


def test_a_bounce_of_a_secret_message_is_as_secret(server, b):
    """It leaves with REQUIRETLS, where that is possible, and its header alone is in it (RFC 8689 §5)."""
    b.empty('v@b.test')
    with server.smtp() as s:
        s.tls()
        assert s.command('MAIL FROM:<v@ee.test> REQUIRETLS RET=FULL').code == 250
        assert s.command('RCPT TO:<u@a.test> NOTIFY=SUCCESS').code == 250
        assert s.data(MESSAGE).code == 250
    (report,) = hosts.arrived(b, 'v@b.test')
    assert b'text/rfc822-headers' in report


@pytest.mark.parametrize('domain, outcome', [('bare', 'clear'), ('wrong', 'encrypted'), ('spoiled', 'encrypted')])
def test_a_message_may_say_that_tls_does_not_matter(server, domain, outcome):
    """To tell a postmaster that his certificate is wrong; it opens no door for the mail behind it."""
    lax = b'TLS-Required: No\r\n' + MESSAGE
    line = delivered(server, hosts.submit(server, ['v@%s.test' % domain], lax))
    assert ('tls=""' in line) == (outcome == 'clear') and ' DANE' not in line
    name = hosts.submit(server, ['v@%s.test' % domain], MESSAGE)
    assert until(lambda: relayed(server, name), 20) and 'outcome=later' in relayed(server, name)[0]
    server.must('queue', 'remove', name)
    server.empty('u@a.test')
    if domain != 'spoiled':  # which may be well again tomorrow
        submit_secret(server, 'v@%s.test' % domain, lax)  # REQUIRETLS counts more than the field
        hosts.arrived(server, 'u@a.test')
