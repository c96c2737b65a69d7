"""`carteiro backup`: made while the server runs, and what comes out of it again."""
import base64
import os
import random
import re
import shutil
import signal
import subprocess
import threading

import pytest

from conftest import CARTEIRO, US, until


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(users=['v'])


@pytest.fixture
def target(place, request):
    path = place / re.sub(r'\W', '_', request.node.name)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def elsewhere(make_server):
    """Makes servers without a store, for restoring into."""
    def make():
        made = make_server(start=False)
        shutil.rmtree(made.data)
        return made
    return make


def text(n, size=0):
    """Message n; what makes it large cannot be compressed."""
    lines = base64.encodebytes(random.Random(n).randbytes(size * 3 // 4)).replace(b'\n', b'\r\n')
    return b'From: a@b.example\r\nSubject: %d\r\n\r\nnumber %d\r\n' % (n, n) + lines


def numbers(bodies):
    return sorted(int(re.search(rb'Subject: (\d+)', body)[1]) for body in bodies)


def backup(server, target):
    """One more backup: its time, its bytes and how many were copied."""
    told = server.must('backup', str(target))
    time, all_bytes, copied = re.match(r'(\d{8}T\d{6}Z): \d+ files, (\d+) bytes, of which (\d+) copied, in [\d.]+ s\n$', told).groups()
    return time, int(all_bytes), int(copied)


def status(session, mailbox='INBOX'):
    told = session.ok('STATUS %s (MESSAGES UIDVALIDITY UIDNEXT)' % mailbox)[0]
    return {name: int(value) for name, value in re.findall(r'(\w+) (\d+)', told.decode().split('(')[1])}


def leaves_no_checkpoint(server):
    return not (server.data / 'backup/checkpoint').exists()


# ---- backup and restore ----

def test_all_that_was_acknowledged_is_there_elsewhere(server, i, target, elsewhere):
    """While messages come in: those of before the beginning are there, and of the others a first part of them."""
    for n in range(40):
        i.append('INBOX', text(n, 70000 if n % 10 == 0 else 0), '(\\Flagged $k)' if n == 7 else '')
    i.ok('CREATE a/c')
    i.append('a/c', text(1000))
    before = status(i)
    stopped = threading.Event()
    sent = []

    def send():
        with server.imap(US) as other:
            while not stopped.is_set():
                other.append('INBOX', text(40 + len(sent)))
                sent.append(1)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert until(lambda: len(sent) > 5)
        acknowledged = 40 + len(sent)
        time, _, _ = backup(server, target)
        assert until(lambda: len(sent) > acknowledged - 40 + 5)
    finally:
        stopped.set()
        sender.join()
    assert leaves_no_checkpoint(server)
    other = elsewhere()
    assert other.must('backup', 'restore', str(target)) == '%s is restored: `carteiro run`\n' % time
    other.start()
    assert (other.data / 'keys/tls.key').read_bytes() == (server.data / 'keys/tls.key').read_bytes()
    with other.imap(US) as session:
        found = numbers(session.bodies())
        assert found == list(range(len(found))) and acknowledged <= len(found) <= 40 + len(sent)
        assert session.bodies('a/c') == [text(1000)]
        session.ok('SELECT INBOX')
        told = session.ok('FETCH 8 (FLAGS)')[0]
        assert b'\\Flagged' in told and b'$k' in told
        now = status(session)
    assert now['UIDVALIDITY'] > before['UIDVALIDITY']
    """Once only: the next start finds what it promised."""
    other.stop()
    other.start()
    with other.imap(US) as session:
        assert status(session) == now
        session.ok('CREATE new')
        assert status(session, 'new')['UIDVALIDITY'] > now['UIDVALIDITY']


def test_a_second_backup_copies_little_and_the_first_one_stays(make_server, target, elsewhere):
    """On a server of its own: where much has been deleted, the store writes its files anew. (It may do so with the oldest
    of its few blob files any time: store/engine/rocksdb.c.)"""
    server = make_server(users=['u'])
    with server.imap(US) as i:
        for n in range(30):
            i.append('INBOX', text(n, 500000))
        first, first_bytes, first_copied = backup(server, target)
        assert first_copied == first_bytes > 10000000
        i.append('INBOX', text(30))
    second, _, copied = backup(server, target)
    assert copied < first_bytes / 2, (copied, first_bytes)
    assert server.must('backup', 'list', str(target)).split()[0] == first
    for at, count in ((first, 30), (second, 31)):
        other = elsewhere()
        other.must('backup', 'restore', str(target), '--at', at)
        other.start()
        with other.imap(US) as session:
            assert numbers(session.bodies()) == list(range(count))
        other.stop()


def test_what_restore_refuses(server, i, target, elsewhere):
    backup(server, target)
    done = server.command('backup', 'restore', str(target))
    assert done.returncode == 1 and 'carteiro stop' in done.stderr
    other = elsewhere()
    other.data.mkdir()
    (other.data / 'mine').write_text('x')
    done = other.command('backup', 'restore', str(target))
    assert done.returncode == 1 and 'not empty' in done.stderr
    assert [entry.name for entry in other.data.iterdir()] == ['mine']
    (other.data / 'mine').unlink()
    done = other.command('backup', 'restore', str(target), '--at', '2001')
    assert done.returncode == 74 and 'no backup of that time' in done.stderr
    done = other.command('backup', 'restore', str(target / 'none'))
    assert done.returncode == 74 and 'no folder with backups' in done.stderr
    assert other.command('backup', 'restore').returncode == 64


def test_a_restoration_that_was_ended_begins_anew(server, i, target, elsewhere):
    i.append('INBOX', text(1))
    backup(server, target)
    other = elsewhere()
    (other.data / 'store.part').mkdir(parents=True)
    (other.data / 'store.part/000001.sst').write_bytes(b'half')
    other.must('backup', 'restore', str(target))
    assert not (other.data / 'store.part').exists() and not (other.data / 'store/000001.sst').exists()
    other.start()
    with other.imap(US) as session:
        assert session.bodies() == [text(1)]


# ---- keeping backups ----

def test_list_verify_and_prune(server, i, target):
    times = []
    for n in range(3):
        i.append('INBOX', text(n, 100000))
        times.append(backup(server, target)[0])
    assert [line.split()[0] for line in server.must('backup', 'list', str(target)).splitlines()] == times == sorted(set(times))
    assert re.match(r'3 backups, \d+ objects, \d+ bytes: 0 faults\n$', server.must('backup', 'verify', str(target)))
    before = len(list((target / 'objects').iterdir()))
    (target / 'objects/.incoming').write_text('half')
    assert re.match(r'2 backups and \d+ objects removed\n$', server.must('backup', 'prune', str(target), '--keep', '1'))
    named = set(re.findall(r'^\d+ ([0-9a-f]{64}) ', (target / 'backups' / (times[2] + '.manifest')).read_text(), re.M))
    assert {entry.name for entry in (target / 'objects').iterdir()} - {'.incoming'} == named and len(named) < before
    assert re.match(r'1 backup, \d+ objects, \d+ bytes: 0 faults\n$', server.must('backup', 'verify', str(target)))
    assert server.command('backup', 'prune', str(target), '--keep', '0').returncode == 64
    assert server.command('backup', 'prune', str(target)).returncode == 64


def test_damaged_objects_and_manifests_are_found(server, i, target, elsewhere):
    i.append('INBOX', text(1, 100000))
    time, _, _ = backup(server, target)
    largest = max((target / 'objects').iterdir(), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    done = server.command('backup', 'verify', str(target))
    assert done.returncode == 1 and largest.name in done.stderr and ': 1 fault\n' in done.stdout
    other = elsewhere()
    done = other.command('backup', 'restore', str(target))
    assert done.returncode == 74 and largest.name in done.stderr and not (other.data / 'store').exists()
    largest.unlink()
    assert server.command('backup', 'verify', str(target)).returncode == 1
    largest.write_bytes(whole)
    server.must('backup', 'verify', str(target))
    manifest = target / 'backups' / (time + '.manifest')
    lines = manifest.read_text().splitlines(True)
    for bad in (''.join(lines[1:]), ''.join(lines[:-1]), ''.join(lines)[:-10], ''.join(lines).replace(' store/', ' ../store/', 1)):
        manifest.write_text(bad)
        assert server.command('backup', 'verify', str(target)).returncode == 1
        assert server.command('backup', 'list', str(target)).returncode == 1
        assert server.command('backup', 'prune', str(target), '--keep', '1').returncode == 1
        assert largest.exists()


def test_a_target_that_is_full_leaves_the_older_backups_good(server, i, place):
    target = place / 'small'
    target.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', str(target)], check=True)
    try:
        first, _, _ = backup(server, target)
        for n in range(20):
            i.append('INBOX', text(n, 700000))
        (target / 'fill').write_bytes(bytes(22 * 1024 * 1024 - sum(path.stat().st_size for path in (target / 'objects').iterdir())))
        done = server.command('backup', str(target))
        assert done.returncode == 74 and 'No space left on device' in done.stderr and leaves_no_checkpoint(server)
        (target / 'fill').unlink()
        assert [line.split()[0] for line in server.must('backup', 'list', str(target)).splitlines()] == [first]
        server.must('backup', 'verify', str(target))
    finally:
        subprocess.run(['umount', str(target)], check=True)


def test_killed_in_the_middle(server, i, target):
    """kill -9 of the command: the next one takes its checkpoint away, and what is there stays good."""
    for n in range(20):
        i.append('INBOX', text(n, 300000))
    backup(server, target)
    i.append('INBOX', text(20, 300000))
    process = subprocess.Popen([CARTEIRO, '-c', str(server.config_file), 'backup', str(target)], stdout=subprocess.DEVNULL)
    assert until(lambda: (server.data / 'backup/checkpoint').exists(), pause=0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert ': 0 faults' in server.must('backup', 'verify', str(target))
    backup(server, target)
    assert leaves_no_checkpoint(server) and ': 0 faults' in server.must('backup', 'verify', str(target))


def killed(argv, when):
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert until(lambda: when() or process.poll() is not None, pause=0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_restore_extract_and_salvage_killed_in_the_middle(server, i, target, place, elsewhere):
    """Begun anew, each does all of it."""
    for n in range(20):
        i.append('INBOX', text(n, 1000000))
    backup(server, target)
    other = elsewhere()
    killed(other.argv('backup', 'restore', str(target)), lambda: (other.data / 'store.part').exists())
    if not (other.data / 'store').exists():
        other.must('backup', 'restore', str(target))
    """The server does not run: the command starts the store alone."""
    assert backup(other, target)[1] > 20000000
    for words in (('backup', 'extract', str(target), US), ('salvage', str(other.data))):
        to = place / ('killed-' + words[0])
        cur = to / 'cur' if words[0] == 'backup' else to / US / 'cur'
        killed(other.argv(*words, str(to)), lambda cur=cur: cur.exists() and len(list(cur.iterdir())) > 2)
        other.must(*words, str(to))
        assert sorted(file.read_bytes() for file in cur.iterdir()) == sorted(text(n, 1000000) for n in range(20))
    other.start()
    with other.imap(US) as session:
        assert numbers(session.bodies()) == list(range(20))


# ---- one user's mail out of a backup ----

def maildir(path):
    """{folder: {(bytes, flags)}} of a Maildir; INBOX is ''."""
    folders = [path] + [entry for entry in path.iterdir() if entry.name.startswith('.') and (entry / 'maildirfolder').exists()]
    return {'' if folder is path else folder.name: sorted((file.read_bytes(), file.name.split(':2,')[1]) for file in (folder / 'cur').iterdir())
            for folder in folders}


def test_extract_all_one_mailbox_one_message(server, i, target, place):
    for n in range(300):
        i.append('INBOX', text(n, 100000 if n % 100 == 0 else 0), '(\\Seen \\Flagged $k)' if n == 7 else '', ' 1-Feb-2003 04:05:06 +0000')
    i.ok('CREATE a.b/&AOc-')
    i.append('a.b/&AOc-', text(1000), '(\\Answered)')
    backup(server, target)
    i.ok('SELECT INBOX')
    i.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
    i.ok('EXPUNGE')
    to = place / 'extracted'
    assert re.match(r'301 messages, \d+ bytes: 0 faults\n$', server.must('backup', 'extract', str(target), US, str(to)))
    found = maildir(to)
    assert sorted(found) == ['', '.Archive', '.Drafts', '.Junk', '.Sent', '.Trash', '.a&AC4-b', '.a&AC4-b.&AOc-']
    assert found['.a&AC4-b.&AOc-'] == [(text(1000), 'R')]
    assert found[''] == sorted((text(n, 100000 if n % 100 == 0 else 0), 'FSa' if n == 7 else '') for n in range(300))
    assert (to / 'dovecot-keywords').read_text() == '0 $k\n'
    assert {int(file.stat().st_mtime) for file in (to / 'cur').iterdir()} == {1044072306}
    assert maildir(to) == found
    server.must('backup', 'extract', str(target), US, str(to))  # again: the same names
    assert maildir(to) == found
    """One mailbox, one message; as its user would write its name."""
    to = place / 'one'
    server.must('backup', 'extract', str(target), US, 'inbox', '8', str(to))
    assert maildir(to) == {'': [(text(7), 'FSa')]}
    to = place / 'mailbox'
    server.must('backup', 'extract', str(target), US, 'a.b/\u00e7', str(to))
    assert maildir_of_folder(to, '.a&AC4-b.&AOc-') == [text(1000)] and not (to / 'cur').exists()
    assert server.command('backup', 'extract', str(target), US, 'INBOX', '99999', str(to)).returncode == 1
    assert server.command('backup', 'extract', str(target), US, 'none', str(to)).returncode == 1
    assert server.command('backup', 'extract', str(target), 'nobody@example.test', str(to)).returncode == 67
    assert server.command('backup', 'extract', str(target), US, 'INBOX', 'x', str(to)).returncode == 64


def maildir_of_folder(path, folder):
    return sorted(file.read_bytes() for file in (path / folder / 'cur').iterdir())


# ---- mail out of a damaged store ----

class Damaged:
    """A server's store with 1,500 messages, stopped; each test breaks a copy."""

    def __init__(self, server, place):
        self.server, self.place, self.count = server, place, 0
        with server.imap(US) as session:
            for n in range(1200):
                session.append('INBOX', text(n, 1500))
            session.ok('CREATE large')
            for n in range(1200, 1230):
                session.append('large', text(n, 200000))
        server.must('backup', str(place / 'flush'))  # so that all is in files, and the rest in the log
        with server.imap(US) as session:
            for n in range(1230, 1240):
                session.append('Archive', text(n, 1500))
        server.stop()
        self.messages = {text(n, 1500 if not 1200 <= n < 1230 else 200000) for n in range(1240)}

    def copy(self):
        self.count += 1
        data = self.place / ('damaged-%d' % self.count)
        shutil.copytree(self.server.data, data)
        return data

    def salvage(self, data):
        """The messages that were taken out; what was said; the exit code."""
        to = self.place / ('salvaged-%d' % self.count)
        before = {file.name: file.read_bytes() for file in (data / 'store').iterdir()}
        done = self.server.command('salvage', str(data), str(to))
        assert {file.name: file.read_bytes() for file in (data / 'store').iterdir()} == before, 'it changed the store'
        found = [file.read_bytes() for file in to.glob('*/cur/*')] + [file.read_bytes() for file in to.glob('*/.*/cur/*')]
        assert set(found) <= self.messages and len(found) == len(set(found))
        shutil.rmtree(data)
        shutil.rmtree(to)
        return set(found), done


@pytest.fixture(scope='module')
def damaged(make_server, place):
    return Damaged(make_server(users=['u']), place)


def flip(path, at):
    with open(path, 'r+b') as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x40]))


def test_salvage_of_a_whole_store_takes_all(damaged):
    found, done = damaged.salvage(damaged.copy())
    assert found == damaged.messages and done.returncode == 0, done.stderr
    assert re.match(r'\d+ accounts?, 1240 messages, \d+ bytes: 0 faults\n$', done.stdout)


def test_a_flipped_byte_in_a_message_costs_that_message(damaged):
    data = damaged.copy()
    largest = max((data / 'store').glob('*.blob'), key=lambda path: path.stat().st_size)
    size = largest.stat().st_size
    for part in (3, 5, 9):
        flip(largest, size * part // 10)
    found, done = damaged.salvage(data)
    lost = len(damaged.messages - found)
    assert 1 <= lost <= 3 and done.returncode == 1
    assert len(re.findall(r'^u@example\.test: mailbox "\w+", UID \d+ is damaged: ', done.stderr, re.M)) == lost


@pytest.mark.parametrize('part', [2, 10, 25, 50, 75, 90])
def test_a_flipped_byte_in_the_rows_costs_what_stands_there(damaged, part):
    data = damaged.copy()
    for path in (data / 'store').glob('*.sst'):
        flip(path, path.stat().st_size * part // 100)
    found, done = damaged.salvage(data)
    assert done.returncode in (0, 1), done.stderr
    if len(found) < len(damaged.messages):
        assert done.returncode == 1 and ': ' in done.stderr
    assert len(found) >= 500, done.stderr[-3000:]


def test_a_blob_file_that_is_missing_costs_what_stood_there(damaged):
    data = damaged.copy()
    max((data / 'store').glob('*.blob'), key=lambda path: path.stat().st_size).unlink()
    found, done = damaged.salvage(data)
    assert done.returncode == 1 and len(re.findall(r', UID \d+ is damaged: ', done.stderr)) == len(damaged.messages - found) > 0
    assert {text(n, 1500) for n in range(1230, 1240)} <= found


def spoil(what, store):
    manifest, = store.glob('MANIFEST-*')
    if what == 'overwritten':
        manifest.write_bytes(b'x' * 1000)
    elif what == 'flipped':
        flip(manifest, manifest.stat().st_size // 2)
    elif what == 'cut':
        os.truncate(manifest, manifest.stat().st_size // 2)
    elif what == 'empty':
        os.truncate(manifest, 0)
    else:
        (manifest if what == 'missing' else store / 'CURRENT').unlink()


@pytest.mark.parametrize('what', ['overwritten', 'flipped', 'cut', 'empty', 'missing', 'CURRENT'])
def test_a_list_of_files_that_is_lost_costs_nothing(damaged, what):
    data = damaged.copy()
    spoil(what, data / 'store')
    found, done = damaged.salvage(data)
    assert done.returncode == 1 and 'made anew, in a copy' in done.stderr
    assert found == damaged.messages, done.stderr[-2000:]
    assert ' is damaged' not in done.stderr and 'lost+found' not in done.stderr


def test_without_its_list_a_damaged_blob_file_costs_what_stood_there(damaged):
    data = damaged.copy()
    spoil('missing', data / 'store')
    for path in (data / 'store').glob('*.blob'):
        for part in (3, 5):
            flip(path, path.stat().st_size * part // 10)
        os.truncate(path, path.stat().st_size - 1000)
    found, done = damaged.salvage(data)
    lost = damaged.messages - found
    assert 1 <= len(lost) <= 9 and len(re.findall(r', UID \d+ is damaged: ', done.stderr)) == len(lost), done.stderr[-2000:]


def test_messages_whose_rows_are_lost_go_to_a_folder_of_their_own(damaged):
    """What is left of them are the blobs, those in files of their own and those that stand beside their keys."""
    data = damaged.copy()
    spoil('missing', data / 'store')
    tables = list((data / 'store').glob('*.sst'))
    rows = [path for path in tables if b'mailbox' in path.read_bytes() or b'INBOX' in path.read_bytes()]
    assert rows and len(rows) < len(tables)
    for path in rows:
        path.unlink()
    found, done = damaged.salvage(data)
    assert found == damaged.messages, done.stderr[-2000:]
    named = re.findall(r'^lost\+found: no mailbox names message (\w{26}), which came at 1\d{9} and has \d+ bytes$', done.stderr, re.M)
    assert len(set(named)) == len(named) >= 1230


def test_what_salvage_refuses(server, place):
    done = server.command('salvage', str(server.data), str(place / 'none'))
    assert done.returncode == 74 and 'carteiro stop' in done.stderr
    assert server.command('salvage', str(server.data)).returncode == 64
    assert server.command('salvage', str(place / 'nowhere'), str(place / 'none')).returncode == 74
