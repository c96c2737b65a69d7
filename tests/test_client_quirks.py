"""What well-known clients do that is rare, old, or wrong, and what they need of a server to go on: each conversation with the client's own
lines, tags and all. Above each test stands which client it is, and where it was seen in trouble with another server."""
import re

import pytest

import talk
from conftest import PASSWORD, US

NOTE = (b'From: u@example.test\r\nSubject: A note\r\nX-Uniform-Type-Identifier: com.apple.mail-note\r\n'
        b'X-Universally-Unique-Identifier: 2f3c9a34\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>milk</p>\r\n')


def letter(n, body=b'body\r\n', head=b''):
    return b'From: Ann <a@remote.example>\r\nTo: u@example.test\r\nSubject: %d\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <q%d@remote.example>\r\n%s\r\n' % (n, n, head) + body


LARGE_ATTACHMENT = (b'From: a@remote.example\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\nContent-Type: text/plain\r\n\r\n' + b'text\r\n' * 100 +
                    b'--q\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n' + (b'QUJD' * 19 + b'\r\n') * 20000 + b'--q--\r\n')


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


@pytest.fixture
def raw(server, i):
    """A connection on which nobody has logged in yet, to an account as new."""
    with server.imap() as session:
        yield session


@pytest.fixture
def three(i):
    """The account's INBOX has three messages, and is selected."""
    for n in (1, 2, 3):
        assert i.append('INBOX', letter(n)).startswith('OK')
    i.ok('SELECT INBOX')
    return i


def say(i, line, *more):
    """The client's line as it is, and lines that it sends when it is asked to go on; untagged replies as one text, and the tagged one."""
    line = line.encode() if isinstance(line, str) else line
    i.send(line + b'\r\n')
    for part in more:
        assert i.response().startswith(b'+ ')
        i.send(part + b'\r\n')
    answer = i.result(line.split(b' ')[0])
    return b'\n'.join(i.untagged), answer


def said(i, line, *more):
    """The untagged replies of what must be answered with OK."""
    untagged, answer = say(i, line, *more)
    assert answer.startswith('OK'), (line, untagged, answer)
    return untagged


# ---- iOS and macOS Mail ----

def test_no_literal_is_empty(i):
    """iOS Mail since 18.2 asks for slices by the whole message's size, many of them behind the end of the part, and stands still for 90 s at the "{0}" of Dovecot."""
    i.append('INBOX', LARGE_ATTACHMENT)
    i.append('INBOX', b'From: a@b.example\r\nContent-Type: multipart/alternative; boundary=q\r\n\r\n--q\r\nContent-Type: text/plain\r\n\r\n--q\r\nContent-Type: text/html\r\n\r\nhi\r\n--q--\r\n')
    i.append('INBOX', b'Subject: no body\r\n\r\n')
    said(i, 'EX1 SELECT INBOX')
    i.send(b''.join(b'EX%d UID FETCH 1 (UID BODY.PEEK[1]<%d.393216>)\r\n' % (n, (n - 2) * 393216) for n in range(2, 6)))
    assert i.result(b'EX2').startswith('OK') and re.match(rb'\* 1 FETCH \(UID 1 BODY\[1\]<0> \{598\}\r\n', i.untagged[0])
    for n in range(3, 6):
        assert i.result(b'EX%d' % n).startswith('OK')
        assert i.untagged == [b'* 1 FETCH (UID 1 BODY[1]<%d> "")' % ((n - 2) * 393216)]
    told = said(i, 'EX7 UID FETCH 2:3 (BODY.PEEK[1] BINARY.PEEK[1] BODY.PEEK[TEXT] RFC822.TEXT)')
    assert b'{0}' not in told
    assert b'FETCH (UID 2 BODY[1] "" BINARY[1] "" BODY[TEXT] {' in told and b'FETCH (UID 3 BODY[1] "" BINARY[1] "" BODY[TEXT] "" RFC822.TEXT ""' in told


