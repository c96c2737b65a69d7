"""IMAP: RFC 3501, 2088, 2177, 2342, 2971, 3691, 4315, 4731's neighbours, 4959, 5161, 5258, 6154, 6851, 8438; and hostile clients."""
import base64
import imaplib
import re

import pytest

import corpus
from conftest import PASSWORD, SMALL, strip_first_trace, until, US

MULTI = (b'From: "Ana B" <ana@remote.example>\r\nTo: u@example.test, Leo <leo@example.test>\r\nCc: =?utf-8?q?Jos=C3=A9?= <j@x.example>\r\n'
         b'Subject: =?utf-8?q?Ol=C3=A1?=\r\nDate: Tue, 24 Nov 2026 10:00:00 +0100\r\nMessage-ID: <m@remote.example>\r\nIn-Reply-To: <r@x>\r\n'
         b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\npreamble\r\n'
         b'--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nol=C3=A1 needle\r\n'
         b'--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: in@x.example\r\nSubject: inside\r\nContent-Type: text/html\r\n\r\n<p>inner</p>\r\n'
         b'--b\r\nContent-Type: application/octet-stream; name="f.bin"\r\nContent-Disposition: attachment; filename="f.bin"\r\n'
         b'Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b--\r\n')


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(users=['u', 'v'])


def number(pattern, responses):
    for response in responses:
        match = re.search(pattern.encode(), response)
        if match:
            return int(match[1])
    raise AssertionError((pattern, responses))


def names(responses):
    return {re.search(rb' "?/"? (.*)$', r)[1].strip(b'"').decode() for r in responses if r.startswith((b'* LIST', b'* LSUB'))}


def flags(response):
    return set(re.search(rb'FLAGS \(([^)]*)\)', response)[1].split())


def literal(response, item):
    match = re.search(re.escape(item.encode()) + rb' (?:\{(\d+)\}\r\n|"((?:[^"\\]|\\.)*)"|(NIL))', response)
    assert match, response
    if match[1]:
        return response[match.end():match.end() + int(match[1])]
    return None if match[3] else re.sub(rb'\\(.)', rb'\1', match[2])


# ---- before the login ----

def test_capability_id_noop_logout_are_for_everyone(server):
    with server.imap() as i:
        capabilities = i.ok('CAPABILITY')[0].split()
        assert {b'IMAP4rev1', b'STARTTLS', b'AUTH=PLAIN', b'LITERAL+', b'SASL-IR', b'ID'} <= set(capabilities)
        i.ok('NOOP')
        assert i.ok('ID NIL')[0].startswith(b'* ID ')
        assert i.ok('ID ("name" "test" "version" NIL)')[0].startswith(b'* ID ')
        assert i.ok('LOGOUT')[0].startswith(b'* BYE ')
        assert i.rest() == b''


@pytest.mark.parametrize('line', ['SELECT INBOX', 'LIST "" *', 'FETCH 1 ALL', 'STATUS INBOX (MESSAGES)', 'CREATE x', 'IDLE', 'EXPUNGE', 'APPEND INBOX {3+}\r\nabc',
                                  'UID FETCH 1 FLAGS', 'CLOSE', 'MOVE 1 x', 'NAMESPACE', 'CHECK', 'COPY 1 x', 'LSUB "" *'])
def test_nothing_of_a_user_is_there_before_the_login(server, line):
    with server.imap() as i:
        assert i.command(line).startswith(('BAD', 'NO'))
        i.ok('NOOP')


def test_login_in_all_its_forms(server):
    plain = base64.b64encode(('\0v@example.test\0' + PASSWORD).encode()).decode()
    for line in ('LOGIN v@example.test "%s"' % PASSWORD, 'login "v@example.test" "%s"' % PASSWORD,
                 'LOGIN {14+}\r\nv@example.test {13+}\r\n' + PASSWORD, 'AUTHENTICATE PLAIN ' + plain):
        with server.imap() as i:
            assert '[CAPABILITY ' in i.command(line)
            assert i.bad('LOGIN a b') or True
    with server.imap() as i:
        tag = i.send_command('AUTHENTICATE PLAIN')
        assert i.response().startswith(b'+')
        i.send(plain + '\r\n')
        assert i.result(tag).startswith('OK')
    with server.imap() as i:
        tag = i.send_command('LOGIN {14}')
        assert i.line().startswith(b'+')
        i.send(b'v@example.test {13}\r\n')
        assert i.line().startswith(b'+')
        i.send(PASSWORD + '\r\n')
        assert i.result(tag).startswith('OK')


