"""The command line: what the operator types, and what it says."""
import os
import re
import signal
import subprocess

import pytest

from conftest import PASSWORD, failing_dns, until

MESSAGE = b'Subject: traced\r\nMessage-ID: <trace-1@remote.example>\r\n\r\nbody\r\n'


@pytest.fixture(scope='module')
def server(make_server):
    with failing_dns() as port:  # mail to others waits
        s = make_server(settings={'resolver': '127.0.0.1@%d' % port, 'retry_first': '1h'})
        s.add_user('u')
        s.add_user('v')
        yield s


def test_help_names_every_command(server):
    text = server.must('help')
    for word in ('setup', 'check', 'run', 'status', 'reload', 'stop', 'user', 'domain', 'alias', 'queue', 'trace', 'settings'):
        assert word in text


@pytest.mark.parametrize('words', [['nonsense'], ['user'], ['user', 'fly'], ['user', 'list', 'x'], ['queue'], ['queue', 'show'], ['domain', 'add'],
                                   ['alias', 'add', 'a@example.test'], ['trace'], ['queue', 'show', 'x'], ['queue', 'retry', 'x'], ['queue', 'remove', 'x']])
def test_wrong_commands_fail_with_a_text(server, words):
    done = server.command(*words)
    assert done.returncode not in (0, -6) and (done.stdout + done.stderr).strip()


# ---- setup and check ----

def test_setup_prints_account_password_and_records(server):
    assert 'admin@example.test' in server.setup_output
    for record in ('example.test. 3600 IN MX 10 mx.example.test.', 'v=spf1 mx -all', '_dmarc.example.test.'):
        assert record in server.setup_output
    password = re.search(r'^Password +(\S{20})$', server.setup_output, re.M)[1]
    with server.pop3('admin@example.test', password) as p:
        p.ok('STAT')
    assert os.stat(server.data).st_mode & 0o077 == 0
    assert os.stat(server.data / 'keys/tls.key').st_mode & 0o077 == 0


def test_setup_does_not_write_over_a_configuration(server):
    done = server.command('setup', 'other.test', '--data', str(server.data), '--run', str(server.run_dir))
    assert done.returncode and 'is there already' in done.stderr
    assert 'other.test' not in server.config_file.read_text()


def test_a_setup_that_failed_can_be_run_again(server, folder):
    place = folder / 'setup'
    place.mkdir()

    def setup(data):
        return subprocess.run([*server.argv()[:1], '-c', str(place / 'c'), 'setup', 'café.test', '--hostname', 'Post.café.test', '--data', str(data),
                               '--run', str(place / 'run')], capture_output=True, text=True, timeout=30)
    failed = setup(place / 'no/such/folder')
    assert failed.returncode == 73 and 'run `carteiro setup` again' in failed.stderr and not (place / 'c').exists()
    # a folder that those who keep the mail cannot reach: the log of the server that setup has started says so
    os.chmod(place, 0o700)
    failed = setup(place / 'data')
    assert failed.returncode in (69, 75) and 'Permission denied' in failed.stderr and not (place / 'c').exists()
    os.chmod(place, 0o755)
    done = setup(place / 'data')
    assert done.returncode == 0 and 'xn--caf-dma.test. 3600 IN MX 10 post.xn--caf-dma.test.' in done.stdout and 'é' not in done.stdout
    # data from before, and the configuration lost: the account gets a new password
    os.unlink(place / 'c')
    again = setup(place / 'data')
    passwords = [re.search(r'(?m)^Password +(\S+)$', said)[1] for said in (done.stdout, again.stdout)]
    assert again.returncode == 0, again
    assert passwords[0] != passwords[1]
    assert [line for line in again.stdout.splitlines() if '_domainkey' in line] == [line for line in done.stdout.splitlines() if '_domainkey' in line]


