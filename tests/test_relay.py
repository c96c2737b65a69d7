"""Servers that misbehave, and processes of ours that end while a message is on its way to one."""
import contextlib
import os
import re
import signal
import ssl
import threading

import pytest

from conftest import until
from hosts import (b, everything_is_empty, fake_server, greet, message, names, net, postfix, queue_is_empty,
                   read_line, read_message, server, stopped, submit, take_message)  # noqa: F401


def test_replies_put_before_tls_are_not_believed(server, net):
    """What was said in the clear behind the 220 must not become the answer to a command inside TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.data / 'keys/tls.crt', server.data / 'keys/tls.key')

    def session(client):
        client.sendall(b'220 mx.fake.test ESMTP\r\n')
        read_line(client)
        client.sendall(b'250-mx.fake.test\r\n250 STARTTLS\r\n')
        if not read_line(client).startswith(b'STARTTLS'):
            return 'no STARTTLS'
        client.sendall(b'220 go\r\n250 injected\r\n')
        inside = context.wrap_socket(client, server_side=True)
        hello = read_line(inside)
        inside.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            return 'believed: %r' % inside.recv(100)  # it goes on before it was answered
        inside.settimeout(10)
        inside.sendall(b'250 mx.fake.test\r\n')
        assert hello.startswith(b'EHLO')
        return take_message(inside)
    with fake_server(net, session) as said:
        name = submit(server, ['x@fake.test'], message())
        assert until(lambda: said or 'attempts=1' in server.must('queue', 'list'))
        server.command('queue', 'remove', name)
        assert not any(isinstance(s, str) and s.startswith('believed') for s in said), said


@pytest.mark.parametrize('text', [b'a\r\n.\r\nMAIL FROM:<x@x>\r\n', b'..\r\n.\r\n', b'.', b'.\r\n', b'\r\n.\r\n\r\n', b'x.\r\n.x\r\n'])
def test_outgoing_text_is_dot_stuffed(server, net, text):
    def session(client):
        greet(client)
        return take_message(client)
    what = message(text)
    with fake_server(net, session) as said:
        submit(server, ['x@fake.test'], what)
        assert until(lambda: said)
        assert until(lambda: queue_is_empty(server))
    (data,) = said
    whole = what if what.endswith(b'\r\n') else what + b'\r\n'
    assert data.endswith(b'\r\n' + re.sub(rb'(?m)^\.', b'..', whole) + b'.\r\n')


@pytest.mark.parametrize('replies, outcome', [
    ([b'421 4.3.2 closing\r\n'], 'waiting'), ([b'554 5.7.1 go away\r\n'], '(waiting|bounce)'), ([b'220 x\r\n', b'250 x\r\n', b'451 4.7.1 greylisted\r\n'], 'waiting'),
    ([b'220 x\r\n', b'250 x\r\n', b'550 5.7.1 no\r\n'], 'bounce'), ([b'garbage\r\n'], 'waiting'), ([b''], 'waiting'), ([b'220 ' + b'x' * 100000 + b'\r\n'], 'waiting'),
    ([b'220-x\r\n' * 100000], 'waiting'), ([b'220 x\r\n', b'250 x\r\n', b'250 ok\r\n', b'452 4.2.2 full\r\n'], 'waiting'),
    ([b'220 x\r\n', b'250 x\r\n', b'250 ok\r\n', b'550 5.1.1 \xff\x1b[2J unknown\r\n'], 'bounce')], ids=range(10))
def test_every_answer_of_a_server_is_understood(server, net, replies, outcome):
    def session(client):
        for n, reply in enumerate(replies):
            if n:
                read_line(client)
            client.sendall(reply)
        if not reply:
            return 'closed'
        with contextlib.suppress(OSError, EOFError):
            while True:
                read_line(client)
                client.sendall(b'503 5.5.1 no more\r\n')
        return 'end'
    with fake_server(net, session):
        name = submit(server, ['x@fake.test'], message())

        def is_decided():
            return server.messages('u@a.test') or re.search(r'x@fake\.test waiting attempts=[1-9]', server.must('queue', 'list'))
        assert until(is_decided, 30)
        found = 'bounce' if server.messages('u@a.test') else 'waiting'
        server.command('queue', 'remove', name)
        assert re.fullmatch(outcome, found)
        assert '\x1b' not in server.log()


# ---- processes that end between the final dot and the queue's knowledge of the answer ----

class SlowReceiver:
    """Sessions that take a message and answer it when they are told to, the last of the answers again and again: `got` are the
    messages, as they came."""

    def __init__(self, *answers):
        self.answers, self.got = list(answers), []
        self.has_message, self.may_answer, self.has_answered = threading.Event(), threading.Event(), False

    def session(self, client):
        greet(client)
        self.got.append(read_message(client))
        self.has_message.set()
        assert self.may_answer.wait(60)
        client.sendall((self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]) + b'\r\n')
        self.has_answered = True
        read_line(client)  # QUIT


@contextlib.contextmanager
def stopped_then_killed(server, role):
    """What is said to the process meanwhile it has never heard."""
    with stopped(server, role) as pid:
        yield
        server.killed.add(pid)
        os.kill(pid, signal.SIGKILL)


def ends_once(server, receiver, answer):
    """The message has been sent once, and the sender knows of a refusal, once."""
    assert until(lambda: queue_is_empty(server)), server.must('queue', 'list')
    assert len(receiver.got) == 1
    bounces = server.messages('u@a.test')
    assert len(bounces) == (answer.startswith(b'5')) and all(b'no thanks' in bounce for bounce in bounces)


TAKEN, REFUSED, PUT_OFF = b'250 2.0.0 taken', b'554 5.7.1 no thanks', b'451 4.3.0 not now'


def kill_store_and_wait(server):
    """Until the new store has given the message to relay again."""
    server.kill_role('store')
    server.wait_all_running()
    assert until(lambda: 'x@fake.test trying' in server.must('queue', 'list')), server.must('queue', 'list')


@pytest.mark.parametrize('answer, deaths', [(TAKEN, 1), (TAKEN, 2), (REFUSED, 1)])
def test_a_message_is_sent_once_though_store_dies_while_its_answer_is_waited_for(server, net, answer, deaths):
    receiver = SlowReceiver(answer)
    with fake_server(net, receiver.session):
        submit(server, ['x@fake.test'], message())
        assert receiver.has_message.wait(20)
        for _ in range(deaths):
            kill_store_and_wait(server)
        receiver.may_answer.set()
        ends_once(server, receiver, answer)


def test_a_message_that_is_put_off_after_store_has_died_is_sent_again_later(server, net):
    receiver = SlowReceiver(PUT_OFF, TAKEN)
    with fake_server(net, receiver.session):
        submit(server, ['x@fake.test'], message())
        assert receiver.has_message.wait(20)
        kill_store_and_wait(server)
        receiver.may_answer.set()
        assert until(lambda: queue_is_empty(server)), server.must('queue', 'list')
        assert len(receiver.got) == 2
    assert re.search(r' result-known .*\bto=x@fake\.test outcome=later ', server.log())  # which counted as a try
    assert server.messages('u@a.test') == []


@pytest.mark.parametrize('answer', [TAKEN, REFUSED])
def test_a_message_is_sent_once_though_store_dies_before_it_has_written_the_answer(server, net, answer):
    receiver = SlowReceiver(answer)
    with fake_server(net, receiver.session):
        name = submit(server, ['x@fake.test'], message())
        assert receiver.has_message.wait(20)
        with stopped_then_killed(server, 'store'):
            receiver.may_answer.set()
            assert until(lambda: re.search(r' relayed .*\bid=%s ' % name, server.log())), server.log()[-2000:]
        server.wait_all_running()
        ends_once(server, receiver, answer)


def test_a_message_is_not_lost_though_relay_dies_before_it_has_told_the_answer(server, net):
    """Twice is what nothing can exclude here (RFC 1047); lost is what RFC 5321 §6.1 forbids."""
    receiver = SlowReceiver(TAKEN)
    with fake_server(net, receiver.session):
        submit(server, ['x@fake.test'], message())
        assert receiver.has_message.wait(20)
        with stopped_then_killed(server, 'relay'):
            receiver.may_answer.set()
            assert until(lambda: receiver.has_answered)
        assert until(lambda: queue_is_empty(server), 30), server.must('queue', 'list')
        assert 1 <= len(receiver.got) <= 2 and len(set(receiver.got)) == 1
    assert server.messages('u@a.test') == []


def test_trace_says_what_to_do_about_a_large_receivers_refusal(server, net):
    def session(client):
        greet(client)
        read_line(client)
        client.sendall(b'550-5.7.26 This mail has been blocked because the sender is unauthenticated.\r\n550 5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.\r\n')
        return True
    with fake_server(net, session):
        name = submit(server, ['x@fake.test'], message())
        assert until(lambda: 'what to do: ' in server.must('trace', name)), server.must('trace', name)
    shown = server.must('trace', name)
    assert '550 5.7.26' in shown and '`carteiro dkim records` shows' in shown
