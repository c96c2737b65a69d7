"""Thousands of random IMAP commands of several sessions of one account, deliveries and POP3, against a small model (imap_player.py,
imap_model.py): whatever a session is told must be so, and after each command it must have been told everything. Once more while
processes are killed: what was answered OK is there, what was not answered is there wholly or not at all, and nothing else has changed.

CARTEIRO_MODEL_SEEDS=1-300 and CARTEIRO_MODEL_STEPS=5000 make it longer; CARTEIRO_MODEL_LOGS=DIR keeps all that was said
in a run that failed. A failure names its seed and the last commands."""
import os
import re

import pytest

from imap_player import Run


def seeds(default):
    first, _, last = os.environ.get('CARTEIRO_MODEL_SEEDS', default).partition('-')
    return range(int(first), int(last or first) + 1)


@pytest.fixture(scope='module')
def server(make_server):
    return make_server()


def play(server, seed, steps, kills_every=0):
    run = Run(server, seed)
    try:
        run.go(int(os.environ.get('CARTEIRO_MODEL_STEPS', steps)), kills_every)
        assert re.search(r': 0 faults$', server.must('verify', run.user).strip())
    except BaseException as fault:
        print(run.tell(fault))
        raise
    finally:
        run.close()


@pytest.mark.parametrize('seed', seeds('1-7'))
def test_every_session_is_told_what_is_so(server, seed):
    play(server, seed, 2500)


@pytest.mark.parametrize('seed', seeds('1-3'))
def test_what_was_answered_outlives_the_processes(server, seed):
    play(server, seed, 400, kills_every=25)
