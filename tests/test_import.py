"""Users who come from other servers, with their passwords' hashes."""
import subprocess

import pytest

from conftest import PASSWORD, until

SCHEMES = ['SSHA', 'SHA', 'SSHA256', 'SHA256', 'SSHA512', 'SHA512', 'SSHA256.HEX', 'SHA512.HEX', 'SSHA.B64', 'CRYPT', 'MD5-CRYPT', 'MD5', 'SHA256-CRYPT',
           'SHA512-CRYPT', 'BLF-CRYPT', 'ARGON2I', 'ARGON2ID', 'PLAIN', 'CLEARTEXT', 'CLEAR']


def made_by_dovecot(scheme, password=PASSWORD, *options):
    return subprocess.run(['doveadm', 'pw', '-s', scheme, '-p', password, *options], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


def take(server, tmp_path, *lines):
    file = tmp_path / 'passwd'
    file.write_text(''.join(line + '\n' for line in lines))
    return file, server.command('user', 'import', str(file))


def stored(server):
    """What stands in the store's files."""
    return b''.join(file.read_bytes() for file in server.data.rglob('*') if file.is_file() and file.stat().st_size < 1 << 26)


@pytest.mark.parametrize('scheme', SCHEMES)
def test_each_scheme_logs_in_and_becomes_one_of_ours(server, tmp_path, scheme):
    user = scheme.lower().replace('.', '-') + '@example.test'
    rehashed = 'password-rehashed level=info user=%s\n' % user
    _, done = take(server, tmp_path, '%s:%s:1000:1000::/home/x' % (user, made_by_dovecot(scheme)))
    assert done.returncode == 0 and done.stdout.endswith('1 added, 0 not\n'), done
    with server.imap() as i:
        assert i.no('LOGIN %s "%s"' % (user, PASSWORD + 'x')).startswith('NO [AUTHENTICATIONFAILED]')
        i.ok('LOGIN %s "%s"' % (user, PASSWORD))
        is_plain = scheme in ('PLAIN', 'CLEARTEXT', 'CLEAR')  # these are hashed before they are stored
        assert is_plain or until(lambda: rehashed in server.log())
        i.ok('SELECT INBOX')  # it is the same password: nobody is sent away
    with server.imap() as i:
        assert i.no('LOGIN %s "%s"' % (user, PASSWORD + 'x')).startswith('NO [AUTHENTICATIONFAILED]')
        i.ok('LOGIN %s "%s"' % (user, PASSWORD))
    assert server.log().count(rehashed) == (not is_plain)  # once for all


def test_hashes_stand_without_a_scheme_too_and_no_password_is_stored(server, tmp_path):
    bare = made_by_dovecot('SHA512-CRYPT').split('}')[1]
    ours = subprocess.run(['perl', '-e', 'print crypt("%s", "\\$y\\$j9T\\$abcdefghijklmnop\\$")' % PASSWORD], capture_output=True, text=True, check=True).stdout
    assert ours.startswith('$y$')
    _, done = take(server, tmp_path, 'bare@example.test:' + bare, 'ours@example.test:' + ours, 'argon@example.test:' + made_by_dovecot('ARGON2ID').split('}')[1],
                   'rare@example.test:{PLAIN}a very rare password')
    assert done.returncode == 0, done
    for name in ('bare', 'ours', 'argon'):
        with server.imap(name + '@example.test'):
            pass
    with server.imap('rare@example.test', 'a very rare password'):
        pass
    assert b'a very rare password' not in stored(server)


def test_a_password_that_was_changed_stays_changed(server, tmp_path):
    take(server, tmp_path, 'eva@example.test:' + made_by_dovecot('SSHA256'))
    server.must('user', 'passwd', 'eva@example.test', stdin='another\n')
    with server.imap() as i:
        i.no('LOGIN eva@example.test "%s"' % PASSWORD)
        i.ok('LOGIN eva@example.test another')


def test_argon2_in_four_lanes_is_checked_by_threads(server, tmp_path):
    take(server, tmp_path, 'lanes@example.test:$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$LeZbD3UAKvUcACx9il4XPtXtFiDX3/ScRE4eQjOYNyM')
    with server.imap('lanes@example.test'):
        pass


MALFORMED = [('x', 'neither a hash'), ('*', 'neither a hash'), ('secret', 'neither a hash'), ('{SSHA256}!!', 'no whole SHA'), ('{SSHA256}AAAA', 'no whole SHA'),
             ('{CRYPT}ab01FAX.bQRSU', 'neither a hash'), ('{SHA512-CRYPT}$6$salt$short', 'sha512crypt'), ('{CRAM-MD5}e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6', '{CRAM-MD5}'),
             ('{NTLM}00', '{NTLM}'), ('{PLAIN}', 'no password'), ('$2y$31$iB6ELB/jn.EKjca6sZKyN.8IdgVnDfUhrJNqLyS2tUDRRP76.H.P2', 'cost too much'),
             ('$6$rounds=999999999$oAZBQLMuGSSgmVIb$rnXz.s7CCdirzNVK1Lp5YbDGOlk3KCNlXauFerQQGcvdMjv9AqlrYmIzWTvILYWy3lJDOnGHmusKksklIL73u/', 'cost too much'),
             ('{ARGON2ID}$argon2id$v=19$m=4194304,t=3,p=1$xFfxJZfzJWzHFt4ZdokcBw$LMQihL4INoCulTeliwAs5dFk4NhldcaMJZGDBOYVCvs', 'cost too much'), ('', 'neither a hash')]


def test_what_cannot_be_checked_is_refused_with_its_line_and_a_reason(server, tmp_path):
    lines = ['# a comment', ''] + ['m%d@example.test:%s' % (n, text) for n, (text, _) in enumerate(MALFORMED)] + ['no colon', 'good@example.test:' + made_by_dovecot('SSHA')]
    file, done = take(server, tmp_path, *lines)
    assert done.returncode == 1 and done.stdout.endswith('1 added, %d not\n' % (len(MALFORMED) + 1)), done
    for n, (text, why) in enumerate(MALFORMED):
        (said,) = [line for line in done.stderr.splitlines() if line.startswith('carteiro: %s:%d: ' % (file, n + 3))]
        assert why in said and (len(text) < 12 or text not in said), said
    assert 'address:hash' in done.stderr
    assert not any(name.startswith('m') and name.split('@')[0][1:].isdigit() for name in server.must('user', 'list').split())
    with server.imap('good@example.test'):
        pass


def test_a_costly_hash_made_by_dovecot_is_refused(server, tmp_path):
    _, done = take(server, tmp_path, 'costly@example.test:' + made_by_dovecot('ARGON2ID', PASSWORD, '-r', '4'))
    assert done.returncode == 1 and 'cost too much' in done.stderr
