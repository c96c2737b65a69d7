"""An internet in network namespaces: names from the root on, with signed and unsigned zones; and mail servers of others."""
import contextlib
import os
import pathlib
import shutil
import socket

import network
from conftest import until
from network import run

PEERS = pathlib.Path(__file__).parent.parent / 'build' / 'peers' / 'root'


class Roots(network.Names):
    """NSD with the root and what is below it on one address, and unbound, which asks from the root on, on another.

    zones    name -> its lines; '.' is the root; a zone's parent is the one that its name has behind its first dot
    unsigned their names"""

    def __init__(self, net, host, servers, address, folder, zones, unsigned=(), reverse=(), nameless=()):
        self.network, self.host, self.address, self.folder = net, host, address, pathlib.Path(folder)
        self.folder.mkdir()
        os.chmod(self.folder, 0o755)
        self.zones, self.unsigned = zones, unsigned
        self.keys = {zone: [run('ldns-keygen', '-a', 'ECDSAP256SHA256', *more, zone, cwd=self.folder).strip() for more in (['-k'], [])]
                     for zone in zones if zone not in unsigned}
        for zone in zones:
            self.write(zone, servers)
        self.anchor = self.folder / 'anchor.key'
        self.anchor.write_text((self.folder / (self.keys['.'][0] + '.key')).read_text())
        (self.folder / 'hints').write_text('. 3600 NS ns.root.\nns.root. 3600 A %s\n' % servers)
        (self.folder / 'nsd.conf').write_text('''server:
 ip-address: %(at)s
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
''' % {'d': self.folder, 'at': servers} + ''.join('zone:\n name: %s\n zonefile: %s\n' % (zone, self.file(zone)) for zone in zones))
        (self.folder / 'unbound.conf').write_text('''server:
 interface: %(at)s
 username: ""
 chroot: ""
 directory: "%(d)s"
 pidfile: "%(d)s/unbound.pid"
 use-syslog: no
 access-control: 0.0.0.0/0 allow
 module-config: "iterator"
 root-hints: "%(d)s/hints"
 local-zone: "test." nodefault
 num-threads: 1
%(reverse)sremote-control:
 control-enable: no
''' % {'d': self.folder, 'at': address, 'reverse': ''.join([' local-zone: "%s" static\n' % zone for zone in nameless] +
                                                           [' local-data-ptr: "%s %s"\n' % pair for pair in dict(reverse).items()])})
        self.nsd = self.unbound = None

    @staticmethod
    def file(zone):
        return 'zone-' + zone.strip('.') + '-' + 'end'

    def parent_of(self, zone):
        return zone.partition('.')[2] or '.' if zone != '.' else None

    def write(self, zone, servers):
        """With the delegations to its children, and the digests of their keys where they are signed."""
        dotted = zone if zone == '.' else zone + '.'
        lines = ['$ORIGIN ' + dotted, '$TTL 60', '@ SOA ns.root. hostmaster.root. 1 3600 600 86400 1', '@ NS ns.root.']
        if zone == '.':
            lines.append('ns.root. A %s' % servers)
        for child in self.zones:
            if self.parent_of(child) == zone:
                lines.append('%s. NS ns.root.' % child)
                if child in self.keys:
                    lines.append((self.folder / (self.keys[child][0] + '.ds')).read_text().strip())
        path = self.folder / self.file(zone)
        path.write_text('\n'.join(lines) + '\n' + self.zones[zone])
        if zone in self.keys:
            run('ldns-signzone', '-n', '-o', dotted, '-f', str(path) + '.signed', str(path), *self.keys[zone], cwd=self.folder)
            os.rename(str(path) + '.signed', path)

    def spoil(self, zone, old, new):
        """Another record than the one that was signed. Before start."""
        path = self.folder / self.file(zone)
        text = path.read_text()
        assert old in text, text
        path.write_text(text.replace(old, new, 1))


class Peer:
    """A mail server that cannot be installed beside Postfix: unpacked, it runs over this machine's files in a mount namespace of its own.
    What is delivered stands in `mail`, a Maildir a user."""

    def __init__(self, net, host, address, folder, prepare, words):
        self.network, self.host, self.address, self.folder = net, host, address, pathlib.Path(folder)
        self.mail = self.folder / 'mail'
        self.folder.mkdir()
        self.mail.mkdir()
        shutil.chown(self.mail, 'nobody')
        for path in (self.folder, self.mail):
            os.chmod(path, 0o755)
        assert PEERS.is_dir(), 'make packages-test unpacks them'
        (self.folder / 'prepare').write_text('set -e\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n' + prepare + '\nexec ' + words + '\n')
        # layers must not lie in one another
        (self.folder / 'start').write_text('''set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/up /mnt/work /mnt/root
cp -a %s /mnt/peers
cp %s/prepare /mnt/peers/prepare
mount -t overlay overlay -o lowerdir=/mnt/peers:/,upperdir=/mnt/up,workdir=/mnt/work /mnt/root
mkdir -p /mnt/root/maildirs
mount --bind %s /mnt/root/maildirs
mount --rbind /dev /mnt/root/dev
mount -t proc proc /mnt/root/proc
exec chroot /mnt/root /bin/sh /prepare
''' % (PEERS, self.folder, self.mail))
        self.process = None

    def start(self):
        self.process = self.network.start(self.host, 'unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', str(self.folder / 'start'), log=self.folder / 'log')

        def listens():
            with network.inside(self.network.name(self.host)), contextlib.suppress(OSError), socket.create_connection((self.address, 25), 1) as s:
                return s.recv(4).startswith(b'220')
        assert until(listens, 30), self.log()

    def stop(self):
        self.network.end(self.process)

    def log(self):
        return (self.folder / 'log').read_text(errors='replace')

    def messages(self, user):
        new = self.mail / user / 'new'
        return [path.read_bytes() for path in sorted(new.iterdir())] if new.exists() else []


