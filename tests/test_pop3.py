"""POP3: RFC 1939, 2449, 2595, 3206, 5034, 6856; and that mail programs fetch every message byte for byte (test_pop3_clients.py: the rest)."""
import base64
import email
import email.policy
import os
import re
import shutil
import socket
import subprocess

import pytest

import corpus
from conftest import PASSWORD, strip_first_trace, until

US = 'u@example.test'


@pytest.fixture(scope='module')
def server(make_server):
    s = make_server()
    s.add_user('u')
    s.add_user('empty')
    return s


def body_of(number):
    return b'Subject: number %d\r\n\r\n.dot\r\nline 2\r\n..\r\nline 4\r\n' % number


@pytest.fixture
def three(server):
    """An INBOX with three messages."""
    server.empty(US)
    for number in (1, 2, 3):
        assert server.send(US, body_of(number)).code == 250


@pytest.fixture
def p(server, three):
    with server.pop3(US) as session:
        yield session


# ---- before the login ----

def test_capa_names_what_is_there(server):
    with server.pop3() as p:
        before = set(p.many('CAPA'))
        assert before >= {b'TOP', b'UIDL', b'USER', b'STLS', b'SASL SCRAM-SHA-256 PLAIN', b'RESP-CODES', b'AUTH-RESP-CODE', b'PIPELINING',
                          b'EXPIRE NEVER', b'UTF8 USER', b'LANG', b'IMPLEMENTATION carteiro'}
        p.ok('USER u@example.test')
        p.ok('PASS ' + PASSWORD)
        assert set(p.many('CAPA')) >= before - {b'STLS', b'USER', b'SASL SCRAM-SHA-256 PLAIN'}


def test_commands_are_refused_in_the_wrong_state(server, p):
    with server.pop3() as before:
        for line in ('STAT', 'LIST', 'RETR 1', 'DELE 1', 'NOOP', 'RSET', 'TOP 1 1', 'UIDL', 'NONSENSE', '', ' ', 'PASS x', 'USER', 'APOP a b'):
            before.error(line)
        before.ok('QUIT')
        assert before.rest() == b''
    for line in ('USER u@example.test', 'PASS x', 'AUTH PLAIN', 'STLS', 'APOP a b', 'NONSENSE'):
        p.error(line)


def test_wrong_password_is_refused_with_the_auth_code(server):
    for name in (US, 'nobody@example.test'):
        with server.pop3() as p:
            p.ok('USER ' + name)
            assert p.error('PASS wrong').startswith('-ERR [AUTH] ')
            p.ok('USER u@example.test')
            p.ok('PASS ' + PASSWORD)


def test_auth_plain(server):
    response = base64.b64encode(('\0%s\0%s' % (US, PASSWORD)).encode()).decode()
    for lines in (['AUTH PLAIN ' + response], ['AUTH PLAIN', response], ['auth plain', response]):
        with server.pop3() as p:
            assert p.many('AUTH') == [b'SCRAM-SHA-256', b'PLAIN']
            replies = [p.command(line) for line in lines]
            assert all(r == '+ ' for r in replies[:-1]) and replies[-1].startswith('+OK')
            p.ok('STAT')


@pytest.mark.parametrize('response', ['!', '=', '', '*', 'AAA', base64.b64encode(b'\0\0').decode(), base64.b64encode(b'a').decode(), base64.b64encode(b'\0u\0wrong').decode()])
def test_bad_sasl_responses_are_refused(server, response):
    with server.pop3() as p:
        assert p.command('AUTH PLAIN') == '+ '
        p.error(response)
        p.error('AUTH CRAM-MD5')
        p.ok('USER u@example.test')
        p.ok('PASS ' + PASSWORD)


def test_stls(server):
    with server.pop3() as p:
        p.ok('USER u@example.test')
        p.ok('STLS')
        p.start_tls()
        assert b'STLS' not in p.many('CAPA')
        p.error('STLS')
        p.error('PASS ' + PASSWORD)  # what was said in the clear is forgotten
        p.ok('USER u@example.test')
        p.ok('PASS ' + PASSWORD)


def test_commands_smuggled_behind_stls_are_dropped(server):
    with server.pop3() as p:
        p.send(b'STLS\r\nCAPA\r\nUSER evil\r\n')
        assert p.line().startswith(b'+OK')
        try:
            p.start_tls()
            assert p.is_silent(0.3)
            p.error('PASS x')
        except OSError:
            pass  # closing is right too


