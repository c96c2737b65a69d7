"""Mail between servers: the right host is found, what cannot be delivered now waits, what never can is returned."""
import contextlib
import email
import re
import socket
import time

import pytest

import network
import talk
from conftest import PASSWORD, strip_trace, until
from hosts import (arrived, b, everything_is_empty, FAKE, FAKE6, message, names, net, postfix, queue_is_empty,
                   server, settings, stopped, submit, the_bounce)  # noqa: F401


# ---- there and back ----

def test_mail_goes_from_carteiro_to_carteiro_as_it_is_and_by_tls(server, b):
    what = message(b'.dot\r\n\r\n..\r\n.\r\n' + b'x' * 998 + b'\r\n')
    submit(server, ['v@b.test'], what)
    (got,) = arrived(b, 'v@b.test')
    assert strip_trace(got) == what
    assert got.startswith(b'Return-Path: <u@a.test>\r\nAuthentication-Results: mx.b.test;\r\n')
    assert b'\r\nReceived: from mx.a.test (unknown [10.99.0.10])\r\n\tby mx.b.test (carteiro) with ESMTPS id ' in got
    assert got.count(b'\r\nReceived: ') == 2


def test_large_mail_goes_from_carteiro_to_carteiro(server, b):
    what = message((b'z' * 76 + b'\r\n') * 60000)
    submit(server, ['v@b.test'], what)
    assert strip_trace(arrived(b, 'v@b.test')[0]) == what


def test_mail_goes_from_carteiro_to_carteiro_by_ipv6(server, b):
    """To a mail host that has no other address."""
    what = message()
    submit(server, ['v@six.test'], what)
    (got,) = arrived(b, 'v@b.test')
    assert strip_trace(got) == what
    assert b'Received: from mx.a.test (unknown [IPv6:fd99::10])\r\n\tby mx.b.test (carteiro) with ESMTPS id ' in got
    assert until(lambda: queue_is_empty(server))


@contextlib.contextmanager
def deaf(net, address):
    """Nobody who connects to the port there hears anything, neither yes nor no: the kernel drops what does not fit into the backlog."""
    with contextlib.ExitStack() as all_of_them, network.inside(net.name('fake')):
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        all_of_them.enter_context(socket.create_server((address, 25), family=family, backlog=0))
        for _ in range(8):
            one = all_of_them.enter_context(socket.socket(family))
            one.setblocking(False)
            one.connect_ex((address, 25))
        yield


def test_a_host_that_is_deaf_by_ipv6_gets_its_mail_by_ipv4(server, net, b):
    """RFC 8305: long before a connection is given up."""
    with deaf(net, FAKE6):
        submit(server, ['v@quick.test'], message())
        arrived(b, 'v@b.test', seconds=15)
    assert until(lambda: queue_is_empty(server))
    assert len(b.messages('v@b.test')) == 1


def test_a_host_that_refuses_by_ipv6_gets_its_mail_by_ipv4(server, b):
    submit(server, ['v@quicker.test'], message())
    arrived(b, 'v@b.test')
    assert re.search(r' connection-failed .*host=mx\.quick\.test\[fd99::40\]:25 .*refused', server.log())


def test_mail_goes_to_postfix_and_comes_from_it(server, net, postfix):
    postfix.empty()
    what = message()
    submit(server, ['u@p.test'], what)
    assert until(lambda: postfix.messages('u'))
    (got,) = postfix.messages('u')
    assert got.endswith(what.replace(b'\r\n', b'\n')) and b'from mx.a.test' in got
    with network.inside(net.name('p')):
        session = talk.Smtp(25)
    answer = what.replace(b'u@a.test', b'u@p.test')
    assert session.send_message('u@p.test', ['u@a.test'], answer).code == 250
    session.close()
    (got,) = arrived(server, 'u@a.test')
    assert got.endswith(answer) and b'by mx.a.test (carteiro) with ESMTPS id ' in got and got.startswith(b'Return-Path: <u@p.test>')


def test_a_message_for_many_places_arrives_once_at_each(server, b, postfix):
    postfix.empty()
    b.empty('w@b.test')
    what = message()
    submit(server, ['v@b.test', 'w@b.test', 'u@p.test', 'u@a.test'], what)
    assert until(lambda: postfix.messages('u'))
    for where, user in ((b, 'v@b.test'), (b, 'w@b.test'), (server, 'u@a.test')):
        assert [strip_trace(m) for m in arrived(where, user)] == [what]
    assert until(lambda: queue_is_empty(server))
    assert len(postfix.messages('u')) == 1


