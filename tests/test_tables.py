"""Tables beside the directory: Postfix's and Sendmail's text files, LDAP, PostgreSQL; what happens when they change, break and go down."""
import os
import re
import socket
import subprocess

import aiosmtpd.controller
import pytest

import databases
from certificates import make_chain
from conftest import PASSWORD, SMALL, until
from ports import free_ports

ORIGIN = 'example.test'


@pytest.fixture
def tables(make_server, place, request):
    """Makes a server with tables: a keyword a kind and its text; tables.server, tables.write and tables.path for them."""
    class Tables:
        def __init__(self):
            self.folder = place / re.sub(r'\W', '', request.node.name)[:40]
            self.folder.mkdir()
            os.chmod(self.folder, 0o755)
            self.server = None

        def path(self, name):
            return self.folder / name

        def write(self, name, text):
            """As editors do: a new file takes the old one's place."""
            new = self.folder / (name + '.new')
            new.write_text(text)
            os.chmod(new, 0o644)
            new.rename(self.path(name))

        def reads(self, name, text):
            """The same, and waits until the server has read it."""
            before = len(self.server.log())
            self.write(name, text)
            assert until(lambda: re.search(r'table-(read|not-read) .*table=\S*/%s\b' % name, self.server.log()[before:])), self.server.log()[-2000:]
            return self.server.log()[before:]

        def start(self, users=('ana',), extra=(), settings=None, **texts):
            for name, text in texts.items():
                if text is not None:
                    self.write(name, text)
            words = ['%s:%s' % (name, self.path(name)) for name in texts] + list(extra)
            self.server = make_server(re.sub(r'\W', '', request.node.name)[-20:], users=users,
                                      settings=dict({'tables': ', '.join(words), 'origin': ORIGIN, 'retry_first': '1s', 'retry_most': '1s'}, **(settings or {})))
            return self.server

    t = Tables()
    yield t
    if t.server and t.server.process:
        t.server.stop()


def rcpt(server, recipient, protocol='smtp'):
    with server.smtp(protocol) as s:
        assert s.command('MAIL FROM:<x@remote.example>').code == 250
        return s.command('RCPT TO:<%s>' % recipient).code


def arrives(server, recipient, account):
    server.empty(account)
    assert server.send(recipient, SMALL).code == 250
    assert until(lambda: server.messages(account)), server.log()[-2000:]
    server.empty(account)


def test_virtual(tables):
    s = tables.start(virtual='# addresses\nother.test anything\ninfo@other.test ana\nlist@other.test ana@example.test,\n  bob@example.test\n\nInfo@Example.test ana@example.test\n',
                     users=('ana', 'bob'))
    arrives(s, 'info@other.test', 'ana@example.test')
    arrives(s, 'INFO@example.test', 'ana@example.test')
    arrives(s, 'info+lists@other.test', 'ana@example.test')
    arrives(s, 'list@other.test', 'bob@example.test')
    assert rcpt(s, 'nobody@other.test') == 550 and rcpt(s, 'nobody@example.test') == 550 and rcpt(s, 'info@elsewhere.test') == 550
    tables.reads('virtual', 'other.test anything\nnew@other.test ana\n')
    arrives(s, 'new@other.test', 'ana@example.test')
    assert rcpt(s, 'info@other.test') == 550
    assert s.must('alias', 'show', 'new@other.test') == (
        'other.test: a domain of ours  [virtual:%s]\nnew@other.test: -> ana@example.test  [virtual:%s]\nana@example.test: the account ana@example.test  [the directory]\n' % (
            (tables.path('virtual'),) * 2))


def test_aliases_and_what_is_not_done_here(tables):
    s = tables.start(aliases='# local names\noperator: ana\nops:   operator\n"first last": ana\nteam: ana,\n\tbob@example.test\nprogram: "|/usr/bin/vacation ana"\nfile: /var/mail/x\n'
                             'list: :include:/etc/list\n', users=('ana', 'bob'))
    arrives(s, 'ops@example.test', 'ana@example.test')
    arrives(s, '"first last"@example.test', 'ana@example.test')
    arrives(s, 'Team+x@example.test', 'bob@example.test')
    for name, line in (('program', 7), ('file', 8), ('list', 9)):
        assert rcpt(s, name + '@example.test') == 451
        assert re.search(r'table-fault .*at=%s:%d why=' % (tables.path('aliases'), line), s.log())
    assert rcpt(s, 'nobody@example.test') == 550
    s.must('domain', 'add', 'other.test')
    assert rcpt(s, 'ops@other.test') == 550  # they are of the origin alone