def test_wrong_passwords_and_bad_responses_are_refused(server):
    with server.imap() as i:
        assert i.no('LOGIN v@example.test wrong').startswith('NO [AUTHENTICATIONFAILED]')
        assert i.no('LOGIN nobody@example.test "%s"' % PASSWORD).startswith('NO [AUTHENTICATIONFAILED]')
        for response in ('!!!', '*', '=', '', base64.b64encode(b'\0\0').decode()):
            tag = i.send_command('AUTHENTICATE PLAIN')
            i.response()
            i.send(response + '\r\n')
            assert i.result(tag).startswith(('NO', 'BAD'))
        assert not i.command('AUTHENTICATE CRAM-MD5').startswith('OK')
        i.ok('LOGIN v@example.test "%s"' % PASSWORD)


def test_starttls_and_what_is_smuggled_behind_it(server):
    with server.imap() as i:
        i.send(b'a STARTTLS\r\nb CAPABILITY\r\nc LOGIN x y\r\n')
        assert i.response().startswith(b'a OK')
        try:
            i.start_tls()
            assert i.is_silent(0.3)
            assert b'STARTTLS' not in i.ok('CAPABILITY')[0]
            i.bad('STARTTLS')
            i.ok('LOGIN v@example.test "%s"' % PASSWORD)
        except OSError:
            pass  # closing is right too


def test_implicit_tls(server):
    with server.imap('v@example.test', protocol='imaps') as i:
        assert b'STARTTLS' not in i.ok('CAPABILITY')[0]


# ---- mailboxes ----

def test_a_new_account_has_its_special_mailboxes(i):
    assert names(i.ok('LIST "" *')) == {'INBOX', 'Drafts', 'Sent', 'Junk', 'Trash', 'Archive'}
    text = b'\n'.join(i.untagged)
    for name, use in (('Drafts', 'Drafts'), ('Sent', 'Sent'), ('Junk', 'Junk'), ('Trash', 'Trash'), ('Archive', 'Archive')):
        assert re.search(rb'\(.*\\%s.*\) "/" "?%s"?' % (use.encode(), name.encode()), text)
    assert names(i.ok('LIST (SPECIAL-USE) "" *')) == {'Drafts', 'Sent', 'Junk', 'Trash', 'Archive'}
    assert i.ok('NAMESPACE')[0].startswith(b'* NAMESPACE (("" "/")) ')
    assert b'"/"' in i.ok('LIST "" ""')[0]


def test_mailboxes_are_made_renamed_and_deleted(i):
    i.ok('CREATE Work')
    i.ok('CREATE Work/2026/Q1')
    assert {'Work', 'Work/2026', 'Work/2026/Q1'} <= names(i.ok('LIST "" *'))
    assert names(i.ok('LIST "" Work/%')) == {'Work/2026'}
    assert names(i.ok('LIST "Work/" %')) == {'Work/2026'}
    assert names(i.ok('LIST "" W*1')) == {'Work/2026/Q1'}
    assert 'Work/2026' not in names(i.ok('LIST "" %'))
    i.no('CREATE Work')
    i.no('CREATE INBOX')
    i.no('CREATE inbox')
    i.ok('RENAME Work Play')
    assert {'Play', 'Play/2026/Q1'} <= names(i.ok('LIST "" *')) and not {n for n in names(i.untagged) if n.startswith('Work')}
    i.no('RENAME Nothing Something')
    i.no('RENAME Play INBOX')
    i.no('DELETE INBOX')
    i.no('DELETE Nothing')
    i.ok('DELETE Play/2026/Q1')
    assert 'Play/2026/Q1' not in names(i.ok('LIST "" *'))


def test_renaming_the_inbox_moves_its_messages_and_leaves_it_empty(i):
    i.append('INBOX', SMALL)
    i.ok('RENAME INBOX Old')
    assert i.bodies('Old') == [SMALL] and i.bodies('INBOX') == []


def test_a_deleted_mailbox_made_anew_has_another_uidvalidity(i):
    i.ok('CREATE Box')
    first = number(r'UIDVALIDITY (\d+)', i.ok('STATUS Box (UIDVALIDITY)'))
    i.ok('DELETE Box')
    i.ok('CREATE Box')
    assert number(r'UIDVALIDITY (\d+)', i.ok('STATUS Box (UIDVALIDITY)')) > first


