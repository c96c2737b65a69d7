#!/usr/bin/python3
"""Runs every test: the C ones beside the code, each fuzz target for a few seconds, and the whole-system ones here, against
the build with sanitizers; and some of these once more against the build that people run, where a sandbox ends the process
that leaves it. Fuzz targets and modules run side by side, one a core. The last line is `N passed, N failed`.

    run.py [c] [fuzz] [system] [release]        all of them, unless some are named"""
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FUZZ_SECONDS = '3'
RELEASE_TESTS = ('smtp', 'submission', 'senders', 'dkim', 'keys', 'imap', 'hostile', 'relay_host', 'mta_sts', 'clients', 'kill', 'disk', 'demo')
# those that take minutes begin first, so that none is left over at the end
LONGEST = ('scram', 'mta_sts', 'milter', 'hostile', 'queue', 'route', 'imap', 'senders', 'kill', 'milter_programs', 'smtp', 'internet', 'tables', 'arc', 'clients', 'relay')


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


def fuzz_target(target):
    name = os.path.basename(target)
    corpus = os.path.join(TOP, 'build/fuzz/corpus', name)
    os.makedirs(corpus, exist_ok=True)
    done = subprocess.run([target, '-max_total_time=' + FUZZ_SECONDS, '-timeout=10', '-rss_limit_mb=2048',
                           '-artifact_prefix=' + os.path.join(TOP, 'build/fuzz/'), corpus],
                          capture_output=True, text=True, errors='replace')
    print('%-32s %s' % (name, 'no finding' if done.returncode == 0 else 'A FINDING\n' + done.stderr[-4000:]), flush=True)
    return (0, 1) if done.returncode else (1, 0)


def module(job):
    """One module of whole-system tests against one build."""
    build, name = job
    report = os.path.join(TOP, build, 'pytest-%s.xml' % name)
    if os.path.exists(report):
        os.unlink(report)
    environment = dict(os.environ, CARTEIRO=os.path.join(TOP, build, 'cli/carteiro'))
    done = subprocess.run(['/usr/bin/python3', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '--junit-xml=' + report, 'tests/test_%s.py' % name],
                          cwd=TOP, env=environment, capture_output=True, text=True, errors='replace')
    passed, failed = read_report(report, done.returncode)
    seconds = re.search(r' in ([0-9.]+)s', done.stdout)
    print('%-32s %d passed, %d failed%s' % (os.path.join(os.path.basename(build), name), passed, failed, ', %.0f s' % float(seconds[1]) if seconds else ''), flush=True)
    if failed:
        print(done.stdout + done.stderr, flush=True)
    return passed, failed


def read_report(report, code):
    if not os.path.exists(report):
        return 0, 1
    suite = xml.etree.ElementTree.parse(report).getroot().find('testsuite')
    total, bad, skipped = (int(suite.get(k)) for k in ('tests', 'failures', 'skipped'))
    bad += int(suite.get('errors'))
    if code and not bad:
        bad = 1
    # a test that is skipped has shown nothing
    return total - bad - skipped, bad + skipped


def modules(build, names):
    return [(build, name) for name in names]


def by_length(job):
    return LONGEST.index(job[1]) if job[1] in LONGEST else len(LONGEST)


def side_by_side(run, jobs):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [sum(column) for column in zip((0, 0), *pool.map(run, jobs))]


def main():
    asked = sys.argv[1:] or ['c', 'fuzz', 'system', 'release']
    results, jobs = [], []
    if 'c' in asked:
        results.append(c_tests())
    if 'fuzz' in asked:
        results.append(side_by_side(fuzz_target, sorted(glob.glob(os.path.join(TOP, 'build/fuzz/fuzz/*_fuzz')))))
    if 'system' in asked:
        jobs += modules('build/test', sorted(os.path.basename(path)[5:-3] for path in glob.glob(os.path.join(TOP, 'tests/test_*.py'))))
    if 'release' in asked:
        results.append(c_tests('build/release'))
        jobs += modules('build/release', RELEASE_TESTS)
    if jobs:
        subprocess.run(['npm', 'ci', '--silent', '--no-audit', '--no-fund'], cwd=os.path.join(TOP, 'tests/node'), check=True)
        results.append(side_by_side(module, sorted(jobs, key=by_length)))
    passed, failed = (sum(column) for column in zip(*results))
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(1 if failed else 0)


main()
