"""slapd and PostgreSQL for tests: each with data of its own, on a port of 127.0.0.1 and a Unix socket, started and ended by the test."""
import os
import pathlib
import pwd
import shutil
import socket
import subprocess

from conftest import until
from ports import free_ports

SLAPD_CONF = '''\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %(folder)s/slapd.pid
argsfile %(folder)s/slapd.args
database mdb
suffix "dc=test"
rootdn "cn=admin,dc=test"
rootpw secret
directory %(folder)s/data
index objectClass eq
%(tls)saccess to * by dn.exact="cn=reader,dc=test" read by anonymous auth by * none
'''
ROOT_LDIF = '''\
dn: dc=test
objectClass: dcObject
objectClass: organization
dc: test
o: test

dn: cn=reader,dc=test
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: read it

'''


def accepts(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


class Process:
    """What listens on a port, started by argv() and ended by its pid."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        os.chmod(self.folder, 0o755)
        self.port, = free_ports(1)
        self.process = None

    def start(self):
        with open(self.folder / 'log', 'ab') as log:
            self.process = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        assert until(lambda: accepts(self.port) or self.process.poll() is not None, 30) and self.process.poll() is None, (self.folder / 'log').read_text()
        return self

    def stop(self):
        if self.process:
            self.process.send_signal(self.end)
            self.process.wait(30)
            self.process = None


class Slapd(Process):
    end = 15

    def __init__(self, folder, entries, chain=None):
        """entries: {address: [where it leads]}. chain: of certificates.make_chain, for TLS."""
        super().__init__(folder)
        (self.folder / 'data').mkdir()
        (self.folder / 'slapd.conf').write_text(SLAPD_CONF % {
            'folder': self.folder, 'tls': 'TLSCertificateFile %s\nTLSCertificateKeyFile %s\n' % (chain.file, chain.key) if chain else ''})
        self.put(entries)

    def argv(self):
        return ['slapd', '-d', '0', '-f', str(self.folder / 'slapd.conf'), '-h', 'ldap://127.0.0.1:%d' % self.port]

    def put(self, entries):
        """All that it has. Only while it is down."""
        shutil.rmtree(self.folder / 'data')
        (self.folder / 'data').mkdir()
        ldif = ROOT_LDIF + ''.join(
            'dn: uid=%d,dc=test\nobjectClass: account\nobjectClass: extensibleObject\nuid: %d\nmailLocalAddress: %s\n%s\n' % (
                n, n, address, ''.join('mail: %s\n' % t for t in targets)) for n, (address, targets) in enumerate(entries.items()))
        subprocess.run(['slapadd', '-f', str(self.folder / 'slapd.conf')], input=ldif, text=True, check=True, capture_output=True)

    def settings(self, more=''):
        return ('# as Postfix has it\nserver_host = localhost\nserver_port = %d\nsearch_base = dc=test\nversion = 3\nbind = yes\nbind_dn = cn=reader,dc=test\nbind_pw = read it\n'
                'query_filter = (mailLocalAddress=%%s)\nresult_attribute = mail\ntimeout = 5\n%s' % (self.port, more))


class Postgres(Process):
    end = 2  # SIGINT: fast shutdown
    programs = pathlib.Path('/usr/lib/postgresql/15/bin')

    def __init__(self, folder, sql):
        super().__init__(folder)
        user = pwd.getpwnam('postgres')
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        os.chmod(self.folder, 0o755)
        self.data = self.folder / 'data'
        (self.folder / 'password').write_text('super\n')
        os.chmod(self.folder / 'password', 0o644)
        subprocess.run(self.as_postgres(self.programs / 'initdb', '-D', self.data, '-U', 'postgres', '--auth=scram-sha-256', '--pwfile', self.folder / 'password', '-E', 'UTF8',
                                        '--no-sync'), check=True, capture_output=True, cwd=self.folder)
        self.start()
        self.sql('CREATE DATABASE mail', 'postgres')
        self.sql("CREATE ROLE reader LOGIN PASSWORD 'read ''it'; " + sql + '; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader')

    def as_postgres(self, *words):
        return ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] + [str(w) for w in words]

    def argv(self):
        return self.as_postgres(self.programs / 'postgres', '-D', self.data, '-h', '127.0.0.1', '-p', self.port, '-k', self.folder, '-c', 'fsync=off')

    def start(self):
        super().start()
        assert until(lambda: subprocess.run(self.psql('postgres') + ['-c', 'SELECT 1'], capture_output=True, env=self.env()).returncode == 0, 30)
        return self

    def env(self):
        return dict(os.environ, PGPASSWORD='super')

    def psql(self, database):
        return ['psql', '-h', str(self.folder), '-p', str(self.port), '-U', 'postgres', '-v', 'ON_ERROR_STOP=1', '-qAt', database]

    def sql(self, text, database='mail'):
        return subprocess.run(self.psql(database) + ['-c', text], check=True, capture_output=True, text=True, env=self.env()).stdout

    def settings(self, query, host=None, more=''):
        return "hosts = %s\nuser = reader\npassword = read 'it\ndbname = mail\nquery = %s\n%s" % (host or '127.0.0.1:%d' % self.port, query, more)
