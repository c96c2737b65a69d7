"""Quotas: of users and domains, in bytes and messages; what SMTP, LMTP and IMAP (RFC 9208) do with them; the warning."""
import email
import email.policy
import re

import pytest

from conftest import SMALL, US, until

KILO = b'Subject: k\r\n\r\n' + b'x' * 76 + b'\r\n' + (b'y' * 76 + b'\r\n') * 12


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(users=['v', 'w'])


@pytest.fixture(autouse=True)
def nothing_is_set(server):
    yield
    for line in server.must('quota', 'list').splitlines():
        server.command('quota', 'unset', re.sub('^@', '', line.split()[0]))


def quota(i, name='INBOX'):
    told = i.ok('GETQUOTAROOT ' + name)
    assert told[0] == b'* QUOTAROOT %s ""' % name.encode()
    return told[1]


# ---- IMAP ----

def test_what_adds_nothing_has_room_in_a_mailbox_that_is_over_full(server, i):
    """RFC 8508 §3.4: of REPLACE only the net consumption counts."""
    for _ in range(3):
        assert i.append('INBOX', KILO).startswith('OK')
    server.must('quota', 'set', US, '2k', '2')
    i.ok('SELECT INBOX')
    for message, answer in ((KILO, 'OK'), (KILO[:-78], 'OK'), (KILO * 2, 'NO [OVERQUOTA]')):
        tag = i.send_command('REPLACE 1 INBOX {%d+}' % len(message))
        i.send(message + b'\r\n')
        assert i.result(tag).startswith(answer)
    assert i.append('INBOX', SMALL).startswith('NO [OVERQUOTA]')


def test_without_a_quota(i):
    assert quota(i) == b'* QUOTA "" ()'
    i.no('GETQUOTAROOT nowhere')
    assert not i.untagged
    i.no('GETQUOTA other')
    assert '[NOPERM]' in i.no('SETQUOTA "" (STORAGE 100)')
    for bad in ('GETQUOTA', 'GETQUOTAROOT', 'SETQUOTA ""', 'SETQUOTA "" STORAGE 1', 'SETQUOTA "" (STORAGE)', 'SETQUOTA "" (STORAGE x)', 'GETQUOTA "" x'):
        i.bad(bad)


