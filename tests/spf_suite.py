"""The test suite of openspf.org for RFC 7208 (suites/rfc7208-tests.yml has its licence), and a name server for its zones."""
import contextlib
import pathlib
import socket
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import yaml

SUITE = pathlib.Path(__file__).parent / 'suites/rfc7208-tests.yml'


def scenarios():
    return list(yaml.safe_load_all(SUITE.read_text(encoding='utf-8')))


def names_of(text):
    """Labels by dots; the suite has some that no text form takes as it is."""
    text = str(text).rstrip('.')
    return dns.name.Name([label.encode('latin-1') for label in text.split('.') if text] + [b''])


def strings(value):
    """The bytes of a TXT record's strings; the suite writes bytes as characters."""
    return [one.encode('latin-1') for one in (value if isinstance(value, list) else [value])]


def txt(value):
    wire = b''
    for one in strings(value):
        parts = [one[i:i + 255] for i in range(0, len(one), 255)] or [b'']
        wire += b''.join(bytes([len(p)]) + p for p in parts)
    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, wire, 0, len(wire))


class Zone:
    """zonedata: a name to a list of records, {type: value}, or the word TIMEOUT; TXT is what SPF says unless the name has TXT itself."""

    def __init__(self, data):
        self.names = {str(name).lower().rstrip('.'): records for name, records in data.items()}

    def answer(self, name, kind, aliases=8):
        """A list of data, None for no such name, or 'fail'."""
        records = self.names.get(name)
        if records is None:
            return [] if any(other.endswith('.' + name) for other in self.names) else None
        given = [(next(iter(r)), next(iter(r.values()))) if isinstance(r, dict) else (r, None) for r in records]
        has_txt = any(k == 'TXT' for k, _ in given)
        found = []
        for k, value in given:
            if (k == 'TIMEOUT' and not found) or (k == kind and value == 'TIMEOUT'):
                return 'fail'
            if k == 'SPF' and kind == 'TXT' and not has_txt:
                if value == 'TIMEOUT':
                    return 'fail'
                found.append(txt(value))
            elif k == 'TXT' and kind == 'TXT' and value != 'NONE':
                found.append(txt(value))
            elif k == kind == 'MX':
                found.append(dns.rdata.from_text('IN', 'MX', '%d %s' % (value[0], names_of(value[1]).to_text())))
            elif k == kind == 'PTR':
                found.append(dns.rdata.from_text('IN', 'PTR', names_of(value).to_text()))
            elif k == kind and k in ('A', 'AAAA'):
                found.append(dns.rdata.from_text('IN', k, value))
            elif k == 'CNAME':
                return self.answer(str(value).lower().rstrip('.'), kind, aliases - 1) if aliases else 'fail'
        return found

    def reply(self, wire):
        question = dns.message.from_wire(wire)
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.RA
        q = question.question[0]
        name = '.'.join(label.decode('latin-1') for label in q.name.labels[:-1]).lower()
        found = self.answer(name, dns.rdatatype.to_text(q.rdtype))
        if found == 'fail':
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif found is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif found:
            rrset = dns.rrset.RRset(q.name, dns.rdataclass.IN, q.rdtype)
            rrset.ttl = 60
            for one in found:
                rrset.add(one)
            reply.answer.append(rrset)
        return reply


def take(stream, size):
    data = b''
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            return None
        data += more
    return data


@contextlib.contextmanager
def name_server(zone):
    """Serves it on a port of 127.0.0.1, by UDP, and by TCP for what is larger than an answer may be there; gives the port."""
    while True:
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        udp.bind(('127.0.0.1', 0))
        try:
            tcp.bind(udp.getsockname())
            break
        except OSError:  # somebody else has the port for TCP
            udp.close()
            tcp.close()
    with udp, tcp:
        tcp.listen()

        def serve_udp():
            while True:
                question, client = udp.recvfrom(4096)
                if question == b'end':
                    return
                wire = zone.reply(question).to_wire()
                udp.sendto(wire if len(wire) <= 1200 else question[:2] + b'\x83\x80' + question[4:6] + bytes(6) + question[12:], client)

        def serve_tcp():
            while True:
                stream, _ = tcp.accept()
                with stream:
                    size = take(stream, 2)
                    if size == b'\0\0':
                        return
                    question = take(stream, int.from_bytes(size, 'big')) if size else None
                    if question:
                        wire = zone.reply(question).to_wire()
                        stream.sendall(len(wire).to_bytes(2, 'big') + wire)
        threads = [threading.Thread(target=serve_udp), threading.Thread(target=serve_tcp)]
        for t in threads:
            t.start()
        try:
            yield udp.getsockname()[1]
        finally:
            udp.sendto(b'end', udp.getsockname())
            with socket.create_connection(tcp.getsockname()) as end:
                end.sendall(b'\0\0')
            for t in threads:
                t.join()
