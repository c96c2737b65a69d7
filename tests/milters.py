"""Milters for tests: programs over libmilter, and some that say exactly what a test tells them to."""
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading

from conftest import TOP, until


class Program:
    """A milter over libmilter (milter_program.py), and what it heard."""

    def __init__(self, folder, name='p', **spec):
        self.path, self.log = folder / name, folder / (name + '.log')
        self.socket = 'unix:%s' % self.path
        self.spec = spec
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, str(TOP / 'tests/milter_program.py'), self.socket, str(self.log), json.dumps(self.spec)],
                                        stdin=subprocess.DEVNULL)
        assert until(self.answers, 20)

    def answers(self):
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(str(self.path))
            except OSError:
                return False
            return True

    def stop(self):
        self.process.kill() # SIGTERM would wait for connections that are kept
        self.process.wait()
        self.path.unlink(missing_ok=True)

    def heard(self, step=None):
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line[1:] for line in lines if line[0] == step] if step else lines

    def steps(self):
        return [line[0] for line in self.heard()]


def packet(kind, data=b''):
    return struct.pack('>I', len(data) + 1) + kind + data


def options(actions=0x1fd, protocol=0, version=6):
    return packet(b'O', struct.pack('>III', version, actions, protocol))


CONTINUE = packet(b'c')


class Raw:
    """says: what it answers to a command, by its letter; bytes, or None: it ends the connection. Without one, continue."""

    def __init__(self, path, says):
        self.path = path
        self.socket = 'unix:%s' % self.path
        self.says = {b'O': options(), b'D': b'', b'A': b'', b'Q': b'', **{key.encode(): answer for key, answer in says.items()}}
        self.heard, self.clients = [], []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        os.chmod(self.path, 0o777)
        self.listener.listen(64)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        threads = []
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                break
            self.clients.append(client)
            threads.append(threading.Thread(target=self.session, args=(client,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def session(self, client):
        client.settimeout(60)
        with client, contextlib.suppress(OSError, EOFError):
            while True:
                (length,) = struct.unpack('>I', self.read(client, 4))
                what = self.read(client, length)
                self.heard.append(what)
                answer = self.says.get(what[:1], CONTINUE)
                if callable(answer):
                    answer = answer(what)
                if answer is None:
                    return
                client.sendall(answer)

    @staticmethod
    def read(client, n):
        data = b''
        while len(data) < n:
            part = client.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def close(self):
        for s in [self.listener, *self.clients]:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def change(kind, *texts, index=None):
    return packet(kind, (b'' if index is None else struct.pack('>I', index)) + b''.join(t + b'\0' for t in texts))
