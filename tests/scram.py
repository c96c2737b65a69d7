"""SCRAM from a client's side: GNU SASL's library and GnuTLS, and a client that says whatever a test tells it to."""
import base64
import collections
import ctypes
import hashlib
import hmac
import os
import socket
import struct

import talk

PLUS, BARE = 'SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'
TLS12, TLS13 = 'NORMAL:-VERS-ALL:+VERS-TLS1.2', 'NORMAL:-VERS-ALL:+VERS-TLS1.3'
NO_EMS = TLS12 + ':%NO_SESSION_HASH'  # without the extended master secret
PROTOCOLS = ('submission', 'imap', 'pop3')


class GnuTls:
    """A socket over GnuTLS, which tells the channel bindings of its session; what Line needs of one."""

    def __init__(self, plain, priority):
        self.library, self.socket, self.session = ctypes.CDLL('libgnutls.so.30'), plain, ctypes.c_void_p()
        self.library.gnutls_record_send.restype = self.library.gnutls_record_recv.restype = ctypes.c_ssize_t
        credentials = ctypes.c_void_p()
        plain.setblocking(True)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', int(talk.DEADLINE), 0))
        self.must('gnutls_init', ctypes.byref(self.session), 2)
        self.must('gnutls_priority_set_direct', self.session, priority.encode(), None)
        self.must('gnutls_certificate_allocate_credentials', ctypes.byref(credentials))
        self.must('gnutls_credentials_set', self.session, 1, credentials)
        self.library.gnutls_transport_set_int2(self.session, plain.fileno(), plain.fileno())
        self.must('gnutls_handshake', self.session)

    def must(self, name, *arguments):
        result = getattr(self.library, name)(*arguments)
        assert result >= 0, (name, result)

    def binding(self, kind=2):
        """tls-exporter, or what else has a number: tls-unique is 0."""
        class Datum(ctypes.Structure):
            _fields_ = [('data', ctypes.c_void_p), ('size', ctypes.c_uint)]
        datum = Datum()
        self.must('gnutls_session_channel_binding', self.session, kind, ctypes.byref(datum))
        return ctypes.string_at(datum.data, datum.size)

    def sendall(self, data):
        while data:
            sent = self.library.gnutls_record_send(self.session, data, ctypes.c_size_t(len(data)))
            assert sent > 0, sent
            data = data[sent:]

    def recv(self, size):
        room = ctypes.create_string_buffer(size)
        while True:
            n = self.library.gnutls_record_recv(self.session, room, ctypes.c_size_t(size))
            if n == -28:  # a session ticket
                continue
            if n < 0:
                raise ConnectionError(n)
            return room.raw[:n]

    def close(self):
        self.socket.close()


Reply = collections.namedtuple('Reply', 'kind text')


class Session:
    """A client's connection by one of the protocols, and SASL in it. What is answered has a kind: 'challenge' (decoded), 'ok', 'refused'
    (a wrong password), 'later' (to be tried again), 'malformed', 'none' (there is no such mechanism), 'cancelled'."""

    KINDS = {'235 2.7.0': 'ok', '535 5.7.8': 'refused', '454 4.7.0': 'later', '501 5.5.2': 'malformed', '504 5.5.4': 'none', '501 5.0.0': 'cancelled',
             'OK [CAPABILITY ': 'ok', 'NO [AUTHENTICATIONFAILED] User': 'refused', 'NO [UNAVAILABLE] ': 'later', 'NO [AUTHENTICATIONFAILED] SCRAM: ': 'malformed',
             'NO [CANNOT] ': 'none', 'BAD AUTHENTICATE is cancelled': 'cancelled', 'NO [AUTHORIZATIONFAILED] ': 'refused', 'BAD That is not base64': 'malformed',
             'NO [AUTHENTICATIONFAILED] That is not a message': 'malformed',
             '+OK ': 'ok', '-ERR [AUTH] ': 'refused', '-ERR [SYS/TEMP] ': 'later', '-ERR SCRAM: ': 'malformed', '-ERR That is not ': 'malformed', '-ERR Mechanism ': 'none', '-ERR Cancelled': 'cancelled'}

    def __init__(self, server, protocol, priority=None, source=None, tls=None):
        """priority: TLS by GnuTLS; tls: by an ssl.SSLContext."""
        self.protocol = protocol
        port = server.ports[protocol]
        self.line = {'submission': talk.Smtp, 'imap': talk.Imap, 'pop3': talk.Pop3}[protocol](port, source=source)
        if priority:
            self.line.command('STLS' if protocol == 'pop3' else 'STARTTLS')
            self.line.socket = GnuTls(self.line.socket, priority)
        elif tls:
            self.line.command('STLS' if protocol == 'pop3' else 'STARTTLS')
            self.line.socket = tls.wrap_socket(self.line.socket)
        if priority or tls:
            if protocol == 'submission':
                self.line.hello()
        self.tag = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.line.close()

    def offers(self):
        """The mechanisms, as they are told."""
        if self.protocol == 'submission':
            self.line.hello()
            return self.line.keywords['AUTH'].split()
        if self.protocol == 'pop3':
            return [line for line in self.line.many('CAPA') if line.startswith(b'SASL ')][0].decode().split()[1:]
        return [word[5:] for word in self.line.ok('CAPABILITY')[0].decode().split() if word.startswith('AUTH=')]

    def answer(self):
        line = self.line.line().decode()
        if self.protocol == 'imap' and not line.startswith('+'):
            tag, line = line.split(' ', 1)
            assert tag == self.tag
        if line.startswith(('334 ', '+ ')):
            return Reply('challenge', base64.b64decode(line.split(' ', 1)[1]).decode())
        kinds = [kind for start, kind in self.KINDS.items() if line.startswith(start)]
        assert kinds, line
        return Reply(kinds[0], line)

    def auth(self, mechanism, initial=None):
        words = (('AUTHENTICATE ' if self.protocol == 'imap' else 'AUTH ') + mechanism).encode()
        if initial is not None:
            words += b' ' + base64.b64encode(initial.encode())
        if self.protocol == 'imap':
            self.tag = self.line.send_command(words).decode()
        else:
            self.line.send(words + b'\r\n')
        return self.answer()

    def say(self, text):
        return self.say_raw(base64.b64encode(text if isinstance(text, bytes) else text.encode()))

    def say_raw(self, line):
        self.line.send(line + b'\r\n')
        return self.answer()

    def plain(self, user, password):
        return self.auth('PLAIN', '\0%s\0%s' % (user, password))

    def binding(self):
        return self.line.socket.binding()

    def is_in(self):
        """Whether somebody has logged in here."""
        if self.protocol == 'submission':
            return self.line.command('MAIL FROM:<x@remote.example>').code != 530
        if self.protocol == 'pop3':
            return self.line.command('STAT').startswith('+OK')
        return self.line.command('LIST "" INBOX').startswith('OK')


