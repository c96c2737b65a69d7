"""A full disk: new mail is refused for the time being, what is there can be read and deleted, and nothing dies of it."""
import contextlib
import os
import subprocess

import pytest

from conftest import PASSWORD, Server, failing_dns, strip_trace, until

MIB = 1024 * 1024
MESSAGE = b'Subject: a full disk\r\n\r\n' + b'x' * 70 + b'\r\n'


@pytest.fixture
def settings(request):
    """Of the server; a parameter names the fixture that makes them."""
    return request.getfixturevalue(request.param) if hasattr(request, 'param') else {}


@pytest.fixture
def small_disk(folder, request, settings):
    """A server whose data lie on a disk of their own, and a function that leaves so many bytes of it free."""
    home = folder / ('disk-%s' % request.node.name[5:15])
    data = home / 'data'
    data.mkdir(parents=True)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=400m,mode=0755', 'tmpfs', str(data)], check=True)
    filler = data / 'filler'

    def leave_free(size):
        if filler.exists():
            filler.unlink()
        if size is None:
            return
        free = os.statvfs(data).f_bavail * os.statvfs(data).f_frsize
        with open(filler, 'wb') as f:
            os.posix_fallocate(f.fileno(), 0, free - size)

    server = Server(home, settings=settings)
    try:
        server.add_user('joe')
        server.start()
        yield server, leave_free
    finally:
        try:
            server.close()
        finally:
            subprocess.run(['umount', '-l', str(data)], check=True)


def rcpt_code(server):
    with server.smtp() as s:
        s.command('MAIL FROM:<s@remote.example>')
        return s.command('RCPT TO:<joe@example.test>')


def test_mail_is_refused_while_the_disk_is_full_and_taken_again_after(small_disk):
    server, leave_free = small_disk
    for _ in range(3):
        assert server.send('joe@example.test', MESSAGE).code == 250
    before = sorted(server.pids())
    leave_free(20 * MIB)
    assert until(lambda: rcpt_code(server).code == 452, 10)
    reply = rcpt_code(server)
    assert '4.3.1' in reply, reply
    with server.smtp('lmtp') as s:
        s.command('MAIL FROM:<s@remote.example>')
        assert s.command('RCPT TO:<joe@example.test>').code == 452
    with server.imap('joe@example.test') as c:
        c.ok('SELECT INBOX')
        c.ok('STORE 1 +FLAGS (\\Deleted)')
        c.ok('EXPUNGE')
        assert c.append('INBOX', MESSAGE).startswith('NO [OVERQUOTA]')
        c.ok('COPY 1 Archive')  # names the bytes that are there
    assert [strip_trace(m) for m in server.messages('joe@example.test')] == [MESSAGE] * 2
    assert sorted(server.pids()) == before
    assert server.log().count('disk-full') == 1
    leave_free(None)
    assert until(lambda: rcpt_code(server).code == 250, 10)
    assert server.send('joe@example.test', MESSAGE).code == 250
    assert len(server.messages('joe@example.test')) == 3
    assert sorted(server.pids()) == before


def test_a_disk_that_fills_under_the_servers_hands_loses_nothing_acknowledged(small_disk):
    server, leave_free = small_disk
    assert server.send('joe@example.test', MESSAGE).code == 250
    letter = MESSAGE + (b'y' * 76 + b'\r\n') * 250000
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(server.smtp()) for _ in range(12)]
        for s in sessions:
            assert s.command('MAIL FROM:<s@remote.example>').code == 250
            assert s.command('RCPT TO:<joe@example.test>').code == 250
            assert s.command('DATA').code == 354
            s.send(letter[:MIB])
        leave_free(0)
        acknowledged = 1
        for s in sessions:
            try:
                s.send(letter[MIB:] + b'.\r\n')
                acknowledged += s.reply().code == 250
            except (OSError, EOFError):
                continue
    # the store that found the disk full has ended: what it held back is answered for by what the next one reads
    server.killed.update(int(line.split(' pid=')[1].split()[0]) for line in server.log().splitlines() if 'process-died' in line)
    assert 1 <= len(server.killed) <= 2, server.killed
    assert acknowledged < 13 and 'No space left on device' in server.log(), server.log()
    server.wait_all_running()
    assert len(server.messages('joe@example.test')) == acknowledged
    server.empty('joe@example.test')  # deleting works on a full disk
    assert server.messages('joe@example.test') == []
    leave_free(None)
    assert until(lambda: rcpt_code(server).code == 250, 20)
    assert server.send('joe@example.test', MESSAGE).code == 250


@pytest.fixture
def short_lives():
    with failing_dns() as port:
        yield {'resolver': '127.0.0.1@%d' % port, 'retry_first': '1s', 'retry_most': '2s', 'queue_lifetime': '6s'}


@pytest.mark.parametrize('settings', ['short_lives'], indirect=True)
def test_a_bounce_that_finds_no_room_comes_when_there_is_some(small_disk):
    server, leave_free = small_disk
    with server.smtp('submission') as s:
        assert s.plain('joe@example.test', PASSWORD).code == 235
        assert s.send_message('joe@example.test', ['x@nowhere.example'], b'From: joe@example.test\r\n\r\nbody\r\n').code == 250
    leave_free(20 * MIB)
    assert until(lambda: 'x@nowhere.example failed' in server.must('queue', 'list'), 20)
    assert server.messages('joe@example.test') == []
    assert server.stop() < 30
    server.start()
    assert 'x@nowhere.example failed' in server.must('queue', 'list')
    leave_free(None)
    assert until(lambda: any(b'Status: 4.4.7' in m for m in server.messages('joe@example.test')), 20)
    assert until(lambda: '0 messages' in server.must('queue', 'list'))
