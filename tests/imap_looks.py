"""Steps of the model's player (imap_player.py) that look at mailboxes: FETCH, SEARCH, SORT, THREAD, STATUS, LIST, IDLE."""
import re

import imap_model as model
from imap_letters import LOCAL_PARTS, SORT_KEYS, WORDS, sort, thread
from imap_session import wire_name
from imap_view import flags_of, parse_list

KEYWORDS = ['$Work', '$Forwarded', 'NonJunk', '$label1']
ITEMS = ['FLAGS', 'UID', 'MODSEQ', 'RFC822.SIZE', 'BODY.PEEK[]', 'BODY.PEEK[HEADER.FIELDS (X-Id)]', 'BODY[]', 'BODY[TEXT]', 'BODY.PEEK[HEADER]', 'ENVELOPE',
         'BODYSTRUCTURE']
STATUS_ITEMS = ['MESSAGES', 'UIDNEXT', 'UIDVALIDITY', 'UNSEEN', 'SIZE', 'DELETED', 'DELETED-STORAGE', 'HIGHESTMODSEQ']


def of_letter(name, letter):
    """What a section of a message that was not delivered must be."""
    return {'BODY[]': letter.text, 'BODY[TEXT]': letter.wire_body.encode(), 'BODY[HEADER]': letter.header.encode(),
            'RFC822.SIZE': str(letter.size).encode()}.get(name)


