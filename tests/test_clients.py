"""Mail programs of others: what they send arrives, and what they read is byte for byte what was sent."""
import base64
import json
import os
import pathlib
import re
import subprocess

import pytest

import corpus
from conftest import PASSWORD, strip_first_trace, strip_trace, until

NODE = pathlib.Path(__file__).parent / 'node'
ANA, LEO = 'ana@example.test', 'leo@example.test'


@pytest.fixture(scope='module')
def server(make_server):
    s = make_server()
    s.add_user('ana')
    s.add_user('leo')
    s.add_user('corpus')
    return s


def own(messages):
    """The corpus as Ana may send it."""
    return [m.bytes.replace(b'ana@remote.example', b'ana@example.test') for m in messages]


@pytest.fixture
def inbox(server):
    server.empty(LEO)

    def read(count):
        assert until(lambda: len(server.messages(LEO)) >= count)
        return [strip_first_trace(m) for m in server.messages(LEO)]
    return read


def run(*words, stdin=b'', timeout=60, **options):
    done = subprocess.run([str(w) for w in words], input=stdin, capture_output=True, timeout=timeout, **options)
    assert done.returncode == 0, done.stdout.decode(errors='replace')[-3000:] + done.stderr.decode(errors='replace')[-3000:]
    return done.stdout


# ---- sending ----

@pytest.mark.parametrize('how', [['--port', 'submission', '-tls', '--auth', 'PLAIN'], ['--port', 'submission', '-tls', '--auth', 'LOGIN'],
                                 ['--port', 'submissions', '-tlsc', '--auth', 'PLAIN'], ['--port', 'submission', '--auth', 'PLAIN'], ['--port', 'submission', '-tls', '--auth', 'PLAIN', '--pipeline']],
                         ids=['starttls-plain', 'starttls-login', 'tls', 'clear', 'pipelined'])
def test_swaks_submits(server, inbox, how):
    how = [str(server.ports.get(word, word)) for word in how]
    what = own(corpus.small()[:1])[0]
    run('swaks', '--server', '127.0.0.1', '--from', ANA, '--to', LEO, '--auth-user', ANA, '--auth-password', PASSWORD, '--data', '-', *how, stdin=what)
    assert inbox(1)[0].rstrip() == what.rstrip()


def test_swaks_delivers_as_a_stranger_and_by_lmtp(server, inbox):
    for protocol in ('ESMTP', 'LMTP'):
        run('swaks', '--protocol', protocol, '--server', '127.0.0.1', '--port', server.ports['smtp' if protocol == 'ESMTP' else 'lmtp'], '--from', 'x@remote.example', '--to', LEO,
            '--header', 'Subject: ' + protocol)
    assert len(inbox(2)) == 2


@pytest.mark.parametrize('mode', ['starttls', 'tls'])
def test_msmtp_submits_the_corpus(server, inbox, tmp_path, mode):
    file = tmp_path / 'msmtprc'
    file.write_text('account default\nhost 127.0.0.1\nport %d\nfrom %s\nuser %s\npasswordeval "echo \'%s\'"\nauth plain\ntls on\ntls_starttls %s\ntls_certcheck off\n' % (
        server.ports['submission' if mode == 'starttls' else 'submissions'], ANA, ANA, PASSWORD, 'on' if mode == 'starttls' else 'off'))
    file.chmod(0o600)
    messages = [m for m in own(corpus.small()) if b'no blank line' not in m]  # msmtp ends a header itself
    for message in messages:
        run('msmtp', '-C', file, LEO, stdin=message.replace(b'\r\n', b'\n'))
    assert inbox(len(messages)) == messages


@pytest.mark.parametrize('mode', ['starttls', 'tls', 'clear'])
def test_nodemailer_submits_the_corpus(server, inbox, mode):
    messages = [m for m in own(corpus.small()) if b'no blank line' not in m]
    run('node', NODE / 'submit.mjs', server.ports['submissions' if mode == 'tls' else 'submission'], ANA, PASSWORD, LEO, mode,
        stdin=json.dumps([base64.b64encode(m).decode() for m in messages]).encode())
    assert sorted(inbox(len(messages))) == sorted(messages)


def test_curl_submits(server, inbox, tmp_path):
    what = own(corpus.small()[:1])[0]
    (tmp_path / 'm').write_bytes(what)
    run('curl', '-sS', '--insecure', '--ssl-reqd', '-u', '%s:%s' % (ANA, PASSWORD), '--mail-from', ANA, '--mail-rcpt', LEO, '-T', tmp_path / 'm', 'smtp://127.0.0.1:%d' % server.ports['submission'])
    assert inbox(1) == [what]


# ---- reading ----

@pytest.fixture(scope='module')
def sent(server):
    """The corpus in a mailbox: by SMTP, with trace fields in front."""
    messages = corpus.everything()
    for message in messages:
        assert server.send('corpus@example.test', message.bytes, 'ana@remote.example', message.options).code == 250
    return messages


