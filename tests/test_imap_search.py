"""What SEARCH can find and how it answers: RFC 3501 §6.4.4 and its extensions - RFC 4731, 5032, 5182, 5255, 6203, 7162, 7377, 8474, 8514, 9051, 9394."""
import os
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import US, until


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


def message(subject='x', sender='ana@x.example', body='hay', extra='', date='Mon, 23 Nov 2026 10:00:00 +0000'):
    return ('Subject: %s\r\nFrom: %s\r\nDate: %s\r\n%s\r\n%s\r\n' % (subject, sender, date, extra, body)).encode()


def fill(i, *messages, mailbox='INBOX'):
    """Each a minute after the one before, by its internal date."""
    for n, m in enumerate(messages):
        flags, m = m if isinstance(m, tuple) else ('', m)
        assert i.append(mailbox, m, flags, '20-Nov-2026 %02d:%02d:00 +0000' % divmod(n, 60)).startswith('OK')
    i.ok('SELECT "%s"' % mailbox)


def found(i, program, command='SEARCH'):
    responses = [r for r in i.ok('%s %s' % (command, program)) if r.startswith(b'* SEARCH') or r.startswith(b'* SORT')]
    assert len(responses) == 1, i.untagged
    return [int(n) for n in responses[0].split()[2:]]


def esearch(i, line):
    """What is behind the correlator of the one ESEARCH response."""
    responses = [r for r in i.ok(line) if r.startswith(b'* ESEARCH')]
    assert len(responses) == 1, (line, i.untagged)
    return re.sub(r'^\* ESEARCH \(TAG "[^"]*"\) ?', '', responses[0].decode())


# ---- ESEARCH: RFC 4731 ----

def test_return_options_tell_what_is_asked_for(i):
    fill(i, *[('(\\Flagged)' if n % 2 else '', message('m%d' % n)) for n in range(7)])
    i.ok('UID STORE 1:2 +FLAGS.SILENT (\\Deleted)')
    i.ok('UID EXPUNGE 1:2')
    for options, numbers, uids in [
            ('', 'ALL 2,4', 'UID ALL 4,6'), ('MIN', 'MIN 2', 'UID MIN 4'), ('MAX', 'MAX 4', 'UID MAX 6'), ('COUNT', 'COUNT 2', 'UID COUNT 2'), ('ALL', 'ALL 2,4', 'UID ALL 4,6'),
            ('MIN MAX COUNT ALL', 'MIN 2 MAX 4 COUNT 2 ALL 2,4', 'UID MIN 4 MAX 6 COUNT 2 ALL 4,6'), ('COUNT MIN', 'MIN 2 COUNT 2', 'UID MIN 4 COUNT 2')]:
        assert esearch(i, 'SEARCH RETURN (%s) FLAGGED' % options) == numbers
        assert esearch(i, 'UID SEARCH RETURN (%s) FLAGGED' % options) == uids
    assert esearch(i, 'SEARCH RETURN (ALL) ALL') == 'ALL 1:5'
    # section 3.1: nothing found
    assert esearch(i, 'SEARCH RETURN (MIN MAX ALL COUNT) DRAFT') == 'COUNT 0'
    assert esearch(i, 'SEARCH RETURN (ALL) DRAFT') == ''
    assert esearch(i, 'UID SEARCH RETURN (ALL) DRAFT') == 'UID'
    assert esearch(i, 'SEARCH RETURN (COUNT) CHARSET UTF-8 SUBJECT m') == 'COUNT 5'


