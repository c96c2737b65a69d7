"""SORT, THREAD and results that are followed: RFC 5256, 5957, 5267, 5255, and draft-ietf-morg-inthread."""
import email.utils
import imaplib
import re
import ssl

import pytest

import network
from conftest import PASSWORD, until, US
from test_imap_search import esearch, fill, found, message


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


def mail(subject='x', sender='a@x.example', to='t@x.example', cc='', date=0, ident='', references='', reply_to='', size=0):
    lines = ['Subject: ' + subject, 'From: ' + sender, 'To: ' + to]
    lines += ['Cc: ' + cc] if cc else []
    lines += ['Date: ' + (date if isinstance(date, str) else email.utils.formatdate(1700000000 + date))] if date is not None else []
    lines += ['Message-ID: <%s>' % ident] if ident else []
    lines += ['References: ' + ' '.join('<%s>' % r for r in references.split())] if references else []
    lines += ['In-Reply-To: <%s>' % reply_to] if reply_to else []
    return ('\r\n'.join(lines) + '\r\n\r\n' + 'x' * size + '\r\n').encode()


def order(i, keys, program='ALL', command='SORT'):
    return found(i, '(%s) UTF-8 %s' % (keys, program), command)


def threads(i, algorithm, program='ALL', command='THREAD'):
    responses = [r.decode() for r in i.ok('%s %s UTF-8 %s' % (command, algorithm, program)) if r.startswith(b'* THREAD')]
    assert len(responses) == 1, i.untagged
    return responses[0][len('* THREAD'):].strip()


# ---- SORT ----

def test_each_key_gives_its_order(i):
    fill(i, mail('Re: beta', 'Zed <amy@x.example>', 'Mia <z@x>', 'k@x', 30, size=50), mail('alpha', '"Bob" <zoe@x.example>', 'b@x', 'C <a@x>', 10, size=500),
         mail('[list] Beta (fwd)', 'mike@x.example', 'Anna <c@x>', '', 20, size=5))
    for keys, wanted in [('ARRIVAL', [1, 2, 3]), ('REVERSE ARRIVAL', [3, 2, 1]), ('CC', [3, 2, 1]), ('DATE', [2, 3, 1]), ('REVERSE DATE', [1, 3, 2]), ('FROM', [1, 3, 2]), ('SIZE', [3, 1, 2]),
                         ('SUBJECT', [2, 1, 3]), ('SUBJECT DATE', [2, 3, 1]), ('REVERSE SUBJECT', [1, 3, 2]), ('REVERSE SUBJECT REVERSE DATE', [1, 3, 2]), ('SUBJECT REVERSE SIZE', [2, 1, 3]),
                         ('TO', [2, 3, 1]), ('DISPLAYFROM', [2, 3, 1]), ('DISPLAYTO', [3, 2, 1]), ('REVERSE DISPLAYTO', [1, 2, 3])]:
        assert order(i, keys) == wanted, keys
    assert order(i, 'DATE', 'SUBJECT beta') == [3, 1] and order(i, 'DATE', 'DRAFT') == []
    assert order(i, 'REVERSE DATE', '1:2', 'UID SORT') == [1, 2]
    i.no('SORT (DATE) X-NONE ALL')


def test_dates_are_compared_in_utc_and_the_internal_date_stands_in(i):
    """RFC 5256 §2.2."""
    i.append('INBOX', mail(date=None), '', '01-Jan-2001 00:30:00 +0000')
    i.append('INBOX', mail(date='Mon, 1 Jan 2001 01:00:00 +0100'))
    i.append('INBOX', mail(date='31 Dec 2000 16:01:33 -0800'))
    i.append('INBOX', mail(date='not a date'), '', '31-Dec-2000 00:00:00 +0000')
    i.append('INBOX', mail(date='Mon, 1 Jan 2001 01:00:00 +0100'))
    i.ok('SELECT INBOX')
    assert order(i, 'DATE') == [4, 2, 5, 3, 1] and order(i, 'REVERSE DATE') == [1, 3, 2, 5, 4]


