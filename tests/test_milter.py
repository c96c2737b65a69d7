"""Milters: programs over libmilter, and some that say exactly what a test tells them to."""
import os
import pathlib
import re
import socket
import threading

import dkim
import pytest

from conftest import PASSWORD, SMALL, US, strip_trace, until
from ports import free_ports
from milters import CONTINUE, Program, Raw, change, options, packet

LATER = '451 4.7.1 Service unavailable - try again later'


@pytest.fixture(scope='module')
def server(make_server):
    s = make_server('x', users=['u', 'v'])
    return s


@pytest.fixture(autouse=True)
def everything_is_empty(server):
    server.empty(US)
    server.empty('v@example.test')
    server.empty_queue()
    yield


@pytest.fixture
def short(server):
    """A folder whose path leaves room for a socket's name, and that every user may enter."""
    path = server.folder / 'm'
    path.mkdir(exist_ok=True)
    os.chmod(path, 0o777)
    for old in path.iterdir():
        if not old.is_dir():
            old.unlink()
    return path


def use(server, *sockets, **settings):
    server.configure(**dict({'milters': ' '.join(sockets), 'milter_default': 'tempfail', 'milter_timeout': '20s'}, **settings))
    server.must('reload')
    assert until(lambda: 'milters=%d ' % len(sockets) in server.must('status'))  # each process takes a reload in its own time


@pytest.fixture
def program(short):
    made = []

    def make(name='p', **spec):
        made.append(Program(short, name, **spec))
        return made[-1]
    yield make
    for p in made:
        p.stop()


@pytest.fixture
def raw(short):
    made = []

    def make(says=None, name='r'):
        made.append(Raw(short / name, says or {}))
        return made[-1]
    yield make
    for r in made:
        r.close()


def only(server, user=US):
    (message,) = server.messages(user)
    return message


def failures(server, since):
    return [line for line in server.log()[since:].splitlines() if ' milter-failed ' in line]


# ---- what a milter hears ----

def test_a_milter_hears_the_whole_message(server, program):
    p = program()
    use(server, p.socket)
    with server.smtp() as s:
        reply = s.send_message('sender@remote.example', [US, 'v@example.test'], b'Subject: one\r\nX-Folded: a\r\n\tb\r\nX-Empty:\r\n\r\nbody\r\n')
    assert reply.code == 250
    (name, address, host, client), = p.heard('connect')
    assert (name, address[0], host, client) == ('unknown', '127.0.0.1', 'mx.example.test', 'unknown [127.0.0.1]')
    assert p.heard('hello')[0][0]
    assert p.heard('envfrom') == [['<sender@remote.example>', [], reply.split()[-1], None]]
    assert p.heard('envrcpt') == [['<u@example.test>', 'u@example.test'], ['<v@example.test>', 'v@example.test']]
    assert p.heard('header') == [['Subject', 'one'], ['X-Folded', 'a\n\tb'], ['X-Empty', '']]
    assert p.heard('eom') == [[6]]
    assert p.steps()[:5] == ['connect', 'hello', 'envfrom', 'envrcpt', 'envrcpt']
    assert until(lambda: server.messages(US) and server.messages('v@example.test'))


def test_a_submission_is_heard_completed_with_its_user_and_without_bcc(server, program):
    p = program()
    use(server, p.socket)
    with server.smtp('submissions') as s:
        s.plain(US, PASSWORD)
        assert s.send_message(US, [US], b'From: u@example.test\r\nBcc: v@example.test\r\nSubject: one\r\n\r\nbody\r\n').code == 250
    assert p.heard('envfrom')[0][3] == US
    assert p.heard('hello')[0][1:] == ['TLSv1.3', '256']
    assert [name for name, _ in p.heard('header')] == ['Date', 'Message-ID', 'From', 'Subject']


def test_what_programs_of_this_machine_send_is_heard_and_lmtp_is_not(server, program):
    p = program()
    use(server, p.socket)
    server.must('sendmail', '-f', US, US, stdin='Subject: local\n\nbody\n')
    assert until(lambda: server.messages(US))
    assert p.heard('connect')[0][:2] == ['localhost', ['127.0.0.1', 0]]
    count = len(p.heard())
    with server.smtp('lmtp') as s:
        assert s.send_message('a@remote.example', [US], SMALL).code == 250
    with server.imap(US) as i:
        i.append('INBOX', SMALL)
    assert len(p.heard()) == count