@pytest.mark.parametrize('line', [
    'SEARCH RETURN', 'SEARCH RETURN ALL', 'SEARCH RETURN (ALL)', 'SEARCH RETURN (NONSENSE) ALL', 'SEARCH RETURN (ALL', 'SEARCH RETURN (ALL) ', 'SEARCH RETURN (PARTIAL) ALL',
    'SEARCH RETURN (PARTIAL 0:1) ALL', 'SEARCH RETURN (PARTIAL 1) ALL', 'SEARCH RETURN (PARTIAL -1:5) ALL', 'SEARCH RETURN (PARTIAL 1:*) ALL', 'SEARCH RETURN (PARTIAL 1:2 ALL) ALL',
    'SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL', 'SEARCH RETURN (RELEVANCY) ALL', 'SEARCH OLDER 0', 'SEARCH OLDER', 'SEARCH YOUNGER x', 'SEARCH MODSEQ', 'SEARCH MODSEQ x',
    'SEARCH MODSEQ "/flags/\\\\Seen" 5', 'SEARCH MODSEQ "/flags/\\\\Seen" none 5', 'SEARCH MODSEQ "x" all 5', 'SEARCH MODSEQ 9223372036854775808', 'SEARCH SAVEDON yesterday',
    'SEARCH EMAILID', 'SEARCH FUZZY', 'SEARCH FUZZY FUZZY ALL', 'SORT (DATE) UTF-8', 'SORT DATE UTF-8 ALL', 'SORT () UTF-8 ALL', 'SORT (REVERSE) UTF-8 ALL', 'SORT (NONSENSE) UTF-8 ALL',
    'SORT (RELEVANCY) UTF-8 ALL', 'SORT RETURN (ALL) (DATE) UTF-8', 'SORT (DATE) ALL', 'THREAD UTF-8 ALL', 'THREAD NONSENSE UTF-8 ALL', 'THREAD REFERENCES UTF-8', 'THREAD REFERENCES ALL',
    'SORT (%s) UTF-8 ALL' % ' '.join(['DATE'] * 17), 'CANCELUPDATE', 'CANCELUPDATE x', 'ESEARCH', 'ESEARCH IN', 'ESEARCH IN () ALL', 'ESEARCH IN (nothing) ALL', 'ESEARCH IN (mailboxes) ALL',
    'ESEARCH IN (mailboxes ()) ALL', 'ESEARCH IN (subtree INBOX)', 'ESEARCH IN (personal) RETURN (SAVE) ALL', 'SEARCH $,1', 'SEARCH UID', 'FETCH $,1 FLAGS'])
def test_what_is_no_search_is_refused(i, line):
    fill(i, message())
    i.bad(line)


# ---- the saved result: RFC 5182 ----

def test_a_result_is_saved_and_named(i):
    i.ok('CREATE Other')
    fill(i, *[('(\\Flagged)' if n % 2 else '', message('m%d' % n, body='word' if n > 2 else 'hay')) for n in range(6)])
    assert i.ok('SEARCH RETURN (SAVE) FLAGGED') == []
    assert found(i, '$') == [2, 4, 6] and found(i, 'UID $ NOT SUBJECT m3') == [2, 6]
    assert found(i, '(OR $ 1,3) BODY word') == [4, 6]
    assert [r.split()[1] for r in i.ok('FETCH $ (UID)')] == [b'2', b'4', b'6']
    i.ok('STORE $ +FLAGS.SILENT (\\Seen)')
    assert found(i, 'SEEN') == [2, 4, 6]
    assert 'COPYUID' in i.command('UID COPY $ Other')
    # section 2.1: an expunged message leaves it; section 2.4: what MIN and MAX save
    i.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
    i.ok('EXPUNGE')
    assert found(i, '$') == [3, 5]
    assert esearch(i, 'SEARCH RETURN (SAVE MIN) ALL') == 'MIN 1' and found(i, '$') == [1]
    assert esearch(i, 'SEARCH RETURN (MAX SAVE MIN) ALL') == 'MIN 1 MAX 5' and found(i, '$') == [1, 5]
    assert esearch(i, 'SEARCH RETURN (MAX SAVE MIN COUNT) ALL') == 'MIN 1 MAX 5 COUNT 5' and found(i, '$') == [1, 2, 3, 4, 5]
    assert esearch(i, 'SEARCH RETURN (SAVE PARTIAL -1:-2) ALL') == 'PARTIAL (-1:-2 4:5)' and found(i, '$') == [4, 5]
    assert esearch(i, 'SEARCH RETURN (SAVE PARTIAL 2:3 MIN) ALL') == 'MIN 1 PARTIAL (2:3 2:3)' and found(i, '$') == [1, 2, 3]
    # section 2.1: BAD leaves it, NO empties it; an empty one is no error
    i.bad('SEARCH RETURN (SAVE) NONSENSE')
    assert found(i, '$') == [1, 2, 3]
    i.no('SEARCH CHARSET X-NONE ALL')
    assert found(i, '$') == [1, 2, 3]
    i.no('SEARCH RETURN (SAVE) CHARSET X-NONE ALL')
    assert found(i, '$') == [] and i.ok('FETCH $ FLAGS') == []
    i.ok('COPY $ Other')
    i.ok('STORE $ +FLAGS (\\Deleted)')
    # a new SELECT empties it
    i.ok('SEARCH RETURN (SAVE) ALL')
    i.ok('SELECT INBOX')
    assert found(i, '$') == []
    i.ok('SEARCH RETURN (SAVE) 1')
    i.ok('UID STORE $ +FLAGS.SILENT (\\Deleted)')
    i.ok('UID EXPUNGE $')
    assert esearch(i, 'SEARCH RETURN (COUNT) ALL') == 'COUNT 4'


