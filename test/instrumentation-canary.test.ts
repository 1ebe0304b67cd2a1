import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Canary, plantCanaries, spellings } from './support/canaries.ts';
import { type InstrumentedApp, startApp } from './support/instrumented-app.ts';
import { type OtlpRecorder, startOtlpRecorder } from './support/otlp-recorder.ts';

const CANARIES = plantCanaries(50);

function send(
  app: InstrumentedApp,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
) {
  return new Promise<void>((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = options;
    request(app.url + path, { method, headers, agent: false }, (response) => response.resume().on('end', resolve))
      .on('error', reject)
      .end(body);
  });
}

const json = { 'content-type': 'application/json' };

function jwt(canary: Canary): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'HS256', kid: canary.email })}.${part({ iss: canary.name, sub: canary.email, name: canary.name, roles: [canary.name], scope: canary.email, tenant_id: canary.name, jti: canary.token })}.${Buffer.from(canary.token).toString('base64url')}`;
}

/** One request per carrier, each with every value that the carrier can take. */
async function plant(app: InstrumentedApp, canary: Canary): Promise<void> {
  const { name, email, card, ssn, phone, token } = canary;
  const query = new URLSearchParams({ name, email, card, ssn, phone, token, [email]: name }).toString();
  const path = [name, email, card, ssn, phone, token].map(encodeURIComponent).join('/');
  await send(app, `/careless?${query}`, {
    headers: { 'user-agent': `${name} (${email}) Agent/1.0`, referer: `http://x/${email}` },
  });
  await send(app, `/missing/${path}?${query}`);
  await send(app, `/throws/${encodeURIComponent(name)}`);
  await send(app, `/api/accounts/${encodeURIComponent(email)}?${query}`);
  await send(app, '/one', {
    headers: {
      authorization: `Bearer ${jwt(canary)}`,
      cookie: `sid=${token}; name=${encodeURIComponent(name)}`,
      'x-api-key': token,
      'x-user-id': email,
      'x-forwarded-for': `${email}, ${phone}`,
      'x-forwarded-host': email,
      forwarded: `for="${name}"`,
      baggage: `user.name=${encodeURIComponent(name)},ssn=${ssn},apisec.p=${token}`,
      traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
      tracestate: `vendor=${card}`,
    },
  });
  await send(app, '/one', {
    headers: { authorization: `Basic ${Buffer.from(`${email}:${token}`).toString('base64')}` },
  });
  const body = {
    name,
    email,
    card,
    ssn,
    phone,
    token,
    [name.split(' ')[1]!]: { email },
    [email]: { card },
    nested: [{ note: `${name} ${email} ${card} ${ssn}` }],
  };
  await send(app, '/echo', { method: 'POST', headers: json, body: JSON.stringify(body) });
  await send(app, '/login', {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ username: email, password: token }),
  });
  await send(app, `/outgoing?${query}`);
}

describe.each(['express-app.mjs', 'express-app.cjs'])('%s, given what must not leave', (application) => {
  let recorder: OtlpRecorder;
  let app: InstrumentedApp;

  beforeAll(async () => {
    recorder = await startOtlpRecorder();
    app = await startApp(application, {
      OTEL_EXPORTER_OTLP_ENDPOINT: recorder.endpoint,
      OTEL_SERVICE_NAME: 'careless',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      APISEC_HASH_KEY: '0123456789abcdef0123456789abcdef',
      APISEC_TRUSTED_PROXIES: '127.0.0.1',
      APISEC_PRINCIPAL_HEADER: 'x-user-id',
      APISEC_OBJECTS: 'account=/api/accounts/:id',
      APISEC_CLASSIFY: 'full',
    });
    for (const canary of CANARIES) await plant(app, canary);
    await app.stop();
  });
  afterAll(() => recorder.close());

  test('none of 300 planted values is in the bytes on the wire, in any spelling', () => {
    const wire = Buffer.concat(recorder.requests).toString('latin1').toLowerCase();
    expect(new Set(CANARIES.flatMap((canary) => Object.values(canary))).size).toBe(300);
    const found = CANARIES.flatMap(spellings).filter((text) => wire.includes(text.toLowerCase()));
    expect([...new Set(found)]).toEqual([]);
  });

  test('yet what they are is: every request arrived, with types and pseudonyms', () => {
    const spans = recorder.spans();
    const servers = spans.filter((span) => span.kind === 2);
    expect(servers.length).toBeGreaterThanOrEqual(CANARIES.length * 10);
    const echoes = servers.filter((span) => span.attributes['http.route'] === '/echo');
    expect(echoes.some((span) => Number(span.attributes['apisec.response.data.us_ssn']) > 0)).toBe(true);
    expect(echoes.some((span) => Number(span.attributes['apisec.request.data.payment_card']) > 0)).toBe(true);
    const principals = new Set(
      servers.map((span) => span.attributes['user.hash']).filter((hash) => hash !== undefined),
    );
    expect(principals.size).toBeGreaterThanOrEqual(CANARIES.length);
    const careless = spans.find((span) => span.name.startsWith('charge'));
    expect(careless?.attributes['db.query.text']).toMatch(/^select \* from people where name = \? and ssn=\?[?-]*$/);
    expect(careless?.events).toEqual([{ name: 'exception', attributes: { 'exception.type': 'Error' } }]);
  });
});
