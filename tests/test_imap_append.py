"""APPEND and REPLACE whole: MULTIAPPEND (RFC 3502), CATENATE (RFC 4469), literal8 (RFC 3516 §4.4), UTF8 (RFC 6855 §4), REPLACE (RFC 8508)."""
import os
import re

import pytest

from conftest import SMALL, US, until


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(settings={'message_size_limit': '2M'})


def text(n):
    return b'From: a@b.example\r\nSubject: %d\r\n\r\nnumber %d\r\n' % (n, n)


def append(i, head, *parts, ask=True):
    """The command's lines with the literals between them: `head` and then, in turn, a literal and what stands behind it."""
    literals, lines = parts[0::2], [head, *parts[1::2]]
    tag = None
    for line, data in zip(lines, [*literals, None]):
        if data is None:
            i.send(line + '\r\n') if tag else None
            break
        announced = '%s{%d%s}' % (line, len(data), '' if ask else '+')
        if tag is None:
            tag = i.send_command(announced)
        else:
            i.send(announced + '\r\n')
        if ask:
            reply = i.response()
            if not reply.startswith(b'+'):
                return reply[len(tag) + 1:].decode()
        i.send(data)
    return i.result(tag)


def count(i, mailbox='INBOX'):
    return int(re.search(rb'MESSAGES (\d+)', b''.join(i.ok('STATUS %s (MESSAGES)' % mailbox)))[1])


# ---- MULTIAPPEND ----

@pytest.mark.parametrize('ask', [True, False])
def test_several_messages_come_with_one_command(i, ask):
    """RFC 3502 §6.3.11's example; APPENDUID has a set then (RFC 4315 §3)."""
    big = text(3) + b'x' * 70 + b'\r\n' * 100000
    reply = append(i, 'APPEND INBOX (\\Seen) " 7-Feb-1994 22:43:04 -0800" ', text(1), ' (\\Flagged $k) ', text(2), ' ', big, '', ask=ask)
    assert re.match(r'OK \[APPENDUID \d+ 1:3\] ', reply)
    assert i.bodies() == [text(1), text(2), big]
    flags = [r for r in i.ok('FETCH 1:3 (FLAGS INTERNALDATE)')]
    assert b'\\Seen' in flags[0] and b'1994' in flags[0] and b'\\Flagged' in flags[1] and b'$k' in flags[1] and b'\\Seen' not in flags[2]
    i.ok('NOOP')


BAD_SECONDS = [((' ', b'a\0b', ''), 'NO [CANNOT]'), ((' ', b'', ''), 'NO [CANNOT]'), ((' (', b'abc', ''), 'BAD'), ((' ', text(2), ' x'), 'BAD'), ((' "x" ', text(2), ''), 'BAD')]
TOO_BIG = ((' ', b'x' * 3000000, ''), 'NO [TOOBIG]')  # not without asking: it is more than is thrown away, so the session ends (test_imap has that)


@pytest.mark.parametrize('second, reply, ask', [(*bad, ask) for bad in BAD_SECONDS for ask in (True, False)] + [(*TOO_BIG, True)])
def test_all_or_none(i, ask, second, reply):
    """RFC 3502 §3: one that fails takes the others with it; the session goes on where the command ends."""
    assert append(i, 'APPEND INBOX ', text(1), *second, ask=ask).startswith(reply)
    assert count(i) == 0
    i.ok('NOOP')
    assert append(i, 'APPEND INBOX ', text(1), ' ', text(2), '').startswith('OK')
    assert count(i) == 2


def test_a_client_that_goes_in_the_middle_leaves_nothing(server, i):
    with server.imap(US) as other:
        tag = other.send_command('APPEND INBOX {%d+}' % len(text(1)))
        other.send(text(1) + b' {100}\r\n')
        assert other.response().startswith(b'+')
    until(lambda: 'imap-end' in server.log())
    assert count(i) == 0


def test_an_unknown_mailbox_is_told_before_the_first_literal(i):
    assert append(i, 'APPEND nowhere ', text(1), ' ', text(2), '').startswith('NO [TRYCREATE]')
    assert append(i, 'APPEND nowhere ', text(1), ' ', text(2), '', ask=False).startswith('NO [TRYCREATE]')
    i.ok('NOOP')


