import { ATTR } from '@spanwarden/instrumentation/semconv';
import { FIELD_NAMES } from '@spanwarden/rules';
import { describe, expect, test } from 'vitest';
import { startApp } from './support/instrumented-app.ts';
import { startOtlpRecorder } from './support/otlp-recorder.ts';

const ENVIRONMENT = {
  OTEL_SERVICE_NAME: 'shop',
  OTEL_BSP_SCHEDULE_DELAY: '20',
  OTEL_METRICS_EXPORTER: 'none',
  OTEL_LOGS_EXPORTER: 'none',
  APISEC_HASH_KEY: '0123456789abcdef0123456789abcdef',
};
const TRACE = {
  sampled: `00-${'a'.repeat(32)}-${'1'.repeat(16)}-01`,
  unsampled: `00-${'b'.repeat(32)}-${'1'.repeat(16)}-00`,
};

describe('inside an SDK that the application already has', () => {
  test('our exporter gets scrubbed copies of everything that matters; the application keeps its own spans and its sampling', async () => {
    const [own, ours] = [await startOtlpRecorder(), await startOtlpRecorder()];
    const app = await startApp(
      'existing-sdk.mjs',
      { ...ENVIRONMENT, OWN_ENDPOINT: own.endpoint, OURS_ENDPOINT: ours.endpoint },
      false,
    );
    for (const traceparent of Object.values(TRACE))
      await (await fetch(`${app.url}/throws/Jane?token=abc`, { headers: { traceparent } })).text();
    const copies = await ours.waitFor((spans) => spans.filter((span) => span.kind === 2).length === 2);
    const stock = await own.waitFor((spans) => spans.some((span) => span.kind === 2));
    await app.stop();

    const server = copies.find((span) => span.traceId === 'a'.repeat(32) && span.kind === 2)!;
    expect(server.attributes).toMatchObject({
      'http.route': '/throws/:name',
      'url.path': '/throws/{name}',
      'apisec.auth.scheme': 'none',
    });
    expect(server.attributes['client.address']).toBe('127.0.0.0/24');
    expect(server.resource['apisec.signals']).toContain('auth');
    expect(copies.every((span) => span.kind !== 1)).toBe(true);
    expect(Buffer.concat(ours.requests).toString('latin1')).not.toMatch(/Jane|jane|token=abc/);

    expect(stock.every((span) => span.traceId === 'a'.repeat(32))).toBe(true);
    expect(stock.some((span) => span.kind === 1)).toBe(true);
    expect(stock.find((span) => span.kind === 2)?.attributes).toMatchObject({
      'url.path': '/throws/Jane',
      'client.address': '127.0.0.1',
      'apisec.auth.scheme': 'none',
    });
    for (const recorder of [own, ours]) recorder.close();
  });

  test('without an exporter of ours the spans are decorated and scrubbed where they are', async () => {
    const own = await startOtlpRecorder();
    const app = await startApp('existing-sdk.mjs', { ...ENVIRONMENT, OWN_ENDPOINT: own.endpoint }, false);
    await (await fetch(`${app.url}/throws/Jane?token=abc`, { headers: { traceparent: TRACE.sampled } })).text();
    const spans = await own.waitFor((arrived) => arrived.some((span) => span.kind === 2));
    await app.stop();
    expect(spans.find((span) => span.kind === 2)?.attributes).toMatchObject({
      'url.path': '/throws/{name}',
      'apisec.version': '1',
      'apisec.request.secret_in_url': ['token'],
    });
    expect(Buffer.concat(own.requests).toString('latin1')).not.toMatch(/Jane|jane|token=abc/);
    own.close();
  });
});

test('every attribute that the package sets is one that the collector knows by name', () => {
  expect(Object.values(ATTR).filter((name) => !FIELD_NAMES.includes(name))).toEqual([]);
});