def test_a_slice_tells_where_it_begins_and_no_more(i):
    """iOS Mail fetches every message so, and asked again and again, since Twisted's server gave "<0.393216>" back."""
    i.append('INBOX', letter(1))
    said(i, 'A2 SELECT INBOX')
    told = said(i, 'A3 UID FETCH 1 (UID BODY.PEEK[]<0.393216>)')
    assert told == b'* 1 FETCH (UID 1 BODY[]<0> {%d}\r\n%s)' % (len(letter(1)), letter(1))


def test_two_slices_in_one_command(i):
    """macOS Mail completes parts that it has begun to load; pymap refused the arguments."""
    i.append('INBOX', LARGE_ATTACHMENT)
    said(i, '8.1 SELECT INBOX')
    told = said(i, '8.1049 UID FETCH 1 (BODY.PEEK[1]<208.78> BODY.PEEK[2]<2027.77>)')
    assert re.fullmatch(rb'\* 1 FETCH \(UID 1 BODY\[1\]<208> \{78\}\r\n.{78} BODY\[2\]<2027> \{77\}\r\n.{77}\)', told, re.S), told


def test_the_fields_asked_for_are_named_as_they_were_asked_for(i):
    """Apple Mail drops answers with another list than its own, and shows no messages: tutabridge."""
    i.append('INBOX', NOTE)
    said(i, 'B1 SELECT INBOX')
    fields = b'date subject from to cc message-id in-reply-to references content-type x-priority x-uniform-type-identifier x-universally-unique-identifier list-id list-unsubscribe'
    told = said(i, b'B2 UID FETCH 1 (INTERNALDATE UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (%s)])' % fields)
    assert b'BODY[HEADER.FIELDS (%s)] {' % fields in told and told.endswith(b'\r\n\r\n)')
    assert b'X-Uniform-Type-Identifier: com.apple.mail-note\r\n' in told and b'RFC822.SIZE %d' % len(NOTE) in told


def test_folders_with_their_uses_and_counts_in_one_command(i):
    """iOS since 11 lists so; a Cyrus frontend listed all as \\Noselect, and nothing was there."""
    i.append('Archive', letter(1))
    told = said(i, '. LIST "" "*" RETURN (SPECIAL-USE STATUS (UNSEEN))')
    assert b'* LIST (\\HasNoChildren \\Archive) "/" Archive\n* STATUS Archive (UNSEEN 1)' in told
    assert told.count(b'* LIST ') == told.count(b'* STATUS ') == 6 and b'\\Noselect' not in told and b'\\NonExistent' not in told


def test_uses_are_told_without_asking(i):
    """The iPhone 5 looks for them in a plain LIST, and made folders of its own with Cyrus, which told them only when asked."""
    told = said(i, '4 LIST "" "*"')
    for use in (b'Sent', b'Drafts', b'Trash', b'Junk', b'Archive'):
        assert re.search(rb'\* LIST \([^)]*\\%s\) "/" %s(\n|$)' % (use, use), told), told


def test_all_that_is_not_deleted_is_searched_for_by_number(three):
    """iOS Mail, on every sync: Proton's bridge did not know such a search, and nothing was shown. In an empty mailbox too."""
    said(three, '33 UID STORE 2 +FLAGS.SILENT (\\Deleted)')
    assert said(three, '34 UID SEARCH 1:* NOT DELETED') == b'* SEARCH 1 3'
    said(three, '35 SELECT Drafts')
    assert said(three, '36 UID SEARCH 1:* NOT DELETED') == b'* SEARCH'


def test_an_empty_line_in_front_of_a_command(three):
    """macOS and iOS Mail send one in front of UID MOVE, as others do behind a literal: Stalwart. However many come, it is no fault."""
    three.send(b'\r\n' * 1000 + b'B41 UID MOVE 2 "Trash"\r\n')
    assert three.result(b'B41').startswith('OK')
    assert any(b'[COPYUID ' in r for r in three.untagged) and not any(b'BAD' in r for r in three.untagged)


