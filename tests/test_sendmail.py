"""sendmail, mailq and newaliases, as programs call them; while the server runs, and while it does not."""
import fcntl
import os
import pathlib
import pwd
import re
import shutil
import smtplib
import subprocess

import pytest

from conftest import CARTEIRO, SANITIZERS, failing_dns, strip_trace, until

NOBODY = pwd.getpwnam('nobody').pw_uid


@pytest.fixture(scope='module')
def links(folder):
    """The program under its other names."""
    place = folder / 'links'
    place.mkdir()
    os.chmod(place, 0o755)
    for name in ('sendmail', 'mailq', 'newaliases'):
        (place / name).symlink_to(CARTEIRO)
    return place


@pytest.fixture(scope='module')
def server(make_server):
    with failing_dns() as port:
        s = make_server(users=['ana'], settings={'origin': 'example.test', 'resolver': '127.0.0.1@%d' % port})
        s.must('alias', 'remove', 'root@example.test')  # which setup has made
        s.add_user('root')
        s.drop = pathlib.Path(str(s.data) + '-drop')
        yield s


@pytest.fixture(autouse=True)
def empty(server):
    for user in ('ana@example.test', 'root@example.test'):
        server.empty(user)


def sendmail(server, *words, stdin=b'', uid=None, code=0):
    done = subprocess.run([CARTEIRO, '-c', str(server.config_file), 'sendmail', *words], input=stdin, capture_output=True, timeout=60,
                          env=dict(os.environ, **SANITIZERS), user=uid, cwd='/')
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stderr.decode()


def arrived(server, user='ana@example.test'):
    assert until(lambda: server.messages(user))
    return server.messages(user)


def test_a_message_from_a_shell_is_completed_and_delivered(server):
    sendmail(server, 'ana@example.test', stdin=b'Subject: hello\n\nline\n..\nend\n')
    (got,) = arrived(server)
    assert got.startswith(b'Return-Path: <root@example.test>\r\n') and b'\r\nReceived: from localhost (uid 0)\r\n' in got
    assert b'\r\nFrom: <root@example.test>\r\n' in got and b'\r\nDate: ' in got and b'\r\nMessage-ID: ' in got
    assert got.endswith(b'\r\nSubject: hello\r\n\r\nline\r\n..\r\nend\r\n')


def test_any_user_of_the_machine_may_send(server):
    sendmail(server, '-F', 'Some "Daemon"', 'ana', stdin=b'Subject: x\n\nbody\n', uid=NOBODY)
    (got,) = arrived(server)
    assert b'Return-Path: <nobody@example.test>' in got and b'From: "Some Daemon" <nobody@example.test>' in got and b'(uid %d)' % NOBODY in got


def test_cron_and_php_give_these_options(server):
    sendmail(server, '-FCronDaemon', '-i', '-odi', '-oem', '-oi', '-t', '-f', 'root', stdin=b'From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> x\n\n.\nout\n')
    (got,) = arrived(server, 'root@example.test')
    assert got.endswith(b'\r\n\r\n.\r\nout\r\n') and b'\r\nFrom: root (Cron Daemon)\r\n' in got
    sendmail(server, '-t', '-i', '-fana@example.test', stdin=b'To: Ana <ana@example.test>,\n root@example.test\nCc: x: ;\nBcc: ana@example.test\nSubject: php\n\nbody\n')
    (got,) = arrived(server)
    assert b'Return-Path: <ana@example.test>' in got and b'Bcc' not in got
    assert until(lambda: len(server.messages('root@example.test')) == 2)


def test_a_dot_alone_ends_the_message_unless_i_is_given(server):
    sendmail(server, 'ana', stdin=b'Subject: x\n\none\n.\ntwo\n')
    assert arrived(server)[0].endswith(b'\r\n\r\none\r\n')


def test_a_message_without_a_header_is_all_body(server):
    sendmail(server, 'ana', stdin=b'just some text\n')
    assert arrived(server)[0].endswith(b'\r\n\r\njust some text\r\n')


