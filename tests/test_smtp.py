"""SMTP and LMTP from strangers, as RFC 5321, 2033, 2034, 2920, 3207, 6531 and docs' attacks A and B want it."""
import contextlib
import re
import socket
import ssl
import warnings

import pytest

import corpus
import talk
from conftest import strip_first_trace

US, MESSAGE = 'u@example.test', b'Subject: s\r\n\r\nbody\r\n'
ENHANCED = re.compile(r'([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3}( |$)')


@pytest.fixture(scope='module')
def server(make_server):
    s = make_server(settings={'message_size_limit': '36M'})
    for name in ('u', 'v', 'josé'):
        s.add_user(name)
    return s


@pytest.fixture
def s(server):
    with server.smtp() as session:
        yield session


@pytest.fixture
def inbox(server):
    server.empty(US)
    return lambda: server.messages(US)


def is_enhanced(reply):
    return all(ENHANCED.match(line) for line in reply.lines)


def test_ehlo_names_what_is_there_and_nothing_else(s):
    assert set(s.keywords) == {'PIPELINING', 'SIZE', 'STARTTLS', 'ENHANCEDSTATUSCODES', '8BITMIME', 'SMTPUTF8', 'DSN', 'CHUNKING', 'BINARYMIME', 'MT-PRIORITY',
                               'LIMITS'}
    assert s.keywords['LIMITS'] == 'RCPTMAX=1000'
    assert s.keywords['SIZE'] == str(36 << 20)


def test_greeting_and_hello_begin_with_the_servers_name(server):
    with server.smtp(hello=False) as s:
        assert s.greeting.split()[1] == 'mx.example.test'
        assert s.command('HELO client.example').split()[1] == 'mx.example.test'
        assert s.hello().lines[0].split()[0] == '250-mx.example.test'


@pytest.mark.parametrize('argument, code', [('', 501), (' ', 501), (' [127.0.0.1]', 250), (' [IPv6:::1]', 250), (' a b', 501), (' client', 250)])
def test_hello_argument_is_checked(server, argument, code):
    with server.smtp(hello=False) as s:
        assert s.command('EHLO' + argument).code == code


ORDER = [
    (['MAIL FROM:<a@b.example>'], 503),
    (['RCPT TO:<u@example.test>'], 503),
    (['DATA'], 503),
    (['STARTTLS'], 503),
    (['EHLO c', 'RCPT TO:<u@example.test>'], 503),
    (['EHLO c', 'DATA'], 503),
    (['EHLO c', 'MAIL FROM:<a@b.example>', 'MAIL FROM:<a@b.example>'], 503),
    (['EHLO c', 'MAIL FROM:<a@b.example>', 'DATA'], 554),
    (['EHLO c', 'MAIL FROM:<a@b.example>', 'RCPT TO:<u@example.test>', 'MAIL FROM:<a@b.example>'], 503),
    (['EHLO c', 'MAIL FROM:<a@b.example>', 'RSET', 'RCPT TO:<u@example.test>'], 503),
    (['EHLO c', 'MAIL FROM:<a@b.example>', 'EHLO c', 'RCPT TO:<u@example.test>'], 503),
    (['EHLO c', 'MAIL FROM:<a@b.example>', 'HELO c', 'RCPT TO:<u@example.test>'], 503),
    (['NOOP'], 250), (['RSET'], 250), (['HELP'], 214), (['VRFY u'], 252), (['QUIT'], 221),
    (['LHLO c'], 500),
]


@pytest.mark.parametrize('lines, code', ORDER, ids=['; '.join(lines) for lines, _ in ORDER])
def test_commands_out_of_order_are_refused(server, lines, code):
    with server.smtp(hello=False) as s:
        for line in lines[:-1]:
            assert s.command(line).code == 250
        reply = s.command(lines[-1])
        assert reply.code == code and is_enhanced(reply)


