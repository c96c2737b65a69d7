"""FETCH and what goes with it beyond RFC 3501: BINARY (RFC 9051, RFC 3516), OBJECTID (RFC 8474), SAVEDATE (RFC 8514)."""
import base64
import os
import quopri
import re

import pytest

from conftest import SMALL
from test_imap import MULTI, literal


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


def entity(encoding, body, kind='application/octet-stream'):
    return b'Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s' % (kind.encode(), encoding.encode(), body)


def mixed(*entities):
    return b'From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' + \
        b''.join(b'--b\r\n' + e + b'\r\n' for e in entities) + b'--b--\r\n'


def binary(response, item):
    match = re.search(re.escape(item.encode()) + rb' (?:(~?)\{(\d+)\}\r\n|"")', response)
    assert match, response
    if match[2] is None:
        return False, b''
    return match[1] == b'~', response[match.end():match.end() + int(match[2])]


# ---- BINARY ----

def test_parts_are_fetched_without_their_encoding(i):
    text = 'olá, número %s\r\n' % ('x' * 200)
    data = os.urandom(300000)
    i.append('INBOX', mixed(entity('quoted-printable', quopri.encodestring(text.encode().replace(b'\r\n', b'\n')).replace(b'\n', b'\r\n'), 'text/plain; charset=utf-8'),
                            entity('base64', base64.encodebytes(data).replace(b'\n', b'\r\n')), entity('8bit', 'é'.encode()), entity('7bit', b'')))
    i.ok('SELECT INBOX')
    told = i.ok('FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2] BINARY.PEEK[1] BINARY.PEEK[2] BINARY.PEEK[3] BINARY.PEEK[4] BINARY.SIZE[9] BINARY.PEEK[9])')[0]
    assert binary(told, 'BINARY[1]') == (False, text.encode())
    is_literal8, got = binary(told, 'BINARY[2]')
    assert got == data and is_literal8 == (b'\0' in data)
    assert binary(told, 'BINARY[3]') == (False, 'é'.encode()) and binary(told, 'BINARY[4]') == (False, b'')
    assert b'BINARY.SIZE[1] %d ' % len(text.encode()) in told and b'BINARY.SIZE[2] 300000 ' in told and b'BINARY[9] NIL' in told
    told = i.ok('FETCH 1 (BINARY.PEEK[2]<100.50> BINARY.PEEK[2]<299990.50> BINARY.PEEK[2]<400000.5>)')[0]
    assert binary(told, 'BINARY[2]<100>')[1] == data[100:150] and binary(told, 'BINARY[2]<299990>')[1] == data[299990:]
    assert binary(told, 'BINARY[2]<400000>')[1] == b''
    assert b'\\Seen' not in b''.join(i.ok('FETCH 1 FLAGS'))
    assert b'\\Seen' in b''.join(i.ok('FETCH 1 BINARY[3]'))
    i.ok('NOOP')


def test_a_small_message_is_decoded_too(i):
    i.append('INBOX', MULTI)
    i.ok('SELECT INBOX')
    told = i.ok('FETCH 1 (BINARY[1] BINARY[3] BINARY[2] BINARY[] BODY[3])')[0]
    assert binary(told, 'BINARY[3]') == (True, b'\0\1\2\3') and binary(told, 'BINARY[1]')[1] == 'olá needle'.encode()
    assert binary(told, 'BINARY[2]')[1].startswith(b'From: in@x.example') and binary(told, 'BINARY[]')[1] == MULTI
    assert literal(told, 'BODY[3]') == b'AAECAw=='


def test_an_encoding_that_is_not_known(i):
    """RFC 3516 §4.3: UNKNOWN-CTE."""
    i.append('INBOX', mixed(entity('x-strange', b'abc'), entity('base64', b'YWJj')))
    i.ok('SELECT INBOX')
    assert '[UNKNOWN-CTE]' in i.no('FETCH 1 BINARY.PEEK[1]')
    assert i.untagged == [b'* 1 FETCH (BINARY[1] NIL)']
    assert binary(i.ok('FETCH 1 BINARY.PEEK[2]')[0], 'BINARY[2]')[1] == b'abc'


@pytest.mark.parametrize('item', ['BINARY', 'BINARY[', 'BINARY[]x', 'BINARY[1.]', 'BINARY[HEADER]', 'BINARY[1.MIME]', 'BINARY.SIZE[1]<0.1>', 'BINARY.SIZE', 'BINARY[1]<1>', 'BINARY[0]',
                                  'BINARY.PEEK[1]<1.0>', 'EMAILIDS', 'SAVEDATE()', 'MODSEQ[1]'])
def test_items_that_are_none(i, item):
    i.append('INBOX', SMALL)
    i.ok('SELECT INBOX')
    i.bad('FETCH 1 (%s)' % item)


# ---- ENVELOPE ----

