#!/usr/bin/env python3
"""Makes messages.gen.h and messages.gen.c from messages.def: generate.py DEF OUT_H OUT_C."""
import re
import sys

FIELD = re.compile(r'(?:(u8|u16|u32|u64)(?:\s*<=\s*(\d+))?|(id)|(bytes|text|mailbox)<(\d+)>)\s+(\w+)$')
BITS = {'u8': 8, 'u16': 16, 'u32': 32, 'u64': 64}
MARKS = ['none', 'account', 'open', 'import']


class Message:
    def __init__(self, name, number):
        self.name, self.number, self.fields, self.mark, self.mailbox = name, number, [], 'none', None


def parse(path):
    channels, directions, messages = [], {}, {}
    message = None
    for number, line in enumerate(open(path), 1):
        text = line.split('#')[0].rstrip()
        if not text:
            continue
        if text.startswith('channel '):
            _, name, left, right = text.split()
            channels.append(name)
            directions[(left, right)], directions[(right, left)] = [], []
            message = None
        elif text[0] in ' \t':
            m = FIELD.match(text.strip())
            if not m or message is None:
                sys.exit('%s:%d: not a field: %s' % (path, number, text))
            kind = m.group(1) or m.group(3) or m.group(4)
            message.fields.append((kind.replace('mailbox', 'text'), m.group(2) or m.group(5), m.group(6)))
            if kind == 'mailbox' and message.mailbox is None:
                message.mailbox = len(message.fields) - 1
        else:
            m = re.match(r'(\w+)>(\w+)\s+(=?)(\w+)(?: @(%s))?$' % '|'.join(MARKS[1:]), text)
            if not m or (m.group(1), m.group(2)) not in directions or (m.group(4) in messages) != bool(m.group(3)):
                sys.exit('%s:%d: not a message of the channel above, or one that exists: %s' % (path, number, text))
            message = None if m.group(3) else Message(m.group(4), len(messages) + 1)
            directions[(m.group(1), m.group(2))].append(messages.setdefault(m.group(4), message))
            if m.group(5):
                message.mark = m.group(5)
    return directions, messages


def header(directions, messages):
    out = ['/* Made by ipc/generate.py from ipc/messages.def. */', '#ifndef IPC_MESSAGES_GEN_H', '#define IPC_MESSAGES_GEN_H', '',
           '#include "base/buf.h"', '#include "base/ids.h"', '', 'enum msg_type {']
    out += ['\tMSG_%s = %d,' % (m.name.upper(), m.number) for m in messages.values()]
    out += ['};', '', '/* The name of a type, for logs; "?" if there is none. */', 'const char *msg_name(uint16_t type);',
            '/* 0 if the payload is a message of that type within its bounds, whatever the channel; -1 if not. */',
            'int msg_check(uint16_t type, struct span payload);',
            '/* The mark of a type in messages.def: which worker handles it. */',
            'enum msg_mark { %s };' % ', '.join('MSG_MARK_' + mark.upper() for mark in MARKS),
            'enum msg_mark msg_mark(uint16_t type);',
            '/* The first name of a mailbox in a payload, and at which offset its length stands; false if there is none. Checks nothing else. */',
            'bool msg_find_mailbox(uint16_t type, struct span payload, size_t *at, struct span *name);',
            '/* Initializers of a struct edge_to_store with the handlers of all messages that have a mark, named as these are: fetch_ask, fetch_asked. */',
            '#define MSG_MARKED_HANDLERS %s' % ' '.join('.%s = %s_asked,' % (m.name, m.name.removesuffix('_ask')) for m in messages.values() if m.mark != 'none'),
            '']
    for m in messages.values():
        out.append('struct msg_%s {' % m.name)
        for kind, most, name in m.fields:
            c = {'id': 'struct id128', 'bytes': 'struct span', 'text': 'struct span'}.get(kind) or 'uint%d_t' % BITS[kind]
            out.append('\t%s %s;%s' % (c, name, ' /* at most %s%s */' % (most, ' bytes' if kind in ('bytes', 'text') else '') if most else ''))
        if not m.fields:
            out.append('\tchar nothing;')
        out += ['};',
                '/* Appends a whole frame. A value out of its bounds is a fault of this process: it dies. */',
                'void msg_%s_pack(struct buf *frames, uint32_t epoch, const struct msg_%s *m);' % (m.name, m.name),
                '/* 0, or -1 if the payload is not such a message within its bounds. Spans point into the payload. */',
                'int msg_%s_unpack(struct span payload, struct msg_%s *m);' % (m.name, m.name), '']
    for (sender, receiver), list_of in directions.items():
        name = '%s_to_%s' % (sender, receiver)
        out.append('/* What %s says to %s. */' % (sender, receiver))
        out.append('struct %s {' % name)
        out += ['\tvoid (*%s)(void *context, const struct msg_%s *m);' % (m.name, m.name) for m in list_of]
        if not list_of:
            out.append('\tchar nothing;')
        out += ['};',
                '/* Checks the payload and calls its handler. -1 if this direction has no such message, or a field is out of bounds. */',
                'int %s_dispatch(const void *handlers, void *context, uint16_t type, struct span payload);' % name, '']
    return out + ['#endif']


