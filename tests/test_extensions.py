"""What clients ask for beyond plain SMTP: binary data (RFC 3030), mail that is held (RFC 4865), priorities (RFC 6710)."""
import base64
import datetime
import email
import re

import pytest

from conftest import PASSWORD, strip_first_trace, until
from hosts import (arrived, b, everything_is_empty, fake_server, message, names, net, postfix, queue_is_empty,  # noqa: F401
                   read_line, read_message, server, stopped, submit)

BINARY = bytes(range(256)) * 300 + b'\r.\r\n.\r\nMAIL FROM:<x@y.example>\r\n\n.\n\0'
HEAD = b'MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n'


def send_binary(s, sender, recipient, what, step=100000, body='BINARYMIME'):
    assert s.command('MAIL FROM:<%s> BODY=%s' % (sender, body)).code == 250
    assert s.command('RCPT TO:<%s>' % recipient).code == 250
    for at in range(0, len(what), step):
        piece = what[at:at + step]
        s.send(b'BDAT %d%s\r\n' % (len(piece), b' LAST' if at + step >= len(what) else b'') + piece)
        reply = s.reply()
    return reply


def test_what_is_offered_is_what_is_taken(server):
    with server.smtp() as s:
        assert {'BINARYMIME', 'CHUNKING', 'MT-PRIORITY'} <= set(s.keywords) and not {'REQUIRETLS', 'FUTURERELEASE'} & set(s.keywords)
        assert s.command('MAIL FROM:<x@y.example> REQUIRETLS').code == 530
        assert s.command('MAIL FROM:<x@y.example> HOLDFOR=10').code == 555
        s.tls()
        assert 'REQUIRETLS' in s.keywords
        assert s.command('MAIL FROM:<x@y.example> REQUIRETLS').code == 250


@pytest.mark.parametrize('step', [1000000, 4096, 777])
def test_binary_data_is_kept_bit_for_bit(server, step):
    what = message(BINARY, HEAD)
    with server.smtp() as s:
        assert send_binary(s, 'x@remote.example', 'u@a.test', what, step).code == 250
    arrived(server, 'u@a.test')
    with server.imap('u@a.test') as i:
        (got,) = i.bodies()
    # RFC 3501 has no NUL in literals: 0x80 stands for it there
    assert strip_first_trace(got) == what.replace(b'\0', b'\x80')


def test_binary_data_ends_no_message_early_and_comes_by_chunks_only(server):
    with server.smtp() as s:
        assert s.command('MAIL FROM:<x@remote.example> BODY=BINARYMIME').code == 250
        assert s.command('RCPT TO:<u@a.test>').code == 250
        assert s.command('DATA').code == 503
        s.command('RSET')
        assert send_binary(s, 'x@remote.example', 'u@a.test', b'Subject: x\r\nX-Bare: a\nb\r\n\r\nbody').code == 550  # its header is lines
        s.command('RSET')
        assert send_binary(s, 'x@remote.example', 'u@a.test', message(BINARY, HEAD), body='8BITMIME').code == 550
        assert s.command('NOOP').code == 250
    assert server.messages('u@a.test') == []


@pytest.mark.parametrize('where', ['u@p.test', 'v@b.test'])
def test_binary_data_leaves_as_base64(server, b, postfix, where):
    """No server behind us gets a line end that is none, whatever it offers (attack 9)."""
    with server.smtp('submission') as s:
        assert s.plain('u@a.test', PASSWORD).code == 235
        assert send_binary(s, 'u@a.test', where, message(BINARY, HEAD)).code == 250
    get = (lambda: postfix.messages('u')) if where == 'u@p.test' else (lambda: b.messages('v@b.test'))
    assert until(lambda: get() and queue_is_empty(server)), server.log()[-3000:]
    (raw,) = get()
    if where == 'u@p.test':
        postfix.empty()
    got = email.message_from_bytes(raw)
    assert got['Content-Transfer-Encoding'] == 'base64' and base64.b64decode(got.get_payload()) == BINARY


