"""Steps of the model's player (imap_player.py) in which several sessions act at the same time, or a process dies."""
import itertools
import re
import time

import imap_model as model
from conftest import until
from imap_session import wire_name
from imap_view import flags_of


class Delivering:
    """The LMTP client and the POP3 client as sessions in a race: the command goes out whole, and the answer is read later."""

    def __init__(self, run):
        self.run, self.view, self.modes, self.answer = run, None, set(), None

    def __repr__(self):
        return 'mail'

    def begin(self, command):
        run = self.run
        run.note(self, command)
        self.client = run.pop3 if isinstance(command, model.Quit) else run.lmtp
        self.answer = None
        if isinstance(command, model.Quit):
            self.client.send('QUIT\r\n')
            return
        for line in ('MAIL FROM:<s@remote.example>', 'RCPT TO:<%s>' % run.user, 'DATA'):
            reply = self.client.command(line)
            if reply.code not in (250, 354):
                self.client.command('RSET')
                self.answer = str(reply)
                return
        command.is_accepted = True
        self.client.send(command.letters[0].text + b'.\r\n')

    def end(self, command):
        if self.answer is None:
            self.answer = self.client.line().decode() if isinstance(command, model.Quit) else str(self.client.reply())
        self.run.note(self, '->', self.answer)
        return self.answer


