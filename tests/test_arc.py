"""The chain of those who handed a message on (ARC): chains that dkimpy makes are judged, and whom the setting trusts is believed."""
import base64
import re

import dkim
import pytest

import network
import talk
from conftest import until
from test_senders import MESSAGE, junk, openssl, results, strings

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
