#!/usr/bin/python3
"""Checks who includes whom: the house of docs/architecture.md. Exits with 1 and the offending lines."""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = ['base', 'wire', 'config', 'ipc', 'auth']           # each includes itself and those before it
ROOMS = ['store', 'edge', 'filter', 'relay', 'milter', 'pipe', 'resolve', 'vault', 'master']  # side by side
ALLOWED = {name: set(SHARED[:i + 1]) for i, name in enumerate(SHARED)}
ALLOWED.update({room: set(SHARED) | {room} for room in ROOMS})
ALLOWED['cli'] = set(SHARED) | set(ROOMS) | {'cli'}
ALLOWED['fuzz'] = set(SHARED) | set(ROOMS)
LINES_MOST = 620
ENGINE_ONLY = re.compile(r'#include [<"](rocksdb/|store/engine/engine_impl)')


def faults():
    for folder, allowed in ALLOWED.items():
        for where, _, files in os.walk(os.path.join(TOP, folder)):
            for name in files:
                if not name.endswith(('.c', '.h')):
                    continue
                path = os.path.join(where, name)
                short = os.path.relpath(path, TOP)
                lines = open(path, encoding='utf-8').read().split('\n')
                if len(lines) > LINES_MOST:
                    yield '%s: %d lines: it has a second subject that wants a file of its own' % (short, len(lines))
                for number, line in enumerate(lines, 1):
                    m = re.match(r'#include "(\w+)/', line)
                    if m and m.group(1) in ALLOWED and m.group(1) not in allowed:
                        yield '%s:%d: %s must not include %s' % (short, number, folder, m.group(1))
                    if ENGINE_ONLY.match(line) and not short.startswith('store/engine/'):
                        yield '%s:%d: only store/engine/ knows the engine' % (short, number)


found = list(faults())
print('\n'.join(found), end='\n' if found else '')
if len(sys.argv) > 1 and not found:
    open(sys.argv[1], 'w').close()
sys.exit(bool(found))
