"""Mailboxes of other users: ACL (RFC 4314), LIST-MYRIGHTS (RFC 8440), NAMESPACE (RFC 2342), and what each reader has seen."""
import re

import pytest

from conftest import SMALL, US

ANN = 'Other Users/u@example.test'
ALL = 'lrswipkxteacd'


@pytest.fixture(scope='module')
def server(make_server):
    server = make_server(users=['bob', 'eve'])
    server.must('domain', 'add', 'far.test')
    server.must('user', 'add', 'far@far.test', stdin='correct horse\n')
    return server


@pytest.fixture
def bob(server, i):
    with server.imap('bob@example.test') as session:
        yield session


@pytest.fixture
def eve(server, i):
    with server.imap('eve@example.test') as session:
        yield session


def share(i, rights, mailbox='INBOX', who='bob@example.test'):
    i.ok('SETACL "%s" %s %s' % (mailbox, who, rights))


def inbox(name='INBOX'):
    return '"%s/%s"' % (ANN, name)


def names(session, pattern='*', options=''):
    return {m[1].decode() for r in session.ok('LIST "" "%s"%s' % (pattern, options)) if (m := re.match(rb'\* LIST \([^)]*\) "/" "?([^"\r]*)"?', r))}


def rows_of_shares(server):
    """How often the directory was told, in what its store's log has, that somebody may find somebody's mailboxes, or no more."""
    return sum(path.read_bytes().count(b'dir\0\1g') for path in (server.data / 'store').glob('*.log'))


def flags(session, uid=1):
    return set(re.search(rb'FLAGS \(([^)]*)\)', b''.join(session.ok('UID FETCH %d FLAGS' % uid)))[1].decode().split()) - {'\\Recent'}


def test_namespaces_are_told(i):
    assert i.ok('NAMESPACE') == [b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))']
    told = b' '.join(i.ok('CAPABILITY')).split()
    assert {b'ACL', b'RIGHTS=kxte', b'LIST-MYRIGHTS'} <= set(told)
    for name in ('Other Users', 'Other Users/x', 'Shared Folders/a@b/c'):
        assert i.no('CREATE "%s"' % name)


def test_rights_are_set_changed_and_told(i):
    """RFC 4314 §3.1 to §3.8: the conversations of its examples, in our letters' order."""
    i.ok('CREATE INBOX/Drafts')
    i.ok('SETACL INBOX/Drafts bob@example.test lrswida')
    assert i.ok('GETACL INBOX/Drafts') == [b'* ACL INBOX/Drafts u@example.test lrswipkxteacd bob@example.test lrswitead']
    i.ok('SETACL INBOX/Drafts bob@example.test lrswi')
    i.ok('SETACL INBOX/Drafts BOB@Example.test +cda')
    assert i.ok('GETACL INBOX/Drafts') == [b'* ACL INBOX/Drafts u@example.test lrswipkxteacd bob@example.test lrswikxteacd']
    i.ok('SETACL INBOX/Drafts bob@example.test -switeakx')
    i.ok('SETACL INBOX/Drafts "-bob@example.test" r')
    i.ok('SETACL INBOX/Drafts anyone ""')
    assert i.ok('GETACL INBOX/Drafts') == [b'* ACL INBOX/Drafts u@example.test lrswipkxteacd bob@example.test lr -bob@example.test r anyone ""']
    i.ok('DELETEACL INBOX/Drafts bob@example.test')
    assert i.ok('GETACL INBOX/Drafts') == [b'* ACL INBOX/Drafts u@example.test lrswipkxteacd -bob@example.test r anyone ""']
    assert i.ok('MYRIGHTS INBOX/Drafts') == [b'* MYRIGHTS INBOX/Drafts lrswipkxteacd']
    assert i.ok('LISTRIGHTS INBOX/Drafts bob@example.test') == [b'* LISTRIGHTS INBOX/Drafts bob@example.test "" l r s w i p k x t e a c d']
    assert i.ok('LISTRIGHTS INBOX/Drafts u@example.test') == [b'* LISTRIGHTS INBOX/Drafts u@example.test lrswipkxteacd']


@pytest.mark.parametrize('command', [
    'SETACL INBOX bob@example.test lrQswicda', 'SETACL INBOX bob@example.test lrqswicda', 'SETACL INBOX bob@example.test', 'SETACL INBOX',
    'SETACL INBOX "" lr', 'SETACL INBOX bob@example.test lr x', 'DELETEACL INBOX', 'DELETEACL INBOX ""', 'GETACL', 'GETACL INBOX x', 'MYRIGHTS', 'LISTRIGHTS INBOX',
    'LISTRIGHTS INBOX a b', 'SETACL INBOX {3+}\r\na\x01b lr'])
