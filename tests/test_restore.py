"""Deleted messages come back (undelete_grace, `carteiro restore`), and go by themselves (`carteiro expire`)."""
import os
import pathlib
import re
import subprocess
import time

import pytest

from conftest import CARTEIRO, PASSWORD, SMALL, US, until

SWEEP_LATER = pathlib.Path(CARTEIRO).parent.parent / 'store/store_sweep_later'


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(users=['v'])


@pytest.fixture(autouse=True)
def no_rules(server):
    yield
    for line in server.must('expire', 'list').splitlines():
        target, mailbox = re.match(r'(\S+) "(.*)" \S+$', line).groups()
        server.must('expire', 'unset', target, mailbox)


def text(n):
    return b'From: a@b.example\r\nSubject: %d\r\n\r\nnumber %d\r\n' % (n, n)


def listed(server):
    """(id, messages, bytes, mailbox) of what can be brought back, oldest first."""
    lines = server.must('restore', 'list', US).splitlines()
    return [re.match(r'(\S+)  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  (\d+) messages?, (\d+) bytes  (.*)$', line).groups() for line in lines]


def expunge(i, numbers):
    i.ok('STORE %s +FLAGS.SILENT (\\Deleted)' % numbers)
    i.ok('EXPUNGE')


# ---- restore ----

def test_what_was_expunged_comes_back_as_it_was(server, i):
    for n in range(4):
        i.append('INBOX', text(n), '(\\Flagged $k%d)' % n, ' 1-Feb-2003 04:05:06 +0000')
    i.ok('SELECT INBOX')
    expunge(i, '2:3')
    assert [(m, b, box) for _, m, b, box in listed(server)] == [('2', str(2 * len(text(1))), 'INBOX')]
    assert server.must('restore', US, 'all') == '2 messages restored\n'
    assert listed(server) == []
    told = i.ok('NOOP')
    assert b'* 4 EXISTS' in told
    assert i.bodies() == [text(0), text(3), text(1), text(2)]
    told = i.ok('FETCH 3:4 (UID FLAGS INTERNALDATE EMAILID)')
    assert b'UID 5 ' in told[0] and b'\\Flagged' in told[0] and b'$k1' in told[0] and b'\\Deleted' not in told[0] and b' 1-Feb-2003 04:05:06' in told[0]
    assert server.must('restore', US, 'all') == '0 messages restored\n'


def test_a_mailbox_that_was_deleted_comes_back_with_its_use(server, i):
    i.ok('CREATE a/b')
    i.append('a/b', text(1))
    i.append('Drafts', text(2))
    i.ok('DELETE a/b')
    i.ok('DELETE Drafts')
    i.ok('DELETE a')
    assert [(m, box) for _, m, _, box in listed(server)] == [('1', 'a/b'), ('1', 'Drafts')]
    assert server.must('restore', US, 'a/b') == '1 message restored\n'
    assert i.bodies('a/b') == [text(1)]
    assert server.must('restore', US, 'all', '1h') == '1 message restored\n'
    assert b'\\Drafts) "/" Drafts' in i.ok('LIST "" Drafts RETURN (SPECIAL-USE)')[0] and i.bodies('Drafts') == [text(2)]


def test_one_of_several_deletions(server, i):
    for n in range(3):
        i.append('INBOX', text(n))
    i.ok('SELECT INBOX')
    for _ in range(3):
        expunge(i, '1')
    found = listed(server)
    assert len(found) == 3
    assert server.must('restore', US, found[1][0]) == '1 message restored\n'
    assert i.bodies() == [text(1)]
    assert [entry[0] for entry in listed(server)] == [found[0][0], found[2][0]]