def test_what_has_gone_already_is_moved_without_a_fault(three):
    """iOS Mail moves again what another device has moved; told NO by Stalwart it brought the message back, and could not delete it."""
    said(three, 'B41 UID MOVE 3 Trash')
    untagged, answer = say(three, 'B42 UID MOVE 3 Trash')
    assert answer.startswith('OK') and b'COPYUID' not in untagged


def test_no_exists_comes_with_an_expunge(three):
    """Apple Mail begins IDLE and EXPUNGE anew for ever, where WildDuck told "* 0 EXISTS" behind the last EXPUNGE."""
    said(three, '22.34 UID STORE 1:3 +FLAGS.SILENT (\\Deleted)')
    told = said(three, '23.34 EXPUNGE')
    assert re.findall(rb'(?m)^\* (\d+) EXPUNGE$', told) in ([b'1', b'1', b'1'], [b'3', b'2', b'1']) and b'EXISTS' not in told
    said(three, '24.34 UNSELECT')


def test_notes_are_messages_like_others(i):
    """iOS keeps notes in a mailbox of that name, finds it by its name, and each note by its header field."""
    said(i, '9 CREATE Notes')
    assert b'"/" Notes' in said(i, '10 LIST "" Notes')
    assert i.append('Notes', NOTE, '(\\Seen)').startswith('OK [APPENDUID ')
    said(i, '12 SELECT Notes')
    assert said(i, '13 UID SEARCH HEADER X-Uniform-Type-Identifier "com.apple.mail-note"') == b'* SEARCH 1'
    assert said(i, '14 UID SEARCH HEADER X-Universally-Unique-Identifier "2f3c9a34" NOT DELETED') == b'* SEARCH 1'


def test_changes_and_searches_with_mod_sequences(three):
    """The iPhone uses CONDSTORE and ESEARCH together, which Cyrus 2.4 did not put into one answer."""
    said(three, '5 UID STORE 2 +FLAGS (\\Flagged)')
    highest = int(re.search(rb'HIGHESTMODSEQ (\d+)', said(three, '6 SELECT INBOX (CONDSTORE)'))[1])
    assert said(three, '7 UID SEARCH RETURN (ALL) MODSEQ %d' % highest) == b'* ESEARCH (TAG "7") UID ALL 2 MODSEQ %d' % highest
    told = said(three, '8 UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)' % (highest - 1))
    assert re.fullmatch(rb'\* 2 FETCH \(UID 2 MODSEQ \(%d\) FLAGS \(\\Flagged[^)]*\)\)' % highest, told)
    assert said(three, '9 UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)' % highest) == b''


def test_a_push_service_that_is_not_there_is_refused_and_that_is_all(i):
    """iOS Mail asks for it where it is announced, and some versions before they have looked; it must not end the session."""
    untagged, answer = say(i, 'A4 XAPPLEPUSHSERVICE "aps-version" "2" "aps-account-id" "0715A26B" "aps-device-token" "2918390218931890821908309283098109381029309829018310983092892829" "aps-subtopic" "com.apple.mobilemail" "mailboxes" (INBOX)')
    assert answer.startswith('BAD') and not untagged
    assert b'XAPPLEPUSHSERVICE' not in said(i, 'A5 CAPABILITY')
    said(i, 'A6 NOOP')


# ---- Outlook ----

def test_whoever_enables_all_goes_on_with_numbers(raw):
    """The new Outlook's server enables UIDONLY where it is announced, fetches by numbers all the same, and shows nothing: mox."""
    assert said(raw, 'WIR00001 ID ("name" "Microsoft Office 365" "version" "15.20.9160.4" "vendor" "Microsoft Corporation" "support-url" "https://support.microsoft.com/")').startswith(b'* ID (')
    assert say(raw, 'WIR00002 AUTHENTICATE PLAIN', b'AHVAZXhhbXBsZS50ZXN0AGNvcnJlY3QgaG9yc2U=')[1].startswith('OK')
    raw.append('INBOX', letter(1))
    announced = said(raw, 'WIR00003 CAPABILITY').split()[2:]
    assert b'UIDONLY' not in announced and b'QRESYNC' in announced
    switches = [word for word in announced if word in (b'CONDSTORE', b'QRESYNC', b'UIDONLY', b'UTF8=ACCEPT', b'IMAP4rev2')]
    said(raw, b'WIR00004 ENABLE ' + b' '.join(switches))
    said(raw, 'WIR00005 EXAMINE INBOX')
    assert re.match(rb'\* 1 FETCH \(.*UID 1', said(raw, 'WIR00006 FETCH 1:1 (UID FLAGS INTERNALDATE)'))


