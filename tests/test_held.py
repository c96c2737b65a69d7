"""Accounts that suddenly send unlike themselves are held; people are written to in their language."""
import email
import email.policy
import re
import threading

import pytest

from conftest import PASSWORD, until
from hosts import arrived, b, fake_server, greet, message, names, net, read_line, settings, stopped  # noqa: F401

CHIEF = 'admin@a.test'  # whom postmaster is an alias of
USUAL = 4  # recipients within an hour that nobody asks about


@pytest.fixture(scope='module')
def server(make_server, net, names, b):
    s = make_server('c', domain='a.test', hostname='mx.c.test', netns=net.name('c'), settings=settings(names) | {'unusual_recipients': str(USUAL)})
    s.must('user', 'passwd', CHIEF, stdin=PASSWORD + '\n')
    return s


@pytest.fixture
def user(server, b, request):
    """A new one, so that nothing is known of it."""
    name = re.sub(r'\W', '-', request.node.name)[:40].lower()
    b.empty('v@b.test')
    server.empty(CHIEF)
    user = server.add_user(name)
    yield user
    server.empty_queue()
    server.must('user', 'remove', user)


def written(user, text=b'body\r\n'):
    return message(text).replace(b'From: u@a.test', b'From: ' + user.encode())


def submit(server, user, recipients, times=1):
    with server.smtp('submission') as s:
        assert s.plain(user, PASSWORD).code == 235
        for _ in range(times):
            assert s.send_message(user, recipients, written(user)).code == 250


