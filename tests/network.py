"""Hosts of their own: network namespaces on one bridge, and what stands in them beside carteiro: NSD, unbound, Postfix."""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import time

CLONE_NEWNET = 0x40000000
# how the zone of every test begins
ZONE_START = '''$ORIGIN test.
$TTL 1
@ SOA ns hostmaster 1 3600 600 86400 1
@ NS ns
ns A 10.99.0.2
a MX 10 mx.a
mx.a A 10.99.0.10
'''
libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(netns):
    """Sockets that this thread makes are in the namespace, and stay there."""
    if not netns:
        yield
        return
    with open('/proc/thread-self/ns/net') as home, open('/run/netns/' + netns) as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'setns')
        try:
            yield
        finally:
            if libc.setns(home.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), 'setns')


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, **options).stdout


class Network:
    """Hosts by name, each with an address or several in 10.99.0.0/24 and fd99::/64."""

    def __init__(self, hosts, resolver):
        self.prefix = 'ct%d' % os.getpid()
        self.hosts, self.files = [], []
        self.processes = []
        self.hub = self.add('hub')
        run('ip', '-n', self.hub, 'link', 'add', 'br0', 'type', 'bridge')
        run('ip', '-n', self.hub, 'link', 'set', 'br0', 'up')
        for name, addresses in hosts.items():
            ns = self.add(name)
            run('ip', '-n', self.hub, 'link', 'add', 'v' + name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns)
            run('ip', '-n', self.hub, 'link', 'set', 'v' + name, 'master', 'br0', 'up')
            for address in addresses:
                # without duplicate address detection, an IPv6 address can be used at once
                length = ['/64', 'nodad'] if ':' in address else ['/24']
                run('ip', '-n', ns, 'addr', 'add', address + length[0], 'dev', 'eth0', *length[1:])
            run('ip', '-n', ns, 'link', 'set', 'eth0', 'up')
            where = pathlib.Path('/etc/netns') / ns
            where.mkdir(parents=True)
            self.files.append(where)
            (where / 'resolv.conf').write_text('nameserver %s\noptions timeout:2 attempts:1\n' % resolver)

    def add(self, name):
        ns = self.name(name)
        run('ip', 'netns', 'add', ns)
        self.hosts.append(ns)
        run('ip', '-n', ns, 'link', 'set', 'lo', 'up')
        return ns

    def name(self, host):
        return '%s-%s' % (self.prefix, host)

    def start(self, host, *words, log):
        with open(log, 'ab') as to:
            process = subprocess.Popen(['ip', 'netns', 'exec', self.name(host), *words], stdin=subprocess.DEVNULL, stdout=to, stderr=to)
        self.processes.append(process)
        return process

    def end(self, process):
        if process in self.processes:
            self.processes.remove(process)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self):
        for process in list(self.processes):
            self.end(process)
        for ns in self.hosts:
            subprocess.run(['ip', 'netns', 'del', ns], check=False)
        for path in self.files:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.rmdir('/etc/netns')


