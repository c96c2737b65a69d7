"""Milters as Debian has them: opendkim, clamav-milter and rspamd."""
import contextlib
import re
import socket
import subprocess

import dkim

from conftest import PASSWORD, SMALL, US, until
from ports import free_ports
from test_milter import everything_is_empty, only, server, short, use  # noqa: F401


@contextlib.contextmanager
def running(*argv, until_there, seconds=60, **options):
    """A program in the foreground, until it answers at the socket."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)

    def is_there():
        assert process.poll() is None, (argv, process.returncode)
        with socket.socket(socket.AF_INET if isinstance(until_there, tuple) else socket.AF_UNIX) as s:
            return s.connect_ex(until_there if isinstance(until_there, tuple) else str(until_there)) == 0
    try:
        assert until(is_there, seconds), argv
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def opendkim(folder, mode, *lines):
    path = folder / 'dkim'
    config = folder / 'opendkim.conf'
    others = folder / 'nobody'
    others.write_text('192.0.2.1\n')
    config.write_text('\n'.join(['Mode ' + mode, 'Socket local:%s' % path, 'UMask 000', 'Background no', 'PidFile %s/dkim.pid' % folder, *lines, '']))
    with running('/usr/sbin/opendkim', '-f', '-x', str(config), until_there=path):
        yield 'unix:%s' % path
    path.unlink(missing_ok=True)


def test_opendkim_verifies(server, short):
    with opendkim(short, 'v', 'AuthservID milter.example.test', 'AlwaysAddARHeader yes', 'InternalHosts %s/nobody' % short) as at:
        use(server, at)
        assert server.send(US, b'From: a@remote.example\r\nSubject: one\r\n\r\nbody\r\n').code == 250
    assert re.search(rb'\r\nAuthentication-Results: milter.example.test;\s+dkim=none', only(server))


def test_opendkim_signs_what_users_send(server, short):
    private = short / 'key'
    subprocess.run(['openssl', 'genrsa', '-out', str(private), '2048'], check=True, capture_output=True)
    private.chmod(0o600)
    public = subprocess.run(['openssl', 'rsa', '-in', str(private), '-pubout'], check=True, capture_output=True, text=True).stdout
    record = 'v=DKIM1; k=rsa; p=' + ''.join(public.splitlines()[1:-1])
    with opendkim(short, 's', 'Domain example.test', 'Selector od', 'KeyFile %s' % private, 'RequireSafeKeys no', 'Canonicalization relaxed/relaxed',
                  'InternalHosts %s/nobody' % short) as at:
        use(server, at)
        with server.smtp('submissions') as s:
            s.plain(US, PASSWORD)
            body = b'body\r\n' * 30000
            assert s.send_message(US, [US], b'From: u@example.test\r\nTo: x@example.test\r\nSubject: one\r\n\r\n' + body).code == 250
        assert server.send(US, SMALL).code == 250
    signed, = [m for m in server.messages(US) if b's=od;' in m]
    # beside it are those by the server's own keys
    which, = [n for n, text in enumerate(signed.split(b'DKIM-Signature:')[1:]) if b's=od;' in text]
    assert dkim.DKIM(signed).verify(which, dnsfunc=lambda name, timeout=5: record.encode())


EICAR = rb'X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'


def test_clamav_milter_finds_a_virus(server, short, place):
    database = short.parent / 'clamdb'
    database.mkdir(exist_ok=True)
    (database / 'test.ndb').write_text('Eicar-Test:0:*:%s\n' % EICAR.hex())
    (short / 'clamd.conf').write_text('LocalSocket %s/clamd\nLocalSocketMode 666\nDatabaseDirectory %s\nForeground yes\nUser root\nTemporaryDirectory /tmp\n' % (short, database))
    (short / 'milter.conf').write_text('MilterSocket unix:%s/clam\nMilterSocketMode 666\nClamdSocket unix:%s/clamd\nForeground yes\nUser root\n'
                                       'OnInfected Reject\nRejectMsg virus: %%v\nAddHeader Add\n' % (short, short))
    with running('/usr/sbin/clamd', '-c', str(short / 'clamd.conf'), until_there=short / 'clamd'), \
            running('/usr/sbin/clamav-milter', '-c', str(short / 'milter.conf'), until_there=short / 'clam'):
        use(server, 'unix:%s/clam' % short)
        reply = server.send(US, b'Subject: virus\r\n\r\n' + EICAR + b'\r\n')
        assert reply.code == 550 and 'virus: Eicar-Test' in reply, reply
        assert server.send(US, SMALL + b'x\r\n' * 300000).code == 250
    assert re.search(rb'\r\nX-Virus-Status: Clean\r\n', only(server))


GTUBE = b'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'


def test_rspamd_refuses_spam_and_marks_the_rest(server, short):
    (port,) = free_ports(1)
    local = short.parent / 'rspamd'
    (local / 'local.d').mkdir(parents=True, exist_ok=True)
    (local / 'local.d/worker-proxy.inc').write_text('bind_socket = "127.0.0.1:%d"; milter = yes; timeout = 20s; upstream "local" { default = yes; self_scan = yes; }\n' % port)
    for worker in ('normal', 'controller', 'fuzzy'):
        (local / ('local.d/worker-%s.inc' % worker)).write_text('enabled = false;\n')
    (local / 'local.d/options.inc').write_text('dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }\n')
    (local / 'local.d/milter_headers.conf').write_text('use = ["x-spamd-result", "authentication-results"]; skip_local = false;\n')
    (local / 'local.d/logging.inc').write_text('type = "file"; filename = "%s/rspamd.log";\n' % local)
    for path in [local, *local.rglob('*')]:
        path.chmod(0o777)
    with running('/usr/bin/rspamd', '-f', '-u', '_rspamd', '-g', '_rspamd', '--var=LOCAL_CONFDIR=%s' % local, '--var=DBDIR=%s' % local, '--var=RUNDIR=%s' % local,
                 until_there=('127.0.0.1', port)):
        use(server, 'inet:127.0.0.1:%d' % port)
        with server.smtp() as s:
            head = b'From: a@remote.example\r\nTo: u@example.test\r\nSubject: one\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <r@remote.example>\r\n\r\n'
            reply = s.send_message('a@remote.example', [US], head + GTUBE + b'\r\n')
            assert reply.code == 554 and 'Gtube' in reply, (reply, (local / 'rspamd.log').read_text()[-3000:])
            for _ in range(3):
                assert s.send_message('a@remote.example', [US], head + b'body\r\n').code == 250
    for message in server.messages(US):
        assert b'\r\nX-Spamd-Result: ' in message