def test_pop3_moves_and_copies(server, i):
    """What POP3 deletes comes back; what only went elsewhere has not been deleted."""
    for n in range(3):
        i.append('INBOX', text(n))
    i.ok('SELECT INBOX')
    i.ok('COPY 1 Archive')
    i.ok('MOVE 1 Trash')
    assert listed(server) == []
    with server.pop3(US) as p:
        p.command('DELE 1')
        p.command('QUIT')
    assert [(m, box) for _, m, _, box in listed(server)] == [('1', 'INBOX')]
    """The blob that a copy still names stays when the deletion is given up."""
    i.ok('NOOP')
    expunge(i, '1')
    i.ok('SELECT Archive')
    expunge(i, '1')
    assert len(listed(server)) == 3
    server.must('restore', US, 'Archive')
    assert i.bodies('Archive') == [text(0)]


def test_many_and_after_a_restart(server, i):
    for n in range(10):
        i.append('INBOX', text(n))
    i.ok('SELECT INBOX')
    for _ in range(8):
        i.ok('COPY 1:* INBOX')
        i.ok('NOOP')
    count = int(re.search(rb'MESSAGES (\d+)', i.ok('STATUS INBOX (MESSAGES)')[0])[1])
    assert count == 2560
    expunge(i, '1:*')
    assert sum(int(m) for _, m, _, _ in listed(server)) == count
    i.ok('LOGOUT')
    server.kill_all()
    server.start()
    assert server.must('restore', US, 'INBOX') == '%d messages restored\n' % count
    with server.imap(US) as again:
        bodies = again.bodies()
        assert len(bodies) == count and set(bodies) == {text(n) for n in range(10)}


def test_it_counts_for_no_quota_and_a_removed_account_has_no_grace(server, i):
    server.must('quota', 'set', US, '1k')
    i.append('INBOX', b'x' * 900)
    i.ok('SELECT INBOX')
    expunge(i, '1')
    assert i.append('INBOX', b'y' * 900).startswith('OK')
    server.must('quota', 'unset', US)
    server.must('user', 'remove', US)
    server.add_user('u')
    assert listed(server) == []


def test_refusals(server, i):
    for words, code in ((('nobody@example.test', 'all'), 67), (('list', 'nobody@example.test'), 67), ((US, 'all', 'yesterday'), 64), ((US,), 64), ((US, 'all', '1d', 'x'), 64)):
        done = server.command('restore', *words)
        assert done.returncode == code, (words, done)
    assert server.must('restore', US, 'nowhere') == '0 messages restored\n'
    assert server.must('restore', US, 'ffffffffffffffffffff.1') == '0 messages restored\n'


def test_after_the_grace_it_is_gone(make_server):
    server = make_server('short', users=['u'], settings={'undelete_grace': '1s'})
    with server.imap(US) as i:
        i.append('INBOX', text(1))
        i.append('INBOX', text(2))
        i.ok('SELECT INBOX')
        i.ok('COPY 2 Archive')
        expunge(i, '1:2')
        assert len(listed(server)) == 1

        def is_given_up():
            assert re.match(r'2 accounts: 0 messages expired, [01] deletions? given up for good$', server.must('expire', 'run').strip())
            return listed(server) == []
        until(is_given_up)
        assert i.bodies('Archive') == [text(2)]


def test_without_a_grace(make_server):
    server = make_server('none', users=['u'], settings={'undelete_grace': '0'})
    with server.imap(US) as i:
        i.append('INBOX', text(1))
        i.ok('SELECT INBOX')
        expunge(i, '1')
        i.ok('CREATE x')
        i.append('x', text(1))
        i.ok('DELETE x')
    assert listed(server) == []


def bytes_of_files(server):
    """Of those in which messages stand."""
    return sum(path.stat().st_size for path in (server.data / 'store').glob('*.blob'))


