"""Moving here and away: `carteiro import` and `carteiro export`, with Dovecot on the other side."""
import base64
import gzip
import imaplib
import os
import pathlib
import re
import shutil
import socket
import stat
import struct
import subprocess
import tempfile
import time

import pytest

import dovecot
import talk
from certificates import make_chain
from conftest import PASSWORD, SANITIZERS, TOP, until
from dovecot import Dovecot

DATES = [' 1-Jan-2001 10:00:00 +0000', '24-Dec-2020 18:30:05 +0100', '05-Mar-2015 00:00:59 -0500']
FLAGS = ['', '(\\Seen)', '(\\Answered \\Flagged $Label1)', '(\\Draft \\Seen Foo $Forwarded)', '(\\Deleted)']


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


@pytest.fixture
def user(server, request):
    return server.add_user(re.sub('[^a-z0-9]', '', request.node.name.lower())[:60])


@pytest.fixture
def tmp_path():
    """One that Dovecot's users may enter."""
    path = pathlib.Path(tempfile.mkdtemp(prefix='move-'))
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def message(n):
    return (b'From: a@remote.example\r\nMessage-ID: <%d@remote.example>\r\nSubject: =?utf-8?q?n=C3=BCmber?= %d\r\n\r\nbody %d\r\nFrom me\r\n.\r\n\xc3\xa9\r\n' % (n, n, n))


def quoted(name):
    return '"%s"' % name


def fill(session, mailboxes=('INBOX', 'Work/2024', 'Sent Items', 'Entw&APw-rfe'), count=12):
    n = 0
    for name in mailboxes:
        session.command('CREATE ' + quoted(name))
        for k in range(count):
            n += 1
            assert session.append(name, message(n), FLAGS[n % len(FLAGS)], DATES[n % len(DATES)]).startswith('OK')
        session.ok('SELECT ' + quoted(name))
        session.ok('UID STORE 2,3 +FLAGS.SILENT (\\Deleted)')
        session.ok('UID EXPUNGE 2:3')
        session.ok('UNSELECT')
        for k in range(2):
            n += 1
            assert session.append(name, message(n)).startswith('OK')
    session.command('SUBSCRIBE "Work/2024"')


def contents(session, name):
    """UIDVALIDITY, UIDNEXT, and by UID: flags, date, bytes."""
    session.ok('EXAMINE ' + quoted(name))
    text = b'\n'.join(session.untagged).decode('latin-1')
    uidvalidity, uidnext = (int(re.search(r'\[%s (\d+)\]' % word, text)[1]) for word in ('UIDVALIDITY', 'UIDNEXT'))
    messages = {}
    if re.search(r'\* 0 EXISTS', text):
        return uidvalidity, uidnext, messages
    for r in session.ok('UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])'):
        if b' FETCH (' not in r:
            continue
        head, _, body = r.partition(b'}\r\n')
        uid = int(re.search(rb'UID (\d+)', head)[1])
        flags = frozenset(re.search(rb'FLAGS \(([^)]*)\)', head)[1].decode().lower().split()) - {'\\recent'}
        date = time_of(re.search(rb'INTERNALDATE "([^"]*)"', head)[1].decode())
        size = int(re.search(rb'\{(\d+)$', head)[1])
        messages[uid] = (flags, date, body[:size])
    return uidvalidity, uidnext, messages


def time_of(date):
    return time.mktime(imaplib.Internaldate2tuple(('1 (INTERNALDATE "%s")' % date).encode()))


def same(theirs, ours, name, our_name=None):
    one, other = contents(theirs, name), contents(ours, our_name or name)
    assert one[2] == other[2], (name, sorted(one[2]), sorted(other[2]))
    assert one[:2] == other[:2], (name, one[:2], other[:2])


def counts(output):
    return tuple(int(n) for n in re.findall(r'(\d+) (?:brought|there already|not taken)', output.splitlines()[-1]))


