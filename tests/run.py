#!/usr/bin/python3
"""Runs every test: the C ones beside the code, each fuzz target for a few seconds, and the whole-system ones here, against
the build with sanitizers; and some of these once more against the build that people run, where a sandbox ends the process
that leaves it. The last line is `N passed, N failed`.

    run.py [c] [fuzz] [system] [release]        all of them, unless some are named"""
import glob
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FUZZ_SECONDS = '3'
RELEASE_TESTS = ['tests/test_%s.py' % name for name in
                 ('smtp', 'submission', 'senders', 'dkim', 'keys', 'imap', 'hostile', 'relay_host', 'mta_sts', 'clients', 'kill', 'disk', 'demo')]


def c_tests(build='build/test'):
    """Counts cmocka's own tests; a program that ends badly without naming one counts as one that failed."""
    passed = failed = 0
    listing = subprocess.run(['meson', 'introspect', '--tests', build], cwd=TOP, capture_output=True, text=True, check=True)
    for test in json.loads(listing.stdout):
        done = subprocess.run(test['cmd'], cwd=TOP, capture_output=True, text=True, errors='replace')
        text = done.stdout + done.stderr
        ok, bad = len(re.findall(r'^\[ +OK \]', text, re.M)), len(set(re.findall(r'^\[  FAILED  \] [a-z_0-9]+$', text, re.M)))
        if done.returncode and not bad:
            bad = 1
        print('%-32s %d passed, %d failed' % (test['name'], ok, bad), flush=True)
        if bad:
            print(text)
        passed, failed = passed + ok, failed + bad
    return passed, failed


def fuzz_targets():
    passed = failed = 0
    for target in sorted(glob.glob(os.path.join(TOP, 'build/fuzz/fuzz/*_fuzz'))):
        name = os.path.basename(target)
        corpus = os.path.join(TOP, 'build/fuzz/corpus', name)
        os.makedirs(corpus, exist_ok=True)
        done = subprocess.run([target, '-max_total_time=' + FUZZ_SECONDS, '-timeout=10', '-rss_limit_mb=2048',
                               '-artifact_prefix=' + os.path.join(TOP, 'build/fuzz/'), corpus],
                              capture_output=True, text=True, errors='replace')
        print('%-32s %s' % (name, 'no finding' if done.returncode == 0 else 'A FINDING'), flush=True)
        if done.returncode:
            print(done.stderr[-4000:])
            failed += 1
        else:
            passed += 1
    return passed, failed


def run_pytest(build, tests):
    report = os.path.join(TOP, build, 'pytest.xml')
    if os.path.exists(report):
        os.unlink(report)
    if os.path.exists(os.path.join(TOP, 'tests/node/package.json')):
        subprocess.run(['npm', 'ci', '--silent', '--no-audit', '--no-fund'], cwd=os.path.join(TOP, 'tests/node'), check=True)
    environment = dict(os.environ, CARTEIRO=os.path.join(TOP, build, 'cli/carteiro'))
    done = subprocess.run(['/usr/bin/python3', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-o', 'python_files=test_*.py', '--junit-xml=' + report, *tests],
                          cwd=TOP, env=environment)
    if not os.path.exists(report):
        return 0, 1
    suite = xml.etree.ElementTree.parse(report).getroot().find('testsuite')
    total, bad, skipped = (int(suite.get(k)) for k in ('tests', 'failures', 'skipped'))
    bad += int(suite.get('errors'))
    if done.returncode and not bad:
        bad = 1
    # a test that is skipped has shown nothing
    return total - bad - skipped, bad + skipped


def system_tests():
    return run_pytest('build/test', ['tests'])


def release_tests():
    c, system = c_tests('build/release'), run_pytest('build/release', RELEASE_TESTS)
    return c[0] + system[0], c[1] + system[1]


def main():
    parts = dict(c=c_tests, fuzz=fuzz_targets, system=system_tests, release=release_tests)
    passed = failed = 0
    for part in (parts[name] for name in sys.argv[1:] or parts):
        ok, bad = part()
        passed, failed = passed + ok, failed + bad
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(1 if failed else 0)


main()
