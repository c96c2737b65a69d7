"""Plays random IMAP commands of several sessions of one account, deliveries by LMTP and a POP3 session, and compares every answer with a
small model (imap_model.py): whatever a session is told must be so, and after each command it must have been told everything.

Run is put together of what changes mailboxes (imap_changes.py), what looks at them (imap_looks.py), and several at once, with processes
that die meanwhile (imap_races.py)."""
import collections
import os
import random
import re
import time

import imap_model as model
from imap_changes import Changes
from imap_letters import Letter
from imap_looks import Looks
from imap_races import Races
from imap_session import Session, wire_name
from imap_view import parse_list

SESSIONS = 4
BOXES = ['INBOX', 'INBOX', 'INBOX', 'Archive', 'Work', 'Work/a', 'Work/a/b', 'Play', 'Play/a', 'Café']
KEYWORDS = ['$Work', '$Forwarded', 'NonJunk', '$label1']
LINES_MOST = 20000  # of the log, which is kept for a run that fails


class Run(Changes, Looks, Races):
    """One seed's run."""

    def __init__(self, server, seed):
        self.server, self.seed = server, seed
        self.random = random.Random(seed)
        # of a domain of his own: who comes near a domain's quota is not written to, as a user is
        self.domain = 'm%d-%d.test' % (seed, time.monotonic_ns() % 10 ** 9)
        server.must('domain', 'add', self.domain)
        self.user = server.add_user('u@' + self.domain)
        self.world = model.World()
        self.validities = set()
        self.step, self.letters, self.ids = 0, [], collections.deque(maxlen=12)
        self.may_die = {}
        self.log = collections.deque(maxlen=LINES_MOST)
        self.began = time.monotonic()
        self.sessions = [Session(self, number) for number in range(SESSIONS)]
        self.watcher = server.imap(self.user)  # looks at everything, and selects nothing for long
        self.lmtp = server.smtp('lmtp')
        self.pop3, self.popped = None, None
        self.learn_validities(self.world)
        self.push()

    def close(self):
        for each in [s.imap for s in self.sessions] + [self.watcher, self.lmtp, self.pop3]:
            if each:
                each.close()

    def note(self, *words):
        self.log.append('%5d %9.3f %s' % (self.step, time.monotonic() - self.began, ' '.join(str(word) for word in words))[:1000])

    def tell(self, fault):
        """What a failure is traced with: who was told what in which order, and what each session believes. The end of it is printed;
        all of it goes into a file of the folder CARTEIRO_MODEL_LOGS, if there is one."""
        lines = list(self.log)
        end = ['seed %d, step %d: %s' % (self.seed, self.step, repr(fault)[:5000])]
        for session in self.sessions:
            view = session.view
            end.append('%s %s, IDLE %s, statuses %s, sees %s' % (session, sorted(session.modes), session.idle_tag, session.statuses, view and (
                self.world.name_of(view.number), view.uids, 'horizon', view.horizon, 'settled', view.settled, 'flags', view.flags, 'modseqs', view.modseqs)))
        end += ['%s %d: UIDNEXT %d, MODSEQ %d, %s, gone %s' % (name, box.number, box.uidnext, box.modseq, box.messages and {
            uid: (message.letter.token, sorted(message.flags), message.modseq) for uid, message in box.messages.items()}, box.gone)
            for name, box in self.world.boxes.items()]
        folder = os.environ.get('CARTEIRO_MODEL_LOGS')
        if folder:
            with open(os.path.join(folder, 'seed-%d-%s' % (self.seed, self.domain)), 'w') as file:
                file.write('\n'.join(lines + end + [self.server.log()[-100000:], '']))
        return '\n'.join([line[:200] for line in lines[-150:]] + [line[:5000] for line in end])

    # ---- what the server alone knows ----

    def learn_validities(self, world):
        """RFC 3501 §2.3.1.1: a mailbox made anew under an old name has a greater one; here no two have ever the same."""
        for name, box in world.boxes.items():
            if box.validity is None:
                (row,) = self.watcher.ok('STATUS "%s" (UIDVALIDITY)' % wire_name(name))
                box.validity = int(re.search(rb'UIDVALIDITY (\d+)', row)[1])
                assert box.validity > max(self.validities, default=0) or box.number <= len(model.STANDARD), name
        self.validities.update(box.validity for box in world.boxes.values())

    def learn_letters(self):
        """What delivered messages have become: the server adds fields, and says when they came."""
        for name, box in self.world.boxes.items():
            uids = [uid for uid, message in box.messages.items() if message.letter.size is None]
            if not uids:
                continue
            self.watcher.ok('EXAMINE "%s"' % wire_name(name))
            for response in self.watcher.ok('UID FETCH %s (RFC822.SIZE BODY.PEEK[HEADER])' % model.text_of_set(uids)):
                if b'FETCH' not in response:
                    continue
                items, _ = parse_list(response, response.index(b'('))
                values = dict(zip(items[::2], items[1::2]))
                letter = box.messages[int(values[b'UID'])].letter
                letter.size, letter.header = int(values[b'RFC822.SIZE']), values[b'BODY[HEADER]'].decode()
                assert letter.header.endswith(letter.text[:letter.text.index(b'\r\n\r\n') + 4].decode())
            self.watcher.ok('UNSELECT')

    # ---- choosing ----

    def some_name(self):
        return self.random.choice(BOXES)

    def some_box(self):
        return self.random.choice([name for name in BOXES if name in self.world.boxes])

    def letter(self):
        letter = Letter('%d-%d' % (self.seed, len(self.letters)), self.random, self.ids)
        self.letters.append(letter)
        self.ids.append(letter.id)
        return letter

    def some_flags(self, most=3):
        return self.random.sample(model.SYSTEM + tuple(KEYWORDS), self.random.randint(0, most))

    def some_set(self, session):
        """A set, whether of UIDs, and which UIDs it names."""
        r, view = self.random, session.view
        count = len(view.uids)
        is_uid = count == 0 or r.random() < 0.5 or not session.can_number()
        if r.random() < 0.07:
            return '$', is_uid, sorted(view.saved)  # RFC 5182
        parts = []
        for _ in range(r.choice([1, 1, 1, 2, 4])):
            if is_uid:
                a = max(1, r.choice(view.uids or [1]) + r.choice([0, 0, 0, -1, 1, 5]))
                near = a + r.choice([0, 1, 5, 40])
            else:
                a = r.randint(1, count)
                near = min(count, a + r.choice([0, 1, 3, 8]))
            parts.append(r.choice(['%d' % a, '%d:%d' % (a, near), '%d:%d' % (near, a), '*', '%d:*' % a]))
        text = ','.join(parts) if r.random() < 0.95 else '1:*'
        if not session.can_say_last():
            text = self.without_last(text, view)
        uids = model.resolve(text, view.uids, is_uid)
        assert uids is not None
        return text, is_uid, uids

    @staticmethod
    def without_last(text, view):
        """The set of UIDs without what may name a message that comes meanwhile."""
        last = view.horizon - 1
        ends = re.sub(r'\d+|\*', lambda end: str(last if end[0] == '*' else min(int(end[0]), last)), text)
        return ends if last else '4294967295'

    def some_modseq(self, box):
        """One of the mailbox's, or one near them."""
        known = [message.modseq for message in box.messages.values()] + list(box.gone.values()) + [box.modseq]
        return max(0, self.random.choice(known[-40:]) + self.random.choice([0, 0, -1, 1]))

    # ---- sending and reading ----

    def send(self, session, command):
        """Sends the first part; further ones follow when the server asks for them, or at once (RFC 7888)."""
        self.note(session, sorted(session.modes) or '', command)
        parts, is_sync = (command.parts, command.is_sync) if isinstance(command, model.Command) else ((command,), False)
        lines, line = [], b''
        for part in parts:
            if isinstance(part, str):
                line += session.wire_name(part).encode()
            else:
                lines.append(line + b'{%d%s}\r\n' % (len(part), b'' if is_sync else b'+'))
                line = part
        lines.append(line)
        if not is_sync:
            return session.imap.send_command(b''.join(lines))
        session.literals = lines[1:-1] + [lines[-1] + b'\r\n'] if len(lines) > 1 else []
        return session.imap.send_command(lines[0][:-2] if len(lines) > 1 else lines[0])

    def read(self, session, tag, may_expunge):
        """The tagged answer; what comes before it goes into the view."""
        others = []
        while True:
            response = session.imap.response()
            if response.startswith(tag + b' '):
                break
            self.note(session, '  ', response)
            if response.startswith(b'+'):
                session.imap.send(session.literals.pop(0))
            elif session.view is None or not session.view.take(response, may_expunge):
                if not session.take_status(response) or b'STATUS' in response:
                    others.append(response)
        answer = response[len(tag) + 1:].decode()
        session.literals = []
        if session.statuses is not None:
            session.statuses = {}  # RFC 5465 §3.1: of what it does itself nothing need be told
        if session.view is not None:
            session.view.take_tagged(answer)
        self.note(session, '->', answer)
        return answer, others

    def do(self, session, command, may_expunge=True):
        """One command that nothing else runs beside."""
        expected = command.apply(self.world)
        answer, others = self.read(session, self.send(session, command), may_expunge)
        assert answer.startswith(expected) or self.has_modseq_code(answer, expected), (answer, expected)
        if command.code:
            assert any(command.code.encode() in response for response in others), (others, command.code)
        self.after(session, may_expunge)
        return others

    @staticmethod
    def has_modseq_code(answer, expected):
        """RFC 7162 §3.2.7 to §3.2.9"""
        return expected == 'OK' and answer.startswith('OK [HIGHESTMODSEQ ')

    def plain(self, session, text, expected='OK', may_expunge=True):
        answer, others = self.read(session, self.send(session, text), may_expunge)
        assert answer.startswith(expected), (text, answer, expected)
        return others

    def box_of(self, session):
        return self.world.of(session.view.number)

    def after(self, session, may_expunge=True):
        """The command has ended: the session knows everything, or ends if its mailbox is no more."""
        if session.view is not None and self.box_of(session) is None:
            self.expect_bye(session)
        elif session.view is not None:
            session.view.settle(self.box_of(session), may_expunge)
        self.push()

    def expect_bye(self, session):
        """RFC 2180 §3.3: of a mailbox that has been deleted. Afterwards the client comes back."""
        response = session.imap.response()
        while not response.startswith(b'* BYE'):
            self.note(session, 'before BYE:', response)
            response = session.imap.response()
        self.note(session, '  ', response)
        assert b'deleted' in response, response
        assert session.imap.rest() == b''
        session.imap.close()
        session.connect()

    def push(self):
        """Sessions in IDLE, or with NOTIFY, are told at once."""
        for session in self.sessions:
            is_told = session.idle_tag is not None or session.statuses is not None
            if is_told and session.view is not None and self.box_of(session) is None:
                self.expect_bye(session)
            if session.statuses is not None or session.idle_tag is not None:
                self.read_pushed(session)

    def read_pushed(self, session):
        def is_waiting():
            return (session.view is not None and not session.view.is_current(self.box_of(session))) or (
                session.statuses is not None and not session.is_notified())
        while is_waiting():
            try:
                response = session.imap.response()
            except TimeoutError:
                due = session.statuses, session.statuses is not None and session.expected_statuses()
                view = session.view and (session.view.uids, session.view.flags, session.view.modseqs)
                raise AssertionError('%s is not told: statuses %s, view %s' % (session, due, view)) from None
            self.note(session, 'pushed:', response)
            assert (session.view is not None and session.view.take(response, True)) or session.take_status(response) or response.startswith(
                (b'* FLAGS', b'* OK')), response
        if session.view is not None:
            session.view.settle(self.box_of(session), True)
        if session.statuses is not None:
            session.statuses = session.expected_statuses()

    # ---- all of it ----

    WEIGHTS = {'append': 8, 'deliver': 4, 'store': 14, 'copy': 8, 'replace': 2, 'expunge': 5, 'select': 7, 'leave': 2, 'drop': 2, 'boxes': 4,
               'annotate': 1, 'quota': 1, 'pop3': 3, 'fetch': 10, 'fetch_changed': 5, 'search': 8, 'sort': 4, 'thread': 4, 'noop': 6, 'status': 3,
               'list': 1, 'idle': 3, 'race': 4}
    NEED_VIEW = ('store', 'copy', 'replace', 'expunge', 'leave', 'fetch', 'fetch_changed', 'search', 'sort', 'thread', 'idle')

    def go(self, steps, kills_every=0):
        names, weights = zip(*self.WEIGHTS.items())
        for self.step in range(steps):
            if kills_every and self.step % kills_every == kills_every - 1:
                self.step_kill(None)
                continue
            session = self.random.choice(self.sessions)
            what = self.random.choices(names, weights)[0]
            if session.idle_tag is not None and what != 'deliver':
                if self.random.random() < 0.3:
                    self.end_idle(session)
                continue
            if what in self.NEED_VIEW and session.view is None:
                what = 'select'
            getattr(self, 'step_' + what)(session)
        self.settle_all()
        self.choose([self.world])

    def settle_all(self):
        for session in self.sessions:
            if session.idle_tag is not None:
                self.end_idle(session)
            self.step_noop(session)
