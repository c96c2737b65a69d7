"""What clients that keep a copy need: CONDSTORE and QRESYNC (RFC 7162), PARTIAL of FETCH (RFC 9394), UIDONLY (RFC 9586)."""
import re

import pytest

from conftest import SMALL, US


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


@pytest.fixture
def ten(i):
    """An account with ten messages in INBOX, which is selected."""
    for _ in range(10):
        assert i.append('INBOX', SMALL).startswith('OK')
    i.ok('SELECT INBOX')
    return i


def highest(responses):
    return int(re.search(rb'HIGHESTMODSEQ (\d+)', b''.join(responses))[1])


def modseqs(responses):
    """By message number (or UID, of UIDFETCH)."""
    return {int(m[1]): int(m[2]) for r in responses for m in [re.match(rb'\* (\d+) (?:UID)?FETCH .*MODSEQ \((\d+)\)', r)] if m}


def uids(text):
    """A sequence-set as a set."""
    found = set()
    for part in text.decode().split(','):
        first, _, last = part.partition(':')
        found |= set(range(int(first), int(last or first) + 1))
    return found


def vanished(responses, earlier=False):
    found = set()
    for r in responses:
        match = re.match(rb'\* VANISHED \(EARLIER\) (.*)' if earlier else rb'\* VANISHED (\d.*)', r)
        found |= uids(match[1]) if match else set()
    return found


# ---- CONDSTORE ----

def test_select_and_status_tell_the_highest_modseq(ten):
    """RFC 7162 §3.1.2.1 and §3.1.7."""
    first = highest(ten.ok('SELECT INBOX'))
    assert highest(ten.ok('STATUS INBOX (HIGHESTMODSEQ)')) == first
    ten.ok('STORE 1 +FLAGS (\\Seen)')
    assert highest(ten.ok('STATUS INBOX (HIGHESTMODSEQ)')) == first + 1


@pytest.mark.parametrize('command', ['FETCH 1 (MODSEQ)', 'FETCH 1 (FLAGS) (CHANGEDSINCE 1)', 'STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)', 'STATUS INBOX (HIGHESTMODSEQ)',
                                     'ENABLE CONDSTORE', 'ENABLE QRESYNC', 'SELECT INBOX (CONDSTORE)'])
def test_whoever_uses_condstore_is_told_modseqs_from_then_on(server, ten, command):
    """RFC 7162 §3.1: the mailbox's HIGHESTMODSEQ at once, and MODSEQ and UID in whatever is told unasked."""
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 2 +FLAGS (\\Flagged)')
        assert b'MODSEQ' not in b''.join(ten.ok('NOOP'))
        assert highest(ten.ok(command)) > 1
        other.ok('STORE 3 +FLAGS (\\Flagged)')
        told = [r for r in ten.ok('NOOP') if b'FETCH' in r]
        assert len(told) == 1 and re.match(rb'\* 3 FETCH \(UID 3 FLAGS \(.*\\Flagged.*\) MODSEQ \(\d+\)\)$', told[0])
    assert modseqs(ten.ok('STORE 4 +FLAGS.SILENT (\\Answered)')).keys() == {4}
    told = b''.join(ten.ok('FETCH 5 (BODY[])'))
    assert b'UID 5' in told and b'MODSEQ (' in told and b'\\Seen' in told


def test_modseqs_rise_with_each_change_and_stay_without_one(ten):
    before = modseqs(ten.ok('FETCH 1:* (MODSEQ)'))
    assert len(before) == 10 and sorted(before.values()) == list(before.values())
    after = modseqs(ten.ok('STORE 3 +FLAGS (\\Seen)'))
    assert after[3] > max(before.values())
    """§3.1.11: what is set already is no change."""
    assert modseqs(ten.ok('STORE 3 +FLAGS (\\Seen)')) == after


