"""METADATA (RFC 5464), LIST-METADATA (RFC 9590), and the special use as an annotation (RFC 6154 §5.4)."""
import re

import pytest

from conftest import SMALL, US


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(users=['v'])


def entries(responses):
    """By mailbox and entry."""
    found = {}
    for r in responses:
        match = re.match(rb'\* METADATA "?([^" ]*)"? \((.*)\)$', r, re.S)
        for entry, quoted, size in re.findall(rb'(/\S+) (?:"((?:[^"\\]|\\.)*)"|~?\{(\d+)\}\r\n)', match[2]):
            value = quoted
            if size:
                at = match[2].index(entry + b' ') + len(entry) + 1
                at = match[2].index(b'\r\n', at) + 2
                value = match[2][at:at + int(size)]
            found[match[1].decode(), entry.decode()] = value
    return found


def test_entries_are_set_told_changed_and_removed(server, i):
    """RFC 5464 §4.2 and §4.3: its examples."""
    i.ok('SETMETADATA INBOX (/private/comment {33+}\r\nMy new comment across\r\ntwo lines.)')
    assert entries(i.ok('GETMETADATA "INBOX" /private/comment')) == {('INBOX', '/private/comment'): b'My new comment across\r\ntwo lines.'}
    i.ok('SETMETADATA INBOX (/PRIVATE/Comment "short" /shared/comment "This one is for you!")')
    assert entries(i.ok('GETMETADATA INBOX (/shared/comment /private/comment /private/other)')) == {
        ('INBOX', '/private/comment'): b'short', ('INBOX', '/shared/comment'): b'This one is for you!'}
    assert entries(i.ok('GETMETADATA (MAXSIZE 5) INBOX (/shared/comment /private/comment)')) == {('INBOX', '/private/comment'): b'short'}
    assert '[METADATA LONGENTRIES 20]' in i.command('GETMETADATA INBOX (MAXSIZE 5) (/shared/comment /private/comment)')
    i.ok('SETMETADATA INBOX (/private/comment NIL /private/never NIL)')
    assert i.ok('GETMETADATA INBOX /private/comment') == []
    i.ok('SETMETADATA INBOX (/private/binary ~{3+}\r\na\0b /private/empty "")')
    assert entries(i.ok('GETMETADATA INBOX (/private/binary /private/empty)')) == {('INBOX', '/private/binary'): b'a\0b', ('INBOX', '/private/empty'): b''}
    i.ok('LOGOUT')
    server.stop()
    server.start()
    with server.imap(US) as again:
        assert entries(again.ok('GETMETADATA INBOX /shared/comment')) == {('INBOX', '/shared/comment'): b'This one is for you!'}


def test_depth(i):
    """RFC 5464 §4.2.2."""
    i.ok('SETMETADATA INBOX (/private/f/values "0" /private/f/values/small "SMALLER 5000" /private/f/values/boss "FROM \\"boss\\"" /private/f/values/a/b "deep" /private/f/valuesx "no")')

    def names(options):
        return {entry.rpartition('/f/')[2] for _, entry in entries(i.ok('GETMETADATA INBOX %s (/private/f/values)' % options))}
    assert names('(DEPTH 0)') == {'values'}
    assert names('(DEPTH 1)') == {'values', 'values/small', 'values/boss'}
    assert names('(DEPTH infinity MAXSIZE 6)') == {'values', 'values/a/b'}
    assert entries(i.ok('GETMETADATA INBOX (DEPTH infinity) /private'))['INBOX', '/private/f/values/boss'] == b'FROM \\"boss\\"'


def test_they_follow_their_mailbox(i):
    """RFC 5464 §4.1."""
    i.ok('CREATE one')
    i.ok('SETMETADATA one (/private/comment "mine")')
    i.ok('RENAME one two')
    assert entries(i.ok('GETMETADATA two /private/comment')) == {('two', '/private/comment'): b'mine'}
    i.ok('DELETE two')
    i.ok('CREATE two')
    assert i.ok('GETMETADATA two /private/comment') == []
    i.ok('SETMETADATA INBOX (/private/comment "inbox")')
    i.append('INBOX', SMALL)
    i.ok('RENAME INBOX old')
    assert len(entries(i.ok('GETMETADATA INBOX /private/comment')) | entries(i.ok('GETMETADATA old /private/comment'))) == 2
    assert '[NONEXISTENT]' in i.no('GETMETADATA nowhere /private/comment') and '[NONEXISTENT]' in i.no('SETMETADATA nowhere (/private/comment "x")')