class Names:
    """A signed zone `test.` by NSD, and unbound before it, which recurses but leaves the validation to who asks.

    reverse   names of addresses
    nameless  zones of the reverse tree in which no other has one"""

    def __init__(self, network, host, address, folder, zone, spoil=lambda signed: signed, reverse=(), nameless=()):
        self.network, self.host, self.address, self.folder = network, host, address, pathlib.Path(folder)
        self.folder.mkdir()
        os.chmod(self.folder, 0o755)
        self.keys = [run('ldns-keygen', '-a', 'ECDSAP256SHA256', *more, 'test', cwd=self.folder).strip() for more in (['-k'], [])]
        self.sign(zone, spoil)
        self.anchor = self.folder / 'anchor.key'
        self.anchor.write_text((self.folder / (self.keys[0] + '.key')).read_text())
        (self.folder / 'nsd.conf').write_text('''server:
 ip-address: 127.0.0.1@5300
 username: ""
 chroot: ""
 zonesdir: "%(d)s"
 database: ""
 pidfile: "%(d)s/nsd.pid"
 logfile: "%(d)s/nsd.log"
 xfrdfile: "%(d)s/xfrd"
 zonelistfile: "%(d)s/zonelist"
 xfrdir: "%(d)s"
 cookie-secret-file: ""
remote-control:
 control-enable: no
zone:
 name: test.
 zonefile: zone.signed
''' % {'d': self.folder})
        (self.folder / 'unbound.conf').write_text('''server:
 interface: %s
 username: ""
 chroot: ""
 directory: "%s"
 pidfile: "%s/unbound.pid"
 use-syslog: no
 access-control: 0.0.0.0/0 allow
 module-config: "iterator"
 do-not-query-localhost: no
 local-zone: "test." nodefault
 cache-max-ttl: 1
 cache-max-negative-ttl: 1
 infra-host-ttl: 1
 num-threads: 1
%sremote-control:
 control-enable: no
stub-zone:
 name: "test."
 stub-addr: 127.0.0.1@5300
''' % (address, self.folder, self.folder, ''.join([' local-zone: "%s" static\n' % zone for zone in nameless] +
                                                                  [' local-data-ptr: "%s %s"\n' % pair for pair in dict(reverse).items()])))
        self.nsd = self.unbound = None

    def sign(self, zone, spoil=lambda signed: signed):
        """NSD reads it when it starts."""
        (self.folder / 'zone').write_text(zone)
        run('ldns-signzone', '-n', '-o', 'test', '-f', 'zone.signed', 'zone', *self.keys, cwd=self.folder)
        signed = (self.folder / 'zone.signed').read_text()
        (self.folder / 'zone.signed').write_text(spoil(signed))

    def start_nsd(self):
        self.nsd = self.network.start(self.host, 'nsd', '-d', '-c', str(self.folder / 'nsd.conf'), log=self.folder / 'log')

    def start_unbound(self):
        self.unbound = self.network.start(self.host, 'unbound', '-d', '-c', str(self.folder / 'unbound.conf'), log=self.folder / 'log')

    def stop_nsd(self):
        self.network.end(self.nsd)

    def stop_unbound(self):
        self.network.end(self.unbound)

    def start(self):
        self.start_nsd()
        self.start_unbound()
        self.wait()

    def wait(self):
        """Until a question is answered."""
        import dns.exception
        import dns.message
        import dns.query
        end = time.monotonic() + 15
        while time.monotonic() < end:
            with contextlib.suppress(dns.exception.DNSException, OSError), inside(self.network.name(self.host)):
                answer = dns.query.udp(dns.message.make_query('test.', 'SOA'), self.address, timeout=0.3)
                if answer.answer:
                    return
            time.sleep(0.05)
        raise AssertionError('no DNS: ' + (self.folder / 'log').read_text())


class Postfix:
    """One Postfix: domains p.test and p7.test; on the second address it speaks neither 8BITMIME nor SMTPUTF8."""

    def __init__(self, network, host, addresses, folder):
        self.network, self.host, self.folder = network, host, pathlib.Path(folder)
        self.queue, self.mail = self.folder / 'queue', self.folder / 'mail'
        for path in (self.folder, self.queue, self.mail, self.folder / 'data', self.folder / 'etc'):
            path.mkdir()
            os.chmod(path, 0o755)
        shutil.chown(self.folder / 'data', 'postfix')
        shutil.chown(self.mail, 'nobody')
        etc, log = self.folder / 'etc', pathlib.Path('/var/log/carteiro-tests-%d.log' % os.getpid())
        (etc / 'users').write_text('u@p.test u/\nu@p7.test u7/\n')
        (etc / 'main.cf').write_text('''compatibility_level = 3.6
queue_directory = %(d)s/queue
data_directory = %(d)s/data
maillog_file = %(log)s
myhostname = mx.p.test
mydestination =
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = p.test p7.test
virtual_mailbox_base = %(d)s/mail
virtual_mailbox_maps = texthash:%(d)s/etc/users
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
smtp_tls_security_level = may
alias_maps =
alias_database =
''' % {'d': self.folder, 'log': log})
        services = '''%s:25 inet n - n - - smtpd
127.0.0.1:25 inet n - n - - smtpd
%s:25 inet n - n - - smtpd -o smtpd_discard_ehlo_keywords=8bitmime,smtputf8 -o smtputf8_enable=no
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
''' % addresses
        (etc / 'master.cf').write_text(services)
        network.files.append(log)

    def postfix(self, word):
        return subprocess.run(['ip', 'netns', 'exec', self.network.name(self.host), 'postfix', '-c', str(self.folder / 'etc'), word],
                              capture_output=True, text=True, timeout=30)

    def start(self):
        done = self.postfix('start')
        assert done.returncode == 0, done.stdout + done.stderr

    def stop(self):
        self.postfix('stop')

    def messages(self, user):
        """The bodies of a user's Maildir."""
        new = self.mail / user / 'new'
        return [path.read_bytes() for path in sorted(new.iterdir())] if new.exists() else []

    def empty(self):
        for path in self.mail.glob('*/new/*'):
            path.unlink()
