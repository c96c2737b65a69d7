"""Routes: where mail for elsewhere goes by its domain or its sender, with what TLS and which login; and next hops that speak LMTP."""
import contextlib
import re
import socket
import subprocess
import threading

import pytest

import hosts
import network
from certificates import make_chain
from conftest import PASSWORD, until

DNS, A, B, C, PLAIN = '10.99.0.2', '10.99.0.10', '10.99.0.20', '10.99.0.30', '10.99.0.40'
ZONE = network.ZONE_START + '''\
b MX 10 mx.b
mx.b A 10.99.0.20
sub.b MX 10 mx.b
deep.sub.b MX 10 mx.b
c MX 10 mx.c
mx.c A 10.99.0.30
plain MX 10 mx.plain
mx.plain A 10.99.0.40
'''
MESSAGE = b'From: u@a.test\r\nSubject: routed\r\n\r\nbody\r\n'
DOMAINS = ('b.test', 'sub.b.test', 'deep.sub.b.test', 'c.test', 'plain.test')


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [DNS], 'a': [A], 'b': [B], 'c': [C], 'plain': [PLAIN]}, DNS)
    try:
        yield n
    finally:
        n.close()


@pytest.fixture(scope='module')
def chain(place):
    return make_chain(place / 'keys', 'mx.c.test')


@pytest.fixture(scope='module')
def names(net, place):
    n = network.Names(net, 'dns', DNS, place / 'dns', ZONE)
    n.start()
    return n


def receiver(make_server, net, name, **settings):
    """It takes mail for all domains, so that only the route tells where mail arrives."""
    s = make_server(name, domain='%s.test' % name, hostname='mx.%s.test' % name, netns=net.name(name), users=['v', 'w'], start=False,
                    settings=dict({'resolver': DNS, 'sender_checks': 'off'}, **settings))
    for domain in DOMAINS:
        if domain != s.domain:
            s.must('domain', 'add', domain)
            s.must('alias', 'add', 'v@' + domain, 'v@' + s.domain)
    return s.start()


@pytest.fixture(scope='module')
def b(make_server, net, names):
    return receiver(make_server, net, 'b', lmtp_listen='0.0.0.0:24')


@pytest.fixture(scope='module')
def c(make_server, net, names, chain):
    s = receiver(make_server, net, 'c', tls_key=str(chain.key), tls_certificate=str(chain.file))
    s.must('domain', 'add', 'a.test')
    s.add_user('u@a.test')
    return s


@pytest.fixture(scope='module')
def server(make_server, net, names, place, chain, b, c):
    login = place / 'login'
    login.write_text('# one a line\n[mx.c.test]:587 u@a.test:%s\n' % PASSWORD)
    s = make_server('a', domain='a.test', hostname='mx.a.test', netns=net.name('a'), users=['u'],
                    settings={'resolver': DNS, 'trust_anchor': str(names.anchor), 'retry_first': '1s', 'retry_most': '1s', 'tls_authorities': str(chain.authority),
                              'relay_host_login': str(login)})
    s.must('domain', 'add', 'second.test')
    s.must('alias', 'add', 'u@second.test', 'u@a.test')
    return s


@pytest.fixture(autouse=True)
def empty(server, b, c):
    for user in ('v', 'w'):
        b.empty(user + '@b.test')
        c.empty(user + '@c.test')
    yield
    server.empty_queue()
    for line in server.must('route', 'list').splitlines():
        server.must('route', 'remove', line.split()[0])


def arrives(at, recipient, server, sender='u@a.test'):
    hosts.submit(server, [recipient], MESSAGE, sender)
    assert until(lambda: len(at.messages('v@' + at.domain)) == 1, 20), server.log()[-2000:]
    at.empty('v@' + at.domain)