def test_what_is_none_of_these_is_bad(i, command):
    i.bad(command)


def test_who_may_not_give_rights_tells_nobody_of_the_mailbox(server, i, bob):
    share(i, 'lr')
    i.append('INBOX', SMALL)  # what was submitted before is written before: nobody waits for rows that go
    before = rows_of_shares(server)
    assert before
    assert '[NOPERM]' in bob.no('SETACL %s eve@example.test lr' % inbox())
    assert '[NONEXISTENT]' in i.no('SETACL Nothing eve@example.test lr')
    assert rows_of_shares(server) == before
    i.ok('DELETEACL INBOX bob@example.test')
    i.append('INBOX', SMALL)
    assert rows_of_shares(server) == before + 1
    assert '[NONEXISTENT]' in bob.no('SETACL %s eve@example.test lr' % inbox())


def test_nobody_and_the_owner_get_no_entry(i):
    assert '[CANNOT]' in i.no('SETACL INBOX nobody@example.test lr')
    assert '[CANNOT]' in i.no('SETACL INBOX bob@elsewhere.example lr')
    assert '[NOPERM]' in i.no('SETACL INBOX u@example.test lr')
    assert '[NONEXISTENT]' in i.no('SETACL Nothing bob@example.test lr')
    assert i.ok('GETACL INBOX') == [b'* ACL INBOX u@example.test lrswipkxteacd']


def test_a_mailbox_is_listed_for_those_who_may_look_it_up(i, bob, eve):
    i.ok('CREATE Work/Plans')
    assert not any(name.startswith('Other') for name in names(bob))
    share(i, 'lr', 'Work/Plans')
    assert {ANN + '/Work/Plans'} == {name for name in names(bob) if ANN in name and not name.endswith('Work')} - {ANN}
    assert names(bob, 'Other Users/%/%') == {ANN + '/Work'}
    assert names(bob, '%') >= {'INBOX', 'Other Users'}
    assert names(bob, 'Work/%') == set() and names(eve, 'Other*') == set()
    listed = bob.ok('LIST "" "%s/Work*"' % ANN)
    assert b'\\Noselect' in listed[0] and b'\\HasNoChildren' in listed[1]
    share(i, '-l', 'Work/Plans')
    assert names(bob, 'Other*') == set()
    bob.ok('EXAMINE %s' % inbox('Work/Plans'))
    i.ok('DELETEACL Work/Plans bob@example.test')
    assert '[NONEXISTENT]' in bob.no('SELECT %s' % inbox('Work/Plans'))


def test_what_is_hidden_looks_like_what_is_not_there(i, bob):
    """RFC 4314 §6."""
    share(i, 'lr')
    for name in (inbox('Sent'), inbox('None'), inbox(''), '"%s"' % ANN, '"Other Users/nobody@example.test/INBOX"', '"Other Users/eve@example.test/INBOX"',
                 '"Other Users/bob@example.test/INBOX"', '"Shared Folders/u@example.test/INBOX"', '"Other Users/u/INBOX"'):
        for command in ('SELECT %s', 'STATUS %s (MESSAGES)', 'MYRIGHTS %s', 'GETACL %s', 'DELETE %s', 'GETQUOTAROOT %s', 'LISTRIGHTS %s eve@example.test',
                        'SETACL %s eve@example.test lr', 'GETMETADATA %s /shared/comment', 'RENAME %s ' + inbox('x')):
            if '"%s"' % ANN == name and 'METADATA' in command:
                continue  # of no mailbox: nothing is told
            assert '[NONEXISTENT]' in bob.no(command % name), command % name
        assert '[TRYCREATE]' in bob.append(name[1:-1], SMALL)


@pytest.mark.parametrize('right, commands', [
    ('r', ['SELECT %s', 'EXAMINE %s', 'STATUS %s (MESSAGES)', 'GETQUOTAROOT %s']),
    ('a', ['GETACL %s', 'SETACL %s eve@example.test lr', 'DELETEACL %s eve@example.test', 'LISTRIGHTS %s eve@example.test']),
    ('x', ['DELETE %s']), ('k', ['CREATE %s']), ('i', [])])
