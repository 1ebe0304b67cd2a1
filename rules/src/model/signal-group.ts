import { Signal, type SignalName } from './call-path.ts';
import { Field, fieldId } from './field.ts';

/**
 * What it means that a field is absent on a span:
 * `never` the field is always known, so absence is an answer; `signal` absence is an answer where the service records
 * that group; `versioned` absence is an answer where our instrumentation runs; `domain` absence is an answer where the
 * span is of another domain (no `db.system.name`: not a database call); `serving` only spans that serve a call have it;
 * `calling` only spans that make a call have it, and there it is `versioned`; `open` absence says nothing.
 */
export type Absence =
  | { readonly kind: 'never' | 'versioned' | 'serving' | 'caller' | 'calling' | 'open' }
  | { readonly kind: 'signal'; readonly group: SignalName; readonly bit: number }
  | { readonly kind: 'domain'; readonly key: number };

const signal = (group: SignalName): Absence => ({ kind: 'signal', group, bit: Signal[group] });
const domain = (key: number): Absence => ({ kind: 'domain', key });

/** First prefix that fits wins; a prefix without a trailing dot must be the whole name. */
const TABLE: readonly (readonly [string, Absence])[] = [
  ['span.', { kind: 'never' }],
  ['service.name', { kind: 'never' }],
  // Whether and what a service records is told by these themselves: without them it does not.
  ['apisec.version', { kind: 'never' }],
  ['apisec.signals', { kind: 'never' }],
  ['apisec.entry', { kind: 'never' }],
  ['apisec.exposure', { kind: 'serving' }],
  ['apisec.endpoint', { kind: 'serving' }],
  ['apisec.operation', { kind: 'serving' }],
  ['apisec.outcome', { kind: 'open' }],
  ['apisec.caller.service', { kind: 'caller' }],
  ['apisec.identity', signal('auth')],
  ['apisec.auth.', signal('auth')],
  ['apisec.principal.', signal('auth')],
  ['user.', signal('auth')],
  ['apisec.authz.', signal('authz')],
  ['apisec.object.', signal('object')],
  ['apisec.effect', signal('object')],
  ['apisec.event', signal('event')],
  ['apisec.event_outcome', signal('event')],
  ['apisec.event_subject', signal('event')],
  ['session.id', signal('session')],
  ['apisec.egress.third_party', { kind: 'calling' }],
  ['apisec.egress.', signal('data')],
  ['apisec.request.', signal('data')],
  ['apisec.response.', signal('data')],
  ['apisec.', { kind: 'versioned' }],
  ['db.system.name', { kind: 'never' }],
  ['rpc.system.name', { kind: 'never' }],
  ['messaging.system.name', { kind: 'never' }],
  ['http.request.method', { kind: 'never' }],
  ['db.', domain(Field.dbSystemName)],
  ['rpc.', domain(Field.rpcSystemName)],
  ['messaging.', domain(Field.messagingSystemName)],
  ['http.', domain(Field.httpRequestMethod)],
];

const OPEN: Absence = { kind: 'open' };

/** What the absence of a field means, by its name. */
export function absenceOf(field: string): Absence {
  for (const [prefix, absence] of TABLE) {
    if (prefix.endsWith('.') ? field.startsWith(prefix) : field === prefix) {
      return absence;
    }
  }
  return OPEN;
}

/** How a coverage report names what was missing: the signal group where there is one, else the field itself. */
export function missingName(field: string): string {
  const absence = absenceOf(field);
  return absence.kind === 'signal' ? absence.group : field;
}

const COUNTED_TYPES = ['apisec.request.data.', 'apisec.response.data.', 'apisec.egress.data.'];

/** False for a name in a namespace that is ours (`span.`, `apisec.`) but that nothing sets: a slip of the pen. */
export function isKnownName(field: string): boolean {
  if (!field.startsWith('span.') && !field.startsWith('apisec.')) {
    return true;
  }
  return fieldId(field) !== undefined || COUNTED_TYPES.some((prefix) => field.startsWith(prefix));
}

const HIDDEN = ['url.query', 'url.full', 'db.query.text', 'graphql.document'];
const HIDDEN_PREFIXES = [
  'http.request.header.',
  'http.response.header.',
  'rpc.request.metadata.',
  'rpc.response.metadata.',
];

/** True for bodies, queries and headers: a finding never prints them, however well they were scrubbed. */
export function isHidden(field: string): boolean {
  return (
    HIDDEN.includes(field) ||
    field.endsWith('.body.content') ||
    HIDDEN_PREFIXES.some((prefix) => field.startsWith(prefix))
  );
}