class Races:
    # ---- commands and what may come of them ----

    def some_change(self, session, is_violent):
        """A command for a batch, of which nobody knows the order. A URL is no part of it: it is read before the message is kept."""
        session.is_racing = True
        command = self.some_racing_command(session, is_violent)
        session.is_racing = False
        return command

    def some_racing_command(self, session, is_violent):
        r = self.random
        kinds = ['append', 'append']
        if session.view and self.box_of(session) is not None:
            kinds += ['store', 'store', 'copy', 'copy', 'expunge'] + ['replace'] * bool(session.view.uids)
        if is_violent:
            kinds += ['create', 'delete', 'rename']
        kind = r.choice(kinds)
        if kind == 'append':
            letters = [self.letter() for _ in range(r.choice([1, 1, 2]))]
            return model.Append(self.some_name(), letters, [self.some_flags() for _ in letters], [[letter.text] for letter in letters], r.random() < 0.5)
        if kind == 'store':
            return self.some_store(session)[0]
        if kind == 'copy':
            return self.some_copy(session)
        if kind == 'replace':
            return self.some_replace(session)
        if kind == 'expunge':
            return self.some_expunge(session)
        if kind == 'create':
            return model.Create(self.some_name())
        if kind == 'delete':
            return model.Delete(self.some_name())
        return model.Rename(self.some_name(), self.some_name())

    def some_mail(self):
        """What is done beside IMAP: a delivery, or the end of a POP3 session."""
        if self.pop3 is not None and self.random.random() < 0.5:
            return self.begin_pop3_quit()
        return self.some_delivery()

    def outcomes(self, batch):
        """Every world that may have come of a batch of (command, answer or None): all orders of those that were answered, and, for
        those that were not, with and without. What was refused for want of a process has not happened."""
        unanswered = [pair for pair in batch if pair[1] is None]
        answered = [pair for pair in batch if pair[1] is not None and not pair[1].startswith(('NO [UNAVAILABLE]', '451', '421'))]
        for count in range(len(unanswered) + 1):
            for chosen in itertools.combinations(unanswered, count):
                for order in itertools.permutations(answered + list(chosen)):
                    world = self.world.copy()
                    if all(self.fits(command, command.apply(world), answer) for command, answer in order):
                        yield world

    def fits(self, command, expected, answer):
        """Whether that answer is right; the UIDVALIDITY of a mailbox that is just being made is not known."""
        if answer is None or 'None' in expected:
            return True
        said = command.code if answer.startswith('OK') else ''
        return (answer.startswith(expected) or self.has_modseq_code(answer, expected)) and ('None' in said or said in command.said)

    def dump(self):
        """What there is, as a session that comes now sees it: by name, (UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ, messages)."""
        found = {}
        for row in self.watcher.ok('LIST "" *'):
            if b'\\Noselect' in row:
                continue
            name = re.search(rb'"/" "?([^"]*)"?$', row)[1].decode()
            said = b'\n'.join(self.watcher.ok('EXAMINE "%s"' % name))
            messages = {}
            if not re.search(rb'(?m)^\* 0 EXISTS', said):
                for response in self.watcher.ok('FETCH 1:* (UID FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (X-Id)])'):
                    if b' FETCH ' not in response:
                        continue
                    values = self.values_of(response)
                    token = re.search(rb'X-Id: (\S+)', values[b'BODY[HEADER.FIELDS (X-Id)]'])[1].decode()
                    messages[int(values[b'UID'])] = (token, flags_of(values[b'FLAGS']), int(values[b'MODSEQ'][0]))
            numbers = [int(re.search(rb'%s (\d+)' % word, said)[1]) for word in (b'UIDVALIDITY', b'UIDNEXT', b'HIGHESTMODSEQ')]
            found[name] = (*numbers, messages)
        self.watcher.ok('UNSELECT')
        return found

    @staticmethod
    def facts_of(box, validity):
        messages = {uid: (message.letter.token, message.flags, message.modseq) for uid, message in box.messages.items()}
        return box.validity or validity, box.uidnext, box.modseq, messages

    def choose(self, worlds):
        """The one of them that is."""
        found = self.dump()
        tried, fitting = 0, []
        for world in worlds:
            tried += 1
            if {wire_name(name) for name in world.boxes} != set(found):
                continue
            pairs = [(box, found[wire_name(name)]) for name, box in world.boxes.items()]
            if all(self.facts_of(box, real[0]) == real for box, real in pairs):
                fitting.append(world)
        if fitting:
            self.world = self.by_what_has_gone(fitting)
            self.learn_validities(self.world)
            self.learn_letters()
            return
        before = {wire_name(name): self.facts_of(box, None) for name, box in self.world.boxes.items()}
        lines = ['%s: found %s, before %s' % (name, real, before.get(name)) for name, real in sorted(found.items()) if real != before.get(name)]
        lines += ['%s is gone' % name for name in before if name not in found]
        raise AssertionError('none of %d outcomes is what there is:\n%s' % (tried, '\n'.join(lines)))

    def by_what_has_gone(self, worlds):
        """Of worlds that look alike, one whose messages have gone in the order that they went in: only the MODSEQs tell (RFC 7162 §3.2.6)."""
        for name in worlds[0].boxes:
            alternatives = [set(world.boxes[name].gone.items()) for world in worlds]
            in_doubt = set.union(*alternatives) - set.intersection(*alternatives)
            for since in sorted({modseq for _, modseq in in_doubt}):
                told = self.gone_since(name, since, worlds[0].boxes[name].uidnext)
                worlds = [world for world in worlds if {uid for uid, modseq in world.boxes[name].gone.items() if modseq > since} == told]
                assert worlds, ('nothing can have gone in that order', name, since, sorted(told), sorted(in_doubt))
        return worlds[0]

    def gone_since(self, name, since, uid_most):
        with self.server.imap(self.user) as asker:
            asker.ok('ENABLE QRESYNC')
            asker.ok('EXAMINE "%s"' % wire_name(name))
            told = asker.ok('UID FETCH 1:%d (UID) (CHANGEDSINCE %d VANISHED)' % (uid_most, since))
        self.note('gone of', name, 'since', since, told)
        return {uid for row in told if row.startswith(b'* VANISHED (EARLIER) ') for uid in model.numbers_of(row.split()[3].decode())}

    # ---- steps ----

    def end_one(self, session, command, tag):
        """Reads the answer of a race; None if the connection has ended."""
        command.said = ''
        if isinstance(session, Delivering):
            return session.end(command)
        answer, others = self.read(session, tag, not command.is_quiet)
        command.said = ' '.join(response.decode('utf-8', 'replace') for response in others)
        return answer

    def begin_one(self, session, command):
        if isinstance(session, Delivering):
            return session.begin(command)
        if getattr(command, 'since', None) is not None and not session.view.is_read_only:
            session.use_condstore()
        return self.send(session, command)

    def step_race(self, _):
        """Several sessions at the same time."""
        ready = [s for s in self.sessions if s.idle_tag is None and (s.view is None or self.box_of(s) is not None)]
        chosen = self.random.sample(ready, min(len(ready), self.random.randint(2, 3)))
        for session in chosen:
            self.step_noop(session)
        batch = [(session, self.some_change(session, False)) for session in chosen]
        if self.random.random() < 0.5:
            batch.append((Delivering(self), self.some_mail()))
        for session in chosen:
            if session.view:
                session.view.settled = None
        tags = [self.begin_one(session, command) for session, command in batch]
        answered = []
        for (session, command), tag in zip(batch, tags):
            answer = self.end_one(session, command, tag)
            answered.append((command, answer))
            if isinstance(command, model.Store) and command.is_silent:
                for uid in command.chosen:
                    session.view.flags.pop(uid, None)  # what it knows depends on the order
        self.choose(self.outcomes(answered))
        if any(isinstance(command, model.Quit) for _, command in batch):
            self.pop3.close()
            self.pop3, self.popped = None, None
        self.push()
        for session in chosen:
            self.step_noop(session)
        self.push()

    def step_kill(self, _):
        """Several sessions at the same time, and a process dies meanwhile, or the whole server does."""
        role = self.random.choice(['store', 'store', 'edge-user', 'filter', 'vault', 'everything'])
        # a process that dies within a second of its start is not started again at once
        time.sleep(max(0.0, self.may_die.get(role, 0.0) - time.monotonic()))
        for session in self.sessions:
            if session.idle_tag is not None:
                self.end_idle(session)
        ready = [s for s in self.sessions if s.view is None or self.box_of(s) is not None]
        chosen = self.random.sample(ready, min(len(ready), self.random.randint(1, 3)))
        batch = [(session, self.some_change(session, role not in ('filter', 'vault'))) for session in chosen]
        if self.random.random() < 0.3:
            batch.append((Delivering(self), self.some_delivery()))
        tags = [self.begin_one(session, command) for session, command in batch]
        if self.random.random() < 0.7:
            time.sleep(self.random.random() * 0.004)  # so that it dies at any place
        self.note('kill', role)
        self.kill(role)
        answered = []
        for session in self.sessions:
            self.keep(session)
        for (session, command), tag in zip(batch, tags):
            try:
                answer = self.end_one(session, command, tag)
            except (EOFError, OSError):
                answer = None
            answered.append((command, answer))
        self.server.wait_all_running()
        self.may_die[role] = time.monotonic() + 1.1
        for session in self.sessions if role in ('filter', 'vault') else ():
            session.imap.ok('NOOP')  # no session ends with these
        self.come_back()
        self.choose(self.outcomes(answered))
        self.push()

    def kill(self, role):
        if role == 'everything':
            self.server.kill_all()
            self.server.start()
        else:
            assert self.server.kill_role(role)

    def come_back(self):
        """All come back; what each knew of its mailboxes it asks for when it selects them again."""
        for each in [s.imap for s in self.sessions] + [self.watcher, self.lmtp, self.pop3]:
            if each:
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
        self.lmtp, self.pop3, self.popped = self.server.smtp('lmtp'), None, None
