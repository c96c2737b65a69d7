"""Plays random IMAP commands of several sessions of one account, and deliveries, and compares every answer with a small model
(imap_model.py): whatever a session is told must be so, and after each command it must have been told everything."""
import collections
import itertools
import random
import re
import time

import imap_model as model
from conftest import until

SESSIONS = 4
BOXES = ['INBOX', 'INBOX', 'INBOX', 'Archive', 'Work', 'Work/a', 'Work/a/b', 'Play', 'Play/a', 'Café']
KEYWORDS = ['$Work', '$Forwarded', 'NonJunk', '$label1']
MESSAGES_MOST = 60  # of a mailbox; above, messages are deleted more often


def wire_name(name):
    return name.replace('é', '&AOk-')


class Session:
    def __init__(self, run, number):
        self.run, self.number = run, number
        self.connect()

    def connect(self):
        self.imap = self.run.server.imap(self.run.user)
        self.view, self.idle_tag = None, None

    def __repr__(self):
        return 's%d' % self.number


class Run:
    """One seed's run."""

    def __init__(self, server, seed):
        self.server, self.seed = server, seed
        self.random = random.Random(seed)
        self.user = server.add_user('m%d-%d' % (seed, time.monotonic_ns() % 10 ** 9))
        self.world = model.World()
        self.validities = set()
        self.step, self.messages = 0, 0
        self.may_die = {}
        self.log = collections.deque(maxlen=60)
        self.sessions = [Session(self, number) for number in range(SESSIONS)]
        self.watcher = server.imap(self.user)  # looks at everything, and selects nothing for long
        self.lmtp = server.smtp('lmtp')
        self.learn_validities(self.world)

    def close(self):
        for each in [s.imap for s in self.sessions] + [self.watcher, self.lmtp]:
            each.close()

    def note(self, *words):
        self.log.append('%5d %s' % (self.step, ' '.join(str(word) for word in words))[:300])

    # ---- names and validities ----

    def learn_validities(self, world):
        """RFC 3501 §2.3.1.1: a mailbox made anew under an old name has a greater one; here no two have ever the same."""
        for name, box in world.boxes.items():
            if box.validity is None:
                (row,) = self.watcher.ok('STATUS "%s" (UIDVALIDITY)' % wire_name(name))
                box.validity = int(re.search(rb'UIDVALIDITY (\d+)', row)[1])
                assert box.validity > max(self.validities, default=0) or box.number <= len(model.STANDARD), name
        self.validities.update(box.validity for box in world.boxes.values())

    def some_name(self):
        return self.random.choice(BOXES)

    def some_box(self):
        return self.random.choice([name for name in BOXES if name in self.world.boxes])

    # ---- sending and reading ----

    def send(self, session, command):
        self.note(session, command)
        text = wire_name(str(command))
        message = getattr(command, 'literal', None)
        if message is None:
            return session.imap.send_command(text)
        if not command.is_sync:
            return session.imap.send_command(text.encode() + b'\r\n' + message)
        tag = session.imap.send_command(text)
        session.sync_message = message
        return tag

    def read(self, session, tag, may_expunge):
        """The tagged answer; what comes before it goes into the view."""
        others = []
        while True:
            response = session.imap.response()
            if response.startswith(tag + b' '):
                break
            if response.startswith(b'+'):
                session.imap.send(session.sync_message + b'\r\n')
            elif session.view is None or not session.view.take(response, may_expunge):
                others.append(response)
        answer = response[len(tag) + 1:].decode()
        self.note(session, '->', answer)
        return answer, others

    def do(self, session, command, may_expunge=True):
        """One command that nothing else runs beside."""
        expected = command.apply(self.world)
        answer, others = self.read(session, self.send(session, command), may_expunge)
        assert answer.startswith(expected), (answer, expected)
        self.after(session, may_expunge)
        return others

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
            response = session.imap.response()
        assert b'deleted' in response, response
        assert session.imap.rest() == b''
        session.imap.close()
        session.connect()

    def push(self):
        """Sessions in IDLE are told at once."""
        for session in self.sessions:
            if session.idle_tag is None or session.view is None:
                continue
            box = self.box_of(session)
            if box is None:
                self.expect_bye(session)
                continue
            while not session.view.is_current(box):
                response = session.imap.response()
                self.note(session, 'idle:', response)
                assert session.view.take(response, True) or response.startswith((b'* FLAGS', b'* OK')), response

    # ---- steps ----

    def message(self):
        self.messages += 1
        token = '%d-%d' % (self.seed, self.messages)
        size = self.random.choice([0, 10, 300, 300, 5000, 70000])
        body = ('line %s\r\n' % token) * (size // 10)
        return token, ('X-Id: %s\r\nSubject: %s\r\n\r\n%s' % (token, token, body)).encode()

    def some_flags(self, most=3):
        return self.random.sample(model.SYSTEM + tuple(KEYWORDS), self.random.randint(0, most))

    def some_set(self, view):
        """A set, whether of UIDs, and which UIDs it names."""
        r, count = self.random, len(view.uids)
        is_uid = count == 0 or r.random() < 0.5
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
        uids = model.resolve(text, view.uids, is_uid)
        assert uids is not None
        return text, is_uid, uids

    def some_store(self, session):
        text, is_uid, uids = self.some_set(session.view)
        flags = self.some_flags()
        if self.random.random() < (0.4 if len(session.view.uids) > MESSAGES_MOST else 0.15):
            flags = set(flags) | {'\\Deleted'}
        return model.Store(session.view, text, uids, is_uid, self.random.choice(['', '+', '+', '-']), flags, self.random.random() < 0.4), is_uid

    def some_copy(self, session):
        text, is_uid, uids = self.some_set(session.view)
        is_move = self.random.random() < 0.5 or len(uids) > MESSAGES_MOST / 2
        return model.Copy(session.view, text, uids, is_uid, self.some_name(), is_move)

    def some_append(self):
        token, message = self.message()
        return model.Append(self.some_name(), token, self.some_flags(), message, self.random.random() < 0.5)

    def some_expunge(self, session):
        if self.random.random() < 0.5:
            return model.Expunge(session.view, 'EXPUNGE', None)
        while True:
            text, is_uid, uids = self.some_set(session.view)
            if is_uid:
                return model.Expunge(session.view, 'UID EXPUNGE ' + text, uids)

    def step_append(self, session):
        self.do(session, self.some_append())

    def step_deliver(self, session):
        token, message = self.message()
        command = model.Deliver(token, message)
        self.note(command)
        command.apply(self.world)
        assert self.lmtp.send_message('s@remote.example', [self.user], message).code == 250
        self.step_status(None, 'INBOX')  # comes behind what store tells of it
        self.push()

    def step_store(self, session):
        command, is_uid = self.some_store(session)
        if session.view.is_read_only:
            command.apply(self.world)
            self.plain(session, command, 'NO', may_expunge=is_uid)
            return self.after(session, may_expunge=is_uid)
        # a client that asks for silence knows the flags as far as it knew them: RFC 3501 §6.4.6
        view, box = session.view, self.box_of(session)
        for uid in command.there(box) if box and command.is_silent else ():
            if uid in view.flags:
                view.flags[uid] = command.changed(view.flags[uid])
        expected = command.apply(self.world)
        answer, _ = self.read(session, self.send(session, command), is_uid)
        assert answer.startswith(expected), (answer, expected)
        if box is not None and not command.is_silent and not is_uid:
            told = {view.uids[number - 1] for number, values in view.fetched.items() if b'FLAGS' in values}
            assert set(command.there(box)) <= told, ('STORE has not told', sorted(set(command.there(box)) - told))
        self.after(session, may_expunge=is_uid)

    def step_copy(self, session):
        command = self.some_copy(session)
        others = self.do(session, command)
        code = getattr(command, 'code', '')
        if command.is_move and code and self.world.boxes.get(command.name):
            assert any(code.encode() in response for response in others), (others, code)

    def step_expunge(self, session):
        self.do(session, self.some_expunge(session))

    def step_select(self, session):
        name = self.some_name()
        is_read_only = self.random.random() < 0.25
        text = '%s "%s"' % ('EXAMINE' if is_read_only else 'SELECT', name)
        session.view = None
        box = self.world.boxes.get(name)
        if box is None:
            self.plain(session, text, 'NO')
            return
        said = b'\n'.join(self.plain(session, text, 'OK [READ-ONLY]' if is_read_only else 'OK [READ-WRITE]'))
        session.view = model.View(box, is_read_only)
        unseen = [n for n, uid in enumerate(box.uids(), 1) if '\\Seen' not in box.messages[uid][1]]
        facts = [b'* %d EXISTS' % len(box.messages), b'[UIDVALIDITY %d]' % box.validity, b'[UIDNEXT %d]' % box.uidnext]
        facts += [b'[UNSEEN %d]' % unseen[0]] if unseen else []
        assert all(fact in said for fact in facts) and (unseen or b'[UNSEEN' not in said), (said, facts)
        session.view.take([line for line in said.split(b'\n') if line.startswith(b'* FLAGS')][0], False)
        assert all(flag in session.view.keywords or flag.startswith('\\') for _, flags in box.messages.values() for flag in flags)

    def step_leave(self, session):
        view, is_close = session.view, self.random.random() < 0.5
        box = self.box_of(session)
        if box is None:
            return self.step_noop(session)
        session.view = None
        if is_close and not view.is_read_only:
            model.Expunge(view, 'CLOSE', None).apply(self.world)
        assert not self.plain(session, 'CLOSE' if is_close else 'UNSELECT'), 'CLOSE tells of no EXPUNGE: RFC 3501 §6.4.2'
        self.push()

    def step_boxes(self, session):
        r = self.random
        what = r.random()
        if what < 0.5:
            command = model.Create(self.some_name())
        elif what < 0.7:
            command = model.Delete(self.some_name())
        else:
            command = model.Rename(self.some_name(), self.some_name())
        is_own = session.view and self.box_of(session) is self.world.boxes.get(getattr(command, 'name', None)) and self.box_of(session)
        expected = command.apply(self.world)
        answer, _ = self.read(session, self.send(session, command), True)
        assert answer.startswith(expected), (answer, expected)
        self.learn_validities(self.world)
        if is_own and isinstance(command, model.Delete) and expected == 'OK':
            session.view = None  # who deletes the mailbox that it has selected has none selected
        self.after(session)

    def step_fetch(self, session):
        r, view, box = self.random, session.view, self.box_of(session)
        text, is_uid, uids = self.some_set(view)
        items = r.sample(['FLAGS', 'UID', 'RFC822.SIZE', 'BODY.PEEK[]', 'BODY.PEEK[HEADER.FIELDS (X-Id)]', 'BODY[]', 'BODY[TEXT]', 'ENVELOPE'], r.randint(1, 3))
        line = '%sFETCH %s (%s)' % ('UID ' * is_uid, text, ' '.join(items))
        command = (model.See if any(item.startswith('BODY[') for item in items) else model.OfView)(line, view, uids)
        if isinstance(command, model.See):
            command.apply(self.world)
        there = command.there(box) if box else []
        is_whole = is_uid or len(there) == len(uids)
        self.plain(session, command, 'OK' if (box and is_whole) or not uids else 'NO', may_expunge=is_uid)
        if box is not None:
            self.check_fetched(view, box, there, items, is_uid)
        self.after(session, may_expunge=is_uid)

    def check_fetched(self, view, box, there, items, is_uid):
        """Each message that is there, with what was asked for."""
        if is_uid:
            told = {int(values[b'UID']): values for values in view.fetched.values() if b'UID' in values}
        else:
            told = {view.uids[number - 1]: values for number, values in view.fetched.items()}
        for uid in there:
            token, flags = box.messages[uid]
            for item in items:
                name = item.replace('.PEEK', '').encode()
                value = told.get(uid, {}).get(name.upper())
                assert value is not None, ('not fetched', uid, item, sorted(told))
                if name == b'BODY[]' or b'HEADER' in name:
                    assert re.search(rb'(?m)^X-Id: (\S+)\r$', value)[1].decode() == token, (uid, token, value[:300])
                elif name == b'FLAGS':
                    assert frozenset(f.decode() for f in value) - {'\\Recent'} == flags, (uid, value, flags)

    def step_search(self, session):
        view, box = session.view, self.box_of(session)
        keys, is_uid = [self.some_key(view) for _ in range(self.random.choice([1, 1, 2]))], self.random.random() < 0.5
        said = self.plain(session, '%sSEARCH %s' % ('UID ' * is_uid, ' '.join(text for text, _ in keys)), 'OK' if box else 'NO', may_expunge=is_uid)
        if box is not None:
            before = [uid for uid in view.uids if uid is not None and uid < view.horizon]
            found = [int(word) for response in said if response.startswith(b'* SEARCH') for word in response.split()[2:]]
            expected = [uid for uid in box.uids() if uid < view.horizon and all(test(uid, box.messages[uid][1]) for _, test in keys)]
            if is_uid:
                assert sorted(found) == expected, (found, expected)
            else:
                assert sorted(found) == [before.index(uid) + 1 for uid in expected], (found, expected, before)
        self.after(session, may_expunge=is_uid)

    def some_key(self, view, depth=0):
        """A search key, and the function that it is."""
        r = self.random
        what = r.randint(0, 6 if depth < 2 else 4)
        if what == 0:
            return 'ALL', lambda uid, flags: True
        if what in (1, 2):
            flag = r.choice(model.SYSTEM)
            if r.random() < 0.5:
                return flag[1:].upper(), lambda uid, flags: flag in flags
            return 'UN' + flag[1:].upper(), lambda uid, flags: flag not in flags
        if what == 3:
            word = r.choice(KEYWORDS)
            return 'KEYWORD ' + word, lambda uid, flags: word in flags
        if what == 4:
            text, is_uid, uids = self.some_set(view)
            return 'UID ' * is_uid + text, lambda uid, flags: uid in uids
        one, test_one = self.some_key(view, depth + 1)
        if what == 5:
            return 'NOT ' + one, lambda uid, flags: not test_one(uid, flags)
        two, test_two = self.some_key(view, depth + 1)
        return 'OR %s %s' % (one, two), lambda uid, flags: test_one(uid, flags) or test_two(uid, flags)

    def step_noop(self, session):
        self.plain(session, self.random.choice(['NOOP', 'NOOP', 'CHECK' if session.view else 'NOOP']))
        self.after(session)

    def step_status(self, session, name=None):
        name = name or self.some_name()
        imap = session.imap if session else self.watcher
        box = self.world.boxes.get(name)
        text = 'STATUS "%s" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)' % name
        if session:
            said = self.plain(session, text, 'OK' if box else 'NO')
        else:
            said = imap.ok(wire_name(text))
        if box is not None:
            unseen = sum('\\Seen' not in flags for _, flags in box.messages.values())
            (row,) = [response for response in said if response.startswith(b'* STATUS')]
            numbers = dict(re.findall(r'([A-Z]+) (\d+)', row[row.rindex(b'('):].decode()))
            assert numbers == {'MESSAGES': str(len(box.messages)), 'UIDNEXT': str(box.uidnext), 'UIDVALIDITY': str(box.validity),
                               'UNSEEN': str(unseen)}, (name, numbers, len(box.messages), box.uidnext, box.validity, unseen)
        if session:
            self.after(session)

    def step_list(self, session):
        said = self.plain(session, 'LIST "" *')
        rows = [row for row in said if row.startswith(b'* LIST')]
        found = sorted((re.search(rb'"/" "?([^"]*)"?$', row)[1].decode(), b'\\Noselect' in row) for row in rows)
        names = [(name, False) for name in self.world.boxes] + [(name, True) for name in self.world.bare_names()]
        assert found == sorted((wire_name(name), is_bare) for name, is_bare in names), found
        self.after(session)

    def step_idle(self, session):
        session.idle_tag = self.send(session, 'IDLE')
        response = session.imap.response()
        while not response.startswith(b'+'):
            session.view.take(response, True)
            response = session.imap.response()
        self.push()

    def end_idle(self, session):
        tag, session.idle_tag = session.idle_tag, None
        session.imap.send(b'DONE\r\n')
        answer, _ = self.read(session, tag, True)
        assert answer.startswith('OK'), answer
        self.after(session)

    def settle_all(self):
        for session in self.sessions:
            if session.idle_tag is not None:
                self.end_idle(session)
            self.step_noop(session)

    # ---- several at once ----

    def some_change(self, session, is_violent):
        """A command for a batch, of which nobody knows the order."""
        r = self.random
        kinds = ['append', 'append']
        if session.view and self.box_of(session) is not None:
            kinds += ['store', 'store', 'copy', 'copy', 'expunge']
        if is_violent:
            kinds += ['create', 'delete', 'rename']
        kind = r.choice(kinds)
        if kind == 'append':
            return self.some_append()
        if kind == 'store':
            return self.some_store(session)[0]
        if kind == 'copy':
            return self.some_copy(session)
        if kind == 'expunge':
            return self.some_expunge(session)
        if kind == 'create':
            return model.Create(self.some_name())
        if kind == 'delete':
            return model.Delete(self.some_name())
        return model.Rename(self.some_name(), self.some_name())

    def outcomes(self, batch):
        """Every world that may have come of a batch of (command, answer or None): all orders of those that were answered, and, for
        those that were not, with and without. What was refused for want of a process has not happened."""
        unanswered = [pair for pair in batch if pair[1] is None]
        answered = [pair for pair in batch if pair[1] is not None and not pair[1].startswith('NO [UNAVAILABLE]')]
        for count in range(len(unanswered) + 1):
            for chosen in itertools.combinations(unanswered, count):
                for order in itertools.permutations(answered + list(chosen)):
                    world = self.world.copy()
                    if all(self.fits(command, command.apply(world), answer) for command, answer in order):
                        yield world

    @staticmethod
    def fits(command, expected, answer):
        """Whether that answer is right; the UIDVALIDITY of a mailbox that is just being made is not known."""
        if answer is None or 'None' in expected:
            return True
        moved = getattr(command, 'code', '') if answer.startswith('OK') and getattr(command, 'is_move', False) else ''
        return answer.startswith(expected) and ('None' in moved or moved in command.said)

    def dump(self):
        """What there is, as a session that comes now sees it: by name, (UIDVALIDITY, UIDNEXT, messages)."""
        found = {}
        for row in self.watcher.ok('LIST "" *'):
            if b'\\Noselect' in row:
                continue
            name = re.search(rb'"/" "?([^"]*)"?$', row)[1].decode()
            said = b'\n'.join(self.watcher.ok('EXAMINE "%s"' % name))
            messages = {}
            if not re.search(rb'(?m)^\* 0 EXISTS', said):
                for response in self.watcher.ok('FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-Id)])'):
                    items, _ = model.parse_list(response, response.index(b'('))
                    values = dict(zip(items[::2], items[1::2]))
                    token = re.search(rb'X-Id: (\S+)', values[b'BODY[HEADER.FIELDS (X-Id)]'])[1].decode()
                    messages[int(values[b'UID'])] = (token, frozenset(f.decode() for f in values[b'FLAGS']) - {'\\Recent'})
            found[name] = (int(re.search(rb'UIDVALIDITY (\d+)', said)[1]), int(re.search(rb'UIDNEXT (\d+)', said)[1]), messages)
        self.watcher.ok('UNSELECT')
        return found

    def choose(self, worlds):
        """The one of them that is."""
        found = self.dump()
        tried = 0
        for world in worlds:
            tried += 1
            if {wire_name(name) for name in world.boxes} != set(found):
                continue
            pairs = [(box, found[wire_name(name)]) for name, box in world.boxes.items()]
            if all(box.validity in (None, real[0]) and box.uidnext == real[1] and box.messages == real[2] for box, real in pairs):
                self.world = world
                self.learn_validities(world)
                return
        lines = ['%s: found %s, before %s' % (name, real, (lambda b: b and (b.validity, b.uidnext, b.messages))(self.world.boxes.get(name.replace('&AOk-', 'é'))))
                 for name, real in sorted(found.items())]
        raise AssertionError('none of %d outcomes is what there is:\n%s' % (tried, '\n'.join(lines)))

    def step_race(self, _):
        """Several sessions at the same time."""
        ready = [s for s in self.sessions if s.idle_tag is None and (s.view is None or self.box_of(s) is not None)]
        chosen = self.random.sample(ready, min(len(ready), self.random.randint(2, 3)))
        for session in chosen:
            self.step_noop(session)
        batch = [(session, self.some_change(session, False)) for session in chosen]
        tags = [self.send(session, command) for session, command in batch]
        answered = []
        for (session, command), tag in zip(batch, tags):
            is_quiet = isinstance(command, model.Store) and not command.text.startswith('UID')
            answer, others = self.read(session, tag, not is_quiet)
            command.said = ' '.join(response.decode('utf-8', 'replace') for response in others)
            answered.append((command, answer))
            if isinstance(command, model.Store) and command.is_silent:
                for uid in command.chosen:
                    session.view.flags.pop(uid, None)  # what it knows depends on the order
        self.choose(self.outcomes(answered))
        for session, _ in batch:
            self.step_noop(session)
        self.push()

    def step_kill(self, _):
        """Several sessions at the same time, and a process dies meanwhile."""
        role = self.random.choice(['store', 'store', 'edge-user', 'filter'])
        # a process that dies within a second of its start is not started again at once
        time.sleep(max(0.0, self.may_die.get(role, 0.0) - time.monotonic()))
        for session in self.sessions:
            if session.idle_tag is not None:
                self.end_idle(session)
        ready = [s for s in self.sessions if s.view is None or self.box_of(s) is not None]
        chosen = self.random.sample(ready, min(len(ready), self.random.randint(1, 3)))
        batch = [(session, self.some_change(session, role != 'filter')) for session in chosen]
        tags = [self.send(session, command) for session, command in batch]
        if self.random.random() < 0.7:
            time.sleep(self.random.random() * 0.004)  # so that it dies at any place
        self.note('kill', role)
        assert self.server.kill_role(role)
        answered = []
        for (session, command), tag in zip(batch, tags):
            command.said = ''
            try:
                session.view = None
                answer, others = self.read(session, tag, True)
                command.said = ' '.join(response.decode('utf-8', 'replace') for response in others)
            except (EOFError, OSError):
                answer = None
            answered.append((command, answer))
        self.server.wait_all_running()
        self.may_die[role] = time.monotonic() + 1.1
        for session in self.sessions if role == 'filter' else ():
            session.imap.ok('NOOP')  # no session ends with a filter
        self.come_back()
        self.choose(self.outcomes(answered))

    def come_back(self):
        for each in [s.imap for s in self.sessions] + [self.watcher, self.lmtp]:
            each.close()

        def connect():
            try:
                return self.server.imap(self.user)
            except (AssertionError, OSError, EOFError):
                return None
        self.watcher = until(connect)
        assert self.watcher, 'nobody can log in after a kill'
        for session in self.sessions:
            session.connect()
        self.lmtp = self.server.smtp('lmtp')

    # ---- all of it ----

    WEIGHTS = {'append': 8, 'deliver': 4, 'store': 16, 'copy': 8, 'expunge': 5, 'select': 6, 'leave': 2, 'boxes': 4, 'fetch': 12,
               'search': 8, 'noop': 6, 'status': 3, 'list': 1, 'idle': 3, 'race': 4}
    NEED_VIEW = ('store', 'copy', 'expunge', 'leave', 'fetch', 'search', 'idle')

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