def test_too_many_messages(i):
    parts = []
    for n in range(1001):
        parts += [SMALL, ' ']
    assert append(i, 'APPEND INBOX ', *parts[:-1], '', ask=False).startswith('NO [LIMIT]')
    assert count(i) == 0
    assert append(i, 'APPEND INBOX ', *parts[:-3], '', ask=False).startswith('OK [APPENDUID')
    assert count(i) == 1000


def test_other_sessions_see_all_at_once(server, i):
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        append(i, 'APPEND INBOX ', text(1), ' ', text(2), '')
        assert b'* 2 EXISTS' in other.ok('NOOP')


# ---- CATENATE ----

MULTI = (b'From: a@b.example\r\nSubject: one\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
         b'--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b--\r\n')


def test_a_message_of_parts_of_others(i):
    """RFC 4469 §6: literals and parts of messages in this and in other mailboxes."""
    validity = re.search(r'APPENDUID (\d+)', i.append('Drafts', MULTI))[1]
    large = b'Subject: large\r\n\r\n' + b'x' * 998 + b'\r\n' * 200000
    i.append('INBOX', large)
    url = '"/Drafts;UIDVALIDITY=%s/;UID=1/;section=%%s"' % validity
    reply = append(i, 'APPEND Drafts (\\Seen \\Draft $MDNSent) CATENATE (URL %s TEXT ' % (url % 'HEADER'), b'--b\r\n', ' URL %s TEXT ' % (url % '2.MIME'), b'',
                   ' URL %s URL %s TEXT ' % (url % '2', url % '1'), b'\r\n--b--\r\n', ')')
    assert re.match(r'OK \[APPENDUID %s 2\]' % validity, reply), reply
    header = MULTI[:MULTI.index(b'\r\n\r\n') + 4]
    mime = b'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    assert i.bodies('Drafts')[1] == header + b'--b\r\n' + mime + b'AAECAw==' + b'first' + b'\r\n--b--\r\n'
    """Of HEADER.FIELDS what FETCH gives, also of a header that comes in pieces, and of a part that is a message."""
    fields = b'Subject: fields\r\n' + b'X-Long: ' + b'z' * 900 + b'\r\n' + b''.join(b'X-%d: %s\r\n' % (n, b'y' * 900) for n in range(200)) + b'To: last\r\n\r\nbody\r\n'
    i.append('Sent', fields)
    i.append('Sent', b'Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nX-Other: o\r\n\r\ninside\r\n')
    i.append('Sent', b'\r\nno header\r\n')
    i.ok('SELECT Sent')
    sections = [(1, 'HEADER.FIELDS (Subject TO)'), (1, 'HEADER.FIELDS.NOT (x-long subject)'), (2, '1.HEADER.FIELDS (Subject)'), (2, '1.HEADER'), (2, '1.TEXT'), (2, 'TEXT'), (2, 'HEADER'),
                (3, 'HEADER.FIELDS (Subject)'), (1, 'HEADER.FIELDS (X-None)')]
    for uid, section in sections:
        tag = i.send_command('APPEND Trash CATENATE (TEXT {3+}\r\n<<  URL "/Sent;UID=%d/;SECTION=%s" URL "/Sent;UID=%d/;SECTION=%s/;PARTIAL=3.10" TEXT {2+}\r\n>>)'
                             % (uid, section.replace(' ', '%20'), uid, section.replace(' ', '%20')))
        assert i.result(tag).startswith('OK'), section
        whole = re.search(rb'\{(\d+)\}\r\n', i.ok('UID FETCH %d (BODY.PEEK[%s])' % (uid, section))[0])
        wanted = i.untagged[0][whole.end():whole.end() + int(whole[1])]
        i.ok('SELECT Trash')
        assert i.fetch_bodies('*')[0] == b'<< ' + wanted + wanted[3:13] + b'>>', section
        i.ok('SELECT Sent')
    assert '[BADURL' in i.no('APPEND Trash CATENATE (URL "/Sent;UID=1/;SECTION=1.HEADER.FIELDS%20(Subject)")')
    """Of the mailbox that is selected, in pieces, without any literal; and two messages at once."""
    i.ok('SELECT INBOX')
    assert i.command('APPEND Drafts CATENATE (URL ";UID=1" URL "/;UID=1/;PARTIAL=18.500") CATENATE (URL /INBOX;UID=1/;SECTION=TEXT)').startswith('OK [APPENDUID %s 3:4]' % validity)
    bodies = i.bodies('Drafts')
    assert bodies[2] == large + large[18:518] and bodies[3] == large[18:]
    """A URL as a literal, with and without asking."""
    i.ok('SELECT INBOX')
    for ask in (True, False):
        assert append(i, 'APPEND Drafts CATENATE (URL ', b'/INBOX;UID=1', ' TEXT ', b'end', ')', ask=ask).startswith('OK')
    assert i.bodies('Drafts')[4:] == [large + b'end'] * 2