def test_implicit_tls(server):
    with server.pop3(US, protocol='pop3s') as p:
        p.ok('STAT')


# ---- the mailbox ----

def test_an_empty_mailbox_is_empty(server):
    with server.pop3('empty@example.test') as p:
        assert p.ok('STAT') == '+OK 0 0' and p.many('LIST') == [] and p.many('UIDL') == []
        for line in ('RETR 1', 'LIST 1', 'UIDL 1', 'DELE 1', 'TOP 1 0'):
            p.error(line)


def test_sizes_are_those_of_what_is_sent(p):
    listed = [line.split() for line in p.many('LIST')]
    sizes = [len(m) for m in p.all_messages()]
    assert [int(number) for number, _ in listed] == [1, 2, 3]
    assert [int(size) for _, size in listed] == sizes
    assert p.ok('STAT') == '+OK 3 %d' % sum(sizes)
    assert p.ok('LIST 2') == '+OK 2 %d' % sizes[1]


def test_messages_come_whole_and_dot_stuffed(p):
    assert [strip_first_trace(m) for m in p.all_messages()] == [body_of(n) for n in (1, 2, 3)]
    p.send(b'RETR 1\r\n')
    raw = b''
    while not raw.endswith(b'\r\n.\r\n'):
        raw += p.socket.recv(4096)
    assert b'\r\n..dot\r\nline 2\r\n...\r\nline 4\r\n.\r\n' in raw


@pytest.mark.parametrize('lines', [0, 1, 2, 3, 4, 5, 4294967295])
def test_top_gives_the_header_and_so_many_lines(p, lines):
    whole = b''.join(line + b'\r\n' for line in p.many('RETR 2'))
    head, body = whole.split(b'\r\n\r\n', 1)
    wanted = head + b'\r\n\r\n' + b''.join(body.splitlines(True)[:lines])
    assert b''.join(line + b'\r\n' for line in p.many('TOP 2 %d' % lines)) == wanted


@pytest.mark.parametrize('line', ['RETR 0', 'RETR 4', 'RETR -1', 'RETR', 'RETR x', 'RETR 1x', 'RETR 4294967296', 'RETR 4294967297', 'RETR 18446744073709551616',
                                  'RETR 18446744073709551617', 'RETR ' + '9' * 100, 'LIST 0', 'LIST 99999999999999999999', 'UIDL 4294967297', 'UIDL -1',
                                  'UIDL 18446744073709551617', 'DELE 4294967297', 'DELE 0', 'DELE', 'TOP 1', 'TOP', 'TOP 1 -1', 'TOP 1 x', 'TOP 4 1',
                                  'TOP 4294967297 1', 'TOP 1 18446744073709551616', 'TOP 18446744073709551617 0', 'TOP 1 1 1'])
def test_numbers_that_name_nothing_are_refused(p, line):
    p.error(line)
    assert p.ok('STAT').startswith('+OK 3 ')


def test_unique_ids_stay_and_are_never_given_twice(server, p):
    first = p.many('UIDL')
    assert len({line.split()[1] for line in first}) == 3
    assert p.ok('UIDL 2').encode() == b'+OK ' + first[1]
    p.ok('QUIT')
    with server.pop3(US) as again:
        assert again.many('UIDL') == first
        again.ok('DELE 3')
        again.ok('QUIT')
    server.send(US, body_of(4))
    with server.pop3(US) as again:
        now = again.many('UIDL')
        assert now[:2] == first[:2] and now[2].split()[1] not in {line.split()[1] for line in first}


@pytest.mark.parametrize('line', ['STAT 1', 'NOOP x', 'RSET 1', 'QUIT 1', 'CAPA x', 'STAT  1', 'LIST 1 2', 'UIDL 1 2', 'DELE 1 2', 'RETR 1 2'])
def test_an_argument_too_much_is_refused(p, line):
    p.error(line)
    assert p.ok('STAT').startswith('+OK 3 ')


