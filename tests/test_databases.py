"""LDAP and PostgreSQL that hang, that cannot answer for one name, and whose settings change."""
import contextlib
import re
import select
import socket
import threading

import pytest

from certificates import make_chain
from conftest import until
from test_tables import arrives, postgres, rcpt, slapd, tables  # noqa: F401

BOUND = bytes.fromhex('300c02010161070a010004000400')        # bindResponse, success (RFC 4511)
GO_ON_WITH_TLS = bytes.fromhex('300c02010178070a010004000400')  # extendedResponse, success


class Silent:
    """Takes connections, sends one answer to what comes first, and says nothing more."""

    def __init__(self, answer=None):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.answer = answer
        self.taken = []
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            try:
                self.taken.append(self.listener.accept()[0])
            except OSError:
                return
            if self.answer and self.taken[-1].recv(1000):
                self.taken[-1].sendall(self.answer)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in self.taken:
            s.close()


class Path:
    """What lies between us and a server: hang() makes the connections that are open now dead ones, which nobody closes."""

    def __init__(self, port):
        self.to = port
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.pairs, self.dead = [], set()
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            try:
                one = self.listener.accept()[0]
            except OSError:
                return
            pair = one, socket.create_connection(('127.0.0.1', self.to))
            self.pairs.append(pair)
            threading.Thread(target=self.carry, args=(pair,), daemon=True).start()

    def carry(self, pair):
        """Ends with either end, or when the path is closed."""
        with contextlib.suppress(OSError, ValueError):
            while True:
                for s in select.select(pair, [], [])[0]:
                    data = s.recv(65536)
                    if pair in self.dead:
                        return
                    if not data:
                        for end in pair:
                            end.shutdown(socket.SHUT_RDWR)
                        return
                    pair[s is pair[0]].sendall(data)

    def hang(self):
        self.dead |= set(self.pairs)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        for s in [self.listener] + [end for pair in self.pairs for end in pair]:
            s.close()


@pytest.fixture
def made():
    """Closes what is put there."""
    things = []
    yield things
    for thing in things:
        thing.close()


def ask_at_once(server, recipients):
    """All of them at the same time: the codes."""
    sessions = [server.smtp() for _ in recipients]
    for c, recipient in zip(sessions, recipients):
        assert c.command('MAIL FROM:<x@remote.example>').code == 250
        c.send(b'RCPT TO:<%s>\r\n' % recipient.encode())
    codes = [c.reply().code for c in sessions]
    for c in sessions:
        c.close()
    return codes


def test_connections_to_postgresql_that_are_dead_are_given_up(tables, postgres, made):  # noqa: F811
    postgres.sql("TRUNCATE alias; INSERT INTO alias SELECT 'info' || i || '@other.test', 'ana@example.test' FROM generate_series(1, 40) i")
    path = Path(postgres.port)
    made.append(path)
    tables.write('v.cf', postgres.settings("SELECT goto FROM alias WHERE address = '%s'", '127.0.0.1:%d' % path.port, 'timeout = 2\n'))
    s = tables.start(virtual='other.test x\n', extra=['virtual:pgsql:%s' % tables.path('v.cf')])
    assert set(ask_at_once(s, ['info%d@other.test' % i for i in range(1, 9)])) == {250}
    path.hang()
    assert 451 in ask_at_once(s, ['info%d@other.test' % i for i in range(11, 19)])
    assert re.search('table-down .*no answer in time', s.log())
    taken = len(path.pairs)
    # the dead ones are still there, and new ones answer
    assert until(lambda: rcpt(s, 'info20@other.test') == 250), s.log()[-2000:]
    assert len(path.pairs) > taken and 'table-up' in s.log()
    assert until(lambda: set(ask_at_once(s, ['info%d@other.test' % i for i in range(21, 29)])) == {250})


@pytest.mark.parametrize('scheme, answer, more', [('ldaps', None, ''), ('ldap', GO_ON_WITH_TLS, 'start_tls = yes\n'), ('ldap', None, 'start_tls = yes\n'), ('ldap', BOUND, '')],
                         ids=['handshake', 'later handshake', 'start_tls', 'search'])
def test_ldap_gives_up_a_silent(tables, made, scheme, answer, more):  # noqa: F811
    """It takes connections, and says no more at some step."""
    silent = Silent(answer)
    made.append(silent)
    tables.write('ldap.cf', 'server_host = %s://127.0.0.1:%d\nsearch_base = dc=test\ntimeout = 1\n%s' % (scheme, silent.port, more))
    s = tables.start(virtual='other.test x\n', extra=['virtual:ldap:%s' % tables.path('ldap.cf')])
    assert rcpt(s, 'a@other.test') == 451
    assert re.search('table-down .*no answer in time', s.log()), s.log()[-2000:]
    taken = len(silent.taken)
    assert until(lambda: rcpt(s, 'b@other.test') == 451 and len(silent.taken) > taken)  # it is asked again