ODD_HEADERS = [b'', b'Subject: "quoted" \\ (and more\r\n', 'Subject: olá\r\n'.encode(), b'Subject: =?utf-8?q?Ol=C3=A1?=\r\n', b'Subject: ' + b'long ' * 400 + b'\r\n',
               b'To: g: a@b, "C D" <c@d>;, e@f\r\nCc: <@route:x@y>\r\n', b'Subject: tab\tand\x01control\r\n', b'Sender: s@t\r\nReply-To: r@t\r\nIn-Reply-To: <1@x>\r\n']


def test_envelopes_of_many_messages_are_those_of_each_one(i):
    """Those of a segment of 256 messages are kept together; one by one they come from each message's structure."""
    for n in range(270):
        assert i.append('INBOX', b'From: "P%d" <p%d@x.example>\r\nMessage-ID: <%d@x>\r\n%s\r\nbody\r\n' % (n, n, n, ODD_HEADERS[n % 8])).startswith('OK')
    i.ok('SELECT INBOX')
    one_by_one = [i.ok('FETCH %d (UID ENVELOPE)' % n) for n in range(1, 271)]
    i.ok('SORT (SUBJECT) UTF-8 ALL')  # which makes what is kept of the first segment
    for many in ('1:*', '1:100,120:*'):
        told = [[line] for line in i.ok('FETCH %s (UID ENVELOPE)' % many)]
        assert told == one_by_one[:100] + one_by_one[119 if ',' in many else 100:]
    i.ok('UID STORE 3:250 +FLAGS.SILENT (\\Deleted)')
    i.ok('EXPUNGE')
    ends = [re.sub(rb'^\* \d+', b'', line) for line in i.ok('FETCH 1:* (UID ENVELOPE)')]
    assert ends == [re.sub(rb'^\* \d+', b'', line) for (line,) in one_by_one[:2] + one_by_one[250:]]


# ---- OBJECTID ----

def test_ids_stay_where_names_and_uids_change(server, i):
    """RFC 8474 §4 and §5.1."""
    created = re.match(r'OK \[MAILBOXID \((F\d+)\)\]', i.command('CREATE one'))[1]
    said = b''.join(i.ok('SELECT one'))
    assert b'[MAILBOXID (%s)]' % created.encode() in said
    i.append('one', SMALL)
    i.append('one', SMALL)
    i.ok('NOOP')
    emails = [re.search(rb'EMAILID \((\w+)\)', r)[1] for r in i.ok('FETCH 1:2 EMAILID')]
    assert emails[0] != emails[1] and all(len(e) < 256 for e in emails)
    i.ok('COPY 1 INBOX')
    i.ok('MOVE 2 Trash')
    i.ok('RENAME one two')
    assert b'MAILBOXID (%s)' % created.encode() in b''.join(i.ok('STATUS two (MAILBOXID)'))
    i.ok('SELECT INBOX')
    assert re.search(rb'EMAILID \((\w+)\)', i.ok('FETCH 1 EMAILID')[0])[1] == emails[0]
    i.ok('SELECT Trash')
    assert re.search(rb'EMAILID \((\w+)\)', i.ok('FETCH 1 EMAILID')[0])[1] == emails[1]
    assert re.match(r'OK \[MAILBOXID \((F\d+)\)\]', i.command('CREATE one'))[1] != created


# ---- SAVEDATE ----

def test_savedate_is_when_it_came_into_this_mailbox(i):
    """RFC 8514 §4.3: of a copy the time of the copying, whatever its INTERNALDATE."""
    i.append('INBOX', SMALL, date=' 1-Feb-2003 04:05:06 +0000')
    i.ok('SELECT INBOX')
    told = i.ok('FETCH 1 (INTERNALDATE SAVEDATE)')[0]
    assert b'INTERNALDATE " 1-Feb-2003 04:05:06 +0000"' in told
    assert re.search(rb'SAVEDATE "[ \d]\d-\w{3}-20[2-9]\d \d\d:\d\d:\d\d \+0000"', told)


# ---- STATUS ----

def test_status_counts_what_is_deleted(server, i):
    """RFC 9051 §6.3.11, and RFC 7889 §3.1."""
    for _ in range(5):
        i.append('INBOX', SMALL)
    i.ok('SELECT INBOX')
    i.ok('STORE 1:3 +FLAGS (\\Deleted)')
    i.ok('STORE 2 -FLAGS (\\Deleted)')
    limit = re.search(rb'APPENDLIMIT (\d+)', i.ok('STATUS INBOX (APPENDLIMIT)')[0])[1]
    assert int(limit) > 1000000
    expected = b'* STATUS INBOX (MESSAGES 5 UNSEEN 5 SIZE %d DELETED 2)' % (5 * len(SMALL))
    assert i.ok('STATUS INBOX (MESSAGES DELETED SIZE UNSEEN)')[0] == expected
    i.ok('COPY 1 Trash')
    assert b'DELETED 1' in i.ok('STATUS Trash (DELETED)')[0]
    i.ok('LOGOUT')
    server.stop()
    server.start()
    with server.imap('u@example.test') as again:
        assert again.ok('STATUS INBOX (MESSAGES DELETED SIZE UNSEEN)')[0] == expected
        again.ok('SELECT INBOX')
        again.ok('EXPUNGE')
        assert b'DELETED 0' in again.ok('STATUS INBOX (DELETED)')[0]