def test_the_nearest_route_is_taken(server, b, c):
    arrives(b, 'v@sub.b.test', server)
    server.must('route', 'add', '.b.test', '[mx.c.test]')
    assert server.must('route', 'list') == '.b.test -> [mx.c.test]\n'
    arrives(c, 'v@sub.b.test', server)
    arrives(c, 'v@deep.sub.b.test', server)
    arrives(b, 'v@b.test', server)  # not below itself
    server.must('route', 'add', 'Sub.B.test', 'mx')
    arrives(b, 'v@sub.b.test', server)
    arrives(c, 'v@deep.sub.b.test', server)
    server.must('route', 'add', '*', 'b.test')
    arrives(b, 'v@c.test', server)
    server.must('route', 'remove', '*')
    arrives(c, 'v@c.test', server)


def test_routes_by_sender_come_behind_those_by_recipient(server, b, c):
    server.must('route', 'add', 'from:Second.test', '[10.99.0.30]:25')
    arrives(c, 'v@b.test', server, 'u@second.test')
    arrives(b, 'v@b.test', server)
    server.must('route', 'add', 'b.test', 'mx')
    arrives(b, 'v@b.test', server, 'u@second.test')


def test_routes_outlive_a_restart_and_go_before_relay_host(server, b, c):
    server.must('route', 'add', 'sub.b.test', 'mx')
    server.configure(relay_host='[mx.c.test]')
    server.stop()
    server.start()
    try:
        arrives(c, 'v@b.test', server)
        arrives(b, 'v@sub.b.test', server)
    finally:
        server.configure(relay_host='')
        server.must('reload')


def relayed(server, name):
    return [line for line in server.log().splitlines() if ' relayed ' in line and 'id=%s ' % name in line]


def the_try(server, recipient):
    name = hosts.submit(server, [recipient], MESSAGE)
    assert until(lambda: relayed(server, name), 20), server.log()[-2000:]
    server.command('queue', 'remove', name)
    return relayed(server, name)[0]


@pytest.fixture(scope='module')
def plain(net, place):
    sink = net.start('plain', 'smtp-sink', '-u', 'nobody', '-h', 'mx.plain.test', '%s:25' % PLAIN, '1000', log=place / 'sink')
    yield
    net.end(sink)


@pytest.mark.parametrize('domain, tls, outcome, text', [
    ('b.test', None, 'delivered', 'tls="TLS'), ('b.test', 'tls=never', 'delivered', 'tls=""'), ('b.test', 'tls=must', 'delivered', 'tls="TLS'),
    ('b.test', 'tls=verified', 'later', 'TLS handshake'),  # its certificate is its own making
    ('c.test', 'tls=verified', 'delivered', ' verified"'),
    ('plain.test', None, 'delivered', 'tls=""'), ('plain.test', 'tls=must', 'later', 'does not offer STARTTLS'), ('plain.test', 'tls=verified', 'later', 'does not offer STARTTLS')])
def test_a_route_says_what_is_wanted_of_tls(server, b, c, plain, domain, tls, outcome, text):
    assert 'outcome=delivered' in the_try(server, 'v@' + domain)  # a connection that stays open is not for what demands more
    if tls:
        server.must('route', 'add', domain, 'mx', tls)
    line = the_try(server, 'v@' + domain)
    assert 'outcome=' + outcome in line and text in line, line


def test_a_route_may_have_a_login(server, c):
    server.must('route', 'add', 'b.test', '[mx.c.test]:587')
    before = len(c.log())
    arrives(c, 'v@b.test', server)
    assert re.search('outcome=ok user=u@a.test protocol=submission', c.log()[before:])
    assert PASSWORD not in server.log()


@pytest.mark.parametrize('words', [('add', 'x y', 'mx'), ('add', 'b.test', 'x y'), ('add', 'b.test', ''), ('add', 'from:', 'mx'), ('add', '', 'mx'), ('add', 'b.test', 'mx', 'tls=yes'),
                                   ('add', 'b.test', 'lmtp:'), ('add', 'x' * 300 + '.test', 'mx'), ('add', 'b.test', '[' + 'x' * 300), ('add', 'b.test', '[10.99.0.20]:25', 'tls=verified'), ('remove', 'unknown.test')])
def test_what_is_no_route_is_refused(server, words):
    done = server.command('route', *words)
    assert done.returncode in (1, 64) and done.stdout + done.stderr and server.must('route', 'list') == ''