def test_unknown_recipients_are_named_and_the_others_get_it(server):
    """By a bounce, as Postfix does it: the caller may be a drop folder, or one that sends all of it again."""
    server.empty('ana@example.test')
    sendmail(server, '-f', 'ana@example.test', 'nosuch@example.test', 'ana', stdin=b'Subject: x\n\nbody\n')
    assert until(lambda: len(server.messages('ana@example.test')) == 2, 20)
    assert any(b'Status: 5.1.1' in m and b'nosuch@example.test' in m for m in server.messages('ana@example.test'))
    sendmail(server, '-f', 'ana@example.test', 'nosuch@example.test', stdin=b'Subject: y\n\nbody\n')
    assert until(lambda: any(b'Subject: y' in m and b'Status: 5.1.1' in m for m in server.messages('ana@example.test')), 20)


@pytest.mark.parametrize('words', [['"a\r\nRCPT TO:<ana@example.test>"@example.test'], ['-N', 'NEVER\r\nDATA', 'ana'], ['-f', 'x\nRSET', 'ana']])
def test_words_are_no_commands(server, words):
    done = subprocess.run([CARTEIRO, '-c', str(server.config_file), 'sendmail', *words], input=b'x\n\ny\n', capture_output=True, timeout=60)
    assert done.returncode and server.messages('ana@example.test') == []


def test_no_recipient_is_a_mistake(server):
    assert 'no recipients' in sendmail(server, stdin=b'Subject: x\n\nbody\n', code=64)
    assert 'no recipients' in sendmail(server, '-t', stdin=b'Subject: x\n\nbody\n', code=64)


def test_mail_for_elsewhere_is_queued_and_mailq_shows_it(server, links):
    sendmail(server, '-V', 'envelope-1', '-R', 'hdrs', '-N', 'never', 'x@remote.example', stdin=b'Subject: x\n\nbody\n')
    assert until(lambda: 'x@remote.example' in server.must('queue', 'list'))
    assert 'from=<root@example.test>' in server.must('queue', 'list')
    done = subprocess.run([CARTEIRO, '-c', str(server.config_file), 'sendmail', '-bp'], capture_output=True, text=True)
    assert 'x@remote.example' in done.stdout
    assert subprocess.run([links / 'newaliases'], capture_output=True).returncode == 0


def test_smtp_on_standard_input(server):
    talk = b'EHLO x\r\nMAIL FROM:<ana@example.test>\r\nRCPT TO:<ana@example.test>\r\nDATA\r\nSubject: bs\r\n\r\nbody\r\n.\r\nQUIT\r\n'
    done = subprocess.run([CARTEIRO, '-c', str(server.config_file), 'sendmail', '-bs'], input=talk, capture_output=True, timeout=60)
    assert re.findall(rb'(?m)^(\d\d\d) ', done.stdout) == [b'220', b'250', b'250', b'250', b'354', b'250', b'221']
    assert b'STARTTLS' not in done.stdout and b'AUTH' not in done.stdout
    assert b'Subject: bs' in arrived(server)[0]


def test_the_port_for_strangers_gives_nothing_of_that(server):
    with smtplib.SMTP('127.0.0.1', server.ports['smtp']) as s:
        s.ehlo('x')
        assert s.docmd('MAIL FROM:<root@example.test>')[0] == 250 and s.docmd('RCPT TO:<x@remote.example>')[0] == 550


def test_what_is_sent_while_the_server_is_down_waits_in_the_drop_folder(server):
    server.stop()
    assert oct(server.drop.stat().st_mode) == '0o41733'
    for uid in (0, NOBODY):
        sendmail(server, 'ana', 'x@remote.example', stdin=b'Subject: later %d\n\nbody\n' % uid, uid=uid)
    sendmail(server, '-f', 'ana@example.test', 'nosuch@example.test', stdin=b'Subject: for nobody\n\nbody\n')
    assert len([f for f in server.drop.iterdir() if not f.name.startswith('.')]) == 3
    server.start()
    assert until(lambda: len(server.messages('ana@example.test')) == 3, 20)  # one of them is the bounce of the third
    assert until(lambda: not [f for f in server.drop.iterdir() if not f.name.startswith('.')])
    subjects = sorted(re.search(rb'(?m)^Subject: (.*)\r$', m)[1] for m in server.messages('ana@example.test'))
    assert subjects[1:] == [b'later 0', b'later %d' % NOBODY] and b'nosuch@example.test' in b''.join(server.messages('ana@example.test'))
    for m in server.messages('ana@example.test'):
        if b'Auto-Submitted' in m:
            continue
        assert strip_trace(m).endswith(b'\r\n\r\nbody\r\n')


