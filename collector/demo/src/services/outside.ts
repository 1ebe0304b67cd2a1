import { createServer } from 'node:http';

/** The outside world on loopback: an advertising partner, a statement printer, a cloud metadata address. Not ours, so not instrumented. */
const server = createServer((incoming, outgoing) => {
  incoming.resume();
  incoming.on('end', () => outgoing.writeHead(202, { 'content-type': 'application/json' }).end('{"ok":true}'));
});
server.listen(Number(process.env['DEMO_PORT']), '127.0.0.1', () => process.send?.('listening'));
