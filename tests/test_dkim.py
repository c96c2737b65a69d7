"""Signatures of what users send: keys made and changed by command, and checked by others: dkimpy, opendkim, and a carteiro elsewhere."""
import contextlib
import email
import os
import re
import signal
import subprocess

import dkim
import pytest

import network
from conftest import PASSWORD, until

DNS, A, B = '10.99.0.2', '10.99.0.10', '10.99.0.20'
ZONE = network.ZONE_START + '''\
b MX 10 mx.b
mx.b A 10.99.0.20
_dmarc.a TXT "v=DMARC1; p=reject"
'''
MESSAGE = (b'From: Ana <ana@a.test>\r\nTo: Bea <bea@b.test>\r\nSubject: =?utf-8?q?ol=C3=A1?=\r\nBcc: secret@b.test\r\n'
           b'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
           b'Ol\xc3\xa1,  two  spaces \t\r\n\r\n.a dot\r\n\r\n\r\n')


def dkim_records(text):
    """{name: value} of the records in a zone fragment."""
    found = {}
    for name, value in re.findall(r'(?m)^(\S+\._domainkey\.\S+)\. 3600 IN TXT (.*)$', text):
        found[name] = ''.join(re.findall(r'"([^"]*)"', value))
    return found


def verified(message, records):
    """Which signatures dkimpy finds good: (selector, algorithm)."""
    good = []
    checker = dkim.DKIM(message, minkey=1024)
    for index, value in enumerate(email.message_from_bytes(message).get_all('DKIM-Signature', [])):
        tags = dict(re.findall(r'(\w+)=([^;]*)', re.sub(r'\s+', '', value)))
        with contextlib.suppress(dkim.DKIMException):
            if checker.verify(index, dnsfunc=lambda name, timeout=5: records.get(name.decode().rstrip('.'), '').encode()):
                good.append((tags['s'], tags['a']))
    return good


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [DNS], 'a': [A], 'b': [B]}, DNS)
    try:
        yield n
    finally:
        n.close()


@pytest.fixture(scope='module')
def hosts(make_server, net, folder):
    """The signing server and the one that it sends to; the first one's records, as setup has printed them, are in the DNS."""
    place = folder / 'dkim'
    place.mkdir()
    os.chmod(place, 0o755)
    a = make_server('a', domain='a.test', hostname='mx.a.test', netns=net.name('a'), start=False, users=['ana'])
    b = make_server('b', domain='b.test', hostname='mx.b.test', netns=net.name('b'), start=False, users=['bea'])
    fragment = '\n'.join(line for line in a.setup_output.splitlines() if '_domainkey' in line).replace(' 3600 IN TXT', ' 1 IN TXT')
    names = network.Names(net, 'dns', DNS, place / 'dns', ZONE + fragment + '\n')
    names.start()
    for s in (a, b):
        s.configure(resolver=DNS, trust_anchor=str(names.anchor), retry_first='1s')
        s.start()
    return a, b


@pytest.fixture
def a(hosts):
    return hosts[0]


@pytest.fixture
def b(hosts):
    hosts[1].empty('bea@b.test')
    return hosts[1]


def submit(a, message=MESSAGE, recipient='bea@b.test'):
    with a.smtp('submission') as s:
        assert s.plain('ana@a.test', PASSWORD).code == 235
        assert s.send_message('ana@a.test', [recipient], message, ' BODY=8BITMIME').code == 250


def arrived(b):
    assert until(lambda: len(b.messages('bea@b.test')) == 1, 20)
    return b.messages('bea@b.test')[0]


def test_setup_makes_keys_and_prints_their_records(a):
    records = dkim_records(a.setup_output)
    assert sorted(r.split(';')[1].strip() for r in records.values()) == ['k=ed25519', 'k=rsa']
    assert dkim_records(a.must('dkim', 'records')) == dkim_records(a.must('dkim', 'records', 'a.test')) == records
    assert oct((a.data / 'keys/dkim').stat().st_mode)[-3:] == '600'
    assert [line.split()[2:] for line in a.must('dkim', 'list').splitlines()] == [['rsa', 'active'], ['ed25519', 'active']]


def test_mail_is_signed_with_both_keys_and_found_good_elsewhere(a, b):
    submit(a)
    got = arrived(b)
    assert {algorithm for _, algorithm in verified(got, dkim_records(a.setup_output))} == {'rsa-sha256', 'ed25519-sha256'}
    text = re.sub(rb'\s+', b' ', re.search(rb'(?m)^Authentication-Results: mx\.b\.test;(?:.*\r\n)(?:[ \t].*\r\n)*', got)[0])
    assert text.count(b'dkim=pass') == 2 and b'dmarc=pass header.from=a.test' in text, text
    assert b'secret@b.test' not in got and b'\r\nDate: ' in got and b'\r\nMessage-ID: ' in got


def test_a_bounce_that_leaves_is_signed(a, b):
    a.must('alias', 'add', 'forward@a.test', 'nobody@b.test')
    with b.smtp('submission') as s:
        assert s.plain('bea@b.test', PASSWORD).code == 235
        assert s.send_message('bea@b.test', ['forward@a.test'], b'From: bea@b.test\r\nSubject: to nobody\r\n\r\nbody\r\n').code == 250
    got = arrived(b)
    assert b'\r\nContent-Type: multipart/report; report-type=delivery-status;' in got and b'nobody@b.test' in got
    assert {algorithm for _, algorithm in verified(got, dkim_records(a.setup_output))} == {'rsa-sha256', 'ed25519-sha256'}
    assert until(lambda: a.must('queue', 'list').startswith('0 messages'))