def test_aliases_of_others_are_imported(server, tmp_path):
    server.configure(origin='example.test')
    server.must('reload')
    aliases = tmp_path / 'aliases'
    aliases.write_text('# See man 5 aliases\nimported1: u, far@remote.example\nimported2:\n  imported1,\n  v@example.test\nprogram: "|/usr/bin/vacation u"\n')
    done = server.command('alias', 'import', str(aliases))
    assert done.returncode == 1 and done.stdout == '2 added, 1 not\n' and '%s:6: program: it leads to a program' % aliases in done.stderr, done
    virtual = tmp_path / 'virtual'
    virtual.write_text('example.test anything\nimported3@example.test\tu@example.test,v@example.test\nimported1@example.test u\nx@other.invalid u\n')
    done = server.command('alias', 'import', str(virtual), 'example.test')
    assert done.returncode == 1 and done.stdout.endswith('1 added, 3 not\n') and 'is there already' in done.stdout and 'domain add other.invalid' in done.stdout, done
    listed = server.must('alias', 'list')
    assert 'imported1@example.test -> u@example.test far@remote.example\n' in listed and 'imported2@example.test -> imported1@example.test v@example.test\n' in listed
    assert 'imported3@example.test -> u@example.test v@example.test\n' in listed
    assert server.send('imported3@example.test', MESSAGE).code == 250
    assert server.command('alias', 'import').returncode == 64 and server.command('alias', 'import', '/nowhere').returncode == 66
    for n in (1, 2, 3):
        server.must('alias', 'remove', 'imported%d@example.test' % n)


def test_removing_a_user_names_the_aliases_that_lead_there(server):
    server.add_user('leaves')
    server.must('alias', 'add', 'team@example.test', 'u@example.test', 'leaves@example.test')
    assert server.must('user', 'remove', 'leaves@example.test').startswith('the alias team@example.test still has it ')
    assert server.send('team@example.test', MESSAGE).code == 250
    server.must('alias', 'remove', 'team@example.test')
    server.add_user('leaves')
    assert server.must('user', 'remove', 'leaves@example.test') == ''


def test_a_reload_does_not_move_the_mail(server, tmp_path):
    text = server.config_file.read_text()
    for name in ('data_dir', 'run_dir'):
        server.config_file.write_text(re.sub(r'(?m)^%s = .*$' % name, '%s = %s' % (name, tmp_path), text))
        try:
            done = subprocess.run([*server.argv()[:1], '-c', str(server.config_file), 'check'], capture_output=True, timeout=20)
            os.kill(server.process.pid, signal.SIGHUP)
            assert until(lambda name=name: 'reload-refused level=error why="%s is ' % name in server.log()), done
        finally:
            server.config_file.write_text(text)
    assert server.must('reload') == 'reloaded\n'
    assert server.send('admin@example.test', MESSAGE).code == 250


@pytest.mark.parametrize('word', ['reload', 'status', 'stop'])
def test_words_that_a_command_does_not_take_are_refused(server, word):
    done = server.command(word, '-c', '/tmp/none.conf')
    assert done.returncode == 64 and 'takes no more words' in done.stdout
    assert server.send('admin@example.test', MESSAGE).code == 250


def test_many_reloads_keep_few_processes_of_earlier_configurations(server):
    clients = []
    try:
        for _ in range(24):
            clients.append(server.imap('admin@example.test', re.search(r'(?m)^Password +(\S+)$', server.setup_output)[1]))
            server.must('reload')
        assert until(lambda: int((re.search(r'; (\d+) processes of earlier ones', server.status()) or [0, 0])[1]) <= 16, 30), server.status()
        # who was connected to the first ones is told, the others are not disturbed
        assert clients[0].rest().startswith(b'* BYE ')
        clients[-1].ok('NOOP')
    finally:
        for client in clients:
            client.close()
    assert until(lambda: ' earlier ' not in server.status(), 20)


def test_two_servers_do_not_work_on_the_same_mail(server, tmp_path):
    other = tmp_path / 'carteiro.conf'
    other.write_text(re.sub(r'(?m)^run_dir = .*$', 'run_dir = %s' % (tmp_path / 'run'), server.config_file.read_text()))
    done = subprocess.run([*server.argv()[:1], '-c', str(other), 'run'], capture_output=True, text=True, timeout=30)
    assert done.returncode == 71 and 'another server works on data_dir %s' % server.data in done.stderr
    assert server.send('admin@example.test', MESSAGE).code == 250


@pytest.mark.parametrize('domain', ['', '-x.test', 'a..test', 'a b', 'x' * 300, '--what'])
def test_setup_refuses_what_is_no_domain(tmp_path, server, domain):
    done = subprocess.run([*server.argv()[:1], '-c', str(tmp_path / 'c'), 'setup', domain, '--data', str(tmp_path / 'd')], capture_output=True, timeout=20)
    assert done.returncode not in (0, -6) and not (tmp_path / 'c').exists()