def gnu_sasl(session, mechanism, user, password):
    """GNU SASL's client speaks in the session; the last reply."""
    library, context, client, out = ctypes.CDLL('libgsasl.so.18'), ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_char_p()
    assert library.gsasl_init(ctypes.byref(context)) == 0
    assert library.gsasl_client_start(context, mechanism.encode(), ctypes.byref(client)) == 0
    library.gsasl_property_set(client, 1, user.encode())
    library.gsasl_property_set(client, 3, password.encode())
    if mechanism == PLUS:
        library.gsasl_property_set(client, 25, base64.b64encode(session.binding()))  # GSASL_CB_TLS_EXPORTER
    reply = session.auth(mechanism)
    try:
        while reply.kind == 'challenge':
            result = library.gsasl_step64(client, base64.b64encode(reply.text.encode()), ctypes.byref(out))
            assert result in (0, 1), result  # it is done, or needs more; the server's signature is right
            reply = session.say_raw(out.value)
        return reply
    finally:
        library.gsasl_finish(client)
        library.gsasl_done(context)


def h(key, text):
    return hmac.digest(key, text, 'sha256')


class Client:
    """A client whose every part can be another than it should be."""

    def __init__(self, session, user, password, mechanism=BARE, header='n,,', binding=b'', nonce=None):
        self.session, self.password, self.mechanism, self.header, self.binding = session, password, mechanism, header, binding
        self.bare = 'n=%s,r=%s' % (user.replace('=', '=3D').replace(',', '=2C'), nonce or base64.b64encode(os.urandom(18)).decode())

    def first(self):
        """The server's first message, or what else comes."""
        self.challenge = self.session.auth(self.mechanism, self.header + self.bare)
        if self.challenge.kind == 'challenge':
            self.nonce, self.salt, self.iterations = (part[2:] for part in self.challenge.text.split(','))
        return self.challenge

    def final_message(self):
        salted = hashlib.pbkdf2_hmac('sha256', self.password.encode(), base64.b64decode(self.salt), int(self.iterations))
        without_proof = 'c=%s,r=%s' % (base64.b64encode(self.header.encode() + self.binding).decode(), self.nonce)
        self.message = ','.join((self.bare, self.challenge.text, without_proof)).encode()
        key = h(salted, b'Client Key')
        proof = bytes(a ^ b for a, b in zip(key, h(hashlib.sha256(key).digest(), self.message)))
        self.signature = 'v=' + base64.b64encode(h(h(salted, b'Server Key'), self.message)).decode()
        return '%s,p=%s' % (without_proof, base64.b64encode(proof).decode())

    def final(self):
        return self.session.say(self.final_message())

    def log_in(self):
        """All of it; the last reply."""
        reply = self.first()
        if reply.kind == 'challenge':
            reply = self.final()
        if reply.kind == 'challenge':
            assert reply.text == self.signature
            reply = self.session.say('')
        return reply