def test_a_bounce_of_binary_data_has_its_header_only(server, b):
    with server.smtp('submission') as s:
        assert s.plain('u@a.test', PASSWORD).code == 235
        assert s.command('MAIL FROM:<u@a.test> BODY=BINARYMIME RET=FULL').code == 250
        assert s.command('RCPT TO:<nobody@b.test>').code == 250
        what = message(b'\0binary\n', HEAD)
        s.send(b'BDAT %d LAST\r\n' % len(what) + what)
        assert s.reply().code == 250
    (raw,) = arrived(server, 'u@a.test')
    assert b'text/rfc822-headers' in raw and b'\x80' not in raw and b'binary\n' not in raw.split(b'rfc822-headers')[1].replace(b'encoding: binary', b'')


# ---- held ----

def hold(server, options, recipient='v@b.test'):
    with server.smtp('submission') as s:
        assert s.plain('u@a.test', PASSWORD).code == 235
        s.hello()
        reply = s.command('MAIL FROM:<u@a.test> ' + options)
        if reply.code != 250:
            return reply
        assert s.command('RCPT TO:<%s>' % recipient).code == 250
        return s.data(message())


@pytest.mark.parametrize('recipient', ['v@b.test', 'u@a.test'])
def test_a_message_is_held_until_its_time(server, b, recipient):
    reply = hold(server, 'HOLDFOR=86400', recipient)
    name = reply.split()[-1]
    shown = server.must('queue', 'list')
    assert name in shown and int(re.search(r'attempts=0 next-in=(\d+)s', shown).group(1)) > 86000
    server.stop()
    server.start()
    shown = server.must('queue', 'list')  # the time outlives a restart, though it is longer than any wait between tries
    assert int(re.search(r'attempts=0 next-in=(\d+)s', shown).group(1)) > 86000
    assert (b if recipient == 'v@b.test' else server).messages(recipient) == []
    assert server.command('queue', 'retry', name).returncode == 0  # an administrator may let it go
    arrived(b if recipient == 'v@b.test' else server, recipient)


def test_a_message_leaves_when_its_time_has_come(server, b):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    reply = hold(server, 'HOLDUNTIL=' + soon.strftime('%Y-%m-%dT%H:%M:%SZ'))
    assert reply.code == 250
    arrived(b, 'v@b.test')
    log = server.log()
    assert 'warning' not in log[log.index(reply.split()[-1]):]


def test_a_time_that_is_past_holds_nothing(server, b):
    assert hold(server, 'HOLDUNTIL=2001-01-01T00:00:00Z').code == 250
    arrived(b, 'v@b.test')


def test_the_longest_time_is_said_and_kept_to(server):
    with server.smtp('submission') as s:
        assert s.plain('u@a.test', PASSWORD).code == 235
        s.hello()
        most, until_when = s.keywords['FUTURERELEASE'].split()
        assert int(most) == 30 * 86400 and re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', until_when)
    assert hold(server, 'HOLDFOR=%d' % (30 * 86400 + 1)).code == 501
    assert hold(server, 'HOLDUNTIL=2999-01-01T00:00:00Z').code == 501
    assert hold(server, 'HOLDFOR=10 HOLDFOR=10').code == 501


# ---- priorities ----