def test_virtusertable(tables):
    s = tables.start(virtusertable='info@other.test\tana@example.test\nsales+*@other.test bob\nold@other.test error:nouser No such user\n@other.test %1@example.test\n'
                                   '@third.test ana+%1\n', users=('ana', 'bob'))
    assert rcpt(s, 'info@other.test') == 550  # the domain is nobody's yet
    s.must('domain', 'add', 'other.test')
    s.must('domain', 'add', 'third.test')
    arrives(s, 'info@other.test', 'ana@example.test')
    arrives(s, 'sales+north@other.test', 'bob@example.test')
    arrives(s, 'bob@other.test', 'bob@example.test')
    assert rcpt(s, 'old@other.test') == 550 and rcpt(s, 'sales@other.test') == 550
    assert 'ana+x@example.test' in s.must('alias', 'show', 'x@third.test')


def test_a_row_for_an_account_goes_before_it_and_may_name_it(tables):
    """As before a mailbox of Postfix's."""
    s = tables.start(virtual='ana@example.test ana, bob\nleo@example.test bob@example.test\nmia@example.test mia+x, x@remote.example\n', users=('ana', 'bob', 'leo', 'mia'))
    for name in ('ana', 'ana+lists'):
        s.empty('bob@example.test')
        arrives(s, name + '@example.test', 'ana@example.test')
        assert until(lambda: len(s.messages('bob@example.test')) == 1)
    s.empty('bob@example.test')
    arrives(s, 'leo@example.test', 'bob@example.test')
    assert s.messages('leo@example.test') == []
    shown = s.must('alias', 'show', 'ana@example.test')
    assert 'ana@example.test: -> ana@example.test bob@example.test  [virtual:' in shown
    with s.smtp('submission') as session:  # who gets no mail may send still, as himself
        assert session.plain('leo@example.test', PASSWORD).code == 235
        assert session.send_message('leo@example.test', ['ana@example.test'], b'From: leo@example.test\r\n' + SMALL).code == 250
    s.must('user', 'remove', 'leo@example.test')
    arrives(s, 'leo@example.test', 'bob@example.test')


def test_own_aliases_go_before_tables_and_names_before_whole_domains(tables):
    s = tables.start(virtual='example.test x\ninfo@example.test bob\nnews@example.test bob\n@example.test bob\n', users=('ana', 'bob'))
    arrives(s, 'ana@example.test', 'ana@example.test')
    s.must('alias', 'add', 'news@example.test', 'ana@example.test')
    arrives(s, 'news@example.test', 'ana@example.test')
    arrives(s, 'anybody@example.test', 'bob@example.test')
    s.must('alias', 'add', '@example.test', 'ana@example.test')
    arrives(s, 'anybody@example.test', 'ana@example.test')
    arrives(s, 'info@example.test', 'bob@example.test')


def test_a_broken_file_changes_nothing_and_a_missing_one_puts_off(tables):
    s = tables.start(virtual='example.test x\ninfo@example.test ana\n')
    said = tables.reads('virtual', 'example.test x\ninfo@example.test\nbob@example.test ana\n')
    assert re.search(r'table-fault .*at=%s:2 why="' % tables.path('virtual'), said) and 'table-not-read' in said
    arrives(s, 'info@example.test', 'ana@example.test')
    assert rcpt(s, 'bob@example.test') == 550
    tables.path('virtual').unlink()
    assert until(lambda: 'table-missing' in s.log())
    arrives(s, 'info@example.test', 'ana@example.test')
    s.stop()
    s.start()
    assert rcpt(s, 'ana@example.test') == 451  # a row might send it elsewhere
    assert rcpt(s, 'info@example.test') == 451 and rcpt(s, 'nobody@example.test') == 451 and rcpt(s, 'x@elsewhere.test') == 451
    tables.reads('virtual', 'example.test x\ninfo@example.test ana\n')
    assert until(lambda: rcpt(s, 'info@example.test') == 250)
    assert rcpt(s, 'nobody@example.test') == 550 and rcpt(s, 'x@elsewhere.test') == 550