def test_each_command_needs_its_right(i, bob, right, commands):
    """RFC 4314 §4."""
    for command in commands:
        i.ok('CREATE There')
        name = inbox('There/Below' if right == 'k' else 'There')
        share(i, ALL.replace(right, '').replace('c', '').replace('d', ''), 'There')
        assert '[NOPERM]' in bob.no(command % name), command
        share(i, 'l' + right, 'There')
        bob.ok(command % name)
        bob.command('UNSELECT')
        i.command('DELETE There/Below')
        i.command('DELETE There')
    if right == 'i':
        share(i, 'lrswkxtea')
        assert '[NOPERM]' in bob.append(inbox()[1:-1], SMALL)
        i.append('INBOX', SMALL)
        bob.ok('SELECT %s' % inbox())
        assert '[NOPERM]' in bob.no('COPY 1 %s' % inbox())
        share(i, 'li')
        assert 'OK' in bob.append(inbox()[1:-1], SMALL)


def test_names_that_are_taken_by_what_is_hidden(i, bob):
    """CREATE and RENAME do not say what is in the way."""
    for name in ('Team', 'Team/Hidden', 'Team/Hidden/Child', 'Team/Gone/Child', 'Team/Seen', 'Secret', 'Mine'):
        i.ok('CREATE %s' % name)
    i.ok('DELETE Team/Gone')
    share(i, 'lrk', 'Team')
    share(i, 'l', 'Team/Seen')
    share(i, 'lx', 'Mine')
    def said(command):
        return re.search(r'\[(\w+)\]', bob.no(command))[1]
    for name, code in (('Team/Hidden', 'NOPERM'), ('Team/Hidden/Child', 'NOPERM'), ('Team/Hidden/None', 'NOPERM'), ('Team/Seen', 'ALREADYEXISTS'), ('Secret/x', 'NOPERM'),
                       ('Secret', 'NOPERM'), ('None/x', 'NOPERM'), ('None', 'NOPERM'), ('Team/Seen/x', 'NOPERM')):
        assert said('CREATE %s' % inbox(name)) == code, name
        assert said('RENAME %s %s' % (inbox('Mine'), inbox(name))) == code, name
    assert said('RENAME %s %s' % (inbox('Mine'), inbox('Team/Gone'))) == 'NOPERM'
    assert '[ALREADYEXISTS]' in i.no('CREATE Team/Hidden') and '[ALREADYEXISTS]' in i.no('RENAME Mine Team/Gone')
    """What lies below goes along, and keeps its rights."""
    i.ok('CREATE Mine/Below')
    i.ok('DELETEACL Mine/Below bob@example.test')
    bob.ok('RENAME %s %s' % (inbox('Mine'), inbox('Team/Yours')))
    assert {'Team/Yours', 'Team/Yours/Below'} <= names(i) and 'Mine/Below' not in names(i)
    assert ANN + '/Team/Yours' in names(bob, 'Other*') and ANN + '/Team/Yours/Below' not in names(bob, 'Other*')


def test_a_reader_s_seen_is_his_own(server, i, bob, eve):
    for _ in range(3):
        i.append('INBOX', SMALL, flags='(\\Seen \\Flagged)')
    share(i, 'lrs')
    share(i, 'lr', who='eve@example.test')
    told = bob.ok('SELECT %s' % inbox())
    assert b'* OK [UNSEEN 1] First unseen' in told and any(b'PERMANENTFLAGS (\\Seen)' in r for r in told)
    assert b'UNSEEN 3' in bob.ok('STATUS %s (UNSEEN)' % inbox())[0]
    assert flags(bob) == {'\\Flagged'}
    bob.ok('FETCH 1 BODY[]')
    bob.ok('STORE 2 +FLAGS (\\Seen)')
    assert flags(bob) == {'\\Flagged', '\\Seen'} and flags(bob, 3) == {'\\Flagged'}
    assert b'UNSEEN 1' in bob.ok('STATUS %s (UNSEEN)' % inbox())[0]
    assert bob.ok('UID SEARCH UNSEEN') == [b'* SEARCH 3'] and bob.ok('UID SEARCH SEEN') == [b'* SEARCH 1 2']
    eve.ok('SELECT %s' % inbox())
    eve.ok('FETCH 1 BODY[]')  # without "s" it sets nothing
    assert flags(eve) == {'\\Flagged'}
    assert '[NOPERM]' in eve.no('STORE 1 +FLAGS (\\Seen)')
    i.ok('SELECT INBOX')
    i.ok('STORE 1 -FLAGS (\\Seen)')
    assert flags(i) == {'\\Flagged'} and flags(bob) == {'\\Flagged', '\\Seen'}
    for session in (i, bob, eve):
        session.ok('LOGOUT')
    server.stop()
    server.start()
    with server.imap('bob@example.test') as again, server.imap(US) as owner:
        assert b'UNSEEN 1' in again.ok('STATUS %s (UNSEEN)' % inbox())[0]
        again.ok('SELECT %s' % inbox())
        assert [flags(again, uid) for uid in (1, 2, 3)] == [{'\\Flagged', '\\Seen'}, {'\\Flagged', '\\Seen'}, {'\\Flagged'}]
        owner.ok('SELECT INBOX')
        owner.ok('STORE 1 +FLAGS (\\Deleted)')
        owner.ok('EXPUNGE')
        assert b'UNSEEN 1' in again.ok('STATUS %s (UNSEEN)' % inbox())[0]
        again.ok('STORE 1 -FLAGS (\\Seen)')
        assert b'UNSEEN 2' in again.ok('STATUS %s (UNSEEN)' % inbox())[0]


