"""SPF by `carteiro check spf`: the whole test suite of openspf.org for RFC 7208."""
import subprocess

import pytest

import spf_suite
from conftest import CARTEIRO, SANITIZERS


@pytest.fixture(scope='module')
def config(folder):
    path = folder / 'spf.conf'
    path.write_text('hostname = receiver.example.com\ndata_dir = %s\nrun_dir = %s\n' % (folder, folder))
    return path


def check(config, port, lines):
    """[(result, explanation)] for each (ip, helo, mail_from)."""
    base = config.read_text().split('resolver')[0]
    config.write_text(base + 'resolver = 127.0.0.1@%d\ndnssec = off\n' % port)
    done = subprocess.run([CARTEIRO, '-c', str(config), 'check', 'spf'], input=''.join('%s\t%s\t%s\n' % one for one in lines),
                          capture_output=True, text=True, timeout=120, env=SANITIZERS)
    assert done.returncode == 0, done.stderr
    return [tuple(line.split('\t', 1)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize('scenario', spf_suite.scenarios(), ids=lambda s: s['description'].replace(' ', '-'))
def test_the_suite_says_the_same(config, scenario):
    tests = list(scenario['tests'].items())
    with spf_suite.name_server(spf_suite.Zone(scenario['zonedata'])) as port:
        got = check(config, port, [(t['host'], t['helo'], t['mailfrom']) for _, t in tests])
    assert len(got) == len(tests)
    faults = []
    for (name, test), (result, explanation) in zip(tests, got):
        wanted = test['result'] if isinstance(test['result'], list) else [test['result']]
        if result not in wanted:
            faults.append('%s: %s (%s), not %s' % (name, result, explanation, wanted))
        want = test.get('explanation')
        if result == 'fail' and want and want != 'DEFAULT' and explanation != want:
            faults.append('%s: explained as %r, not %r' % (name, explanation, want))
        if result == 'fail' and want == 'DEFAULT' and ' may not send for ' not in explanation:
            faults.append('%s: explained as %r, where there is no explanation' % (name, explanation))
    assert not faults, '\n'.join(faults)
