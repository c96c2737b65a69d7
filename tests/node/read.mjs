// node read.mjs PORT USER PASSWORD: prints all messages of INBOX as a JSON list (base64), then deletes the first and moves the second.
import { ImapFlow } from 'imapflow';

const [port, user, pass] = process.argv.slice(2);
const client = new ImapFlow({ host: '127.0.0.1', port: Number(port), secure: false, auth: { user, pass }, logger: false, tls: { rejectUnauthorized: false } });
await client.connect();
const lock = await client.getMailboxLock('INBOX');
const found = [];
try {
	for await (const message of client.fetch('1:*', { source: true, envelope: true, bodyStructure: true, flags: true, uid: true }))
		found.push({ source: message.source.toString('base64'), subject: message.envelope.subject ?? null, type: message.bodyStructure.type });
	await client.messageFlagsAdd('1', ['\\Flagged', '$Read']);
	const flagged = await client.search({ flagged: true });
	await client.messageMove('2', 'Archive');
	await client.messageDelete('1');
	console.log(JSON.stringify({ found, flagged, left: client.mailbox.exists, boxes: (await client.list()).map((b) => [b.path, b.specialUse ?? null]) }));
} finally {
	lock.release();
}
await client.logout();