@pytest.mark.parametrize('location', ['maildir:{home}/Maildir', 'maildir:{home}/Maildir:LAYOUT=fs'])
def test_a_maildir_of_dovecot_comes_whole_and_once(server, user, tmp_path, location):
    with Dovecot(tmp_path / 'd', location) as d:
        with d.imap() as theirs:
            fill(theirs)
        out = server.must('import', 'maildir', user, str(tmp_path / 'd/Maildir'))
        assert 'Sent Items goes into Sent' in out
        assert counts(out) == (48, 0, 0), out
        with d.imap() as theirs, server.imap(user) as ours:
            for name in ('INBOX', 'Work/2024', 'Entw&APw-rfe'):
                same(theirs, ours, name)
            same(theirs, ours, 'Sent Items', 'Sent')
            assert any(b'Work/2024' in r for r in ours.ok('LSUB "" "*"'))
            # a second run brings what is new, and what was deleted here stays away
            ours.ok('SELECT INBOX')
            ours.ok('UID STORE 1 +FLAGS.SILENT (\\Deleted)')
            ours.ok('UID EXPUNGE 1')
            assert theirs.append('INBOX', message(1000)).startswith('OK')
        out = server.must('import', 'maildir', user, str(tmp_path / 'd/Maildir'))
        assert counts(out) == (1, 48, 0), out
        with d.imap() as theirs, server.imap(user) as ours:
            one, other = contents(theirs, 'INBOX'), contents(ours, 'INBOX')
            del one[2][1]
            assert one == other
        server.must('verify', user)


def test_clients_of_pop3_know_what_they_have(server, user, tmp_path):
    with Dovecot(tmp_path / 'd') as d:
        with d.imap() as theirs:
            fill(theirs, ('INBOX',))
        with d.pop3() as p:
            before = p.many('UIDL')
        server.must('import', 'maildir', user, str(tmp_path / 'd/Maildir'))
        with server.pop3(user) as p:
            assert p.many('UIDL') == before
            p.ok('DELE 1')
            p.ok('QUIT')
        with server.imap(user) as ours:
            ours.ok('SELECT INBOX')
            ours.ok('COPY 1 INBOX')
        with server.pop3(user) as p:
            after = p.many('UIDL')
        assert [line.split()[1] for line in after[:-1]] == [line.split()[1] for line in before[1:]]
        assert after[-1].split()[1] not in [line.split()[1] for line in before]


def grant(server, address):
    """A token, as the commands ask for it by the control socket: a frame of ipc/frame.h with the words of a request."""
    names = re.findall(r'^\w+>\w+ (\w+)', (TOP / 'ipc/messages.def').read_text(), re.M)
    words = struct.pack('<I', 2) + b''.join(struct.pack('<I', len(w)) + w for w in (b'grant', address.encode()))
    payload = struct.pack('<I', len(words)) + words
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(server.run_dir / 'control'))
        s.sendall(struct.pack('<IHBBI', len(payload), names.index('request') + 1, 1, 0, 0) + payload)
        answer = b''
        while b'\n' not in answer:
            answer += s.recv(4096)
    token, name = re.search(rb'(grant-[0-9a-f]{64}) (\S+)\n', answer).groups()
    return token.decode(), name.decode()


class LocalImap(talk.Imap):
    """On the socket run_dir/imap."""

    def __init__(self, server):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(server.run_dir / 'imap'))
        self.buffer, self.tag, self.untagged = b'', 0, []
        self.greeting = self.line()

    def plain(self, user, password, authzid=''):
        return self.command('AUTHENTICATE PLAIN ' + base64.b64encode(b'\0'.join(x.encode() for x in (authzid, user, password))).decode())


