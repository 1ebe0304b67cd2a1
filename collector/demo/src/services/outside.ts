import { createServer } from 'node:https';
import { generate } from 'selfsigned';

/** The outside world on loopback: an advertising partner, a statement printer, a cloud metadata address. Not ours, so not instrumented. */
const { cert, private: key } = await generate([{ name: 'commonName', value: 'outside' }]);
const server = createServer({ cert, key }, (incoming, outgoing) => {
  incoming.resume();
  incoming.on('end', () => outgoing.writeHead(202, { 'content-type': 'application/json' }).end('{"ok":true}'));
});
server.listen(Number(process.env['DEMO_PORT']), '127.0.0.1', () => process.send?.('listening'));
