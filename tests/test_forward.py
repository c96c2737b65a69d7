"""Aliases that lead to other servers: the sender that such mail leaves with, and what comes back to it."""
import re

import pytest

from conftest import PASSWORD, until
from hosts import (b, everything_is_empty, fake_server, greet, message, names, net, queue_is_empty, read_line, server)  # noqa: F401


@pytest.fixture(autouse=True)
def alias(server):
    server.must('alias', 'add', 'far@a.test', 'y@fake.test')
    yield
    server.must('alias', 'remove', 'far@a.test')


def taking(refused=()):
    """A session of fake.test that gives (MAIL's line, RCPT's line, message); recipients in `refused` get 550."""
    def session(client):
        greet(client)
        mail = rcpt = ''
        while True:
            line = read_line(client).decode().strip()
            if line.startswith('MAIL'):
                mail = line
            elif line.startswith('RCPT'):
                rcpt = line
                if any(name in line for name in refused):
                    client.sendall(b'550 5.1.1 nobody\r\n')
                    continue
            elif line.startswith('DATA'):
                break
            elif line.startswith('QUIT'):
                return mail, rcpt, None
            client.sendall(b'250 2.0.0 ok\r\n')
        client.sendall(b'354 go\r\n')
        data = b''
        while not data.endswith(b'\r\n.\r\n'):
            data += client.recv(65536)
        client.sendall(b'250 2.0.0 taken\r\n')
        return mail, rcpt, data
    return session


def hand_over(server, sender, recipient):
    with server.smtp() as s:
        return s.send_message(sender, [recipient], message())


def test_mail_of_strangers_leaves_with_a_sender_of_ours_and_bounces_find_them(server, net):
    with fake_server(net, taking()) as said:
        assert hand_over(server, 'x@fake.test', 'far@a.test').code == 250
        assert until(lambda: said and queue_is_empty(server))
    (mail, rcpt, _), = said
    sender = re.search(r'<(SRS0=[a-z2-7]{6}=[a-z2-7]{2}=fake\.test=x@a\.test)>', mail)
    assert sender and 'y@fake.test' in rcpt, mail
    with fake_server(net, taking()) as said:
        assert hand_over(server, '', sender[1].upper()).code == 250
        assert until(lambda: said and queue_is_empty(server))
    (mail, rcpt, _), = said
    assert mail.startswith('MAIL FROM:<>') and '<X@FAKE.TEST>' in rcpt.upper()


@pytest.mark.parametrize('address', ['SRS0=aaaaaa=bb=fake.test=x@a.test', 'SRS0=x@a.test', 'SRS1=aaaaaa=fake.test==x=y=z=w@a.test'])
def test_nobody_else_makes_such_addresses(server, address):
    assert hand_over(server, '', address).code == 550


def test_what_cannot_be_delivered_there_comes_back_to_the_first_sender(server, net):
    with fake_server(net, taking(refused=['y@'])) as said:
        assert hand_over(server, 'x@fake.test', 'far@a.test').code == 250
        assert until(lambda: any(data for _, _, data in said) and queue_is_empty(server), 20)
    mail, rcpt, data = [one for one in said if one[2]][0]
    assert mail.startswith('MAIL FROM:<>') and '<x@fake.test>' in rcpt and b'y@fake.test' in data


def test_our_own_users_stay_the_senders(server, net):
    with fake_server(net, taking()) as said:
        with server.smtp('submission') as s:
            assert s.plain('u@a.test', PASSWORD).code == 235
            assert s.send_message('u@a.test', ['far@a.test', 'z@fake.test'], message()).code == 250
        assert until(lambda: said and queue_is_empty(server))
    assert said and all('<u@a.test>' in mail for mail, _, _ in said)


def test_one_message_has_a_sender_for_each_way(server, net):
    """What a user elsewhere sends to an alias of ours, over a restart: the rewritten sender comes from the queue's record."""
    assert hand_over(server, 'x@fake.test', 'far@a.test').code == 250
    assert until(lambda: 'attempts=1' in server.must('queue', 'list'))
    server.stop()
    server.start()
    with fake_server(net, taking()) as said:
        server.must('queue', 'retry', 'all')
        assert until(lambda: said and queue_is_empty(server))
    assert '<SRS0=' in said[0][0]
