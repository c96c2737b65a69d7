"""All mail for elsewhere by another server: with a login, over TLS that is proved, and never otherwise."""
import base64
import contextlib
import re
import socket
import ssl
import subprocess
import threading

import pytest

import hosts
import network
from certificates import make_chain
from conftest import CARTEIRO, PASSWORD, until

DNS, A, B, C, FAKE = '10.99.0.2', '10.99.0.10', '10.99.0.20', '10.99.0.30', '10.99.0.40'
ZONE = network.ZONE_START + '''\
b MX 10 mx.b
mx.b A 10.99.0.20
mx.c A 10.99.0.30
mx.other A 10.99.0.30
c MX 10 mx.c
mx.fake A 10.99.0.40
provider MX 10 mx.fake
self MX 10 mx.a
mx.a A 10.99.0.10
'''
MESSAGE = b'From: u@a.test\r\nSubject: by another\r\n\r\nbody\r\n'


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [DNS], 'a': [A], 'b': [B], 'c': [C], 'fake': [FAKE]}, DNS)
    try:
        yield n
    finally:
        n.close()


@pytest.fixture(scope='module')
def chain(place):
    return make_chain(place / 'keys', 'mx.c.test', 'mx.fake.test')


@pytest.fixture(scope='module')
def names(net, place):
    n = network.Names(net, 'dns', DNS, place / 'dns', ZONE)
    n.start()
    return n


@pytest.fixture(scope='module')
def b(make_server, net, names):
    return make_server('b', domain='b.test', hostname='mx.b.test', netns=net.name('b'), users=['v', 'w'],
                       settings={'resolver': DNS, 'trust_anchor': str(names.anchor), 'sender_checks': 'off'})


@pytest.fixture(scope='module')
def c(make_server, net, names, chain, b):
    """The one that sends on what its user u@a.test gives it."""
    s = make_server('c', domain='c.test', hostname='mx.c.test', netns=net.name('c'), start=False,
                    settings={'resolver': DNS, 'trust_anchor': str(names.anchor), 'tls_key': str(chain.key), 'tls_certificate': str(chain.file), 'plaintext_login': 'off'})
    s.must('domain', 'add', 'a.test')
    s.add_user('u@a.test')
    return s.start()


@pytest.fixture(scope='module')
def server(make_server, net, names, place, chain, c):
    login = place / 'login'
    login.write_text('u@a.test:%s\n' % PASSWORD)
    login.chmod(0o600)  # root's alone
    return make_server('a', domain='a.test', hostname='mx.a.test', netns=net.name('a'), users=['u', 'x'],
                       settings={'resolver': DNS, 'trust_anchor': str(names.anchor), 'retry_first': '1s', 'retry_most': '1s', 'tls_authorities': str(chain.authority),
                                 'relay_host': '[mx.c.test]:587', 'relay_host_login': str(login)})


@pytest.fixture
def configured(server):
    """Settings for one test."""
    before = dict(server.settings)

    def configure(**settings):
        server.configure(**settings)
        server.must('reload')
    yield configure
    server.configure(**before)
    server.must('reload')


@pytest.fixture(autouse=True)
def empty(server, b):
    b.empty('v@b.test')
    b.empty('w@b.test')
    yield
    server.empty_queue()


def waits(server, name, why):
    assert until(lambda: why in server.must('queue', 'show', name), 20), server.must('queue', 'show', name) + server.log()[-1500:]


@pytest.mark.parametrize('relay_host', ['[mx.c.test]:587', '[mx.c.test]:465', 'c.test:587', '[MX.c.test]:587'])
def test_mail_goes_by_the_other_server_with_a_login(server, b, c, configured, relay_host):
    configured(relay_host=relay_host)
    before = len(c.log())
    name = hosts.submit(server, ['v@b.test', 'w@b.test'], MESSAGE)
    assert until(lambda: len(b.messages('v@b.test')) == 1 and len(b.messages('w@b.test')) == 1, 20), server.log()[-2000:]
    (got,) = b.messages('v@b.test')
    assert b'from mx.c.test' in got and b'by mx.c.test (carteiro) with ESMTPSA' in got and b'body' in got
    assert c.log()[before:].count('login level=info outcome=ok user=u@a.test protocol=submission') == 1  # both recipients in one transaction
    line = [line for line in server.log().splitlines() if ' relayed ' in line and name in line][-1]
    assert ' verified"' in line and 'outcome=delivered' in line
    assert PASSWORD not in server.log() and PASSWORD not in c.log()


def test_mail_for_our_own_users_stays_here(server):
    server.empty('x@a.test')
    hosts.submit(server, ['x@a.test'], MESSAGE)
    assert until(lambda: len(server.messages('x@a.test')) == 1)


