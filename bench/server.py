#!/usr/bin/python3
"""make bench-server: the instance that is measured. Prints `master pid N`, stays in the foreground; SIGTERM to N ends it.

    server.py CARTEIRO [--conf FILE] [--import MAILDIR]     the latter goes into big1's INBOX first

Its data stay in bench-data/ and are used again by the next start, also after SIGKILL of every process."""
import argparse
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tools'))
from instance import TOP, command, folder, wait_until_ready  # noqa: E402

USERS = ['user%d' % n for n in range(1, 1001)] + ['big1', 'postmaster']
SECRET = '$y$j9T$Lon1f9vVfnefR11kSe7lw/$lhRRUQrwNbvYpiJKVeAGyqoXfhvLWfUmkIANDAYUNM7'  # pw, by yescrypt at its default cost
SETTINGS = """
protocols = smtp lmtp submission submissions imap imaps pop3 pop3s
smtp_listen = 127.0.0.1:2525
lmtp_listen = 127.0.0.1:2424
submission_listen = 127.0.0.1:2587
submissions_listen = 127.0.0.1:2465
imap_listen = 127.0.0.1:2143
imaps_listen = 127.0.0.1:2993
pop3_listen = 127.0.0.1:2110
pop3s_listen = 127.0.0.1:2995
plaintext_login = loopback
connections_per_address = 0
recipients_per_hour = 0
unusual_recipients = 0
"""


def prepare(carteiro, home):
    """The configuration and the users, the first time. A first start that was broken off begins anew."""
    conf, done = os.path.join(home, 'base.conf'), os.path.join(home, 'prepared')
    if os.path.exists(done):
        return conf
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home)
    command(carteiro, conf, 'setup', 'example.test', '--hostname', 'mx.example.test', '--user', 'user1',
            '--data', home + '/data', '--run', home + '/run')
    command(carteiro, conf, 'alias', 'remove', 'postmaster@example.test')
    command(carteiro, conf, 'user', 'remove', 'user1@example.test')
    with open(home + '/users', 'w') as f:
        f.writelines('%s@example.test:%s\n' % (user, SECRET) for user in USERS)
    command(carteiro, conf, 'user', 'import', home + '/users')
    open(done, 'w').close()
    return conf


def start(carteiro, conf, home):
    with open(home + '/log', 'ab') as log:
        server = subprocess.Popen([carteiro, '-c', conf, 'run'], stderr=log, stdin=subprocess.DEVNULL)
    wait_until_ready(carteiro, conf, server, home + '/log')
    return server


def busy_ticks(root):
    """CPU that a process and those below it have used."""
    used, parents = {}, {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            fields = open('/proc/%s/stat' % pid).read().rpartition(')')[2].split()
        except OSError:
            continue
        used[int(pid)], parents[int(pid)] = int(fields[11]) + int(fields[12]), int(fields[1])
    return sum(ticks for pid, ticks in used.items() if pid == root or parents[pid] == root)


def wait_until_at_rest(pid, most_seconds=900):
    """What is made of messages in the background (columns, texts) has been made, as it has in any mailbox that is in use."""
    before = -100
    for _ in range(most_seconds):
        now = busy_ticks(pid)
        if now - before < 3:
            return
        before = now
        time.sleep(1)


def bring_in(carteiro, conf, home, maildir):
    """Its messages into big1's INBOX; a second time, what is new. By a server of its own, so that the one that is measured has nothing of them in memory."""
    server = start(carteiro, conf, home)
    done = subprocess.run([carteiro, '-c', conf, 'import', 'maildir', 'big1@example.test', os.path.abspath(maildir)], stdout=sys.stderr)
    wait_until_at_rest(server.pid)
    server.terminate()
    server.wait()
    if done.returncode:
        sys.exit('the import ended with %d' % done.returncode)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument('carteiro')
    arguments.add_argument('--conf')
    arguments.add_argument('--import', dest='maildir')
    given = arguments.parse_args()
    carteiro, home = os.path.join(TOP, given.carteiro), folder('bench-data')
    base = prepare(carteiro, home)
    conf = home + '/carteiro.conf'
    extra = open(given.conf).read() if given.conf else ''
    named = {line.split('=')[0].strip() for line in extra.split('\n') if '=' in line and not line.startswith('#')}
    # a setting that FILE has stands in place of ours
    lines = [line for line in (open(base).read() + SETTINGS).split('\n') if line.split('=')[0].strip() not in named]
    with open(conf, 'w') as f:
        f.write('\n'.join(lines) + '\n' + extra)
    if given.maildir:
        bring_in(carteiro, conf, home, given.maildir)
    server = start(carteiro, conf, home)
    print('master pid %d' % server.pid, flush=True)
    try:
        sys.exit(server.wait())
    except KeyboardInterrupt:
        server.wait()


main()