class Sink:
    """Takes all mail on a port; of it (sender, recipients)."""

    def __init__(self):
        self.got = []
        self.controller = aiosmtpd.controller.Controller(self, hostname='127.0.0.1', port=free_ports(1)[0])
        self.controller.start()
        self.hop = '[127.0.0.1]:%d' % self.controller.port

    async def handle_DATA(self, server, session, envelope):
        self.got.append((envelope.mail_from, envelope.rcpt_tos))
        return '250 ok'

    def recipients(self):
        return sorted(r for _, recipients in self.got for r in recipients)


@pytest.fixture
def sinks():
    made = [Sink(), Sink()]
    yield made
    for sink in made:
        sink.controller.stop()


def submit(server, recipients, sender='ana@example.test'):
    with server.smtp('submission') as s:
        assert s.plain('ana@example.test', PASSWORD).code == 235
        return s.send_message(sender, recipients, b'From: %s\r\n\r\nx\r\n' % sender.encode())


def test_relay_domains_and_transport(tables, sinks):
    one, two = sinks
    s = tables.start(relay_domains='relayed.test\n', transport='relayed.test relay:%s\n.relayed.test smtp:%s\nspecial@far.test smtp:%s\nfar.test smtp:%s\nerror.test error:5.1.2 no\n'
                     'local.test local:\nlater.test discard:\n' % (one.hop, two.hop, two.hop, one.hop), settings={'relay_host': '[127.0.0.1]:1'})
    assert s.send('x@relayed.test', SMALL).code == 250 and s.send('y@sub.relayed.test', SMALL).code == 250
    assert rcpt(s, 'x@far.test') == 550  # a transport is no leave to relay
    assert rcpt(s, 'x@local.test') == 550 and rcpt(s, 'x@relayed.test.elsewhere.test') == 550
    assert submit(s, ['a@far.test', 'special@far.test', 'special+x@far.test']).code == 250
    assert until(lambda: len(one.recipients()) == 2 and len(two.recipients()) == 3), (one.got, two.got, s.log()[-2000:])
    assert one.recipients() == ['a@far.test', 'x@relayed.test'] and two.recipients() == ['special+x@far.test', 'special@far.test', 'y@sub.relayed.test']
    assert submit(s, ['z@error.test']) .startswith('550 5.1.2')
    # of several it is found out later, as when the table has changed
    s.must('alias', 'add', 'both@example.test', 'z@error.test', 'z@later.test')
    assert submit(s, ['both@example.test']).code == 250
    assert until(lambda: s.messages('ana@example.test'))
    bounce, = s.messages('ana@example.test')
    assert b'z@error.test' in bounce and b'5.1.2' in bounce and b'z@later.test' not in bounce.split(b'delivery-status')[1]
    assert until(lambda: 'cannot be looked up now' in s.must('queue', 'list') + s.must('queue', 'show', s.must('queue', 'list').split()[0])), s.must('queue', 'list')
    tables.reads('transport', 'later.test smtp:%s\n' % two.hop)
    assert until(lambda: 'z@later.test' in two.recipients()), s.must('queue', 'list')
    # what the tables say goes before the routes for all the rest, and behind those for a domain
    s.must('route', 'add', '*', one.hop)
    assert submit(s, ['b@later.test', 'b@nowhere.test']).code == 250
    assert until(lambda: 'b@later.test' in two.recipients() and 'b@nowhere.test' in one.recipients())
    s.must('route', 'add', 'later.test', one.hop)
    assert submit(s, ['c@later.test']).code == 250
    assert until(lambda: 'c@later.test' in one.recipients())