def test_leading_space_is_kept_for_who_wants_it(server, program):
    p = program(leading_space=True, changes=[['addheader', 'X-A', '  two'], ['addheader', 'X-B', 'none']])
    use(server, p.socket)
    assert server.send(US, b'Subject:  one\r\n\r\nbody\r\n').code == 250
    assert p.heard('header') == [['Subject', '  one']]
    assert b'\r\nX-A:  two\r\nX-B:none\r\n' in only(server)


def test_what_a_milter_does_not_want_is_not_said(server, program):
    p = program(ignored=['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'header', 'eoh', 'body'], changes=[['addheader', 'X-A', 'b']])
    use(server, p.socket)
    assert server.send(US, SMALL + b'x\r\n' * 200000).code == 250
    assert p.steps()[0] == 'eom' and p.heard('eom') == [[0]]
    assert b'X-A: b\r\n' in only(server)


def test_a_milter_need_not_answer(server, program):
    p = program(silent=['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'header', 'eoh', 'body'])
    use(server, p.socket)
    assert server.send(US, SMALL + b'x' * 70 + b'\r\n').code == 250
    assert p.heard('eom') == [[78]]


def test_the_rest_of_the_body_can_be_skipped(server, program):
    p = program(answers={'body': 'skip'})
    use(server, p.socket)
    assert server.send(US, SMALL + (b'x' * 70 + b'\r\n') * 20000).code == 250
    assert len(p.heard('body')) == 1
    assert len(only(server)) > 1400000


def test_a_connection_serves_many_messages_of_a_client(server, raw):
    r = raw()
    use(server, r.socket)
    with server.smtp() as s:
        for _ in range(20):
            assert s.send_message('sender@remote.example', [US], SMALL).code == 250
    assert len(r.clients) == 1
    assert sum(what[:1] == b'C' for what in r.heard) == 1 and sum(what[:1] == b'M' for what in r.heard) == 20


def test_a_connection_to_libmilter_serves_many_messages(server, program):
    p = program(answers={'envfrom': {'<bad@remote.example>': 'reject'}, 'envrcpt': {'<v@example.test>': 'tempfail'}})
    use(server, p.socket)
    with server.smtp() as s:
        for sender, recipient, code in [('a', US, 250), ('bad', US, 550), ('b', 'v@example.test', 451), ('c', US, 250), ('d', US, 250)]:
            assert s.send_message(sender + '@remote.example', [recipient], SMALL).code == code
    assert len(p.heard('connect')) == 1 and len(p.heard('eom')) == 3


# ---- answers ----

@pytest.mark.parametrize('step', ['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'header', 'eoh', 'body', 'eom'])
@pytest.mark.parametrize('answer,reply', [('reject', '550 5.7.1 Command rejected'), ('tempfail', LATER)])
def test_a_message_is_refused_at_each_step(server, program, step, answer, reply):
    p = program(answers={step: answer})
    use(server, p.socket)
    assert server.send(US, SMALL) == reply
    assert server.messages(US) == []


def test_the_reply_is_the_milters_own(server, program):
    p = program(answers={'eom': ['reject', '554', '5.7.9', 'We do not like it']})
    use(server, p.socket)
    assert server.send(US, SMALL) == '554 5.7.9 We do not like it'
    p.stop()
    r = program('q', answers={'envrcpt': ['tempfail', '450', '4.2.0', 'Greylisted']})
    use(server, r.socket)
    assert server.send(US, SMALL) == '450 4.2.0 Greylisted'


@pytest.mark.parametrize('step', ['connect', 'envfrom', 'envrcpt', 'header', 'body', 'eom'])
def test_a_milter_may_accept_at_once(server, program, step):
    p = program(answers={step: 'accept'}, changes=[['addheader', 'X-A', 'b']])
    use(server, p.socket)
    with server.smtp() as s:
        assert s.send_message('a@remote.example', [US], SMALL + b'x\r\n' * 300000).code == 250
        assert s.send_message('a@remote.example', [US], SMALL).code == 250
    assert [b'X-A: b' in m for m in server.messages(US)] == [step == 'eom'] * 2


def test_what_is_discarded_is_answered_as_if_it_were_not(server, program):
    p = program(answers={'eom': 'discard'})
    use(server, p.socket)
    reply = server.send(US, SMALL + b'x\r\n' * 300000)
    assert reply.code == 250
    assert server.messages(US) == [] and server.must('queue', 'list').startswith('0 messages')
    assert 'thrown away by a milter' in server.must('trace', reply.split()[-1])
    assert re.search(r'message .*id=%s outcome=discarded' % reply.split()[-1], server.log())


def test_a_recipient_who_is_refused_is_not_left_out_in_silence(server, program):
    """The whole message is refused, so that its sender hears of it."""
    p = program(answers={'envrcpt': {'<v@example.test>': 'reject'}})
    use(server, p.socket)
    with server.smtp() as s:
        assert s.send_message('a@remote.example', [US, 'v@example.test'], SMALL) == '550 5.7.1 Command rejected'
        assert s.send_message('a@remote.example', [US], SMALL).code == 250
    assert until(lambda: len(server.messages(US)) == 1)
    assert re.search('milter-refuses-recipient .*to=v@example.test', server.log())


def test_a_recipient_who_is_to_be_tried_later_puts_off_the_message(server, program):
    p = program(answers={'envrcpt': {'<v@example.test>': 'tempfail'}})
    use(server, p.socket)
    with server.smtp() as s:
        assert s.send_message('a@remote.example', [US, 'v@example.test'], SMALL) == LATER
    assert server.messages(US) == []


# ---- changes ----

ORIGINAL = b'Subject: one\r\nX-Many: 1\r\nX-Many: 2\r\nX-Many: 3\r\nTo: u@example.test\r\n\r\nbody\r\n'


def test_header_fields_are_added_changed_and_deleted(server, program):
    p = program(changes=[['addheader', 'X-Added', 'a\n\tb'], ['addheader', 'X-Top', 'top', 0], ['addheader', 'X-Behind', 'r', 2],
                         ['chgheader', 'Subject', 1, 'two'], ['chgheader', 'X-Many', 2, ''], ['chgheader', 'X-Many', 2, 'three']])
    use(server, p.socket)
    assert server.send(US, ORIGINAL).code == 250
    whole = only(server)
    assert whole.startswith(b'Return-Path: <sender@remote.example>\r\nX-Top: top\r\nReceived: ')
    assert strip_trace(whole.replace(b'X-Top: top\r\n', b'')) == (
        b'X-Behind: r\r\nX-Added: a\r\n\tb\r\nSubject: two\r\nX-Many: 1\r\nX-Many: three\r\nTo: u@example.test\r\n\r\nbody\r\n')
    with server.imap(US) as i:
        i.ok('SELECT INBOX')
        assert any(b'"two"' in line if isinstance(line, bytes) else '"two"' in str(line) for line in [str(i.ok('FETCH 1 (ENVELOPE RFC822.SIZE)'))])
        assert 'RFC822.SIZE %d' % len(whole) in str(i.ok('FETCH 1 RFC822.SIZE'))


def test_a_large_message_is_changed_too(server, program):
    p = program(changes=[['chgheader', 'Subject', 1, 'two']])
    use(server, p.socket)
    body = (b'x' * 76 + b'\r\n') * 20000
    assert server.send(US, b'Subject: one\r\nTo: x\r\n\r\n' + body).code == 250
    assert strip_trace(only(server)) == b'Subject: two\r\nTo: x\r\n\r\n' + body


def test_what_milters_leave_is_what_is_signed(server, program):
    p = program(changes=[['chgheader', 'Subject', 1, 'two'], ['addheader', 'Reply-To', 'w@example.test']])
    use(server, p.socket)
    with server.smtp('submissions') as s:
        s.plain(US, PASSWORD)
        assert s.send_message(US, [US], b'From: u@example.test\r\nSubject: one\r\n\r\nbody\r\n').code == 250
    whole = only(server)
    records = dict(re.findall(r'^(\S+_domainkey\.example\.test\.)\s.*?TXT\s+(.*)$', server.must('dkim', 'records'), re.M))
    count = whole.count(b'DKIM-Signature:')
    assert count and b'Subject: two\r\nReply-To: w@example.test\r\n' in whole
    for n in range(count):
        assert dkim.DKIM(whole).verify(n, dnsfunc=lambda name, timeout=5: ''.join(re.findall('"([^"]*)"', records[name.decode()])).encode())


def test_two_milters_in_a_row_see_what_the_first_did(server, program):
    first = program('a', changes=[['chgheader', 'Subject', 1, 'two'], ['addheader', 'X-First', 'yes']])
    second = program('b', changes=[['addheader', 'X-Second', 'yes']])
    use(server, first.socket, second.socket)
    body = (b'y' * 70 + b'\r\n') * 10000
    assert server.send(US, b'To: x\r\nSubject: one\r\n\r\n' + body).code == 250
    assert second.heard('header') == [['Subject', 'two'], ['X-First', 'yes'], ['To', 'x']]
    assert first.heard('eom') == second.heard('eom') == [[len(body)]]
    assert strip_trace(only(server)) == b'Subject: two\r\nX-First: yes\r\nX-Second: yes\r\nTo: x\r\n\r\n' + body


def test_the_second_is_not_asked_about_what_the_first_refuses(server, program):
    first, second = program('a', answers={'eom': 'reject'}), program('b')
    use(server, first.socket, second.socket)
    assert server.send(US, SMALL).code == 550
    assert second.heard('envfrom') == []


def test_a_quarantined_message_waits_until_it_is_released(server, program):
    p = program(changes=[['quarantine', 'smells']])
    use(server, p.socket)
    reply = server.send(US, SMALL)
    assert reply.code == 250 and 'held' in server.must('queue', 'list')
    assert server.messages(US) == [] and 'milter-quarantine' in server.log() and 'smells' in server.log()
    server.must('queue', 'release', reply.split()[-1])
    assert until(lambda: server.messages(US))
    assert until(lambda: server.must('queue', 'list').startswith('0 messages'))


def test_the_envelope_is_changed(server, program):
    p = program(changes=[['chgfrom', '<other@remote.example>'], ['delrcpt', '<u@example.test>'], ['addrcpt', '<v@example.test>']])
    use(server, p.socket)
    assert server.send(US, SMALL).code == 250
    assert until(lambda: server.messages('v@example.test'))
    assert only(server, 'v@example.test').startswith(b'Return-Path: <other@remote.example>\r\n')
    assert server.messages(US) == []


def test_a_message_whose_recipients_are_all_taken_out_is_discarded(server, program):
    p = program(changes=[['delrcpt', '<u@example.test>']])
    use(server, p.socket)
    assert server.send(US, SMALL).code == 250
    assert server.messages(US) == [] and server.must('queue', 'list').startswith('0 messages')


# ---- milters that do not work ----

FAULTY = {
    'dies at CONNECT': {'C': None},
    'dies in the middle': {'L': None},
    'dies at the end': {'E': None},
    'dies amid its changes': {'E': lambda _: change(b'h', b'X-A', b'b') + b'\0\0'},
    'is no milter': {'O': b'220 mail.example ESMTP\r\n'},
    'speaks another version': {'O': options(version=9)},
    'sends a packet without an end': {'M': b'\x7f\xff\xff\xffy'},
    'sends an empty packet': {'M': b'\0\0\0\0'},
    'answers with what is not known': {'M': packet(b'Z')},
    'changes the message too early': {'M': change(b'h', b'X-A', b'b')},
    'changes the body': {'E': packet(b'b', b'other body') + CONTINUE},
    'changes what it did not ask for': {'O': options(actions=0), 'E': change(b'h', b'X-A', b'b') + CONTINUE},
    'skips the header': {'L': packet(b's')},
    'breaks the header': {'E': change(b'h', b'X-A', b'b\nBcc: x@remote.example') + CONTINUE},
    'ends the header': {'E': change(b'h', b'X-A', b'b\n\nbody') + CONTINUE},
    'adds a field without a name': {'E': change(b'h', b'X A', b'b') + CONTINUE},
    'adds a huge field': {'E': change(b'h', b'X-A', b'b' * 60000) + CONTINUE},
    'adds too many fields': {'E': change(b'h', b'X-A', b'b' * 100) * 2000 + CONTINUE},
    'adds no address': {'E': change(b'+', b'<a b>\r\nRCPT TO:<x>') + CONTINUE},
    'gives a malformed reply': {'E': packet(b'y', b'250 fine\0')},
}


@pytest.mark.parametrize('what', FAULTY)
def test_a_milter_that_breaks_the_protocol_is_one_that_is_down(server, raw, what):
    says = dict(FAULTY[what])
    if what == 'dies amid its changes':
        first = says.pop('E')
        says['E'] = lambda heard: first(heard)
    r = raw(says)
    before = len(server.log())
    use(server, r.socket, milter_timeout='2s' if what == 'dies amid its changes' else '20s')
    assert server.send(US, SMALL) == LATER
    (line,) = failures(server, before)
    assert r.socket in line and ' why=' in line and ' do=' in line
    use(server, r.socket, milter_default='accept', milter_timeout='2s' if what == 'dies amid its changes' else '20s')
    assert server.send(US, SMALL).code == 250
    assert strip_trace(only(server)) == SMALL
    use(server, r.socket, milter_default='reject', milter_timeout='2s' if what == 'dies amid its changes' else '20s')
    assert server.send(US, SMALL) == '550 5.7.1 Service unavailable'


def test_a_milter_that_is_not_there(server, short):
    use(server, 'unix:%s/none' % short)
    assert server.send(US, SMALL) == LATER
    (port,) = free_ports(1)
    use(server, 'inet:127.0.0.1:%d' % port, milter_default='accept')
    assert server.send(US, SMALL).code == 250
    assert re.search(r'^milter .* failed=[1-9]', server.status(), re.M)
    check = server.command('check')
    assert 'inet:127.0.0.1:%d: Connection refused: start it' % port in check.stdout


def test_one_that_is_down_is_passed_over_and_the_next_is_asked(server, short, program):
    p = program(changes=[['addheader', 'X-A', 'b']])
    use(server, 'unix:%s/none' % short, p.socket, milter_default='accept')
    assert server.send(US, SMALL).code == 250
    assert b'X-A: b' in only(server)


def test_a_milter_that_is_slow(server, program):
    p = program(sleep=6)
    use(server, p.socket, milter_timeout='1s')
    assert server.send(US, SMALL) == LATER
    p.stop()
    p = program('q', sleep=4, progress=20)
    use(server, p.socket, milter_timeout='2s')
    assert server.send(US, SMALL).code == 250


def test_a_milter_that_is_started_anew_is_found_again(server, program):
    p = program()
    use(server, p.socket)
    with server.smtp() as s:
        assert s.send_message('a@remote.example', [US], SMALL).code == 250
        p.stop()
        assert s.send_message('a@remote.example', [US], SMALL) == LATER
        p.start()
        assert s.send_message('a@remote.example', [US], SMALL).code == 250
        p.stop()
        p.start() # while the connection to the old one is still kept
        assert s.send_message('a@remote.example', [US], SMALL).code == 250
    assert len(server.messages(US)) == 3


def test_a_milter_that_takes_one_connection_at_a_time_gets_many(server, short):
    """libmilter's queue of connections is short; a Unix socket says at once that it is full."""
    path = short / 'one'
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        listener.listen(0)
        use(server, 'unix:%s' % path)
        replies, threads = [], [threading.Thread(target=lambda: replies.append(server.send(US, SMALL).code)) for _ in range(8)]
        for thread in threads:
            thread.start()
        listener.settimeout(20)
        for _ in threads:
            client, _ = listener.accept()
            client.sendall(options(protocol=0x27f))
            assert until(lambda: client.recv(65536).endswith(packet(b'E')))
            client.sendall(CONTINUE)
            client.close()
        for thread in threads:
            thread.join()
    assert replies == [250] * 8


def test_a_client_that_goes_amid_its_message(server, program):
    p = program()
    use(server, p.socket)
    with server.smtp() as s:
        s.command('MAIL FROM:<a@remote.example>')
        s.command('RCPT TO:<%s>' % US)
        s.command('DATA')
        s.send(SMALL + b'x\r\n' * 100000)
        assert until(lambda: 'body' in p.steps())
    assert until(lambda: {'close', 'abort'} & set(p.steps()))
    assert server.send(US, SMALL).code == 250


# ---- our own processes die ----

@pytest.mark.parametrize('role', ['milter', 'filter'])
def test_a_process_that_is_killed_amid_a_message_loses_and_doubles_nothing(server, raw, role):
    arrived, go_on = threading.Event(), threading.Event()

    def at_end(_):
        arrived.set()
        go_on.wait(20)
        return CONTINUE
    r = raw({'E': at_end})
    use(server, r.socket)
    server.wait_all_running()
    replies = []
    thread = threading.Thread(target=lambda: replies.append(server.send(US, SMALL)))
    thread.start()
    assert arrived.wait(20)
    server.kill_role(role)
    thread.join()
    go_on.set()
    assert replies[0].code == 451
    server.wait_all_running()
    assert server.send(US, SMALL).code == 250
    assert len(server.messages(US)) == 1


def memory(server, role):
    (pid,) = [pid for name, pid in server.pids() if name == role]
    text = pathlib.Path('/proc/%d/status' % pid).read_text()
    return int(re.search(r'VmRSS:\s+(\d+)', text)[1]) * 1024


@pytest.mark.parametrize('count', [1, 2])
def test_large_messages_take_little_memory(server, program, count):
    programs = [program('m%d' % n, silent=['body'] if n else []) for n in range(count)]
    use(server, *[p.socket for p in programs])
    server.wait_all_running()
    assert server.send(US, SMALL).code == 250
    before = memory(server, 'milter'), memory(server, 'filter')
    line = b'z' * 76 + b'\r\n'
    for _ in range(2):
        assert server.send(US, SMALL + line * (20 * 1024 * 1024 // len(line))).code == 250
    assert memory(server, 'milter') - before[0] < 16 * 1024 * 1024
    assert memory(server, 'filter') - before[1] < 16 * 1024 * 1024
    assert all(p.heard('eom')[-1][0] > 20 * 1024 * 1024 - 100 for p in programs)


def test_a_slow_milter_holds_the_client_back(server, raw):
    go_on = threading.Event()
    r = raw({'B': lambda _: go_on.wait(30) and CONTINUE})
    use(server, r.socket)
    with server.smtp() as s:
        s.command('MAIL FROM:<a@remote.example>')
        s.command('RCPT TO:<%s>' % US)
        s.command('DATA')
        s.socket.settimeout(3)
        s.send(SMALL)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 64 * 1024 * 1024:
                sent += s.socket.send((b'w' * 76 + b'\r\n') * 1000)
        go_on.set()
    assert sent < 16 * 1024 * 1024


def test_the_status_counts(server, program):
    p = program(answers={'envfrom': {'<bad@remote.example>': 'reject'}})
    use(server, p.socket)
    server.kill_role('milter')
    server.wait_all_running()
    server.send(US, SMALL)
    server.send(US, SMALL, sender='bad@remote.example')
    line = re.search(r'^milter .*', server.status(), re.M)[0]
    assert 'milters=1 asked=2 refused=1' in line


def test_without_milters_nobody_is_asked(server, program):
    p = program()
    use(server)
    assert server.send(US, SMALL).code == 250
    assert p.heard('envfrom') == []


def test_a_header_of_very_many_fields_ends_nothing(server, program):
    use(server, program().socket)
    before = server.log().count('process-ended')
    assert server.send(US, b'a:\r\n' * 200000 + b'Subject: many\r\n\r\nbody\r\n') == '552 5.3.4 The header has too many fields'
    assert server.send(US, b'a:\r\n' * 4000 + b'Subject: many\r\n\r\nbody\r\n').code == 250
    assert server.send(US, SMALL).code == 250
    assert server.log().count('process-ended') == before
