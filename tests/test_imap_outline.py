"""SELECT of a large mailbox after a start, which reads its outline and not its index: it must say what the index says."""
import pathlib
import re
import subprocess
import time
from itertools import count

import pytest

from conftest import CARTEIRO, SMALL, US

LARGE = 5200
numbers = count(1)


@pytest.fixture(scope='module')
def server(make_server):
    return make_server('outline', users=['u'])


@pytest.fixture
def name(server):
    """A large mailbox, whose second message is unseen, with gaps in its UIDs."""
    name = 'large%d' % next(numbers)
    with server.imap(US) as i:
        i.ok('CREATE ' + name)
        assert i.append(name, SMALL, '(\\Seen)').startswith('OK')
        i.ok('SELECT ' + name)
        here = 1
        while here < LARGE:
            step = min(here, LARGE - here)
            i.ok('COPY 1:%d %s' % (step, name))
            i.ok('NOOP')
            here += step
        i.ok('STORE 2 -FLAGS.SILENT (\\Seen)')
        i.ok('UID STORE 3,5,4000:4100 +FLAGS.SILENT (\\Deleted)')
        i.ok('EXPUNGE')
    return name


def said_by_select(i, name):
    said = b' '.join(i.ok('SELECT ' + name))
    told = {'MESSAGES': int(re.search(rb'\* (\d+) EXISTS', said)[1])}
    for what in ('UNSEEN', 'UIDNEXT', 'UIDVALIDITY', 'HIGHESTMODSEQ'):
        found = re.search(rb'\[%s (\d+)' % what.encode(), said)
        told[what] = found and int(found[1])
    return told


def said_by_the_index(i, name):
    """The same of the mailbox that is selected, and the UIDs."""
    status = b' '.join(i.ok('STATUS %s (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)' % name))
    told = {what: int(re.search(rb'%s (\d+)' % what.encode(), status)[1]) for what in ('MESSAGES', 'UIDNEXT', 'UIDVALIDITY', 'HIGHESTMODSEQ')}
    unseen = re.search(rb'MIN (\d+)', b' '.join(i.ok('SEARCH RETURN (MIN) UNSEEN')))
    told['UNSEEN'] = unseen and int(unseen[1])
    return told, re.search(rb'ALL (\S+)', b' '.join(i.ok('UID SEARCH RETURN (ALL) ALL')))[1]


def uids_by_number(i, numbers):
    return re.findall(rb'\* (\d+) FETCH \(UID (\d+)', b' '.join(i.ok('FETCH %s (UID)' % numbers)))


def change_nothing(i, name):
    pass


def append_seen_and_unseen(i, name):
    assert i.append(name, SMALL, '(\\Seen)').startswith('OK')
    assert i.append(name, SMALL).startswith('OK')


def append_many(i, name):
    i.ok('COPY 1:300 ' + name)


def read_the_first_unseen(i, name):
    i.ok('UID STORE 2 +FLAGS.SILENT (\\Seen)')


def expunge_and_append_as_many(i, name):
    i.ok('UID STORE 1:9 +FLAGS.SILENT (\\Deleted)')
    i.ok('EXPUNGE')
    for _ in range(7):
        assert i.append(name, SMALL).startswith('OK')


def expunge_what_was_appended(i, name):
    i.append(name, SMALL)
    i.ok('NOOP')
    i.ok('STORE * +FLAGS.SILENT (\\Deleted)')
    i.ok('EXPUNGE')


@pytest.mark.parametrize('is_killed', [False, True], ids=['stopped', 'killed'])
@pytest.mark.parametrize('change', [change_nothing, append_seen_and_unseen, append_many, read_the_first_unseen, expunge_and_append_as_many,
                                    expunge_what_was_appended])
def test_select_says_after_a_start_what_it_said_before(server, name, change, is_killed):
    """Also where the outline is older than the change, and where the change is made by a session that was told the outline."""
    for _ in range(2):
        with server.imap(US) as i:
            i.ok('SELECT ' + name)
            change(i, name)
            i.ok('NOOP')
            before, uids = said_by_the_index(i, name)
            by_number = uids_by_number(i, '1:10,3900:%d' % before['MESSAGES'])
            if is_killed:  # before the session has ended, and the outline is written
                server.kill_all()
        server.stop()
        server.start()
        with server.imap(US) as i:
            assert said_by_select(i, name) == before
            assert uids_by_number(i, '1:10,3900:%d' % before['MESSAGES']) == by_number
            assert said_by_the_index(i, name) == (before, uids)


def test_a_session_that_was_told_the_outline_hears_of_changes(server, name):
    server.stop()
    server.start()
    with server.imap(US) as i, server.imap(US) as other:
        here = int(re.search(rb'\* (\d+) EXISTS', b' '.join(i.ok('SELECT ' + name)))[1])
        other.append(name, SMALL)
        assert b'* %d EXISTS' % (here + 1) in b' '.join(i.ok('NOOP'))
        other.ok('SELECT ' + name)
        other.ok('UID STORE 1 +FLAGS.SILENT (\\Flagged)')
        other.ok('UID STORE 2 +FLAGS.SILENT (\\Deleted)')
        other.ok('EXPUNGE')
        heard = b' '.join(i.ok('NOOP'))
        assert re.search(rb'\* 1 FETCH \([^)]*\\Flagged', heard) and b'* 2 EXPUNGE' in heard
        assert int(re.search(rb'UID (\d+)', b' '.join(i.ok('FETCH 2 (UID)')))[1]) == 4


def ticks(server):
    """CPU that store and filter have used."""
    return sum(int(n) for role, pid in server.pids() if role in ('store', 'filter') for n in pathlib.Path('/proc/%d/stat' % pid).read_text().rpartition(')')[2].split()[11:13])


def test_an_import_leaves_one_too(make_server):
    """Nobody selects the mailbox and leaves it again: its outline is written when all that is made of its messages has been made."""
    server = make_server('imported', users=['u'])
    (server.data / 'in.mbox').write_bytes(b''.join(b'From a@b Mon Nov 30 10:00:00 2026\nSubject: %d\n\nbody %d\n\n' % (n, n) for n in range(LARGE)))
    assert '%d brought' % LARGE in server.must('import', 'mbox', US, server.data / 'in.mbox')
    before = -1
    while before != ticks(server):
        before = ticks(server)
        time.sleep(2)
    server.stop()
    rows = subprocess.run([pathlib.Path(CARTEIRO).parent.parent / 'store/store_damage_rows', server.data / 'store', 'q', '9'], stdout=subprocess.PIPE, text=True, check=True)
    assert rows.stdout == '1\n'
    server.start()
    with server.imap(US) as i:  # and that it is damaged costs time alone
        assert said_by_select(i, 'INBOX')['MESSAGES'] == LARGE