def test_every_error_is_survived(server, three):
    """Lines of all kinds, in each state: each is answered with one line, and the session goes on as it was."""
    import random
    chance = random.Random(3)
    words = [b'', b' ', b'USER', b'PASS', b'AUTH', b'STLS', b'UTF8', b'LANG', b'TOP', b'RETR', b'LIST', b'UIDL', b'DELE', b'APOP', b'XTND', b'1', b'-1', b'\0', b'\xff\xfe',
             b'=', b'*', b'PLAIN', b'\t', b'%s%n', b'"', b'{3}', b'\r', 'ã'.encode(), b'x' * 200]
    for state in ('before', 'inside'):
        for _ in range(40):
            with server.pop3(US if state == 'inside' else None) as p:
                for _ in range(12):
                    line = b' '.join(chance.choice(words) for _ in range(chance.randrange(1, 5)))
                    if re.fullmatch(rb'(USER|LANG|UTF8|STLS) .+|(AUTH|STLS|UTF8|LANG|LIST|UIDL) *|(AUTH) PLAIN.*|(LIST|UIDL|RETR|DELE|TOP) +1( +1)?', line.strip()):
                        continue  # those that may be right
                    p.send(line + b'\r\n')
                    assert p.line().startswith(b'-ERR'), line
                assert p.command('NOOP').startswith('+OK' if state == 'inside' else '-ERR')


def test_a_large_mailbox_is_listed_as_the_client_takes_it(server):
    """Lists of hundreds of thousands of bytes, asked for again and again by a client that reads nothing meanwhile."""
    name = server.add_user('large')
    with server.smtp() as s:
        for _ in range(100):
            assert s.send_message('x@remote.example', [name], b'Subject: x\r\n\r\n').code == 250
    with server.imap(name) as i:
        i.ok('SELECT INBOX')
        for _ in range(6):
            i.ok('COPY 1:* INBOX')
    with server.pop3(name) as p:
        assert p.count() == 6400
        p.send(b'UIDL\r\nLIST\r\n' * 20 + b'NOOP\r\n')
        for _ in range(20):
            for width in (2, 2):
                assert p.line() == b'+OK'
                for number in range(1, 6401):
                    words = p.line().split()
                    assert int(words[0]) == number and len(words) == width
                assert p.line() == b'.'
        assert p.line() == b'+OK'
        # very scattered deletions, all at once
        p.send(b''.join(b'DELE %d\r\n' % n for n in range(1, 6401, 2)))
        for _ in range(3200):
            assert p.line() == b'+OK'
        p.ok('QUIT')
    with server.pop3(name) as p:
        assert p.count() == 3200


# ---- languages and UTF-8: RFC 6856 ----

def test_lang_lists_and_chooses(server, p):
    assert p.many('LANG') == [b'en English', 'pt Português'.encode()]
    assert p.ok('LANG pt-BR') == '+OK pt O idioma é o português'
    assert p.error('RETR 9') == '-ERR Não há essa mensagem'
    assert p.error('LANG uga') == '-ERR Esse idioma não é falado aqui'
    assert p.ok('LANG *').startswith('+OK en ') and p.error('RETR 9') == '-ERR There is no such message'
    assert p.error('LANG MUL') == '-ERR That language is not spoken here'
    with server.pop3() as before:
        assert before.ok('LANG PT').startswith('+OK pt ')
        before.ok('USER nobody@example.test')
        assert before.error('PASS x') == '-ERR [AUTH] Nome de usuário ou senha incorretos'
        before.ok('STLS')
        before.start_tls()
        assert before.error('STAT') == '-ERR Not now'  # what was said in the clear is forgotten


def test_utf8_is_for_before_the_login_and_stls_for_before_utf8(server, p):
    p.error('UTF8')
    with server.pop3() as before:
        before.error('UTF8 x')
        before.ok('UTF8')
        assert b'STLS' not in before.many('CAPA')
        before.error('STLS')
        before.ok('USER ' + US)
        before.ok('PASS ' + PASSWORD)


def test_names_and_passwords_may_be_utf8_and_nothing_else(server):
    server.add_user('josé', 'pão de queijo')
    with server.pop3('josé@example.test', 'pão de queijo') as p:
        p.ok('STAT')
    with server.pop3() as p:
        assert p.error(b'USER jos\xe9').startswith('-ERR [AUTH] ')
        p.ok('USER josé')
        assert p.error(b'PASS p\xe3o').startswith('-ERR [AUTH] ')


