"""NOTIFY: RFC 5465. Clients hear of changes without asking, in the mailbox that they have open and in others."""
import re

import pytest

from conftest import SMALL, US


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


@pytest.fixture
def other(server, i):
    with server.imap(US) as session:
        yield session


def uidnext(i, name='INBOX'):
    return int(re.search(rb'UIDNEXT (\d+)', i.ok('STATUS %s (UIDNEXT)' % name)[0])[1])


def silent(i):
    """Nothing is said without a command."""
    return i.is_silent(0.3)


# ---- other mailboxes ----

def test_status_of_other_mailboxes(i, other):
    """§3.1 and §5.2: its example, and the STATUS that NOTIFY itself tells."""
    other.ok('CREATE Lists/Lemonade')
    told = i.ok('NOTIFY SET STATUS (subtree Lists (MessageNew MessageExpunge)) (mailboxes (Trash "nowhere") (MessageNew MessageExpunge FlagChange))')
    assert {r.split()[2] for r in told} == {b'Lists', b'Lists/Lemonade', b'Trash'} and all(b'MESSAGES 0 UIDNEXT 1 UIDVALIDITY' in r for r in told)
    other.append('Lists/Lemonade', SMALL)
    assert re.match(rb'\* STATUS Lists/Lemonade \(MESSAGES 1 UIDNEXT 2 UIDVALIDITY \d+\)$', i.response())
    other.append('INBOX', SMALL)
    other.append('Trash', SMALL)
    assert i.response().startswith(b'* STATUS Trash (MESSAGES 1 ')
    other.ok('SELECT Trash')
    other.ok('STORE 1 +FLAGS (\\Seen)')
    assert re.match(rb'\* STATUS Trash \(MESSAGES 1 UIDNEXT 2 UIDVALIDITY \d+ UNSEEN 0\)$', i.response())
    other.ok('SELECT Lists/Lemonade')
    other.ok('STORE 1 +FLAGS (\\Deleted)')
    other.ok('EXPUNGE')
    assert i.response().startswith(b'* STATUS Lists/Lemonade (MESSAGES 0 UIDNEXT 2 ')
    assert silent(i)
    i.ok('ENABLE CONDSTORE')
    other.append('Lists/Lemonade', SMALL)
    assert b'HIGHESTMODSEQ' in i.response()
    i.ok('NOTIFY NONE')
    other.append('Lists/Lemonade', SMALL)
    assert silent(i)
    i.ok('NOOP')


def test_deliveries_are_told_and_own_doings_are_not(server, i, other):
    """§5: what a client does itself is not told to it."""
    i.ok('NOTIFY SET (inboxes (MessageNew MessageExpunge)) (personal (MailboxName SubscriptionChange))')
    server.send(US, SMALL)
    assert i.response().startswith(b'* STATUS INBOX (MESSAGES 1 ')
    i.append('INBOX', SMALL)
    i.ok('CREATE mine')
    assert silent(i)
    other.append('Trash', SMALL)
    assert silent(i)


def test_names_and_subscriptions(i, other):
    """§5.4 and §5.5."""
    i.ok('NOTIFY SET (personal (MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange))')
    other.ok('CREATE "Entw&APw-rfe"')
    assert i.response() == b'* LIST () "/" Entw&APw-rfe'
    other.ok('SUBSCRIBE "Entw&APw-rfe"')
    assert i.response() == b'* LIST (\\Subscribed) "/" Entw&APw-rfe'
    other.ok('RENAME "Entw&APw-rfe" new')
    assert i.response() == b'* LIST () "/" new ("OLDNAME" (Entw&APw-rfe))'
    other.ok('UNSUBSCRIBE "Entw&APw-rfe"')
    assert i.response() == b'* LIST () "/" Entw&APw-rfe'
    other.ok('SETMETADATA new (/private/comment "x")')
    assert i.response() == b'* METADATA new /private/comment'
    other.ok('SETMETADATA "" (/private/vendor/x "y")')
    assert i.response() == b'* METADATA "" /private/vendor/x'
    other.ok('DELETE new')
    assert i.response() == b'* LIST (\\NonExistent) "/" new'
    assert silent(i)


def test_what_happens_while_a_command_runs_comes_with_its_reply(i, other):
    i.ok('NOTIFY SET (personal (MessageNew MessageExpunge))')
    tag = i.send_command('APPEND Sent {%d}' % len(SMALL))
    assert i.response().startswith(b'+')
    other.append('Trash', SMALL)
    i.send(SMALL + b'\r\n')
    assert i.result(tag).startswith('OK')
    told = i.untagged or [i.response()]
    assert any(r.startswith(b'* STATUS Trash') for r in told)


# ---- the selected mailbox ----