def test_a_wrong_password_lets_mail_wait(server, b, configured, place):
    wrong = place / 'wrong'
    wrong.write_text('u@a.test:%s' % (PASSWORD + 'x'))
    configured(relay_host_login=str(wrong))
    name = hosts.submit(server, ['v@b.test'], MESSAGE)
    waits(server, name, 'the server refuses relay_host_login: 535 ')
    wrong.write_text('u@a.test:%s' % PASSWORD)
    server.must('reload')
    assert until(lambda: len(b.messages('v@b.test')) == 1, 30), server.must('queue', 'list')


@pytest.mark.parametrize('text', [None, '', 'nothing', ':x', 'x:', 'a' * 2000 + ':b'])
def test_a_file_that_says_no_login_lets_mail_wait_and_is_in_the_log(server, configured, place, text):
    bad = place / 'bad'
    bad.unlink(missing_ok=True)
    if text is not None:
        bad.write_text(text)
    configured(relay_host_login=str(bad))
    name = hosts.submit(server, ['v@b.test'], MESSAGE)
    waits(server, name, 'relay_host_login could not be read')
    assert re.search(r'no-relay-login .*why=.*%s' % bad, server.log())


@pytest.mark.parametrize('relay_host, why', [('[mx.other.test]:587', 'TLS handshake: '), ('[10.99.0.30]:587', 'no password for a server that has not proved its name')])
def test_the_password_is_shown_to_nobody_else(server, c, configured, relay_host, why):
    configured(relay_host=relay_host)
    before = len(c.log())
    name = hosts.submit(server, ['v@b.test'], MESSAGE)
    waits(server, name, why)
    assert ' login ' not in c.log()[before:]


def test_an_unknown_authority_proves_nothing(server, c, configured, place):
    other = make_chain(place / 'others', 'mx.c.test')
    server.configure(tls_authorities=str(other.authority))
    server.stop()
    server.start()
    try:
        name = hosts.submit(server, ['v@b.test'], MESSAGE)
        waits(server, name, 'TLS handshake: ')
    finally:
        server.settings['tls_authorities'] = str(place / 'keys/ca.pem')
        server.configure()
        server.stop()
        server.start()


@contextlib.contextmanager
def fake(net, replies, chain=None, hold=None):
    """A server on port 587 that has an answer to each line's first word; what it was told, and whether by TLS. At `hold`, (word, event), it waits
    before it answers."""
    said = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if chain:
        context.load_cert_chain(chain.file, chain.key)

    def talk_to(client):
        with contextlib.suppress(OSError):
            client.sendall(b'220 mx.fake.test\r\n')
            lines, is_secure = client.makefile('rb'), False
            for line in iter(lambda: lines.readline(), b''):
                word = line.split()[0].upper()
                said.append((line, is_secure))
                if hold and word == hold[0] and (is_secure or not chain):
                    hold[1].wait(30)
                client.sendall(replies.get(word, b'221 bye\r\n' if word == b'QUIT' else b'354 go\r\n' if word == b'DATA' else b'250 ok\r\n'))
                if word == b'STARTTLS' and chain:
                    client = context.wrap_socket(client, server_side=True)
                    lines, is_secure = client.makefile('rb'), True
                while word == b'DATA' and lines.readline() not in (b'.\r\n', b''):
                    pass
                if word == b'DATA':
                    client.sendall(b'250 taken\r\n')

    def serve(listener):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk_to, args=[listener.accept()[0]], daemon=True).start()
    with network.inside(net.name('fake')):
        listener = socket.create_server((FAKE, 587))
    thread = threading.Thread(target=serve, args=[listener], daemon=True)
    thread.start()
    try:
        yield said
    finally:
        if hold:
            hold[1].set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


OFFERS = {b'EHLO': b'250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n', b'STARTTLS': b'220 go\r\n', b'AUTH': b'235 in\r\n'}


def words(said):
    return [line.split()[0].upper() for line, _ in said]


def test_a_host_that_only_the_dns_names_is_not_shown_the_password(server, net, chain, configured):
    """Its certificate is good for its own name, and its own name is whatever an answer says that nothing proves."""
    configured(relay_host='provider.test:587', dnssec='off')
    with fake(net, OFFERS, chain) as said:
        name = hosts.submit(server, ['v@b.test'], MESSAGE)
        waits(server, name, 'TLS handshake: ')
    assert b'STARTTLS' in words(said) and b'AUTH' not in words(said)


