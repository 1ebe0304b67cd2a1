import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FindingView } from './contract.ts';
import { type Received, type RunningApi, startApi } from './testing/running-api.ts';
import { FINDINGS, FIRST_ID, sampleEstate } from './testing/sample-estate.ts';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi([sampleEstate]);
});
afterAll(() => running.stop());

interface Page {
  readonly items: readonly FindingView[];
  readonly nextCursor: string | null;
}

const list = async (query: string): Promise<readonly FindingView[]> => {
  const answer = await running.send(`/api/v1/findings?limit=500&${query}`);
  expect(answer.status).toBe(200);
  return (answer.json() as Page).items;
};

async function walk(query: string, onPage: (page: Page) => void = () => undefined): Promise<FindingView[]> {
  const found: FindingView[] = [];
  let cursor: string | null = null;
  do {
    const answer: Received = await running.send(
      `/api/v1/findings?${query}${cursor === null ? '' : `&cursor=${cursor}`}`,
    );
    const page = answer.json() as Page;
    onPage(page);
    found.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return found;
}

describe('the list of findings', () => {
  it('has all of them, latest first seen first', async () => {
    const items = await list('');
    expect(items).toHaveLength(FINDINGS);
    const sorted = [...items].sort((a, b) =>
      a.firstSeen === b.firstSeen ? (a.fingerprint < b.fingerprint ? -1 : 1) : a.firstSeen > b.firstSeen ? -1 : 1,
    );
    expect(items).toEqual(sorted);
  });

  const all = (keep: (finding: FindingView) => boolean) => async () => (await list('')).filter(keep);
  it.each<[string, () => Promise<FindingView[]>]>([
    ['status=open', all(() => true)],
    ['status=resolved,archived', all(() => false)],
    ['severity=high', all(({ severity }) => severity === 'high')],
    ['severity=high,critical', all(({ severity }) => severity === 'high' || severity === 'critical')],
    ['severity=high&severity=critical', all(({ severity }) => severity === 'high' || severity === 'critical')],
    ['rule=access/principal-swap', all(({ rule }) => rule.id === 'access/principal-swap')],
    ['rule=access%2Fprincipal-swap,no/such', all(({ rule }) => rule.id === 'access/principal-swap')],
    ['principal=principal-2', all(({ principal }) => principal === 'principal-2')],
    ['operation=accounts%20GET%20/v1/3', all(({ operation }) => operation === 'accounts GET /v1/3')],
    ['since=2026-01-05T08:10:00Z', all(({ lastSeen }) => lastSeen >= '2026-01-05T08:10:00.000Z')],
    ['since=2026-01-05T10:10:00%2B02:00', all(({ lastSeen }) => lastSeen >= '2026-01-05T08:10:00.000Z')],
    ['until=2026-01-05T08:10:00.000Z', all(({ firstSeen }) => firstSeen < '2026-01-05T08:10:00.000Z')],
    [
      'severity=low&principal=principal-3&since=2026-01-05T08:05:00Z&until=2026-01-05T08:25:00Z',
      all(
        ({ severity, principal, firstSeen }) =>
          severity === 'low' &&
          principal === 'principal-3' &&
          firstSeen >= '2026-01-05T08:05:00.000Z' &&
          firstSeen < '2026-01-05T08:25:00.000Z',
      ),
    ],
  ])('filtered by %s has exactly those', async (query, expected) => {
    expect(await list(query)).toEqual(await expected());
  });

  it.each([1, 7, 30, 60, 500])('is complete and without repeats in pages of %i', async (limit) => {
    const sizes: number[] = [];
    const found = await walk(`limit=${limit}`, ({ items }) => sizes.push(items.length));
    expect(found).toEqual(await list(''));
    expect(sizes).toHaveLength(Math.ceil(FINDINGS / limit));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limit);
  });

  it('keeps to its filter from page to page', async () => {
    expect(await walk('limit=3&severity=high')).toEqual(await list('severity=high'));
  });

  it.each([
    ['severity=severe', 'severity: must be any of info, low, medium, high, critical'],
    ['status=', 'status: must be any of open, triaged, confirmed, resolved, archived'],
    ['limit=0', 'limit: must be a whole number from 1 to 500'],
    ['limit=501', 'limit: must be a whole number from 1 to 500'],
    ['limit=1e2', 'limit: must be a whole number from 1 to 500'],
    ['limit=5&limit=6', 'limit: given more than once'],
    ['since=yesterday', 'since: must be an RFC 3339 time such as 2026-01-31T08:00:00Z'],
    ['since=2026-13-01T00:00:00Z', 'since: must be an RFC 3339 time'],
    ['cursor=abc', 'cursor: must be `nextCursor` of the page before'],
    [`cursor=${Buffer.from('["a","b"]').toString('base64url')}`, 'cursor: must be'],
    [`cursor=${Buffer.from('[1,"b",3]').toString('base64url')}`, 'cursor: must be'],
    ['sverity=high', 'sverity: unknown parameter; known are status, rule, severity'],
    ['__proto__=1', '__proto__: unknown parameter'],
    ['constructor=1', 'constructor: unknown parameter'],
    [`principal=${'x'.repeat(1025)}`, 'principal: must be'],
  ])('refuses %s', async (query, detail) => {
    const answer = await running.send(`/api/v1/findings?${query}`);
    expect(answer.status).toBe(400);
    expect((answer.json() as { detail: string }).detail).toContain(detail);
  });

  it('names all that is wrong at once', async () => {
    const answer = await running.send('/api/v1/findings?limit=0&since=x&what=y');
    const { errors } = answer.json() as { errors: { where: string }[] };
    expect(errors.map(({ where }) => where)).toEqual(['limit', 'since', 'what']);
  });
});

