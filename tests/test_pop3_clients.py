"""Programs that fetch mail by POP3: by each way to log in that they know, keeping what is on the server and deleting it."""
import os
import poplib
import shutil
import ssl
import subprocess

import pytest

from conftest import PASSWORD, strip_first_trace
from scram import PLUS, Session, gnu_sasl
from test_external import Authority

NAME, US = 'u', 'u@example.test'
WHOLE = [b'Subject: number %d\r\n\r\n.dot\r\nline 2\r\n' % n for n in (1, 2, 3)]


@pytest.fixture(scope='module')
def authority(place):
    return Authority(place / 'ours')


@pytest.fixture(scope='module')
def server(make_server, authority):
    return make_server(users=[NAME], settings={'tls_client_authorities': str(authority.file), 'login_failures': '0'})


@pytest.fixture(scope='module')
def certificate(authority):
    file = authority.make('u', US)
    file.chmod(0o644)
    return file


@pytest.fixture
def three(server):
    server.empty(US)
    for message in WHOLE:
        assert server.send(US, message).code == 250


def left(server):
    return len(server.messages(US))


def run(words, code=0, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, timeout=60, stdin=subprocess.DEVNULL, **options)
    assert done.returncode == code, (done, words)
    return done.stdout + done.stderr


def by(server, mechanism):
    """How often somebody has logged in so."""
    return server.log().count('outcome=ok user=%s protocol=pop3 client=127.0.0.1 by=%s' % (US, mechanism))