def test_fetch_changedsince(ten):
    """RFC 7162 §3.1.4.1, example 12."""
    since = highest(ten.ok('SELECT INBOX (CONDSTORE)'))
    ten.ok('STORE 2,7 +FLAGS.SILENT (\\Deleted)')
    told = ten.ok('UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)' % since)
    assert [int(re.match(rb'\* (\d+)', r)[1]) for r in told] == [2, 7]
    assert all(re.match(rb'\* \d+ FETCH \(UID \d+ MODSEQ \(\d+\) FLAGS \(', r) for r in told)
    assert ten.ok('FETCH 1:6 (FLAGS) (CHANGEDSINCE %d)' % highest(ten.ok('STATUS INBOX (HIGHESTMODSEQ)'))) == []


def test_store_unchangedsince(server, ten):
    """RFC 7162 §3.1.3, examples 3, 6 and 7."""
    since = highest(ten.ok('SELECT INBOX (CONDSTORE)'))
    told = ten.ok('UID STORE 6,4,8 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Deleted)' % since)
    assert modseqs(told).keys() == {4, 6, 8} and not any(b'FLAGS' in r for r in told)
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 7 +FLAGS (\\Deleted)')
    reply = ten.command('STORE 7,5,9 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Deleted)' % since)
    assert reply.startswith('OK [MODIFIED 7] ')
    assert modseqs(ten.untagged).keys() == {5, 7, 9}
    assert ten.command('UID STORE 4:9 (UNCHANGEDSINCE %d) FLAGS ($X)' % since).startswith('OK [MODIFIED 4:9] ')
    """Example 8: the presence of a keyword."""
    ten.ok('STORE 10 +FLAGS.SILENT ($Own)')
    assert ten.command('STORE 10 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($Own)').startswith('OK [MODIFIED 10] ')
    flags = {int(re.match(rb'\* (\d+)', r)[1]): r for r in ten.ok('FETCH 1:* (FLAGS)')}
    assert {n for n in flags if b'Deleted' in flags[n]} == {4, 5, 6, 7, 8, 9} and not any(b'$X' in f for n, f in flags.items() if n in (4, 5, 6, 7, 8, 9))


def test_a_silent_store_that_changes_nothing_hides_no_change_of_others(server, ten):
    """RFC 3501 §6.4.6: whose MODSEQ it tells may have changed by another's command."""
    ten.ok('SELECT INBOX (CONDSTORE)')
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 3 +FLAGS.SILENT (\\Flagged)')
        now = highest(other.ok('STATUS INBOX (HIGHESTMODSEQ)'))
    told = ten.ok('UID STORE 3:4 (UNCHANGEDSINCE %d) +FLAGS.SILENT ()' % now)
    assert any(b'* 3 FETCH' in r and b'\\Flagged' in r for r in told), told


def test_unchangedsince_fails_for_the_flags_asked_about_alone(server, ten):
    """RFC 7162 §3.1.12, and §3.1.3 of 0: examples 8 to 10."""
    since = highest(ten.ok('SELECT INBOX (CONDSTORE)'))
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 1:3 +FLAGS.SILENT (\\Deleted)')
        other.ok('STORE 2 +FLAGS.SILENT ($Processed)')
    """$Processed was set on 2 alone; on 1 and 3 another flag has changed."""
    reply = ten.command('STORE 1:4 (UNCHANGEDSINCE %d) +FLAGS.SILENT ($Processed)' % since)
    assert reply.startswith('OK [MODIFIED 2] ')
    assert modseqs(ten.untagged).keys() == {1, 2, 3, 4}
    flags = ten.ok('FETCH 1:4 (FLAGS)')
    assert all(b'$Processed' in r for r in flags) and [b'\\Deleted' in r for r in flags] == [True, True, True, False]
    """What is to be taken away and is not there any more has changed; what is there has not."""
    ten.ok('STORE 3 -FLAGS.SILENT ($Processed)')
    assert ten.command('STORE 1,3 (UNCHANGEDSINCE %d) -FLAGS.SILENT ($Processed)' % since).startswith('OK [MODIFIED 3] ')
    assert ten.command('STORE 2 (UNCHANGEDSINCE %d) -FLAGS ($Never)' % since).startswith('OK [MODIFIED 2] ')
    """All flags at once are a matter of the whole message."""
    assert ten.command('STORE 1:4 (UNCHANGEDSINCE %d) FLAGS ($Processed)' % since).startswith('OK [MODIFIED 1:4] ')
    """0 asks whether there is such a flag: system flags are there always."""
    assert ten.command('STORE 1,2 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($Processed)').startswith('OK [MODIFIED 2] ')
    assert ten.command('STORE 9 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Seen)').startswith('OK [MODIFIED 9] ')
    assert ten.command('STORE 9 (UNCHANGEDSINCE 0) -FLAGS.SILENT ($Never)').startswith('OK STORE')