def test_the_space_of_what_is_given_up_is_free_again(make_server):
    """Also where what stays lies in between. What the store does every ten minutes is done here while it does not run."""
    server = make_server('space', users=['u'], settings={'undelete_grace': '0'})
    messages = [text(n) + os.urandom(100000).translate(None, b'\0\r\n') + b'\r\n' for n in range(200)]
    with server.imap(US) as i:
        for message in messages:
            i.append('INBOX', message)
    server.stop()
    server.start()  # what was in the log alone is written to where it stays
    full = bytes_of_files(server)
    assert full > sum(map(len, messages))
    with server.imap(US) as i:
        i.ok('SELECT INBOX')
        expunge(i, ','.join(str(n + 1) for n in range(200) if n % 10))
    server.stop()
    subprocess.run([SWEEP_LATER, server.data / 'store'], check=True)
    left = bytes_of_files(server)
    assert full - left > 0.9 * sum(len(message) for n, message in enumerate(messages) if n % 10), (full, left)
    server.start()
    with server.imap(US) as i:
        assert i.bodies() == messages[::10]


# ---- expire ----

def test_messages_expire_by_rules(server, i):
    i.append('Trash', text(1))
    i.append('Junk', text(2))
    i.append('Archive', text(3))
    server.must('expire', 'set', '*@example.test', 'Trash', '1s')
    server.must('expire', 'set', '*@example.test', 'Junk', '1s')
    server.must('expire', 'set', US, 'Junk', 'never')
    server.must('expire', 'set', US, 'Archive', '30d')
    i.ok('SELECT Trash')

    def is_gone():
        server.must('expire', 'run')
        return b'MESSAGES 0' in i.ok('STATUS Trash (MESSAGES)')[0]
    until(is_gone)
    assert i.bodies('Junk') == [text(2)] and i.bodies('Archive') == [text(3)]
    assert [(m, box) for _, m, _, box in listed(server)] == [('1', 'Trash')]
    server.must('restore', US, 'Trash')
    assert i.bodies('Trash') == [text(1)]


def test_rules_are_listed_and_refused(server):
    server.must('expire', 'set', '*@example.test', 'Trash', '30d')
    server.must('expire', 'set', US, 'inbox', '12h')
    server.must('expire', 'set', US, 'Sent Items', 'never')
    assert server.must('expire', 'list').splitlines() == ['*@example.test "Trash" 30d', 'u@example.test "INBOX" 12h', 'u@example.test "Sent Items" never']
    for words, code in ((('set', US, 'Trash', 'soon'), 64), (('set', US, 'Trash', '0d'), 64), (('set', US, 'Trash'), 64), (('set', 'nobody@example.test', 'Trash', '1d'), 67),
                        (('set', 'example.test', 'Trash', '1d'), 64), (('set', '*@else.example', 'Trash', '1d'), 1), (('unset', US, 'Trash'), 1), (('set', US, '', '1d'), 64)):
        done = server.command('expire', *words)
        assert done.returncode == code, (words, done)
    server.add_user('gone')
    server.must('expire', 'set', 'gone@example.test', 'Trash', '1d')
    server.must('user', 'remove', 'gone@example.test')
    assert 'gone' not in server.must('expire', 'list')


# ---- what others have taken ----

def test_what_was_moved_into_another_account_comes_back(server, i):
    """It may be a guest who has taken it."""
    messages = [text(0), text(1) + b'x' * 76 + b'\r\n' * 40000]
    for message in messages:
        i.append('INBOX', message, '(\\Flagged)')
    i.ok('SETACL INBOX v@example.test lrte')
    with server.imap('v@example.test') as guest:
        guest.ok('SELECT "Other Users/%s/INBOX"' % US)
        guest.ok('MOVE 1:2 INBOX')
        assert guest.bodies('INBOX') == messages
        assert [(m, box) for _, m, _, box in listed(server)] == [('2', 'INBOX')]
        guest.ok('SELECT INBOX')
        guest.ok('STORE 1:* +FLAGS (\\Deleted)')
        guest.ok('EXPUNGE')
    assert server.must('restore', US, 'all') == '2 messages restored\n'
    assert i.bodies('INBOX') == messages
    server.must('verify')