def test_everybody_else_is_told_of_uidonly(i):
    assert b'UIDONLY' in i.ok('CAPABILITY')[0].split()


def test_who_asks_who_is_there_is_told_before_the_login(raw):
    """Outlook's servers ask before they log in, and gave up with James, which sent no untagged reply. Each way in which ID is written."""
    for arguments in ('NIL', '()', '("name" "Outlook" "version" "1.0")', '("name" NIL)', '("NAME" "x" "os" "Windows \\"11\\"")'):
        assert re.fullmatch(rb'\* ID \("name" "[^"]+".*\)', said(raw, 'A1 ID ' + arguments))


def test_idle_without_a_mailbox(server, i):
    """Outlook idles before it has selected one; Dovecot says BAD, James and Gmail wait with it."""
    i.send(b'5qfu IDLE\r\n')
    assert i.line().startswith(b'+ ')
    assert server.send(US, letter(1)).code == 250
    i.send(b'DONE\r\n')
    assert i.result(b'5qfu').startswith('OK') and not any(b'EXISTS' in r for r in i.untagged)
    assert b'1 EXISTS' in said(i, 'gd2c SELECT "Inbox"')


def test_a_message_is_deleted_by_copy_flag_and_expunge(three):
    """Outlook without MOVE; afterwards it wants each EXPUNGE before it selects the next mailbox."""
    assert re.match(r'OK \[COPYUID \d+ 2 1\]', say(three, 'vn5a UID COPY 2 "Trash"')[1])
    assert re.match(rb'\* 2 FETCH \(.*\\Deleted', said(three, 'bk8w UID STORE 2 +FLAGS (\\Deleted \\Seen)'))
    assert said(three, '01cd EXPUNGE') == b'* 2 EXPUNGE'
    told = said(three, 'k11w SELECT "Trash"')
    assert b'* 1 EXISTS' in told and told.startswith(b'* OK [CLOSED]')


def test_subscribed_mailboxes_and_the_delimiter(i):
    """Outlook shows what LSUB tells, after it has asked for the delimiter with an empty name."""
    said(i, 'a1 CREATE "Projects/2026"')
    said(i, 'a2 SUBSCRIBE "Projects/2026"')
    assert said(i, 'ilt4 LIST "" ""') == b'* LIST (\\Noselect) "/" ""'
    told = said(i, '0iqm LSUB "" "*"')
    assert b'* LSUB () "/" INBOX' in told and b'* LSUB () "/" Sent' in told and b'* LSUB () "/" Projects/2026' in told
    assert b'* LSUB (\\Noselect) "/" Projects\n' in said(i, '0iqo LSUB "" "%"')
    said(i, 'a3 UNSUBSCRIBE "INBOX"')
    assert b'INBOX' not in said(i, '0iqn LSUB "" "*"')


def test_the_inbox_has_one_name_in_answers(i):
    """Outlook names it "Inbox", others "inbox"; Roundcube and FairEmail take another spelling in an answer for another mailbox."""
    assert said(i, '1 STATUS "Inbox" (MESSAGES UIDNEXT UIDVALIDITY)').startswith(b'* STATUS INBOX (')
    assert said(i, '2 LIST "" "inbox"').endswith(b'"/" INBOX')
    said(i, '3 CREATE "Inbox/Sub"')
    assert said(i, '4 LIST "" "inbox/%"').endswith(b'"/" INBOX/Sub')
    assert said(i, '5 LIST "" "*" RETURN (STATUS (MESSAGES))').count(b'* STATUS INBOX (') == 1