def test_what_a_reader_has_seen_is_told_to_his_sessions_alone(server, i, bob, eve):
    """RFC 7162 §3.2, example 14."""
    for _ in range(2):
        i.append('INBOX', SMALL)
    share(i, 'lrsw')
    share(i, 'lrs', who='eve@example.test')
    with server.imap('bob@example.test') as again, server.imap(US) as watcher:
        watcher.ok('NOTIFY SET (PERSONAL (MessageNew MessageExpunge FlagChange))')
        for session, name in ((i, 'INBOX'), (bob, inbox()), (eve, inbox()), (again, inbox())):
            session.ok('SELECT %s (CONDSTORE)' % name)
        bob.ok('STORE 1 +FLAGS.SILENT (\\Seen)')
        told = again.ok('NOOP')
        assert len(told) == 1 and re.match(rb'\* 1 FETCH \(.*\\Seen', told[0]) and b'MODSEQ' in told[0], told
        assert i.ok('NOOP') == [] and eve.ok('NOOP') == [] and watcher.ok('NOOP') == []
        """The owner's own is nobody else's either; and what is everybody's is told, also where something private has come behind it."""
        i.ok('STORE 2 +FLAGS.SILENT (\\Seen)')
        assert bob.ok('NOOP') == [] and eve.ok('NOOP') == []
        bob.ok('STORE 2 +FLAGS.SILENT (\\Flagged)')
        bob.ok('STORE 2 +FLAGS.SILENT (\\Seen)')
        assert b'\\Flagged' in eve.ok('NOOP')[0] and b'\\Flagged' in i.ok('NOOP')[0] and b'\\Flagged' in again.ok('NOOP')[0]
        bob.ok('STORE 1 FLAGS.SILENT (\\Seen \\Flagged)')
        assert b'\\Flagged' in eve.ok('NOOP')[0] and b'\\Flagged' in i.ok('NOOP')[0]
        assert any(b'* STATUS INBOX' in r for r in watcher.ok('NOOP'))


def test_flags_are_changed_as_far_as_the_rights_go(i, bob):
    """RFC 4314 §4, STORE."""
    i.append('INBOX', SMALL, flags='(\\Flagged $Keyword)')
    share(i, 'lrt')
    assert '[READ-WRITE]' in bob.command('SELECT %s' % inbox())
    bob.ok('STORE 1 FLAGS (\\Deleted \\Answered)')
    assert flags(bob) == {'\\Deleted', '\\Flagged', '$Keyword'}
    assert '[NOPERM]' in bob.no('STORE 1 +FLAGS (\\Answered)') and '[NOPERM]' in bob.no('STORE 1 +FLAGS (\\Seen)')
    assert '[NOPERM]' in bob.no('EXPUNGE')
    bob.ok('CLOSE')  # leaves what it may not expunge
    share(i, 'lrw')
    bob.ok('SELECT %s' % inbox())
    bob.ok('STORE 1 FLAGS ($Other)')
    assert flags(bob) == {'\\Deleted', '$Other'}
    share(i, 'lre')
    assert bob.ok('EXPUNGE') == [b'* 1 EXPUNGE']
    share(i, 'lrs')
    assert '[READ-ONLY]' in bob.command('SELECT %s' % inbox())


