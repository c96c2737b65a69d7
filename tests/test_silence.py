"""Clients that say nothing: who ends when and how, and who is told that the server is still there."""
import os
import re
import signal
import time

import pytest

from conftest import SMALL, US


@pytest.fixture(scope='module')
def server(make_server):
    """A client may be silent for two seconds, and for three when it has logged in; one in IDLE hears something each second."""
    s = make_server(settings={'session_timeout': '2s', 'idle_notify': '1s', 'idle_timeout': '3s'})
    s.add_user('u')
    return s


def idle(session):
    tag = session.send_command('IDLE')
    assert session.response().startswith(b'+')
    return tag


def done(session, tag):
    session.send(b'DONE\r\n')
    assert session.result(tag).startswith('OK')


def exists(responses):
    return [r for r in responses if re.match(rb'\* \d+ EXISTS', r)]


# ---- IMAP: RFC 3501 §5.4, RFC 2177 ----

def test_a_client_in_idle_is_told_that_the_server_is_there_and_is_not_logged_out(server):
    with server.imap(US) as plain, server.imap(US, protocol='imaps') as secured:
        plain.ok('SELECT INBOX')
        tags = [(session, idle(session)) for session in (plain, secured)]
        for session, tag in tags:
            assert [session.response() for _ in range(4)] == [b'* OK Still here'] * 4  # longer than idle_timeout
            done(session, tag)
            assert session.ok('NOOP') == []


def test_a_silent_client_that_is_not_in_idle_is_logged_out_with_a_word(server):
    with server.imap(US) as plain, server.imap(US, protocol='imaps') as secured, server.imap(US) as once_idle:
        done(once_idle, idle(once_idle))
        for session in plain, secured, once_idle:
            assert session.response().startswith(b'* BYE ')  # and none of `Still here`
            assert session.rest() == b''


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


# ---- other protocols ----

def test_a_silent_smtp_client_is_told_421(server):
    """RFC 5321 §3.8."""
    with server.smtp() as stranger, server.smtp('submissions') as user, server.smtp('lmtp') as neighbour:
        for session in stranger, user, neighbour:
            assert session.reply().startswith('421 4.4.2 ')
            assert session.rest() == b''


def test_what_the_server_takes_long_for_is_not_the_clients_silence(server):
    filters = [pid for role, pid in server.pids() if role == 'filter']
    with server.smtp() as s:
        s.command('MAIL FROM:<a@b.example>')
        s.command('RCPT TO:<%s>' % US)
        assert s.command('DATA').code == 354
        try:
            for pid in filters:
                os.kill(pid, signal.SIGSTOP)
            s.send(SMALL + b'.\r\n')
            time.sleep(3)  # longer than session_timeout
        finally:
            for pid in filters:
                os.kill(pid, signal.SIGCONT)
        assert s.reply().code == 250
        assert s.command('NOOP').code == 250


def test_a_silent_pop3_client_is_told_nothing_and_loses_nothing(server):
    """RFC 1939 §3."""
    server.send(US, SMALL)
    with server.pop3() as stranger, server.pop3(US) as user:
        before = user.count()
        user.ok('DELE 1')
        assert stranger.rest() == b'' and user.rest() == b''
    with server.pop3(US) as user:
        assert user.count() == before
