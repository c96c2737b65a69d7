"""Logins by SCRAM-SHA-256: who may, by which clients, and what is refused."""
import base64
import itertools
import re
import subprocess

import pytest

from conftest import PASSWORD, until
from scram import BARE, NO_EMS, PLUS, PROTOCOLS, TLS12, TLS13, Client, Session, gnu_sasl

FAILURES = 3
SHA256 = '{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE='  # of the password
numbers = itertools.count()


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(settings={'login_failures': str(FAILURES), 'login_exempt': '127.0.0.1'})


@pytest.fixture
def user(server):
    """An account that no other test has guessed at."""
    return server.add_user('s%d' % next(numbers))


def log_in(server, protocol, user, password=PASSWORD, mechanism=BARE, priority=None, header='n,,', **options):
    with Session(server, protocol, priority) as session:
        binding = session.binding() if mechanism == PLUS else b''
        return Client(session, user, password, mechanism, header, binding, **options).log_in().kind


def logged(server, user, by):
    return re.findall(r'login level=info outcome=ok user=%s protocol=(\S+) client=\S+ by=%s\n' % (re.escape(user), by), server.log())


def run(*words, stdin='', code=0):
    done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == (code == 0), done
    return done.stdout + done.stderr


# ---- when it is offered ----

def offers(server, protocol, priority=None):
    with Session(server, protocol, priority) as session:
        return session.offers()


def old_account(server, place, name):
    """One that came with the hash of another server: its row is what rows were before there were keys."""
    file = place / 'passwd'
    file.write_text('%s:%s\n' % (name, SHA256))
    server.must('user', 'import', str(file))
    return name


def test_it_is_offered_when_every_account_has_keys(make_server, place):
    s = make_server('offer', users=['ana'])

    def is_offered(is_it):
        assert until(lambda: all((BARE in offers(s, protocol)) == is_it for protocol in PROTOCOLS))
    is_offered(True)
    old = old_account(s, place, 'old@example.test')
    is_offered(False)
    assert s.must('user', 'list', 'without-scram') == old + '\n' and 'ana@example.test' in s.must('user', 'list')
    assert s.command('user', 'list', 'nonsense').returncode == 64
    for protocol in PROTOCOLS:
        assert log_in(s, protocol, 'ana@example.test') == 'none'
        assert offers(s, protocol)[:1] == ['PLAIN']
    assert 'without-scram=1 ' in s.status()
    s.stop()  # what is counted is what is on the disk
    s.start()
    is_offered(False)
    with Session(s, 'imap') as session:
        assert session.plain(old, PASSWORD + 'x').kind == 'refused'
    is_offered(False)
    with Session(s, 'imap') as session:
        assert session.plain(old, PASSWORD).kind == 'ok'
    is_offered(True)
    assert 'scram-keys-made level=info user=' not in s.log()  # they came with the new hash
    for protocol in PROTOCOLS:
        assert log_in(s, protocol, old) == log_in(s, protocol, 'ana@example.test') == 'ok'
        assert log_in(s, protocol, old, PASSWORD + str(next(numbers))) == 'refused'
    old_account(s, place, 'older@example.test')
    is_offered(False)
    s.must('user', 'passwd', 'older@example.test', stdin='a new one\n')
    is_offered(True)
    old_account(s, place, 'oldest@example.test')
    is_offered(False)
    s.must('user', 'remove', 'oldest@example.test')
    is_offered(True)
    s.stop()
    s.start()
    is_offered(True)
    assert 'without-scram=0 ' in s.status()


def test_an_account_with_our_hash_and_without_keys_gets_them(make_server, place):
    """As all accounts have that were made before there were keys."""
    s = make_server('before')
    made = subprocess.run(['perl', '-e', 'print crypt("%s", "\\$y\\$j9T\\$abcdefghijklmnop\\$")' % PASSWORD], capture_output=True, text=True, check=True).stdout
    (place / 'ours').write_text('eva@example.test:%s\n' % made)
    s.must('user', 'import', str(place / 'ours'))
    for _ in range(2):
        with Session(s, 'submission') as session:
            assert session.plain('eva@example.test', PASSWORD).kind == 'ok'
    assert until(lambda: BARE in offers(s, 'imap'))
    assert 'scram-keys-made level=info user=eva@example.test\n' in s.log() and 'password-rehashed' not in s.log()
    assert log_in(s, 'imap', 'eva@example.test') == 'ok'
    with Session(s, 'submission') as session:
        assert session.plain('eva@example.test', PASSWORD).kind == 'ok'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_a_channel_binding_is_offered_where_there_is_one(server, user, protocol):
    assert offers(server, protocol)[:2] == [BARE, 'PLAIN']
    assert offers(server, protocol, TLS13)[:3] == offers(server, protocol, TLS12)[:3] == [PLUS, BARE, 'PLAIN']
    assert offers(server, protocol, NO_EMS)[:2] == [BARE, 'PLAIN']


