#!/usr/bin/python3
"""make bench-large: a mailbox of many messages, here and in Dovecot: each command's first answer after a start, and the next one.

    large.py CARTEIRO [--count N]        (as root: the peers need it)

Then what a delivery costs into that mailbox and into an empty one."""
import argparse
import os
import re
import shutil
import subprocess
import sys

from sides import HERE, LOAD, OURS, THEIRS, build_load, ours, theirs

COMMANDS = ['SELECT INBOX', 'FETCH 1:* (FLAGS)', 'FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)', 'FETCH 1:* (ENVELOPE)', 'SORT (DATE) UTF-8 ALL',
            'SORT (SUBJECT) UTF-8 ALL', 'THREAD REFERENCES UTF-8 ALL', 'SEARCH FROM "Sender 77"', 'SEARCH BODY w17777', 'SEARCH BODY "needle in a haystack"',
            'STORE 1:* +FLAGS.SILENT (\\Flagged)']


def maildir(count):
    path = '/var/tmp/carteiro-big/%d' % count
    if not os.path.exists(path + '/done'):
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run([sys.executable, os.path.join(HERE, 'make-big-mailbox.py'), str(count), path + '/mail'], check=True)
        open(path + '/done', 'w').close()
    return path + '/mail'


def answers(port):
    done = subprocess.run([LOAD, 'run', '-p', str(port), '-u', 'big1', '-w', 'pw', *COMMANDS], capture_output=True, text=True, timeout=3600)
    return [float(ms) for ms in re.findall(r'^\s*([\d.]+) ms', done.stdout, re.M)]


def deliveries(port, user):
    done = subprocess.run([LOAD, 'smtp', '-p', str(port), '-c', '20', '-n', '4000', '-s', '4096', '-u', user, '-U', '1'], capture_output=True, text=True, timeout=600)
    return float(re.search(r'= (\d+)/s', done.stdout).group(1))


def measure_ours(carteiro, mail):
    with ours(carteiro, '--import', mail):
        first, warm = answers(OURS['imap']), answers(OURS['imap'])
    with ours(carteiro, keeps=True):
        again = answers(OURS['imap'])
        rates = [(deliveries(OURS['smtp'], 'big1@example.test'), deliveries(OURS['smtp'], 'user9@example.test')) for _ in range(3)]
    return first, warm, again, rates


def measure_theirs(mail):
    def prepare(home):
        os.makedirs(home + '/mail', exist_ok=True)
        subprocess.run(['cp', '-a', mail, home + '/mail/big1'], check=True)
        subprocess.run(['chown', '-R', 'mail:mail', home + '/mail/big1'], check=True)
    with theirs(prepare):
        return answers(THEIRS['imap']), answers(THEIRS['imap'])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument('carteiro')
    arguments.add_argument('--count', type=int, default=100000)
    given = arguments.parse_args()
    if os.geteuid() != 0:
        sys.exit('make bench-large starts Dovecot beside carteiro: as root')
    build_load()
    mail = maildir(given.count)
    first, warm, again, rates = measure_ours(given.carteiro, mail)
    their_first, their_warm = measure_theirs(mail)
    print('%-48s %9s %9s %9s %9s %9s %7s %7s' % ('%d messages, ms' % given.count, 'first', 'warm', 'restarted', 'Dovecot', 'warm', 'first', 'warm'))
    for row in zip(COMMANDS, first, warm, again, their_first, their_warm):
        print('%-48s %9.1f %9.1f %9.1f %9.1f %9.1f %6.1fx %6.1fx' % (*row, row[4] / row[1], row[5] / row[2]))
    print('deliveries, 20 connections: ' + '; '.join('%.0f/s, and into an empty mailbox %.0f/s' % pair for pair in rates))


main()