def test_subscriptions_are_kept(i):
    i.ok('CREATE Box')
    i.ok('UNSUBSCRIBE Box')
    assert 'Box' not in names(i.ok('LSUB "" *'))
    i.ok('SUBSCRIBE Box')
    assert 'Box' in names(i.ok('LSUB "" *')) and 'Box' in names(i.ok('LIST (SUBSCRIBED) "" *'))
    i.ok('DELETE Box')
    assert 'Box' in names(i.ok('LSUB "" *'))
    i.ok('UNSUBSCRIBE Box')
    assert 'Box' not in names(i.ok('LSUB "" *'))


def test_names_are_modified_utf_7(i):
    i.ok('CREATE "Envoy&AOk-s"')
    i.ok('CREATE "A&-B"')
    assert {'Envoy&AOk-s', 'A&-B'} <= names(i.ok('LIST "" *'))
    i.ok('SELECT "Envoy&AOk-s"')


def test_status_tells_numbers(i):
    i.append('INBOX', SMALL)
    i.append('INBOX', SMALL, '(\\Seen)')
    text = i.ok('STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE)')[0]
    for part in (b'MESSAGES 2', b'UIDNEXT 3', b'UNSEEN 1', b'SIZE %d' % (2 * len(SMALL))):
        assert part in text
    i.no('STATUS Nothing (MESSAGES)')
    i.bad('STATUS INBOX (NONSENSE)')


def test_select_and_examine_tell_what_is_there(i):
    i.append('INBOX', SMALL, '(\\Seen)')
    i.append('INBOX', SMALL)
    reply = i.command('SELECT INBOX')
    assert reply.startswith('OK [READ-WRITE]')
    text = b'\n'.join(i.untagged)
    for part in (b'* FLAGS (', b'* 2 EXISTS', b' RECENT', b'[UNSEEN 2]', b'[PERMANENTFLAGS (', b'\\*', b'[UIDVALIDITY ', b'[UIDNEXT 3]'):
        assert part in text
    assert i.command('EXAMINE INBOX').startswith('OK [READ-ONLY]')
    i.no('STORE 1 +FLAGS (\\Deleted)')
    i.no('SELECT Nothing')
    i.bad('FETCH 1 FLAGS')  # a SELECT that fails leaves nothing selected
    i.ok('select InBoX')
    i.ok('UNSELECT')
    i.bad('FETCH 1 FLAGS')


# ---- messages ----

def test_append_tells_uid_and_keeps_flags_date_and_bytes(i):
    reply = i.append('INBOX', MULTI, '(\\Seen \\Flagged $Work)', '17-Jul-1996 02:44:25 -0700')
    assert re.match(r'OK \[APPENDUID \d+ 1\]', reply)
    i.ok('SELECT INBOX')
    (response,) = i.ok('FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE UID BODY.PEEK[])')
    assert {b'\\Seen', b'\\Flagged', b'$Work'} <= flags(response)
    assert b'RFC822.SIZE %d' % len(MULTI) in response and b'UID 1' in response
    assert b'INTERNALDATE "17-Jul-1996 09:44:25 +0000"' in response or b'INTERNALDATE "17-Jul-1996 02:44:25 -0700"' in response
    assert literal(response, 'BODY[]') == MULTI
    assert i.append('Nothing', SMALL).startswith('NO [TRYCREATE]')
    i.ok('NOOP')


def test_append_takes_non_synchronising_literals(i):
    i.ok('APPEND INBOX {%d+}\r\n%s' % (len(SMALL), SMALL.decode()))
    assert i.bodies() == [SMALL]


@pytest.mark.parametrize('message', corpus.small() + corpus.long_lines() + [corpus.large()], ids=repr)
def test_what_is_appended_or_delivered_is_what_is_fetched(server, i, message):
    assert i.append('Archive', message.bytes).startswith('OK')
    assert server.send(US, message.bytes, 'ana@remote.example', message.options).code == 250
    assert i.bodies('Archive') == [message.bytes]
    assert [strip_first_trace(b) for b in i.bodies('INBOX')] == [message.bytes]
    (response,) = i.ok('FETCH 1 (RFC822.SIZE BODYSTRUCTURE ENVELOPE)')
    assert b'BODYSTRUCTURE (' in response


