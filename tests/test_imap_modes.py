"""What changes how a whole session speaks: IMAP4rev2 (RFC 9051), UTF8=ACCEPT (RFC 6855), COMPRESS (RFC 4978), UNAUTHENTICATE (RFC 8437);
and LIST-STATUS (RFC 5819), CREATE-SPECIAL-USE (RFC 6154)."""
import base64
import imaplib
import os
import re
import signal
import zlib

import pytest

from conftest import PASSWORD, SMALL, US


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(users=['v'])


def capabilities(i):
    return i.ok('CAPABILITY')[0].split()[2:]


# ---- IMAP4rev2 ----

def test_rev1_until_rev2_is_enabled(i):
    """RFC 9051 §6.3.1: a server that has both speaks as rev1 first."""
    assert b'IMAP4rev1' in capabilities(i) and b'IMAP4rev2' in capabilities(i)
    i.append('INBOX', SMALL)
    said = i.ok('SELECT INBOX')
    assert b'* 1 RECENT' in said and any(b'[UNSEEN 1]' in r for r in said) and not any(r.startswith(b'* LIST') for r in said)
    assert i.ok('ENABLE IMAP4rev2') == [b'* ENABLED IMAP4rev2']
    i.append('INBOX', SMALL)
    said = i.ok('SELECT INBOX')
    assert b'* 2 EXISTS' in said and b'* LIST () "/" INBOX' in said and not any(b'RECENT' in r or b'[UNSEEN' in r for r in said)
    assert any(b'[CLOSED]' in r for r in said)
    assert b'\\Recent' not in b''.join(i.ok('FETCH 1:* (FLAGS)'))
    i.append('INBOX', SMALL)
    told = i.ok('NOOP')
    assert not any(b'RECENT' in r for r in told)
    assert i.ok('UID SEARCH ALL')[0].startswith(b'* ESEARCH (TAG')


@pytest.mark.parametrize('mode', ['IMAP4rev2', 'UTF8=ACCEPT'])
def test_names_are_utf8_once_the_client_says_so(server, i, mode):
    """RFC 9051 §5.1, RFC 6855 §3: and the same mailboxes have their old names for others."""
    i.ok('CREATE "Entw&APw-rfe"')
    i.no('CREATE "x&y"')
    assert i.ok('ENABLE ' + mode) == [b'* ENABLED ' + mode.encode()]
    assert '* LIST (\\HasNoChildren) "/" "Entwürfe"'.encode() in i.ok('LIST "" "Entw*"')
    i.ok('CREATE "日本語/&x-"')
    i.ok('CREATE {9+}\r\nr\u00e9sum\u00e9x')
    assert '* LIST (\\HasNoChildren) "/" "résuméx"'.encode() in i.ok('LIST "" "rés%"')
    assert i.append('Entwürfe', SMALL).startswith('OK')
    assert i.bodies('Entwürfe') == [SMALL]
    assert '* STATUS "Entwürfe" (MESSAGES 1)'.encode() in i.ok('STATUS "Entwürfe" (MESSAGES)')
    i.ok('SELECT "日本語/&x-"')
    i.no(b'CREATE {2+}\r\n\xff\xfe')
    with server.imap(US) as other:
        assert {b'"/" Entw&APw-rfe', b'"/" &ZeVnLIqe-/&-x-'} <= {r[r.index(b'"/"'):].replace(b'"Entw&APw-rfe"', b'Entw&APw-rfe') for r in other.ok('LIST "" "*"')}


def test_an_envelope_in_utf8(i):
    i.append('INBOX', 'From: "José" <j@x.example>\r\nSubject: olá\r\n\r\nx\r\n'.encode())
    i.ok('SELECT INBOX')
    assert b'{4}\r\nol\xc3\xa1' in i.ok('FETCH 1 ENVELOPE')[0]
    i.ok('ENABLE UTF8=ACCEPT')
    assert '"olá"'.encode() in i.ok('FETCH 1 ENVELOPE')[0] and '"José"'.encode() in i.ok('FETCH 1 ENVELOPE')[0]


# ---- COMPRESS ----

