import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classifyText, scrubText } from './scrub-text.ts';
import { UrlScrubber } from './scrub-url.ts';
import { categoryOfName } from './sensitive-names.ts';

const untouched = (text: string): void => {
  expect({ text: scrubText(text, []), found: classifyText(text) }).toEqual({ text, found: [] });
};

const hex = (length: number) =>
  fc.uint8Array({ minLength: length / 2, maxLength: length / 2 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const date = fc.date({ min: new Date('2001-01-01'), max: new Date('2040-01-01'), noInvalidDate: true });

describe('ordinary values are not mistaken for personal data or secrets', () => {
  it.each<[string, fc.Arbitrary<string>]>([
    ['UUIDs', fc.uuid()],
    ['upper-case UUIDs', fc.uuid().map((id) => id.toUpperCase())],
    ['UUIDs in paths', fc.uuid().map((id) => `/orders/${id}/items`)],
    ['trace ids', hex(32)],
    ['span ids', hex(16)],
    ['commit hashes', hex(40)],
    ['image digests', hex(64).map((digest) => `registry.example/shop@sha256:${digest}`)],
    ['Mongo ids', hex(24)],
    ['ULIDs', fc.ulid()],
    ['order numbers', fc.nat({ max: 99_999_999 }).map((n) => `ORD-2024-${String(n).padStart(8, '0')}`)],
    ['numbers of up to twelve digits', fc.nat({ max: 1e12 - 1 }).map(String)],
    ['seconds since 1970', date.map((d) => String(Math.floor(d.getTime() / 1000)))],
    ['milliseconds since 1970', date.map((d) => String(d.getTime()))],
    ['microseconds since 1970', date.map((d) => `${d.getTime()}123`)],
    ['nanoseconds since 1970', date.map((d) => `${d.getTime()}123456`)],
    ['RFC 3339 times', date.map((d) => d.toISOString())],
    ['times with an offset', date.map((d) => d.toISOString().replace('Z', '+02:00'))],
    ['log times', date.map((d) => d.toISOString().replace('T', ' ').replace('Z', ' +0000'))],
    ['versions', fc.tuple(fc.nat(99), fc.nat(999), fc.nat(9999)).map((v) => `v${v.join('.')}`)],
    ['versions with build', fc.tuple(fc.nat(9), fc.nat(99), fc.nat(99)).map((v) => `${v.join('.')}-beta.1+build.17`)],
    ['ratios', fc.double({ min: 0, max: 1, noNaN: true }).map((n) => `ratio ${n.toFixed(16)}`)],
    ['private addresses', fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255)).map((v) => `10.${v.join('.')}`)],
    ['MAC addresses', hex(12).map((text) => text.match(/../g)!.join(':'))],
    ['pods', hex(10).map((id) => `payment-service-${id}-x2k4p`)],
    ['ports', fc.integer({ min: 1, max: 65535 }).map((port) => `shop.example.com:${port}`)],
    ['amounts', fc.nat({ max: 1e9 }).map((n) => `total 1,${n}.00 EUR`)],
    [
      'coordinates',
      fc
        .tuple(fc.integer({ min: -89, max: 89 }), fc.nat(999_999))
        .map(([a, b]) => `${a}.${String(b).padStart(6, '0')}`),
    ],
    ['ISBN-like numbers', fc.nat({ max: 999_999_999 }).map((n) => `978-${String(n).padStart(9, '0')}-1`)],
  ])('%s', (_, values) => {
    fc.assert(fc.property(values, untouched), { numRuns: 300 });
  });

  it.each([
    'GET',
    'GET /users/{id}/orders',
    '/api/v1/users/:id',
    'com.example.accounts.AccountService/GetBalance',
    'SELECT bank.accounts',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)',
    'application/json; charset=utf-8',
    'text/html;charset=utf-8',
    '@opentelemetry/instrumentation-http',
    'root@localhost',
    'opentelemetry-1.27.0',
    'arn:aws:lambda:eu-central-1:function:orders',
    'npm ERR! code ELIFECYCLE',
    'grpc-status: 0',
    'nginx/1.25.3',
    'us-east-1a',
    'skeleton-key-holder-service',
    'AccountsRepository.findByOwnerAndKindOrderByCreated',
    'token bucket is empty',
    'basic plan',
    'kafka://orders.v1/partition-7',
    'status: ok, elapsed: 12ms',
    '12:30:45.123',
    '2024-01-02',
    'HTTP/1.1 200 OK',
  ])('%s', untouched);

  it('sixteen random digits are taken for a card in about two cases of a hundred, no more', () => {
    let state = 7;
    let taken = 0;
    for (let i = 0; i < 20_000; i++) {
      let digits = '';
      while (digits.length < 16) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        digits += String(state % 100_000_000).padStart(8, '0');
      }
      if (classifyText(`order ${digits}`).length > 0) taken++;
    }
    expect(taken / 20_000).toBeLessThan(0.035);
  });

  it('paths of ordinary APIs stay as they are', () => {
    const urls = new UrlScrubber();
    for (const path of [
      '/',
      '',
      '/api/v1/users/42',
      '/orders/3fa85f64-5717-4562-b3fc-2c963f66afa6',
      '/token',
      '/auth/login',
      '/v1/reset/password',
      '/a//b/',
      '/files/report-2024-01-02.pdf',
    ]) {
      expect(urls.path(path)).toEqual({ text: path, found: [], exposed: [] });
    }
  });

  it.each([
    'email.count',
    'tokens',
    'token_type',
    'cardinality',
    'phone_verified',
    'password_policy',
    'mail.server',
    'session.count',
    'http.route',
    'key',
    'author',
    'signature_algorithm',
    'sink',
  ])('the name %s announces nothing', (name) => expect(categoryOfName(name)).toBeUndefined());
});
