"""Passwords of applications: who gets in by one, for what, for how long, and what of it is listed."""
import contextlib
import itertools
import re
import time

import pytest

import talk
from conftest import PASSWORD, until
from scram import BARE, PROTOCOLS, Client, Session

FORM = re.compile(r'[0-9a-z]{4}(-[0-9a-z]{4}){6}\n')
WORDS = {'imap': 'imap', 'pop3': 'pop3', 'submission': 'smtp'}
numbers = itertools.count()


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(settings={'login_exempt': '127.0.0.1', 'login_failures': '3'})


@pytest.fixture
def user(server):
    """An account that no other test has guessed at."""
    return server.add_user('a%d' % next(numbers))


def add(server, user, name, *words):
    made = server.must('user', 'app', user, 'add', name, *words)
    assert FORM.fullmatch(made), made
    return made.strip()


def log_in(server, protocol, user, password):
    with Session(server, protocol) as session:
        return session.plain(user, password).kind


def counter(server, name):
    return int(re.search(r'^vault .* %s=(\d+)' % name, server.status(), re.M)[1])


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_an_application_logs_in_by_its_password(server, user, protocol):
    password = add(server, user, 'telephone')
    for typed in (password, password.replace('-', ''), password.upper(), password.replace('-', ' ')):
        assert log_in(server, protocol, user, typed) == 'ok'
    assert 'user=%s protocol=%s client=127.0.0.1 by=application application=telephone\n' % (user, protocol) in server.log()
    assert log_in(server, protocol, user, PASSWORD) == 'ok'
    assert log_in(server, protocol, user, password[:-1] + ('0' if password[-1] != '0' else '1')) == 'refused'
    assert password not in server.log() and password.replace('-', '') not in server.log()


def test_by_the_other_ways_to_say_a_password(server, user):
    password = add(server, user, 'old program')
    with server.imap() as i:
        i.ok('LOGIN "%s" "%s"' % (user, password))
    with server.pop3() as p:
        p.ok('USER ' + user)
        p.ok('PASS ' + password)


def test_it_is_another_accounts_wrong_password(server, user):
    other = server.add_user('a%d' % next(numbers))
    assert log_in(server, 'imap', other, add(server, user, 'x')) == 'refused'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_a_wrong_scope_is_a_wrong_password_and_the_log_knows(server, user, protocol):
    others = ','.join(word for name, word in WORDS.items() if name != protocol)
    password = add(server, user, 'scoped', 'protocols', others)
    with Session(server, protocol) as session:
        wrong = session.plain(user, 'wrong')
        began = time.monotonic()
        assert session.plain(user, password) == wrong and time.monotonic() - began >= 1
        assert not session.is_in()
    assert 'by=application application=scoped why="the application\'s password is not for this protocol"' in server.log()
    for name in PROTOCOLS:
        assert (log_in(server, name, user, password) == 'ok') == (name != protocol)


def test_a_wrong_scope_again_and_again_is_one_guess(server, user):
    password = add(server, user, 'scoped', 'protocols', 'jmap')
    for _ in range(5):
        assert log_in(server, 'imap', user, password) == 'refused'
    assert log_in(server, 'imap', user, PASSWORD) == 'ok'


def test_who_guesses_at_an_account_keeps_no_application_out(server, user):
    password = add(server, user, 'telephone')
    for n in range(3):
        assert log_in(server, 'imap', user, 'wrong%d' % n) == 'refused'
    assert log_in(server, 'imap', user, PASSWORD) == 'later'
    assert log_in(server, 'imap', user, password) == 'ok'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_a_removed_one_ends_its_sessions_and_no_others(server, user, protocol):
    password, other = add(server, user, 'lost'), add(server, user, 'kept')
    with Session(server, protocol) as lost, Session(server, protocol) as kept, Session(server, protocol) as person:
        assert [lost.plain(user, password).kind, kept.plain(user, other).kind, person.plain(user, PASSWORD).kind] == ['ok'] * 3
        server.must('user', 'app', user, 'remove', 'lost')
        assert b"the application's password has been removed" in lost.line.rest() or protocol == 'submission'
        assert kept.is_in() and person.is_in()
    assert log_in(server, protocol, user, password) == 'refused'
    assert log_in(server, protocol, user, other) == 'ok'


def test_one_that_expires_ends_its_sessions(server, user):
    password = add(server, user, 'guest', 'expires', '3s')
    with server.imap(user, password) as i:
        assert b"the application's password has expired" in i.rest()
    assert log_in(server, 'imap', user, password) == 'refused'
    assert 'application=guest why="the application\'s password has expired"' in server.log()
    assert re.search(r'^guest  imap,pop3,smtp,jmap  made \S+  expired \S+  last used \S+ by imap$', server.must('user', 'app', user, 'list'), re.M)


