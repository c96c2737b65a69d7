"""What one client, or one administrator, may do without harm to anybody else."""
import os
import re
import signal
import socket
import threading

import pytest

import talk
from conftest import PASSWORD, SMALL, until


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(users=['u', 'v'], settings={'recipients_per_hour': '0'})


@pytest.fixture(autouse=True)
def nobody_dies(server):
    before = sorted(server.pids())
    yield
    assert sorted(server.pids()) == before, server.log()[-3000:]


def test_a_mailbox_with_as_many_keywords_as_may_be_is_opened(server):
    server.send('u@example.test', SMALL)
    with server.imap('u@example.test') as c:
        c.ok('SELECT INBOX')
        for k in range(16):  # 64 of 255 bytes
            c.ok('STORE 1 +FLAGS (%s)' % ' '.join(('k%02d' % (4 * k + i)).ljust(255, 'x') for i in range(4)))
    with server.imap('u@example.test') as c:
        c.ok('SELECT INBOX')
        assert b'k63xxx' in b''.join(c.ok('FETCH 1 FLAGS'))


def test_no_rename_makes_a_name_that_is_too_long(server):
    with server.imap('v@example.test') as c:
        c.ok('CREATE a')
        c.ok('CREATE a/' + 'n' * 900)
        assert c.command('RENAME a ' + 'b' * 900).startswith('NO')
        assert any(b'a/nnn' in line for line in c.ok('LIST "" *'))
        c.ok('RENAME a c')
    with server.imap('v@example.test') as c:
        assert any(b'c/nnn' in line for line in c.ok('LIST "" *'))


def test_a_fetch_waits_for_what_has_to_be_parsed_first(server):
    """A bounce has no parsed structure; behind a large message, the answer comes in parts."""
    server.empty('v@example.test')
    with server.imap('v@example.test') as c:
        assert c.append('INBOX', b'Subject: large\r\n\r\n' + b'line of text\r\n' * 400000).startswith('OK')
        for n in range(3):
            assert c.append('INBOX', b'Subject: small %d\r\n\r\nbody\r\n' % n).startswith('OK')
        with server.smtp('submission') as s:
            assert s.plain('v@example.test', PASSWORD).code == 235
            assert s.send_message('v@example.test', ['x@[127.0.0.1]'], b'From: v@example.test\r\n\r\nto nowhere\r\n').code == 250
        assert until(lambda: len(c.ok('NOOP') and []) or b'MESSAGES 5' in b''.join(c.ok('STATUS INBOX (MESSAGES)')))
        assert c.append('INBOX', SMALL).startswith('OK')
        c.ok('SELECT INBOX')
        for _ in range(2):
            said = c.ok('FETCH 1:* (BODY.PEEK[] ENVELOPE)')
            assert [int(re.match(rb'\* (\d+) FETCH', line)[1]) for line in said if b'ENVELOPE' in line] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize('size', range(5 * 65536 - 100, 6 * 65536 + 200, 16384))
def test_a_message_of_any_size_may_be_appended_while_store_is_slow(server, size):
    letter = (SMALL + b'x' * 76 * 6000)[:size - 2] + b'\r\n'
    (store,) = [pid for role, pid in server.pids() if role == 'store']
    with server.imap('u@example.test') as c:
        tag = c.send_command('APPEND Trash {%d+}' % len(letter))
        os.kill(store, signal.SIGSTOP)
        try:
            c.send(letter + b'\r\n')
            threading.Event().wait(0.2)  # so that edge has sent what it may
        finally:
            os.kill(store, signal.SIGCONT)
        assert c.result(tag).startswith('OK')


