"""`carteiro verify`: all is proved while the server runs; what is damaged is named, set aside, and never served as if it were whole."""
import os
import re

import pytest

from conftest import SMALL, US, until


@pytest.fixture(scope='module')
def server(make_server):
    return make_server(users=['v'])


def text(n, size=0):
    return b'Subject: needle%05d\r\n\r\nnumber %d\r\n' % (n, n) + b'x' * 76 + b'\r\n' * (size // 2)


def noise(n):
    """A message that nothing makes shorter."""
    return b'Subject: %d\r\n\r\n' % n + bytes(b for b in os.urandom(20000) if b not in b'\0\r\n') + b'\r\n'


def flip(server, needle):
    """Changes a byte behind that text, wherever the store keeps it uncompressed; how often."""
    count = 0
    for path in sorted((server.folder / 'data').rglob('*')):
        if not path.is_file():
            continue
        data = path.read_bytes()
        at = data.find(needle)
        while at >= 0:
            with open(path, 'r+b') as f:
                f.seek(at + len(needle) - 1)
                f.write(bytes([data[at + len(needle) - 1] ^ 1]))
            count += 1
            at = data.find(needle, at + 1)
    return count


def test_all_is_well(server, i):
    for n in range(20):
        i.append('INBOX', text(n))
    i.append('Archive', text(100, 400000))
    i.ok('SELECT INBOX')
    i.ok('STORE 1:5 +FLAGS (\\Deleted \\Seen)')
    i.ok('COPY 3:9 Trash')
    i.ok('EXPUNGE')
    done = server.command('verify', US)
    assert done.returncode == 0 and re.match(r'1 account, 23 messages, \d+ bytes: 0 faults$', done.stdout.strip()), done
    done = server.command('verify', '--repair')
    assert done.returncode == 0 and re.match(r'3 accounts, 23 messages, \d+ bytes: 0 faults, 0 mended$', done.stdout.strip()), done
    for words, code in ((('nobody@example.test',), 67), (('--all',), 64), ((US, 'v@example.test', 'x'), 64)):
        assert server.command('verify', *words).returncode == code


def test_it_goes_on_beside_deliveries(server, i):
    for n in range(300):
        i.append('INBOX', text(n))
    with server.imap(US) as other:
        other.ok('SELECT INBOX')
        for n in range(10):
            tag = other.send_command('APPEND INBOX {%d+}' % len(text(n)))
            other.send(text(n) + b'\r\n')
            done = server.command('verify', US)
            assert done.returncode == 0, done.stdout
            assert other.result(tag).startswith('OK')
            other.ok('STORE %d +FLAGS (\\Deleted)' % (n + 1))
            other.ok('EXPUNGE')


def test_a_damaged_message_is_named_and_set_aside(make_server):
    server = make_server('hurt', users=['u'])
    messages = [noise(n) for n in range(5)]
    with server.imap(US) as i:
        for message in messages:
            i.append('INBOX', message)
    server.stop()
    server.start()  # what was in the log alone is written to where it stays
    server.stop()
    assert flip(server, messages[2][5000:5040])
    server.start()
    done = server.command('verify')
    assert done.returncode == 1 and re.search(r'^u@example.test: mailbox "INBOX", UID 3 is damaged: ', done.stdout, re.M), done
    assert '5 messages' in done.stdout and ': 1 fault\n' in done.stdout
    with server.imap(US) as i:
        i.ok('SELECT INBOX')
        assert i.fetch_bodies('1:2') == messages[:2]
    done = server.command('verify', '--repair', US)
    assert done.returncode == 0 and ': 1 fault, 1 mended\n' in done.stdout, done
    with server.imap(US) as i:
        i.ok('SELECT INBOX')
        assert [re.search(rb'UID (\d+)', r)[1] for r in i.ok('FETCH 1:* (UID)')] == [b'1', b'2', b'4', b'5']
        assert i.fetch_bodies('1:4') == messages[:2] + messages[3:]
        assert b'MESSAGES 1' in i.ok('STATUS "Damaged messages" (MESSAGES)')[0]
    assert server.command('verify', US).returncode == 1  # it is still damaged, where it lies now
