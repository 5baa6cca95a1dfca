// Resolver over HTTPS (RFC 8484) that knows one hidden name: its address is the front's, and its HTTPS record (RFC 9460) carries an ECHConfigList
// (draft-ietf-tls-esni: version 0xfe0d, X25519, HKDF-SHA256, AES-128-GCM) whose key is drawn here and kept by nobody. Behind nginx, which speaks TLS.
// Usage: node doh.mjs PORT HIDDEN-NAME ADDRESS PUBLIC-NAME
import crypto from 'node:crypto';
import http from 'node:http';

const [port, hidden, address, front] = process.argv.slice(2);
const A = 1, HTTPS = 65;

const u8 = (n) => Buffer.from([n]);
const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const vector = (size, ...parts) => {
	const body = Buffer.concat(parts);
	return Buffer.concat([size === 1 ? u8(body.length) : u16(body.length), body]);
};

function echConfigList() {
	const { publicKey } = crypto.generateKeyPairSync('x25519');
	const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url');
	const suites = vector(2, u16(1), u16(1));
	const contents = [u8(crypto.randomInt(256)), u16(0x20), vector(2, raw), suites, u8(64), vector(1, Buffer.from(front)), vector(2)];
	return vector(2, u16(0xfe0d), vector(2, ...contents));
}

const param = (key, value) => Buffer.concat([u16(key), vector(2, value)]);
const records = {
	[A]: Buffer.from(address.split('.').map(Number)),
	[HTTPS]: Buffer.concat([u16(1), u8(0), param(1, vector(1, Buffer.from('http/1.1'))), param(5, echConfigList())]),
};

function question(query) {
	const words = [];
	let at = 12;
	for (; query[at]; at += query[at] + 1) words.push(query.toString('latin1', at + 1, at + 1 + query[at]));
	return { name: words.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function answer(query) {
	const q = question(query);
	const record = q.name === hidden ? records[q.type] : undefined;
	const head = Buffer.concat([query.subarray(0, 2), u16(0x8180), u16(1), u16(record ? 1 : 0), u16(0), u16(0), query.subarray(12, q.end)]);
	return record ? Buffer.concat([head, u16(0xc00c), u16(q.type), u16(1), u16(0), u16(300), vector(2, record)]) : head;
}

http.createServer(async (req, res) => {
	const parts = [];
	for await (const d of req) parts.push(d);
	const dns = new URL(req.url, 'http://x').searchParams.get('dns');
	const query = req.method === 'POST' ? Buffer.concat(parts) : Buffer.from(dns ?? '', 'base64url');
	if (query.length < 17) {
		res.writeHead(400).end();
		return;
	}
	const body = answer(query);
	res.writeHead(200, { 'content-type': 'application/dns-message', 'content-length': body.length }).end(body);
}).listen(Number(port), '127.0.0.1');