def test_no_session_by_a_removed_one_outlives_it(server):
    """Clients that log in all the time: those who are let in while it is removed, too."""
    import threading
    user = server.add_user('a%d' % next(numbers))
    password = add(server, user, 'busy')
    sessions = []

    def log_in_again_and_again():
        while True:
            i = talk.Imap(server.ports['imap'])
            sessions.append(i)
            with contextlib.suppress(ConnectionError, EOFError):  # ended while it was let in
                if not i.command('LOGIN %s "%s"' % (user, password)).startswith('OK'):
                    return
    threads = [threading.Thread(target=log_in_again_and_again) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert until(lambda: len(sessions) > 40)
    server.must('user', 'app', user, 'remove', 'busy')
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    for i in sessions:
        with i, contextlib.suppress(ConnectionError, EOFError):  # it has been ended
            assert not i.command('LIST "" INBOX').startswith('OK')


def test_they_are_listed_with_their_last_use(server, user):
    password = add(server, user, 'the telephone', 'protocols', 'imap,smtp', 'expires', '2099-12-31')
    add(server, user, 'unused', 'protocols', 'pop3')
    def listed():
        return server.must('user', 'app', user, 'list')
    assert re.search(r'^the telephone  imap,smtp  made \S+Z  expires 2099-12-31T23:59:59Z  never used$', listed(), re.M)
    assert log_in(server, 'submission', user, password) == 'ok'
    assert until(lambda: re.search(r'^the telephone  .*  last used \S+Z by submission$', listed(), re.M))
    assert log_in(server, 'imap', user, password) == 'ok'
    assert until(lambda: re.search(r'^the telephone  .*  last used \S+Z by imap$', listed(), re.M))
    assert re.search(r'^unused  pop3  made \S+Z  never used$', listed(), re.M) and len(listed().splitlines()) == 2
    assert password not in listed()


def test_they_stay_over_a_restart_and_a_new_password(make_server):
    s = make_server('restart', users=['u'])
    password = add(s, 'u@example.test', 'telephone')
    s.stop()
    s.start()
    assert log_in(s, 'imap', 'u@example.test', password) == 'ok'
    s.must('user', 'passwd', 'u@example.test', stdin='another\n')
    assert log_in(s, 'imap', 'u@example.test', password) == 'ok'
    assert log_in(s, 'imap', 'u@example.test', 'another') == 'ok'


def test_revoking_the_password_takes_them_all_away(server, user):
    passwords = [add(server, user, name) for name in ('one', 'two')]
    with server.imap(user, passwords[0]) as i:
        server.must('user', 'revoke', user)
        assert b'the password has been revoked' in i.rest()
    assert [log_in(server, 'imap', user, password) for password in passwords] == ['refused'] * 2
    assert server.must('user', 'app', user, 'list') == ''


def test_a_new_account_of_the_name_has_none_of_them(server, user):
    password = add(server, user, 'one')
    server.must('user', 'remove', user)
    server.add_user(user)
    assert log_in(server, 'imap', user, password) == 'refused' and server.must('user', 'app', user, 'list') == ''


def test_scram_is_for_the_accounts_own_password(server, user):
    password = add(server, user, 'one')
    with Session(server, 'imap') as session:
        reply = Client(session, user, password).log_in()
    assert reply.kind == 'refused'
    with Session(server, 'imap') as session:
        assert Client(session, user, PASSWORD, BARE).log_in().kind == 'ok'


@pytest.mark.parametrize('words, code, said', [
    (['add'], 64, 'wants: add NAME'), (['add', ''], 64, '1 to 64 bytes'), (['add', 'x' * 65], 64, '1 to 64 bytes'),
    (['add', 'x', 'protocols', 'imap,ftp'], 64, 'the protocols are'), (['add', 'x', 'protocols', ''], 64, 'the protocols are'),
    (['add', 'x', 'protocols'], 64, 'the protocols are'), (['add', 'x', 'expires', 'soon'], 64, 'is no time to come'),
    (['add', 'x', 'expires', '2020-01-01'], 64, 'is no time to come'), (['add', 'x', 'expires', '0d'], 64, 'is no time to come'),
    (['add', 'x', 'expires', '-1d'], 64, 'is no time to come'), (['add', 'x', 'for', 'imap'], 64, 'behind a name there may be'),
    (['add', 'there'], 1, 'already: remove it first'), (['remove', 'nothing'], 1, 'there is no application'), (['remove'], 64, 'wants: add NAME'),
    (['show'], 64, 'wants: add NAME')])
def test_what_is_no_command_is_said(server, words, code, said):
    user = 'commands@example.test'
    if user not in server.must('user', 'list'):
        server.add_user(user)
        add(server, user, 'there')
    done = server.command('user', 'app', user, *words)
    assert done.returncode == code and said in (done.stdout + done.stderr), done
    assert not FORM.search(done.stdout) and server.must('user', 'app', user, 'list').startswith('there  ')


def test_somebody_who_is_not_there_has_none(server):
    done = server.command('user', 'app', 'nobody@example.test', 'add', 'x')
    assert done.returncode == 67 and not FORM.search(done.stdout)


def test_a_login_by_one_costs_no_slow_check(server, user):
    """While all threads that check passwords are busy, it gets in."""
    password = add(server, user, 'quick')
    with contextlib.ExitStack() as stack:
        guessers = [stack.enter_context(talk.Pop3(server.ports['pop3'], source='127.0.3.%d' % (n + 1))) for n in range(200)]
        for n, p in enumerate(guessers):
            p.ok('USER g%d@example.test' % n)
        for p in guessers:
            p.send('PASS x\r\n')
        assert until(lambda: counter(server, 'waiting') > 50)
        assert log_in(server, 'imap', user, password) == 'ok'
        assert counter(server, 'waiting') > 0
        for p in guessers:
            assert p.line().startswith(b'-ERR')
