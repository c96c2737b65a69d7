"""The messages that every way in and out must keep byte for byte. Each is made here, the same in every run.

Lines end with CR LF; `needs` says what the client must announce: '8' BODY=8BITMIME, 'u' SMTPUTF8."""
import base64
import random

FRONT = b'From: Ana <ana@remote.example>\r\nTo: <u@example.test>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n'


class Message:
    def __init__(self, name, head, body, needs=''):
        self.name, self.needs = name, needs
        self.bytes = FRONT + b'Message-ID: <%s@corpus.example>\r\n' % name.encode() + head + (b'\r\n' + body if body is not None else b'')

    @property
    def options(self):
        return (' BODY=8BITMIME' if self.needs else '') + (' SMTPUTF8' if 'u' in self.needs else '')

    def __repr__(self):
        return self.name


def base64_lines(data):
    text = base64.b64encode(data)
    return b'\r\n'.join(text[i:i + 76] for i in range(0, len(text), 76)) + b'\r\n'


def nested(depth):
    """multipart/mixed in each other, each with a message/rfc822 that holds one more."""
    if depth == 0:
        return b'Content-Type: text/plain\r\n\r\nthe innermost\r\n'
    mark = b'level-%d' % depth
    return (b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\npreamble %d\r\n--%s\r\nContent-Type: text/plain\r\n\r\npart\r\n--%s\r\n'
            b'Content-Type: message/rfc822\r\n\r\nSubject: inner %d\r\nMIME-Version: 1.0\r\n%s--%s--\r\nepilogue\r\n') % (
                mark, depth, mark, mark, depth, nested(depth - 1), mark)


def small():
    text = b'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n'
    head, body = nested(6).split(b'\r\n\r\n', 1)
    return [
        Message('plain', b'Subject: plain\r\n', b'One line.\r\n'),
        Message('eight-bit', b'Subject: 8\r\n' + text, 'Olá, carteiro: ação, coração, 郵便\r\n'.encode() * 20, '8'),
        Message('latin-one', b'Subject: l1\r\n' + text.replace(b'utf-8', b'iso-8859-1'), b'ol\xe1, a\xe7\xe3o \x80\xff\r\n', '8'),
        Message('utf8-header', 'Subject: Olá, 世界\r\nX-Name: João\r\n'.encode() + text, 'corpo\r\n'.encode(), 'u'),
        Message('line-998', b'Subject: 998\r\n', b'a' * 998 + b'\r\n' + b'b' * 998 + b'\r\n'),
        Message('dots', b'Subject: dots\r\n', b'.leading\r\n..two\r\n.\r\n..\r\n...\r\na.\r\n.\r\n.\r\n\r\n. \r\n'),
        Message('dots-only', b'Subject: lone\r\n', b'.\r\n'),
        Message('empty-body', b'Subject: empty\r\n', b''),
        Message('headers-only', b'Subject: no blank line\r\n', None),
        Message('folded', b'Subject: a\r\n b\r\n\tc\r\nX-Long: ' + b'\r\n '.join([b'x' * 70] * 40) + b'\r\n', b'folded\r\n'),
        Message('blanks', b'Subject: blanks  \r\nX-Empty:\r\nX-Blank: \r\n', b'  \r\n\t\r\ntrailing  \r\n\r\n\r\n\r\n'),
        Message('nested', b'Subject: nested\r\nMIME-Version: 1.0\r\n' + head + b'\r\n', body),
        Message('attachment', b'Subject: one file\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream; name="a.bin"\r\n'
                b'Content-Transfer-Encoding: base64\r\n', base64_lines(random.Random(1).randbytes(200000))),
        Message('broken-mime', b'Subject: unclosed\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n',
                b'--b\r\n\r\nnever closed\r\n--b\r\nContent-Type: image/png\r\n\r\n'),
    ]


def long_lines():
    """More than RFC 5321 allows; what comes is kept all the same."""
    return [Message('line-%d' % n, b'Subject: long\r\n', b'x' * n + b'\r\nafter\r\n') for n in (999, 1001, 4096, 65535, 65536, 200000)]


def large():
    """25 MB of file, a third more as base64."""
    head = (b'Subject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=large\r\n')
    body = (b'--large\r\nContent-Type: text/plain\r\n\r\nhere it is\r\n--large\r\nContent-Type: application/octet-stream; name="large.bin"\r\n'
            b'Content-Transfer-Encoding: base64\r\n\r\n' + base64_lines(random.Random(2).randbytes(25 * 1000 * 1000)) + b'--large--\r\n')
    return Message('large', head, body)


def everything():
    return small() + long_lines() + [large()]