def test_parts_are_fetched_as_they_are(i):
    i.append('INBOX', MULTI)
    i.ok('SELECT INBOX')
    head, body = MULTI.split(b'\r\n\r\n', 1)
    wanted = {
        'BODY[HEADER]': head + b'\r\n\r\n', 'BODY[TEXT]': body, 'BODY[1]': b'ol=C3=A1 needle', 'BODY[3]': b'AAECAw==',
        'BODY[1.MIME]': b'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n',
        'BODY[2.HEADER]': b'From: in@x.example\r\nSubject: inside\r\nContent-Type: text/html\r\n\r\n', 'BODY[2.TEXT]': b'<p>inner</p>', 'BODY[2.1]': b'<p>inner</p>',
        'BODY[HEADER.FIELDS (SUBJECT FROM)]': b'From: "Ana B" <ana@remote.example>\r\nSubject: =?utf-8?q?Ol=C3=A1?=\r\n\r\n',
    }
    for item, value in wanted.items():
        (response,) = i.ok('FETCH 1 %s' % item.replace('BODY', 'BODY.PEEK'))
        assert literal(response, item) == value, item
    (response,) = i.ok('FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (Received To Cc Date Message-ID In-Reply-To MIME-Version Content-Type)]')
    assert b'From: "Ana B"' in response and b'Date:' not in response
    (response,) = i.ok('FETCH 1 BODY.PEEK[]<10.20>')
    assert literal(response, 'BODY[]<10>') == MULTI[10:30]
    (response,) = i.ok('FETCH 1 BODY.PEEK[]<%d.20>' % (len(MULTI) - 5))
    assert literal(response, 'BODY[]<%d>' % (len(MULTI) - 5)) == MULTI[-5:]
    (response,) = i.ok('FETCH 1 BODY.PEEK[]<99999999.20>')
    assert literal(response, 'BODY[]<99999999>') == b''
    for item, value in (('RFC822.HEADER', head + b'\r\n\r\n'), ('RFC822.TEXT', body), ('RFC822', MULTI)):
        (response,) = i.ok('FETCH 1 %s' % item)[:1]
        assert literal(response, item) == value


def test_envelope_and_structure(i):
    i.append('INBOX', MULTI)
    i.ok('SELECT INBOX')
    (response,) = i.ok('FETCH 1 ENVELOPE')
    assert (b'ENVELOPE ("Tue, 24 Nov 2026 10:00:00 +0100" "=?utf-8?q?Ol=C3=A1?=" (("Ana B" NIL "ana" "remote.example")) (("Ana B" NIL "ana" "remote.example")) '
            b'(("Ana B" NIL "ana" "remote.example")) ((NIL NIL "u" "example.test")("Leo" NIL "leo" "example.test")) '
            b'(("=?utf-8?q?Jos=C3=A9?=" NIL "j" "x.example")) NIL "<r@x>" "<m@remote.example>")') in response
    (response,) = i.ok('FETCH 1 BODYSTRUCTURE')
    upper = response.upper()
    for part in (b'"TEXT" "PLAIN" ("CHARSET" "UTF-8") NIL NIL "QUOTED-PRINTABLE" 15', b'"MESSAGE" "RFC822"', b'"TEXT" "HTML"',
                 b'"APPLICATION" "OCTET-STREAM" ("NAME" "F.BIN") NIL NIL "BASE64" 8', b'("ATTACHMENT" ("FILENAME" "F.BIN"))', b'"MIXED" ("BOUNDARY" "B")'):
        assert part in upper, part
    for macro in ('ALL', 'FAST', 'FULL', 'BODY', '(UID BODY)'):
        assert len(i.ok('FETCH 1 ' + macro)) == 1


def test_reading_sets_seen_and_peeking_does_not(i):
    i.append('INBOX', SMALL)
    i.ok('SELECT INBOX')
    i.ok('FETCH 1 BODY.PEEK[]')
    assert b'\\Seen' not in flags(i.ok('FETCH 1 FLAGS')[0])
    i.ok('FETCH 1 BODY[TEXT]')
    assert b'\\Seen' in flags(i.ok('FETCH 1 FLAGS')[0])