def test_no_alert_for_a_quota_that_is_nearly_used_up(server, i):
    """Outlook opens a connection for each thing it does and shows each ALERT in a window: Cyrus and Kolab."""
    server.must('quota', 'set', US, '10k')
    try:
        assert i.append('INBOX', letter(1, b'x' * 9500 + b'\r\n')).startswith('OK')
        with server.imap() as other:
            untagged, answer = say(other, 'A1 LOGIN "%s" "%s"' % (US, PASSWORD))
            told = untagged + answer.encode() + said(other, 'A2 SELECT INBOX') + said(other, 'A3 NOOP')
        assert b'ALERT' not in other.greeting + told
    finally:
        server.must('quota', 'unset', US)


# ---- Thunderbird ----

def test_a_name_with_a_delimiter_behind_it(i):
    """Thunderbird makes folders that are to hold others so, and goes on with that name: Dovecot has a workaround, tb-extra-mailbox-sep."""
    said(i, '17 create "Lists/"')
    said(i, '18 subscribe "Lists/"')
    assert said(i, '19 STATUS "Lists/" (UIDNEXT MESSAGES UNSEEN RECENT)').startswith(b'* STATUS Lists (')
    assert i.append('Lists/', letter(1)).startswith('OK [APPENDUID ')
    assert b'* 1 EXISTS' in said(i, '20 select "Lists/"')
    said(i, '21 uid copy 1 "Archive/"')
    said(i, '22 rename "Lists/" "Readers/"')
    told = said(i, '23 list (subscribed) "" "*" return (special-use)')
    assert b'"/" Lists/' not in told
    assert said(i, '24 list "" "Readers"').endswith(b'"/" Readers')
    said(i, '25 unsubscribe "Lists/"')
    said(i, '26 delete "Readers/"')


def test_in_small_letters_and_with_all_extensions(raw):
    """Thunderbird's first words with a server that announces much: mox, go-imap, James ("ID failed. Illegal arguments")."""
    assert say(raw, '1 authenticate PLAIN', b'AHVAZXhhbXBsZS50ZXN0AGNvcnJlY3QgaG9yc2U=')[1].startswith('OK [CAPABILITY ')
    assert said(raw, '2 ID ("name" "Thunderbird" "version" "115.2.2")').startswith(b'* ID (')
    assert said(raw, '3 namespace').startswith(b'* NAMESPACE (("" "/"))')
    told = said(raw, '4 list (subscribed) "" "*" return (special-use)')
    assert re.search(rb'\* LIST \([^)]*\\Subscribed[^)]*\\Sent[^)]*\) "/" Sent', told)
    assert b'\\NonExistent' not in told  # TMail told so of folders that were there, and nothing could be moved into them
    assert b'* FLAGS (' in said(raw, '5 select "INBOX" (CONDSTORE)')
    assert said(raw, '6 getacl "INBOX"').startswith(b'* ACL INBOX ')
    assert b'QUOTAROOT' in said(raw, '7 getquotaroot "INBOX"')
    assert said(raw, '8 UID fetch 1:* (FLAGS)') == b''


def test_the_list_of_messages_as_thunderbird_builds_it(three):
    """Gromox gave fields that Thunderbird showed empty: each that is there comes whole, in the order of the message, and an empty line at the end."""
    told = said(three, '9 UID fetch 1:3 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])')
    assert told.count(b' FETCH (') == 3
    for n in (1, 2, 3):
        fields = b'From: Ann <a@remote.example>\r\nTo: u@example.test\r\nSubject: %d\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <q%d@remote.example>\r\n\r\n' % (n, n)
        assert b'{%d}\r\n%s' % (len(fields), fields) in told


