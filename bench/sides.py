"""The two sides of a comparison: this server, and Postfix with Dovecot. Each runs while its `with` block does."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(TOP, 'tools'))
from instance import folder  # noqa: E402

LOAD = os.path.join(TOP, 'build', 'mailload')
OURS = dict(smtp=2525, imap=2143, imaps=2993, pop3=2110)
THEIRS = dict(smtp=23025, imap=23143, imaps=23993, pop3=23110)
PEERS_HOME = os.environ.setdefault('PEERS_HOME', '/var/tmp/carteiro-peers')


def build_load():
    os.makedirs(os.path.dirname(LOAD), exist_ok=True)
    subprocess.run(['cc', '-O2', '-Wall', '-o', LOAD, os.path.join(HERE, 'mailload.c'), '-lssl', '-lcrypto', '-lpthread'], check=True)


@contextlib.contextmanager
def ours(carteiro, *options, keeps=False):
    """The pid of this server's master; from empty mailboxes, unless it keeps those of the last time."""
    if not keeps:
        shutil.rmtree(folder('bench-data'), ignore_errors=True)
    server = subprocess.Popen([sys.executable, os.path.join(HERE, 'server.py'), carteiro, *options], stdout=subprocess.PIPE, text=True)
    pid = int(re.search(r'master pid (\d+)', server.stdout.readline()).group(1))
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        server.wait()


@contextlib.contextmanager
def theirs(prepare=None):
    """The pids of Postfix's and Dovecot's masters, with empty mailboxes and what `prepare` puts there."""
    shutil.rmtree(PEERS_HOME, ignore_errors=True)
    if prepare:
        prepare(PEERS_HOME)
    peers = [sys.executable, os.path.join(HERE, 'peers.py')]
    # to a file and not a pipe: the daemons keep it open
    with open('/var/tmp/carteiro-peers.out', 'w+') as out:
        subprocess.run(peers + ['start'], stdout=out, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True)
        out.seek(0)
        postfix, dovecot = (int(n) for n in re.findall(r'\d+', out.read())[-2:])
    try:
        yield postfix, dovecot
    finally:
        subprocess.run(peers + ['stop'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
