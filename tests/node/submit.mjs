// node submit.mjs PORT USER PASSWORD RECIPIENT MODE: sends each message of stdin's JSON list (base64) as it is.
import nodemailer from 'nodemailer';
import { readFileSync } from 'node:fs';

const [port, user, pass, recipient, mode] = process.argv.slice(2);
const transport = nodemailer.createTransport({
	host: '127.0.0.1', port: Number(port), secure: mode === 'tls', requireTLS: mode === 'starttls', pool: true, maxConnections: 2,
	auth: { user, pass }, tls: { rejectUnauthorized: false },
});
for (const text of JSON.parse(readFileSync(0, 'utf8'))) {
	const info = await transport.sendMail({ envelope: { from: user, to: [recipient] }, raw: Buffer.from(text, 'base64') });
	console.log(info.response);
}
transport.close();