REPLIES = ['NOOP', 'NOOP with words', 'RSET', 'HELP', 'HELP MAIL', 'VRFY u', 'VRFY nobody@example.test', 'EXPN list', 'ETRN x', 'XCLIENT ADDR=1.2.3.4',
           'PROXY TCP4 1.2.3.4 5.6.7.8 1 2', 'AUTH PLAIN', 'NONSENSE', '', ' ', 'MAIL', 'MAIL FROM', 'MAIL FROM:', 'MAIL FROM:a@b.example',
           'MAIL FROM:<a@b.example', 'MAIL FROM:<a@b.example> WHAT=1', 'MAIL FROM:<a@b.example> SIZE=x', 'MAIL FROM:<a@b.example> SIZE=999999999999',
           'MAIL FROM:<a@b.example> BODY=BINARYMIME', 'MAIL FROM:<a@b.example> SIZE=18446744073709551617', 'MAIL FROM:<@>', 'MAIL FROM:<a@>',
           'MAIL FROM:<josé@example.test>', 'RCPT', 'RCPT TO:<>', 'DATA now', 'DATA', 'BDAT 0 LAST', 'BDAT x', 'BDAT 18446744073709551615', 'TURN', 'SEND FROM:<a@b>', 'QUIT']


@pytest.mark.parametrize('line', REPLIES)
def test_every_reply_has_an_enhanced_status_code(s, line):
    assert is_enhanced(s.command(line))