def test_append_and_copy_stop_at_the_quota(server, i):
    """RFC 9208 §4.3: OVERQUOTA; deleting makes room."""
    server.must('quota', 'set', US, '11k', '50')
    for _ in range(4):
        assert i.append('INBOX', KILO).startswith('OK')
    assert quota(i) == b'* QUOTA "" (STORAGE %d 11 MESSAGE 4 50)' % ((4 * len(KILO) + 1023) // 1024)
    assert i.append('Trash', KILO * 8).startswith('NO [OVERQUOTA]')
    i.ok('SELECT INBOX')
    i.ok('COPY 1:4 Trash')
    assert '[OVERQUOTA]' in i.no('COPY 1:3 Trash')
    i.ok('MOVE 1 Sent')
    """REPLACE needs no room but what it adds."""
    tag = i.send_command('REPLACE 1 INBOX {%d+}' % (len(KILO) * 2))
    i.send(KILO * 2 + b'\r\n')
    assert i.result(tag).startswith('OK')
    tag = i.send_command('REPLACE 1 INBOX {%d+}' % (len(KILO) * 3))
    i.send(KILO * 3 + b'\r\n')
    assert i.result(tag).startswith('NO [OVERQUOTA]')
    i.ok('STORE 1 +FLAGS (\\Deleted)')
    assert b'DELETED-STORAGE %d' % len(KILO) in i.ok('STATUS INBOX (DELETED-STORAGE)')[0]
    i.ok('EXPUNGE')
    i.ok('DELETE Trash')
    assert b'MESSAGE 3 50' in quota(i)
    assert i.append('INBOX', KILO * 4).startswith('OK')


def test_the_number_of_messages(server, i):
    server.must('quota', 'set', US, 'none', '50')
    for _ in range(44):
        i.append('Archive', SMALL)
    assert quota(i) == b'* QUOTA "" (MESSAGE 44 50)'
    i.ok('SELECT Archive')
    assert '[OVERQUOTA]' in i.no('COPY 1:7 Trash')
    i.ok('COPY 1:6 Trash')
    assert i.append('Archive', SMALL).startswith('NO [OVERQUOTA]')


def test_a_new_limit_holds_at_once_and_all_is_there_after_a_restart(server, i):
    i.append('INBOX', KILO)
    server.must('quota', 'set', US, '2k')
    assert i.append('INBOX', KILO).startswith('NO [OVERQUOTA]')
    i.ok('LOGOUT')
    server.stop()
    server.start()
    with server.imap(US) as again:
        assert quota(again).startswith(b'* QUOTA "" (STORAGE 2 2')
        assert again.append('INBOX', KILO).startswith('NO [OVERQUOTA]')
        server.must('quota', 'unset', US)
        assert again.append('INBOX', KILO).startswith('OK')


# ---- SMTP ----

def test_mail_for_a_full_mailbox_is_refused_at_rcpt(server, i):
    server.must('quota', 'set', US, '4k')
    with server.smtp() as s:
        assert s.command('MAIL FROM:<a@remote.example> SIZE=3000').code == 250
        assert s.command('RCPT TO:<%s>' % US).startswith('250')
        assert s.command('RSET').code == 250
        assert s.command('MAIL FROM:<a@remote.example> SIZE=30000').code == 250
        assert s.command('RCPT TO:<%s>' % US).startswith('452 4.2.2')
        assert s.command('RCPT TO:<v@example.test>').startswith('250')
        assert s.command('RSET').code == 250
        for _ in range(4):
            assert i.append('INBOX', SMALL).startswith('OK')
        server.must('quota', 'set', US, '1G', '4')
        assert s.command('MAIL FROM:<a@remote.example>').code == 250
        assert s.command('RCPT TO:<%s>' % US).startswith('452 4.2.2')


def test_what_was_accepted_is_kept_although_it_is_more(server, i):
    server.must('quota', 'set', US, '4k')
    with server.smtp() as s:
        assert s.command('MAIL FROM:<a@remote.example>').code == 250
        assert s.command('RCPT TO:<%s>' % US).code == 250
        assert s.data(KILO * 6).startswith('250')
    until(lambda: i.bodies())


# ---- domains ----

def test_a_domain_as_a_whole_and_each_of_its_users(server, i):
    server.must('quota', 'set', 'example.test', '6k')
    with server.imap('v@example.test') as v:
        assert v.append('INBOX', KILO * 3).startswith('OK')
        assert i.append('INBOX', KILO * 3).startswith('NO [OVERQUOTA]')
        with server.smtp() as s:
            assert s.command('MAIL FROM:<a@remote.example> SIZE=5000').code == 250
            assert s.command('RCPT TO:<w@example.test>').startswith('452 4.2.2')
        v.ok('SELECT INBOX')
        v.ok('STORE 1:* +FLAGS (\\Deleted)')
        v.ok('EXPUNGE')
    with server.smtp() as s:
        assert s.command('MAIL FROM:<a@remote.example> SIZE=5000').code == 250
        assert s.command('RCPT TO:<w@example.test>').startswith('250')
    server.must('quota', 'set', '*@example.test', '3k', '7')
    assert quota(i) == b'* QUOTA "" (STORAGE 0 3 MESSAGE 0 7)'
    server.must('quota', 'set', US, 'none')
    assert quota(i) == b'* QUOTA "" ()'


# ---- the administrator ----

def test_commands(server):
    server.must('quota', 'set', US, '1500M', '100')
    server.must('quota', 'set', 'example.test', '2T')
    server.must('quota', 'set', '*@example.test', '10G')
    assert server.must('quota', 'list').splitlines() == ['*@example.test 10G', '@example.test 2T', 'u@example.test 1.5G, 100 messages']
    assert re.match(r'u@example.test keeps \S+ in \d+ messages?; quota 1.5G, 100 messages \(0 % full\)$', server.must('quota', 'show', US).strip())
    assert 'quota 2T' in server.must('quota', 'show', 'example.test')
    assert server.must('quota', 'show', '*@example.test').strip() == '*@example.test 10G'
    for words, code in ((('set', US, 'much'), 64), (('set', US, '0'), 64), (('set', US, '1G', 'many'), 64), (('set', 'nobody@example.test', '1G'), 67), (('set', 'else.example', '1G'), 1),
                        (('set', US), 64), (('unset', 'v@example.test'), 1), (('set', US, '99999999T'), 64), (('show', 'a b'), 64)):
        done = server.command('quota', *words)
        assert done.returncode == code, (words, done)
        assert done.stdout or done.stderr
    server.add_user('gone')
    server.must('quota', 'set', 'gone@example.test', '1G')
    server.must('user', 'remove', 'gone@example.test')
    assert 'gone' not in server.must('quota', 'list')


def test_the_owner_is_warned_once_at_nine_tenths(server, i):
    server.must('quota', 'set', US, '20k')
    for _ in range(3):
        i.append('Archive', KILO * 6)
    until(lambda: i.bodies())
    warning = i.bodies()
    assert len(warning) == 1 and b'Subject: Your mailbox is nearly full' in warning[0] and US.encode() in warning[0]
    i.append('Archive', SMALL)
    i.ok('NOOP')
    assert len(i.bodies()) == 1
    """In his own language, after it was well below."""
    server.must('user', 'set', US, 'language', 'pt')
    i.ok('SELECT Archive')
    i.ok('STORE 1:* +FLAGS (\\Deleted)')
    i.ok('EXPUNGE')
    for _ in range(3):
        i.append('Archive', KILO * 6)
    until(lambda: len(i.bodies()) == 2)
    assert 'quase cheia' in email.message_from_bytes(i.bodies()[1], policy=email.policy.default)['Subject']


def test_the_setting_is_for_all(make_server):
    server = make_server('all', users=['u'], settings={'user_quota': '2k'})
    with server.imap(US) as i:
        assert quota(i) == b'* QUOTA "" (STORAGE 0 2)'
        assert i.append('INBOX', KILO * 3).startswith('NO [OVERQUOTA]')
        server.must('quota', 'set', US, 'none')
        assert i.append('INBOX', KILO * 3).startswith('OK')
