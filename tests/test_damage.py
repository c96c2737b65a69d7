"""Rows of the store that are damaged cost what stands in them, are named in the log, and allow and delete nothing."""
import pathlib
import subprocess

import pytest

from conftest import CARTEIRO, US

DAMAGE_ROWS = pathlib.Path(CARTEIRO).parent.parent / 'store/store_damage_rows'
BOB, EVE = 'bob@example.test', 'eve@example.test'


def text(n):
    return b'From: a@b.example\r\nSubject: %d\r\n\r\nnumber %d\r\n' % (n, n)


def damage(server, letter, count):
    """So many rows with that letter lose a byte, while the server does not run."""
    server.stop()
    done = subprocess.run([DAMAGE_ROWS, server.data / 'store', letter, str(count)], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == '%d\n' % count
    server.start()


def expunge(i, numbers):
    i.ok('STORE %s +FLAGS.SILENT (\\Deleted)' % numbers)
    i.ok('EXPUNGE')


def test_a_damaged_list_of_rights_gives_nobody_any(make_server):
    """What is lost may have taken rights away."""
    server = make_server('rights', users=['u', 'bob', 'eve'])
    theirs = '"Other Users/%s/Team"' % US
    with server.imap(US) as i:
        i.ok('CREATE Team')
        i.append('Team', text(1))
        i.ok('SETACL Team %s lrs' % BOB)
        i.ok('SETACL Team %s lr' % EVE)
        i.ok('SETACL Team "-%s" s' % BOB)
    with server.imap(BOB) as bob, server.imap(EVE) as eve:
        for reader in (bob, eve):
            reader.ok('EXAMINE ' + theirs)
    damage(server, 'a', 1)
    with server.imap(US) as i, server.imap(BOB) as bob, server.imap(EVE) as eve:
        for reader in (bob, eve):
            assert '[NONEXISTENT]' in reader.no('EXAMINE ' + theirs)
            assert '[NONEXISTENT]' in reader.no('MYRIGHTS ' + theirs)
            assert not any(b'Team' in row for row in reader.ok('LIST "" *'))
        assert i.bodies('Team') == [text(1)]
        assert 'a list of rights of account' in server.log()
        i.ok('SETACL Team %s lr' % BOB)
        assert bob.bodies(theirs.strip('"')) == [text(1)]
        eve.no('EXAMINE ' + theirs)


def test_a_damaged_record_of_deleted_messages_is_passed_over(make_server):
    server = make_server('removed', users=['u'])
    with server.imap(US) as i:
        for n in range(3):
            i.append('INBOX', text(n))
        i.ok('SELECT INBOX')
        for _ in range(3):
            expunge(i, '1')
    damage(server, 'g', 1)
    assert len(server.must('restore', 'list', US).splitlines()) == 2
    assert server.log().count('deleted-damaged') == 1
    server.must('expire', 'run')
    assert server.must('restore', US, 'all') == '2 messages restored\n'
    with server.imap(US) as i:
        assert i.bodies() == [text(1), text(2)]
    assert 'account-damaged' not in server.log()


@pytest.mark.parametrize('letter, readable', [('c', 3), ('h', 20)])
def test_a_mailbox_whose_index_cannot_be_read_is_not_deleted(make_server, place, letter, readable):
    """Its messages could not be brought back. Those that are named elsewhere than in the damaged row can be salvaged."""
    server = make_server('index-' + letter, users=['u'])
    with server.imap(US) as i:
        i.ok('CREATE Work')
        for n in range(20):
            i.append('Work', text(n))
    damage(server, letter, 1)
    for _ in range(2):
        with server.imap(US) as i:
            i.no('DELETE Work')
            assert b'MESSAGES 20' in i.ok('STATUS Work (MESSAGES)')[0]
        assert server.must('restore', 'list', US) == ''
        server.kill_all()
        server.start()
    assert 'mailbox-damaged' in server.log() and 'do="carteiro salvage"' in server.log()
    server.stop()
    server.command('salvage', str(server.data), str(place / letter))
    found = {path.read_bytes() for path in (place / letter / US).rglob('*') if path.is_file() and b'number' in path.read_bytes()}
    assert found == {text(n) for n in range(20 - readable, 20)}


def test_what_a_reader_has_seen_and_cannot_be_read_keeps_nobody_from_reading(make_server):
    """And it is not written over (store/mailbox/seen_test.c)."""
    server = make_server('seen', users=['u', 'bob'])
    theirs = '"Other Users/%s/INBOX"' % US
    with server.imap(US) as i, server.imap(BOB) as bob:
        i.append('INBOX', text(1))
        i.append('INBOX', text(2))
        i.ok('SETACL INBOX %s lrsw' % BOB)
        bob.ok('SELECT ' + theirs)
        bob.ok('STORE 1 +FLAGS (\\Seen)')
    damage(server, 'z', 1)
    with server.imap(BOB) as bob:
        bob.ok('SELECT ' + theirs)
        assert 'seen-unread' in server.log()
        assert b'* 1 FETCH (FLAGS ())' in bob.ok('FETCH 1 (FLAGS)')
        told = bob.ok('FETCH 1:2 (FLAGS BODY[])')
        assert all(text(n) in told[n - 1] and b'\\Seen' not in told[n - 1] for n in (1, 2)), told
        bob.no('STORE 2 +FLAGS (\\Seen)')
        bob.no('STORE 2 +FLAGS.SILENT (\\Seen \\Flagged)')
        bob.ok('STORE 2 -FLAGS (\\Seen)')
        bob.ok('STORE 1 +FLAGS (\\Answered)')
        assert [row.decode() for row in bob.ok('FETCH 1:2 (FLAGS)')] == ['* 1 FETCH (FLAGS (\\Answered))', '* 2 FETCH (FLAGS (\\Flagged))']