def test_without_tls_it_is_taken_where_plain_is(make_server):
    s = make_server('private', users=['ana'], settings={'plaintext_login': 'off'})
    with Session(s, 'imap') as session:
        assert session.offers() == []
        assert session.line.command('AUTHENTICATE ' + BARE).startswith('NO [PRIVACYREQUIRED]')
    with Session(s, 'submission') as session:
        assert session.line.command('AUTH ' + BARE).startswith('538 5.7.11 ')
    with Session(s, 'pop3') as session:
        assert session.line.command('AUTH ' + BARE).startswith('-ERR [AUTH] STLS')
    assert log_in(s, 'pop3', 'ana@example.test', mechanism=PLUS, header='p=tls-exporter,,', priority=TLS13) == 'ok'


# ---- clients of others ----

def gsasl(server, user, *how, protocol='imap', password=PASSWORD, code=0):
    return run('gsasl', '--verbose', '--imap' if protocol == 'imap' else '--smtp', '--connect', '127.0.0.1:%d' % server.ports[protocol], '-a', user, '-p', password,
               '--x509-ca-file=', *how, code=code)


def test_gsasl_logs_in(server, user):
    gsasl(server, user, '-m', BARE, '--no-starttls')
    gsasl(server, user, '-m', BARE, '--no-starttls', protocol='submission')
    gsasl(server, user, '-m', BARE, '--starttls', '--no-cb')
    assert logged(server, user, 'scram') == ['imap', 'submission', 'imap']
    gsasl(server, user, '--starttls', '--priority', TLS13)  # which mechanism it takes is its choice
    assert logged(server, user, 'scram-plus') == ['imap']
    assert 'AUTHENTICATIONFAILED] User name' in gsasl(server, user, '-m', PLUS, '--starttls', password='wrong', code=1)
    # of TLS 1.2 it knows another binding only
    assert 'the only channel binding here is tls-exporter' in gsasl(server, user, '-m', PLUS, '--starttls', '--priority', TLS12, code=1)


@pytest.mark.parametrize('priority', [TLS12, TLS13], ids=['tls-1.2', 'tls-1.3'])
@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_the_library_of_gnu_sasl_binds_the_channel(server, user, protocol, priority):
    for mechanism, password, kind in ((PLUS, PASSWORD, 'ok'), (BARE, PASSWORD, 'ok'), (PLUS, 'wrong', 'refused')):
        with Session(server, protocol, priority) as session:
            assert gnu_sasl(session, mechanism, user, password).kind == kind
            assert session.is_in() == (kind == 'ok')
    assert logged(server, user, 'scram-plus') == logged(server, user, 'scram') == [protocol]


def test_msmtp_submits_and_mpop_fetches(server, user, tmp_path):
    tls = ['--tls=on', '--tls-certcheck=off', '--host=127.0.0.1', '--auth=scram-sha-256', '--user=' + user, "--passwordeval=echo '%s'" % PASSWORD]
    run('msmtp', *tls, '--port=%d' % server.ports['submission'], '--from=' + user, user, stdin='Subject: by SCRAM\n\nbody\n')
    run('mpop', *tls, '--port=%d' % server.ports['pop3'], '--delivery=mbox,%s' % (tmp_path / 'mbox'), '--uidls-file=%s' % (tmp_path / 'uidls'))
    assert 'Subject: by SCRAM\n' in (tmp_path / 'mbox').read_text()
    assert logged(server, user, 'scram') == ['submission', 'pop3']