# ---- LMTP ----

@pytest.mark.parametrize('hop', ['lmtp:[10.99.0.20]:24', 'lmtp:mx.b.test', 'LMTP:[mx.b.test]:24'])
def test_lmtp_answers_for_each_recipient(server, b, hop):
    server.must('domain', 'add', 'inner.test', hop)
    if 'inner.test' not in b.must('domain', 'list'):
        b.must('domain', 'add', 'inner.test')
        b.must('alias', 'add', 'v@inner.test', 'v@b.test')
        b.must('alias', 'add', 'w@inner.test', 'w@b.test')
    try:
        with server.smtp() as s:
            assert s.send_message('u@a.test', ['v@inner.test', 'nobody@inner.test', 'w@inner.test'], MESSAGE).code == 250
        assert until(lambda: b.messages('v@b.test') and b.messages('w@b.test'), 20), server.log()[-2000:]
        assert b'with LMTPS' in b.messages('v@b.test')[0]
        (bounce,) = hosts.arrived(server, 'u@a.test')
        assert b'nobody@inner.test' in bounce and b'5.1.1' in bounce and b'v@inner.test\r\n' not in bounce.split(b'delivery-status')[1]
    finally:
        server.must('domain', 'remove', 'inner.test')
        server.empty('u@a.test')


@contextlib.contextmanager
def lmtp_server(net, port, end):
    """On the same machine; `end` is what it says to the end of a message."""
    with network.inside(net.name('a')):
        listener = socket.create_server(('127.0.0.1', port))
    said = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, client.makefile('rb') as lines:
                    client.sendall(b'220 inner\r\n')
                    for line in lines:
                        said.append(line)
                        client.sendall(b'250-inner\r\n250 PIPELINING\r\n' if line.startswith(b'LHLO') else b'354 go\r\n' if line == b'DATA\r\n' else end if line == b'.\r\n' else
                                       b'250 ok\r\n' if line[:4] in (b'MAIL', b'RCPT', b'RSET') else b'221 bye\r\n' if line == b'QUIT\r\n' else b'')
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield said
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize('port, end, waiting, failed', [
    (8024, b'250 ok\r\n451 4.2.0 later\r\n550 5.2.2 full\r\n', {'w'}, {'x'}), (8025, b'250 ok\r\n250 ok\r\n250 ok\r\n', set(), set()),
    (8026, b'250 ok\r\n421 4.3.2 gone\r\n', {'w', 'x'}, set())])
def test_each_answer_is_for_its_recipient(server, net, port, end, waiting, failed):
    server.empty('u@a.test')
    server.must('domain', 'add', 'inner.test', 'lmtp:[127.0.0.1]:%d' % port)
    try:
        with lmtp_server(net, port, end) as said:
            with server.smtp() as s:
                reply = s.send_message('u@a.test', [user + '@inner.test' for user in 'vwx'], MESSAGE)
            name = reply.split()[-1]
            assert until(lambda: len(relayed(server, name)) >= 3, 20), (said, server.log()[-2000:])
            outcomes = {re.search(r'to=(\w)@', line)[1]: re.search(r'outcome=(\w+)', line)[1] for line in relayed(server, name)[:3]}
            assert outcomes == {user: 'later' if user in waiting else 'failed' if user in failed else 'delivered' for user in 'vwx'}
            assert said[0].startswith(b'LHLO mx.a.test')
            server.command('queue', 'remove', name)
    finally:
        server.empty_queue()
        server.must('domain', 'remove', 'inner.test')
        server.empty('u@a.test')


def test_postfix_own_sink_takes_mail_by_lmtp(server, net, place):
    sink = net.start('plain', 'smtp-sink', '-L', '-u', 'nobody', '%s:2400' % PLAIN, '1000', log=place / 'lmtp-sink')
    try:
        server.must('route', 'add', 'c.test', 'lmtp:[mx.plain.test]:2400')
        line = the_try(server, 'v@c.test')
        assert 'outcome=delivered' in line and ':2400' in line, line
    finally:
        net.end(sink)
