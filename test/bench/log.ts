import { BatchBuilder, type Resource, type SpanBatch } from 'spanwarden/dist/base/batch.js';
import { seal } from 'spanwarden/dist/log/envelope.js';
import { decodeBatch, encodeBatch, plainBytesOf, toLogRecord } from 'spanwarden/dist/log/record.js';
import { createRandom } from '../support/random.ts';

const SERVICES = ['gateway', 'accounts', 'orders', 'profiles', 'ledger'];
const START_US = 1_760_000_000_000_000;

interface Waiting {
  due: number;
  add: (b: BatchBuilder, resource: number, scope: number) => void;
}

/** Batches as five services export them: about ten spans a trace, spread over the exports of the services that made them. */
export function* traffic(seed: number, batchSpans: number, spansPerSecond: number): Generator<SpanBatch> {
  const random = createRandom(seed);
  const text = (alphabet: string, length: number) =>
    Array.from({ length }, () => alphabet[random.below(alphabet.length)]).join('');
  const pseudonym = () => text('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', 22);
  const users = Array.from({ length: 5000 }, pseudonym);
  const objects = Array.from({ length: 60_000 }, pseudonym);
  const resources: Resource[] = SERVICES.map((service) => ({
    service,
    version: '1.4.2',
    clock: `host-${service}`,
    signals: 63,
    droppedSpans: 0,
    attributes: [
      ['service.name', service],
      ['service.version', '1.4.2'],
      ['host.name', `host-${service}`],
      ['telemetry.sdk.language', 'nodejs'],
      ['telemetry.sdk.name', 'opentelemetry'],
      ['telemetry.sdk.version', '2.12.0'],
      ['process.pid', 4000],
      ['deployment.environment.name', 'production'],
    ],
  }));
  const queues: Waiting[][] = SERVICES.map(() => []);
  let clock = START_US;
  for (;;) {
    clock += (10 / spansPerSecond) * 1e6 * (0.2 + random.unit() * 1.6);
    trace(Math.floor(clock));
    const service = random.below(SERVICES.length);
    const queue = queues[service]!;
    if (queue.length < batchSpans) continue;
    const builder = new BatchBuilder();
    builder.addResource(resources[service]!);
    builder.addScope({ name: '@opentelemetry/instrumentation-http', version: '0.223.0' });
    for (const span of queue.splice(0, batchSpans)) span.add(builder, 0, 0);
    yield builder.build();
  }

  function trace(startUs: number): void {
    const t = [random.uint32(), random.uint32(), random.uint32(), random.uint32()] as const;
    const user = users[random.below(users.length)]!;
    const session = random.below(1 << 20);
    const object = objects[random.below(objects.length)]!;
    const spans = 6 + random.below(9);
    const ids: [number, number][] = [];
    const services: number[] = [];
    const starts: number[] = [];
    for (let i = 0; i < spans; i++) {
      const id: [number, number] = [random.uint32(), random.uint32()];
      const parent = i === 0 ? -1 : random.below(i);
      const kind = i === 0 ? 2 : [3, 2, 3, 1][i % 4]!;
      const service = i === 0 ? 0 : kind === 2 ? random.below(SERVICES.length) : services[parent]!;
      const start = i === 0 ? startUs : starts[parent]! + 50 + random.below(4000);
      const end = start + 200 + Math.floor(Math.exp(random.unit() * 6) * 100);
      ids.push(id);
      services.push(service);
      starts.push(start);
      const number = random.below(90_000_000) + 10_000_000;
      const port = 32_768 + random.below(28_000);
      const size = random.below(20_000);
      const route = random.below(12);
      queues[service]!.push({
        due: end,
        add: (b, resource, scope) => {
          const p = parent < 0 ? [0, 0] : ids[parent]!;
          const method = route % 3 === 0 ? 'POST' : 'GET';
          const template = `/api/v1/${SERVICES[service]}/{id}/items-${route}`;
          const isDb = kind === 3 && i % 3 === 0;
          const name = isDb ? `SELECT ${SERVICES[service]}.items` : `${method} ${template}`;
          b.span(
            ...t,
            ...id,
            p[0]!,
            p[1]!,
            kind,
            i % 37 === 36 ? 2 : 0,
            0x101,
            start,
            end,
            end,
            b.string(name),
            resource,
            scope,
          );
          const put = (key: string, value: string | number | boolean | string[]) => b.attrValueOf(b.key(key), value);
          if (isDb) {
            put('db.system.name', 'postgresql');
            put('db.namespace', 'bank');
            put('db.collection.name', 'items');
            put('db.operation.name', 'SELECT');
            put('db.query.text', `SELECT a, b, c FROM items_${route} WHERE owner = ? AND id = ?`);
            put('db.query.summary', `SELECT items_${route}`);
            put('db.response.returned_rows', random.below(20));
            put('server.address', 'db-1.internal');
            put('server.port', 5432);
            put('network.peer.address', '10.0.3.17');
            put('network.peer.port', 5432);
            put('apisec.version', 1);
            put('app.pool.wait_ms', random.below(4));
          } else {
            put('http.request.method', method);
            put('http.response.status_code', i % 41 === 40 ? 500 : 200);
            put('url.scheme', 'http');
            put('network.protocol.version', '1.1');
            if (kind === 2) {
              put('http.route', template);
              put('url.path', `/api/v1/${SERVICES[service]}/${number}/items-${route}`);
              put('client.address', `10.0.${service}.${session & 255}`);
              put('network.peer.port', port);
              put('user.hash', user);
              put('apisec.auth.scheme', 'bearer');
              put('apisec.auth.verified', true);
              put('apisec.object.ids', [object]);
              put('apisec.response.record_count', random.below(5));
            } else if (kind === 3) {
              put('url.full', `http://${SERVICES[service]}.internal:8080/api/v1/${number}/items-${route}`);
              put('server.address', `${SERVICES[service]}.internal`);
              put('server.port', 8080);
              put('network.peer.address', '10.0.3.4');
              put('network.peer.port', 8080);
              put('http.response.body.size', size);
              put('user_agent.original', 'node-fetch/3');
              put('apisec.version', 1);
              put('apisec.egress.third_party', false);
            } else {
              for (let k = 0; k < 8; k++) put(`app.step.${k}`, k < 6 ? `value-${k}-${route % 4}` : random.below(1000));
              put('code.file.path', '/srv/app/handlers.ts');
            }
          }
        },
      });
    }
  }
}