def test_a_result_can_be_moved(i):
    fill(i, *[('(\\Flagged)' if n == 1 else '', message('m%d' % n)) for n in range(3)])
    i.ok('SEARCH RETURN (SAVE) FLAGGED')
    i.ok('MOVE $ Trash')
    assert found(i, 'ALL') == [1, 2] and found(i, '$') == []


# ---- keys of extensions ----

def test_age_size_and_save_date(i):
    i.append('INBOX', message('old'), '', '17-Jul-1996 12:00:00 +0000')
    i.append('INBOX', message('new'))
    i.ok('SELECT INBOX')
    # RFC 5032
    assert found(i, 'OLDER 86400') == [1] and found(i, 'YOUNGER 86400') == [2] and found(i, 'NOT YOUNGER 4294967295') == []
    # RFC 8514: both were saved now
    assert found(i, 'SAVEDSINCE 1-Jan-2020') == [1, 2] and found(i, 'SAVEDBEFORE 1-Jan-2020') == [] and found(i, 'SAVEDATESUPPORTED') == [1, 2]
    now = time.gmtime()
    today = time.strftime('%d-%b-%Y', now)
    assert time.gmtime().tm_mday != now.tm_mday or found(i, 'SAVEDON ' + today) == [1, 2]


def test_modseq_is_searched_for_and_told(i):
    """RFC 7162 §3.1.5, §3.1.6, §3.1.10."""
    fill(i, *[message('m%d' % n) for n in range(4)])
    modseqs = [int(re.search(rb'MODSEQ \((\d+)\)', r)[1]) for r in i.ok('FETCH 1:4 (MODSEQ)') if b' FETCH ' in r]
    assert i.ok('SEARCH MODSEQ %d' % modseqs[2]) == [b'* SEARCH 3 4 (MODSEQ %d)' % modseqs[3]]
    assert i.ok('SEARCH MODSEQ "/flags/\\\\draft" all %d' % modseqs[3]) == [b'* SEARCH 4 (MODSEQ %d)' % modseqs[3]]
    assert i.ok('SEARCH MODSEQ "/flags/x" priv %d' % (modseqs[3] + 1)) == [b'* SEARCH']
    assert i.ok('SEARCH OR NOT MODSEQ %d LARGER 50000' % modseqs[1]) == [b'* SEARCH 1 (MODSEQ %d)' % modseqs[0]]
    assert esearch(i, 'SEARCH RETURN (ALL) MODSEQ 1') == 'ALL 1:4 MODSEQ %d' % modseqs[3]
    assert esearch(i, 'SEARCH RETURN (MIN) MODSEQ 1') == 'MIN 1 MODSEQ %d' % modseqs[0]
    assert esearch(i, 'SEARCH RETURN (MIN MAX) 1:3 MODSEQ 1') == 'MIN 1 MAX 3 MODSEQ %d' % modseqs[2]
    assert esearch(i, 'SEARCH RETURN (MIN COUNT) MODSEQ 1') == 'MIN 1 COUNT 4 MODSEQ %d' % modseqs[3]
    assert esearch(i, 'SORT RETURN (ALL) (REVERSE ARRIVAL) UTF-8 MODSEQ %d' % modseqs[2]) == 'ALL 4,3 MODSEQ %d' % modseqs[3]
    i.ok('STORE 2 +FLAGS (\\Flagged)')
    assert re.match(rb'\* SEARCH 1 3 4 \(MODSEQ \d+\)$', i.ok('SEARCH NOT MODSEQ %d' % (modseqs[3] + 1))[0])
    i.ok('SEARCH MODSEQ %d' % (modseqs[3] + 1))
    assert re.match(rb'\* SEARCH 2 \(MODSEQ \d+\)$', i.untagged[0])


