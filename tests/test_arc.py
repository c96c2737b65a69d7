"""The chain of those who handed a message on (ARC): chains that dkimpy makes are judged, whom the setting trusts is believed, and what is
forwarded to another server is sealed, which dkimpy checks."""
import base64
import contextlib
import email
import os
import re
import signal

import dkim
import pytest

import network
import talk
from conftest import PASSWORD, until
from hosts import fake_server, read_line, read_message
from milters import CONTINUE, Raw, change
from test_dkim import dkim_records
from test_senders import MESSAGE, junk, openssl, results, sign, strings

DNS, SERVER, FRIEND, OTHER, FAKE = '10.99.0.2', '10.99.0.10', '10.99.0.20', '10.99.0.30', '10.99.0.40'
ZONE = network.ZONE_START + '''\
friend TXT "v=spf1 ip4:10.99.0.20 -all"
_dmarc.friend TXT "v=DMARC1; p=reject"
_dmarc.soft TXT "v=DMARC1; p=quarantine"
fake MX 10 mx.fake
mx.fake A 10.99.0.40
%s
'''
KEYS = ['sel._domainkey.' + d for d in ('friend', 'list', 'list2', 'list3', 'evil', 'lost')] + ['s%d._domainkey.many' % i for i in range(10)]
RESULTS = 'dmarc=pass header.from=friend.test; spf=pass smtp.mailfrom=ana@friend.test'
COVERED = [b'from', b'to', b'subject', b'date', b'message-id']


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [DNS], 'a': [SERVER], 'friend': [FRIEND], 'other': [OTHER], 'fake': [FAKE]}, DNS)
    try:
        yield n
    finally:
        n.close()


@pytest.fixture(scope='module')
def rsa():
    return openssl('genrsa', '-traditional', '2048')


@pytest.fixture(scope='module')
def record(rsa):
    return 'v=DKIM1; k=rsa; p=' + base64.b64encode(openssl('rsa', '-pubout', '-outform', 'DER', stdin=rsa)).decode()


def spoil(signed):
    """The key of lost.test cannot be looked up: it is another one than was signed."""
    signed, count = re.subn(r'(?m)^(sel\._domainkey\.lost\.test\.\s+\d+\s+IN\s+TXT\s+)"v=DKIM1;', r'\1"spoiled;', signed)
    assert count == 1
    return signed


@pytest.fixture(scope='module')
def server(make_server, net, place, record):
    names = network.Names(net, 'dns', DNS, place / 'dns', ZONE % '\n'.join('%s TXT %s' % (name, strings(record)) for name in KEYS), spoil)
    names.start()
    s = make_server('a', domain='a.test', hostname='mx.a.test', netns=net.name('a'), users=['u'],
                    settings={'resolver': DNS, 'trust_anchor': str(names.anchor), 'retry_first': '1s', 'arc_trusted': 'other.test list.test lost.test'})
    s.must('alias', 'add', 'far@a.test', 'y@fake.test')
    return s


@pytest.fixture(autouse=True)
def empty(server):
    server.empty('u@a.test')
    with server.imap('u@a.test') as i:
        if i.bodies('Junk'):
            i.ok('SELECT Junk')
            i.ok('STORE 1:* +FLAGS (\\Deleted)')
            i.ok('EXPUNGE')
    yield
    server.empty_queue()


def seal(message, key, domain='list.test', selector='sel', said=RESULTS, arc='none'):
    """The message with the next set of a chain, by dkimpy: what it says of the chain so far is `arc`."""
    found = b'Authentication-Results: mx.%s; %s; arc=%s\r\n' % (domain.encode(), said.encode(), arc.encode())
    fields = dkim.arc_sign(found + message, selector.encode(), domain.encode(), key, b'mx.' + domain.encode(), include_headers=COVERED)
    assert len(fields) == 3
    return b''.join(fields) + message


def chain(message, key, *domains, said=RESULTS):
    for i, domain in enumerate(domains):
        message = seal(message, key, domain, said=said, arc='pass' if i else 'none')
    return message