def test_a_reload_shows_no_password_to_the_server_before(server, b, net, place, chain, configured):
    configured(relay_host='[mx.fake.test]:587')
    event = threading.Event()
    with fake(net, OFFERS, chain, (b'EHLO', event)) as said:
        hosts.submit(server, ['v@b.test'], MESSAGE)
        assert until(lambda: (b'EHLO', True) in [(line.split()[0], is_secure) for line, is_secure in said], 20), said
        configured(relay_host='[mx.c.test]:587')
        event.set()
        assert until(lambda: len(b.messages('v@b.test')) == 1, 30), server.must('queue', 'list')
    assert b'AUTH' not in words(said)


def test_a_reload_in_the_middle_of_a_login_tells_no_other_password(server, b, net, place, chain, configured):
    """The name was asked for by the server before; the answer would be the next one's."""
    other = place / 'other'
    other.write_text('newname:newsecret\n')
    key = base64.b64encode(b'newname').upper()
    offers = {b'EHLO': b'250-x\r\n250-STARTTLS\r\n250 AUTH LOGIN\r\n', b'STARTTLS': b'220 go\r\n', b'AUTH': b'334 VXNlcm5hbWU6\r\n', key: b'334 UGFzc3dvcmQ6\r\n'}
    configured(relay_host='[mx.fake.test]:587')
    event = threading.Event()
    with fake(net, offers, chain, (b'AUTH', event)) as said:
        hosts.submit(server, ['v@b.test'], MESSAGE)
        assert until(lambda: b'AUTH' in words(said), 20), said
        before = len(server.log())
        configured(relay_host='[mx.c.test]:587', relay_host_login=str(other))
        event.set()
        assert until(lambda: 'in the middle of the login' in server.log()[before:], 20), server.log()[before:]
    assert not any(base64.b64encode(secret) in line for line, _ in said for secret in (b'newname', b'newsecret')), said


def test_a_connection_from_before_a_login_was_wanted_is_not_used_again(server, b, net, configured):
    configured(relay_host='[mx.fake.test]:587', relay_host_login='')
    login, event = server.settings['relay_host_login'], threading.Event()
    with fake(net, {}, None, (b'DATA', event)) as said:
        hosts.submit(server, ['v@b.test'], MESSAGE)
        assert until(lambda: b'DATA' in words(said), 20)
        configured(relay_host_login=login or str(server.folder / 'nothing'))
        event.set()
        name = hosts.submit(server, ['w@b.test'], MESSAGE)
        waits(server, name, 'TLS is a must here')
    assert words(said).count(b'MAIL') == 1


@pytest.mark.parametrize('relay_host', ['[nosuch.test]:587', 'nosuch.test', '[mx.a.test]', 'self.test'])
def test_a_relay_host_that_is_none_bounces_nothing(server, b, configured, relay_host):
    configured(relay_host=relay_host)
    name = hosts.submit(server, ['v@b.test'], MESSAGE)
    assert until(lambda: name in server.must('queue', 'list') and 'attempts=1' in server.must('queue', 'show', name), 20), server.log()[-1000:]
    assert until(lambda: 'next-hop-unusable level=error' in server.log())
    configured(relay_host='[mx.c.test]:587')
    assert until(lambda: len(b.messages('v@b.test')) == 1, 30), server.must('queue', 'list')


@pytest.mark.parametrize('verb', ['hold', 'remove'])
def test_what_waits_for_its_turn_is_held_or_removed_and_does_not_leave(server, net, configured, verb):
    configured(relay_host='[mx.fake.test]:587', relay_host_login='', relay_connections='1')
    server.stop()  # places that were offered before stay
    server.start()
    event = threading.Event()
    with fake(net, {}, None, (b'DATA', event)) as said:
        hosts.submit(server, ['v@b.test'], MESSAGE)
        assert until(lambda: b'DATA' in words(said), 20)
        name = hosts.submit(server, ['w@b.test'], MESSAGE)
        server.must('queue', verb, name)
        event.set()
        assert until(lambda: [n for n in re.findall(r'(?m)^([0-9a-z]{26}) ', server.must('queue', 'list'))] == ([name] if verb == 'hold' else []), 20), server.must('queue', 'list')
        assert not until(lambda: any(b'w@b.test' in line for line, _ in said), 1.5)
        if verb == 'hold':
            server.must('queue', 'release', name)
            assert until(lambda: any(b'w@b.test' in line for line, _ in said), 20)


@pytest.mark.parametrize('replies', [{b'EHLO': b'250-x\r\n250 AUTH PLAIN LOGIN\r\n'}, {b'EHLO': b'250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n', b'STARTTLS': b'454 4.7.0 no\r\n'}])
def test_without_tls_there_is_no_login_and_no_mail(server, net, configured, replies):
    configured(relay_host='[mx.fake.test]:587')
    with fake(net, replies) as said:
        name = hosts.submit(server, ['v@b.test'], MESSAGE)
        waits(server, name, 'TLS is a must here')
    assert said and not set(words(said)) & {b'AUTH', b'MAIL'}


