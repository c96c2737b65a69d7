#!/usr/bin/python3
"""make bench-out: queued messages leave for smtp-sink, to one destination and to fifty, from carteiro and from Postfix; prints how many a
second, and the ratio.

    out.py CARTEIRO [--count N]        (as root: the peers need it)"""
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
SMTP, FIRST_SINK, SINKS, THEIRS = 2545, 2600, 50, 23025
HOME = '/var/tmp/carteiro-peers'
WAIT_S = 3600  # until what found no server is tried again by itself
SETTINGS = """
protocols = smtp
smtp_listen = 127.0.0.1:%d
connections_per_address = 0
retry_first = %ds
retry_most = %ds
delay_warning = 0
sender_checks = off
""" % (SMTP, WAIT_S, WAIT_S)


def fill(port, count, domains):
    """Messages of 4 KB, the same number for each domain."""
    for n in range(domains):
        subprocess.run([LOAD, 'smtp', '-p', str(port), '-c', '20', '-n', str(count // domains), '-s', '4096', '-u', 'x@d%d.example' % n, '-U', '1'],
                       check=True, capture_output=True)


@contextlib.contextmanager
def sinks():
    running = [subprocess.Popen(['/usr/sbin/smtp-sink', '-u', 'postfix', '-c', '127.0.0.1:%d' % (FIRST_SINK + n), '1000'], stdout=subprocess.DEVNULL)
               for n in range(SINKS)]
    time.sleep(0.5)
    try:
        yield
    finally:
        for sink in running:
            sink.terminate()
            sink.wait()


def seconds_until(is_empty):
    start = time.monotonic()
    while not is_empty():
        time.sleep(0.02)
    return time.monotonic() - start


class Carteiro:
    def __init__(self, program):
        self.program, self.home = os.path.join(TOP, program), folder('bench-data') + '-out'
        self.conf = self.home + '/carteiro.conf'

    def start(self):
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.home)
        self.command('setup', 'example.test', '--hostname', 'mx.example.test', '--data', self.home + '/data', '--run', self.home + '/run')
        with open(self.conf, 'a') as f:
            f.write(SETTINGS)
        self.process = subprocess.Popen([self.program, '-c', self.conf, 'run'], stderr=open(self.home + '/log', 'ab'), stdin=subprocess.DEVNULL)
        wait_until_ready(self.program, self.conf, self.process, self.home + '/log')
        for n in range(SINKS):
            self.command('domain', 'add', 'd%d.example' % n, '[127.0.0.1]:%d' % (FIRST_SINK + n))

    def command(self, *words):
        return command(self.program, self.conf, *words)

    def queued(self):
        return int(re.search(r' queue=(\d+)', subprocess.run([self.program, '-c', self.conf, 'status'], capture_output=True, text=True, check=True).stdout)[1])

    def measure(self, count, domains):
        fill(SMTP, count, domains)
        with sinks():
            self.command('queue', 'retry', 'all')
            return count / seconds_until(lambda: self.queued() == 0)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


class Postfix:
    def start(self):
        os.environ['PEERS_HOME'] = HOME
        shutil.rmtree(HOME, ignore_errors=True)
        with open('/var/tmp/carteiro-peers.out', 'w') as out:  # the daemons keep it open
            subprocess.run([sys.executable, HERE + '/peers.py', 'start'], stdout=out, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True)
        domains = ['d%d.example' % n for n in range(SINKS)]
        self.set('relay_domains=' + ' '.join(domains),
                 'transport_maps=inline:{' + ', '.join('{ %s = smtp:[127.0.0.1]:%d }' % (d, FIRST_SINK + n) for n, d in enumerate(domains)) + ' }')

    def set(self, *settings):
        for one in settings:
            subprocess.run(['postconf', '-c', HOME + '/postfix', '-e', one], check=True)
        subprocess.run(['postfix', '-c', HOME + '/postfix', 'reload'], check=True, capture_output=True)
        time.sleep(1)

    @staticmethod
    def queued():
        return sum(len(files) for name in ('maildrop', 'incoming', 'active', 'deferred') for _, _, files in os.walk(HOME + '/spool/' + name))

    def measure(self, count, domains):
        self.set('defer_transports=smtp')
        fill(THEIRS, count, domains)
        with sinks():
            self.set('defer_transports=')
            subprocess.run(['postqueue', '-c', HOME + '/postfix', '-f'], check=True)
            return count / seconds_until(lambda: self.queued() == 0)

    def stop(self):
        subprocess.run([sys.executable, HERE + '/peers.py', 'stop'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument('carteiro')
    arguments.add_argument('--count', type=int, default=5000)
    given = arguments.parse_args()
    if os.geteuid() != 0:
        sys.exit('make bench-out starts Postfix beside carteiro: as root')
    subprocess.run(['cc', '-O2', '-Wall', '-o', LOAD, os.path.join(HERE, 'mailload.c'), '-lssl', '-lcrypto', '-lpthread'], check=True)
    results = []
    for server in (Carteiro(given.carteiro), Postfix()):
        server.start()
        try:
            results.append([server.measure(given.count, domains) for domains in (1, SINKS)])
        finally:
            server.stop()
    for i, name in enumerate(('out, one destination', 'out, fifty destinations')):
        a, b = results[0][i], results[1][i]
        print('%-26s carteiro %8.0f/s   Postfix %8.0f/s   %.1fx' % (name, a, b, a / b))


main()