def test_a_grant_lets_one_login_in_as_one_account(server, user):
    assert stat.S_IMODE(os.stat(server.run_dir / 'imap').st_mode) == 0o600
    other = server.add_user('other-' + user)
    token, name = grant(server, user.upper())
    assert name == user
    for who, what, authzid in ((other, token, ''), (user, token[:-1] + ('0' if token[-1] != '0' else '1'), ''), (user, token, other), (other, token, user)):
        with LocalImap(server) as s:
            assert s.plain(who, what, authzid).startswith('NO')
    with LocalImap(server) as s:
        assert s.plain(user, token).startswith('OK')
        assert s.ok('X-SOURCES ' + '0' * 32) == [b'* X-SOURCES 0']
        assert s.append('INBOX', b'Subject: x\r\n\r\n', 'X-CARTEIRO (UID 77 SOURCE %s)' % ('a' * 32)).startswith('OK [APPENDUID')
        assert s.ok('X-SOURCES %s %s' % ('0' * 32, 'a' * 32)) == [b'* X-SOURCES 01']
        assert s.append('INBOX', b'Subject: x\r\n\r\n', 'X-CARTEIRO (SOURCE %s)' % ('a' * 32)).startswith('OK APPEND done')
        assert s.append('INBOX', b'Subject: y\r\n\r\n', 'X-CARTEIRO (UID 5)').split()[3] == '78]'  # 5 is below UIDNEXT
        assert s.no('X-MAILBOX INBOX 5 5')  # it has messages
        assert not s.ok('X-MAILBOX Archive 5 9')
        with server.imap(user) as i:
            assert contents(i, 'Archive')[:2] == (5, 9)
            assert s.no('X-MAILBOX Archive 6 9')  # somebody has it open
        s.ok('UNAUTHENTICATE')
        assert s.plain(user, token).startswith('NO')
    with LocalImap(server) as s:
        assert s.plain(user, PASSWORD).startswith('OK')  # as by the network
        assert s.bad('X-SOURCES ' + '0' * 32)
    token, _ = grant(server, user)
    server.must('user', 'passwd', user, stdin='another\n')
    with LocalImap(server) as s:
        assert s.plain(user, token).startswith('NO')
    assert 'grant-' not in server.log() and ' by=grant' in server.log()


def test_numbers_that_a_strange_server_says_harm_no_mailbox(server, user):
    with LocalImap(server) as s:
        assert s.plain(*reversed(grant(server, user))).startswith('OK')
        s.ok('CREATE one')
        s.ok('X-MAILBOX one 4294967295 4294967295')
        assert s.append('one', b'Subject: x\r\n\r\n', 'X-CARTEIRO (UID 4294967294)').startswith('OK [APPENDUID 4294967295 1]')
        assert s.append('one', b'Subject: x\r\n\r\n', 'X-CARTEIRO (UID 2147483647)').startswith('OK [APPENDUID 4294967295 2147483647]')
        assert s.append('one', b'Subject: y\r\n\r\nbody').startswith('OK [APPENDUID 4294967295 2147483648]')
        s.ok('CREATE two')
        assert time.time() - 600 < contents(s, 'two')[0] < time.time() + 600
        s.ok('SELECT one')
        began = time.monotonic()
        assert s.ok('UID SEARCH TEXT body') == [b'* SEARCH 2147483648']
        assert s.ok('UID SORT (SUBJECT) UTF-8 ALL')[0].startswith(b'* SORT 1 2147483647')
        assert time.monotonic() - began < 5


def test_what_an_import_may_say_is_refused_to_others(server, user, tmp_path):
    with server.imap(user) as ours:
        assert ours.append('INBOX', b'Subject: x\r\n\r\n', 'X-CARTEIRO (UID 77)').startswith('NO [NOPERM]')
        assert ours.bad('X-SOURCES ' + '0' * 32)
        assert ours.bad('X-MAILBOX INBOX 5 5')
    done = server.command('import', 'maildir', 'nobody@example.test', str(tmp_path))
    assert done.returncode == 67 and 'no user' in done.stderr


