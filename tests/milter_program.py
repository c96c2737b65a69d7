#!/usr/bin/python3
"""A milter over libmilter for the tests: milter_program.py SOCKET LOG SPEC. It writes a line of JSON to LOG for each thing that it hears.

SPEC is JSON:
    answers   {step: answer or [answer, code, enhanced code, text] or {argument: answer}}; without one, continue
    changes   what it does at the end, calls of pymilter's: [["addheader", "X-A", "b"], ...]
    ignored   steps that it asks not to hear of
    silent    steps that it asks not to answer
    sleep     seconds that it waits at the end
    progress  how often it says meanwhile that it is still there
    die       the step in which it ends itself"""
import json
import os
import sys
import time

import Milter

ANSWERS = {'continue': Milter.CONTINUE, 'reject': Milter.REJECT, 'tempfail': Milter.TEMPFAIL, 'discard': Milter.DISCARD, 'accept': Milter.ACCEPT,
           'skip': Milter.SKIP}
path, log_path, spec = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
log = open(log_path, 'a', buffering=1)
IGNORED = {'connect': Milter.P_NOCONNECT, 'hello': Milter.P_NOHELO, 'envfrom': Milter.P_NOMAIL, 'envrcpt': Milter.P_NORCPT, 'data': Milter.P_NODATA,
           'header': Milter.P_NOHDRS, 'eoh': Milter.P_NOEOH, 'body': Milter.P_NOBODY}
SILENT = {'connect': Milter.P_NR_CONN, 'hello': Milter.P_NR_HELO, 'envfrom': Milter.P_NR_MAIL, 'envrcpt': Milter.P_NR_RCPT, 'data': Milter.P_NR_DATA,
          'header': Milter.P_NR_HDR, 'eoh': Milter.P_NR_EOH, 'body': Milter.P_NR_BODY}


def heard(step, *what):
    log.write(json.dumps([step, *what]) + '\n')


class Program(Milter.Base):
    size = 0

    def negotiate(self, options):
        for name in spec.get('ignored', ()):
            options[1] |= IGNORED[name]
        for name in spec.get('silent', ()):
            options[1] |= SILENT[name]
        options[0] &= 0x1fd
        options[1] &= sum(IGNORED[n] for n in spec.get('ignored', ())) | sum(SILENT[n] for n in spec.get('silent', ())) | Milter.P_SKIP | (
            Milter.P_HDR_LEADSPC if spec.get('leading_space') else 0)
        options[2] = options[3] = 0
        return Milter.CONTINUE

    def answer(self, step, *what):
        heard(step, *what)
        if spec.get('die') == step:
            os._exit(1)
        answer = spec.get('answers', {}).get(step, 'continue')
        if isinstance(answer, dict):
            answer = answer.get(what[0], 'continue')
        if isinstance(answer, list):
            self.setreply(*answer[1:])
            answer = answer[0]
        return Milter.NOREPLY if step in spec.get('silent', ()) else ANSWERS[answer]

    def connect(self, name, family, address):
        return self.answer('connect', name, address, self.getsymval('j'), self.getsymval('_'))

    def hello(self, name):
        return self.answer('hello', name, self.getsymval('{tls_version}'), self.getsymval('{cipher_bits}'))

    def envfrom(self, *words):
        self.size = 0
        return self.answer('envfrom', words[0], list(words[1:]), self.getsymval('i'), self.getsymval('{auth_authen}'))

    def envrcpt(self, *words):
        return self.answer('envrcpt', words[0], self.getsymval('{rcpt_addr}'))

    def data(self):
        return self.answer('data')

    def header(self, name, value):
        return self.answer('header', name, value)

    def eoh(self):
        return self.answer('eoh')

    def body(self, chunk):
        self.size += len(chunk)
        return self.answer('body', len(chunk))

    def eom(self):
        for _ in range(spec.get('progress', 0)):
            time.sleep(spec.get('sleep', 0) / spec['progress'])
            self.progress()
        if not spec.get('progress'):
            time.sleep(spec.get('sleep', 0))
        for call, *arguments in spec.get('changes', ()):
            getattr(self, call)(*arguments)
        return self.answer('eom', self.size)

    def abort(self):
        return self.answer('abort')

    def close(self):
        heard('close')
        return Milter.CONTINUE


Milter.factory = Program
Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.ADDRCPT | Milter.DELRCPT | Milter.QUARANTINE | Milter.CHGFROM)
os.umask(0)
Milter.runmilter('carteiro-test', path, 600)