def test_email_ids_are_searched_for(i):
    """RFC 8474 §4.1: a copy has the id of the original."""
    fill(i, message('one'), message('two'))
    ids = [re.search(rb'EMAILID \((M[0-9a-z]{26})\)', r)[1].decode() for r in i.ok('FETCH 1:2 EMAILID')]
    assert [found(i, 'EMAILID ' + one) for one in ids] == [[1], [2]]
    i.ok('COPY 2 INBOX')
    i.ok('NOOP')
    assert found(i, 'EMAILID ' + ids[1]) == [2, 3] and found(i, 'NOT EMAILID ' + ids[1]) == [1]
    for none in ('M00000000000000000000000000', ids[0] + '0', 'x'):
        assert found(i, 'EMAILID ' + none) == []


def test_fuzzy_takes_words_in_any_order_and_scores_them(i):
    """RFC 6203."""
    fill(i, message('IMAP break'), message('a break of imap'), message('imap'), message('IMAP breaks'), message('other', body='break the imap'))
    assert found(i, 'FUZZY (SUBJECT "IMAP break")') == [1, 2, 4]
    assert found(i, 'SUBJECT "IMAP break"') == [1, 4]
    assert esearch(i, 'SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT "imap break"') == 'ALL 1:2,4 RELEVANCY (100 50 100)'
    assert esearch(i, 'SEARCH RETURN (RELEVANCY PARTIAL 2:3) FUZZY TEXT "imap break"') == 'PARTIAL (2:3 2,4) RELEVANCY (50 100)'
    assert found(i, '(RELEVANCY) UTF-8 FUZZY TEXT "imap break"', 'SORT') == [1, 4, 2, 5]
    assert esearch(i, 'SORT RETURN (RELEVANCY ALL) (RELEVANCY) UTF-8 FUZZY TEXT "imap break"') == 'ALL 1,4,2,5 RELEVANCY (100 100 50 50)'
    assert found(i, 'FUZZY SUBJECT imap NOT FROM ana') == []
    assert esearch(i, 'SEARCH RETURN (RELEVANCY) FUZZY SUBJECT nowhere') == 'RELEVANCY ()'


def test_every_part_of_a_result_can_be_asked_for(i):
    """RFC 9394 §3.1."""
    fill(i, *[message('m%d' % n) for n in range(6)])
    for asked, wanted in [('1:2', '1:2'), ('3:3', '3'), ('2:1', '1:2'), ('5:100', '5:6'), ('7:9', 'NIL'), ('-1:-2', '5:6'), ('-2:-1', '5:6'), ('-6:-6', '1'), ('-5:-100', '1:2'), ('-7:-9', 'NIL')]:
        assert esearch(i, 'UID SEARCH RETURN (PARTIAL %s) ALL' % asked) == 'UID PARTIAL (%s %s)' % (asked, wanted)
    assert esearch(i, 'SEARCH RETURN (COUNT PARTIAL 1:3) ALL') == 'COUNT 6 PARTIAL (1:3 1:3)'
    assert esearch(i, 'SORT RETURN (PARTIAL 1:3) (REVERSE ARRIVAL) UTF-8 ALL') == 'PARTIAL (1:3 6,5,4)'


def test_after_rev2_the_answer_is_esearch(i):
    """RFC 9051 §6.4.4."""
    fill(i, message(), message())
    assert b'IMAP4rev2' in b' '.join(i.ok('ENABLE IMAP4rev2'))
    assert esearch(i, 'SEARCH ALL') == 'ALL 1:2' and esearch(i, 'UID SEARCH 2') == 'UID ALL 2'


def test_numbers_beyond_the_end_name_nothing(i):
    """RFC 7377 §2."""
    fill(i, message(), message())
    assert found(i, '1:100') == [1, 2] and found(i, '3:100') == [] and found(i, '5,2') == [2] and found(i, '5:*') == [2] and found(i, 'NOT 3') == [1, 2]


# ---- texts ----