def fill(i, count):
    """Copies what is in the selected INBOX until there are so many messages."""
    i.append('INBOX', SMALL)
    here = 1
    while here < count:
        i.ok('COPY 1:%d INBOX' % min(here, count - here))
        here += min(here, count - here)
        i.ok('NOOP')


def test_store_unchangedsince_names_all_that_failed_however_many(i):
    i.ok('SELECT INBOX (CONDSTORE)')
    fill(i, 12000)
    since = highest(i.ok('STATUS INBOX (HIGHESTMODSEQ)'))
    i.ok('STORE %s +FLAGS.SILENT (\\Seen)' % ','.join(str(n) for n in range(1, 12000, 2)))
    reply = i.command('STORE 1:12000 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Answered \\Seen)' % since)
    assert uids(re.search(r'MODIFIED (\S+)\]', reply)[1].encode()) == set(range(1, 12000, 2))


# ---- QRESYNC ----

def test_qresync_must_be_enabled_first(ten):
    """RFC 7162 §3.2.3."""
    ten.bad('SELECT INBOX (QRESYNC (1 1))')
    ten.bad('UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)')
    assert ten.ok('ENABLE QRESYNC')[0] == b'* ENABLED QRESYNC'
    ten.bad('FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)')
    ten.bad('UID FETCH 1:* (FLAGS) (VANISHED)')
    ten.ok('UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)')


def test_expunge_is_told_as_vanished_with_the_new_highest_modseq(server, ten):
    """RFC 7162 §3.2.7, §3.2.9, §3.2.10.2."""
    ten.ok('ENABLE QRESYNC')
    ten.ok('STORE 3:4,7 +FLAGS.SILENT (\\Deleted)')
    reply = ten.command('EXPUNGE')
    assert vanished(ten.untagged) == {3, 4, 7} and not any(b'EXPUNGE' in r for r in ten.untagged)
    assert re.match(r'OK \[HIGHESTMODSEQ (\d+)\] ', reply)
    assert int(re.match(r'OK \[HIGHESTMODSEQ (\d+)', reply)[1]) == highest(ten.ok('STATUS INBOX (HIGHESTMODSEQ)'))
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 1 +FLAGS.SILENT (\\Deleted)')
        other.ok('UID EXPUNGE 1:*')
    assert vanished(ten.ok('NOOP')) == {1}
    assert ten.command('UID MOVE 2 Trash').startswith('OK [HIGHESTMODSEQ ') and vanished(ten.untagged) == {2}
    assert 'HIGHESTMODSEQ' not in ten.command('CLOSE')


def test_what_may_not_be_told_yet_lowers_the_modseq_that_the_client_has_heard(server, ten):
    """RFC 7162 §3.2: FETCH tells MODSEQs while an EXPUNGE waits."""
    ten.ok('ENABLE QRESYNC')
    before = highest(ten.ok('STATUS INBOX (HIGHESTMODSEQ)'))
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 9 +FLAGS.SILENT (\\Deleted)')
        other.ok('EXPUNGE')
        other.ok('STORE 1 +FLAGS.SILENT (\\Seen)')
        gone = highest(other.ok('STATUS INBOX (HIGHESTMODSEQ)')) - 1
    told = ten.ok('FETCH 1 (FLAGS MODSEQ)')
    assert not vanished(told) and before <= highest(told[1:]) < gone
    told = ten.ok('NOOP')
    assert vanished(told) == {9} and highest(told) > gone


def resync(i, validity, since, known='', mailbox='INBOX'):
    return i.ok('SELECT %s (QRESYNC (%d %d%s))' % (mailbox, validity, since, known and ' ' + known))


