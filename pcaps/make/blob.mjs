// One blob operation with the Azure SDK, as a script on the lab's machine would do it.
// Usage: node blob.mjs make|put|get ACCOUNT KEY CONTAINER BLOB [FILE]
import fs from 'node:fs';
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';

const [op, account, key, container, name, file] = process.argv.slice(2);
const service = new BlobServiceClient(`https://${account}.blob.core.windows.net`,
	new StorageSharedKeyCredential(account, key), { retryOptions: { maxTries: 1 }, keepAliveOptions: { enable: false } });
const folder = service.getContainerClient(container);
const blob = folder.getBlockBlobClient(name);
if (op === 'make') {
	await folder.createIfNotExists();
	await blob.upload(fs.readFileSync(file), fs.statSync(file).size);
} else if (op === 'put') {
	await blob.upload(fs.readFileSync(file), fs.statSync(file).size);
} else {
	let bytes = 0;
	for await (const piece of (await blob.download(0)).readableStreamBody) bytes += piece.length;
	console.log(`${bytes} bytes read`);
}
