"""What the demo and the bench have in common: a folder for an instance, its commands, waiting until it serves."""
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def reachable(path):
    """True if the server's own user can walk to the folder."""
    while path != '/':
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & 0o001:
            return False
    return True


def folder(name):
    here = os.path.join(TOP, name)
    # as root the server becomes a user of its own, who cannot enter a home folder such as /root
    return here if os.geteuid() != 0 or reachable(here) else '/var/tmp/carteiro-' + name


def command(carteiro, conf, *words, text=None):
    done = subprocess.run([carteiro, '-c', conf, *words], input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit('carteiro %s: %s%s' % (' '.join(words), done.stdout, done.stderr))
    return done.stdout


def wait_until_ready(carteiro, conf, server, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            lines = open(log, errors='replace').read().splitlines() or ['']
            sys.exit('the server ended. What it said last (all of it is in %s):\n%s' % (log, lines[-1]))
        done = subprocess.run([carteiro, '-c', conf, 'status'], capture_output=True, text=True)
        if done.returncode == 0 and 'starting' not in done.stdout and 'tls=no' not in done.stdout:
            return
        time.sleep(0.05)
    sys.exit('the server does not come up: see ' + log)
