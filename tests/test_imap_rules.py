"""Rules of RFC 3501 and of its extensions that are easily forgotten, section by section."""
import re

import pytest

from conftest import SMALL


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
