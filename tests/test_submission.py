"""Submission by users: RFC 6409, 4954, 4616, 8314."""
import base64
import re

import pytest

from conftest import PASSWORD, strip_first_trace, until

ANA, LEO, ALIAS = 'ana@example.test', 'leo@example.test', 'office@example.test'
MESSAGE = b'From: Ana <ana@example.test>\r\nTo: leo@example.test\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n\r\nbody\r\n'


def b64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


PLAIN = b64('\0%s\0%s' % (ANA, PASSWORD))


@pytest.fixture(scope='module')
def server(make_server):
    s = make_server()
    for address in (ANA, LEO, 'josé@example.test'):
        s.add_user(address)
    s.must('alias', 'add', ALIAS, ANA)
    return s


@pytest.fixture(scope='module')
def strict(make_server):
    s = make_server('strict', settings={'plaintext_login': 'off'})
    s.add_user(ANA)
    return s


@pytest.fixture
def s(server):
    with server.smtp('submission') as session:
        yield session


@pytest.fixture
def ana(s):
    assert s.plain(ANA, PASSWORD).code == 235
    return s


@pytest.fixture
def inbox(server):
    server.empty(LEO)

    def read():
        assert until(lambda: server.messages(LEO))
        return server.messages(LEO)
    return read


# ---- AUTH ----

def test_auth_is_neither_announced_nor_taken_in_the_clear(strict):
    with strict.smtp('submission') as s:
        assert 'AUTH' not in s.keywords and 'STARTTLS' in s.keywords
        assert s.command('AUTH PLAIN ' + PLAIN).startswith('538 5.7.11 ')
        assert s.command('AUTH LOGIN').startswith('538 5.7.11 ')
        assert s.command('MAIL FROM:<ana@example.test>').startswith('530 5.7.0 ')
        s.tls()
        assert s.keywords['AUTH'] == 'SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN' and 'STARTTLS' not in s.keywords
        assert s.command('AUTH PLAIN ' + PLAIN).startswith('235 2.7.0 ')


def test_auth_by_implicit_tls(strict):
    with strict.smtp('submissions') as s:
        assert s.keywords['AUTH'] == 'SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN' and 'STARTTLS' not in s.keywords
        assert s.command('AUTH PLAIN ' + PLAIN).code == 235


def test_imap_and_pop3_take_no_password_in_the_clear_either(strict):
    with strict.pop3() as p:
        assert b'USER' not in p.many('CAPA')
        p.error('USER ana@example.test')
    with strict.imap() as i:
        assert b'LOGINDISABLED' in i.greeting and b'AUTH=PLAIN' not in i.greeting
        assert not i.command('LOGIN ana@example.test "correct horse"').startswith('OK')


def test_plain_with_and_without_an_initial_response(server):
    for lines in (['AUTH PLAIN ' + PLAIN], ['auth plain', PLAIN], ['AUTH PLAIN ' + b64('%s\0%s\0%s' % (ANA, ANA, PASSWORD))]):
        with server.smtp('submission') as s:
            replies = [s.command(line) for line in lines]
            assert all(r == '334 ' for r in replies[:-1]) and replies[-1].startswith('235 2.7.0 ')


def test_login_with_and_without_an_initial_response(server):
    for first in ([], [b64(ANA)]):
        with server.smtp('submission') as s:
            reply = s.command(' '.join(['AUTH LOGIN', *first]))
            if not first:
                assert reply == '334 VXNlcm5hbWU6'
                reply = s.command(b64(ANA))
            assert reply == '334 UGFzc3dvcmQ6'
            assert s.command(b64(PASSWORD)).code == 235


def test_names_are_known_in_any_case_and_as_utf8(server):
    for name in ('ANA@EXAMPLE.TEST', 'josé@example.test'):
        with server.smtp('submission') as s:
            assert s.plain(name, PASSWORD).code == 235


@pytest.mark.parametrize('user, password', [(ANA, 'wrong'), ('nobody@example.test', PASSWORD), (ANA, PASSWORD + ' '), ('an', PASSWORD), (ALIAS, 'x')])
def test_wrong_name_or_password_is_one_and_the_same_535(s, user, password):
    assert s.plain(user, password) == '535 5.7.8 User name or password wrong'
    assert s.plain(ANA, PASSWORD).code == 235