def test_mailertable(tables, sinks):
    one, two = sinks
    s = tables.start(mailertable='far.test\tesmtp:%s\n.far.test relay:%s\n' % (one.hop, two.hop), settings={'relay_host': '[127.0.0.1]:1'})
    assert submit(s, ['a@far.test', 'b@sub.far.test']).code == 250
    assert until(lambda: one.got and two.got)
    assert one.recipients() == ['a@far.test'] and two.recipients() == ['b@sub.far.test']


def test_queued_mail_waits_for_a_transport_table(tables, sinks):
    s = tables.start(transport='far.test smtp:[127.0.0.1]:1\n')
    assert submit(s, ['a@far.test']).code == 250
    tables.path('transport').unlink()
    s.stop()
    s.start()
    assert until(lambda: 'cannot be looked up now' in s.must('queue', 'list')), s.must('queue', 'list')
    assert rcpt(s, 'x@far.test') == 451  # it might be one of ours
    tables.reads('transport', '* smtp:%s\n' % sinks[0].hop)
    assert until(lambda: sinks[0].recipients() == ['a@far.test'])


def test_an_alias_of_a_table_that_leads_elsewhere_is_forwarded_as_ours_are(tables, sinks):
    s = tables.start(virtual='other.test x\nfar@other.test y@far.test, ana\n', transport='* smtp:%s\n' % sinks[0].hop)
    arrives(s, 'far@other.test', 'ana@example.test')
    assert until(lambda: sinks[0].got)
    (sender, recipients), = sinks[0].got
    assert recipients == ['y@far.test'] and re.fullmatch(r'SRS0=\S+=remote\.example=sender@other\.test', sender), sender
    # what comes back to it finds its way, though only the table makes the domain ours
    with s.smtp() as c:
        assert c.send_message('', [sender], SMALL).code == 250
    assert until(lambda: 'sender@remote.example' in sinks[0].recipients())


def test_a_user_may_send_as_what_a_table_leads_to_him(tables):
    s = tables.start(virtual='other.test x\ninfo@other.test ana\nboth@other.test bob\n', users=('ana', 'bob'))
    assert submit(s, ['bob@example.test'], 'info@other.test').code == 250
    with s.smtp('submission') as c:
        assert c.plain('ana@example.test', PASSWORD).code == 235
        assert c.command('MAIL FROM:<both@other.test>').code == 553
    tables.path('virtual').unlink()
    s.stop()
    s.start()
    with s.smtp('submission') as c:
        assert c.plain('ana@example.test', PASSWORD).code == 235
        assert c.command('MAIL FROM:<info@other.test>').code == 451
        assert c.command('MAIL FROM:<ana@example.test>').code == 250


def test_what_rcpt_took_goes_where_the_table_says_now_or_is_put_off(tables):
    s = tables.start(virtual='other.test x\ninfo@other.test ana\nmoved@other.test ana\n', users=('ana', 'bob'))
    with s.smtp() as gone, s.smtp() as moved:
        for session, recipient in ((gone, 'info@other.test'), (moved, 'moved@other.test')):
            assert session.command('MAIL FROM:<x@remote.example>').code == 250
            assert session.command('RCPT TO:<%s>' % recipient).code == 250
        tables.reads('virtual', 'other.test x\nmoved@other.test bob\n')
        # somebody else has heard of it meanwhile
        assert until(lambda: rcpt(s, 'info@other.test') == 550)
        assert until(lambda: 'bob@example.test' in s.must('alias', 'show', 'moved@other.test'))
        assert gone.data(SMALL).code == 451  # its next RCPT is refused
        assert moved.data(SMALL).code == 250
    assert until(lambda: s.messages('bob@example.test')) and s.messages('ana@example.test') == []


def test_a_row_that_was_taken_away_sends_nobody_anything(tables):
    s = tables.start(virtual='ana@example.test bob\n', users=('ana', 'bob'))
    arrives(s, 'ana@example.test', 'bob@example.test')
    tables.reads('virtual', '# nothing\n')
    assert until(lambda: 'the account ana@example.test' in s.must('alias', 'show', 'ana@example.test'))
    arrives(s, 'ana@example.test', 'ana@example.test')
    assert s.messages('bob@example.test') == []


