"""By which of the two families mail leaves: not by one from which receivers would refuse it, where the other can be used."""
import contextlib
import re
import socket
import threading

import pytest

import network
from conftest import PASSWORD, until

DNS = '10.99.0.2'
# no translation stands between these addresses and the world: what others see of them is known
A4, A6, C4, C6, B4, B6, D4 = '25.0.0.10', '2a01:99::10', '25.0.0.30', '2a01:99::30', '25.0.0.20', '2a01:99::20', '25.0.0.60'
NAMELESS = '9.9.0.0.1.0.a.2.ip6.arpa.', '0.0.25.in-addr.arpa.'
ZONE = network.ZONE_START + '''\
mx.a A %s
mx.a AAAA %s
mx.c A %s
mx.c AAAA %s
both MX 10 mx.both
*.both MX 10 mx.both
mx.both A %s
mx.both AAAA %s
six MX 10 mx.six
mx.six AAAA %s
mixed MX 10 mx.four
mixed MX 20 mx.six
mx.four A %s
closed MX 10 mx.closed
shut MX 10 mx.closed
mx.closed A %s
mx.closed AAAA 2a01:99::2
only4 TXT "v=spf1 ip4:25.0.0.0/24 -all"
only6 TXT "v=spf1 ip6:2a01:99::/64 ~all"
neither TXT "v=spf1 -all"
''' % (A4, A6, C4, C6, B4, B6, B6, B4, B4)


@pytest.fixture(scope='module')
def net():
    n = network.Network({'dns': [DNS, '2a01:99::2'], 'a': ['10.99.0.10', A4, A6], 'b': ['10.99.0.20', B4, B6], 'c': ['10.99.0.30', C4, C6], 'd': ['10.99.0.60', D4]}, DNS)
    for name, v4, v6 in (('a', A4, A6), ('c', C4, C6)):
        network.run('ip', '-n', n.name(name), 'route', 'add', 'default', 'dev', 'eth0', 'src', v4)
        network.run('ip', '-n', n.name(name), '-6', 'route', 'add', 'default', 'dev', 'eth0', 'src', v6)
    network.run('ip', '-n', n.name('d'), 'route', 'add', 'default', 'dev', 'eth0', 'src', D4)
    try:
        yield n
    finally:
        n.close()


@pytest.fixture(scope='module')
def names(net, place):
    names = network.Names(net, 'dns', DNS, place / 'dns', ZONE, reverse={A4: 'mx.a.test', C4: 'mx.c.test', C6: 'mx.c.test'}, nameless=NAMELESS)
    names.start()
    return names


def settings(names):
    return {'resolver': DNS, 'trust_anchor': str(names.anchor), 'retry_first': '1s', 'retry_most': '1s', 'smtp_listen': '0.0.0.0:25 [::]:25',
            'sender_checks': 'off'}


@pytest.fixture(scope='module')
def b(make_server, net, names):
    s = make_server('b', domain='both.test', hostname='mx.both.test', netns=net.name('b'), settings=settings(names))
    s.add_user('v')
    for domain in ('six.test', 'mixed.test', 'closed.test', 'shut.test', *('%d.both.test' % i for i in range(5))):
        s.must('domain', 'add', domain)
        s.must('alias', 'add', '@' + domain, 'v@both.test')
    return s


@pytest.fixture(scope='module')
def senders(make_server, net, names, b):
    """Of the first, the IPv6 address has no reverse name; of the second, both have one; the third has one address only, without a name."""
    made = {}
    for name in 'a', 'c', 'd':
        s = made[name] = make_server(name, domain=name + '.test', hostname='mx.%s.test' % name, netns=net.name(name), settings=settings(names))
        s.add_user('u')
        for domain in ('only4', 'only6', 'neither'):
            s.must('domain', 'add', domain + '.test')
            s.add_user('u@%s.test' % domain)
    return made


@pytest.fixture(autouse=True)
def empty(senders, b):
    b.empty('v@both.test')
    yield
    for s in senders.values():
        s.empty_queue()