def send(net, message, host='other', sender='list@list.test', recipient='u@a.test'):
    with network.inside(net.name(host)):
        s = talk.Smtp(25, SERVER, hello=False)
    with s:
        s.hello('mail.friend.test')
        return s.send_message(sender, [recipient], message)


def arc_of(server, read=None):
    """(arc's result, dmarc's result, all results as text) of the only message."""
    found, text = results(server, read=read)
    return dict(found)['arc'], dict(found)['dmarc'], text


def field(message, name, instance):
    """The only field of that name and instance, whole."""
    (one,) = re.findall(rb'(?m)^%s: +i=%d;.*\r\n(?:[ \t].*\r\n)*' % (name, instance), message)
    return one


CALM = MESSAGE.replace(b'@friend.test', b'@calm.test')


# ---- judging ----

@pytest.mark.parametrize('domains', [['list.test'], ['list.test', 'list2.test'], ['friend.test', 'list2.test', 'list3.test']], ids=['1', '2', '3'])
def test_chains_that_hold_pass(net, server, rsa, domains):
    assert send(net, chain(CALM, rsa, *domains)).code == 250
    outcome, _, text = arc_of(server)
    assert outcome == 'pass' and 'arc=pass (i=%d) smtp.remote-ip="10.99.0.30" header.oldest-pass=0' % len(domains) in text


def test_a_message_without_a_chain_has_none(net, server):
    assert send(net, CALM).code == 250
    outcome, _, text = arc_of(server)
    assert outcome == 'none' and 'arc=none;' in text


def test_what_a_list_has_changed_is_told_by_the_oldest_that_holds(net, server, rsa):
    first = seal(CALM, rsa, 'list.test')
    changed = first + b'-- \r\nThe list\r\n'
    assert send(net, seal(seal(changed, rsa, 'list2.test', arc='pass'), rsa, 'list3.test', arc='pass')).code == 250
    assert 'arc=pass (i=3) smtp.remote-ip="10.99.0.30" header.oldest-pass=2' in arc_of(server)[2]


def renumbered(message):
    """A 51st set, as if there were fifty before."""
    return b''.join(field(message, name, 2).replace(b'i=2;', b'i=51;') for name in (b'ARC-Seal', b'ARC-Message-Signature', b'ARC-Authentication-Results')) + message


def unsealed(message, instance):
    for name in (b'ARC-Seal', b'ARC-Message-Signature', b'ARC-Authentication-Results'):
        message = message.replace(field(message, name, instance), b'')
    return message


@pytest.mark.parametrize('change, reason', [
    (lambda m: m.replace(b'Hello', b'Hallo'), 'the body has changed'),
    (lambda m: m.replace(b'Subject: who', b'Subject: How'), 'the signature does not fit the header'),
    (lambda m: m.replace(field(m, b'ARC-Authentication-Results', 1), field(m, b'ARC-Authentication-Results', 1).replace(b'dmarc=pass', b'dmarc=fail')),
     'the seal of instance 1: the signature does not fit'),
    (lambda m: m.replace(field(m, b'ARC-Authentication-Results', 2), field(m, b'ARC-Authentication-Results', 2).replace(b'dmarc=pass', b'dmarc=fail')),
     'the seal of instance 2: the signature does not fit'),
    (lambda m: unsealed(m, 1), 'a field of the chain is missing'),
    (lambda m: m.replace(field(m, b'ARC-Message-Signature', 1), b''), 'a field of the chain is missing'),
    (lambda m: field(m, b'ARC-Seal', 2) + m, 'a field of the chain is there twice'),
    (lambda m: m.replace(b'cv=pass', b'cv=fail'), 'the last seal says that the chain was broken'),
    (lambda m: m.replace(b'cv=none', b'cv=fail'), 'a seal says what it cannot have found'),
    (lambda m: m.replace(b'cv=none', b'cv=pass'), 'a seal says what it cannot have found'),
    (lambda m: m.replace(b'cv=pass', b'cv=none'), 'a seal says what it cannot have found'),
    (renumbered, 'the chain has more than 50 sets'),
    (lambda m: m.replace(b's=sel;', b's=none;'), 'no key for signature'),
    (lambda m: m.replace(b'ARC-Seal: i=2;', b'ARC-Seal: i=2; h=from;'), 'h= stands in a seal'),
], ids=['body', 'subject', 'old results', 'results', 'missing instance', 'missing field', 'duplicate', 'cv=fail', 'cv=fail before', 'cv lies first',
        'cv lies', '51 sets', 'no key', 'h= in a seal'])