def test_select_tells_what_has_gone_and_what_has_changed_since(server, ten):
    """RFC 7162 §3.2.5.1, its example."""
    said = ten.ok('SELECT INBOX')
    validity, since = int(re.search(rb'UIDVALIDITY (\d+)', b''.join(said))[1]), highest(said)
    ten.ok('STORE 2:3,8 +FLAGS.SILENT (\\Deleted)')
    ten.ok('EXPUNGE')
    ten.ok('UID STORE 5 +FLAGS.SILENT (\\Answered)')
    ten.append('INBOX', SMALL)
    with server.imap(US) as i:
        i.ok('ENABLE QRESYNC')
        i.ok('SELECT Trash')
        told = resync(i, validity, since)
        assert told[0].startswith(b'* OK [CLOSED]')
        assert vanished(told, True) == {2, 3, 8}
        kinds = [b'VANISHED' in r and 'vanished' or b' FETCH ' in r and 'fetch' or 'mailbox' for r in told]
        assert kinds == sorted(kinds, key=['mailbox', 'vanished', 'fetch'].index)
        fetched = [r for r in told if b' FETCH ' in r]
        assert [re.match(rb'\* (\d+) FETCH \(UID (\d+) FLAGS \([^)]*\) MODSEQ \(\d+\)\)$', r).groups() for r in fetched] == [(b'3', b'5'), (b'8', b'11')]
        told = resync(i, validity, since, '1:2,6:7')
        assert vanished(told, True) == {2} and not any(b' FETCH ' in r for r in told)
        told = resync(i, validity, since, '1:10 (1,5,10 1,5,10)')
        assert vanished(told, True) == {2, 3, 8}
        """RFC 7162 §3.2.5.2: up to the last message that has its number still the client knows what has gone."""
        for match, gone in (('1,3:4 1,5:6', {8}), ('3,4 5,9', {8}), ('1:10 1:10', {2, 3, 8}), ('1,7 1,10', set()), ('1:2,99 4:5,99', {2, 3, 8}), ('3 5,10', {8})):
            told = resync(i, validity, since, '(%s)' % match)
            assert vanished(told, True) == gone and len([r for r in told if b' FETCH ' in r]) == 2, match
        """Another UIDVALIDITY: nothing of it is said."""
        told = resync(i, validity + 1, since)
        assert not vanished(told, True) and not any(b' FETCH ' in r for r in told)
        for bad in ('(QRESYNC)', '(QRESYNC (1))', '(QRESYNC (0 1))', '(QRESYNC (1 0))', '(QRESYNC (1 1 1:*))', '(QRESYNC (1 1 1 (1 2 3)))', '(QRESYNC (1 9223372036854775808))', '(X)', '()',
                    '(QRESYNC (1 1)', '(CONDSTORE', '(CONDSTORE QRESYNC (1 1) QRESYNC (1 1))'):
            i.bad('SELECT INBOX ' + bad)
        """Whoever is refused for his words keeps his mailbox."""
        i.ok('FETCH 1 (UID)')


def test_the_change_log_is_there_after_a_restart(server, ten):
    said = ten.ok('SELECT INBOX')
    validity, since = int(re.search(rb'UIDVALIDITY (\d+)', b''.join(said))[1]), highest(said)
    ten.ok('STORE 1,10 +FLAGS.SILENT (\\Deleted)')
    ten.ok('CLOSE')
    server.stop()
    server.start()
    with server.imap(US) as i:
        i.ok('ENABLE QRESYNC')
        assert vanished(resync(i, validity, since), True) == {1, 10}
        assert vanished(i.ok('UID FETCH 1:5 (UID) (CHANGEDSINCE %d VANISHED)' % since), True) == {1}
        now = highest(i.ok('STATUS INBOX (HIGHESTMODSEQ)'))
        assert not vanished(i.ok('UID FETCH 1:* (UID) (CHANGEDSINCE %d VANISHED)' % now), True)


