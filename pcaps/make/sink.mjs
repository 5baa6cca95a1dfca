// Accepts any request, reads its body to the end and answers with a short JSON document: the far end of uploads that are no blob storage.
// Also serves the lab's script. Usage: node sink.mjs PORT
import http from 'node:http';

const script = '# lab script\n' + 'Write-Output "archive and upload"\n'.repeat(60);

http.createServer((req, res) => {
	let bytes = 0;
	req.on('data', (d) => { bytes += d.length; });
	req.on('end', () => {
		if (req.method === 'GET') {
			res.writeHead(200, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(script) });
			res.end(script);
			return;
		}
		const body = JSON.stringify({ size: bytes });
		res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
		res.end(body);
	});
}).listen(Number(process.argv[2]), '127.0.0.1');