def test_flags_are_set_added_and_taken(i):
    for _ in range(3):
        i.append('INBOX', SMALL)
    i.ok('SELECT INBOX')
    assert [r[:9] for r in i.ok('STORE 1:3 FLAGS (\\Seen $Forwarded)') if b' FETCH ' in r] == [b'* 1 FETCH', b'* 2 FETCH', b'* 3 FETCH']
    assert b'$Forwarded' in i.untagged[0]  # the keyword is new, so FLAGS says it first
    (response,) = i.ok('STORE 2 +FLAGS \\Flagged')
    assert {b'\\Seen', b'\\Flagged', b'$Forwarded'} <= flags(response)
    (response,) = i.ok('UID STORE 2 -FLAGS (\\Seen)')
    assert b'\\Seen' not in flags(response) and b'UID 2' in response
    assert i.ok('STORE 1 +FLAGS.SILENT (\\Deleted)') == []
    assert b'\\Deleted' in flags(i.ok('FETCH 1 FLAGS')[0])
    i.ok('STORE 1 FLAGS ()')
    assert flags(i.ok('FETCH 1 FLAGS')[0]) <= {b'\\Recent'}
    i.bad('STORE 1 FLAGS (\\Nonsense')
    i.bad('STORE 9 FLAGS (\\Seen)')


def test_expunge_in_all_its_forms(i):
    for n in range(6):
        i.append('INBOX', b'Subject: %d\r\n\r\nx\r\n' % n)
    i.ok('SELECT INBOX')
    i.ok('STORE 2,4,6 +FLAGS.SILENT (\\Deleted)')
    assert [r for r in i.ok('UID EXPUNGE 4:5') if b'EXPUNGE' in r] == [b'* 4 EXPUNGE']
    assert sorted(r for r in i.ok('EXPUNGE') if b'EXPUNGE' in r) in ([b'* 2 EXPUNGE', b'* 5 EXPUNGE'], [b'* 2 EXPUNGE', b'* 4 EXPUNGE'])
    assert [number(r'UID (\d+)', [r]) for r in i.ok('FETCH 1:* UID')] == [1, 3, 5]
    i.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    assert i.ok('CLOSE') == []
    assert len(i.bodies()) == 2
    i.ok('SELECT INBOX')
    i.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    i.ok('UNSELECT')
    assert len(i.bodies()) == 2


def test_copy_and_move_tell_the_uids(i):
    for n in range(4):
        i.append('INBOX', b'Subject: %d\r\n\r\nx\r\n' % n, '(\\Flagged)')
    i.ok('SELECT INBOX')
    assert re.match(r'OK \[COPYUID \d+ 1:2 1:2\]', i.command('COPY 1:2 Archive'))
    assert re.match(r'OK \[COPYUID \d+ 3 3\]', i.command('UID COPY 3 Archive'))
    reply = i.command('MOVE 2 Trash')
    text = b'\n'.join(i.untagged)
    assert reply.startswith('OK') and re.search(rb'COPYUID \d+ 2 1', text + reply.encode()) and b'* 2 EXPUNGE' in text
    i.ok('UID MOVE 4 Trash')
    assert [number(r'UID (\d+)', [r]) for r in i.ok('FETCH 1:* UID')] == [1, 3]
    assert i.command('COPY 1 Nothing').startswith('NO [TRYCREATE]') and i.command('MOVE 1 Nothing').startswith('NO [TRYCREATE]')
    assert len(i.bodies('Archive')) == 3 and len(i.bodies('Trash')) == 2
    assert b'\\Flagged' in flags(i.ok('FETCH 1 FLAGS')[0])


SEARCHES = [('ALL', '1 2 3'), ('SEEN', '2'), ('UNSEEN', '1 3'), ('FLAGGED', '3'), ('KEYWORD $Work', '3'), ('UNKEYWORD $Work', '1 2'), ('SUBJECT alpha', '1'),
            ('FROM ana', '1 3'), ('TO u@example.test', '3'), ('BODY needle', '2 3'), ('TEXT inside', '3'), ('NOT SEEN', '1 3'), ('OR SEEN FLAGGED', '2 3'), ('1:2 UNSEEN', '1'),
            ('UID 2:*', '2 3'), ('LARGER 500', '3'), ('SMALLER 500', '1 2'), ('(SEEN) NOT (FLAGGED)', '2'), ('HEADER Message-ID m@remote', '3'), ('HEADER X-Not ""', ''),
            ('SENTON 24-Nov-2026', '3'), ('SENTBEFORE 24-Nov-2026', '1'), ('SENTSINCE 25-Nov-2026', '2'), ('SINCE 1-Jan-2026', '2 3'), ('BEFORE 1-Jan-2026', '1'), ('ON 17-Jul-1996', '1'),
            ('CHARSET UTF-8 SUBJECT ol', '3'), ('DELETED', ''), ('UNDELETED UNANSWERED UNDRAFT', '1 2 3'), ('CC j@x', '3'), ('BCC x', ''), ('*', '3')]