def test_a_change_raises_the_modseq(i):
    """RFC 7162 §3.2."""
    before = i.ok('STATUS INBOX (HIGHESTMODSEQ)')
    i.ok('SETMETADATA INBOX (/private/comment "x")')
    assert i.ok('STATUS INBOX (HIGHESTMODSEQ)') != before


def test_the_server_itself(server, i):
    assert entries(i.ok('GETMETADATA "" /shared/admin')) == {('', '/shared/admin'): b'mailto:postmaster@mx.example.test'}
    i.ok('SETMETADATA "" (/private/vendor/me/settings "dark")')
    assert entries(i.ok('GETMETADATA "" (DEPTH infinity) (/private /shared)')) == {('', '/private/vendor/me/settings'): b'dark', ('', '/shared/admin'): b'mailto:postmaster@mx.example.test'}
    assert '[NOPERM]' in i.no('SETMETADATA "" (/shared/comment "x")')
    with server.imap('v@example.test') as v:
        assert v.ok('GETMETADATA "" (DEPTH infinity) (/private)') == []


def test_limits(i):
    assert '[METADATA MAXSIZE 32768]' in i.no('SETMETADATA INBOX (/private/comment {33000+}\r\n%s)' % ('x' * 33000))
    i.ok('SETMETADATA INBOX (/private/comment {32768+}\r\n%s)' % ('x' * 32768))
    for n in range(4):
        i.ok('SETMETADATA INBOX (%s)' % ' '.join('/private/n/%d "x"' % (n * 49 + m) for m in range(49)))
    assert '[METADATA TOOMANY]' in i.no('SETMETADATA INBOX (%s)' % ' '.join('/private/more/%d "x"' % m for m in range(10)))
    assert i.ok('GETMETADATA INBOX (DEPTH 1) /private/more') == []


@pytest.mark.parametrize('command', ['GETMETADATA', 'GETMETADATA INBOX', 'GETMETADATA INBOX ()', 'GETMETADATA INBOX comment', 'GETMETADATA INBOX /other/comment', 'GETMETADATA INBOX /private/a//b',
                                     'GETMETADATA INBOX /private/', 'GETMETADATA INBOX "/private/*"', 'GETMETADATA (DEPTH 2) INBOX /private/a', 'GETMETADATA (MAXSIZE x) INBOX /private/a',
                                     'GETMETADATA () INBOX /private/a', 'SETMETADATA INBOX', 'SETMETADATA INBOX /private/a "x"', 'SETMETADATA INBOX (/private/a)', 'SETMETADATA INBOX (/private/a x)',
                                     'SETMETADATA INBOX ()', 'SETMETADATA INBOX (/private/a "x"', 'SETMETADATA INBOX (/private/%s "x")' % ('a' * 300)])
def test_commands_that_are_none(i, command):
    i.bad(command)


def test_list_tells_annotations(i):
    """RFC 9590 §3 and §6."""
    i.ok('CREATE a')
    i.ok('SETMETADATA a (/shared/vendor/cmu/cyrus-imapd/color "#b71c1c" /private/x "1")')
    i.ok('SETMETADATA INBOX (/private/x "2")')
    told = i.ok('LIST "" "*" RETURN (METADATA ("/shared/vendor/cmu/cyrus-imapd/color" "/private/x"))')
    at = [n for n, r in enumerate(told) if r.startswith(b'* LIST') and r.endswith(b' a')][0]
    assert entries([told[at + 1]]) == {('a', '/shared/vendor/cmu/cyrus-imapd/color'): b'#b71c1c', ('a', '/private/x'): b'1'}
    assert sum(r.startswith(b'* METADATA') for r in told) == 2
    for bad in ('METADATA', 'METADATA /private/x', 'METADATA ()'):
        i.bad('LIST "" "*" RETURN (%s)' % bad)


def test_the_special_use_is_an_annotation_too(i):
    i.ok('CREATE mine')
    assert entries(i.ok('GETMETADATA Sent /private/specialuse')) == {('Sent', '/private/specialuse'): b'\\\\Sent'}
    assert '[USEATTR]' in i.no('SETMETADATA mine (/private/specialuse "\\\\Sent")')
    assert '[USEATTR]' in i.no('SETMETADATA mine (/private/specialuse "\\\\Nothing")')
    i.ok('SETMETADATA Sent (/private/specialuse NIL)')
    assert '[USEATTR]' in i.no('SETMETADATA mine (/private/specialuse "\\\\Sent" /private/specialuse "\\\\Nothing")')
    assert not entries(i.ok('GETMETADATA mine /private/specialuse'))  # all are set, or none
    i.ok('SETMETADATA mine (/private/specialuse "\\\\Sent")')
    assert b'* LIST (\\HasNoChildren \\Sent) "/" mine' in i.ok('LIST "" mine RETURN (SPECIAL-USE)')
