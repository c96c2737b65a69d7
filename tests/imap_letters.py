"""Messages for the model (imap_model.py): what is in them is known from their making, so that a search, an order or threads can be
computed plainly: RFC 3501 §6.4.4, RFC 5256, RFC 5957."""
import base64
import email.utils

WORDS = ['Apple', 'birch', 'Cedar', 'delta', 'Ember', 'frost', 'Grape', 'hazel']
NAMES = ['', '', 'Yara', 'Milo Quist', 'bent']
LOCAL_PARTS = ['anna', 'Bodo', 'cleo', 'Dirk']
EPOCH = 1000000000
DAY = 86400


class Letter:
    """text: its bytes; header and body: what a search finds in them; others as their fields say. arrival in seconds, and size: of a
    delivered message learned from the server, since it adds its own fields."""

    def __init__(self, token, r, ids):
        self.token = token
        self.arrival = EPOCH + r.randrange(0, 400) * DAY // 10
        self.base = ' '.join(r.choices(WORDS, k=r.choice([1, 1, 2])))
        before, after = r.choice([('', ''), ('', ''), ('', ''), ('Re: ', ''), ('RE: [list] ', ''), ('Fwd: ', ''), ('', ' (fwd)'), ('[list] ', '')])
        self.is_reply = 're' in before.lower() or 'fw' in before.lower() or 'fw' in after
        self.subject = before + self.base + after
        self.sender, self.to = self.address(r), self.address(r)
        self.cc = self.address(r) if r.random() < 0.4 else ('', '')
        self.date = EPOCH + r.randrange(0, 4000) * 997 if r.random() < 0.9 else None
        self.zone = r.choice([0, 0, 60, -480])
        self.id = '%s@m.example' % token
        self.references, self.in_reply_to = [], []
        others = list(ids) + ['nowhere-%d@m.example' % n for n in range(3)]
        if r.random() < 0.5:
            self.references = r.sample(others, min(len(others), r.choice([1, 1, 2, 3])))
        elif r.random() < 0.3:
            self.in_reply_to = [r.choice(others)]
        self.make(r)

    @staticmethod
    def address(r):
        return r.choice(NAMES), r.choice(LOCAL_PARTS) + '@x.example'

    def make_header(self):
        lines = ['X-Id: ' + self.token, 'Subject: ' + self.subject, 'From: ' + self.of_address(self.sender), 'To: ' + self.of_address(self.to),
                 'Message-ID: <%s>' % self.id]
        lines += ['Cc: ' + self.of_address(self.cc)] if self.cc[1] else []
        if self.date is not None:
            local = email.utils.formatdate(self.date + self.zone * 60)
            lines.append('Date: %s%s%02d%02d' % (local[:-5], '-' if self.zone < 0 else '+', abs(self.zone) // 60, abs(self.zone) % 60))
        lines += ['References: ' + ' '.join('<%s>' % i for i in self.references)] if self.references else []
        lines += ['In-Reply-To: <%s>' % i for i in self.in_reply_to]
        self.header = '\r\n'.join(lines + self.mime) + '\r\n\r\n'
        self.finish()

    def make_plain(self, body):
        self.coding, self.mime, self.body, self.wire_body = 'plain', [], body, body
        self.make_header()

    def finish(self):
        self.text = (self.header + self.wire_body).encode()
        self.size = self.size and len(self.text)

    def make(self, r):
        count = r.choice([1, 3, 3, 10, 10, 100, 2000])
        self.body = '\r\n'.join('%s %s' % (r.choice(WORDS), r.choice(WORDS)) for _ in range(count)) + '\r\nlast %s\r\n' % self.token
        coding = r.choice(['plain', 'plain', 'plain', 'base64', 'parts'])
        wire, self.mime, self.size = self.body, [], 1
        if coding == 'base64':
            self.mime = ['MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: base64']
            wire = base64.encodebytes(self.body.encode()).decode().replace('\n', '\r\n')
        elif coding == 'parts':
            self.mime = ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=zzz']
            half = self.body.index('\r\n') + 2
            wire = '--zzz\r\n\r\n%s\r\n--zzz\r\n\r\n%s\r\n--zzz--\r\n' % (self.body[:half], self.body[half:])
        self.coding, self.wire_body = coding, wire
        self.make_header()

    @staticmethod
    def header_of(letter, r):
        """A section of it that is of its header, and what that is: RFC 3501 §6.4.5."""
        if r.random() < 0.5:
            return 'HEADER', letter.header
        lines = letter.header[:-4].split('\r\n')
        names = r.sample(['Subject', 'TO', 'X-Id', 'X-None'], 2)
        is_not = r.random() < 0.3
        wanted = [line for line in lines if (line.split(':')[0].upper() in [name.upper() for name in names]) != is_not]
        return 'HEADER.FIELDS%s%%20(%s)' % ('.NOT' * is_not, '%20'.join(names)), ''.join(line + '\r\n' for line in wanted) + '\r\n'

    @staticmethod
    def of_address(address):
        return '"%s" <%s>' % address if address[0] else address[1]

    def sent(self):
        """RFC 5256 §2.2: the sent date, or the internal one."""
        return self.arrival if self.date is None else self.date

    def internaldate(self):
        return email.utils.formatdate(self.arrival)[5:-6].replace(' ', '-', 2) + ' +0000'

    def has_text(self, word):
        return self.has_in_header(word) or self.has_in_body(word)

    def has_in_header(self, word):
        return word.lower() in self.header.lower()

    def has_in_body(self, word):
        return word.lower() in self.body.lower()


# ---- orders: RFC 5256 §3, RFC 5957 ----

def local_part(address):
    return address[1].split('@')[0].upper()


def display(address):
    return (address[0] or address[1]).upper()


SORT_KEYS = {
    'ARRIVAL': lambda m: m.arrival, 'CC': lambda m: local_part(m.cc), 'DATE': lambda m: m.sent(), 'FROM': lambda m: local_part(m.sender),
    'SIZE': lambda m: m.size, 'SUBJECT': lambda m: m.base.upper(), 'TO': lambda m: local_part(m.to),
    'DISPLAYFROM': lambda m: display(m.sender), 'DISPLAYTO': lambda m: display(m.to),
}


def sort(keys, messages):
    """messages: (number, letter) in mailbox order. keys: (name, is_reverse). What no key decides stays in that order."""
    order = list(messages)
    for name, is_reverse in reversed(keys):
        order.sort(key=lambda m: SORT_KEYS[name](m[1]), reverse=is_reverse)
    return [number for number, _ in order]


# ---- threads: RFC 5256 §3 ----

class Node:
    """number None: a dummy."""

    def __init__(self, number=None, letter=None):
        self.number, self.letter, self.parent, self.children = number, letter, None, []

    def link(self, child):
        child.parent = self
        self.children.append(child)

    def unlink(self):
        if self.parent:
            self.parent.children.remove(self)
        self.parent = None

    def is_below(self, other):
        node = self
        while node and node is not other:
            node = node.parent
        return node is other

    def first(self):
        return self if self.letter else self.children[0].first()

    def date(self):
        """Of a dummy, that of its first child."""
        return self.first().letter.sent(), self.first().number

    def newest(self):
        own = [self.letter.sent()] if self.letter else []
        return max(own + [child.newest() for child in self.children])


def thread_by_subject(messages):
    threads = {}
    for number, letter in messages:
        threads.setdefault(letter.base.upper(), []).append(Node(number, letter))
    roots = []
    for nodes in threads.values():
        nodes.sort(key=Node.date)
        for node in nodes[1:]:
            nodes[0].link(node)
        roots.append(nodes[0])
    return sorted(roots, key=Node.date)


def make_tree(messages):
    """Step 1: links by references; and the nodes without a parent, in the order of their making."""
    table, nodes = {}, []
    for number, letter in messages:
        node = Node(number, letter)
        nodes.append(node)
        table.setdefault(letter.id, node)  # of a second one with that id, nobody is told
    for node in nodes:
        before = None
        for one in node.letter.references or node.letter.in_reply_to[:1]:
            if one not in table:
                table[one] = Node()
            this = table[one]
            if before and not this.parent and not before.is_below(this):
                before.link(this)
            before = this
        node.unlink()
        if before and not before.is_below(node):
            before.link(node)
    whole = nodes + [node for node in table.values() if not node.letter]
    return [node for node in whole if not node.parent]


def prune(nodes, is_top):
    """Step 3."""
    kept = []
    for node in nodes:
        node.children = prune(node.children, False)
        if node.letter or (is_top and len(node.children) > 1):
            kept.append(node)
        else:
            kept += node.children
    return kept


def sort_siblings(nodes):
    for node in nodes:
        node.children = sort_siblings(node.children)
    return sorted(nodes, key=Node.date)


def join_by_subject(roots):
    """Step 5."""
    table = {}
    for node in roots:
        subject = node.first().letter.base.upper()
        other = table.get(subject)
        if other is None or (other.letter and not node.letter) or (
                other.letter and node.letter and other.letter.is_reply and not node.letter.is_reply):
            table[subject] = node
    kept = list(roots)
    for node in roots:
        subject = node.first().letter.base.upper()
        other = table[subject]
        if other is node:
            continue
        kept.remove(node)
        if not other.letter and not node.letter:
            other.children += node.children
        elif not other.letter or (node.letter and node.letter.is_reply and not other.letter.is_reply):
            other.children.append(node)
        else:
            dummy = table[subject] = Node()
            dummy.children = [other, node]
            kept[kept.index(other)] = dummy
    return kept


def thread_by_references(messages, is_refs):
    roots = sort_siblings(prune(make_tree(messages), True))
    if is_refs:
        return sorted(roots, key=lambda node: (node.newest(), node.first().number))
    return sort_siblings(join_by_subject(roots))


def text_of_threads(nodes):
    """RFC 5256 §5."""
    def within(node):
        parts = [str(node.number)] if node.number is not None else []
        if len(node.children) == 1 and parts:
            return ' '.join(parts + [within(node.children[0])])
        return ' '.join(parts + [''.join('(%s)' % within(child) for child in node.children)] * bool(node.children))
    return ''.join('(%s)' % within(node) for node in nodes)


def thread(algorithm, messages):
    if algorithm == 'ORDEREDSUBJECT':
        return text_of_threads(thread_by_subject(messages))
    return text_of_threads(thread_by_references(messages, algorithm == 'REFS'))
