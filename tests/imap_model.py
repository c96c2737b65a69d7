"""A small model of an account's mailboxes: RFC 3501, 3502, 3691, 4315, 4469, 5464, 6851, 7162, 8508, 9208.

World is what is on the disk. A Command changes a world and says how its answer must begin. What one session may know of it is
in imap_view.py."""
import collections

SYSTEM = ('\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft')
STANDARD = ('INBOX', 'Drafts', 'Sent', 'Junk', 'Trash', 'Archive')

Message = collections.namedtuple('Message', 'letter flags modseq')


class Box:
    """messages: by UID. gone: by UID, the MODSEQ with which it went. Each change has a MODSEQ of its own, one higher than that before
    (RFC 7162 §3.1 wants it higher); messages that come have one each."""

    def __init__(self, number, validity=None):
        self.number, self.validity = number, validity
        self.uidnext, self.modseq, self.messages, self.gone, self.comment = 1, 1, {}, {}, None

    def copy(self):
        other = Box(self.number, self.validity)
        other.uidnext, other.modseq, other.comment = self.uidnext, self.modseq, self.comment
        other.messages, other.gone = dict(self.messages), dict(self.gone)
        return other

    def add(self, letter, flags):
        uid = self.uidnext
        self.uidnext += 1
        self.modseq += 1
        self.messages[uid] = Message(letter, frozenset(flags), self.modseq)
        return uid

    def change(self, flags):
        """Sets flags, by UID: what they change has one MODSEQ; what is so already is no change (RFC 7162 §3.1.11)."""
        changed = {uid: new for uid, new in flags.items() if new != self.messages[uid].flags}
        self.modseq += bool(changed)
        for uid, new in changed.items():
            self.messages[uid] = Message(self.messages[uid].letter, frozenset(new), self.modseq)

    def remove(self, uids):
        self.modseq += bool(uids)
        for uid in uids:
            del self.messages[uid]
            self.gone[uid] = self.modseq

    def uids(self):
        return sorted(self.messages)

    def flags(self, uid):
        return self.messages[uid].flags


class World:
    """boxes: by name. A view knows its box by its number, which a RENAME does not change. most: messages, by quota."""

    def __init__(self):
        self.boxes, self.last_number, self.most = {}, 0, None
        for name in STANDARD:
            self.make(name)

    def copy(self):
        other = World.__new__(World)
        other.boxes = {name: box.copy() for name, box in self.boxes.items()}
        other.last_number, other.most = self.last_number, self.most
        return other

    def has_room(self, count):
        return self.most is None or count <= 0 or self.count() + count <= self.most

    def count(self):
        return sum(len(box.messages) for box in self.boxes.values())

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

    def name_of(self, number):
        return next((name for name, box in self.boxes.items() if box.number == number), None)

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


def numbers_of(text):
    """All numbers of a set without "*", in its order."""
    found = []
    for part in text.split(','):
        first, _, last = part.partition(':')
        first, last = int(first), int(last or first)
        found += range(first, last + 1) if first <= last else range(first, last - 1, -1)
    return found


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
    """parts: what is sent, as text, with literals as bytes between. apply(world) changes the world and gives how the tagged answer
    begins. untagged: what must be told before it. Nothing in here changes with the session that sends it."""
    is_sync, code, is_quiet = False, '', False

    def __init__(self, *parts):
        self.parts = parts

    def __repr__(self):
        return ' '.join(part if isinstance(part, str) else '{%d}' % len(part) for part in self.parts)


def appended(world, name, letters, flags):
    """The UIDs; None if the quota has no room."""
    if not world.has_room(len(letters)):
        return None
    return [world.boxes[name].add(letter, one) for letter, one in zip(letters, flags)]


class Append(Command):
    """One message or several (RFC 3502); each is flags, date and a literal, or CATENATE of parts (RFC 4469).

    bodies  of each letter, what stands in its place: parts of a command"""

    def __init__(self, name, letters, flags, bodies, is_sync):
        parts = ['APPEND "%s"' % name]
        for letter, one, body in zip(letters, flags, bodies):
            parts[-1] += ' (%s) "%s" ' % (' '.join(sorted(one)), letter.internaldate())
            parts[-1] += body[0] if isinstance(body[0], str) else ''
            parts += body[isinstance(body[0], str):] + ([''] if isinstance(body[-1], bytes) else [])
        super().__init__(*parts)
        self.name, self.letters, self.flags, self.is_sync = name, letters, flags, is_sync

    def apply(self, world):
        box = world.boxes.get(self.name)
        if box is None:
            return 'NO [TRYCREATE]'
        uids = appended(world, self.name, self.letters, self.flags)
        return 'OK [APPENDUID %s %s]' % (box.validity, text_of_set(uids)) if uids else 'NO [OVERQUOTA]'