def test_extensions_of_trusted_peers_are_not_offered(s):
    for line in ('XCLIENT ADDR=1.2.3.4', 'XFORWARD ADDR=1.2.3.4', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2', 'ETRN example.test', 'EXPN staff'):
        assert s.command(line).code in (500, 502)


def test_verbs_are_known_in_any_case_and_blanks_at_the_end_do_not_matter(s):
    assert s.command('mail from:<a@b.example> ').code == 250
    assert s.command('rCpT tO:<u@EXAMPLE.test>').code == 250
    assert s.command('rset').code == 250


# ---- recipients ----

def test_unknown_user_is_refused_at_rcpt(s):
    s.command('MAIL FROM:<a@b.example>')
    assert s.command('RCPT TO:<nobody@example.test>').startswith('550 5.1.1 ')


@pytest.mark.parametrize('recipient', ['u@example.test', 'U@example.test', 'u@EXAMPLE.TEST', '"u"@example.test', 'u+tag@example.test', 'u+@example.test',
                                       'u+a+b@example.test', 'Postmaster@example.test', '@relay.example:u@example.test'])
def test_recipient_in_every_form_is_known(s, recipient):
    s.command('MAIL FROM:<a@b.example>')
    assert s.command('RCPT TO:<%s>' % recipient).code == 250


def test_bare_postmaster_is_accepted(make_server):
    s = make_server()  # setup has made admin the postmaster
    with s.smtp() as session:
        session.command('MAIL FROM:<a@b.example>')
        assert session.command('RCPT TO:<postmaster>').code == 250
        assert session.command('RCPT TO:<PostMaster@example.test>').code == 250


RELAY = ['u@other.example', 'u%other.example@example.test', 'other.example!u@example.test', 'other.example!u', 'u%other.example', 'u@other.example@example.test',
         '"u@other.example"@example.test', '"u%other.example"@example.test', '"u@other.example"', '@example.test:u@other.example',
         '@example.test,@other.example:u@third.example', '@other.example:u@third.example', 'u@[127.0.0.1]', 'u@[192.0.2.1]', 'u@[IPv6:::1]',
         'u@localhost', 'u@other.example.', 'u@example.test.other.example', 'u@xexample.test', 'u@mx.example.test', 'u@sub.example.test',
         '"other.example!u"@example.test', 'u%other.example%third.example@example.test', '@@example.test:u@other.example', '<u@other.example>',
         'u@other.example,v@example.test', 'u@example.test@other.example', '"u@example.test"@other.example', 'u@', '@other.example', 'u@example.test>,<v@other.example',
         '"\\u@other.example"@example.test', 'u @other.example', 'postmaster@other.example', '|cat@example.test', ';id@example.test',
         '`id`@example.test', '$(id)@example.test', '${run{id}}@example.test', '-f@example.test', '../../etc/passwd@example.test']


@pytest.mark.parametrize('sender', ['a@b.example', '', 'u@example.test', 'postmaster@example.test'])
def test_no_stranger_relays_in_any_form(server, sender):
    """Attack 31: an answer of 250 to any of them is an open relay."""
    taken = []
    for recipient in RELAY:
        with server.smtp() as s:
            assert s.command('MAIL FROM:<%s>' % sender).code == 250
            reply = s.command('RCPT TO:<%s>' % recipient)
            if not (reply.code in (550, 553, 501, 555) and is_enhanced(reply)):
                taken.append((recipient, reply))
    assert not taken


@pytest.mark.parametrize('path', ['<;id>', '<|cmd>', '<`x`@d.example>', '<$(x)@d.example>', '<-oQ/tmp@d.example>', '<""@d.example>', '<a@[1.2.3.4]>',
                                  '<%s@d.example>' % ('a' * 65), '<a@%s.example>' % ('b' * 250), '<%s@d.example>' % ('a' * 400)])
def test_strange_senders_do_no_harm(s, path):
    assert s.command('MAIL FROM:' + path).code in (250, 501, 553)
    assert s.command('NOOP').code == 250


def test_recipient_number_1001_is_told_to_come_later(make_server):
    s = make_server('many', start=False)
    s.start()
    s.add_user('u')
    with s.smtp() as session:
        session.command('MAIL FROM:<a@b.example>')
        session.send(b'RCPT TO:<u@example.test>\r\n' * 1500)
        replies = [session.reply() for _ in range(1500)]
        assert all(reply.code == 250 for reply in replies[:1000]) and all(reply.startswith('452 4.5.3 ') for reply in replies[1000:])
        assert session.data(MESSAGE).code == 250
        # but not for ever
        session.command('MAIL FROM:<a@b.example>')
        session.send(b'RCPT TO:<u@example.test>\r\n' * 2500)
        assert session.rest().endswith(b'421 4.7.0 Too many errors, goodbye\r\n')
    assert len(s.messages(US)) == 1


def test_one_recipient_named_often_gets_one_copy(s, server, inbox):
    assert s.send_message('a@b.example', [US, 'u+x@example.test', 'U@example.test', US], MESSAGE).code == 250
    assert len(inbox()) == 1


# ---- limits ----

def test_announced_size_over_the_limit_is_refused_at_mail(s):
    assert s.command('MAIL FROM:<a@b.example> SIZE=%d' % ((36 << 20) + 1)).startswith('552 5.3.4 ')
    assert s.command('MAIL FROM:<a@b.example> SIZE=%d' % (36 << 20)).code == 250


def test_message_over_the_limit_is_refused_after_data(s, inbox):
    assert s.send_message('a@b.example', [US], MESSAGE + b'x' * 998 + b'\r\n' + (b'y' * 998 + b'\r\n') * 38000).startswith('552 5.3.4 ')
    assert s.command('NOOP').code == 250 and inbox() == []


def test_too_much_junk_ends_the_session(s):
    s.send(b'JUNK\r\n' * 50)
    lines = s.rest().splitlines()
    assert [line[:4] for line in lines] == [b'500 '] * 20 + [b'421 ']


def test_thousands_of_idle_commands_end_the_session(s):
    s.send(b'NOOP\r\n' * 1100)
    text = s.rest()
    assert text.count(b'250 ') == 999 and b'421 4.7.0 ' in text  # EHLO is one of the thousand


def test_a_line_that_is_too_long_ends_the_session_with_500(s):
    try:
        s.send(b'NOOP ' + b'x' * 100000)
    except ConnectionError:
        pass
    assert s.rest().startswith(b'500 5.5.2 ')


def test_a_command_line_of_512_octets_is_taken(s):
    assert s.command('NOOP ' + 'x' * (512 - 7)).code == 250


# ---- text before its time ----

def test_nul_in_a_command_is_refused(s):
    for line in (b'NO\0OP', b'MAIL FROM:<a\0@b.example>', b'MAIL FROM:<"a\0"@b.example>', b'\0'):
        assert s.command(line).code in (500, 501, 553)
    assert s.command('NOOP').code == 250


@pytest.mark.parametrize('line', [b'MAIL FROM:<jos\xe9@b.example>', b'MAIL FROM:<jos\xc3\xa9@b.example>', b'MAIL FROM:<\xff\xfe@b.example> SMTPUTF8',
                                  b'MAIL FROM:<a@\xed\xa0\x80.example> SMTPUTF8'])
def test_eight_bit_addresses_need_smtputf8_and_valid_utf8(s, line):
    assert s.command(line).code in (501, 553)


def test_bare_newlines_do_not_end_commands(s):
    s.send(b'NOOP\nNOOP\r\n')
    assert s.reply().code in (250, 500, 501)
    assert s.is_silent()


def test_pipelined_group_gets_its_replies_in_order(s, inbox):
    s.send(b'MAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<u@example.test>\r\nRCPT TO:<x@other.example>\r\nDATA\r\n')
    assert [s.reply().code for _ in range(5)] == [250, 550, 250, 550, 354]
    s.send(MESSAGE + b'.\r\nNOOP\r\nQUIT\r\n')
    assert [s.reply().code for _ in range(3)] == [250, 250, 221]
    assert len(inbox()) == 1


def test_pipelined_group_without_a_valid_recipient_never_becomes_commands(s, inbox):
    """Attack 21. DATA fails, so what follows is commands; nothing of it may be a message."""
    s.send(b'MAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n')
    codes = [s.reply().code for _ in range(8)]
    assert codes[:3] == [250, 550, 554] and codes[-1] == 221 and all(c in (500, 501, 502) for c in codes[3:-1])
    assert inbox() == []


def test_early_talker_is_answered_after_the_greeting_or_cut(server):
    with socket.create_connection(('127.0.0.1', server.ports['smtp'])) as raw:
        raw.sendall(b'EHLO early.example\r\nQUIT\r\n')
        raw.settimeout(10)
        text = b''
        while data := raw.recv(4096):
            text += data
    assert text.startswith((b'220 ', b'554 ', b'503 '))


# ---- DATA ----

SMUGGLING = {'lf.lf': b'\n.\n', 'lf.crlf': b'\n.\r\n', 'crlf.lf': b'\r\n.\n', 'cr.cr': b'\r.\r', 'crlf.cr': b'\r\n.\r', 'cr.crlf': b'\r.\r\n',
             'nul': b'\r\n\0.\r\n', 'nul-after': b'\r\n.\0\r\n', 'cr cr lf': b'\r\r\n.\r\r\n', 'lf cr': b'\n\r.\n\r', 'bare-lf': b'a\nb', 'bare-cr': b'a\rb',
             'nul-in-text': b'a\0b', 'cr-at-end': b'a\r'}


@pytest.mark.parametrize('name', SMUGGLING)
def test_bare_cr_lf_and_nul_are_refused_and_never_make_a_second_message(server, s, inbox, name):
    """Attacks 1 to 8."""
    tail = b'MAIL FROM:<evil@b.example>\r\nRCPT TO:<u@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n'
    s.command('MAIL FROM:<a@b.example>')
    s.command('RCPT TO:<u@example.test>')
    s.command('DATA')
    s.send(b'Subject: first\r\n\r\nbody' + SMUGGLING[name] + tail)
    assert s.reply().startswith('550 5.6.0 ')
    assert s.command('NOOP').code == 250
    assert inbox() == []


@pytest.mark.parametrize('cut', [1, 2, 3, 4, 5])
def test_the_end_of_data_is_found_however_it_is_cut(s, inbox, cut):
    s.command('MAIL FROM:<a@b.example>')
    s.command('RCPT TO:<u@example.test>')
    s.command('DATA')
    whole = b'Subject: cut\r\n\r\nbody\r\n..\r\n\r\n.\r\n'
    for i in range(0, len(whole), cut):
        s.send(whole[i:i + cut])
    assert s.reply().code == 250
    assert strip_first_trace(inbox()[0]) == b'Subject: cut\r\n\r\nbody\r\n.\r\n\r\n'


def test_data_that_ends_with_the_connection_is_not_a_message(server, inbox):
    with server.smtp() as s:
        s.command('MAIL FROM:<a@b.example>')
        s.command('RCPT TO:<u@example.test>')
        s.command('DATA')
        s.send(b'Subject: half\r\n\r\nbody\r\n')
        s.socket.shutdown(socket.SHUT_WR)
        s.rest()
    assert server.send(US, MESSAGE).code == 250
    assert [strip_first_trace(m) for m in inbox()] == [MESSAGE]


def test_a_client_that_has_said_all_and_closed_its_half_gets_every_answer(server, inbox):
    """Each answer here is waited for by the session while the rest, and the end, have long come (RFC 2920)."""
    with server.smtp() as s:
        s.send(b'MAIL FROM:<a@b.example>\r\nRCPT TO:<u@example.test>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\n')
        assert [s.reply().code for _ in range(4)] == [250, 250, 550, 354]
        s.send(MESSAGE + b'.\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@example.test>\r\nRSET\r\nQUIT\r\n')
        s.socket.shutdown(socket.SHUT_WR)
        assert [line[:3] for line in s.rest().splitlines()] == [b'250', b'250', b'250', b'250', b'221']
    assert len(inbox()) == 1


def test_a_client_that_has_said_all_and_closed_its_half_of_tls_gets_every_answer(server, inbox):
    """close_notify comes in one piece with what was said before it, and TCP stays open (RFC 8446 §6.1)."""
    with server.smtp() as s:
        assert s.command('STARTTLS').code == 220
        to_server, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = talk.loose_tls().wrap_bio(from_server, to_server)

        def until_it_wants_no_more(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    s.socket.sendall(to_server.read())
                    piece = s.socket.recv(65536)
                    if not piece:
                        return b''
                    from_server.write(piece)
        until_it_wants_no_more(tls.do_handshake)
        tls.write(b'EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@example.test>\r\nDATA\r\n')
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        got = b''
        while piece := until_it_wants_no_more(lambda: tls.read(65536)):
            got += piece
        assert [line[:4] for line in got.splitlines() if line[3:4] == b' '] == [b'250 ', b'250 ', b'250 ', b'354 ']
    assert not inbox()


@pytest.mark.parametrize('message', corpus.small() + corpus.long_lines(), ids=repr)
def test_what_is_sent_is_what_is_read(server, inbox, message):
    assert server.send(US, message.bytes, 'ana@remote.example', message.options).code == 250
    (got,) = inbox()
    assert strip_first_trace(got) == message.bytes


def test_a_message_of_34_megabytes_is_what_is_read(server, inbox):
    message = corpus.large()
    assert server.send(US, message.bytes).code == 250
    (got,) = inbox()
    assert strip_first_trace(got) == message.bytes


def test_message_without_header_and_without_anything_is_kept(server, inbox):
    for body in (b'', b'\r\n', b'no header here\r\n', b'\r\n\r\n'):
        assert server.send(US, body).code == 250
    assert [strip_first_trace(m) for m in inbox()] == [b'', b'\r\n', b'no header here\r\n', b'\r\n\r\n']


# ---- trace ----

def test_return_path_and_received_are_on_top(server, s, inbox):
    s.hello('helo.example')
    s.send_message('a@b.example', ['u+tag@example.test'], MESSAGE)
    (got,) = inbox()
    assert re.match(rb'Return-Path: <a@b\.example>\r\nReceived: from helo\.example \(\[127\.0\.0\.1\]\)\r\n\tby mx\.example\.test \(carteiro\) with ESMTP '
                    rb'id [0-9a-z]{26}\r\n\tfor <u\+tag@example\.test>; \w{3}, \d\d? \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\nSubject: s\r\n', got), got


def test_received_names_no_recipient_when_there_are_two(server, s, inbox):
    s.send_message('', [US, 'v@example.test'], MESSAGE)
    (got,) = inbox()
    assert got.startswith(b'Return-Path: <>\r\n') and b'for <' not in got


def test_a_return_path_of_the_sender_is_taken_out(server, inbox):
    server.send(US, b'Subject: x\r\nReturn-Path: <forged@x.example>\r\n (folded)\r\nTo: a\r\n\r\nb\r\n')
    (got,) = inbox()
    assert strip_first_trace(got) == b'Subject: x\r\nTo: a\r\n\r\nb\r\n'


def test_received_says_whether_tls_was_used(server, s, inbox):
    s.tls()
    s.send_message('a@b.example', [US], MESSAGE)
    (got,) = inbox()
    assert b' with ESMTPS id ' in got and b'TLSv1.' in got


@pytest.mark.parametrize('hops, code', [(30, 250), (50, 250), (51, 554), (100, 554)])
def test_a_message_that_has_come_round_too_often_is_refused(server, hops, code):
    reply = server.send(US, b'Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n' * hops + MESSAGE)
    assert reply.code == code and is_enhanced(reply)


def test_smtputf8_address_gets_its_mail(server):
    with server.smtp() as s:
        assert s.send_message('ana@remote.example', ['josé+Tag@example.test'], corpus.small()[3].bytes, ' SMTPUTF8').code == 250
        assert s.command('MAIL FROM:<anã@exámple.example> SMTPUTF8 BODY=8BITMIME').code == 250
    (got,) = server.messages('josé@example.test')
    assert strip_first_trace(got) == corpus.small()[3].bytes and b' with UTF8SMTP ' in got


# ---- STARTTLS ----

def test_starttls_forgets_what_was_said_before(server):
    with server.smtp() as s:
        s.command('MAIL FROM:<a@b.example>')
        assert s.command('STARTTLS').code == 220
        s.start_tls()
        assert s.command('RCPT TO:<u@example.test>').code == 503
        s.hello()
        assert s.command('RCPT TO:<u@example.test>').code == 503
        assert 'STARTTLS' not in s.keywords
        assert s.command('STARTTLS').code == 503


def test_starttls_takes_no_argument(s):
    assert s.command('STARTTLS now').code == 501


@pytest.mark.parametrize('protocol', ['smtp', 'submission', 'lmtp'])
def test_commands_smuggled_behind_starttls_are_dropped(server, protocol):
    with server.smtp(protocol) as s:
        s.send(b'STARTTLS\r\nNOOP\r\nMAIL FROM:<evil@b.example>\r\n')
        assert s.reply().code == 220
        try:
            s.start_tls()
            assert s.is_silent(0.3)
            assert s.command('RCPT TO:<u@example.test>').code == 503
        except (ConnectionError, EOFError, OSError):
            pass  # closing is right too


def test_tls_before_1_2_is_refused(server):
    with server.smtp() as s:
        s.command('STARTTLS')
        context = talk.loose_tls()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers('ALL:@SECLEVEL=0')
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(s.socket)


# ---- LMTP ----

def test_lmtp_answers_for_each_recipient(server, inbox):
    with server.smtp('lmtp') as s:
        assert s.command('EHLO c').code == 500 and s.command('HELO c').code == 500
        assert s.command('MAIL FROM:<a@b.example>').code == 250
        assert s.command('RCPT TO:<u@example.test>').code == 250
        assert s.command('RCPT TO:<nobody@example.test>').code == 550
        assert s.command('RCPT TO:<v@example.test>').code == 250
        assert s.data(MESSAGE).code == 250
        assert s.reply().code == 250
        assert s.command('NOOP').code == 250
        assert s.is_silent(0.1)
    log = server.log()
    assert 'reply="550 5.1.1 No such user here"' in log
    assert all(re.search(r' message .* outcome=delivered kind=lmtp .* to=%s@example\.test recipients=1 ' % name, log) for name in 'uv')
    (got,) = inbox()
    assert b' with LMTP ' in got and strip_first_trace(got) == MESSAGE


def test_lmtp_refuses_malformed_messages_for_each_recipient(server, inbox):
    with server.smtp('lmtp') as s:
        s.command('MAIL FROM:<a@b.example>')
        s.command('RCPT TO:<u@example.test>')
        s.command('RCPT TO:<v@example.test>')
        assert s.data(b'Subject: x\r\n\r\na\nb\r\n').code == 550
        assert s.reply().code == 550
        assert s.command('NOOP').code == 250
    assert inbox() == []


def test_lmtp_without_recipients_has_no_data(server):
    with server.smtp('lmtp') as s:
        s.command('MAIL FROM:<a@b.example>')
        assert s.command('DATA').code in (503, 554)


def test_lmtp_does_not_relay(server):
    with server.smtp('lmtp') as s:
        s.command('MAIL FROM:<a@b.example>')
        assert s.command('RCPT TO:<u@other.example>').code == 550


def test_lmtp_answers_once_for_two_names_of_one_account_and_for_one_that_is_gone(server, inbox):
    server.add_user('gone')
    with server.smtp('lmtp') as s:
        assert s.command('MAIL FROM:<s@remote.example>').code == 250
        for name in ('u@example.test', 'gone@example.test', 'u+tag@example.test'):
            assert s.command('RCPT TO:<%s>' % name).code == 250
        server.must('user', 'remove', 'gone@example.test')
        assert [s.data(MESSAGE).code, s.reply().code, s.reply().code] == [250, 550, 250]
    assert len(inbox()) == 1