def test_a_new_password_ends_sessions_and_nothing_else(server):
    is_over = threading.Event()

    def append():
        session = None
        while not is_over.is_set():
            try:
                session = session or server.imap('v@example.test')
                session.append('Trash', SMALL)
            except (OSError, EOFError, AssertionError):
                session = None
    threads = [threading.Thread(target=append) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(25):
            server.must('user', 'passwd', 'v@example.test', stdin=PASSWORD + '\n')
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize('protocol, command', [('pop3', b'CAPA\r\n'), ('smtp', b'MAIL FROM:<>\r\nRSET\r\n'), ('imap', b'a CAPABILITY\r\n')])
def test_who_does_not_read_is_not_heard(server, protocol, command):
    with talk.Line(server.ports[protocol]) as c:
        c.socket.settimeout(2)
        sent = 0
        block = command * (1 << 16)
        with pytest.raises((TimeoutError, ConnectionError, socket.timeout)):
            while sent < 64 << 20:
                sent += c.socket.send(block)


def test_aliases_in_circles_cost_nothing(server):
    names = ['ring%d@example.test' % n for n in range(25)]
    for name in names:
        server.must('alias', 'add', name, *[other for other in names if other != name], 'u@example.test')
    try:
        assert server.send(names[0], SMALL).code == 250
        for name in names:
            server.must('alias', 'remove', name, )
        server.must('alias', 'add', names[0], names[1])
        server.must('alias', 'add', names[1], names[0])
        assert server.send(names[0], SMALL).code == 550
        # who is met in a circle is no stranger to the next recipient
        server.must('alias', 'add', names[2], names[3], 'u@example.test')
        server.must('alias', 'add', names[3], names[2])
        server.empty('v@example.test')
        with server.smtp('submission') as s:
            assert s.plain('v@example.test', PASSWORD).code == 235
            assert s.send_message('v@example.test', names[2:4], b'From: v@example.test\r\n\r\nx\r\n').code == 250
        assert not until(lambda: server.messages('v@example.test'), 1)
    finally:
        for name in names:
            server.command('alias', 'remove', name)


def test_an_alias_is_expanded_whole_whatever_else_the_message_is_for(server):
    """A thousand recipients elsewhere, then an alias: nobody whom it leads to is passed over."""
    for name in ('last1', 'last2', 'last3'):
        server.add_user(name)
    members = ['last%d@example.test' % n for n in (1, 2, 3)]
    server.must('alias', 'add', 'last@example.test', *members)
    far = ['x%d@elsewhere.invalid' % n for n in range(999)]
    server.must('alias', 'add', 'far@example.test', *far)
    try:
        with server.smtp('submission') as s:
            assert s.plain('u@example.test', PASSWORD).code == 235
            assert s.send_message('u@example.test', far + ['last@example.test'], b'From: u@example.test\r\n\r\nfirst\r\n').code == 250
            assert s.send_message('u@example.test', ['far@example.test', 'last@example.test'], b'From: u@example.test\r\n\r\nsecond\r\n').code == 250
        for member in members:
            assert until(lambda member=member: len(server.messages(member)) == 2, 20), member
        # what leads to more than may be is told so at RCPT, and in the log
        server.must('alias', 'add', 'huge@example.test', *far, 'last@example.test')
        with server.smtp() as s:
            s.command('MAIL FROM:<a@remote.example>')
            assert s.command('RCPT TO:<huge@example.test>').startswith('451 ')
        assert 'alias-too-large level=error address=huge@example.test' in server.log()
    finally:
        server.empty_queue()
        for name in ('last', 'far', 'huge'):
            server.command('alias', 'remove', name + '@example.test')


def test_a_certificate_may_be_a_link(make_server, folder):
    """As certbot's are."""
    s = make_server('linked', start=False)
    live = folder / 'live'
    live.mkdir()
    os.chmod(live, 0o755)
    os.symlink(s.data / 'keys/tls.crt', live / 'cert.pem')
    os.symlink(s.data / 'keys/tls.key', live / 'key.pem')
    s.configure(tls_certificate=str(live / 'cert.pem'), tls_key=str(live / 'key.pem'))
    s.start()
    with talk.Line(s.ports['imaps'], tls=True) as c:
        assert c.line().startswith(b'* OK')


def test_nobody_waits_for_a_fetch_of_many_fields_of_many_headers(server):
    """The most names and items that one command may have, over headers with the most fields that come with their rows. Others
    get their answers in between, turn by turn of the loop."""
    server.empty('v@example.test')
    header = b''.join(b'%c%c:\r\n' % (97 + n % 26, 97 + n // 26 % 26) for n in range(13000))
    items = ' '.join('BODY.PEEK[HEADER.FIELDS (x%d)]' % n for n in range(200))
    with server.imap('v@example.test') as c, server.imap('u@example.test') as other:
        for _ in range(2):  # which edge is given at once
            assert c.append('INBOX', header + b'\r\nbody\r\n').startswith('OK')
        c.ok('SELECT INBOX')
        tag = c.send_command('FETCH 1:* (%s)' % items)
        for _ in range(5):
            other.ok('NOOP')
        c.socket.setblocking(False)
        said = c.buffer
        try:
            while data := c.socket.recv(1 << 20):
                said += data
        except BlockingIOError:
            pass
        c.socket.settimeout(talk.DEADLINE)
        assert tag + b' OK' not in said, 'the fetch was over before others had five answers'
        c.buffer = said
        assert c.result(tag).startswith('OK')
        assert len(c.untagged) == 2 and all(response.count(b'{2}\r\n\r\n') == 200 for response in c.untagged)
        # and more names than that are refused, however they are spread over items
        names = ' '.join('y%d' % n for n in range(57))
        assert c.bad('FETCH 1 (%s BODY.PEEK[HEADER.FIELDS (%s)])' % (items, names)) == 'BAD Too many header fields'
        names = ' '.join('y%d' % n for n in range(56))
        c.ok('FETCH 1 (%s BODY.PEEK[HEADER.FIELDS.NOT (%s)])' % (items, names))


def peak_of(server, role):
    """The most memory that the process has had, in bytes."""
    (pid,) = [pid for name, pid in server.pids() if name == role]
    with open('/proc/%d/status' % pid) as f:
        return int(re.search(r'VmHWM:\s+(\d+) kB', f.read())[1]) * 1024


def test_a_search_through_large_messages_keeps_little_of_them(server):
    """Two at a time, of 27 MB each; what is found stands at their very end, over the edge of two pieces."""
    server.empty('v@example.test')
    with server.imap('v@example.test') as c:
        for head in (b'Subject: plain\r\n\r\n', b'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'):
            text = head + b'line of text\r\n' * 2000000
            text += b'x' * (65533 - len(text) % 65536) + b'ne\xc3\x89dle\r\n'
            assert c.append('INBOX', text).startswith('OK')
        c.ok('SELECT INBOX')
        before = peak_of(server, 'filter')
        for program, wanted in [('BODY ne\u00e9DLE', b'* SEARCH 1 2'), ('TEXT needle', b'* SEARCH'), ('OR BODY nothing SUBJECT plain', b'* SEARCH 1')]:
            assert c.ok('SEARCH CHARSET UTF-8 ' + program.replace('ne\u00e9DLE', '{7+}\r\nne\u00e9DLE')) == [wanted], program
        assert peak_of(server, 'filter') - before < 6 << 20


@pytest.mark.parametrize('head', [
    b'Content-Type: text/plain' + b''.join(b'; a%d=x' % n for n in range(500)), b'Content-Type: text/plain' + b''.join(b'; a*%d=x' % n for n in range(500)),
    b'Content-Type: multipart/mixed' + b''.join(b';\r\n b%d*=utf-8\'\'%%41' % n for n in range(300)), b'References:' + b' <a@b>' * 5000,
    b'To: ' + b'a@b, ' * 5000 + b'c@d', b'Subject: ' + b'=?utf-8?q?=41?= ' * 3000, b'Subject: =?iso-2022-jp?b?' + b'GyRCJEYkOSRIGyhC' * 50 + b'?='], ids=lambda head: head[:20].decode())
def test_a_large_header_field_ends_no_process(server, head):
    before = {pid for _, pid in server.pids()}
    message = b'From: a@remote.example\r\n' + head + b'\r\n\r\nbody\r\n'
    assert server.send('v@example.test', message).code == 250
    with server.imap('v@example.test') as i:
        i.ok('SELECT INBOX')
        i.ok('FETCH * (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (To Subject)])')
        i.ok('SEARCH SUBJECT x TO y TEXT body')
    assert {pid for _, pid in server.pids()} == before


def test_names_above_mailboxes_are_bounded_too(server):
    """Of each mailbox there could be 49 that are none; LIST tells all of them."""
    with server.imap('v@example.test') as c:
        for n in range(300):
            levels = ['m%d' % n] + ['%d' % k for k in range(48)]
            reply = c.command('CREATE %s/x' % '/'.join(levels))
            if not reply.startswith('OK'):
                break
            tags = [c.send_command('DELETE ' + '/'.join(levels[:k + 1])) for k in range(len(levels))]
            assert all(c.result(tag).startswith('OK') for tag in tags)
        assert reply.startswith('NO [LIMIT]') and 190 < n < 210
        assert len(c.ok('LIST "" *')) > 9000
        # what needs no new level goes on
        c.ok('RENAME m0 y')
        assert c.no('RENAME Trash z/Trash').startswith('NO [LIMIT]')
        c.ok('DELETE y/%s/x' % '/'.join('%d' % k for k in range(48)))
        c.ok('CREATE z')