class Deliver(Append):
    """By LMTP, which is answered with 250, or 452 where there is no room; what has been accepted at RCPT is kept."""
    is_accepted = False

    def __init__(self, letter):
        Append.__init__(self, 'INBOX', [letter], [()], [[letter.text]], False)

    def __repr__(self):
        return 'LMTP ' + self.letters[0].token

    def apply(self, world):
        if not self.is_accepted and not world.has_room(1):
            return '452'
        world.boxes['INBOX'].add(self.letters[0], ())
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
    """since: of UNCHANGEDSINCE (RFC 7162 §3.1.3), or None."""

    def __init__(self, view, text, uids, is_uid, how, flags, is_silent, since=None):
        condition = '' if since is None else '(UNCHANGEDSINCE %d) ' % since
        super().__init__('%sSTORE %s %s%sFLAGS%s (%s)' % ('UID ' * is_uid, text, condition, how, '.SILENT' * is_silent, ' '.join(sorted(flags))), view, uids)
        self.how, self.new, self.is_silent, self.since, self.is_quiet = how, frozenset(flags), is_silent, since, not is_uid
        self.numbers = {uid: uid if is_uid else n for n, uid in enumerate(view.uids, 1)}

    def changed(self, flags):
        return flags | self.new if self.how == '+' else flags - self.new if self.how == '-' else self.new

    def has_failed(self, message):
        """RFC 7162 §3.1.12: of +FLAGS and -FLAGS, only where one of these flags may be what has changed; and §3.1.3: with 0 wherever
        there is such a flag at all, and system flags are always there."""
        if self.since is None or message.modseq <= self.since:
            return False
        if self.since == 0 and any(flag.startswith('\\') for flag in self.new):
            return True
        are_there = [flag in message.flags for flag in self.new]
        if self.how == '':
            return True
        return any(are_there) if self.how == '+' or self.since == 0 else not all(are_there)

    def failed(self, box):
        return [uid for uid in self.there(box) if self.has_failed(box.messages[uid])]

    def apply(self, world):
        box = self.box(world)
        if self.is_read_only:
            return 'NO'
        if box is None:
            return 'NO' if self.chosen else 'OK'
        failed = self.failed(box)
        box.change({uid: self.changed(box.flags(uid)) for uid in self.there(box) if uid not in failed})
        return 'OK [MODIFIED %s]' % text_of_set(self.numbers[uid] for uid in failed) if failed else 'OK STORE'


class See(OfView):
    """FETCH of what is no BODY.PEEK: RFC 3501 §6.4.5."""

    def apply(self, world):
        box = self.box(world)
        if box and not self.is_read_only:
            box.change({uid: box.flags(uid) | {'\\Seen'} for uid in self.there(box)})
        return 'OK'


class Copy(OfView):
    def __init__(self, view, text, uids, is_uid, name, is_move):
        super().__init__('%s%s %s "%s"' % ('UID ' * is_uid, 'MOVE' if is_move else 'COPY', text, name), view, uids)
        self.name, self.is_move = name, is_move

    def apply(self, world):
        box, to = self.box(world), world.boxes.get(self.name)
        self.code = ''
        if not self.chosen:
            return 'OK'
        if box is None or (self.is_move and self.is_read_only):
            return 'NO'
        if to is None:
            return 'NO [TRYCREATE]'
        there = self.there(box)
        if not self.is_move and not world.has_room(len(there)):
            return 'NO [OVERQUOTA]'
        new = [to.add(*box.messages[uid][:2]) for uid in there]
        if self.is_move:
            box.remove(there)
        code = '[COPYUID %s %s %s]' % (to.validity, text_of_set(there), text_of_set(new)) if there else ''
        self.code = code if self.is_move else ''
        return 'OK ' + code if there and not self.is_move else 'OK'


class Replace(OfView):
    """RFC 8508."""

    def __init__(self, view, number, uid, is_uid, name, letter, flags, is_sync):
        super().__init__('', view, [uid])
        self.parts = ('%sREPLACE %d "%s" (%s) "%s" ' % ('UID ' * is_uid, number, name, ' '.join(sorted(flags)), letter.internaldate()), letter.text, '')
        self.name, self.letter, self.new, self.is_sync = name, letter, flags, is_sync

    def apply(self, world):
        box, to = self.box(world), world.boxes.get(self.name)
        self.code = ''
        if self.is_read_only:
            return 'NO [READ-ONLY]'
        if to is None:
            return 'NO [TRYCREATE]'
        if box is None or not self.there(box):
            return 'NO'
        self.code = '[APPENDUID %s %d]' % (to.validity, to.add(self.letter, self.new))
        box.remove(self.chosen)
        return 'OK'


class Expunge(OfView):
    """EXPUNGE or CLOSE, with uids None, or UID EXPUNGE."""

    def __init__(self, view, text, uids):
        super().__init__(text, view, uids)

    def apply(self, world):
        box = self.box(world)
        if box is None or self.is_read_only:
            return 'NO'
        box.remove([uid for uid in (box.uids() if self.chosen is None else self.there(box)) if '\\Deleted' in box.flags(uid)])
        return 'OK'


class Quit(Command):
    """POP3: deletes what DELE has marked, UIDs of INBOX. What others have deleted meanwhile is gone too: RFC 1939 §6."""

    def __init__(self, number, uids):
        super().__init__('QUIT')
        self.number, self.uids = number, uids

    def apply(self, world):
        box = world.of(self.number)
        box.remove([uid for uid in self.uids if uid in box.messages])
        return '+OK'


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


class Annotate(Command):
    """RFC 5464; RFC 7162 §3.2: a change has a MODSEQ, and here what sets it to what it is already has one too."""

    def __init__(self, name, comment):
        super().__init__('SETMETADATA "%s" (/private/comment %s)' % (name, 'NIL' if comment is None else '"%s"' % comment))
        self.name, self.comment = name, comment

    def apply(self, world):
        box = world.boxes.get(self.name)
        if box is None:
            return 'NO [NONEXISTENT]'
        box.modseq += 1
        box.comment = self.comment
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
                to.add(*inbox.messages[uid][:2])
            inbox.remove(inbox.uids())
            return 'OK'
        if '/' in self.to and not world.is_name(self.to.rsplit('/', 1)[0]):
            world.make(self.to.rsplit('/', 1)[0])
        for name in [self.name] * (self.name in world.boxes) + world.children(self.name):
            world.boxes[self.to + name[len(self.name):]] = world.boxes.pop(name)
        return 'OK'