def test_append_and_copy_keep_the_flags_that_may_be_set(i, bob):
    """RFC 4314 §4: its example."""
    share(i, 'rwisl')
    bob.append('Drafts', SMALL, flags='(\\Draft \\Deleted)')
    bob.append('Drafts', SMALL, flags='(\\Answered)')
    bob.append('Drafts', SMALL, flags='($Forwarded \\Seen)')
    bob.ok('SELECT Drafts')
    assert re.search(rb'\[COPYUID \d+ 1:3 1:3\]', bob.command('COPY 1:3 %s' % inbox()).encode())
    bob.ok('SELECT %s' % inbox())
    assert [flags(bob, uid) for uid in (1, 2, 3)] == [{'\\Draft'}, {'\\Answered'}, {'$Forwarded', '\\Seen'}]
    i.ok('SELECT INBOX')
    assert flags(i, 3) == {'$Forwarded'}
    share(i, 'lrsti')
    bob.ok('SELECT Drafts')
    bob.ok('COPY 1:3 %s' % inbox())
    bob.append(inbox()[1:-1], SMALL, flags='(\\Seen \\Flagged)')
    bob.ok('SELECT %s' % inbox())
    assert [flags(bob, uid) for uid in (4, 5, 6, 7)] == [{'\\Deleted'}, set(), {'\\Seen'}, {'\\Seen'}]
    bob.ok('SELECT Drafts')
    bob.ok('STORE 1:* +FLAGS (\\Deleted)')
    bob.ok('EXPUNGE')


def test_mail_goes_from_one_account_to_another_and_stays_whole(server, i, bob):
    large = b'Subject: large\r\n\r\n' + b''.join(b'%072d\r\n' % n for n in range(4000))
    share(i, 'lrswite')
    for message in (SMALL, large):
        i.append('INBOX', message)
    bob.ok('SELECT %s' % inbox())
    assert '[COPYUID' in bob.command('COPY 2 Archive')
    moved = bob.ok('MOVE 1:2 INBOX')
    assert re.match(rb'\* OK \[COPYUID \d+ 1:2 1:2\]', moved[0]) and moved[1:] == [b'* 2 EXPUNGE', b'* 1 EXPUNGE']
    assert b'MESSAGES 0' in i.ok('STATUS INBOX (MESSAGES)')[0]
    assert bob.bodies('INBOX') == [SMALL, large] and bob.bodies('Archive') == [large]
    bob.ok('SELECT Archive')
    bob.ok('MOVE 1 %s' % inbox())  # and back: it is named twice by bob, and again by its first owner
    server.must('verify')
    assert i.bodies('INBOX') == [large]
    i.ok('SELECT INBOX')
    i.ok('STORE 1 +FLAGS (\\Deleted)')
    i.ok('EXPUNGE')
    assert bob.bodies('INBOX') == [SMALL, large]
    server.must('verify')
    bob.ok('SELECT INBOX')
    bob.ok('STORE 1:* +FLAGS (\\Deleted)')
    bob.ok('EXPUNGE')


def test_a_move_needs_what_store_and_expunge_need(i, bob):
    """RFC 6851 §4.2."""
    i.append('INBOX', SMALL)
    for rights in ('lrsw', 'lrt', 'lre'):
        share(i, rights)
        bob.ok('SELECT %s' % inbox())
        assert '[NOPERM]' in bob.no('MOVE 1 Archive')
    assert b'MESSAGES 1' in i.ok('STATUS INBOX (MESSAGES)')[0]


def test_a_right_that_is_taken_away_ends_a_fetch_that_runs(server, i, bob):
    """Of an answer that the reader has not read yet no more is made."""
    assert i.append('INBOX', b'Subject: large\r\n\r\n' + b'large text\r\n' * 5000).startswith('OK')
    i.ok('SELECT INBOX')
    for step in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        i.ok('COPY 1:%d INBOX' % step)
        i.ok('NOOP')
    share(i, 'lr')
    bob.ok('EXAMINE ' + inbox())
    tag = bob.send_command('FETCH 1:* (BODY.PEEK[])')
    assert b'FETCH (BODY[] {' in bob.line()  # it has begun
    i.ok('DELETEACL INBOX bob@example.test')
    bob.buffer = b'* 1 FETCH (BODY[] {60018}\r\n' + bob.buffer
    try:
        answer = bob.result(tag)
    except (EOFError, ConnectionResetError):  # in the middle of a message there is no place for a NO
        return
    assert answer.startswith('NO') and len(bob.untagged) < 512


