"""Logins by a client's certificate (EXTERNAL): whose certificate is believed, as whom, and what is proved of it."""
import base64
import shutil
import ssl
import subprocess

import pytest

import certificates
import talk
from conftest import PASSWORD, until
from scram import PROTOCOLS, Session

ANA, BOB = 'ana@example.test', 'bob@example.test'


class Authority:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.key, self.file = folder / 'ca.key', folder / 'ca.pem'
        certificates.openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=%s' % folder.name,
                             '-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', str(self.key), '-out', str(self.file))
        (folder / 'index').write_text('')
        (folder / 'config').write_text('[ca]\ndefault_ca=x\n[x]\ndatabase=%s/index\ndefault_md=sha256\ndefault_crl_days=30\n' % folder)

    def make(self, name, *emails, kind=('ec', '-pkeyopt', 'ec_paramgen_curve:P-256'), days='30', usage='clientAuth', others=''):
        """A file with a certificate for these addresses and its key."""
        file, extensions = self.folder / (name + '.pem'), self.folder / 'extensions'
        request = certificates.openssl('req', '-new', '-newkey', *kind, '-nodes', '-subj', '/CN=%s/emailAddress=bob@example.test' % name, '-keyout', str(file))
        names = ','.join(['email:' + email for email in emails] + ([others] if others else []))
        extensions.write_text('extendedKeyUsage=%s\n' % usage + ('subjectAltName=%s\n' % names if names else ''))
        made = certificates.openssl('x509', '-req', '-CA', str(self.file), '-CAkey', str(self.key), '-CAcreateserial', '-days', days,
                                    '-extfile', str(extensions), stdin=request)
        file.write_bytes(file.read_bytes() + made)
        return file

    def crl(self, *revoked):
        for file in revoked:
            certificates.openssl('ca', '-config', str(self.folder / 'config'), '-cert', str(self.file), '-keyfile', str(self.key), '-revoke', str(file))
        return certificates.openssl('ca', '-config', str(self.folder / 'config'), '-cert', str(self.file), '-keyfile', str(self.key), '-gencrl')


@pytest.fixture(scope='module')
def authority(place):
    return Authority(place / 'ours')


@pytest.fixture(scope='module')
def ana(authority):
    return authority.make('ana', ANA)


@pytest.fixture(scope='module')
def server(make_server, authority):
    s = make_server(users=['ana', 'bob'], start=False, settings={'tls_client_authorities': str(authority.file), 'login_exempt': '127.0.0.1', 'login_failures': '0'})
    s.add_user('chief')
    s.must('user', 'set', 'chief@example.test', 'master', 'yes')
    return s.start()


def context(file=None, **options):
    made = talk.loose_tls()
    if file:
        made.load_cert_chain(file)
    for name, value in options.items():
        setattr(made, name, value)
    return made


def log_in(server, file, authzid='', protocol='imap', **options):
    with Session(server, protocol, tls=context(file, **options)) as session:
        if 'EXTERNAL' not in session.offers():
            return 'not offered'
        kind = session.auth('EXTERNAL', authzid).kind if authzid else external(session)
        assert session.is_in() == (kind == 'ok')
        return kind


def external(session):
    """With "=" for the empty response."""
    if session.protocol == 'imap':
        session.tag = session.line.send_command('AUTHENTICATE EXTERNAL =').decode()
    else:
        session.line.send('AUTH EXTERNAL =\r\n')
    return session.answer().kind


# ---- who gets in ----

@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_a_certificate_stands_for_the_password(server, ana, protocol):
    assert log_in(server, ana, protocol=protocol) == 'ok'
    assert log_in(server, ana, ANA, protocol) == 'ok'
    assert log_in(server, ana, 'ANA', protocol) == 'ok'  # as any name is written
    assert 'outcome=ok user=%s protocol=%s client=127.0.0.1 by=certificate\n' % (ANA, protocol) in server.log()


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_the_response_may_come_behind_an_empty_challenge(server, ana, protocol):
    for response in (b'', base64.b64encode(ANA.encode())):
        with Session(server, protocol, tls=context(ana)) as session:
            assert session.auth('EXTERNAL') == ('challenge', '')
            assert session.say_raw(response).kind == 'ok' and session.is_in()


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_it_is_cancelled_and_refused_like_others(server, ana, protocol):
    with Session(server, protocol, tls=context(ana)) as session:
        assert session.auth('EXTERNAL').kind == 'challenge' and session.say_raw(b'*').kind == 'cancelled' and not session.is_in()
        assert session.auth('EXTERNAL').kind == 'challenge' and session.say_raw(b'!').kind == 'malformed'
        assert session.auth('EXTERNAL', 'a\0b').kind == 'malformed'
        assert session.auth('EXTERNAL', 'x' * 600).kind == 'refused'
        assert external(session) == 'ok'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_without_a_certificate_there_is_no_such_mechanism(server, protocol):
    for tls in (None, context()):
        with Session(server, protocol, tls=tls) as session:
            assert 'EXTERNAL' not in session.offers()
            assert session.auth('EXTERNAL', ANA).kind == 'none'
            assert session.plain(ANA, PASSWORD).kind == 'ok'


