"""Ports for servers that a test starts. Several runs of tests, side by side, get different ones: each port has a file with the pid of whoever
has it. They are below those that the kernel gives to outgoing connections."""
import atexit
import contextlib
import os
import random
import socket

FOLDER, FIRST, LAST = '/tmp/carteiro-tests-ports', 10000, 32000
mine = []


def is_alive(path):
    with contextlib.suppress(OSError, ValueError):
        pid = int(open(path).read() or '0')
        os.kill(pid, 0)
        return True
    return False


def take(port):
    """True if it is this process's now."""
    path = os.path.join(FOLDER, str(port))
    with contextlib.suppress(FileExistsError), open(path, 'x') as f:
        f.write(str(os.getpid()))
        mine.append(path)
        return True
    if not is_alive(path):
        with contextlib.suppress(OSError):
            os.unlink(path)  # for the next who asks
    return False


def is_unused(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            s.bind(('0.0.0.0', port))
            return True
    return False


def free_ports(count):
    """Ports that nobody listens on, and nobody else's test will."""
    os.makedirs(FOLDER, mode=0o777, exist_ok=True)
    found, port = [], random.randrange(FIRST, LAST)
    while len(found) < count:
        port = port + 1 if port < LAST else FIRST
        if is_unused(port) and take(port):
            found.append(port)
    return found


@atexit.register
def give_back():
    for path in mine:
        with contextlib.suppress(OSError):
            os.unlink(path)
