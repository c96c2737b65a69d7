#!/usr/bin/python3
"""make demo: starts a working server on high ports, sends a mail through it, reads it back, and stays until Ctrl-C."""
import email
import imaplib
import os
import secrets
import signal
import smtplib
import ssl
import subprocess
import sys

from instance import TOP, command, folder, wait_until_ready

DOMAIN = 'demo.example'
USERS = ['ana', 'bruno']
PORTS = dict(smtp=2525, submission=2587, submissions=2465, imap=2143, imaps=2993, pop3=2110, pop3s=2995)


def prepare(carteiro, home):
    """Writes the configuration and makes the users, the first time."""
    conf = os.path.join(home, 'carteiro.conf')
    secrets_file = os.path.join(home, 'passwords')
    if os.path.exists(secrets_file):
        return conf, dict(line.split() for line in open(secrets_file))
    os.makedirs(home, exist_ok=True)
    if os.path.exists(conf):
        os.unlink(conf)  # of a first start that was broken off
    command(carteiro, conf, 'setup', DOMAIN, '--hostname', 'mail.' + DOMAIN, '--user', USERS[0],
            '--data', os.path.join(home, 'data'), '--run', os.path.join(home, 'run'))
    with open(conf, 'a') as f:
        for name, port in PORTS.items():
            f.write('%s_listen = 127.0.0.1:%d\n' % (name, port))
    passwords = {user: secrets.token_urlsafe(12) for user in USERS}
    command(carteiro, conf, 'user', 'passwd', '%s@%s' % (USERS[0], DOMAIN), text=passwords[USERS[0]] + '\n')
    command(carteiro, conf, 'user', 'add', '%s@%s' % (USERS[1], DOMAIN), text=passwords[USERS[1]] + '\n')
    fd = os.open(secrets_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, 'w') as f:
        f.writelines('%s %s\n' % item for item in passwords.items())
    return conf, passwords


def unverified():
    """The demo's certificate is its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def send(passwords):
    sender, recipient = ('%s@%s' % (user, DOMAIN) for user in USERS)
    token = secrets.token_hex(4)
    message = email.message.EmailMessage()
    message['From'], message['To'], message['Subject'] = sender, recipient, 'A letter from the demo, ' + token
    message.set_content('Olá Bruno,\n\nthis letter went through carteiro.\n\nAna\n')
    with smtplib.SMTP('127.0.0.1', PORTS['submission'], timeout=30) as smtp:
        smtp.starttls(context=unverified())
        smtp.login(sender, passwords[USERS[0]])
        smtp.send_message(message)
    return token


def read(passwords, token):
    with imaplib.IMAP4_SSL('127.0.0.1', PORTS['imaps'], ssl_context=unverified()) as imap:
        imap.login('%s@%s' % (USERS[1], DOMAIN), passwords[USERS[1]])
        imap.select('INBOX', readonly=True)
        found = imap.search(None, 'SUBJECT', token)[1][0].split()
        if not found:
            sys.exit('the letter did not arrive')
        return imap.fetch(found[-1], '(BODY.PEEK[])')[1][0][1].decode()


def show(passwords, conf, carteiro):
    print('\nA mail client connects to 127.0.0.1 with the full address as the user name:')
    for user, password in passwords.items():
        print('  %-22s password %s' % ('%s@%s' % (user, DOMAIN), password))
    print('  IMAP        %(imap)d (STARTTLS) or %(imaps)d (TLS)' % PORTS)
    print('  POP3        %(pop3)d (STLS) or %(pop3s)d (TLS)' % PORTS)
    print('  sending     %(submission)d (STARTTLS) or %(submissions)d (TLS)' % PORTS)
    print('  SMTP        %(smtp)d (mail from other servers)' % PORTS)
    print('  webmail     not there yet')
    print('The certificate is the demo\'s own, so the client will ask about it once.')
    print('Commands: %s -c %s status' % (carteiro, conf))
    print('\nThe server runs until Ctrl-C.', flush=True)


def main():
    carteiro = os.path.join(TOP, sys.argv[1])
    home = folder('demo')
    conf, passwords = prepare(carteiro, home)
    log = open(os.path.join(home, 'log'), 'ab')
    server = subprocess.Popen([carteiro, '-c', conf, 'run'], stderr=log)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        wait_until_ready(carteiro, conf, server, os.path.join(home, 'log'))
        token = send(passwords)
        print('%s has sent a letter to %s through submission; read back over IMAP it is:\n' % tuple(USERS))
        print(read(passwords, token).replace('\r\n', '\n'))
        show(passwords, conf, carteiro)
        print('Its log: %s' % log.name, flush=True)
        server.wait()
    except KeyboardInterrupt:
        # the server is in our process group and has had its own SIGINT
        pass
    finally:
        if server.poll() is None:
            server.terminate()
            try:
                server.wait(25)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                server.kill()
    print('\nstopped')


main()
