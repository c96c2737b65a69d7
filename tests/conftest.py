"""A carteiro instance for tests: made, configured, started, killed, looked at, and gone without a trace at the end."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

import network
import talk
from ports import free_ports

TOP = pathlib.Path(__file__).resolve().parent.parent
CARTEIRO = os.path.abspath(os.environ.get('CARTEIRO', TOP / 'build/test/cli/carteiro'))
PASSWORD = 'correct horse'
US = 'u@example.test'
SMALL = b'Subject: small\r\n\r\nbody\r\n'
# the quarantine is small enough that a process's memory still tells something
SANITIZERS = {'ASAN_OPTIONS': 'detect_leaks=0:abort_on_error=1:quarantine_size_mb=8', 'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1'}
FAULTS = re.compile(r'ERROR: AddressSanitizer|runtime error:|broken invariant')
PROTOCOLS = ('smtp', 'lmtp', 'submission', 'submissions', 'imap', 'imaps', 'pop3', 'pop3s')
STANDARD_PORTS = {'smtp': 25, 'lmtp': 24, 'submission': 587, 'submissions': 465, 'imap': 143, 'imaps': 993, 'pop3': 110, 'pop3s': 995}


def until(what, seconds=20.0, pause=0.02):
    """The first true value of what(), which is asked again and again; None if there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(pause)


@contextlib.contextmanager
def failing_dns():
    """A name server that answers every question with SERVFAIL; gives its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(('127.0.0.1', 0))

        def serve():
            while True:
                question, client = s.recvfrom(4096)
                if question == b'end':
                    return
                s.sendto(question[:2] + b'\x81\x82' + question[4:6] + bytes(6) + question[12:question.index(b'\0', 12) + 5], client)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield s.getsockname()[1]
        finally:
            s.sendto(b'end', s.getsockname())
            thread.join()


class Server:
    """One instance in a folder of its own.

    settings  lines of carteiro.conf beside those of every test
    netns     the network namespace that it runs in, on the standard ports; else on free ports of 127.0.0.1"""

    def __init__(self, folder, domain='example.test', hostname='mx.example.test', netns=None, settings=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o755)
        self.domain, self.hostname, self.netns = domain, hostname, netns
        self.config_file = self.folder / 'carteiro.conf'
        self.data, self.run_dir, self.log_file = self.folder / 'data', self.folder / 'run', self.folder / 'log'
        self.process = None
        self.killed = set()  # pids that a test ended itself
        self.gone = set()  # of these, whose end master has heard of: the number may be another process's by now
        self.address = '0.0.0.0' if netns else '127.0.0.1'
        self.ports = STANDARD_PORTS if netns else dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS))))
        done = self.command('setup', domain, '--hostname', hostname, '--data', str(self.data), '--run', str(self.run_dir))
        assert done.returncode == 0, done.stderr
        self.setup_output = done.stdout
        self.settings = {'protocols': ' '.join(PROTOCOLS), 'connections_per_address': '0', 'plaintext_login': 'on',
                         'filters': '1', 'store_workers': '2', 'unusual_recipients': '0'}  # test_held.py looks at the last
        if netns:
            self.settings['greeting_delay'] = '0'  # test_limits.py looks at it
        for protocol in PROTOCOLS:
            self.settings[protocol + '_listen'] = '%s:%d' % (self.address, self.ports[protocol])
        self.base = self.config_file.read_text()
        self.configure(**(settings or {}))

    def configure(self, **settings):
        """Changes settings in the file; who runs already sees them after a reload."""
        self.settings.update(settings)
        self.config_file.write_text(self.base + ''.join('%s = %s\n' % pair for pair in self.settings.items()))

    def argv(self, *words):
        inside = ['ip', 'netns', 'exec', self.netns] if self.netns else []
        return inside + [CARTEIRO, '-c', str(self.config_file), *words]

    def command(self, *words, stdin=''):
        return subprocess.run(self.argv(*words), input=stdin, capture_output=True, text=True, errors='replace', timeout=60,
                              env=dict(os.environ, **SANITIZERS))

    def must(self, *words, stdin=''):
        done = self.command(*words, stdin=stdin)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def add_user(self, name, password=PASSWORD):
        address = name if '@' in name else '%s@%s' % (name, self.domain)
        self.must('user', 'add', address, stdin=password + '\n')
        return address

    # ---- life ----

    def start(self):
        log = open(self.log_file, 'ab')
        before = log.tell()
        self.process = subprocess.Popen(self.argv('run'), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env=dict(os.environ, **SANITIZERS))
        log.close()
        assert until(lambda: b'master ready ' in self.log_file.read_bytes()[before:] or self.process.poll() is not None, 30), self.log()
        assert self.process.poll() is None, self.log()
        return self

    def stop(self):
        """SIGTERM, and the seconds that it took."""
        if not self.process:
            return 0.0
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(12)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise AssertionError('carteiro did not end within twelve seconds of SIGTERM: ' + self.log()[-2000:]) from None
        self.process = None
        return time.monotonic() - began

    def kill_all(self):
        """kill -9 of the master: the children die with it, and what they listened on is free."""
        children = subprocess.run(['pgrep', '-P', str(self.process.pid)], stdout=subprocess.PIPE, text=True).stdout.split()
        self.process.kill()
        self.process.wait()
        self.process = None
        assert until(lambda: not any(os.path.exists('/proc/' + pid) for pid in children), 10), 'children outlive the master'

    def status(self):
        return self.must('status')

    def pids(self):
        return [(role, int(pid)) for role, pid in re.findall(r'^(\S+)\s+\d+\s+pid (\d+)', self.status(), re.M)]

    def kill_role(self, role):
        """kill -9 of the processes with a role; their pids."""
        pids = [pid for name, pid in self.pids() if name == role and pid > 0]
        for pid in pids:
            self.killed.add(pid)
            self.gone.discard(pid)
            os.kill(pid, signal.SIGKILL)
        return pids

    def wait_all_running(self):
        def is_whole():
            done = self.command('status')
            lines = done.stdout.splitlines()[1:]
            return done.returncode == 0 and lines and all(' running ' in line for line in lines) and not any(
                'pid %d ' % pid in done.stdout for pid in self.killed - self.gone)
        assert until(is_whole, 30), self.log()[-3000:]
        self.gone |= self.killed

    def log(self):
        return self.log_file.read_text(errors='replace') if self.log_file.exists() else ''

    def check(self):
        """What no test may leave in the log."""
        text = self.log()
        fault = FAULTS.search(text)
        assert not fault, text[max(0, fault.start() - 300):fault.start() + 6000]
        died = [line for line in text.splitlines() if 'process-died' in line and int(re.search(r' pid=(\d+)', line)[1]) not in self.killed]
        assert not died, '\n'.join(died) + '\n' + text[-4000:]

    def close(self):
        try:
            if self.process and self.process.poll() is not None:
                raise AssertionError('carteiro ended by itself: ' + self.log()[-3000:])
            self.stop()
        finally:
            if self.process:
                self.process.kill()
                self.process.wait()
        self.check()

    # ---- talking to it ----

    def smtp(self, protocol='smtp', hello=True):
        with network.inside(self.netns):
            return talk.Smtp(self.ports[protocol], hello=hello, is_lmtp=protocol == 'lmtp', tls=protocol == 'submissions')

    def pop3(self, user=None, password=PASSWORD, protocol='pop3', utf8=False):
        with network.inside(self.netns):
            return talk.Pop3(self.ports[protocol], user, password, tls=protocol == 'pop3s', utf8=utf8)

    def imap(self, user=None, password=PASSWORD, protocol='imap'):
        with network.inside(self.netns):
            return talk.Imap(self.ports[protocol], user, password, tls=protocol == 'imaps')

    def empty_queue(self):
        for line in self.must('queue', 'list').splitlines():
            if re.match(r'[0-9a-z]{26} ', line):
                self.command('queue', 'remove', line.split()[0])

    def send(self, recipient, message, sender='sender@remote.example', options=''):
        """One message by SMTP from outside; the final reply."""
        with self.smtp() as s:
            return s.send_message(sender, [recipient], message, options)

    def messages(self, user, password=PASSWORD):
        """All messages of an account's INBOX, as they are, by POP3, which deletes nothing."""
        with self.pop3(user, password, utf8=True) as p:
            return p.all_messages()

    def empty(self, user, password=PASSWORD):
        with self.pop3(user, password) as p:
            for number in range(1, p.count() + 1):
                p.ok('DELE %d' % number)
            p.ok('QUIT')


