// node search.mjs PORT USER PASSWORD: what a few searches of INBOX find, as JSON.
import { ImapFlow } from 'imapflow';

const [port, user, pass] = process.argv.slice(2);
const client = new ImapFlow({ host: '127.0.0.1', port: Number(port), secure: false, auth: { user, pass }, logger: false, tls: { rejectUnauthorized: false } });
await client.connect();
const lock = await client.getMailboxLock('INBOX');
try {
	const said = {
		all: await client.search({ all: true }),
		body: await client.search({ body: 'needle' }, { uid: true }),
		either: await client.search({ or: [{ subject: 'olá' }, { from: 'leo' }] }, { uid: true }),
		counted: await client.search({ subject: 'm' }, { uid: true, returnOptions: ['MIN', 'MAX', 'COUNT', 'ALL'] }),
		modseq: (await client.search({ modseq: 1n }, { uid: true, returnOptions: ['COUNT'] })).count,
	};
	console.log(JSON.stringify(said, (key, value) => (typeof value === 'bigint' ? Number(value) : value)));
} finally {
	lock.release();
}
await client.logout();