FAULTS = [('smtp_listen = 99999', 'smtp_listen'), ('what_is_this = 1', 'what_is_this'), ('message_size_limit = lots', 'message_size_limit'),
          ('message_size_limit = 1k', '65536|64k'), ('retry_first = -1s', 'retry_first'), ('plaintext_login = maybe', 'off|loopback'),
          ('resolver = not-an-address', 'resolver'), ('no equals sign', '='), ('hostname = unqualified', 'hostname'), ('dnssec = perhaps', 'dnssec'),
          ('protocols = smtp gopher', 'gopher'), ('postmaster = nobody', 'postmaster')]


@pytest.mark.parametrize('line, word', FAULTS, ids=[line for line, _ in FAULTS])
def test_check_names_file_line_and_remedy(folder, server, line, word):
    file = folder / 'faulty.conf'
    text = server.base + '# a comment\n' + line + '\n'
    if line.startswith('hostname'):
        text = text.replace('hostname = mx.example.test\n', '')
    file.write_text(text)
    done = subprocess.run([server.argv()[0], '-c', str(file), 'check'], capture_output=True, text=True, timeout=20)
    said = done.stdout + done.stderr
    assert done.returncode == 78 and re.search(word, said), said
    number = text.splitlines().index(line) + 1
    assert '%s:%d' % (file, number) in said, said


def test_check_says_that_all_is_right(server):
    done = server.command('check')
    assert done.returncode == 0 and 'is right' in done.stdout