if (process.argv[2] === 'encode') {
  const size = Number(process.argv[3] ?? 512);
  const batches: SpanBatch[] = [];
  let spans = 0,
    attrs = 0;
  for (const batch of traffic(1, size, 20000)) {
    batches.push(batch);
    spans += batch.count;
    attrs += batch.attrKey.length;
    if (spans > 60_000) break;
  }
  console.log({
    spans,
    attrsPerSpan: attrs / spans,
    strings: batches.reduce((n, b) => n + b.strings.length, 0) / spans,
  });
  for (let r = 0; r < 5; r++) {
    let t = process.cpuUsage();
    const us = () => {
      const u = process.cpuUsage(t);
      t = process.cpuUsage();
      return ((u.user + u.system) / spans).toFixed(3);
    };
    const encoded = batches.map((b) => encodeBatch(b));
    const e = us();
    const records = batches.map((b, i) => toLogRecord(b, i, 1));
    const l = us();
    const sealed = encoded.map((b) => seal(b, plainBytesOf(b), { numbers: [] }));
    const s = us();
    const decoded = encoded.map((b) => decodeBatch(b));
    const d = us();
    console.log(
      {
        e,
        l,
        s,
        d,
        raw: encoded.reduce((n, b) => n + b.length, 0) / spans,
        sealed: sealed.reduce((n, b) => n + b.length, 0) / spans,
        plain: encoded.reduce((n, b) => n + plainBytesOf(b), 0) / spans,
      },
      records.length,
      decoded.length,
    );
  }
}
