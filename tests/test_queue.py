"""Mail between servers: carteiro at a.test and b.test, Postfix at p.test, a signed DNS; each a host in its network namespace."""
import contextlib
import email
import email.policy
import itertools
import os
import re
import signal
import socket
import ssl
import threading

import pytest

import network
import talk
from conftest import PASSWORD, strip_trace, until

A6, B6 = 'fd99::10', 'fd99::20'
DNS, A, B, P, P7, FAKE, C = '10.99.0.2', '10.99.0.10', '10.99.0.20', '10.99.0.30', '10.99.0.31', '10.99.0.40', '10.99.0.50'
ZONE = '''$ORIGIN test.
$TTL 1
@ SOA ns hostmaster 1 3600 600 86400 1
@ NS ns
ns A 10.99.0.2
a MX 10 mx.a
mx.a A 10.99.0.10
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
lo.loop A 127.0.0.1
lo.loop A 0.0.0.0
lo.loop AAAA ::1
lo.loop AAAA ::ffff:127.0.0.1
plain A 10.99.0.20
nothing TXT "neither MX nor address"
down MX 10 ns
fake MX 10 mx.fake
mx.fake A 10.99.0.40
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
    if os.geteuid():
        pytest.skip('network namespaces need root')
    n = network.Network({'dns': [DNS], 'a': [A, A6], 'b': [B, B6], 'p': [P, P7], 'fake': [FAKE], 'c': [C]}, DNS)
    try:
        yield n
    finally:
        n.close()


@pytest.fixture(scope='module')
def place(folder, request):
    """Other modules use these hosts too, one after the other."""
    path = folder / ('hosts-' + request.module.__name__[5:])
    path.mkdir()
    os.chmod(path, 0o755)
    return path


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
    for domain in ('backup.test', 'plain.test', 'third.test', 'fourth.test', 'best.own.test', 'six.test', 'many.test', 'ção.test', 'one.later.test', 'two.later.test', 'three.later.test', 'chain.test'):
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
    for line in server.must('queue', 'list').splitlines():
        if re.match(r'[0-9a-z]{26} ', line):
            server.command('queue', 'remove', line.split()[0])


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


# ---- there and back ----

def test_mail_goes_from_carteiro_to_carteiro_as_it_is_and_by_tls(server, b):
    what = message(b'.dot\r\n\r\n..\r\n.\r\n' + b'x' * 998 + b'\r\n')
    submit(server, ['v@b.test'], what)
    (got,) = arrived(b, 'v@b.test')
    assert strip_trace(got) == what
    assert got.startswith(b'Return-Path: <u@a.test>\r\nReceived: from mx.a.test ([10.99.0.10])\r\n\tby mx.b.test (carteiro) with ESMTPS id ')
    assert got.count(b'\r\nReceived: ') == 2


def test_large_mail_goes_from_carteiro_to_carteiro(server, b):
    what = message((b'z' * 76 + b'\r\n') * 60000)
    submit(server, ['v@b.test'], what)
    assert strip_trace(arrived(b, 'v@b.test')[0]) == what


def test_mail_goes_from_carteiro_to_carteiro_by_ipv6(server, b):
    """To a mail host that has no other address."""
    what = message()
    submit(server, ['v@six.test'], what)
    (got,) = arrived(b, 'v@b.test')
    assert strip_trace(got) == what
    assert b'Received: from mx.a.test ([IPv6:fd99::10])\r\n\tby mx.b.test (carteiro) with ESMTPS id ' in got
    assert until(lambda: queue_is_empty(server))


def test_mail_goes_to_postfix_and_comes_from_it(server, net, postfix):
    postfix.empty()
    what = message()
    submit(server, ['u@p.test'], what)
    assert until(lambda: postfix.messages('u'))
    (got,) = postfix.messages('u')
    assert got.endswith(what.replace(b'\r\n', b'\n')) and b'from mx.a.test' in got
    with network.inside(net.name('p')):
        session = talk.Smtp(25)
    answer = what.replace(b'u@a.test', b'u@p.test')
    assert session.send_message('u@p.test', ['u@a.test'], answer).code == 250
    session.close()
    (got,) = arrived(server, 'u@a.test')
    assert got.endswith(answer) and b'by mx.a.test (carteiro) with ESMTPS id ' in got and got.startswith(b'Return-Path: <u@p.test>')


def test_a_message_for_many_places_arrives_once_at_each(server, b, postfix):
    postfix.empty()
    b.empty('w@b.test')
    what = message()
    submit(server, ['v@b.test', 'w@b.test', 'u@p.test', 'u@a.test'], what)
    assert until(lambda: postfix.messages('u'))
    for where, user in ((b, 'v@b.test'), (b, 'w@b.test'), (server, 'u@a.test')):
        assert [strip_trace(m) for m in arrived(where, user)] == [what]
    assert until(lambda: queue_is_empty(server))
    assert len(postfix.messages('u')) == 1


@pytest.mark.parametrize('domain', ['backup.test', 'plain.test', 'chain.test', 'many.test', 'ção.test'])
def test_the_right_host_is_found(server, b, domain):
    """The second MX where the first is down; the address where there is no MX; through CNAMEs; behind addresses to which there
    is no route; of a domain with a U-label (RFC 6531 §3.2)."""
    submit(server, ['v@' + domain], message(), options='' if domain.isascii() else ' SMTPUTF8')
    arrived(b, 'v@b.test')
    assert until(lambda: queue_is_empty(server))


def test_an_alias_sends_on_to_other_servers(server, b):
    server.must('alias', 'add', 'far@a.test', 'v@b.test')
    try:
        assert server.send('far@a.test', message(), 'x@p.test').code == 250
        (got,) = arrived(b, 'v@b.test')
        assert got.startswith(b'Return-Path: <x@p.test>')
    finally:
        server.must('alias', 'remove', 'far@a.test')


def test_trace_shows_the_next_hop(server, b):
    name = submit(server, ['v@b.test'], message())
    arrived(b, 'v@b.test')
    assert until(lambda: 'v@b.test delivered: host mx.b.test[10.99.0.20]:25: 250 ' in server.must('trace', name)), server.must('trace', name)


# ---- what is not known now is tried later ----

def wait_deferred(server, name, pattern):
    assert until(lambda: re.search(pattern, server.must('queue', 'list')), 40), server.must('queue', 'list')
    assert name in server.must('queue', 'list')
    assert server.messages('u@a.test') == []


def test_servfail_defers_and_the_mail_arrives_when_the_dns_is_back(server, b, names):
    names.stop_nsd()
    try:
        name = submit(server, ['v@one.later.test'], message())
        wait_deferred(server, name, r'v@one\.later\.test waiting attempts=[1-9].* last: .*(SERVFAIL|do not answer)')
    finally:
        names.start_nsd()
        names.wait()
    arrived(b, 'v@b.test', seconds=60)
    assert until(lambda: queue_is_empty(server))
    assert len(b.messages('v@b.test')) == 1 and server.messages('u@a.test') == []


def test_no_answer_defers_and_the_mail_arrives_when_the_dns_is_back(server, b, names):
    names.stop_unbound()
    try:
        name = submit(server, ['v@two.later.test'], message())
        wait_deferred(server, name, r'v@two\.later\.test waiting attempts=[1-9]')
    finally:
        names.start_unbound()
        names.wait()
    arrived(b, 'v@b.test', seconds=60)
    assert until(lambda: queue_is_empty(server)) and server.messages('u@a.test') == []


def test_an_answer_that_fails_validation_defers(server, b, postfix):
    postfix.empty()
    name = submit(server, ['v@bogus.test'], message())
    wait_deferred(server, name, r'v@bogus\.test waiting attempts=[1-9].*DNSSEC')
    assert postfix.messages('u') == [] and b.messages('v@b.test') == []


def test_retries_survive_a_restart_and_a_dead_host_is_tried_again(server, b):
    name = submit(server, ['v@down.test'], message())
    wait_deferred(server, name, r'v@down\.test (waiting|trying) attempts=[1-9]')
    server.stop()
    server.start()
    text = server.must('queue', 'list')
    before = int(re.search(r'v@down\.test \w+ attempts=(\d+)', text)[1])
    assert name in text and before >= 1
    assert until(lambda: int(re.search(r'v@down\.test \w+ attempts=(\d+)', server.must('queue', 'list'))[1]) > before)
    assert 'refused' in server.must('queue', 'show', name)
    server.must('queue', 'remove', name)
    assert queue_is_empty(server) and server.messages('u@a.test') == []


def test_mail_for_a_domain_that_does_not_answer_is_put_off_untried(server, names):
    """RFC 5321 §4.5.4.1: "rather than just retrying queued mail items"."""
    count = 30
    with stopped(server, 'relay'):
        for _ in range(count):
            submit(server, ['v@down.test'], message())
        assert server.must('queue', 'list').count('v@down.test trying attempts=0') == count
    assert until(lambda: re.search(r' domain-silent .*\bdomain=down\.test put-off=25\n', server.log())), server.log()[-3000:]
    assert until(lambda: 'attempts=0' not in server.must('queue', 'list'))
    assert server.messages('u@a.test') == []


def test_a_domain_whose_server_swallows_connections_delays_no_other(make_server, net, names, b):
    """Far more messages for it than anything may look at before another domain's turn."""
    c = make_server('c', domain='a.test', hostname='mx.c.test', netns=net.name('c'), settings=settings(names))
    user, count = c.add_user('u'), 1050
    with network.inside(net.name('fake')), socket.create_server((FAKE, 25), backlog=100), c.smtp('submission') as s:
        assert s.plain(user, PASSWORD).code == 235
        for _ in range(count):
            assert s.send_message(user, ['x@fake.test'], message()).code == 250
        assert s.send_message(user, ['v@b.test'], message()).code == 250
        arrived(b, 'v@b.test')
        waiting = c.must('queue', 'list')
        assert waiting.count('x@fake.test trying attempts=0') == count and 'v@b.test' not in waiting
        c.stop()


def test_mail_waits_while_the_other_server_is_down(server, b):
    b.stop()
    name = submit(server, ['v@b.test'], message())
    wait_deferred(server, name, r'v@b\.test (waiting|trying) attempts=[2-9]')
    b.start()
    server.must('queue', 'retry', 'all')
    arrived(b, 'v@b.test')
    assert until(lambda: queue_is_empty(server))
    assert len(b.messages('v@b.test')) == 1


# ---- what is refused for good comes back once ----

def test_an_unknown_user_there_makes_one_readable_bounce(server, b):
    submit(server, ['nobody@b.test'], message())
    one = the_bounce(server, r'5\.1\.1', 'nobody@b.test')
    assert 'mx.b.test' in one['Remote-MTA'] and '550 5.1.1' in one['Diagnostic-Code']


def test_those_who_can_be_reached_are_and_the_bounce_names_the_others(server, b):
    submit(server, ['v@b.test', 'nobody@b.test'], message())
    arrived(b, 'v@b.test')
    the_bounce(server, r'5\.1\.1', 'nobody@b.test')


@pytest.mark.parametrize('recipient, status', [('x@null.test', r'5\.1\.10'), ('x@own.test', r'5\.4\.6'), ('x@mx.a.test', r'5\.4\.6'), ('x@loop.test', r'5\.4\.6'),
                                               ('x@aka.own.test', r'5\.4\.6'), ('x@aka6.own.test', r'5\.4\.6'), ('v@best.own.test', r'5\.4\.6'),
                                               ('x@implicit.own.test', r'5\.4\.6'), ('x@[10.99.0.10]', r'5\.4\.6'), ('x@[IPv6:fd99::10]', r'5\.4\.6'),
                                               ('x@nothing.test', r'5\.1\.2'), ('x@doesnotexist.test', r'5\.1\.2'), ('x@[127.0.0.1]', r'5\.4\.6'),
                                               ('x@[10.99.0.20]', r'5\.\d+\.\d+')])
def test_domains_that_take_no_mail_bounce_at_once_and_nobody_is_connected_to(server, recipient, status):
    """Attacks 39 and 40."""
    accepted = server.log().count(' kind=smtp ')
    submit(server, [recipient], message())
    the_bounce(server, status, recipient)
    assert server.log().count(' kind=smtp ') == accepted  # nothing came in by its own port


@pytest.mark.parametrize('recipient', ['v@third.test', 'v@fourth.test'])
def test_a_better_host_than_ourselves_is_used(server, b, recipient):
    """We are known by our name in the first, by our address only in the second (RFC 5321 §5.1)."""
    submit(server, [recipient], message())
    arrived(b, 'v@b.test')


def test_no_bounce_for_mail_without_a_sender(server, b):
    """Attack 36."""
    name = submit(server, ['nobody@b.test'], message(), sender='')
    assert until(lambda: queue_is_empty(server))
    assert until(lambda: 'bounce-of-bounce-dropped' in server.log())
    assert name in server.must('trace', name) and server.messages('u@a.test') == []


def test_a_bounce_that_cannot_be_delivered_ends(server, b, postfix):
    """From a sender that does not exist, by an alias, to a recipient that does not exist."""
    server.must('alias', 'add', 'out@a.test', 'nobody@b.test')
    try:
        before = server.log().count('bounce-of-bounce-dropped')
        assert server.send('out@a.test', message(), 'nobody@p.test').code == 250
        assert until(lambda: server.log().count('bounce-of-bounce-dropped') == before + 1, 30)
        assert until(lambda: queue_is_empty(server))
    finally:
        server.must('alias', 'remove', 'out@a.test')
    assert server.messages('u@a.test') == []


def test_a_forwarding_loop_between_two_servers_ends_with_at_most_one_bounce(server, b):
    """Attack 34."""
    server.must('alias', 'add', 'ping@a.test', 'pong@b.test')
    b.must('alias', 'add', 'pong@b.test', 'ping@a.test')
    try:
        submit(server, ['ping@a.test'], message())
        arrived(server, 'u@a.test', seconds=60)
        assert until(lambda: queue_is_empty(server) and queue_is_empty(b))
        (bounce,) = server.messages('u@a.test')
        assert b'5.4.6' in bounce
    finally:
        server.must('alias', 'remove', 'ping@a.test')
        b.must('alias', 'remove', 'pong@b.test')


def test_a_remote_server_is_not_asked_for_unknown_users_here(server, b):
    with server.smtp('submission') as s:
        s.plain('u@a.test', PASSWORD)
        s.command('MAIL FROM:<u@a.test>')
        assert s.command('RCPT TO:<nobody@a.test>').code == 550


# ---- servers that can less ----

TEXT = 'Olá, ação e coração — 郵便\r\n.\r\n.dots\r\n' * 30
TYPE = b'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n'


def test_eight_bit_text_arrives_as_seven_bit_where_it_must(server, postfix):
    postfix.empty()
    submit(server, ['u@p7.test'], message(TEXT.encode(), TYPE), options=' BODY=8BITMIME')
    assert until(lambda: postfix.messages('u7')), server.must('queue', 'list')
    (raw,) = postfix.messages('u7')
    assert raw.isascii()
    got = email.message_from_bytes(raw)
    assert got['Content-Transfer-Encoding'] in ('quoted-printable', 'base64')
    assert got.get_payload(decode=True).replace(b'\r\n', b'\n') == TEXT.encode().replace(b'\r\n', b'\n')


def test_eight_bit_parts_arrive_as_seven_bit_and_others_are_not_touched(server, postfix):
    postfix.empty()
    inner = b'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n' + TEXT.encode()
    what = (b'--m\r\n' + inner + b'--m\r\nContent-Type: multipart/alternative; boundary=n\r\n\r\n--n\r\n' + inner + b'--n--\r\n'
            b'--m\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--m--\r\n')
    submit(server, ['u@p7.test'], message(what, b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n'), options=' BODY=8BITMIME')
    assert until(lambda: postfix.messages('u7'))
    (raw,) = postfix.messages('u7')
    assert raw.isascii() and b'\n\nAAEC\n--m--' in raw
    texts = [part.get_payload(decode=True).replace(b'\r\n', b'\n').rstrip() for part in email.message_from_bytes(raw).walk() if part.get_content_type() == 'text/plain']
    assert texts == [TEXT.encode().replace(b'\r\n', b'\n').rstrip()] * 2


def test_eight_bit_text_stays_as_it_is_where_it_may(server, b):
    what = message(TEXT.encode(), TYPE)
    submit(server, ['v@b.test'], what, options=' BODY=8BITMIME')
    assert strip_trace(arrived(b, 'v@b.test')[0]) == what


def test_utf8_addresses_go_where_they_may_and_bounce_where_they_may_not(server, b):
    b.must('alias', 'add', 'ção@b.test', 'v@b.test')
    submit(server, ['ção@b.test'], message('corpo\r\n'.encode(), 'X-Olá: é\r\n'.encode()), options=' SMTPUTF8 BODY=8BITMIME')
    arrived(b, 'v@b.test')
    b.must('alias', 'remove', 'ção@b.test')


def test_a_utf8_address_bounces_where_the_server_knows_none(server, postfix):
    submit(server, ['çã@p7.test'], message(), options=' SMTPUTF8')
    assert until(lambda: server.messages('u@a.test'))
    (raw,) = server.messages('u@a.test')
    assert b'5.6.7' in raw


# ---- a server that means ill ----

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


def test_replies_put_before_tls_are_not_believed(server, net):
    """Attack 18: what was said in the clear behind the 220 must not become the answer to a command inside TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.data / 'keys/tls.crt', server.data / 'keys/tls.key')

    def session(client):
        client.sendall(b'220 mx.fake.test ESMTP\r\n')
        read_line(client)
        client.sendall(b'250-mx.fake.test\r\n250 STARTTLS\r\n')
        if not read_line(client).startswith(b'STARTTLS'):
            return 'no STARTTLS'
        client.sendall(b'220 go\r\n250 injected\r\n')
        inside = context.wrap_socket(client, server_side=True)
        hello = read_line(inside)
        inside.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            return 'believed: %r' % inside.recv(100)  # it goes on before it was answered
        inside.settimeout(10)
        inside.sendall(b'250 mx.fake.test\r\n')
        assert hello.startswith(b'EHLO')
        return take_message(inside)
    with fake_server(net, session) as said:
        name = submit(server, ['x@fake.test'], message())
        assert until(lambda: said or 'attempts=1' in server.must('queue', 'list'))
        server.command('queue', 'remove', name)
        assert not any(isinstance(s, str) and s.startswith('believed') for s in said), said


@pytest.mark.parametrize('text', [b'a\r\n.\r\nMAIL FROM:<x@x>\r\n', b'..\r\n.\r\n', b'.', b'.\r\n', b'\r\n.\r\n\r\n', b'x.\r\n.x\r\n'])
def test_outgoing_text_is_dot_stuffed(server, net, text):
    """Attack 12."""
    def session(client):
        greet(client)
        return take_message(client)
    what = message(text)
    with fake_server(net, session) as said:
        submit(server, ['x@fake.test'], what)
        assert until(lambda: said)
        assert until(lambda: queue_is_empty(server))
    (data,) = said
    whole = what if what.endswith(b'\r\n') else what + b'\r\n'
    assert data.endswith(b'\r\n' + re.sub(rb'(?m)^\.', b'..', whole) + b'.\r\n')


@pytest.mark.parametrize('replies, outcome', [
    ([b'421 4.3.2 closing\r\n'], 'waiting'), ([b'554 5.7.1 go away\r\n'], '(waiting|bounce)'), ([b'220 x\r\n', b'250 x\r\n', b'451 4.7.1 greylisted\r\n'], 'waiting'),
    ([b'220 x\r\n', b'250 x\r\n', b'550 5.7.1 no\r\n'], 'bounce'), ([b'garbage\r\n'], 'waiting'), ([b''], 'waiting'), ([b'220 ' + b'x' * 100000 + b'\r\n'], 'waiting'),
    ([b'220-x\r\n' * 100000], 'waiting'), ([b'220 x\r\n', b'250 x\r\n', b'250 ok\r\n', b'452 4.2.2 full\r\n'], 'waiting'),
    ([b'220 x\r\n', b'250 x\r\n', b'250 ok\r\n', b'550 5.1.1 \xff\x1b[2J unknown\r\n'], 'bounce')], ids=range(10))
def test_every_answer_of_a_server_is_understood(server, net, replies, outcome):
    def session(client):
        for n, reply in enumerate(replies):
            if n:
                read_line(client)
            client.sendall(reply)
        if not reply:
            return 'closed'
        with contextlib.suppress(OSError, EOFError):
            while True:
                read_line(client)
                client.sendall(b'503 5.5.1 no more\r\n')
        return 'end'
    with fake_server(net, session):
        name = submit(server, ['x@fake.test'], message())

        def is_decided():
            return server.messages('u@a.test') or re.search(r'x@fake\.test waiting attempts=[1-9]', server.must('queue', 'list'))
        assert until(is_decided, 30)
        found = 'bounce' if server.messages('u@a.test') else 'waiting'
        server.command('queue', 'remove', name)
        assert re.fullmatch(outcome, found)
        assert '\x1b' not in server.log()


# ---- processes that end between the final dot and the queue's knowledge of the answer ----

class SlowReceiver:
    """Sessions that take a message and answer it when they are told to, the last of the answers again and again: `got` are the
    messages, as they came."""

    def __init__(self, *answers):
        self.answers, self.got = list(answers), []
        self.has_message, self.may_answer, self.has_answered = threading.Event(), threading.Event(), False

    def session(self, client):
        greet(client)
        self.got.append(read_message(client))
        self.has_message.set()
        assert self.may_answer.wait(60)
        client.sendall((self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]) + b'\r\n')
        self.has_answered = True
        read_line(client)  # QUIT


@contextlib.contextmanager
def stopped_then_killed(server, role):
    """What is said to the process meanwhile it has never heard."""
    with stopped(server, role) as pid:
        yield
        server.killed.add(pid)
        os.kill(pid, signal.SIGKILL)


def ends_once(server, receiver, answer):
    """The message has been sent once, and the sender knows of a refusal, once."""
    assert until(lambda: queue_is_empty(server)), server.must('queue', 'list')
    assert len(receiver.got) == 1
    bounces = server.messages('u@a.test')
    assert len(bounces) == (answer.startswith(b'5')) and all(b'no thanks' in bounce for bounce in bounces)


TAKEN, REFUSED, PUT_OFF = b'250 2.0.0 taken', b'554 5.7.1 no thanks', b'451 4.3.0 not now'


def kill_store_and_wait(server):
    """Until the new store has given the message to relay again."""
    server.kill_role('store')
    server.wait_all_running()
    assert until(lambda: 'x@fake.test trying' in server.must('queue', 'list')), server.must('queue', 'list')


@pytest.mark.parametrize('answer, deaths', [(TAKEN, 1), (TAKEN, 2), (REFUSED, 1)])
def test_a_message_is_sent_once_though_store_dies_while_its_answer_is_waited_for(server, net, answer, deaths):
    receiver = SlowReceiver(answer)
    with fake_server(net, receiver.session):
        submit(server, ['x@fake.test'], message())
        assert receiver.has_message.wait(20)
        for _ in range(deaths):
            kill_store_and_wait(server)
        receiver.may_answer.set()
        ends_once(server, receiver, answer)


def test_a_message_that_is_put_off_after_store_has_died_is_sent_again_later(server, net):
    receiver = SlowReceiver(PUT_OFF, TAKEN)
    with fake_server(net, receiver.session):
        submit(server, ['x@fake.test'], message())
        assert receiver.has_message.wait(20)
        kill_store_and_wait(server)
        receiver.may_answer.set()
        assert until(lambda: queue_is_empty(server)), server.must('queue', 'list')
        assert len(receiver.got) == 2
    assert re.search(r' result-known .*\bto=x@fake\.test outcome=later ', server.log())  # which counted as a try
    assert server.messages('u@a.test') == []


@pytest.mark.parametrize('answer', [TAKEN, REFUSED])
def test_a_message_is_sent_once_though_store_dies_before_it_has_written_the_answer(server, net, answer):
    receiver = SlowReceiver(answer)
    with fake_server(net, receiver.session):
        name = submit(server, ['x@fake.test'], message())
        assert receiver.has_message.wait(20)
        with stopped_then_killed(server, 'store'):
            receiver.may_answer.set()
            assert until(lambda: re.search(r' relayed .*\bid=%s ' % name, server.log())), server.log()[-2000:]
        server.wait_all_running()
        ends_once(server, receiver, answer)


def test_a_message_is_not_lost_though_relay_dies_before_it_has_told_the_answer(server, net):
    """Twice is what nothing can exclude here (RFC 1047); lost is what RFC 5321 §6.1 forbids."""
    receiver = SlowReceiver(TAKEN)
    with fake_server(net, receiver.session):
        submit(server, ['x@fake.test'], message())
        assert receiver.has_message.wait(20)
        with stopped_then_killed(server, 'relay'):
            receiver.may_answer.set()
            assert until(lambda: receiver.has_answered)
        assert until(lambda: queue_is_empty(server), 30), server.must('queue', 'list')
        assert 1 <= len(receiver.got) <= 2 and len(set(receiver.got)) == 1
    assert server.messages('u@a.test') == []
