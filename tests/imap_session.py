"""A session of the model's player (imap_player.py): a connection in one of the modes that IMAP has, and what it has been told."""
import re
import zlib

from imap_view import parse_list

MODES = [(), (), ('CONDSTORE',), ('QRESYNC',), ('QRESYNC',), ('QRESYNC', 'UIDONLY'), ('UIDONLY',), ('IMAP4rev2',), ('IMAP4rev2', 'QRESYNC')]
NOTIFY = 'NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange)) (PERSONAL (MessageNew MessageExpunge FlagChange))'


class Deflated:
    """A socket on which COMPRESS is active: RFC 4978."""

    def __init__(self, socket):
        self.socket = socket
        self.out, self.into = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)

    def sendall(self, data):
        self.socket.sendall(self.out.compress(data) + self.out.flush(zlib.Z_SYNC_FLUSH))

    def recv(self, size):
        while True:
            data = self.socket.recv(size)
            plain = self.into.decompress(data)
            if plain or not data:
                return plain

    def settimeout(self, seconds):
        self.socket.settimeout(seconds)

    def close(self):
        self.socket.close()


class Session:
    """caches: of each mailbox, by its number, what a client has kept for QRESYNC. statuses: with NOTIFY, of each mailbox what was told."""

    def __init__(self, run, number):
        self.run, self.number, self.caches = run, number, {}
        self.connect()

    def connect(self, needs_qresync=False):
        r = self.run.random
        self.imap = self.run.server.imap(self.run.user)
        self.view, self.idle_tag, self.literals, self.statuses = None, None, [], None
        self.is_racing = False
        enabled = r.choice([modes for modes in MODES if not needs_qresync or 'QRESYNC' in modes])
        self.modes = set(enabled) | ({'CONDSTORE'} if 'QRESYNC' in enabled else set())
        if r.random() < 0.25:
            self.imap.ok('COMPRESS DEFLATE')
            self.imap.socket = Deflated(self.imap.socket)
        if enabled:
            assert self.imap.ok('ENABLE ' + ' '.join(enabled))[0].startswith(b'* ENABLED')
        if r.random() < 0.25:
            self.imap.ok(NOTIFY)
            self.statuses = {}

    def __repr__(self):
        return 's%d' % self.number

    def can_number(self):
        """Not in a race with NOTIFY's SELECTED: an EXPUNGE may be on its way when the command is, and then moves its numbers (RFC 5465 §5.3)."""
        return 'UIDONLY' not in self.modes and self.can_say_last()

    def can_say_last(self):
        """Nor "*" and what lies beyond the last UID, which in such a race may be of a message that comes before the command (RFC 5465 §5.2)."""
        return not (self.is_racing and self.statuses is not None)

    def wire_name(self, name):
        """RFC 9051 §5.1: UTF-8 in IMAP4rev2; the modified UTF-7 of RFC 3501 §5.1.3 before that."""
        return name if 'IMAP4rev2' in self.modes else wire_name(name)

    def use_condstore(self):
        """RFC 7162 §3.1: a command has switched it on."""
        self.modes.add('CONDSTORE')

    # ---- NOTIFY ----

    def expected_statuses(self):
        selected = self.view and self.view.number
        return {box.number: (len(box.messages), box.uidnext) for box in self.run.world.boxes.values() if box.number != selected}

    def take_status(self, response):
        """RFC 5465 §4: STATUS of a mailbox that is not selected; True if it was one."""
        match = re.match(rb'\* STATUS (?:"([^"]*)"|(\S+)) ', response)
        if not match or self.statuses is None:
            return False
        name = (match[1] or match[2]).decode()
        values = dict(zip(*[iter(parse_list(response, match.end())[0])] * 2))
        # what is read now may be of a mailbox that had the name when it was said
        validity = int(values.get(b'UIDVALIDITY', 0))
        box = next((box for own, box in self.run.world.boxes.items() if (box.validity == validity if validity else self.wire_name(own) == name)), None)
        if box is not None and {b'MESSAGES', b'UIDNEXT'} <= set(values):
            self.statuses[box.number] = (int(values[b'MESSAGES']), int(values[b'UIDNEXT']))
        return True

    def is_notified(self):
        """Of mailboxes that have just been made or left nothing is due."""
        return all(self.statuses.get(number, status) == status for number, status in self.expected_statuses().items())


def wire_name(name):
    return name.replace('é', '&AOk-')
