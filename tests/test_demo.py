"""What `make demo` starts: a letter goes through it, people can connect, Ctrl-C ends it, and it starts again from what is there."""
import contextlib
import os
import re
import shutil
import signal
import subprocess

import network
import talk
from conftest import CARTEIRO, SANITIZERS, TOP, until


@contextlib.contextmanager
def host():
    """A network namespace of its own: the demo's ports are fixed."""
    name = 'ctdemo%d' % os.getpid()
    network.run('ip', 'netns', 'add', name)
    try:
        network.run('ip', '-n', name, 'link', 'set', 'lo', 'up')
        yield name
    finally:
        network.run('ip', 'netns', 'del', name)


def start(netns, home):
    log = open(home / 'output', 'wb')
    return subprocess.Popen(['ip', 'netns', 'exec', netns, '/usr/bin/python3', str(home / 'tools/demo.py'), CARTEIRO], stdout=log, stderr=log,
                            stdin=subprocess.DEVNULL, start_new_session=True, env=dict(os.environ, **SANITIZERS))


def listeners(netns):
    return network.run('ip', 'netns', 'exec', netns, 'ss', '-Hltn').split()


def test_demo_shows_a_letter_takes_clients_ends_by_ctrl_c_and_starts_again(folder):
    home = folder / 'demo'
    home.mkdir()
    os.chmod(home, 0o755)
    shutil.copytree(os.path.join(TOP, 'tools'), home / 'tools')
    with host() as netns:
        passwords = []
        for _ in range(2):
            process = start(netns, home)
            try:
                assert until(lambda: 'runs until Ctrl-C' in (home / 'output').read_text() or process.poll() is not None, 90)
                text = (home / 'output').read_text()
                assert process.poll() is None, text
                assert 'this letter went through carteiro' in text and 'Olá Bruno' in text
                users = re.findall(r'(\S+@demo\.example) +password (\S+)', text)
                assert len(users) == 2
                passwords.append(users)
                with network.inside(netns), talk.Imap(2993, *users[1], tls=True) as c:
                    assert len(c.bodies()) == len(passwords)
                assert (home / 'demo/passwords').stat().st_mode & 0o077 == 0
            finally:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(30)
            assert listeners(netns) == []
        assert passwords[0] == passwords[1]