def test_from_the_first_byte_of_tls_too(server, ana):
    with talk.Line(server.ports['imaps']) as line:
        line.socket = context(ana).wrap_socket(line.socket)
        assert b'AUTH=EXTERNAL' in line.line()
        line.send('a AUTHENTICATE EXTERNAL =\r\n')
        assert line.line().startswith(b'a OK')


@pytest.mark.parametrize('kind', [('rsa:2048',), ('rsa:3072',), ('ec', '-pkeyopt', 'ec_paramgen_curve:P-384'), ('ed25519',), ('ed448',)])
def test_whatever_kind_of_key_it_has(server, authority, kind):
    assert log_in(server, authority.make('kind', ANA, kind=kind)) == 'ok'


@pytest.mark.parametrize('suite', ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])
def test_whatever_suite_is_taken(server, ana, suite):
    done = subprocess.run(['openssl', 's_client', '-connect', '127.0.0.1:%d' % server.ports['imaps'], '-cert', ana, '-key', ana, '-ciphersuites', suite, '-quiet', '-ign_eof'],
                          input=b'a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r\n', capture_output=True, timeout=30)
    assert b'\na OK ' in done.stdout, done


def test_a_name_with_no_account_is_refused(server, authority):
    assert log_in(server, authority.make('ghost', 'ghost@example.test')) == 'refused'
    assert 'why="the certificate names nobody who has an account here"' in server.log()


def test_of_several_names_it_is_the_one_that_is_asked_for(server, authority):
    both = authority.make('both', 'other@elsewhere.example', ANA, BOB)
    assert log_in(server, both, ANA) == 'ok' and log_in(server, both, BOB) == 'ok' and log_in(server, both) == 'refused'


def test_only_a_master_acts_for_another(server, authority, ana):
    assert log_in(server, ana, BOB) == 'refused'
    chief = authority.make('chief', 'chief@example.test')
    assert log_in(server, chief, BOB) == 'ok' and log_in(server, chief, 'nobody@example.test') == 'refused'
    assert 'outcome=ok user=bob@example.test protocol=imap client=127.0.0.1 by=certificate master=chief@example.test\n' in server.log()


def test_a_proxy_logs_in_anew_on_one_connection(server, authority):
    """RFC 8437: as one after the other, by the certificate of a master user."""
    with Session(server, 'imap', tls=context(authority.make('proxy', 'chief@example.test'))) as session:
        for user in (ANA, BOB, ANA):
            assert session.auth('EXTERNAL', user).kind == 'ok'
            session.line.ok('UNAUTHENTICATE')
        assert not session.is_in()


# ---- which certificates are believed ----

@pytest.mark.parametrize('what, why', [
    ('of another authority', 'unable to get local issuer certificate'), ('self-signed', 'self-signed certificate'), ('expired', 'certificate has expired'),
    ('for servers', 'unsuitable certificate purpose'), ('without a name', 'the certificate has no rfc822Name'), ('of other kinds of names', 'the certificate has no rfc822Name')])
def test_other_certificates_are_refused(server, authority, place, what, why):
    if what == 'of another authority':
        shutil.rmtree(place / 'theirs', ignore_errors=True)
        file = Authority(place / 'theirs').make('ana', ANA)
    elif what == 'self-signed':
        file = place / 'self.pem'
        made = certificates.openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=ana',
                                    '-addext', 'subjectAltName=email:' + ANA, '-keyout', str(file))
        file.write_bytes(file.read_bytes() + made)
    else:
        file = {'expired': lambda: authority.make('expired', ANA, days='-1'), 'for servers': lambda: authority.make('server', ANA, usage='serverAuth'),
                'without a name': lambda: authority.make('nameless'), 'of other kinds of names': lambda: authority.make('dns', others='DNS:ana.example.test,URI:mailto:' + ANA)}[what]()
    before = server.log().count(why)
    assert log_in(server, file) == 'refused'
    assert server.log().count(why) == before + 1