INTERNATIONAL = ('From: José <jose@exämple.org>\r\nTo: 世界@example.org, Ana <ana@example.org>\r\nSubject: Olá\r\nX-Long: %s\r\n'
                 'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncorpo: ação\r\nfim\r\n' % ('ç' * 40000)).encode()


def test_an_international_header_is_sent_as_it_is_or_as_a_surrogate(server):
    server.empty(US)
    assert server.send(US, INTERNATIONAL, options=' BODY=8BITMIME SMTPUTF8').code == 250
    with server.pop3(US, utf8=True) as p:
        whole = p.message(1)
        assert strip_first_trace(whole) == INTERNATIONAL and p.ok('LIST 1') == '+OK 1 %d' % len(whole)
        top = p.many('TOP 1 1')
        assert b'\r\n'.join(top) + b'\r\n' == whole[:whole.index(b'fim')]
    with server.pop3(US) as p:
        surrogate = p.message(1)
        head, body = surrogate.split(b'\r\n\r\n', 1)
        assert head.isascii() and body == INTERNATIONAL.split(b'\r\n\r\n', 1)[1]
        message = email.message_from_bytes(surrogate, policy=email.policy.default)
        assert message['Subject'] == 'Olá' and message['X-Long'] == 'ç' * 40000
        assert [(a.display_name, a.addr_spec) for a in message['From'].addresses] == [('José', 'jose@xn--exmple-cua.org')]
        assert [(g.display_name, [a.addr_spec for a in g.addresses]) for g in message['To'].groups] == [('<世界@example.org>', []), (None, ['ana@example.org'])]
        top = p.many('TOP 1 1')
        assert b'\r\n'.join(top) + b'\r\n' == surrogate[:surrogate.index(b'fim')]


def test_a_header_without_an_end_that_cannot_be_a_surrogate_is_refused_with_its_code(server):
    server.empty(US)
    for field in ('ã', 'a'):
        assert server.send(US, ('X: %s\r\n' % (field * 900)).encode() * 400, options=' BODY=8BITMIME SMTPUTF8').code == 250
    with server.pop3(US) as p:
        assert p.error('RETR 1').startswith('-ERR [UTF8] ') and p.error('TOP 1 0').startswith('-ERR [UTF8] ')
        assert len(p.message(2)) > 300000
    with server.pop3(US, utf8=True) as p:
        assert len(p.message(1)) > 600000
    server.empty(US)


# ---- examples of the RFCs ----

def test_the_example_of_rfc_1939(server, p):
    """Section 10, but for APOP."""
    sizes = [len(m) for m in p.all_messages()]
    with server.pop3(US) as p:
        assert p.ok('STAT') == '+OK 3 %d' % sum(sizes)
        assert p.many('LIST') == [b'%d %d' % pair for pair in enumerate(sizes, 1)]
        p.message(1)
        p.ok('DELE 1')
        p.message(2)
        p.ok('DELE 2')
        p.ok('QUIT')
        assert p.rest() == b''
    assert len(server.messages(US)) == 1


def test_the_examples_of_rfc_5034(server):
    """Section 6, with a name and a password of ours; and "=" for an empty response, and "*"."""
    response = base64.b64encode(('%s\0%s\0%s' % (US, US, PASSWORD)).encode()).decode()
    with server.pop3() as p:
        assert p.command('AUTH PLAIN') == '+ '
        assert p.command(response).startswith('+OK')
    with server.pop3() as p:
        assert p.command('AUTH PLAIN') == '+ ' and p.command('*').startswith('-ERR')
        assert p.command('AUTH PLAIN =').startswith('-ERR')
        assert p.command('AUTH PLAIN ' + response).startswith('+OK')
        p.error('AUTH PLAIN ' + response)


# ---- deletion ----

def test_what_imap_expunges_is_gone_and_never_another_message(server, p):
    with server.imap(US) as i:
        i.ok('SELECT INBOX')
        i.ok('STORE 2 +FLAGS.SILENT (\\Deleted)')
        i.ok('EXPUNGE')
    assert server.send(US, body_of(4)).code == 250
    assert p.error('RETR 2') == '-ERR There is no such message any more' and p.error('TOP 2 0').startswith('-ERR')
    assert strip_first_trace(p.message(1)) == body_of(1) and strip_first_trace(p.message(3)) == body_of(3)
    p.ok('DELE 2')
    p.ok('DELE 3')
    p.ok('QUIT')
    assert [strip_first_trace(m) for m in server.messages(US)] == [body_of(1), body_of(4)]