def test_mbsync_reads_by_cyrus_sasl(server, user, tmp_path):
    server.send(user, b'Subject: for mbsync\r\n\r\nbody\r\n')
    (tmp_path / 'near').mkdir()
    (tmp_path / 'rc').write_text('IMAPStore far\nHost 127.0.0.1\nPort %d\nUser %s\nPass "%s"\nSSLType None\nAuthMechs SCRAM-SHA-256\n\nMaildirStore near\nPath %s/near/\n'
                                 'Inbox %s/near/INBOX\n\nChannel all\nFar :far:\nNear :near:\nCreate Near\nSyncState *\n' % (server.ports['imap'], user, PASSWORD, tmp_path, tmp_path))
    run('mbsync', '-c', tmp_path / 'rc', 'all')
    assert any('for mbsync' in file.read_text() for file in (tmp_path / 'near').rglob('*') if file.is_file() and file.parent.name == 'new')
    assert logged(server, user, 'scram') == ['imap']


# ---- who gets in ----

@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_a_changed_password_is_the_only_one(server, user, protocol):
    assert log_in(server, protocol, user) == 'ok'
    server.must('user', 'passwd', user, stdin='an=other, one\n')
    assert log_in(server, protocol, user) == 'refused'
    assert log_in(server, protocol, user, 'an=other, one') == 'ok'
    assert log_in(server, protocol, user.split('@')[0].upper(), 'an=other, one') == 'ok'


def test_two_keyboards_write_one_password(server):
    user = server.add_user('s%d' % next(numbers), 'cafe\u0301 \ufb01\u00a0x')
    assert log_in(server, 'imap', user, 'caf\u00e9 fi x') == 'ok'  # as SASLprep writes it
    with Session(server, 'imap', TLS13) as session:
        assert gnu_sasl(session, BARE, user, 'cafe\u0301 \ufb01 x').kind == 'ok'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_nobody_is_answered_like_somebody(server, user, protocol):
    def salt(name):
        with Session(server, protocol) as session:
            client = Client(session, name, PASSWORD)
            assert client.first().kind == 'challenge'
            return len(client.nonce), len(client.salt), client.iterations, client.salt
    ghost, twin = 'ghost%d@example.test' % next(numbers), user.split('@')[0].upper()
    assert salt(user)[:3] == salt(ghost)[:3]
    assert salt(user) == salt(user) == salt(twin) and salt(ghost) == salt(ghost) == salt(ghost.split('@')[0].upper())
    assert salt(ghost)[3] not in (salt(user)[3], salt('x' + ghost)[3])
    with Session(server, protocol) as one, Session(server, protocol) as other:
        clients = [Client(one, user, 'wrong'), Client(other, ghost, 'wrong')]
        assert [client.first().kind for client in clients] == ['challenge'] * 2
        replies = [client.final() for client in clients]
        assert replies[0].kind == 'refused' and re.sub(r'^t\d+ ', '', replies[0].text) == re.sub(r'^t\d+ ', '', replies[1].text)


def test_a_salt_of_nobody_outlives_the_server(make_server):
    s = make_server('ghosts', users=['ana'])

    def salt():
        with Session(s, 'imap') as session:
            client = Client(session, 'ghost@example.test', PASSWORD)
            return client.first().kind == 'challenge' and client.salt
    before = salt()
    s.stop()
    s.start()
    assert until(salt) == before


def test_failures_count_with_those_in_clear(server, user):
    for _ in range(FAILURES - 1):
        assert log_in(server, 'imap', user, 'wrong') == 'refused'
    with Session(server, 'submission') as session:
        assert session.plain(user, 'wrong').kind == 'refused'
    assert all(log_in(server, protocol, user) == 'later' for protocol in PROTOCOLS)
    with Session(server, 'submission') as session:
        assert session.plain(user, PASSWORD).kind == 'later'
    assert 'outcome=held user=%s' % user in server.log()


def test_exchanges_that_were_opened_before_the_limit_do_not_pass_it(server, user):
    sessions = [Session(server, 'pop3') for _ in range(FAILURES * 3)]
    clients = [Client(session, user, 'wrong%d' % n) for n, session in enumerate(sessions)]
    assert all(client.first().kind == 'challenge' for client in clients)
    finals = [client.final_message() for client in clients]
    for session, final in zip(sessions, finals):
        session.line.send(base64.b64encode(final.encode()) + b'\r\n')
    kinds = [session.answer().kind for session in sessions]
    assert kinds.count('refused') == FAILURES and kinds.count('later') == FAILURES * 2
    for session in sessions:
        session.line.close()


# ---- attacks ----