def test_a_priority_goes_along_and_a_stranger_has_none(server, b, net):
    def session(client):
        client.sendall(b'220 mx.fake.test ESMTP\r\n')
        read_line(client)
        client.sendall(b'250-mx.fake.test\r\n250 MT-PRIORITY MIXER\r\n')
        mail = read_line(client)
        client.sendall(b'250 2.0.0 ok\r\n')
        data = read_message(client)
        client.sendall(b'250 2.0.0 taken\r\n')
        return mail, data
    with fake_server(net, session) as said:
        submit(server, ['x@fake.test'], message(), options=' MT-PRIORITY=4')
        assert until(lambda: said and queue_is_empty(server))
    ((mail, data),) = said
    assert mail.strip().endswith(b'MT-PRIORITY=4') and re.search(rb'^\tpriority 4;', data, re.M)
    with server.smtp() as s:
        assert s.command('MAIL FROM:<x@remote.example> MT-PRIORITY=9').startswith('250 2.3.6')
        s.command('RSET')
        assert s.command('MAIL FROM:<x@remote.example> MT-PRIORITY=-3').startswith('250 2.1.0')
        assert s.command('RCPT TO:<u@a.test>').code == 250
        assert s.data(message()).code == 250
    assert re.search(rb'^\tpriority -3;', arrived(server, 'u@a.test')[0], re.M)


def test_a_message_that_is_asleep_is_listed_shown_held_released_and_removed(server, b):
    """What is due in more than a minute is on the disk alone."""
    names = [hold(server, 'HOLDFOR=86400').split()[-1] for _ in range(3)]
    for _ in range(2):
        assert all(name in server.must('queue', 'list') for name in names)
        assert 'Subject: queue test' in server.must('queue', 'show', names[0])
    server.must('queue', 'hold', names[0])
    assert until(lambda: ' held' in server.must('queue', 'show', names[0]))
    server.must('queue', 'remove', names[1])
    assert until(lambda: names[1] not in server.must('queue', 'list'))
    assert '2 messages' in server.must('queue', 'list')
    assert server.must('queue', 'retry', 'all').startswith('1 ')  # not what is held
    server.must('queue', 'release', 'all')
    for name in (names[0], names[2]):  # all at once are tried when their senders want it, one that is named is tried now
        assert re.search('attempts=0 next-in=8[0-9]{4}s', server.must('queue', 'show', name))
        server.must('queue', 'retry', name)
    assert len(arrived(b, 'v@b.test', 2)) == 2
    assert until(lambda: queue_is_empty(server))


def test_more_than_a_domain_has_room_for_arrives_once_each(server, b):
    """Above 500 jobs for one domain, messages wait on the disk for their turn."""
    count = 800
    with stopped(server, 'relay'), server.smtp('submission') as s:
        assert s.plain('u@a.test', PASSWORD).code == 235
        one = b'MAIL FROM:<u@a.test>\r\nRCPT TO:<v@b.test>\r\nBDAT %d LAST\r\n%s'
        for n in range(count):
            what = message(b'number %d.\r\n' % n)
            s.send(one % (len(what), what))
        assert [s.reply().code for _ in range(3 * count)] == [250] * 3 * count
        assert '%d messages' % count in server.must('queue', 'list')
    assert until(lambda: queue_is_empty(server), 120), server.must('queue', 'list')[-1000:]
    got = b.messages('v@b.test')
    assert sorted(int(re.search(rb'number (\d+)\.', m)[1]) for m in got) == list(range(count))


def test_commands_about_all_do_no_harm_to_what_is_on_its_way_in(server, b):
    """A message whose record is on the disk, and whose sender has not been answered yet, is still nobody's."""
    count = 150
    with server.smtp('submission') as s:
        assert s.plain('u@a.test', PASSWORD).code == 235
        for n in range(count):
            what = message(b'number %d.\r\n' % n)
            s.send(b'MAIL FROM:<u@a.test>\r\nRCPT TO:<v@b.test>\r\nBDAT %d LAST\r\n%s' % (len(what), what))
            if n % 10 == 9:
                server.must('queue', 'release', 'all')
        assert [s.reply().code for _ in range(3 * count)] == [250] * 3 * count
    assert until(lambda: queue_is_empty(server), 60), server.must('queue', 'list')[-1000:]
    got = b.messages('v@b.test')
    assert sorted(int(re.search(rb'number (\d+)\.', m)[1]) for m in got) == list(range(count))