def test_unique_ids_stay_over_a_restart(make_server):
    s = make_server('restart', users=['u'])
    assert all(s.send(US, body_of(n)).code == 250 for n in (1, 2))
    with s.pop3(US) as p:
        before = p.many('UIDL')
        p.ok('DELE 1')  # and no QUIT
        s.kill_all()
    s.start()
    with s.pop3(US) as p:
        assert p.many('UIDL') == before and all(len(line) <= 72 for line in before)


def test_a_quit_whose_store_dies_says_so_or_has_deleted(server, p):
    p.ok('DELE 1')
    server.kill_role('store')
    answer = p.rest()
    server.wait_all_running()
    assert answer.startswith(b'-ERR [SYS/TEMP] ') and until(lambda: len(server.messages(US)) == 3)


def test_deleted_messages_are_hidden_and_come_back_with_rset(p):
    before = p.ok('STAT')
    p.ok('DELE 2')
    for line in ('RETR 2', 'LIST 2', 'UIDL 2', 'TOP 2 0', 'DELE 2'):
        p.error(line)
    assert [line.split()[0] for line in p.many('LIST')] == [b'1', b'3'] and [line.split()[0] for line in p.many('UIDL')] == [b'1', b'3']
    assert p.ok('STAT').startswith('+OK 2 ')
    p.ok('RSET')
    assert p.ok('STAT') == before
    assert strip_first_trace(p.message(2)) == body_of(2)


def test_deletion_happens_at_quit(server, p):
    p.ok('DELE 1')
    p.ok('DELE 3')
    p.ok('QUIT')
    assert p.rest() == b''
    assert [strip_first_trace(m) for m in server.messages(US)] == [body_of(2)]


def test_nothing_is_deleted_without_quit(server, p):
    p.ok('DELE 1')
    p.socket.shutdown(socket.SHUT_RDWR)
    p.close()
    assert len(server.messages(US)) == 3


def test_two_sessions_at_once_do_not_harm_each_other(server, p):
    """The list of a session does not change; what another has deleted is said to be gone."""
    with server.pop3(US) as other:
        p.ok('DELE 1')
        assert strip_first_trace(other.message(1)) == body_of(1)
        p.ok('QUIT')
        assert other.ok('STAT').startswith('+OK 3 ')
        other.error('RETR 1')
        assert strip_first_trace(other.message(2)) == body_of(2)
        other.ok('DELE 1')
        other.ok('DELE 2')
        other.ok('QUIT')
    assert [strip_first_trace(m) for m in server.messages(US)] == [body_of(3)]


def test_new_mail_is_not_seen_before_the_next_login(server, p):
    server.send(US, body_of(4))
    assert p.ok('STAT').startswith('+OK 3 ')
    p.ok('QUIT')
    assert len(server.messages(US)) == 4


def test_pipelined_commands_are_answered_in_order(p):
    p.send(b'STAT\r\nUIDL 1\r\nNOOP\r\nRETR 9\r\nDELE 1\r\nRSET\r\nQUIT\r\n')
    assert [p.line()[:4] for _ in range(7)] == [b'+OK ', b'+OK ', b'+OK', b'-ERR', b'+OK', b'+OK', b'+OK ']


def test_a_line_that_is_too_long_ends_the_session(server):
    with server.pop3() as p:
        try:
            p.send(b'USER ' + b'x' * 1000000)
        except ConnectionError:
            pass
        assert p.rest().startswith(b'-ERR')


def test_junk_ends_the_session(server):
    with server.pop3() as p:
        p.send(b'JUNK\r\n' * 200)
        text = p.rest()
        assert text.count(b'-ERR') < 100


# ---- programs ----

@pytest.fixture(scope='module')
def mailbox(server):
    """The corpus in a mailbox, and what must come out, without what the server put in front."""
    server.add_user('corpus')
    messages = corpus.everything()
    for message in messages:
        assert server.send('corpus@example.test', message.bytes, 'ana@remote.example', message.options).code == 250
    return messages


def read_maildir(folder):
    """Maildirs have lines that end with LF."""
    found = []
    for part in ('new', 'cur'):
        where = os.path.join(folder, part)
        for name in os.listdir(where):
            with open(os.path.join(where, name), 'rb') as f:
                found.append(f.read())
    return found


