"""Steps of the model's player (imap_player.py) that change mailboxes or select them."""
import re
import urllib.parse

import imap_model as model
from imap_letters import Letter
from imap_view import View, flags_of

COMMENTS = [None, 'one', 'two']


class Changes:
    # ---- commands ----

    def some_store(self, session):
        r = self.random
        text, is_uid, uids = self.some_set(session)
        flags = self.some_flags()
        if r.random() < (0.4 if len(session.view.uids) > 60 else 0.15):
            flags = set(flags) | {'\\Deleted'}
        box = self.box_of(session)
        since = self.some_modseq(box) if box and r.random() < 0.3 else None
        if since is not None and r.random() < 0.1:
            since = 0
        return model.Store(session.view, text, uids, is_uid, r.choice(['', '+', '+', '-']), flags, r.random() < 0.4, since), is_uid

    def some_copy(self, session):
        text, is_uid, uids = self.some_set(session)
        is_move = self.random.random() < 0.5 or len(uids) > 30
        return model.Copy(session.view, text, uids, is_uid, self.some_name(), is_move)

    def some_body(self, letter):
        """How the message is said: whole, or by RFC 4469, with a URL of a part of another message or of one that is the same."""
        r = self.random
        letters = {}
        for name, box in self.world.boxes.items():
            for uid, message in list(box.messages.items())[-6:]:
                if message.letter.size == len(message.letter.text):
                    letters[message.letter] = '/%s;UIDVALIDITY=%d/;UID=%d' % (urllib.parse.quote(name), box.validity, uid)
        if r.random() < 0.8 or not letters:
            return [letter.text]
        other, url = r.choice(list(letters.items()))
        head = letter.header[:-2]
        what = r.choice(['TEXT', 'all', 'HEADER'])
        if what == 'TEXT' and letter.coding == other.coding == 'plain':
            letter.wire_body = letter.body = other.body
            parts = ['CATENATE (TEXT ', letter.header.encode(), ' URL "%s/;SECTION=TEXT")' % url]
        elif what == 'HEADER':
            part = Letter.header_of(other, r)
            letter.make_plain(letter.body + part[1])
            parts = ['CATENATE (TEXT ', (letter.header + letter.wire_body[:-len(part[1])]).encode(), ' URL "%s/;SECTION=%s")' % (url, part[0])]
        else:
            parts = ['CATENATE (TEXT ', head.encode(), ' TEXT ', b'\r\n' + letter.wire_body.encode(), ')']
        letter.finish()
        return parts

    def some_append(self):
        r = self.random
        name = self.some_name()
        letters = [self.letter() for _ in range(r.choice([1, 1, 1, 2, 3]))]
        return model.Append(name, letters, [self.some_flags() for _ in letters], [self.some_body(letter) for letter in letters], r.random() < 0.5)

    def some_expunge(self, session):
        if self.random.random() < 0.5:
            return model.Expunge(session.view, 'EXPUNGE', None)
        while True:
            text, is_uid, uids = self.some_set(session)
            if is_uid:
                return model.Expunge(session.view, 'UID EXPUNGE ' + text, uids)

    def some_replace(self, session):
        r, view = self.random, session.view
        uid = r.choice(view.uids)
        is_uid = r.random() < 0.5 or not session.can_number()
        return model.Replace(view, uid if is_uid else view.uids.index(uid) + 1, uid, is_uid, self.some_name(), self.letter(), self.some_flags(),
                             r.random() < 0.5)

    # ---- messages ----

    def step_append(self, session):
        self.do(session, self.some_append())

    def some_delivery(self):
        letter = self.letter()
        letter.arrival, letter.size = 2 ** 32 + len(self.letters), None  # after all others
        if letter.date is None:
            letter.date = 0
            letter.make_header()
        return model.Deliver(letter)

    def step_deliver(self, session):
        command = self.some_delivery()
        self.note(command)
        expected = command.apply(self.world)
        reply = self.lmtp.send_message('s@remote.example', [self.user], command.letters[0].text)
        assert str(reply.code) == expected, (reply, expected)
        self.lmtp.command('RSET')
        self.learn_letters()
        self.step_status(None, 'INBOX')  # comes behind what store tells of it
        self.push()

    def step_store(self, session):
        command, is_uid = self.some_store(session)
        if command.since is not None and not session.view.is_read_only:
            session.use_condstore()
        if session.view.is_read_only:
            command.apply(self.world)
            self.plain(session, command, 'NO', may_expunge=is_uid)
            return self.after(session, may_expunge=is_uid)
        # a client that asks for silence knows the flags as far as it knew them: RFC 3501 §6.4.6
        view, box = session.view, self.box_of(session)
        failed = command.failed(box) if box else []
        there = command.there(box) if box else []
        for uid in there if command.is_silent else ():
            if uid in view.flags and uid not in failed:
                view.flags[uid] = command.changed(view.flags[uid])
        expected = command.apply(self.world)
        answer, _ = self.read(session, self.send(session, command), is_uid)
        assert answer.startswith(expected), (answer, expected)
        told = view.fetched
        if box is not None and not is_uid:
            due = set(failed if command.is_silent else there)
            assert due <= {uid for uid, values in told.items() if b'FLAGS' in values}, ('STORE has not told', sorted(due), told)
        if box is not None and 'CONDSTORE' in session.modes and command.since is not None:
            assert set(there) <= {uid for uid, values in told.items() if b'MODSEQ' in values}, ('STORE has not told MODSEQs', there, told)
        self.after(session, may_expunge=is_uid)

    def step_copy(self, session):
        self.do(session, self.some_copy(session))

    def step_replace(self, session):
        if not session.view.uids:
            return self.step_noop(session)
        self.do(session, self.some_replace(session))

    def step_expunge(self, session):
        self.do(session, self.some_expunge(session))

    def step_annotate(self, session):
        name = self.some_name()
        self.do(session, model.Annotate(name, self.random.choice(COMMENTS)))
        box = self.world.boxes.get(name)
        if box is None or session.view and self.box_of(session) is None:
            return
        said = b''.join(self.plain(session, 'GETMETADATA "%s" /private/comment' % name))
        assert (b'%s' % (box.comment or '').encode() in said) and (box.comment is not None) == (b'/private/comment "' in said), (said, box.comment)
        self.after(session)

    # ---- mailboxes ----

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

    def step_quota(self, _):
        """RFC 9208: sometimes there is room for a few messages more."""
        most = None if self.random.random() < 0.5 else max(1, self.world.count() + self.random.randint(0, 12))  # of none, nothing can be set
        self.note('quota', most)
        if most is None:
            self.server.command('quota', 'unset', self.domain)
        else:
            self.server.must('quota', 'set', self.domain, 'none', str(most))
        self.world.most = most

    def keep(self, session):
        """What a client has of the mailbox that it leaves, if it can come back for what it has missed."""
        if session.view is not None and 'QRESYNC' in session.modes:
            session.caches[session.view.number] = session.view.cache()
        session.view = None

    def drain(self, session):
        """With NOTIFY, more may have been told of the mailbox than the session has waited for."""
        if session.statuses is not None and session.view is not None:
            self.step_noop(session)

    def step_leave(self, session):
        view, is_close = session.view, self.random.random() < 0.5
        box = self.box_of(session)
        if box is None:
            return self.step_noop(session)
        self.drain(session)
        self.keep(session)
        if is_close and not view.is_read_only:
            model.Expunge(view, 'CLOSE', None).apply(self.world)
        told = self.plain(session, 'CLOSE' if is_close else 'UNSELECT')
        assert all(b'STATUS' in response or b'RECENT' in response for response in told), 'CLOSE tells of no EXPUNGE: RFC 3501 §6.4.2'
        self.push()

    def step_drop(self, session):
        """The connection is lost; the client comes back at once."""
        number = session.view and session.view.number
        self.keep(session)
        self.note(session, 'drops')
        session.imap.close()
        session.connect(needs_qresync=bool(session.caches) and self.random.random() < 0.8)
        self.push()
        name = self.world.name_of(number)
        if name:
            self.step_select(session, name)

    def step_select(self, session, name=None):
        name = name or self.some_name()
        is_read_only = self.random.random() < 0.25
        text = '%s "%s"' % ('EXAMINE' if is_read_only else 'SELECT', name)
        self.drain(session)
        self.keep(session)
        box = self.world.boxes.get(name)
        if box is None:
            self.plain(session, text, 'NO')
            self.push()
            return
        view = View(box, is_read_only, session.modes)
        cache = session.caches.get(box.number) if 'QRESYNC' in session.modes and self.random.random() < 0.8 else None
        asked, known = self.some_resync(cache) if cache else ('', [])
        if cache:
            view.flags = {uid: flags for uid, flags in cache['flags'].items() if uid in box.messages and uid in known}
        elif self.random.random() < 0.1:
            asked = ' (CONDSTORE)'
            session.use_condstore()
        session.view = view
        said = self.plain(session, text + asked, 'OK [READ-ONLY]' if is_read_only else 'OK [READ-WRITE]')
        self.check_selected(session, box, b'\n'.join(said))
        if cache:
            self.check_resync(view, box, cache, known)
        session.view.settle(box, True)
        self.push()

    def check_selected(self, session, box, said):
        view = session.view
        unseen = [n for n, uid in enumerate(box.uids(), 1) if '\\Seen' not in box.flags(uid)]
        is_rev2 = 'IMAP4rev2' in session.modes
        facts = [b'[UIDVALIDITY %d]' % box.validity, b'[UIDNEXT %d]' % box.uidnext]
        facts += [b'[UNSEEN %d]' % unseen[0]] if unseen and not is_rev2 and session.can_number() else []
        assert all(fact in said for fact in facts) and ((unseen and not is_rev2) or b'[UNSEEN' not in said), (said, facts)
        assert len(view.uids) == len(box.messages) and view.heard == box.modseq, (view.heard, box.modseq)
        assert all(flag in view.keywords or flag.startswith('\\') for message in box.messages.values() for flag in message.flags)

    # ---- QRESYNC: RFC 7162 §3.2.5 ----

    def some_resync(self, cache):
        """The parameter, and the UIDs that the client says it knows."""
        r, known, text = self.random, cache['uids'], ''
        if r.random() < 0.6 and known:
            known = known if r.random() < 0.6 else sorted(r.sample(known, r.randint(1, len(known))))
            text = ' ' + model.text_of_set(known)
            cache['asked'] = set(known)
        else:
            cache['asked'] = None
        cache['matched'] = []
        if r.random() < 0.4 and cache['uids']:
            places = sorted(r.sample(range(len(cache['uids'])), r.randint(1, len(cache['uids']))))
            cache['matched'] = [(n + 1, cache['uids'][n]) for n in places]
            # in runs that are of the same length in both
            text += ' (%s %s)' % (','.join(str(n) for n, _ in cache['matched']), ','.join(str(uid) for _, uid in cache['matched']))
        return ' (QRESYNC (%d %d%s))' % (cache['validity'], cache['heard'], text), known

    def check_resync(self, view, box, cache, known):
        """It is told exactly what has gone and what has changed since; of what it has shown to know already nothing need be told."""
        told = view.vanished_earlier
        assert sorted(told) == sorted(set(told)), ('told twice', told)
        if cache['validity'] != box.validity:
            assert not told and not view.fetched
            return
        is_asked = (lambda uid: uid in cache['asked']) if cache['asked'] is not None else (lambda uid: True)
        gone = {uid for uid, modseq in box.gone.items() if modseq > cache['heard'] and is_asked(uid)}
        here = box.uids()
        match = max([uid for number, uid in cache['matched'] if number <= len(here) and here[number - 1] == uid], default=0)
        assert {uid for uid in gone if uid > match} <= set(told) <= gone, ('VANISHED', told, sorted(gone), match, cache)
        left = set(known) - set(told)
        assert left <= set(box.messages), ('the client still has', sorted(left - set(box.messages)), told, cache)
        changed = {uid for uid, message in box.messages.items() if message.modseq > cache['heard'] and is_asked(uid)}
        fetched = {uid for uid, values in view.fetched.items() if b'FLAGS' in values and b'MODSEQ' in values}
        assert fetched == changed, ('FETCH', sorted(fetched), sorted(changed), cache)
        for uid, values in view.fetched.items():
            assert flags_of(values[b'FLAGS']) == box.flags(uid)

    # ---- POP3 ----

    def step_pop3(self, _):
        """RFC 1939, with messages as they were at the login, whoever deletes meanwhile."""
        r = self.random
        if self.pop3 is None:
            self.pop3 = self.server.pop3(self.user)
            box = self.world.boxes['INBOX']
            self.popped = {'box': box.number, 'uids': box.uids(), 'marked': set()}
            assert self.pop3.count() == len(self.popped['uids'])
            return
        if r.random() < 0.5:
            return self.end_pop3()
        box = self.world.of(self.popped['box'])
        for number in r.sample(range(1, len(self.popped['uids']) + 1), min(2, len(self.popped['uids']))):
            uid = self.popped['uids'][number - 1]
            is_there = box is not None and uid in box.messages and uid not in self.popped['marked']
            if is_there:
                assert self.pop3.message(number).endswith(box.messages[uid].letter.text), ('RETR', number, uid)
            if uid not in self.popped['marked']:
                self.note('pop3: DELE', number, 'UID', uid)
                self.pop3.ok('DELE %d' % number)
                self.popped['marked'].add(uid)

    def begin_pop3_quit(self):
        return model.Quit(self.popped['box'], sorted(self.popped['marked']))

    def end_pop3(self):
        command = self.begin_pop3_quit()
        expected = command.apply(self.world)
        reply = self.pop3.command('QUIT')
        self.note('pop3: QUIT', command.uids, reply)
        assert reply.startswith(expected), (reply, expected)
        self.pop3.close()
        self.pop3, self.popped = None, None
        self.step_status(None, 'INBOX')
        self.push()
