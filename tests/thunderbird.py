"""Thunderbird without a window, told what to do by JavaScript over its Marionette port; and a relay that writes down an IMAP
dialogue on the way."""
import contextlib
import json
import os
import re
import socket
import subprocess
import threading

from conftest import PASSWORD, until
from ports import free_ports

# what stands in front of each script: `args` are its arguments, `root` the account's folders
PREAMBLE = '''
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const window = Services.wm.getMostRecentWindow("mail:3pane");
const server = MailServices.accounts.accounts[0].incomingServer, root = server.rootFolder;
const Flags = Ci.nsMsgFolderFlags, INBOX = Flags.Inbox, TRASH = Flags.Trash, SENT = Flags.SentMail;
const special = flag => root.getFolderWithFlags(flag);
const named = path => root.descendants.find(f => decodeURIComponent(f.URI).split("/").slice(3).join("/") == path);
const count = folder => folder.getTotalMessages(false);
const until = async (what, test) => {
  for (const end = Date.now() + 20000; Date.now() < end; await new Promise(go => window.setTimeout(go, 30))) {
    const value = test();
    if (value) return value;
  }
  throw new Error("in vain: " + what);
};
const read = header => new Promise((ok, bad) => {
  const uri = header.folder.getUriForMsg(header);
  MailServices.messageServiceFromURI(uri).streamMessage(uri, {
    QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]), text: "", onStartRequest() {},
    onDataAvailable(request, stream, offset, length) {
      const input = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
      input.init(stream);
      this.text += input.read(length);
    },
    onStopRequest(request, status) { status ? bad(new Error("read " + status.toString(16))) : ok(this.text); } }, null, null, false, "", false);
});
const cafe = () => root.descendants.find(folder => folder.name == "Caf\u00e9");
const bySubject = (folder, subject) => [...folder.messages].find(header => header.subject == subject);
'''


class Recorder:
    """A port that leads to another one. lines: (side, line) of all that passes, in the order in which it came; dialogues: the same
    by connection."""

    def __init__(self, to):
        self.to, self.lines, self.dialogues, self.sockets = to, [], [], []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(('127.0.0.1', self.to))
                self.sockets += [client, server]
                dialogue = []
                self.dialogues.append(dialogue)
                for pair in ((client, server, 'client'), (server, client, 'server')):
                    threading.Thread(target=self.pump, args=pair + (dialogue,), daemon=True).start()

    def pump(self, source, target, side, dialogue):
        rest = b''
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                *lines, rest = (rest + data).split(b'\r\n')
                read = [(side, line.decode('utf-8', 'replace')) for line in lines]
                self.lines += read
                dialogue += read
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def is_idle_in(self, mailbox):
        """Whether a connection has that mailbox selected and is in IDLE (RFC 2177): the server has answered its last command
        with the continuation, and has not been told DONE."""
        for dialogue in list(self.dialogues):
            lines = list(dialogue)
            asked = [at for at, (side, _) in enumerate(lines) if side == 'client']
            selected = [line for side, line in lines if side == 'client' and re.match(r'\S+ (?:select|examine) ', line, re.I)]
            if (selected and selected[-1].split(' ', 1)[1].lower() == 'select "%s"' % mailbox.lower() and
                    lines[asked[-1]][1].upper().endswith(' IDLE') and
                    any(side == 'server' and line.startswith('+') for side, line in lines[asked[-1]:])):
                return True
        return False

    def close(self):
        self.listener.close()
        for each in self.sockets:
            each.close()