def test_new_mailboxes_inherit(i, bob):
    i.ok('CREATE Team')
    share(i, 'lrk', 'Team')
    i.ok('CREATE Team/One')
    bob.ok('CREATE %s' % inbox('Team/Two/Deep'))
    for name in ('Team/One', 'Team/Two', 'Team/Two/Deep'):
        assert bob.ok('MYRIGHTS %s' % inbox(name)) == [('* MYRIGHTS "%s/%s" lrkc' % (ANN, name)).encode()]
    assert '[NOPERM]' in bob.no('CREATE %s' % inbox('Beside'))
    assert '[CANNOT]' in bob.no('RENAME %s Mine' % inbox('Team/One'))
    assert '[NOPERM]' in bob.no('RENAME %s %s' % (inbox('Team/One'), inbox('Team/Three')))
    share(i, '+x', 'Team/One')
    bob.ok('RENAME %s %s' % (inbox('Team/One'), inbox('Team/Three')))
    assert '[NOPERM]' in bob.no('RENAME %s %s' % (inbox('Team/Three'), inbox('Three')))
    assert bob.ok('MYRIGHTS %s' % inbox('Team/Three')) == [('* MYRIGHTS "%s/Team/Three" lrkxcd' % ANN).replace('cd', 'c').encode()]


def test_list_tells_rights_status_and_subscriptions(i, bob):
    """RFC 8440 §4, RFC 5819, RFC 5258."""
    i.ok('CREATE Locked')
    i.append('INBOX', SMALL)
    share(i, 'lrs')
    share(i, 'l', 'Locked')
    told = bob.ok('LIST "" "%s/*" RETURN (MYRIGHTS STATUS (MESSAGES UNSEEN))' % ANN)
    assert ('* MYRIGHTS "%s/INBOX" lrs' % ANN).encode() in told and ('* MYRIGHTS "%s/Locked" l' % ANN).encode() in told
    assert [r for r in told if b'STATUS' in r] == [('* STATUS "%s/INBOX" (MESSAGES 1 UNSEEN 1)' % ANN).encode()]
    assert b'* MYRIGHTS INBOX lrswipkxteacd' in bob.ok('LIST "" % RETURN (MYRIGHTS)')
    bob.ok('SUBSCRIBE %s' % inbox())
    assert bob.ok('LIST (SUBSCRIBED) "" "Other*"') == [('* LIST (\\HasNoChildren \\Subscribed) "/" "%s/INBOX"' % ANN).encode()]
    assert bob.ok('LSUB "" "Other*"') == [('* LSUB () "/" "%s/INBOX"' % ANN).encode()]
    i.ok('DELETEACL INBOX bob@example.test')
    assert bob.ok('LIST (SUBSCRIBED) "" "Other*"') == [('* LIST (\\HasNoChildren \\NonExistent \\Subscribed) "/" "%s/INBOX"' % ANN).encode()]
    bob.ok('UNSUBSCRIBE %s' % inbox())
    assert bob.ok('LSUB "" "Other*"') == []


def test_anyone_is_the_domain(server, i, bob, eve):
    share(i, 'lr', who='anyone')
    share(i, 'l', who='"-eve@example.test"')
    bob.ok('EXAMINE %s' % inbox())
    assert bob.ok('MYRIGHTS %s' % inbox()) == [('* MYRIGHTS "%s/INBOX" lr' % ANN).encode()]
    assert eve.ok('MYRIGHTS %s' % inbox()) == [('* MYRIGHTS "%s/INBOX" r' % ANN).encode()]
    with server.imap('far@far.test') as far:
        assert names(far, 'Other*') == set()
        assert '[NONEXISTENT]' in far.no('EXAMINE %s' % inbox())
        share(i, 'lr', who='far@far.test')
        far.ok('EXAMINE %s' % inbox())


def test_an_entry_means_whom_it_meant(server, i):
    """Whoever gets a former user's address gets none of his rights."""
    server.add_user('gone')
    share(i, 'lrswi', who='gone@example.test')
    server.must('user', 'remove', 'gone@example.test')
    server.add_user('gone')
    with server.imap('gone@example.test') as heir:
        assert names(heir, 'Other*') == set() and '[NONEXISTENT]' in heir.no('SELECT %s' % inbox())
        share(i, '+l', who='gone@example.test')
        assert heir.ok('MYRIGHTS %s' % inbox()) == [('* MYRIGHTS "%s/INBOX" l' % ANN).encode()]
    server.must('user', 'remove', 'gone@example.test')
    i.ok('DELETEACL INBOX gone@example.test')
    assert i.ok('GETACL INBOX') == [b'* ACL INBOX u@example.test lrswipkxteacd']


def test_what_one_changes_the_other_hears(i, bob):
    share(i, 'lrswite')
    bob.ok('SELECT %s' % inbox())
    bob.send_command('IDLE')
    assert bob.line().startswith(b'+')
    i.append('INBOX', SMALL)
    assert bob.line() == b'* 1 EXISTS'
    i.ok('SELECT INBOX')
    i.ok('STORE 1 +FLAGS (\\Flagged)')
    while b'\\Flagged' not in (line := bob.line()):
        assert line in (b'* 1 RECENT', b'* 0 RECENT'), line
    i.ok('DELETEACL INBOX bob@example.test')
    bob.send(b'DONE\r\n')
    bob.response()
    assert 'OK' not in bob.command('FETCH 1 BODY[]').split()[1:2]


