"""What a client submits and then uploads to "Sent" is kept once, and is there whole for each who has it, for as long as he has it."""
import base64
import contextlib
import os
import pathlib
import random
import re
import subprocess

import pytest

from conftest import CARTEIRO, PASSWORD, SANITIZERS, strip_trace, until
from hosts import arrived, b, net, names, queue_is_empty, settings, submit  # noqa: F401

SWEEP_LATER = pathlib.Path(CARTEIRO).parent.parent / 'store/store_sweep_later'
ME, HERE, THERE = 'u@a.test', 'w@a.test', 'v@b.test'
SIZE = 5 * 1000 * 1000
seeds = iter(range(1, 1000))


@pytest.fixture(scope='module')
def server(make_server, net, names, b):  # noqa: F811
    return make_server('a', users=['u', 'w'], domain='a.test', hostname='mx.a.test', netns=net.name('a'),
                       settings=dict(settings(names), undelete_grace='1s'))


@pytest.fixture(autouse=True)
def nobody_has_anything(server, b):  # noqa: F811
    b.empty(THERE)
    yield
    for user in (ME, HERE):
        server.must('user', 'remove', user)
        server.add_user(user)


def message(size=SIZE):
    """What makes it large cannot be compressed."""
    seed = next(seeds)
    body = base64.encodebytes(random.Random(seed).randbytes(size * 3 // 4)).replace(b'\n', b'\r\n')
    return b'From: u@a.test\r\nTo: <someone@a.test>\r\nSubject: %d\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <s-%d@a.test>\r\n\r\n' % (seed, seed) + body


def stored(server):
    """The bytes of messages on the disk, after a sweep for which nothing is too young; the server is started anew."""
    folder = server.data / 'store'
    owner = folder.stat()
    server.stop()
    try:
        subprocess.run([SWEEP_LATER, folder], check=True, env=SANITIZERS)
        for path in folder.iterdir():
            os.chown(path, owner.st_uid, owner.st_gid)
        return sum(path.stat().st_size for path in folder.glob('*.blob'))
    finally:
        server.start()


def append_to_sent(server, what, user=ME):
    with server.imap(user) as i:
        answer = i.append('Sent', what, '(\\Seen)')
        assert answer.startswith('OK [APPENDUID '), answer
        (fetched,) = [r for r in i.ok('STATUS Sent (MESSAGES SIZE)')]
    return fetched


def bodies(server, mailbox, user=ME):
    with server.imap(user) as i:
        return i.bodies(mailbox)


def delete_all(server, user, mailbox):
    """For good: the time in which it could come back is over."""
    with server.imap(user) as i:
        i.ok('SELECT ' + mailbox)
        i.ok('STORE 1:* +FLAGS (\\Deleted)')
        i.ok('EXPUNGE')

    def is_given_up():
        server.must('expire', 'run')
        return not server.must('restore', 'list', user).strip()
    assert until(is_given_up), server.must('restore', 'list', user)


def is_whole(server):
    told = server.must('verify')
    assert ': 0 faults\n' in told, told


def test_what_was_not_submitted_is_kept_by_itself(server):
    what, before = message(), stored(server)
    append_to_sent(server, what)
    append_to_sent(server, what)
    assert stored(server) - before > 2 * SIZE


@pytest.mark.parametrize('recipients', [[HERE], [THERE], [HERE, THERE], [ME], [ME, HERE]], ids=' '.join)
def test_a_large_message_is_on_the_disk_once(server, b, recipients):  # noqa: F811
    what, before = message(), stored(server)
    submit(server, recipients, what)
    append_to_sent(server, what)
    assert until(lambda: queue_is_empty(server))
    assert before + SIZE < stored(server) < before + 1.2 * SIZE
    assert bodies(server, 'Sent') == [what]
    for user in recipients:
        (got,) = arrived(b if user == THERE else server, user)
        assert strip_trace(got) == what
    is_whole(server)
    # each as he likes, in any order: nobody else's goes
    having = [(user, 'INBOX') for user in recipients if user != THERE] + [(ME, 'Sent')]
    random.Random(len(having)).shuffle(having)
    while having:
        delete_all(server, *having.pop())
        assert bool(having) == (stored(server) > before + SIZE)
        for user, mailbox in having:
            (got,) = bodies(server, mailbox, user)
            assert strip_trace(got) == what
        is_whole(server)
    assert stored(server) < before + SIZE / 5


def test_one_that_waits_in_the_queue_is_kept_for_both(server):
    """Removed there, it is still in Sent; and the other way round."""
    for is_removed_first in (True, False):
        what, before = message(), stored(server)
        with server.smtp('submission') as s:
            assert s.plain(ME, PASSWORD).code == 235
            assert s.send_message(ME, [THERE], what, ' HOLDFOR=3600').code == 250
        append_to_sent(server, what)
        assert before + SIZE < stored(server) < before + 1.2 * SIZE
        if is_removed_first:
            server.empty_queue()
            assert until(lambda: queue_is_empty(server))
            stored(server)
            assert bodies(server, 'Sent') == [what]
            delete_all(server, ME, 'Sent')
        else:
            delete_all(server, ME, 'Sent')
            assert stored(server) > before + SIZE
            server.empty_queue()
        assert stored(server) < before + SIZE / 5
        is_whole(server)


def test_only_the_same_bytes_of_the_same_user(server):
    what, before = message(), stored(server)
    submit(server, [HERE], what)
    append_to_sent(server, what[:-3] + b'!\r\n')
    append_to_sent(server, what, HERE)
    assert stored(server) - before > 3 * SIZE
    assert bodies(server, 'Sent') == [what[:-3] + b'!\r\n'] and bodies(server, 'Sent', HERE) == [what]


def test_after_a_restart_it_is_kept_twice(server):
    what, before = message(), stored(server)
    submit(server, [HERE], what)
    assert stored(server) - before > SIZE
    append_to_sent(server, what)
    assert stored(server) - before > 2 * SIZE
    assert bodies(server, 'Sent') == [what]


def test_small_messages_are_as_they_were(server):
    what = message(20000)
    submit(server, [HERE], what)
    append_to_sent(server, what)
    stored(server)
    assert bodies(server, 'Sent') == [what]
    is_whole(server)


def test_copies_and_moves_hold_it_too(server):
    what, before = message(), stored(server)
    submit(server, [HERE], what)
    append_to_sent(server, what)
    with server.imap(ME) as i:
        i.ok('SELECT Sent')
        i.ok('COPY 1 Archive')
        i.ok('COPY 1 Drafts')
        i.ok('MOVE 1 Trash')
    for user, mailbox in ((HERE, 'INBOX'), (ME, 'Trash'), (ME, 'Drafts')):
        delete_all(server, user, mailbox)
        assert SIZE < stored(server) - before < 1.2 * SIZE
    assert bodies(server, 'Archive') == [what]
    is_whole(server)
    server.must('user', 'remove', ME)
    server.add_user(ME)
    assert until(lambda: stored(server) < before + SIZE / 5, pause=1)


def test_deleted_it_can_come_back(server):
    what = message()
    server.configure(undelete_grace='1d')
    server.must('reload')
    try:
        submit(server, [HERE], what)
        append_to_sent(server, what)
        for user, mailbox in ((HERE, 'INBOX'), (ME, 'Sent')):
            with server.imap(user) as i:
                i.ok('SELECT ' + mailbox)
                i.ok('STORE 1:* +FLAGS (\\Deleted)')
                i.ok('EXPUNGE')
        stored(server)
        assert server.must('restore', ME, 'all') == '1 message restored\n'
        assert bodies(server, 'Sent') == [what]
        is_whole(server)
    finally:
        server.configure(undelete_grace='1s')
        server.must('reload')


def test_several_at_once_and_one_in_place_of_another(server):
    """RFC 3502, RFC 8508."""
    first, second, before = message(), message(), stored(server)
    for what in (first, second):
        submit(server, [HERE], what)
    with server.imap(ME) as i:
        i.append('Drafts', b'Subject: a draft\r\n\r\n')
        tag = i.send_command(b'APPEND Sent {%d+}\r\n%s {%d+}\r\n%s {%d+}\r\n%s' % (len(first), first, len(second), second, len(first), first))
        assert i.result(tag).startswith('OK [APPENDUID ')
        i.ok('SELECT Drafts')
        tag = i.send_command(b'UID REPLACE 1 Archive {%d+}\r\n%s' % (len(second), second))
        assert i.result(tag).startswith('OK')
    grown = stored(server) - before
    assert 2 * SIZE < grown < 2.3 * SIZE, grown
    assert bodies(server, 'Sent') == [first, second, first] and bodies(server, 'Archive') == [second]
    is_whole(server)


def test_a_copy_in_another_account_holds_it(server):
    """RFC 4314: of a mailbox that he lets somebody see, and of one into which somebody appends what he has sent himself."""
    what, before = message(), stored(server)
    submit(server, [HERE], what)
    append_to_sent(server, what)
    with server.imap(ME) as i:
        i.ok('SETACL Sent %s lr' % HERE)
    with server.imap(HERE) as i:
        i.ok('SETACL Archive %s lrswi' % ME)
        i.ok('SELECT "Other Users/%s/Sent"' % ME)
        i.ok('COPY 1 Drafts')
        i.ok('COPY 1 Drafts')
    append_to_sent(server, what)
    with server.imap(ME) as i:
        assert i.append('Other Users/%s/Archive' % HERE, what).startswith('OK')
    assert SIZE < stored(server) - before < 1.2 * SIZE
    delete_all(server, ME, 'Sent')
    delete_all(server, HERE, 'INBOX')
    with server.imap(HERE) as i:
        i.ok('SELECT Drafts')
        i.ok('STORE 1 +FLAGS (\\Deleted)')
        i.ok('EXPUNGE')
    assert until(lambda: server.must('expire', 'run') and not server.must('restore', 'list', HERE).strip())
    stored(server)
    assert bodies(server, 'Drafts', HERE) == bodies(server, 'Archive', HERE) == [what]
    is_whole(server)
    delete_all(server, HERE, 'Drafts')
    stored(server)
    assert bodies(server, 'Archive', HERE) == [what]
    delete_all(server, HERE, 'Archive')
    assert stored(server) < before + SIZE / 5


def test_both_count_for_the_quota(server):
    what = message()
    server.must('quota', 'set', ME, '8M')
    try:
        submit(server, [ME], what)
        with server.imap(ME) as i:
            assert i.append('Sent', what).startswith('NO [OVERQUOTA]')
        server.must('quota', 'set', ME, '11M')
        assert b'SIZE %d' % len(what) in append_to_sent(server, what)
        with server.imap(ME) as i:
            (told,) = [r for r in i.ok('GETQUOTAROOT INBOX') if r.startswith(b'* QUOTA ')]
        assert int(re.search(rb'STORAGE (\d+)', told)[1]) >= 2 * len(what) // 1024
    finally:
        server.must('quota', 'unset', ME)


def test_a_backup_has_both(server, place):
    what, target, to = message(), place / 'backup', place / 'extracted'
    submit(server, [HERE], what)
    append_to_sent(server, what)
    server.must('backup', str(target))
    assert re.match(r'1 message, \d+ bytes: 0 faults\n$', server.must('backup', 'extract', str(target), ME, 'Sent', str(to)))
    (one,) = [path for path in to.rglob('*') if path.is_file() and path.stat().st_size > SIZE]
    assert one.read_bytes().replace(b'\r\n', b'\n') == what.replace(b'\r\n', b'\n')
    server.stop()
    try:
        server.must('salvage', str(server.data), str(place / 'salvaged'))
    finally:
        server.start()
    large = [path for path in (place / 'salvaged').rglob('*') if path.is_file() and path.stat().st_size > SIZE]
    assert len(large) == 2


def test_store_killed_at_any_moment(server):
    """What was acknowledged is whole, nothing is there twice, and no piece stays behind."""
    rng, before = random.Random(9), stored(server)
    submitted, appended, unknown = [], [], []
    for n in range(12):
        what = message(1000 * 1000)
        submit(server, [HERE], what)
        submitted.append(what)
        with contextlib.suppress(OSError, EOFError), server.imap(ME) as i:
            # at the beginning, in the midst of the bytes, before the answer, after it, after the deletion
            moment = n % 5
            tag = i.send_command('APPEND Sent {%d}' % len(what))
            assert i.response().startswith(b'+')
            unknown.append(what)
            part = rng.randrange(len(what)) if moment in (0, 1) else len(what)
            i.send(what[:part])
            if moment in (0, 1):
                server.kill_all()
            i.send(what[part:] + b'\r\n')
            if moment == 2:
                server.kill_all()
            if not i.result(tag).startswith('OK'):
                continue
            unknown.remove(what)
            appended.append(what)
            if moment == 3:
                server.kill_all()
            if moment == 4:
                i.ok('SELECT Sent')
                i.send_command('COPY %d Archive' % len(appended))
                server.kill_all()
        server.start()
    is_whole(server)
    kept = stored(server)
    sent = bodies(server, 'Sent')
    assert len(sent) == len(set(sent)) and set(appended) <= set(sent) <= set(appended + unknown)
    assert sorted(strip_trace(m) for m in bodies(server, 'INBOX', HERE)) == sorted(submitted)
    assert len(appended) >= 4
    # bodies are read from one place; what was appended after a start that forgot is kept by itself
    assert kept - before < (len(submitted) + len(sent)) * 1.1e6
    for user, mailbox in ((HERE, 'INBOX'), (ME, 'Sent'), (ME, 'Archive')):
        if bodies(server, mailbox, user):
            delete_all(server, user, mailbox)
    assert stored(server) < before + 0.2e6
    is_whole(server)
