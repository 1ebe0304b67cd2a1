import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createPseudonym } from './pseudonym.ts';
import { scrubAttributes, scrubResource, scrubSpanName } from './scrub.ts';
import { scrubGraphql, scrubStatement } from './sql-scrub.ts';
import { queryFacts, scrubPath, scrubUrl } from './url-scrub.ts';

const pseudonym = createPseudonym(Buffer.alloc(32, 1));
const settings = { allowAttributes: new Set(['team.queue']), pseudonym, principalIssuer: 'i' };

describe('attributes', () => {
  test('pass by name only', () => {
    expect(
      scrubAttributes(
        {
          'http.request.method': 'GET',
          'customer.name': 'Jane Doe',
          'team.queue': 'blue',
          'apisec.response.data.email': 3,
          'apisec.response.data.x': 'Jane',
        },
        settings,
      ),
    ).toEqual({ 'http.request.method': 'GET', 'team.queue': 'blue', 'apisec.response.data.email': 3 });
  });

  test('that name a person raw become pseudonyms under our key, and vanish without one', () => {
    const raw = { 'user.id': 'u-1', 'session.id': 'abc', 'user.email': 'jane@example.com' };
    expect(scrubAttributes(raw, settings)).toEqual({
      'user.hash': pseudonym('user', 'i', 'u-1'),
      'session.id': pseudonym('session', 'abc'),
    });
    expect(scrubAttributes(raw, { ...settings, pseudonym: undefined })).toEqual({});
  });

  test('that hold a URL, a statement or a user agent are rewritten', () => {
    expect(
      scrubAttributes(
        {
          'url.full': 'https://jane:pw@api.example.com:8443/users/jane.doe@example.com/orders/17?token=abc#frag',
          'url.path': '/users/jane.doe@example.com/orders/17',
          'url.query': 'token=abc',
          'db.query.text': "SELECT * FROM t WHERE name = 'Jane' AND ssn = 123456788",
          'user_agent.original': 'Mozilla/5.0 (jane.doe@example.com) Chrome/120.0 Jane Doe',
          'error.type': 'cannot find Jane Doe',
        },
        settings,
      ),
    ).toEqual({
      'url.full': 'https://api.example.com:8443/users/{text}/orders/{int}',
      'url.path': '/users/{text}/orders/{int}',
      'db.query.text': 'SELECT * FROM t WHERE name = ? AND ssn = ?',
      'user_agent.original': 'Mozilla/5.0 Chrome/120.0',
      'error.type': 'Error',
    });
  });
});

describe('paths', () => {
  test('along a route name its parameters', () => {
    expect(scrubPath('/api/users/jane/files/a.txt', '/api/users/:id/files/:name')).toBe('/api/users/{id}/files/{name}');
    expect(scrubPath('/api/users/jane', '/api/users/{userId}')).toBe('/api/users/{userId}');
  });

  test('off any route keep only plain words', () => {
    expect(scrubPath('/v1/orders/4711/Jane%20Doe/3f2504e0-4f89-11d3-9a0c-0305e82c3301', undefined)).toBe(
      '/v1/orders/{int}/{text}/{uuid}',
    );
  });

  test('never keep a segment with a digit run, an @ or an upper-case letter', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9@.%_-]{1,40}$/), (segment) => {
        const scrubbed = scrubPath(`/${segment}`, undefined);
        expect(scrubbed === `/${segment}` && /[A-Z@]|\d{3}/.test(segment)).toBe(false);
      }),
    );
  });

  test('of something that is no URL are not shown', () => {
    expect(scrubUrl('not a url with jane@example.com')).toBe('{url}');
  });
});

describe('queries', () => {
  test('leave names, secrets by name or form, types and the page size', () => {
    const facts = queryFacts(
      new URLSearchParams('limit=500&q=jane@example.com&access_token=x&ref=4111111111111111&jane@x.org=1'),
    );
    expect(facts.params).toEqual(['limit', 'q', 'access_token', 'ref', '*']);
    expect(facts.secrets).toEqual(['access_token', 'ref']);
    expect([...facts.dataTypes]).toEqual([
      ['email', 1],
      ['payment_card', 1],
    ]);
    expect(facts.pageSize).toBe(500);
  });
});

describe('statements', () => {
  test.each([
    ["insert into t values ('it''s', 'a\\'b', 12.5, -3, 0xFF)", 'insert into t values (?, ?, ?, ?, ?)'],
    ['select "name" from "people" where "name" = "Jane Doe"', 'select "name" from "people" where "name" = ?'],
    ['select $1, $tag$Jane$tag$ -- Jane', 'select $1, ? ?'],
    ["select * from t where a = 'unterminated Jane", 'select * from t where a = ?'],
    ['SET secret Jane', 'SET'],
    ['HGETALL user:jane', 'HGETALL'],
    ['{"find":"people","filter":{"name":"Jane"}}', '?'],
  ])('%s', (statement, scrubbed) => {
    expect(scrubStatement(statement)).toBe(scrubbed);
  });

  test('never keep what stands between quotes', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9 @.]{1,30}$/), (value) => {
        expect(scrubStatement(`select * from t where a = '${value}'`)).toBe('select * from t where a = ?');
        expect(scrubGraphql(`{ user(name: "${value}") { id } }`)).toBe('{ user(name: ?) { id } }');
      }),
    );
  });
});

test('span names lose words that hold data', () => {
  expect(scrubSpanName('GET /users/:id', undefined)).toBe('GET /users/:id');
  expect(scrubSpanName('charge 4111111111111111 of jane@example.com', undefined)).toBe('charge ? of ?');
  expect(scrubSpanName('GET /users/jane', '/users/jane')).toBe('GET {path}');
});

test('resources lose the command line and the owner', () => {
  expect(
    scrubResource({
      'service.name': 'a',
      'process.command_args': ['--password=x'],
      'process.owner': 'jane',
      'process.pid': 1,
    }),
  ).toEqual({ 'service.name': 'a', 'process.pid': 1 });
});