@pytest.mark.parametrize('domain', ['backup.test', 'plain.test', 'chain.test', 'many.test', 'ção.test'])
def test_the_right_host_is_found(server, b, domain):
    """The second MX where the first is down; the address where there is no MX; through CNAMEs; behind addresses to which there
    is no route; of a domain with a U-label (RFC 6531 §3.2)."""
    submit(server, ['v@' + domain], message(), options='' if domain.isascii() else ' SMTPUTF8')
    arrived(b, 'v@b.test')
    assert until(lambda: queue_is_empty(server))


def test_an_alias_sends_on_to_other_servers(server, b):
    server.must('alias', 'add', 'far@a.test', 'v@b.test')
    try:
        assert server.send('far@a.test', message(), 'x@p.test').code == 250
        (got,) = arrived(b, 'v@b.test')
        assert re.match(rb'Return-Path: <SRS0=[a-z2-7]{6}=[a-z2-7]{2}=p\.test=x@a\.test>\r\n', got), got
    finally:
        server.must('alias', 'remove', 'far@a.test')


def test_trace_shows_the_next_hop(server, b):
    name = submit(server, ['v@b.test'], message())
    arrived(b, 'v@b.test')
    assert until(lambda: 'v@b.test delivered: host mx.b.test[10.99.0.20]:25: 250 ' in server.must('trace', name)), server.must('trace', name)


# ---- what is not known now is tried later ----

def wait_deferred(server, name, pattern):
    assert until(lambda: re.search(pattern, server.must('queue', 'list')), 40), server.must('queue', 'list')
    assert name in server.must('queue', 'list')
    assert server.messages('u@a.test') == []


def test_servfail_defers_and_the_mail_arrives_when_the_dns_is_back(server, b, names):
    names.stop_nsd()
    try:
        name = submit(server, ['v@one.later.test'], message())
        wait_deferred(server, name, r'v@one\.later\.test waiting attempts=[1-9].* last: .*(SERVFAIL|do not answer)')
    finally:
        names.start_nsd()
        names.wait()
    arrived(b, 'v@b.test', seconds=60)
    assert until(lambda: queue_is_empty(server))
    assert len(b.messages('v@b.test')) == 1 and server.messages('u@a.test') == []


def test_no_answer_defers_and_the_mail_arrives_when_the_dns_is_back(server, b, names):
    names.stop_unbound()
    try:
        name = submit(server, ['v@two.later.test'], message())
        wait_deferred(server, name, r'v@two\.later\.test waiting attempts=[1-9]')
    finally:
        names.start_unbound()
        names.wait()
    arrived(b, 'v@b.test', seconds=60)
    assert until(lambda: queue_is_empty(server)) and server.messages('u@a.test') == []


def test_an_answer_that_fails_validation_defers(server, b, postfix):
    postfix.empty()
    name = submit(server, ['v@bogus.test'], message())
    wait_deferred(server, name, r'v@bogus\.test waiting attempts=[1-9].*DNSSEC')
    assert postfix.messages('u') == [] and b.messages('v@b.test') == []


def test_retries_survive_a_restart_and_a_dead_host_is_tried_again(server, b):
    name = submit(server, ['v@down.test'], message())
    wait_deferred(server, name, r'v@down\.test (waiting|trying) attempts=[1-9]')
    server.stop()
    server.start()
    text = server.must('queue', 'list')
    before = int(re.search(r'v@down\.test \w+ attempts=(\d+)', text)[1])
    assert name in text and before >= 1
    assert until(lambda: int(re.search(r'v@down\.test \w+ attempts=(\d+)', server.must('queue', 'list'))[1]) > before)
    assert 'refused' in server.must('queue', 'show', name)
    server.must('queue', 'remove', name)
    assert queue_is_empty(server) and server.messages('u@a.test') == []


def test_mail_for_a_domain_that_does_not_answer_is_put_off_untried(server, names):
    """RFC 5321 §4.5.4.1: "rather than just retrying queued mail items"."""
    count = 30
    with stopped(server, 'relay'):
        for _ in range(count):
            submit(server, ['v@down.test'], message())
        assert server.must('queue', 'list').count('v@down.test trying attempts=0') == count
    assert until(lambda: re.search(r' domain-silent .*\bdomain=down\.test put-off=25\n', server.log())), server.log()[-3000:]
    assert until(lambda: 'attempts=0' not in server.must('queue', 'list'))
    assert server.messages('u@a.test') == []