def test_auth_happens_once(ana):
    assert ana.command('AUTH PLAIN ' + PLAIN).code == 503
    assert 'AUTH' not in dict((line[4:].split(' ', 1) + [''])[:2] for line in ana.hello().lines)


def test_auth_is_not_allowed_during_a_message(s):
    assert s.plain(ANA, PASSWORD).code == 235
    s.command('MAIL FROM:<ana@example.test>')
    assert s.command('AUTH PLAIN ' + PLAIN).code == 503


def test_auth_is_forgotten_by_starttls(server):
    with server.smtp('submission') as s:
        assert s.plain(ANA, PASSWORD).code == 235
        reply = s.command('STARTTLS')
        if reply.code == 220:
            s.start_tls()
            s.hello()
            assert s.command('MAIL FROM:<ana@example.test>').code in (250, 530)
        else:
            assert reply.code == 503


def test_auth_is_cancelled_by_a_star(s):
    for line in ('AUTH PLAIN', 'AUTH LOGIN'):
        s.command(line)
        assert s.command('*').startswith('501 5.')
    s.command('AUTH LOGIN')
    s.command(b64(ANA))
    assert s.command('*').code == 501
    assert s.command('AUTH PLAIN ' + PLAIN).code == 235


BAD = {'not base64': '!!!!', 'cut': PLAIN[:-1], 'padding inside': 'AA==AAAA', 'null': '=', 'empty parts': b64('\0\0'), 'no password': b64('\0' + ANA + '\0'),
       'one nul': b64(ANA + '\0x'), 'no nul': b64(ANA), 'three nuls': b64('\0a\0b\0c'), 'other authzid': b64('leo@example.test\0%s\0%s' % (ANA, PASSWORD)),
       'padding only': '====', 'three': 'AAA', 'not utf-8': b64(b'\0\xff\xfe\0x'), 'nul name': b64('\0\0x'), 'long name': b64('\0' + 'a' * 5000 + '\0x')}


@pytest.mark.parametrize('name', BAD)
def test_bad_responses_are_refused_and_others_still_log_in(server, s, name):
    if len(BAD[name]) < 400:  # RFC 4954 section 4: an initial response must leave the command short enough
        assert s.command('AUTH PLAIN ' + BAD[name]).code in (501, 535)
    assert s.command('AUTH PLAIN').code == 334
    assert s.command(BAD[name]).code in (501, 535)
    if name != 'other authzid':  # the password would be part of a name, and those are in the log
        assert s.command('AUTH LOGIN').code == 334
        reply = s.command(BAD[name])
        assert reply.code == 501 or reply.code == 334 and s.command(BAD[name]).code in (501, 535)
    assert s.command('NOOP').code == 250
    with server.smtp('submission') as other:
        assert other.plain(ANA, PASSWORD).code == 235


def test_a_response_of_a_megabyte_is_refused_and_others_still_log_in(server, s):
    try:
        s.command('AUTH PLAIN')
        s.send(b'A' * 1000000 + b'\r\n')
        assert s.rest().startswith((b'500 5.', b'501 5.'))
    except ConnectionError:
        pass
    with server.smtp('submission') as other:
        assert other.plain(ANA, PASSWORD).code == 235


def test_disconnecting_in_the_middle_of_auth_harms_nobody(server):
    for lines in (['AUTH PLAIN'], ['AUTH LOGIN'], ['AUTH LOGIN', b64(ANA)]):
        with server.smtp('submission') as s:
            for line in lines:
                s.command(line)
    # the connection goes while vault is still thinking about it
    with server.smtp('submission') as s:
        s.send(b'AUTH PLAIN ' + PLAIN.encode() + b'\r\n')
    with server.smtp('submission') as s:
        assert s.plain(ANA, PASSWORD).code == 235


@pytest.mark.parametrize('mechanism', ['', 'CRAM-MD5', 'GSSAPI', 'X' * 300])
def test_unknown_mechanisms_are_refused(s, mechanism):
    assert s.command('AUTH ' + mechanism).code in (501, 504)


