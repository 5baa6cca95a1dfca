// Asks a name server for A records with node's own resolver (c-ares), as a client does before it connects. Usage: node resolve.mjs SERVER NAME...
import dns from 'node:dns';

const resolver = new dns.promises.Resolver();
const [server, ...names] = process.argv.slice(2);
resolver.setServers([server]);
for (const name of names) console.log(name, (await resolver.resolve4(name)).join(' '));
