"""Rules of RFC 3501 and of its extensions that are easily forgotten, section by section."""
import re

import pytest

from conftest import SMALL, US


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


def listed(responses):
    """By name, the attributes and what stands behind."""
    found = {}
    for response in responses:
        match = re.match(r'\* (?:LIST|LSUB) \(([^)]*)\) "/" "?([^"\s]*)"?(?: (.*))?$', response.decode())
        found[match[2]] = (set(match[1].split()), match[3])
    return found


# ---- RFC 3501 ----

def test_inbox_is_inbox_in_any_case_also_as_the_level_above(i):
    """§5.1."""
    i.ok('CREATE inbox/sub')
    assert set(listed(i.ok('LIST "" "Inbox/%"'))) == {'INBOX/sub'}
    assert '\\HasChildren' in listed(i.ok('LIST "" inbox'))['INBOX'][0]
    i.append('iNBOX/sub', SMALL)
    assert i.bodies('InboX/sub') == [SMALL]
    i.no('CREATE INBOX/sub')


@pytest.mark.parametrize('flag', ['\\Recent', '\\Extension'])
def test_flags_that_cannot_be_kept_are_ignored(i, flag):
    """§7.1, PERMANENTFLAGS."""
    assert i.append('INBOX', SMALL, '(\\Seen %s)' % flag).startswith('OK')
    i.ok('SELECT INBOX')
    i.ok('STORE 1 +FLAGS (%s \\Flagged)' % flag)
    found = set(re.search(rb'FLAGS \(([^)]*)\)', i.ok('FETCH 1 FLAGS')[0])[1].split()) - {b'\\Recent'}
    assert found == {b'\\Seen', b'\\Flagged'}
    i.bad('STORE 1 +FLAGS (\\*)')


def test_a_new_keyword_is_among_the_permanent_flags_at_once(i):
    """§7.1: what FLAGS names and PERMANENTFLAGS does not cannot be kept."""
    i.append('INBOX', SMALL)
    i.ok('SELECT INBOX')
    said = i.ok('STORE 1 +FLAGS ($New)')
    assert re.match(rb'\* FLAGS \(.*\$New\)$', said[0]) and re.match(rb'\* OK \[PERMANENTFLAGS \(.*\$New \\\*\)\]', said[1])
    said = i.ok('EXAMINE INBOX')
    assert any(b'$New' in response for response in said) and any(b'[PERMANENTFLAGS ()]' in response for response in said)


def validity(i, name):
    return int(re.search(rb'UIDVALIDITY (\d+)', b''.join(i.ok('STATUS %s (UIDVALIDITY)' % name)))[1])


def test_a_mailbox_deleted_above_others_leaves_a_name_that_cannot_be_selected(i):
    """§6.3.4, and RFC 5258 §5, example 11."""
    i.ok('CREATE foo/bar/deep')
    i.append('foo', SMALL)
    i.append('foo/bar', SMALL)
    before = validity(i, 'foo')
    i.ok('DELETE foo')
    for pattern in ('*', '%', 'foo'):
        assert listed(i.ok('LIST "" ' + pattern))['foo'][0] == {'\\Noselect', '\\HasChildren'}, pattern
    assert listed(i.ok('LIST "" % RETURN (CHILDREN)'))['foo'][0] == {'\\NonExistent', '\\HasChildren'}
    assert listed(i.ok('LIST "" "foo/*"')) == {'foo/bar': ({'\\HasChildren'}, None), 'foo/bar/deep': ({'\\HasNoChildren'}, None)}
    assert i.bodies('foo/bar') == [SMALL]
    for line in ('SELECT foo', 'EXAMINE foo', 'STATUS foo (MESSAGES)'):
        assert i.no(line).startswith('NO [NONEXISTENT]'), line
    assert i.append('foo', SMALL).startswith('NO [TRYCREATE]')
    assert i.no('DELETE foo').startswith('NO [CANNOT]')
    # what is created below it does not bring it back; it comes back empty, and as another mailbox, when it is created itself
    i.ok('CREATE foo/new')
    assert i.no('SELECT foo').startswith('NO [NONEXISTENT]')
    i.ok('CREATE foo')
    assert validity(i, 'foo') > before and i.bodies('foo') == []
    assert listed(i.ok('LIST "" foo'))['foo'][0] == {'\\HasChildren'}
    # and the name goes with the last one below it
    i.ok('DELETE foo')
    for name in ('foo/bar', 'foo/new', 'foo/bar/deep'):
        assert 'foo' in listed(i.ok('LIST "" *'))
        i.ok('DELETE ' + name)
    assert not [name for name in listed(i.ok('LIST "" *')) if name.startswith('foo')]
    assert i.no('DELETE foo').startswith('NO [NONEXISTENT]')


