import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idKind, toPathTemplate, toRouteTemplate } from './path-template.ts';

describe('a path template', () => {
  it.each([
    ['/users/42', '/users/{id}'],
    ['/users/42/orders/2024-05-01', '/users/{id}/orders/{id}'],
    ['/v1/users/me', '/v1/users/me'],
    ['/files/3f2504e0-4f89-11d3-9a0c-0305e82c3301/raw', '/files/{id}/raw'],
    ['/events/01ARZ3NDEKTSV4RRFFQ69G5FAV', '/events/{id}'],
    ['/commits/9fceb02d0ae598e95dc970b74767f19372d61af8', '/commits/{id}'],
    ['/customers/cus_9s6XKzkNRiz8i3', '/customers/{id}'],
    ['/orders/ord-123456', '/orders/{id}'],
    ['/people/jane@example.org', '/people/{id}'],
    ['/people/[email]/cards', '/people/{id}/cards'],
    ['/oauth2/token', '/oauth2/token'],
    ['/api/v2/s3/http2', '/api/v2/s3/http2'],
    ['/docs/1.2.3', '/docs/1.2.3'],
    ['/shopping-cart/check-out', '/shopping-cart/check-out'],
    ['/a/b/?q=1#x', '/a/b'],
    ['//a///b/', '/a/b'],
    ['', '/'],
  ])('of %s is %s', (path, template) => {
    expect(toPathTemplate(path)).toBe(template);
  });

  it('bounds depth and length, whatever a client asks for', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 3000 }), (path) => {
        const template = toPathTemplate(path);
        expect(template.split('/').length).toBeLessThanOrEqual(18);
        expect(template.length).toBeLessThanOrEqual(17 * 65);
        expect(toPathTemplate(template)).toBe(template);
      }),
    );
  });
});

describe('a segment', () => {
  it.each([
    ['12', 'int'],
    ['-7', 'int'],
    ['12.50', 'int'],
    ['2024-05-01', 'other'],
    ['+4915112345678', 'phone'],
    ['jane@example.org', 'email'],
    ['[email]', 'email'],
    ['3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'uuid'],
    ['deadbeefdeadbeef01', 'random'],
    ['QdH5CAWJgqVT4rOr0qtumf', 'random'],
    ['GyYNpCrVQtOBxKhqJSpOOA', 'random'],
    ['MB-HZA9rRlKRHb-2LpYBxw', 'random'],
    ['export1704322485', 'random'],
    ['getAccountByCustomerNumber', undefined],
    ['a'.repeat(65), 'other'],
    ['v1', undefined],
    ['users', undefined],
    ['base64', undefined],
    ['ts-order-service2', undefined],
  ])('%s is %s', (segment, kind) => {
    expect(idKind(segment)).toBe(kind);
  });
});

describe('a route template', () => {
  it.each([
    ['/users/:id', '/users/{id}'],
    ['/users/:userId(\\d+)/posts/:postId?', '/users/{userId}/posts/{postId}'],
    ['/users/<int:id>/', '/users/{id}'],
    ['/users/{id:[0-9]+}', '/users/{id}'],
    ['/users/{id:int}', '/users/{id}'],
    ['users/{id}', '/users/{id}'],
    ['/files/*', '/files/{*}'],
    ['/files/*path', '/files/{*}'],
    ['/', '/'],
  ])('of %s is %s', (route, template) => {
    expect(toRouteTemplate(route)).toBe(template);
  });

  it.each(['*', '/*', '/{*path}', '(.*)'])('does not exist for %s, which catches everything', (route) => {
    expect(toRouteTemplate(route)).toBeUndefined();
  });
});
