"""IMAP sessions over time and beside one another: silence and IDLE (RFC 3501 §5.4, RFC 2177), and mailboxes that are renamed or
deleted while they are selected (RFC 2180 §3)."""
import re

import pytest

from conftest import until

SMALL = b'Subject: small\r\n\r\nbody\r\n'
US = 'u@example.test'


@pytest.fixture(scope='module')
def server(make_server):
    """Two seconds of silence are too much, and each second a client in IDLE is told that the server is there."""
    s = make_server(settings={'idle_notify': '1s', 'idle_timeout': '2s'})
    s.add_user('u')
    return s


@pytest.fixture(scope='module')
def patient_server(make_server):
    """With the usual time-outs."""
    return make_server()


@pytest.fixture
def patient(patient_server):
    """With an account as new."""
    if US in patient_server.must('user', 'list').split():
        patient_server.must('user', 'remove', US)
    patient_server.add_user('u')
    return patient_server


@pytest.fixture
def i(patient):
    with patient.imap(US) as session:
        yield session


@pytest.fixture
def other(patient):
    with patient.imap(US) as session:
        yield session


def idle(session):
    tag = session.send_command('IDLE')
    assert session.response().startswith(b'+')
    return tag


def done(session, tag):
    session.send(b'DONE\r\n')
    assert session.result(tag).startswith('OK')


def exists(responses):
    return [int(m[1]) for m in (re.match(rb'\* (\d+) EXISTS', r) for r in responses) if m]


# ---- silence ----

@pytest.mark.parametrize('protocol', ['imap', 'imaps'])
def test_a_client_in_idle_is_told_that_the_server_is_there_and_is_not_logged_out(server, protocol):
    with server.imap(US, protocol=protocol) as session:
        session.ok('SELECT INBOX')
        tag = idle(session)
        assert [session.response() for _ in range(3)] == [b'* OK Still here'] * 3  # longer than idle_timeout
        done(session, tag)
        assert session.ok('NOOP') == []


@pytest.mark.parametrize('protocol', ['imap', 'imaps'])
def test_a_silent_client_that_is_not_in_idle_is_logged_out_with_a_word(server, protocol):
    with server.imap(US, protocol=protocol) as session:
        assert session.response().startswith(b'* BYE ')
        assert session.rest() == b''


def test_who_was_in_idle_is_logged_out_for_silence_as_before(server):
    with server.imap(US) as session:
        done(session, idle(session))
        assert session.response().startswith(b'* BYE ')  # and none of `Still here`


def test_of_many_in_idle_each_is_told_whoever_leaves(server):
    sessions = [server.imap(US) for _ in range(5)]
    tags = [idle(session) for session in sessions]
    for session in sessions:
        assert session.response() == b'* OK Still here'
    done(sessions[0], tags[0])
    sessions[2].close()
    done(sessions[4], tags[4])
    for session in sessions[1], sessions[3]:
        assert [session.response() for _ in range(2)] == [b'* OK Still here'] * 2
    for session in sessions:
        session.close()


def test_a_client_in_idle_with_a_mailbox_hears_both(server):
    with server.imap(US) as session:
        session.ok('SELECT INBOX')
        idle(session)
        assert session.response() == b'* OK Still here'
        server.send(US, SMALL)
        said = []
        while not exists(said) or said[-1] != b'* OK Still here':
            said.append(session.response())


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


def test_who_has_the_inbox_selected_sees_it_become_empty_when_it_is_renamed(patient, i, other):
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
    idle(i)
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


def test_what_a_stranger_delivers_is_told_once(patient, i):
    i.ok('SELECT INBOX')
    patient.send(US, SMALL)
    assert until(lambda: exists(i.ok('NOOP'))) == [1]
    assert i.ok('NOOP') == []
