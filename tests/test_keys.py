"""Certificates and their keys: where they may lie, how they are replaced, and what is said about those that are wrong."""
import hashlib
import os
import re
import ssl
import subprocess

import pytest

import talk
from conftest import SANITIZERS, until


def make_pair(folder, name='mx.example.test', kind=('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')):
    """privkey.pem and fullchain.pem as certbot has them: in a folder and a file that are root's alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = folder / 'privkey.pem', folder / 'fullchain.pem'
    subprocess.run(['openssl', 'req', '-x509', *kind, '-nodes', '-days', '30', '-subj', '/CN=' + name, '-addext', 'subjectAltName=DNS:' + name,
                    '-keyout', files[0], '-out', files[1]], check=True, capture_output=True)
    files[0].chmod(0o600)
    return files


def fingerprint(file):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read_text())).hexdigest()


def shown(connection):
    return hashlib.sha256(connection.socket.getpeercert(binary_form=True)).hexdigest()


@pytest.fixture
def pair(tmp_path):
    return make_pair(tmp_path / 'live')


@pytest.fixture
def server(make_server, pair, request):
    s = make_server('%d' % (abs(hash(request.node.name)) % 10**6), start=False)
    s.configure(tls_key=str(pair[0]), tls_certificate=str(pair[1]))
    s.add_user('u')
    yield s.start()
    s.stop()


def imaps(server):
    return talk.Imap(server.ports['imaps'], tls=True)


def test_a_key_may_be_roots_alone(server, pair):
    assert os.geteuid() == 0 and os.stat(pair[0].parent).st_mode & 0o777 == 0o700 and os.stat(pair[0]).st_uid == 0
    with imaps(server) as c:
        assert shown(c) == fingerprint(pair[1])
    server.kill_role('vault')
    server.wait_all_running()
    with imaps(server) as c:
        assert shown(c) == fingerprint(pair[1])


def test_vault_has_no_key_file_open(server):
    (vault,) = [pid for role, pid in server.pids() if role == 'vault']
    with open('/proc/%d/status' % vault) as f:
        assert [line.split()[1:] for line in f if line.startswith('Uid:')] != [['0'] * 4]
    (master,) = [server.process.pid]
    for pid in (vault, master):
        links = [os.readlink('/proc/%d/fd/%s' % (pid, fd)) for fd in os.listdir('/proc/%d/fd' % pid)]
        assert not any(link.endswith('.pem') for link in links), links


@pytest.mark.parametrize('kind', [('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'), ('-newkey', 'rsa:2048')], ids=['ec', 'rsa'])
def test_a_renewed_certificate_is_taken_at_a_reload_and_old_connections_live_on(server, pair, kind):
    old = fingerprint(pair[1])
    with imaps(server) as before, server.imap() as plain, server.smtp('submission') as submission:
        before.ok('LOGIN u@example.test "correct horse"')
        make_pair(pair[0].parent, kind=kind)
        assert fingerprint(pair[1]) != old
        server.must('reload')

        def is_new():
            with imaps(server) as c:
                return shown(c) == fingerprint(pair[1])
        assert until(is_new)
        before.ok('SELECT INBOX')
        assert shown(before) == old
        # who was connected and begins TLS only now is served by an edge that knows the old one
        plain.ok('STARTTLS')
        plain.start_tls()
        plain.ok('LOGIN u@example.test "correct horse"')
        assert shown(plain) == old
        submission.tls()
        assert shown(submission) == old


def test_a_pair_that_does_not_fit_changes_nothing(server, pair, tmp_path):
    old = fingerprint(pair[1])
    other = make_pair(tmp_path / 'other')
    pair[1].write_bytes(other[1].read_bytes())
    server.must('reload')
    assert until(lambda: 'tls-kept-as-it-was' in server.log() and 'is not the key of' in server.log())
    with imaps(server) as c:
        assert shown(c) == old
    pair[0].unlink()
    os.mkfifo(pair[0])  # holds nobody up
    server.must('reload')
    assert until(lambda: 'is not a file' in server.log())
    with imaps(server) as c:
        assert shown(c) == old
    pair[0].unlink()
    server.must('reload')
    assert until(lambda: 'cannot open %s' % pair[0] in server.log())
    with imaps(server) as c:
        assert shown(c) == old


# ---- check ----

@pytest.fixture(scope='module')
def checked(make_server):
    return make_server('checked', start=False)


def check(server, files, **settings):
    server.configure(tls_key=str(files[0]), tls_certificate=str(files[1]), **settings)
    done = server.command('check')
    assert done.returncode == (0 if 'is right' in done.stdout else 78), done.stderr
    return done.stdout


def test_check_likes_a_good_pair(checked, pair):
    assert 'is right' in check(checked, pair)


def test_check_says_what_is_wrong_with_a_pair_and_what_to_do(checked, pair, tmp_path):
    said = check(checked, (tmp_path / 'none.pem', tmp_path / 'no/folder.pem'))
    assert 'tls_key: there is no file %s' % (tmp_path / 'none.pem') in said and 'tls_certificate: there is no file' in said
    pair[0].chmod(0o640)
    assert 'chmod 600' in check(checked, pair)
    pair[0].chmod(0o604)
    assert 'chmod 600' in check(checked, pair)
    pair[0].chmod(0o600)
    other = make_pair(tmp_path / 'other')
    assert 'is not the key of' in check(checked, (other[0], pair[1]))
    expired = make_pair(tmp_path / 'expired')
    subprocess.run(['openssl', 'x509', '-in', expired[1], '-signkey', expired[0], '-days', '-1', '-out', expired[1]], check=True, capture_output=True)
    assert 'has expired on' in check(checked, expired)
    said = check(checked, make_pair(tmp_path / 'elsewhere', name='www.example.test'))
    assert 'does not name mx.example.test' in said and 'www.example.test' in said
    assert 'is right' in check(checked, make_pair(tmp_path / 'wild', name='*.example.test'))
    assert 'no private key' in check(checked, (pair[1], pair[1]))
    assert 'no certificate' in check(checked, (pair[0], pair[0]))
    locked = tmp_path / 'locked.pem'
    subprocess.run(['openssl', 'pkey', '-in', pair[0], '-aes128', '-passout', 'pass:x', '-out', locked], check=True)
    locked.chmod(0o600)
    assert 'has a passphrase' in check(checked, (locked, pair[1]))


def test_check_by_one_who_may_not_read_the_key_says_so(checked, pair):
    check(checked, pair)
    for folder in pair[0].parents:
        if folder != pair[0].parent and str(folder).startswith('/tmp/'):
            folder.chmod(0o755)
    done = subprocess.run(['setpriv', '--reuid', '65534', '--clear-groups', *checked.argv('check')], capture_output=True, text=True, timeout=60)
    assert done.returncode == 78 and 'tls_key: you may not read' in done.stdout and 'as root' in done.stdout, done


def test_store_reaches_nothing_beside_its_own_folder(make_server):
    s = make_server('reach')
    s.stop()
    current, moved = s.data / 'store/CURRENT', s.data / 'keys/current'
    os.rename(current, moved)
    current.symlink_to(moved)
    s.process = subprocess.Popen(s.argv('run'), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(s.log_file, 'ab'), env=dict(os.environ, **SANITIZERS))
    try:
        assert until(lambda: re.search(r'store: .*CURRENT.*Permission denied', s.log()), 20), s.log()[-2000:]
    finally:
        s.stop()
        s.log_file.write_text('')  # what died of it is no fault
        os.unlink(current)
        os.rename(moved, current)
    s.start()
