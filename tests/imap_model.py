"""A small model of an account's mailboxes, and of what each IMAP session on them may know: RFC 3501, 3691, 4315, 6851.

World is what is on the disk. A Command changes a world and says how its answer must begin. View is what one session has
been told about its mailbox; it is fed with the server's responses, and settles when a command has ended."""
import re

SYSTEM = ('\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft')
STANDARD = ('INBOX', 'Drafts', 'Sent', 'Junk', 'Trash', 'Archive')


class Box:
    """messages: by UID, (token, flags)."""

    def __init__(self, number, validity=None):
        self.number, self.validity = number, validity
        self.uidnext, self.messages = 1, {}

    def copy(self):
        other = Box(self.number, self.validity)
        other.uidnext, other.messages = self.uidnext, dict(self.messages)
        return other

    def add(self, token, flags):
        uid = self.uidnext
        self.uidnext += 1
        self.messages[uid] = (token, frozenset(flags))
        return uid

    def uids(self):
        return sorted(self.messages)


class World:
    """boxes: by name. A view knows its box by its number, which a RENAME does not change."""

    def __init__(self):
        self.boxes, self.last_number = {}, 0
        for name in STANDARD:
            self.make(name)

    def copy(self):
        other = World.__new__(World)
        other.boxes = {name: box.copy() for name, box in self.boxes.items()}
        other.last_number = self.last_number
        return other

    def make(self, name):
        for at in [i for i, c in enumerate(name) if c == '/'] + [len(name)]:
            if not self.is_name(name[:at]) or name[:at] == name not in self.boxes:
                self.last_number += 1
                self.boxes[name[:at]] = Box(self.last_number)
        return self.boxes[name]

    def of(self, number):
        for box in self.boxes.values():
            if box.number == number:
                return box
        return None

    def children(self, name):
        return [other for other in self.boxes if other.startswith(name + '/')]

    def is_name(self, name):
        """RFC 3501 §6.3.4: also a name without a mailbox, as long as there are mailboxes below it."""
        return name in self.boxes or bool(self.children(name))

    def bare_names(self):
        return {box[:at] for box in self.boxes for at, c in enumerate(box) if c == '/'} - set(self.boxes)


# ---- sets ----

def text_of_set(uids):
    """A sequence set as short as a server writes it."""
    runs = []
    for uid in sorted(uids):
        if runs and runs[-1][1] == uid - 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ','.join('%d' % a if a == b else '%d:%d' % (a, b) for a, b in runs)


def resolve(text, uids, is_uid):
    """The UIDs that a set names in a view with these UIDs; None if a sequence number is beyond the end (RFC 3501 §9)."""
    star = (uids[-1] if uids else 0) if is_uid else len(uids)
    found = set()
    for part in text.split(','):
        ends = [star if end == '*' else int(end) for end in part.split(':')]
        first, last = min(ends), max(ends)
        if is_uid:
            found.update(uid for uid in uids if first <= uid <= last)
        elif not 1 <= first <= last <= len(uids):
            return None
        else:
            found.update(uids[first - 1:last])
    return sorted(found)


# ---- commands that change something ----

class Command:
    """text: as it is sent. apply(world) changes the world and gives how the tagged answer begins, or None: it is no command
    for that world at all. Nothing in here changes with the session that sends it."""
    literal = None

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


class Append(Command):
    def __init__(self, name, token, flags, message, is_sync):
        super().__init__('APPEND "%s" (%s) {%d%s}' % (name, ' '.join(sorted(flags)), len(message), '' if is_sync else '+'))
        self.name, self.token, self.flags, self.literal, self.is_sync = name, token, flags, message, is_sync

    def apply(self, world):
        box = world.boxes.get(self.name)
        if box is None:
            return 'NO [TRYCREATE]'
        uid = box.add(self.token, self.flags)
        return 'OK [APPENDUID %s %d]' % (box.validity, uid)