HTML = ('MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n',
        '<html><head><style>.hidden{}</style><title>Head line</title></head><body><!-- a comment --><p class="attribute">one</p><p>t<b>w</b>o&nbsp;&amp; th&#114;ee &eacute;t&eacute;<br>four'
        '<script>var secret</script> 1 &lt; 2</body></html>')

TEXTS = [('BODY "two & three"', True), ('BODY "one two"', True), ('BODY hidden', False), ('BODY attribute', False), ('BODY comment', False), ('BODY secret', False), ('BODY "head line"', True),
         ('BODY "1 < 2"', True), ('BODY "<p"', False), ('BODY nbsp', False), ('BODY fourier', False)]


def test_html_is_searched_as_it_is_read(i):
    fill(i, message('h', extra=HTML[0], body=HTML[1]))
    assert [(key, found(i, key) == [1]) for key, _ in TEXTS] == TEXTS
    assert i.ok(b'SEARCH BODY {5+}\r\n\xc3\x89t\xc3\xa9') == [b'* SEARCH 1']


def literal(text):
    encoded = text.encode()
    return b'{%d+}\r\n%s' % (len(encoded), encoded)


@pytest.mark.parametrize('charset, text, needle, is_there', [
    ('iso-2022-jp', '日本語の本文です', '本文', True), ('shift_jis', '日本語の本文です', '本文', True), ('gb18030', '中文邮件', '邮件', True), ('big5', '中文郵件', '郵', True), ('euc-kr', '한국어 메일', '메일', True),
    ('koi8-r', 'Привет МИР', 'мир', True), ('windows-1253', 'ΟΔΟΣ', 'οδος', True), ('utf-8', 'Straße', 'STRASSE', True), ('utf-8', 'ｶﾀｶﾅ ＡＢＣ', 'カタカナ abc', True), ('utf-8', 'cafe\u0301', 'CAFÉ', True),
    ('utf-8', 'ﬁnd', 'FIND', True), ('utf-8', 'abc', 'abd', False)])
def test_texts_of_all_scripts_are_found(i, charset, text, needle, is_there):
    """RFC 5255 §4.5: i;unicode-casemap, which takes for equal what is so for people."""
    import base64
    body = base64.b64encode(text.encode(charset)).decode()
    fill(i, message('s', extra='MIME-Version: 1.0\r\nContent-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: base64\r\n' % charset, body=body))
    assert i.ok(b'SEARCH CHARSET UTF-8 BODY ' + literal(needle)) == [b'* SEARCH 1' if is_there else b'* SEARCH']


@pytest.mark.parametrize('charset', ['ISO-8859-1', 'windows-1252', 'UTF-16BE', 'UTF-7', 'IBM037', 'ISO-8859-15', 'x-mac-roman'])
def test_every_charset_that_icu_knows_can_be_asked_in(i, charset):
    fill(i, message('=?utf-8?q?Ol=C3=A1?='))
    codec = {'x-mac-roman': 'mac-roman', 'IBM037': 'cp037'}.get(charset, charset)
    needle = 'olá'.encode(codec)
    if b'\0' in needle:
        i.bad(b'SEARCH CHARSET %s SUBJECT {%d+}\r\n%s' % (charset.encode(), len(needle), needle))  # RFC 3501 section 9: no NUL
    else:
        assert i.ok(b'SEARCH CHARSET %s SUBJECT {%d+}\r\n%s' % (charset.encode(), len(needle), needle)) == [b'* SEARCH 1']


def test_messages_in_messages_are_searched_and_binary_parts_are_not(i):
    extra = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n'
    body = ('--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner words\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nZGVlcCB0ZXh0\r\n'
            '--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nZGVlcCBvY2VhbnM=\r\n--b--')
    fill(i, message('outer', extra=extra, body=body))
    assert [found(i, key) for key in ('BODY "deep text"', 'BODY "inner words"', 'TEXT "inner words"', 'SUBJECT inner', 'BODY outer', 'BODY oceans', 'BODY ZGVlcCBvY2VhbnM')] == [[1], [1], [1], [], [], [], []]


# ---- what is kept for searching ----

