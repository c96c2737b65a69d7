"""IMAP sessions beside one another: mailboxes that are renamed or deleted while they are selected (RFC 2180 §3), and flags that
several change."""
import re
import socket

import pytest

from conftest import SMALL, until, US


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


@pytest.fixture
def other(server, i):
    with server.imap(US) as session:
        yield session


def exists(responses):
    return [int(m[1]) for m in (re.match(rb'\* (\d+) EXISTS', r) for r in responses) if m]


# ---- renamed while selected ----

def test_a_selected_mailbox_that_another_renames_goes_on_under_its_new_name(i, other):
    i.ok('CREATE Work')
    i.append('Work', SMALL)
    i.ok('SELECT Work')
    other.ok('RENAME Work Play')
    other.ok('CREATE Work')
    other.append('Work', b'Subject: not this\r\n\r\n')
    other.append('Play', b'Subject: but this\r\n\r\n')
    assert exists(i.ok('NOOP')) == [2]
    assert b'but this' in i.ok('FETCH 2 BODY.PEEK[HEADER]')[0]
    # of the two, it is not the one that now has the name
    i.ok('DELETE Work')
    assert len(i.ok('FETCH 1:* UID')) == 2
    i.ok('DELETE Play')
    i.bad('FETCH 1:* UID')


def test_who_renames_the_mailbox_that_it_has_selected_keeps_it(i):
    i.ok('CREATE Work/sub')
    i.append('Work/sub', SMALL)
    i.ok('SELECT Work/sub')
    i.ok('RENAME Work Play')  # the level above
    assert i.fetch_bodies('1') == [SMALL]
    i.append('Play/sub', SMALL)
    assert exists(i.untagged) == [2]
    i.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    i.ok('CLOSE')
    assert i.bodies('Play/sub') == [SMALL]


def test_who_has_the_inbox_selected_sees_it_become_empty_when_it_is_renamed(i, other):
    """RFC 3501 §6.3.5: its messages move, and INBOX stays."""
    for _ in range(3):
        i.append('INBOX', SMALL)
    validity = [r for r in i.ok('SELECT INBOX') if b'UIDVALIDITY' in r]
    other.ok('SELECT INBOX')
    other.ok('RENAME INBOX Old')
    assert [r for r in other.untagged if b'EXPUNGE' in r] == [b'* %d EXPUNGE' % n for n in (3, 2, 1)]
    assert [r for r in i.ok('NOOP') if b'EXPUNGE' in r] == [b'* %d EXPUNGE' % n for n in (3, 2, 1)]
    assert i.append('INBOX', SMALL).startswith('OK [APPENDUID ') and exists(i.untagged) == [1]
    assert [r for r in i.ok('SELECT INBOX') if b'UIDVALIDITY' in r] == validity
    assert i.bodies('INBOX') == [SMALL]
    assert i.bodies('Old') == [SMALL] * 3


# ---- deleted while selected ----

@pytest.mark.parametrize('line, answer', [('NOOP', 'OK'), ('FETCH 1 FLAGS', 'NO [NONEXISTENT]'), ('STORE 1 +FLAGS (\\Seen)', 'NO [NONEXISTENT]'),
                                          ('EXPUNGE', 'NO [NONEXISTENT]'), ('CREATE More', 'OK'), ('STATUS INBOX (MESSAGES)', 'OK'),
                                          ('APPEND Archive {5+}\r\na\r\n\r\n', 'OK [APPENDUID ')])
def test_a_deleted_mailbox_ends_the_session_that_has_it_selected_after_its_command(i, other, line, answer):
    i.ok('CREATE Work')
    i.append('Work', SMALL)
    i.ok('SELECT Work')
    other.ok('DELETE Work')
    assert i.command(line).startswith(answer)
    assert i.response() == b'* BYE The mailbox that was selected has been deleted'
    assert i.rest() == b''
    if line.startswith('APPEND'):
        assert other.bodies('Archive') == [b'a\r\n\r\n']


