// node resync.mjs PORT USER PASSWORD: keeps a copy of INBOX, goes, and resynchronises by QRESYNC; prints what it was told, as JSON.
// On the line "go on" on its input it connects again.
import { ImapFlow } from 'imapflow';
import readline from 'node:readline/promises';

const [port, user, pass] = process.argv.slice(2);
const connect = async () => {
	const client = new ImapFlow({ host: '127.0.0.1', port: Number(port), secure: false, auth: { user, pass }, logger: false, qresync: true, tls: { rejectUnauthorized: false } });
	await client.connect();
	return client;
};
let client = await connect();
let box = await client.mailboxOpen('INBOX');
const known = { uidValidity: box.uidValidity, highestModseq: box.highestModseq, enabled: [...client.enabled].sort() };
const first = await client.fetchOne('1', { emailId: true, threadId: true, uid: true, internalDate: true });
await client.logout();
console.log(JSON.stringify({ enabled: known.enabled, email: Boolean(first.emailId), thread: Boolean(first.threadId) }));

const input = readline.createInterface({ input: process.stdin });
await input[Symbol.asyncIterator]().next();
client = await connect();
const changed = [];
box = await client.mailboxOpen('INBOX');
for await (const m of client.fetch('1:*', { uid: true, flags: true }, { uid: true, changedSince: known.highestModseq }))
	changed.push(m.uid);
console.log(JSON.stringify({ same: box.uidValidity === known.uidValidity, exists: box.exists, changed }));
await client.logout();
input.close();
process.exit(0);
