#!/usr/bin/python3
"""make bench-queue: a server with many queued messages is killed and started again; prints how long its start takes, when the first
message leaves, how many leave in a second, and the memory of the process that keeps the queue.

    queue.py CARTEIRO [--count N]"""
import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'tools'))
from instance import TOP, command, folder, wait_until_ready  # noqa: E402

LOAD = os.path.join(TOP, 'build', 'mailload')
SMTP, SINK = 2535, 2536
WAIT_S = 3600  # the first wait of what found no server: `queue retry` ends it
SETTINGS = """
protocols = smtp
smtp_listen = 127.0.0.1:%d
connections_per_address = 0
relay_host = [127.0.0.1]:%d
retry_first = %ds
retry_most = %ds
delay_warning = 0
""" % (SMTP, SINK, WAIT_S, WAIT_S)


def memory_mib(pid):
    return int(re.search(r'VmRSS:\s+(\d+)', open('/proc/%d/status' % pid).read()).group(1)) / 1024


def pid_of(log, process):
    return int(re.findall(r'process-started .*process=%s index=0 pid=(\d+)' % process, log)[-1])


class Server:
    def __init__(self, carteiro, home):
        self.carteiro, self.home = carteiro, home
        self.conf, self.log_file = home + '/carteiro.conf', home + '/log'

    def start(self):
        self.began = time.monotonic()
        self.seen = os.path.getsize(self.log_file) if os.path.exists(self.log_file) else 0
        with open(self.log_file, 'ab') as log:
            self.process = subprocess.Popen([self.carteiro, '-c', self.conf, 'run'], stderr=log, stdin=subprocess.DEVNULL)
        wait_until_ready(self.carteiro, self.conf, self.process, self.log_file)
        return time.monotonic() - self.began

    def log(self):
        with open(self.log_file, 'rb') as f:
            f.seek(self.seen)
            return f.read().decode('utf-8', 'replace')

    def command(self, *words):
        return command(self.carteiro, self.conf, *words)

    def kill(self):
        for pid in re.findall(r'process-started .*pid=(\d+)', self.log()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self.process.kill()
        self.process.wait()


def fill(server, count):
    left = count
    while left:
        part = min(left, 100000)
        subprocess.run([LOAD, 'smtp', '-p', str(SMTP), '-c', '50', '-n', str(part), '-s', '1024', '-u', 'out@example.test', '-U', '1'],
                       check=True, capture_output=True)
        left -= part
        print('%d of %d messages queued' % (count - left, count), flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument('carteiro')
    arguments.add_argument('--count', type=int, default=1000000)
    given = arguments.parse_args()
    home = folder('bench-data') + '-queue'
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home)
    server = Server(os.path.join(TOP, given.carteiro), home)
    server.command('setup', 'example.test', '--hostname', 'mx.example.test', '--data', home + '/data', '--run', home + '/run')
    with open(server.conf, 'a') as f:
        f.write(SETTINGS)
    server.start()
    server.command('alias', 'add', 'out@example.test', 'someone@elsewhere.example')
    print('memory of store with an empty queue: %.0f MiB' % memory_mib(pid_of(server.log(), 'store')))
    fill(server, given.count)
    print('memory of store with all of them: %.0f MiB' % memory_mib(pid_of(server.log(), 'store')))
    server.kill()
    sink = subprocess.Popen(['/usr/sbin/smtp-sink', '-u', 'postfix', '-c', '127.0.0.1:%d' % SINK, '1000'], stdout=subprocess.DEVNULL)
    try:
        print('ready after kill -9: %.2f s' % server.start())
        server.command('queue', 'retry', 'all')
        while 'outcome=delivered' not in server.log():
            time.sleep(0.01)
        print('first message delivered %.2f s after the start' % (time.monotonic() - server.began))
        print('memory of store: %.0f MiB' % memory_mib(pid_of(server.log(), 'store')))
        counts, most = [server.log().count('outcome=delivered')], 0
        for _ in range(15):
            time.sleep(1)
            counts.append(server.log().count('outcome=delivered'))
            most = max(most, memory_mib(pid_of(server.log(), 'store')))
        print('delivered in each second: %s' % ' '.join(str(b - a) for a, b in zip(counts, counts[1:])))
        print('memory of store, the most: %.0f MiB' % most)
    finally:
        sink.terminate()
        server.kill()


main()
