"""Messages in chunks: BDAT as RFC 3030 wants it, from strangers, by SMTP and LMTP."""
import pytest

from conftest import strip_first_trace

US, MESSAGE = 'u@example.test', b'Subject: s\r\n\r\nbody\r\n'


@pytest.fixture(scope='module')
def server(make_server):
    s = make_server(settings={'message_size_limit': '36M'})
    for name in ('u', 'v'):
        s.add_user(name)
    return s


@pytest.fixture
def inbox(server):
    server.empty(US)
    return lambda: server.messages(US)


def bdat(s, chunk, last=False):
    s.send(b'BDAT %d%s\r\n' % (len(chunk), b' LAST' if last else b'') + chunk)
    return s.reply()


def begin(s, recipients=(US,)):
    assert s.command('MAIL FROM:<a@b.example>').code == 250
    for recipient in recipients:
        s.command('RCPT TO:<%s>' % recipient)


def test_a_message_comes_in_chunks_in_which_nothing_is_structure(server, inbox):
    message = b'Subject: chunks\r\n\r\n.\r\nMAIL FROM:<x@y.example>\r\n..\r\nQUIT\r\n'
    with server.smtp() as s:
        assert 'CHUNKING' in s.keywords
        for step in (1, 7, 20, 1000):
            begin(s)
            rest = message
            while len(rest) > step:
                assert bdat(s, rest[:step]).code == 250
                rest = rest[step:]
            assert bdat(s, rest, last=True).code == 250
        begin(s)
        assert bdat(s, message).code == 250 and bdat(s, b'', last=True).code == 250
    got = inbox()
    assert len(got) == 5 and all(strip_first_trace(m) == message for m in got)


def test_a_pipelined_group_with_chunks_is_answered_in_order(server, inbox):
    with server.smtp() as s:
        s.send(b'MAIL FROM:<a@b.example>\r\nRCPT TO:<%s>\r\nBDAT 12\r\nSubject: s\r\nBDAT 8 LAST\r\n\r\nbody\r\nNOOP\r\n' % US.encode())
        assert [s.reply().code for _ in range(5)] == [250] * 5
    assert strip_first_trace(inbox()[0]) == b'Subject: s\r\n\r\nbody\r\n'


def test_a_chunk_larger_than_a_window_of_pieces_comes_whole(server, inbox):
    message = b'Subject: large\r\n\r\n' + b'x' * 70 + b'\r\n' + (b'y' * 998 + b'\r\n') * 3000
    with server.smtp() as s:
        begin(s)
        assert bdat(s, message, last=True).code == 250
        begin(s)
        for at in range(0, len(message), 1000):
            s.send(b'BDAT %d%s\r\n' % (len(message[at:at + 1000]), b' LAST' if at + 1000 >= len(message) else b'') + message[at:at + 1000])
        assert {s.reply().code for _ in range(0, len(message), 1000)} == {250}
    assert [strip_first_trace(m) == message for m in inbox()] == [True, True]


@pytest.mark.parametrize('body', [b'Subject: x\r\n\r\na\nb\r\n', b'Subject: x\r\n\r\na\rb\r\n', b'Subject: x\r\n\r\na\0\r\n', b'Subject: x\r\n\r\na\r',
                                  b'\nSubject: x\r\n\r\n'])
def test_chunks_with_a_bare_cr_or_lf_or_nul_are_refused(server, inbox, body):
    for at in range(len(body) + 1):
        with server.smtp() as s:
            begin(s)
            code = bdat(s, body[:at]).code
            if code == 250:
                code = bdat(s, body[at:], last=True).code
            assert code == 550
            assert s.command('NOOP').code == 250
    assert inbox() == []


def test_refused_chunks_are_read_to_their_end(server, inbox):
    trap = b'MAIL FROM:<x@y.example>\r\nRCPT TO:<%s>\r\nDATA\r\n' % US.encode()
    with server.smtp() as s:
        assert bdat(s, trap, last=True).code == 503  # no MAIL
        begin(s, ['nobody@example.test'])
        assert bdat(s, trap).code == 554  # no recipient
        assert bdat(s, trap, last=True).code == 503  # pipelined behind it
        begin(s)
        assert s.command('RSET').code == 250 and bdat(s, trap, last=True).code == 503
    with server.smtp(hello=False) as s:
        assert bdat(s, trap, last=True).code == 503
        s.hello()
        begin(s)
        assert bdat(s, MESSAGE, last=True).code == 250
    assert len(inbox()) == 1


def test_data_and_chunks_do_not_mix_and_rset_forgets_what_came(server, inbox):
    with server.smtp() as s:
        begin(s)
        assert bdat(s, b'Subject: first\r\n').code == 250
        for command in ('DATA', 'MAIL FROM:<a@b.example>', 'RCPT TO:<%s>' % US, 'STARTTLS'):
            assert s.command(command).code == 503
        assert s.command('NOOP').code == 250 and s.command('RSET').code == 250
        begin(s)
        assert s.data(MESSAGE).code == 250
    (got,) = inbox()
    assert strip_first_trace(got) == MESSAGE


@pytest.mark.parametrize('argument', ['', '-1', 'x', '1 FIRST', '99999999999999999999999', '0x10', '1 LAST LAST'])
def test_a_chunk_of_nobody_knows_how_many_octets_ends_the_session(server, argument):
    with server.smtp() as s:
        begin(s)
        assert s.command('BDAT ' + argument).code == 501
        assert s.is_closed()


def test_chunks_beyond_the_limit_are_refused(server, inbox):
    with server.smtp() as s:
        begin(s)
        assert s.command('BDAT 18446744073709551615 LAST').code == 552
        assert s.is_closed()
    with server.smtp() as s:
        most = int(s.keywords['SIZE'])
        begin(s)
        s.send(b'BDAT %d LAST\r\n' % (most + 1))
        for _ in range((most + 1) // (1 << 20)):
            s.send(b'x' * (1 << 20))
        s.send(b'x' * ((most + 1) % (1 << 20)))
        assert s.reply().code == 552 and s.command('NOOP').code == 250
    assert inbox() == []


def test_a_client_that_goes_amid_a_chunk_leaves_nothing(server, inbox):
    for _ in range(20):
        with server.smtp() as s:
            begin(s)
            assert bdat(s, b'Subject: x\r\n\r\n').code == 250
            s.send(b'BDAT 1000000\r\nabc')
    with server.smtp() as s:
        begin(s)
        assert bdat(s, MESSAGE, last=True).code == 250
    assert len(inbox()) == 1


def test_lmtp_answers_for_each_recipient_after_the_last_chunk_only(server, inbox):
    with server.smtp('lmtp') as s:
        begin(s, [US, 'v@example.test'])
        assert bdat(s, MESSAGE).code == 250
        assert bdat(s, b'', last=True).code == 250 and s.reply().code == 250
        begin(s, [US, 'v@example.test'])
        assert bdat(s, b'a\nb', last=True).code == 550 and s.reply().code == 550
        assert s.command('NOOP').code == 250