def test_what_a_mailbox_is_for_its_owner_says(i, bob):
    i.ok('CREATE Team')
    share(i, 'lrk', 'Team')
    assert '[NOPERM]' in bob.no('CREATE %s (USE (\\Archive))' % inbox('Team/x'))
    i.ok('CREATE Hidden')
    for name in ('Hidden', 'None'):
        assert '[NONEXISTENT]' in bob.no('SETMETADATA %s (/shared/comment "x")' % inbox(name)), name


def test_annotations_of_others(i, bob):
    """RFC 5464 §3.3: what is private is each reader's own."""
    share(i, 'lr')
    i.ok('SETMETADATA INBOX (/private/comment "ann\'s" /shared/comment "for all")')
    assert bob.ok('GETMETADATA %s (/private/comment /shared/comment)' % inbox()) == [('* METADATA "%s/INBOX" (/shared/comment "for all")' % ANN).encode()]
    bob.ok('SETMETADATA %s (/private/comment "bob\'s")' % inbox())
    assert '[NOPERM]' in bob.no('SETMETADATA %s (/shared/comment "no")' % inbox())
    assert b'"bob\'s"' in bob.ok('GETMETADATA %s /private/comment' % inbox())[0]
    assert b'"ann\'s"' in i.ok('GETMETADATA INBOX (DEPTH infinity) /private')[0] and b'bob' not in i.ok('GETMETADATA INBOX (DEPTH infinity) /private')[0]
    assert b'"bob\'s"' in b''.join(bob.ok('LIST "" "%s/*" RETURN (METADATA (/private/comment))' % ANN))


def test_nobody_uses_up_another_s_annotations(server, i, bob, eve):
    def fill(session, name, kind):
        """How many may be set."""
        for n in range(300):
            answer = session.command('SETMETADATA %s (%s "x")' % (name, '/%s/vendor/x/n%d' % (kind, n)))
            if 'OK' not in answer.split()[0:2]:
                assert '[METADATA TOOMANY]' in answer
                return n
        return 300
    share(i, 'lrw')
    share(i, 'lr', who='eve@example.test')
    with server.imap(US) as watcher:
        watcher.ok('NOTIFY SET (PERSONAL (MailboxMetadataChange))')
        assert fill(bob, inbox(), 'private') == 50
        assert watcher.ok('NOOP') == []
    assert fill(eve, inbox(), 'private') == 50
    assert fill(bob, inbox(), 'shared') == 200
    assert fill(i, 'INBOX', 'private') == 200
    assert len(i.ok('GETMETADATA (DEPTH infinity) INBOX (/private /shared)')[0].split(b'/vendor/x/n')) == 401


def test_several_accounts_in_one_session(server, i, bob, eve):
    """Searches (RFC 7377), REPLACE and the like go where their mailboxes are."""
    i.append('INBOX', b'Subject: needle\r\n\r\nx\r\n')
    bob.append('Archive', b'Subject: needle\r\n\r\ny\r\n')
    share(i, 'lrswite')
    bob.ok('SELECT %s' % inbox())
    found = bob.ok('ESEARCH IN (mailboxes ("Archive" %s)) SUBJECT needle' % inbox())
    assert [r.rpartition(b' ')[0].partition(b'MAILBOX ')[2].partition(b' UIDV')[0] for r in found] == [b'Archive', inbox().encode()], found
    assert bob.ok('UID SEARCH SUBJECT needle') == [b'* SEARCH 1']
    bob.ok('SELECT Archive')
    assert bob.ok('FETCH 1 BODY.PEEK[TEXT]')[0].endswith(b'y\r\n)')
    bob.ok('SELECT %s' % inbox())
    assert bob.ok('FETCH 1 BODY.PEEK[TEXT]')[0].endswith(b'x\r\n)')
    assert '[CANNOT]' in bob.command('REPLACE 1 Archive {%d+}\r\n%s' % (len(SMALL), SMALL.decode()))
    assert 'OK' in bob.command('REPLACE 1 %s {%d+}\r\n%s' % (inbox(), len(SMALL), SMALL.decode()))
    assert i.bodies('INBOX') == [SMALL]
    bob.ok('SELECT Archive')
    bob.ok('STORE 1:* +FLAGS (\\Deleted)')
    bob.ok('EXPUNGE')