const INJECTIONS = [
  "' OR 1=1 --",
  "x'; DROP TABLE findings; --",
  '" OR ""="',
  "open') OR 1=1 --",
  '1 UNION SELECT sql FROM sqlite_schema',
  "\\'; ATTACH DATABASE '/etc/passwd' AS x; --",
  '$.status',
  '["open"]',
  '%00',
  '\u0000',
  '%',
  '_',
  '*',
  '?1',
  ':id',
];
const TARGETS = [
  ...['status', 'rule', 'severity', 'principal', 'operation', 'since', 'until', 'limit', 'cursor'].map(
    (name) => `findings?${name}=`,
  ),
  ...['service', 'style', 'method', 'exposure', 'authn', 'dataType', 'sensitive', 'since', 'limit', 'cursor'].map(
    (name) => `operations?${name}=`,
  ),
  ...['since', 'until', 'level'].map((name) => `call-graph?${name}=`),
  'findings/',
  'traces/',
];

describe('text that would be SQL', () => {
  it.each(TARGETS)('is a value or refused in %s', async (target) => {
    for (const text of INJECTIONS) {
      const answer = await running.send(`/api/v1/${target}${encodeURIComponent(text)}`);
      expect([200, 400, 404]).toContain(answer.status);
      if (answer.status === 200) expect(answer.json()).toEqual({ items: [], nextCursor: null });
    }
    expect(running.errors).toEqual([]);
    expect(await list('')).toHaveLength(FINDINGS);
  });

  it.each(['findings', 'operations'])('is a value in a forged cursor of %s', async (kind) => {
    for (const text of INJECTIONS) {
      const keys = kind === 'findings' ? [1e300, text] : [text, text, text, text];
      const cursor = Buffer.from(JSON.stringify(keys)).toString('base64url');
      expect((await running.send(`/api/v1/${kind}?cursor=${cursor}`)).status).toBe(200);
    }
    expect(running.errors).toEqual([]);
  });
});