class Marionette:
    """The Marionette protocol: `length:[type, number, command or error, parameters or result]`."""

    def __init__(self, port):
        self.socket = until(lambda: self.connect(port), 60)
        assert self.socket, 'Thunderbird does not listen'
        self.socket.settimeout(60)
        self.buffer, self.number = b'', 0
        self.read()

    @staticmethod
    def connect(port):
        with contextlib.suppress(OSError):
            return socket.create_connection(('127.0.0.1', port))

    def read(self):
        while b':' not in self.buffer:
            self.read_more()
        length, self.buffer = self.buffer.split(b':', 1)
        while len(self.buffer) < int(length):
            self.read_more()
        text, self.buffer = self.buffer[:int(length)], self.buffer[int(length):]
        return json.loads(text)

    def read_more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError('Thunderbird has ended')
        self.buffer += data

    def command(self, name, **parameters):
        self.number += 1
        text = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(b'%d:%s' % (len(text), text))
        _, number, error, result = self.read()
        assert number == self.number and not error, (name, error)
        return result

    def run(self, script, *args):
        """What the script returns; it may use `await`."""
        result = self.command('WebDriver:ExecuteAsyncScript', args=list(args), script='''
            const done = arguments[arguments.length - 1], args = [...arguments].slice(0, -1);
            (async () => { %s %s })().then(value => done({ value }), error => done({ error: error + " " + error.stack }));''' % (PREAMBLE, script))
        assert 'error' not in result['value'], (script, result['value']['error'])
        return result['value'].get('value')


def preferences(address, imap_port, submission_port, marionette_port):
    """One IMAP account without TLS, whose mail goes out by submission with STARTTLS."""
    server, identity, smtp = 'mail.server.server1.', 'mail.identity.id1.', 'mail.smtpserver.smtp1.'
    plain, starttls, password = 0, 2, 3
    return {
        'mail.accountmanager.accounts': 'account1', 'mail.accountmanager.defaultaccount': 'account1', 'mail.account.lastKey': 1,
        'mail.account.account1.server': 'server1', 'mail.account.account1.identities': 'id1',
        server + 'type': 'imap', server + 'hostname': '127.0.0.1', server + 'port': imap_port, server + 'userName': address,
        server + 'name': address, server + 'socketType': plain, server + 'authMethod': password, server + 'login_at_startup': False,
        server + 'check_new_mail': False, identity + 'fullName': 'Ana', identity + 'useremail': address, identity + 'valid': True,
        identity + 'smtpServer': 'smtp1', 'mail.smtpservers': 'smtp1', 'mail.smtp.defaultserver': 'smtp1', smtp + 'type': 'smtp',
        smtp + 'hostname': '127.0.0.1', smtp + 'port': submission_port, smtp + 'username': address, smtp + 'authMethod': password,
        smtp + 'try_ssl': starttls, 'marionette.port': marionette_port,
        # nothing that asks, and nothing that calls others
        'app.update.enabled': False, 'extensions.update.enabled': False, 'mail.rights.version': 1, 'mailnews.start_page.enabled': False,
        'datareporting.policy.dataSubmissionPolicyBypassNotification': True, 'toolkit.telemetry.enabled': False,
        'mail.provider.suppress_dialog_on_startup': True, 'mail.shell.checkDefaultClient': False, 'mail.chat.enabled': False,
        'mail.accounthub.enabled': False, 'network.proxy.type': 0, 'network.captive-portal-service.enabled': False,
        'network.connectivity-service.enabled': False, 'services.settings.server': 'http://127.0.0.1:9', 'app.normandy.enabled': False,
    }


@contextlib.contextmanager
def thunderbird(folder, address, imap_port, submission_port):
    """A running Thunderbird with an empty profile that knows the account and its password; gives a Marionette."""
    (port,) = free_ports(1)
    profile = folder / 'profile'
    profile.mkdir()
    (profile / 'prefs.js').write_text(''.join(
        'user_pref(%s, %s);\n' % (json.dumps(name), json.dumps(value))
        for name, value in preferences(address, imap_port, submission_port, port).items()))
    with open(folder / 'output', 'wb') as output:
        process = subprocess.Popen(['thunderbird', '--headless', '--marionette', '--remote-allow-system-access', '--no-remote', '--profile', profile],
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(os.environ, HOME=str(folder), LC_ALL='C.UTF-8'))
    try:
        m = Marionette(port)
        m.command('WebDriver:NewSession', capabilities={'acceptInsecureCerts': True})
        m.command('Marionette:SetContext', value='chrome')
        m.run('''
            await Services.logins.initializationPromise;
            for (const origin of ["imap://127.0.0.1", "smtp://127.0.0.1"]) {
              const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
              login.init(origin, null, origin, args[0], args[1], "", "");
              await Services.logins.addLoginAsync(login);
            }''', address, PASSWORD)
        yield m
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