def test_a_deleted_mailbox_ends_a_session_in_idle_at_once(i, other):
    i.ok('CREATE Work')
    i.ok('SELECT Work')
    i.send_command('IDLE')
    assert i.response().startswith(b'+')
    other.ok('DELETE Work')
    assert i.response() == b'* BYE The mailbox that was selected has been deleted'
    assert i.rest() == b''


def test_a_session_can_leave_a_deleted_mailbox_for_another(i, other):
    i.ok('CREATE Work')
    i.ok('SELECT Work')
    other.ok('DELETE Work')
    i.ok('SELECT INBOX')
    i.append('INBOX', SMALL)
    assert i.fetch_bodies('1') == [SMALL]


# ---- flags ----

def test_a_silent_store_that_changes_nothing_does_not_hide_what_others_changed(i, other):
    i.append('INBOX', SMALL)
    for session in i, other:
        session.ok('SELECT INBOX')
        session.ok('FETCH 1 FLAGS')
    other.ok('STORE 1 +FLAGS.SILENT (\\Flagged)')
    (told,) = i.ok('STORE 1 -FLAGS.SILENT (\\Draft)')
    assert re.match(rb'\* 1 FETCH \(UID 1 FLAGS \([^)]*\\Flagged', told)
    assert i.ok('STORE 1 +FLAGS.SILENT (\\Seen)') == []


def test_what_a_stranger_delivers_is_told_once(server, i):
    i.ok('SELECT INBOX')
    server.send(US, SMALL)
    assert until(lambda: exists(i.ok('NOOP'))) == [1]
    assert i.ok('NOOP') == []


def test_what_changes_twice_during_a_long_fetch_is_told_again(server, i, other):
    i.append('INBOX', b'Subject: large\r\n\r\n' + b'x' * 70 * 850 + b'\r\n')
    i.ok('SELECT INBOX')
    for _ in range(8):
        i.ok('COPY 1:* INBOX')  # 256 of them, more than any buffer on the way holds
    other.ok('SELECT INBOX')
    other.ok('STORE 2 +FLAGS.SILENT (\\Flagged)')
    i.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    tag = i.send_command('FETCH 1:* (FLAGS BODY.PEEK[])')
    assert b'\\Flagged' not in i.response() and b'\\Flagged' in i.response()  # then nothing is read for a while
    other.ok('STORE 2 +FLAGS.SILENT (\\Answered)')
    other.ok('STORE 256 +FLAGS.SILENT (\\Draft)')
    assert i.result(tag).startswith('OK')
    told = [response for response in i.untagged if response.startswith(b'* 2 FETCH')]
    assert len(told) == 1 and b'\\Answered' in told[0]
    assert sum(response.startswith(b'* 256 FETCH') for response in i.untagged) >= 1


# ---- \Recent: RFC 3501 §2.3.2 ----

def send(server):
    assert server.send(US, SMALL).code == 250


def recent(i):
    """The messages that are \\Recent to this session, by FLAGS and by SEARCH, which must agree; and as RECENT last said."""
    by_flags = [int(re.match(rb'\* (\d+) FETCH', r)[1]) for r in i.ok('FETCH 1:* FLAGS') if b'\\Recent' in r]
    by_search = [int(word) for r in i.ok('SEARCH RECENT') if r.startswith(b'* SEARCH') for word in r.split()[2:]]
    assert by_flags == by_search, (by_flags, by_search)
    return by_flags


def told(i, line='NOOP'):
    """The numbers of EXISTS and RECENT that come with a command, once they come: SMTP's 250 is another process's."""
    def ask():
        said = b'\n'.join(i.ok(line))
        numbers = [re.findall(rb'\* (\d+) ' + what, said) for what in (b'EXISTS', b'RECENT')]
        return numbers[0] and tuple(int(n[-1]) for n in numbers)
    return until(ask)


def status_recent(server):
    with server.imap(US) as i:
        return int(re.search(rb'RECENT (\d+)', i.ok('STATUS INBOX (RECENT)')[0])[1])