def test_answers_stay_the_same_while_messages_are_indexed_and_go(i):
    """Blocks of 16 messages and segments of 256 are made in the background: with 300 messages there are all kinds of them."""
    for n in range(300):
        assert i.append('INBOX', message('s%d' % n, 'p%d@x.example' % (n % 7), 'text number%dend %s' % (n, 'seventh' if n % 7 == 0 else 'none'), 'X-Odd: %s\r\n' % ('odd' if n % 2 else 'even'))).startswith('OK')
    i.ok('SELECT INBOX')
    sevenths = [n + 1 for n in range(300) if n % 7 == 0]
    keys = [('BODY seventh', sevenths), ('BODY number77end', [78]), ('TEXT "s299"', [300]), ('HEADER X-Odd odd', list(range(2, 301, 2))), ('FROM p3@', [n + 1 for n in range(300) if n % 7 == 3]),
            ('BODY nd', list(range(1, 301))), ('NOT BODY seventh 1:10', [n for n in range(1, 11) if n not in sevenths]), ('SUBJECT s25 BODY seventh', [n for n in (26, 251, 252, 253, 254, 255, 256, 257, 258, 259, 260) if n in sevenths]),
            ('OR BODY number5end FROM p6@x HEADER X-Odd even', [n + 1 for n in range(300) if n % 2 == 0 and (n == 5 or n % 7 == 6)]), ('HEADER X-None ""', []), ('BODY ""', list(range(1, 301)))]
    for _ in range(3):
        assert [(key, found(i, key)) for key, _ in keys] == keys
        time.sleep(0.2)
    i.ok('UID STORE 1:40,70:80 +FLAGS.SILENT (\\Deleted)')
    i.ok('UID EXPUNGE 1:40,70:80')
    left = [n for n in range(1, 301) if not (n <= 40 or 70 <= n <= 80)]
    for _ in range(2):
        for key, wanted in keys:
            if '1:10' not in key:
                assert found(i, key, 'UID SEARCH') == [n for n in wanted if n in left], key
        time.sleep(0.1)


def test_answers_are_the_same_after_a_restart(server, i):
    for n in range(270):
        assert i.append('INBOX', message('s%d' % (n % 10), 'p%d@x.example' % (n % 7), 'number%dend' % n)).startswith('OK')
    i.ok('SELECT INBOX')
    keys = ['BODY number200end', 'FROM p3@', 'SUBJECT s4', 'TEXT number26']
    before = [found(i, key) for key in keys] + [found(i, '(SUBJECT REVERSE ARRIVAL) UTF-8 ALL', 'SORT')]
    assert before[0] == [201] and len(before[4]) == 270
    server.stop()
    server.start()
    with server.imap(US) as again:
        again.ok('SELECT INBOX')
        assert [found(again, key) for key in keys] + [found(again, '(SUBJECT REVERSE ARRIVAL) UTF-8 ALL', 'SORT')] == before


def test_answers_stay_the_same_while_words_are_gathered_and_go(server, i):
    """From 4096 messages on their words are kept beside their texts (store/mailbox/words.h), and BODY is answered from these."""
    bodies = ['alpha%d beta%dgamma, %s' % (n, n % 5, 'cut-off ' + 'x' * 50 if n % 8 == 0 else 'étude%d' % (n % 3)) for n in range(64)]
    for n, body in enumerate(bodies):
        assert i.append('INBOX', message('alpha%d' % (n % 2), 'p@x.example', body)).startswith('OK')
    i.ok('SELECT INBOX')
    count = len(bodies)
    while count < 5120:
        step = min(count, 5120 - count)
        i.ok('COPY 1:%d INBOX' % step)
        i.ok('NOOP')
        count += step
    texts = {uid: bodies[(uid - 1) % 64] for uid in range(1, 5121)}
    subjects = {uid: 'alpha%d' % ((uid - 1) % 64 % 2) for uid in texts}

    def wanted(needle, is_text):
        return [uid for uid in texts if needle.lower() in texts[uid] or (is_text and needle.lower() in 'subject: ' + subjects[uid])]

    def compare(i):
        for needle in ('alpha17', 'ALPHA1', 'gamma', 'lpha6', 'beta3gamma, ét', 'Étude2', 'xxxxx', 'off xx', 'a4gamma', 'zeta', ', ', '7 b', 'ject: alpha1'):
            for key in ('BODY', 'TEXT'):
                assert found(i, '%s "%s"' % (key, needle), 'UID SEARCH CHARSET UTF-8') == wanted(needle, key == 'TEXT'), (key, needle)

    for _ in range(3):
        compare(i)
        time.sleep(0.5)
    server.stop()
    server.start()
    with server.imap(US) as again:
        again.ok('SELECT INBOX')
        for _ in range(2):
            compare(again)
            time.sleep(0.5)
        again.ok('UID STORE 1:4000,4100,4110:4200 +FLAGS.SILENT (\\Deleted)')
        again.ok('EXPUNGE')
        for uid in [*range(1, 4001), 4100, *range(4110, 4201)]:
            del texts[uid]
        compare(again)
        again.ok('UID STORE 4001:4095 +FLAGS.SILENT (\\Deleted)')
        again.ok('EXPUNGE')
        for uid in range(4001, 4096):
            del texts[uid]
        compare(again)