class Deflated:
    """A socket whose two directions are raw deflate."""

    def __init__(self, socket):
        self.socket, self.packer, self.unpacker = socket, zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)
        self.came = 0

    def sendall(self, data):
        self.socket.sendall(self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH))

    def recv(self, size):
        while True:
            data = self.socket.recv(size)
            self.came += len(data)
            plain = self.unpacker.decompress(data)
            if plain or not data:
                return plain

    def __getattr__(self, name):
        return getattr(self.socket, name)


def compress(i):
    i.ok('COMPRESS DEFLATE')
    i.socket = Deflated(i.socket)


@pytest.mark.parametrize('tls', [False, True])
def test_a_compressed_session(server, i, tls):
    with server.imap(US, protocol='imaps' if tls else 'imap') as c:
        compress(c)
        text = b'Subject: long\r\n\r\n' + b'the same line again and again\r\n' * 100000
        assert c.append('INBOX', text).startswith('OK')
        assert c.bodies() == [text]
        assert c.socket.came < len(text) / 20
        assert 'COMPRESSIONACTIVE' in c.no('COMPRESS DEFLATE')
        """Many commands at once, in one piece."""
        tags = []
        for n in range(500):
            tags.append(b'x%d' % n)
        c.send(b''.join(tag + b' NOOP\r\n' for tag in tags))
        for tag in tags:
            assert c.result(tag).startswith('OK')
        c.ok('LOGOUT')


def test_other_compressions_and_rubbish(server, i):
    i.no('COMPRESS LZ4')
    i.bad('COMPRESS')
    i.ok('COMPRESS DEFLATE')
    i.send(b'this is not deflate at all, and never was')
    with pytest.raises((EOFError, ConnectionError)):
        while True:
            i.exactly(1)
    with server.imap(US) as again:
        again.ok('NOOP')