def test_mail_does_not_leave_unsigned_while_the_keys_are_away(a, b):
    with a.smtp('submission') as s:
        assert s.plain('ana@a.test', PASSWORD).code == 235
        assert s.command('MAIL FROM:<ana@a.test> BODY=8BITMIME').code == 250 and s.command('RCPT TO:<bea@b.test>').code == 250
        assert s.command('DATA').code == 354
        s.send(MESSAGE)
        (pid,) = [pid for role, pid in a.pids() if role == 'vault']
        os.kill(pid, signal.SIGSTOP)
        s.send('.\r\n')
        assert s.is_silent()
        a.killed.add(pid)
        os.kill(pid, signal.SIGKILL)
        assert s.reply().startswith('451 4.3.0 Cannot be signed now')
        assert until(lambda: s.send_message('ana@a.test', ['bea@b.test'], MESSAGE, ' BODY=8BITMIME').code == 250)
    assert len(verified(arrived(b), dkim_records(a.setup_output))) == 2


def test_opendkim_finds_it_good_too(a, b, net):
    submit(a)
    got = arrived(b)
    signed = got[got.index(b'DKIM-Signature: v=1; a=rsa'):]
    # opendkim of Debian knows no Ed25519: it is given the other signature
    signed = re.sub(rb'DKIM-Signature: v=1; a=ed25519-sha256;.*\r\n(?:[ \t].*\r\n)*', b'', signed)
    done = subprocess.run(['ip', 'netns', 'exec', net.name('b'), 'opendkim-testmsg'], input=signed, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('change', [lambda m: m.replace(b'two  spaces', b'two  places'), lambda m: m.replace(b'Subject: ', b'Subject: x'),
                                    lambda m: m.replace(b'\r\nSubject:', b'\r\nSubject: again\r\nSubject:'),
                                    lambda m: m.replace(b'\r\nTo: ', b'\r\nReply-To: x@y.test\r\nTo: ')],
                         ids=['body', 'subject', 'second subject', 'reply-to'])
def test_no_signature_holds_once_the_message_is_another(a, b, change):
    submit(a)
    got, records = arrived(b), dkim_records(a.setup_output)
    assert len(verified(got, records)) == 2 and change(got) != got and verified(change(got), records) == []


def test_large_mail_and_mail_without_a_body_are_signed(a, b):
    records = dkim_records(a.setup_output)
    for message in (MESSAGE + b'a line of a large message\r\n' * 20000, b'From: ana@a.test\r\nSubject: no body\r\n\r\n', b'From: ana@a.test\r\n'):
        b.empty('bea@b.test')
        submit(a, message)
        assert len(verified(arrived(b), records)) == 2


def test_mail_of_a_stranger_is_not_signed(a, b, net):
    with network.inside(net.name('b')):
        with a.smtp() as s:
            assert s.send_message('x@remote.example', ['ana@a.test'], MESSAGE).code == 250
    assert b'DKIM-Signature' not in a.messages('ana@a.test')[-1]


def test_keys_are_changed_in_two_steps(a, b):
    old = dkim_records(a.must('dkim', 'records'))
    new = {name: value for name, value in dkim_records(a.must('dkim', 'new', 'a.test')).items() if name not in old}
    assert len(new) == 2
    submit(a)
    assert len(verified(arrived(b), old)) == 2  # the new ones do not sign yet
    done = a.command('dkim', 'activate', 'a.test')
    assert done.returncode == 69 and 'it is not there' in done.stderr  # their records are not published
    assert dkim_records(a.must('dkim', 'records')) == {**old, **new}
    a.must('dkim', 'activate', 'a.test', '--force')
    b.empty('bea@b.test')
    submit(a, recipient='ana@a.test')
    assert until(lambda: len(verified(a.messages('ana@a.test')[-1], new)) == 2)
    assert dkim_records(a.must('dkim', 'records')) == new


def test_a_domain_gets_keys_when_it_is_added_and_loses_them_by_command(a):
    records = dkim_records(a.must('domain', 'add', 'more.test'))
    assert len(records) == 2 and all(name.endswith('._domainkey.more.test') for name in records)
    a.must('alias', 'add', 'ana@more.test', 'ana@a.test')
    submit(a, MESSAGE.replace(b'ana@a.test', b'ana@more.test'), 'ana@a.test')
    assert until(lambda: len(verified(a.messages('ana@a.test')[-1], records)) == 2)
    a.must('dkim', 'remove', 'more.test')
    submit(a, MESSAGE.replace(b'ana@a.test', b'ana@more.test'), 'ana@a.test')
    assert until(lambda: b'ana@more.test' in a.messages('ana@a.test')[-1] and b'DKIM-Signature' not in a.messages('ana@a.test')[-1])


def test_a_file_of_keys_that_cannot_be_read_changes_nothing(a):
    path = a.data / 'keys/dkim'
    good = path.read_text()
    try:
        path.write_text('nonsense\n')
        a.must('reload')
        assert until(lambda: 'dkim-kept-as-it-was' in a.log())
        assert a.command('dkim', 'list').returncode == 65
        submit(a, recipient='ana@a.test')
        assert b'DKIM-Signature' in a.messages('ana@a.test')[-1]
    finally:
        path.write_text(good)
        a.must('reload')