# ---- several mailboxes: RFC 7377 ----

def many(i, line):
    """By mailbox, what is behind the correlator."""
    result = {}
    for r in i.ok(line):
        m = re.match(r'\* ESEARCH \(TAG "[^"]*" MAILBOX ("[^"]*"|\S+) UIDVALIDITY (\d+)\) UID(?: (.*))?$', r.decode())
        if m:
            result[m[1].strip('"')] = m[3]
    return result


def test_several_mailboxes_are_searched(i):
    for name in ('folder1', 'folder2', 'folder2/banana', 'folder2/banana/deep', 'folder2/peach', 'odd &- name'):
        i.ok('CREATE "%s"' % name)
    for n, name in enumerate(['INBOX', 'folder1', 'folder2/banana', 'folder2/banana/deep', 'folder2/peach', 'odd &- name', 'Junk']):
        for k in range(n + 1):
            i.append(name, message('chad %d' % k), '' if k else '(\\Seen)')
    i.ok('UNSELECT') if i.command('SELECT INBOX').startswith('OK') else None
    assert many(i, 'ESEARCH IN (mailboxes "folder1" subtree "folder2") UNSEEN') == {'folder1': 'ALL 2', 'folder2/banana': 'ALL 2:3', 'folder2/banana/deep': 'ALL 2:4', 'folder2/peach': 'ALL 2:5'}
    assert many(i, 'ESEARCH IN (mailboxes "folder1" subtree-one "folder2") SUBJECT "chad 1"') == {'folder1': 'ALL 2', 'folder2/banana': 'ALL 2', 'folder2/peach': 'ALL 2'}
    assert many(i, 'ESEARCH IN (personal) RETURN (COUNT) SUBJECT chad') == {
        'INBOX': 'COUNT 1', 'folder1': 'COUNT 2', 'folder2/banana': 'COUNT 3', 'folder2/banana/deep': 'COUNT 4', 'folder2/peach': 'COUNT 5', 'odd &- name': 'COUNT 6', 'Junk': 'COUNT 7'}
    assert many(i, 'ESEARCH IN (inboxes) RETURN (MAX) ALL') == {'INBOX': 'MAX 1', 'Junk': 'MAX 7'}
    assert many(i, 'ESEARCH IN (subscribed) RETURN (MIN MAX) ALL') == {'INBOX': 'MIN 1 MAX 1', 'Junk': 'MIN 1 MAX 7'}
    assert many(i, 'ESEARCH IN (mailboxes (folder1 "odd &- name" none)) RETURN (PARTIAL -1:-2) ALL') == {'folder1': 'PARTIAL (-1:-2 1:2)', 'odd &- name': 'PARTIAL (-1:-2 5:6)'}
    assert many(i, 'ESEARCH IN (subtree folder2) UID *') == {'folder2/banana': 'ALL 3', 'folder2/banana/deep': 'ALL 4', 'folder2/peach': 'ALL 5'}
    assert many(i, 'ESEARCH IN (subtree folder2) 3:4') == {'folder2/banana': 'ALL 3', 'folder2/banana/deep': 'ALL 3:4', 'folder2/peach': 'ALL 3:4'}
    for line in ('ESEARCH ALL', 'ESEARCH IN (selected) ALL', 'ESEARCH IN (personal) RETURN (UPDATE) ALL'):
        i.bad(line)
    i.ok('SELECT folder1')
    assert many(i, 'ESEARCH UNSEEN') == {'folder1': 'ALL 2'} == many(i, 'ESEARCH IN (selected) RETURN (ALL) UNSEEN')
    assert many(i, 'ESEARCH IN (selected mailboxes INBOX) ALL') == {'folder1': 'ALL 1:2', 'INBOX': 'ALL 1'}
    assert many(i, 'ESEARCH RETURN (SAVE COUNT) UNSEEN') == {'folder1': 'COUNT 1'} and found(i, '$') == [2]
    assert many(i, 'ESEARCH DRAFT') == {}