def compare(found, sent):
    """Each message of the corpus once, byte for byte below the fields that were put in front."""
    wanted, got = sorted(m.bytes for m in sent), sorted(strip_trace(text) for text in found)
    different = [(w[:200], g[:200], len(w), len(g)) for w, g in zip(wanted, got) if w != g]
    assert len(got) == len(wanted) and not different, different


def test_curl_reads_the_corpus(server, sent):
    found = []
    for number in range(1, len(sent) + 1):
        found.append(run('curl', '-sS', '--insecure', '--ssl-reqd', '-u', 'corpus@example.test:' + PASSWORD,
                         'imap://127.0.0.1:%d/INBOX;MAILINDEX=%d' % (server.ports['imap'], number)))
    compare(found, sent)


def test_imapflow_reads_moves_and_deletes(server, sent):
    server.add_user('flow')
    user, messages = 'flow@example.test', sent[:-1]
    for message in messages:
        server.send(user, message.bytes, 'ana@remote.example', message.options)
    said = json.loads(run('node', NODE / 'read.mjs', server.ports['imap'], user, PASSWORD))
    compare([base64.b64decode(m['source']) for m in said['found']], messages)
    assert said['flagged'] == [1] and said['left'] == len(messages) - 2
    assert ['Sent', '\\Sent'] in said['boxes'] and ['INBOX', '\\Inbox'] in said['boxes']
    with server.imap(user) as i:
        assert len(i.bodies('Archive')) == 1 and len(i.bodies()) == len(messages) - 2


def test_imapflow_searches(server):
    server.add_user('seeker')
    with server.imap('seeker@example.test') as i:
        for n, (subject, sender, body) in enumerate([('m1', 'ana', 'hay'), ('=?utf-8?q?OL=C3=81?=', 'ana', 'a NEEDLE'), ('m3', 'leo', 'needles'), ('m4', 'eva', 'hay')]):
            i.append('INBOX', ('Subject: %s\r\nFrom: %s@x.example\r\n\r\n%s\r\n' % (subject, sender, body)).encode())
    said = json.loads(run('node', NODE / 'search.mjs', server.ports['imap'], 'seeker@example.test', PASSWORD))
    assert said['all'] == [1, 2, 3, 4] and said['body'] == [2, 3] and said['either'] == [2, 3] and said['modseq'] == 4
    assert {key: said['counted'][key] for key in ('min', 'max', 'count', 'all')} == {'min': 1, 'max': 4, 'count': 3, 'all': '1,3:4'}


def mbsync_config(server, folder, user):
    (folder / 'mbsyncrc').write_text('''IMAPAccount a
Host 127.0.0.1
Port %d
User %s
PassCmd "echo '%s'"
SSLType STARTTLS
CertificateFile %s/keys/tls.crt
AuthMechs PLAIN

IMAPStore far
Account a

MaildirStore near
Path %s/mail/
Inbox %s/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
''' % (server.ports['imap'], user, PASSWORD, server.data, folder, folder))
    (folder / 'mail').mkdir()
    return ['mbsync', '-c', folder / 'mbsyncrc', 'c']


def read_maildir(folder):
    return [path.read_bytes() for part in ('new', 'cur') for path in (folder / part).iterdir()]


def test_mbsync_reads_the_corpus_and_syncs_both_ways(server, sent, tmp_path):
    command = mbsync_config(server, tmp_path, 'corpus@example.test')
    # the certificate names mx.example.test, not 127.0.0.1
    text = (tmp_path / 'mbsyncrc').read_text()
    (tmp_path / 'mbsyncrc').write_text(text.replace('SSLType STARTTLS\nCertificateFile %s/keys/tls.crt\n' % server.data, 'SSLType None\n'))
    run(*command)
    found = read_maildir(tmp_path / 'mail/INBOX')
    # mbsync stores lines with LF and a field of its own, and leaves out a message that is nothing but a header
    compare_lf([re.sub(rb'(?m)^X-TUID: .*\n', b'', t, count=1) for t in found], [m for m in sent if m.name != 'headers-only'])
    # and back: a new message, a flag, a deletion
    box = tmp_path / 'mail/Drafts'
    assert box.is_dir()
    (box / 'new/1.x.y').write_bytes(b'Subject: from here\n\nbody\n')
    (mine,) = [path for part in ('new', 'cur') for path in (tmp_path / 'mail/INBOX' / part).iterdir() if b'<plain@' in path.read_bytes()]
    mine.rename(tmp_path / 'mail/INBOX/cur' / (mine.name.split(':')[0] + ':2,FS'))
    run(*command)
    with server.imap('corpus@example.test') as i:
        (draft,) = i.bodies('Drafts')
        assert draft.startswith(b'Subject: from here\r\n') and draft.endswith(b'\r\n\r\nbody\r\n')
        i.ok('SELECT INBOX')
        assert i.ok('SEARCH FLAGGED SEEN HEADER Message-ID plain@')[0] != b'* SEARCH'
        assert len(i.ok('FETCH 1:* UID')) == len(sent)