def test_the_owner_goes(server, i, bob):
    share(i, 'lr')
    bob.ok('SELECT %s' % inbox())
    server.must('user', 'remove', US)
    assert names(bob, 'Other*') == set() or bob.is_closed()
    with server.imap('bob@example.test') as again:
        assert '[NONEXISTENT]' in again.no('SELECT %s' % inbox())
    server.add_user('u')
    with server.imap('bob@example.test') as again:
        assert '[NONEXISTENT]' in again.no('SELECT %s' % inbox())


def test_the_administrator_shares_an_account_that_is_nobody_s_own(server, bob, eve):
    server.add_user('info')
    server.must('user', 'set', 'info@example.test', 'shared', 'yes')
    assert 'shared: ' in server.must('user', 'show', 'info@example.test')
    server.must('acl', 'set', 'info@example.test', '*', 'bob@example.test', 'lrswite')
    server.must('acl', 'set', 'info@example.test', 'inbox', 'anyone', 'lr')
    server.must('acl', 'set', 'info@example.test', 'INBOX', '-eve@example.test', 'r')
    assert '"INBOX" bob@example.test lrswited\n"INBOX" anyone lr\n"INBOX" -eve@example.test r\n' in server.must('acl', 'list', 'info@example.test')
    server.send('info@example.test', SMALL)
    place = 'Shared Folders/info@example.test'
    assert {place + '/INBOX', place + '/Sent'} <= names(bob, 'Shared*') and names(eve, 'Shared*') >= {place + '/INBOX'}
    bob.ok('SELECT "%s/INBOX"' % place)
    bob.ok('MOVE 1 "%s/Archive"' % place)
    assert '[NONEXISTENT]' in eve.no('SELECT "Other Users/info@example.test/INBOX"') and '[NOPERM]' in eve.no('SELECT "%s/INBOX"' % place)
    server.must('acl', 'remove', 'info@example.test', '*', 'bob@example.test')
    assert names(bob, 'Shared*') == {'Shared Folders', place, place + '/INBOX'}
    for words in (('set', 'info@example.test', 'INBOX', 'nobody@example.test', 'lr'), ('set', 'info@example.test', 'INBOX', 'info@example.test', 'lr'),
                  ('set', 'info@example.test', 'INBOX', 'bob@example.test', 'lrz'), ('set', 'info@example.test', 'Nothing', 'bob@example.test', 'lr'),
                  ('remove', 'info@example.test', 'INBOX', 'never@example.test')):
        done = server.command('acl', *words)
        assert (done.returncode != 0) == (words[0] == 'set'), (words, done)
    server.must('user', 'remove', 'info@example.test')
    assert names(bob, 'Shared*') == set()


def test_rights_come_along_with_an_import(server, i, bob, make_server):
    """From a server with ACL to another one: who is a user there too has the same rights."""
    other = make_server(name='acl_target', users=['u', 'bob'])
    i.ok('CREATE Team')
    i.append('Team', SMALL)
    share(i, 'lrsi', 'Team')
    share(i, 'lr', 'Team', 'eve@example.test')
    share(i, 'r', 'Team', '"-bob@example.test"')
    share(i, 'lr', 'Team', 'anyone')  # which is not everybody at the other one
    done = other.command('import', 'imap', US, 'localhost', '--user', US, '--port', str(server.ports['imap']), '--starttls', '--insecure', 'Team', stdin='correct horse\n')
    assert done.returncode == 0 and 'Team: 2 of its rights are of nobody here' in done.stdout + done.stderr, done
    with other.imap(US) as there:
        assert there.ok('GETACL Team') == [b'* ACL Team u@example.test lrswipkxteacd bob@example.test lrsi -bob@example.test r']
    """Again: what is there already is not set anew, and what differs is."""
    def run():
        done = other.command('import', 'imap', US, 'localhost', '--user', US, '--port', str(server.ports['imap']), '--starttls', '--insecure', 'Team', stdin='correct horse\n')
        assert done.returncode == 0, done
    written = rows_of_shares(other)
    run()
    assert rows_of_shares(other) == written
    share(i, 'lrt', 'Team')  # told as "lrtd", which is not "lrte"
    run()
    assert rows_of_shares(other) > written
    with other.imap(US) as there:
        assert there.ok('GETACL Team') == [b'* ACL Team u@example.test lrswipkxteacd bob@example.test lrtd -bob@example.test r']
        assert there.ok('SETACL Team bob@example.test -t') == []
        assert there.ok('GETACL Team') == [b'* ACL Team u@example.test lrswipkxteacd bob@example.test lr -bob@example.test r']
