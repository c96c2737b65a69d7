"""Thunderbird itself reads, files and sends, and hears no word of complaint."""
import re

import pytest

from conftest import until
from thunderbird import Recorder, thunderbird

ANA, LEO = 'ana@example.test', 'leo@example.test'
LETTER = (b'From: Leo <leo@remote.example>\r\nTo: ana@example.test\r\nSubject: %s\r\nMessage-ID: <%s@remote.example>\r\n'
          b'Date: Tue, 24 Nov 2026 10:00:00 +0100\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSobre %s: ol\xc3\xa1\r\n')


@pytest.fixture(scope='module')
def server(make_server):
    s = make_server()
    s.add_user('ana')
    s.add_user('leo')
    return s


def send(server, *subjects):
    for subject in subjects:
        assert server.send(ANA, LETTER % ((subject.encode(),) * 3), 'leo@remote.example', ' BODY=8BITMIME').code == 250


def flags(server, mailbox):
    """Of each message, by subject."""
    found = {}
    with server.imap(ANA) as i:
        i.ok('EXAMINE "%s"' % mailbox)
        for response in i.command('FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Subject)])') and i.untagged:
            subject = re.search(rb'Subject: (.*?)\r\n', response)
            if subject:  # and no change that is told at the same time
                found[subject[1].decode()] = set(re.search(rb'FLAGS \(([^)]*)\)', response)[1].decode().split()) - {'\\Recent'}
    return found


def test_thunderbird_reads_files_and_sends(server, tmp_path):
    send(server, 'one', 'two', 'three', 'four')
    recorder = Recorder(server.ports['imap'])
    with thunderbird(tmp_path, ANA, recorder.port, server.ports['submission']) as m:
        # it logs in, lists the folders, and fetches what there is
        m.run('special(INBOX).updateFolder(null); await until("messages", () => count(special(INBOX)) == 4);')
        m.run('await until("folders", () => special(TRASH) && special(SENT) && ["Archive", "Drafts", "Junk"].every(named));')
        text = m.run('return await read(bySubject(special(INBOX), "one"));')
        assert 'Sobre one: ol' in text and 'Message-ID: <one@remote.example>\r\n' in text

        # flags
        m.run('''const folder = special(INBOX);
                 folder.markMessagesRead([bySubject(folder, "one")], true);
                 folder.markMessagesFlagged([bySubject(folder, "three")], true);
                 folder.addKeywordsToMessages([bySubject(folder, "three")], "$label1");''')
        assert until(lambda: flags(server, 'INBOX') == {'one': {'\\Seen'}, 'two': set(), 'three': {'\\Flagged', '$label1'}, 'four': set()}), flags(server, 'INBOX')

        # a message that arrives is told without being asked for (IDLE). Not before Thunderbird is in IDLE: an EXISTS that comes
        # with the answer to another command, as RFC 3501 §7 has it, it does not act on before something else happens
        assert until(lambda: recorder.is_idle_in('INBOX')), recorder.lines[-40:]
        send(server, 'five')
        m.run('await until("the new one", () => bySubject(special(INBOX), "five"));')

        # into the trash; into a new folder, and a copy of it back
        m.run('''const folder = special(INBOX);
                 folder.deleteMessages([bySubject(folder, "two")], null, false, true, null, false);
                 await until("deleted", () => count(folder) == 4);
                 root.createSubfolder("Caf\u00e9", null);
                 await until("a folder", () => cafe());''')
        m.run('''const folder = special(INBOX);
                 MailServices.copy.copyMessages(folder, [bySubject(folder, "three")], cafe(), true, null, null, false);
                 await until("moved", () => count(folder) == 3 && bySubject(cafe(), "three"));''')
        m.run('''MailServices.copy.copyMessages(cafe(), [bySubject(cafe(), "three")], special(INBOX), false, null, null, false);
                 await until("copied", () => count(special(INBOX)) == 4);''')
        assert set(flags(server, 'Trash')) == {'two'} and flags(server, 'Caf&AOk-') == {'three': {'\\Flagged', '$label1'}}
        assert until(lambda: set(flags(server, 'INBOX')) == {'one', 'three', 'four', 'five'})

        # sends by submission, and keeps a copy in Sent
        m.run('''const identity = MailServices.accounts.defaultAccount.defaultIdentity;
                 await new Promise(go => Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService)
                   .setDisableAllSecurityChecksAndLetAttackersInterceptMyData(true) || go());
                 const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
                 Object.assign(fields, { from: args[0], to: args[1], subject: "from Thunderbird", body: "Ol\u00e1, Leo" });
                 const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
                 Object.assign(params, { composeFields: fields, identity, format: Ci.nsIMsgCompFormat.PlainText, type: Ci.nsIMsgCompType.New });
                 const progress = Cc["@mozilla.org/messenger/progress;1"].createInstance(Ci.nsIMsgProgress);
                 await MailServices.compose.initCompose(params, window).sendMsg(Ci.nsIMsgCompDeliverMode.Now, identity, "", null, progress);''', ANA, LEO)
        assert until(lambda: flags(server, 'Sent') == {'from Thunderbird': {'\\Seen'}}), flags(server, 'Sent')
        # by itself it looks into Sent when it finds the time, and where it has Sent selected, it takes the EXISTS that comes with the
        # answer to its own APPEND for old: it is told to look, over a new connection
        m.run('''let again = 0;
                 await until("a copy in Sent", () => {
                   if (Date.now() > again) {
                     server.QueryInterface(Ci.nsIImapIncomingServer).closeCachedConnections();
                     special(SENT).updateFolder(null);
                     again = Date.now() + 3000;
                   }
                   return count(special(SENT)) == 1;
                 });''')
        (letter,) = until(lambda: server.messages(LEO))
        assert b'Subject: from Thunderbird\r\n' in letter and 'Olá, Leo'.encode() in letter and b'with ESMTPSA' in letter

        # and tidies up
        m.run('special(TRASH).emptyTrash(null);')
        assert until(lambda: flags(server, 'Trash') == {}), flags(server, 'Trash')
    recorder.close()
    complaints = [line for side, line in recorder.lines if side == 'server' and re.match(r'\S+ (NO|BAD) ', line) or line.startswith('* BYE')]
    assert not complaints, '\n'.join('%s: %s' % pair for pair in recorder.lines)
    said = ' '.join(line.lower() for side, line in recorder.lines if side == 'client')
    assert ' idle' in said and ' uid move ' in said and ' uid copy ' in said and ' append ' in said