class Looks:
    # ---- FETCH ----

    def step_fetch(self, session):
        r, view, box = self.random, session.view, self.box_of(session)
        text, is_uid, uids = self.some_set(session)
        items = r.sample(ITEMS, r.randint(1, 3))
        line = '%sFETCH %s (%s)' % ('UID ' * is_uid, text, ' '.join(items))
        command = (model.See if any(item.startswith('BODY[') for item in items) else model.OfView)(line, view, uids)
        if 'MODSEQ' in items:
            session.use_condstore()
        view.is_asking_flags = 'FLAGS' in items and 'MODSEQ' not in items
        if isinstance(command, model.See):
            command.apply(self.world)
        there = command.there(box) if box else []
        is_whole = is_uid or len(there) == len(uids)
        self.plain(session, command, 'OK' if (box and is_whole) or not uids else 'NO', may_expunge=is_uid)
        if box is not None:
            self.check_fetched(view, box, there, items)
        self.after(session, may_expunge=is_uid)

    def check_fetched(self, view, box, there, items):
        """Each message that is there, with what was asked for."""
        told = view.fetched
        for uid in there:
            message = box.messages[uid]
            for item in items:
                name = item.replace('.PEEK', '')
                if name == 'UID' and 'UIDONLY' in view.modes:
                    continue
                value = told.get(uid, {}).get(name.upper().encode())
                assert value is not None, ('not fetched', uid, item, sorted(told))
                wanted = of_letter(name, message.letter)
                if message.letter.arrival >= 2 ** 32 and name == 'BODY[]':
                    assert value.endswith(message.letter.text) and len(value) == message.letter.size, (uid, value[:500])
                elif wanted is not None:
                    assert value == wanted, (uid, item, value[:500], wanted[:500])
                elif 'FIELDS' in name:
                    assert value == b'X-Id: %s\r\n\r\n' % message.letter.token.encode(), (uid, value)
                elif name == 'FLAGS':
                    assert flags_of(value) == message.flags, (uid, value, message.flags)

    def step_fetch_changed(self, session):
        """CHANGEDSINCE (RFC 7162 §3.1.4.1), VANISHED (§3.2.6), PARTIAL (RFC 9394 §3.2)."""
        r, view, box = self.random, session.view, self.box_of(session)
        is_current = r.random() < 0.5
        if is_current or box is None:
            self.step_noop(session)
        if box is None:
            return
        text, is_uid, uids = self.some_set(session)
        since = self.some_modseq(box)
        modifiers, wants_vanished = ['CHANGEDSINCE %d' % since], False
        if is_uid and text != '$':
            wants_vanished = 'QRESYNC' in session.modes and r.random() < 0.6
            modifiers += ['VANISHED'] * wants_vanished
        if is_uid and r.random() < 0.3:
            first, last, sign = r.randint(1, 5), r.randint(1, 12), r.choice(['', '-'])
            modifiers.append('PARTIAL %s%d:%s%d' % (sign, first, sign, last))
            first, last = min(first, last), max(first, last)
            uids = uids[first - 1:last] if not sign else uids[max(0, len(uids) - last):max(0, len(uids) - first + 1)]
        session.use_condstore()
        before = set(view.uids)
        self.plain(session, '%sFETCH %s (FLAGS) (%s)' % ('UID ' * is_uid, text, ' '.join(modifiers)), 'OK', may_expunge=is_uid)
        told = {uid for uid, values in view.fetched.items() if b'FLAGS' in values and b'MODSEQ' in values}
        wanted = {uid for uid in uids if uid in box.messages and box.messages[uid].modseq > since}
        assert wanted <= told and (not is_current or told == wanted), ('CHANGEDSINCE', since, sorted(told), sorted(wanted))
        if wants_vanished:
            star = str(max(before, default=1))
            asked = {uid for part in text.replace('*', star).split(',') for uid in model.numbers_of(part)}
            gone = {uid for uid, modseq in box.gone.items() if modseq > since} & asked - before
            assert set(view.vanished_earlier) == gone, ('VANISHED', since, view.vanished_earlier, sorted(gone))
        self.after(session, may_expunge=is_uid)

    # ---- SEARCH ----

    def some_key(self, session, depth=0):
        """A search key, and the function of a UID and a message that it is."""
        r, view = self.random, session.view
        what = r.choice(['ALL', 'flag', 'flag', 'KEYWORD', 'set', 'SUBJECT', 'FROM', 'TO', 'CC', 'BODY', 'TEXT', 'size', 'HEADER', 'MODSEQ'] + ['NOT', 'OR'] * 2 * (depth < 2))
        word = r.choice(WORDS)
        word = r.choice([word, word.upper(), word[1:4], word[:-1]])
        if what == 'ALL':
            return 'ALL', lambda uid, m: True
        if what == 'flag':
            flag = r.choice(model.SYSTEM)
            if r.random() < 0.5:
                return flag[1:].upper(), lambda uid, m: flag in m.flags
            return 'UN' + flag[1:].upper(), lambda uid, m: flag not in m.flags
        if what == 'KEYWORD':
            keyword, prefix = r.choice(KEYWORDS), r.choice(['', 'UN'])
            return '%sKEYWORD %s' % (prefix, keyword), lambda uid, m: (keyword in m.flags) != bool(prefix)
        if what == 'set':
            text, is_uid, uids = self.some_set(session)
            return 'UID ' * (is_uid and text != '$') + text, lambda uid, m: uid in uids
        if what == 'SUBJECT':
            return 'SUBJECT ' + word, lambda uid, m: word.lower() in m.letter.subject.lower()
        if what in ('FROM', 'TO', 'CC'):
            part = r.choice(LOCAL_PARTS + ['Yara', 'quist', 'x.example'])
            field = {'FROM': 'sender', 'TO': 'to', 'CC': 'cc'}[what]
            return '%s %s' % (what, part), lambda uid, m: part.lower() in ' '.join(getattr(m.letter, field)).lower()
        if what == 'BODY':
            return 'BODY ' + word, lambda uid, m: m.letter.has_in_body(word)
        if what == 'TEXT':
            return 'TEXT ' + word, lambda uid, m: m.letter.has_text(word)
        if what == 'size':
            size, is_more = r.choice([200, 400, 700, 5000]), r.random() < 0.5
            return '%s %d' % ('LARGER' if is_more else 'SMALLER', size), lambda uid, m: m.letter.size > size if is_more else m.letter.size < size
        if what == 'HEADER':
            token = r.choice(self.letters).token if self.letters else 'none'
            return 'HEADER X-Id %s' % token, lambda uid, m: token in m.letter.token
        if what == 'MODSEQ':
            box = self.box_of(session)
            least = self.some_modseq(box) if box else 1
            session.asks_modseq = True
            return 'MODSEQ %d' % least, lambda uid, m: m.modseq >= least
        one, test_one = self.some_key(session, depth + 1)
        if what == 'NOT':
            return 'NOT ' + one, lambda uid, m: not test_one(uid, m)
        two, test_two = self.some_key(session, depth + 1)
        return 'OR %s %s' % (one, two), lambda uid, m: test_one(uid, m) or test_two(uid, m)

    def some_keys(self, session):
        """Keys, and the UIDs that they find; session.asks_modseq says whether MODSEQ was among them."""
        session.asks_modseq = False
        keys = [self.some_key(session) for _ in range(self.random.choice([1, 1, 2]))]
        box, view = self.box_of(session), session.view
        found = [uid for uid in box.uids() if uid < view.horizon and all(test(uid, box.messages[uid]) for _, test in keys)] if box else []
        if session.asks_modseq:
            session.use_condstore()
        return ' '.join(text for text, _ in keys), found

    def some_return(self):
        """RFC 4731, RFC 5182, RFC 9394: what is to be told; None: as in RFC 3501."""
        r = self.random
        if r.random() < 0.4:
            return None
        wanted = r.sample(['MIN', 'MAX', 'COUNT', 'ALL', 'SAVE'], r.randint(0, 3))
        if r.random() < 0.3 and 'ALL' not in wanted:
            first, last, sign = r.randint(1, 6), r.randint(1, 12), r.choice(['', '-'])
            wanted.append('PARTIAL %s%d:%s%d' % (sign, first, sign, last))
        return wanted

    @staticmethod
    def part_of(wanted, found):
        first, last = (int(number) for number in re.findall(r'\d+', wanted))
        first, last = min(first, last), max(first, last)
        return found[max(0, len(found) - last):max(0, len(found) - first + 1)] if '-' in wanted else found[first - 1:last]

    def save(self, view, wanted, found):
        """RFC 5182 §2.1 and §2.4, RFC 9394 §3.1: MIN, MAX and PARTIAL save what they tell, if nothing else is told."""
        names = {word.split()[0] for word in wanted}
        if 'SAVE' not in names:
            return
        if not names & {'MIN', 'MAX', 'PARTIAL'} or names & {'ALL', 'COUNT'}:
            view.saved = set(found)
            return
        view.saved = set(found[:1] * ('MIN' in names) + found[-1:] * ('MAX' in names))
        for word in wanted:
            view.saved |= set(self.part_of(word, found)) if word.startswith('PARTIAL') else set()

    def check_esearch(self, said, tag, is_uid, wanted, numbers, modseq):
        """numbers: in the order of the answer."""
        rows = [row.decode() for row in said if row.startswith(b'* ESEARCH')]
        if set(wanted) == {'SAVE'}:
            assert not rows, rows
            return
        assert len(rows) == 1, said
        names = {word.split()[0]: word for word in wanted}
        expected = ['* ESEARCH (TAG "%s")' % tag.decode()] + ['UID'] * is_uid
        expected += ['MIN %d' % numbers[0]] * bool('MIN' in names and numbers) if numbers else []
        expected += ['MAX %d' % numbers[-1]] if 'MAX' in names and numbers else []
        expected += ['COUNT %d' % len(numbers)] if 'COUNT' in names else []
        row, modseq_told = re.fullmatch(r'(.*?)(?: MODSEQ (\d+))?', rows[0]).groups()
        if not numbers:
            assert modseq_told is None
        elif modseq is not None:
            assert int(modseq_told or 0) == modseq, (rows, modseq)
        lists = re.findall(r' (ALL|PARTIAL) (\(\S+ [^)]*\)|\S+)', row)
        row = re.sub(r' (ALL|PARTIAL) (\(\S+ [^)]*\)|\S+)', '', row)
        assert row == ' '.join(expected), (rows, expected)
        told = dict(lists)
        assert ('ALL' in told) == bool(('ALL' in names or not set(names) - {'SAVE'}) and numbers), (rows, wanted, numbers)
        assert 'ALL' not in told or model.numbers_of(told['ALL']) == numbers, (rows, numbers)
        assert ('PARTIAL' in told) == ('PARTIAL' in names)
        if 'PARTIAL' in told:
            text = told['PARTIAL'].strip('()').split()[1]
            assert (model.numbers_of(text) if text != 'NIL' else []) == self.part_of(names['PARTIAL'], numbers), (rows, wanted, numbers)

    def ask(self, session, line, wanted):
        """SEARCH or SORT with keys; gives the tag and what was told."""
        box = self.box_of(session)
        tag = self.send(session, line)
        answer, said = self.read(session, tag, line.startswith('UID'))
        assert answer.startswith('OK' if box else 'NO'), (line, answer)
        return tag, said

    def modseq_of(self, box, wanted, found):
        """RFC 7162 §3.1.5 and §3.1.10"""
        names = {word.split()[0] for word in wanted or []}
        told = found
        if names & {'MIN', 'MAX'} and not names & {'ALL', 'COUNT', 'PARTIAL'}:
            told = found[:1] * ('MIN' in names) + found[-1:] * ('MAX' in names)
        return max((box.messages[uid].modseq for uid in told), default=0)

    def step_search(self, session):
        view, box = session.view, self.box_of(session)
        keys, found = self.some_keys(session)
        is_uid, wanted = self.random.random() < 0.5 or not session.can_number(), self.some_return()
        text = '' if wanted is None else 'RETURN (%s) ' % ' '.join(wanted)
        before = view.known_uids()
        tag, said = self.ask(session, '%sSEARCH %s%s' % ('UID ' * is_uid, text, keys), wanted)
        if box is None:
            return self.after(session, may_expunge=is_uid)
        numbers = found if is_uid else [before.index(uid) + 1 for uid in found]
        modseq = self.modseq_of(box, wanted, found) if session.asks_modseq else None
        if wanted is None and 'IMAP4rev2' not in session.modes:
            (row,) = [row for row in said if row.startswith(b'* SEARCH')]
            match = re.fullmatch(rb'\* SEARCH((?: \d+)*)(?: \(MODSEQ (\d+)\))?', row)
            assert [int(word) for word in match[1].split()] == numbers, (row, numbers)
            assert modseq is None or int(match[2] or 0) == modseq, (row, modseq)
        else:
            self.check_esearch(said, tag, is_uid, wanted or ['ALL'], numbers, modseq)
        self.save(view, wanted or [], found)
        self.after(session, may_expunge=is_uid)

    # ---- SORT and THREAD: RFC 5256, RFC 5267 ----

    def step_sort(self, session):
        view, box, r = session.view, self.box_of(session), self.random
        keys, found = self.some_keys(session)
        order = [(name, r.random() < 0.3) for name in r.sample(sorted(SORT_KEYS), r.randint(1, 3))]
        is_uid, wanted = r.random() < 0.5 or not session.can_number(), self.some_return()
        before = view.known_uids()
        by = ' '.join('REVERSE ' * is_reverse + name for name, is_reverse in order)
        text = '' if wanted is None else 'RETURN (%s) ' % ' '.join(wanted)
        tag, said = self.ask(session, '%sSORT %s(%s) UTF-8 %s' % ('UID ' * is_uid, text, by, keys), wanted)
        if box is None:
            return self.after(session, may_expunge=is_uid)
        found = sort(order, [(uid, box.messages[uid].letter) for uid in found])
        numbers = found if is_uid else [before.index(uid) + 1 for uid in found]
        if wanted is None:
            (row,) = [row for row in said if row.startswith(b'* SORT')]
            told = [int(word) for word in re.sub(rb' \(.*', b'', row).split()[2:]]
            assert told == numbers, (by, keys, told, numbers)
        else:
            self.check_esearch(said, tag, is_uid, wanted, numbers, None)
        self.save(view, wanted or [], found)
        self.after(session, may_expunge=is_uid)

    def step_thread(self, session):
        view, box, r = session.view, self.box_of(session), self.random
        keys, found = self.some_keys(session)
        algorithm, is_uid = r.choice(['ORDEREDSUBJECT', 'REFERENCES', 'REFS']), r.random() < 0.5 or not session.can_number()
        before = view.known_uids()
        _, said = self.ask(session, '%sTHREAD %s UTF-8 %s' % ('UID ' * is_uid, algorithm, keys), None)
        if box is None:
            return self.after(session, may_expunge=is_uid)
        (row,) = [row for row in said if row.startswith(b'* THREAD')]
        told = row[len('* THREAD'):].strip().decode()
        wanted = thread(algorithm, [(uid if is_uid else before.index(uid) + 1, box.messages[uid].letter) for uid in found])
        assert told == wanted, (algorithm, told, wanted, [(uid, box.messages[uid].letter.header) for uid in found])
        self.after(session, may_expunge=is_uid)

    # ---- all mailboxes ----

    def step_noop(self, session):
        self.plain(session, self.random.choice(['NOOP', 'NOOP', 'CHECK' if session.view else 'NOOP']))
        self.after(session)

    def step_status(self, session, name=None):
        name = name or self.some_name()
        box = self.world.boxes.get(name)
        items = self.random.sample(STATUS_ITEMS, self.random.randint(1, len(STATUS_ITEMS)))
        text = 'STATUS "%s" (%s)' % (name, ' '.join(items))
        if session:
            if 'HIGHESTMODSEQ' in items:
                session.use_condstore()
            said = self.plain(session, text, 'OK' if box else 'NO')
        else:
            said = self.watcher.ok(wire_name(text))
        if box is not None:
            row = [response for response in said if response.startswith(b'* STATUS')][-1]
            numbers = dict(re.findall(r'([A-Z-]+) (\d+)', row[row.rindex(b'('):].decode()))
            assert numbers == {item: str(self.status_of(box, item)) for item in items}, (name, numbers, {item: self.status_of(box, item) for item in items})
        if session:
            self.after(session)

    @staticmethod
    def status_of(box, item):
        deleted = [message for message in box.messages.values() if '\\Deleted' in message.flags]
        return {'MESSAGES': len(box.messages), 'UIDNEXT': box.uidnext, 'UIDVALIDITY': box.validity, 'HIGHESTMODSEQ': box.modseq,
                'UNSEEN': sum('\\Seen' not in message.flags for message in box.messages.values()), 'DELETED': len(deleted),
                'SIZE': sum(message.letter.size for message in box.messages.values()), 'DELETED-STORAGE': sum(message.letter.size for message in deleted)}[item]

    def step_list(self, session):
        said = self.plain(session, 'LIST "" *')
        rows = [row for row in said if row.startswith(b'* LIST')]
        found = sorted((re.search(rb'"/" "?([^"]*)"?$', row)[1].decode(), b'\\Noselect' in row or b'\\NonExistent' in row) for row in rows)
        names = [(name, False) for name in self.world.boxes] + [(name, True) for name in self.world.bare_names()]
        assert found == sorted((session.wire_name(name), is_bare) for name, is_bare in names), found
        self.after(session)

    # ---- IDLE ----

    def step_idle(self, session):
        session.idle_tag = self.send(session, 'IDLE')
        response = session.imap.response()
        while not response.startswith(b'+'):
            self.note(session, '  ', response)
            session.view.take(response, True)
            response = session.imap.response()
        self.push()

    def end_idle(self, session):
        tag, session.idle_tag = session.idle_tag, None
        session.imap.send(b'DONE\r\n')
        answer, _ = self.read(session, tag, True)
        assert answer.startswith('OK'), answer
        self.after(session)

    @staticmethod
    def values_of(response):
        """A FETCH response's items."""
        items, _ = parse_list(response, response.index(b'('))
        return dict(zip(items[::2], items[1::2]))
