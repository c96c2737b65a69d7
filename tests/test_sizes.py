"""A message of any size comes back as it was sent: around the borders at which it is kept in another way."""
import pytest

from conftest import strip_trace

KIB = 1024
SIZES = [0, 1, 29 * KIB, 30 * KIB, 30 * KIB + 1, 47 * KIB, 63 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 65 * KIB, 127 * KIB,
         128 * KIB, 128 * KIB + 1, 256 * KIB, 1024 * KIB + 3]


def message_of(size):
    header = b'From: a@remote.example\r\nSubject: %d\r\n\r\n' % size
    line = b'0123456789' * 7 + b'\r\n'
    body = (line * (size // len(line) + 1))[:size]
    # the last line ends as every line does, and no bare CR is left by the cut
    return header + body.rstrip(b'\r\n') + b'\r\n'


@pytest.fixture(scope='module')
def server(make_server):
    made = make_server()
    made.add_user('sizes')
    made.add_user('sizes2')
    return made


@pytest.mark.parametrize('recipients', [1, 2])
def test_every_size_comes_back_as_it_was_sent(server, recipients):
    users = ['sizes', 'sizes2'][:recipients]
    for size in SIZES:
        sent = message_of(size)
        with server.smtp() as client:
            addresses = ['%s@example.test' % user for user in users]
            assert client.send_message('a@remote.example', addresses, sent).code == 250
    for user in users:
        got = {strip_trace(m) for m in server.messages('%s@example.test' % user)}
        assert {message_of(size) for size in SIZES} <= got