def test_chains_that_do_not_hold_fail(net, server, rsa, change, reason):
    good = chain(CALM, rsa, 'list.test', 'list2.test')
    assert change(good) != good and send(net, change(good)).code == 250
    outcome, _, text = arc_of(server)
    assert outcome == 'fail' and reason in text, text


def test_more_sealers_than_are_looked_at_are_not_judged(net, server, rsa):
    """Attack 55: each other key costs a question."""
    message = CALM
    for i in range(9):
        message = seal(message, rsa, 'many.test', 's%d' % i, arc='pass' if i else 'none')
    assert send(net, message).code == 250
    outcome, _, text = arc_of(server)
    assert outcome == 'fail' and 'more keys than are asked for' in text


# ---- believing ----

def test_a_trusted_sealer_overrides_a_policy(net, server, rsa):
    changed = chain(MESSAGE + b'-- \r\nThe list\r\n', rsa, 'list2.test', 'list.test')
    assert send(net, MESSAGE).code == 550
    assert send(net, changed).code == 250
    outcome, dmarc, text = arc_of(server)
    assert (outcome, dmarc) == ('pass', 'fail')
    assert 'dmarc=fail (p=reject, overridden) reason="arc.trusted list.test" header.from=friend.test' in text
    remark = 'DMARC overridden by the seal of list.test'
    assert re.search(r' message .* outcome=delivered .* remark="%s"' % remark, server.log())
    assert remark in server.must('trace', 'u@a.test')


@pytest.mark.parametrize('said', ['dmarc=none; spf=pass smtp.mailfrom=x@sub.friend.test', 'dkim=pass header.i=@friend.test header.s=sel', 'dkim=pass header.d=news.friend.test'])
def test_results_without_dmarc_count_where_they_are_of_the_author(net, server, rsa, said):
    assert send(net, seal(MESSAGE, rsa, 'list.test', said=said)).code == 250
    assert '(p=reject, overridden)' in arc_of(server)[2]


@pytest.mark.parametrize('domains, said', [
    (['evil.test'], RESULTS), (['list.test', 'evil.test'], RESULTS), (['friend.test'], RESULTS),
    (['list.test'], 'dmarc=fail header.from=friend.test; spf=pass smtp.mailfrom=x@evil.test'), (['list.test'], 'dmarc=pass header.from=evil.test'),
    (['list.test'], 'spf=fail smtp.mailfrom=ana@friend.test; dkim=fail header.d=friend.test'),
    (['list.test'], 'dmarc=fail (dmarc=pass header.from=friend.test) reason="; dmarc=pass header.from=friend.test" header.from=friend.test')],
    ids=['untrusted', 'untrusted last', 'the author himself', 'failed', 'another author', 'all failed', 'in a comment'])
def test_nobody_elses_chain_changes_a_fate(net, server, rsa, domains, said):
    reply = send(net, chain(MESSAGE, rsa, *domains, said=said))
    assert reply.code == 550 and '5.7.26' in reply, reply


def test_a_second_author_is_not_vouched_for(net, server, rsa):
    good = seal(CALM, rsa, 'list.test', said='dmarc=pass header.from=calm.test')
    assert send(net, b'From: Ana <ana@friend.test>\r\n' + good).code == 550
    assert send(net, good.replace(b'From: Ana <ana@calm.test>', b'From: Ana <ana@friend.test>')).code == 550


def test_a_broken_chain_of_a_trusted_sealer_is_none(net, server, rsa):
    assert send(net, seal(MESSAGE, rsa, 'list.test').replace(b'Hello', b'Hallo')).code == 550


def test_quarantine_is_overridden_too(net, server, rsa):
    soft = MESSAGE.replace(b'friend.test', b'soft.test')
    assert send(net, soft).code == 250 and until(lambda: len(junk(server, 'u@a.test')) == 1)
    assert send(net, seal(soft, rsa, 'list.test', said='dmarc=pass header.from=soft.test')).code == 250
    assert '(p=quarantine, overridden)' in arc_of(server)[2]