def test_nothing_is_sent_before_auth(s):
    assert s.command('MAIL FROM:<ana@example.test>').startswith('530 5.7.0 ')
    assert s.command('RCPT TO:<leo@example.test>').code == 503


# ---- who one may be ----

@pytest.mark.parametrize('sender, code', [('ana@example.test', 250), ('ANA@Example.Test', 250), ('ana+tag@example.test', 250), (ALIAS, 250), ('', 250),
                                          (LEO, 553), ('nobody@example.test', 553), ('x@remote.example', 553), ('postmaster@example.test', 553)])
def test_sender_must_be_ones_own(ana, sender, code):
    assert ana.command('MAIL FROM:<%s>' % sender).code == code


FROM = [(b'From: ana@example.test', 250), (b'From: "Leo leo@example.test" <ana@example.test>', 250), (b'From: office@example.test', 250),
        (b'FROM: Ana\r\n <ana@example.test>', 250), (b'From: ana+tag@example.test', 250),
        (b'From: leo@example.test', 550), (b'From: ana@example.test, leo@example.test', 550), (b'From: ana@example.test\r\nFrom: leo@example.test', 550),
        (b'From: "ana@example.test" <leo@example.test>', 550), (b'From: leo@example.test (ana@example.test)', 550), (b'From : leo@example.test', 550),
        (b'From: Group: ana@example.test, leo@example.test;', 550), (b'From:\r\n\tleo@example.test', 550), (b'Subject: no From at all', 550), (b'From: ', 550),
        (b'From: leo@example.test <ana@example.test>', 550), (b'From: ana@example.test <ana@example.test>', 250),
        (b'From: <ana@example.test> <leo@example.test>', 550), (b'From: ana@example.test leo@example.test', 550),
        (b'From: ana@example.test; leo@example.test', 550), (b'From: <ana@example.test> leo@example.test', 550),
        (b'From: ana@example.test\r\nSender: leo@example.test', 550), (b'From: ana@example.test\r\nSender: office@example.test', 250),
        (b'Sender: ana@example.test', 550), (b'From: ana@example.test\r\nResent-From: leo@example.test', 550),
        (b'From: ana@example.test\r\nResent-Sender: <leo@example.test>\r\nResent-From: ana@example.test', 550),
        (b'From: <>', 550), (b'From: nonsense', 550), (b'From: =?utf-8?q?leo=40example=2Etest?= <x@remote.example>', 550)]


@pytest.mark.parametrize('field, code', FROM, ids=[f.decode() for f, _ in FROM])
def test_author_must_be_oneself(ana, field, code):
    reply = ana.send_message(ANA, [LEO], field + b'\r\nSubject: x\r\n\r\nbody\r\n')
    assert reply.code == code and re.match(r'\d\d\d [25]\.\d\.\d ', reply)


# ---- what is done to the message ----

def test_a_complete_message_is_sent_as_it_is(ana, inbox):
    assert ana.send_message(ANA, [LEO], MESSAGE).code == 250
    assert [strip_first_trace(m) for m in inbox()] == [MESSAGE]


def test_date_and_message_id_are_added_where_they_are_missing(ana, inbox):
    bare = b'From: ana@example.test\r\nSubject: x\r\n\r\nbody\r\n'
    assert ana.send_message(ANA, [LEO], bare).code == 250
    (got,) = inbox()
    added = strip_first_trace(got)
    assert re.fullmatch(rb'Date: \w{3}, \d\d? \w{3} \d{4} [\d:]{8} \+0000\r\nMessage-ID: <[0-9a-z]{26}@mx\.example\.test>\r\n' + re.escape(bare), added), added


@pytest.mark.parametrize('bcc', [b'Bcc: secret@example.test\r\n', b'BCC:\r\n', b'Bcc: a@example.test,\r\n b@example.test,\r\n\tc@example.test\r\n', b'bcc : x@example.test\r\n'])
def test_bcc_is_taken_out(ana, inbox, bcc):
    head, body = MESSAGE.split(b'\r\n\r\n', 1)
    head += b'\r\n'
    assert ana.send_message(ANA, [LEO], head + bcc + b'X-After: 1\r\n\r\nBcc: in the body\r\n').code == 250
    assert [strip_first_trace(m) for m in inbox()] == [head + b'X-After: 1\r\n\r\nBcc: in the body\r\n']


