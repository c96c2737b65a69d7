"""Clients that say exactly what a test tells them to: sockets, lines, and nothing clever."""
import re
import socket
import ssl

DEADLINE = 20.0


def loose_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Line:
    """A connection that is read line by line."""

    def __init__(self, port, host='127.0.0.1', tls=False, source=None, first=b''):
        """first: what a proxy says before everything else."""
        self.socket = socket.create_connection((host, port), DEADLINE, source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(first)
        if tls:
            self.socket = loose_tls().wrap_socket(self.socket)
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def line(self):
        """A line without its end; EOFError at the connection's end."""
        while b'\n' not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(self.buffer)
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        assert line.endswith(b'\r'), ('a line that does not end with CR LF', line)
        return line[:-1]

    def exactly(self, count):
        parts, have = [self.buffer], len(self.buffer)
        while have < count:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError(b''.join(parts)[-100:])
            parts.append(data)
            have += len(data)
        all_of_it = b''.join(parts)
        self.buffer = all_of_it[count:]
        return all_of_it[:count]

    def rest(self):
        """Everything up to the connection's end, however it ends."""
        data = self.buffer
        self.buffer = b''
        try:
            while True:
                more = self.socket.recv(65536)
                if not more:
                    return data
                data += more
        except (ConnectionError, ssl.SSLError):
            return data

    def is_silent(self, seconds=0.2):
        """Whether nothing comes for a moment."""
        if self.buffer:
            return False
        self.socket.settimeout(seconds)
        try:
            # recv and not select: below TLS, session tickets come that say nothing
            self.buffer = self.socket.recv(65536)
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(DEADLINE)

    def is_closed(self):
        """Whether the other side has ended, after what it still said."""
        self.rest()
        return True

    def start_tls(self):
        assert not self.buffer, ('said before TLS', self.buffer)
        self.socket = loose_tls().wrap_socket(self.socket)


class Reply(str):
    """An SMTP reply's last line; .code, and .lines with all of them."""
    code = 0
    lines = ()


class Smtp(Line):
    def __init__(self, port, host='127.0.0.1', hello=True, is_lmtp=False, tls=False, source=None, first=b''):
        super().__init__(port, host, tls, source, first)
        self.is_lmtp = is_lmtp
        self.greeting = self.reply()
        assert self.greeting.code == 220, self.greeting
        self.keywords = {}
        if hello:
            self.hello()

    def hello(self, name='client.example'):
        reply = self.command(('LHLO ' if self.is_lmtp else 'EHLO ') + name)
        assert reply.code == 250, reply
        self.keywords = dict(((line[4:].split(' ', 1) + [''])[:2]) for line in reply.lines[1:])
        return reply

    def reply(self):
        lines = []
        while True:
            line = self.line().decode('utf-8', 'replace')
            assert re.match(r'[2345]\d\d[ -]', line), line
            lines.append(line)
            if line[3] == ' ':
                break
        reply = Reply(lines[-1])
        reply.code, reply.lines = int(line[:3]), lines
        return reply

    def command(self, line):
        self.send((line.encode() if isinstance(line, str) else line) + b'\r\n')
        return self.reply()

    def tls(self):
        reply = self.command('STARTTLS')
        assert reply.code == 220, reply
        self.start_tls()
        self.hello()

    def plain(self, user, password):
        import base64
        return self.command('AUTH PLAIN ' + base64.b64encode(('\0%s\0%s' % (user, password)).encode()).decode())

    def data(self, message):
        """DATA and a message, dot-stuffed; the replies' first."""
        reply = self.command('DATA')
        if reply.code != 354:
            return reply
        if message and not message.endswith(b'\r\n'):
            message += b'\r\n'
        self.send(re.sub(rb'(?m)^\.', b'..', message) + b'.\r\n')
        return self.reply()

    def send_message(self, sender, recipients, message, options=''):
        reply = self.command('MAIL FROM:<%s>%s' % (sender, options))
        for recipient in recipients:
            if reply.code == 250:
                reply = self.command('RCPT TO:<%s>' % recipient)
        return self.data(message) if reply.code == 250 else reply


class Pop3(Line):
    def __init__(self, port, user=None, password=None, host='127.0.0.1', tls=False, source=None, utf8=False):
        super().__init__(port, host, tls, source)
        self.greeting = self.line()
        assert self.greeting.startswith(b'+OK'), self.greeting
        if utf8:
            self.ok('UTF8')
        if user:
            self.ok('USER ' + user)
            self.ok('PASS ' + password)

    def command(self, line):
        self.send((line.encode() if isinstance(line, str) else line) + b'\r\n')
        return self.line().decode()

    def ok(self, line):
        reply = self.command(line)
        assert reply.startswith('+OK'), (line, reply)
        return reply

    def error(self, line):
        reply = self.command(line)
        assert reply.startswith('-ERR'), (line, reply)
        return reply

    def many(self, line):
        """The lines of a reply of many lines, without their dots."""
        self.ok(line)
        lines = []
        while True:
            one = self.line()
            if one == b'.':
                return lines
            lines.append(one[1:] if one.startswith(b'.') else one)

    def count(self):
        return int(self.ok('STAT').split()[1])

    def message(self, number):
        """RETR; found by searching, not line by line: messages may be large."""
        self.ok('RETR %d' % number)
        data = bytearray(self.buffer)
        looked = 0
        while True:
            end = 0 if data.startswith(b'.\r\n') else data.find(b'\r\n.\r\n', max(0, looked - 4)) + 2
            if end != 1:
                break
            looked = len(data)
            more = self.socket.recv(1 << 20)
            if not more:
                raise EOFError
            data += more
        self.buffer = bytes(data[end + 3:])
        return re.sub(rb'(?m)^\.', b'', bytes(data[:end]))

    def all_messages(self):
        return [self.message(number) for number in range(1, self.count() + 1)]


class Imap(Line):
    """Each command's untagged replies as bytes, with their literals in place; the tagged reply's text."""

    def __init__(self, port, user=None, password=None, host='127.0.0.1', tls=False, source=None):
        super().__init__(port, host, tls, source)
        self.tag = 0
        self.untagged = []
        self.greeting = self.line()
        assert self.greeting.startswith(b'* '), self.greeting
        if user:
            self.ok('LOGIN "%s" "%s"' % (user, password))

    def response(self):
        """One response with its literals: `... {3}` CR LF `abc` ..."""
        whole = self.line()
        while True:
            match = re.search(rb'\{(\d+)\}$', whole)
            if not match:
                return whole
            whole += b'\r\n' + self.exactly(int(match[1])) + self.line()

    def send_command(self, line):
        self.tag += 1
        tag = b't%d' % self.tag
        self.send(tag + b' ' + (line.encode() if isinstance(line, str) else line) + b'\r\n')
        return tag

    def result(self, tag):
        self.untagged = []
        while True:
            response = self.response()
            if response.startswith(tag + b' '):
                return response[len(tag) + 1:].decode('utf-8', 'replace')
            self.untagged.append(response)
            if response.startswith(b'* BYE') and tag is None:
                return ''

    def command(self, line):
        return self.result(self.send_command(line))

    def ok(self, line):
        reply = self.command(line)
        assert reply.startswith('OK'), (line, reply)
        return self.untagged

    def no(self, line):
        reply = self.command(line)
        assert reply.startswith('NO'), (line, reply)
        return reply

    def bad(self, line):
        reply = self.command(line)
        assert reply.startswith('BAD'), (line, reply)
        return reply

    def append(self, mailbox, message, flags='', date=''):
        """APPEND with a synchronising literal; the tagged reply."""
        tag = self.send_command('APPEND "%s" %s%s{%d}' % (mailbox, flags and flags + ' ', date and '"%s" ' % date, len(message)))
        reply = self.response()
        if not reply.startswith(b'+'):
            return reply[len(tag) + 1:].decode()
        self.send(message + b'\r\n')
        return self.result(tag)

    def bodies(self, mailbox='INBOX'):
        """All messages of a mailbox, in order."""
        self.ok('EXAMINE "%s"' % mailbox)
        return self.fetch_bodies('1:*') if any(re.match(rb'\* [1-9]\d* EXISTS', r) for r in self.untagged) else []

    def fetch_bodies(self, numbers):
        bodies = []
        for response in self.ok('FETCH %s (BODY.PEEK[])' % numbers):
            match = re.search(rb'BODY\[\] \{(\d+)\}\r\n', response)
            if match:
                bodies.append(response[match.end():match.end() + int(match[1])])
        return bodies