def test_what_only_gmail_has_is_refused_and_that_is_all(three):
    """Thunderbird with GMail add-ons asks other servers for it too: Dovecot says BAD, and the next command works."""
    for n, line in enumerate(('UID FETCH 1:* (X-GM-THRID UID)', 'UID fetch 1 (XSENDER UID RFC822.SIZE BODY[])', 'UID STORE 1 +X-GM-LABELS (x)', 'UID SEARCH X-GM-RAW "x"', 'XLIST "" "*"')):
        untagged, answer = say(three, '%d %s' % (n + 40, line))
        assert answer.startswith('BAD') and not untagged, (line, answer)
    assert said(three, '50 UID fetch 1 (FLAGS)').startswith(b'* 1 FETCH (UID 1 ')


def test_silent_changes_tell_the_mod_sequence(three):
    """Thunderbird and others with QRESYNC take their own change for somebody else's, where Cyrus kept silent about its MODSEQ."""
    said(three, '5 ENABLE QRESYNC')
    said(three, '6 SELECT INBOX')
    told = said(three, '7 UID STORE 2 +FLAGS.SILENT (\\Flagged)')
    assert re.fullmatch(rb'\* 2 FETCH \(UID 2 MODSEQ \(\d+\)\)', told)


# ---- K-9, Gmail's and Samsung's apps ----

def test_from_beyond_the_end_on_there_is_the_last_message(three):
    """K-9, Delta Chat and others look for new messages so, and know what RFC 3501 §6.4.8 says; GreenMail gave none."""
    assert re.fullmatch(rb'\* 3 FETCH \(UID 3 FLAGS \([^)]*\)\)', said(three, '10 UID FETCH 4:* (UID FLAGS)'))
    assert said(three, '11 UID SEARCH UID 4:*') == b'* SEARCH 3'
    said(three, '12 SELECT Drafts')
    assert said(three, '13 UID FETCH 1:* (UID FLAGS)') == said(three, '14 UID FETCH 7:* (UID FLAGS)') == b''


def test_uses_below_the_inbox_are_none(i):
    """K-9 with a prefix: imap.orange.fr answered BAD, and no account could be made."""
    assert said(i, '5 LIST (SPECIAL-USE) "" "INBOX/*"') == b''


def test_a_mailbox_is_looked_at_without_changing_it(three):
    """K-9 opens with EXAMINE and searches a window of numbers by UID; the message list stayed empty with Stalwart and James."""
    told = said(three, '5 EXAMINE "INBOX"')
    for fact in (rb'\* 3 EXISTS', rb'\* OK \[UIDNEXT 4\]', rb'\* OK \[UIDVALIDITY \d+\]', rb'\* OK \[PERMANENTFLAGS \(\)\]'):
        assert re.search(fact, told), told
    assert said(three, '6 UID SEARCH 1:3 NOT DELETED') == b'* SEARCH 1 2 3'
    assert said(three, '7 UID FETCH 3,2,1 (UID FLAGS)').count(b' FETCH (UID ') == 3
    told = said(three, '8 UID FETCH 1 (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to X-K9mail-Identity Chat-Version)])')
    assert b'RFC822.SIZE %d' % len(letter(1)) in told
    assert b'\\Seen' not in said(three, '9 UID FETCH 1 (FLAGS)')


def test_the_way_in_is_asked_for_with_a_plus_and_a_space(raw):
    """K-9 and imap-codec read "+" without the space of RFC 3501 §7.5 as a fault; Thunderbird cancels, and tries again."""
    raw.send(b'2 AUTHENTICATE PLAIN\r\n')
    assert raw.line().startswith(b'+ ')
    raw.send(b'*\r\n')
    assert raw.line().startswith(b'2 BAD')
    assert say(raw, '3 AUTHENTICATE PLAIN =')[1].startswith('NO [AUTHENTICATIONFAILED]')
    assert say(raw, '4 AUTHENTICATE PLAIN AHVAZXhhbXBsZS50ZXN0AGNvcnJlY3QgaG9yc2U=')[1].startswith('OK [CAPABILITY ')