@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_a_client_that_was_not_shown_the_binding_is_refused(server, user, protocol):
    before = server.log().count('scram-downgrade')
    for priority in (TLS12, TLS13):
        assert log_in(server, protocol, user, header='y,,', priority=priority) == 'malformed'
        assert log_in(server, protocol, user, header='n,,', priority=priority) == 'ok'
    assert server.log().count('scram-downgrade') == before + 2
    # where no binding is to be had, it is no downgrade
    assert log_in(server, protocol, user, header='y,,') == log_in(server, protocol, user, header='y,,', priority=NO_EMS) == 'ok'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_a_binding_of_another_kind_or_place_is_refused(server, user, protocol):
    for mechanism, header in ((PLUS, 'p=tls-unique,,'), (PLUS, 'p=tls-server-end-point,,'), (PLUS, 'n,,'), (PLUS, 'y,,'), (BARE, 'p=tls-exporter,,')):
        assert log_in(server, protocol, user, mechanism=mechanism, header=header, priority=TLS13) == 'malformed'
    with Session(server, protocol) as session:
        assert session.auth(PLUS).kind == 'none'
    with Session(server, protocol, NO_EMS) as session:
        assert session.auth(PLUS).kind == 'none'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_somebody_between_the_two_is_refused(server, user, protocol):
    """Who hands a client's messages on has another TLS session with us than with the client."""
    with Session(server, protocol, TLS13) as victim, Session(server, protocol, TLS13) as session:
        client = Client(session, user, PASSWORD, PLUS, 'p=tls-exporter,,', victim.binding())
        assert client.log_in().kind == 'refused' and not session.is_in()
    assert 'why="the channel binding is another\'s' in server.log()
    # nor does it help to take out what the client said of it
    with Session(server, protocol, TLS13) as session:
        client = Client(session, user, PASSWORD, BARE)
        assert client.first().kind == 'challenge'
        client.header, client.binding = 'p=tls-exporter,,', session.binding()
        assert client.final().kind == 'refused'
    with Session(server, protocol, TLS13) as session:
        client = Client(session, user, PASSWORD, PLUS, 'p=tls-exporter,,', session.binding())
        assert client.first().kind == 'challenge'
        client.header, client.binding = 'n,,', b''
        assert client.final().kind == 'refused'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_what_was_said_once_is_of_no_use_again(server, user, protocol):
    with Session(server, protocol) as session:
        client = Client(session, user, PASSWORD, nonce='chosen')
        assert client.first().kind == 'challenge'
        final = client.final_message()
        assert session.say(final).kind == 'challenge' and session.say('').kind == 'ok'
    with Session(server, protocol) as session:
        again = Client(session, user, PASSWORD, nonce='chosen')
        assert again.first().kind == 'challenge' and again.nonce != client.nonce
        assert session.say(final).kind == 'refused' and not session.is_in()
    assert 'why="the nonce is another\'s"' in server.log()
    with Session(server, protocol) as session:  # the nonce of this one, and the proof of that
        again = Client(session, user, PASSWORD, nonce='chosen')
        assert again.first().kind == 'challenge'
        assert session.say(final.replace(client.nonce, again.nonce)).kind == 'refused' and not session.is_in()


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_nobody_acts_for_another(server, user, protocol):
    assert log_in(server, protocol, user, header='n,a=ana@example.test,') == 'refused'
    assert log_in(server, protocol, user, header='n,a=%s,' % user) == 'ok'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_the_longest_messages_are_taken(server, user, protocol):
    assert log_in(server, protocol, user, nonce='x' * 256) == 'ok'
    with Session(server, protocol) as session:
        assert session.auth(BARE).kind == 'challenge'
        assert session.say('n,,' + Client(session, ',' * 512, PASSWORD, nonce='x' * 256).bare).kind == 'challenge'