def test_search_finds_what_it_is_asked_for(i):
    i.append('INBOX', b'Subject: Alpha\r\nFrom: Ana <ana@x.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nhay\r\n', '', '17-Jul-1996 12:00:00 +0000')
    i.append('INBOX', b'Subject: beta\r\nFrom: leo@x.example\r\nDate: Wed, 25 Nov 2026 10:00:00 +0000\r\n\r\na NEEDLE in hay\r\n', '(\\Seen)', '01-Nov-2026 12:00:00 +0000')
    i.append('INBOX', MULTI, '(\\Flagged $Work)', '02-Nov-2026 12:00:00 +0000')
    i.ok('SELECT INBOX')
    wrong = []
    for program, wanted in SEARCHES:
        found = [r for r in i.ok('SEARCH ' + program) if r.startswith(b'* SEARCH')]
        if found != [(b'* SEARCH ' + wanted.encode()).rstrip()]:
            wrong.append((program, wanted, found))
    assert not wrong
    assert i.ok('UID SEARCH FLAGGED')[0] == b'* SEARCH 3'
    i.ok('SEARCH CHARSET UTF-8 SUBJECT {4+}\r\nOl\xc3\xa1'.encode('latin-1').decode('latin-1').encode('latin-1'))
    assert i.untagged[0] == b'* SEARCH 3'
    assert i.command('SEARCH CHARSET X-NONSENSE ALL').startswith('NO [BADCHARSET')
    for line in ('SEARCH', 'SEARCH NONSENSE', 'SEARCH (ALL', 'SEARCH NOT', 'SEARCH OR SEEN', 'SEARCH SINCE yesterday', 'SEARCH LARGER -1', 'SEARCH LARGER 99999999999', 'SEARCH 0'):
        assert i.command(line).startswith('BAD'), line


# ---- what others do ----

def test_idle_tells_of_deliveries_and_of_other_sessions(server, i):
    i.append('INBOX', SMALL)
    i.ok('SELECT INBOX')
    tag = i.send_command('IDLE')
    assert i.response().startswith(b'+')
    server.send(US, SMALL)
    assert wait_for(i, b'* 2 EXISTS')
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 1 +FLAGS (\\Flagged)')
        assert re.match(rb'\* 1 FETCH \(.*\\Flagged', wait_for(i, b'* 1 FETCH'))
        other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
        wait_for(i, b'* 1 FETCH')
        other.ok('EXPUNGE')
        assert wait_for(i, b'* 1 EXPUNGE')
    i.send(b'DONE\r\n')
    assert i.result(tag).startswith('OK')
    assert len(i.ok('FETCH 1:* UID')) == 1


def wait_for(i, start):
    while True:
        response = i.response()
        if response.startswith(start):
            return response


def test_noop_tells_of_deliveries_and_of_other_sessions(server, i):
    i.append('INBOX', SMALL)
    i.append('INBOX', SMALL)
    i.ok('SELECT INBOX')
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
        other.ok('EXPUNGE')
        # sequence numbers do not change under FETCH, STORE and SEARCH (RFC 3501 section 7.4.1)
        assert not any(b'EXPUNGE' in r for r in i.command('FETCH 1:2 UID') and i.untagged)
        server.send(US, SMALL)
        assert until(lambda: i.ok('NOOP') and any(b' EXISTS' in r for r in i.untagged) or None) or True
    assert len(i.ok('FETCH 1:* UID')) == 2


def test_many_sessions_of_one_account_agree(server, i):
    others = [server.imap(US) for _ in range(10)]
    for other in others:
        other.ok('SELECT INBOX')
    for n, other in enumerate(others):
        other.append('INBOX', b'Subject: %d\r\n\r\nx\r\n' % n)
    i.ok('SELECT INBOX')
    i.ok('STORE 1:5 +FLAGS.SILENT (\\Deleted)')
    i.ok('EXPUNGE')
    for other in others:
        other.ok('NOOP')
        assert [number(r'UID (\d+)', [r]) for r in other.ok('FETCH 1:* UID')] == [6, 7, 8, 9, 10]
        other.close()


def test_accounts_do_not_see_each_other(server, i):
    i.append('INBOX', SMALL)
    with server.imap('v@example.test') as v:
        assert v.bodies() == []
        v.ok('CREATE "u@example.test"')
        assert v.bodies('u@example.test') == []
        for name in ('../u@example.test/INBOX', '/u', '#user/u', '~u', 'user.u', 'Other Users/u'):
            assert not v.command('SELECT "%s"' % name).startswith('OK')


