import { describe, expect, test } from 'vitest';
import { IdGaps, idKindOf, objectAttributes } from './objects.ts';
import { createPseudonym } from './pseudonym.ts';
import { mapRequest, parseRouteMapping, routeObject } from './route-mapping.ts';

function map(matches: readonly string[], method: string, target: string) {
  const problems: string[] = [];
  const routes = matches.flatMap((match) => parseRouteMapping({ match, object: 'account' }, problems) ?? []);
  const url = new URL(target, 'http://x');
  return mapRequest(routes, method, url.pathname, url.searchParams).object;
}

describe('a route mapping', () => {
  test.each([
    ['/accounts/:id', 'GET', '/accounts/42', ['42']],
    ['/customers/:customer/accounts/:account', 'GET', '/customers/7/accounts/42', ['42']],
    ['/accounts/:id/orders/:order', 'GET', '/accounts/42/orders/9', ['42']],
    ['/accounts/{id}', 'GET', '/accounts/42', ['42']],
    ['/accounts/:ids', 'GET', '/accounts/1,2,3', ['1', '2', '3']],
    ['/accounts/:id', 'GET', '/accounts/a%20b', ['a b']],
    ['/accounts/:id', 'GET', '/accounts/%zz', ['%zz']],
    ['/search?account', 'GET', '/search?account=1&account=2', ['1', '2']],
    ['POST /accounts/:id', 'POST', '/accounts/42', ['42']],
  ])('%s takes from %s %s the ids %j', (match, method, target, ids) => {
    expect(map([match], method, target)).toEqual({ type: 'account', ids });
  });

  test.each([
    ['POST /accounts/:id', 'GET', '/accounts/42'],
    ['/accounts/:id', 'GET', '/accounts/42/orders'],
    ['/accounts/:id', 'GET', '/users/42'],
    ['/search?account', 'GET', '/search?other=1'],
  ])('%s takes nothing from %s %s', (match, method, target) => {
    expect(map([match], method, target)).toBeUndefined();
  });

  test('that cannot be read is a problem', () => {
    const problems: string[] = [];
    expect(parseRouteMapping({ match: 'accounts' }, problems)).toBeUndefined();
    expect(problems[0]).toContain('accounts');
  });
});

describe('a route that nobody declared', () => {
  test.each([
    ['/accounts/:id', '/accounts/42', { type: 'account', id: '42' }],
    ['/companies/{company}/statements', '/companies/7/statements', { type: 'company', id: '7' }],
    ['/accounts/:id/orders/:order', '/accounts/42/orders/9', { type: 'order', id: '9' }],
    ['/:tenant', '/42', undefined],
    ['/:tenant/:id', '/a/42', undefined],
    ['/accounts', '/accounts', undefined],
    ['/files/*path', '/files/a/b', undefined],
  ])('%s with %s names %j', (route, path, object) => {
    expect(routeObject(route, path)).toEqual(object);
  });
});

describe('object ids', () => {
  test.each([
    ['42', 'int'],
    ['3f2504e0-4f89-11d3-9a0c-0305e82c3301', 'uuid'],
    ['jane@example.com', 'email'],
    ['+14155550132', 'phone'],
    ['cus_NffrFeUfNV2Hib99', 'random'],
    ['home', 'other'],
  ])('%s is %s', (id, kind) => {
    expect(idKindOf(id)).toBe(kind);
  });

  test('show how far apart they are, per principal and route, before they are hashed', () => {
    const gaps = new IdGaps(2);
    const walk = (ids: string[]) => ids.map((id) => gaps.next('p|r', id));
    expect(walk(['10', '11', '11', '70', '9', 'x'])).toEqual(['na', 'one', 'same', 'le64', 'le64', 'na']);
    expect(gaps.next('p|r', '9999')).toBe('gt64');
    expect(gaps.next('other', '9998')).toBe('na');
  });

  test('are counted distinct, and at most 16 leave, hashed', () => {
    const ids = [...Array.from({ length: 30 }, (_, index) => String(index)), '0'];
    const pseudonym = createPseudonym(Buffer.alloc(32));
    const attributes = objectAttributes('account', ids, pseudonym);
    expect(attributes).toMatchObject({ 'apisec.object.count': 30, 'apisec.object.id_kind': 'int' });
    expect(attributes['apisec.object.ids']).toHaveLength(16);
    expect((attributes['apisec.object.ids'] as string[])[0]).toBe(pseudonym('object:account', '0'));
    expect(objectAttributes('account', ids, undefined)).not.toHaveProperty('apisec.object.ids');
  });
});