def test_a_name_without_a_mailbox_is_renamed_with_what_lies_below_it(i):
    """§6.3.5, the first example."""
    i.ok('CREATE foo/bar')
    i.append('foo/bar', SMALL)
    i.ok('CREATE other/bar')
    i.ok('DELETE foo')
    assert i.no('RENAME other foo').startswith('NO [ALREADYEXISTS]')
    assert i.no('RENAME foo foo/below').startswith('NO [CANNOT]')
    i.ok('RENAME foo zowie')
    found = listed(i.ok('LIST "" *'))
    assert found['zowie'][0] == {'\\Noselect', '\\HasChildren'} and 'zowie/bar' in found and 'foo' not in found and 'foo/bar' not in found
    assert i.bodies('zowie/bar') == [SMALL]
    assert i.no('RENAME foo new').startswith('NO [NONEXISTENT]')
    # out of it, the last one takes the name along
    i.ok('RENAME zowie/bar bar')
    assert 'zowie' not in listed(i.ok('LIST "" *'))


def subscribed(i):
    """The names that do not come with an account, as LSUB, LIST (SUBSCRIBED) and LIST RETURN (SUBSCRIBED) tell them."""
    first = {'INBOX', 'Drafts', 'Sent', 'Junk', 'Trash', 'Archive'}
    lsub, extended = listed(i.ok('LSUB "" *')), listed(i.ok('LIST (SUBSCRIBED) "" *'))
    assert set(lsub) == set(extended) and first <= set(lsub)
    found = listed(i.ok('LIST "" * RETURN (SUBSCRIBED)'))
    for name, (attributes, _) in extended.items():
        is_there = name in found and '\\NonExistent' not in found[name][0]
        assert '\\Subscribed' in attributes and ('\\NonExistent' in attributes) == (not is_there), (name, attributes)
    assert {name for name, (attributes, _) in found.items() if '\\Subscribed' in attributes} == set(lsub) & set(found)
    return set(lsub) - first


def test_a_subscription_is_of_a_name_and_stays_when_the_mailbox_goes(server, i):
    """§6.3.6, §6.3.9, and RFC 5258 §3.1."""
    i.ok('CREATE Work/a')
    i.ok('SUBSCRIBE Work')
    i.ok('SUBSCRIBE Work/a')
    i.ok('RENAME Work Play')
    assert subscribed(i) == {'Work', 'Work/a'}
    # what takes a subscribed name is subscribed, and takes nothing along when it leaves it
    i.ok('CREATE Other')
    i.ok('RENAME Other Work')
    assert subscribed(i) == {'Work', 'Work/a'} and '\\NonExistent' not in listed(i.ok('LIST (SUBSCRIBED) "" Work'))['Work'][0]
    i.ok('RENAME Work Other')
    i.ok('SUBSCRIBE Play/a')
    i.ok('DELETE Play/a')
    i.ok('SUBSCRIBE Play')
    i.ok('DELETE Play')
    assert subscribed(i) == {'Work', 'Work/a', 'Play', 'Play/a'}
    assert listed(i.ok('LSUB "" Play'))['Play'][0] == set()
    # they are there after a restart, and go when they are told to
    server.kill_role('store')
    server.wait_all_running()
    with server.imap(US) as again:
        assert subscribed(again) == {'Work', 'Work/a', 'Play', 'Play/a'}
        for name in ('Work/a', 'Play', 'Nothing'):
            again.ok('UNSUBSCRIBE ' + name)
        assert subscribed(again) == {'Work', 'Play/a'}
        assert again.no('SUBSCRIBE Nothing').startswith('NO [NONEXISTENT]')
        assert again.no('SUBSCRIBE Play').startswith('NO [NONEXISTENT]')
        again.ok('CREATE Work')
        again.ok('UNSUBSCRIBE inbox')
        assert 'INBOX' not in listed(again.ok('LSUB "" *'))
        again.ok('SUBSCRIBE inbox')
        assert subscribed(again) == {'Work', 'Play/a'}