def test_name_and_password_as_literals(raw):
    """Gmail's and Samsung's apps, where the password has a special character; and LITERAL+ for those that need not wait."""
    assert say(raw, '2 LOGIN {14}', b'u@example.test {13}', PASSWORD.encode())[1].startswith('OK')
    with talk.Imap(raw.socket.getpeername()[1]) as other:
        assert say(other, b'3 LOGIN {14+}\r\nu@example.test {13+}\r\ncorrect horse')[1].startswith('OK')


@pytest.mark.parametrize('message, structure', [
    (b'Content-Type: multipart/mixed; boundary=q\r\n\r\n--q--\r\n', None),
    (b'Content-Type: multipart/mixed; boundary=q\r\n\r\nno part at all\r\n', None),
    (b'Content-Type: multipart/alternative\r\n\r\nno boundary\r\n', None),
    (b'Content-Type: message/rfc822\r\n\r\n', None),
    (b'Content-Type: text/plain\r\nContent-Transfer-Encoding: \r\n\r\nx\r\n', b'"7BIT"'),
    (b'Content-Type: application/pdf\r\n NAME="a\r\nContent-Disposition: attachment; filename="a\\"b"\r\n\r\nx\r\n', None),
], ids=['empty', 'without-parts', 'without-boundary', 'message-of-nothing', 'no-encoding', 'odd-parameters'])
def test_every_structure_can_be_read(i, message, structure):
    """Gmail's app, JavaMail and MailKit end a sync at a multipart without a part, or a field that is neither string nor NIL: Yandex, QQ, Exchange."""
    i.append('INBOX', b'From: a@b.example\r\nMIME-Version: 1.0\r\n' + message)
    said(i, '4 SELECT INBOX')
    told = said(i, '5 UID FETCH 1 (UID BODYSTRUCTURE)')
    text = told[told.index(b'BODYSTRUCTURE ') + len(b'BODYSTRUCTURE '):-1]
    tree, rest = read_list(text)
    assert rest == b'' and is_body(tree), text
    assert structure is None or structure in text.upper()


def read_list(text):
    """RFC 3501 §4: a list of strings, NILs, numbers and lists; and what stands behind it."""
    assert text.startswith(b'('), text
    text, items = text[1:], []
    while not text.startswith(b')'):
        if text.startswith(b'('):
            item, text = read_list(text)
        else:
            match = re.match(rb'"((?:[^"\\\r\n]|\\["\\])*)"|NIL(?=[ )])|\d+(?=[ )])', text)
            assert match, text
            item, text = match[0], text[match.end():]
        items.append(item)
        text = text[1:] if text.startswith(b' ') and not text.startswith(b' )') else text
    return items, text[1:]


def is_body(b):
    """RFC 3501 §9, body: a multipart has at least one part, and a subtype; another has seven fields, whose encoding is a string."""
    if isinstance(b[0], list):
        parts = [p for p in b if isinstance(p, list)]
        first = next(n for n, p in enumerate(b) if not isinstance(p, list))
        return b[first].startswith(b'"') and all(is_body(p) for p in parts[:first])
    return len(b) >= 7 and all(b[n].startswith(b'"') for n in (0, 1, 5)) and b[6].isdigit()


def test_quotes_in_an_envelope_are_escaped(i):
    """MailCore's clients sync for ever, where iCloud gave a message id with bare quotes."""
    i.append('INBOX', b'From: "A \\"B\\" C" <a@b.example>\r\nSubject: a "b" \\ c\r\nMessage-ID: <"x y"@b.example>\r\n\r\n')
    said(i, '9 SELECT INBOX')
    told = said(i, '10 UID FETCH 1 (UID FLAGS ENVELOPE INTERNALDATE BODY.PEEK[HEADER.FIELDS (References)])')
    tree, rest = read_list(told[told.index(b'ENVELOPE ') + 9:])
    assert tree[1] == b'"a \\"b\\" \\\\ c"' and tree[9] == b'"<\\"x y\\"@b.example>"'
    assert b'BODY[HEADER.FIELDS (References)] {2}\r\n\r\n' in rest  # iCloud gave {0}