def test_the_selected_mailbox_is_pushed_with_what_the_client_wants_of_new_messages(server, i, other):
    """§5.1 to §5.3."""
    other.append('INBOX', SMALL)
    i.ok('NOTIFY SET (selected (MessageNew (uid body.peek[header.fields (subject)]) MessageExpunge FlagChange))')
    i.ok('SELECT INBOX')
    server.send(US, b'Subject: pushed\r\n\r\nx\r\n')
    assert i.response() == b'* 2 EXISTS' and i.response().endswith(b' RECENT')
    told = i.response()
    assert told.startswith(b'* 2 FETCH (UID 2 BODY[HEADER.FIELDS (subject)] {') and b'pushed' in told and told.endswith(b')')
    other.ok('SELECT INBOX')
    other.ok('STORE 1 +FLAGS (\\Flagged)')
    assert re.match(rb'\* 1 FETCH \(UID 1 FLAGS \(.*\\Flagged', i.response())
    other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    assert b'\\Deleted' in i.response()
    other.ok('EXPUNGE')
    assert i.response() == b'* 1 EXPUNGE'
    assert b'\\Seen' not in i.ok('FETCH 1 FLAGS')[0]
    i.append('INBOX', SMALL)
    i.ok('NOOP')
    assert silent(i)
    for n in range(20):
        other.append('INBOX', SMALL)
    seen = set()
    while len(seen) < 20:
        match = re.match(rb'\* \d+ FETCH \(UID (\d+) ', i.response())
        seen |= {int(match[1])} if match else set()
    assert seen == set(range(4, 24))
    assert i.ok('UID SEARCH ALL')


def test_an_expunge_that_came_beside_a_fetch_is_told_behind_it(i, other):
    """§5.3: with SELECTED it does not wait for the next command. The other session acts while the answer to FETCH is under way."""
    large = b'Subject: large\r\n\r\n' + b'x' * 70 + b'\r\n' * 5000000
    for message in (SMALL, SMALL, large):
        other.append('INBOX', message)
    i.ok('NOTIFY SET (selected (MessageNew MessageExpunge))')
    i.ok('SELECT INBOX')
    other.ok('SELECT INBOX')
    other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    tag = i.send_command('FETCH 3 (BODY.PEEK[])')
    i.line()
    other.ok('EXPUNGE')
    i.exactly(len(large))
    assert i.result(tag).startswith('OK') and not any(b'EXPUNGE' in response for response in i.untagged)
    assert i.response() == b'* 1 EXPUNGE'


def test_selected_delayed_keeps_numbers_until_a_command(i, other):
    """§6.1."""
    for _ in range(3):
        other.append('INBOX', SMALL)
    i.ok('NOTIFY SET (selected-delayed (MessageNew MessageExpunge))')
    i.ok('SELECT INBOX')
    other.ok('SELECT INBOX')
    other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    assert silent(i)
    assert b'UID 3' in i.ok('FETCH 3 (UID)')[0]
    assert i.ok('NOOP') == [b'* 1 EXPUNGE']


def test_without_selected_the_mailbox_stands_still(i, other):
    """§3.1: a snapshot."""
    other.append('INBOX', SMALL)
    i.ok('SELECT INBOX')
    i.ok('NOTIFY SET (mailboxes Trash (MessageNew MessageExpunge))')
    other.append('INBOX', SMALL)
    assert i.ok('NOOP') == [] and silent(i)
    i.ok('NOTIFY SET (selected NONE)')
    assert i.ok('NOOP') == []
    assert b'* 2 EXISTS' in i.ok('NOTIFY NONE') + i.ok('NOOP')


def test_notify_is_a_noop_too_and_idle_tells_the_same(i, other):
    i.ok('SELECT INBOX')
    other.append('INBOX', SMALL)
    assert b'* 1 EXISTS' in i.ok('NOTIFY SET (selected (MessageNew MessageExpunge)) (mailboxes Trash (MessageNew MessageExpunge))')
    tag = i.send_command('IDLE')
    assert i.response().startswith(b'+')
    assert i.response() == b'* 1 EXISTS' and i.response().endswith(b' RECENT')  # as for all who idle
    other.append('Trash', SMALL)
    assert i.response().startswith(b'* STATUS Trash')
    other.append('INBOX', SMALL)
    assert i.response() == b'* 2 EXISTS'
    i.send('DONE\r\n')
    assert i.result(tag).startswith('OK')


# ---- refusals ----

@pytest.mark.parametrize('arguments', ['', ' SET', ' SET STATUS', ' SET ()', ' SET (selected)', ' SET (selected (MessageNew))', ' SET (selected (FlagChange))', ' SET (selected (MailboxName))',
                                       ' SET (everything (MessageNew MessageExpunge))', ' SET (mailboxes (MessageNew MessageExpunge))', ' SET (personal (MessageNew (X) MessageExpunge))',
                                       ' SET (personal ())', ' NONE x', ' SET (personal NONE) ', ' SET (personal (MessageNew MessageExpunge)', ' SET (selected (MessageNew (UID MessageExpunge))'])
def test_commands_that_are_none(i, arguments):
    i.bad('NOTIFY' + arguments)
    i.ok('NOOP')


def test_events_that_are_not_known(i):
    """§3.1: NO, and which there are."""
    assert '[BADEVENT (MessageNew ' in i.no('NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))')