def read(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def change(server, **settings):
    server.configure(**settings)
    server.must('reload')


def held(server):
    return re.findall(r'(?m)^\S+ size=.* held$', server.must('queue', 'list'))


def over(server, user, b):
    """Sends one message too many; it waits."""
    submit(server, user, ['v@b.test'], USUAL)
    arrived(b, 'v@b.test', USUAL)
    submit(server, user, ['v@b.test'])
    assert len(held(server)) == 1


def test_who_sends_unlike_himself_is_held_and_two_are_told(server, user, b):
    over(server, user, b)
    assert re.search(r' account-held .*\baccount=%s ' % user, server.log())
    assert re.fullmatch(r'%s held since .*: 5 recipients within an hour, where it never had more than 0\n' % user, server.must('user', 'held'))
    assert 'held since' in server.must('user', 'show', user)
    (owner,), (chief,) = arrived(server, user), arrived(server, CHIEF)
    for raw, about in ((owner, 'somebody else knows your password'), (chief, 'carteiro user release')):
        notice = read(raw)
        assert raw.startswith(b'Return-Path: <>\r\n') and notice['Auto-Submitted'] == 'auto-generated' and notice['From'].addresses[0].addr_spec == 'postmaster@a.test'
        assert user in notice.get_content() and about in notice.get_content()
    # what it sends from now on waits too, wherever it goes; whatever others send does not
    submit(server, user, ['v@b.test', CHIEF])
    submit(server, user, [CHIEF])
    submit(server, CHIEF, ['v@b.test'])
    arrived(b, 'v@b.test', USUAL + 1)
    assert len(held(server)) == 3 and len(server.messages(CHIEF)) == 1
    assert len(b.messages('v@b.test')) == USUAL + 1


def test_it_is_held_over_a_restart_and_released_it_goes_on(server, user, b):
    over(server, user, b)
    server.stop()
    server.start()
    assert user in server.must('user', 'held')
    submit(server, user, ['v@b.test'])
    assert len(held(server)) == 2
    assert server.must('user', 'release', user) == '2 messages released\n'
    arrived(b, 'v@b.test', USUAL + 2)
    assert server.must('user', 'held') == ''
    assert server.must('user', 'release', user) == 'it was not held; 0 messages released\n'


def test_what_was_released_is_usual_from_then_on(server, user, b):
    over(server, user, b)
    server.must('user', 'release', user)
    submit(server, user, ['v@b.test'], 5 * (USUAL + 1))
    arrived(b, 'v@b.test', 6 * (USUAL + 1), 60)
    submit(server, user, ['v@b.test'])
    assert len(held(server)) == 1


def test_what_waits_for_its_turn_already_is_held_too(server, user, b):
    with stopped(server, 'relay'):
        submit(server, user, ['v@b.test'], USUAL + 1)
    submit(server, user, ['x@b.test'])
    # relay has some of them in its hands; none of the others leaves
    server.must('queue', 'retry', 'all')
    assert until(lambda: len(held(server)) >= 2 and len(held(server)) + len(b.messages('v@b.test')) == USUAL + 2)
    server.must('user', 'release', user)
    arrived(b, 'v@b.test', USUAL + 1)


def test_revoke_ends_the_password_and_the_sessions_and_purge_throws_away(server, user, b):
    over(server, user, b)
    with server.imap(user) as session:
        assert 'nobody can log in' in server.must('user', 'revoke', user)
        assert session.line().startswith(b'* BYE ')
    with server.smtp('submission') as s:
        assert s.plain(user, PASSWORD).code == 535
    assert 'still held' in server.must('user', 'purge', user)
    assert until(lambda: server.must('queue', 'list').startswith('0 messages'))
    server.must('user', 'passwd', user, stdin=PASSWORD + '\n')
    submit(server, user, ['v@b.test'])
    assert len(held(server)) == 1
    server.must('user', 'release', user)
    arrived(b, 'v@b.test', USUAL + 1)
    assert len(b.messages('v@b.test')) == USUAL + 1


def test_who_sends_to_many_that_are_not_there_is_held(server, user, b):
    change(b, unknown_per_hour='0')
    change(server, unusual_recipients='1000')
    submit(server, user, ['nobody%d@b.test' % i for i in range(10)])
    try:
        for i in range(3):
            submit(server, user, ['no%d.%d@b.test' % (i, k) for k in range(10)])
        assert until(lambda: user in server.must('user', 'held')), server.log()[-3000:]
        assert re.search(r'\d+ of its \d+ recipients within an hour are not there', server.must('user', 'held'))
        submit(server, user, ['v@b.test'])
        assert re.search(r' held\n    v@b\.test waiting attempts=0', server.must('queue', 'list'))
    finally:
        change(server, unusual_recipients=str(USUAL))


def test_what_the_receiver_says_of_the_sender_holds_nobody(server, net, user):
    """5.1.8 is about the sender's address, not the recipients'."""
    def refuse(client):
        greet(client)
        for line in iter(lambda: read_line(client), b''):
            client.sendall(b'550 5.1.8 sender address rejected\r\n' if line.upper().startswith(b'RCPT') else b'221 bye\r\n' if line.upper().startswith(b'QUIT') else b'250 ok\r\n')
    change(server, unusual_recipients='1000')
    try:
        with fake_server(net, refuse):
            submit(server, user, ['x%d@fake.test' % i for i in range(35)])
            assert until(lambda: server.must('queue', 'list').startswith('0 messages'))
        assert user not in server.must('user', 'held')
    finally:
        change(server, unusual_recipients=str(USUAL))


def test_release_lets_go_what_is_just_being_accepted(server, user, b):
    over(server, user, b)
    is_over = threading.Event()

    def go_on():
        with server.smtp('submission') as s:
            assert s.plain(user, PASSWORD).code == 235
            while not is_over.is_set():
                assert s.send_message(user, [CHIEF], written(user)).code == 250
    threads = [threading.Thread(target=go_on) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert until(lambda: len(held(server)) > 50)
    server.must('user', 'release', user)
    is_over.set()
    for thread in threads:
        thread.join()
    assert until(lambda: not held(server)), server.must('queue', 'list')


def test_with_the_setting_at_0_nobody_is(server, user, b):
    change(server, unusual_recipients='0')
    try:
        submit(server, user, ['v@b.test'], 2 * USUAL)
        arrived(b, 'v@b.test', 2 * USUAL)
    finally:
        change(server, unusual_recipients=str(USUAL))


# ---- languages ----

def test_a_bounce_is_in_the_users_language(server, user, b):
    assert server.must('user', 'show', user) == '%s\nlanguage en\n' % user
    server.must('user', 'set', user, 'language', 'pt')
    assert server.must('user', 'show', user) == '%s\nlanguage pt\n' % user
    submit(server, user, ['ninguem@b.test'])
    (raw,) = arrived(server, user)
    report = read(raw)
    assert report['Subject'] == 'A sua mensagem não pôde ser entregue'
    text, machine, _ = report.iter_parts()
    words = ' '.join(text.get_content().split())
    assert 'Não há nenhuma caixa de correio com esse nome.' in words and 'ninguem@b.test' in words and 'A resposta de mx.b.test' in words and '550 5.1.1' in words
    assert machine.get_payload()[1]['Status'] == '5.1.1'


def test_notices_are_in_the_users_language_and_everybodys_default(server, user, b):
    change(server, default_language='pt')
    try:
        server.must('user', 'set', user, 'language', 'en-GB')
        over(server, user, b)
        (owner,), (chief,) = arrived(server, user), arrived(server, CHIEF)
        assert 'it is not what it usually sends' in read(owner).get_content()
        assert read(chief)['Subject'] == 'Uma conta envia fora do habitual, e está retida' and 'foi o utilizador' in read(chief).get_content()
    finally:
        change(server, default_language='en')


@pytest.mark.parametrize('words, code', [(('set', 'nobody@a.test', 'language', 'pt'), 67), (('set', CHIEF, 'colour', 'red'), 64),
                                         (('set', CHIEF, 'language', 'de'), 64), (('release', 'nobody@a.test'), 67),
                                         (('purge', 'nobody@a.test'), 67), (('revoke', 'nobody@a.test'), 67), (('show', 'nobody@a.test'), 67)])
def test_commands_say_what_is_wrong(server, user, words, code):
    done = server.command('user', *words)
    assert done.returncode == code and done.stdout + done.stderr
