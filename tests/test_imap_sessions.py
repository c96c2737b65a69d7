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