def test_a_resolver_or_store_that_dies_loses_nothing(tables):
    s = tables.start(virtual='other.test x\ninfo@other.test ana\n')
    for role in ('resolve', 'store', 'resolve'):
        s.kill_role(role)
        s.wait_all_running()
        assert until(lambda: rcpt(s, 'info@other.test') == 250)
    with s.smtp() as c:
        assert c.command('MAIL FROM:<x@remote.example>').code == 250
        assert c.command('RCPT TO:<info@other.test>').code == 250
        s.kill_role('resolve')
        assert c.data(SMALL).code == 250
    assert until(lambda: s.messages('ana@example.test'))


# ---- databases ----

@pytest.fixture
def slapd(place, request):
    made = []

    def make(entries, chain=None):
        made.append(databases.Slapd(place / ('slapd%d-%s' % (len(made), re.sub(r'\W', '', request.node.name)[-20:])), entries, chain))
        return made[-1].start()
    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope='module')
def postgres(place):
    p = databases.Postgres(place / 'pg', "CREATE TABLE alias (address text PRIMARY KEY, goto text NOT NULL, active boolean NOT NULL DEFAULT true); CREATE TABLE domain (name text PRIMARY KEY)")
    yield p
    p.stop()


INJECTIONS = ["*", "*)(uid=*", "x)(|(mailLocalAddress=*", "\\2a", "'", "''", "' OR '1'='1", "x'; DROP TABLE alias; --", "\\'", "$1", "%s", "a\\", "é'ü", "\\00", "%27"]


def quoted(local):
    return '"%s"' % local.replace('\\', '\\\\').replace('"', '\\"')


def try_to_inject(server):
    """None of these is an address of the table, and none breaks the question."""
    for local in INJECTIONS:
        with server.smtp() as c:
            assert c.command('MAIL FROM:<x@remote.example> SMTPUTF8').code == 250
            reply = c.command('RCPT TO:<%s@other.test>' % quoted(local))
            assert reply.code == 550, (local, reply)


def test_ldap(tables, slapd):
    directory = slapd({'info@other.test': ['ana@example.test'], 'list@other.test': ['ana@example.test', 'bob@example.test'], 'quote\'d@other.test': ['bob@example.test']})
    tables.write('ldap.cf', directory.settings())
    s = tables.start(users=('ana', 'bob'), extra=['virtual:ldap:%s' % tables.path('ldap.cf')])
    s.must('domain', 'add', 'other.test')
    arrives(s, 'Info@other.test', 'ana@example.test')
    arrives(s, 'info+x@other.test', 'ana@example.test')
    arrives(s, 'list@other.test', 'bob@example.test')
    arrives(s, "quote'd@other.test", 'bob@example.test')
    assert rcpt(s, 'nobody@other.test') == 550
    try_to_inject(s)
    # between RCPT and the dot it goes down: what was taken is taken
    with s.smtp() as c:
        assert c.command('MAIL FROM:<x@remote.example>').code == 250
        assert c.command('RCPT TO:<info@other.test>').code == 250
        directory.stop()
        assert until(lambda: rcpt(s, 'unknown@other.test') == 451) and 'table-down' in s.log()
        assert rcpt(s, 'ana@example.test') == 250
        assert c.data(SMALL).code == 250
    assert until(lambda: s.messages('ana@example.test'))
    directory.put({'new@other.test': ['ana@example.test']})
    directory.start()
    assert until(lambda: rcpt(s, 'new@other.test') == 250) and 'table-up' in s.log()
    assert until(lambda: rcpt(s, 'info@other.test') == 550)  # within seconds: what is remembered grows old
    assert 'read it' not in s.log()