def test_little_that_becomes_very_much(server, i):
    """A command of a gigabyte, packed into one megabyte, is refused as a long one is, and the server goes on."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b''.join(packer.compress(b't NOOP ' + b'x' * 1000000 if n == 0 else b'x' * 1000000) for n in range(1000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    i.ok('COMPRESS DEFLATE')
    try:
        i.send(bomb + packer.compress(b'\r\nt9 NOOP\r\n') + packer.flush())
        i.socket = Deflated(i.socket)
        assert b'too long' in i.response()
        i.response()
    except (EOFError, ConnectionError):
        pass
    with server.imap(US) as again:
        again.ok('NOOP')


# ---- UNAUTHENTICATE ----

def test_another_user_after_unauthenticate(server, i):
    """RFC 8437 §4."""
    i.append('INBOX', SMALL)
    i.ok('ENABLE UTF8=ACCEPT CONDSTORE')
    i.ok('SELECT INBOX')
    i.ok('UNAUTHENTICATE')
    i.bad('SELECT INBOX')
    assert b'AUTH=PLAIN' in capabilities(i)
    i.ok('LOGIN v@example.test "%s"' % PASSWORD)
    i.bad('FETCH 1 FLAGS')
    assert b'* 0 EXISTS' in i.ok('SELECT INBOX')
    i.no('SELECT "\u00e9"')  # its names are UTF-7 again
    i.ok('UNAUTHENTICATE')
    i.ok('AUTHENTICATE PLAIN ' + base64.b64encode(('\0%s\0%s' % (US, PASSWORD)).encode()).decode())
    assert b'* 1 EXISTS' in i.ok('SELECT INBOX')
    i.bad('UNAUTHENTICATE x')


# ---- LIST-STATUS, CREATE-SPECIAL-USE ----

def test_list_tells_status_too(i):
    """RFC 5819 §2 and §4."""
    i.ok('CREATE a/b')
    i.ok('DELETE a')
    i.append('a/b', SMALL)
    i.append('INBOX', SMALL)
    told = i.ok('LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN SIZE) CHILDREN)')
    at = [n for n, r in enumerate(told) if r.endswith(b' a/b') and r.startswith(b'* LIST')][0]
    assert told[at + 1] == b'* STATUS a/b (MESSAGES 1 UNSEEN 1 SIZE %d)' % len(SMALL)
    assert not any(r.startswith(b'* STATUS a ') for r in told) and b'* LIST (\\HasChildren \\NonExistent) "/" a' in told
    assert sum(r.startswith(b'* STATUS') for r in told) == 7
    assert i.ok('LIST (SUBSCRIBED) "" INBOX RETURN (STATUS (RECENT))')[1] == b'* STATUS INBOX (RECENT 1)'
    for bad in ('(STATUS)', '(STATUS ())', '(STATUS (X))', '(STATUS (MESSAGES) X)', '(STATUS (MESSAGES)', 'STATUS (MESSAGES)'):
        i.bad('LIST "" "*" RETURN ' + bad)


def test_a_mailbox_is_created_for_a_use(i):
    """RFC 6154 §5.3 and §5.4."""
    assert '[USEATTR]' in i.no('CREATE Mine (USE (\\Drafts))')
    i.ok('DELETE Drafts')
    i.ok('CREATE Mine (USE (\\Drafts))')
    assert b'* LIST (\\HasNoChildren \\Drafts) "/" Mine' in i.ok('LIST "" Mine RETURN (SPECIAL-USE)')
    assert '[USEATTR]' in i.no('CREATE Everything (USE (\\All))')
    assert '[USEATTR]' in i.no('CREATE Both (USE (\\Sent \\Trash))')
    i.ok('CREATE Plain (USE ())')
    for bad in ('(USE)', '(USE (Drafts))', '(USE (\\))', '(X (\\Drafts))', '(USE (\\Drafts)', '()', 'USE (\\Drafts)'):
        i.bad('CREATE Other ' + bad)
    assert not i.ok('LIST "" Other')


def test_python_and_its_utf8(server, i):
    client = imaplib.IMAP4('127.0.0.1', i.socket.getpeername()[1])
    client.login(US, PASSWORD)
    client.enable('UTF8=ACCEPT')
    assert client.create('"Olá"')[0] == 'OK'
    assert client.append('"Olá"', None, None, 'Subject: é\r\n\r\nx'.encode())[0] == 'OK'
    assert client.select('"Olá"')[1] == [b'1']
    client.logout()


# ---- LANGUAGE, INPROGRESS ----

def test_what_people_read_is_in_their_language(server, i):
    """RFC 5255 §3: chosen from what the client names; codes and BAD stay as they are."""
    assert i.ok('LANGUAGE') == [b'* LANGUAGE (en pt)']
    reply = i.command('LANGUAGE fr PT-BR en')
    assert reply == 'OK LANGUAGE terminado' and i.untagged == [b'* LANGUAGE (pt)', b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))']
    assert i.no('SELECT nowhere') == 'NO [NONEXISTENT] Não existe nenhuma pasta com esse nome'
    assert i.command('NOOP') == 'OK NOOP terminado'
    assert i.bad('FROB') == 'BAD There is no such command'
    i.no('LANGUAGE de fr')
    assert i.command('NOOP') == 'OK NOOP terminado'
    i.ok('LANGUAGE DEFAULT')
    assert i.command('NOOP') == 'OK NOOP done'
    i.ok('LANGUAGE pt')
    assert i.ok('LOGOUT') == [b'* BYE Adeus']
    with server.imap() as stranger:
        stranger.ok('LANGUAGE pt')
        assert stranger.no('LOGIN v@example.test wrong') == 'NO [AUTHENTICATIONFAILED] Utilizador ou palavra-passe errados'
        for bad in ('LANGUAGE ', 'LANGUAGE (pt)', 'LANGUAGE pt '):
            stranger.bad(bad)


def test_who_waits_long_is_told_that_it_goes_on(server, i):
    """RFC 9585 §4: here the store stands still for more than ten seconds."""
    pid = dict(server.pids())['store']
    os.kill(pid, signal.SIGSTOP)
    try:
        tag = i.send_command('STATUS INBOX (MESSAGES)')
        assert i.response() == b'* OK [INPROGRESS ("%s" NIL NIL)] Still at it' % tag
    finally:
        os.kill(pid, signal.SIGCONT)
    assert i.result(tag).startswith('OK')