def test_the_drop_folder_is_emptied_by_one_at_a_time(server):
    """Two that read the same file would send it twice."""
    server.stop()
    sendmail(server, 'ana', stdin=b'Subject: once\n\nbody\n')
    folder = os.open(server.drop, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # as another that is still at it
    try:
        server.start()
        assert subprocess.run([CARTEIRO, '-c', str(server.config_file), 'drop'], timeout=20).returncode == 0
        assert [f for f in server.drop.iterdir() if not f.name.startswith('.')] and not server.messages('ana@example.test')
    finally:
        os.close(folder)
    assert subprocess.run([CARTEIRO, '-c', str(server.config_file), 'drop'], timeout=20).returncode == 0
    assert len(arrived(server)) == 1 and not [f for f in server.drop.iterdir() if not f.name.startswith('.')]


def test_nothing_in_the_drop_folder_leads_elsewhere(server):
    secret = server.folder / 'secret'
    secret.write_text('carteiro-drop 1\nSroot@example.test\nO\nN\nRana@example.test\n\nSubject: secret\r\n\r\nnot yours\r\n')
    server.stop()
    (server.drop / 'link').symlink_to(secret)
    os.link(secret, server.drop / 'hard')
    os.mkfifo(server.drop / 'fifo')
    (server.drop / 'folder').mkdir()
    (server.drop / 'nonsense').write_bytes(b'carteiro-drop 1\nSx\nRana@example.test\nDATA\r\n\nx')
    (server.drop / 'large').write_bytes(b'x')
    os.truncate(server.drop / 'large', 1 << 31)
    server.start()
    try:
        assert until(lambda: server.log().count('drop-refused') == 6, 20), server.log()
        assert server.messages('ana@example.test') == []
    finally:
        secret.unlink()
        for path in server.drop.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


# ---- the programs themselves ----

@pytest.fixture(scope='module')
def program(server, folder):
    """What a program that only knows the path of sendmail calls."""
    path = folder / 'this-sendmail'
    path.write_text('#!/bin/sh\nexec %s -c %s sendmail "$@"\n' % (CARTEIRO, server.config_file))
    path.chmod(0o755)
    return str(path)


def run(*words, stdin='', cwd='/', **environment):
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60, cwd=cwd, env=dict(os.environ, **SANITIZERS, **environment))
    assert done.returncode == 0, (words, done.stdout, done.stderr)


def test_mailx_sends(server, program, tmp_path):
    (tmp_path / 'mailrc').write_text('set sendmail=%s\n' % program)
    run('bsd-mailx', '-n', '-s', 'from mailx', '-c', 'root@example.test', 'ana@example.test', stdin='line\n.\n', MAILRC=str(tmp_path / 'mailrc'))
    (got,) = arrived(server)
    assert b'\r\nSubject: from mailx\r\n' in got and got.endswith(b'\r\n\r\nline\r\n.\r\n') and arrived(server, 'root@example.test')


def test_git_send_email_sends(server, program, tmp_path):
    git = ['git', '-c', 'user.name=Ana', '-c', 'user.email=ana@example.test']
    (tmp_path / 'file').write_text('text\n')
    for words in (['init', '-q'], ['add', 'file'], ['commit', '-q', '-m', 'One commit with an ö'],
                  ['send-email', '--quiet', '--confirm=never', '--envelope-sender=auto', '--smtp-server=' + program, '--to=ana@example.test', '-1']):
        run(*git, *words, cwd=str(tmp_path), HOME=str(tmp_path))
    (got,) = arrived(server)
    assert got.startswith(b'Return-Path: <ana@example.test>\r\n') and b'\r\n+text\r\n' in got and b'Subject: [PATCH] =?UTF-8?' in got


def test_php_sends(server, program):
    run('php', '-d', 'sendmail_path=%s -t -i' % program, '-r',
        r'mail("ana@example.test", "from php", "line\n.\nend\n", "From: root@example.test\r\nBcc: root@example.test", "-fana@example.test") || exit(1);')
    (got,) = arrived(server)
    assert got.startswith(b'Return-Path: <ana@example.test>\r\n') and b'\r\n\r\nline\r\n.\r\nend\r\n' in got and b'Bcc' not in got
    assert arrived(server, 'root@example.test')