def test_one_that_wants_a_login_and_was_given_none_lets_mail_wait(server, net, configured):
    configured(relay_host='[mx.fake.test]:587', relay_host_login='')
    with fake(net, {b'MAIL': b'530 5.7.0 Authentication required\r\n'}):
        name = hosts.submit(server, ['v@b.test'], MESSAGE)
        waits(server, name, '530 5.7.0 Authentication required')


@pytest.mark.parametrize('relay_host', ['smtp.example.net:', '[smtp.example.net', '[]:25', 'a b', '[x]:99999', '[x]:0', 'x:y', ':25'])
def test_what_is_no_host_is_refused_with_its_line(server, place, relay_host):
    text = server.config_file.read_text()
    file = place / 'refused.conf'
    file.write_text(re.sub(r'(?m)^relay_host = .*$', 'relay_host = ' + relay_host, text))
    done = subprocess.run([CARTEIRO, '-c', str(file), 'check'], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78 and re.search(r'refused\.conf:\d+: relay_host ', done.stdout + done.stderr), done


# ---- domains that are relayed ----

@pytest.mark.parametrize('hop', ['b.test', 'b.test:25', '[mx.b.test]', '[10.99.0.20]', '[10.99.0.20]:25'])
def test_mail_for_a_relayed_domain_is_taken_from_strangers_and_goes_to_its_next_hop(server, b, hop):
    if 'inner.test' not in b.must('domain', 'list'):
        b.must('domain', 'add', 'inner.test')
        b.must('alias', 'add', 'postmaster@inner.test', 'v@b.test')
        b.must('alias', 'add', 'v@inner.test', 'v@b.test')
    assert server.send('v@inner.test', MESSAGE).startswith('550 5.7.1 ')
    server.must('domain', 'add', 'inner.test', hop)
    try:
        assert 'inner.test -> %s\n' % hop in server.must('domain', 'list')
        assert server.send('V@Inner.test', MESSAGE, 'stranger@remote.example').code == 250
        assert server.send('postmaster@inner.test', MESSAGE, 'stranger@remote.example').code == 250  # its own, and not ours
        assert until(lambda: len(b.messages('v@b.test')) == 2, 20), server.log()[-1500:]
        assert all(m.startswith(b'Return-Path: <stranger@remote.example>') for m in b.messages('v@b.test'))
        with server.smtp() as s:  # what its own server has rewritten comes back to it; who belongs here is no stranger
            s.command('MAIL FROM:<>')
            assert s.command('RCPT TO:<SRS0=AbCd=XY=sender.example=joe@inner.test>').code == 250
        with server.imap('x'):
            pass
        server.add_user('here@inner.test')
        assert server.send('here@inner.test', MESSAGE).code == 250
        assert until(lambda: len(server.messages('here@inner.test')) == 1)
        # nobody there comes back as a bounce
        assert server.send('nobody@inner.test', MESSAGE, 'u@a.test').code == 250
        assert until(lambda: any(b'5.1.1' in m and b'nobody@inner.test' in m for m in server.messages('u@a.test')), 20)
        server.empty('u@a.test')
    finally:
        server.command('user', 'remove', 'here@inner.test')
        server.must('domain', 'remove', 'inner.test')
    assert server.send('v@inner.test', MESSAGE).startswith('550 5.7.1 ')


def test_a_relayed_domains_server_may_be_on_this_machine(server, b, net, place):
    with network.inside(net.name('a')):
        listener = socket.create_server(('127.0.0.1', 8025))
    got = []

    def serve():
        client, _ = listener.accept()
        with client, client.makefile('rb') as lines:
            client.sendall(b'220 lists\r\n')
            for line in lines:
                got.append(line)
                client.sendall(b'354 go\r\n' if line.upper() == b'DATA\r\n' else b'250 ok\r\n' if line.startswith((b'EHLO', b'MAIL', b'RCPT')) or line == b'.\r\n' else b'')
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    server.must('domain', 'add', 'lists.test', '[127.0.0.1]:8025')
    try:
        assert server.send('all@lists.test', MESSAGE, 'stranger@remote.example').code == 250
        assert until(lambda: b'.\r\n' in got, 20), (got, server.log()[-1500:])
        assert b'RCPT TO:<all@lists.test>\r\n' in got
    finally:
        server.must('domain', 'remove', 'lists.test')
        listener.close()


@pytest.mark.parametrize('hop', ['', ':25', '[x', 'a b', '-x'])
def test_a_domain_is_not_relayed_to_what_is_no_host(server, hop):
    done = server.command('domain', 'add', 'inner.test', hop)
    assert done.returncode == 64 and 'inner.test' not in server.must('domain', 'list')