def test_received_hides_the_address_of_the_user_and_says_how_it_came(server, ana, inbox):
    assert ana.send_message(ANA, [LEO], MESSAGE).code == 250
    (got,) = inbox()
    assert b' with ESMTPA ' in got and b'127.0.0.1' not in got
    server.empty(LEO)
    with server.smtp('submissions') as s:
        s.plain(ANA, PASSWORD)
        s.send_message(ANA, [LEO], MESSAGE)
    assert b' with ESMTPSA ' in inbox()[0]


# ---- where it may go ----

def test_users_may_send_to_anyone_but_not_to_unknown_users_here(ana):
    ana.command('MAIL FROM:<ana@example.test>')
    assert ana.command('RCPT TO:<someone@remote.example>').code == 250
    assert ana.command('RCPT TO:<nobody@example.test>').startswith('550 5.1.1 ')
    assert ana.command('RCPT TO:<leo@example.test>').code == 250
    ana.command('RSET')


def test_the_port_for_strangers_has_no_auth(server):
    with server.smtp() as s:
        s.tls()
        assert 'AUTH' not in s.keywords
        assert s.plain(ANA, PASSWORD).code in (502, 503)


def test_a_password_that_changed_is_the_only_one_that_works(server):
    server.add_user('eva')
    server.must('user', 'passwd', 'eva@example.test', stdin='another\n')
    with server.smtp('submission') as s:
        assert s.plain('eva@example.test', PASSWORD).code == 535
        assert s.plain('eva@example.test', 'another').code == 235


def test_passwords_never_stand_in_the_log(server):
    assert PASSWORD not in server.log() and PLAIN not in server.log()


def test_a_recipient_who_is_removed_before_the_message_ends_is_told_to_the_sender(server, ana, inbox):
    server.add_user('gone')
    assert ana.command('MAIL FROM:<ana@example.test>').code == 250
    assert ana.command('RCPT TO:<leo@example.test>').code == 250
    assert ana.command('RCPT TO:<gone@example.test>').code == 250
    server.must('user', 'remove', 'gone@example.test')
    assert ana.data(MESSAGE).code == 250
    assert until(lambda: len(server.messages('leo@example.test')) == 1)
    assert until(lambda: any(b'gone@example.test' in m and b'Status: 5.1.1' in m for m in server.messages('ana@example.test')))


def test_if_all_are_removed_before_the_message_ends_it_is_refused(server, ana):
    server.add_user('gone')
    assert ana.command('MAIL FROM:<ana@example.test>').code == 250
    assert ana.command('RCPT TO:<gone@example.test>').code == 250
    server.must('user', 'remove', 'gone@example.test')
    assert ana.data(MESSAGE).code == 550


def test_an_account_sends_to_so_many_an_hour_and_others_go_on(server, inbox):
    server.configure(recipients_per_hour='3')
    server.must('reload')
    try:
        with server.smtp('submission') as s:
            assert s.plain(LEO, PASSWORD).code == 235
            s.command('MAIL FROM:<leo@example.test>')
            codes = [s.command('RCPT TO:<%s>' % ANA).code for _ in range(5)]
            assert codes == [250, 250, 250, 450, 450]
            assert s.data(MESSAGE.replace(b'ana@example.test', b'leo@example.test')).code == 250  # to those that were taken
        with server.smtp('submission') as s:
            assert s.plain(ANA, PASSWORD).code == 235
            s.command('MAIL FROM:<ana@example.test>')
            assert s.command('RCPT TO:<%s>' % LEO).code == 250
        with server.smtp() as s:
            s.command('MAIL FROM:<x@remote.example>')
            assert [s.command('RCPT TO:<%s>' % LEO).code for _ in range(5)] == [250] * 5
        assert server.log().count('sends-too-much') == 1 and 'account=leo@example.test' in server.log()
    finally:
        server.configure(recipients_per_hour='1000')
        server.must('reload')
