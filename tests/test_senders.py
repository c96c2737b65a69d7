"""Who really sent a stranger's message: SPF, DKIM and DMARC, and what follows from them. Signatures are made by dkimpy."""
import base64
import os
import re
import subprocess

import dkim
import pytest

import network
import talk
from conftest import strip_trace, until
from milters import CONTINUE, Raw, change

DNS, SERVER, FRIEND, OTHER = '10.99.0.2', '10.99.0.10', '10.99.0.20', '10.99.0.30'
ZONE = network.ZONE_START + '''\
mail.friend A 10.99.0.20
friend TXT "v=spf1 ip4:10.99.0.20 -all"
_dmarc.friend TXT "v=DMARC1; p=reject; sp=quarantine"
sel._domainkey.friend TXT %s
ed._domainkey.friend TXT %s
news.friend TXT "v=spf1 ip4:10.99.0.20 -all"
calm TXT "v=spf1 ip4:10.99.0.20 ~all"
_dmarc.calm TXT "v=DMARC1; p=none"
sick TXT "v=spf1 ip4:10.99.0.20 -all"
_dmarc.sick TXT "v=DMARC1; p=reject"
lost._domainkey.friend TXT "v=DKIM1; p="
plain A 10.99.0.20
30.0.99.10.bad A 127.0.0.2
30.0.99.10.worse A 127.0.0.10
20.0.99.10.good A 127.0.0.2
20.0.99.10.bad A 127.255.255.254
'''
MESSAGE = b'From: Ana <ana@friend.test>\r\nTo: u@a.test\r\nSubject: who sent it\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@friend.test>\r\n\r\nHello,\r\n\r\n.dots and \xe2\x82\xac\r\n\r\n'


def openssl(*words, stdin=b''):
    return subprocess.run(['openssl', *words], input=stdin, capture_output=True, check=True).stdout


def strings(text):
    return ' '.join('"%s"' % text[i:i + 200] for i in range(0, len(text), 200))


@pytest.fixture(scope='module')
def rsa():
    return openssl('genrsa', '-traditional', '2048')


@pytest.fixture(scope='module')
def ed25519():
    """The secret in base64, as dkimpy wants it, and the public key."""
    key = openssl('genpkey', '-algorithm', 'ed25519', '-outform', 'DER')
    public = openssl('pkey', '-inform', 'DER', '-pubout', '-outform', 'DER', stdin=key)
    return base64.b64encode(key[-32:]), base64.b64encode(public[-32:]).decode()


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [DNS], 'a': [SERVER], 'friend': [FRIEND], 'other': [OTHER]}, DNS)
    try:
        yield n
    finally:
        n.close()


def spoil(signed):
    """What cannot be looked up: other texts than those that were signed."""
    for text in ('"v=spf1 ip4:10.99.0.20 -all"', '"v=DKIM1; p="'):
        name = 'sick' if 'spf1' in text else 'lost._domainkey.friend'
        signed, count = re.subn(r'(?m)^(%s\.test\.\s+\d+\s+IN\s+TXT\s+)%s' % (re.escape(name), re.escape(text)), r'\1"spoiled"', signed)
        assert count == 1
    return signed


@pytest.fixture(scope='module')
def server(make_server, net, folder, rsa, ed25519):
    place = folder / 'senders'
    place.mkdir()
    os.chmod(place, 0o755)
    public = base64.b64encode(openssl('rsa', '-pubout', '-outform', 'DER', stdin=rsa)).decode()
    zone = ZONE % (strings('v=DKIM1; k=rsa; p=' + public), strings('v=DKIM1; k=ed25519; p=' + ed25519[1]))
    names = network.Names(net, 'dns', DNS, place / 'dns', zone, spoil, reverse={FRIEND: 'mail.friend.test', OTHER: 'mail.friend.test'})
    names.start()
    return make_server('a', domain='a.test', hostname='mx.a.test', netns=net.name('a'), users=['u', 'v'],
                       settings={'resolver': DNS, 'trust_anchor': str(names.anchor)})


@pytest.fixture(autouse=True)
def empty(server):
    server.empty('u@a.test')
    server.empty('v@a.test')
    for user in ('u@a.test', 'v@a.test'):
        with server.imap(user) as i:
            i.ok('SELECT Junk')
            if i.bodies('Junk'):
                i.ok('SELECT Junk')
                i.ok('STORE 1:* +FLAGS (\\Deleted)')
                i.ok('EXPUNGE')


def send(net, host, message, sender='ana@friend.test', recipients=('u@a.test',), helo='mail.friend.test'):
    with network.inside(net.name(host)):
        s = talk.Smtp(25, SERVER, hello=False)
    with s:
        s.hello(helo)
        return s.send_message(sender, recipients, message)