def test_a_maildir_of_courier_brings_what_courier_keeps(server, user, tmp_path):
    m = tmp_path / 'Maildir'
    for folder in ('', '.Sent', '.Entw&APw-rfe.alt'):
        for name in ('cur', 'new', 'tmp'):
            (m / folder / name).mkdir(parents=True)
    for n in range(1, 5):
        file = m / 'cur' / ('10000%d.M%dP1V0I1_0.host,S=20:2,%s' % (n, n, 'S' if n % 2 else 'RF'))
        file.write_bytes(b'Subject: %d\n\nbody\n' % n)
        os.utime(file, (1000000000 + n, 1000000000 + n))
    (m / 'new/100009.M9P1V0I1_0.host,S=20').write_bytes(b'Subject: 9\n\n')
    (m / '.Entw&APw-rfe.alt/cur/1.M1P1.host:2,ST').write_bytes(b'Subject: old\n\n')
    (m / 'courierimapuiddb').write_text('1 1300000000 40\n' + ''.join('%d 10000%d.M%dP1V0I1_0.host,S=20\n' % (n * 7, n, n) for n in (1, 2, 3, 4)))
    (m / 'courierpop3dsizelist').write_text('/2 40 1300000000\n' + ''.join('10000%d.M%dP1V0I1_0.host,S=20:2, 25 %d:1300000000\n' % (n, n, n * 7) for n in (1, 2, 3)))
    (m / 'courierimapkeywords').mkdir()
    (m / 'courierimapkeywords/:list').write_text('$Label1\nFoo\n\n100002.M2P1V0I1_0.host,S=20:0 1\n100003.M3P1V0I1_0.host,S=20:1\n')
    (m / 'courierimapsubscribed').write_text('INBOX\nINBOX.Entw&APw-rfe.alt\n')
    assert counts(server.must('import', 'maildir', user, str(m))) == (6, 0, 0)
    with server.imap(user) as ours:
        uidvalidity, uidnext, messages = contents(ours, 'INBOX')
        assert (uidvalidity, uidnext, sorted(messages)) == (1300000000, 41, [7, 14, 21, 28, 40])
        assert [messages[u][0] for u in (7, 14, 21, 40)] == [{'\\seen'}, {'\\answered', '\\flagged', '$label1', 'foo'}, {'\\seen', 'foo'}, frozenset()]
        assert [m[0] for m in contents(ours, 'Entw&APw-rfe/alt')[2].values()] == [{'\\seen', '\\deleted'}]
        assert any(b'Entw&APw-rfe/alt' in r for r in ours.ok('LSUB "" "*"'))
    with server.pop3(user) as p:
        ids = [line.split()[1] for line in p.many('UIDL')]
        assert ids == [b'UID7-1300000000', b'UID14-1300000000', b'UID21-1300000000', b'%08x%08x' % (1300000000, 28), b'%08x%08x' % (1300000000, 40)]


def test_what_cannot_be_taken_is_told_and_the_rest_comes(server, user, tmp_path):
    m = tmp_path / 'Maildir'
    for name in ('cur', 'new', 'tmp', '.Work/cur', '.Work/new', '.Work/tmp', '.a..b/cur'):
        (m / name).mkdir(parents=True)
    for n in range(150):
        (m / 'cur' / ('%d.M1P1.host:2,S' % n)).write_bytes(message(n).replace(b'\r\n', b'\n'))
    (m / 'cur/500.M1P1.host:2,').write_bytes(b'')
    (m / 'cur/501.M1P1.host:2,').mkdir()
    (m / 'cur/502.M1P1.host:2,').write_bytes(b'Subject: nul\n\nx\0y\n')
    (m / 'cur/504.M1P1.host:2,').write_bytes(gzip.compress(b'Subject: gzip\n\nbody\n'))
    (m / 'cur/505.M1P1.host:2,').write_bytes(gzip.compress(b'Subject: cut\n\n' + os.urandom(5000))[:-500])
    (m / 'cur/506.M1P1.host:2,').write_bytes(b'\x28\xb5\x2f\xfdzstd')
    with open(m / 'cur/503.M1P1.host:2,', 'wb') as f:
        f.write(b'Subject: large\n\n')
        f.truncate(300 * 1024 * 1024)
    done = server.command('import', 'maildir', user, str(m))
    assert done.returncode == 1, done
    assert counts(done.stdout) == (152, 0, 6), done.stdout + done.stderr
    assert '505.M1P1.host:2,: it cannot be read to its end' in done.stderr and '506.M1P1.host:2,: it is compressed' in done.stderr
    assert '500.M1P1.host:2,: it is empty' in done.stderr and '501.M1P1.host:2,: it is no file' in done.stderr
    assert '503.M1P1.host:2,: it is larger than message_size_limit' in done.stderr and '.a..b' in done.stderr
    with server.imap(user) as ours:
        messages = contents(ours, 'INBOX')[2]
    assert len(messages) == 152 and any(m[2] == b'Subject: gzip\r\n\r\nbody\r\n' for m in messages.values())