def letter(own, refs='', reply=''):
    return ('From: a@b.example\r\nMessage-ID: %s\r\n%s%s\r\nx\r\n' % (own, refs and 'References: %s\r\n' % refs, reply and 'In-Reply-To: %s\r\n' % reply)).encode()


def test_threads_over_all_mailboxes(server, i):
    """RFC 8474 §5.2: the same for messages that belong together, wherever they lie, after a restart too; and SEARCH finds them."""
    i.append('INBOX', letter('<1@x>'))
    i.append('Sent', letter('<2@x>', '<1@x>', '<1@x>'))
    i.append('INBOX', letter('<3@x>', '<1@x> <2@x>'))
    i.append('INBOX', letter('<other@x>'))
    i.append('INBOX', letter('<late@x>', reply='<missing@x>'))
    i.append('INBOX', letter('<missing@x>'))
    i.append('INBOX', SMALL)

    def threads(session, name):
        session.ok('SELECT ' + name)
        return [re.search(rb'THREADID \((T[0-9a-f]{16})\)', r)[1] for r in session.ok('FETCH 1:* THREADID')]
    inbox, sent = threads(i, 'INBOX'), threads(i, 'Sent')
    assert inbox[0] == inbox[1] == sent[0] and inbox[3] == inbox[4] and len(set(inbox)) == 4
    i.ok('COPY 1 Archive')
    assert threads(i, 'Archive') == sent
    i.ok('SELECT INBOX')
    assert i.ok('SEARCH THREADID ' + inbox[0].decode()) == [b'* SEARCH 1 2']
    for none in ('x', 'T1', 'T0000000000000000', 'Tgggggggggggggggg'):
        assert i.ok('SEARCH THREADID ' + none) == [b'* SEARCH']
    i.bad('SEARCH THREADID')
    i.ok('LOGOUT')
    server.stop()
    server.start()
    with server.imap('u@example.test') as again:
        again.append('INBOX', letter('<4@x>', '<unknown@x> <2@x> <3@x>'))
        assert threads(again, 'INBOX') == inbox + inbox[:1]


# ---- PREVIEW ----

def preview(response):
    match = re.search(rb'PREVIEW (?:"([^"]*)"|\{(\d+)\}\r\n)', response)
    return (match[1] if match[1] is not None else response[match.end():match.end() + int(match[2])]).decode()


def test_previews(i):
    """RFC 8970 §3: text without its encoding, charset and markup, in one line of 200 characters at most."""
    def one(kind, encoding, body):
        return b'From: a@b.example\r\nMIME-Version: 1.0\r\n' + entity(encoding, body, kind)
    html = b'<html><head><style>p {color: red}</style><title>t</title></head><body><p>Hello&nbsp;&amp; <b>good</b>\r\n bye</p></body></html>\r\n'
    messages = [
        (one('text/plain; charset=utf-8', 'quoted-printable', b'ol=C3=A1,\r\n\r\n   it is\tme\r\n'), 'olá, it is me'),
        (one('text/plain; charset=iso-8859-1', '8bit', b'caf\xe9 ' * 100 + b'\r\n'), ('café ' * 40).strip()),
        (one('text/plain; charset=utf-8', 'base64', base64.encodebytes(('日本語' * 10000).encode()).replace(b'\n', b'\r\n')), ('日本語' * 100)[:200]),
        (mixed(entity('base64', b'AAEC'), entity('7bit', html, 'text/html'), entity('7bit', b'the plain text', 'text/plain')), 'the plain text'),
        (mixed(entity('base64', b'AAEC')), ''),
        (SMALL, 'body'),
        (b'Subject: empty\r\n\r\n', ''),
    ]
    for message, _ in messages:
        assert i.append('INBOX', message).startswith('OK')
    assert i.append('INBOX', mixed(entity('7bit', html, 'text/html'))).startswith('OK')
    big = b'Subject: big\r\n\r\nfirst line\r\n' + b'x' * 76 + b'\r\n' * 100000
    assert i.append('INBOX', big).startswith('OK')
    i.ok('SELECT INBOX')
    found = [preview(r) for r in i.ok('FETCH 1:9 (FLAGS PREVIEW UID)')]
    assert found[:7] == [text for _, text in messages]
    assert 'Hello & good bye' in found[7] and 'color' not in found[7] and found[8].startswith('first line xxx')
    assert [preview(r) for r in i.ok('FETCH 1:2 (PREVIEW (LAZY) BODY.PEEK[HEADER])')] == found[:2]
    assert b'\\Seen' not in b''.join(i.ok('FETCH 1:* FLAGS'))
    for bad in ('(PREVIEW (X))', '(PREVIEW ())', '(PREVIEW (LAZY)', '(PREVIEW(LAZY))'):
        i.bad('FETCH 1 ' + bad)