def junk(server, user):
    with server.imap(user) as i:
        return i.bodies('Junk')


def results(server, user='u@a.test', read=None):
    """What Authentication-Results of the only message says: [(method, result)], and the whole of it on one line."""
    read = read or (lambda: server.messages(user))
    assert until(lambda: len(read()) == 1)
    (got,) = read()
    field = re.search(rb'(?m)^Authentication-Results: (.*\r\n(?:[ \t].*\r\n)*)', got)[1]
    text = re.sub(r'\s+', ' ', field.decode()).strip()
    return [tuple(one.split()[0].split('=')) for one in text.split('; ')[1:]], text


def sign(message, key, selector=b'sel', domain=b'friend.test', algorithm=b'rsa-sha256', **options):
    return dkim.sign(message, selector, domain, key, signature_algorithm=algorithm, canonicalize=(b'relaxed', b'simple'), **options) + message


def test_mail_from_its_own_server_passes(net, server):
    assert send(net, 'friend', MESSAGE).code == 250
    found, text = results(server)
    assert found == [('iprev', 'pass'), ('spf', 'pass'), ('dkim', 'none'), ('arc', 'none'), ('dmarc', 'pass')]
    assert text.startswith('mx.a.test; ') and 'smtp.mailfrom=friend.test' in text and 'header.from=friend.test' in text
    (got,) = server.messages('u@a.test')
    assert b'\r\nReceived: from mail.friend.test (mail.friend.test [10.99.0.20])\r\n' in got and strip_trace(got) == MESSAGE


@pytest.mark.parametrize('algorithm', ['rsa-sha256', 'ed25519-sha256'])
def test_a_signature_vouches_for_mail_that_comes_by_others(net, server, rsa, ed25519, algorithm):
    key, selector = (rsa, b'sel') if algorithm == 'rsa-sha256' else (ed25519[0], b'ed')
    assert send(net, 'other', sign(MESSAGE, key, selector, algorithm=algorithm.encode()), sender='list@calm.test').code == 250
    found, text = results(server)
    assert found == [('iprev', 'fail'), ('spf', 'softfail'), ('dkim', 'pass'), ('arc', 'none'), ('dmarc', 'pass')]
    assert 'header.d=friend.test header.s=%s header.a=%s' % (selector.decode(), algorithm) in text


def test_a_large_signed_message_comes_in_pieces(net, server, rsa):
    large = sign(MESSAGE + b'line of a large message\r\n' * 30000 + b'\r\n\r\n', rsa)
    assert send(net, 'other', large, sender='').code == 250
    assert results(server)[0][2:] == [('dkim', 'pass'), ('arc', 'none'), ('dmarc', 'pass')]


def test_nobody_vouches_and_the_policy_is_to_refuse(net, server):
    reply = send(net, 'other', MESSAGE)
    assert reply.code == 550 and '5.7.26' in reply and 'friend.test' in reply
    assert re.search(r' message .* outcome=refused .* reply="550 5\.7\.26 ', server.log())
    assert server.messages('u@a.test') == []


@pytest.mark.parametrize('change', [lambda m: m.replace(b'Hello', b'Hallo'), lambda m: m.replace(b'Subject: who', b'Subject: How'),
                                    lambda m: m.replace(b'\r\n\r\n', b'\r\nFrom: Bea <bea@plain.test>\r\n\r\n', 1)],
                         ids=['body', 'header', 'second author'])
def test_a_signature_of_another_message_is_none(net, server, rsa, change):
    assert send(net, 'other', change(sign(MESSAGE, rsa))).code == 550


def test_quarantined_mail_goes_to_junk(net, server):
    sub = MESSAGE.replace(b'ana@friend.test', b'ana@shop.friend.test')
    assert send(net, 'other', sub, recipients=['u@a.test', 'v@a.test']).code == 250
    for user in ('u@a.test', 'v@a.test'):
        found, text = results(server, read=lambda: junk(server, user))
        assert found[-1] == ('dmarc', 'fail') and '(p=quarantine)' in text
        assert server.messages(user) == []


def test_a_policy_of_none_changes_nothing(net, server):
    calm = MESSAGE.replace(b'friend.test', b'calm.test')
    assert send(net, 'other', calm, sender='ana@calm.test').code == 250
    assert results(server)[0] == [('iprev', 'fail'), ('spf', 'softfail'), ('dkim', 'none'), ('arc', 'none'), ('dmarc', 'fail')]