def test_a_name_without_a_mailbox_can_be_subscribed(i):
    i.ok('CREATE foo/bar')
    i.ok('DELETE foo')
    i.ok('SUBSCRIBE foo')
    assert subscribed(i) == {'foo'}
    assert listed(i.ok('LIST (SUBSCRIBED) "" foo'))['foo'][0] == {'\\Subscribed', '\\NonExistent', '\\HasChildren'}


def test_who_has_a_mailbox_open_that_is_deleted_above_others_is_told_so(server, i):
    """RFC 2180 §3.3."""
    i.ok('CREATE foo/bar')
    with server.imap(US) as other, server.imap(US) as below:
        other.ok('SELECT foo')
        below.ok('SELECT foo/bar')
        i.ok('SELECT foo')
        i.ok('DELETE foo')
        i.bad('FETCH 1 FLAGS')
        other.ok('NOOP')
        assert other.rest() == b'* BYE The mailbox that was selected has been deleted\r\n'
        below.ok('NOOP')


# ---- RFC 5258 ----

@pytest.mark.parametrize('line', ['LIST () "" ""', 'LIST "" "" RETURN ()', 'LIST (SUBSCRIBED) "" ""', 'LIST "Archive" ("")'])
def test_an_extended_list_does_not_ask_for_the_delimiter(i, line):
    """§3."""
    assert i.ok(line) == []
    assert set(listed(i.ok('LIST "" ("" INBOX)'))) == {'INBOX'}
    assert set(listed(i.ok('LIST "" ""'))) == {''}


def test_levels_above_are_told_only_for_what_is_not_seen_below_them(i):
    """§3.5 and §5, example 9."""
    for name in list(listed(i.ok('LIST "" *'))):
        i.ok('UNSUBSCRIBE ' + name)
    for name in ('foo2/bar1', 'foo2/bar2', 'baz2/bar2', 'baz2/bar22', 'baz2/bar222', 'eps2/mamba', 'qux2/bar2'):
        i.ok('CREATE ' + name)
        i.ok('SUBSCRIBE ' + name)
    for name in ('foo2', 'baz2', 'qux2'):
        i.ok('UNSUBSCRIBE ' + name)
    i.ok('SUBSCRIBE eps2')
    i.ok('DELETE qux2/bar2')
    i.ok('DELETE qux2')
    found = listed(i.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"'))
    childinfo = '("CHILDINFO" ("SUBSCRIBED"))'
    assert {name: (('\\Subscribed' in flags), more) for name, (flags, more) in found.items()} == {
        'foo2': (False, childinfo), 'foo2/bar2': (True, None), 'baz2/bar2': (True, None), 'baz2/bar22': (True, None),
        'baz2/bar222': (True, None), 'eps2': (True, childinfo), 'qux2/bar2': (True, None)}
    # a level that does not exist, above a subscription that does not exist either
    found = listed(i.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"'))
    assert set(found) == {'foo2', 'baz2', 'eps2', 'qux2'} and all(more == childinfo for _, more in found.values())
    assert '\\NonExistent' in found['qux2'][0] and '\\NonExistent' not in found['foo2'][0]
    assert set(listed(i.ok('LIST (SUBSCRIBED) "" "%"'))) == {'eps2'}
