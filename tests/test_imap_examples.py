"""The examples of IMAP's RFCs, played: each file of suites/imap_examples is one RFC, each heading in it one of its conversations, with the
client's lines as they stand there. What a server may say otherwise (numbers, texts, the order of a list) is written as ours says it.

    == 3.1.3 STORE UNCHANGEDSINCE     begins a conversation, with a mailbox as new
    > APPEND INBOX (\\Seen) a subject  what must have been before: a message (letter() below), or any command; another session says it
    C: a1 NOOP                        the client says this line; C2: is another client of the same account, C3: is one of v@example.test
    S: a1 OK ...                      the server says this line next: "..." is any text, and alone any lines; <name> is a word, the same one wherever it
                                      stands, in the client's lines too; S2: and S3: go to the other clients

A client logs in by itself unless its first line is before that: a conversation under a heading with "(no login)" starts with the greeting read."""
import pathlib
import re

import pytest

from conftest import PASSWORD, US

FOLDER = pathlib.Path(__file__).parent / 'suites' / 'imap_examples'
THEM = 'v@example.test'


def conversations():
    """(RFC and heading, lines) of each."""
    for path in sorted(FOLDER.glob('*.txt')):
        for part in re.split(r'^== ', path.read_text(), flags=re.M)[1:]:
            heading, _, lines = part.partition('\n')
            yield pytest.param(heading, [line for line in lines.split('\n') if line and not line.startswith('#')], id='%s %s' % (path.stem, heading))


def letter(subject):
    """The message of the RFC's scene does not matter, but for its size: it has one text, and the subject that is asked for."""
    return ('From: Fred Foobar <foobar@blurdybloop.example>\r\nTo: u@example.test\r\nSubject: %s\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n'
            'Message-ID: <%d.%s@blurdybloop.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n'
            'Hello Joe, do you think we can meet at 3:30 tomorrow?\r\n' % (subject, len(subject), re.sub(r'\W', '-', subject))).encode()


class Play:
    def __init__(self, server, heading):
        self.server, self.heading, self.clients, self.words = server, heading, {}, {}
        self.stage = server.imap(US)

    def client(self, number):
        if number not in self.clients:
            session = self.server.imap()
            if '(no login)' not in self.heading:
                session.ok('LOGIN "%s" "%s"' % (THEM if number == '3' else US, PASSWORD))
            self.clients[number] = session
        return self.clients[number]

    def prepare(self, line):
        match = re.match(r'APPEND (\S+) (\([^)]*\)) (.*)$', line)
        if match:
            assert self.stage.append(match[1], letter(match[3]), match[2]).startswith('OK'), line
        else:
            self.stage.ok(line)

    def say(self, number, line):
        said = re.sub(r'<(\w+)>', lambda m: self.words.get(m[1], m[0]), line)
        self.client(number).send(said.encode() + b'\r\n')

    def pattern(self, line):
        """Of a line of the server; words that are not known yet are groups."""
        text = ''
        for piece in re.split(r'(\.\.\.|<\w+>)', line):
            name = piece[1:-1]
            if piece == '...':
                text += '.*'
            elif piece.startswith('<') and piece.endswith('>') and name in self.words:
                text += re.escape(self.words[name])
            elif piece.startswith('<') and piece.endswith('>') and '(?P<%s>' % name in text:
                text += '(?P=%s)' % name
            elif piece.startswith('<') and piece.endswith('>'):
                text += r'(?P<%s>[^\s()\]]+)' % name
            else:
                text += re.escape(piece)
        return re.compile(text + r'\Z', re.S)

    def hear(self, number, line, skips):
        """The server's next line is this one; skips: or one that comes later."""
        pattern, heard = self.pattern(line), []
        while True:
            heard.append(self.client(number).line().decode('utf-8', 'surrogateescape'))
            match = pattern.match(heard[-1])
            if match:
                self.words.update(match.groupdict())
                return
            is_tagged = re.match(r'\S+ (OK|NO|BAD) ', heard[-1]) and not heard[-1].startswith('* ')
            assert skips and not is_tagged, 'expected: %s\nheard: %s' % (line, '\n       '.join(heard))

    def play(self, lines):
        skips = {}
        for line in lines:
            match = re.match(r'(>|[CS](\d?):) ?(.*)$', line)
            assert match, 'not a line of a conversation: ' + line
            kind, number, rest = match[1][0], match[2] or '', match[3]
            if kind == '>':
                self.prepare(rest)
            elif kind == 'C':
                self.say(number, rest)
            elif rest == '...':
                skips[number] = True
            else:
                self.hear(number, rest, skips.pop(number, False))

    def close(self):
        for session in [self.stage, *self.clients.values()]:
            session.close()


@pytest.fixture(scope='module')
def server(make_server):
    server = make_server()
    server.add_user('v')
    return server


@pytest.mark.parametrize('heading,lines', conversations())
def test_the_example_goes_as_in_the_rfc(server, i, heading, lines):
    play = Play(server, heading)
    try:
        play.play(lines)
    finally:
        play.close()


def test_each_line_of_a_conversation_counts(server, i):
    """The player itself: it takes no other line for the one that is expected."""
    for lines in (['C: a1 NOOP', 'S: a1 NO ...'], ['C: a1 NOOP', 'S: * 1 EXISTS', 'S: a1 OK ...'], ['C: a1 NOOP', 'S: ...', 'S: a2 OK ...']):
        play = Play(server, '')
        with pytest.raises(AssertionError):
            play.play(lines)
        play.close()