@pytest.mark.parametrize('field', [b'', b'From: ana@friend.test, bea@other.test\r\n', b'From: a@plain.test\r\nFrom: ana@friend.test\r\n',
                                   b'From: <a@plain.test> <ana@friend.test>\r\n', b'From :ana@friend.test\r\n', b'From:\r\n ana@friend.test\r\n',
                                   b'From: =?utf-8?q?ana=40friend.test?= <x@nowhere.test>\r\n', b'From: ana@friend.test (x@plain.test)\r\n'])
def test_no_form_of_author_passes_without_one_who_vouches(net, server, field):
    reply = send(net, 'other', MESSAGE.replace(b'From: Ana <ana@friend.test>\r\n', field), sender='x@plain.test')
    if reply.code == 250:
        def got():
            return server.messages('u@a.test') + junk(server, 'u@a.test')
        assert ('dmarc', 'pass') not in results(server, read=got)[0]
    else:
        assert reply.code == 550


def test_the_client_is_asked_for_where_the_sender_is_null(net, server):
    assert send(net, 'friend', MESSAGE, sender='', helo='news.friend.test').code == 250
    found, text = results(server)
    assert found[1] == ('spf', 'pass') and 'smtp.helo=news.friend.test' in text and found[4] == ('dmarc', 'pass')


@pytest.mark.parametrize('ours', [b'mx.a.test', b'MX.A.test 1', b'(x(y\\)) ) mx.a.test', b'"mx.a.test"', b'"\\mx.a.test" 1', b'mx.a.test(c)', b'\r\n\tmx.a.test', b'mx.a.test/1'])
def test_results_that_claim_to_be_ours_are_taken_out(net, server, ours):
    forged = b'Authentication-Results: ' + ours + b'; dmarc=pass header.from=bank.test\r\nAuthentication-Results: mx.other.test; spf=pass\r\n'
    assert send(net, 'friend', forged + MESSAGE).code == 250
    until(lambda: server.messages('u@a.test'))
    (got,) = server.messages('u@a.test')
    assert b'bank.test' not in got and b'Authentication-Results: mx.other.test; spf=pass\r\n' in got


def test_policies_are_only_reported_where_that_is_wanted(net, server):
    server.configure(sender_checks='report')
    server.must('reload')
    try:
        assert until(lambda: send(net, 'other', MESSAGE).code == 250)
        assert results(server)[0][-1] == ('dmarc', 'fail')
        server.empty('u@a.test')
        server.configure(sender_checks='off')
        server.must('reload')
        assert until(lambda: send(net, 'other', MESSAGE).code == 250 and b'Authentication-Results' not in server.messages('u@a.test')[-1])
    finally:
        server.configure(sender_checks='obey')
        server.must('reload')
        assert until(lambda: send(net, 'other', MESSAGE).code == 550)


def test_a_command_says_what_the_server_would_say(server, rsa, tmp_path):
    def check(message, *words):
        (tmp_path / 'message').write_bytes(message)
        return server.must('check', 'message', str(tmp_path / 'message'), *words)
    signed = sign(MESSAGE, rsa)
    said = check(signed.replace(b'\r\n', b'\n'), '--client-ip', OTHER, '--helo', 'x.test', '--mail-from', 'list@calm.test')
    assert 'dkim=pass header.d=friend.test' in said and 'spf=softfail' in said and 'dmarc=pass' in said and said.endswith('It would be taken.\n')
    said = check(MESSAGE, '--client-ip', FRIEND, '--mail-from', 'ana@friend.test')
    assert 'iprev=pass' in said and 'spf=pass' in said and 'It would be taken' in said
    said = check(MESSAGE, '--client-ip', OTHER)
    assert 'dmarc=fail (p=reject)' in said and 'It would be refused: 550 5.7.26 The policy of friend.test' in said
    assert 'filed into Junk' in check(MESSAGE.replace(b'@friend', b'@x.friend'), '--client-ip', OTHER)
    assert server.command('check', 'message', str(tmp_path / 'message')).returncode == 64
    assert server.command('check', 'message', '/nowhere', '--client-ip', OTHER).returncode == 66


@pytest.mark.parametrize('fault', ['spf', 'dkim'])
def test_what_cannot_be_looked_up_puts_the_message_off(net, server, rsa, tmp_path, fault):
    if fault == 'spf':
        host, sender, message = 'friend', 'ana@sick.test', MESSAGE.replace(b'@friend.test', b'@sick.test')
    else:
        host, sender, message = 'other', 'list@calm.test', sign(MESSAGE, rsa, b'lost')
    reply = send(net, host, message, sender)
    assert reply.startswith('451 4.4.3 The DNS does not say now'), reply
    (tmp_path / 'message').write_bytes(message)
    said = server.must('check', 'message', str(tmp_path / 'message'), '--client-ip', FRIEND if host == 'friend' else OTHER, '--mail-from', sender)
    assert fault + '=temperror' in said and 'It would be put off: 451 4.4.3' in said
    assert not server.messages('u@a.test') and not junk(server, 'u@a.test')
    # what something vouches for needs no other
    assert send(net, 'friend', sign(MESSAGE, rsa, b'lost')).code == 250
    assert ('dkim', 'temperror') in results(server)[0]