def test_subjects_are_sorted_as_people_read_them(i):
    """RFC 5255 §4: i;unicode-casemap, of what encoded words mean."""
    fill(i, *[mail(s) for s in ('b', '=?utf-8?q?=C3=A9?=', 'E', 'a_', 'aB', '=?utf-8?b?0YY=?=', '=?koi8-r?b?4Q==?=', 'f')])
    assert order(i, 'SUBJECT') == [5, 4, 1, 3, 2, 8, 7, 6]


def test_sort_tells_what_is_asked_for(i):
    """RFC 5267 §3: MIN and MAX are the first and the last; ranges only where numbers ascend."""
    fill(i, *[mail('s%d' % n, date=-n if n < 4 else n) for n in range(7)])
    assert esearch(i, 'SORT RETURN (MIN MAX COUNT ALL) (DATE) UTF-8 ALL') == 'MIN 4 MAX 7 COUNT 7 ALL 4,3,2,1,5:7'
    assert esearch(i, 'UID SORT RETURN (COUNT) (REVERSE DATE) UTF-8 2:3') == 'UID COUNT 2'
    assert esearch(i, 'SORT RETURN () (REVERSE DATE) UTF-8 2:3') == 'ALL 2:3'
    assert esearch(i, 'SORT RETURN (PARTIAL -1:-2) (DATE) UTF-8 ALL') == 'PARTIAL (-1:-2 6:7)'
    assert esearch(i, 'SORT RETURN (MIN) (DATE) UTF-8 DRAFT') == ''


# ---- THREAD ----

def test_threads_by_subject(i):
    """RFC 5256 §3, ORDEREDSUBJECT: parents by their dates, one level of children."""
    fill(i, mail('one', date=10), mail('two', date=5), mail('Re: one', date=20), mail('one', date=15), mail('Re: two', date=30), mail('three', date=7))
    assert threads(i, 'ORDEREDSUBJECT') == '(2 5)(6)(1 (4)(3))'
    assert threads(i, 'ORDEREDSUBJECT', 'DRAFT') == ''
    assert threads(i, 'ORDEREDSUBJECT', '2:5', 'UID THREAD') == '(2 5)(4 3)'


def test_threads_by_references(i):
    fill(i, mail('S', date=1, ident='a@x'), mail('Re: S', date=2, ident='b@x', references='a@x'), mail('Re: S', date=3, ident='c@x', references='a@x b@x'),
         mail('Re: S', date=4, ident='d@x', reply_to='a@x'), mail('T', date=5, ident='e@x', references='gone@x'), mail('U', date=6, ident='f@x', references='gone@x'),
         mail('Re: lonely', date=7, ident='g@x'), mail('lonely', date=8, ident='h@x'), mail('V', date=0, ident='i@x', references='j@x'), mail('V', date=9, ident='j@x', references='i@x'))
    assert threads(i, 'REFERENCES') == '(1 (2 3)(4))((5)(6))(8 7)(10 9)'
    assert threads(i, 'REFERENCES', '2:3') == '(2 3)'
    # the parent is not among those that are searched: the children stay together, one above the other only where there is one
    assert threads(i, 'REFERENCES', '2:4') == '((2 3)(4))'


def test_refs_come_by_the_newest_and_leave_subjects_alone(i):
    fill(i, mail('S', date=1, ident='a@x'), mail('S', date=5, ident='b@x'), mail('Re: S', date=9, ident='c@x', references='a@x'), mail('T', date=7, ident='d@x'))
    assert threads(i, 'REFS') == '(2)(4)(1 3)'
    assert threads(i, 'REFERENCES') == '((1 3)(2))(4)'


def test_quoted_ids_are_the_same(i):
    """RFC 5256 §3: <"a"@x> is <a@x>; what is no id is passed over."""
    fill(i, mail('S', date=1, ident='"01KF8JCEOCBS0045PS"@xxx.yyy.com'), mail('T', date=2, ident='b@x', reply_to='01KF8JCEOCBS0045PS@xxx.yyy.com'),
         mail('U', date=3, ident='no-at-sign'), mail('V', date=4, ident='d@x', references='no-at-sign'))
    assert threads(i, 'REFERENCES') == '(1 2)(3)(4)'


