#!/usr/bin/python3
"""make bench: the same load on carteiro and on Postfix with Dovecot, one after the other; prints figures and ratios.

    bench.py CARTEIRO        (as root: the peers need it)"""
import os
import re
import subprocess
import sys
import time

from sides import LOAD, OURS, THEIRS, build_load, ours, theirs

SECONDS = 5

# name, arguments, port's name, what is read from the last line, unit, larger is better
WORK = [
    ('accept, 1 connection', ['smtp', '-c', '1', '-n', '1500', '-s', '4096', '-u', 'user%d@example.test', '-U', '50'], 'smtp', r'= (\d+)/s', '/s', True),
    ('accept, 20 connections', ['smtp', '-c', '20', '-n', '8000', '-s', '4096', '-u', 'user%d@example.test', '-U', '50'], 'smtp', r'= (\d+)/s', '/s', True),
    ('accept, 200 connections', ['smtp', '-c', '200', '-n', '8000', '-s', '4096', '-u', 'user%d@example.test', '-U', '50'], 'smtp', r'= (\d+)/s', '/s', True),
    ('IMAP, mixed', ['imap', '-c', '50', '-t', str(SECONDS), '-u', 'user%d', '-U', '50'], 'imap', r'= (\d+)/s', '/s', True),
    ('login', ['login', '-c', '20', '-t', str(SECONDS), '-u', 'user%d', '-U', '50'], 'imap', r'= (\d+)/s', '/s', True),
    ('login, TLS', ['login', '-T', '-c', '20', '-t', str(SECONDS), '-u', 'user%d', '-U', '50'], 'imaps', r'= (\d+)/s', '/s', True),
    ('POP3 RETR and DELE', ['pop3', '-c', '10', '-u', 'user%d', '-U', '50'], 'pop3', r'= (\d+)/s', '/s', True),
    ('idle IMAP, memory', ['idle', '-c', '500', '-u', 'user%d', '-U', '50'], 'imap', r'([\d.]+) KiB a conn', ' KiB', False),
    ('idle IMAP, TLS, memory', ['idle', '-T', '-c', '500', '-u', 'user%d', '-U', '50'], 'imaps', r'([\d.]+) KiB a conn', ' KiB', False),
]


def cpu_seconds(root):
    """CPU seconds of a process tree, of those that live and those that were waited for."""
    parents, times = {}, {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                fields = open('/proc/%s/stat' % name).read().rsplit(')', 1)[1].split()
            except OSError:
                continue
            parents[int(name)] = int(fields[1])
            times[int(name)] = sum(int(f) for f in fields[11:15]) / os.sysconf('SC_CLK_TCK')
    def below(pid):
        while pid > 1 and pid != root:
            pid = parents.get(pid, 0)
        return pid == root
    return sum(t for pid, t in times.items() if below(pid))


def run(work, ports, pids):
    name, arguments, port, pattern, _, _ = work
    pid = pids['imap' if name.startswith(('idle', 'IMAP', 'login', 'POP3')) else 'smtp']
    extra = ['-P', str(pid)] if arguments[0] == 'idle' else []
    before = sum(cpu_seconds(p) for p in set(pids.values()))
    done = subprocess.run([LOAD, arguments[0], '-p', str(ports[port]), '-w', 'pw', *extra, *arguments[1:]],
                          capture_output=True, text=True, timeout=300)
    last = done.stdout.strip().split('\n')[-1]
    found = re.search(pattern, last)
    if not found:
        sys.exit('%s: %s%s' % (name, done.stdout, done.stderr))
    count = re.search(r': (\d+) in', last)
    cpu = sum(cpu_seconds(p) for p in set(pids.values())) - before
    return float(found.group(1)), cpu / int(count.group(1)) * 1e6 if count and int(count.group(1)) else None


def settle():
    """The one side's writing is over before the other's begins."""
    os.sync()
    time.sleep(2)


def measure(ports, pids):
    result = []
    for work in WORK:
        settle()
        result.append(run(work, ports, pids))
    return result


def main():
    if os.geteuid() != 0:
        sys.exit('make bench starts Postfix and Dovecot beside carteiro: as root')
    build_load()
    with ours(sys.argv[1]) as master:
        left = measure(OURS, dict(smtp=master, imap=master))
    with theirs() as (postfix, dovecot):
        right = measure(THEIRS, dict(smtp=postfix, imap=dovecot))
    print('%-26s %18s %18s %8s   %s' % ('', 'carteiro', 'Postfix+Dovecot', 'ratio', 'CPU us each'))
    for work, (a, cpu_a), (b, cpu_b) in zip(WORK, left, right):
        ratio = (a / b if work[5] else b / a) if a and b else 0
        cpu = '%.0f / %.0f' % (cpu_a, cpu_b) if cpu_a and cpu_b else ''
        print('%-26s %15.1f%-3s %15.1f%-3s %7.1fx   %s' % (work[0], a, work[4], b, work[4], ratio, cpu))


main()