@pytest.mark.parametrize('author, outcome', [
    ('Bank <service@friend.test> x', 550), ('service@friend.test <x@calm.test>', 550), ('"a" <x@calm.test>, Bank <service@friend.test> x', 550),
    ('Bank <service@ (c) friend.test> x', 550), ('<<service@friend.test>>', 550), ('service@friend.test\0', 550), ('a@a1.test, b@a2.test, c@a3.test, d@a4.test, e@a5.test', 550),
    ('x@calm.test; service@friend.test', 550), ('<ceo@friend.test.>, m@calm.test', 550), ('ceo@friend.test. <m@calm.test>', 550), ('nobody at all', 'junk'), ('', 'junk'), (None, 'junk')])
def test_an_author_who_cannot_be_read_is_not_trusted(net, server, author, outcome):
    field = b'' if author is None else b'From: %s\r\n' % author.encode()
    reply = send(net, 'other', MESSAGE.replace(b'From: Ana <ana@friend.test>\r\n', field), sender='list@calm.test')
    if outcome == 550:
        assert reply.code == 550, reply
    else:
        assert reply.code == 250 and until(lambda: len(junk(server, 'u@a.test')) == 1)
    assert server.messages('u@a.test') == []


@pytest.mark.parametrize('author', ['Friends, Inc. <ana@friend.test>', 'ana@friend.test <ana@friend.test>', 'Ana (from (home)) <ana@friend.test>', 'Dr. Ana <ana@friend.test> (x)'])
def test_authors_that_are_written_loosely_are_still_who_they_are(net, server, author):
    assert send(net, 'friend', MESSAGE.replace(b'Ana <ana@friend.test>', author.encode())).code == 250
    assert ('dmarc', 'pass') in results(server)[0]


def test_hosts_that_lists_have_are_refused(net, server):
    signed = MESSAGE.replace(b'friend.test', b'calm.test')

    def code(host):
        return send(net, host, signed, sender='ana@calm.test')
    try:
        server.configure(dns_lists='bad.test worse.test=127.0.0.[4..11]*3 good.test*-5 nowhere.test', dns_lists_limit='4')
        server.must('reload')
        assert until(lambda: code('other').code == 550)
        assert '5.7.1 Your address 10.99.0.30 is listed by worse.test' in code('other')
        assert code('friend').code == 250  # an error of the list counts for nothing
        server.configure(dns_lists_limit='5')
        server.must('reload')
        assert until(lambda: code('other').code == 250)
    finally:
        server.configure(dns_lists='', dns_lists_limit='1')
        server.must('reload')
    server.configure(dns_lists='bad..test')
    assert server.command('check').returncode == 78
    server.configure(dns_lists='')


@pytest.mark.parametrize('checks', ['off', 'obey'])
def test_milters_hear_the_clients_name_whether_senders_are_checked_or_not(server, net, folder, checks):
    milter = Raw(folder / 'senders/milter', {'E': change(b'i', b'Authentication-Results', b'milter.test; none', index=1) + CONTINUE})
    server.configure(sender_checks=checks, milters=milter.socket)
    server.must('reload')
    try:
        assert send(net, 'friend', MESSAGE, recipients=['u@a.test', 'v@a.test']).code == 250
        assert send(net, 'other', MESSAGE, sender='ana@calm.test').code == (550 if checks == 'obey' else 250)
    finally:
        server.configure(sender_checks='obey', milters='')
        server.must('reload')
        milter.close()
        milter.path.unlink()
    assert [what.split(b'\0')[0] for what in milter.heard if what[:1] == b'C'] == [b'Cmail.friend.test', b'Cunknown']
    assert until(lambda: server.messages('v@a.test'))
    (whole,) = server.messages('v@a.test')
    fields = re.findall(rb'(?m)^(Return-Path|Authentication-Results|Received)(?:: (mx.a.test|milter.test))?', whole)
    assert fields == [(b'Return-Path', b'')] + [(b'Authentication-Results', b'mx.a.test')] * (checks == 'obey') + [
        (b'Received', b''), (b'Authentication-Results', b'milter.test')]