def test_long_threads_are_told_whole(i):
    """A chain of 600 replies, and a message with 600 answers."""
    for n in range(600):
        i.append('INBOX', mail('S', date=n, ident='c%d@x' % n, references='c%d@x' % (n - 1) if n else ''))
    i.ok('SELECT INBOX')
    assert threads(i, 'REFERENCES') == '(%s)' % ' '.join(str(n + 1) for n in range(600))
    i.ok('CREATE Wide')
    for n in range(300):
        i.append('Wide', mail('S', date=n, ident='w%d@x' % n, references='w0@x' if n else ''))
    i.ok('SELECT Wide')
    assert threads(i, 'REFS') == '(1 %s)' % ''.join('(%d)' % (n + 1) for n in range(1, 300))
    assert order(i, 'REVERSE DATE') == list(range(300, 0, -1))


# ---- results that are followed: RFC 5267 §4.3 ----

def follow(i, line):
    """The tag of a search that asks for updates."""
    tag = i.send_command(line)
    assert i.result(tag).startswith('OK'), i.untagged
    return tag.decode()


def told(i, count, line=None):
    """What `count` ESEARCH responses tell, with the command or with the last one and what follows it, and that nothing more comes then."""
    responses = list(i.ok(line) if line else i.untagged)
    until(lambda: sum(r.startswith(b'* ESEARCH') for r in responses) >= count or responses.extend(i.ok('NOOP')))
    responses += i.ok('NOOP')
    return [re.sub(r'^\* ESEARCH \(TAG ', '', r.decode()) for r in responses if r.startswith(b'* ESEARCH')]


def test_changes_of_a_result_are_told(server, i):
    fill(i, *[('(\\Flagged)' if n < 2 else '', message('m%d' % n)) for n in range(4)])
    tag = follow(i, 'SEARCH RETURN (UPDATE COUNT) FLAGGED')
    assert i.untagged == [b'* ESEARCH (TAG "%s") COUNT 2' % tag.encode()]
    uid_tag = follow(i, 'UID SEARCH RETURN (UPDATE ALL) NOT SUBJECT m1')
    assert i.untagged[0].endswith(b'UID ALL 1,3:4')
    # by this session, by another one, by a new message
    assert told(i, 1, 'STORE 4 +FLAGS (\\Flagged)') == ['"%s") ADDTO (0 4)' % tag]
    with server.imap(US, PASSWORD) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 1 -FLAGS (\\Flagged)')
    assert told(i, 1, 'NOOP') == ['"%s") REMOVEFROM (0 1)' % tag]
    i.append('INBOX', message('new'), '(\\Flagged)')
    assert sorted(told(i, 2)) == sorted(['"%s") ADDTO (0 5)' % tag, '"%s") UID ADDTO (0 5)' % uid_tag])
    # section 4.3.4: before the EXPUNGE
    i.ok('STORE 4 +FLAGS.SILENT (\\Deleted)')
    i.ok('EXPUNGE')
    lines = [r.decode() for r in i.untagged]
    assert lines.index('* ESEARCH (TAG "%s") REMOVEFROM (0 4)' % tag) < lines.index('* 4 EXPUNGE')
    assert '* ESEARCH (TAG "%s") UID REMOVEFROM (0 4)' % uid_tag in lines
    # a flag that makes no difference
    assert told(i, 0, 'STORE 1 +FLAGS (\\Answered)') == []
    i.ok('CANCELUPDATE "%s"' % uid_tag)
    i.append('INBOX', message('newer'), '(\\Flagged)')
    assert told(i, 1) == ['"%s") ADDTO (0 5)' % tag]
    i.ok('SELECT INBOX')
    i.append('INBOX', message('newest'), '(\\Flagged)')
    assert told(i, 0) == []


