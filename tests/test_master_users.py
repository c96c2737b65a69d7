"""Master users: who acts for whom, by which ways to log in, and what is logged."""
import base64
import itertools

import pytest

from conftest import PASSWORD
from scram import BARE, PROTOCOLS, Client, Session

def b64(text):
    return base64.b64encode(text.encode()).decode()


ADMIN, ANA = 'chief@example.test', 'ana@example.test'
numbers = itertools.count()


@pytest.fixture(scope='module')
def server(make_server):
    s = make_server(settings={'login_exempt': '127.0.0.1', 'login_failures': '50'})
    s.add_user('chief', 'master key')
    s.add_user('ana')
    s.must('user', 'set', ADMIN, 'master', 'yes')
    assert s.send(ANA, b'Subject: for ana\r\n\r\n').code == 250
    return s


def plain(session, authzid, user, password):
    return session.auth('PLAIN', '%s\0%s\0%s' % (authzid, user, password)).kind


def whose(session):
    """What the session sees, as far as its protocol shows it: whether it is Ana's mail, and nobody else's."""
    if session.protocol == 'pop3':
        return session.line.ok('STAT').startswith('+OK 1 ')
    if session.protocol == 'imap':
        session.line.ok('SELECT INBOX')
        return b'* 1 EXISTS' in session.line.untagged
    return session.line.command('MAIL FROM:<%s>' % ANA).code == 250 and session.line.command('RCPT TO:<%s>' % ANA).code == 250


def logged(server, outcome, user, master):
    return [line for line in server.log().splitlines() if ' outcome=%s user=%s ' % (outcome, user) in line and ' master=%s' % master in line]


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('way', ['authzid', 'star', 'short'])
def test_a_master_acts_for_another_and_both_names_are_logged(server, protocol, way):
    before = len(logged(server, 'ok', ANA, ADMIN))
    with Session(server, protocol) as session:
        authzid, user = {'authzid': (ANA, ADMIN), 'star': ('', '%s*%s' % (ANA, ADMIN)), 'short': ('', 'ana*chief')}[way]
        assert plain(session, authzid, user, 'master key') == 'ok'
        assert whose(session)
    assert len(logged(server, 'ok', ANA, ADMIN)) == before + 1


def test_by_the_commands_that_say_one_name(server):
    with server.imap('%s*%s' % (ANA, ADMIN), 'master key') as i:
        assert i.ok('SELECT INBOX') and b'* 1 EXISTS' in i.untagged
    with server.pop3('%s*%s' % (ANA, ADMIN), 'master key') as p:
        assert p.count() == 1
    with server.smtp('submission') as s:
        assert s.command('AUTH LOGIN').code == 334 and s.command(b64('%s*%s' % (ANA, ADMIN))).code == 334
        assert s.command(b64('master key')).code == 235


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_by_scram(server, protocol):
    with Session(server, protocol) as session:
        assert Client(session, ADMIN, 'master key', BARE, 'n,a=%s,' % ANA).log_in().kind == 'ok' and whose(session)
    with Session(server, protocol) as session:
        assert Client(session, ANA, PASSWORD, BARE, 'n,a=%s,' % ADMIN).log_in().kind == 'refused' and not session.is_in()


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_nobody_else_acts_for_another(server, protocol):
    for authzid, user in ((ADMIN, ANA), ('', '%s*%s' % (ADMIN, ANA)), ('nobody@example.test', ANA)):
        with Session(server, protocol) as session:
            assert plain(session, authzid, user, PASSWORD) == 'refused' and not session.is_in()
    assert logged(server, 'forbidden', ADMIN, ANA)
    with Session(server, protocol) as session:  # oneself is not another, however it is written
        assert plain(session, 'ANA', ANA, PASSWORD) == 'ok' and whose(session)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_a_master_needs_his_password_and_somebody_to_act_for(server, protocol):
    for authzid, password in ((ANA, 'wrong'), (ANA, PASSWORD), ('nobody@example.test', 'master key'), ('@', 'master key'), ('\u00e9' * 200, 'master key')):
        with Session(server, protocol) as session:
            assert plain(session, authzid, ADMIN, password) == 'refused' and not session.is_in()
    assert logged(server, 'refused', ANA, ADMIN)


def test_the_password_of_a_masters_application_is_for_himself(server):
    password = server.must('user', 'app', ADMIN, 'add', 'x%d' % next(numbers)).strip()
    with Session(server, 'imap') as session:
        assert plain(session, ANA, ADMIN, password) == 'refused'
        assert plain(session, '', ADMIN, password) == 'ok'


@pytest.mark.parametrize('change', ['no master', 'passwd', 'remove', 'remove the other'])
def test_a_session_of_a_master_ends_with_what_it_stands_on(server, change):
    master, other = (server.add_user('m%d' % next(numbers)) for _ in range(2))
    server.must('user', 'set', master, 'master', 'yes')
    assert 'master' in server.must('user', 'show', master)
    with Session(server, 'imap') as acting, Session(server, 'imap') as own:
        assert plain(acting, other, master, PASSWORD) == 'ok' and plain(own, '', other, PASSWORD) == 'ok'
        if change == 'no master':
            server.must('user', 'set', master, 'master', 'no')
        elif change == 'passwd':
            server.must('user', 'passwd', master, stdin='another\n')
        else:
            server.must('user', 'remove', master if change == 'remove' else other)
        assert b'* BYE' in acting.line.rest()
        if change != 'remove the other':
            assert own.is_in()
    with Session(server, 'imap') as session:
        assert plain(session, other, master, PASSWORD) == 'refused'


def test_an_account_with_a_star_in_its_name_is_that_account(server):
    server.add_user('"ana*chief"', 'its own')
    try:
        with Session(server, 'imap') as session:
            assert plain(session, '', 'ana*chief', 'its own') == 'ok' and not whose(session)
        with Session(server, 'imap') as session:
            assert plain(session, '', 'ana*chief', 'master key') == 'refused'
    finally:
        server.must('user', 'remove', '"ana*chief"@example.test')


def test_the_language_of_a_master_stays_and_his_right_with_another_language(server):
    server.must('user', 'set', ADMIN, 'language', 'pt')
    assert server.must('user', 'show', ADMIN).splitlines()[1:3] == ['language pt', 'master: may log in as every other user']
    server.must('user', 'set', ADMIN, 'master', 'no')
    assert server.must('user', 'show', ADMIN).splitlines()[1:] == ['language pt']
    server.must('user', 'set', ADMIN, 'master', 'yes')
    for words in (['master', 'maybe'], ['master', '']):
        assert server.command('user', 'set', ADMIN, *words).returncode == 64
