"""Hosts for tests of mail between servers: carteiro at a.test and b.test, Postfix at p.test, a signed DNS, and servers that say
exactly what a test tells them to; each in its network namespace. Modules import the fixtures that they use."""
import contextlib
import email
import email.policy
import itertools
import os
import re
import signal
import socket
import threading

import pytest

import network
from conftest import PASSWORD, until

A6, B6, FAKE6 = 'fd99::10', 'fd99::20', 'fd99::40'
DNS, A, B, P, P7, FAKE, C = '10.99.0.2', '10.99.0.10', '10.99.0.20', '10.99.0.30', '10.99.0.31', '10.99.0.40', '10.99.0.50'
ZONE = network.ZONE_START + '''\
b MX 10 mx.b
mx.b A 10.99.0.20
p MX 10 mx.p
mx.p A 10.99.0.30
p7 MX 10 mx.p7
mx.p7 A 10.99.0.31
backup MX 5 ns
backup MX 20 mx.b
null MX 0 .
own MX 10 mx.a
third MX 10 mx.b
third MX 20 mx.a
six MX 10 mx6.b
mx6.b AAAA fd99::20
many MX 10 mx.many
mx.many A 192.0.2.1
mx.many A 192.0.2.2
mx.many A 192.0.2.3
mx.many A 192.0.2.4
mx.many A 192.0.2.5
mx.many A 192.0.2.6
mx.many AAAA fd99::20
%s MX 10 mx.b
aka.own MX 10 mx2.a
mx2.a A 10.99.0.10
aka6.own MX 10 mx6.a
mx6.a AAAA fd99::10
best.own MX 10 mx2.a
best.own MX 10 mx.b
best.own MX 20 mx.b
implicit.own A 10.99.0.10
fourth MX 10 mx.b
fourth MX 20 mx2.a
loop MX 10 lo.loop
metadata MX 10 mx.metadata
mx.metadata A 169.254.169.254
mx.metadata AAAA fe80::1
lo.loop A 127.0.0.1
lo.loop A 0.0.0.0
lo.loop AAAA ::1
lo.loop AAAA ::ffff:127.0.0.1
plain A 10.99.0.20
nothing TXT "neither MX nor address"
down MX 10 ns
fake MX 10 mx.fake
mx.fake A 10.99.0.40
quick MX 10 mx.quick
quicker MX 10 mx.quick
mx.quick AAAA fd99::40
mx.quick A 10.99.0.20
*.later MX 10 mx.b
bogus MX 10 mx.b
chain CNAME chain2
chain2 CNAME b
''' % 'ção'.encode('idna').decode()
numbers = itertools.count(1)


def spoil(signed):
    """Another mail host for bogus.test than the one that was signed."""
    spoiled = re.sub(r'(?m)^(bogus\.test\.\s+\d+\s+IN\s+MX\s+)10 mx\.b\.test\.', r'\g<1>10 mx.p.test.', signed)
    assert spoiled != signed
    return spoiled


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [DNS], 'a': [A, A6], 'b': [B, B6], 'p': [P, P7], 'fake': [FAKE, FAKE6], 'c': [C]}, DNS)
    try:
        yield n
    finally:
        n.close()


@pytest.fixture(scope='module')
def names(net, place):
    names = network.Names(net, 'dns', DNS, place / 'dns', ZONE, spoil)
    names.start()
    return names


def settings(names):
    return {'resolver': DNS, 'trust_anchor': str(names.anchor), 'retry_first': '1s', 'retry_most': '1s',
            'smtp_listen': '0.0.0.0:25 [::]:25'}


@pytest.fixture(scope='module')
def b(make_server, net, names):
    s = make_server('b', domain='b.test', hostname='mx.b.test', netns=net.name('b'), settings=settings(names))
    s.add_user('v')
    s.add_user('w')
    for domain in ('backup.test', 'plain.test', 'third.test', 'fourth.test', 'best.own.test', 'six.test', 'quick.test', 'quicker.test', 'many.test', 'ção.test', 'one.later.test', 'two.later.test', 'three.later.test', 'chain.test'):
        s.must('domain', 'add', domain)
        s.must('alias', 'add', 'v@' + domain, 'v@b.test')
    return s


@pytest.fixture(scope='module')
def server(make_server, net, names, b):
    s = make_server('a', domain='a.test', hostname='mx.a.test', netns=net.name('a'), settings=settings(names))
    s.add_user('u')
    return s


@pytest.fixture(scope='module')
def postfix(net, names, place):
    p = network.Postfix(net, 'p', (P, P7), place / 'postfix')
    p.start()
    yield p
    p.stop()