def test_changes_of_a_sorted_result_have_positions(i):
    fill(i, mail('b', date=10), mail('d', date=30), mail('f', date=50))
    tag = follow(i, 'UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNDELETED')
    assert i.untagged[0].endswith(b'UID ALL 1:3')
    i.append('INBOX', mail('e'))
    assert told(i, 1) == ['"%s") UID ADDTO (3 4)' % tag]
    i.append('INBOX', mail('a'))
    assert told(i, 1) == ['"%s") UID ADDTO (1 5)' % tag]
    i.append('INBOX', mail('aa'))
    assert told(i, 1) == ['"%s") UID ADDTO (2 6)' % tag]
    assert told(i, 1, 'UID STORE 2,5 +FLAGS.SILENT (\\Deleted)') == ['"%s") UID REMOVEFROM (4 2 1 5)' % tag]
    i.ok('UID STORE 6 +FLAGS.SILENT (\\Deleted)')
    assert told(i, 1) == ['"%s") UID REMOVEFROM (1 6)' % tag]
    assert told(i, 1, 'UID STORE 2 -FLAGS.SILENT (\\Deleted)') == ['"%s") UID ADDTO (2 2)' % tag]


def test_a_change_is_told_in_idle(server, i):
    """§4.3.2."""
    fill(i, message('one'))
    tag = follow(i, 'UID SEARCH RETURN (UPDATE) FLAGGED')
    idle = i.send_command('IDLE')
    assert i.response().startswith(b'+')
    with server.imap(US, PASSWORD) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 1 +FLAGS (\\Flagged)')
    seen = []
    while not seen or not seen[-1].startswith(b'* ESEARCH'):
        seen.append(i.response())
    assert seen[-1] == b'* ESEARCH (TAG "%s") UID ADDTO (0 1)' % tag.encode()
    i.send(b'DONE\r\n')
    assert i.result(idle).startswith('OK')


def test_tags_are_not_used_twice_and_contexts_are_bounded(i):
    fill(i, message())
    i.send(b'same SEARCH RETURN (UPDATE COUNT) ALL\r\n')
    assert i.result(b'same').startswith('OK')
    i.send(b'same SEARCH RETURN (UPDATE) FLAGGED\r\n')
    assert i.result(b'same').startswith('BAD')
    i.send(b'same SEARCH RETURN (COUNT) ALL\r\n')
    assert i.result(b'same').startswith('OK')
    for n in range(8):
        i.ok('SEARCH RETURN (UPDATE) %d' % 1)
    assert any(re.match(rb'\* NO \[NOUPDATE "[^"]+"\]', r) for r in i.untagged)
    i.ok('CANCELUPDATE "same" "none"')
    i.ok('SEARCH RETURN (UPDATE CONTEXT) ALL')
    assert not any(b'NOUPDATE' in r for r in i.untagged)


# ---- clients ----

def imaplib_of(server):
    with network.inside(server.netns):
        client = imaplib.IMAP4('127.0.0.1', server.ports['imap'])
        if 'STARTTLS' in client.capabilities:
            client.starttls(ssl._create_unverified_context())
    client.login(US, PASSWORD)
    return client


def test_pythons_client_sorts_and_threads(server, i):
    fill(i, mail('b', date=2, ident='a@x'), mail('a', date=1), mail('Re: b', date=3, ident='c@x', references='a@x'))
    with imaplib_of(server) as client:
        client.select('INBOX')
        assert client.sort('(SUBJECT)', 'UTF-8', 'ALL') == ('OK', [b'2 1 3'])
        assert client.uid('SORT', '(REVERSE DATE)', 'UTF-8', 'ALL') == ('OK', [b'3 1 2'])
        assert client.thread('REFERENCES', 'UTF-8', 'ALL') == ('OK', [b'(2)(1 3)'])


def test_capabilities_name_what_there_is(i):
    there = set(i.ok('CAPABILITY')[0].split())
    assert {b'ESEARCH', b'SEARCHRES', b'WITHIN', b'SORT', b'SORT=DISPLAY', b'THREAD=ORDEREDSUBJECT', b'THREAD=REFERENCES', b'THREAD=REFS', b'ESORT', b'CONTEXT=SEARCH', b'CONTEXT=SORT',
            b'SEARCH=FUZZY', b'MULTISEARCH', b'I18NLEVEL=1', b'PARTIAL'} <= there
