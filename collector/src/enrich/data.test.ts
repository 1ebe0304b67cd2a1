import { Field, type FieldKey, Signal } from '@spanwarden/rules';
import { describe, expect, it } from 'vitest';
import type { SpanSpec } from '../assemble/testing/spans.ts';
import { fieldOf, hopOf, pseudonym } from './testing/paths.ts';

describe('data types', () => {
  it('are those with a count, sorted, with their classes', () => {
    const hop = hopOf(
      [
        {
          id: 1,
          attributes: {
            'apisec.response.data.us_ssn': 2,
            'apisec.response.data.email': 200,
            'apisec.response.data.phone': 0,
            'apisec.response.data.acme_badge': 1,
            'apisec.request.data.payment_card': 1,
            'apisec.egress.data.diagnosis': 1,
          },
        },
      ],
      1,
    );
    const keys: FieldKey[] = [
      'responseDataTypes',
      'responseDataClasses',
      'requestDataTypes',
      'requestDataClasses',
      'egressDataTypes',
      'egressDataClasses',
    ];
    expect(keys.map((key) => hop.field(Field[key]))).toEqual([
      ['acme_badge', 'email', 'us_ssn'],
      ['pii'],
      ['payment_card'],
      ['pci'],
      ['diagnosis'],
      ['phi'],
    ]);
  });

  it('are absent where none was counted', () => {
    expect(fieldOf({ attributes: { 'apisec.response.data.email': 0 } }, 'responseDataTypes')).toBeUndefined();
  });
});

describe('objects', () => {
  const route = { 'http.request.method': 'GET', 'http.route': '/accounts/:id/cards', 'url.path': '/accounts/42/cards' };

  it('come from attributes where a service sends them', () => {
    const attributes = { ...route, 'apisec.object.ids': ['x'], 'apisec.object.type': 'account' };
    expect(fieldOf({ attributes }, 'objectIds')).toEqual(['x']);
    expect(fieldOf({ attributes: { 'apisec.object.ids': 'x' } }, 'objectIds')).toEqual(['x']);
  });

  it('come from the last route parameter of a stock service, as a pseudonym', () => {
    expect(fieldOf({ attributes: route }, 'objectIds')).toEqual([pseudonym('object:account', '42')]);
    expect(fieldOf({ attributes: route }, 'objectType')).toBe('account');
    expect(fieldOf({ attributes: route }, 'objectIdKind')).toBe('int');
    expect(fieldOf({ attributes: route }, 'objectIds', { pseudonym: undefined })).toBeUndefined();
  });

  it('are not made up where the service says that there are none, or where scrubbing left a mark', () => {
    const covered = { signals: Signal.object, attributes: { ...route, 'apisec.version': '1' } };
    expect(fieldOf(covered, 'objectIds')).toBeUndefined();
    expect(fieldOf({ attributes: { ...route, 'url.path': '/accounts/[email]/cards' } }, 'objectIds')).toBeUndefined();
    expect(fieldOf({ attributes: { ...route, 'url.path': '/accounts/42' } }, 'objectIds')).toBeUndefined();
    expect(fieldOf({ kind: 'client', attributes: route }, 'objectIds')).toBeUndefined();
  });
});

describe('egress', () => {
  const call = (host: string, more: SpanSpec['attributes'] = {}): SpanSpec => ({
    id: 2,
    parent: 1,
    kind: 'client',
    attributes: { 'server.address': host, ...more },
  });
  const estate = { ownHosts: ['*.shop.example', '.ours.net'], exposures: [] };
  const thirdParty = (specs: readonly SpanSpec[], id = 2) =>
    hopOf([{ id: 1 }, ...specs], id, { estate }).field(Field.egressThirdParty);

  it.each([
    ['api.stripe.com', true],
    ['203.0.114.5', true],
    ['api.shop.example', false],
    ['db.ours.net', false],
    ['accounts', false],
    ['accounts.svc.cluster.local', false],
    ['10.1.2.3', false],
    ['169.254.169.254', false],
    ['::1', false],
  ])('to %s is third party: %s', (host, expected) => {
    expect(thirdParty([call(host)])).toBe(expected);
  });

  it('is what instrumentation says, and never a host that answered in this call path', () => {
    expect(thirdParty([call('accounts', { 'apisec.egress.third_party': true })])).toBe(true);
    const answered: SpanSpec[] = [
      call('api.public.io'),
      { id: 3, parent: 2, service: 'b' },
      { ...call('api.public.io'), id: 4 },
    ];
    expect(thirdParty(answered, 4)).toBe(false);
  });

  it('says nothing of stores and of calls without a host', () => {
    expect(thirdParty([call('db.rds.amazonaws.com', { 'db.system.name': 'postgresql' })])).toBeUndefined();
    expect(thirdParty([{ id: 2, parent: 1, kind: 'client' }])).toBeUndefined();
  });
});
