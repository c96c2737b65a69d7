"""Guessing passwords: what it costs, whom it keeps out, and whom not."""
import contextlib
import re
import threading
import time

import pytest

import talk
from conftest import PASSWORD, until

FAILURES, PER_ADDRESS, PER_ACCOUNT = 3, 6, 8


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(settings={'login_exempt': '127.0.1.0/24', 'login_failures': str(FAILURES),
                                 'login_failures_per_address': str(PER_ADDRESS), 'login_failures_per_account': str(PER_ACCOUNT)})


@pytest.fixture
def account(server, request):
    """An account that no other test has guessed at."""
    return server.add_user('u%d' % (abs(hash(request.node.name)) % 10**9))


networks = ('127.1.%d.%d' % (n // 250, n % 250 + 1) for n in range(10000))


@pytest.fixture
def network():
    return next(networks)


def log_in(server, source, user, password=PASSWORD):
    """What PASS was answered."""
    with talk.Pop3(server.ports['pop3'], source=source) as p:
        p.ok('USER ' + user)
        return p.command('PASS ' + password)


def at_once(*calls):
    """The results of several calls side by side."""
    results = [None] * len(calls)

    def run(n, call):
        results[n] = call()
    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def guesses(server, source, user, count, first=0):
    return [log_in(server, source, user, 'wrong%d' % n) for n in range(first, first + count)]


def counter(server, name):
    return int(re.search(r'^vault .* %s=(\d+)' % name, server.status(), re.M)[1])


def test_wrong_passwords_are_answered_later_each_time(server, account, network):
    def seconds(password):
        began = time.monotonic()
        assert log_in(server, network, account, password).startswith('-ERR [AUTH] ')
        return time.monotonic() - began
    first, second, third = seconds('a'), seconds('b'), seconds('c')
    assert 1 <= first < 1.9 < second < 3.9 < third


def test_beyond_the_limit_nothing_is_checked_and_others_get_in(server, account, network):
    before = counter(server, 'held')
    assert all(reply.startswith('-ERR [AUTH] ') for reply in guesses(server, network, account, FAILURES))
    with talk.Imap(server.ports['imap'], source=network) as i, talk.Smtp(server.ports['submission'], source=network) as s:
        pop3, imap, smtp = at_once(lambda: log_in(server, network, account), lambda: i.command('LOGIN %s "%s"' % (account, PASSWORD)),
                                   lambda: s.plain(account, PASSWORD))
    assert pop3.startswith('-ERR [SYS/TEMP] ') and imap.startswith('NO [UNAVAILABLE] ') and smtp.startswith('454 4.7.0 ')
    assert counter(server, 'held') == before + 3
    held = [line for line in server.log().splitlines() if ' outcome=held ' in line and 'client=%s ' % network in line]
    assert len(held) == 3 and all('user=' + account in line and 'why="too many wrong passwords for this account from there"' in line for line in held)
    assert log_in(server, next(networks), account).startswith('+OK')


def test_the_same_wrong_password_again_is_no_new_guess(server, account, network):
    for _ in range(3):
        replies = at_once(*[lambda: log_in(server, network, account, 'the old one')] * 4)
        assert all(reply.startswith('-ERR [AUTH] ') for reply in replies)
    assert log_in(server, network, account).startswith('+OK')


def test_nobody_is_answered_like_somebody(server, account, network):
    def story(user):
        source, said = next(networks), []
        for password in ('a', 'b', 'b', 'c', 'd'):
            began = time.monotonic()
            said.append((log_in(server, source, user, password), round(time.monotonic() - began)))
        return said
    names = (account, 'nobody@example.test', 'noone')
    stories = at_once(*[lambda name=name: story(name) for name in names])
    assert stories[0] == stories[1] == stories[2]
    # the name as it is typed makes no difference for one who is not there, as it makes none for one who is
    def under_another_name(one, other):
        source = next(networks)
        guesses(server, source, one, FAILURES)
        return log_in(server, source, other)
    for reply in at_once(lambda: under_another_name(account, account.split('@')[0].upper()), lambda: under_another_name('ghost@example.test', 'GHOST')):
        assert reply.startswith('-ERR [SYS/TEMP] ')


def test_one_address_guesses_at_no_more_accounts_than_its_limit(server, account, network):
    assert log_in(server, network, account).startswith('+OK')
    replies = at_once(*[lambda name=name: log_in(server, network, 'x%d@example.test' % name) for name in range(PER_ADDRESS + 12)])
    # those that are checked side by side when the limit is reached may be over it
    assert PER_ADDRESS <= sum(reply.startswith('-ERR [AUTH] ') for reply in replies) <= PER_ADDRESS + 8
    assert sum(reply.startswith('-ERR [SYS/TEMP] ') for reply in replies) >= 4
    assert 'why="too many wrong passwords from there"' in server.log()
    # whom it is known for gets in, from there too
    began = time.monotonic()
    assert log_in(server, network, account).startswith('+OK') and time.monotonic() - began < 0.9


def test_an_exempt_address_guesses_at_one_account_only_up_to_its_limit(server, account):
    names = ['y%d@example.test' % n for n in range(PER_ADDRESS * 3)]
    assert all(reply.startswith('-ERR [AUTH] ') for reply in at_once(*[lambda name=name: log_in(server, '127.0.1.1', name) for name in names]))
    assert all(reply.startswith('-ERR [AUTH] ') for reply in guesses(server, '127.0.1.1', account, FAILURES))
    assert log_in(server, '127.0.1.1', account).startswith('-ERR [SYS/TEMP] ')


def test_many_addresses_keep_no_user_out_who_is_known_from_his(server, account, network):
    assert log_in(server, network, account).startswith('+OK')
    replies = at_once(*[lambda n=n: log_in(server, next(networks), account, 'guess%d' % n) for n in range(PER_ACCOUNT * 3)])
    # those that are checked side by side when the limit is reached may be over it
    assert PER_ACCOUNT <= sum(reply.startswith('-ERR [AUTH] ') for reply in replies) <= PER_ACCOUNT + 8
    assert log_in(server, next(networks), account).startswith('-ERR [SYS/TEMP] ')
    assert 'why="too many wrong passwords for this account"' in server.log()
    began = time.monotonic()
    assert log_in(server, network, account).startswith('+OK') and time.monotonic() - began < 0.9
    # nor does it need the password to be remembered
    server.must('user', 'passwd', account, stdin='a new one\n')
    assert log_in(server, network, account, 'a new one').startswith('+OK')


@pytest.mark.parametrize('change', ['passwd', 'remove'])
def test_no_session_by_an_old_password_outlives_it(server, request, change):
    """Clients that log in all the time: those who are let in while the password changes, too."""
    for n in range(4):
        user = server.add_user('outlived%d%s' % (n, change))
        sessions, is_over = [], threading.Event()

        def log_in_again_and_again():
            while not is_over.is_set():
                i = talk.Imap(server.ports['imap'], source='127.0.1.1')
                sessions.append(i)
                with contextlib.suppress(ConnectionError, EOFError):  # ended while it was let in
                    if not i.command('LOGIN %s "%s"' % (user, PASSWORD)).startswith('OK'):
                        return
        threads = [threading.Thread(target=log_in_again_and_again) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert until(lambda: len(sessions) > 20)
        server.must('user', change, user, stdin='a new one\n')
        for thread in threads:
            thread.join(20)
        is_over.set()
        assert not any(thread.is_alive() for thread in threads)
        for i in sessions:
            with i, contextlib.suppress(ConnectionError, EOFError):  # it has been ended
                assert not i.command('LIST "" INBOX').startswith('OK')


def test_limits_change_with_a_reload(server, account, network):
    guesses(server, network, account, FAILURES)
    assert log_in(server, network, account).startswith('-ERR [SYS/TEMP] ')
    server.configure(login_failures='0')
    try:
        server.must('reload')
        assert until(lambda: log_in(server, network, account).startswith('+OK'))
    finally:
        server.configure(login_failures=str(FAILURES))
        server.must('reload')


@pytest.mark.parametrize('name', ['@', 'a@', '@example.test', '"' + 'é' * 60 + '"@example.test', 'x' * 500, 'é' * 250, 'a@b@c', '"a b"@example.test', 'a@[127.0.0.1]',
                                  '\u0390' * 32, '\ufb03' * 20 + '@example.test'])
def test_odd_names_are_names_of_nobody(server, network, name):
    with talk.Pop3(server.ports['pop3'], source=network) as p:
        p.ok(('USER ' + name).encode())
        assert p.command('PASS x').startswith('-ERR [AUTH] ')


def test_a_flood_of_guesses_from_one_address_does_not_delay_others(make_server):
    s = make_server('flood', users=['u'], settings={'login_exempt': '', 'login_failures': '0', 'login_failures_per_address': '0', 'login_failures_per_account': '0'})
    with contextlib.ExitStack() as stack:
        # far more than can be checked in the time that is measured
        guessers = [stack.enter_context(talk.Pop3(s.ports['pop3'], source='127.0.0.9')) for _ in range(400)]
        for n, p in enumerate(guessers):
            p.ok('USER g%d@example.test' % n)
        for p in guessers:
            p.send('PASS x\r\n')
        assert until(lambda: counter(s, 'waiting') > 100)
        began = time.monotonic()
        assert log_in(s, '127.0.0.10', 'u@example.test').startswith('+OK')
        seconds = time.monotonic() - began
        assert counter(s, 'waiting') > 50 and seconds < 2
        # its own line has an end, and what does not find room in it may try again
        replies = [p.line() for p in guessers]
        assert sum(reply.startswith(b'-ERR [AUTH] ') for reply in replies) >= 200
        assert all(reply.startswith((b'-ERR [AUTH] ', b'-ERR [SYS/TEMP] ')) for reply in replies)