def test_a_message_is_recent_to_the_first_session_that_is_told_of_it_and_to_no_other(server, i, other):
    i.ok('SELECT INBOX')
    other.ok('SELECT INBOX')
    send(server)
    assert status_recent(server) == 1
    # whose NOOP comes first
    assert told(other) == (1, 1) and told(i) == (1, 0)
    assert recent(other) == [1] and recent(i) == []
    send(server)
    assert told(i) == (2, 1) and told(other) == (2, 1)
    assert recent(i) == [2] and recent(other) == [1]
    send(server)
    assert told(other) == (3, 2) and told(i) == (3, 1)
    assert recent(other) == [1, 3] and recent(i) == [2] and status_recent(server) == 0
    with server.imap(US) as third:
        assert told(third, 'SELECT INBOX') == (3, 0) and recent(third) == []
    # what goes is not counted any more
    i.ok('STORE 2:3 +FLAGS.SILENT (\\Deleted)')
    i.ok('EXPUNGE')
    send(server)
    assert told(other) == (2, 2) and recent(other) == [1, 2] and told(i) == (2, 0)
    # NEW and OLD: §6.4.4
    assert [r for r in other.ok('SEARCH OLD') if r.startswith(b'* SEARCH')] == [b'* SEARCH']
    assert [r for r in i.ok('SEARCH NEW') if r.startswith(b'* SEARCH')] == [b'* SEARCH']


def test_sessions_in_idle_share_out_what_is_recent(server, i, other):
    for session in (i, other):
        session.ok('SELECT INBOX')
        session.send_command('IDLE')
        assert session.response().startswith(b'+')
    send(server)
    said = [[session.response() for _ in range(2)] for session in (i, other)]
    assert sorted(said) == [[b'* 1 EXISTS', b'* 0 RECENT'], [b'* 1 EXISTS', b'* 1 RECENT']]


def test_examine_shows_what_is_recent_and_does_not_take_it_away(server, i, other):
    """§6.3.2."""
    send(server)
    assert told(other, 'EXAMINE INBOX') == (1, 1) and recent(other) == [1]
    send(server)
    assert told(other) == (2, 2) and recent(other) == [1, 2] and status_recent(server) == 2
    assert told(i, 'SELECT INBOX') == (2, 2) and recent(i) == [1, 2]
    send(server)
    assert told(i) == (3, 3) and told(other) == (3, 2)
    assert told(other, 'EXAMINE INBOX') == (3, 0) and recent(other) == []


def test_what_was_recent_to_one_session_is_so_to_nobody_after_a_restart(server, i, other):
    i.ok('SELECT INBOX')
    send(server)
    assert told(i) == (1, 1)
    i.ok('LOGOUT')
    assert i.is_closed()
    assert other.append('Archive', SMALL).startswith('OK')  # what comes behind it is on the disk
    server.kill_role('store')
    server.wait_all_running()
    with server.imap(US) as again:
        assert status_recent(server) == 0
        assert told(again, 'SELECT INBOX') == (1, 0) and recent(again) == []


def test_what_a_store_was_answered_with_is_told_again_when_idle_begins(server, i):
    """Thunderbird looks for new mail when EXISTS comes in IDLE only."""
    def idle():
        tag = i.send_command('IDLE')
        assert i.line().startswith(b'+')
        i.socket.settimeout(0.3)
        said = []
        try:
            while True:
                said.append(i.line())
        except TimeoutError:
            pass
        i.socket.settimeout(20)
        i.send(b'DONE\r\n')
        assert i.result(tag).startswith('OK')
        return exists(said)
    i.append('INBOX', SMALL)
    i.ok('SELECT INBOX')
    assert idle() == []
    assert server.send(US, SMALL).code == 250
    assert until(lambda: exists(i.ok('STORE 1 +FLAGS (\\Flagged)')) == [2])
    assert idle() == [2] and idle() == []