def test_one_by_an_authority_below_ours_is_believed_with_its_chain(server, authority, place):
    below = Authority(place / 'below')
    request = certificates.openssl('req', '-new', '-key', str(below.key), '-subj', '/CN=below')
    (place / 'below.ext').write_text('basicConstraints=critical,CA:TRUE\n')
    below.file.write_bytes(certificates.openssl('x509', '-req', '-CA', str(authority.file), '-CAkey', str(authority.key), '-CAcreateserial', '-days', '9',
                                                '-extfile', str(place / 'below.ext'), stdin=request))
    file = below.make('ana', ANA)
    assert log_in(server, file) == 'refused'
    file.write_bytes(file.read_bytes() + below.file.read_bytes())
    assert log_in(server, file) == 'ok'


def test_a_session_by_tls_1_2_has_no_such_login(server, ana):
    assert log_in(server, ana, maximum_version=ssl.TLSVersion.TLSv1_2) == 'not offered'


def test_a_session_with_a_certificate_is_not_resumed(server, ana):
    """There, nothing would prove anew that the client has the key."""
    made = context(ana)
    with Session(server, 'imap', tls=made) as session:
        assert session.line.ok('NOOP') is not None
        assert session.line.socket.session is None or not session.line.socket.session.has_ticket
    with Session(server, 'imap', tls=context()) as session:
        session.line.ok('NOOP')
        assert session.line.socket.session.has_ticket


def test_sessions_end_as_they_do_by_password(server, authority):
    user = server.add_user('eve')
    with Session(server, 'imap', tls=context(authority.make('eve', user))) as session:
        assert external(session) == 'ok'
        server.must('user', 'passwd', user, stdin='another\n')
        assert b'* BYE' in session.line.rest()


def test_other_servers_are_not_asked_for_a_certificate(server, ana):
    """Only users log in."""
    done = subprocess.run(['openssl', 's_client', '-starttls', 'smtp', '-connect', '127.0.0.1:%d' % server.ports['smtp']], input=b'QUIT\r\n', capture_output=True, timeout=30)
    assert b'No client certificate CA names sent' in done.stdout
    done = subprocess.run(['openssl', 's_client', '-connect', '127.0.0.1:%d' % server.ports['imaps']], input=b'a LOGOUT\r\n', capture_output=True, timeout=30)
    assert b'Acceptable client certificate CA names\nCN = ours\n' in done.stdout


# ---- how it changes ----

def test_a_revoked_one_is_refused_after_a_reload(make_server, authority, place):
    listed = place / 'listed.pem'
    lost, kept = authority.make('lost', ANA), authority.make('kept', ANA)
    shutil.copy(authority.file, listed)
    s = make_server('revoked', users=['ana'], settings={'tls_client_authorities': str(listed), 'login_failures': '0'})
    assert log_in(s, lost) == 'ok' and log_in(s, kept) == 'ok'
    listed.write_bytes(authority.file.read_bytes() + authority.crl(lost))
    s.must('reload')
    assert until(lambda: log_in(s, lost) == 'refused') and log_in(s, kept) == 'ok'
    assert 'why="the certificate: certificate revoked"' in s.log()
    # a file that is none changes nothing
    listed.write_text('nonsense\n')
    assert 'tls_client_authorities: %s: there is no certificate' % listed in s.command('check').stdout
    s.must('reload')
    assert until(lambda: 'client-authorities-kept-as-they-were' in s.log())
    assert log_in(s, kept) == 'ok' and log_in(s, lost) == 'refused'
    # and without the setting nobody is asked any more
    s.configure(tls_client_authorities='')
    s.must('reload')
    assert until(lambda: log_in(s, kept) == 'not offered')


def test_a_login_after_vault_has_died_needs_a_new_connection(server, ana):
    with Session(server, 'imap', tls=context(ana)) as session:
        server.kill_role('vault')
        server.wait_all_running()
        assert external(session) == 'later'
    assert until(lambda: log_in(server, ana) == 'ok')