@pytest.fixture(autouse=True)
def everything_is_empty(server, b):
    server.empty('u@a.test')
    b.empty('v@b.test')
    yield
    server.empty_queue()


def message(text=b'body\r\n', head=b''):
    return b'From: u@a.test\r\nTo: <someone@remote.example>\r\nSubject: queue test\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <q-%d@a.test>\r\n%s\r\n%s' % (
        next(numbers), head, text)


def submit(server, recipients, what, sender='u@a.test', options=''):
    with server.smtp('submission') as s:
        assert s.plain('u@a.test', PASSWORD).code == 235
        reply = s.send_message(sender, recipients, what, options)
    assert reply.code == 250, reply
    return reply.split()[-1]


def arrived(server, user, count=1, seconds=20):
    assert until(lambda: len(server.messages(user)) >= count, seconds), server.log()[-3000:]
    return server.messages(user)


@contextlib.contextmanager
def stopped(server, role):
    """The process stands still; gives its pid."""
    (pid,) = [pid for name, pid in server.pids() if name == role]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def queue_is_empty(server):
    return server.must('queue', 'list').startswith('0 messages')


def the_bounce(server, status, recipient, action='failed'):
    """The one bounce in the sender's mailbox, looked at as RFC 3464 wants it."""
    (raw,) = arrived(server, 'u@a.test')
    assert raw.startswith(b'Return-Path: <>\r\n')
    report = email.message_from_bytes(raw, policy=email.policy.default)
    assert report.get_content_type() == 'multipart/report' and report.get_param('report-type') == 'delivery-status'
    assert report['From'] and report['To'] == 'u@a.test' and report['Auto-Submitted'].startswith('auto-') and report['Date'] and report['Message-ID']
    text, machine, original = report.iter_parts()
    assert text.get_content_type() == 'text/plain' and recipient in text.get_content()
    assert machine.get_content_type() == 'message/delivery-status'
    about, *recipients = machine.get_payload()
    assert about['Reporting-MTA'].endswith('mx.a.test')
    (one,) = [r for r in recipients if r['Final-Recipient']]
    assert one['Final-Recipient'].replace(' ', '').lower() == 'rfc822;' + recipient.lower()
    assert one['Action'] == action and re.fullmatch(status, one['Status']), one.as_string()
    assert original.get_content_type() in ('text/rfc822-headers', 'message/rfc822')
    assert b'Subject: queue test' in raw[raw.index(b'rfc822'):]
    assert until(lambda: queue_is_empty(server))
    assert len(server.messages('u@a.test')) == 1
    return one


def the_bounce_of(server, recipient):
    """What the one bounce in the sender's mailbox says of its one recipient."""
    (raw,) = arrived(server, 'u@a.test')
    _, machine, _ = email.message_from_bytes(raw, policy=email.policy.default).iter_parts()
    (one,) = [r for r in machine.get_payload() if r['Final-Recipient']]
    assert one['Final-Recipient'].replace(' ', '').lower() == 'rfc822;' + recipient.lower() and one['Action'] == 'failed'
    return one


# ---- servers of our own making ----

@contextlib.contextmanager
def fake_server(net, session):
    """A server whose sessions are a function of a socket; gives what the sessions said or raised."""
    said, is_over = [], threading.Event()
    with network.inside(net.name('fake')):
        listener = socket.create_server((FAKE, 25))
    listener.settimeout(0.1)

    def serve():
        while not is_over.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(5)
                try:
                    said.append(session(client))
                except (OSError, EOFError) as fault:
                    said.append(fault)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield said
    finally:
        is_over.set()
        thread.join()
        listener.close()


def read_line(client):
    line = b''
    while not line.endswith(b'\n'):
        byte = client.recv(1)
        if not byte:
            raise EOFError
        line += byte
    return line


def greet(client):
    client.sendall(b'220 mx.fake.test ESMTP\r\n')
    read_line(client)
    client.sendall(b'250 mx.fake.test\r\n')


def read_message(client):
    """A session from MAIL on, up to the message's final dot; the message as it came."""
    while True:
        line = read_line(client)
        if line.upper().startswith(b'DATA'):
            client.sendall(b'354 go\r\n')
            break
        client.sendall(b'250 2.0.0 ok\r\n')
    data = b''
    while not data.endswith(b'\r\n.\r\n'):
        data += client.recv(65536)
    return data


def take_message(client):
    data = read_message(client)
    client.sendall(b'250 2.0.0 taken\r\n')
    return data