def code(directions, messages, include):
    out = ['/* Made by ipc/generate.py from ipc/messages.def. */', '#include "%s"' % include, '',
           '#include "base/die.h"', '#include "base/pack.h"', '#include "base/utf8.h"', '#include "ipc/frame.h"', '',
           'static void check_most(uint64_t value, uint64_t most, const char *what)', '{', '\tif (value > most)',
           '\t\tdie("ipc: %s is %llu, more than %llu", what, (unsigned long long)value, (unsigned long long)most);', '}', '',
           'static int unpack_text(struct unpacker *u, size_t most, struct span *out)', '{', '\t*out = unpack_bytes(u, most);',
           '\treturn !u->bad && utf8_is_valid(*out) && span_chr(*out, 0) < 0 ? 0 : -1;', '}', '',
           'const char *msg_name(uint16_t type)', '{', '\tswitch ((enum msg_type)type) {']
    out += ['\tcase MSG_%s: return "%s";' % (m.name.upper(), m.name) for m in messages.values()]
    out += ['\t}', '\treturn "?";', '}', '', 'enum msg_mark msg_mark(uint16_t type)', '{', '\tswitch (type) {']
    out += ['\tcase MSG_%s: return MSG_MARK_%s;' % (m.name.upper(), m.mark.upper()) for m in messages.values() if m.mark != 'none']
    out += ['\t}', '\treturn MSG_MARK_NONE;', '}', '', 'bool msg_find_mailbox(uint16_t type, struct span payload, size_t *at, struct span *name)', '{',
            '\tstruct unpacker u = {.rest = payload};', '\tswitch (type) {']
    for m in messages.values():
        if m.mailbox is not None:
            skip = ''.join('unpack_%s; ' % ('bytes(&u, SIZE_MAX)' if kind in ('bytes', 'text') else kind + '(&u)') for kind, most, name in m.fields[:m.mailbox])
            out.append('\tcase MSG_%s: %sbreak;' % (m.name.upper(), skip))
    out += ['\tdefault: return false;', '\t}', '\t*at = payload.len - u.rest.len;', '\t*name = unpack_bytes(&u, SIZE_MAX);', '\treturn !u.bad;', '}', '']
    for m in messages.values():
        out += ['void msg_%s_pack(struct buf *frames, uint32_t epoch, const struct msg_%s *m)' % (m.name, m.name), '{',
                '\tsize_t start = frame_begin(frames, MSG_%s, epoch);' % m.name.upper()]
        if not m.fields:
            out.append('\t(void)m;')
        for kind, most, name in m.fields:
            if most:
                out.append('\tcheck_most(m->%s%s, %s, "%s.%s");' % (name, '.len' if kind in ('bytes', 'text') else '', most, m.name, name))
            if kind == 'id':
                out.append('\tbuf_add(frames, span_of(m->%s.bytes, sizeof m->%s.bytes));' % (name, name))
            elif kind in ('bytes', 'text'):
                out.append('\tpack_bytes(frames, m->%s);' % name)
            else:
                out.append('\tpack_%s(frames, m->%s);' % (kind, name))
        out += ['\tframe_end(frames, start);', '}', '',
                'int msg_%s_unpack(struct span payload, struct msg_%s *m)' % (m.name, m.name), '{',
                '\tstruct unpacker u = {.rest = payload};', '\t*m = (struct msg_%s){0};' % m.name]
        for kind, most, name in m.fields:
            if kind == 'id':
                out.append('\tunpack_id128(&u, &m->%s);' % name)
            elif kind == 'bytes':
                out.append('\tm->%s = unpack_bytes(&u, %s);' % (name, most))
            elif kind == 'text':
                out.append('\tif (unpack_text(&u, %s, &m->%s))\n\t\treturn -1;' % (most, name))
            else:
                out.append('\tm->%s = unpack_%s(&u);' % (name, kind))
                if most:
                    out.append('\tif (m->%s > %s)\n\t\treturn -1;' % (name, most))
        out += ['\treturn unpack_done(&u) ? 0 : -1;', '}', '']
    out += ['int msg_check(uint16_t type, struct span payload)', '{', '\tswitch ((enum msg_type)type) {']
    for m in messages.values():
        out += ['\tcase MSG_%s: {' % m.name.upper(), '\t\tstruct msg_%s m;' % m.name,
                '\t\treturn msg_%s_unpack(payload, &m);' % m.name, '\t}']
    out += ['\t}', '\treturn -1;', '}', '']
    for (sender, receiver), list_of in directions.items():
        name = '%s_to_%s' % (sender, receiver)
        out += ['int %s_dispatch(const void *handlers, void *context, uint16_t type, struct span payload)' % name, '{']
        if list_of:
            out += ['\tconst struct %s *h = handlers;' % name, '\tswitch (type) {']
            for m in list_of:
                out += ['\tcase MSG_%s: {' % m.name.upper(), '\t\tstruct msg_%s m;' % m.name,
                        '\t\tif (!h->%s || msg_%s_unpack(payload, &m))' % (m.name, m.name), '\t\t\treturn -1;',
                        '\t\th->%s(context, &m);' % m.name, '\t\treturn 0;', '\t}']
            out += ['\t}']
        else:
            out += ['\t(void)handlers, (void)context, (void)type, (void)payload;']
        out += ['\treturn -1;', '}', '']
    return out


def main():
    source, out_h, out_c = sys.argv[1:]
    directions, messages = parse(source)
    open(out_h, 'w').write('\n'.join(header(directions, messages)) + '\n')
    open(out_c, 'w').write('\n'.join(code(directions, messages, 'ipc/messages.gen.h')) + '\n')


main()