def test_a_key_that_is_away_puts_off_what_it_would_decide_and_nothing_else(net, server, rsa):
    assert send(net, chain(MESSAGE, rsa, 'list2.test', 'lost.test')).startswith('451 4.4.3 The DNS does not say now')
    assert send(net, chain(MESSAGE, rsa, 'lost.test', 'evil.test')).code == 550          # not trusted: it decides nothing
    assert send(net, seal(MESSAGE, rsa, 'lost.test', said='dmarc=fail header.from=friend.test')).code == 550
    assert send(net, seal(CALM, rsa, 'lost.test')).code == 250
    outcome, _, text = arc_of(server)
    assert outcome == 'fail' and 'the key cannot be had' in text


def test_a_command_tells_of_the_chain(server, rsa, tmp_path):
    def check(message):
        (tmp_path / 'message').write_bytes(message)
        return server.must('check', 'message', str(tmp_path / 'message'), '--client-ip', OTHER)
    said = check(chain(MESSAGE, rsa, 'list2.test', 'list.test'))
    assert 'arc=pass (i=2)' in said and 'Its chain of seals (ARC) holds; the last of 2 is of list.test.' in said
    assert 'Neither SPF nor DKIM vouch for its author, but list.test does' in said and 'It would be taken.' in said
    said = check(seal(MESSAGE, rsa, 'list.test').replace(b'Hello', b'Hallo'))
    assert 'does not hold: the signature of instance 1: the body has changed' in said and 'It would be refused: 550 5.7.26' in said
    assert 'ARC' not in check(CALM)


def test_a_setting_that_names_no_domain_is_told(server):
    before = server.settings['arc_trusted']
    server.configure(arc_trusted='list.test bad..test')
    done = server.command('check')
    server.configure(arc_trusted=before)
    assert done.returncode == 78 and 'arc_trusted: "bad..test" is no domain' in done.stderr + done.stdout


# ---- sealing ----

@contextlib.contextmanager
def settings(server, **changed):
    before = {name: server.settings.get(name) for name in changed}
    server.configure(**changed)
    server.must('reload')
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del server.settings[name]
        server.configure(**{name: value for name, value in before.items() if value is not None})
        server.must('reload')


def taken(client):
    """A session that takes a message as it is: where it must be made 7-bit, no signature holds."""
    client.sendall(b'220 mx.fake.test ESMTP\r\n')
    read_line(client)
    client.sendall(b'250-mx.fake.test\r\n250 8BITMIME\r\n')
    data = read_message(client)
    client.sendall(b'250 2.0.0 taken\r\n')
    return data


def forward(net, server, message, recipient='far@a.test', host='friend', sender='ana@friend.test'):
    """The message as the other server gets it."""
    with fake_server(net, taken) as said:
        assert send(net, message, host, sender, recipient).code == 250
        assert until(lambda: said)
    assert isinstance(said[0], bytes), said
    return re.sub(rb'(?m)^\.', b'', said[0][:-3])


def check(server, message, record):
    """What dkimpy says of the chain: (cv, {instance: (domain, cv of its seal, is its signature good)}, why)."""
    keys = dict(dkim_records(server.must('dkim', 'records')), **{name + '.test': record for name in KEYS})
    cv, sets, why = dkim.arc_verify(message, dnsfunc=lambda name, timeout=5: keys.get(name.decode().rstrip('.'), '').encode())
    return cv, {s['instance']: (s['as-domain'], s['cv'], s['ams-valid'] and s['as-valid']) for s in sets}, why


def test_what_an_alias_sends_elsewhere_is_sealed(net, server, record):
    got = forward(net, server, MESSAGE)
    cv, sets, why = check(server, got, record)
    assert (cv, sets) == (b'pass', {1: (b'a.test', b'none', True)}), why
    said = re.sub(rb'\s+', b' ', field(got, b'ARC-Authentication-Results', 1))
    assert said.startswith(b'ARC-Authentication-Results: i=1; mx.a.test; ') and b'spf=pass' in said and b'dmarc=pass header.from=friend.test' in said and b'arc=none' in said
    own = re.sub(rb'\s+', b' ', re.search(rb'(?m)^Authentication-Results: (mx\.a\.test;.*\r\n(?:[ \t].*\r\n)*)', got)[1])
    assert said.endswith(own)
    assert got.endswith(MESSAGE)