class Deliver(Append):
    """By LMTP, which is answered with 250."""

    def __init__(self, token, message):
        Append.__init__(self, 'INBOX', token, (), message, False)
        self.text = 'LMTP ' + token

    def apply(self, world):
        super().apply(world)
        return '250'


class OfView(Command):
    """What acts on messages of the selected mailbox: they are chosen when it is sent."""

    def __init__(self, text, view, uids):
        super().__init__(text)
        self.number, self.chosen, self.is_read_only = view.number, uids, view.is_read_only

    def box(self, world):
        return world.of(self.number)

    def there(self, box):
        return [uid for uid in self.chosen if uid in box.messages]


class Store(OfView):
    def __init__(self, view, text, uids, is_uid, how, flags, is_silent):
        super().__init__('%sSTORE %s %sFLAGS%s (%s)' % ('UID ' * is_uid, text, how, '.SILENT' * is_silent, ' '.join(sorted(flags))), view, uids)
        self.how, self.flags, self.is_silent = how, frozenset(flags), is_silent

    def changed(self, flags):
        return flags | self.flags if self.how == '+' else flags - self.flags if self.how == '-' else self.flags

    def apply(self, world):
        box = self.box(world)
        if self.is_read_only:
            return 'NO'
        if box is None:
            return 'NO' if self.chosen else 'OK'
        for uid in self.there(box):
            token, flags = box.messages[uid]
            box.messages[uid] = (token, self.changed(flags))
        return 'OK'


class See(OfView):
    """FETCH of what is no BODY.PEEK: RFC 3501 §6.4.5."""

    def apply(self, world):
        box = self.box(world)
        for uid in self.there(box) if box and not self.is_read_only else ():
            token, flags = box.messages[uid]
            box.messages[uid] = (token, flags | {'\\Seen'})
        return 'OK'


class Copy(OfView):
    def __init__(self, view, text, uids, is_uid, name, is_move):
        super().__init__('%s%s %s "%s"' % ('UID ' * is_uid, 'MOVE' if is_move else 'COPY', text, name), view, uids)
        self.name, self.is_move = name, is_move

    def apply(self, world):
        box, to = self.box(world), world.boxes.get(self.name)
        if not self.chosen:
            return 'OK'
        if box is None or (self.is_move and self.is_read_only):
            return 'NO'
        if to is None:
            return 'NO [TRYCREATE]'
        there = self.there(box)
        new = [to.add(*box.messages[uid]) for uid in there]
        for uid in there if self.is_move else ():
            del box.messages[uid]
        self.code = '[COPYUID %s %s %s]' % (to.validity, text_of_set(there), text_of_set(new)) if there else ''
        return 'OK ' + self.code if there and not self.is_move else 'OK'


class Expunge(OfView):
    """EXPUNGE or CLOSE, with uids None, or UID EXPUNGE."""

    def __init__(self, view, text, uids):
        super().__init__(text, view, uids)

    def apply(self, world):
        box = self.box(world)
        if box is None or self.is_read_only:
            return 'NO'
        for uid in box.uids() if self.chosen is None else self.there(box):
            if '\\Deleted' in box.messages[uid][1]:
                del box.messages[uid]
        return 'OK'


class Create(Command):
    def __init__(self, name):
        super().__init__('CREATE "%s"' % name)
        self.name = name

    def apply(self, world):
        if self.name in world.boxes:
            return 'NO [ALREADYEXISTS]'
        world.make(self.name)
        return 'OK'


class Delete(Command):
    def __init__(self, name):
        super().__init__('DELETE "%s"' % name)
        self.name = name

    def apply(self, world):
        if not world.is_name(self.name):
            return 'NO [NONEXISTENT]'
        if self.name == 'INBOX' or self.name not in world.boxes:
            return 'NO [CANNOT]'
        del world.boxes[self.name]
        return 'OK'