def submit(server, sender, recipient):
    with server.smtp('submission') as s:
        assert s.plain(sender, PASSWORD).code == 235
        what = 'From: %s\r\nTo: %s\r\nSubject: x\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s>\r\n\r\nbody\r\n' % (sender, recipient, recipient)
        assert s.send_message(sender, [recipient], what.encode()).code == 250


def came_from(b):
    assert until(lambda: b.messages('v@both.test'))
    return re.search(rb'\r\nReceived: from \S+ \([^\[]*\[(?:IPv6:)?([0-9a-f:.]+)\]\)\r\n\tby mx.both.test', b.messages('v@both.test')[0])[1].decode()


@pytest.mark.parametrize('server, sender, recipient, address', [
    ('c', 'u@c.test', 'v@both.test', C6),         # both fit: IPv6 has its head start
    ('a', 'u@a.test', 'v@0.both.test', A4),         # no reverse name
    ('a', 'u@a.test', 'v@six.test', A6),          # but there is no other way
    ('a', 'u@a.test', 'v@mixed.test', A4),
    ('d', 'u@d.test', 'v@both.test', D4),         # nor has it, but what is there is better than nothing
    ('c', 'u@only4.test', 'v@1.both.test', C4),     # SPF says fail
    ('c', 'u@only6.test', 'v@2.both.test', C6),
    ('c', 'u@neither.test', 'v@3.both.test', C6),   # nothing is better
    ('a', 'u@only6.test', 'v@4.both.test', A6)])    # the one has no name, the other no SPF
def test_mail_leaves_by_the_family_that_receivers_take(senders, b, server, sender, recipient, address):
    submit(senders[server], sender, recipient)
    assert came_from(b) == address


def test_mail_does_not_leave_by_ipv4_where_only_ipv6_fits(senders, b):
    """Its IPv6 address refuses the connection, the other would take the mail."""
    submit(senders['c'], 'u@only6.test', 'v@closed.test')
    assert until(lambda: re.search(r'v@closed\.test waiting attempts=[2-9]', senders['c'].must('queue', 'list')))
    assert b.messages('v@both.test') == []
    submit(senders['c'], 'u@c.test', 'v@closed.test')
    assert came_from(b) == C4


def test_a_connection_that_is_open_is_not_used_for_a_sender_whom_it_does_not_fit(senders, b):
    """Within the two seconds in which it waits for the next message."""
    for sender, address in (('u@c.test', C6), ('u@only4.test', C4), ('u@only6.test', C6)):
        b.empty('v@both.test')
        submit(senders['c'], sender, 'v@both.test')
        assert came_from(b) == address


def test_who_takes_connections_by_ipv6_but_no_mail_gets_it_by_ipv4(senders, net, b):
    """It is quicker, since it comes first, and then refuses."""
    with network.inside(net.name('dns')):
        listener = socket.create_server(('2a01:99::2', 25), family=socket.AF_INET6)
    refused = []

    def refuse():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    client.sendall(b'554 5.7.1 no mail by IPv6\r\n')
                    refused.append(client)
    thread = threading.Thread(target=refuse)
    thread.start()
    try:
        submit(senders['c'], 'u@c.test', 'v@shut.test')
        assert came_from(b) == C4 and refused
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def test_the_log_says_which_address_is_unfit_and_why(senders, b):
    submit(senders['a'], 'u@a.test', 'v@both.test')
    submit(senders['c'], 'u@only4.test', 'v@both.test')
    assert until(lambda: len(b.messages('v@both.test')) == 2)
    assert re.search(r' address-unfit .*address=2a01:99::10 sender=a\.test why="it has no reverse name"', senders['a'].log())
    assert re.search(r' address-unfit .*address=2a01:99::30 sender=only4\.test why="the SPF record of the sender\'s domain leaves it out"', senders['c'].log())


def test_where_the_next_hop_was_chosen_nothing_is_asked(senders, b):
    senders['a'].must('route', 'add', 'both.test', '[mx.both.test]')
    try:
        submit(senders['a'], 'u@a.test', 'v@both.test')
        assert came_from(b) == A6
    finally:
        senders['a'].must('route', 'remove', 'both.test')
