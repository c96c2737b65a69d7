"""Limits for strangers, who come by a proxy that says who they are: PROXY (HAProxy's) and XCLIENT (Postfix's)."""
import contextlib
import email
import itertools
import re
import socket
import struct
import subprocess

import pytest

import talk
from conftest import PASSWORD, until
from ports import free_ports

US, PROXY, BOX = 'u@example.test', '127.0.2.1', '127.0.3.1'
clients = ('198.51.%d.%d' % (n // 250, n % 250 + 1) for n in itertools.count())
V2 = b'\r\n\r\n\0\r\nQUIT\n'


@pytest.fixture(scope='module')
def server(make_server):
    s = make_server(settings={'proxies': PROXY, 'xclient_hosts': BOX, 'sender_checks': 'off', 'greeting_delay': '0', 'connections_per_address': '3',
                              'connections_per_minute': '8', 'messages_per_hour': '4', 'unknown_per_hour': '5'})
    s.add_user('u')
    return s


@pytest.fixture
def client():
    """An address that no other test comes from."""
    return next(clients)


def header(client):
    return b'PROXY TCP%d %s %s 1 25\r\n' % (6 if ':' in client else 4, client.encode(), b'::1' if ':' in client else b'127.0.0.1')


def stranger(server, client, **options):
    return talk.Smtp(server.ports['smtp'], source=PROXY, first=header(client), **options)


def first_reply(server, client):
    with talk.Line(server.ports['smtp'], source=PROXY, first=header(client)) as line:
        return int(line.line()[:3])


def inbox(server):
    got = server.messages(US)
    server.empty(US)
    return [email.message_from_bytes(m) for m in got]


# ---- whose connection it is ----

@pytest.mark.parametrize('first, said', [
    (b'PROXY TCP4 192.0.2.77 198.51.100.1 56324 25\r\n', '[192.0.2.77]'), (b'PROXY TCP6 2001:db8::77 2001:db8::1 1 25\r\n', '[IPv6:2001:db8::77]'),
    (b'PROXY UNKNOWN\r\n', '[127.0.2.1]'), (V2 + b'\x20\0\0\0', '[127.0.2.1]'),
    (V2 + b'\x21\x11\0\x0c' + socket.inet_aton('192.0.2.78') * 2 + struct.pack('>HH', 1, 25), '[192.0.2.78]'),
    (V2 + b'\x21\x21\0\x27' + socket.inet_pton(socket.AF_INET6, '2001:db8::78') * 2 + struct.pack('>HH', 1, 25) + b'\x04\0\0', '[IPv6:2001:db8::78]')])
def test_a_proxy_says_whose_connection_it_brings(server, first, said):
    with talk.Smtp(server.ports['smtp'], source=PROXY, first=first) as s:
        assert s.send_message('x@remote.example', [US], b'Subject: s\r\n\r\nb\r\n').code == 250
    (got,) = inbox(server)
    assert said in got['Received']


def test_the_header_may_come_in_pieces_and_with_what_follows_it(server, client):
    with talk.Line(server.ports['smtp'], source=PROXY) as line:
        for byte in header(client):
            line.send(bytes([byte]))
        assert line.line().startswith(b'220 ')
    with talk.Line(server.ports['smtp'], source=PROXY, first=header(client) + b'NOOP\r\n') as line:
        assert line.line().startswith(b'220 ') and line.line() == b'250 2.0.0 Ok'


def test_tls_begins_behind_the_header(server, client):
    with socket.create_connection(('127.0.0.1', server.ports['imaps']), 10, (PROXY, 0)) as raw:
        raw.sendall(header(client))
        with talk.loose_tls().wrap_socket(raw) as tls:
            assert tls.recv(100).startswith(b'* OK')


@pytest.mark.parametrize('first', [b'EHLO client.example\r\n', b'PROXY TCP4 1.2.3.4\r\n', b'PROXY TCP4 ' + b'1' * 200, V2 + b'\x21\x11\xff\xff', b'\x16\x03\x01'])
def test_a_proxy_that_says_nothing_or_nonsense_is_not_served(server, first):
    with talk.Line(server.ports['smtp'], source=PROXY, first=first) as line:
        assert line.is_closed()
    assert until(lambda: 'proxy=%s' % PROXY in server.log() and 'proxy-refused' in server.log())


def test_nobody_else_may_say_it(server):
    with server.smtp(hello=False) as s:
        assert s.command('PROXY TCP4 192.0.2.1 198.51.100.1 1 25').code == 500
        s.hello()
        assert 'XCLIENT' not in s.keywords
        assert s.command('XCLIENT ADDR=192.0.2.1').code == 502


@contextlib.contextmanager
def haproxy(place, port, version):
    (front,) = free_ports(1)
    config = place / 'haproxy.cfg'
    config.write_text('defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\nlisten l\n bind 127.0.0.1:%d\n'
                      ' source %s\n server s 127.0.0.1:%d %s\n' % (front, PROXY, port, version))
    process = subprocess.Popen(['haproxy', '-db', '-f', str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_up():
        with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', front), 1):
            return True
    try:
        assert until(is_up)
        yield front
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize('version', ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options unique-id,crc32c'])
def test_haproxy_brings_mail_and_its_users_log_in(server, place, version):
    with haproxy(place, server.ports['smtp'], version) as front, talk.Smtp(front) as s:
        assert s.send_message('x@remote.example', [US], b'Subject: s\r\n\r\nb\r\n').code == 250
    (got,) = inbox(server)
    assert '[127.0.0.1]' in got['Received']
    with haproxy(place, server.ports['imaps'], version) as front, talk.Imap(front, US, PASSWORD, tls=True) as i:
        i.ok('SELECT INBOX')
    assert re.search(r'login.*outcome=ok.*protocol=imap client=127.0.0.1', server.log())


def test_swaks_brings_mail_by_proxy_and_by_xclient(server):
    base = ['swaks', '--server', '127.0.0.1', '--port', str(server.ports['smtp']), '--to', US, '--from', 'x@remote.example']
    one = subprocess.run(base + ['--local-interface', PROXY, '--proxy-version', '1', '--proxy-family', 'TCP4', '--proxy-source', '192.0.2.90',
                                 '--proxy-dest', '127.0.0.1', '--proxy-source-port', '1', '--proxy-dest-port', '25'], capture_output=True, text=True)
    two = subprocess.run(base + ['--local-interface', BOX, '--xclient-addr', '192.0.2.91', '--xclient-helo', 'mx.remote.example', '--xclient-name', 'x.y.example'],
                         capture_output=True, text=True)
    assert one.returncode == two.returncode == 0, one.stdout + two.stdout
    first, second = inbox(server)
    assert '[192.0.2.90]' in first['Received'] and 'from mx.remote.example' in second['Received'] and '[192.0.2.91]' in second['Received']


def test_xclient_begins_the_session_anew(server, client):
    with talk.Smtp(server.ports['smtp'], source=BOX) as s:
        assert 'ADDR' in s.keywords['XCLIENT'].split()
        assert s.command('XCLIENT ADDR=[UNAVAILABLE]').code == 501 and s.command('XCLIENT LOGIN=root').code == 501
        assert s.command('MAIL FROM:<x@remote.example>').code == 250
        assert s.command('XCLIENT ADDR=' + client).code == 503
        s.command('RSET')
        assert s.command('XCLIENT ADDR=' + client).code == 220
        assert s.command('MAIL FROM:<x@remote.example>').code == 503
        s.hello()
        assert s.command('XCLIENT ADDR=IPV6:2001:db8::9').code == 220


def test_xclient_ends_a_login(server):
    with talk.Smtp(server.ports['submission'], source=BOX) as s:
        assert s.plain(US, PASSWORD).code == 235
        assert s.command('XCLIENT ADDR=' + next(clients)).code == 220
        s.hello()
        assert s.command('MAIL FROM:<%s>' % US).code == 530


# ---- limits ----

def test_open_connections_of_one_address_are_limited(server, client):
    with contextlib.ExitStack() as open_ones:
        for _ in range(3):
            open_ones.enter_context(stranger(server, client))
        assert first_reply(server, client) == 421
        assert first_reply(server, next(clients)) == 220
        with talk.Smtp(server.ports['smtp'], source=BOX) as s:
            assert s.command('XCLIENT ADDR=' + client).code == 421
    assert until(lambda: first_reply(server, client) == 220)
    assert 'limit=connections_per_address' in server.log()


def test_connections_in_a_minute_are_limited(server, client):
    replies = []
    for _ in range(10):
        with talk.Line(server.ports['smtp'], source=PROXY, first=header(client)) as line:
            replies.append(int(line.line()[:3]))
            line.send(b'QUIT\r\n')
            line.rest()
    assert replies[:8] == [220] * 8 and 421 in replies[8:]
    assert 'limit=connections_per_minute' in server.log()


def test_one_network_of_ipv6_is_one_address(server):
    with contextlib.ExitStack() as open_ones:
        for n in range(3):
            open_ones.enter_context(stranger(server, '2001:db8:1:2::%x' % (n + 1)))
        assert first_reply(server, '2001:db8:1:2:ffff::1') == 421
        assert first_reply(server, '2001:db8:1:3::1') == 220


def test_messages_in_an_hour_are_limited(server, client):
    with stranger(server, client) as s:
        replies = [s.send_message('x@remote.example', [US], b'Subject: s\r\n\r\nb\r\n').code for _ in range(6)]
    assert replies == [250] * 4 + [450] * 2
    with stranger(server, client) as s:
        assert s.command('MAIL FROM:<x@remote.example>').code == 450
    with stranger(server, next(clients)) as s:
        assert s.command('MAIL FROM:<x@remote.example>').code == 250
    assert len(re.findall('limit=messages_per_hour client=%s$' % re.escape(client), server.log(), re.M)) == 1
    inbox(server)


def test_who_tries_addresses_hears_of_none_any_more(server, client):
    with stranger(server, client) as s:
        s.command('MAIL FROM:<x@remote.example>')
        assert s.command('RCPT TO:<%s>' % US).code == 250
        replies = [s.command('RCPT TO:<nobody%d@example.test>' % n).code for n in range(7)]
        assert replies == [550] * 5 + [450] * 2
        assert s.command('RCPT TO:<%s>' % US).code == 450
    with stranger(server, next(clients)) as s:
        s.command('MAIL FROM:<x@remote.example>')
        assert s.command('RCPT TO:<%s>' % US).code == 250
    assert 'limit=unknown_per_hour client=' + client in server.log()


def test_this_machine_has_no_limits(server):
    with server.smtp() as s:
        for _ in range(8):
            assert s.send_message('x@remote.example', [US], b'Subject: s\r\n\r\nb\r\n').code == 250
        s.command('MAIL FROM:<x@remote.example>')
        assert [s.command('RCPT TO:<nobody%d@example.test>' % n).code for n in range(8)] == [550] * 8
    inbox(server)
    assert re.search(r'edge-mx.*limited=[1-9]', server.must('status'))


# ---- who talks too early ----

@pytest.fixture(scope='module')
def patient(make_server):
    s = make_server('patient', settings={'proxies': PROXY, 'sender_checks': 'off', 'greeting_delay': '1s'})
    s.add_user('u')
    return s


def test_who_talks_before_the_greeting_is_cut_off(patient, client):
    with talk.Line(patient.ports['smtp'], source=PROXY, first=header(client) + b'EHLO x\r\n') as line:
        assert line.line().startswith(b'554 ') and line.is_closed()
    with talk.Line(patient.ports['smtp'], source=PROXY, first=header(client)) as line:
        assert line.is_silent(0.1)
        assert line.line().startswith(b'220 ')
    assert re.search('early-talker .*client=%s before="the greeting"' % re.escape(client), patient.log())


def test_who_does_not_read_what_is_offered_is_cut_off(patient, client):
    with stranger(patient, client, hello=False) as s:
        s.send(b'EHLO client.example\r\nMAIL FROM:<x@remote.example>\r\nRCPT TO:<%s>\r\nDATA\r\n' % US.encode())
        assert s.reply().code == 554 and s.is_closed()
    with stranger(patient, client) as s:  # a group behind it is as it should be: RFC 2920
        s.send(b'MAIL FROM:<x@remote.example>\r\nRCPT TO:<%s>\r\nDATA\r\n' % US.encode())
        assert [s.reply().code for _ in range(3)] == [250, 250, 354]


# ---- greylisting ----

@pytest.fixture(scope='module')
def grey(make_server):
    s = make_server('grey', settings={'proxies': PROXY, 'sender_checks': 'off', 'greeting_delay': '0', 'greylist_delay': '1s'})
    s.add_user('u')
    s.add_user('v')
    return s


def rcpt(server, client, sender, recipient=US):
    with stranger(server, client) as s:
        assert s.command('MAIL FROM:<%s>' % sender).code == 250
        return s.command('RCPT TO:<%s>' % recipient)


def comes_through(server, client, sender, recipient=US):
    return until(lambda: rcpt(server, client, sender, recipient).code == 250, 20, 0.2)


def test_a_strangers_first_message_is_put_off(grey, client):
    assert rcpt(grey, client, 'x@remote.example').startswith('450 4.2.0 ')
    assert rcpt(grey, client, 'x@remote.example', 'nobody@example.test').code == 550  # which is as well said at once
    assert comes_through(grey, client, 'x@remote.example')
    # known now: its domain, from its network
    assert rcpt(grey, client, 'other@Remote.Example', 'v@example.test').code == 250
    assert rcpt(grey, client.rsplit('.', 1)[0] + '.251', 'x@remote.example').code == 250
    assert rcpt(grey, client, 'x@elsewhere.example').code == 450
    assert rcpt(grey, '192.0.2.200', 'x@remote.example').code == 450
    assert 'greylisted' in grey.log() and 'client=192.0.2.200' in grey.log()


def test_known_servers_are_known_after_a_restart(grey):
    assert comes_through(grey, '2001:db8:9::1', 'x@six.example')
    grey.stop()
    grey.start()
    assert rcpt(grey, '2001:db8:9::ffff', 'y@six.example').code == 250
    assert rcpt(grey, '2001:db8:9:1::1', 'y@six.example').code == 450


def test_what_is_put_off_counts_as_a_message(make_server):
    """Each costs a row on the disk: nobody makes as many as he likes."""
    s = make_server('counted', settings={'proxies': PROXY, 'sender_checks': 'off', 'greeting_delay': '0', 'greylist_delay': '1h', 'messages_per_hour': '5'}, users=['u'])
    with stranger(s, '192.0.2.7') as line:
        replies = []
        for n in range(8):
            line.command('MAIL FROM:<x%d@remote.example>' % n)
            replies.append(line.command('RCPT TO:<%s>' % US)[:9])
            line.command('RSET')
    assert replies[:5] == ['450 4.2.0'] * 5 and '450 4.2.0' not in replies[5:]


def test_this_machine_and_users_are_not_greylisted(grey):
    assert grey.send(US, b'Subject: s\r\n\r\nb\r\n').code == 250
    with grey.smtp('lmtp') as s:
        assert s.command('MAIL FROM:<x@remote.example>').code == 250 and s.command('RCPT TO:<%s>' % US).code == 250
