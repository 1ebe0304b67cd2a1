import { request as httpsRequest } from 'node:https';
import { traceStore } from '@spanwarden/instrumentation';
import Database from 'better-sqlite3';
import { CUSTOMERS } from '../world.ts';
import { authenticated, required, serve } from './web.ts';

/** Customer profiles in a real SQLite database. */
interface Profile {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly phone: string;
  readonly ssn: string;
}

const database = new Database(':memory:');
database.exec('CREATE TABLE profiles (id TEXT PRIMARY KEY, name TEXT, email TEXT, phone TEXT, ssn TEXT)');
const insert = database.prepare('INSERT INTO profiles VALUES (?, ?, ?, ?, ?)');
for (const { id, name, email, phone, ssn } of CUSTOMERS) insert.run(id, name, email, phone, ssn);
const one = database.prepare<[string], Profile>('SELECT * FROM profiles WHERE id = ?');
const many = database.prepare<[number], Profile>('SELECT * FROM profiles LIMIT ?');

const read = (id: string): Profile | undefined =>
  traceStore(
    { system: 'sqlite', operation: 'SELECT', collection: 'profiles', object: { type: 'customer', ids: id } },
    () => one.get(id),
  );

/** Sends to a host of the outside world, which the demo answers on loopback itself: nothing leaves this machine. */
function send(host: string, path: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        host,
        port: Number(required('DEMO_OUTSIDE_PORT')),
        path,
        // its certificate is made anew at every start and vouched for by nobody
        rejectUnauthorized: false,
        method: body === '' ? 'GET' : 'POST',
        headers: body === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        lookup: (_host, options, done) => {
          if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
          else done(null, '127.0.0.1', 4);
        },
      },
      (incoming) => {
        incoming.resume();
        incoming.on('end', () => resolve(incoming.statusCode ?? 0));
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

serve((app) => {
  app.get(
    '/profiles/:id',
    authenticated((request, response) => {
      const profile = read(String(request.params['id']));
      if (profile === undefined) response.status(404).json({ error: 'not found' });
      else response.json(profile);
    }),
  );

  // A customer list goes to the advertising partner when the request says so; the statement service is an approved supplier.
  app.post(
    '/exports',
    authenticated(async (request, response) => {
      const { to, limit } = request.body as { to: string; limit: number };
      const rows = traceStore({ system: 'sqlite', operation: 'SELECT', collection: 'profiles' }, () => many.all(limit));
      const status = await send(to, '/v1/audiences', JSON.stringify({ members: rows }));
      response.json({ sent: rows.length, status });
    }),
  );

  // Flaw: the avatar is fetched from wherever the request says.
  app.post(
    '/avatars',
    authenticated(async (request, response) => {
      const { host, path } = request.body as { host: string; path: string };
      response.json({ status: await send(host, path, '') });
    }),
  );
});
