"""A private Dovecot with one user, whose mail lies where a test says: what people move from."""
import os
import pathlib
import shutil
import socket
import subprocess

import talk
from conftest import until
from ports import free_ports

PASSWORD = 'secret'
CONF = """
protocols = imap pop3
listen = 127.0.0.1
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
ssl = {ssl}
{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = {location}
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
mail_access_groups = mail
lock_method = fcntl
mbox_write_locks = fcntl
mail_fsync = never
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={home}/home
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox "Sent Items" {{
    special_use = \\Sent
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""


class Dovecot:
    def __init__(self, folder, location='maildir:{home}/Maildir', certificate=None):
        self.home = pathlib.Path(folder)
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / 'home').mkdir(exist_ok=True)
        self.imap_port, self.imaps_port, self.pop3_port = free_ports(3)
        ssl = ('yes', 'ssl_cert = <%s\nssl_key = <%s' % certificate) if certificate else ('no', '')
        self.conf = self.home / 'dovecot.conf'
        self.conf.write_text(CONF.format(home=self.home, location=location.format(home=self.home), password=PASSWORD, imap=self.imap_port,
                                         imaps=self.imaps_port if certificate else 0, pop3=self.pop3_port, ssl=ssl[0], certificate=ssl[1]))
        self.process = None

    def start(self):
        for top, folders, files in os.walk(self.home):
            for name in folders + files + ['']:
                shutil.chown(os.path.join(top, name), 'mail', 'mail')
        self.process = subprocess.Popen(['/usr/sbin/dovecot', '-F', '-c', str(self.conf)], stdin=subprocess.DEVNULL)

        def answers():
            with socket.socket() as s:
                return s.connect_ex(('127.0.0.1', self.imap_port)) == 0
        assert until(answers), (self.home / 'log').read_text()
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def imap(self):
        return talk.Imap(self.imap_port, 'u', PASSWORD)

    def pop3(self):
        return talk.Pop3(self.pop3_port, 'u', PASSWORD)