def test_a_log_that_has_begun_anew_tells_all_that_is_not_there(server, i):
    """RFC 7162 §3.2.6, the note: here after more changes than are remembered, each a range of its own."""
    said = i.ok('SELECT INBOX')
    validity, since = int(re.search(rb'UIDVALIDITY (\d+)', b''.join(said))[1]), highest(said)
    for _ in range(13):
        fill(i, 16000)
        i.ok('STORE %s +FLAGS.SILENT (\\Deleted)' % ','.join(str(n) for n in range(2, 16000, 2)))
        i.ok('EXPUNGE')
        i.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
        i.ok('EXPUNGE')
    fill(i, 5)
    i.ok('STORE 3 +FLAGS.SILENT (\\Deleted)')
    i.ok('EXPUNGE')
    here = uids(b','.join(re.search(rb'UID (\d+)', r)[1] for r in i.ok('UID FETCH 1:* (UID)')))
    nxt = int(re.search(rb'UIDNEXT (\d+)', b''.join(i.ok('STATUS INBOX (UIDNEXT)')))[1])
    with server.imap(US) as other:
        other.ok('ENABLE QRESYNC')
        assert vanished(resync(other, validity, since), True) == set(range(1, nxt)) - here
        second = sorted(here)[1]
        assert vanished(resync(other, validity, since, '(2 %d)' % second), True) == {uid for uid in range(second, nxt) if uid not in here}


# ---- PARTIAL ----

def test_partial_fetch(ten):
    """RFC 9394 §3.2."""
    ten.ok('UID STORE 4 +FLAGS.SILENT (\\Deleted)')
    ten.ok('EXPUNGE')

    def fetched(command):
        return [int(re.search(rb'UID (\d+)', r)[1]) for r in ten.ok(command)]
    assert fetched('UID FETCH 2:9 (FLAGS) (PARTIAL 1:3)') == [2, 3, 5]
    assert fetched('UID FETCH 1:* (FLAGS) (PARTIAL -1:-3)') == [8, 9, 10]
    assert fetched('UID FETCH 1:3,7:10 (FLAGS) (PARTIAL 3:5)') == [3, 7, 8]
    assert fetched('UID FETCH 1:* (FLAGS) (PARTIAL 100:200)') == [] == fetched('UID FETCH 1:* (FLAGS) (PARTIAL -10:-200)')
    assert fetched('UID FETCH 1:* (FLAGS) (PARTIAL -9:-200)') == [1]
    for bad in ('FETCH 1:* (FLAGS) (PARTIAL 1:3)', 'UID FETCH 1:* (FLAGS) (PARTIAL 0:3)', 'UID FETCH 1:* (FLAGS) (PARTIAL 1:-3)', 'UID FETCH 1:* (FLAGS) (PARTIAL 1)',
                'UID FETCH 1:* (FLAGS) (PARTIAL 1:2 PARTIAL 1:2)'):
        ten.bad(bad)


# ---- UIDONLY ----

def test_after_enable_uidonly_there_are_no_numbers(server, ten):
    """RFC 9586 §3."""
    assert ten.ok('ENABLE UIDONLY')[0] == b'* ENABLED UIDONLY'
    for command in ('FETCH 1 (FLAGS)', 'STORE 1 +FLAGS (\\Seen)', 'COPY 1 Trash', 'MOVE 1 Trash', 'SEARCH ALL', 'UID SEARCH 1:3'):
        assert '[UIDREQUIRED]' in ten.bad(command), command
    """RFC 5182: what is saved has no numbers."""
    ten.ok('UID SEARCH RETURN (SAVE) UID 3:4')
    assert ten.ok('UID SEARCH $ UNSEEN')[0] == b'* SEARCH 3 4'
    told = ten.ok('UID FETCH 3 (FLAGS)')
    assert re.match(rb'\* 3 UIDFETCH \(FLAGS \(', told[0])
    assert re.match(rb'\* 3 UIDFETCH \(FLAGS \(.*Seen', ten.ok('UID STORE 3 +FLAGS (\\Seen)')[0])
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        other.ok('STORE 2 +FLAGS (\\Deleted)')
        assert re.match(rb'\* 2 UIDFETCH \(', ten.ok('NOOP')[0])
        other.ok('EXPUNGE')
    assert vanished(ten.ok('NOOP')) == {2}
    assert any(re.match(rb'\* 9 EXISTS', r) for r in ten.ok('SELECT INBOX'))
