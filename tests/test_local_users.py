"""Unix users of the machine: their ~/.forward, the programs that it and aliases may name, and what is refused of both. The users are made in
a mount namespace of the module's own, in which the server runs."""
import os
import pathlib
import re
import signal
import subprocess
import time

import aiosmtpd.controller
import pytest

from conftest import CARTEIRO, SANITIZERS, SMALL, Server, free_ports, until

HOST, ORIGIN = 'mx.example.test', 'example.test'
IDS = {'uana': 41001, 'ubob': 41002, 'ucarl': 41003, 'udora': 41004, 'ulow': 441}
ALLOWED = ('take', 'vacation', 'exit', 'hang', 'flood', 'slow', 'signal', 'unread', 'open')


class Machine:
    """The namespace, its users and its programs."""

    def __init__(self, place):
        self.place = place
        self.bin = place / 'bin'
        self.bin.mkdir()
        passwd, group = place / 'passwd', place / 'group'
        passwd.write_text(pathlib.Path('/etc/passwd').read_text() + ''.join('%s:x:%d:%d::%s:/bin/sh\n' % (n, i, i, self.home(n)) for n, i in IDS.items()))
        group.write_text(pathlib.Path('/etc/group').read_text() + ''.join('%s:x:%d:\n' % pair for pair in IDS.items()))
        (place / 'home').mkdir()
        for name, number in IDS.items():
            self.home(name).mkdir()
            os.chown(self.home(name), number, number)
            os.chmod(self.home(name), 0o755)
        (place / 'root').mkdir()
        script = 'mount --make-rprivate / && mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && mount --bind "$0/root" /root && echo ready && exec sleep infinity'
        self.holder = subprocess.Popen(['unshare', '--mount', 'sh', '-c', script, str(place)], stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b'ready\n'

    def home(self, name):
        return self.place / 'home' / name

    def inside(self):
        return ['nsenter', '--mount=/proc/%d/ns/mnt' % self.holder.pid, '--']

    def program(self, name, text, mode=0o755):
        path = self.bin / name
        path.write_text(text)
        os.chmod(path, mode)
        return path

    def forward(self, name, text, owner=None, mode=0o644):
        path = self.home(name) / '.forward'
        path.unlink(missing_ok=True)
        path.write_text(text)
        os.chown(path, IDS[name] if owner is None else owner, -1)
        os.chmod(path, mode)
        return path

    def close(self):
        self.holder.kill()
        self.holder.wait()


class LocalServer(Server):
    def __init__(self, folder, machine, **options):
        self.machine = machine
        super().__init__(folder, **options)

    def argv(self, *words):
        return self.machine.inside() + [CARTEIRO, '-c', str(self.config_file), *words]


class Sink:
    def __init__(self):
        self.got = []

    async def handle_DATA(self, server, session, envelope):
        self.got.append((envelope.mail_from, tuple(envelope.rcpt_tos), envelope.content))
        return '250 taken'


@pytest.fixture(scope='module')
def sink():
    handler, port = Sink(), free_ports(1)[0]
    controller = aiosmtpd.controller.Controller(handler, hostname='127.0.0.1', port=port)
    controller.start()
    handler.port = port
    yield handler
    controller.stop()


@pytest.fixture(scope='module')
def machine(place):
    m = Machine(place)
    m.program('take', '#!/bin/sh\numask 022\nid -un > "$HOME/who.new"; env | sort > "$HOME/env"; pwd > "$HOME/pwd"; printf "%s\\n" "$@" > "$HOME/args"; cat > "$HOME/got.new"\n'
              'mv "$HOME/who.new" "$HOME/who"; mv "$HOME/got.new" "$HOME/got"\n')
    m.program('vacation', '#!/bin/sh\nsubject=$(sed -n "s/^Subject: //p;/^$/q")\nprintf "To: %%s\\nSubject: away: %%s\\n\\nI am away\\n" "$SENDER" "$subject" | %s -c "$1" sendmail -f "" "$SENDER"\n' % CARTEIRO)
    m.program('exit', '#!/bin/sh\necho run >> "$HOME/runs"\nprintf "\\033first line\\nsecond\\n"\nexit $1\n')
    m.program('hang', '#!/bin/sh\ntrap "" TERM\necho $$ > "$HOME/hang"\nsleep 1000 &\necho $! >> "$HOME/hang"\nwait\nsleep 1000\n')
    m.program('flood', '#!/bin/sh\necho run >> "$HOME/runs"\nexec yes\n')
    m.program('slow', '#!/bin/sh\necho run >> "$HOME/runs"\nwhile [ ! -e "$HOME/go" ]; do sleep 0.1; done\ncat > "$HOME/got"\n')
    m.program('signal', '#!/bin/sh\nkill -SEGV $$\n')
    m.program('unread', '#!/bin/sh\necho run >> "$HOME/runs"\nexit 0\n')
    m.program('open', '#!/bin/sh\ntouch "$HOME/opened"\n', mode=0o777)
    m.program('other', '#!/bin/sh\ntouch "$HOME/other"\n')
    yield m
    m.close()


@pytest.fixture(scope='module')
def server(folder, machine, sink):
    s = LocalServer(folder / 'local-users', machine, settings={
        'system_users': HOST, 'pipes': ' '.join(str(machine.bin / name) for name in ALLOWED), 'pipe_timeout': '2s', 'retry_first': '1s', 'retry_most': '1s',
        'relay_host': '[127.0.0.1]:%d' % sink.port})
    for name in ('ana', 'uana', 'root.mail'):
        s.add_user(name)
    s.must('alias', 'remove', 'root@example.test')  # which setup has made
    s.must('alias', 'add', 'root@example.test', 'root.mail@example.test')
    s.start()
    try:
        yield s
    finally:
        s.close()


@pytest.fixture(autouse=True)
def clean(server, machine, sink):
    yield
    for name in IDS:
        for path in machine.home(name).iterdir():
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        os.chmod(machine.home(name), 0o755)
        os.chown(machine.home(name), IDS[name], IDS[name])
    server.empty_queue()
    for name in ('ana', 'uana', 'root.mail'):
        server.empty('%s@%s' % (name, ORIGIN))
    sink.got.clear()
    # what RCPT was told of a user stays good for an hour where nothing asks anew: each test begins with other answers
    server.must('reload')
    server.wait_all_running()


def rcpt(server, recipient):
    with server.smtp() as s:
        assert s.command('MAIL FROM:<x@remote.example>').code == 250
        return s.command('RCPT TO:<%s>' % recipient).code


def send(server, recipient, sender='x@remote.example', message=SMALL):
    assert server.send(recipient, message, sender=sender).code == 250, server.log()[-2000:]


def arrives(server, account, count=1):
    address = '%s@%s' % (account, ORIGIN)
    assert until(lambda: len(server.messages(address)) >= count), server.log()[-3000:]
    assert len(server.messages(address)) == count
    return server.messages(address)


def read(path):
    """A file's lines, when a program has written them: it is there before."""
    assert until(lambda: path.exists() and path.read_text().endswith('\n')), path
    return path.read_text()


def logged(server, pattern):
    assert until(lambda: re.search(pattern, server.log())), server.log()[-3000:]


# ---- without a .forward ----

def test_without_a_forward_it_goes_to_his_account_or_to_root(server):
    send(server, 'uana@' + HOST)
    arrives(server, 'uana')
    send(server, 'ubob+lists@' + HOST)
    arrives(server, 'root.mail')
    send(server, 'postmaster@' + HOST)
    send(server, 'root@' + HOST)
    arrives(server, 'root.mail', 2)
    assert rcpt(server, 'ulow@' + HOST) == rcpt(server, 'daemon@' + HOST) == rcpt(server, 'nobody@' + HOST) == rcpt(server, 'ana@' + HOST) == rcpt(server, '"u ana"@' + HOST) == 550
    assert rcpt(server, 'ubob@' + ORIGIN) == 550  # it is not one of the domains of users
    server.must('alias', 'add', 'all@example.test', 'ubob@' + HOST)
    assert 'a user of this machine' in server.must('alias', 'show', 'all@example.test')


def test_cron_writes_to_root(server, machine):
    words = machine.inside() + ['setpriv', '--reuid', str(IDS['ubob']), '--regid', str(IDS['ubob']), '--clear-groups', CARTEIRO, '-c', str(server.config_file), 'sendmail', 'root']
    done = subprocess.run(words, input=b'Subject: Cron\n\noutput\n', capture_output=True, env=dict(os.environ, **SANITIZERS), timeout=60, cwd='/')
    assert done.returncode == 0, done.stderr
    (got,) = arrives(server, 'root.mail')
    assert b'(uid %d)' % IDS['ubob'] in got


# ---- .forward ----

def test_forward_to_outside_with_a_rewritten_sender(server, machine, sink):
    machine.forward('uana', '# away\nOut <out@remote.example>\n')
    send(server, 'uana+x@' + HOST)
    assert until(lambda: sink.got)
    assert sink.got[0][1] == ('out@remote.example',) and sink.got[0][0].endswith('@' + HOST) and sink.got[0][0] != 'x@remote.example'
    assert not server.messages('uana@' + ORIGIN)


def test_forward_to_himself_and_others(server, machine, sink):
    server.must('user', 'list')
    machine.forward('uana', '\\uana, out@remote.example\nubob@%s, ana\n' % HOST)
    machine.forward('ubob', 'uana@%s, ucarl@%s' % (HOST, HOST))  # a circle ends
    send(server, 'uana@' + HOST)
    arrives(server, 'uana')
    arrives(server, 'ana')
    arrives(server, 'root.mail')  # ucarl has no mailbox
    assert until(lambda: sink.got) and [got[1] for got in sink.got] == [('out@remote.example',)]
    machine.forward('udora', 'udora')
    send(server, 'udora@' + HOST)
    arrives(server, 'root.mail', 2)


def spoil_symlink(machine):
    (machine.home('uana') / '.forward').symlink_to('/etc/shadow')


def spoil_fifo(machine):
    os.mkfifo(machine.home('uana') / '.forward')
    os.chown(machine.home('uana') / '.forward', IDS['uana'], -1)


def spoil_home(machine):
    machine.forward('uana', 'out@remote.example')
    os.chmod(machine.home('uana'), 0o777)


def spoil_home_owner(machine):
    machine.forward('uana', 'out@remote.example')
    os.chown(machine.home('uana'), IDS['ubob'], -1)


@pytest.mark.parametrize('spoil, why', [
    (lambda m: m.forward('uana', 'out@remote.example', mode=0o666), 'may be written by others'), (lambda m: m.forward('uana', 'out@remote.example', mode=0o664), 'may be written by others'),
    (lambda m: m.forward('uana', 'out@remote.example', owner=IDS['ubob']), 'belongs to somebody else'), (spoil_symlink, 'is a symbolic link'), (spoil_fifo, 'is no regular file'),
    (lambda m: (m.home('uana') / '.forward').mkdir(), 'is no regular file'), (lambda m: m.forward('uana', 'out@remote.example\n' * 4000), 'has more than 65536 bytes'), (spoil_home, 'home directory may be written'),
    (spoil_home_owner, 'home directory belongs'), (lambda m: m.forward('uana', 'out@remote.example', mode=0o000, owner=0), 'cannot be read')])
def test_what_is_not_safe_is_passed_over(server, machine, sink, spoil, why):
    before = len(server.log())
    spoil(machine)
    send(server, 'uana@' + HOST)
    arrives(server, 'uana')
    assert re.search(r'forward-unsafe .*user=uana .*%s' % why, server.log()[before:])
    assert not sink.got
    assert why in server.must('alias', 'show', 'uana@' + HOST)


def test_root_may_own_it_and_faults_are_named_by_line(server, machine, sink):
    path = machine.forward('uana', '/var/mail/x\nout@remote.example\n:include:/etc/passwd\n|%s\nno address at all\n"open quote\n' % (machine.bin / 'other'), owner=0)
    send(server, 'uana@' + HOST)
    assert until(lambda: sink.got)
    for line, why in ((1, 'leads to a file'), (3, 'another file'), (4, 'the setting pipes does not have'), (5, 'two words'), (6, 'not closed')):
        logged(server, r'forward-fault .*at=%s:%d why="[^"]*%s' % (path, line, why))
    assert re.search(r'uana@mx.example.test: .*out@remote.example  \[%s:1: it leads to a file' % path, server.must('alias', 'show', 'uana@' + HOST)) or \
        re.search(r'out@remote.example  \[%s:1: it leads to a file' % path, server.must('alias', 'show', 'uana@' + HOST))
    machine.forward('ubob', '/var/mail/x\n')
    send(server, 'ubob@' + HOST)
    arrives(server, 'root.mail')  # nothing is left of it


# ---- programs ----

def test_a_program_runs_as_its_user(server, machine):
    machine.forward('uana', '"|%s -a \'two words\' $"\n"|%s -a \'two words\'"\n' % (machine.bin / 'take', machine.bin / 'take'))
    send(server, 'uana+ext@' + HOST, sender="a'b$c@remote.example", message=b'Subject: t\r\n\r\nFrom here\r\nend\r\n')
    home = machine.home('uana')
    logged(server, r' piped .*to=uana\+ext@%s .*outcome=delivered' % re.escape(HOST))  # it has ended
    got = (home / 'got').read_bytes()
    assert re.match(rb"From a'b\$c@remote\.example  \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\nReturn-Path: <a'b\$c@remote\.example>\nDelivered-To: uana\+ext@mx\.example\.test\n", got), got
    assert got.endswith(b'\nSubject: t\n\nFrom here\nend\n') and b'\r' not in got and got.count(b'Return-Path:') == 1
    env = dict(line.split('=', 1) for line in (home / 'env').read_text().splitlines())
    env.pop('PWD'), env.pop('OLDPWD', None), env.pop('_', None), env.pop('SHLVL', None)
    assert env == {'PATH': '/usr/local/bin:/usr/bin:/bin', 'HOME': str(home), 'USER': 'uana', 'LOGNAME': 'uana', 'SENDER': 'a_b_c@remote.example',
                   'RECIPIENT': 'uana+ext@' + HOST, 'EXTENSION': 'ext', 'DOMAIN': HOST}
    assert (home / 'args').read_text() == '-a\ntwo words\n' and (home / 'who').read_text() == 'uana\n' and (home / 'pwd').read_text() == str(home) + '\n'
    assert not (home / 'opened').exists()
    logged(server, r'forward-fault .*uana/.forward:1 why="the command has .*is for a shell')


def test_vacation(server, machine, sink):
    machine.forward('uana', '\\uana, "|%s %s"' % (machine.bin / 'vacation', server.config_file))
    send(server, 'uana@' + HOST, sender='friend@remote.example', message=b'Subject: lunch\r\n\r\nx\r\n')
    arrives(server, 'uana')
    assert until(lambda: sink.got), server.log()[-3000:]
    assert sink.got[0][:2] == ('', ('friend@remote.example',)) or sink.got[0][1] == ('friend@remote.example',)
    assert b'Subject: away: lunch' in sink.got[0][2] and b'(uid %d)' % IDS['uana'] in sink.got[0][2]


def test_aliases_run_as_nobody_and_only_what_is_allowed(server, machine, place):
    done = server.command('alias', 'add', 'bad@example.test', '|%s' % (machine.bin / 'other'))
    assert done.returncode == 1 and 'the setting pipes does not have' in done.stdout + done.stderr
    assert server.command('alias', 'add', 'bad@example.test', '|%s; id' % (machine.bin / 'take')).returncode == 1
    out = place / 'out'
    out.mkdir()
    os.chmod(out, 0o777)
    machine.program('exit', '#!/bin/sh\nid -un > %s/who; echo "$RECIPIENT" > %s/recipient; pwd > %s/pwd\nprintf "\\033first line\\nsecond\\n"\nexit ${1:-0}\n' % (out, out, out))
    server.must('alias', 'add', 'robot@example.test', '|%s 0' % (machine.bin / 'exit'), 'ana@example.test')
    assert '| %s 0' % (machine.bin / 'exit') in server.must('alias', 'list')
    send(server, 'robot@example.test')
    arrives(server, 'ana')
    assert read(out / 'who') == 'nobody\n' and read(out / 'recipient') == 'robot@example.test\n' and read(out / 'pwd') == '/\n'
    # what root's .forward names does not run as root
    (machine.place / 'root' / '.forward').write_text('|%s 0' % (machine.bin / 'exit'))
    os.chmod(machine.place / 'root' / '.forward', 0o600)
    (out / 'who').unlink()
    send(server, 'root@' + HOST)
    assert read(out / 'who') == 'nobody\n'
    (machine.place / 'root' / '.forward').unlink()


def test_a_recipient_that_looks_like_a_program_is_a_name(server, machine):
    for name in ('"|%s"' % (machine.bin / 'take'), '|%s' % (machine.bin / 'take'), '"| %s"' % (machine.bin / 'take'), '"|:%s"' % (machine.bin / 'take')):
        assert rcpt(server, name + '@example.test') == 550 and rcpt(server, name + '@' + HOST) == 550
    words = server.argv('sendmail', '-f', 'ana@example.test', '"| %s"@remote.example' % (machine.bin / 'take'))
    subprocess.run(words, input=b'Subject: x\n\nx\n', capture_output=True, env=dict(os.environ, **SANITIZERS), timeout=60)
    assert 'piped' not in server.log().rsplit('reloaded', 1)[1]


@pytest.mark.parametrize('code, status', [(67, '5.1.1'), (77, '5.7.0'), (1, '5.3.0'), (127, '5.3.0')])
def test_other_exit_codes_bounce_with_the_first_line(server, machine, code, status):
    machine.program('exit', '#!/bin/sh\necho run >> "$HOME/runs"\nprintf "\\033first line\\nsecond\\n"\nexit $1\n')
    machine.forward('uana', '"|%s %d"' % (machine.bin / 'exit', code))
    send(server, 'uana@' + HOST, sender='ana@example.test')
    (bounce,) = arrives(server, 'ana')
    assert b'Status: %s' % status.encode() in bounce and b'?first line' in bounce and b'second' not in bounce
    assert b'Final-Recipient: rfc822; uana@mx.example.test' in bounce and b'Remote-MTA' not in bounce
    assert b'Diagnostic-Code: X-Carteiro; the program' in bounce
    assert read(machine.home('uana') / 'runs') == 'run\n'


def test_75_and_signals_and_faults_of_the_machine_are_tried_again(server, machine):
    machine.forward('uana', '"|%s 75"' % (machine.bin / 'exit'))
    machine.forward('ubob', '|%s' % (machine.bin / 'signal'))
    machine.forward('ucarl', '|%s' % (machine.bin / 'open'))  # anybody may write to it
    machine.program('exit', '#!/bin/sh\necho run >> "$HOME/runs"\nexit $1\n')
    for name in ('uana', 'ubob', 'ucarl'):
        send(server, '%s@%s' % (name, HOST))
    assert until(lambda: (machine.home('uana') / 'runs').exists() and (machine.home('uana') / 'runs').read_text().count('run') >= 2)
    for why in ('ended with status 75', 'was ended by signal 11', 'everybody may write to it'):
        assert until(lambda: why in server.must('queue', 'list')), server.must('queue', 'list')
    assert not (machine.home('ucarl') / 'opened').exists()
    machine.program('exit', '#!/bin/sh\necho "done" > "$HOME/done"\n')
    assert read(machine.home('uana') / 'done') == 'done\n'
    assert until(lambda: 'uana' not in server.must('queue', 'list'))


def is_alive(pid):
    try:
        return pathlib.Path('/proc/%d/stat' % pid).read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_hanging_program_is_ended_with_all_that_it_started(server, machine):
    machine.forward('uana', '|%s' % (machine.bin / 'hang'))
    send(server, 'uana@' + HOST)
    assert until(lambda: len(read(machine.home('uana') / 'hang').split()) == 2)
    pids = [int(pid) for pid in read(machine.home('uana') / 'hang').split()]
    machine.forward('uana', '\\uana')
    assert until(lambda: not any(is_alive(pid) for pid in pids), 30)
    assert until(lambda: 'did not end in time' in server.must('queue', 'list')), server.must('queue', 'list')


def test_a_flood_of_output_ends(server, machine):
    machine.forward('uana', '|%s' % (machine.bin / 'flood'))
    send(server, 'uana@' + HOST)
    assert until(lambda: 'was ended by signal 13: y' in server.must('queue', 'list')), server.must('queue', 'list')


def test_a_program_need_not_read(server, machine):
    machine.forward('uana', '|%s' % (machine.bin / 'unread'))
    send(server, 'uana@' + HOST, message=b'Subject: x\r\n\r\n' + b'x' * 70 * 13 + b'\r\n' + b'line\r\n' * 300000)
    assert read(machine.home('uana') / 'runs') == 'run\n'
    assert until(lambda: 'uana' not in server.must('queue', 'list'))


def test_pipe_dies_while_a_program_runs(server, machine):
    machine.forward('uana', '|%s' % (machine.bin / 'slow'))
    server.configure(pipe_timeout='100s')
    server.must('reload')
    send(server, 'uana@' + HOST)
    runs, home = machine.home('uana') / 'runs', machine.home('uana')
    read(runs)
    server.kill_role('pipe')
    assert until(lambda: runs.read_text().count('run') == 2, 30)  # it runs again, and the first one has gone with pipe
    (home / 'go').touch()
    assert read(home / 'got').startswith('From ')
    assert until(lambda: 'uana' not in server.must('queue', 'list'))
    assert runs.read_text().count('run') == 2
    server.configure(pipe_timeout='2s')


def test_store_dies_while_a_program_runs(server, machine):
    server.configure(pipe_timeout='100s')
    server.must('reload')
    machine.forward('uana', '|%s' % (machine.bin / 'slow'))
    send(server, 'uana@' + HOST)
    runs, home = machine.home('uana') / 'runs', machine.home('uana')
    read(runs)
    server.kill_role('store')
    server.wait_all_running()
    assert until(lambda: 'uana@%s |%s trying' % (HOST, machine.bin / 'slow') in server.must('queue', 'list')), server.must('queue', 'list')
    (home / 'go').touch()
    read(home / 'got')
    assert until(lambda: 'uana' not in server.must('queue', 'list'))
    assert runs.read_text() == 'run\n'  # once
    server.configure(pipe_timeout='2s')


def test_a_program_that_is_no_longer_allowed_waits(server, machine):
    server.configure(pipe_timeout='2s')
    machine.program('exit', '#!/bin/sh\necho run >> "$HOME/runs"\nexit $1\n')
    machine.forward('uana', '"|%s 75"' % (machine.bin / 'exit'))
    send(server, 'uana@' + HOST)
    assert until(lambda: 'status 75' in server.must('queue', 'list'))
    pipes = server.settings['pipes']
    server.configure(pipes='')
    server.must('reload')
    try:
        assert until(lambda: 'the setting pipes does not have the program' in server.must('queue', 'list'))
        send(server, 'ubob@' + HOST)
        arrives(server, 'root.mail')
    finally:
        server.configure(pipes=pipes)
        server.must('reload')
    machine.program('exit', '#!/bin/sh\ntouch "$HOME/done"\n')
    assert until((machine.home('uana') / 'done').exists)


def test_pipe_has_no_right_but_to_become_others(server):
    (pid,) = [pid for role, pid in server.pids() if role == 'pipe']
    status = dict(line.split(':\t', 1) for line in pathlib.Path('/proc/%d/status' % pid).read_text().splitlines())
    assert status['Uid'].split()[0] != '0' and status['NoNewPrivs'] == '1' and status['Seccomp'] == '2'
    assert int(status['CapEff'], 16) == int(status['CapPrm'], 16) == 1 << 5 | 1 << 6 | 1 << 7  # kill, setgid, setuid
    assert int(status['CapInh'], 16) == int(status['CapAmb'], 16) == 0
    for role, pid in server.pids():
        if role not in ('master', 'pipe'):
            assert 'CapEff:\t0000000000000000' in pathlib.Path('/proc/%d/status' % pid).read_text(), role


def test_programs_have_no_right_at_all(server, machine):
    machine.program('exit', '#!/bin/sh\ncat /proc/self/status > "$HOME/status.new"; ls -l /proc/self/fd > "$HOME/fds"; mv "$HOME/status.new" "$HOME/status"\n')
    machine.forward('uana', '|%s' % (machine.bin / 'exit'))
    send(server, 'uana@' + HOST)
    status = read(machine.home('uana') / 'status')
    for name in ('CapEff', 'CapPrm', 'CapInh', 'CapAmb'):
        assert '%s:\t0000000000000000' % name in status
    assert 'Uid:\t%s' % '\t'.join([str(IDS['uana'])] * 4) in status and 'Groups:\t%d' % IDS['uana'] in status
    assert 'socket:' not in read(machine.home('uana') / 'fds')


def test_check_names_bad_programs(server, machine):
    server.configure(pipes='%s %s %s' % (machine.bin / 'take', machine.bin / 'open', machine.bin / 'missing'))
    done = server.command('check')
    server.configure(pipes=' '.join(str(machine.bin / name) for name in ALLOWED))
    assert done.returncode == 78
    assert re.search(r'pipes: \S*/missing: ', done.stdout) and re.search(r'pipes: \S*/open: .*write', done.stdout) and 'bin/take' not in done.stdout


def test_who_cannot_be_looked_up_delays_nobody_else(server, machine):
    """The system's users are a FIFO for a while, which hangs whoever reads it, as an NFS server does that is down."""
    fifo = machine.place / 'fifo'
    os.mkfifo(fifo)
    subprocess.run(machine.inside() + ['mount', '--bind', str(fifo), '/etc/passwd'], check=True)
    try:
        with server.smtp() as s:
            assert s.command('MAIL FROM:<x@remote.example>').code == 250
            s.send(b'RCPT TO:<ucarl@%s>\r\n' % HOST.encode())
            began = time.monotonic()
            send(server, 'ana@example.test')
            arrives(server, 'ana')
            server.status()
            assert time.monotonic() - began < 8
            assert s.reply().code == 451
    finally:
        subprocess.run(machine.inside() + ['umount', '/etc/passwd'], check=True)
    logged(server, 'home-silent .*user=ucarl')
    assert until(lambda: rcpt(server, 'ucarl@' + HOST) == 250)
    assert not re.findall(r'process-died', server.log().rsplit('home-silent', 1)[1])


def test_aliases_of_a_table_may_name_programs_and_users(server, machine, place):
    aliases = place / 'aliases'
    aliases.write_text('robot: "|%s -t", ana@example.test\nbad: "|%s"\nuana: uana, ana@example.test\n' % (machine.bin / 'exit', machine.bin / 'other'))
    out = place / 'robot'
    out.mkdir()
    os.chmod(out, 0o777)
    machine.program('exit', '#!/bin/sh\necho "$1 $(id -un)" > %s/ran\n' % out)
    machine.forward('uana', '\\uana')
    server.stop()
    server.configure(tables='aliases:%s' % aliases, origin=HOST)
    server.start()
    try:
        send(server, 'robot@' + HOST)
        assert read(out / 'ran') == '-t nobody\n'
        arrives(server, 'ana')
        assert rcpt(server, 'bad@' + HOST) == 451
        logged(server, r'table-fault .*aliases:2 why="it leads to a program')
        send(server, 'uana@' + HOST)  # a row that names the user himself leads to his .forward
        arrives(server, 'uana')
        arrives(server, 'ana', 2)
    finally:
        server.stop()
        server.configure(tables='', origin=ORIGIN)
        server.start()


def test_pipe_is_there_only_if_there_are_programs(make_server, machine, place):
    s = make_server('late', users=['ana'])
    assert 'pipe' not in [role for role, pid in s.pids()]
    assert s.command('alias', 'add', 'robot@example.test', '|%s' % (machine.bin / 'exit')).returncode == 1
    out = place / 'late'
    out.mkdir()
    os.chmod(out, 0o777)
    machine.program('exit', '#!/bin/sh\nid -un > %s/who\n' % out)
    s.configure(pipes=str(machine.bin / 'exit'))
    s.must('reload')
    s.wait_all_running()
    assert 'pipe' in [role for role, pid in s.pids()]
    s.must('alias', 'add', 'robot@example.test', '|%s' % (machine.bin / 'exit'))
    send(s, 'robot@example.test')
    assert read(out / 'who') == 'nobody\n'