def test_check_finds_missing_and_open_keys(folder, server):
    file = folder / 'keys.conf'
    file.write_text(server.base + 'tls_certificate = %s/keys/tls.crt\ntls_key = %s/none.key\n' % (server.data, folder))
    done = subprocess.run([server.argv()[0], '-c', str(file), 'check'], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78 and 'none.key' in done.stdout + done.stderr
    key = folder / 'open.key'
    key.write_bytes((server.data / 'keys/tls.key').read_bytes())
    key.chmod(0o644)
    file.write_text(server.base + 'tls_certificate = %s/keys/tls.crt\ntls_key = %s\n' % (server.data, key))
    done = subprocess.run([server.argv()[0], '-c', str(file), 'check'], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78 and 'chmod 600' in done.stdout + done.stderr


def test_check_finds_missing_authorities(folder, server):
    """Without them no MTA-STS policy is believed."""
    file = folder / 'authorities.conf'
    file.write_text(server.base + 'tls_authorities = %s/none.pem\n' % folder)
    done = subprocess.run([server.argv()[0], '-c', str(file), 'check'], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78 and 'none.pem: install ca-certificates' in done.stdout + done.stderr


def test_commands_without_a_configuration_say_how_to_get_one(tmp_path, server):
    for words in (['check'], ['run'], ['status'], ['user', 'list']):
        done = subprocess.run([server.argv()[0], '-c', str(tmp_path / 'none'), *words], capture_output=True, text=True, timeout=20)
        assert done.returncode not in (0, -6) and 'carteiro setup' in done.stdout + done.stderr


# ---- status ----

def test_status_shows_every_process(server):
    roles = [role for role, _ in server.pids()]
    assert sorted(roles) == sorted(['store', 'vault', 'filter', 'resolve', 'relay', 'milter', 'edge-mx', 'edge-user'])
    assert server.status().splitlines()[0].startswith('mx.example.test ')


def test_no_process_but_the_master_is_root(server):
    for role, pid in server.pids():
        with open('/proc/%d/status' % pid) as f:
            status = dict(line.split(':\t', 1) for line in f.read().splitlines() if ':\t' in line)
        assert '0' not in status['Uid'].split(), role
        assert int(status['CapEff'], 16) == 0, role


def test_status_without_a_server_says_so(make_server):
    s = make_server('stopped', start=False)
    done = s.command('status')
    assert done.returncode == 69 and 'carteiro run' in done.stderr


def test_commands_work_without_a_running_server(make_server):
    s = make_server('offline', start=False)
    s.add_user('later')
    s.must('domain', 'add', 'second.test')
    assert 'second.test' in s.must('domain', 'list') and 'later@example.test' in s.must('user', 'list')
    s.start()
    assert s.send('later@example.test', MESSAGE).code == 250
    assert len(s.messages('later@example.test')) == 1


# ---- users, domains, aliases ----

def test_users_come_and_go(server):
    server.must('user', 'add', 'New@Example.test', stdin='pw\n')
    assert 'new@example.test' in server.must('user', 'list').split()
    done = server.command('user', 'add', 'new@example.test', stdin='pw\n')
    assert done.returncode and 'is there already' in done.stdout
    assert server.send('new@example.test', MESSAGE).code == 250
    session = server.imap('new@example.test', 'pw')
    server.must('user', 'remove', 'new@example.test')
    assert server.send('new@example.test', MESSAGE).code == 550
    assert b'BYE' in session.rest()  # who was logged in is out
    with server.pop3() as p:
        p.ok('USER new@example.test')
        p.error('PASS pw')
    server.must('user', 'add', 'new@example.test', stdin='pw\n')
    assert server.messages('new@example.test', 'pw') == []
    server.must('user', 'remove', 'new@example.test')


@pytest.mark.parametrize('address', ['nobody', '@example.test', 'a@', 'a@b@example.test', 'a b@example.test', 'u@unknown.test', 'a@exa mple.test', 'x' * 80 + '@example.test', ''])
def test_users_with_bad_names_are_refused(server, address):
    done = server.command('user', 'add', address, stdin='pw\n')
    assert done.returncode not in (0, -6) and done.stdout + done.stderr


def test_user_without_a_password_is_refused(server):
    for stdin in ('', '\n', 'x' * 600 + '\n'):
        assert server.command('user', 'add', 'w@example.test', stdin=stdin).returncode
    assert 'w@example.test' not in server.must('user', 'list')


def test_hashes_of_others_are_imported(server, tmp_path):
    def hashed(password):
        return subprocess.run(['openssl', 'passwd', '-6', password], capture_output=True, text=True, check=True).stdout.strip()
    file = tmp_path / 'passwd'
    file.write_text('# from elsewhere\ni1@example.test:%s\ni2@example.test:{SHA512-CRYPT}%s:1000:1000::/home/x\nbroken\ni3@other.test:x\n' % (
        hashed('one'), hashed('two')))
    done = server.command('user', 'import', str(file))
    assert done.returncode and done.stdout.strip().endswith('2 added, 2 not')
    for name, password in (('i1', 'one'), ('i2', 'two')):
        with server.pop3(name + '@example.test', password) as p:
            p.ok('STAT')
        server.must('user', 'remove', name + '@example.test')


def test_domains_come_and_go(server):
    assert server.send('x@second.test', MESSAGE).startswith('550 5.7.1 ')
    server.must('domain', 'add', 'Second.test')
    assert server.must('domain', 'list').split() == ['example.test', 'second.test']
    assert server.send('x@second.test', MESSAGE).startswith('550 5.1.1 ')
    assert server.send('postmaster@second.test', MESSAGE).code == 250  # RFC 5321 §4.5.1
    server.must('user', 'add', 'x@second.test', stdin='pw\n')
    assert server.send('x@second.test', MESSAGE).code == 250
    done = server.command('domain', 'remove', 'second.test')
    assert done.returncode and 'remove them first' in done.stdout
    server.must('user', 'remove', 'x@second.test')
    server.must('domain', 'remove', 'second.test')
    assert server.send('x@second.test', MESSAGE).startswith('550 5.7.1 ')


def test_aliases_lead_to_all_their_targets_once(server):
    server.must('alias', 'add', 'inner@example.test', 'v@example.test')
    server.must('alias', 'add', 'all@example.test', 'u@example.test', 'inner@example.test', 'v@example.test')
    assert 'all@example.test -> u@example.test inner@example.test v@example.test' in server.must('alias', 'list')
    assert server.command('alias', 'add', 'all@example.test', 'u@example.test').returncode
    server.empty('u@example.test')
    server.empty('v@example.test')
    assert server.send('all+tag@example.test', MESSAGE).code == 250
    assert until(lambda: server.messages('u@example.test') and server.messages('v@example.test'))
    assert until(lambda: server.must('queue', 'list').startswith('0 messages'))
    assert len(server.messages('u@example.test')) == 1 and len(server.messages('v@example.test')) == 1
    server.must('alias', 'remove', 'all@example.test')
    assert server.send('all@example.test', MESSAGE).code == 550
    server.must('alias', 'remove', 'inner@example.test')
    assert server.command('alias', 'remove', 'inner@example.test').returncode == 67


def rcpt(server, *addresses):
    with server.smtp() as s:
        s.command('MAIL FROM:<s@remote.example>')
        return [s.command('RCPT TO:<%s>' % address).code for address in addresses]


def test_a_catch_all_takes_what_nobody_else_has(server):
    server.must('alias', 'add', '@example.test', 'v@example.test')
    assert '@example.test -> v@example.test\n' in server.must('alias', 'list')
    for user in ('u@example.test', 'v@example.test'):
        server.empty(user)
    assert server.send('nobody-has+this@EXAMPLE.test', MESSAGE).code == 250
    assert server.send('u+tag@example.test', MESSAGE).code == 250
    assert len(server.messages('v@example.test')) == len(server.messages('u@example.test')) == 1
    assert server.command('domain', 'remove', 'example.test').returncode == 1
    server.must('alias', 'remove', '@example.test')
    assert rcpt(server, 'nobody-has+this@example.test') == [550]


def test_a_domain_is_an_alias_of_another(server):
    server.must('domain', 'add', 'other.test')
    assert rcpt(server, 'u@other.test') == [550]
    server.must('alias', 'add', '@other.test', '@example.test')
    server.must('alias', 'add', 'only-here@other.test', 'v@example.test')
    for user in ('u@example.test', 'v@example.test'):
        server.empty(user)
    assert rcpt(server, 'u@other.test', 'u+tag@other.test', 'nobody@other.test', 'only-here@other.test') == [250, 250, 550, 250]
    with server.smtp() as s:
        assert s.send_message('s@remote.example', ['u@other.test', 'v@other.test', 'u@example.test', 'only-here@other.test'], MESSAGE).code == 250
    assert until(lambda: len(server.messages('u@example.test')) == len(server.messages('v@example.test')) == 1)
    # two domains that lead to each other lead nowhere
    server.must('alias', 'add', '@example.test', '@other.test')
    assert rcpt(server, 'nobody@other.test', 'u@other.test') == [550, 250]
    server.must('alias', 'remove', '@example.test')
    assert server.command('alias', 'add', 'one@other.test', '@example.test').returncode == 64
    server.must('alias', 'remove', 'only-here@other.test')
    server.must('alias', 'remove', '@other.test')
    server.must('domain', 'remove', 'other.test')


def test_alias_loops_end(server):
    server.must('alias', 'add', 'l1@example.test', 'l2@example.test')
    server.must('alias', 'add', 'l2@example.test', 'l1@example.test')
    reply = server.send('l1@example.test', MESSAGE)
    assert reply.code >= 400
    server.must('alias', 'remove', 'l1@example.test')
    server.must('alias', 'remove', 'l2@example.test')


# ---- queue and trace ----

def submit(server, recipient, message_id):
    with server.smtp('submission') as s:
        assert s.plain('u@example.test', PASSWORD).code == 235
        reply = s.send_message('u@example.test', [recipient], b'From: u@example.test\r\nSubject: queued\r\nMessage-ID: <%s>\r\n\r\nbody\r\n' % message_id.encode())
    assert reply.code == 250, reply
    return reply.split()[-1]


def test_queue_is_listed_shown_retried_and_emptied(server):
    queued = submit(server, 'far@elsewhere.example', 'queue-1@example.test')
    assert until(lambda: 'attempts=1' in server.must('queue', 'list'), 30), server.must('queue', 'list')
    text = server.must('queue', 'list')
    assert queued in text and 'from=<u@example.test>' in text and 'far@elsewhere.example waiting attempts=1 next-in=' in text and '1 message in the queue' in text
    shown = server.must('queue', 'show', queued)
    assert 'Subject: queued' in shown and 'far@elsewhere.example' in shown and 'body' not in shown
    assert server.must('queue', 'retry', queued).startswith('1 to be tried now')
    assert until(lambda: 'attempts=2' in server.must('queue', 'list'), 30)
    assert server.must('queue', 'retry', 'all').startswith('1 ')
    assert until(lambda: 'attempts=3' in server.must('queue', 'list'), 30)
    server.must('queue', 'remove', queued)
    assert server.must('queue', 'list').startswith('0 messages')
    for verb in ('show', 'retry', 'remove'):
        assert server.command('queue', verb, queued).returncode == 1
    # removing makes no bounce
    assert not any(b'queue-1' in m for m in server.messages('u@example.test'))


def test_what_is_held_waits_over_restarts_until_it_is_released(server):
    queued = submit(server, 'far@elsewhere.example', 'held-1@example.test')
    assert until(lambda: 'attempts=1' in server.must('queue', 'list'), 30)
    assert server.must('queue', 'hold', queued) == '1 held\n'
    assert queued in server.must('queue', 'list') and ' held\n' in server.must('queue', 'list')
    server.must('queue', 'retry', 'all')
    server.stop()
    server.start()
    assert ' held\n' in server.must('queue', 'list')
    assert 'it is held' in server.command('queue', 'retry', queued).stdout
    held = server.must('queue', 'list')
    assert not until(lambda: server.must('trace', queued).count(' deferred: ') == 2, 2) and held.count('attempts=1') == 1
    assert server.must('queue', 'release', 'all') == '1 released\n'
    assert until(lambda: server.must('trace', queued).count(' deferred: ') == 2, 30) and ' held' not in server.must('queue', 'list')
    server.must('queue', 'hold', 'all')
    server.must('queue', 'remove', queued)
    assert until(lambda: server.must('queue', 'list').startswith('0 messages'))
    for verb in ('hold', 'release'):
        assert server.command('queue', verb, queued).returncode == 1


def test_trace_follows_a_message_to_the_mailbox(server):
    reply = server.send('u@example.test', MESSAGE, 'trace-sender@remote.example')
    name = reply.split()[-1]
    texts = [server.must('trace', word) for word in (name, 'trace-sender@remote.example', '<trace-1@remote.example>', 'trace-1@remote.example')]
    for text in texts:
        assert name in text and 'from <trace-sender@remote.example> to u@example.test' in text and 'in the mailbox' in text
    assert name in server.must('trace', 'Trace-Sender@Remote.example')
    for other in ('ace-sender@remote.example', 'trace-sender@remote', '1@remote.example', 'example.test'):
        assert server.command('trace', other).returncode == 1, other  # parts of names are not those names
    done = server.command('trace', 'nobody-ever@example.test')
    assert done.returncode == 1 and 'nothing is known' in done.stdout


def test_trace_follows_a_message_to_several_mailboxes_and_to_the_next_hop(server):
    with server.smtp('submission') as s:
        s.plain('u@example.test', PASSWORD)
        reply = s.send_message('u@example.test', ['v@example.test', 'far@elsewhere.example'], b'From: u@example.test\r\nMessage-ID: <both@example.test>\r\n\r\nb\r\n')
        assert reply.code == 250
    name = reply.split()[-1]
    assert until(lambda: 'deferred' in server.must('trace', name), 30)
    text = server.must('trace', name)
    assert 'far@elsewhere.example deferred: ' in text and 'in the mailbox' in text
    server.must('queue', 'remove', name)


def test_control_characters_never_reach_the_terminal_or_the_log(server):
    with server.smtp() as s:
        s.command(b'EHLO x\x1b[31m')
        s.hello()
        reply = s.send_message('"a\\\x1b[2Jb"@remote.example', ['u@example.test'], b'Subject: x\r\nMessage-ID: <\x1b[2Jesc@x>\r\n\r\nb\r\n')
    assert '\x1b' not in server.log()
    if reply.code == 250:
        assert '\x1b' not in server.must('trace', reply.split()[-1])


def test_stop_and_reload_are_commands(make_server):
    s = make_server('stopping')
    s.must('reload')
    assert until(lambda: ' reloaded ' in s.log())
    s.must('stop')
    s.process.wait(12)
    s.process = None
    assert s.command('status').returncode == 69


def test_settings_are_documented(server):
    text = server.must('settings')
    for name in ('hostname', 'message_size_limit', 'retry_first', 'trust_anchor', 'trace_lifetime'):
        assert name in text