def test_ldap_over_tls_that_proves_the_host(tables, slapd, place):
    chain = make_chain(place / 'keys', 'localhost', socket.gethostname())  # libldap takes the one for the other
    directory = slapd({'info@example.test': ['ana@example.test']}, chain)
    tls = 'start_tls = yes\ntls_require_cert = yes\n'
    tables.write('ldap.cf', directory.settings(tls + 'tls_ca_cert_file = %s\n' % chain.authority))
    s = tables.start(extra=['virtual:ldap:%s' % tables.path('ldap.cf')])
    assert rcpt(s, 'info@example.test') == 250, s.log()[-1000:]
    tables.reads('ldap.cf', directory.settings(tls))  # by the authorities of the system, it is nobody
    assert until(lambda: rcpt(s, 'info@example.test') == 451) and 'table-down' in s.log()


def test_lmtp_and_a_reload_that_adds_a_table(tables):
    s = tables.start(users=('ana', 'bob'))
    tables.write('virtual', 'other.test x\ninfo@other.test ana\nlist@other.test ana, bob\n')
    assert rcpt(s, 'info@other.test') == 550
    s.configure(tables='virtual:%s' % tables.path('virtual'))
    s.killed |= {pid for role, pid in s.pids() if role == 'resolve'}  # it begins anew, since its sandbox lacks the folder
    s.must('reload')
    assert until(lambda: rcpt(s, 'info@other.test') == 250)
    with s.smtp('lmtp') as c:
        assert c.command('MAIL FROM:<x@remote.example>').code == 250
        for name in ('list@other.test', 'bob@example.test'):
            assert c.command('RCPT TO:<%s>' % name).code == 250
        assert c.data(SMALL).code == 250 and c.reply().code == 250
    assert until(lambda: s.messages('ana@example.test') and s.messages('bob@example.test'))


def test_a_database_that_hangs_holds_nobody_else_up(tables, postgres):
    """It takes connections and says nothing; other tables and our own accounts are asked meanwhile."""
    with socket.create_server(('127.0.0.1', 0)) as silent:
        tables.write('ldap.cf', 'server_host = ldap://127.0.0.1:%d\nsearch_base = dc=test\ndomain = hang.test\n' % silent.getsockname()[1])
        tables.write('pg.cf', postgres.settings("SELECT goto FROM alias WHERE address = '%s'", '127.0.0.1:%d' % silent.getsockname()[1], 'domain = hang2.test\n'))
        s = tables.start(virtual='hang.test x\nhang2.test x\nother.test x\ninfo@other.test ana\n',
                         extra=['virtual:ldap:%s' % tables.path('ldap.cf'), 'virtual:pgsql:%s' % tables.path('pg.cf')])
        sessions = [s.smtp() for _ in range(10)]
        for n, c in enumerate(sessions):
            assert c.command('MAIL FROM:<x@remote.example>').code == 250
            c.send(b'RCPT TO:<a%d@hang%s.test>\r\n' % (n, b'2' if n % 2 else b''))
        began = len(s.log())
        arrives(s, 'info@other.test', 'ana@example.test')
        assert rcpt(s, 'ana@example.test') == 250 and rcpt(s, 'nobody@other.test') == 550
        assert 'table-down' not in s.log()[began:]  # all that while it was hanging
        for c in sessions:
            assert c.reply().code == 451
            c.close()