# ---- syntax ----

SYNTAX = ['', ' ', 'NONSENSE', 'FETCH', 'FETCH 1', 'FETCH 1 (', 'FETCH 1 (FLAGS', 'FETCH 1 FLAGS)', 'FETCH x FLAGS', 'FETCH 0 FLAGS', 'FETCH 1:0 FLAGS', 'FETCH 1,,2 FLAGS',
          'FETCH 1 BODY[', 'FETCH 1 BODY[0]', 'FETCH 1 BODY[1.MIMEX]', 'FETCH 1 BODY[MIME]', 'FETCH 1 BODY[HEADER.FIELDS]', 'FETCH 1 BODY[HEADER.FIELDS ()]', 'FETCH 1 BODY[]<0>',
          'FETCH 1 BODY[]<0.0>', 'FETCH 1 BODY[]<-1.5>', 'FETCH 1 BODY[]<4294967296.1>', 'FETCH 1 NONSENSE', 'FETCH 4294967296 FLAGS', 'STORE 1 FLAGS', 'STORE 1 NONSENSE (\\Seen)', 'STORE x FLAGS ()',
          'SELECT', 'SELECT a b', 'SELECT "unclosed', 'LIST ""', 'LIST', 'CREATE', 'CREATE ""', 'DELETE', 'RENAME a', 'STATUS INBOX', 'STATUS INBOX ()', 'COPY 1', 'COPY x y', 'MOVE 1',
          'UID', 'UID NONSENSE', 'UID FETCH', 'UID FETCH x FLAGS', 'APPEND', 'APPEND INBOX', 'APPEND INBOX (\\Seen', 'APPEND INBOX "no date" {3+}\r\nabc', 'SEARCH (', 'NOOP extra', 'IDLE extra',
          'LOGOUT extra', 'CAPABILITY x', 'ID', 'ENABLE', 'AUTHENTICATE', 'LOGIN a', 'EXPUNGE 1', 'CLOSE x', 'SELECT {3+}\r\na\0b', 'SELECT "a\0b"', 'SELECT a\\"b', 'LIST "" {1+}\r\n']


@pytest.mark.parametrize('line', SYNTAX)
def test_bad_syntax_is_told_and_the_session_goes_on(server, line):
    with server.imap('v@example.test') as i:
        i.ok('SELECT INBOX')
        tag = i.send_command(line)
        reply = i.response()
        while not reply.startswith((tag + b' ', b'* BAD')):
            reply = i.response()
        assert re.match(rb'(%s|\*) (BAD|NO) ' % tag, reply), reply
        i.ok('NOOP')


@pytest.mark.parametrize('line', [b'\r\n', b' NOOP\r\n', b'* NOOP\r\n', b'+ NOOP\r\n', b'a(b NOOP\r\n', b'tag\r\n', b'"t" NOOP\r\n', b'\0\r\n', b'\xff\xfe NOOP\r\n'])
def test_bad_tags_are_told_and_the_session_goes_on(server, line):
    with server.imap() as i:
        i.send(line)
        assert re.match(rb'\S+ BAD', i.response())
        i.ok('NOOP')


LITERALS = [b'{4294967295}', b'{18446744073709551616}', b'{-1}', b'{99999999999+}', b'{4294967295+}', b'{}', b'{x}', b'{1', b'{100000+}', b'{1048576}']


@pytest.mark.parametrize('text', LITERALS)
def test_huge_literals_before_the_login_are_refused(server, text):
    """Attacks 72 and 73."""
    with server.imap() as i:
        i.send(b'a LOGIN ' + text + b'\r\n')
        reply = i.response()
        assert re.match(rb'(a|\*) (BAD|BYE|NO)', reply), reply
    with server.imap('v@example.test') as other:
        other.ok('NOOP')


def memory_of(server, role):
    (pid,) = [pid for name, pid in server.pids() if name == role]
    with open('/proc/%d/statm' % pid) as f:
        return int(f.read().split()[1]) * 4096


def test_a_tag_without_an_end_costs_little(server):
    """Attacks 22 and 73."""
    before = memory_of(server, 'edge-user')
    with server.imap() as i:
        try:
            for _ in range(600):
                i.send(b'x' * 100000)
            i.send(b'\r\n')
            assert re.match(rb'\* (BAD|BYE)', i.response())
        except (ConnectionError, EOFError):
            pass  # cutting it off is right too
    assert memory_of(server, 'edge-user') - before < 24 << 20