def same(found):
    return sorted(strip_first_trace(m.replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')) for m in found) == sorted(WHOLE)


def maildir(folder):
    for part in ('new', 'cur', 'tmp'):
        (folder / part).mkdir(parents=True)
    return folder


def read(folder):
    return [file.read_bytes() for part in ('new', 'cur') for file in (folder / part).iterdir()]


# ---- fetchmail ----

def fetchmail(server, place, protocol, words, code=0):
    """It hands each message to a program, as it comes with LF, and keeps UIDs in a file."""
    place.mkdir(exist_ok=True)
    (place / 'mda').write_text('#!/bin/sh\ncat > "$(mktemp %s/m.XXXXXX)"\n' % place)
    (place / 'mda').chmod(0o755)
    (place / 'rc').write_text('set no bouncemail\npoll 127.0.0.1 protocol %s port %d %s username "%s" password "%s" sslproto "TLS1.2+" no sslcertck %s mda %s/mda no rewrite\n' % (
        protocol, server.ports[protocol], 'uidl auth password' if protocol == 'pop3' else '', US, PASSWORD, words, place))
    (place / 'rc').chmod(0o600)
    run(['fetchmail', '-f', place / 'rc', '-i', place / 'ids', '--pidfile', place / 'pid', '-v'], code, env=dict(os.environ, HOME=str(place), FETCHMAILUSER='root'))
    return [file.read_bytes() for file in place.glob('m.*')]


# by IMAP it has EXTERNAL, by POP3 it has not
@pytest.mark.parametrize('protocol, words, way', [('pop3', '', 'password'), ('imap', 'sslcert "{0}" sslkey "{0}"', 'certificate')])
def test_fetchmail_keeps_and_deletes(server, three, certificate, tmp_path, protocol, words, way):
    words = words.format(certificate)
    kept = fetchmail(server, tmp_path / 'a', protocol, words + ' keep')
    assert len(kept) == 3 and left(server) == 3 and all(b'line 2' in m for m in kept)
    assert len(fetchmail(server, tmp_path / 'a', protocol, words + ' keep', code=1)) == 3  # 1: there was nothing new
    assert len(fetchmail(server, tmp_path / 'b', protocol, words + ' fetchall nokeep')) == 3 and left(server) == 0
    assert server.log().count('outcome=ok user=%s protocol=%s client=127.0.0.1 by=%s' % (US, protocol, way)) >= 3


# ---- mpop ----

@pytest.mark.parametrize('auth, more, way', [
    ('user', '', 'password'), ('plain', '', 'password'), ('scram-sha-256', '', 'scram'),
    ('external', 'tls_cert_file {0}\ntls_key_file {0}\n', 'certificate')])
@pytest.mark.parametrize('starttls', ['on', 'off'])
def test_mpop_keeps_and_deletes(server, three, certificate, tmp_path, auth, more, way, starttls):
    folder = maildir(tmp_path / 'mail')
    for keep in ('on', 'off'):
        (tmp_path / 'rc').write_text('account a\nhost 127.0.0.1\nport %d\nuser %s\npasswordeval "echo \'%s\'"\nauth %s\ntls on\ntls_starttls %s\ntls_certcheck off\n'
                                     'keep %s\nreceived_header off\nuidls_file %s/%s\ndelivery maildir %s\n%s' % (
                                         server.ports['pop3' if starttls == 'on' else 'pop3s'], US, PASSWORD, auth, starttls, keep, tmp_path, keep, folder,
                                         more.format(certificate)))
        (tmp_path / 'rc').chmod(0o600)
        before = by(server, way)
        run(['mpop', '-C', tmp_path / 'rc', 'a'])
        assert by(server, way) > before
        if keep == 'on':
            assert same(read(folder)) and left(server) == 3
    assert left(server) == 0 and len(read(folder)) == 6


# ---- getmail ----

@pytest.mark.parametrize('delete', ['false', 'true'])
def test_getmail_keeps_and_deletes(server, three, delete):
    where = server.folder / ('getmail-' + delete)
    folder = maildir(where / 'mail')
    for path in [folder, *folder.iterdir()]:
        shutil.chown(path, 'carteiro')
    (where / 'rc').write_text('[retriever]\ntype = SimplePOP3SSLRetriever\nserver = 127.0.0.1\nport = %d\nusername = %s\npassword = %s\n[destination]\ntype = Maildir\npath = %s/\n'
                              'user = carteiro\n[options]\ndelete = %s\nread_all = false\nreceived = false\ndelivered_to = false\n' % (
                                  server.ports['pop3s'], US, PASSWORD, folder, delete))
    for _ in range(2):  # and nothing twice
        run(['getmail', '--getmaildir', where, '--rcfile', 'rc'], env=dict(os.environ, HOME=str(where)))
    assert len(read(folder)) == 3 and left(server) == (0 if delete == 'true' else 3)


# ---- curl ----

def curl(server, *words, code=0):
    return run(['curl', '-sS', '--insecure', '--ssl-reqd', *words], code)


@pytest.mark.parametrize('words, way', [(['--login-options', 'AUTH=PLAIN', '-u', US + ':' + PASSWORD], 'password'), (['-u', US + ':' + PASSWORD], 'password'),
                                        (['--login-options', 'AUTH=EXTERNAL', '-u', US + ':', '-E', 'CERTIFICATE'], 'certificate')])
def test_curl_reads_lists_and_deletes(server, three, certificate, words, way):
    words = [str(certificate) if word == 'CERTIFICATE' else word for word in words]
    url, before = 'pop3://127.0.0.1:%d/' % server.ports['pop3'], by(server, way)
    assert [line.split()[0] for line in curl(server, *words, url).splitlines()] == [b'1', b'2', b'3']
    assert len(set(curl(server, *words, '-X', 'UIDL', url).split()[1::2])) == 3
    assert strip_first_trace(curl(server, *words, url + '2')) == WHOLE[1]
    curl(server, *words, '-X', 'DELE 2', '-I', url)
    assert left(server) == 2 and by(server, way) >= before + 4


# ---- Python ----

def test_poplib_knows_what_the_server_knows(server, three):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    p = poplib.POP3('127.0.0.1', server.ports['pop3'], timeout=20)
    assert {'STLS', 'UTF8', 'LANG', 'EXPIRE', 'SASL', 'PIPELINING', 'RESP-CODES'} <= set(p.capa())
    p.stls(context)
    assert 'STLS' not in p.capa()
    p.utf8()
    p.user(US)
    p.pass_(PASSWORD)
    assert p.stat()[0] == 3 and len(p.list()[1]) == 3 and len(p.uidl()[1]) == 3
    assert strip_first_trace(b'\r\n'.join(p.retr(1)[1]) + b'\r\n') == WHOLE[0]
    assert p.top(2, 1)[1][-1] == b'.dot'
    p.dele(1)
    p.rset()
    p.dele(3)
    p.quit()
    assert left(server) == 2


def test_gnu_sasl_binds_the_channel(server, three):
    with Session(server, 'pop3', 'NORMAL:-VERS-ALL:+VERS-TLS1.3') as session:
        assert gnu_sasl(session, PLUS, US, PASSWORD).kind == 'ok' and session.is_in()
    assert by(server, 'scram-plus')