def test_who_gets_it_here_too_gets_it_with_the_seal(net, server, record):
    server.must('alias', 'add', 'both@a.test', 'u@a.test', 'y@fake.test')
    try:
        there = forward(net, server, MESSAGE, 'both@a.test')
    finally:
        server.must('alias', 'remove', 'both@a.test')
    assert until(lambda: len(server.messages('u@a.test')) == 1)
    (here,) = server.messages('u@a.test')
    assert check(server, here, record)[0] == check(server, there, record)[0] == b'pass' and field(here, b'ARC-Seal', 1) == field(there, b'ARC-Seal', 1)
    with server.imap('u@a.test') as i:
        i.ok('SELECT INBOX')
        (answer,) = [line for line in i.ok('FETCH 1 (ENVELOPE BODY.PEEK[TEXT])') if b'ENVELOPE' in line]
        assert b'who sent it' in answer and b'.dots and' in answer


def test_the_seal_covers_the_signatures_before(net, server, record, rsa):
    got = forward(net, server, sign(MESSAGE, rsa))
    assert check(server, got, record)[0] == b'pass' and b'dkim-signature' in field(got, b'ARC-Message-Signature', 1).lower()
    assert check(server, got.replace(b'DKIM-Signature: v=1;', b'DKIM-Signature: v=1; x=9999999999;'), record)[0] == b'fail'
    assert check(server, got.replace(b'Hello', b'Hallo'), record)[0] == b'fail'
    assert check(server, got.replace(b'From: Ana', b'From: x@y.test\r\nFrom: Ana'), record)[0] == b'fail'


@pytest.mark.parametrize('domains', [['list.test'], ['list.test', 'list2.test', 'list3.test']], ids=['1', '3'])
def test_a_chain_that_holds_is_continued(net, server, record, rsa, domains):
    cv, sets, why = check(server, forward(net, server, chain(MESSAGE, rsa, *domains)), record)
    assert cv == b'pass' and sets[len(domains) + 1] == (b'a.test', b'pass', True) and len(sets) == len(domains) + 1, why


def test_large_mail_and_mail_without_a_body_are_sealed(net, server, record):
    for message in (MESSAGE + b'a line of a large message\r\n' * 20000, MESSAGE[:MESSAGE.index(b'\r\n\r\n') + 4], MESSAGE[:MESSAGE.index(b'\r\n\r\n') + 2]):
        assert check(server, forward(net, server, message), record)[0] == b'pass'


def seals_of(message):
    return [value.split(';')[0] for value in email.message_from_bytes(message).get_all('ARC-Seal', [])]


def test_a_broken_chain_is_sealed_as_broken_once(net, server, rsa, record):
    broken = chain(MESSAGE, rsa, 'list.test', 'list2.test').replace(b'Hello', b'Hallo')
    got = forward(net, server, broken)
    assert seals_of(got) == ['i=3', 'i=2', 'i=1'] and b'cv=fail' in field(got, b'ARC-Seal', 3)
    # the seal is of its own set alone (RFC 8617 section 5.1.2)
    alone = re.sub(rb'(?m)^ARC-[A-Za-z-]+: +i=[12];.*\r\n(?:[ \t].*\r\n)*', b'', got)
    a = dkim.ARC(alone)
    keys = dkim_records(server.must('dkim', 'records'))
    found = a.verify_instance(a.sorted_arc_headers()[1], 3, dnsfunc=lambda name, timeout=5: keys[name.decode().rstrip('.')].encode())
    assert found['as-valid'] and found['ams-valid'] and found['cv'] == b'fail'
    # who gets that adds nothing
    assert seals_of(forward(net, server, got)) == ['i=3', 'i=2', 'i=1']