def test_messages_that_come_after_others_have_gone_are_not_taken_for_them(i):
    """What is derived stands by the UID's place in its segment of 256, and in its block of 16: that of a message that has gone before its
    segment was whole, or before its block was, is no later one's."""
    i.ok('CREATE Many')
    fill(i, *[message('old', body='oldest') for _ in range(20)], mailbox='Many')
    for here in (20, 40, 80, 76):
        i.ok('COPY 1:%d Many' % min(here, 80))
        i.ok('NOOP')
    fill(i, *[message('old', body='oldest') for _ in range(20)])
    assert len(found(i, '(SUBJECT) UTF-8 ALL', 'SORT')) == 20
    i.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
    i.ok('EXPUNGE')
    for _ in range(3):
        i.ok('SELECT Many')
        lines = ['COPY 1:236 INBOX', 'SELECT INBOX', 'STORE 1:* +FLAGS.SILENT (\\Deleted)', 'EXPUNGE']
        i.send(''.join('x%d %s\r\n' % pair for pair in enumerate(lines)))
        i.result(b'x3')
        fill(i, *[message('new', body='newest') for _ in range(20)])
        count = len(i.ok('UID FETCH 1:* (UID)'))
        assert len(found(i, 'SUBJECT new')) == len(found(i, 'BODY newest')) == count == 20
        assert found(i, 'SUBJECT old') == found(i, 'BODY oldest') == []
        i.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
        i.ok('EXPUNGE')


def unread(pid):
    """Bytes that wait in the sockets of a process."""
    inodes = set()
    for fd in os.listdir('/proc/%d/fd' % pid):
        inodes.update(re.findall(r'socket:\[(\d+)\]', os.readlink('/proc/%d/fd/%s' % (pid, fd))))
    rows = [line.split() for line in subprocess.run(['ss', '-xan'], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()]
    return sum(int(row[2]) for row in rows if len(row) > 5 and row[5] in inodes)


def without_filter(server, i, line):
    """The numbers that a search finds while the filter does nothing; None if it waits for it."""
    (pid,) = [pid for role, pid in server.pids() if role == 'filter']
    os.kill(pid, signal.SIGSTOP)
    tag = i.send_command(line)
    is_answered = bool(until(lambda: select.select([i.socket], [], [], 0)[0] or unread(pid), 30) and select.select([i.socket], [], [], 0)[0])
    os.kill(pid, signal.SIGCONT)
    assert i.result(tag).startswith('OK')
    (row,) = i.untagged
    return [int(n) for n in row.split()[2:]] if is_answered else None


def test_a_filter_that_dies_leaves_no_hole_in_the_texts(make_server):
    server = make_server('dying', users=['u'])
    with server.imap(US) as i:
        fill(i, *[message('m%d' % n, body='needle%d hay' % n) for n in range(10)])
        (pid,) = [pid for role, pid in server.pids() if role == 'filter']
        os.kill(pid, signal.SIGSTOP)
        i.ok('COPY 1:10 INBOX')
        i.ok('NOOP')
        assert until(lambda: unread(pid)), 'the texts of the first block, which is full now, are asked for'
        server.killed.add(pid)
        os.kill(pid, signal.SIGKILL)
        server.wait_all_running()
        assert found(i, 'BODY needle3') == [4, 14] and found(i, 'BODY nowhere') == []
        assert until(lambda: without_filter(server, i, 'SEARCH 1:15 BODY needle3') == [4, 14])
        assert without_filter(server, i, 'SEARCH 1:15 BODY nowhere') == []
        assert found(i, 'BODY needle7') == [8, 18]
