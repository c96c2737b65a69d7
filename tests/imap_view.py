"""What one IMAP session has been told of its mailbox: it is fed with the server's responses, and settles when a command has ended."""
import re

import imap_model as model

TOKEN = re.compile(rb'\{(\d+)\}\r\n|"((?:[^"\\]|\\.)*)"|\(|\)|[^\s()\[{"]*\[[^\]]*\](?:<\d+>)?|[^\s()"{]+')


def parse_list(data, at=0):
    """What stands in parentheses at `at`, with lists as lists and strings as bytes; and where it ends."""
    stack = [[]]
    while True:
        while data[at:at + 1] in (b' ', b'\r', b'\n'):
            at += 1
        match = TOKEN.match(data, at)
        assert match, ('no token', data[at:at + 40], data[:200])
        at = match.end()
        if match[0] == b'(':
            stack.append([])
        elif match[0] == b')':
            done = stack.pop()
            stack[-1].append(done)
            if len(stack) == 1:
                return done, at
        elif match[1]:
            stack[-1].append(data[at:at + int(match[1])])
            at += int(match[1])
        else:
            stack[-1].append(match[2] if match[2] is not None else match[0])


def flags_of(value):
    return frozenset(flag.decode() for flag in value) - {'\\Recent'}


class View:
    """uids by sequence number (None: told by EXISTS, its UID not known yet), flags and MODSEQs by UID as far as they were told.

    modes  what the session has enabled: CONDSTORE, QRESYNC, UIDONLY
    heard  the HIGHESTMODSEQ that a client computes of what it is told (RFC 7162 §6)
    settled  the mailbox's MODSEQ when all had been told last; None: that is not known now
    saved  the UIDs of the search result that is saved (RFC 5182)"""

    def __init__(self, box, is_read_only, modes):
        self.number, self.validity, self.is_read_only, self.modes = box.number, box.validity, is_read_only, modes
        self.uids, self.flags, self.horizon = box.uids(), {}, box.uidnext
        self.settled = box.modseq
        self.modseqs, self.heard, self.code, self.seen_modseq = {}, box.modseq, None, 0
        self.is_asking_flags = False
        self.fetched, self.keywords, self.vanished_earlier, self.saved = {}, set(), [], set()

    # ---- responses ----

    def take(self, response, may_expunge):
        """An untagged response; True if it was about messages."""
        match = re.match(rb'\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH|UIDFETCH)(?: |$)', response)
        if match:
            self.take_numbered(int(match[1]), match[2].decode(), response, match.end(), may_expunge)
            return True
        if response.startswith(b'* FLAGS ('):
            self.keywords = {word.decode() for word in parse_list(response, 8)[0]}
        elif response.startswith(b'* VANISHED (EARLIER) '):
            self.vanished_earlier += model.numbers_of(response.split()[3].decode())
        elif response.startswith(b'* VANISHED '):
            self.take_vanished(response, may_expunge)
            return True
        elif response.startswith(b'* OK [HIGHESTMODSEQ '):
            self.code = int(re.search(rb'\d+', response)[0])
            return True
        return False

    def take_numbered(self, number, what, response, at, may_expunge):
        if what == 'EXISTS':
            assert number >= len(self.uids), ('EXISTS takes messages away', response, self.uids)
            self.uids += [None] * (number - len(self.uids))
        elif what == 'EXPUNGE':
            assert may_expunge and not self.modes & {'QRESYNC', 'UIDONLY'}, ('EXPUNGE where it may not be', response, self.modes)
            assert 1 <= number <= len(self.uids), ('EXPUNGE of no message', response, self.uids)
            self.forget(self.uids.pop(number - 1))
        elif what == 'UIDFETCH':
            assert 'UIDONLY' in self.modes, response
            self.take_fetch(None, number, response[at:])
        elif what == 'FETCH':
            assert 'UIDONLY' not in self.modes and 1 <= number <= len(self.uids), ('FETCH of no message', response, self.uids)
            self.take_fetch(number, None, response[at:])

    def take_vanished(self, response, may_expunge):
        """RFC 7162 §3.2.10: of messages that the client has been told of."""
        assert may_expunge and self.modes & {'QRESYNC', 'UIDONLY'}, ('VANISHED where it may not be', response, self.modes)
        for uid in model.numbers_of(response.split()[2].decode()):
            if uid in self.uids:
                self.uids.remove(uid)
            else:
                assert uid >= self.horizon and None in self.uids, ('VANISHED of no message', response, self.uids)
                self.uids.remove(None)
            self.forget(uid)

    def forget(self, uid):
        for known in (self.flags, self.modseqs):
            known.pop(uid, None)
        self.saved.discard(uid)

    def take_fetch(self, number, uid, data):
        items, _ = parse_list(data)
        values = {name.upper(): value for name, value in zip(items[::2], items[1::2])}
        if number is not None:
            uid = self.uids[number - 1]
        if b'UID' in values:
            assert uid in (None, int(values[b'UID'])), ('another UID for that number', number, values, self.uids)
            uid = int(values[b'UID'])
        if number is not None:
            self.uids[number - 1] = uid
        if uid is not None:
            self.fetched.setdefault(uid, {}).update(values)
        if b'MODSEQ' in values:
            self.take_modseq(uid, int(values[b'MODSEQ'][0]))
        elif b'FLAGS' in values and 'CONDSTORE' in self.modes:
            # RFC 7162 §3.2.4: only where a FETCH has asked for the flags alone
            assert self.is_asking_flags, ('FLAGS without MODSEQ', values)
            self.modseqs.pop(uid, None)
        if b'FLAGS' in values and uid is not None:
            flags = flags_of(values[b'FLAGS'])
            assert all(f.startswith('\\') or f in self.keywords for f in flags), ('a keyword that FLAGS has not told', flags, self.keywords)
            self.flags[uid] = flags

    def take_modseq(self, uid, modseq):
        assert modseq >= self.modseqs.get(uid, 0), ('a MODSEQ goes back', uid, modseq, self.modseqs)
        self.seen_modseq = max(self.seen_modseq, modseq)
        if uid is not None:
            self.modseqs[uid] = modseq

    def take_tagged(self, answer):
        """RFC 7162 §6: what the client has heard of, at the end of a command."""
        match = re.match(r'OK \[HIGHESTMODSEQ (\d+)\]', answer)
        code = int(match[1]) if match else self.code
        self.heard = code if code is not None else max(self.heard, self.seen_modseq)
        self.code, self.seen_modseq = None, 0

    # ---- looking ----

    def known_uids(self):
        """Those that were there when it settled last."""
        return [uid for uid in self.uids if uid is not None and uid < self.horizon]

    def settle(self, box, may_expunge):
        """After a command: everything that there is to tell has been told, and nothing else."""
        old = [uid for uid in self.known_uids() if uid in box.messages or not may_expunge]
        expected = old + [uid for uid in box.uids() if uid >= self.horizon]
        assert len(self.uids) == len(expected) and all(a in (None, b) for a, b in zip(self.uids, expected)), (
            'the view differs', self.uids, expected)
        self.uids, self.horizon, self.settled = expected, box.uidnext, box.modseq
        wrong = {uid: (sorted(flags), sorted(box.flags(uid))) for uid, flags in self.flags.items()
                 if uid in box.messages and flags != box.flags(uid)}
        assert not wrong, ('flags as told, and as they are', wrong)
        assert 'CONDSTORE' in self.modes or not self.modseqs, ('MODSEQ that nobody wants', self.modseqs)
        wrong = {uid: (modseq, box.messages[uid].modseq) for uid, modseq in self.modseqs.items()
                 if uid in box.messages and modseq != box.messages[uid].modseq}
        assert not wrong, ('MODSEQs as told, and as they are', wrong)
        self.saved &= set(self.uids)
        self.fetched, self.vanished_earlier, self.is_asking_flags = {}, [], False

    def is_current(self, box):
        """Whether all that there is has been told (of a session in IDLE, or with NOTIFY): RFC 5465 §5.1 wants each change."""
        if self.settled is not None and any(message.modseq > self.settled and uid < self.horizon and uid not in self.flags
                                            for uid, message in box.messages.items()):
            return False
        return (len(self.uids) == len(box.messages) and all(a in (None, b) for a, b in zip(self.uids, box.uids())) and
                all(uid not in box.messages or flags == box.flags(uid) for uid, flags in self.flags.items()) and
                all(uid not in box.messages or modseq == box.messages[uid].modseq for uid, modseq in self.modseqs.items()))

    def cache(self):
        """What a client keeps when it leaves."""
        return {'validity': self.validity, 'heard': self.heard, 'uids': self.known_uids(), 'flags': dict(self.flags)}