def exim(net, host, address, folder, chain, domains):
    """4xx for later@, 5xx for never@; 4xx after the dot for a subject "later", 5xx for "never"."""
    return Peer(net, host, address, folder, '''useradd -r -M Debian-exim
mkdir -p /etc/exim4
cp %s /etc/exim4/chain.pem
cp %s /etc/exim4/key.pem
chown Debian-exim /etc/exim4/*.pem
mkdir -p /var/log/exim4 /var/spool/exim4
chown Debian-exim /var/log/exim4 /var/spool/exim4
cat > /etc/exim4/exim4.conf <<'END'
primary_hostname = mx.%s
domainlist local = %s
exim_user = Debian-exim
never_users =
acl_smtp_rcpt = recipients
acl_smtp_data = content
tls_certificate = /etc/exim4/chain.pem
tls_privatekey = /etc/exim4/key.pem
tls_advertise_hosts = *
keep_environment =
log_file_path = /var/log/exim4/%%slog
spool_directory = /var/spool/exim4
smtp_accept_max = 0
rfc1413_query_timeout = 0s
host_lookup =
dns_dnssec_ok = 0
begin acl
recipients:
 defer local_parts = later
  message = 4.2.0 come again
 deny local_parts = never
  message = 5.7.1 not wanted
 accept domains = +local
 deny message = relay not permitted
content:
 defer condition = ${if eq{$h_subject:}{later}}
  message = 4.2.0 not now
 deny condition = ${if eq{$h_subject:}{never}}
  message = 5.7.1 such content is not wanted
 accept
begin routers
all:
 driver = accept
 transport = maildir
begin transports
maildir:
 driver = appendfile
 directory = /maildirs/v
 maildir_format
 user = nobody
begin retry
* * F,1h,1m
END''' % (chain.file, chain.key, domains[0], ' : '.join(domains)), 'exim4 -bdf -q1m -oX %s.25' % address)


def opensmtpd(net, host, address, folder, domains):
    """5xx for never@. Without TLS: Debian's build fails in each handshake, whatever the key."""
    return Peer(net, host, address, folder, '''useradd -r -M opensmtpd
useradd -r -M opensmtpq
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd
chmod 711 /var/spool/smtpd
cat > /etc/smtpd.conf <<'END'
listen on %s hostname mx.%s
action "in" maildir "/maildirs/%%{rcpt.user}" user nobody virtual { "@" = nobody }
match from any for rcpt-to { %s } reject
%s
END''' % (address, domains[0], ', '.join('"never@%s"' % d for d in domains),
          '\n'.join('match from any for domain "%s" action "in"' % d for d in domains)), 'smtpd -d -f /etc/smtpd.conf')


def postfix(net, host, address, folder, chain, domains):
    """4xx for later@, 5xx for never@; both after the dot for a subject of that name."""
    p = network.Postfix(net, host, (address, '127.0.0.2'), folder)
    etc = p.folder / 'etc'
    (etc / 'users').write_text(''.join('v@%s v/\n' % d for d in domains))
    (etc / 'rcpt').write_text(''.join('later@%s 450 4.2.0 come again\nnever@%s 550 5.7.1 not wanted\n' % (d, d) for d in domains))
    (etc / 'headers').write_text('/^Subject: later$/ DEFER not now\n/^Subject: never$/ REJECT such content is not wanted\n')
    with open(etc / 'main.cf', 'a') as f:
        f.write('''myhostname = mx.%s
virtual_mailbox_domains = %s
smtpd_tls_security_level = may
smtpd_tls_chain_files = %s
smtpd_recipient_restrictions = check_recipient_access texthash:%s/rcpt, reject_unauth_destination
header_checks = regexp:%s/headers
''' % (domains[0], ' '.join(domains), folder / 'both.pem', etc, etc))
    (p.folder / 'both.pem').write_bytes(chain.key.read_bytes() + chain.file.read_bytes())
    return p