def as_ascii(message):
    """The message as it is for a client that does not say UTF8."""
    head, blank, body = message.partition(b'\r\n\r\n')
    return b'\r\n'.join(line if line.isascii() else b'%s: %s' % (line.split(b': ')[0], encoded(line.split(b': ')[1])) for line in head.split(b'\r\n')) + blank + body


def encoded(text):
    return b'=?utf-8?B?%s?=' % base64.b64encode(text)


def compare(found, messages, cut):
    """Each of the messages is there once, byte for byte from its first own field on."""
    wanted = sorted(as_ascii(m.bytes).replace(b'\r\n', b'\n') for m in messages)
    got = sorted(cut(text) for text in found)
    different = [pair for pair in zip(wanted, got) if pair[0] != pair[1]]
    assert len(got) == len(wanted) and not different, [(w[:300], g[:300]) for w, g in different]


def from_its_own_header(text):
    return text[text.index(corpus.FRONT.replace(b'\r\n', b'\n')):]


def test_mpop_fetches_the_corpus_byte_for_byte(server, mailbox, tmp_path):
    for part in ('new', 'cur', 'tmp'):
        (tmp_path / 'mail' / part).mkdir(parents=True)
    (tmp_path / 'mpoprc').write_text('''account a
host 127.0.0.1
port %d
user corpus@example.test
passwordeval "echo '%s'"
auth plain
tls on
tls_starttls on
tls_certcheck off
keep on
received_header off
uidls_file %s/uidls
delivery maildir %s/mail
''' % (server.ports['pop3'], PASSWORD, tmp_path, tmp_path))
    (tmp_path / 'mpoprc').chmod(0o600)
    done = subprocess.run(['mpop', '-C', str(tmp_path / 'mpoprc'), 'a'], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    compare(read_maildir(tmp_path / 'mail'), mailbox, from_its_own_header)
    # and nothing twice
    done = subprocess.run(['mpop', '-C', str(tmp_path / 'mpoprc'), 'a'], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and len(read_maildir(tmp_path / 'mail')) == len(mailbox)


def test_getmail_fetches_the_corpus_byte_for_byte(server, mailbox):
    # getmail does not deliver as root; the folder must be one that another user reaches
    where = server.folder / 'getmail'
    for part in ('new', 'cur', 'tmp'):
        (where / 'mail' / part).mkdir(parents=True)
    as_user = ''
    if os.geteuid() == 0:
        as_user = 'user = carteiro\n'
        for path in [where / 'mail', *(where / 'mail').iterdir()]:
            shutil.chown(path, 'carteiro')
    (where / 'getmailrc').write_text('''[retriever]
type = SimplePOP3SSLRetriever
server = 127.0.0.1
port = %d
username = corpus@example.test
password = %s
[destination]
type = Maildir
path = %s/mail/
%s[options]
delete = false
read_all = true
received = false
delivered_to = false
''' % (server.ports['pop3s'], PASSWORD, where, as_user))
    done = subprocess.run(['getmail', '--getmaildir', str(where), '--rcfile', 'getmailrc'], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, HOME=str(where)))
    found = read_maildir(where / 'mail')
    assert len(found) == len(mailbox), done.stdout + done.stderr
    # getmail writes some anew: a header without a body gets its blank line, an empty field loses its blank, an open part is closed
    anew = [m for m in mailbox if m.name in ('headers-only', 'blanks', 'broken-mime')]
    found = [text for text in found if not any(b'<%s@' % m.name.encode() in text for m in anew)]
    compare(found, [m for m in mailbox if m not in anew], from_its_own_header)


def test_curl_fetches_a_message_byte_for_byte(server, mailbox, tmp_path):
    number = next(i for i, m in enumerate(mailbox) if m.name == 'dots') + 1
    done = subprocess.run(['curl', '-sS', '--insecure', '--ssl-reqd', '-u', 'corpus@example.test:' + PASSWORD,
                           'pop3://127.0.0.1:%d/%d' % (server.ports['pop3'], number)], capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert strip_first_trace(done.stdout) == mailbox[number - 1].bytes


def test_logins_are_counted_out_when_they_end(server):
    assert until(lambda: ' sessions=0 ' in server.status())