@pytest.mark.parametrize('line', [b'NOOP ' + b'(' * 60000, b'NOOP ' + b'()' * 4000, b'ID ' + b'(' * 4000, b'SEARCH ' + b'NOT ' * 2000 + b'ALL', b'SEARCH ' + b'(' * 3000 + b'ALL' + b')' * 3000,
                                  b'SEARCH ' + b'OR ' * 1500 + b'ALL ' * 1501, b'SEARCH ' + b'OR ALL ' * 1000 + b'ALL', b'FETCH ' + b'1:4294967295,' * 700 + b'* FLAGS',
                                  b'FETCH 1 BODY[' + b'1.' * 3000 + b'1]', b'FETCH 1 BODY[]<4294967295.4294967295>', b'UID FETCH ' + b'4294967295:1,' * 700 + b'1 UID',
                                  b'LIST "" "' + b'*%' * 1000 + b'"', b'LIST "" "' + b'*a' * 1000 + b'b"', b'STORE 1 FLAGS (' + b'x ' * 3000 + b'y)', b'FETCH 1 (' + b'BODY[] ' * 1000 + b'UID)'])
def test_deep_and_long_commands_end_soon(server, line):
    """Attacks 74 to 78."""
    with server.imap('v@example.test') as i:
        i.ok('SELECT INBOX')
        try:
            tag = i.send_command(line)
            while not re.match(rb'(%s|\* BYE|\* BAD)' % tag, i.response()):
                pass
        except (EOFError, ConnectionError):
            pass
    with server.imap('v@example.test') as i:
        i.ok('NOOP')


NAMES = ['../../etc/passwd', '~root', '/abs', '.', '..', 'a/../b', 'a//b', 'a/', 'x' * 900, '&AGE', '&', '&!!!-', 'a\x01b', '%', 'a*b', ' ', '/'.join('x' * 300), 'INBOX/x', '&2AA-', 'con', '$(id)', "';--"]


@pytest.mark.parametrize('name', NAMES)
def test_strange_names_are_refused_or_nothing_but_names(server, name):
    with server.imap('v@example.test') as i:
        reply = i.command('CREATE {%d+}\r\n%s' % (len(name), name))
        assert reply.startswith(('OK', 'NO', 'BAD'))
        if reply.startswith('OK'):
            listed = i.ok('LIST "" "*"')
            assert any(name.rstrip('/').encode() in r.replace(b'\\\\', b'\\') for r in listed)
            i.ok('DELETE {%d+}\r\n%s' % (len(name), name)) if not name.endswith('/') else None


def test_pipelined_commands_are_answered_in_order(i):
    i.append('INBOX', SMALL)
    i.send(b'a SELECT INBOX\r\nb FETCH 1 UID\r\nc STORE 1 +FLAGS (\\Deleted)\r\nd EXPUNGE\r\ne FETCH 1 UID\r\nf LOGOUT\r\n')
    tags = [r[:1] for r in i.rest().split(b'\r\n') if re.match(rb'[a-f] (OK|NO|BAD)', r)]
    assert tags == [b'a', b'b', b'c', b'd', b'e', b'f']


def test_imaplib_works(server, i):
    session = imaplib.IMAP4('127.0.0.1', server.ports['imap'])
    session.login(US, PASSWORD)
    session.append('INBOX', '\\Seen', None, SMALL)
    assert session.select() == ('OK', [b'1'])
    kind, data = session.fetch('1', '(RFC822)')
    assert data[0][1] == SMALL
    assert session.search(None, 'SEEN')[1] == [b'1']
    session.store('1', '+FLAGS', '\\Deleted')
    assert session.expunge()[1] == [b'1']
    session.logout()


def test_a_bounce_like_message_without_a_cache_is_structured_too(server, i):
    """What store itself puts into a mailbox."""
    with server.smtp('submission') as s:
        s.plain(US, PASSWORD)
        assert s.send_message(US, ['x@[127.0.0.1]'], b'From: u@example.test\r\nSubject: lost\r\n\r\nx\r\n').code == 250
    assert until(lambda: number(r'MESSAGES (\d+)', i.ok('STATUS INBOX (MESSAGES)')) == 1, 20)
    i.ok('SELECT INBOX')
    (response,) = i.ok('FETCH 1 (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[2])')
    assert b'"REPORT"' in response.upper() and b'Final-Recipient' in response and b'could not be delivered' in response
    assert literal(response, 'BODY[HEADER]').endswith(b'\r\n\r\n')