def strip_trace(message):
    """The message without the fields that the server put in front."""
    while True:
        match = re.match(rb'(?:Return-Path|Authentication-Results|ARC-[A-Za-z-]+|DKIM-Signature|Received):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*', message)
        if not match:
            return message
        message = message[match.end():]


def strip_first_trace(message):
    """Without what one server put in front: Return-Path, Authentication-Results and seals of a stranger's message or signatures
    of a user's, and one Received."""
    for name in (rb'Return-Path', rb'(?:(?:Authentication-Results|ARC-[A-Za-z-]+|DKIM-Signature):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*Received'):
        match = re.match(name + rb':[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*', message)
        assert match, message[:300]
        message = message[match.end():]
    return message


def pytest_configure(config):
    """SIGTERM ends a run in order too: no process and no namespace stays behind."""
    def end(number, frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, end)


@pytest.fixture(scope='session')
def folder():
    path = tempfile.mkdtemp(prefix='carteiro-tests-', dir='/tmp')
    os.chmod(path, 0o755)
    yield pathlib.Path(path)
    if not os.environ.get('CARTEIRO_TESTS_KEEP'):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope='module')
def place(folder, request):
    """A folder of the module's own, which every user may enter."""
    path = folder / ('place-' + request.module.__name__[5:])
    path.mkdir()
    os.chmod(path, 0o755)
    return path


@pytest.fixture(scope='module')
def make_server(folder, request):
    """Makes instances for a module; all are checked and closed at its end."""
    made = []

    def make(name=None, start=True, users=(), **options):
        # short: a socket's path has 107 bytes at most
        server = Server(folder / ('%s-%s' % (request.module.__name__[5:], name or len(made))), **options)
        made.append(server)
        for user in users:
            server.add_user(user)
        return server.start() if start else server
    yield make
    faults = []
    for server in made:
        try:
            server.close()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, '\n'.join(faults)


@pytest.fixture
def i(server):
    """An IMAP session on an account as new."""
    if US in server.must('user', 'list').split():
        server.must('user', 'remove', US)
    server.add_user('u')
    with server.imap(US) as session:
        yield session


@pytest.fixture(autouse=True)
def no_fault_in_the_log(request):
    """The test in which a sanitizer speaks is the one that fails."""
    yield
    server = request.node.funcargs.get('server') if hasattr(request.node, 'funcargs') else None
    if isinstance(server, Server):
        server.check()