class Rename(Command):
    def __init__(self, name, to):
        super().__init__('RENAME "%s" "%s"' % (name, to))
        self.name, self.to = name, to

    def apply(self, world):
        if not world.is_name(self.name):
            return 'NO [NONEXISTENT]'
        if self.to.startswith(self.name + '/'):
            return 'NO [CANNOT]'
        if world.is_name(self.to):
            return 'NO [ALREADYEXISTS]'
        if self.name == 'INBOX':
            # RFC 3501 §6.3.5: its messages move, INBOX stays
            inbox, to = world.boxes['INBOX'], world.make(self.to)
            for uid in inbox.uids():
                to.add(*inbox.messages.pop(uid))
            return 'OK'
        if '/' in self.to and not world.is_name(self.to.rsplit('/', 1)[0]):
            world.make(self.to.rsplit('/', 1)[0])
        for name in [self.name] * (self.name in world.boxes) + world.children(self.name):
            world.boxes[self.to + name[len(self.name):]] = world.boxes.pop(name)
        return 'OK'


# ---- responses ----

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


class View:
    """What a session has been told of its mailbox: uids by sequence number (None: told by EXISTS, its UID not known yet),
    and flags by UID as far as they were told."""

    def __init__(self, box, is_read_only):
        self.number, self.is_read_only = box.number, is_read_only
        self.uids, self.flags, self.horizon = box.uids(), {}, box.uidnext
        self.fetched, self.keywords = {}, set()

    def take(self, response, may_expunge):
        """An untagged response; True if it was about messages."""
        match = re.match(rb'\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH)(?: |$)', response)
        if not match:
            if response.startswith(b'* FLAGS ('):
                self.keywords = {word.decode() for word in parse_list(response, 8)[0]}
            return False
        number, what = int(match[1]), match[2]
        if what == b'EXISTS':
            assert number >= len(self.uids), ('EXISTS takes messages away', response, self.uids)
            self.uids += [None] * (number - len(self.uids))
        elif what == b'EXPUNGE':
            assert may_expunge, ('EXPUNGE where it may not be', response)
            assert 1 <= number <= len(self.uids), ('EXPUNGE of no message', response, self.uids)
            self.flags.pop(self.uids.pop(number - 1), None)
        elif what == b'FETCH':
            assert 1 <= number <= len(self.uids), ('FETCH of no message', response, self.uids)
            self.take_fetch(number, response[match.end():])
        return True

    def take_fetch(self, number, data):
        items, _ = parse_list(data)
        values = {name.upper(): value for name, value in zip(items[::2], items[1::2])}
        uid = self.uids[number - 1]
        if b'UID' in values:
            assert uid in (None, int(values[b'UID'])), ('another UID for that number', number, values, self.uids)
            uid = self.uids[number - 1] = int(values[b'UID'])
        self.fetched.setdefault(number, {}).update(values)
        if b'FLAGS' in values and uid is not None:
            flags = frozenset(flag.decode() for flag in values[b'FLAGS']) - {'\\Recent'}
            assert all(f.startswith('\\') or f in self.keywords for f in flags), ('a keyword that FLAGS has not told', flags, self.keywords)
            self.flags[uid] = flags

    def settle(self, box, may_expunge):
        """After a command: everything that there is to tell has been told, and nothing else."""
        old = [uid for uid in self.uids if uid is not None and uid < self.horizon and (uid in box.messages or not may_expunge)]
        expected = old + [uid for uid in box.uids() if uid >= self.horizon]
        assert len(self.uids) == len(expected) and all(a in (None, b) for a, b in zip(self.uids, expected)), (
            'the view differs', self.uids, expected)
        self.uids, self.horizon = expected, box.uidnext
        wrong = {uid: (sorted(flags), sorted(box.messages[uid][1])) for uid, flags in self.flags.items()
                 if uid in box.messages and flags != box.messages[uid][1]}
        assert not wrong, ('flags as told, and as they are', wrong)
        self.fetched = {}

    def is_current(self, box):
        """Whether all that there is has been told (of a session in IDLE)."""
        return (len(self.uids) == len(box.messages) and all(a in (None, b) for a, b in zip(self.uids, box.uids())) and
                all(uid not in box.messages or flags == box.messages[uid][1] for uid, flags in self.flags.items()))