def test_a_domain_whose_server_swallows_connections_delays_no_other(make_server, net, names, b):
    """Far more messages for it than anything may look at before another domain's turn."""
    c = make_server('c', domain='a.test', hostname='mx.c.test', netns=net.name('c'), settings=settings(names) | {'recipients_per_hour': '0'})
    user, count = c.add_user('u'), 1050
    with network.inside(net.name('fake')), socket.create_server((FAKE, 25), backlog=100), c.smtp('submission') as s:
        assert s.plain(user, PASSWORD).code == 235
        for _ in range(count):
            assert s.send_message(user, ['x@fake.test'], message()).code == 250
        assert s.send_message(user, ['v@b.test'], message()).code == 250
        arrived(b, 'v@b.test')
        waiting = c.must('queue', 'list')
        assert len(re.findall(r'x@fake.test (trying|waiting) attempts=0', waiting)) == count and 'v@b.test' not in waiting
        c.stop()
    # a start that finds so many does not know all of them at once: what is done to one meanwhile counts
    last = re.findall(r'(?m)^([0-9a-z]{26}) ', waiting)[-1]
    c.start()
    c.must('queue', 'remove', last)
    c.must('queue', 'hold', re.findall(r'(?m)^([0-9a-z]{26}) ', waiting)[-2])
    assert until(lambda: c.log().count(' queue-opened ') == 2)
    assert until(lambda: c.must('queue', 'list').endswith('%d messages in the queue\n' % (count - 1)))
    assert c.must('queue', 'list').count(' held\n') == 1
    c.stop()


def test_mail_waits_while_the_other_server_is_down(server, b):
    b.stop()
    name = submit(server, ['v@b.test'], message())
    wait_deferred(server, name, r'v@b\.test (waiting|trying) attempts=[2-9]')
    b.start()
    server.must('queue', 'retry', 'all')
    arrived(b, 'v@b.test')
    assert until(lambda: queue_is_empty(server))
    assert len(b.messages('v@b.test')) == 1


# ---- what is refused for good comes back once ----

def test_an_unknown_user_there_makes_one_readable_bounce(server, b):
    submit(server, ['nobody@b.test'], message())
    one = the_bounce(server, r'5\.1\.1', 'nobody@b.test')
    assert one['Remote-MTA'] == 'dns; mx.b.test' and one['Diagnostic-Code'].startswith('smtp; 550 5.1.1')


def test_those_who_can_be_reached_are_and_the_bounce_names_the_others(server, b):
    submit(server, ['v@b.test', 'nobody@b.test'], message())
    arrived(b, 'v@b.test')
    the_bounce(server, r'5\.1\.1', 'nobody@b.test')


@pytest.mark.parametrize('recipient, status', [('x@null.test', r'5\.1\.10'), ('x@own.test', r'5\.4\.6'), ('x@mx.a.test', r'5\.4\.6'), ('x@loop.test', r'5\.4\.6'), ('x@metadata.test', r'5\.4\.6'),
                                               ('x@aka.own.test', r'5\.4\.6'), ('x@aka6.own.test', r'5\.4\.6'), ('v@best.own.test', r'5\.4\.6'),
                                               ('x@implicit.own.test', r'5\.4\.6'), ('x@[10.99.0.10]', r'5\.4\.6'), ('x@[IPv6:fd99::10]', r'5\.4\.6'),
                                               ('x@nothing.test', r'5\.1\.2'), ('x@doesnotexist.test', r'5\.1\.2'), ('x@[127.0.0.1]', r'5\.4\.6'),
                                               ('x@[10.99.0.20]', r'5\.\d+\.\d+')])
def test_domains_that_take_no_mail_bounce_at_once_and_nobody_is_connected_to(server, recipient, status):
    """Attacks 39 and 40."""
    accepted = server.log().count(' kind=smtp ')
    submit(server, [recipient], message())
    one = the_bounce(server, status, recipient)
    if recipient != 'x@[10.99.0.20]':  # where a server answers
        assert one['Diagnostic-Code'].startswith('X-Carteiro; ')
    assert server.log().count(' kind=smtp ') == accepted  # nothing came in by its own port


@pytest.mark.parametrize('recipient', ['v@third.test', 'v@fourth.test'])
def test_a_better_host_than_ourselves_is_used(server, b, recipient):
    """We are known by our name in the first, by our address only in the second (RFC 5321 §5.1)."""
    submit(server, [recipient], message())
    arrived(b, 'v@b.test')


def test_no_bounce_for_mail_without_a_sender(server, b):
    name = submit(server, ['nobody@b.test'], message(), sender='')
    assert until(lambda: queue_is_empty(server))
    assert until(lambda: 'bounce-of-bounce-dropped' in server.log())
    assert name in server.must('trace', name) and server.messages('u@a.test') == []


def test_a_bounce_that_cannot_be_delivered_ends(server, b, postfix):
    """From a sender that does not exist, by an alias, to a recipient that does not exist."""
    server.must('alias', 'add', 'out@a.test', 'nobody@b.test')
    try:
        before = server.log().count('bounce-of-bounce-dropped')
        assert server.send('out@a.test', message(), 'nobody@p.test').code == 250
        assert until(lambda: server.log().count('bounce-of-bounce-dropped') == before + 1, 30)
        assert until(lambda: queue_is_empty(server))
    finally:
        server.must('alias', 'remove', 'out@a.test')
    assert server.messages('u@a.test') == []