def test_postgresql(tables, postgres):
    postgres.sql("TRUNCATE alias, domain; INSERT INTO alias VALUES ('info@other.test', 'ana@example.test'), ('list@other.test', 'ana@example.test,bob@example.test'), "
                 "('@wide.test', '@example.test'), ('o''hara@other.test', 'bob@example.test'), ('off@other.test', 'ana@example.test'); UPDATE alias SET active = false WHERE address LIKE 'off%'; INSERT INTO domain VALUES ('other.test'), ('wide.test')")
    tables.write('virtual.cf', postgres.settings("SELECT goto FROM alias WHERE address = '%s' AND active\n  UNION SELECT 'ours' FROM domain WHERE name = '%s'"))
    s = tables.start(users=('ana', 'bob'), extra=['virtual:pgsql:%s' % tables.path('virtual.cf')])
    arrives(s, 'info@other.test', 'ana@example.test')
    arrives(s, 'list@other.test', 'bob@example.test')
    arrives(s, 'bob@wide.test', 'bob@example.test')
    arrives(s, "o'hara@other.test", 'bob@example.test')
    assert rcpt(s, 'off@other.test') == 550 and rcpt(s, 'nobody@other.test') == 550 and rcpt(s, 'x@unknown.test') == 550
    try_to_inject(s)
    # the same by two tables, as it mostly is
    tables.write('domains.cf', postgres.settings("SELECT 1 FROM domain WHERE name = '%s'"))
    tables.write('virtual.cf', postgres.settings("SELECT goto FROM alias WHERE address = '%s' AND active"))
    s.killed |= {pid for role, pid in s.pids() if role == 'resolve'}
    s.configure(tables='domains:pgsql:%s virtual:pgsql:%s' % (tables.path('domains.cf'), tables.path('virtual.cf')))
    s.must('reload')
    s.wait_all_running()
    arrives(s, 'bob@wide.test', 'bob@example.test')
    assert rcpt(s, 'x@sub.wide.test') == 550
    assert postgres.sql('SELECT count(*) FROM alias') == '5\n'
    postgres.stop()
    assert until(lambda: rcpt(s, 'somebody@other.test') == 451)
    assert rcpt(s, 'x@never-seen.test') == 451 and rcpt(s, 'ana@example.test') == 451  # a row might send hers elsewhere
    postgres.start()
    assert until(lambda: rcpt(s, 'info@other.test') == 250)
    # another host, by a Unix socket: the file is read again
    tables.reads('virtual.cf', postgres.settings("SELECT goto FROM alias WHERE address = '%u@other.test' AND '%d' = 'second.test'",
                                                 'unix:%s:%d' % (postgres.folder, postgres.port), 'result_format = %u+%D@example.test\n'))
    s.must('domain', 'add', 'second.test')
    assert until(lambda: rcpt(s, 'info@other.test') == 550)
    assert 'ana+second.test@example.test' in s.must('alias', 'show', 'info@second.test')


def test_settings_of_a_database_that_would_change_the_answer_are_refused(tables, postgres):
    tables.write('v.cf', postgres.settings("SELECT goto FROM alias WHERE address = %s"))
    tables.write('w.cf', 'search_base = dc=test\nspecial_result_attribute = member\n')
    s = tables.start(extra=['virtual:pgsql:%s' % tables.path('v.cf'), 'virtual:ldap:%s' % tables.path('w.cf')])
    done = s.command('check')
    assert done.returncode == 78 and 'outside of quotes' in done.stdout and 'w.cf:2: ' in done.stdout and 'special_result_attribute' in done.stdout, done.stdout
    assert rcpt(s, 'nobody@example.test') == 451


def test_one_chain_over_text_directory_and_ldap(tables, slapd):
    directory = slapd({'end@ldap.test': ['ana@example.test', 'text@other.test']})
    tables.write('ldap.cf', directory.settings('domain = ldap.test\n'))
    s = tables.start(virtual='other.test x\nldap.test x\nfirst@other.test stored@example.test\ntext@other.test bob@example.test\n', users=('ana', 'bob'),
                     extra=['virtual:ldap:%s' % tables.path('ldap.cf')])
    s.must('alias', 'add', 'stored@example.test', 'end@ldap.test')
    arrives(s, 'first@other.test', 'ana@example.test')
    arrives(s, 'first@other.test', 'bob@example.test')
    shown = s.must('alias', 'show', 'first@other.test')
    assert 'stored@example.test: -> end@ldap.test  [the directory]' in shown and '[virtual:ldap:' in shown
    # a circle over all three ends, and so does what is too deep
    directory.stop()
    directory.put({'end@ldap.test': ['first@other.test']})
    directory.start()
    assert until(lambda: rcpt(s, 'first@other.test') == 550)


# ---- beside Postfix ----

VIRTUAL = '''\
# from a real one
example.test         anything
other.test\tanything
info@example.test    ana@example.test
  , bob@example.test

Sales@Example.test   ana@example.test
# a comment in between
user+ext@example.test  bob@example.test
user@example.test      ana@example.test
"quoted name"@example.test  ana@example.test
toquoted@example.test  "quoted name"@example.test
webmaster            ana@example.test
@other.test          @example.test
twice@example.test   ana@example.test
twice@example.test   bob@example.test
'''
TRANSPORT = '''\
far.test       smtp:[mail.far.test]:587
.far.test      relay:[inner.far.test]
deep.sub.far.test  smtp:deep.test
u@user.test    lmtp:inet:127.0.0.1:24
free.test      :
gone.test      error:5.1.2 gone
*              smtp:[rest.test]
'''