def compare_lf(found, sent):
    """The same for files whose lines end with LF."""
    compare([t.replace(b'\n', b'\r\n') for t in found], sent)


def test_offlineimap_reads_the_corpus_and_syncs_both_ways(server, sent, tmp_path):
    (tmp_path / 'rc').write_text('''[general]
accounts = a
metadata = %(here)s/meta
ui = basic
[Account a]
localrepository = l
remoterepository = r
[Repository l]
type = Maildir
localfolders = %(here)s/mail
[Repository r]
type = IMAP
remotehost = 127.0.0.1
remoteport = %(port)d
ssl = no
starttls = no
auth_mechanisms = PLAIN
remoteuser = corpus@example.test
remotepass = %(password)s
folderfilter = lambda name: name in ('INBOX', 'Drafts')
''' % {'here': tmp_path, 'port': server.ports['imap'], 'password': PASSWORD})
    command = ['offlineimap', '-c', tmp_path / 'rc', '-o']
    run(*command, env=dict(os.environ, HOME=str(tmp_path)), timeout=120)
    box = tmp_path / 'mail/INBOX'
    assert len(read_maildir(box)) == len(sent)
    (mine,) = [path for part in ('new', 'cur') for path in (box / part).iterdir() if b'<plain@' in path.read_bytes()]
    mine.rename(box / 'cur' / (mine.name.split(':')[0] + ':2,FRS'))
    (tmp_path / 'mail/Drafts/new/1.x.y').write_bytes(b'Subject: from offline\nMessage-ID: <offline@x>\n\nbody\n')
    run(*command, env=dict(os.environ, HOME=str(tmp_path)), timeout=120)
    with server.imap('corpus@example.test') as i:
        assert [m for m in i.bodies('Drafts') if b'from offline' in m]
        i.ok('SELECT INBOX')
        assert i.ok('SEARCH ANSWERED FLAGGED HEADER Message-ID plain@')[0] != b'* SEARCH'


def test_imapflow_comes_back_to_what_it_has(server):
    """QRESYNC, OBJECTID, and what has changed since."""
    server.empty(LEO)
    with server.imap(LEO) as i:
        for n in range(6):
            i.append('INBOX', b'Subject: %d\r\n\r\nx\r\n' % n)
        i.ok('SELECT INBOX')
        first = int(re.search(rb'UID (\d+)', i.ok('FETCH 1 UID')[0])[1])
        node = subprocess.Popen(['node', 'resync.mjs', str(server.ports['imap']), LEO, PASSWORD], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        known = json.loads(node.stdout.readline())
        assert {'QRESYNC', 'CONDSTORE'} <= set(known['enabled']) and known['email'] and known['thread']
        i.ok('STORE 2 +FLAGS (\\Deleted)')
        i.ok('EXPUNGE')
        i.ok('STORE 4 +FLAGS (\\Flagged)')
        out, _ = node.communicate('go on\n', timeout=60)
        told = json.loads(out)
    assert told['same'] and told['exists'] == 5 and told['changed'] == [first + 4]


def test_mutt_copies_the_corpus(server, sent, tmp_path):
    (tmp_path / 'muttrc').write_text('''set imap_user="corpus@example.test"
set imap_pass="%s"
set ssl_starttls=no
set ssl_force_tls=no
set folder="imap://127.0.0.1:%d/"
set spoolfile="imap://127.0.0.1:%d/INBOX"
set mbox_type=Maildir
set copy=no
set confirmcreate=no
set confirmappend=no
set delete=no
set quit=yes
set move=no
set header_cache=""
set message_cachedir=""
set certificate_file=""
set sleep_time=0
push "<tag-pattern>~A<enter><tag-prefix><copy-message>%s/out<enter><quit>"
''' % (PASSWORD, server.ports['imap'], server.ports['imap'], tmp_path))
    for part in ('', '/new', '/cur', '/tmp'):
        (tmp_path / ('out' + part)).mkdir()
    # mutt wants a terminal
    subprocess.run(['script', '-qec', "mutt -n -F '%s/muttrc'" % tmp_path, '/dev/null'], stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                   env=dict(os.environ, TERM='xterm', HOME=str(tmp_path), LC_ALL='C.UTF-8'))
    found = read_maildir(tmp_path / 'out')
    assert len(found) == len(sent)

    # mutt writes the flags that it knows into what it stores, and ends a header that has no end
    found = [re.sub(rb'(?m)^(?:Status|X-Status|Content-Length|Lines): .*\n', b'', text) for text in found]
    compare_lf([text for text in found if b'<headers-only@' not in text], [m for m in sent if m.name != 'headers-only'])