@pytest.mark.parametrize('url', ['/Drafts;UID=9', '/nowhere;UID=1', '/Drafts;UIDVALIDITY=1/;UID=1', 'http://x/', '/Drafts;UID=1/;section=7', '/Drafts;UID=1/;section=1.HEADER', ';UID=1',
                                 '/Drafts;UID=1/;section=1.HEADER.FIELDS%20(To)', '/Drafts;UID=1/;section=x', '/Drafts;UID=1/;section=1]%20FLAGS'])
def test_a_url_that_names_nothing(i, url):
    """RFC 4469 §4.1: BADURL, nothing is appended, and what still comes is thrown away."""
    i.append('Drafts', MULTI)
    assert '[BADURL "' in i.no('APPEND INBOX CATENATE (URL "%s")' % url)
    for ask in (True, False):
        assert append(i, 'APPEND INBOX CATENATE (URL "%s" TEXT ' % url, text(1), ')', ask=ask).startswith('NO [BADURL')
        assert append(i, 'APPEND INBOX CATENATE (TEXT ', text(1), ' URL "%s" TEXT ' % url, text(1), ')', ask=ask).startswith('NO [BADURL')
        i.ok('NOOP')
    assert count(i) == 0


def test_a_message_of_parts_that_is_too_large(i):
    i.append('INBOX', b'Subject: large\r\n\r\n' + b'x\r\n' * 400000)
    assert i.no('APPEND INBOX CATENATE (URL "/INBOX;UID=1" URL "/INBOX;UID=1")').startswith('NO [TOOBIG]')
    assert append(i, 'APPEND INBOX CATENATE (URL "/INBOX;UID=1" TEXT ', b'x' * 1000000, ')').startswith('NO [TOOBIG]')
    assert count(i) == 1
    i.bad('APPEND INBOX CATENATE ()')
    i.bad('APPEND INBOX CATENATE (URL "/INBOX;UID=1"')
    assert i.no('APPEND INBOX CATENATE (URL "/INBOX;UID=1/;PARTIAL=9999999")').startswith('NO [CANNOT]')


# ---- literal8, UTF8 ----

def test_headers_with_8_bit_characters_are_kept_as_they_are(i):
    """RFC 9051 §6.3.12, against RFC 6855 §4: old mail has them, whatever the client has enabled and whatever the charset is."""
    messages = ['Subject: olá\r\n\r\nx\r\n'.encode(charset) for charset in ('utf-8', 'latin-1')]
    for message in messages:
        assert append(i, 'APPEND INBOX ', message, '').startswith('OK')
    assert append(i, 'APPEND INBOX CATENATE (TEXT ', messages[1], ')').startswith('OK')
    i.ok('SELECT INBOX')
    assert i.fetch_bodies('1:*') == messages + messages[1:]
    assert i.ok('SEARCH CHARSET UTF-8 SUBJECT {4+}\r\nol\u00e1')[0] == b'* SEARCH 1'