def rss_of(pid):
    return int(re.search(r'VmHWM:\s+(\d+)', open('/proc/%d/status' % pid).read())[1])


def make_maildir(folder, count, size=2000):
    for name in ('cur', 'new', 'tmp'):
        (folder / name).mkdir(parents=True)
    for n in range(count):
        (folder / 'cur' / ('%d.M%dP1.host:2,S' % (1000000 + n, n))).write_bytes(b'Subject: %d\n\n%s\n' % (n, b'x' * size))
    with open(folder / 'dovecot-uidlist', 'w') as f:
        f.write('3 V1234 N%d\n' % (2 * count + 1))
        for n in range(count):
            f.write('%d :%d.M%dP1.host:2,S\n' % (2 * n + 1, 1000000 + n, n))


def uids_of(server, user):
    with server.imap(user) as ours:
        ours.ok('EXAMINE INBOX')
        assert any(b'[UIDVALIDITY 1234]' in r for r in ours.untagged)
        rows = ours.ok('UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
        return {int(re.search(rb'UID (\d+)', r)[1]): int(re.search(rb'Subject: (\d+)', r)[1]) for r in rows if b'Subject' in r}


@pytest.mark.parametrize('who', ['importer', 'store', 'edge-user', 'vault'])
def test_after_kill_9_nothing_is_lost_or_doubled(server, user, tmp_path, who):
    count = 3000
    make_maildir(tmp_path / 'Maildir', count)
    for kill_at in (200, 1200):
        p = subprocess.Popen(server.argv('import', 'maildir', user, str(tmp_path / 'Maildir')), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=dict(os.environ, **SANITIZERS))
        with server.imap(user) as ours:
            assert until(lambda: int(re.search(rb'MESSAGES (\d+)', ours.ok('STATUS INBOX (MESSAGES)')[0])[1]) >= kill_at or p.poll() is not None)
            if who == 'importer':
                p.kill()
            else:
                server.kill_role(who)
        out, err = p.communicate()
        assert p.returncode in ((-9,) if who == 'importer' else (75, 0)), (p.returncode, out, err)
        server.wait_all_running()
    out = server.must('import', 'maildir', user, str(tmp_path / 'Maildir'))
    brought, known, failed = counts(out)
    assert brought + known == count and not failed
    assert uids_of(server, user) == {2 * n + 1: n for n in range(count)}


def import_watched(server, user, maildir, count):
    """The importer's largest size in memory, in KB, when it brings all of them."""
    p = subprocess.Popen(server.argv('import', 'maildir', user, str(maildir)), stdout=subprocess.PIPE, text=True, env=dict(os.environ, **SANITIZERS))
    most = 0
    while p.poll() is None:
        try:
            most = max(most, rss_of(p.pid))
        except (TypeError, OSError):
            pass
        time.sleep(0.02)
    assert p.returncode == 0 and counts(p.stdout.read()) == (count, 0, 0)
    return most


def test_twenty_thousand_messages_in_bounded_memory(make_server, tmp_path):
    """The importer knows names and UIDs of what is still to come; store has the index, and what its engine keeps before it writes it out, but
    not the messages: of 320 MB, less than half."""
    server = make_server('memory', users=['few', 'many'])
    few, many, size = 2000, 20000, 16000
    make_maildir(tmp_path / 'few', few, size)
    make_maildir(tmp_path / 'many', many, size)
    most_of_few = import_watched(server, 'few@example.test', tmp_path / 'few', few)
    (store,) = [pid for role, pid in server.pids() if role == 'store']
    before = rss_of(store)
    most_of_many = import_watched(server, 'many@example.test', tmp_path / 'many', many)
    grown = rss_of(store) - before
    assert most_of_many < most_of_few + 16 * 1024, (most_of_few, most_of_many)
    assert grown < many * size / 1024 / 2, (before, grown)


def test_on_a_terminal_it_is_told_how_far_it_is(server, user, tmp_path):
    make_maildir(tmp_path / 'Maildir', 600, 20)
    terminal, slave = os.openpty()
    p = subprocess.Popen(server.argv('import', 'maildir', user, str(tmp_path / 'Maildir')), stdout=subprocess.PIPE, stderr=slave, text=True,
                         env=dict(os.environ, **SANITIZERS))
    os.close(slave)
    shown = b''
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # nobody has it open any more
            break
    os.close(terminal)
    assert counts(p.communicate()[0]) == (600, 0, 0) and p.returncode == 0
    assert re.search(rb'\[#*\.*\] \d+/600 INBOX', shown), shown


def test_a_full_account_takes_what_fits_and_the_rest_later(server, user, tmp_path):
    make_maildir(tmp_path / 'Maildir', 150, 10)
    server.must('quota', 'set', user, 'none', '120')
    done = server.command('import', 'maildir', user, str(tmp_path / 'Maildir'))
    brought, known, failed = counts(done.stdout)
    assert done.returncode == 1 and brought >= 118 and brought + failed == 150 and not known  # the owner was told, which takes room too
    assert done.stderr.count('OVERQUOTA') == failed
    server.must('quota', 'unset', user)
    assert counts(server.must('import', 'maildir', user, str(tmp_path / 'Maildir'))) == (failed, brought, 0)


# ---- mbox ----


def test_mboxes_of_dovecot_come_whole_and_once(server, user, tmp_path):
    (tmp_path / 'd/mail').mkdir(parents=True)
    with Dovecot(tmp_path / 'd', 'mbox:{home}/mail:INBOX={home}/mail/inbox') as d:
        with d.imap() as theirs:
            fill(theirs, ('INBOX', 'Work/2024', 'Sent Items', 'Entw&APw-rfe'))
        out = server.must('import', 'mbox', user, str(tmp_path / 'd/mail'))
        assert counts(out) == (48, 0, 0), out
        with d.imap() as theirs, server.imap(user) as ours:
            for name, our_name in (('INBOX', 'INBOX'), ('Work/2024', 'Work/2024'), ('Entw&APw-rfe', 'Entw&APw-rfe'), ('Sent Items', 'Sent')):
                one, other = contents(theirs, name), contents(ours, our_name)
                assert one[0] == other[0] and sorted(one[2]) == sorted(other[2]), name
                for uid, (flags, date, body) in one[2].items():
                    # what Dovecot quotes when it writes, it shows quoted
                    assert (flags, body.replace(b'\r\n>From', b'\r\nFrom')) == (other[2][uid][0], other[2][uid][2].replace(b'\r\n>From', b'\r\nFrom'))
                    assert abs(date - other[2][uid][1]) < 1
            assert theirs.append('INBOX', message(1000)).startswith('OK')
            assert theirs.append('INBOX', message(1)).startswith('OK')  # the same bytes once more
        out = server.must('import', 'mbox', user, str(tmp_path / 'd/mail'))
        assert counts(out) == (2, 48, 0), out


MBOX = b'''From a@b.c Thu Dec 24 18:00:01 2020 +0000
Subject: first
Content-Length: 4711

From me Thu Dec 24 without a time
>From me, quoted

From b@b.c Thu Dec 24 18:00 +0100 2020
Subject: second
Content-Length: 85
Status: RO

body

From c@b.c Thu Dec 24 18:00:01 2020
which Content-Length says is no From_ line

From MAILER-DAEMON Fri Dec 25 18:00:01 2020 +0000
Subject: third
X-Status: F

'''


def test_dialects_of_mbox_are_told_apart(server, user, tmp_path):
    (tmp_path / 'box').write_bytes(MBOX)
    (tmp_path / 'none').write_bytes(b'just a text\n')
    out = server.must('import', 'mbox', user, str(tmp_path / 'box'), 'Old/box')
    assert counts(out) == (3, 0, 0), out
    with server.imap(user) as ours:
        messages = contents(ours, 'Old/box')[2]
    assert [m[0] for m in messages.values()] == [frozenset(), {'\\seen'}, {'\\flagged'}]
    assert messages[1][2] == b'Subject: first\r\n\r\nFrom me Thu Dec 24 without a time\r\nFrom me, quoted\r\n'
    assert messages[2][2].endswith(b'\r\nFrom c@b.c Thu Dec 24 18:00:01 2020\r\nwhich Content-Length says is no From_ line\r\n')
    assert messages[3][1] - messages[2][1] == 25 * 3600 + 1
    done = server.command('import', 'mbox', user, str(tmp_path / 'none'))
    assert done.returncode == 1 and 'neither an mbox nor an mbx' in done.stderr


def test_mbx_of_uw_imapd_keeps_uids_flags_and_keywords(server, user, tmp_path):
    one, two = b'Subject: one\r\n\r\nbody\r\n', b'Subject: two\r\n\r\nFrom me\r\n'
    head = b'*mbx*\r\n3e0a1b2c0000000c\r\n$Label1\r\nFoo\r\n'
    head += b'\r\n' * 28
    head = head.ljust(2046) + b'\r\n'
    (tmp_path / 'box').write_bytes(
        head + b'24-Dec-2002 18:00:00 +0100,%d;000000020005-00000005\r\n' % len(one) + one + b' 1-Jan-2003 18:00:00 +0100,%d;000000008000-00000006\r\n' % len(two) + two +
        b' 1-Jan-2003 18:00:00 +0100,%d;000000000011-00000007\r\n' % len(two) + two)
    assert counts(server.must('import', 'mbox', user, str(tmp_path / 'box'), 'Box')) == (2, 0, 0)
    assert counts(server.must('import', 'mbox', user, str(tmp_path / 'box'), 'Box')) == (0, 2, 0)
    with server.imap(user) as ours:
        assert contents(ours, 'Box') == (0x3e0a1b2c, 13, {
            5: (frozenset({'\\seen', '\\flagged', 'foo'}), time_of('24-Dec-2002 18:00:00 +0100'), one),
            7: (frozenset({'\\seen'}), time_of(' 1-Jan-2003 18:00:00 +0100'), two)})


# ---- away ----


@pytest.fixture
def filled(server, user, tmp_path):
    (tmp_path / 'd').mkdir()
    with server.imap(user) as ours:
        fill(ours, ('INBOX', 'Work/2024', 'Work', 'Sent', 'Entw&APw-rfe'))
    return user


def test_dovecot_serves_an_exported_maildir_with_the_same_uids(server, filled, tmp_path):
    out = server.must('export', 'maildir', filled, str(tmp_path / 'd/Maildir'))
    assert re.search(r'^60 written, 0 there already, 0 not written$', out, re.M), out
    files = sorted(str(p) for p in (tmp_path / 'd/Maildir').rglob('cur/*'))
    with server.imap(filled) as ours:
        ours.ok('SELECT INBOX')
        ours.ok('UID STORE 1 +FLAGS.SILENT (\\Flagged)')
        assert ours.append('Work', message(500)).startswith('OK')
    out = server.must('export', 'maildir', filled, str(tmp_path / 'd/Maildir'))
    assert re.search(r'^1 written, 60 there already, 0 not written$', out, re.M), out
    assert len(set(files) & {str(p) for p in (tmp_path / 'd/Maildir').rglob('cur/*')}) == 59
    with Dovecot(tmp_path / 'd') as d, d.imap() as theirs, server.imap(filled) as ours:
        for name in ('INBOX', 'Work/2024', 'Work', 'Sent', 'Entw&APw-rfe'):
            same(theirs, ours, name)
        assert any(b'Work/2024' in r for r in theirs.ok('LSUB "" "*"'))


def test_dovecot_serves_exported_mboxes_with_the_same_uids(server, filled, tmp_path):
    out = server.must('export', 'mbox', filled, str(tmp_path / 'd/mail'))
    assert re.search(r'^60 written, 0 there already, 0 not written$', out, re.M), out
    out = server.must('export', 'mbox', filled, str(tmp_path / 'd/mail'))
    assert re.search(r'^0 written, 60 there already, 0 not written$', out, re.M), out
    with Dovecot(tmp_path / 'd', 'mbox:{home}/mail:INBOX={home}/mail/INBOX') as d, d.imap() as theirs, server.imap(filled) as ours:
        for name, their_name in (('INBOX', 'INBOX'), ('Work', 'Work.mbox'), ('Work/2024', 'Work/2024'), ('Sent', 'Sent'), ('Entw&APw-rfe', 'Entw&APw-rfe')):
            one, other = contents(theirs, their_name), contents(ours, name)
            assert one[:2] == other[:2], name
            assert {uid: (flags, body.replace(b'\r\n>From', b'\r\nFrom')) for uid, (flags, _, body) in one[2].items()} == {
                uid: (flags, body) for uid, (flags, _, body) in other[2].items()}
    again = server.add_user('again-' + filled)
    assert counts(server.must('import', 'mbox', again, str(tmp_path / 'd/mail'))) == (60, 0, 0)
    with server.imap(again) as mine, server.imap(filled) as ours:
        assert contents(mine, 'INBOX')[2] == contents(ours, 'INBOX')[2]


# ---- any IMAP server ----


@pytest.fixture(scope='module')
def chain(server):
    made = make_chain(server.folder / 'chain', 'localhost')
    server.configure(tls_authorities=str(made.authority))
    return made


def import_imap(server, user, d, *words, password=dovecot.PASSWORD, port=None):
    return server.command('import', 'imap', user, 'localhost', '--user', 'u', '--port', str(port or d.imaps_port), *words, stdin=password + '\n')


@pytest.mark.parametrize('options', [(), ('--starttls',)])
def test_mail_of_any_imap_server_comes_whole_and_once(server, user, tmp_path, chain, options):
    with Dovecot(tmp_path / 'd', 'sdbox:{home}/sdbox', (chain.file, chain.key)) as d:
        port = d.imap_port if options else d.imaps_port
        with d.imap() as theirs:
            fill(theirs)
            assert theirs.append('Work/2024', b'Subject: large\r\n\r\n' + b'x\r\n' * 1000000).startswith('OK')
        done = import_imap(server, user, d, *options, port=port)
        assert done.returncode == 0 and counts(done.stdout) == (49, 0, 0), done
        with d.imap() as theirs, server.imap(user) as ours:
            for name in ('INBOX', 'Work/2024', 'Entw&APw-rfe'):
                same(theirs, ours, name)
            same(theirs, ours, 'Sent Items', 'Sent')
            assert any(b'Work/2024' in r for r in ours.ok('LSUB "" "*"'))
            assert theirs.append('INBOX', message(1000)).startswith('OK')
        done = import_imap(server, user, d, *options, port=port)
        assert done.returncode == 0 and counts(done.stdout) == (1, 49, 0), done
        with d.imap() as theirs, server.imap(user) as ours:
            same(theirs, ours, 'INBOX')


def test_only_mailboxes_that_are_named_come(server, user, tmp_path, chain):
    with Dovecot(tmp_path / 'd', certificate=(chain.file, chain.key)) as d:
        with d.imap() as theirs:
            fill(theirs)
        (tmp_path / 'secret').write_text(dovecot.PASSWORD + '\n')
        done = import_imap(server, user, d, '--password-file', str(tmp_path / 'secret'), 'Entwürfe', password='wrong')
        assert done.returncode == 0 and counts(done.stdout) == (12, 0, 0), done
        done = import_imap(server, user, d, 'Entwürfe', 'Nothing')
        assert done.returncode == 1 and counts(done.stdout) == (0, 12, 1), done


def test_a_server_that_does_not_prove_who_it_is_gets_no_password(server, user, tmp_path, chain):
    other = make_chain(tmp_path / 'other', 'localhost')
    with Dovecot(tmp_path / 'd', certificate=(other.file, other.key)) as d:
        for options in ((), ('--starttls', '--port', str(d.imap_port))):
            done = import_imap(server, user, d, *options)
            assert done.returncode == 66 and 'its certificate is not believed' in done.stderr, done
        done = import_imap(server, user, d, '--insecure', password='wrong')
        assert done.returncode == 77 and 'does not let you in' in done.stderr
        assert import_imap(server, user, d, '--insecure').returncode == 0