describe('one finding', () => {
  const path = `/api/v1/findings/${FIRST_ID}`;

  it('is the same by its fingerprint, and starts as it is listed', async () => {
    const answer = await running.send(path);
    const detail = answer.json() as FindingView;
    const listed = (await list('')).find(({ id }) => id === FIRST_ID)!;
    expect(detail).toMatchObject(listed);
    const byFingerprint = await running.send(`/api/v1/findings/${encodeURIComponent(detail.fingerprint)}`);
    expect(byFingerprint.json()).toEqual(detail);
    expect(detail).toMatchObject({
      explanation: 'read without a credential',
      responseAdvice: ['Require a credential'],
      suggestedRateLimit: null,
      evidence: { traceId: listed.traceIds[0], measures: [{ clause: 'apisec.auth.scheme: none', observed: 'none' }] },
    });
  });

  it('is not sent again to who has it', async () => {
    const { etag } = (await running.send(path)).headers;
    expect(etag).toMatch(/^"\d+"$/);
    for (const tag of [etag!, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await running.send(path, { headers: { 'if-none-match': tag } });
      expect([answer.status, answer.text, answer.headers.etag]).toEqual([304, '', etag]);
    }
    expect((await running.send(path, { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
  });
});

describe('a change of status', () => {
  const path = '/api/v1/findings/F-000500050005';
  const patch = (body: unknown, headers: Record<string, string> = {}) =>
    running.send(path, {
      method: 'PATCH',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    });

  it('is made, answered with the finding, and listed', async () => {
    const before = (await running.send(path)).headers.etag!;
    const change = { status: 'archived', reason: 'testing', until: '2027-01-01T00:00:00Z', note: 'our load test' };
    const answer = await patch(change, { 'if-match': before });
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({
      status: 'archived',
      triage: { reason: 'testing', until: '2027-01-01T00:00:00.000Z', note: 'our load test' },
    });
    expect(answer.headers.etag).not.toBe(before);
    expect((await running.send(path)).json()).toEqual(answer.json());
    expect((await list('status=archived')).map(({ id }) => id)).toEqual(['F-000500050005']);
  });

  it('of a finding that changed meanwhile is refused', async () => {
    const { etag } = (await running.send(path)).headers;
    expect((await patch({ status: 'open' }, { 'if-match': etag! })).status).toBe(200);
    const late = await patch({ status: 'resolved' }, { 'if-match': etag! });
    expect(late.status).toBe(412);
    expect(late.headers.etag).toBe((await running.send(path)).headers.etag);
    expect((await running.send(path)).json()).toMatchObject({ status: 'open' });
    expect((await patch({ status: 'triaged' }, { 'if-match': '*' })).status).toBe(200);
  });

  it.each([
    ['no JSON', '{"status":', 'the body is not JSON'],
    ['nothing', '', 'the body is not JSON'],
    ['no object', '[]', 'expected object'],
    ['no status', '{}', 'status:'],
    ['an unknown status', '{"status":"done"}', 'status:'],
    ['an unknown key', '{"status":"open","severity":"low"}', 'severity'],
    ['a hostile key', '{"status":"open","__proto__":{"admin":true}}', 'the body is not JSON, or has keys'],
    ['an archive without a reason', '{"status":"archived"}', 'reason: archiving needs a reason'],
    ['an unknown reason', '{"status":"archived","reason":"because"}', 'reason:'],
    ['a reason without an archive', '{"status":"open","reason":"testing"}', 'reason: only status archived'],
    ['an end without an archive', '{"status":"open","until":"2027-01-01T00:00:00Z"}', 'until: only status archived'],
    ['another reason without a note', '{"status":"archived","reason":"other","note":" "}', 'note: reason other needs'],
    ['an end that is no time', '{"status":"archived","reason":"testing","until":"soon"}', 'until:'],
    ['too long a note', JSON.stringify({ status: 'open', note: 'x'.repeat(2001) }), 'note:'],
  ])('with %s is refused', async (_what, body, detail) => {
    const answer = await patch(body);
    expect(answer.status).toBe(400);
    expect((answer.json() as { detail: string }).detail).toContain(detail);
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/json;x=1',
    'text/plain; application/json',
    '',
  ])('sent as %j is refused', async (type) => {
    const answer = await patch({ status: 'open' }, { 'content-type': type });
    expect(answer.status).toBe(415);
  });

  it('sent as JSON in UTF-8 is taken', async () => {
    expect((await patch({ status: 'open' }, { 'content-type': 'application/json; charset=utf-8' })).status).toBe(200);
  });

  it.each(['3', '"a"', '"1", "2"', 'W/"1"'])('under the condition %s is refused', async (tag) => {
    expect((await patch({ status: 'open' }, { 'if-match': tag })).status).toBe(400);
  });

  it('of what is not there is a 404', async () => {
    const answer = await running.send('/api/v1/findings/F-ffffffffffff', {
      method: 'PATCH',
      body: '{"status":"open"}',
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status).toBe(404);
  });
});