def test_binary_and_utf8_messages(i):
    binary = b'Subject: x\r\nContent-Transfer-Encoding: binary\r\nContent-Type: application/octet-stream\r\n\r\n' + os.urandom(2000) + b'\0\r\n'
    assert append(i, 'APPEND INBOX ~', binary, '').startswith('OK')
    utf8 = 'From: é@b.example\r\nSubject: olá\r\n\r\nx\r\n'.encode()
    assert append(i, 'APPEND INBOX UTF8 (~', utf8, ')', ask=False).startswith('OK')
    i.ok('SELECT INBOX')
    told = i.ok('FETCH 1 BINARY.PEEK[]')[0]
    size = int(re.search(rb'~\{(\d+)\}', told)[1])
    assert size == len(binary) and told.endswith(binary[-200:] + b')')
    assert i.fetch_bodies('2') == [utf8]
    i.bad('APPEND INBOX UTF8 ({3+}\r\nabc)')


# ---- REPLACE ----

def test_replace(server, i):
    """RFC 8508 §3.4 and §3.5."""
    for n in range(3):
        i.append('Drafts', text(n))
    i.ok('SELECT Drafts')
    with server.imap(US) as other:
        other.ok('SELECT Drafts')
        assert append(i, 'REPLACE 2 Drafts (\\Seen \\Draft) ', text(9), '').startswith('OK')
        kinds = [re.match(rb'\* (?:\d+ )?(\w+)', r)[1] for r in i.untagged]
        assert re.match(rb'\* OK \[APPENDUID \d+ 4\] ', i.untagged[0]) and b'EXPUNGE' in kinds[1:] and b'* 2 EXPUNGE' in i.untagged
        told = other.ok('NOOP')
        assert b'* 2 EXPUNGE' in told and b'* 3 EXISTS' in told
    assert i.bodies('Drafts') == [text(0), text(2), text(9)]
    i.ok('SELECT Drafts')
    assert append(i, 'UID REPLACE 4 INBOX ', text(8), '', ask=False).startswith('OK')
    assert i.bodies('Drafts') == [text(0), text(2)] and i.bodies('INBOX') == [text(8)]
    """It is there or it is not: never both, and never neither."""
    i.ok('SELECT Drafts')
    assert append(i, 'UID REPLACE 99 Drafts ', text(1), '').startswith('NO [EXPUNGEISSUED]')
    assert append(i, 'REPLACE 9 Drafts ', text(1), '', ask=False).startswith('BAD')
    assert append(i, 'REPLACE 1 nowhere ', text(1), '').startswith('NO [TRYCREATE]')
    assert append(i, 'REPLACE 1 Drafts ', b'', '').startswith('NO')
    i.bad('REPLACE 1')
    i.bad('REPLACE')
    i.bad('REPLACE 1 Drafts')
    i.ok('EXAMINE Drafts')
    assert append(i, 'REPLACE 1 Drafts ', text(1), '', ask=False).startswith('NO [READ-ONLY]')
    assert count(i, 'Drafts') == 2


def test_replace_of_a_message_that_has_gone_meanwhile(server, i):
    i.append('Drafts', text(0))
    i.ok('SELECT Drafts')
    with server.imap(US) as other:
        other.ok('SELECT Drafts')
        tag = i.send_command('REPLACE 1 Drafts {%d}' % len(text(1)))
        assert i.response().startswith(b'+')
        other.ok('STORE 1 +FLAGS (\\Deleted)')
        other.ok('EXPUNGE')
    i.send(text(1) + b'\r\n')
    assert i.result(tag).startswith('NO [EXPUNGEISSUED]')
    assert count(i, 'Drafts') == 0


def test_messages_that_end_where_the_windows_do(i):
    """Store and filter take some pieces of 64 KiB ahead: what stands behind a literal that fills them is read when they have room again."""
    for pieces in range(1, 13):
        for size in (pieces * 65536 - 1, pieces * 65536, pieces * 65536 + 1):
            message = (b'Subject: x\r\n\r\n' + (b'z' * 76 + b'\r\n') * (size // 78 + 1))[:size]
            assert append(i, 'APPEND INBOX ', message, '', ask=False).startswith('OK')
