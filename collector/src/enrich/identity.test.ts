import { Signal } from '@spanwarden/rules';
import { describe, expect, it } from 'vitest';
import type { SpanSpec } from '../assemble/testing/spans.ts';
import { fieldOf, hopOf, valuesOf } from './testing/paths.ts';

describe('principal', () => {
  it('is inherited from the nearest hop above that says who asked, with its verification', () => {
    const specs: SpanSpec[] = [
      { id: 1, service: 'edge', attributes: { 'user.hash': 'alice', 'apisec.auth.verified': 'yes' } },
      { id: 2, parent: 1, service: 'edge', kind: 'client' },
      { id: 3, parent: 2, service: 'orders', attributes: { 'apisec.auth.token.id': 'tok' } },
      { id: 4, parent: 3, service: 'orders', kind: 'client', attributes: { 'user.hash': 'svc' } },
      { id: 5, parent: 4, service: 'ledger' },
    ];
    expect(valuesOf(specs, 'principalId', [1, 2, 3, 4, 5])).toEqual(['alice', 'alice', 'alice', 'svc', 'svc']);
    expect(hopOf(specs, 3).principalVerified).toBe('yes');
    expect(hopOf(specs, 5).principalVerified).toBeUndefined();
  });

  it('is never inherited across a parent that did not arrive', () => {
    const specs: SpanSpec[] = [
      { id: 1, attributes: { 'user.hash': 'alice' } },
      { id: 3, parent: 2, service: 'b' },
    ];
    expect(valuesOf(specs, 'principalId', [3])).toEqual([undefined]);
  });

  it('falls back on token, session, and the client that entered the call path', () => {
    const entry = (attributes: SpanSpec['attributes']): SpanSpec[] => [
      { id: 1, service: 'edge', attributes: { 'client.address': '198.51.100.7', ...attributes } },
      { id: 2, parent: 1, service: 'b', attributes: { 'client.address': '10.0.0.9' } },
    ];
    expect(valuesOf(entry({ 'apisec.auth.token.id': 't', 'session.id': 's' }), 'principalId', [2])).toEqual([
      'token:t',
    ]);
    expect(valuesOf(entry({ 'session.id': 's' }), 'principalId', [2])).toEqual(['session:s']);
    expect(valuesOf(entry({}), 'principalId', [2])).toEqual(['client:198.51.100.7']);
  });
});

describe('identity edge', () => {
  const AUTH = { 'apisec.version': '1' };
  const edge = (
    up: SpanSpec['attributes'],
    down: SpanSpec['attributes'],
    between: readonly SpanSpec[] = [],
    signals: number = Signal.auth,
  ) =>
    valuesOf(
      [
        { id: 1, service: 'a', signals, attributes: { ...AUTH, ...up } },
        { id: 2, parent: 1, service: 'a', kind: 'client' },
        { id: 3, parent: 2, service: 'b', signals, attributes: { ...AUTH, ...down } },
        ...between,
      ],
      'identity',
      [3],
    )[0];
  const alice = { 'user.hash': 'alice' };
  const bob = { 'user.hash': 'bob' };

  it('tells what became of an identity between two served calls', () => {
    expect(edge(alice, alice)).toBe('propagated');
    expect(edge(alice, bob)).toBe('changed_subject');
    expect(edge(alice, { ...bob, 'apisec.principal.actor': 'alice' })).toBe('exchanged');
    expect(edge(alice, { ...bob, 'apisec.principal.type': 'service' })).toBe('dropped_to_service');
    expect(edge(alice, {})).toBe('none');
    expect(edge({}, {})).toBe('none');
    expect(edge({}, bob)).toBe('changed_subject');
    expect(edge({ ...alice, 'apisec.principal.tenant': 't1' }, { ...bob, 'apisec.principal.tenant': 't2' })).toBe(
      'changed_tenant',
    );
    expect(edge({ ...alice, 'apisec.principal.tenant': 't1' }, { ...alice, 'apisec.principal.tenant': 't2' })).toBe(
      'changed_tenant',
    );
  });

  it('accepts an exchange seen anywhere below the caller', () => {
    const exchange: SpanSpec = {
      id: 4,
      parent: 1,
      service: 'sts',
      attributes: { 'apisec.event': 'token_exchange' },
    };
    expect(edge(alice, bob, [exchange])).toBe('exchanged');
    expect(edge(alice, bob, [{ ...exchange, attributes: { 'apisec.event': 'mfa' } }])).toBe('changed_subject');
  });

  it('is unknown where a service does not say, and across keys that nothing links', () => {
    expect(edge(alice, {}, [], 0)).toBe('unknown');
    expect(edge({}, bob, [], 0)).toBe('unknown');
    const k1 = { ...alice, 'apisec.principal.key_id': 'k1' };
    const k2 = { ...bob, 'apisec.principal.key_id': 'k2' };
    expect(edge(k1, k2)).toBe('unknown');
    expect(edge(k1, { ...k2, 'apisec.principal.prev_id': 'alice' })).toBe('propagated');
  });

  it('does not exist for the entry of a call path', () => {
    expect(fieldOf({ attributes: alice }, 'identity')).toBeUndefined();
  });
});