def test_fields_in_two_lists(three):
    """MailCore asks for its own fields and for more of the app's; Yahoo answered NO [UNAVAILABLE]."""
    told = said(three, '6 FETCH 1:3 (UID FLAGS BODY.PEEK[HEADER.FIELDS (Date Subject From)] RFC822.SIZE BODY.PEEK[HEADER.FIELDS (List-Id List-ID Mailing-list)])')
    assert told.count(b'BODY[HEADER.FIELDS (Date Subject From)] {') == told.count(b'BODY[HEADER.FIELDS (List-Id List-ID Mailing-list)] {2}\r\n\r\n') == 3


def test_flags_without_parentheses(three):
    """imaplib's users and Horde send them bare, as RFC 3501 §6.4.6 allows; iCloud says BAD."""
    assert b'\\Seen' in said(three, '7 STORE 1 +FLAGS \\Seen')
    assert b'\\Flagged' in said(three, '8 UID STORE 1 +FLAGS \\Flagged $Work')
    said(three, '9 UID STORE 1 FLAGS.SILENT ()')


# ---- IDLE ----

def test_the_first_answer_to_idle_is_the_plus(server, three):
    """php-imap gives up, where Outlook.com told of a new message first."""
    assert server.send(US, letter(4)).code == 250
    three.send(b'TAG5 IDLE\r\n')
    assert three.line().startswith(b'+ ')
    assert three.line() == b'* 4 EXISTS'
    three.send(b'DONE\r\n')
    assert three.result(b'TAG5').startswith('OK')


def test_an_empty_line_does_not_end_idle(server, three):
    """emailjs sends one behind IDLE, and hears nothing any more, where a server takes it for something else than DONE."""
    three.send(b'W41 IDLE\r\n\r\n')
    assert three.line().startswith(b'+ ')
    assert three.is_silent()
    assert server.send(US, letter(4)).code == 250
    assert three.line() == b'* 4 EXISTS'
    three.send(b'\r\nDONE\r\n')
    assert three.result(b'W41').startswith('OK')
    said(three, 'W42 NOOP')


@pytest.mark.parametrize('parts', [[b'TAG6 LOGOUT\r\n'], [b'T', b'AG6 LOGOUT\r\n'], [b'D6 LOGOUT\r\n']], ids=['whole', 'in-pieces', 'like-done'])
def test_a_command_without_done_is_answered_behind_idle(three, parts):
    """php-imap logs out in the middle of IDLE; a server that takes the line for a bad DONE lets it wait for an answer until its time is over."""
    three.send(b'TAG5 IDLE\r\n')
    assert three.line().startswith(b'+ ')
    three.send(parts[0])
    assert three.result(b'TAG5').startswith('BAD')
    three.send(b''.join(parts[1:]))
    assert three.result(b''.join(parts).split(b' ')[0]).startswith('OK')
    assert any(r.startswith(b'* BYE') for r in three.untagged)


# ---- APPEND ----

@pytest.mark.parametrize('message', [
    b'From: a@b.example\r\nSender: a@b.example\r\nSubject: sent as I am\r\n\r\nx\r\n',
    b'From: a@b.example\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?=C3=A9?= =?x?\r\n\r\nx\r\n--q--\r\n',
    b'From: a@b.example\r\nSubject: a long line\r\n\r\n' + b'x' * 20000 + b'\r\n',
    b'no header at all', b'\r\n', b'Subject: bare\nlines\n\nx\n'], ids=['sender', 'forwarded', 'long-line', 'no-header', 'nothing', 'bare-lf'])
def test_sent_mail_is_kept_whatever_it_is(i, message):
    """MailMate and Apple Mail try again for ever, where Exchange or Proton's bridge refuse what they cannot parse."""
    assert i.append('Sent', message, '(\\Seen)').startswith('OK [APPENDUID ')
    assert i.bodies('Sent') == [message]