def test_the_files_of_postfix_give_the_answers_of_postfix(tables):
    s = tables.start(virtual=VIRTUAL, transport=TRANSPORT, users=('ana', 'bob'))

    def ask(name, keys):
        """The first of the keys that Postfix itself finds."""
        for key in keys:
            done = subprocess.run(['postmap', '-q', key, 'texthash:%s' % tables.path(name)], capture_output=True, text=True)
            if done.returncode == 0:
                return done.stdout.strip()
        return None
    for address in ('info@example.test', 'INFO@EXAMPLE.test', 'sales@example.test', 'user+ext@example.test', 'user+other@example.test', 'user@example.test', 'webmaster@example.test',
                    'webmaster+x@example.test', 'nobody@example.test', 'ana@other.test', 'any+x@other.test', 'twice@example.test', 'x@third.test'):
        local, _, domain = address.lower().partition('@')
        base = local.partition('+')[0]
        locals_ = [local, base] if domain == ORIGIN else []
        expected = ask('virtual', [local + '@' + domain, base + '@' + domain] + locals_ + ['@' + domain])
        found = re.search(r'^%s: -> (.*?)  \[virtual:' % re.escape(address.lower()), s.command('alias', 'show', address).stdout, re.M)
        wanted = [t.strip() for t in expected.split(',')] if expected else []
        detail = local[len(base):] if expected and not ask('virtual', [local + '@' + domain]) and not expected.startswith('@') else ''
        wanted = [local + t if t.startswith('@') else t.replace('@', detail + '@', 1) for t in wanted]
        assert (found[1].split() if found else []) == wanted, (address, s.command('alias', 'show', address).stdout)
    assert '"quoted name"@example.test: -> ana@example.test' in s.must('alias', 'show', 'toquoted@example.test')
    for address in ('x@far.test', 'x@sub.far.test', 'x@deep.sub.far.test', 'u@user.test', 'u+x@user.test', 'v@user.test', 'x@free.test', 'x@gone.test', 'x@other.example'):
        local, _, domain = address.partition('@')
        parents = ['.' + domain.split('.', n)[n] for n in range(1, domain.count('.') + 1)]
        expected = ask('transport', [address, local.partition('+')[0] + '@' + domain, domain] + parents + ['*'])
        found = s.must("route", "show", address).splitlines()[0]
        transport, _, hop = expected.partition(':')
        wanted = {'error': 'refused', '': 'mx', 'lmtp': 'lmtp:' + hop.replace('inet:', '')}.get(transport, hop)
        assert found == '%s -> %s' % (address, wanted), (found, expected)


def test_check_says_what_is_wrong_with_file_and_line(tables, slapd, postgres):
    directory = slapd({'a@other.test': ['ana@example.test']})
    tables.write('ldap.cf', directory.settings())
    tables.write('pg.cf', postgres.settings("SELECT goto FROM alias WHERE address = '%s'"))
    s = tables.start(virtual='a@example.test ana\n', aliases='x: ana\n', extra=['virtual:ldap:%s' % tables.path('ldap.cf'), 'virtual:pgsql:%s' % tables.path('pg.cf')])
    assert s.command('check').returncode == 0, s.command('check').stdout
    tables.write('virtual', 'a@example.test ana\nb@example.test\nc@example.test |program\n')
    tables.path('aliases').unlink()
    tables.write('pg.cf', postgres.settings("SELECT goto FROM alias WHERE address = '%s'").replace('read ', 'wrong '))
    directory.stop()
    said = s.command('check')
    assert said.returncode == 78
    for text in ('virtual:2: ', 'virtual:3: ', 'aliases: cannot be read', 'ldap.cf: ', 'pg.cf: '):
        assert text in said.stdout, said.stdout