def test_a_chain_of_fifty_is_not_continued(net, server, rsa, record):
    message = MESSAGE
    for i in range(49):
        message = seal(message, rsa, 'list.test', arc='pass' if i else 'none')
    full = forward(net, server, message)
    assert check(server, full, record)[0] == b'pass' and len(seals_of(full)) == 50
    assert len(seals_of(forward(net, server, full))) == 50


def test_a_chain_that_cannot_be_judged_now_is_left_to_others(net, server, rsa):
    assert seals_of(forward(net, server, chain(MESSAGE, rsa, 'lost.test'))) == ['i=1']


def test_mail_for_a_relayed_domain_is_sealed_by_the_host_names_domain(net, server, record):
    server.must('domain', 'add', 'fake.test', '[mx.fake.test]')
    try:
        got = forward(net, server, MESSAGE, 'z@fake.test')
        cv, sets, why = check(server, got, record)
        assert cv == b'pass' and list(sets) == [1], why
    finally:
        server.must('domain', 'remove', 'fake.test')


def test_what_stays_here_is_not_sealed(net, server):
    assert send(net, MESSAGE, 'friend', 'ana@friend.test').code == 250
    assert until(lambda: len(server.messages('u@a.test')) == 1) and b'ARC-' not in server.messages('u@a.test')[0]


def test_what_a_user_sends_by_an_alias_is_not_sealed(net, server):
    with fake_server(net, taken) as said:
        with server.smtp('submission') as s:
            assert s.plain('u@a.test', PASSWORD).code == 235
            assert s.send_message('u@a.test', ['far@a.test'], MESSAGE.replace(b'ana@friend.test', b'u@a.test')).code == 250
        assert until(lambda: said)
    assert b'DKIM-Signature' in said[0] and b'ARC-' not in said[0]


def test_sealing_can_be_turned_off(net, server):
    with settings(server, arc_seal='off'):
        assert until(lambda: not seals_of(forward(net, server, MESSAGE)))
    assert until(lambda: seals_of(forward(net, server, MESSAGE)))


def test_nothing_is_sealed_where_nothing_is_checked(net, server):
    with settings(server, sender_checks='off'):
        assert until(lambda: not seals_of(forward(net, server, MESSAGE)))
    assert until(lambda: seals_of(forward(net, server, MESSAGE)))


def test_what_a_milter_has_sealed_is_not_sealed_again(net, server, place):
    names = (b'ARC-Authentication-Results', b'ARC-Message-Signature', b'ARC-Seal')
    milter = Raw(place / 'milter', {'E': b''.join(change(b'h', name, b'i=1; cv=none; by=milter') for name in names) + CONTINUE})
    try:
        with settings(server, milters=milter.socket):
            assert until(lambda: b'by=milter' in forward(net, server, MESSAGE))
            assert seals_of(forward(net, server, MESSAGE)) == ['i=1']
    finally:
        milter.close()
    assert until(lambda: b'by=milter' not in forward(net, server, MESSAGE))


def test_without_a_key_mail_goes_on_without_a_seal(net, server):
    keys = (server.data / 'keys/dkim').read_text()
    server.must('dkim', 'remove', 'a.test')
    try:
        assert until(lambda: not seals_of(forward(net, server, MESSAGE)))
        assert forward(net, server, MESSAGE).endswith(MESSAGE)
    finally:
        (server.data / 'keys/dkim').write_text(keys)
        server.must('reload')
    assert until(lambda: seals_of(forward(net, server, MESSAGE)))


def test_mail_waits_while_the_keys_are_away(net, server):
    (pid,) = [pid for role, pid in server.pids() if role == 'vault']
    with network.inside(net.name('friend')):
        s = talk.Smtp(25, SERVER, hello=False)
    with s:
        s.hello('mail.friend.test')
        assert s.command('MAIL FROM:<ana@friend.test>').code == 250 and s.command('RCPT TO:<far@a.test>').code == 250 and s.command('DATA').code == 354
        s.send(MESSAGE)
        os.kill(pid, signal.SIGSTOP)
        s.send('.\r\n')
        assert s.is_silent()
        server.killed.add(pid)
        os.kill(pid, signal.SIGKILL)
        assert s.reply().startswith('451 4.3.0 Cannot be sealed now')
    server.wait_all_running()