def test_ldap_puts_off_one_name_alone(tables, slapd):  # noqa: F811
    entries = {'info%d@other.test' % i: ['ana@example.test'] for i in range(20)}
    directory = slapd(dict(entries, **{'big@other.test': ['a%d@x.test' % i for i in range(5)]}))
    tables.write('ldap.cf', directory.settings('expansion_limit = 3\n'))
    s = tables.start(virtual='other.test x\n', extra=['virtual:ldap:%s' % tables.path('ldap.cf')])
    for i in range(20):
        assert rcpt(s, 'big+%d@other.test' % i) == 451
        assert rcpt(s, 'info%d@other.test' % i) == 250, i
    assert 'table-down' not in s.log()
    assert len(re.findall('table-fault .*big@other.test: more results than expansion_limit', s.log())) == 1, s.log()[-3000:]


def test_postgresql_puts_off_names_alone(tables, postgres):  # noqa: F811
    postgres.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    postgres.sql("CREATE TABLE alias (address text, goto text); INSERT INTO alias SELECT 'info' || i || '@other.test', 'ana@example.test' FROM generate_series(1, 40) i; "
                 "INSERT INTO alias SELECT 'big@other.test', 'a' || i || '@x.test' FROM generate_series(1, 5) i; GRANT SELECT ON alias TO reader", 'latin')
    tables.write('v.cf', postgres.settings("SELECT goto FROM alias WHERE address = '%s' AND CASE WHEN '%u' ~ '^9' THEN ('%u'::text)::int > 0 ELSE true END", None, 'expansion_limit = 3\n').replace('dbname = mail', 'dbname = latin'))
    s = tables.start(virtual='other.test x\n', extra=['virtual:pgsql:%s' % tables.path('v.cf')])
    assert rcpt(s, 'info1@other.test') == 250, s.log()[-2000:]
    pids = "SELECT min(pid) FROM pg_stat_activity WHERE datname = 'latin'"
    first = postgres.sql(pids)
    for i in range(1, 11):
        with s.smtp() as c:
            assert c.command('MAIL FROM:<x@remote.example> SMTPUTF8').code == 250
            assert c.command('RCPT TO:<中%d@other.test>' % i).code == 451
            assert c.command('RCPT TO:<9x@other.test>').code == 451
            assert c.command('RCPT TO:<big@other.test>').code == 451
            assert c.command('RCPT TO:<info%d@other.test>' % i).code == 250, i
    assert 'table-down' not in s.log() and postgres.sql(pids) == first  # nor is the connection given up
    for why in ('LATIN1', '9x', 'expansion_limit'):
        assert len(re.findall('table-fault .*%s' % why, s.log())) == 1, (why, re.findall('table-fault .*', s.log()))
    # and one that goes down is down still
    postgres.stop()
    assert until(lambda: rcpt(s, 'info30@other.test') == 451) and until(lambda: 'table-down' in s.log())
    postgres.start()
    assert until(lambda: rcpt(s, 'info31@other.test') == 250) and 'table-up' in s.log()


def test_authorities_that_are_named_later_are_read_at_a_reload(tables, slapd, place):  # noqa: F811
    keys = place / 'later'
    chain = make_chain(keys, 'localhost', socket.gethostname())
    directory = slapd({'info@example.test': ['ana@example.test']}, chain)
    tables.write('ldap.cf', directory.settings())
    s = tables.start(extra=['virtual:ldap:%s' % tables.path('ldap.cf')])
    assert rcpt(s, 'info@example.test') == 250
    tables.reads('ldap.cf', directory.settings('start_tls = yes\ntls_require_cert = yes\ntls_ca_cert_file = %s\n' % chain.authority))
    assert until(lambda: re.search('table-needs-reload .*%s' % chain.authority, s.log()))
    s.killed |= {pid for role, pid in s.pids() if role == 'resolve'}
    s.must('reload')
    assert until(lambda: 'resolve-begins-anew' in s.log())
    s.wait_all_running()
    assert until(lambda: rcpt(s, 'info@example.test') == 250), s.log()[-2000:]
    s.must('reload')  # once is enough
    assert rcpt(s, 'info@example.test') == 250 and s.log().count('resolve-begins-anew') == 1


def test_a_certificate_in_a_uri_is_read_at_a_reload(tables, postgres, place):  # noqa: F811
    postgres.sql("TRUNCATE alias; INSERT INTO alias VALUES ('info@example.test', 'ana@example.test')")
    chain = make_chain(place / 'uri', 'localhost', '127.0.0.1')
    query = "SELECT goto FROM alias WHERE address = '%s'"
    tables.write('v.cf', postgres.settings(query))
    s = tables.start(extra=['virtual:pgsql:%s' % tables.path('v.cf')])
    assert rcpt(s, 'info@example.test') == 250
    tables.reads('v.cf', postgres.settings(query, 'postgresql://127.0.0.1:%d/mail?sslmode=prefer&sslrootcert=%s' % (postgres.port, chain.authority)))
    assert until(lambda: re.search('table-needs-reload .*%s' % chain.authority, s.log()))
    s.killed |= {pid for role, pid in s.pids() if role == 'resolve'}
    s.must('reload')
    assert until(lambda: 'resolve-begins-anew' in s.log())
    s.wait_all_running()
    assert until(lambda: rcpt(s, 'info@example.test') == 250), s.log()[-2000:]
    assert s.log().count('table-needs-reload') == 1