BAD_FIRST = ['', 'n,,', 'n,,n=,r=x', 'n,,m=x,n=u,r=x', 'n,,n=u,r=' + 'x' * 300, 'n,,n=' + 'x' * 600 + ',r=x', 'q,,n=u,r=x', 'n' * 8000]
BAD_FINAL = [b'', b'c=biws', b'c=biws,r=x,p=', b'c=biws,r=x,p=AAAA', b'\0' * 100, b'c=' + b'x' * 3000]


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_what_is_no_message_ends_the_login_and_nothing_else(server, user, protocol):
    for first in BAD_FIRST:
        with Session(server, protocol) as session:
            reply = session.auth(BARE)
            assert reply == ('challenge', '')
            assert session.say(first).kind in ('malformed', 'refused')  # a name that is too long is one of nobody
            assert session.plain(user, PASSWORD).kind == 'ok'
    for final in BAD_FINAL:
        with Session(server, protocol) as session:
            assert Client(session, user, PASSWORD).first().kind == 'challenge'
            assert session.say(final).kind == 'malformed'
            assert session.plain(user, PASSWORD).kind == 'ok'
    with Session(server, protocol) as session:
        assert Client(session, user, PASSWORD).first().kind == 'challenge'
        assert session.say_raw(b'!!!').kind == 'malformed'
        assert Client(session, user, PASSWORD).log_in().kind == 'ok' and session.is_in()


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_a_client_that_does_not_believe_the_server_is_not_in(server, user, protocol):
    for last in (b'*', b'eA=='):
        with Session(server, protocol) as session:
            client = Client(session, user, PASSWORD)
            assert client.first().kind == 'challenge' and client.final().kind == 'challenge'
            assert session.say_raw(last).kind == ('cancelled' if last == b'*' else 'malformed')
            assert not session.is_in()
            assert Client(session, user, PASSWORD).log_in().kind == 'ok' and session.is_in()
    for step in range(2):
        with Session(server, protocol) as session:
            assert session.auth(BARE).kind == 'challenge'
            assert step == 0 or session.say('n,,n=%s,r=x' % user).kind == 'challenge'
            assert session.say_raw(b'*').kind == 'cancelled' and not session.is_in()
            assert session.plain(user, PASSWORD).kind == 'ok'


def test_exchanges_of_clients_that_have_gone_are_forgotten(server, user):
    def opened():
        return int(re.search(r'^vault .* exchanges=(\d+)', server.status(), re.M)[1])
    sessions = [Session(server, 'imap') for _ in range(30)]
    assert all(Client(session, user, PASSWORD).first().kind == 'challenge' for session in sessions)
    assert opened() >= 30
    for session in sessions[:15]:
        assert session.say_raw(b'*').kind == 'cancelled'
    for session in sessions:
        session.line.close()
    assert until(lambda: opened() == 0)


# ---- what happens meanwhile ----

@pytest.mark.parametrize('step', ['first', 'final', 'signature'])
@pytest.mark.parametrize('role', ['vault', 'store'])
def test_a_process_that_dies_amid_it_makes_a_failure_that_passes(server, user, role, step):
    for protocol in PROTOCOLS:
        with Session(server, protocol) as session, Session(server, protocol) as bystander:
            client, other = Client(session, user, PASSWORD), Client(bystander, user, PASSWORD)
            assert session.auth(BARE).kind == 'challenge' if step == 'first' else client.first().kind == 'challenge'
            assert step != 'signature' or client.final().kind == 'challenge'
            server.kill_role(role)
            server.wait_all_running()
            # another takes the number that the exchange had before
            assert until(lambda: BARE in offers(server, protocol)) and other.first().kind == 'challenge'
            if step == 'first':
                assert session.say('n,,' + client.bare).kind == 'challenge'
                assert session.say_raw(b'*').kind == 'cancelled'
            elif step == 'final':
                assert client.final().kind == 'later'
            else:  # vault has done its part by then
                assert session.say('').kind == ('ok' if role == 'vault' else 'later')
            assert session.is_in() == (step == 'signature' and role == 'vault')
            assert other.final().kind == 'challenge' and bystander.say('').kind == 'ok'
            if not (step == 'signature' and role == 'vault'):
                assert Client(session, user, PASSWORD).log_in().kind == 'ok'


@pytest.mark.parametrize('change', ['passwd', 'remove'])
def test_an_account_that_changes_amid_it_lets_nobody_in(server, change):
    for protocol in PROTOCOLS:
        user = server.add_user('s%d' % next(numbers))
        with Session(server, protocol) as session:
            client = Client(session, user, PASSWORD)
            assert client.first().kind == 'challenge'
            server.must('user', change, user, stdin='a new one\n')
            assert client.final().kind == 'later' and not session.is_in()
        assert log_in(server, protocol, user) == 'refused'


def test_nothing_of_a_password_is_in_the_log(server, user):
    with Session(server, 'imap') as session:
        client = Client(session, user, PASSWORD)
        assert client.log_in().kind == 'ok'
    for secret in (PASSWORD, client.salt, client.signature[2:], 'SCRAM-SHA-256$'):
        assert secret not in server.log()