def test_a_forwarding_loop_between_two_servers_ends_with_at_most_one_bounce(server, b):
    server.must('alias', 'add', 'ping@a.test', 'pong@b.test')
    b.must('alias', 'add', 'pong@b.test', 'ping@a.test')
    try:
        submit(server, ['ping@a.test'], message())
        arrived(server, 'u@a.test', seconds=60)
        assert until(lambda: queue_is_empty(server) and queue_is_empty(b))
        (bounce,) = server.messages('u@a.test')
        assert b'5.4.6' in bounce
    finally:
        server.must('alias', 'remove', 'ping@a.test')
        b.must('alias', 'remove', 'pong@b.test')


def test_a_remote_server_is_not_asked_for_unknown_users_here(server, b):
    with server.smtp('submission') as s:
        s.plain('u@a.test', PASSWORD)
        s.command('MAIL FROM:<u@a.test>')
        assert s.command('RCPT TO:<nobody@a.test>').code == 550


# ---- servers that can less ----

TEXT = 'Olá, ação e coração — 郵便\r\n.\r\n.dots\r\n' * 30
TYPE = b'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n'


def test_eight_bit_text_arrives_as_seven_bit_where_it_must(server, postfix):
    postfix.empty()
    submit(server, ['u@p7.test'], message(TEXT.encode(), TYPE), options=' BODY=8BITMIME')
    assert until(lambda: postfix.messages('u7')), server.must('queue', 'list')
    (raw,) = postfix.messages('u7')
    assert raw.isascii()
    got = email.message_from_bytes(raw)
    assert got['Content-Transfer-Encoding'] in ('quoted-printable', 'base64')
    assert got.get_payload(decode=True).replace(b'\r\n', b'\n') == TEXT.encode().replace(b'\r\n', b'\n')


def test_eight_bit_parts_arrive_as_seven_bit_and_others_are_not_touched(server, postfix):
    postfix.empty()
    inner = b'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n' + TEXT.encode()
    what = (b'--m\r\n' + inner + b'--m\r\nContent-Type: multipart/alternative; boundary=n\r\n\r\n--n\r\n' + inner + b'--n--\r\n'
            b'--m\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--m--\r\n')
    submit(server, ['u@p7.test'], message(what, b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n'), options=' BODY=8BITMIME')
    assert until(lambda: postfix.messages('u7'))
    (raw,) = postfix.messages('u7')
    assert raw.isascii() and b'\n\nAAEC\n--m--' in raw
    texts = [part.get_payload(decode=True).replace(b'\r\n', b'\n').rstrip() for part in email.message_from_bytes(raw).walk() if part.get_content_type() == 'text/plain']
    assert texts == [TEXT.encode().replace(b'\r\n', b'\n').rstrip()] * 2


def test_eight_bit_text_stays_as_it_is_where_it_may(server, b):
    what = message(TEXT.encode(), TYPE)
    submit(server, ['v@b.test'], what, options=' BODY=8BITMIME')
    assert strip_trace(arrived(b, 'v@b.test')[0]) == what


def test_utf8_addresses_go_where_they_may_and_bounce_where_they_may_not(server, b):
    b.must('alias', 'add', 'ção@b.test', 'v@b.test')
    submit(server, ['ção@b.test'], message('corpo\r\n'.encode(), 'X-Olá: é\r\n'.encode()), options=' SMTPUTF8 BODY=8BITMIME')
    arrived(b, 'v@b.test')
    b.must('alias', 'remove', 'ção@b.test')


def test_a_utf8_address_bounces_where_the_server_knows_none(server, postfix):
    submit(server, ['çã@p7.test'], message(), options=' SMTPUTF8')
    assert until(lambda: server.messages('u@a.test'))
    (raw,) = server.messages('u@a.test')
    assert b'5.6.7' in raw


# ---- a server that means ill ----


def test_what_was_held_beyond_its_lifetime_is_tried_once_it_is_released(server, b):
    b.stop()
    name = submit(server, ['v@b.test'], message())
    assert until(lambda: 'attempts=1' in server.must('queue', 'show', name), 20)
    server.must('queue', 'hold', name)
    assert server.must('queue', 'retry', 'all').startswith('0 ')
    server.configure(queue_lifetime='1s')
    server.must('reload')
    try:
        time.sleep(1.5)
        b.start()
        assert name in server.must('queue', 'list')
        assert server.must('queue', 'release', name).startswith('1 ')
        assert arrived(b, 'v@b.test') and server.messages('u@a.test') == []
    finally:
        server.configure(queue_lifetime='5d')
        server.must('reload')
