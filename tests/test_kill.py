"""Processes end at the worst of times. What was acknowledged is there, once; what moved is in one place."""
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import until
from ports import free_ports

ROLES = ('edge-mx', 'filter', 'store', 'vault', 'edge-user', 'relay', 'resolve')
USERS = ['u%d@example.test' % n for n in range(4)]
DELIVERY_ID = re.compile(rb'(?m)^X-Id: (\S+)\r$')


class Ledger:
    """What the server has acknowledged, written and synced before anything else happens; and what nobody knows."""

    def __init__(self, path):
        self.file = open(path, 'ab')
        self.lock = threading.Lock()
        self.acknowledged, self.unknown, self.refused = {}, {}, 0

    def acknowledge(self, name, users):
        with self.lock:
            self.file.write(name.encode() + b'\n')
            self.file.flush()
            os.fsync(self.file.fileno())
            self.acknowledged[name] = users


class Sender(threading.Thread):
    """Sends message after message on raw sockets until it is told to stop. One whose answer did not come is never sent again."""

    def __init__(self, server, number, ledger):
        super().__init__()
        self.server, self.number, self.ledger = server, number, ledger
        self.random = random.Random(number)
        self.is_over, self.fault = False, None

    def run(self):
        try:
            session, n = None, 0
            while not self.is_over:
                n += 1
                name = '%d-%d' % (self.number, n)
                users = self.random.sample(USERS, 1 if self.random.random() < 0.7 else self.random.randint(2, 3))
                at_end = False
                try:
                    if session is None:
                        session = self.server.smtp()
                        session.socket.settimeout(40)
                    reply = session.command('MAIL FROM:<s@remote.example>')
                    for user in users:
                        if reply.code == 250:
                            reply = session.command('RCPT TO:<%s>' % user)
                    if reply.code == 250:
                        reply = session.command('DATA')
                    if reply.code == 354:
                        size = self.random.choice([10, 1000, 20000, 300000])
                        session.send(b'X-Id: %s\r\n\r\n' % name.encode() + b'x' * 70 + b'\r\n' + (b'y' * 70 + b'\r\n') * (size // 72))
                        at_end = True
                        session.send(b'.\r\n')
                        reply = session.reply()
                        at_end = False
                        if reply.code == 250:
                            self.ledger.acknowledge(name, users)
                            continue
                    assert 400 <= reply.code < 500, reply
                    self.ledger.refused += 1
                    session.close()
                    session = None
                except (OSError, EOFError):
                    if at_end:
                        self.ledger.unknown[name] = users
                    if session:
                        session.close()
                    session = None
                    time.sleep(0.01)
        except BaseException as fault:
            self.fault = fault


@pytest.fixture
def server(make_server):
    s = make_server(settings={'filters': '2'})
    for user in USERS:
        s.add_user(user)
    return s


def found_ids(server, user):
    found = {}
    for message in server.messages(user):
        name = DELIVERY_ID.search(message)[1].decode()
        found[name] = found.get(name, 0) + 1
    return found


def check_ledger(server, ledger):
    """Everything acknowledged is in each of its mailboxes; nothing anywhere twice; nothing that was refused or never sent."""
    assert until(lambda: server.must('queue', 'list').startswith('0 messages'), 30), server.must('queue', 'list')
    known = dict(ledger.unknown)
    known.update(ledger.acknowledged)
    for user in USERS:
        found = found_ids(server, user)
        twice = {name: count for name, count in found.items() if count > 1}
        lost = [name for name, users in ledger.acknowledged.items() if user in users and name not in found]
        stray = [name for name in found if user not in known.get(name, ())]
        assert not twice and not lost and not stray, (user, 'twice', twice, 'lost', lost, 'stray', stray)
    for name, users in ledger.unknown.items():  # all or nothing
        assert len({name in found_ids_of(server, user) for user in users}) == 1, name


_cache = {}


def found_ids_of(server, user):
    key = (server, user)
    if key not in _cache:
        _cache[key] = found_ids(server, user)
    return _cache[key]


def start_senders(server, ledger, count=4):
    senders = [Sender(server, number, ledger) for number in range(count)]
    for s in senders:
        s.start()
    return senders


def stop_senders(senders):
    for s in senders:
        s.is_over = True
    for s in senders:
        s.join(60)
        assert not s.is_alive()
        assert s.fault is None, s.fault


def wait_for_more(ledger, count, seconds=30):
    target = len(ledger.acknowledged) + count
    assert until(lambda: len(ledger.acknowledged) >= target, seconds), 'nothing is accepted any more'


@pytest.mark.parametrize('role', ROLES)
def test_acknowledged_mail_is_there_once_after_kill_of(server, tmp_path, role):
    """Attacks 104 and 117."""
    ledger = Ledger(tmp_path / 'ledger')
    senders = start_senders(server, ledger)
    rng = random.Random(ROLES.index(role))
    try:
        for _ in range(4):
            wait_for_more(ledger, rng.randint(5, 25))
            assert server.kill_role(role)
            server.wait_all_running()
        wait_for_more(ledger, 10)
    finally:
        stop_senders(senders)
    server.wait_all_running()
    check_ledger(server, ledger)
    server.check()


def test_acknowledged_mail_is_there_once_after_kill_of_everything(server, tmp_path):
    """The master dies, and with it all the others; and starts again."""
    ledger = Ledger(tmp_path / 'ledger')
    senders = start_senders(server, ledger)
    try:
        for _ in range(3):
            wait_for_more(ledger, 15)
            server.kill_all()
            server.start()
        wait_for_more(ledger, 10)
    finally:
        stop_senders(senders)
    check_ledger(server, ledger)


def test_appended_messages_are_there_once_after_kill_of_store(server):
    user, acknowledged, unknown = USERS[0], set(), set()
    kills, n, session = 0, 0, None
    while kills < 4 or n % 40:
        n += 1
        name = 'a-%d' % n
        if n % 40 == 20:
            # in the middle of one: the tagged answer is read after the kill
            kills += 1
        try:
            session = session or server.imap(user)
            message = b'X-Id: %s\r\n\r\nbody\r\n' % name.encode()
            tag = session.send_command('APPEND INBOX {%d}' % len(message))
            assert session.response().startswith(b'+')
            unknown.add(name)
            session.send(message + b'\r\n')
            if n % 40 == 20:
                server.kill_role('store')
            reply = session.result(tag)
            if reply.startswith('OK'):
                acknowledged.add(name)
            else:
                assert reply.startswith('NO'), reply
            unknown.discard(name)
            if not reply.startswith('OK'):
                time.sleep(0.02)
        except (OSError, EOFError, AssertionError):
            if session:
                session.close()
            session = None
            time.sleep(0.02)
    server.wait_all_running()
    found = found_ids(server, user)
    assert all(count == 1 for count in found.values()), {k: v for k, v in found.items() if v > 1}
    assert acknowledged - set(found) == set()
    assert set(found) - acknowledged - unknown == set()
    assert len(acknowledged) > 60


def test_moved_messages_are_in_exactly_one_mailbox_after_kill_of_store(server):
    user, count = USERS[1], 40
    with server.imap(user) as session:
        for n in range(count):
            assert session.append('INBOX', b'X-Id: m-%d\r\n\r\nbody\r\n' % n).startswith('OK')
    boxes = ['INBOX', 'Archive']
    rng = random.Random(7)
    for kill in range(6):
        try:
            with server.imap(user) as session:
                for _ in range(rng.randint(1, 6)):
                    session.ok('SELECT ' + boxes[0])
                    tag = session.send_command('MOVE 1:%d %s' % (rng.randint(1, count), boxes[1]) if kill % 2 else 'MOVE 1:* ' + boxes[1])
                    if rng.random() < 0.4:
                        server.kill_role('store')
                    session.result(tag)
                    boxes.reverse()
        except (OSError, EOFError, AssertionError):
            pass
        server.wait_all_running()
        names = []
        with server.imap(user) as session:
            for box in boxes:
                names += [DELIVERY_ID.search(body)[1] for body in session.bodies(box)]
            sizes = [int(re.search(rb'MESSAGES (\d+)', session.ok('STATUS %s (MESSAGES)' % box)[0])[1]) for box in boxes]
        assert sorted(names) == sorted(b'm-%d' % n for n in range(count))
        if not sizes[0]:
            boxes.reverse()


# ---- ends and starts in order ----

def test_sigterm_under_load_ends_in_time_with_no_port_open(server, tmp_path):
    ledger = Ledger(tmp_path / 'ledger')
    senders = start_senders(server, ledger)
    with server.imap(USERS[0]) as idle, server.pop3(USERS[1]) as pop, server.smtp('submission') as smtp:
        try:
            wait_for_more(ledger, 20)
            assert server.stop() < 10
            for port in server.ports.values():
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(('127.0.0.1', port))
            for session in (idle, pop, smtp):
                session.rest()  # ends
            assert not os.path.exists(server.run_dir / 'control')
        finally:
            server.start()
            stop_senders(senders)
    check_ledger(server, ledger)


def test_a_client_that_comes_back_finds_everything(server):
    message = b'X-Id: back\r\n\r\nbody\r\n'
    server.send(USERS[0], message)
    with server.imap(USERS[0]) as session:
        session.ok('SELECT INBOX')
        session.ok('STORE 1 +FLAGS (\\Flagged $Work)')
        session.ok('CREATE Projects')
        before = session.ok('STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)')
        listed = session.ok('LIST "" *')
    with server.pop3(USERS[0]) as p:
        ids = p.many('UIDL')
    server.stop()
    server.start()
    with server.imap(USERS[0]) as session:
        assert session.ok('STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)') == before
        assert session.ok('LIST "" *') == listed
        session.ok('SELECT INBOX')
        assert b'$Work' in session.ok('FETCH 1 FLAGS')[0] and b'\\Flagged' in session.ok('FETCH 1 FLAGS')[0]
        session.ok('SELECT Projects')
    with server.pop3(USERS[0]) as p:
        assert p.many('UIDL') == ids


def test_a_second_start_on_the_same_folders_is_refused(server):
    done = server.command('run')
    assert done.returncode not in (0, -6) and 'runs already' in done.stderr
    assert server.send(USERS[0], b'X-Id: still\r\n\r\nx\r\n').code == 250


def test_a_second_start_on_the_same_store_is_refused(server):
    """With another run_dir and other ports, but the same data."""
    (port,) = free_ports(1)
    text = re.sub(r'(?m)^\w+_listen = .*\n', '', server.config_file.read_text())
    text = re.sub(r'(?m)^run_dir = .*$', 'run_dir = %s' % (server.folder / 'run2'), text)
    text = re.sub(r'(?m)^protocols = .*$', 'protocols = smtp\nsmtp_listen = 127.0.0.1:%d' % port, text)
    (server.folder / 'other.conf').write_text(text)
    (server.folder / 'run2').mkdir()
    log = server.folder / 'other.log'
    with open(log, 'wb') as to:
        process = subprocess.Popen([server.argv()[0], '-c', str(server.folder / 'other.conf'), 'run'], stdout=to, stderr=to,
                                   env=dict(os.environ, ASAN_OPTIONS='detect_leaks=0'))
    try:
        assert until(lambda: process.poll() is not None or b'process-died' in log.read_bytes(), 20)
        assert b' ready ' not in log.read_bytes()
    finally:
        process.terminate()
        process.wait(15)
    assert server.send(USERS[0], b'X-Id: still\r\n\r\nx\r\n').code == 250
    assert found_ids(server, USERS[0]) == {'still': 1}


def test_reload_serves_on_and_takes_the_new_settings(server):
    assert server.smtp().keywords['SIZE'] == str(50 << 20)
    old_smtp, old_imap = server.smtp(), server.imap(USERS[0])
    old_imap.ok('SELECT INBOX')
    server.configure(message_size_limit='1M', filters='2')
    server.process.send_signal(1)

    def new_size():
        with server.smtp() as s:  # never refused, whichever process answers
            return s.keywords['SIZE'] == str(1 << 20)
    assert until(new_size)
    # those who were connected go on
    assert old_smtp.send_message('a@b.example', [USERS[0]], b'X-Id: during\r\n\r\nx\r\n').code == 250
    old_imap.ok('NOOP')
    assert any(b'1 EXISTS' in line for line in old_imap.untagged) or old_imap.ok('NOOP') is not None
    old_smtp.close()
    old_imap.close()
    server.configure(message_size_limit='2M')
    server.must('reload')

    def newer_size():
        with server.smtp() as s:
            return s.keywords['SIZE'] == str(2 << 20)
    assert until(newer_size)


def test_a_faulty_configuration_does_not_end_a_running_server(server):
    good = server.config_file.read_text()
    server.config_file.write_text(good + 'nonsense = 1\n')
    done = server.command('reload')
    assert server.process.poll() is None
    server.config_file.write_text(good)
    assert 'reload-refused' in server.log() or done.returncode
    assert server.send(USERS[0], b'X-Id: on\r\n\r\nx\r\n').code == 250


def test_status_ends_although_a_process_dies_before_it_answers(server):
    (pid,) = [pid for role, pid in server.pids() if role == 'vault']
    os.kill(pid, signal.SIGSTOP)
    asking = subprocess.Popen(server.argv('status'), stdout=subprocess.PIPE, text=True)
    until(lambda: asking.poll() is not None, 0.5)  # it waits for the one that sleeps
    server.killed.add(pid)
    os.kill(pid, signal.SIGKILL)
    said, _ = asking.communicate(timeout=10)
    assert asking.returncode == 0 and 'vault' in said
    server.wait_all_running()


def test_a_removed_accounts_mail_goes_even_if_store_dies_amid_that(server):
    before = len(server.log())
    for n in range(6):
        user = server.add_user('removed%d' % n)
        assert server.send(user, b'Subject: x\r\n\r\nx\r\n').code == 250
        server.must('user', 'remove', user)
        server.kill_role('store')
        server.wait_all_running()
    erased = set(re.findall(r' erasing-account .* account=(\d+)', server.log()[before:]))
    assert len(erased) == 6

    def is_over():
        before = len(server.log())
        server.kill_role('store')
        server.wait_all_running()
        return 'erasing-account' not in server.log()[before:]
    assert until(is_over, 30)


def test_mail_that_moves_between_accounts_is_never_lost(make_server):
    """MOVE from a shared mailbox into one's own and back (RFC 4314, RFC 6851), while store dies: each message is in one of them at least, whole."""
    server = make_server('crossing', users=['ann', 'bob'])
    shared, own, left = '"Other Users/ann@example.test/INBOX"', 'INBOX', random.Random(5)
    body = b''.join(b'%072d\r\n' % n for n in range(900))  # in pieces of its own
    with server.imap('ann@example.test') as ann:
        ann.ok('SETACL INBOX bob@example.test lrswite')
        for n in range(40):
            ann.append('INBOX', b'Subject: m%d\r\n\r\n%s' % (n, body if n % 2 else b'small\r\n'))

    def move_on():
        try:
            with server.imap('bob@example.test') as bob:
                bob.socket.settimeout(40)
                for source, target in [(shared, own), (own, shared)] * 20:
                    bob.ok('SELECT %s' % source)
                    count = int(re.search(rb'\* (\d+) EXISTS', b'\n'.join(bob.untagged))[1])
                    if count:
                        first = left.randint(1, count)
                        bob.ok('MOVE %d:%d %s' % (first, left.randint(first, count), target))
        except (OSError, EOFError, AssertionError):
            pass  # the session was cut off

    for _ in range(6):
        mover = threading.Thread(target=move_on)
        mover.start()
        time.sleep(left.uniform(0.05, 0.5))
        server.kill_role('store')
        mover.join()
        server.wait_all_running()
        found = server.messages('ann@example.test') + server.messages('bob@example.test')
        subjects = [re.search(rb'Subject: m(\d+)', m)[1] for m in found]
        assert set(subjects) == {b'%d' % n for n in range(40)}, sorted(subjects)
        assert all(m.endswith(body if int(s) % 2 else b'small\r\n') for s, m in zip(subjects, found))
    server.must('verify')
